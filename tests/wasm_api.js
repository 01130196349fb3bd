// SPDX-License-Identifier: MIT
// The library in JavaScript, by node: it recognises what the command does,
// learns, and saves what the command can read.
//   node wasm_api.js imgrec.js MODEL EVAL OUT
// MODEL is of the digits in examples/data, EVAL what `imgrec eval --json` says
// of it; OUT is what a model is saved as that was trained here.
const assert = require("assert");
const fs = require("fs");
const path = require("path");
const zlib = require("zlib");

const [script, modelFile, evalFile, out] = process.argv.slice(2);
const told = JSON.parse(fs.readFileSync(evalFile));
const wrong = Math.round(told.images * (1 - told.top1));
const folder = "examples/data/digits";

// Images as a canvas has them, of an IDX file, and their labels.
function read(part) {
  const unpack = (name) => zlib.gunzipSync(fs.readFileSync(
    path.join(folder, fs.readdirSync(folder).find(
      (n) => n.startsWith(`${part}-${name}`)))));
  const images = unpack("images"), labels = unpack("labels");
  const [count, height, width] = [4, 8, 12].map((at) =>
    images.readUInt32BE(at));
  return Array.from({ length: count }, (_, i) => {
    const data = new Uint8ClampedArray(4 * height * width).fill(255);
    for (let p = 0; p < height * width; p++)
      data.fill(images[16 + i * height * width + p], 4 * p, 4 * p + 3);
    return { image: { data, height, width }, label: labels[8 + i] };
  });
}

const errors = (model, some) => some.filter(({ image, label }) =>
  model.classify(image)[0].index !== label).length;

require(path.resolve(script))().then((imgrec) => {
  const test = read("test"), train = read("train");
  const model = imgrec.load(fs.readFileSync(modelFile));
  assert.strictEqual(model.classes, 10);
  assert.strictEqual(errors(model, test), wrong);
  const three = model.classify(test[0].image, 3);
  assert.strictEqual(three.length, 3);
  assert(three[0].probability > three[1].probability);
  assert.strictEqual(three[0].label, model.labels[three[0].index]);

  const fresh = imgrec.create("tiny",
    { height: 8, width: 8, channels: 1, classes: 10, seed: 3 });
  const before = errors(fresh, test);
  const trainer = fresh.trainer({ batch: 32, learningRate: 0.003, seed: 3 });
  const losses = [];
  for (let at = 0; at + 32 <= train.length; at += 32) {
    const batch = train.slice(at, at + 32);
    losses.push(trainer.step(batch.map((s) => s.image),
                             batch.map((s) => s.label)));
  }
  const after = errors(fresh, test);
  assert(losses[losses.length - 1] < losses[0] / 2);
  assert(after < before / 3, `${before} and then ${after} errors`);
  const bytes = fresh.save();
  fs.writeFileSync(out, bytes);
  const again = imgrec.load(bytes);
  assert.strictEqual(errors(again, test), after);
  assert.deepStrictEqual(again.save(), bytes);

  // What is wrong is said.
  assert.throws(() => imgrec.load(bytes.slice(0, 99)), /model in memory: /);
  assert.throws(() => imgrec.create("no such", { classes: 2 }), Error);
  assert.throws(() => trainer.step([test[0].image], [10]), /label/);
  assert.throws(() => trainer.step([], []), /1 to 32/);
  assert.throws(() => model.classify({ data: [1], width: 2, height: 2 }),
                /RGBA/);
  trainer.destroy();
  for (const m of [model, fresh, again]) m.destroy();
  console.log(`wasm: errs in the same ${wrong} of ${test.length}; an epoch ` +
              `from ${before} errors to ${after}`);
}).catch((e) => {
  console.error(e);
  process.exit(1);
});
