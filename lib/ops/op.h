/* SPDX-License-Identifier: MIT */
/* Floor 4: operators.  One file an operator, its forward and backward side by
 * side.  Here is what they share: shapes, nodes, parameters, one run. */
#ifndef IMGREC_OP_H
#define IMGREC_OP_H

#include "tensor.h"

#include "kernels/kernels.h"

/* The activation of one image: h x w x c; flat ones are 1 x 1 x c. */
struct shape {
  int64_t h, w, c;
  int flat;
};

static inline size_t shape_count(const struct shape *s) {
  return (size_t)s->h * (size_t)s->w * (size_t)s->c;
}
static inline size_t shape_pixels(const struct shape *s) {
  return (size_t)s->h * (size_t)s->w;
}

/* How a parameter lies in memory against its layout in files (PyTorch's). */
enum layout {
  LAYOUT_VECTOR,   /* the same */
  LAYOUT_CONV,     /* file O x I x H x W, memory H x W x I x O */
  LAYOUT_DENSE,    /* file out x in, memory in x out */
  LAYOUT_DENSE_CHW /* the same, with the inputs in C, H, W order in the file */
};

/* Weights of a convolution or dense layer as bytes, and how its input becomes
 * bytes (qweights.c).  For output o and input x, both real numbers,
 *   w = weight_scale[o] * i8,   x = input_scale * (u8 - input_zero) */
struct quantized {
  float input_scale;
  int32_t input_zero;
  float *weight_scale; /* O */
  size_t outputs, groups, k;
  size_t run;    /* weights that meet bytes which lie together (struct qtile) */
  size_t padded; /* outputs of a group, rounded up to Q_COLS */
  int depthwise; /* weights lie as taps x padded, groups counting as one */
  size_t bytes;  /* of all of this in memory */
  int8_t *values; /* panels of each group (kernels.h) */
  /* Of _quantized_finish: - input_zero * the sum of weights (of each block,
   * where sums are long); `padded` numbers a group. */
  int32_t *shift;
};

enum fill { FILL_ZERO, FILL_ONE, FILL_RANDOM };

struct param {
  char name[80]; /* "conv1.weight" */
  int ndim;
  int64_t dim[4];      /* in the file's layout */
  struct shape source; /* LAYOUT_DENSE_CHW: what was flattened */
  enum layout layout;
  enum fill fill;
  int trainable;
  size_t fan_in, fan_out;
  size_t count;
  float *data; /* set by the model */
  int int8;    /* has `quantized` instead of data */
  struct quantized *quantized;
};

enum { NODE_MAX_INPUTS = 8, NODE_MAX_PARAMS = 4, OP_NAME_MAX = 64 };

/* A layer of the graph.  Node i makes value i; node 0 is the input. */
struct node {
  const struct op *op;
  char name[OP_NAME_MAX];
  int used;   /* whether a later node reads its value */
  int frozen; /* its parameters stay */
  int layer;  /* of the text: a layer with an activation makes two nodes; the
                 input's, 0, where a node is of none */
  int inputs[NODE_MAX_INPUTS], input_count;
  struct shape in[NODE_MAX_INPUTS], out;
  struct param params[NODE_MAX_PARAMS];
  int param_count;
  /* What the text said. */
  int64_t units; /* filters of conv2d, outputs of dense */
  int64_t kernel[2], stride[2], dilation[2], groups;
  int64_t pad[4]; /* top, left, bottom, right */
  int pad_same, bias, flatten_chw;
  /* The value is a flattened image whose order in files is C, H, W; h is 0
   * where it is not. */
  struct shape chw;
  float alpha, epsilon, momentum, rate;
  int activation; /* enum activation */
};

static inline int param_learns(const struct node *n, int k) {
  return k < n->param_count && n->params[k].trainable && !n->frozen;
}

/* An optimiser's step, Adam's or, without moment2, that of gradient descent
 * with momentum.  Moments lie as the weights do. */
struct update {
  const struct kernels *kernels;
  const float *weights; /* the first of all parameters */
  float *moment1, *moment2;
  float rate; /* Adam's is corrected for bias */
  float momentum, beta1, beta2, epsilon;
  float scale; /* of gradients */
  int nesterov;
  /* Of weights: added to gradients, times this, or taken off the weights. */
  float decay, shrink;
};

/* What is particular about a parameter. */
struct update_rule {
  float rate; /* a factor of the update's, and of its shrink */
  int decays;
};

/* One node at work.  x, dx: an array per input; dx[i] NULL where nobody needs
 * it; arrays hold `batch` images. */
