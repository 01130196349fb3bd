/* SPDX-License-Identifier: MIT */
/*
 * imgrec - train and run convolutional image recognisers on the CPU
 *
 * This header is the whole interface: what is not declared here is private.
 *
 * Rules that hold everywhere
 *  - Functions that can fail return an int: >= 0 on success, a negative
 *    IMGREC_ERR_* code on failure.  On failure nothing is created, outputs
 *    and weights are untouched, and imgrec_last_error() has a sentence that
 *    names the thing at fault and what would be right.
 *  - A new object comes out through the first parameter; the caller destroys
 *    it.  Destroy accepts NULL.  Objects keep what they depend on alive, so
 *    any order of destruction is right.  Plain returned pointers are borrowed
 *    from the object they were asked of.
 *  - Callbacks take `user` first and must not call into the same context,
 *    except where their comment allows it.
 *  - Option structs start with `struct_size` and are filled by their _init
 *    function; later versions only append, and zero means "as before".  A
 *    non-zero field that this library does not know is refused with
 *    IMGREC_ERR_UNSUPPORTED.
 *  - Enumerators are passed as int; values are never reused.
 *  - Strings are UTF-8.  Paths are what fopen() takes.
 *  - The library never prints, exits, aborts, sets a signal handler, or
 *    touches the locale, the environment or the working directory.  Rounding
 *    mode and flush-to-zero of the calling thread are the same on return.
 *
 * Threads
 *  No global mutable state.  Use a context, and what was created from it, from
 *  one thread at a time; different contexts are independent.
 *
 * Results
 *  Same model, input, seed and imgrec_arithmetic_version(): same bits, on every
 *  instruction set, thread count, compiler and operating system.
 */
#ifndef IMGREC_IMGREC_H
#define IMGREC_IMGREC_H

#include <stddef.h>
#include <stdint.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define IMGREC_API __attribute__((visibility("default")))
#else
#define IMGREC_API
#endif

/* ---- Version, status ---------------------------------------------------- */

/* The library in use (not the header compiled against): 0xMMmmpp. */
IMGREC_API int imgrec_version_number(void);
/* The same as text, "0.1.0". */
IMGREC_API const char *imgrec_version_string(void);
/* Raised when a release may change the bits of a result. */
IMGREC_API int imgrec_arithmetic_version(void);

enum {
  IMGREC_OK = 0,
  IMGREC_ERR_ARGUMENT = -1,     /* an argument is out of its range */
  IMGREC_ERR_MEMORY = -2,       /* the allocator returned NULL */
  IMGREC_ERR_LIMIT = -3,        /* beyond max_bytes or another stated limit */
  IMGREC_ERR_IO = -4,           /* reading or writing failed */
  IMGREC_ERR_NOT_FOUND = -5,    /* no such file, part, label or layer */
  IMGREC_ERR_FORMAT = -6,       /* a file is damaged or not what it claims */
  IMGREC_ERR_SHAPE = -7,        /* tensors or weights do not fit together */
  IMGREC_ERR_ARCHITECTURE = -8, /* an architecture text is wrong */
  IMGREC_ERR_UNSUPPORTED = -9,  /* right, but not something this build does */
  IMGREC_ERR_CANCELLED = -10,   /* a callback asked to stop */
  IMGREC_ERR_DIVERGED = -11     /* the training loss is no longer finite */
};

/* "IMGREC_ERR_SHAPE"; "IMGREC_ERR_UNKNOWN" for a code that is none. */
IMGREC_API const char *imgrec_status_name(int status);
/* A few words for people: "tensors or weights do not fit together". */
IMGREC_API const char *imgrec_status_string(int status);

/* ---- Context: memory, threads, log, kernels ----------------------------- */

typedef struct imgrec_context imgrec_context;
typedef struct imgrec_tensor imgrec_tensor;

/* Instruction sets with a table of kernels of their own. */
enum {
  IMGREC_ISA_AUTO = 0, /* the best that this CPU has */
  IMGREC_ISA_SCALAR = 1,
  IMGREC_ISA_AVX2 = 2,  /* with FMA */
  IMGREC_ISA_AVX512 = 3 /* F, BW, VL, DQ */
};

