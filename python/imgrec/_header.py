# SPDX-License-Identifier: MIT
"""What imgrec.h declares, for ctypes and for type checkers.

Written by scripts/python_header.py; make python-header writes it anew.
"""
from __future__ import annotations

from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float,
                    c_int, c_int32, c_int64, c_size_t, c_uint64, c_void_p)
from enum import IntEnum
from os import PathLike
from typing import Dict, List, NamedTuple, Tuple, TypedDict, Union


class Status(IntEnum):
    OK = 0
    ARGUMENT = -1
    MEMORY = -2
    LIMIT = -3
    IO = -4
    NOT_FOUND = -5
    FORMAT = -6
    SHAPE = -7
    ARCHITECTURE = -8
    UNSUPPORTED = -9
    CANCELLED = -10
    DIVERGED = -11


class Isa(IntEnum):
    AUTO = 0
    SCALAR = 1
    AVX2 = 2
    AVX512 = 3
    NEON = 4


class Log(IntEnum):
    INFO = 1
    WARNING = 2


class DType(IntEnum):
    F32 = 1
    U8 = 2
    I32 = 3


class Resize(IntEnum):
    STRETCH = 0
    CROP = 1
    PAD = 2


class Fill(IntEnum):
    REFLECT = 0
    EDGE = 1
    BLACK = 2


class Init(IntEnum):
    GLOROT_UNIFORM = 0
    HE_NORMAL = 1
    ZEROS = 2


class Weights(IntEnum):
    F32 = 0
    F16 = 1
    BF16 = 2
    INT8 = 3


class Phase(IntEnum):
    FORWARD_BEGIN = 1
    FORWARD_END = 2
    LOSS_BEGIN = 3
    LOSS_END = 4
    BACKWARD_BEGIN = 5
    BACKWARD_END = 6
    UPDATE_BEGIN = 7
    UPDATE_END = 8


class Optimizer(IntEnum):
    ADAM = 0
    SGD = 1
    ADAMW = 2


class Step(IntEnum):
    DONE = 0
    UNFINISHED = 1


class Part(IntEnum):
    ANY = 0
    TRAIN = 1
    VAL = 2
    TEST = 3


class DuplicateKind(IntEnum):
    EXACT = 1
    NEAR = 2


class Fit(IntEnum):
    GO_ON = 0
    STOP = 1
    CHECKPOINT = 2


class Schedule(IntEnum):
    CONSTANT = 0
    STEP = 1
    COSINE = 2
    ONE_CYCLE = 3


class Balance(IntEnum):
    NONE = 0
    WEIGHTS = 1
    SAMPLER = 2


class Range(IntEnum):
    MSE = 0
    MINMAX = 1


class imgrec_progress(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("images", c_int64),
        ("images_total", c_int64),
        ("epoch", c_int32),
        ("epochs", c_int32),
        ("epoch_done", c_int32),
        ("improved", c_int32),
        ("train_loss", c_float),
        ("train_accuracy", c_float),
        ("val_loss", c_float),
        ("val_accuracy", c_float),
        ("learning_rate", c_float),
        ("checkpoint_status", c_int32),
    ]


imgrec_alloc_fn = CFUNCTYPE(c_void_p, c_void_p, c_size_t, c_size_t)
imgrec_free_fn = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)
imgrec_log_fn = CFUNCTYPE(None, c_void_p, c_int, c_char_p)
imgrec_task_fn = CFUNCTYPE(None, c_void_p, c_int, c_int)
imgrec_parallel_fn = CFUNCTYPE(
        c_int, c_void_p, imgrec_task_fn, c_void_p, c_int)
imgrec_decode_fn = CFUNCTYPE(
        c_int, c_void_p, POINTER(c_void_p), c_void_p, c_void_p, c_size_t,
        c_int)
