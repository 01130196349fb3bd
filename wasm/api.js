// SPDX-License-Identifier: MIT
// The library for JavaScript, around the functions of glue.c:
//
//   const imgrec = await createImgrec();
//   const model = imgrec.load(bytes);              // of a model file
//   model.classify(imageData, 3);    // [{index, label, probability}, ...]
//   const trainer = model.trainer({batch: 16, learningRate: 0.001});
//   trainer.step([imageData, ...], [label, ...]);  // the loss
//   const bytes = model.save();                    // of a model file
//   trainer.destroy(); model.destroy();
//
// Images are ImageData, or whatever has width, height and data (RGBA).  What
// fails throws an Error with the library's sentence.

(() => {
  const fail = (what) => {
    throw new Error(UTF8ToString(_web_error()) || what);
  };
  const check = (status, what) => (status < 0 ? fail(what) : status);
  const RESULT = 12; // bytes of imgrec_result here

  // f(pointer) with a copy of bytes in the module's memory.
  const withBytes = (bytes, f) => {
    const p = _malloc(bytes.length || 1);
    if (!p) throw new Error("out of memory");
    try {
      HEAPU8.set(bytes, p);
      return f(p);
    } finally {
      _free(p);
    }
  };

  const withText = (text, f) =>
    withBytes(new TextEncoder().encode(text + "\0"), f);

  const withImage = (image, f) => {
    if (image.data.length !== 4 * image.width * image.height)
      throw new Error("an image's data is not width x height pixels of RGBA");
    return withBytes(image.data, (p) => f(p, image.height, image.width));
  };

  class Trainer {
    constructor(model, { batch = 16, learningRate = 0.001, seed = 0 } = {}) {
      this.batch = batch;
      this.classes = model.classes;
      this.pointer = _web_trainer_create(
        model.pointer, batch, learningRate, seed);
      if (!this.pointer) fail("out of memory");
    }
    // One step of Adam on as many images as labels, at most a batch.
    step(images, labels) {
      const n = images.length;
      if (n < 1 || n > this.batch || labels.length !== n)
        throw new Error(`a step takes 1 to ${this.batch} images and as many ` +
                        "labels");
      images.forEach((image, i) => withImage(image, (p, h, w) =>
        check(_web_trainer_put(this.pointer, i, labels[i], p, h, w))));
      const loss = _web_trainer_step(this.pointer, n);
      return Number.isNaN(loss) ? fail("the step failed") : loss;
    }
    destroy() {
      _web_trainer_destroy(this.pointer);
      this.pointer = 0;
    }
  }

  class Model {
    constructor(pointer) {
      this.pointer = pointer || fail("out of memory");
      this.classes = _imgrec_model_classes(pointer);
      this.labels = Array.from({ length: this.classes }, (_, i) =>
        UTF8ToString(_imgrec_model_label(pointer, i)));
    }
    classify(image, k = 1) {
      const room = _malloc(RESULT * Math.max(k, 1));
      try {
        const n = check(withImage(image, (p, h, w) =>
          _web_classify(this.pointer, p, h, w, k, room)), "cannot classify");
        return Array.from({ length: n }, (_, i) => ({
          index: HEAP32[(room + RESULT * i) / 4],
          label: this.labels[HEAP32[(room + RESULT * i) / 4]],
          probability: HEAPF32[(room + RESULT * i) / 4 + 1],
        }));
      } finally {
        _free(room);
      }
    }
    trainer(options) {
      return new Trainer(this, options);
    }
    save() {
      const size = _web_save(this.pointer, 0, 0) || fail("cannot save");
      const room = _malloc(size);
      if (!room) throw new Error("out of memory");
      try {
        if (!_web_save(this.pointer, room, size)) fail("cannot save");
        return HEAPU8.slice(room, room + size);
      } finally {
        _free(room);
      }
    }
    destroy() {
      _imgrec_model_destroy(this.pointer);
      this.pointer = 0;
    }
  }

  Module.load = (bytes) => withBytes(bytes, (p) =>
    new Model(_web_load(p, bytes.length)));
  Module.create = (preset, { height = 0, width = 0, channels = 0, classes,
                             seed = 0 }) =>
    withText(preset, (p) => new Model(
      _web_create(p, height, width, channels, classes, seed)));
  Module.version = () => UTF8ToString(_imgrec_version_string());
  // A factory gives its module when this has run.
  addOnInit(() => {
    if (_web_start() < 0) throw new Error("the library cannot start");
  });
})();
