// SPDX-License-Identifier: MIT
// examples/web in a headless browser: digits drawn with the mouse are
// recognised, and a sign that is none is learned.
//   node web_page.js FOLDER SCREENSHOT
// Speaks the DevTools protocol through a pipe: JSON with a zero byte behind.
const assert = require("assert");
const { spawn } = require("child_process");
const fs = require("fs");
const http = require("http");
const os = require("os");
const path = require("path");

const [folder, screenshot] = process.argv.slice(2);
const types = { ".html": "text/html", ".js": "text/javascript",
                ".wasm": "application/wasm" };
const server = http.createServer((request, response) => {
  const name = path.join(folder, path.basename(request.url) || "index.html");
  fs.readFile(name, (e, bytes) => {
    response.writeHead(e ? 404 : 200, {
      "Content-Type": types[path.extname(name)] || "application/octet-stream" });
    response.end(bytes);
  });
});

const profile = fs.mkdtempSync(path.join(os.tmpdir(), "web_page-"));
const browser = spawn(process.env.CHROMIUM || "chromium", [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
  `--user-data-dir=${profile}`, "--window-size=420,760"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });

const waiting = new Map(); // resolve and reject by the number of a call
const problems = [];
let calls = 0, unread = "", session;
browser.stdio[4].on("data", (bytes) => {
  const parts = (unread + bytes).split("\0");
  unread = parts.pop();
  for (const message of parts.map((part) => JSON.parse(part))) {
    if (message.method === "Runtime.exceptionThrown")
      problems.push(message.params.exceptionDetails);
    const call = waiting.get(message.id);
    if (call) call[message.error ? 1 : 0](message.error || message.result);
  }
});
const send = (method, params = {}) => new Promise((resolve, reject) => {
  waiting.set(++calls, [resolve, reject]);
  browser.stdio[3].write(JSON.stringify(
    { id: calls, method, params, sessionId: session }) + "\0");
});

const evaluate = async (expression) => (await send("Runtime.evaluate",
  { expression, awaitPromise: true, returnByValue: true })).result.value;
const text = (id) => evaluate(`document.getElementById("${id}").textContent`);
const click = (words) => evaluate(`[...document.querySelectorAll("button")]
  .find((b) => b.textContent === "${words}").click()`);

// One stroke through these points of the canvas.
async function draw(points) {
  const [left, top] = await evaluate(`(() => {
    const r = document.getElementById("canvas").getBoundingClientRect();
    return [r.left, r.top]; })()`);
  const mouse = (type, [x, y], buttons) => send("Input.dispatchMouseEvent", {
    type, x: left + x, y: top + y, button: "left", buttons, clickCount: 1 });
  await mouse("mousePressed", points[0], 1);
  for (const point of points) await mouse("mouseMoved", point, 1);
  await mouse("mouseReleased", points[points.length - 1], 0);
}

const around = (x, y, a, b, from = 0, to = 1) => Array.from({ length: 25 },
  (_, i) => [x + a * Math.sin(2 * Math.PI * (from + (to - from) * i / 24)),
             y - b * Math.cos(2 * Math.PI * (from + (to - from) * i / 24))]);
const digits = {
  0: around(160, 160, 65, 110),
  1: [[120, 100], [165, 50], [165, 270]],
  3: [...around(150, 105, 60, 55, -0.2, 0.5),
      ...around(150, 215, 65, 55, 0, 0.7)],
};
const triangle = [[160, 50], [60, 260], [260, 260], [160, 50]];

async function test() {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { targetId } = await send("Target.createTarget",
                                  { url: "about:blank" });
  session = (await send("Target.attachToTarget",
                        { targetId, flatten: true })).sessionId;
  await send("Runtime.enable");
  await send("Page.enable");
  await send("Page.navigate",
             { url: `http://127.0.0.1:${server.address().port}/` });
  for (let i = 0; i < 200 && await evaluate(
    "document.querySelectorAll('button').length") !== 11; i++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  for (const [digit, points] of Object.entries(digits)) {
    await click("clear");
    await draw(points);
    assert.strictEqual(await text("answer"), digit, `drawn as ${digit}`);
  }
  await click("clear");
  await draw(triangle);
  const before = await text("answer");
  await click("7");
  assert.strictEqual(await text("answer"), "7", "taught");
  const loss = await text("loss");
  await click("clear");
  await draw(triangle.map(([x, y]) => [x * 0.8 + 20, y * 0.8 + 40]));
  assert.strictEqual(await text("answer"), "7", "the same sign, smaller");
  const { data } = await send("Page.captureScreenshot");
  fs.writeFileSync(screenshot, Buffer.from(data, "base64"));
  assert.deepStrictEqual(problems, []);
  console.log(`wasm: in Chromium ${Object.keys(digits).join(", ")} drawn and ` +
              `recognised; a triangle (${before} before) is learned: ${loss}`);
}

const timer = setTimeout(() => end(new Error("no end within a minute")), 60000);
function end(error) {
  clearTimeout(timer);
  if (error) console.error(error, problems);
  browser.on("exit", () => {
    fs.rmSync(profile, { recursive: true, force: true });
    process.exit(error ? 1 : 0);
  });
  browser.kill();
}
browser.on("error", (e) => { console.error(e); process.exit(1); });
test().then(() => end(), end);