enum { IMGREC_LOG_INFO = 1, IMGREC_LOG_WARNING = 2 };

/* `size` bytes aligned to `align` (a power of two, at most 64), or NULL.  Calls
 * of one context never overlap, but may come from its worker threads. */
typedef void *(*imgrec_alloc_fn)(void *user, size_t size, size_t align);
typedef void (*imgrec_free_fn)(void *user, void *ptr, size_t size);
/* One finished line, without a line feed. */
typedef void (*imgrec_log_fn)(void *user, int level, const char *line);
typedef void (*imgrec_task_fn)(void *arg, int i, int worker);
/* Call task(arg, i, worker) once for each i in [0, count), in any order, on
 * any threads; return 0 when all have returned.  All must have run even where
 * something failed: the library goes on with their results.  `worker` is in
 * [0, options.threads) and is used by one call at a time. */
typedef int (*imgrec_parallel_fn)(void *user, imgrec_task_fn task, void *arg,
                                  int count);
/* Decode `bytes` into a new H x W x channels u8 tensor of `ctx` (`channels` is
 * 1 or 3, or 0 for what the file has) and return 0, or a negative status to
 * let the library report the file as unreadable.  May call the
 * imgrec_tensor_ functions on `ctx`; is called on the calling thread. */
typedef int (*imgrec_decode_fn)(void *user, imgrec_tensor **out,
                                imgrec_context *ctx, const void *bytes,
                                size_t size, int channels);

typedef struct imgrec_context_options {
  size_t struct_size;
  uint64_t max_bytes;    /* 0: no cap; else what would exceed it fails
                            with IMGREC_ERR_LIMIT */
  int32_t threads;       /* 0: one per core this process may use; 1: never
                            start a thread; at most 256.  With `parallel`:
                            the number of its workers */
  int32_t isa;           /* IMGREC_ISA_* */
  imgrec_alloc_fn alloc; /* NULL: malloc */
  imgrec_free_fn free;   /* given exactly when alloc is */
  void *alloc_user;
  imgrec_log_fn log; /* NULL: no log */
  void *log_user;
  imgrec_parallel_fn parallel; /* NULL: threads of our own, which sleep
                                  whenever no call is running */
  void *parallel_user;
  imgrec_decode_fn decode; /* NULL: JPEG, PNG, BMP and PNM by the library */
  void *decode_user;
} imgrec_context_options;

IMGREC_API int imgrec_context_options_init(imgrec_context_options *options,
                                           size_t struct_size);
/* `options` may be NULL for the defaults. */
IMGREC_API int imgrec_context_create(imgrec_context **out,
                                     const imgrec_context_options *options);
IMGREC_API void imgrec_context_destroy(imgrec_context *ctx);
/* The sentence of the last failed call on this context, "" before any. */
IMGREC_API const char *imgrec_last_error(const imgrec_context *ctx);
IMGREC_API int imgrec_context_isa(const imgrec_context *ctx);
IMGREC_API int imgrec_context_threads(const imgrec_context *ctx);
/* Bytes held through the context's allocator: now, and the most ever. */
IMGREC_API uint64_t imgrec_context_bytes(const imgrec_context *ctx);
IMGREC_API uint64_t imgrec_context_peak_bytes(const imgrec_context *ctx);

/* ---- Tensor: dense, row-major; a batch of images is N x H x W x C ------- */

enum { IMGREC_F32 = 1, IMGREC_U8 = 2, IMGREC_I32 = 3 };

/* `shape`: `ndim` (1 to 4) sizes, each >= 1.  Elements start at zero. */
IMGREC_API int imgrec_tensor_create(imgrec_tensor **out, imgrec_context *ctx,
                                    int dtype, int ndim, const int64_t *shape);
/* The same over memory of the caller, who keeps it until the tensor is
 * destroyed. */
IMGREC_API int imgrec_tensor_wrap(imgrec_tensor **out, imgrec_context *ctx,
                                  int dtype, int ndim, const int64_t *shape,
                                  void *data);
