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
 *    touches the locale, the environment or the working directory.  The
 *    floating-point state of the calling thread (rounding, flush-to-zero,
 *    traps, flags) and errno are the same on return; callbacks in between may
 *    find the first as the library has it.
 *
 * Threads
 *  No global mutable state.  Use a context, and what was created from it, from
 *  one thread at a time; different contexts are independent.  Threads that
 *  recognise by the same model have a context each, and imgrec_model_share().
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
  IMGREC_ISA_AVX2 = 2,   /* with FMA */
  IMGREC_ISA_AVX512 = 3, /* F, BW, VL, DQ */
  IMGREC_ISA_NEON = 4    /* of 64-bit ARM */
};

enum { IMGREC_LOG_INFO = 1, IMGREC_LOG_WARNING = 2 };

/* `size` bytes aligned to `align` (a power of two, at most 64), or NULL.  Calls
 * of one context never overlap, but may come from its worker threads, and from
 * those that share a model of it. */
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

/* Copy the first `size` bytes of a file into `buffer` and return how many those
 * were; with buffer NULL return how many the file has.  `size` is never more
 * than that was.  Or return a negative status, such as IMGREC_ERR_NOT_FOUND. Is
 * called on the calling thread. */
typedef int64_t (*imgrec_read_fn)(void *user, const char *path, void *buffer,
                                  size_t size);
/* Nanoseconds since some moment, which never go back. */
typedef uint64_t (*imgrec_clock_fn)(void *user);

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
  imgrec_read_fn read; /* NULL: files are the system's; else whatever is read
                          by path is asked of it: models, weights, checkpoints,
                          images, and data sets but for folders of images.
                          Files are written by the system in any case */
  void *read_user;
  imgrec_clock_fn clock; /* NULL: the system's monotonic clock; only
                            imgrec_train_step_ms looks at it */
  void *clock_user;
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

/* ---- Augment: training images changed at random ------------------------- */

/* What there is outside of an image that was moved. */
enum {
  IMGREC_FILL_REFLECT = 0, /* the image mirrored at its border */
  IMGREC_FILL_EDGE = 1,    /* the nearest of its pixels */
  IMGREC_FILL_BLACK = 2
};

/* 0 leaves out each of them.  A chance is in [0, 1]; "up to" is uniform, of
 * either sign.  All that moves pixels is one bilinear resampling; whole pixels
 * and flips alone are copied. */
typedef struct imgrec_augment {
  size_t struct_size;
  int32_t fill;        /* IMGREC_FILL_*; black where preprocessing pads */
  int32_t randaugment; /* how many operations of RandAugment, 0 to 8 (Cubuk et
                          al. 2019; those that move pixels and those on colour
                          are done with the ones below) */
  float magnitude;     /* of those, above 0 to 10; 0: 5 */
  float flip;          /* chance to exchange left and right */
  float flip_vertical; /* chance to turn upside down */
  float crop;          /* moved by up to so many whole pixels; below 1: up to
                          that fraction of the sides, at most */
  float shift;         /* moved by up to this fraction of the sides */
  float area;          /* a part of at least this fraction of the image (of
                          what preprocessing shows, unless it crops) is cut out
                          and resized; 0 or 0.01 to 1 */
  float aspect;        /* greatest ratio of that part's sides; 0: 4 / 3 */
  float rotate;        /* degrees, up to 180 */
  float scale;         /* by up to 1 + this, or 1 / (1 + this); 0 to 3 */
  float shear;         /* each axis slanted by up to this ratio; 0 to 1 */
  float brightness;    /* these three as in imgrec_image_adjust, with factors */
  float contrast;      /* of 1 - this to 1 + this, all at once and rounded */
  float saturation;    /* once; 0 to 1 */
  float hue;           /* turned about grey by up to so many degrees of 180 */
  float grey;          /* chance to lose all colour */
  float blur;          /* Gaussian, of a sigma from 0 to this; 0 to 8 pixels */
  float noise;         /* about normal, of a sigma from 0 to this; 0 to 64 */
  float jpeg;    /* what JPEG of this quality or better leaves; 1 to 100 */
  float degrade; /* chance of each of the last three; 0: 0.25 */
  float cutout;  /* a square of this fraction of the shorter side becomes
                    the mean colour (DeVries and Taylor 2017) */
  float mixup;   /* pairs of a batch mixed, in shares of Beta(this, this):
                    0 to 2 (Zhang et al. 2017) */
  float cutmix;  /* pairs of a batch exchange a rectangle of such a share
                    (Yun et al. 2019); with mixup: one of the two */
} imgrec_augment;

/* No augmentation at all. */
IMGREC_API int imgrec_augment_init(imgrec_augment *augment, size_t struct_size);
/* From text: "none", "light", "strong", or fields such as
 * "flip,crop=4,rotate=10,fill=edge"; fields behind one of the three change it,
 * and a field without a value gets a usual one.  "degrade=0" leaves out what it
 * is the chance of.  `augment` has been filled by _init.  IMGREC_ERR_ARGUMENT
 * names what is wrong. */
IMGREC_API int imgrec_augment_parse(imgrec_augment *augment,
                                    imgrec_context *ctx, const char *text);
