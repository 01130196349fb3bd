# SPDX-License-Identifier: MIT
"""What the Python package promises: python_package.py MODEL IMAGE, run by
tests/test_examples.sh."""
import array
import sys

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


def refused(status, call, *arguments):
    try:
        call(*arguments)
    except imgrec.Error as error:
        assert error.status == status and str(error), error
        return
    raise AssertionError("not refused")


def check_recognise(model_path, image_path):
    model = imgrec.Model.load(model_path, imgrec.Context(threads=1))
    answer = model.predict(image_path, top=99)
    assert len(answer) == len(model.labels) == 10
    assert abs(sum(probability for _, probability in answer) - 1) < 1e-4
    with open(image_path, "rb") as file:
        assert model.classify(file.read(), top=99) == answer
    assert model.input_shape == (8, 8, 1)
    refused(-5, imgrec.Model.load, "no/such/file")
    refused(-9, model.classify, b"no picture")


def check_train():
    model = imgrec.Model(TEXT, seed=3)
    model.labels = ["dark", "bright"]
    images, labels = images_and_labels(16)
    first = model.train_step(images, labels)
    trainer = model.trainer(learning_rate=0.1, optimizer=imgrec.SGD)
    for _ in range(100):
        last = trainer.step(images, array.array("i", labels))
    assert last < 0.2 < first, (first, last)
    y = model.forward(images)
    assert y.shape == (16, 2) and y.format == "f"
    assert y[0, 0] > y[0, 1] and y[1, 1] > y[1, 0]
    model.save("python.imgrec")
    again = imgrec.Model.load("python.imgrec")
    assert again.forward(images) == y and again.labels == ["dark", "bright"]
    assert again.architecture == model.architecture


def check_tensor():
    with imgrec.Context() as context:
        tensor = imgrec.Tensor.from_buffer(context, imgrec.I32,
                                           array.array("i", range(6)), [2, -1])
        assert tensor.shape == (2, 3)
        assert tensor.data.tolist() == [[0, 1, 2], [3, 4, 5]]
        wrong = {TypeError: array.array("d", [1]), ValueError: b"\0" * 4}
        for error, buffer in wrong.items():
            try:
                imgrec.Tensor.from_buffer(context, imgrec.I32, buffer, [2])
            except error:
                continue
            raise AssertionError("a wrong buffer was taken")


check_recognise(*sys.argv[1:])
check_train()
check_tensor()
assert imgrec.version().count(".") == 2