IMGREC_API void imgrec_tensor_destroy(imgrec_tensor *tensor);
IMGREC_API int imgrec_tensor_dtype(const imgrec_tensor *tensor);
IMGREC_API int imgrec_tensor_ndim(const imgrec_tensor *tensor);
/* The size of `axis`; 1 for an axis at or beyond ndim, 0 for a negative one. */
IMGREC_API int64_t imgrec_tensor_dim(const imgrec_tensor *tensor, int axis);
IMGREC_API size_t imgrec_tensor_nbytes(const imgrec_tensor *tensor);
IMGREC_API void *imgrec_tensor_data(imgrec_tensor *tensor);
IMGREC_API const void *imgrec_tensor_const_data(const imgrec_tensor *tensor);

/* ---- Image: H x W x C u8 tensors, C = 1 (grey) or 3 (RGB) --------------- */

/* Largest image that is decoded or made: pixels a side, and pixels in all. */
#define IMGREC_IMAGE_MAX_SIDE   16384
#define IMGREC_IMAGE_MAX_PIXELS 67108864

/* How an image of one aspect ratio becomes one of another. */
enum {
  IMGREC_RESIZE_STRETCH = 0, /* each axis scaled on its own */
  IMGREC_RESIZE_CROP = 1,    /* scaled to cover, the middle cut out */
  IMGREC_RESIZE_PAD = 2      /* scaled to fit, centred on black */
};

/* Decode a file of type JPEG, PNG, BMP or PNM (P1 to P6), EXIF orientation
 * applied, transparency dropped, 16 bits a sample reduced to 8.  channels:
 * 1 or 3, or 0 for what the file has.  The size of the file is bounded by
 * 1 GiB.  IMGREC_ERR_IO, _NOT_FOUND, _FORMAT, _LIMIT, _UNSUPPORTED. */
IMGREC_API int imgrec_image_load(imgrec_tensor **out, imgrec_context *ctx,
                                 const char *path, int channels);
IMGREC_API int imgrec_image_decode(imgrec_tensor **out, imgrec_context *ctx,
                                   const void *bytes, size_t size,
                                   int channels);

/* Each of these makes a new image of `image`'s context.  They compute in
 * integers or in a fixed order, so their pixels are the same everywhere. */

/* Triangle (bilinear) filter, its support widened when shrinking so that every
 * source pixel counts (antialiased). rule: IMGREC_RESIZE_*. */
IMGREC_API int imgrec_image_resize(imgrec_tensor **out,
                                   const imgrec_tensor *image, int height,
                                   int width, int rule);
/* The rectangle must lie inside the image. */
IMGREC_API int imgrec_image_crop(imgrec_tensor **out,
                                 const imgrec_tensor *image, int top, int left,
                                 int height, int width);
/* Counter-clockwise about the centre, same size, bilinear; what comes from
 * outside the image is black. */
IMGREC_API int imgrec_image_rotate(imgrec_tensor **out,
                                   const imgrec_tensor *image, float degrees);
/* axis 0: upside down; axis 1: left and right exchanged. */
IMGREC_API int imgrec_image_flip(imgrec_tensor **out,
                                 const imgrec_tensor *image, int axis);
/* channels 1: ITU-R BT.601 luma, 0.299 R + 0.587 G + 0.114 B; 3: repeated. */
IMGREC_API int imgrec_image_convert(imgrec_tensor **out,
                                    const imgrec_tensor *image, int channels);
/* Factors in [0, 16], 1 leaves as is, applied in this order: brightness
 * multiplies; contrast moves from the mean luma, saturation from the luma of
 * each pixel, 0 giving just that grey. */
IMGREC_API int imgrec_image_adjust(imgrec_tensor **out,
                                   const imgrec_tensor *image, float brightness,
                                   float contrast, float saturation);
/* Histogram equalisation of each channel. */
IMGREC_API int imgrec_image_equalize(imgrec_tensor **out,
                                     const imgrec_tensor *image);
/* Gaussian blur; sigma in pixels, in (0, 64]. */
IMGREC_API int imgrec_image_blur(imgrec_tensor **out,
                                 const imgrec_tensor *image, float sigma);
/* Unsharp mask: image + amount * (image - blur(image, sigma)); amount in
 * [0, 16]. */