imgrec_read_fn = CFUNCTYPE(c_int64, c_void_p, c_char_p, c_void_p, c_size_t)
imgrec_clock_fn = CFUNCTYPE(c_uint64, c_void_p)
imgrec_layer_fn = CFUNCTYPE(None, c_void_p, c_int, c_int)
imgrec_examine_fn = CFUNCTYPE(c_int, c_void_p, c_int64, c_int64)
imgrec_progress_fn = CFUNCTYPE(c_int, c_void_p, POINTER(imgrec_progress))
imgrec_answer_fn = CFUNCTYPE(c_int, c_void_p, c_int64, c_int, POINTER(c_float))


class imgrec_context_options(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("max_bytes", c_uint64),
        ("threads", c_int32),
        ("isa", c_int32),
        ("alloc", imgrec_alloc_fn),
        ("free", imgrec_free_fn),
        ("alloc_user", c_void_p),
        ("log", imgrec_log_fn),
        ("log_user", c_void_p),
        ("parallel", imgrec_parallel_fn),
        ("parallel_user", c_void_p),
        ("decode", imgrec_decode_fn),
        ("decode_user", c_void_p),
        ("read", imgrec_read_fn),
        ("read_user", c_void_p),
        ("clock", imgrec_clock_fn),
        ("clock_user", c_void_p),
    ]


class imgrec_preprocess(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("height", c_int32),
        ("width", c_int32),
        ("channels", c_int32),
        ("resize", c_int32),
        ("scale", c_float),
        ("mean", c_float * 3),
        ("std", c_float * 3),
        ("reserved", c_int32),
    ]


class imgrec_augment(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("fill", c_int32),
        ("randaugment", c_int32),
        ("magnitude", c_float),
        ("flip", c_float),
        ("flip_vertical", c_float),
        ("crop", c_float),
        ("shift", c_float),
        ("area", c_float),
        ("aspect", c_float),
        ("rotate", c_float),
        ("scale", c_float),
        ("shear", c_float),
        ("brightness", c_float),
        ("contrast", c_float),
        ("saturation", c_float),
        ("hue", c_float),
        ("grey", c_float),
        ("blur", c_float),
        ("noise", c_float),
        ("jpeg", c_float),
        ("degrade", c_float),
        ("cutout", c_float),
        ("mixup", c_float),
        ("cutmix", c_float),
    ]


class imgrec_model_options(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("seed", c_uint64),
        ("max_batch", c_int32),
        ("init", c_int32),
    ]


class imgrec_layer_info(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("name", c_char_p),
        ("type", c_char_p),
        ("output", c_int64 * 3),
        ("parameters", c_int64),
        ("multiply_adds", c_int64),
        ("output_bytes", c_int64),
        ("weight_type", c_int32),
        ("reserved", c_int32),
        ("input_bytes", c_int64),
        ("algorithm", c_char_p),
        ("reason", c_char_p),
    ]


class imgrec_result(Structure):
    _fields_ = [
        ("class_index", c_int32),
        ("probability", c_float),
        ("label", c_char_p),
    ]


class imgrec_calibration(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("temperature", c_float),
        ("reject_threshold", c_float),
    ]


class imgrec_trainer_options(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("seed", c_uint64),
        ("optimizer", c_int32),
        ("max_batch", c_int32),
        ("learning_rate", c_float),
        ("momentum", c_float),
        ("beta1", c_float),
        ("beta2", c_float),
        ("epsilon", c_float),
        ("accumulate", c_int32),
        ("nesterov", c_int32),
        ("weight_decay", c_float),
        ("decay_all", c_int32),
        ("label_smoothing", c_float),
        ("clip_norm", c_float),
        ("ema_decay", c_float),
        ("layer_decay", c_float),
        ("reserved", c_int32),
    ]


class imgrec_dataset_options(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("part", c_int32),
        ("reserved", c_int32),
    ]


class imgrec_examine_options(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("progress", imgrec_examine_fn),
        ("progress_user", c_void_p),
        ("exact_only", c_int32),
        ("reserved", c_int32),
    ]


