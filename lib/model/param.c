/* SPDX-License-Identifier: MIT */
/* Parameters: their initial values, and their order in files and in memory. */
#include <math.h>
#include <string.h>

#include "graph.h"

/* ---- Order ---------------------------------------------------------------
 * A file has one row of all inputs for each output, memory one row of all
 * outputs for each input, which may be in another order: a transposition, done
 * in tiles that whole cache lines go in and out of.  A vector is a matrix of
 * one input. */

enum { TILE = 16 };

/* The row in memory of the file's input j.
 * convolution: file I x H x W, memory H x W x I
 * dense behind flatten order=chw: file C x H x W, memory H x W x C */
static size_t memory_row(const struct param *p, size_t j) {
  size_t pixels = 1, channels = 1;
  if (p->layout == LAYOUT_CONV) {
    pixels = (size_t)p->dim[2] * (size_t)p->dim[3];
    channels = (size_t)p->dim[1];
  } else if (p->layout == LAYOUT_DENSE_CHW) {
    pixels = shape_pixels(&p->source);
    channels = (size_t)p->source.c;
  }
  return pixels == 1 ? j : j % pixels * channels + j / pixels;
}

struct order {
  const struct param *param;
  size_t outputs, inputs;
};

static struct order order_of(const struct param *p) {
  size_t outputs = (size_t)p->dim[0];
  return (struct order){p, outputs, p->count / outputs};
}

/* file: values of inputs [j, j + columns), rows being outputs [o, o + rows) of
 * the file or of it as much as is wanted. */
static void export_tile(const struct order *t, const float *memory, size_t o,
                        size_t rows, size_t j, size_t columns, float *file) {
  for (size_t k = 0; k < columns; k++) {
    const float *from = memory + memory_row(t->param, j + k) * t->outputs + o;
    for (size_t i = 0; i < rows; i++)
      file[i * t->inputs + k] = from[i];
  }
}

/* Value i of the file, of a parameter that is bytes. */
static int8_t *byte_at(const struct order *t, size_t i) {
  size_t row = memory_row(t->param, i % t->inputs);
  return imgrec__quantized_value(t->param->quantized,
                                 row * t->outputs + i / t->inputs);
}

static void export_floats(const struct order *t, size_t first, size_t count,
                          float *file) {
  const float *scale = t->param->quantized->weight_scale;
  for (size_t i = 0; i < count; i++)
    file[i] = scale[(first + i) / t->inputs] * (float)*byte_at(t, first + i);
}

void imgrec__param_export_int8(const struct param *p, size_t first,
                               size_t count, int8_t *file) {
  const struct order t = order_of(p);
  for (size_t i = 0; i < count; i++)
    file[i] = *byte_at(&t, first + i);
}

void imgrec__param_export(const struct param *p, const float *memory,
                          size_t first, size_t count, float *file) {
  const struct order t = order_of(p);
  if (p->int8) {
    export_floats(&t, first, count, file);
    return;
  }
  size_t end = first + count, rows, n;
  for (size_t i = first; i < end; i += rows * n, file += rows * n) {
    size_t o = i / t.inputs, j = i % t.inputs;
    n = min_size(end - i, t.inputs - j);
    rows = n == t.inputs ? min_size((end - i) / n, TILE) : 1;
    export_tile(&t, memory, o, rows, j, n, file);
  }
}

struct import {
  struct order order;
  const float *file;
  float *memory;
};

static void import_tile(const struct import *t, size_t o, size_t rows, size_t j,
                        size_t columns) {
  size_t inputs = t->order.inputs;
  for (size_t k = 0; k < columns; k++) {
    const float *from = t->file + o * inputs + j + k;
    size_t row = memory_row(t->order.param, j + k);
    float *to = t->memory + row * t->order.outputs + o;
    for (size_t i = 0; i < rows; i++)
      to[i] = from[i * inputs];
  }
}

/* Inputs [begin, end). */
static void import_range(const void *arg, size_t begin, size_t end) {
  const struct import *t = arg;
  size_t outputs = t->order.outputs;
  for (size_t j = begin; j < end; j += TILE)
    for (size_t o = 0; o < outputs; o += TILE)
      import_tile(t, o, min_size(TILE, outputs - o), j,
                  min_size(TILE, end - j));
}

void imgrec__param_import(struct imgrec_context *ctx, const struct param *p,
                          const float *file, float *memory) {
  const struct import t = {order_of(p), file, memory};
  imgrec__parallel_range(ctx, t.order.inputs, (size_t)16 * TILE, import_range,
                         &t);
}

struct import_int8 {
  struct order order;
  const int8_t *file;
};

static void import_int8_range(const void *arg, size_t begin, size_t end) {
  const struct import_int8 *t = arg;
  for (size_t i = begin; i < end; i++)
    *byte_at(&t->order, i) = t->file[i];
}

void imgrec__param_import_int8(struct imgrec_context *ctx,
                               const struct param *p, const int8_t *file) {
  const struct import_int8 t = {order_of(p), file};
  imgrec__parallel_range(ctx, p->count, (size_t)1 << 16, import_int8_range, &t);
}

/* ---- Initial values ------------------------------------------------------ */

struct init {
  const struct kernels *kernels;
  struct param *param;
  uint64_t seed, stream;
  int kind;
  float scale;
};

/* The i-th number of a parameter's stream belongs to its i-th value in
 * memory. */
static void random_range(const void *arg, size_t begin, size_t end) {
  const struct init *init = arg;
  const struct kernels *k = init->kernels;
  float *data = init->param->data + begin;
  size_t n = end - begin;
  if (init->kind == IMGREC_INIT_HE_NORMAL) {
    k->random_normal2(data, n, init->seed, init->stream, begin);
  } else {
    k->random_unit(data, n, init->seed, init->stream, begin);
    for (size_t i = 0; i < n; i++)
      data[i] = 2 * data[i] - 1;
  }
  k->scale(data, data, init->scale, n);
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
  const struct init init = {
      ctx->kernels, p,
      seed,         IMGREC__STREAM_WEIGHTS + (uint64_t)number,
      kind,         random_scale(p, kind)};
  if (p->fill == FILL_RANDOM && kind != IMGREC_INIT_ZEROS)
    imgrec__parallel_range(ctx, p->count, 16384, random_range, &init);
  for (size_t i = 0; i < p->count && p->fill == FILL_ONE; i++)
    p->data[i] = 1;
}