IMGREC_API int imgrec_image_sharpen(imgrec_tensor **out,
                                    const imgrec_tensor *image, float sigma,
                                    float amount);

/* All that turns a decoded image into a network's input; kept in the model
 * file.  The value of a sample v in 0..255 becomes (v * scale - mean) / std. */
typedef struct imgrec_preprocess {
  size_t struct_size;
  int32_t height, width, channels; /* of the input; channels is 1 or 3 */
  int32_t resize;                  /* IMGREC_RESIZE_* */
  float scale;                     /* 1/255 */
  float mean[3];                   /* 0; for channels = 1 the first counts */
  float std[3];                    /* 1 */
  int32_t reserved;                /* 0 */
} imgrec_preprocess;

IMGREC_API int imgrec_preprocess_init(imgrec_preprocess *preprocess,
                                      size_t struct_size);
/* A new H x W x C f32 tensor: converted, resized, normalised. */
IMGREC_API int imgrec_image_preprocess(imgrec_tensor **out,
                                       const imgrec_tensor *image,
                                       const imgrec_preprocess *preprocess);

/* ---- Model -------------------------------------------------------------- */

typedef struct imgrec_model imgrec_model;

enum {
  IMGREC_INIT_GLOROT_UNIFORM = 0, /* as Keras: U(-a, a), a = sqrt(6 / (fan_in
                                     + fan_out)); biases zero */
  IMGREC_INIT_HE_NORMAL = 1,      /* as Keras: normal cut at two sigma,
                                     of variance 2 / fan_in */
  IMGREC_INIT_ZEROS = 2           /* for a network that is only looked at, or
                                     whose weights are loaded next */
};

typedef struct imgrec_model_options {
  size_t struct_size;
  uint64_t seed;     /* of the initial weights */
  int32_t max_batch; /* images in one forward; 0: 32 */
  int32_t init;      /* IMGREC_INIT_* */
} imgrec_model_options;

IMGREC_API int imgrec_model_options_init(imgrec_model_options *options,
                                         size_t struct_size);
/* A network from its architecture text (docs/format.md), such as
 * "input 28 28 1\nconv2d 8 kernel=5 activation=relu\n...".
 * IMGREC_ERR_ARCHITECTURE with line, layer and shapes when it is wrong.
 * `options` may be NULL, here and below. */
IMGREC_API int imgrec_model_create(imgrec_model **out, imgrec_context *ctx,
                                   const char *architecture,
                                   const imgrec_model_options *options);
/* A model file; its weights are checked against the hash in it.  Labels,
 * preprocessing and weights come from the file. */
IMGREC_API int imgrec_model_load(imgrec_model **out, imgrec_context *ctx,
                                 const char *path,
                                 const imgrec_model_options *options);
IMGREC_API int imgrec_model_load_memory(imgrec_model **out, imgrec_context *ctx,
                                        const void *bytes, size_t size,
                                        const imgrec_model_options *options);
IMGREC_API void imgrec_model_destroy(imgrec_model *model);
/* Weights by name and shape from a safetensors file, of this library or as
 * PyTorch's save_file(model.state_dict()) writes it.  IMGREC_ERR_SHAPE with
 * the names that are missing, left over or of another shape; then no weight
 * has changed. */
IMGREC_API int imgrec_model_load_weights(imgrec_model *model, const char *path);
/* Canonical (the same model gives the same bytes) and atomic (the old file or
 * the new one, never a part). */
IMGREC_API int imgrec_model_save(const imgrec_model *model, const char *path);

/* The bytes that the model needs when made for this batch: weights and working
 * memory; with training != 0 also gradients, the state of Adam, the trainer's
 * working memory, and the second set of weights in which imgrec_fit keeps the
 * best.  Images being read (some 20 MB) come on top. */
IMGREC_API int imgrec_model_memory(const imgrec_model *model, int batch,
                                   int training, uint64_t *bytes);
/* x: N x H x W x C f32 with N <= max_batch; y: N x classes f32, the output of
 * the last layer.  Allocates nothing. */
IMGREC_API int imgrec_model_forward(imgrec_model *model, const imgrec_tensor *x,
                                    imgrec_tensor *y);