class imgrec_data_summary(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("images", c_int64),
        ("unreadable", c_int64),
        ("grey", c_int64),
        ("exact", c_int64),
        ("near_duplicates", c_int64),
        ("exact_elsewhere", c_int64),
        ("near_elsewhere", c_int64),
        ("conflicting", c_int64),
        ("height", c_int32 * 3),
        ("width", c_int32 * 3),
    ]


class imgrec_duplicate(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("image", c_int64),
        ("original", c_int64),
        ("set", c_int32),
        ("original_set", c_int32),
        ("kind", c_int32),
        ("same_label", c_int32),
        ("difference", c_float),
        ("reserved", c_int32),
    ]


class imgrec_fit_options(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("seed", c_uint64),
        ("epochs", c_int32),
        ("batch", c_int32),
        ("progress", imgrec_progress_fn),
        ("progress_user", c_void_p),
        ("schedule", c_int32),
        ("warmup_epochs", c_float),
        ("step_epochs", c_float),
        ("step_factor", c_float),
        ("final_factor", c_float),
        ("patience", c_int32),
        ("balance", c_int32),
        ("reserved", c_int32),
        ("cache_bytes", c_uint64),
        ("augment", POINTER(imgrec_augment)),
        ("checkpoint", c_char_p),
        ("best", c_char_p),
        ("resume", c_char_p),
    ]


class imgrec_fit_result(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("epochs", c_int32),
        ("best_epoch", c_int32),
        ("train_loss", c_float),
        ("val_loss", c_float),
        ("val_accuracy", c_float),
        ("cancelled", c_int32),
        ("stopped_early", c_int32),
        ("checkpoint_status", c_int32),
    ]


class imgrec_checkpoint(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("images", c_int64),
        ("images_total", c_int64),
        ("epoch", c_int32),
        ("epochs", c_int32),
        ("epoch_done", c_int32),
        ("best_epoch", c_int32),
        ("train_loss", c_float),
        ("train_accuracy", c_float),
        ("val_loss", c_float),
        ("val_accuracy", c_float),
    ]


class imgrec_class_score(Structure):
    _fields_ = [
        ("images", c_int64),
        ("answers", c_int64),
        ("right", c_int64),
        ("precision", c_double),
        ("recall", c_double),
        ("f1", c_double),
    ]


class imgrec_reliability(Structure):
    _fields_ = [
        ("images", c_int64),
        ("right", c_int64),
        ("probability", c_double),
    ]


class imgrec_rate_options(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("seed", c_uint64),
        ("low", c_float),
        ("high", c_float),
        ("batch", c_int32),
        ("reserved", c_int32),
    ]


class imgrec_evaluation(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("images", c_int64),
        ("loss", c_double),
        ("top1", c_double),
        ("top5", c_double),
        ("confusion", POINTER(c_int64)),
        ("top1_low", c_double),
        ("top1_high", c_double),
        ("macro_precision", c_double),
        ("macro_recall", c_double),
        ("macro_f1", c_double),
        ("calibration_error", c_double),
        ("rejected", c_double),
        ("scores", POINTER(imgrec_class_score)),
        ("bins", POINTER(imgrec_reliability)),
        ("answer", imgrec_answer_fn),
        ("answer_user", c_void_p),
    ]


class imgrec_calibrate_options(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("reject_rate", c_float),
        ("reserved", c_int32),
    ]


class imgrec_calibrate_result(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("images", c_int64),
        ("loss_before", c_double),
        ("loss_after", c_double),
        ("error_before", c_double),
        ("error_after", c_double),
        ("rejected", c_double),
    ]


class imgrec_quantize_options(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("images", c_int32),
        ("range", c_int32),
        ("max_batch", c_int32),
        ("reserved", c_int32),
    ]


class ContextOptions(TypedDict, total=False):
    max_bytes: int
    threads: int
    isa: Union[Isa, str, int]


class Preprocess(TypedDict, total=False):
    height: int
    width: int
    channels: int
    resize: Union[Resize, str, int]
    scale: float
    mean: Tuple[float, float, float]
    std: Tuple[float, float, float]