/* The text of all fields that are not as _init has them, "none" where there
 * are none.  Writes at most `size` bytes with the closing NUL and returns the
 * length that the whole text has. */
IMGREC_API int imgrec_augment_print(const imgrec_augment *augment,
                                    imgrec_context *ctx, char *text,
                                    size_t size);
/* A new u8 image of the size and channels that `preprocess` has (NULL: those of
 * the image) before values are scaled: what a fit would show its network of
 * this image, with seed = that of its options, epoch from 1 on (below 2^32),
 * index = the place in the data set as it was opened (below 2^55).  All of
 * `augment` but mixup and cutmix. */
IMGREC_API int imgrec_image_augment(imgrec_tensor **out,
                                    const imgrec_tensor *image,
                                    const imgrec_preprocess *preprocess,
                                    const imgrec_augment *augment,
                                    uint64_t seed, uint64_t epoch,
                                    uint64_t index);
/* mixup and cutmix of a batch in place.  x: N x H x W x C f32; labels: N i32;
 * targets: N x classes f32, for imgrec_train_step.  Image i is paired with
 * N - 1 - i, by seed, epoch and first + i, the place of image i in the epoch.
 */
IMGREC_API int imgrec_augment_mix(imgrec_tensor *x, imgrec_tensor *targets,
                                  const imgrec_tensor *labels,
                                  const imgrec_augment *augment, uint64_t seed,
                                  uint64_t epoch, uint64_t first);

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
/* A model on the same weights, which nobody can change any more, for `ctx`: for
 * another thread.  It has working memory, labels, preprocessing and calibration
 * of its own, the latter as `model` has them.  Of `options` max_batch counts; 0
 * and NULL: that of `model`.  Other threads may be recognising with `model`
 * meanwhile, and each of them may destroy what is its own in any order.  While
 * there are two, whatever would change weights or freeze layers is refused with
 * IMGREC_ERR_ARGUMENT, and so is a trainer; of a model with a trainer there is
 * no sharing.  Weights are counted, and at last freed, by the context of the
 * first, whose allocator then serves the thread of the last. */
IMGREC_API int imgrec_model_share(imgrec_model **out, const imgrec_model *model,
                                  imgrec_context *ctx,
                                  const imgrec_model_options *options);
IMGREC_API void imgrec_model_destroy(imgrec_model *model);
/* Weights by name and shape from a safetensors file, of this library or as
 * PyTorch's save_file(model.state_dict()) writes it.  IMGREC_ERR_SHAPE with
 * the names that are missing, left over or of another shape; then no weight
 * has changed. */
IMGREC_API int imgrec_model_load_weights(imgrec_model *model, const char *path);
/* The same, but that the head may be another, as with another number of
 * classes: it then keeps the values that it has.  Returns how many parameters
 * do, 0 when all were loaded. */
IMGREC_API int imgrec_model_transfer_weights(imgrec_model *model,
                                             const char *path);
/* A new model with the network, the preprocessing and the weights of a model
 * file, but for `classes` classes, and without labels.  A head of another
 * number of outputs begins anew, by the seed and init of `options`.  Returns
 * how many parameters do, 0 when all were loaded.  IMGREC_ERR_UNSUPPORTED for a
 * file of weights alone, _ARGUMENT for weights that are int8, _ARCHITECTURE
 * where there is no head. */
IMGREC_API int imgrec_model_adapt(imgrec_model **out, imgrec_context *ctx,
                                  const char *path, int classes,
                                  const imgrec_model_options *options);
/* The name of the head: the dense layer or convolution that the classes are
 * computed by, with nothing behind it but functions of one number, batch norm
 * and pooling.  NULL where there is none. */
IMGREC_API const char *imgrec_model_head(const imgrec_model *model);
/* Canonical (the same model gives the same bytes) and atomic (the old file or
 * the new one, never a part). */
IMGREC_API int imgrec_model_save(const imgrec_model *model, const char *path);
/* The same bytes into memory, for imgrec_model_load_memory: *size of them.
 * With a buffer of NULL only *size is told; IMGREC_ERR_LIMIT, and nothing
 * written, where there are more than `capacity`. */
IMGREC_API int imgrec_model_save_memory(const imgrec_model *model, void *buffer,
                                        uint64_t capacity, uint64_t *size);

/* How a model file stores weights: those of convolutions and dense layers;
 * the few other numbers are always f32. */
enum {
  IMGREC_WEIGHTS_F32 = 0,
  IMGREC_WEIGHTS_F16 = 1,  /* IEEE 754 binary16 */
  IMGREC_WEIGHTS_BF16 = 2, /* the upper half of f32 */
  IMGREC_WEIGHTS_INT8 = 3  /* i8 with a scale for each output channel */
};

/* IMGREC_WEIGHTS_* of the model: what imgrec_model_round_weights or
 * imgrec_model_quantize made of it, or what its file has. */
IMGREC_API int imgrec_model_weight_type(const imgrec_model *model);
/* Rounds the weights to the nearest value of `type` (F16 or BF16), half to
 * even; saving the model then takes half the bytes and loses nothing.  They are
 * computed with as f32.  A trainer, a new value of a parameter or other weights
 * make the model F32 again; so does F32 here.  IMGREC_ERR_LIMIT, and nothing
 * changed, when a weight is beyond the largest of `type`; _UNSUPPORTED for a
 * model that is INT8. */
