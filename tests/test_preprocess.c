/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/preprocess.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "failing_alloc.h"
#include "image/image.h"
#include "image_pattern.h"

static imgrec_context *ctx;

static imgrec_preprocess defaults(int height, int width, int channels) {
  imgrec_preprocess p;
  assert_int_equal(imgrec_preprocess_init(&p, sizeof p), 0);
  p.height = height;
  p.width = width;
  p.channels = channels;
  return p;
}

static imgrec_tensor *preprocess(const imgrec_tensor *image,
                                 const imgrec_preprocess *p) {
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_image_preprocess(&t, image, p), 0);
  assert_int_equal(imgrec_tensor_dtype(t), IMGREC_F32);
  assert_int_equal(imgrec_tensor_dim(t, 0), p->height);
  assert_int_equal(imgrec_tensor_dim(t, 1), p->width);
  assert_int_equal(imgrec_tensor_dim(t, 2), p->channels);
  return t;
}

static const float *floats_of(const imgrec_tensor *t) {
  return imgrec_tensor_const_data(t);
}

static void test_preprocess__init(void **state) {
  (void)state;
  imgrec_preprocess p = defaults(0, 0, 0);
  assert_int_equal(p.struct_size, sizeof p);
  assert_int_equal(p.resize, IMGREC_RESIZE_STRETCH);
  assert_true(p.scale == 1.0f / 255.0f);
  for (int k = 0; k < 3; k++)
    assert_true(p.mean[k] == 0.0f && p.std[k] == 1.0f);
  assert_int_equal(imgrec_preprocess_init(NULL, sizeof p), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_preprocess_init(&p, 1), IMGREC_ERR_ARGUMENT);
}

/* Bit for bit (v * scale - mean) / std, each step rounded to f32. */
static void test_preprocess__normalises(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 16, 16, 3);
  imgrec_preprocess p = defaults(16, 16, 3);
  const float mean[3] = {0.485f, 0.456f, 0.406f};
  const float std[3] = {0.229f, 0.224f, 0.225f};
  memcpy(p.mean, mean, sizeof mean);
  memcpy(p.std, std, sizeof std);
  imgrec_tensor *t = preprocess(image, &p);
  for (size_t i = 0; i < 16 * 16 * 3; i++) {
    volatile float v = bytes_of(image)[i] * p.scale;
    v = v - mean[i % 3];
    v = v / std[i % 3];
    assert_true(floats_of(t)[i] == v);
  }
  imgrec_tensor_destroy(t);
  imgrec_tensor_destroy(image);
}

/* The same as the public steps one after the other. */
static void same_as_steps(int c, int rule, int channels) {
  imgrec_tensor *image = pattern(ctx, 30, 41, c), *converted, *resized;
  imgrec_preprocess p = defaults(12, 9, channels);
  p.resize = rule;
  p.scale = 1.0f;
  p.mean[2] = channels == 3 ? 1.0f : 0.0f;
  imgrec_tensor *t = preprocess(image, &p);
  assert_int_equal(imgrec_image_convert(&converted, image, channels), 0);
  assert_int_equal(imgrec_image_resize(&resized, converted, 12, 9, rule), 0);
  for (int i = 0; i < 12 * 9 * channels; i++) {
    float want = (float)bytes_of(resized)[i];
    want -= channels == 3 && i % 3 == 2 ? 1.0f : 0.0f;
    assert_true(floats_of(t)[i] == want);
  }
  imgrec_tensor_destroy(resized);
  imgrec_tensor_destroy(converted);
  imgrec_tensor_destroy(t);
  imgrec_tensor_destroy(image);
}

static void test_preprocess__is_convert_and_resize(void **state) {
  (void)state;
  for (int rule = 0; rule < 3; rule++)
    for (int c = 1; c <= 3; c += 2)
      for (int channels = 1; channels <= 3; channels += 2)
        same_as_steps(c, rule, channels);
}

