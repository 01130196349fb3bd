# SPDX-License-Identifier: MIT
"""Trainer: makes a model learn, by single batches or whole epochs."""
from __future__ import annotations

import os
from ctypes import byref, c_float, pointer
from typing import (TYPE_CHECKING, Any, Callable, List, NamedTuple, Optional,
                    Union)

from . import _header as h
from ._context import Context, Handle, Object, default_context
from ._dataset import Dataset
from ._library import lib
from ._model import Model
from ._options import empty, filled, values
from ._tensor import Path, Tensor, as_labels, augmentation

if TYPE_CHECKING:
    from typing_extensions import Unpack

# True or Fit.STOP ends training, Fit.CHECKPOINT writes one.
Listener = Callable[[h.Progress], Union[h.Fit, bool, None]]


class Rates(NamedTuple):
    """Which learning rates were tried, the losses, and which to take."""

    rates: List[float]
    losses: List[float]
    suggestion: float


class Trainer(Object):
    """Trains a model: Trainer(model, optimizer="adamw", learning_rate=0.01).

    Options are those of imgrec_trainer_options.
    """

    _destroy = "imgrec_trainer_destroy"

    def __init__(self, model: Model,
                 **options: Unpack[h.TrainerOptions]) -> None:
        self.model = model
        self._handle = model.context.make(
            Trainer, lib.imgrec_trainer_create, model.handle,
            byref(filled(h.imgrec_trainer_options, options)))._handle

    def train_step(self, images: Any, labels: Any) -> float:
        """One batch.  images: N x H x W x C float32, without a copy; labels: N
        class numbers, or N x classes probabilities.  The mean loss before the
        update."""
        x = self.model.input(images)
        y = as_labels(self.context, labels, self.model.classes)
        loss = c_float()
        self.context.call(lib.imgrec_train_step, self.handle, x.handle,
                          y.handle, byref(loss))
        return loss.value

    def train_step_ms(self, images: Tensor, labels: Tensor, ms: float
                      ) -> Optional[float]:
        """Some of the same step, in about so many milliseconds: None until it
        is done, for which it is called with the same tensors again."""
        loss = c_float()
        status = self.context.call(lib.imgrec_train_step_ms, self.handle,
                                   images.handle, labels.handle, ms,
                                   byref(loss))
        return loss.value if status == h.Step.DONE else None

    def abandon(self) -> None:
        """Gives up the step that train_step_ms began."""
        self.context.call(_abandon, self.handle)

    @property
    def longest_piece(self) -> float:
        """Milliseconds that no call of train_step_ms can be shorter than."""
        return float(lib.imgrec_trainer_longest_piece(self.handle))

    def fit(self, train: Dataset, val: Optional[Dataset] = None, *,
            progress: Optional[Listener] = None,
            **options: Unpack[h.FitOptions]) -> h.FitResult:
        """Epochs over `train`, validation on `val`; the model keeps its best
        weights.  `progress` is called after each step and each epoch; True
        ends training, and so does what it raises.  augment: a text such as
        "light" or "flip,crop=4"."""
        context = self.context
        how = options.pop("augment", None)
        struct = filled(h.imgrec_fit_options, options)
        if how is not None:
            struct.augment = pointer(augmentation(context, how))
        # Without a listener too: so that Ctrl-C is heard.
        struct.progress = h.imgrec_progress_fn(_told(context, progress))
        result = empty(h.imgrec_fit_result)
        context.call(lib.imgrec_fit, self.handle, train.handle,
                     val.handle if val else None, byref(struct), byref(result))
        return values(h.FitResult, result)

    def find_rate(self, train: Dataset, steps: int = 100,
                  **options: Unpack[h.RateOptions]) -> Rates:
        """Looks for a learning rate; the model stays as it is."""
        rates, losses = (c_float * steps)(), (c_float * steps)()
        best = c_float()
        made = self.context.call(
            lib.imgrec_find_rate, self.handle, train.handle,
            byref(filled(h.imgrec_rate_options, options)), steps, rates,
            losses, byref(best))
        return Rates(rates[:made], losses[:made], best.value)

    def set_learning_rate(self, rate: float) -> None:
        self.context.call(lib.imgrec_trainer_set_learning_rate, self.handle,
                          rate)

    def set_layer_rate(self, prefix: str, factor: float) -> int:
        """Multiplies the rate of layers such as "conv1."; how many."""
        return self.context.call(lib.imgrec_trainer_set_layer_rate,
                                 self.handle, prefix.encode(), factor)

    def swap_average(self) -> None:
        """Exchanges the weights and their average (ema_decay)."""
        self.context.call(lib.imgrec_trainer_swap_average, self.handle)

    def save(self, path: Path) -> None:
        """A checkpoint, from which load() goes on with the same bits."""
        self.context.call(lib.imgrec_trainer_save, self.handle,
                          os.fsencode(path))

    def load(self, path: Path) -> None:
        self.context.call(lib.imgrec_trainer_load, self.handle,
                          os.fsencode(path))


def read_checkpoint(path: Path, context: Optional[Context] = None
                    ) -> h.Checkpoint:
    """Where the checkpoint of a fit stands."""
    context = context or default_context()
    out = empty(h.imgrec_checkpoint)
    context.call(lib.imgrec_checkpoint_read, context._value,
                 os.fsencode(path), byref(out))
    return values(h.Checkpoint, out)


def _abandon(handle: Handle) -> int:
    lib.imgrec_trainer_abandon(handle)
    return 0


def _told(context: Context, progress: Optional[Listener]) -> Any:
    def call(_: Any, told: Any) -> int:
        try:
            if progress is None:
                return int(h.Fit.GO_ON)
            return int(progress(values(h.Progress, told[0])) or h.Fit.GO_ON)
        except BaseException as error:
            context.keep(error)
            return int(h.Fit.STOP)
    return call
