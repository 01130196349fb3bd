/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/param.c: the files' order of values, initial values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "nets.h"

static struct param *param_named(imgrec_model *m, const char *name) {
  struct param *p;
  for (int i = 0; (p = imgrec__model_param(m, i)); i++)
    if (strcmp(p->name, name) == 0)
      return p;
  fail_msg("there is no %s", name);
  return NULL;
}

/* The file's value number i is i; back in order it is the same. */
static float *numbered(imgrec_context *ctx, struct param *p) {
  float *file = malloc(p->count * sizeof *file);
  float *back = malloc(p->count * sizeof *back);
  for (size_t i = 0; i < p->count; i++)
    file[i] = (float)i;
  imgrec__param_import(ctx, p, file, p->data);
  const size_t pieces[] = {3, 50, 200, p->count};
  for (int k = 0; k < 4; k++) {
    memset(back, 0, p->count * sizeof *back);
    for (size_t i = 0; i < p->count; i += pieces[k])
      imgrec__param_export(p, p->data, i, min_size(pieces[k], p->count - i),
                           back + i);
    assert_memory_equal(back, file, p->count * sizeof *file);
  }
  free(back);
  return file;
}

static void test_param__conv(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(
      ctx, "input 5 5 4\nconv2d 6 kernel=3x2 groups=2\nflatten\n", 1, 1);
  struct param *p = param_named(m, "conv1.weight");
  float *file = numbered(ctx, p);
  enum { O = 6, I = 2, H = 3, W = 2 };
  assert_int_equal(p->count, O * I * H * W);
  for (int o = 0; o < O; o++)
    for (int i = 0; i < I; i++)
      for (int h = 0; h < H; h++)
        for (int w = 0; w < W; w++)
          assert_true(p->data[((h * W + w) * I + i) * O + o] ==
                      file[((o * I + i) * H + h) * W + w]);
  free(file);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_param__dense(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m =
      new_model(ctx, "input 2 3 4\nflatten\ndense 5\ndense 3\n", 1, 1);
  struct param *p = param_named(m, "fc1.weight");
  float *file = numbered(ctx, p);
  for (int o = 0; o < 5; o++)
    for (int i = 0; i < 24; i++)
      assert_true(p->data[i * 5 + o] == file[o * 24 + i]);
  free(file);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* Inputs in the file are C, H, W; also behind an activation and dropout, but
 * not for the next layer. */
static void test_param__dense_behind_chw(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx,
                              "input 2 3 4\nflatten order=chw\nrelu\n"
                              "dropout 0.5\ndense 5\ndense 6\n",
                              1, 1);
  struct param *p = param_named(m, "fc1.weight");
  float *file = numbered(ctx, p);
  for (int o = 0; o < 5; o++)
    for (int y = 0; y < 2; y++)
      for (int x = 0; x < 3; x++)
        for (int c = 0; c < 4; c++)
          assert_true(p->data[((y * 3 + x) * 4 + c) * 5 + o] ==
                      file[o * 24 + (c * 2 + y) * 3 + x]);
  free(file);
  p = param_named(m, "fc2.weight");
  file = numbered(ctx, p);
  for (int o = 0; o < 6; o++)
    for (int i = 0; i < 5; i++)
      assert_true(p->data[i * 6 + o] == file[o * 5 + i]);
  free(file);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* Larger than the tiles and the pieces that threads take, edges included. */
static void test_param__large(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(3, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(
      ctx, "input 7 11 9\nconv2d 37 kernel=3\nflatten\ndense 35\n", 1, 1);
  struct param *p = param_named(m, "conv1.weight");
  float *file = numbered(ctx, p);
  for (int o = 0; o < 37; o++)
    for (int i = 0; i < 9; i++)
      for (int k = 0; k < 9; k++)
        assert_true(p->data[(k * 9 + i) * 37 + o] == file[(o * 9 + i) * 9 + k]);
  free(file);
  p = param_named(m, "fc1.weight");
  file = numbered(ctx, p);
  size_t in = p->count / 35;
  assert_true(in > 1000 && in % 16 != 0);
  for (size_t o = 0; o < 35; o++)
    for (size_t i = 0; i < in; i++)
      assert_true(p->data[i * 35 + o] == file[o * in + i]);
  free(file);
  p = param_named(m, "fc1.bias");
  file = numbered(ctx, p);
  assert_memory_equal(p->data, file, 35 * sizeof *file);
  free(file);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* ---- Initial values ------------------------------------------------------ */

#define NET                                                                    \
  "input 8 8 16\nconv2d 64 kernel=5 groups=2\nbatch_norm\nflatten\n"           \
  "dense 100\n"

static imgrec_model *initial(imgrec_context *ctx, int init, uint64_t seed) {
  imgrec_model_options o;
  imgrec_model *m = NULL;
  imgrec_model_options_init(&o, sizeof o);
  o.init = init;
  o.seed = seed;
  o.max_batch = 1;
  assert_ok(ctx, imgrec_model_create(&m, ctx, NET, &o));
  return m;
}

static void check_constant(imgrec_model *m, const char *name, float value) {
  const struct param *p = param_named(m, name);
  for (size_t i = 0; i < p->count; i++)
    assert_true(p->data[i] == value);
}

static void check_constants(imgrec_model *m) {
  check_constant(m, "conv1.bias", 0);
  check_constant(m, "bn1.weight", 1);
  check_constant(m, "bn1.bias", 0);
  check_constant(m, "bn1.running_mean", 0);
  check_constant(m, "bn1.running_var", 1);
  check_constant(m, "fc1.bias", 0);
}

/* Mean 0, the wanted deviation, and no value beyond `most`. */
static void check_spread(imgrec_model *m, const char *name, double deviation,
                         double most) {
  const struct param *p = param_named(m, name);
  double sum = 0, squares = 0, greatest = 0;
  for (size_t i = 0; i < p->count; i++) {
    sum += (double)p->data[i];
    squares += (double)p->data[i] * (double)p->data[i];
    greatest = fmax(greatest, fabs((double)p->data[i]));
  }
  double n = (double)p->count;
  assert_true(fabs(sum / n) < 0.03 * deviation);
  assert_true(fabs(sqrt(squares / n) / deviation - 1) < 0.02);
  assert_true(greatest <= most && greatest > 0.99 * most);
}

/* a = sqrt(6 / (fan in + fan out)), the deviation of U(-a, a) is a / sqrt 3. */
static void test_param__glorot_uniform(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(2, IMGREC_ISA_AUTO);
  imgrec_model *m = initial(ctx, IMGREC_INIT_GLOROT_UNIFORM, 3);
  double conv = sqrt(6.0 / (25 * 8 + 25 * 64));
  double dense = sqrt(6.0 / (4 * 4 * 64 + 100));
  check_spread(m, "conv1.weight", conv / sqrt(3), conv * (1 + 1e-6));
  check_spread(m, "fc1.weight", dense / sqrt(3), dense * (1 + 1e-6));
  check_constants(m);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* The deviation is sqrt(2 / fan in) after the cut at two sigma of the normal
 * numbers that it is made from. */
static void test_param__he_normal(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(2, IMGREC_ISA_AUTO);
  imgrec_model *m = initial(ctx, IMGREC_INIT_HE_NORMAL, 3);
  double conv = sqrt(2.0 / (25 * 8)), dense = sqrt(2.0 / (4 * 4 * 64));
  check_spread(m, "conv1.weight", conv, 2 * conv / 0.8796 * 1.001);
  check_spread(m, "fc1.weight", dense, 2 * dense / 0.8796 * 1.001);
  check_constants(m);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_param__zeros(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = initial(ctx, IMGREC_INIT_ZEROS, 3);
  check_constant(m, "conv1.weight", 0);
  check_constant(m, "fc1.weight", 0);
  check_constants(m);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* By the seed, whatever the number of threads; no two parameters alike. */
static void check_seed(int init) {
  imgrec_context *one = new_context(1, IMGREC_ISA_SCALAR);
  imgrec_context *many = new_context(5, IMGREC_ISA_AUTO);
  imgrec_model *a = initial(one, init, 3), *b = initial(many, init, 3);
  imgrec_model *c = initial(many, init, 4);
  size_t bytes = a->weight_floats * sizeof(float);
  assert_memory_equal(a->weights, b->weights, bytes);
  assert_memory_not_equal(a->weights, c->weights, bytes);
  const float *conv = param_named(a, "conv1.weight")->data;
  const float *fc = param_named(a, "fc1.weight")->data;
  assert_true(fabs((double)(conv[0] / conv[1] - fc[0] / fc[1])) > 1e-3);
  imgrec_model_destroy(a);
  imgrec_model_destroy(b);
  imgrec_model_destroy(c);
  imgrec_context_destroy(one);
  imgrec_context_destroy(many);
}

static void test_param__seed(void **state) {
  (void)state;
  check_seed(IMGREC_INIT_GLOROT_UNIFORM);
  check_seed(IMGREC_INIT_HE_NORMAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_param__conv),
      cmocka_unit_test(test_param__dense),
      cmocka_unit_test(test_param__dense_behind_chw),
      cmocka_unit_test(test_param__large),
      cmocka_unit_test(test_param__glorot_uniform),
      cmocka_unit_test(test_param__he_normal),
      cmocka_unit_test(test_param__zeros),
      cmocka_unit_test(test_param__seed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