/* Size of the input of one image: H, W, C. */
IMGREC_API void imgrec_model_input_shape(const imgrec_model *model,
                                         int64_t shape[3]);
IMGREC_API int imgrec_model_classes(const imgrec_model *model);
/* The architecture text in its canonical form. */
IMGREC_API const char *imgrec_model_architecture(const imgrec_model *model);
/* Class names; `count` must be the number of classes.  Copied. */
IMGREC_API int imgrec_model_set_labels(imgrec_model *model, int count,
                                       const char *const *labels);
/* The name of a class, its number as text where none was given, never NULL
 * (but "" for an index that is no class). */
IMGREC_API const char *imgrec_model_label(const imgrec_model *model,
                                          int class_index);
IMGREC_API int imgrec_model_set_preprocess(imgrec_model *model,
                                           const imgrec_preprocess *p);
IMGREC_API int imgrec_model_get_preprocess(const imgrec_model *model,
                                           imgrec_preprocess *p);

/* One layer of the text, for people. */
typedef struct imgrec_layer_info {
  size_t struct_size;
  const char *name;  /* its name in the text, or type and number: "conv1" */
  const char *type;  /* "conv2d" */
  int64_t output[3]; /* H, W, C; 1, 1, n for a flat output */
  int64_t parameters;
  int64_t multiply_adds; /* for one image */
  int64_t output_bytes;  /* for one image */
} imgrec_layer_info;

IMGREC_API int imgrec_layer_info_init(imgrec_layer_info *info,
                                      size_t struct_size);
IMGREC_API int imgrec_model_layer_count(const imgrec_model *model);
IMGREC_API int imgrec_model_layer(const imgrec_model *model, int index,
                                  imgrec_layer_info *info);

/* Weights by name, in PyTorch's names and layouts: "conv1.weight" is
 * O x I x H x W, "fc1.weight" is out x in. */
IMGREC_API int imgrec_model_parameter_count(const imgrec_model *model);
IMGREC_API const char *imgrec_model_parameter_name(const imgrec_model *model,
                                                   int index);
/* A copy of one parameter as a new f32 tensor. */
IMGREC_API int imgrec_model_get_parameter(imgrec_tensor **out,
                                          const imgrec_model *model,
                                          const char *name);
IMGREC_API int imgrec_model_set_parameter(imgrec_model *model, const char *name,
                                          const imgrec_tensor *value);

/* The text of a built-in architecture: "seed", "lenet5", "small", "tiny".
 * Writes at most `size` bytes with the closing NUL and returns the length that
 * the whole text has.  IMGREC_ERR_NOT_FOUND, _ARGUMENT (an input too small for
 * the preset).  height, width or channels of 0: the preset's own. */
IMGREC_API int imgrec_preset(const char *name, int height, int width,
                             int channels, int classes, char *text,
                             size_t size);
/* The name of the index-th preset, NULL behind the last. */
IMGREC_API const char *imgrec_preset_name(int index);

/* ---- Recognise ---------------------------------------------------------- */

typedef struct imgrec_result {
  int32_t class_index;
  float probability;
  const char *label; /* borrowed from the model, never NULL */
} imgrec_result;

/* Decoded image (u8, H x W x 1 or 3, any size) in, the k most probable classes
 * out, best first; preprocessing is the model's own.  Returns how many were
 * written: min(k, classes). */
IMGREC_API int imgrec_model_classify(imgrec_model *model,
                                     const imgrec_tensor *image, int k,
                                     imgrec_result *results);

/* ---- Training ----------------------------------------------------------- */

typedef struct imgrec_trainer imgrec_trainer;

enum { IMGREC_OPTIMIZER_ADAM = 0, IMGREC_OPTIMIZER_SGD = 1 };

typedef struct imgrec_trainer_options {
  size_t struct_size;
  uint64_t seed;       /* of dropout */
  int32_t optimizer;   /* IMGREC_OPTIMIZER_* */
  int32_t max_batch;   /* images in one step; 0: 32 */
  float learning_rate; /* 0: 0.001 for Adam, 0.01 for SGD (Keras) */
  float momentum;      /* SGD's; 0.9 */
  float beta1, beta2;  /* Adam's; 0.9, 0.999 */
  float epsilon;       /* Adam's; 1e-7 */
  int32_t accumulate;  /* steps whose mean gradient makes one update; 1 */
} imgrec_trainer_options;