IMGREC_API int imgrec_model_round_weights(imgrec_model *model, int type);

/* The bytes, exactly, that the allocator is asked for when the model is made
 * for this batch: weights, labels and working memory; with training != 0 also
 * what an Adam trainer takes (of gradients those that are stored: of dense
 * weights none, unless `accumulate` is above 1 or clip_norm set) and the second
 * set of weights in which imgrec_fit keeps the best.  The context's own (1 MiB
 * for each thread) and images being read (some 20 MB) come on top, and while a
 * file is loaded that. */
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
  int32_t weight_type;   /* IMGREC_WEIGHTS_* of this layer; F32 without any */
  int32_t reserved;
  int64_t input_bytes; /* for one image, of all its inputs */
  /* How forward computes it, and a phrase why: "im2col gemm".  NULL where
   * there is no choice. */
  const char *algorithm;
  const char *reason;
} imgrec_layer_info;

IMGREC_API int imgrec_layer_info_init(imgrec_layer_info *info,
                                      size_t struct_size);
IMGREC_API int imgrec_model_layer_count(const imgrec_model *model);
IMGREC_API int imgrec_model_layer(const imgrec_model *model, int index,
                                  imgrec_layer_info *info);

/* What a layer hook is told: begin and end of each piece of work, never one
 * within another. */
enum {
  IMGREC_PHASE_FORWARD_BEGIN = 1,
  IMGREC_PHASE_FORWARD_END = 2,
  IMGREC_PHASE_LOSS_BEGIN = 3,
  IMGREC_PHASE_LOSS_END = 4,
  IMGREC_PHASE_BACKWARD_BEGIN = 5,
  IMGREC_PHASE_BACKWARD_END = 6,
  IMGREC_PHASE_UPDATE_BEGIN = 7, /* of the weights, by the optimiser */
  IMGREC_PHASE_UPDATE_END = 8
};

/* layer: its index in imgrec_model_layer; -1 for the loss and the update of
 * those weights that no backward updates.  Must not change the floating-point
 * state. */
typedef void (*imgrec_layer_fn)(void *user, int layer, int phase);
/* Call `fn` (NULL: no longer) around the work of each layer in whatever runs
 * this model, also in training, on the thread that called: so a host can take
 * times.  A layer that works in several steps, such as one with an activation,
 * is told of several times; one that is computed as a part of an earlier layer
 * is not. */
IMGREC_API int imgrec_model_set_layer_hook(imgrec_model *model,
                                           imgrec_layer_fn fn, void *user);

/* Freeze the layers whose name with a '.' behind it begins with `prefix`
 * ("conv1." is one layer, "" all of them), or let them learn again.  Weights of
 * a frozen layer are not trained, its batch norm normalises by the running
 * moments and leaves them, and a training step computes no gradients below the
 * lowest layer that learns.  It is not saved with the model.  Returns how many
 * layers with weights begin so; IMGREC_ERR_NOT_FOUND where there is none,
 * _ARGUMENT while a trainer of the model exists. */
IMGREC_API int imgrec_model_freeze(imgrec_model *model, const char *prefix);
IMGREC_API int imgrec_model_unfreeze(imgrec_model *model, const char *prefix);

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

/* The text of a built-in architecture, for any input from 8 x 8 up ("small"
 * from 16 x 16, "lenet5" 12 x 12, "seed" 22 x 22): "nano", "small", "base",
 * "large"   57 k, 250 k, 1.5 M, 6.3 M parameters; depthwise-separable, plain,
 * residual x 2 "tiny", "lenet5", "seed"           plain, for learning "resnet8"
 * MLPerf Tiny's "resnet18", "mobilenet_v2"         with torchvision's names, so
 * that imgrec_model_load_weights takes its weights; below 64 pixels a side
 * without the first two halvings "cifar_fast"                       for 32 x 32
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
 * written: min(k, classes).  Allocates nothing. */
IMGREC_API int imgrec_model_classify(imgrec_model *model,
                                     const imgrec_tensor *image, int k,
                                     imgrec_result *results);

/* How classify's probabilities are made of the logits: softmax(logits /
 * temperature), temperature scaling (Guo et al. 2017).  It changes how sure an
 * answer is, never which it is.  Kept in the model file. */
typedef struct imgrec_calibration {
  size_t struct_size;
  float temperature; /* in [1/64, 64]; 1: as trained */
  /* In [0, 1): the answer is "none of these" where the most probable class is
   * less probable than this; 0: never. */
  float reject_threshold;
} imgrec_calibration;

IMGREC_API int imgrec_calibration_init(imgrec_calibration *calibration,
                                       size_t struct_size);
/* A trainer, a new value of a parameter or other weights undo it. */
IMGREC_API int
imgrec_model_set_calibration(imgrec_model *model,
                             const imgrec_calibration *calibration);
IMGREC_API int imgrec_model_get_calibration(const imgrec_model *model,
                                            imgrec_calibration *calibration);
/* 1 where an image whose most probable class has this probability is none of
 * the model's classes, 0 where it may be one. */
IMGREC_API int imgrec_model_rejects(const imgrec_model *model,
                                    float probability);

