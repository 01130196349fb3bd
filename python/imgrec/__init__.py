# SPDX-License-Identifier: MIT
"""Image recognition with libimgrec, through ctypes and with nothing else.

    import imgrec

    model = imgrec.Model.load("photos.imgrec")
    for answer in model.classify("cat.jpg"):
        print(answer.label, answer.probability)

    data, val = imgrec.Dataset("photos/").split(0.2)
    model = imgrec.Model(imgrec.preset("small", len(data.labels), 32, 32, 3))
    imgrec.Trainer(model).fit(data, val, epochs=20)
    model.save("photos.imgrec")

All arithmetic is the library's.  Every failure raises imgrec.Error with its
sentence.  Arrays go in as anything with the buffer protocol (array.array, a
memoryview, an array of NumPy) without a copy, and come out as Tensor, of which
numpy.asarray() makes none either.
"""
from ._context import Context, default_context
from ._dataset import Dataset
from ._examine import Examination, examine
from ._header import (Balance, CalibrateResult, Checkpoint, ClassScore,
                      DataSummary, DType, Duplicate, DuplicateKind, Evaluation,
                      Fit, FitResult, Init, Isa, LayerInfo, Log, Optimizer,
                      Part, Progress, Range, Reliability, Resize, Schedule,
                      Status, Weights)
from ._library import Error, arithmetic_version, version
from ._model import Answer, Model, preset, presets
from ._tensor import Tensor, mix
from ._trainer import Rates, Trainer, read_checkpoint

__version__ = version()
__all__ = [
    "Answer", "Balance", "CalibrateResult", "Checkpoint", "ClassScore",
    "Context", "DType", "DataSummary", "Dataset", "Duplicate", "DuplicateKind",
    "Error", "Evaluation", "Examination", "Fit", "FitResult", "Init", "Isa",
    "LayerInfo", "Log", "Model", "Optimizer", "Part", "Progress", "Range",
    "Rates", "Reliability", "Resize", "Schedule", "Status", "Tensor",
    "Trainer", "Weights", "arithmetic_version", "default_context", "examine",
    "mix", "preset", "presets", "read_checkpoint", "version",
]
