/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/preset.c: the built-in architectures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nets.h"

static void test_preset__names(void **state) {
  (void)state;
  static const char *const names[] = {
      "seed",  "lenet5",  "small",    "tiny",         "nano",      "base",
      "large", "resnet8", "resnet18", "mobilenet_v2", "cifar_fast"};
  int count = sizeof names / sizeof names[0];
  for (int i = 0; i < count; i++)
    assert_string_equal(imgrec_preset_name(i), names[i]);
  assert_null(imgrec_preset_name(count));
  assert_null(imgrec_preset_name(-1));
}

static void test_preset__text(void **state) {
  (void)state;
  char text[2000];
  const char *wanted =
      "# seed: the network of the introduction to image recognition\n"
      "input 224 224 3\n"
      "conv2d 32 kernel=3 activation=relu\nmax_pool2d 2\n"
      "conv2d 64 kernel=3 activation=relu\nmax_pool2d 2\n"
      "conv2d 128 kernel=3 activation=relu\nmax_pool2d 2\n"
      "flatten\ndense 512 activation=relu\ndense 10\nsoftmax\n";
  int n = imgrec_preset("seed", 0, 0, 0, 0, text, sizeof text);
  assert_int_equal(n, strlen(wanted));
  assert_string_equal(text, wanted);
}

/* Input and classes as asked for; the least size works, a smaller one is
 * refused. */
static void check_smallest(imgrec_context *ctx, const char *name, int size) {
  char text[8000];
  int64_t shape[3];
  assert_true(imgrec_preset(name, size, size + 1, 2, 7, text, sizeof text) > 0);
  imgrec_model *m = new_model(ctx, text, 1, 1);
  imgrec_model_input_shape(m, shape);
  assert_true(shape[0] == size && shape[1] == size + 1 && shape[2] == 2);
  assert_int_equal(imgrec_model_classes(m), 7);
  imgrec_model_destroy(m);
  assert_int_equal(imgrec_preset(name, size - 1, 0, 0, 0, text, sizeof text),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_preset(name, 0, size - 1, 0, 0, text, sizeof text),
                   IMGREC_ERR_ARGUMENT);
}

static void test_preset__smallest(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  check_smallest(ctx, "seed", 22);
  check_smallest(ctx, "lenet5", 12);
  check_smallest(ctx, "small", 16);
  check_smallest(ctx, "tiny", 8);
  check_smallest(ctx, "nano", 8);
  check_smallest(ctx, "base", 8);
  check_smallest(ctx, "large", 8);
  check_smallest(ctx, "resnet8", 8);
  check_smallest(ctx, "resnet18", 8);
  check_smallest(ctx, "mobilenet_v2", 8);
  check_smallest(ctx, "cifar_fast", 8);
  imgrec_context_destroy(ctx);
}

static void test_preset__short_buffer(void **state) {
  (void)state;
  char all[2000], part[10];
  int n = imgrec_preset("tiny", 0, 0, 0, 0, all, sizeof all);
  assert_int_equal(imgrec_preset("tiny", 0, 0, 0, 0, NULL, 0), n);
  memset(part, 'x', sizeof part);
  assert_int_equal(imgrec_preset("tiny", 0, 0, 0, 0, part, 6), n);
  assert_string_equal(part, "# tin");
  assert_int_equal(part[6], 'x');
}

static void test_preset__arguments(void **state) {
  (void)state;
  char text[2000];
  assert_int_equal(imgrec_preset("huge", 0, 0, 0, 0, text, sizeof text),
                   IMGREC_ERR_NOT_FOUND);
  assert_int_equal(imgrec_preset(NULL, 0, 0, 0, 0, text, sizeof text),
                   IMGREC_ERR_NOT_FOUND);
  assert_int_equal(imgrec_preset("tiny", 0, 0, -1, 0, text, sizeof text),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_preset("tiny", 0, 0, 0, -1, text, sizeof text),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_preset("tiny", -8, 0, 0, 0, text, sizeof text),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_preset("tiny", 0, 0, 0, 0, NULL, 5),
                   IMGREC_ERR_ARGUMENT);
}

/* A text that is put together piece by piece is cut off as one is. */
static void test_preset__short_buffer_of_pieces(void **state) {
  (void)state;
  char all[8000], part[300];
  int n = imgrec_preset("base", 0, 0, 0, 0, all, sizeof all);
  assert_int_equal(n, strlen(all));
  assert_int_equal(imgrec_preset("base", 0, 0, 0, 0, NULL, 0), n);
  for (size_t size = 1; size < sizeof part; size++) {
    memset(part, 'x', sizeof part);
    assert_int_equal(imgrec_preset("base", 0, 0, 0, 0, part, size), n);
    assert_int_equal(strlen(part), size - 1);
    assert_memory_equal(part, all, size - 1);
    assert_int_equal(part[size], 'x');
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_preset__names),
      cmocka_unit_test(test_preset__text),
      cmocka_unit_test(test_preset__smallest),
      cmocka_unit_test(test_preset__short_buffer),
      cmocka_unit_test(test_preset__short_buffer_of_pieces),
      cmocka_unit_test(test_preset__arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