/* Where in an image the network sees a class: a new H x W f32 map, H and W
 * those of the model's input (of the image as imgrec_image_resize makes it by
 * the model's rule), from 0 to 1 at its greatest; all zero where nothing speaks
 * for the class.  Grad-CAM (Selvaraju et al. 2017): with A the output of the
 * last convolution (and of the normalisation and activation behind it) and z
 * the logit of the class,
 *   map = relu(sum over channels k of A[k] mean over pixels of dz / dA[k]),
 * enlarged bilinearly.  class_index -1: the most probable class.
 * IMGREC_ERR_UNSUPPORTED for INT8 models and for networks in which no one
 * activation with height and width, behind a convolution, leads to the answer.
 * Memory is taken for the time of the call. */
IMGREC_API int imgrec_model_explain(imgrec_tensor **out, imgrec_model *model,
                                    const imgrec_tensor *image,
                                    int class_index);

/* ---- Training ----------------------------------------------------------- */

typedef struct imgrec_trainer imgrec_trainer;

/* Adam and SGD are Keras': Adam adds epsilon to the root of the uncorrected
 * second moment, SGD's momentum is of steps.  AdamW is PyTorch's (Loshchilov
 * and Hutter 2019), with epsilon beside the corrected root. */
enum {
  IMGREC_OPTIMIZER_ADAM = 0,
  IMGREC_OPTIMIZER_SGD = 1,
  IMGREC_OPTIMIZER_ADAMW = 2
};

typedef struct imgrec_trainer_options {
  size_t struct_size;
  uint64_t seed;       /* of dropout and drop_path */
  int32_t optimizer;   /* IMGREC_OPTIMIZER_* */
  int32_t max_batch;   /* images in one step; 0: 32 */
  float learning_rate; /* 0: 0.001 for Adam and AdamW, 0.01 for SGD (Keras) */
  float momentum;      /* SGD's; 0.9 */
  float beta1, beta2;  /* Adam's; 0.9, 0.999 */
  float epsilon;       /* Adam's; 1e-7 */
  int32_t accumulate;  /* steps whose mean gradient makes one update; 1 */
  int32_t nesterov;    /* 1: SGD's momentum looks ahead */
  /* For Adam and SGD this times the weights is added to their gradients; AdamW
   * takes it times the learning rate off the weights.  Not of biases and batch
   * norm, unless decay_all is 1. */
  float weight_decay; /* 0 */
  int32_t decay_all;
  /* e in [0, 1): the target of each class becomes (1 - e) target + e /
   * classes. */
  float label_smoothing;
  /* Gradients of an update whose norm, over all weights, is larger are scaled
   * down to this norm; 0: never.  All gradients are then stored. */
  float clip_norm;
  /* d in [0, 1): keep an average of all weights, average = d average +
   * (1 - d) weights after each update, d being at most n / (9 + n) at the n-th
   * one; 0: none.  See imgrec_trainer_swap_average. */
  float ema_decay;
  /* The learning rate of the last layer that has weights is the full one, that
   * of the one before is this times it, and so on; 0 or 1: all the same. */
  float layer_decay;
  int32_t reserved; /* 0 */
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
/* What imgrec_train_step_ms returns. */
enum { IMGREC_STEP_DONE = 0, IMGREC_STEP_UNFINISHED = 1 };
/* The same step for whoever has only a few milliseconds, such as a game in each
 * of its frames.  Returns IMGREC_STEP_UNFINISHED after about `ms` where there
 * is more to do: call it again, with the same tensors and with nothing in them
 * changed, until it returns IMGREC_STEP_DONE and tells the loss.  The weights
 * are in the end, bit for bit, those of imgrec_train_step.
 * The step is cut into pieces: each layer forward and each backward, for all of
 * the batch; the loss; the update, by 262144 weights.  A call does one piece,
 * however small `ms` is, and goes on with those that, by what they took the
 * last time, end within `ms`.  So it takes longer where a single piece does
 * (see imgrec_trainer_longest_piece); smaller batches have shorter pieces, and
 * `accumulate` makes one update of several.
 * Until the step is done its trainer, and whatever would change or save the
 * weights, is refused with IMGREC_ERR_ARGUMENT.  Recognising is not: it goes by
 * the weights as they are, of some layers before the update and of others
 * after it.  Allocates nothing. */
IMGREC_API int imgrec_train_step_ms(imgrec_trainer *trainer,
                                    const imgrec_tensor *x,
                                    const imgrec_tensor *labels, float ms,
                                    float *loss);
/* Gives up the step under way, if there is one.  Weights that it has updated
 * stay so; gradients that were accumulated for its update are forgotten. */
IMGREC_API void imgrec_trainer_abandon(imgrec_trainer *trainer);
/* Milliseconds that the longest piece of imgrec_train_step_ms took, of each
 * piece the last time; 0 before any. */
IMGREC_API float imgrec_trainer_longest_piece(const imgrec_trainer *trainer);
IMGREC_API int imgrec_trainer_set_learning_rate(imgrec_trainer *trainer,
                                                float learning_rate);
/* Multiplies the learning rate of the layers whose name with a '.' behind it
 * begins with `prefix` ("conv1." is one layer) by `factor`, in (0, 1000],
 * instead of what layer_decay made of it.  Returns how many layers with
 * weights that are; IMGREC_ERR_NOT_FOUND where there is none. */
IMGREC_API int imgrec_trainer_set_layer_rate(imgrec_trainer *trainer,
                                             const char *prefix, float factor);
/* Exchanges the model's weights and their average: once to use the average,
 * and again before training goes on.  Without any update so far the average is
 * the weights.  IMGREC_ERR_ARGUMENT where ema_decay is 0. */
IMGREC_API int imgrec_trainer_swap_average(imgrec_trainer *trainer);
/* A checkpoint: the model's file, and in it all that the next step depends on
 * (moments, counters, learning rate, gradients under way).  A trainer of the
 * same options, whose model has the same network, goes on from it with the
 * bits that this one would have.  Atomic, as imgrec_model_save is; the file
 * loads as a model too, and imgrec_model_save makes one without the rest.
 * What loading refuses (_FORMAT a damaged file, _SHAPE another network,
 * _ARGUMENT other options) changes nothing. */
IMGREC_API int imgrec_trainer_save(const imgrec_trainer *trainer,
                                   const char *path);
IMGREC_API int imgrec_trainer_load(imgrec_trainer *trainer, const char *path);

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
 * where the class has two, at least one on either side; an only one stays in
 * `first`) goes to `second`.  By seed. */
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
/* 0 for an image that was found unreadable after the data set was opened, and
 * for an index that is none, 1 for others.  A sentence for it is among the
 * skipped files, and it counts in imgrec_dataset_size still. */
