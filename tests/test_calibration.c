/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/calibration.c: what is kept, what undoes it, what it does
 * to classify's probabilities, and its way through a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "nets.h"

#define NET        "input 2 3 1\nflatten\ndense 6\nsoftmax\n"
#define MODEL_FILE "build/tmp/test_calibration.imgrec"
enum { CLASSES = 6 };

static imgrec_calibration calibration(float temperature, float threshold) {
  imgrec_calibration c;
  imgrec_calibration_init(&c, sizeof c);
  c.temperature = temperature;
  c.reject_threshold = threshold;
  return c;
}

static void assert_calibration(const imgrec_model *m, float temperature,
                               float threshold) {
  imgrec_calibration c;
  imgrec_calibration_init(&c, sizeof c);
  assert_int_equal(imgrec_model_get_calibration(m, &c), 0);
  assert_true(c.temperature == temperature);
  assert_true(c.reject_threshold == threshold);
}

static void test_calibration__values(void **state) {
  imgrec_context *ctx = new_context(1, 0);
  imgrec_model *m = new_model(ctx, NET, 1, 1);
  static const float wrong[][2] = {{-1, 0}, {1e-3F, 0}, {65, 0}, {NAN, 0},
                                   {1, -1}, {1, 1},     {1, NAN}};
  (void)state;
  assert_calibration(m, 1, 0);
  imgrec_calibration c = calibration(2.5F, 0.25F);
  assert_ok(ctx, imgrec_model_set_calibration(m, &c));
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    c = calibration(wrong[i][0], wrong[i][1]);
    assert_int_equal(imgrec_model_set_calibration(m, &c), IMGREC_ERR_ARGUMENT);
  }
  assert_fails(ctx, imgrec_model_set_calibration(m, &c), IMGREC_ERR_ARGUMENT,
               "calibration: reject_threshold is nan; it must be in [0, 1)");
  assert_calibration(m, 2.5F, 0.25F);
  assert_ok(ctx, imgrec_model_set_calibration(m, NULL));
  assert_calibration(m, 1, 0);
  assert_int_equal(imgrec_model_set_calibration(NULL, &c), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_get_calibration(m, NULL), IMGREC_ERR_ARGUMENT);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_calibration__rejects(void **state) {
  imgrec_context *ctx = new_context(1, 0);
  imgrec_model *m = new_model(ctx, NET, 1, 1);
  (void)state;
  assert_int_equal(imgrec_model_rejects(m, 0), 0);
  assert_int_equal(imgrec_model_rejects(m, NAN), 0);
  imgrec_calibration c = calibration(1, 0.5F);
  imgrec_model_set_calibration(m, &c);
  assert_int_equal(imgrec_model_rejects(m, 0.5F), 0);
  assert_int_equal(imgrec_model_rejects(m, nextafterf(0.5F, 0)), 1);
  assert_int_equal(imgrec_model_rejects(m, NAN), 1);
  assert_int_equal(imgrec_model_rejects(NULL, 0.1F), 0);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static imgrec_tensor *new_image(imgrec_context *ctx) {
  static const unsigned char pixels[CLASSES] = {10, 200, 30, 90, 250, 10};
  imgrec_tensor *image = new_tensor(ctx, IMGREC_U8, 3, 2, 3, 1, 1);
  memcpy(imgrec_tensor_data(image), pixels, sizeof pixels);
  return image;
}

/* softmax(z / T), the same order, for every instruction set the same bits. */
static void test_calibration__probabilities(void **state) {
  float bits[2][CLASSES];
  (void)state;
  for (int isa = 0; isa < 2; isa++) {
    imgrec_context *ctx = new_context(1, isa); /* the best, and scalar */
    imgrec_model *m = new_model(ctx, "input 2 3 1\nflatten\n", 1, 1);
    imgrec_tensor *image = new_image(ctx);
    const unsigned char *p = imgrec_tensor_const_data(image);
    imgrec_calibration c = calibration(0.3F, 0);
    imgrec_result r[CLASSES];
    double sum = 0;
    assert_ok(ctx, imgrec_model_set_calibration(m, &c));
    assert_int_equal(imgrec_model_classify(m, image, CLASSES, r), CLASSES);
    for (int i = 0; i < CLASSES; i++)
      sum += exp(p[i] / 255.0 / 0.3);
    for (int i = 0; i < CLASSES; i++) {
      double wanted = exp(p[r[i].class_index] / 255.0 / 0.3) / sum;
      assert_true(fabs((double)r[i].probability - wanted) < 1e-6);
      bits[isa][i] = r[i].probability;
    }
    assert_int_equal(r[0].class_index, 4);
    assert_int_equal(r[1].class_index, 1);
    imgrec_tensor_destroy(image);
    imgrec_model_destroy(m);
    imgrec_context_destroy(ctx);
  }
  assert_memory_equal(bits[0], bits[1], sizeof bits[0]);
}

static void test_calibration__other_weights(void **state) {
  imgrec_context *ctx = new_context(1, 0);
  imgrec_model *m = new_model(ctx, NET, 1, 1);
  imgrec_calibration c = calibration(2, 0.5F);
  imgrec_tensor *bias = NULL;
  imgrec_trainer *trainer = NULL;
  (void)state;
  assert_ok(ctx, imgrec_model_save(m, MODEL_FILE));
  assert_ok(ctx, imgrec_model_set_calibration(m, &c));
  assert_ok(ctx, imgrec_model_round_weights(m, IMGREC_WEIGHTS_BF16));
  assert_calibration(m, 2, 0.5F);
  assert_ok(ctx, imgrec_model_get_parameter(&bias, m, "fc1.bias"));
  assert_ok(ctx, imgrec_model_set_parameter(m, "fc1.bias", bias));
  assert_calibration(m, 1, 0);
  assert_ok(ctx, imgrec_model_set_calibration(m, &c));
  assert_ok(ctx, imgrec_model_load_weights(m, MODEL_FILE));
  assert_calibration(m, 1, 0);
  assert_ok(ctx, imgrec_model_set_calibration(m, &c));
  assert_ok(ctx, imgrec_trainer_create(&trainer, m, NULL));
  assert_calibration(m, 1, 0);
  imgrec_trainer_destroy(trainer);
  imgrec_tensor_destroy(bias);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* ---- In a file ----------------------------------------------------------- */

/* The file with `from` replaced by `to`, of the same length. */
static int load_patched(imgrec_context *ctx, imgrec_model **out,
                        const char *from, const char *to) {
  static char bytes[20000];
  struct blob file;
  struct error e;
  assert_int_equal(
      imgrec__file_read(&file, &ctx->allocator, &e, MODEL_FILE, sizeof bytes),
      0);
  memcpy(bytes, file.bytes, file.size);
  size_t size = file.size, n = strlen(from);
  imgrec__blob_free(&file, &ctx->allocator);
  for (size_t i = 0; i + n <= size; i++)
    if (memcmp(bytes + i, from, n) == 0) {
      memcpy(bytes + i, to, n);
      return imgrec_model_load_memory(out, ctx, bytes, size, NULL);
    }
  fail_msg("the file lacks %s", from);
  return 0;
}

static void test_calibration__file(void **state) {
  imgrec_context *ctx = new_context(1, 0);
  imgrec_model *m = new_model(ctx, NET, 1, 1), *loaded = NULL, *none = NULL;
  imgrec_calibration c = calibration(1.1F, 0.3F);
  (void)state;
  assert_ok(ctx, imgrec_model_set_calibration(m, &c));
  assert_ok(ctx, imgrec_model_save(m, MODEL_FILE));
  assert_ok(ctx, imgrec_model_load(&loaded, ctx, MODEL_FILE, NULL));
  assert_calibration(loaded, 1.1F, 0.3F);
  assert_fails(ctx,
               load_patched(ctx, &none, "\\\"temperature\\\":1.1",
                            "\\\"temperature\\\":1.2"),
               IMGREC_ERR_FORMAT,
               "model in memory: architecture, calibration, labels or "
               "preprocessing do not match their hash (file damaged?)");
  assert_null(none);
  imgrec_model_destroy(loaded);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_calibration__values),
      cmocka_unit_test(test_calibration__rejects),
      cmocka_unit_test(test_calibration__probabilities),
      cmocka_unit_test(test_calibration__other_weights),
      cmocka_unit_test(test_calibration__file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
