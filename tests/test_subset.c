/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/subset.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "toy_data.h"

static void test_subset__takes_out(void **state) {
  static const int64_t some[] = {0, 4, 5, 8}, left[] = {1, 2, 3, 6, 7};
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_dataset *d = toy_data(ctx, 9, 0, 100);
  (void)state;
  assert_int_equal(imgrec_dataset_remove(d, NULL, 0), 0);
  assert_int_equal(imgrec_dataset_size(d), 9);
  assert_int_equal(imgrec_dataset_remove(d, some, 4), 0);
  assert_int_equal(imgrec_dataset_size(d), 5);
  assert_non_null(strstr(imgrec_dataset_description(d), ": 5 grey images"));
  for (int i = 0; i < 5; i++) {
    char source[32];
    snprintf(source, sizeof source, "memory#%d", (int)left[i]);
    assert_string_equal(imgrec_dataset_source(d, i), source);
    assert_int_equal(imgrec_dataset_class(d, i), left[i] % TOY_CLASSES);
  }
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

static void test_subset__refuses(void **state) {
  static const int64_t falling[] = {2, 1}, twice[] = {1, 1}, far[] = {0, 3},
                       negative[] = {-1, 0}, all[] = {0, 1, 2};
  const int64_t *wrong[] = {falling, twice, far, negative};
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_dataset *d = toy_data(ctx, 3, 0, 100);
  (void)state;
  for (int i = 0; i < 4; i++) {
    assert_int_equal(imgrec_dataset_remove(d, wrong[i], 2),
                     IMGREC_ERR_ARGUMENT);
    assert_non_null(strstr(imgrec_last_error(ctx), "must increase"));
  }
  assert_int_equal(imgrec_dataset_remove(d, all, 3), IMGREC_ERR_ARGUMENT);
  assert_non_null(strstr(imgrec_last_error(ctx), "no image would be left"));
  assert_int_equal(imgrec_dataset_remove(d, NULL, 1), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_remove(d, all, -1), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_remove(NULL, all, 1), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_size(d), 3);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_subset__takes_out),
      cmocka_unit_test(test_subset__refuses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
