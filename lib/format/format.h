/* SPDX-License-Identifier: MIT */
/* Floor 6: model files.  safetensors.c reads any such file within bounds and
 * knows no model; metadata.c and model_json.c turn what a model knows into
 * strings and back; weights.c fits tensors to parameters. */
#ifndef IMGREC_FORMAT_H
#define IMGREC_FORMAT_H

#include "model/graph.h"

/* Numbers of `size` bytes from the order of model files, which is
 * little-endian, to this machine's, or back; in place. */
static inline void imgrec__file_order(void *numbers, size_t count,
                                      size_t size) {
  unsigned char *p = numbers;
  if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
    return;
  for (; count > 0; count--, p += size)
    for (size_t i = 0; i < size / 2; i++) {
      unsigned char byte = p[i];
      p[i] = p[size - 1 - i];
      p[size - 1 - i] = byte;
    }
}

/* ---- safetensors.c ------------------------------------------------------ */

/* What one header may have at most, as the safetensors library says too. */
#define FORMAT_HEADER_MAX ((uint64_t)100000000)
/* Larger files are not read. */
#define FORMAT_FILE_MAX ((uint64_t)16 << 30)

enum { STORED_MAX_DIM = 8 };

/* The ones that can become weights; the others only have a size. */
enum widen { WIDEN_NONE, WIDEN_F16, WIDEN_BF16, WIDEN_F32, WIDEN_F64 };

struct stored_type {
  const char *name; /* "F32" */
  unsigned size;    /* bytes an element */
  enum widen widen;
};

/* A tensor of the file, in bytes [begin, end) of its data section. */
struct stored {
  char *name;
  const struct stored_type *type;
  int ndim;
  int64_t dim[STORED_MAX_DIM];
  uint64_t count; /* elements */
  uint64_t begin, end;
};

/* The text and the data are those of the bytes that it was parsed from. */
struct safetensors {
  struct allocator *allocator;
  struct json header;
  int metadata;           /* the value of __metadata__, -1: none */
  struct stored *tensors; /* by name */
  size_t count;
  const unsigned char *data;
  size_t data_size;
};

int imgrec__safetensors_parse(struct safetensors *out, struct allocator *a,
                              struct error *e, const void *bytes, size_t size);
void imgrec__safetensors_free(struct safetensors *f);
/* NULL when there is none of this name. */
struct stored *imgrec__safetensors_find(const struct safetensors *f,
                                        const char *name);
/* The string as a new C string; `what` is for the sentence.  A character NUL
 * in it is IMGREC_ERR_FORMAT. */
int imgrec__format_string(char **out, const struct json *j, int value,
                          struct error *e, const char *what);
/* A name from a file made fit for a sentence: no control characters, and not
 * longer than the buffer. */
const char *imgrec__printable(const char *name, char buffer[96]);

/* Whether its dtype is this one. */
int imgrec__stored_is(const struct stored *t, const char *type);

/* ---- Checkpoints: model files that training goes on from ---------------- */

/* Numbers beside the weights, one for each or for some of them; in a file a
 * tensor "optim.moment1.conv1.weight" for each parameter that has any. */
struct attachment {
  const char *prefix; /* "optim.moment1." */
  float *values;      /* as the model's weights lie, or at `places` */
  const struct gradient_place *places; /* one a node, or NULL */
};

enum { ATTACHMENTS_MAX = 8 };

/* What a checkpoint has beside the model. */
struct checkpoint {
  const char *train; /* a JSON object as text: imgrec.train */
  struct attachment attached[ATTACHMENTS_MAX];
  size_t count;
};

/* ---- safetensors_write.c ------------------------------------------------ */

/* SHA-256 of the data section that _write makes; c may be NULL. */
int imgrec__safetensors_hash(const struct imgrec_model *m,
                             const struct checkpoint *c, char hex[65]);
/* Gives all of the file to `sink`, piece by piece; `metadata` is a JSON object
 * as text. */
typedef void (*sink_fn)(void *sink, const void *bytes, size_t n);
int imgrec__safetensors_write(const struct imgrec_model *m,
                              const struct checkpoint *c, const char *metadata,
                              sink_fn give, void *sink);

/* ---- metadata.c --------------------------------------------------------- */

/* All of __metadata__ as a JSON object, keys sorted; c may be NULL. */
int imgrec__metadata_write(struct text *out, const struct imgrec_model *m,
                           const struct checkpoint *c);
/* imgrec.train of a checkpoint as a new string, checked against its hash. */
int imgrec__metadata_train(char **out, const struct safetensors *f,
                           struct error *e);
int imgrec__metadata_is_checkpoint(const struct safetensors *f);
/* That f is an imgrec model which this version can run, and that what it says
 * matches its hashes. */
int imgrec__metadata_check(const struct safetensors *f, struct error *e);
/* The data section alone, where the file has a hash of it. */
int imgrec__metadata_check_data(const struct safetensors *f, struct error *e);
/* imgrec.arch as a new string. */
int imgrec__metadata_arch(char **out, const struct safetensors *f,
                          struct error *e);