class Augment(TypedDict, total=False):
    fill: Union[Fill, str, int]
    randaugment: int
    magnitude: float
    flip: float
    flip_vertical: float
    crop: float
    shift: float
    area: float
    aspect: float
    rotate: float
    scale: float
    shear: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    grey: float
    blur: float
    noise: float
    jpeg: float
    degrade: float
    cutout: float
    mixup: float
    cutmix: float


class ModelOptions(TypedDict, total=False):
    seed: int
    max_batch: int
    init: Union[Init, str, int]


class LayerInfo(NamedTuple):
    name: str
    type: str
    output: Tuple[int, int, int]
    parameters: int
    multiply_adds: int
    output_bytes: int
    weight_type: Weights
    input_bytes: int
    algorithm: str
    reason: str


class Calibration(TypedDict, total=False):
    temperature: float
    reject_threshold: float


class TrainerOptions(TypedDict, total=False):
    seed: int
    optimizer: Union[Optimizer, str, int]
    max_batch: int
    learning_rate: float
    momentum: float
    beta1: float
    beta2: float
    epsilon: float
    accumulate: int
    nesterov: int
    weight_decay: float
    decay_all: int
    label_smoothing: float
    clip_norm: float
    ema_decay: float
    layer_decay: float


class DatasetOptions(TypedDict, total=False):
    part: Union[Part, str, int]


class ExamineOptions(TypedDict, total=False):
    exact_only: int


class DataSummary(NamedTuple):
    images: int
    unreadable: int
    grey: int
    exact: int
    near_duplicates: int
    exact_elsewhere: int
    near_elsewhere: int
    conflicting: int
    height: Tuple[int, int, int]
    width: Tuple[int, int, int]


class Duplicate(NamedTuple):
    image: int
    original: int
    set: int
    original_set: int
    kind: DuplicateKind
    same_label: int
    difference: float


class Progress(NamedTuple):
    images: int
    images_total: int
    epoch: int
    epochs: int
    epoch_done: int
    improved: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    checkpoint_status: int


class FitOptions(TypedDict, total=False):
    seed: int
    epochs: int
    batch: int
    schedule: Union[Schedule, str, int]
    warmup_epochs: float
    step_epochs: float
    step_factor: float
    final_factor: float
    patience: int
    balance: Union[Balance, str, int]
    cache_bytes: int
    augment: str
    checkpoint: Union[str, PathLike[str]]
    best: Union[str, PathLike[str]]
    resume: Union[str, PathLike[str]]


class FitResult(NamedTuple):
    epochs: int
    best_epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    cancelled: int
    stopped_early: int
    checkpoint_status: int


class Checkpoint(NamedTuple):
    images: int
    images_total: int
    epoch: int
    epochs: int
    epoch_done: int
    best_epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


class ClassScore(NamedTuple):
    images: int
    answers: int
    right: int
    precision: float
    recall: float
    f1: float


class Reliability(NamedTuple):
    images: int
    right: int
    probability: float


class RateOptions(TypedDict, total=False):
    seed: int
    low: float
    high: float
    batch: int


class Evaluation(NamedTuple):
    images: int
    loss: float
    top1: float
    top5: float
    confusion: List[List[int]]
    top1_low: float
    top1_high: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    calibration_error: float
    rejected: float
    scores: List[ClassScore]
    bins: List[Reliability]


class CalibrateOptions(TypedDict, total=False):
    reject_rate: float


class CalibrateResult(NamedTuple):
    images: int
    loss_before: float
    loss_after: float
    error_before: float
    error_after: float
    rejected: float


class QuantizeOptions(TypedDict, total=False):
    images: int
    range: Union[Range, str, int]
    max_batch: int


