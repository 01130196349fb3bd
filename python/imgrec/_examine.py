# SPDX-License-Identifier: MIT
"""Looking over data sets: what is there, and what is there twice."""
from __future__ import annotations

from ctypes import byref, c_void_p
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

from . import _header as h
from ._context import Object
from ._dataset import Dataset
from ._library import lib
from ._options import empty, filled, values


class Examination(NamedTuple):
    """Of each data set what is in it, and the images that were there before."""

    summaries: List[h.DataSummary]
    duplicates: List[h.Duplicate]


class _Examination(Object):
    _destroy = "imgrec_examination_destroy"


def examine(datasets: Sequence[Dataset], exact_only: bool = False,
            progress: Optional[Callable[[int, int], Any]] = None
            ) -> Examination:
    """Reads all images of the data sets of one context.  `progress` is told
    how many of how many now and then; True ends it with Error."""
    context = datasets[0].context

    def call(_: Any, images: int, total: int) -> int:
        try:
            return 1 if progress is not None and progress(images, total) else 0
        except BaseException as error:
            context.keep(error)
            return 1

    options = filled(h.imgrec_examine_options, {"exact_only": exact_only})
    options.progress = h.imgrec_examine_fn(call)
    handles = [each.handle for each in datasets]
    sets = (c_void_p * len(handles))(*[handle.value for handle in handles])
    found = context.make(_Examination, lib.imgrec_dataset_examine, sets,
                         len(sets), byref(options))
    summaries, duplicates = [], []
    for index in range(len(sets)):
        summary = empty(h.imgrec_data_summary)
        context.call(lib.imgrec_examination_summary, found.handle, index,
                     byref(summary))
        summaries.append(values(h.DataSummary, summary))
    for index in range(lib.imgrec_examination_duplicates(found.handle)):
        duplicate = empty(h.imgrec_duplicate)
        context.call(lib.imgrec_examination_duplicate, found.handle, index,
                     byref(duplicate))
        duplicates.append(values(h.Duplicate, duplicate))
    return Examination(summaries, duplicates)