struct run {
  struct imgrec_context *context;
  const struct node *node;
  size_t batch;
  int training;
  const float *x[NODE_MAX_INPUTS];
  float *y;
  float *dy; /* backward may write over it */
  float *dx[NODE_MAX_INPUTS];
  float *dparam[NODE_MAX_PARAMS]; /* gradients; NULL: not wanted */
  /* With it, an operator with OP_UPDATES applies the gradient of params[0] at
   * once instead of writing it, when it has no more need of the old weights. */
  const struct update *update;
  const struct update_rule *rule; /* of params[0] */
  int accumulate;                 /* add to dparam instead of writing it */
  float *saved;                   /* kept from forward to backward */
  float *scratch;
  float *prepared; /* what `prepare` made of the weights */
  /* Layers that follow and that this node does along (plan.c), or NULL; y and
   * dy are then those of the last of them. */
  const struct node *bn, *act, *pool;
  uint8_t *won;        /* of pool, while training */
  uint64_t seed, step; /* of dropout and drop_path */
};

/* What an operator can do along with its own work.  OP_TAKES_BN and
 * OP_TAKES_RELU6: at inference only. */
enum {
  OP_TAKES_BN = 1,
  OP_TAKES_RELU = 2,
  OP_TAKES_RELU6 = 4,
  OP_TAKES_POOL = 8 /* 2 x 2 max pooling */
};

enum {
  OP_IN_PLACE = 1, /* y may be x[0], and dx[0] may be dy */
  OP_USES_X = 2,   /* backward reads x */
  OP_USES_Y = 4,   /* backward reads y */
  OP_UPDATES = 8   /* backward can do without dparam[0]: see struct run */
};

struct op {
  const char *type;   /* in the text */
  const char *prefix; /* of default names */
  int min_inputs, max_inputs;
  /* Checks n->in, sets n->out and the parameters. */
  int (*setup)(struct node *n, struct error *e);
  unsigned (*flags)(const struct node *n);
  /* Floats of r.saved and r.scratch (the larger of both directions when
   * training); NULL: none. */
  size_t (*saved)(const struct node *n, size_t batch);
  size_t (*scratch)(const struct node *n, size_t batch, int training);
  int64_t (*multiply_adds)(const struct node *n); /* NULL: none */
  /* How forward computes this node, and a phrase why; NULL: no choice. */
  const char *(*algorithm)(const struct node *n, const char **reason);
  void (*forward)(const struct run *r);
  void (*backward)(const struct run *r);
  /* What it can take along (OP_TAKES_), of this node; NULL: nothing. */
  unsigned (*takes)(const struct node *n, int training);
  /* Floats of r.prepared, and filling them, when weights have changed. */
  size_t (*prepared)(const struct node *n);
  void (*prepare)(const struct run *r);
};

extern const struct op imgrec__op_input, imgrec__op_conv2d,
    imgrec__op_depthwise_conv2d, imgrec__op_max_pool2d, imgrec__op_min_pool2d,
    imgrec__op_avg_pool2d, imgrec__op_global_avg_pool2d,
    imgrec__op_global_max_pool2d, imgrec__op_dense, imgrec__op_flatten,
    imgrec__op_batch_norm, imgrec__op_dropout, imgrec__op_drop_path,
    imgrec__op_softmax, imgrec__op_add, imgrec__op_mul, imgrec__op_concat;
/* One for each activation, in the order of enum activation. */
extern const struct op imgrec__op_activation[ACT_COUNT];

/* ---- quantized.c, qweights.c: layers in bytes ---------------------------- */

/* The operator of a convolution or dense layer in bytes, NULL for others. */
const struct op *imgrec__quantized_op(const struct node *n);
/* Zeros, for params[0]; NULL when out of memory. */
struct quantized *imgrec__quantized_new(struct allocator *a,
                                        const struct node *n);
/* What it allocates. */
size_t imgrec__quantized_bytes(const struct node *n);
/* The weight whose place in the memory of floats would be `index`. */
int8_t *imgrec__quantized_value(const struct quantized *q, size_t index);
/* values and weight_scale from floats as they lie in memory. */
void imgrec__quantized_round(struct quantized *q, const float *weights);
/* Once values and input_zero are set. */
void imgrec__quantized_finish(struct quantized *q);
/* Where output o is in arrays of `padded` numbers a group. */
size_t imgrec__quantized_column(const struct quantized *q, size_t o);

/* ---- Convolutions -------------------------------------------------------- */

/* One job for the drivers in conv_rows.c and conv_winograd.c: a convolution of
 * planes, which is also how its gradient by the input is computed.
 *   x: images of x.height x x.width x x.channels, w: taps x C/G x O,
 *   out: out.height x out.width x out.channels, each image's behind the last */
struct conv {
  struct imgrec_context *context;
  size_t batch, groups;
  int kernel[2], stride[2], dilation[2], pad[2]; /* pad: above, left */
  struct plane x;
  struct output out;
  const float *w; /* panels (conv_rows.c) or transformed (conv_winograd.c) */
};

/* Columns of a panel of prepared weights are padded to a multiple of this. */
enum { PANEL_COLUMNS = 32 };

/* Sums over the images' pixels of x * dy: dw (taps x C/G x O), by `dy` in the
 * place of c->out.  scratch: imgrec__*_gradient_scratch() floats. */
struct conv_gradient {
  const struct conv *conv;
  const struct plane *dy;
  float *dw, *scratch;
  int accumulate;
};