# The enumeration that a member of a struct is of.
ENUMERATED: Dict[Tuple[str, str], type[IntEnum]] = {
    ("imgrec_context_options", "isa"): Isa,
    ("imgrec_preprocess", "resize"): Resize,
    ("imgrec_augment", "fill"): Fill,
    ("imgrec_model_options", "init"): Init,
    ("imgrec_layer_info", "weight_type"): Weights,
    ("imgrec_trainer_options", "optimizer"): Optimizer,
    ("imgrec_dataset_options", "part"): Part,
    ("imgrec_duplicate", "kind"): DuplicateKind,
    ("imgrec_fit_options", "schedule"): Schedule,
    ("imgrec_fit_options", "balance"): Balance,
    ("imgrec_quantize_options", "range"): Range,
}

# The result and the parameters of each.
FUNCTIONS = {
    "imgrec_version_number":
    (c_int, []),
    "imgrec_version_string":
    (c_char_p, []),
    "imgrec_arithmetic_version":
    (c_int, []),
    "imgrec_status_name":
    (c_char_p, [c_int]),
    "imgrec_status_string":
    (c_char_p, [c_int]),
    "imgrec_context_options_init":
    (c_int, [POINTER(imgrec_context_options), c_size_t]),
    "imgrec_context_create":
    (c_int, [POINTER(c_void_p), POINTER(imgrec_context_options)]),
    "imgrec_context_destroy":
    (None, [c_void_p]),
    "imgrec_last_error":
    (c_char_p, [c_void_p]),
    "imgrec_context_isa":
    (c_int, [c_void_p]),
    "imgrec_context_threads":
    (c_int, [c_void_p]),
    "imgrec_context_bytes":
    (c_uint64, [c_void_p]),
    "imgrec_context_peak_bytes":
    (c_uint64, [c_void_p]),
    "imgrec_tensor_create":
    (c_int, [POINTER(c_void_p), c_void_p, c_int, c_int, POINTER(c_int64)]),
    "imgrec_tensor_wrap":
    (c_int, [
        POINTER(c_void_p), c_void_p, c_int, c_int, POINTER(c_int64),
        c_void_p]),
    "imgrec_tensor_destroy":
    (None, [c_void_p]),
    "imgrec_tensor_dtype":
    (c_int, [c_void_p]),
    "imgrec_tensor_ndim":
    (c_int, [c_void_p]),
    "imgrec_tensor_dim":
    (c_int64, [c_void_p, c_int]),
    "imgrec_tensor_nbytes":
    (c_size_t, [c_void_p]),
    "imgrec_tensor_data":
    (c_void_p, [c_void_p]),
    "imgrec_tensor_const_data":
    (c_void_p, [c_void_p]),
    "imgrec_image_load":
    (c_int, [POINTER(c_void_p), c_void_p, c_char_p, c_int]),
    "imgrec_image_decode":
    (c_int, [POINTER(c_void_p), c_void_p, c_void_p, c_size_t, c_int]),
    "imgrec_image_resize":
    (c_int, [POINTER(c_void_p), c_void_p, c_int, c_int, c_int]),
    "imgrec_image_crop":
    (c_int, [POINTER(c_void_p), c_void_p, c_int, c_int, c_int, c_int]),
    "imgrec_image_rotate":
    (c_int, [POINTER(c_void_p), c_void_p, c_float]),
    "imgrec_image_flip":
    (c_int, [POINTER(c_void_p), c_void_p, c_int]),
    "imgrec_image_convert":
    (c_int, [POINTER(c_void_p), c_void_p, c_int]),
    "imgrec_image_adjust":
    (c_int, [POINTER(c_void_p), c_void_p, c_float, c_float, c_float]),
    "imgrec_image_equalize":
    (c_int, [POINTER(c_void_p), c_void_p]),
    "imgrec_image_blur":
    (c_int, [POINTER(c_void_p), c_void_p, c_float]),
    "imgrec_image_sharpen":
    (c_int, [POINTER(c_void_p), c_void_p, c_float, c_float]),
    "imgrec_preprocess_init":
    (c_int, [POINTER(imgrec_preprocess), c_size_t]),
    "imgrec_image_preprocess":
    (c_int, [POINTER(c_void_p), c_void_p, POINTER(imgrec_preprocess)]),
    "imgrec_augment_init":
    (c_int, [POINTER(imgrec_augment), c_size_t]),
    "imgrec_augment_parse":
    (c_int, [POINTER(imgrec_augment), c_void_p, c_char_p]),
    "imgrec_augment_print":
    (c_int, [POINTER(imgrec_augment), c_void_p, c_char_p, c_size_t]),
    "imgrec_image_augment":
    (c_int, [
        POINTER(c_void_p), c_void_p, POINTER(imgrec_preprocess),
        POINTER(imgrec_augment), c_uint64, c_uint64, c_uint64]),
    "imgrec_augment_mix":
    (c_int, [
        c_void_p, c_void_p, c_void_p, POINTER(imgrec_augment), c_uint64,
        c_uint64, c_uint64]),
    "imgrec_model_options_init":
    (c_int, [POINTER(imgrec_model_options), c_size_t]),
    "imgrec_model_create":
    (c_int, [
        POINTER(c_void_p), c_void_p, c_char_p,
        POINTER(imgrec_model_options)]),
    "imgrec_model_load":
    (c_int, [
        POINTER(c_void_p), c_void_p, c_char_p,
        POINTER(imgrec_model_options)]),
    "imgrec_model_load_memory":
    (c_int, [
        POINTER(c_void_p), c_void_p, c_void_p, c_size_t,
        POINTER(imgrec_model_options)]),
    "imgrec_model_share":
    (c_int, [
        POINTER(c_void_p), c_void_p, c_void_p,
        POINTER(imgrec_model_options)]),
    "imgrec_model_destroy":
    (None, [c_void_p]),
    "imgrec_model_load_weights":
    (c_int, [c_void_p, c_char_p]),
    "imgrec_model_transfer_weights":
    (c_int, [c_void_p, c_char_p]),
    "imgrec_model_adapt":
    (c_int, [
        POINTER(c_void_p), c_void_p, c_char_p, c_int,
        POINTER(imgrec_model_options)]),
    "imgrec_model_head":
    (c_char_p, [c_void_p]),
    "imgrec_model_save":
    (c_int, [c_void_p, c_char_p]),
    "imgrec_model_save_memory":
    (c_int, [c_void_p, c_void_p, c_uint64, POINTER(c_uint64)]),
    "imgrec_model_weight_type":
    (c_int, [c_void_p]),
    "imgrec_model_round_weights":
    (c_int, [c_void_p, c_int]),
    "imgrec_model_memory":
    (c_int, [c_void_p, c_int, c_int, POINTER(c_uint64)]),
    "imgrec_model_forward":
    (c_int, [c_void_p, c_void_p, c_void_p]),
    "imgrec_model_input_shape":
    (None, [c_void_p, POINTER(c_int64)]),
    "imgrec_model_classes":
    (c_int, [c_void_p]),
    "imgrec_model_architecture":
    (c_char_p, [c_void_p]),
    "imgrec_model_set_labels":
    (c_int, [c_void_p, c_int, POINTER(c_void_p)]),
    "imgrec_model_label":
    (c_char_p, [c_void_p, c_int]),
    "imgrec_model_set_preprocess":
    (c_int, [c_void_p, POINTER(imgrec_preprocess)]),
    "imgrec_model_get_preprocess":
    (c_int, [c_void_p, POINTER(imgrec_preprocess)]),
    "imgrec_layer_info_init":
    (c_int, [POINTER(imgrec_layer_info), c_size_t]),
    "imgrec_model_layer_count":
    (c_int, [c_void_p]),
    "imgrec_model_layer":
    (c_int, [c_void_p, c_int, POINTER(imgrec_layer_info)]),
    "imgrec_model_set_layer_hook":
    (c_int, [c_void_p, imgrec_layer_fn, c_void_p]),
    "imgrec_model_freeze":
    (c_int, [c_void_p, c_char_p]),
    "imgrec_model_unfreeze":
    (c_int, [c_void_p, c_char_p]),
    "imgrec_model_parameter_count":
    (c_int, [c_void_p]),
    "imgrec_model_parameter_name":
    (c_char_p, [c_void_p, c_int]),
    "imgrec_model_get_parameter":
    (c_int, [POINTER(c_void_p), c_void_p, c_char_p]),
    "imgrec_model_set_parameter":
    (c_int, [c_void_p, c_char_p, c_void_p]),
    "imgrec_preset":
    (c_int, [c_char_p, c_int, c_int, c_int, c_int, c_char_p, c_size_t]),
    "imgrec_preset_name":
    (c_char_p, [c_int]),
    "imgrec_model_classify":
    (c_int, [c_void_p, c_void_p, c_int, POINTER(imgrec_result)]),
    "imgrec_calibration_init":
    (c_int, [POINTER(imgrec_calibration), c_size_t]),
    "imgrec_model_set_calibration":
    (c_int, [c_void_p, POINTER(imgrec_calibration)]),
    "imgrec_model_get_calibration":
    (c_int, [c_void_p, POINTER(imgrec_calibration)]),
    "imgrec_model_rejects":
    (c_int, [c_void_p, c_float]),
    "imgrec_model_explain":
    (c_int, [POINTER(c_void_p), c_void_p, c_void_p, c_int]),
    "imgrec_trainer_options_init":
    (c_int, [POINTER(imgrec_trainer_options), c_size_t]),
    "imgrec_trainer_create":
    (c_int, [POINTER(c_void_p), c_void_p, POINTER(imgrec_trainer_options)]),
    "imgrec_trainer_destroy":
    (None, [c_void_p]),
    "imgrec_train_step":
    (c_int, [c_void_p, c_void_p, c_void_p, POINTER(c_float)]),
    "imgrec_train_step_ms":
    (c_int, [c_void_p, c_void_p, c_void_p, c_float, POINTER(c_float)]),
    "imgrec_trainer_abandon":
    (None, [c_void_p]),
    "imgrec_trainer_longest_piece":
    (c_float, [c_void_p]),
    "imgrec_trainer_set_learning_rate":
    (c_int, [c_void_p, c_float]),
    "imgrec_trainer_set_layer_rate":
    (c_int, [c_void_p, c_char_p, c_float]),
    "imgrec_trainer_swap_average":
    (c_int, [c_void_p]),
    "imgrec_trainer_save":
    (c_int, [c_void_p, c_char_p]),
    "imgrec_trainer_load":
    (c_int, [c_void_p, c_char_p]),
    "imgrec_dataset_options_init":
    (c_int, [POINTER(imgrec_dataset_options), c_size_t]),
    "imgrec_dataset_open":
    (c_int, [
        POINTER(c_void_p), c_void_p, c_char_p,
        POINTER(imgrec_dataset_options)]),
    "imgrec_dataset_from_memory":
    (c_int, [POINTER(c_void_p), c_void_p, c_void_p, c_void_p, c_int]),
    "imgrec_dataset_split":
    (c_int, [
        POINTER(c_void_p), POINTER(c_void_p), c_void_p, c_float, c_uint64]),
    "imgrec_dataset_destroy":
    (None, [c_void_p]),
    "imgrec_dataset_size":
    (c_int64, [c_void_p]),
    "imgrec_dataset_classes":
    (c_int, [c_void_p]),
    "imgrec_dataset_label":
    (c_char_p, [c_void_p, c_int]),
    "imgrec_dataset_class":
    (c_int, [c_void_p, c_int64]),
    "imgrec_dataset_source":
    (c_char_p, [c_void_p, c_int64]),
    "imgrec_dataset_image":
    (c_int, [POINTER(c_void_p), c_void_p, c_int64]),
    "imgrec_dataset_shape":
    (None, [c_void_p, POINTER(c_int64)]),
    "imgrec_dataset_description":
    (c_char_p, [c_void_p]),
    "imgrec_dataset_readable":
    (c_int, [c_void_p, c_int64]),
    "imgrec_dataset_skipped":
    (c_int, [c_void_p]),
    "imgrec_dataset_skipped_reason":
    (c_char_p, [c_void_p, c_int]),
    "imgrec_dataset_digest":
    (c_int, [c_void_p, c_char_p, c_size_t]),
    "imgrec_dataset_match_labels":
    (c_int, [c_void_p, c_void_p]),
    "imgrec_augment_choose":
    (c_int, [
        POINTER(imgrec_augment), c_void_p, POINTER(imgrec_preprocess),
        c_char_p, c_size_t]),
    "imgrec_examine_options_init":
    (c_int, [POINTER(imgrec_examine_options), c_size_t]),
    "imgrec_dataset_examine":
    (c_int, [
        POINTER(c_void_p), POINTER(c_void_p), c_int,
        POINTER(imgrec_examine_options)]),
    "imgrec_examination_destroy":
    (None, [c_void_p]),
    "imgrec_data_summary_init":
    (c_int, [POINTER(imgrec_data_summary), c_size_t]),
    "imgrec_examination_summary":
    (c_int, [c_void_p, c_int, POINTER(imgrec_data_summary)]),
    "imgrec_duplicate_init":
    (c_int, [POINTER(imgrec_duplicate), c_size_t]),
    "imgrec_examination_duplicates":
    (c_int64, [c_void_p]),
    "imgrec_examination_duplicate":
    (c_int, [c_void_p, c_int64, POINTER(imgrec_duplicate)]),
    "imgrec_dataset_remove":
    (c_int, [c_void_p, POINTER(c_int64), c_int64]),
    "imgrec_fit_options_init":
    (c_int, [POINTER(imgrec_fit_options), c_size_t]),
    "imgrec_fit_result_init":
    (c_int, [POINTER(imgrec_fit_result), c_size_t]),
    "imgrec_fit":
    (c_int, [
        c_void_p, c_void_p, c_void_p, POINTER(imgrec_fit_options),
        POINTER(imgrec_fit_result)]),
    "imgrec_checkpoint_init":
    (c_int, [POINTER(imgrec_checkpoint), c_size_t]),
    "imgrec_checkpoint_read":
    (c_int, [c_void_p, c_char_p, POINTER(imgrec_checkpoint)]),
    "imgrec_rate_options_init":
    (c_int, [POINTER(imgrec_rate_options), c_size_t]),
    "imgrec_find_rate":
    (c_int, [
        c_void_p, c_void_p, POINTER(imgrec_rate_options), c_int,
        POINTER(c_float), POINTER(c_float), POINTER(c_float)]),
    "imgrec_evaluation_init":
    (c_int, [POINTER(imgrec_evaluation), c_size_t]),
    "imgrec_evaluate":
    (c_int, [c_void_p, c_void_p, POINTER(imgrec_evaluation)]),
    "imgrec_wilson_interval":
    (None, [c_int64, c_int64, POINTER(c_double)]),
    "imgrec_confusion_scores":
    (c_int, [
        POINTER(imgrec_class_score), POINTER(imgrec_class_score),
        POINTER(c_int64), c_int]),
    "imgrec_calibrate_options_init":
    (c_int, [POINTER(imgrec_calibrate_options), c_size_t]),
    "imgrec_calibrate_result_init":
    (c_int, [POINTER(imgrec_calibrate_result), c_size_t]),
    "imgrec_model_calibrate":
    (c_int, [
        c_void_p, c_void_p, POINTER(imgrec_calibrate_options),
        POINTER(imgrec_calibrate_result)]),
    "imgrec_quantize_options_init":
    (c_int, [POINTER(imgrec_quantize_options), c_size_t]),
    "imgrec_model_quantize":
    (c_int, [
        POINTER(c_void_p), c_void_p, c_void_p,
        POINTER(imgrec_quantize_options)]),
}
