/* SPDX-License-Identifier: MIT */
/* A naive interpreter of a graph's nodes in f64, forward only: the formulas of
 * lib/ops as plain loops, for comparison.  Include behind cmocka.h. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/graph.h"

struct reference {
  const struct graph *graph;
  size_t batch;
  int training;
  uint64_t seed, step; /* of dropout */
  const float *base;   /* the weights that the graph's parameters lie in */
  double *weights;     /* the same in f64, which may be changed */
  double **values;     /* one a node */
};

/* A node at work: in and out hold `batch` images. */
struct ref_node {
  const struct reference *r;
  const struct node *n;
  const double *in[NODE_MAX_INPUTS];
  double *out;
};

static inline const double *ref_param(const struct ref_node *j, int k) {
  return j->r->weights + (j->n->params[k].data - j->r->base);
}

static inline size_t ref_count(const struct ref_node *j) {
  return j->r->batch * shape_count(&j->n->out);
}

/* ---- Windows ------------------------------------------------------------- */

static inline double ref_pixel(const double *x, const struct shape *s,
                               size_t image, int64_t y, int64_t col,
                               int64_t c) {
  return x[((int64_t)image * s->h + y) * s->w * s->c + col * s->c + c];
}

static inline int ref_inside(const struct shape *s, int64_t y, int64_t x) {
  return y >= 0 && y < s->h && x >= 0 && x < s->w;
}

static inline double ref_conv_at(const struct ref_node *j, size_t image,
                                 int64_t oy, int64_t ox, int64_t o) {
  const struct node *n = j->n;
  const double *w = ref_param(j, 0);
  int64_t cg = n->in[0].c / n->groups, c0 = o / (n->units / n->groups) * cg;
  double sum = n->bias ? ref_param(j, 1)[o] : 0;
  for (int64_t ky = 0; ky < n->kernel[0]; ky++)
    for (int64_t kx = 0; kx < n->kernel[1]; kx++) {
      int64_t y = oy * n->stride[0] + ky * n->dilation[0] - n->pad[0];
      int64_t x = ox * n->stride[1] + kx * n->dilation[1] - n->pad[1];
      const double *tap = w + (ky * n->kernel[1] + kx) * cg * n->units + o;
      for (int64_t c = 0; c < cg && ref_inside(&n->in[0], y, x); c++)
        sum += tap[c * n->units] *
               ref_pixel(j->in[0], &n->in[0], image, y, x, c0 + c);
    }
  return sum;
}

static inline double ref_pool_at(const struct ref_node *j, size_t image,
                                 int64_t oy, int64_t ox, int64_t c) {
  const struct node *n = j->n;
  int mean = strstr(n->op->type, "avg") != NULL;
  int sign = strstr(n->op->type, "min") ? -1 : 1;
  double sum = 0, best = -INFINITY, count = 0;
  for (int64_t ky = 0; ky < n->kernel[0]; ky++)
    for (int64_t kx = 0; kx < n->kernel[1]; kx++) {
      int64_t y = oy * n->stride[0] + ky - n->pad[0];
      int64_t x = ox * n->stride[1] + kx - n->pad[1];
      if (!ref_inside(&n->in[0], y, x))
        continue;
      double v = ref_pixel(j->in[0], &n->in[0], image, y, x, c);
      sum += v;
      count++;
      best = fmax(best, sign * v);
    }
  return mean ? sum / count : sign * best;
}

typedef double (*ref_at)(const struct ref_node *j, size_t image, int64_t oy,
                         int64_t ox, int64_t c);

static inline void ref_each(const struct ref_node *j, ref_at at) {
  const struct shape *s = &j->n->out;
  double *out = j->out;
  for (size_t image = 0; image < j->r->batch; image++)
    for (int64_t y = 0; y < s->h; y++)
      for (int64_t x = 0; x < s->w; x++)
        for (int64_t c = 0; c < s->c; c++)
          *out++ = at(j, image, y, x, c);
}

/* ---- Dense, batch_norm --------------------------------------------------- */