/* The plane of image number `image`, the first being `first`. */
struct plane imgrec__plane_of(const struct plane *first, size_t image);

/* n pixels of row y of a plane from column x on, zeros where it has none. */
void imgrec__copy_row(const struct kernels *k, float *dst,
                      const struct plane *p, ptrdiff_t y, ptrdiff_t x,
                      size_t n);

/* conv_rows.c: rows of pixels times panels, for any convolution. */
int imgrec__rows_fits(const struct conv *c);
size_t imgrec__rows_prepared(const struct conv *c);
void imgrec__rows_prepare(const struct conv *c, const float *w, float *out);
void imgrec__rows_forward(const struct conv *c);
int imgrec__rows_gradient_fits(const struct conv *c);
size_t imgrec__rows_gradient_scratch(const struct conv *c);
void imgrec__rows_gradient(const struct conv_gradient *g);

/* conv_winograd.c: 3 x 3 with a stride of 1. */
int imgrec__winograd_fits(const struct conv *c);
size_t imgrec__winograd_prepared(const struct conv *c);
void imgrec__winograd_prepare(const struct conv *c, const float *w, float *out);
void imgrec__winograd_forward(const struct conv *c);
int imgrec__winograd_gradient_fits(const struct conv *c);
size_t imgrec__winograd_gradient_scratch(const struct conv *c);
void imgrec__winograd_gradient(const struct conv_gradient *g);

/* conv_scatter.c: the gradient by the input, dx as c->x lies; w as the layer
 * has it, prepared: room for it; a dy behind a pooling has to fit. */
int imgrec__scatter_fits(const struct conv *c);
size_t imgrec__scatter_prepared(const struct conv *c);
void imgrec__scatter_gradient(const struct conv *c, const struct plane *dy,
                              const float *w, float *dx, float *prepared);

/* conv_winners.c: both gradients behind a 2 x 2 max pooling. */
int imgrec__winners_fits(const struct conv *c);
size_t imgrec__winners_gradient_scratch(const struct conv *c);
void imgrec__winners_gradient(const struct conv_gradient *g);
int imgrec__winners_input_fits(const struct conv *c);
size_t imgrec__winners_prepared(const struct conv *c);
void imgrec__winners_input_gradient(const struct conv *c,
                                    const struct plane *dy, const float *w,
                                    float *dx, float *prepared);

/* conv_patches.c: anything, slowly; without an epilogue but for a bias, and
 * from a dy that is plain. */
void imgrec__patches_forward(const struct conv *c, const float *bias);
size_t imgrec__patches_gradient_scratch(const struct conv *c);
void imgrec__patches_gradient(const struct conv_gradient *g);

/* batch_norm.c: inference as y = x scale[c] + shift[c]. */
void imgrec__bn_factors(const struct node *n, float *scale, float *shift);

/* ---- op.c: what several operators need ---------------------------------- */

/* "24 x 24 x 3", or "128" for a flat shape. */
const char *imgrec__shape_text(const struct shape *s, char buffer[64]);
int imgrec__fail_node(struct error *e, const struct node *n, const char *format,
                      ...) PRINTF_LIKE(3, 4);
/* A new parameter of n, called "<node>.<suffix>". */
struct param *imgrec__add_param(struct node *n, const char *suffix, int ndim,
                                const int64_t *dim, enum layout layout);
/* Output size of a window along both axes, padding resolved into n->pad;
 * fails when the window is larger than the padded input. */
int imgrec__window_setup(struct node *n, struct error *e);
/* fn(arg, begin, end) over [0, count) in fixed pieces, in parallel. */
typedef void (*imgrec__range_fn)(const void *arg, size_t begin, size_t end);
void imgrec__parallel_range(struct imgrec_context *ctx, size_t count,
                            size_t piece, imgrec__range_fn fn, const void *arg);
/* Makes r->dy, behind a ReLU done along, that before it. */
void imgrec__mask_gradient(const struct run *r);
/* Sums over rows x c as sum_rows of the kernels, split into pieces fixed by
 * the shape and added in a fixed order.  `partial` has
 * imgrec__column_sums_scratch() floats. */
void imgrec__column_sums(struct imgrec_context *ctx, double *sum, double *dot,
                         const float *x, const float *y, size_t rows, size_t c,
                         float *partial);
size_t imgrec__column_sums_scratch(size_t rows, size_t c);
/* out[c] (+)= the sum of r->dy (rows x c) over its rows, masked first as
 * imgrec__mask_gradient does, in r->scratch of imgrec__bias_scratch() floats;
 * only masks it where out is NULL. */
void imgrec__bias_gradient(const struct run *r, float *out, size_t rows,
                           size_t c);
size_t imgrec__bias_scratch(size_t rows, size_t c);

/* ---- update.c ----------------------------------------------------------- */

/* Steps n weights at w, and their moments, by their gradient g. */
void imgrec__update(const struct update *u, const struct update_rule *rule,
                    float *w, const float *g, size_t n);

#endif