/* Labels, preprocessing and calibration of f become the model's. */
int imgrec__metadata_apply(struct imgrec_model *m, const struct safetensors *f);
int imgrec__metadata_apply_preprocess(struct imgrec_model *m,
                                      const struct safetensors *f);
/* Whether f says that it is an imgrec model, and not weights alone. */
int imgrec__metadata_is_model(const struct safetensors *f);

/* ---- model_file.c ------------------------------------------------------- */

/* imgrec_model_save, with what makes it a checkpoint where c is not NULL. */
int imgrec__model_write(const struct imgrec_model *m,
                        const struct checkpoint *c, const char *path);

/* ---- checkpoint_file.c -------------------------------------------------- */

/* An open checkpoint; all zero: none. */
struct checkpoint_file {
  struct imgrec_context *context;
  struct blob bytes;
  struct safetensors file;
  char *text;        /* imgrec.train */
  struct json train; /* the same, parsed */
};

/* Reads it and checks its hashes. */
int imgrec__checkpoint_open(struct checkpoint_file *out,
                            struct imgrec_context *ctx, const char *path);
void imgrec__checkpoint_close(struct checkpoint_file *file);
/* Whether all of it fits the model and `c`, whose `train` does not count. */
int imgrec__checkpoint_check(const struct checkpoint_file *file,
                             const struct imgrec_model *m,
                             const struct checkpoint *c);
/* Weights of m and values of c from a file that has passed that. */
void imgrec__checkpoint_import(const struct checkpoint_file *file,
                               struct imgrec_model *m,
                               const struct checkpoint *c);

/* ---- model_json.c -------------------------------------------------------- */

/* m has labels; preprocessing is one that imgrec__preprocess_check passes. */
void imgrec__labels_write(struct text *t, const struct imgrec_model *m);
void imgrec__preprocess_write(struct text *t, const imgrec_preprocess *p);
void imgrec__calibration_write(struct text *t, const imgrec_calibration *c);
/* From a parsed value to m. */
int imgrec__labels_apply(struct imgrec_model *m, const struct json *j);
int imgrec__preprocess_apply(struct imgrec_model *m, const struct json *j);
int imgrec__calibration_apply(struct imgrec_model *m, const struct json *j);

/* ---- weights.c ---------------------------------------------------------- */

/* Where each parameter of a graph, in order, is in a file. */
struct match {
  struct allocator *allocator;
  const struct stored **sources;
  size_t count;
  uint64_t largest; /* elements of the largest tensor */
  size_t skipped;   /* of them that have none and keep their values */
};

/* The next parameter of g behind `at`, which starts as {0, 0}; NULL at the
 * end. */
struct cursor {
  int node, index;
};
struct param *imgrec__next_param(const struct graph *g, struct cursor *at);
/* The values of `a` for p, which the cursor has just come by; NULL where it has
 * none. */
float *imgrec__attached_values(const struct attachment *a,
                               const struct imgrec_model *m,
                               const struct param *p, struct cursor at);
/* Its tensor's name. */
enum { ATTACHED_NAME = 192 };
void imgrec__attached_name(char name[ATTACHED_NAME], const struct attachment *a,
                           const struct param *p);

/* ---- int8.c: weights that are bytes, with what goes with them ------------ */

/* What a file has of them beside "conv1.weight". */
enum side {
  SIDE_WEIGHT_SCALE, /* conv1.weight_scale: F32, O */
  SIDE_INPUT_SCALE,  /* conv1.input_scale: F32, one number */
  SIDE_INPUT_ZERO,   /* conv1.input_zero_point: U8, one number */
  SIDE_COUNT
};

/* Shape and type of one of them; p is the weights. */
struct side_tensor {
  char name[96];
  const char *type;
  int ndim;
  int64_t dim[1];
};

struct side_tensor imgrec__side_tensor(const struct param *p, enum side side);
/* Marks the parameters of g that f has as I8 and that can be. */
void imgrec__mark_int8(struct graph *g, const struct safetensors *f);
/* Values and sides of one that is marked, all of which f has.  The sentence
 * names the scale that is none. */
int imgrec__import_int8(struct imgrec_context *ctx, const struct param *p,
                        const struct stored *values,
                        const struct safetensors *f);

/* ---- weights.c, matching ------------------------------------------------- */

/* IMGREC_ERR_SHAPE unless names and shapes of f are just those of g. */
int imgrec__match(struct match *out, const struct graph *g,
                  const struct safetensors *f, struct error *e);
/* The same, but that parameters of nodes from `head` on need not fit: where one
 * of them does not, none has a source. */
int imgrec__match_but(struct match *out, const struct graph *g,
                      const struct safetensors *f, int head, struct error *e);
void imgrec__match_free(struct match *match);
/* Sets all weights of m, whose graph is the one that was matched; `what` is
 * the file, for a warning. */
int imgrec__match_import(const struct match *match, struct imgrec_model *m,
                         const struct safetensors *f, const char *what);

#endif