IMGREC_API int imgrec_trainer_options_init(imgrec_trainer_options *options,
                                           size_t struct_size);
IMGREC_API int imgrec_trainer_create(imgrec_trainer **out, imgrec_model *model,
                                     const imgrec_trainer_options *options);
IMGREC_API void imgrec_trainer_destroy(imgrec_trainer *trainer);
/* One batch: forward, softmax cross-entropy, backward, update.
 * x: N x H x W x C f32 with N <= max_batch; labels: N i32 class indices, or
 * N x classes f32 probabilities; loss (may be NULL): the mean over the batch,
 * before the update.  Allocates nothing; on failure the weights are as
 * before.  A loss that is not finite makes no update. */
IMGREC_API int imgrec_train_step(imgrec_trainer *trainer,
                                 const imgrec_tensor *x,
                                 const imgrec_tensor *labels, float *loss);
IMGREC_API int imgrec_trainer_set_learning_rate(imgrec_trainer *trainer,
                                                float learning_rate);

/* ---- Data sets ---------------------------------------------------------- */

typedef struct imgrec_dataset imgrec_dataset;

/* Which part of a data set that comes in parts (train/ val/ test/ folders,
 * train-* and t10k-* IDX files, CIFAR's data_batch_* and test_batch). */
enum {
  IMGREC_PART_ANY = 0, /* train if there are parts, else all */
  IMGREC_PART_TRAIN = 1,
  IMGREC_PART_VAL = 2,
  IMGREC_PART_TEST = 3
};

typedef struct imgrec_dataset_options {
  size_t struct_size;
  int32_t part; /* IMGREC_PART_* */
  int32_t reserved;
} imgrec_dataset_options;

IMGREC_API int imgrec_dataset_options_init(imgrec_dataset_options *options,
                                           size_t struct_size);
/* A folder with a folder per class (flat, or under train/ val/ test/), a CSV
 * file of path,label, IDX (plain or .gz) or CIFAR-10/100 binary files, or the
 * folder of either; found out by looking.  Image files are read when they are
 * needed; those whose header is unreadable are skipped and counted here.
 * IMGREC_ERR_NOT_FOUND when the part is not there. */
IMGREC_API int imgrec_dataset_open(imgrec_dataset **out, imgrec_context *ctx,
                                   const char *path,
                                   const imgrec_dataset_options *options);
/* images: N x H x W x C u8; labels: N i32 in [0, classes).  Both are copied. */
IMGREC_API int imgrec_dataset_from_memory(imgrec_dataset **out,
                                          imgrec_context *ctx,
                                          const imgrec_tensor *images,
                                          const imgrec_tensor *labels,
                                          int classes);
/* Two new data sets over the same images: `fraction` of each class (rounded;
 * at least one where the class has two) goes to `second`.  By seed. */
IMGREC_API int imgrec_dataset_split(imgrec_dataset **first,
                                    imgrec_dataset **second,
                                    const imgrec_dataset *dataset,
                                    float fraction, uint64_t seed);
IMGREC_API void imgrec_dataset_destroy(imgrec_dataset *dataset);
IMGREC_API int64_t imgrec_dataset_size(const imgrec_dataset *dataset);
IMGREC_API int imgrec_dataset_classes(const imgrec_dataset *dataset);
IMGREC_API const char *imgrec_dataset_label(const imgrec_dataset *dataset,
                                            int class_index);
/* The class of an image, -1 for an index that is none. */
IMGREC_API int imgrec_dataset_class(const imgrec_dataset *dataset,
                                    int64_t index);
/* Where an image came from: its path, or "FILE#index" inside a packed file. */
IMGREC_API const char *imgrec_dataset_source(imgrec_dataset *dataset,
                                             int64_t index);
/* Decode one image: H x W x C u8. */
IMGREC_API int imgrec_dataset_image(imgrec_tensor **out,
                                    imgrec_dataset *dataset, int64_t index);