IMGREC_API int imgrec_dataset_readable(const imgrec_dataset *dataset,
                                       int64_t index);
/* Files that could not be read, and the sentence for each.  Data sets that come
 * of a split have one list. */
IMGREC_API int imgrec_dataset_skipped(const imgrec_dataset *dataset);
IMGREC_API const char *imgrec_dataset_skipped_reason(const imgrec_dataset *d,
                                                     int index);
/* 64 hexadecimal digits and a NUL, into size >= 65 bytes, of what is in it:
 * class names, labels, and pixels in memory or names and sizes of files (not
 * their folders, which may move). */
IMGREC_API int imgrec_dataset_digest(const imgrec_dataset *dataset,
                                     char *digits, size_t size);
/* Renumber the classes so that they are those of `model`, matched by name.
 * IMGREC_ERR_NOT_FOUND names a class that the model does not have. */
IMGREC_API int imgrec_dataset_match_labels(imgrec_dataset *dataset,
                                           const imgrec_model *model);
/* Augmentation for training on these images with this preprocessing, chosen by
 * their size, their number, the names of the classes, and a trial: whether
 * images of some classes are still recognised, by the image that is most like
 * them, when they are mirrored.  Deterministic.  `reason` (may be NULL) takes a
 * sentence, cut to `size` bytes.  `augment` has been filled by _init. */
IMGREC_API int imgrec_augment_choose(imgrec_augment *augment,
                                     imgrec_dataset *dataset,
                                     const imgrec_preprocess *preprocess,
                                     char *reason, size_t size);

/* ---- Looking over data sets --------------------------------------------- */

typedef struct imgrec_examination imgrec_examination;

/* Called now and then on the calling thread; a non-zero return ends the call
 * with IMGREC_ERR_CANCELLED. */
typedef int (*imgrec_examine_fn)(void *user, int64_t images,
                                 int64_t images_total);

typedef struct imgrec_examine_options {
  size_t struct_size;
  imgrec_examine_fn progress;
  void *progress_user;
  int32_t exact_only; /* 1: no near duplicates, for which all must be decoded */
  int32_t reserved;
} imgrec_examine_options;

IMGREC_API int imgrec_examine_options_init(imgrec_examine_options *options,
                                           size_t struct_size);
/* Reads all images of `count` (1 to 16) data sets of one context, such as the
 * training, validation and test set, and finds what is there twice, within a
 * set and between them.  Takes some 450 bytes an image.  Files that cannot be
 * decoded are added to their data set's skipped files, and not read again.
 * The result stands for itself: data sets may change or be destroyed after. */
IMGREC_API int imgrec_dataset_examine(imgrec_examination **out,
                                      imgrec_dataset *const *datasets,
                                      int count,
                                      const imgrec_examine_options *options);
IMGREC_API void imgrec_examination_destroy(imgrec_examination *examination);

typedef struct imgrec_data_summary {
  size_t struct_size;
  int64_t images;     /* that can be read */
  int64_t unreadable; /* files of the data set that cannot; those that were
                         left out when it was opened count once, in the first
                         set of the call that comes of it by a split */
  int64_t grey;       /* images of one channel */
  /* Images with an exact (else a near) duplicate before them in their own
   * set, and in an earlier set; and those labelled otherwise than one. */
  int64_t exact, near_duplicates;
  int64_t exact_elsewhere, near_elsewhere;
  int64_t conflicting;
  int32_t height[3], width[3]; /* least, median, greatest */
} imgrec_data_summary;

IMGREC_API int imgrec_data_summary_init(imgrec_data_summary *summary,
                                        size_t struct_size);
/* set: the index of a data set in the call. */
IMGREC_API int imgrec_examination_summary(const imgrec_examination *examination,
                                          int set, imgrec_data_summary *out);

