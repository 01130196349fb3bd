#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains a small network on a data set and saves it: train.py DATA MODEL

The loop over batches is written out to show Trainer.train_step, as in PyTorch;
Trainer.fit does the same with more care.  NumPy is not needed.
"""
import array
import random
import sys

import imgrec

BATCH, EPOCHS = 50, 5


def batches(data, model):
    """(images, labels) of each, in a new order: N x H x W x C floats."""
    how = model.preprocess
    order = random.sample(range(len(data)), len(data))
    for first in range(0, len(order), BATCH):
        images, labels = array.array("f"), []
        for index in order[first:first + BATCH]:
            image, label = data[index]
            images.frombytes(bytes(image.preprocess(**how).data))
            labels.append(label)
        yield images, labels


def main(data_path, model_path):
    random.seed(1)
    data, val = imgrec.Dataset(data_path).split(0.2, seed=1)
    print(data.description)
    text = imgrec.preset("tiny", len(data.labels), *data.shape)
    model = imgrec.Model(text, max_batch=BATCH)
    model.labels = data.labels
    trainer = imgrec.Trainer(model, max_batch=BATCH, learning_rate=0.003)
    for epoch in range(EPOCHS):
        losses = [trainer.train_step(images, labels)
                  for images, labels in batches(data, model)]
        right = model.evaluate(val).top1
        print("epoch %d: loss %.3f, %.0f %% right" % (
            epoch + 1, sum(losses) / len(losses), 100 * right))
    model.save(model_path)


main(*sys.argv[1:])
