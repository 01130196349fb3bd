/* SPDX-License-Identifier: MIT */
/* Contexts, models and random numbers for the tests of networks.  Include
 * behind cmocka.h. */
#ifndef NETS_H
#define NETS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isas.h"
#include "model/graph.h"

#define assert_ok(ctx, status)                                                 \
  do {                                                                         \
    int status_ = (status);                                                    \
    if (status_ < 0)                                                           \
      fail_msg("%s: %s", imgrec_status_name(status_), imgrec_last_error(ctx)); \
  } while (0)

#define assert_fails(ctx, status, code, sentence)                              \
  do {                                                                         \
    assert_int_equal(status, code);                                            \
    assert_string_equal(imgrec_last_error(ctx), sentence);                     \
  } while (0)

static inline imgrec_context *new_context(int threads, int isa) {
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = threads;
  o.isa = isa;
  assert_int_equal(imgrec_context_create(&ctx, &o), IMGREC_OK);
  return ctx;
}

static inline imgrec_model *new_model(imgrec_context *ctx, const char *text,
                                      int max_batch, uint64_t seed) {
  imgrec_model_options o;
  imgrec_model *m = NULL;
  imgrec_model_options_init(&o, sizeof o);
  o.max_batch = max_batch;
  o.seed = seed;
  assert_ok(ctx, imgrec_model_create(&m, ctx, text, &o));
  return m;
}

/* n numbers of [low, high); another `stream`, other numbers. */
static inline void fill_random(float *p, size_t n, uint64_t stream, float low,
                               float high) {
  for (size_t i = 0; i < n; i++)
    p[i] = low + (high - low) * imgrec__random_unit(77, stream, i);
}

static inline imgrec_tensor *new_tensor(imgrec_context *ctx, int dtype,
                                        int ndim, int64_t a, int64_t b,
                                        int64_t c, int64_t d) {
  const int64_t shape[4] = {a, b, c, d};
  imgrec_tensor *t = NULL;
  assert_ok(ctx, imgrec_tensor_create(&t, ctx, dtype, ndim, shape));
  return t;
}

/* A batch of the model's input. */
static inline imgrec_tensor *new_batch(imgrec_context *ctx,
                                       const imgrec_model *m, int64_t n,
                                       uint64_t stream) {
  int64_t s[3];
  imgrec_model_input_shape(m, s);
  imgrec_tensor *x = new_tensor(ctx, IMGREC_F32, 4, n, s[0], s[1], s[2]);
  fill_random(imgrec_tensor_data(x), imgrec_tensor_nbytes(x) / 4, stream, -1,
              1);
  return x;
}

static inline imgrec_tensor *new_labels(imgrec_context *ctx, int64_t n,
                                        int classes, uint64_t stream) {
  imgrec_tensor *t = new_tensor(ctx, IMGREC_I32, 1, n, 1, 1, 1);
  int32_t *v = imgrec_tensor_data(t);
  for (int64_t i = 0; i < n; i++)
    v[i] = (int32_t)imgrec__random_below(78, stream, (uint64_t)i,
                                         (uint64_t)classes);
  return t;
}

static inline float *floats_of(imgrec_tensor *t) {
  return imgrec_tensor_data(t);
}

/* Every parameter random, so that none hides behind a zero or a one; variances
 * are positive. */
static inline void random_weights(imgrec_model *m, uint64_t stream) {
  struct param *p;
  for (int i = 0; (p = imgrec__model_param(m, i)); i++) {
    int positive = strstr(p->name, "running_var") != NULL;
    fill_random(p->data, p->count, stream + (uint64_t)i, positive ? 0.5F : -1,
                positive ? 1.5F : 1);
  }
}

#endif
