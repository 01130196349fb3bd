/* SPDX-License-Identifier: MIT */
/* Tests of lib/recognise/explain.c.  A network is cut by hand into its head,
 * which gives A, and its tail, whose derivative by a whole channel of A is
 * taken numerically: no window's greatest changes then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <math.h>

#include "failing_alloc.h"
#include "nets.h"

enum { SIDE = 8, CLASSES = 4, CLASS = 2 };
#define PIXELS ((size_t)SIDE * SIDE)
#define INPUT  "input 8 8 1\n"
#define CONV   "conv2d 3 kernel=3 padding=same activation=relu\n"

static imgrec_tensor *new_image(imgrec_context *ctx, int side) {
  imgrec_tensor *image = new_tensor(ctx, IMGREC_U8, 3, side, side, 1, 1);
  unsigned char *p = imgrec_tensor_data(image);
  for (size_t i = 0; i < imgrec_tensor_nbytes(image); i++)
    p[i] = (unsigned char)imgrec__random_below(3, 1, i, 256);
  return image;
}

/* Parameters of `to` from number `first` on of those of `from`, in order. */
static void copy_parameters(imgrec_model *to, const imgrec_model *from,
                            int first) {
  for (int i = 0; i < imgrec_model_parameter_count(to); i++) {
    imgrec_tensor *t = NULL;
    const char *name = imgrec_model_parameter_name(from, first + i);
    assert_ok(from->context, imgrec_model_get_parameter(&t, from, name));
    assert_ok(to->context, imgrec_model_set_parameter(
                               to, imgrec_model_parameter_name(to, i), t));
    imgrec_tensor_destroy(t);
  }
}

/* Weights that make nothing vanish; variances stay positive. */
static void shake(imgrec_model *m) {
  for (int i = 0; i < imgrec_model_parameter_count(m); i++) {
    const char *name = imgrec_model_parameter_name(m, i);
    imgrec_tensor *t = NULL;
    assert_ok(m->context, imgrec_model_get_parameter(&t, m, name));
    int variance = strstr(name, "running_var") != NULL;
    fill_random(imgrec_tensor_data(t), imgrec_tensor_nbytes(t) / 4,
                (uint64_t)i + 9, variance ? 0.5F : -1, variance ? 2 : 1);
    assert_ok(m->context, imgrec_model_set_parameter(m, name, t));
    imgrec_tensor_destroy(t);
  }
}

static void forward(imgrec_model *m, const float *x, float *y) {
  int64_t in[3];
  imgrec_tensor *tx = NULL, *ty = NULL;
  imgrec_model_input_shape(m, in);
  const int64_t xs[] = {1, in[0], in[1], in[2]};
  const int64_t ys[] = {1, imgrec_model_classes(m)};
  imgrec_tensor_create(&tx, m->context, IMGREC_F32, 4, xs);
  imgrec_tensor_wrap(&ty, m->context, IMGREC_F32, 2, ys, y);
  memcpy(imgrec_tensor_data(tx), x, imgrec_tensor_nbytes(tx));
  assert_ok(m->context, imgrec_model_forward(m, tx, ty));
  imgrec_tensor_destroy(tx);
  imgrec_tensor_destroy(ty);
}

/* Mean over pixels of dz / dA[k], as a difference. */
static double channel_weight(imgrec_model *tail, const float *a, size_t c,
                             size_t k) {
  float *moved = malloc(PIXELS * c * sizeof *moved), z[2][CLASSES];
  const float step = 0x1p-7F;
  for (int side = 0; side < 2; side++) {
    memcpy(moved, a, PIXELS * c * sizeof *moved);
    for (size_t i = 0; i < PIXELS; i++)
      moved[i * c + k] += side ? step : -step;
    forward(tail, moved, z[side]);
  }
  free(moved);
  return ((double)z[1][CLASS] - (double)z[0][CLASS]) / (2 * (double)step) /
         (double)PIXELS;
}

/* map: SIDE x SIDE, from a head that ends in `c` channels, flattened. */
static void expected(double *map, imgrec_model *head, imgrec_model *tail,
                     const imgrec_tensor *image, size_t c) {
  imgrec_preprocess p;
  imgrec_tensor *x = NULL;
  float *a = malloc(PIXELS * c * sizeof *a);
  imgrec_preprocess_init(&p, sizeof p);
  imgrec_model_get_preprocess(head, &p);
  assert_ok(head->context, imgrec_image_preprocess(&x, image, &p));
  forward(head, imgrec_tensor_const_data(x), a);
  memset(map, 0, PIXELS * sizeof *map);
  for (size_t k = 0; k < c; k++) {
    double weight = channel_weight(tail, a, c, k);
    for (size_t i = 0; i < PIXELS; i++)
      map[i] += weight * (double)a[i * c + k];
  }
  double most = 0;
  for (size_t i = 0; i < PIXELS; i++)
    most = map[i] > most ? map[i] : most;
  assert_true(most > 0);
  for (size_t i = 0; i < PIXELS; i++)
    map[i] = map[i] > 0 ? map[i] / most : 0;
  free(a);
  imgrec_tensor_destroy(x);
}

