# SPDX-License-Identifier: MIT
"""What one writes first in Keras for a folder of photos: the network of the
introductions, 10 epochs, no augmentation.  keras_photos.py FOLDER SEED
EPOCHS; FOLDER has train/ and val/."""
import json
import pathlib
import sys
import time

import keras
from keras import layers

SIZE, BATCH = 224, 32


def images(folder, seed):
    return keras.utils.image_dataset_from_directory(
        folder, image_size=(SIZE, SIZE), batch_size=BATCH, seed=seed)


def main(folder, seed, epochs):
    keras.utils.set_random_seed(seed)
    begin = time.perf_counter()
    train, val = images(folder / "train", seed), images(folder / "val", seed)
    model = keras.Sequential([
        keras.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255),
        layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(128, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Flatten(), layers.Dense(512, activation="relu"),
        layers.Dense(len(train.class_names), activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    history = model.fit(train, validation_data=val, epochs=epochs,
                        verbose=0).history
    print(json.dumps({
        "event": "done", "epochs": epochs,
        "val_accuracy": max(history["val_accuracy"]),
        "last_val_accuracy": history["val_accuracy"][-1],
        "seconds": time.perf_counter() - begin}))


main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
