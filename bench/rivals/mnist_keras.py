# SPDX-License-Identifier: MIT
"""lenet5 on MNIST in Keras, as its tutorials write it: mnist_keras.py
FOLDER."""
import gzip
import json
import pathlib
import sys

import keras
import numpy
from keras import layers

BATCH, EPOCHS = 32, 3


def read(folder, part):
    def values(name, header):
        data = gzip.decompress((folder / f"{part}-{name}.gz").read_bytes())
        return numpy.frombuffer(data, numpy.uint8, offset=header)
    images = values("images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)
    return (images.astype(numpy.float32) / 255,
            values("labels-idx1-ubyte", 8).astype(numpy.int32))


def main(folder):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(6, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(2),
        layers.Flatten(), layers.Dense(120, activation="relu"),
        layers.Dense(84, activation="relu"),
        layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    model.fit(*read(folder, "train"), BATCH, EPOCHS, validation_split=0.1,
              verbose=0)
    loss, accuracy = model.evaluate(*read(folder, "t10k"), BATCH, verbose=0)
    print(json.dumps({"accuracy": accuracy}))


main(pathlib.Path(sys.argv[1]))