/* H, W, C that all images share; 0 for what differs between them. */
IMGREC_API void imgrec_dataset_shape(const imgrec_dataset *dataset,
                                     int64_t shape[3]);
/* One line: "folder per class: 450 images, 10 classes, 45 each, ...". */
IMGREC_API const char *imgrec_dataset_description(const imgrec_dataset *d);
/* Files that could not be read, and the sentence for each. */
IMGREC_API int imgrec_dataset_skipped(const imgrec_dataset *dataset);
IMGREC_API const char *imgrec_dataset_skipped_reason(const imgrec_dataset *d,
                                                     int index);
/* Renumber the classes so that they are those of `model`, matched by name.
 * IMGREC_ERR_NOT_FOUND names a class that the model does not have. */
IMGREC_API int imgrec_dataset_match_labels(imgrec_dataset *dataset,
                                           const imgrec_model *model);

/* ---- Fit, evaluate ------------------------------------------------------ */

typedef struct imgrec_progress {
  size_t struct_size;
  int64_t images, images_total; /* of this epoch */
  int32_t epoch, epochs;        /* from 1 */
  int32_t epoch_done;           /* 1 when validation has run */
  int32_t improved;             /* 1 when this epoch is the best so far */
  float train_loss;             /* mean over this epoch so far */
  float train_accuracy;
  float val_loss; /* of this epoch when epoch_done; NaN without val */
  float val_accuracy;
} imgrec_progress;

/* Called after each step and once more at the end of each epoch; a non-zero
 * return ends training after this step, keeping the best weights so far. */
typedef int (*imgrec_progress_fn)(void *user, const imgrec_progress *progress);

typedef struct imgrec_fit_options {
  size_t struct_size;
  uint64_t seed;  /* of the order of images */
  int32_t epochs; /* 0: 10 */
  int32_t batch;  /* 0: the trainer's max_batch */
  imgrec_progress_fn progress;
  void *progress_user;
} imgrec_fit_options;

typedef struct imgrec_fit_result {
  size_t struct_size;
  int32_t epochs;     /* completed */
  int32_t best_epoch; /* whose weights the model now has, from 1; 0: none */
  float train_loss;   /* of the last completed epoch */
  float val_loss;     /* of the best epoch; NaN without val */
  float val_accuracy;
  int32_t cancelled; /* 1 when `progress` ended it */
} imgrec_fit_result;

IMGREC_API int imgrec_fit_options_init(imgrec_fit_options *options,
                                       size_t struct_size);
IMGREC_API int imgrec_fit_result_init(imgrec_fit_result *result,
                                      size_t struct_size);
/* Epochs over `train`, each in a new order, validation on `val` (may be NULL)
 * after each.  At the end the model has the weights of the epoch with the
 * highest validation accuracy (the lower loss where equal), or the last
 * without val; cancelled in its first epoch, those it then has.  Images are
 * preprocessed as the model says; a model without labels takes those of
 * `train`.  `result` may be NULL.  When training fails, the model has the best
 * weights so far, those from before the call where no epoch was completed, and
 * the trainer's moments begin anew: IMGREC_ERR_DIVERGED when loss or weights
 * are no longer finite, IMGREC_ERR_IO and _FORMAT of images, _MEMORY. */
IMGREC_API int imgrec_fit(imgrec_trainer *trainer, imgrec_dataset *train,
                          imgrec_dataset *val,
                          const imgrec_fit_options *options,
                          imgrec_fit_result *result);

typedef struct imgrec_evaluation {
  size_t struct_size;
  int64_t images;
  double loss;        /* mean softmax cross-entropy */
  double top1, top5;  /* fractions; a class counts when fewer than 1 (5)
                         others are more probable */
  int64_t *confusion; /* set before the call: NULL, or classes x classes
                         counts, row = true class, column = answer */
} imgrec_evaluation;

IMGREC_API int imgrec_evaluation_init(imgrec_evaluation *evaluation,
                                      size_t struct_size);
IMGREC_API int imgrec_evaluate(imgrec_model *model, imgrec_dataset *dataset,
                               imgrec_evaluation *out);

#ifdef __cplusplus
}
#endif

#endif