enum {
  /* Files of the same bytes; where images are packed, the same pixels. */
  IMGREC_DUPLICATE_EXACT = 1,
  /* The same picture saved or resized anew, as far as one can see: of hashes
   * of 64 bits at most 7 differ (a perceptual hash by the signs of the cosine
   * transform), and of 16 x 16 areas brightness differs by less than 1/12 of
   * its deviation and hue little.  Not found: mirrored or cropped ones. */
  IMGREC_DUPLICATE_NEAR = 2
};

typedef struct imgrec_duplicate {
  size_t struct_size;
  int64_t image, original; /* indices into their data sets at that time */
  int32_t set, original_set;
  int32_t kind;       /* IMGREC_DUPLICATE_* */
  int32_t same_label; /* by name; 0: the two are labelled differently */
  float difference;   /* 0 for exact ones, below 1/12 */
  int32_t reserved;
} imgrec_duplicate;

IMGREC_API int imgrec_duplicate_init(imgrec_duplicate *duplicate,
                                     size_t struct_size);
/* Each image that has duplicates before it in its own set is listed with the
 * first equal or else the nearest of them; likewise for each earlier set. In
 * the order of sets and images. */
IMGREC_API int64_t
imgrec_examination_duplicates(const imgrec_examination *examination);
IMGREC_API int
imgrec_examination_duplicate(const imgrec_examination *examination,
                             int64_t index, imgrec_duplicate *out);
/* Takes images out of a data set (not off the disk), such as those to validate
 * on that are trained on too.  indices: increasing.  IMGREC_ERR_ARGUMENT when
 * none would be left. */
IMGREC_API int imgrec_dataset_remove(imgrec_dataset *dataset,
                                     const int64_t *indices, int64_t count);

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
  float learning_rate;       /* of the last step */
  int32_t checkpoint_status; /* of the last writing of a file; 0: it is there,
                                or none was due */
} imgrec_progress;

/* What the callback below returns; any other value is STOP. */
enum {
  IMGREC_FIT_GO_ON = 0,
  IMGREC_FIT_STOP = 1,      /* ends training after this step */
  IMGREC_FIT_CHECKPOINT = 2 /* writes a checkpoint now */
};

/* Called after each step and once more at the end of each epoch.  Ended by it,
 * training keeps the best weights so far. */
typedef int (*imgrec_progress_fn)(void *user, const imgrec_progress *progress);

/* The learning rate of step t of T, counted from 0, as a factor of the
 * trainer's; W is the steps of warm-up. */
enum {
  IMGREC_SCHEDULE_CONSTANT = 0, /* 1 */
  IMGREC_SCHEDULE_STEP = 1,     /* step_factor ^ floor(t / steps in
                                   step_epochs) */
  /* f + (1 - f) (1 + cos(pi (t - W) / (T - W))) / 2, f being final_factor
   * (Loshchilov and Hutter 2017) */
  IMGREC_SCHEDULE_COSINE = 2,
  /* A half cosine from 1 / 25 up to 1 at step W - 1, and one down to
   * final_factor at step T - 1 (Smith and Topin 2018, as PyTorch has it) */
  IMGREC_SCHEDULE_ONE_CYCLE = 3
};

/* What is done about classes of different size. */
enum {
  IMGREC_BALANCE_NONE = 0,
  IMGREC_BALANCE_WEIGHTS = 1, /* the target of class c times images /
                                 (classes * images of c) */
  IMGREC_BALANCE_SAMPLER = 2  /* an epoch has as many images of each class:
                                 some of a large one, each of a small one
                                 several times */
};

typedef struct imgrec_fit_options {
  size_t struct_size;
  uint64_t seed;  /* of the order of images */
  int32_t epochs; /* 0: 10 */
  int32_t batch;  /* 0: the trainer's max_batch */
  imgrec_progress_fn progress;
  void *progress_user;
  int32_t schedule; /* IMGREC_SCHEDULE_* */
  /* W: of ONE_CYCLE where the rate rises, 0: 0.3 of all epochs; of the others
   * a rise before them, the factor times (t + 1) / W; 0: none. */
  float warmup_epochs;
  float step_epochs;    /* of STEP; 0: a third of all epochs */
  float step_factor;    /* of STEP, in (0, 1]; 0: 0.1 */
  float final_factor;   /* in [0, 1]; 0: 0 for COSINE, 1 / 250000 for
                           ONE_CYCLE */
  int32_t patience;     /* ends after so many epochs without a better one on
                           `val`; 0: never */
  int32_t balance;      /* IMGREC_BALANCE_* */
  int32_t reserved;     /* 0 */
  uint64_t cache_bytes; /* for images of files, kept decoded and resized after
                           the first epoch; 0: 256 MiB, or none in a context
                           with max_bytes; less than an image: none */
  const imgrec_augment *augment; /* of the training images; NULL: none */
  /* Paths, each of them NULL or of a file: */
  const char *checkpoint; /* written at the end of each epoch, when `progress`
                             asks for it, and when it ends training */
  const char *best;       /* the model with the best weights, written when
                             there are better ones */
  const char *resume;     /* a checkpoint of a training with the same options
                             and data, to go on from it */
} imgrec_fit_options;