static inline void ref_dense(const struct ref_node *j) {
  size_t in = (size_t)j->n->in[0].c, out = (size_t)j->n->out.c;
  const double *w = ref_param(j, 0);
  for (size_t i = 0; i < j->r->batch; i++)
    for (size_t o = 0; o < out; o++) {
      double sum = j->n->bias ? ref_param(j, 1)[o] : 0;
      for (size_t k = 0; k < in; k++)
        sum += j->in[0][i * in + k] * w[k * out + o];
      j->out[i * out + o] = sum;
    }
}

/* Mean and (biased) variance of channel c over all pixels of the batch. */
static inline void ref_moments(const struct ref_node *j, size_t c, double *mean,
                               double *var) {
  size_t channels = (size_t)j->n->out.c, rows = ref_count(j) / channels;
  *mean = *var = 0;
  for (size_t i = 0; i < rows; i++)
    *mean += j->in[0][i * channels + c] / (double)rows;
  for (size_t i = 0; i < rows; i++)
    *var += pow(j->in[0][i * channels + c] - *mean, 2) / (double)rows;
}

static inline void ref_batch_norm(const struct ref_node *j) {
  size_t channels = (size_t)j->n->out.c, rows = ref_count(j) / channels;
  for (size_t c = 0; c < channels; c++) {
    double mean = ref_param(j, 2)[c], var = ref_param(j, 3)[c];
    if (j->r->training)
      ref_moments(j, c, &mean, &var);
    double scale = ref_param(j, 0)[c] / sqrt(var + (double)j->n->epsilon);
    for (size_t i = 0; i < rows; i++)
      j->out[i * channels + c] =
          (j->in[0][i * channels + c] - mean) * scale + ref_param(j, 1)[c];
  }
}

/* ---- Functions of one number --------------------------------------------- */

static inline double ref_activation(int kind, double x, double alpha) {
  double hard = fmin(fmax(x / 6 + 0.5, 0), 1), sigmoid = 1 / (1 + exp(-x));
  switch (kind) {
  case ACT_RELU:
    return fmax(x, 0);
  case ACT_RELU6:
    return fmin(fmax(x, 0), 6);
  case ACT_LEAKY_RELU:
    return x > 0 ? x : alpha * x;
  case ACT_SIGMOID:
    return sigmoid;
  case ACT_TANH:
    return tanh(x);
  case ACT_SILU:
    return x * sigmoid;
  case ACT_GELU:
    return x * (1 + erf(x / sqrt(2))) / 2;
  case ACT_HARD_SWISH:
    return x * hard;
  default:
    return hard;
  }
}

static inline void ref_activate(const struct ref_node *j) {
  for (size_t i = 0; i < ref_count(j); i++)
    j->out[i] =
        ref_activation(j->n->activation, j->in[0][i], (double)j->n->alpha);
}

/* The mask is the generator's: element i of step s is number (s << 32) + i. */
static inline void ref_dropout(const struct ref_node *j) {
  const struct reference *r = j->r;
  uint64_t stream = IMGREC__STREAM_DROPOUT + (uint64_t)j->n->layer;
  for (size_t i = 0; i < ref_count(j); i++) {
    float u = imgrec__random_unit(r->seed, stream, (r->step << 32) + i);
    double kept = u >= j->n->rate ? j->in[0][i] / (1 - (double)j->n->rate) : 0;
    j->out[i] = r->training ? kept : j->in[0][i];
  }
}

/* That of image n is number (s << 32) + n. */
static inline void ref_drop_path(const struct ref_node *j) {
  const struct reference *r = j->r;
  uint64_t stream = IMGREC__STREAM_DROPOUT + (uint64_t)j->n->layer;
  size_t image = shape_count(&j->n->out);
  for (size_t i = 0; i < ref_count(j); i++) {
    float u = imgrec__random_unit(r->seed, stream, (r->step << 32) + i / image);
    double kept = u >= j->n->rate ? j->in[0][i] / (1 - (double)j->n->rate) : 0;
    j->out[i] = r->training ? kept : j->in[0][i];
  }
}

