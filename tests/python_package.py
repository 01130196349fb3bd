# SPDX-License-Identifier: MIT
"""What the Python package promises: python_package.py MODEL IMAGE [numpy], run
by tests/test_examples.sh and tests/test_wheel.sh; MODEL knows ten digits, IMAGE
is the picture of one.  With numpy the arrays are NumPy's, which else must not
be needed."""
import array
import gc
import sys
import threading
import time

import imgrec

TEXT = """input 4 4 1
flatten
dense 8 activation=relu
dense 2
softmax
"""


def images_and_labels(count):
    """Bright and dark pictures, N x 4 x 4 x 1."""
    pixels = array.array("f")
    labels = []
    for i in range(count):
        pixels.extend([0.1 + 0.8 * (i % 2)] * 16)
        labels.append(i % 2)
    return pixels, labels


def toy_data(count, context=None):
    pixels = bytes((i * 7 % 60) + 180 * (i % 2) for i in range(count)
                   for _ in range(16))
    view = memoryview(pixels).cast("B", [count, 4, 4, 1])
    return imgrec.Dataset.from_arrays(view, [i % 2 for i in range(count)], 2,
                                      context)


def raises(kind, word, call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except kind as error:
        assert word in str(error), (word, str(error))
        return error
    raise AssertionError("%s was not raised" % kind.__name__)


def test_recognise(model_path, image_path):
    model = imgrec.Model.load(model_path, imgrec.Context(threads=1))
    answers = model.classify(image_path, top=99)
    assert len(answers) == len(model.labels) == 10
    assert abs(sum(answer.probability for answer in answers) - 1) < 1e-4
    assert answers[0].label == model.labels[answers[0].class_index]
    with open(image_path, "rb") as file:
        data = file.read()
    image = imgrec.Tensor.decode_image(data, context=model.context)
    grey = image.convert(1).data
    for same in (data, bytearray(data), image, image.data):
        assert model.classify(same, top=99) == answers
    assert model.classify(memoryview(grey.tobytes()).cast(
        "B", grey.shape[:2])) == model.classify(grey)
    with open(model_path, "rb") as file:
        again = imgrec.Model.load(file.read())
    assert again.classify(image_path, top=99) == answers
    seen = model.explain(image_path)
    assert seen.shape == model.input_shape[:2] and max(
        max(row) for row in seen.tolist()) == 1
    x = image.preprocess(**model.preprocess)
    assert x.shape == model.input_shape and x.dtype == imgrec.DType.F32


def test_errors():
    error = raises(imgrec.Error, "no/such", imgrec.Model.load, "no/such")
    assert error.status == imgrec.Status.NOT_FOUND
    error = raises(imgrec.Error, "line 2", imgrec.Model, "input 4 4 1\nwhat")
    assert error.status == imgrec.Status.ARCHITECTURE
    model = imgrec.Model(TEXT)
    raises(imgrec.Error, "", model.classify, b"no picture")
    raises(TypeError, "float32", model.forward, array.array("d", [0] * 16))
    raises(ValueError, "N x 4 x 4 x 1", model.forward,
           array.array("f", [0] * 15))
    raises(TypeError, "learning_rate", imgrec.Trainer, model, rate=1)
    raises(ValueError, "adamw", imgrec.Trainer, model, optimizer="best")
    raises(imgrec.Error, "max_batch", model.forward, bytes(4 * 16 * 33))
    model.close()
    raises(ValueError, "closed", model.forward, bytes(64))


def test_train():
    model = imgrec.Model(TEXT, seed=3)
    model.labels = ["dark", "bright"]
    images, labels = images_and_labels(16)
    trainer = imgrec.Trainer(model, learning_rate=0.1, optimizer="sgd")
    first = trainer.train_step(images, labels)
    for _ in range(100):
        last = trainer.train_step(images, array.array("q", labels))
    assert last < 0.2 < first, (first, last)
    y = model.forward(images)
    assert y.shape == (16, 2) and y.data.format == "f"
    assert y[0, 0] > y[0, 1] and y[1, 1] > y[1, 0]
    model.save("python.imgrec")
    again = imgrec.Model.load("python.imgrec")
    assert again.labels == ["dark", "bright"]
    assert again.architecture == model.architecture
    out = imgrec.Tensor([16, 2])
    assert again.forward(images, out=out) is out
    assert out.tolist() == y.tolist()
    name = again.parameters[0]
    again[name] = imgrec.Tensor(again[name].shape)
    assert again.forward(images).tolist() != y.tolist()


def test_steps_in_pieces():
    images, labels = images_and_labels(16)
    whole, pieces = (imgrec.Trainer(imgrec.Model(TEXT, seed=3))
                     for _ in range(2))
    loss = whole.train_step(images, labels)
    x = pieces.model.input(images)
    y = imgrec.Tensor.wrap(array.array("i", labels))
    calls = 1
    while pieces.train_step_ms(x, y, 0) is None:
        calls += 1
    assert calls > 3 and pieces.longest_piece > 0
    assert pieces.train_step(x, y) == whole.train_step(images, labels) < loss
    assert pieces.train_step_ms(x, y, 0) is None
    raises(imgrec.Error, "", pieces.train_step, x, y)
    pieces.abandon()
    pieces.train_step(x, y)


def test_fit():
    train, val = toy_data(64).split(0.25, seed=1)
    assert (len(train), len(val), train.labels) == (48, 16, ["0", "1"])
    model = imgrec.Model(TEXT)
    trainer = imgrec.Trainer(model, learning_rate=0.05)
    told = []
    result = trainer.fit(train, val, progress=told.append, epochs=20,
                         schedule="one-cycle", augment="flip")
    assert result.epochs == 20 and not result.cancelled
    assert sum(p.epoch_done for p in told) == 20 and told[-1].epoch == 20
    result = trainer.fit(train, val, epochs=20, checkpoint="python.ckpt",
                         progress=lambda p: p.epoch_done and p.epoch == 2)
    assert result.epochs == 2 and result.cancelled
    measured = model.evaluate(val)
    assert measured.images == 16 and measured.top1 == 1
    assert measured.confusion == [[8, 0], [0, 8]]
    assert measured.scores[1].recall == 1 and len(measured.bins) == 15
    answers = []
    model.evaluate(val, lambda *answer: answers.append(answer))
    assert [(i, c) for i, c, p in answers if p[c] > 0.5] == [
        (i, val.class_of(i)) for i in range(16)]
    raises(imgrec.Error, "callback", model.evaluate, val, lambda *_: True)
    stands = imgrec.read_checkpoint("python.ckpt")
    assert (stands.epoch, stands.epochs) == (2, 20)

    def interrupted(_):
        raise KeyboardInterrupt

    raises(KeyboardInterrupt, "", trainer.fit, train, progress=interrupted)

    def uses_the_model(_):
        model.classify(bytes(9))

    raises(RuntimeError, "callback", trainer.fit, train,
           progress=uses_the_model)
    assert trainer.fit(train, epochs=1).epochs == 1
    rates = trainer.find_rate(train, steps=20)
    assert len(rates.rates) == len(rates.losses) <= 20


def test_data():
    """Two images are there twice, and one of these is labelled otherwise."""
    first = bytes(range(16)) + bytes(16) + bytes(range(16))
    view = memoryview(first).cast("B", [3, 4, 4, 1])
    data = imgrec.Dataset.from_arrays(view, [0, 1, 1], 2)
    found = imgrec.examine([data, data])
    assert [s.exact for s in found.summaries] == [1, 1]
    assert found.summaries[1].exact_elsewhere == 3
    assert found.duplicates[0].image == 2 and not (
        found.duplicates[0].same_label)
    assert found.duplicates[0].kind == imgrec.DuplicateKind.EXACT
    raises(imgrec.Error, "", imgrec.examine, [data], progress=lambda *_: True)
    data.remove([2])
    assert len(data) == 2 and data[0][0].tolist()[0] == [[0], [1], [2], [3]]
    raises(IndexError, "2 of 2", data.__getitem__, 2)
    assert len(data.digest()) == 64 and sum(1 for _ in data) == 2
    x, y = imgrec.Tensor([2, 4, 4, 1]), imgrec.Tensor([2, 2])
    x.data[0, 0, 0, 0] = 1
    imgrec.mix(x, y, imgrec.Tensor.wrap(array.array("i", [0, 1])), "mixup=1")
    assert 0 < x[1, 0, 0, 0] < 1 and abs(sum(y.tolist()[0]) - 1) < 1e-6


def test_context():
    lines, decoded = [], []

    def decode(data, channels):
        decoded.append((data, channels))
        return memoryview(bytes(4 * 4)).cast("B", [4, 4, 1])

    context = imgrec.Context(threads=1, isa="scalar", decode=decode,
                             log=lambda level, line: lines.append(line))
    assert context.threads == 1 and context.isa == imgrec.Isa.SCALAR
    model = imgrec.Model(TEXT, context)
    assert len(model.classify(b"mine")) == 2 and decoded == [(b"mine", 0)]
    trainer = imgrec.Trainer(model)
    trainer.fit(toy_data(8, context), epochs=1, best="no/such/folder/model")
    assert any("no/such/folder" in line for line in lines), lines

    def broken(*_):
        raise KeyError("broken")

    model = imgrec.Model(TEXT, imgrec.Context(decode=broken))
    raises(KeyError, "broken", model.classify, b"mine")
    floats = array.array("f", [0] * 16)
    model = imgrec.Model(TEXT, imgrec.Context(decode=lambda *_: floats))
    raises(TypeError, "uint8", model.classify, b"mine")

    files = {"mine/grey": b"P5 4 4 255 " + bytes(range(16)),
             "mine/list.csv": b"grey,one\n"}
    used = [sys.getrefcount(kept) for kept in files.values()]

    def read(path):
        if path in files:
            return files[path]
        raise FileNotFoundError(path)

    context = imgrec.Context(read=read)
    image = imgrec.Tensor.load_image("mine/grey", context=context)
    assert image[3, 3, 0] == 15
    data = imgrec.Dataset("mine/list.csv", context=context)
    assert data.image(0).tolist() == image.tolist() and data.digest()
    assert [sys.getrefcount(kept) for kept in files.values()] == used
    error = raises(imgrec.Error, "other", imgrec.Model.load, "other", context)
    assert error.status == imgrec.Status.NOT_FOUND
    raises(KeyError, "broken", imgrec.Model.load, "a",
           imgrec.Context(read=broken))
    raises(imgrec.Error, "max_bytes", imgrec.Model,
           imgrec.preset("base", 10), imgrec.Context(max_bytes=3000000))


def test_lifetimes():
    context = imgrec.Context(threads=1)
    before = context.bytes
    model = imgrec.Model(TEXT, context)
    y = model.forward(images_and_labels(2)[0]).data
    values = y.tolist()
    del model
    gc.collect()
    kept = [imgrec.Tensor([8], context=context) for _ in range(9)]
    assert y.tolist() == values
    kept[0].close()
    del y, kept
    gc.collect()
    assert context.bytes == before
    lent = array.array("f", [1, 2, 3])
    tensor = imgrec.Tensor.wrap(lent, context=context)
    lent[1] = 7
    assert tensor.tolist() == [1, 7, 3]
    raises(BufferError, "", lent.append, 4)
    tensor.close()
    lent.append(4)

    def raising(*_):
        raise KeyError("log")

    loud = imgrec.Context(log=raising)
    quiet = loud.bytes
    data = toy_data(8, loud)
    trainer = imgrec.Trainer(imgrec.Model(TEXT, loud))
    raises(KeyError, "log", trainer.fit, data, epochs=1, best="no/such/x")
    del data, trainer
    gc.collect()
    assert loud.bytes == quiet
    readonly = imgrec.Tensor.wrap(bytes(4), context=context).data
    raises(TypeError, "read", readonly.__setitem__, 0, 1)


def test_nothing_is_cut():
    """Integers and texts come to the library whole, or not at all."""
    wide = 2 ** 32 + 8
    data = toy_data(8)
    model = imgrec.Model(TEXT)
    image = imgrec.Tensor([4, 4, 1], "u8")
    raises(OverflowError, "epochs: %d is" % wide, imgrec.Trainer(model).fit,
           data, epochs=wide)
    raises(OverflowError, "max_batch: 1099511627776 is not between -2147483648 "
           "and 2147483647", imgrec.Model, TEXT, max_batch=2 ** 40)
    raises(OverflowError, "seed: -1 is not between 0 and %d" % (2 ** 64 - 1),
           imgrec.Model, TEXT, seed=-1)
    raises(OverflowError, str(wide), image.resize, wide, wide)
    raises(OverflowError, str(wide), imgrec.preset, "tiny", wide)
    raises(OverflowError, str(2 ** 64), imgrec.Tensor, [2 ** 64])
    raises(OverflowError, str(2 ** 64), data.remove, [2 ** 64])
    assert len(data) == 8
    assert imgrec.Model(TEXT, seed=2 ** 64 - 1, max_batch=True).classes == 2
    for call in (imgrec.Model.load, imgrec.Dataset, model.freeze, model.save,
                 lambda text: imgrec.Model(TEXT + text),
                 lambda text: setattr(model, "labels", ["1", text]),
                 lambda text: imgrec.Trainer(model).fit(data, best=text)):
        raises(ValueError, "null character", call, "a\0b")
    assert model.labels == ["0", "1"]


def test_source_waits():
    """The library has the text of the last one, so calls come in turn; but in
    a callback nobody else is to be waited for."""
    context = imgrec.Context(threads=1)
    data = toy_data(8, context)
    sources = []
    other = threading.Thread(target=lambda: sources.append(data.source(3)))

    def work():
        other.start()
        other.join(0.1)
        assert not sources and data.source(2) == "memory#2"

    during_a_call(context, work)
    other.join()
    assert sources == ["memory#3"]


def test_labels_change():
    """Labels are whole while another thread sets them."""
    model = imgrec.Model(TEXT)
    image = imgrec.Tensor([4, 4, 1], "u8")
    names = ["a" * 2000, "b" * 2000]
    model.labels = names
    done = threading.Event()

    def change():
        for turn in range(1000):
            model.labels = names if turn % 2 else names[::-1]
        done.set()

    thread = threading.Thread(target=change)
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    while not done.is_set():
        labels = [answer.label for answer in model.classify(image)]
        assert sorted(labels) == names
    sys.setswitchinterval(switch)
    thread.join()


def test_written():
    """Only what may be written is, and never a copy in its place."""
    model = imgrec.Model(TEXT)
    pixels, _ = images_and_labels(2)
    labels = imgrec.Tensor.wrap(array.array("i", [0, 1]))
    x, y = imgrec.Tensor([2, 4, 4, 1]), imgrec.Tensor([2, 2])
    fixed = bytes(16)
    readonly = imgrec.Tensor.wrap(fixed, "f32", [2, 2])
    raises(ValueError, "read-only", model.forward, pixels, readonly)
    raises(ValueError, "read-only", imgrec.mix, x, readonly, labels, "mixup=1")
    raises(ValueError, "read-only", imgrec.mix,
           imgrec.Tensor.wrap(bytes(128), "f32", [2, 4, 4, 1]), y, labels,
           "mixup=1")
    assert fixed == bytes(16)
    sparse = imgrec.Tensor.wrap(memoryview(array.array("f", [0] * 8))[::2],
                                "f32", [2, 2])
    raises(ValueError, "copy", model.forward, pixels, sparse)
    lent = array.array("f", [0] * 4)
    model.forward(pixels, imgrec.Tensor.wrap(lent, shape=[2, 2]))
    assert abs(sum(lent) - 2) < 1e-6


def during_a_call(context, work):
    """Runs it while the library is in a call of this context."""
    data = toy_data(8, context)
    done = []

    def answer(index, *_):
        if index == 0:
            work()
            done.append(index)

    imgrec.Model(TEXT, context).evaluate(data, answer)
    assert done == [0]


def test_closed_in_a_call():
    """What was lent stays while the call lasts; what a call was given stays
    though that waits for another one."""
    context = imgrec.Context(threads=1)
    model = imgrec.Model("input 512 512 1\nflatten\ndense 2\nsoftmax", context)
    x, y = (imgrec.Tensor(shape, context=context)
            for shape in ([4, 512, 512, 1], [4, 2]))
    expected = model.forward(x).tolist()
    lent = array.array("f", [1, 2, 3])
    tensor = imgrec.Tensor.wrap(lent, context=context)
    waiting = threading.Thread(target=model.forward, args=(x, y))

    def work():
        tensor.close()
        raises(BufferError, "", lent.append, 4)
        waiting.start()
        time.sleep(0.1)
        x.close()

    during_a_call(context, work)
    lent.append(4)
    waiting.join()
    assert y.tolist() == expected


def test_threads(model_path, image_path):
    """At the same time: models of their own, on weights of their own and on
    shared ones, and one model for all, which they wait for."""
    one = imgrec.Model.load(model_path)
    expected = one.classify(image_path)
    weights = imgrec.Model.load(model_path)
    answers = []

    def work():
        own = imgrec.Model.load(model_path, imgrec.Context(threads=1))
        shared = weights.share(imgrec.Context(threads=1))
        for _ in range(20):
            for model in (own, shared, one):
                answers.append(model.classify(image_path))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 240 and all(a == expected for a in answers)


def test_gil():
    """Other threads run while the library computes."""
    model = imgrec.Model(imgrec.preset("tiny", 10), imgrec.Context(threads=1))
    trainer = imgrec.Trainer(model)
    x = imgrec.Tensor((32, *model.input_shape), context=model.context)
    counted = [0]
    done = threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1
            time.sleep(0.0001)

    thread = threading.Thread(target=count)
    switch = sys.getswitchinterval()
    sys.setswitchinterval(30)  # else this thread would pause now and then
    thread.start()
    before = counted[0]
    for _ in range(20):
        trainer.train_step(x, [0] * 32)
    ran = counted[0] - before
    done.set()
    thread.join()
    sys.setswitchinterval(switch)
    assert ran > 0


def test_numpy(image_path):
    import numpy as np
    model = imgrec.Model(TEXT, seed=3)
    images = np.random.default_rng(1).random((4, 4, 4, 1), np.float32)
    x = model.input(images)
    images[0, 0, 0, 0] = 5
    assert x[0, 0, 0, 0] == 5, "a copy was made"
    y = np.asarray(model.forward(images))
    assert y.shape == (4, 2) and y.dtype == np.float32
    assert np.allclose(y.sum(axis=1), 1)
    reverse = model.forward(images[::-1])
    assert (np.asarray(reverse) == y[::-1]).all()
    raises(TypeError, "float32", model.forward, images.astype(np.float64))
    fixed = np.zeros((4, 2), np.float32)
    fixed.flags.writeable = False
    for out in (fixed, np.zeros((4, 4), np.float32)[:, ::2]):
        raises(ValueError, "cannot write", model.forward, images,
               imgrec.Tensor.wrap(out))
    tensor = imgrec.Tensor([3], "i32")
    view = np.asarray(tensor)
    view[:] = [1, 2, 3]
    assert tensor.tolist() == [1, 2, 3]
    del tensor
    gc.collect()
    assert view.tolist() == [1, 2, 3]
    image = np.asarray(imgrec.Tensor.load_image(image_path, 3))
    assert model.classify(image) == model.classify(image_path)
    assert model.classify(image[:, ::-1]) == model.classify(
        imgrec.Tensor.load_image(image_path, 3).flip(1))
    trainer = imgrec.Trainer(model)
    for labels in (np.array([0, 1, 1, 0]), np.array([0, 1, 1, 0], np.int32),
                   np.eye(2, dtype=np.float32)[[0, 1, 1, 0]]):
        assert trainer.train_step(images, labels) > 0
    data = imgrec.Dataset.from_arrays(
        np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1]), 2)
    assert len(data) == 2 and data[1][1] == 1


def main(model_path, image_path, *numpy):
    test_recognise(model_path, image_path)
    test_errors()
    test_train()
    test_steps_in_pieces()
    test_fit()
    test_data()
    test_context()
    test_lifetimes()
    test_closed_in_a_call()
    test_nothing_is_cut()
    test_source_waits()
    test_labels_change()
    test_written()
    test_threads(model_path, image_path)
    test_gil()
    if numpy:
        test_numpy(image_path)
    else:
        assert "numpy" not in sys.modules
    assert imgrec.version().count(".") == 2


main(*sys.argv[1:])