typedef struct imgrec_fit_result {
  size_t struct_size;
  int32_t epochs;     /* completed */
  int32_t best_epoch; /* whose weights the model now has, from 1; 0: none */
  float train_loss;   /* of the last completed epoch */
  float val_loss;     /* of the best epoch; NaN without val */
  float val_accuracy;
  int32_t cancelled;         /* 1 when `progress` ended it */
  int32_t stopped_early;     /* 1 when `patience` ended it */
  int32_t checkpoint_status; /* as in imgrec_progress */
} imgrec_fit_result;

IMGREC_API int imgrec_fit_options_init(imgrec_fit_options *options,
                                       size_t struct_size);
IMGREC_API int imgrec_fit_result_init(imgrec_fit_result *result,
                                      size_t struct_size);
/* Epochs over `train`, each in a new order, validation on `val` (may be NULL)
 * after each.  At the end the model has the weights of the epoch with the
 * highest validation accuracy (the lower loss where equal), or the last
 * without val; cancelled in its first epoch, those it then has.  With the
 * trainer's ema_decay it is the averages that are validated and kept.  The
 * schedule moves the trainer's learning rate, which is at the end what it was.
 * Losses of training are what is trained on: with label smoothing, class
 * weights, and images augmented and mixed.  Images are preprocessed as the
 * model says, those of `train` augmented with `seed` and the epoch; a model
 * without labels takes those of `train`.  With more than one epoch, images of
 * files are kept decoded in up to cache_bytes, of which at most half of what
 * max_bytes leaves; of the input's size or, where augmentation moves parts of
 * pixels, 1.6 times the bytes.  `result` may be NULL.  When training fails, the
 * model has the best weights so far, those from before the call where no epoch
 * was completed, and the trainer's moments begin anew: IMGREC_ERR_DIVERGED when
 * loss or weights are no longer finite, IMGREC_ERR_IO and _FORMAT of images,
 * _MEMORY.
 * Stopped at any moment and resumed from its last checkpoint, training ends
 * with the bits of one that was never stopped.  Only the number of epochs may
 * be another one; seed, batch, number of images and the trainer's options are
 * compared, the images are not (imgrec_dataset_digest does that).  That a
 * checkpoint or `best` cannot be written is a warning in the log; training goes
 * on, and writes them when they are due again. */
IMGREC_API int imgrec_fit(imgrec_trainer *trainer, imgrec_dataset *train,
                          imgrec_dataset *val,
                          const imgrec_fit_options *options,
                          imgrec_fit_result *result);

/* Where a checkpoint of imgrec_fit stands. */
typedef struct imgrec_checkpoint {
  size_t struct_size;
  int64_t images, images_total;     /* done of `epoch` */
  int32_t epoch, epochs;            /* from 1 */
  int32_t epoch_done;               /* 1 when it is the end of `epoch` */
  int32_t best_epoch;               /* 0: none */
  float train_loss, train_accuracy; /* of these images */
  float val_loss, val_accuracy;     /* of the best epoch */
} imgrec_checkpoint;

IMGREC_API int imgrec_checkpoint_init(imgrec_checkpoint *checkpoint,
                                      size_t struct_size);
/* IMGREC_ERR_FORMAT when the file is damaged, or of no imgrec_fit. */
IMGREC_API int imgrec_checkpoint_read(imgrec_context *ctx, const char *path,
                                      imgrec_checkpoint *out);

/* How well one class is recognised, or the mean over classes. */
typedef struct imgrec_class_score {
  int64_t images;  /* that are of this class */
  int64_t answers; /* that were taken for it */
  int64_t right;   /* that are both */
  /* right / answers, right / images, and their harmonic mean, 2 right / (images
   * + answers); NaN where that is 0 / 0. */
  double precision, recall, f1;
} imgrec_class_score;

/* Images whose answer had a probability in the i-th of
 * IMGREC_RELIABILITY_BINS equal parts of [0, 1]. */
#define IMGREC_RELIABILITY_BINS 15
typedef struct imgrec_reliability {
  int64_t images, right;
  double probability; /* the sum of their answers' */
} imgrec_reliability;

/* Told of each image that imgrec_evaluate has measured, in the order of the
 * data set: its index there, its class, and the probability of each class (as
 * classify gives them), borrowed until the return.  May ask the data set and
 * the model what they are.  A non-zero return ends the evaluation with
 * IMGREC_ERR_CANCELLED. */
typedef int (*imgrec_answer_fn)(void *user, int64_t index, int class_index,
                                const float *probabilities);

typedef struct imgrec_rate_options {
  size_t struct_size;
  uint64_t seed;   /* of the order of images */
  float low, high; /* of the rates that are tried; 0: 1e-6, and 1 (for SGD
                      10) */
  int32_t batch;   /* 0: the trainer's max_batch */
  int32_t reserved;
} imgrec_rate_options;

IMGREC_API int imgrec_rate_options_init(imgrec_rate_options *options,
                                        size_t struct_size);