static inline void ref_softmax_row(double *y, const double *x, size_t n) {
  double max = -INFINITY, sum = 0;
  for (size_t i = 0; i < n; i++)
    max = fmax(max, x[i]);
  for (size_t i = 0; i < n; i++)
    sum += exp(x[i] - max);
  for (size_t i = 0; i < n; i++)
    y[i] = exp(x[i] - max) / sum;
}

static inline void ref_softmax(const struct ref_node *j) {
  size_t c = (size_t)j->n->out.c;
  for (size_t i = 0; i < ref_count(j); i += c)
    ref_softmax_row(j->out + i, j->in[0] + i, c);
}

/* ---- Several inputs ------------------------------------------------------ */

static inline void ref_combine(const struct ref_node *j, int product) {
  for (size_t i = 0; i < ref_count(j); i++) {
    j->out[i] = j->in[0][i];
    for (int k = 1; k < j->n->input_count; k++)
      j->out[i] = product ? j->out[i] * j->in[k][i] : j->out[i] + j->in[k][i];
  }
}

static inline void ref_concat(const struct ref_node *j) {
  size_t total = (size_t)j->n->out.c;
  for (size_t row = 0; row < ref_count(j) / total; row++) {
    double *out = j->out + row * total;
    for (int k = 0; k < j->n->input_count; k++)
      for (size_t i = 0; i < (size_t)j->n->in[k].c; i++)
        *out++ = j->in[k][row * (size_t)j->n->in[k].c + i];
  }
}

/* ---- A graph ------------------------------------------------------------- */

static inline void ref_run(const struct ref_node *j) {
  const char *type = j->n->op->type;
  if (strstr(type, "conv2d"))
    ref_each(j, ref_conv_at);
  else if (strstr(type, "pool2d"))
    ref_each(j, ref_pool_at);
  else if (strcmp(type, "dense") == 0)
    ref_dense(j);
  else if (strcmp(type, "batch_norm") == 0)
    ref_batch_norm(j);
  else if (strcmp(type, "dropout") == 0)
    ref_dropout(j);
  else if (strcmp(type, "drop_path") == 0)
    ref_drop_path(j);
  else if (strcmp(type, "softmax") == 0)
    ref_softmax(j);
  else if (strcmp(type, "add") == 0 || strcmp(type, "mul") == 0)
    ref_combine(j, type[0] == 'm');
  else if (strcmp(type, "concat") == 0)
    ref_concat(j);
  else if (strcmp(type, "flatten") == 0)
    memcpy(j->out, j->in[0], ref_count(j) * sizeof *j->out);
  else
    ref_activate(j);
}

/* Values of nodes first .. last; those before are taken as they are. */
static inline const double *reference_forward(const struct reference *r,
                                              int first, int last) {
  for (int i = first; i <= last; i++) {
    const struct node *n = &r->graph->nodes[i];
    struct ref_node j = {.r = r, .n = n, .out = r->values[i]};
    for (int k = 0; k < n->input_count; k++)
      j.in[k] = r->values[n->inputs[k]];
    ref_run(&j);
  }
  return r->values[last];
}

/* With the weights at `base` and the images x. */
static inline void reference_init(struct reference *r, const struct graph *g,
                                  size_t batch, int training, const float *base,
                                  size_t weight_floats, const float *x) {
  memset(r, 0, sizeof *r);
  r->graph = g;
  r->batch = batch;
  r->training = training;
  r->base = base;
  r->weights = calloc(weight_floats + 1, sizeof *r->weights);
  r->values = calloc((size_t)g->node_count, sizeof *r->values);
  for (size_t i = 0; i < weight_floats; i++)
    r->weights[i] = (double)base[i];
  for (int i = 0; i < g->node_count; i++)
    r->values[i] =
        calloc(batch * shape_count(&g->nodes[i].out), sizeof *r->values[i]);
  for (size_t i = 0; i < batch * shape_count(&g->nodes[0].out); i++)
    r->values[0][i] = (double)x[i];
}

static inline void reference_free(struct reference *r) {
  for (int i = 0; i < r->graph->node_count; i++)
    free(r->values[i]);
  free(r->values);
  free(r->weights);
}

#endif
