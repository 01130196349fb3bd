/* SPDX-License-Identifier: MIT */
/* Parameters: their initial values, and their order in files and in memory. */
#include <math.h>
#include <string.h>

#include "graph.h"

/* ---- Order --------------------------------------------------------------- */

/* file O x I x H x W, memory H x W x I x O */
static size_t conv_index(const struct param *p, size_t i) {
  size_t in = (size_t)p->dim[1], h = (size_t)p->dim[2], w = (size_t)p->dim[3];
  size_t x = i % w, y = i / w % h, c = i / (w * h) % in, o = i / (w * h * in);
  return ((y * w + x) * in + c) * (size_t)p->dim[0] + o;
}

/* file out x in, memory in x out; behind flatten order=chw the file's inputs
 * are C x H x W, the memory's H x W x C. */
static size_t dense_input(const struct param *p, size_t j) {
  size_t pixels = shape_pixels(&p->source);
  if (p->layout == LAYOUT_DENSE)
    return j;
  return j % pixels * (size_t)p->source.c + j / pixels;
}

/* Where value i of the file, and those behind it, lie in memory: at indices[0
 * .. the return value), at most `count` of them. */
enum { RUN = 256 };

static size_t memory_indices(const struct param *p, size_t i, size_t count,
                             size_t indices[RUN]) {
  size_t n = min_size(count, RUN);
  if (p->layout == LAYOUT_DENSE || p->layout == LAYOUT_DENSE_CHW) {
    size_t in = (size_t)p->dim[1], out = (size_t)p->dim[0];
    size_t o = i / in, j = i % in;
    n = min_size(n, in - j);
    for (size_t k = 0; k < n; k++)
      indices[k] = dense_input(p, j + k) * out + o;
  } else {
    for (size_t k = 0; k < n; k++)
      indices[k] = p->layout == LAYOUT_CONV ? conv_index(p, i + k) : i + k;
  }
  return n;
}

void imgrec__param_export(const struct param *p, const float *memory,
                          size_t first, size_t count, float *file) {
  size_t indices[RUN], n;
  for (size_t i = 0; i < count; i += n) {
    n = memory_indices(p, first + i, count - i, indices);
    for (size_t k = 0; k < n; k++)
      file[i + k] = memory[indices[k]];
  }
}

void imgrec__param_import(const struct param *p, const float *file,
                          float *memory) {
  size_t indices[RUN], n;
  for (size_t i = 0; i < p->count; i += n) {
    n = memory_indices(p, i, p->count - i, indices);
    for (size_t k = 0; k < n; k++)
      memory[indices[k]] = file[i + k];
  }
}

/* ---- Initial values ------------------------------------------------------ */

struct init {
  struct param *param;
  uint64_t seed, stream;
  int kind;
  float scale;
};

/* The i-th number of a parameter's stream belongs to its i-th value in
 * memory. */
static void random_range(const void *arg, size_t begin, size_t end) {
  const struct init *init = arg;
  float *data = init->param->data;
  for (size_t i = begin; i < end; i++)
    if (init->kind == IMGREC_INIT_HE_NORMAL)
      data[i] =
          init->scale * imgrec__random_normal2(init->seed, init->stream, i);
    else
      data[i] = init->scale *
                (2 * imgrec__random_unit(init->seed, init->stream, i) - 1);
}

/* Glorot and Bengio 2010: U(-a, a), a = sqrt(6 / (fan_in + fan_out)).  He et
 * al. 2015: N(0, 2 / fan_in), which cutting at two sigma narrows by 0.8796. */
static float random_scale(const struct param *p, int kind) {
  if (kind == IMGREC_INIT_HE_NORMAL)
    return (float)(sqrt(2.0 / (double)p->fan_in) / 0.87962566103423978);
  return (float)sqrt(6.0 / (double)(p->fan_in + p->fan_out));
}

void imgrec__param_init(struct imgrec_context *ctx, struct param *p, int kind,
                        uint64_t seed, int number) {
  const struct init init = {p, seed, IMGREC__STREAM_WEIGHTS + (uint64_t)number,
                            kind, random_scale(p, kind)};
  if (p->fill == FILL_RANDOM && kind != IMGREC_INIT_ZEROS)
    imgrec__parallel_range(ctx, p->count, 16384, random_range, &init);
  for (size_t i = 0; i < p->count && p->fill == FILL_ONE; i++)
    p->data[i] = 1;
}