/* Looks for a learning rate (Smith 2017): `steps` (10 to 100000) steps of
 * training, each at a rate that is by the same factor higher, until the loss is
 * four times its least.  rates and losses: room for `steps` numbers each, the
 * loss being a running mean over some ten steps; *suggestion: a tenth of the
 * rate at which that was least, 0 where it never fell.  Returns how many steps
 * were made.  The weights and the trainer's rate are as before, its moments
 * begin anew.  IMGREC_ERR_IO and _FORMAT of images, _MEMORY. */
IMGREC_API int imgrec_find_rate(imgrec_trainer *trainer, imgrec_dataset *train,
                                const imgrec_rate_options *options, int steps,
                                float *rates, float *losses, float *suggestion);

typedef struct imgrec_evaluation {
  size_t struct_size;
  int64_t images;
  double loss;        /* mean softmax cross-entropy */
  double top1, top5;  /* fractions; a class counts when fewer than 1 (5)
                         others are more probable */
  int64_t *confusion; /* set before the call: NULL, or classes x classes
                         counts, row = true class, column = answer */
  /* Where the true fraction for such images lies with 95 % confidence. */
  double top1_low, top1_high;
  /* Means over the classes that have images; precision, where a class was
   * never the answer, counts as 0. */
  double macro_precision, macro_recall, macro_f1;
  /* Expected calibration error of the model's probabilities: the mean, over
   * images, of |share of right answers - mean probability| of their bin. */
  double calibration_error;
  double rejected; /* the fraction that imgrec_model_rejects */
  /* Set before the call: */
  imgrec_class_score *scores; /* NULL, or one for each class */
  imgrec_reliability *bins;   /* NULL, or IMGREC_RELIABILITY_BINS */
  imgrec_answer_fn answer;    /* NULL: not told */
  void *answer_user;
} imgrec_evaluation;

IMGREC_API int imgrec_evaluation_init(imgrec_evaluation *evaluation,
                                      size_t struct_size);
IMGREC_API int imgrec_evaluate(imgrec_model *model, imgrec_dataset *dataset,
                               imgrec_evaluation *out);
/* The interval in which the fraction behind `right` of `images` lies with 95 %
 * confidence (Wilson 1927); [0, 1] of no images. */
IMGREC_API void imgrec_wilson_interval(int64_t right, int64_t images,
                                       double interval[2]);
/* Scores from classes x classes counts, row = true class, column = answer.
 * scores: one for each class, or NULL; macro: as in imgrec_evaluation, its
 * counts being sums, or NULL. */
IMGREC_API int imgrec_confusion_scores(imgrec_class_score *scores,
                                       imgrec_class_score *macro,
                                       const int64_t *confusion, int classes);

typedef struct imgrec_calibrate_options {
  size_t struct_size;
  float reject_rate; /* in [0, 1): the fraction of the images that the threshold
                        may reject; 0: none, no threshold */
  int32_t reserved;
} imgrec_calibrate_options;

typedef struct imgrec_calibrate_result {
  size_t struct_size;
  int64_t images;
  double loss_before, loss_after;   /* mean cross-entropy */
  double error_before, error_after; /* expected calibration errors */
  double rejected;                  /* the fraction below the threshold */
} imgrec_calibrate_result;

IMGREC_API int imgrec_calibrate_options_init(imgrec_calibrate_options *options,
                                             size_t struct_size);
IMGREC_API int imgrec_calibrate_result_init(imgrec_calibrate_result *result,
                                            size_t struct_size);
/* Gives the model the temperature in [1/4, 16] that makes its probabilities
 * most likely on `validation`, images it has not learned from (1, where another
 * gains no more than chance would, at 95 % confidence), and the greatest
 * reject threshold that rejects no more than `reject_rate` of them.  `options`
 * (0.05) and `result` may be NULL.  On failure the model is as before. */
IMGREC_API int imgrec_model_calibrate(imgrec_model *model,
                                      imgrec_dataset *validation,
                                      const imgrec_calibrate_options *options,
                                      imgrec_calibrate_result *result);

/* ---- Quantization ------------------------------------------------------- */

/* How the range of a layer's input is chosen (docs/quantization.md). */
enum {
  IMGREC_RANGE_MSE = 0,   /* of least mean square error */
  IMGREC_RANGE_MINMAX = 1 /* all that was seen */
};

typedef struct imgrec_quantize_options {
  size_t struct_size;
  int32_t images;    /* to calibrate with, spread over the data set; 0: 512 */
  int32_t range;     /* IMGREC_RANGE_* */
  int32_t max_batch; /* of the new model; 0: that of `model` */
  int32_t reserved;
} imgrec_quantize_options;

IMGREC_API int imgrec_quantize_options_init(imgrec_quantize_options *options,
                                            size_t struct_size);
/* A new model for inference whose convolutions and dense layers compute in
 * 8 bits: weights i8 with a scale for each output channel, their inputs u8 with
 * the range that they take over `calibration` (whose labels do not matter),
 * sums exact.  Labels and preprocessing are those of `model`, which stays as it
 * was.  IMGREC_ERR_UNSUPPORTED for a model that is INT8 already or has no such
 * layer, _DIVERGED where a layer's input is not finite. */
IMGREC_API int imgrec_model_quantize(imgrec_model **out, imgrec_model *model,
                                     imgrec_dataset *calibration,
                                     const imgrec_quantize_options *options);

#ifdef __cplusplus
}
#endif

#endif