static int check(const imgrec_preprocess *p) {
  imgrec_tensor *t = NULL, *image = pattern(ctx, 2, 2, 3);
  int status = imgrec_image_preprocess(&t, image, p);
  imgrec_tensor_destroy(image);
  assert_int_equal(t != NULL, status == 0);
  imgrec_tensor_destroy(t);
  return status;
}

static void test_preprocess__refuses(void **state) {
  (void)state;
  imgrec_preprocess good = defaults(2, 2, 1), p = good;
  assert_int_equal(check(&p), 0);
  p.height = 0;
  assert_int_equal(check(&p), IMGREC_ERR_ARGUMENT);
  p = good;
  p.width = 16385;
  assert_int_equal(check(&p), IMGREC_ERR_LIMIT);
  p = good;
  p.channels = 2;
  assert_int_equal(check(&p), IMGREC_ERR_ARGUMENT);
  p = good;
  p.resize = 3;
  assert_int_equal(check(&p), IMGREC_ERR_ARGUMENT);
  p = good;
  p.scale = NAN;
  assert_int_equal(check(&p), IMGREC_ERR_ARGUMENT);
  p = good;
  p.mean[0] = INFINITY;
  assert_int_equal(check(&p), IMGREC_ERR_ARGUMENT);
  p = good;
  p.std[0] = 0.0f;
  assert_int_equal(check(&p), IMGREC_ERR_ARGUMENT);
  p = good;
  p.std[1] = NAN; /* of a channel that is not there */
  assert_int_equal(check(&p), 0);
  p = good;
  p.reserved = 1;
  assert_int_equal(check(&p), IMGREC_ERR_UNSUPPORTED);
  p = good;
  p.struct_size = 0;
  assert_int_equal(check(&p), IMGREC_ERR_ARGUMENT);
  assert_int_equal(check(NULL), IMGREC_ERR_ARGUMENT);
}

static void test_preprocess__refuses_what_is_no_image(void **state) {
  (void)state;
  const int64_t shape[3] = {2, 2, 4};
  imgrec_tensor *t = NULL, *image;
  imgrec_preprocess p = defaults(2, 2, 1);
  assert_int_equal(imgrec_tensor_create(&image, ctx, IMGREC_U8, 3, shape), 0);
  assert_int_equal(imgrec_image_preprocess(&t, image, &p), IMGREC_ERR_SHAPE);
  assert_int_equal(imgrec_image_preprocess(&t, NULL, &p), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_preprocess(NULL, image, &p),
                   IMGREC_ERR_ARGUMENT);
  assert_null(t);
  imgrec_tensor_destroy(image);
}

static void test_preprocess__allocations_fail(void **state) {
  (void)state;
  struct failing failing = {0};
  imgrec_context_options o;
  imgrec_context *own;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &failing;
  assert_int_equal(imgrec_context_create(&own, &o), 0);
  imgrec_tensor *image = pattern(own, 20, 20, 3);
  imgrec_preprocess p = defaults(7, 8, 1);
  long before = failing.live_blocks;
  int status = -1;
  for (long n = 1; status < 0; n++) {
    imgrec_tensor *t = NULL;
    failing.fail_at = failing.calls + n;
    status = imgrec_image_preprocess(&t, image, &p);
    failing.fail_at = 0;
    assert_true(status == 0 || status == IMGREC_ERR_MEMORY);
    assert_true(n < 20);
    imgrec_tensor_destroy(t);
    assert_int_equal(failing.live_blocks, before);
  }
  imgrec_tensor_destroy(image);
  imgrec_context_destroy(own);
}

static int setup(void **state) {
  (void)state;
  ctx = pattern_context();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_preprocess__init),
      cmocka_unit_test(test_preprocess__normalises),
      cmocka_unit_test(test_preprocess__is_convert_and_resize),
      cmocka_unit_test(test_preprocess__refuses),
      cmocka_unit_test(test_preprocess__refuses_what_is_no_image),
      cmocka_unit_test(test_preprocess__allocations_fail),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