static void check(const char *head_text, const char *tail_text, int c) {
  imgrec_context *ctx = new_context(2, 0);
  char text[600], number[64];
  double wanted[SIDE * SIDE];
  imgrec_tensor *image = new_image(ctx, SIDE), *map = NULL;
  snprintf(text, sizeof text, INPUT "%s%s", head_text, tail_text);
  imgrec_model *m = new_model(ctx, text, 1, 4);
  shake(m);
  snprintf(text, sizeof text, INPUT "%sflatten\n", head_text);
  imgrec_model *head = new_model(ctx, text, 1, 1);
  snprintf(number, sizeof number, "input 8 8 %d\n", c);
  snprintf(text, sizeof text, "%s%.*s", number,
           (int)strlen(tail_text) - (int)strlen("softmax\n"), tail_text);
  imgrec_model *tail = new_model(ctx, text, 1, 1);
  copy_parameters(head, m, 0);
  copy_parameters(tail, m, imgrec_model_parameter_count(head));
  expected(wanted, head, tail, image, (size_t)c);
  assert_ok(ctx, imgrec_model_explain(&map, m, image, CLASS));
  assert_int_equal(imgrec_tensor_ndim(map), 2);
  const float *got = imgrec_tensor_const_data(map);
  for (size_t i = 0; i < PIXELS; i++)
    assert_true(fabs((double)got[i] - wanted[i]) < 2e-3);
  imgrec_tensor_destroy(map);
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(tail);
  imgrec_model_destroy(head);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_explain__dense(void **state) {
  (void)state;
  check(CONV, "flatten\ndense 4\nsoftmax\n", 3);
}

/* The cut is before pooling, which the convolution would take along. */
static void test_explain__pooling(void **state) {
  (void)state;
  check(CONV, "max_pool2d 2\nflatten\ndense 4\nsoftmax\n", 3);
  check(CONV, "avg_pool2d 2\ndropout 0.5\nflatten\ndense 4\nsoftmax\n", 3);
}

/* By the running values, and nothing dropped. */
static void test_explain__norm_and_dropout(void **state) {
  (void)state;
  check(CONV,
        "global_avg_pool2d\nbatch_norm\ndropout 0.5\ndense 5 "
        "activation=sigmoid\nbatch_norm\ndense 4\nsoftmax\n",
        3);
  check("conv2d 3 kernel=3 padding=same\nbatch_norm activation=relu6\n",
        "global_avg_pool2d\ndense 4\nsoftmax\n", 3);
}

static void test_explain__several_ways(void **state) {
  (void)state;
  check("a = conv2d 3 kernel=3 padding=same activation=relu\n"
        "b = conv2d 3 kernel=1 from=a\nadd from=a,b activation=relu\n",
        "global_avg_pool2d\ndense 4\nsoftmax\n", 3);
  check("a = conv2d 3 kernel=3 padding=same activation=relu\n"
        "b = conv2d 2 kernel=1 from=a\nconcat from=a,b\n",
        "global_avg_pool2d\ndense 4\nsoftmax\n", 5);
}

/* ---- Shape, choice of the class, bits ------------------------------------ */

#define NET                                                                    \
  "input 20 30 1\nconv2d 4 kernel=3 activation=relu\nmax_pool2d 2\n"           \
  "conv2d 5 kernel=3 padding=same activation=relu\nflatten\ndense "            \
  "4\nsoftmax\n"

/* 9 x 14 enlarged; between 0 and 1, which is reached. */
static void test_explain__shape(void **state) {
  imgrec_context *ctx = new_context(1, 0);
  imgrec_model *m = new_model(ctx, NET, 1, 4);
  imgrec_tensor *image = new_image(ctx, 50), *map = NULL, *best = NULL;
  imgrec_result r[1];
  float most = 0;
  (void)state;
  assert_int_equal(imgrec_model_classify(m, image, 1, r), 1);
  assert_ok(ctx, imgrec_model_explain(&map, m, image, r[0].class_index));
  assert_ok(ctx, imgrec_model_explain(&best, m, image, -1));
  assert_int_equal(imgrec_tensor_dim(map, 0), 20);
  assert_int_equal(imgrec_tensor_dim(map, 1), 30);
  assert_memory_equal(imgrec_tensor_data(map), imgrec_tensor_data(best),
                      imgrec_tensor_nbytes(map));
  const float *v = imgrec_tensor_const_data(map);
  for (size_t i = 0; i < 600; i++) {
    assert_true(v[i] >= 0 && v[i] <= 1);
    most = v[i] > most ? v[i] : most;
  }
  assert_true(most == 1);
  imgrec_tensor_destroy(best);
  imgrec_tensor_destroy(map);
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void explain_with(int threads, int isa, float *out) {
  imgrec_context *ctx = new_context(threads, isa);
  imgrec_model *m = new_model(ctx, NET, 1, 4);
  imgrec_tensor *image = new_image(ctx, 50), *map = NULL;
  assert_ok(ctx, imgrec_model_explain(&map, m, image, 1));
  memcpy(out, imgrec_tensor_data(map), imgrec_tensor_nbytes(map));
  imgrec_tensor_destroy(map);
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_explain__same_bits(void **state) {
  float map[600], other[600];
  (void)state;
  explain_with(1, IMGREC_ISA_SCALAR, map);
  for (int threads = 1; threads <= 3; threads++) {
    explain_with(threads, IMGREC_ISA_AUTO, other);
    assert_memory_equal(map, other, sizeof map);
  }
  fesetround(FE_DOWNWARD);
  explain_with(2, IMGREC_ISA_AUTO, other);
  fesetround(FE_TONEAREST);
  assert_memory_equal(map, other, sizeof map);
}

/* ---- What is refused ----------------------------------------------------- */

static void test_explain__refused(void **state) {
  imgrec_context *ctx = new_context(1, 0);
  imgrec_model *m = new_model(ctx, NET, 1, 4);
  imgrec_model *flat =
      new_model(ctx, "input 4 4 1\nmax_pool2d 2\nflatten\ndense 4\n", 1, 4);
  imgrec_tensor *image = new_image(ctx, 50), *map = NULL;
  (void)state;
  assert_int_equal(imgrec_model_explain(&map, NULL, image, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_explain(NULL, m, image, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_explain(&map, m, NULL, 0), IMGREC_ERR_ARGUMENT);
  assert_fails(ctx, imgrec_model_explain(&map, m, image, 4),
               IMGREC_ERR_ARGUMENT, "class 4 of a model of 4 classes");
  assert_int_equal(imgrec_model_explain(&map, m, image, -2),
                   IMGREC_ERR_ARGUMENT);
  assert_fails(ctx, imgrec_model_explain(&map, flat, image, 0),
               IMGREC_ERR_UNSUPPORTED,
               "this network has no one activation with height and width "
               "behind a convolution that leads to the answer");
  m->weight_type = IMGREC_WEIGHTS_INT8;
  assert_int_equal(imgrec_model_explain(&map, m, image, 0),
                   IMGREC_ERR_UNSUPPORTED);
  m->weight_type = IMGREC_WEIGHTS_F32;
  assert_null(map);
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(flat);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_explain__image_of_another_context(void **state) {
  imgrec_context *ctx = new_context(1, 0), *other = new_context(1, 0);
  imgrec_model *m = new_model(ctx, NET, 1, 4);
  imgrec_tensor *flat = new_tensor(other, IMGREC_U8, 2, 2, 3, 1, 1);
  imgrec_tensor *map = NULL;
  (void)state;
  assert_fails(ctx, imgrec_model_explain(&map, m, flat, 0), IMGREC_ERR_SHAPE,
               "image: the image is a u8 tensor of 2 x 3; it must be u8, "
               "height x width x 1 or 3");
  assert_string_equal(imgrec_last_error(other), "");
  assert_null(map);
  imgrec_tensor_destroy(flat);
  imgrec_model_destroy(m);
  imgrec_context_destroy(other);
  imgrec_context_destroy(ctx);
}

static void test_explain__every_allocation_fails(void **state) {
  struct failing alloc = {0};
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  (void)state;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &alloc;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  imgrec_model *m = new_model(ctx, NET, 1, 4);
  imgrec_tensor *image = new_image(ctx, 50);
  long live = alloc.live_blocks, n = 0;
  for (int status = -1; status < 0;) {
    imgrec_tensor *map = NULL;
    alloc.calls = 0;
    alloc.fail_at = ++n;
    status = imgrec_model_explain(&map, m, image, 0);
    alloc.fail_at = 0;
    assert_true(status >= 0 || (status == IMGREC_ERR_MEMORY && !map));
    imgrec_tensor_destroy(map);
    assert_int_equal(alloc.live_blocks, live);
  }
  assert_true(n > 8);
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_explain__dense),
      cmocka_unit_test(test_explain__pooling),
      cmocka_unit_test(test_explain__norm_and_dropout),
      cmocka_unit_test(test_explain__several_ways),
      cmocka_unit_test(test_explain__shape),
      cmocka_unit_test(test_explain__same_bits),
      cmocka_unit_test(test_explain__refused),
      cmocka_unit_test(test_explain__image_of_another_context),
      cmocka_unit_test(test_explain__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
