/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/dataset_digest.c: what changes the fingerprint. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>

#include "toy_data.h"

static void digest(const imgrec_dataset *d, char out[65]) {
  assert_int_equal(imgrec_dataset_digest(d, out, 65), 0);
  assert_int_equal(strlen(out), 64);
  assert_int_equal(strspn(out, "0123456789abcdef"), 64);
}

static void of_toy(imgrec_context *ctx, int n, uint64_t first, char out[65]) {
  imgrec_dataset *d = toy_data(ctx, n, first, 60);
  digest(d, out);
  imgrec_dataset_destroy(d);
}

static void test_digest__of_pixels(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  char a[65], b[65];
  of_toy(ctx, 9, 0, a);
  of_toy(ctx, 9, 0, b);
  assert_string_equal(a, b);
  of_toy(ctx, 9, 1, b); /* other pixels */
  assert_string_not_equal(a, b);
  of_toy(ctx, 8, 0, b); /* fewer */
  assert_string_not_equal(a, b);
  imgrec_context_destroy(ctx);
}

static void test_digest__of_a_split(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_dataset *d = toy_data(ctx, 30, 0, 60), *x, *y;
  char a[65], b[65];
  assert_ok(ctx, imgrec_dataset_split(&x, &y, d, 0.3F, 1));
  digest(x, a);
  imgrec_dataset_destroy(x);
  imgrec_dataset_destroy(y);
  assert_ok(ctx, imgrec_dataset_split(&x, &y, d, 0.3F, 2));
  digest(x, b);
  assert_string_not_equal(a, b);
  imgrec_dataset_destroy(x);
  imgrec_dataset_destroy(y);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

static void write_image(const char *path, const char *comment) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, "P2\n#%s\n2 2 255 1 2 3 4\n", comment);
  assert_int_equal(fclose(f), 0);
}

static void of_folder(imgrec_context *ctx, const char *path, char out[65]) {
  imgrec_dataset *d = NULL;
  assert_ok(ctx, imgrec_dataset_open(&d, ctx, path, NULL));
  digest(d, out);
  imgrec_dataset_destroy(d);
}

/* Names and sizes of files; where their folder is does not count. */
static void test_digest__of_files(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  char a[65], b[65];
  mkdir("build/tmp/digest", 0777);
  mkdir("build/tmp/digest/one", 0777);
  mkdir("build/tmp/digest/two", 0777);
  write_image("build/tmp/digest/one/a.pgm", "x");
  write_image("build/tmp/digest/two/b.pgm", "y");
  of_folder(ctx, "build/tmp/digest", a);
  remove("build/tmp/digest2");
  assert_int_equal(rename("build/tmp/digest", "build/tmp/digest2"), 0);
  of_folder(ctx, "build/tmp/digest2", b);
  assert_string_equal(a, b);
  write_image("build/tmp/digest2/two/b.pgm", "longer");
  of_folder(ctx, "build/tmp/digest2", b);
  assert_string_not_equal(a, b);
  write_image("build/tmp/digest2/two/b.pgm", "y");
  rename("build/tmp/digest2/two/b.pgm", "build/tmp/digest2/two/c.pgm");
  of_folder(ctx, "build/tmp/digest2", b);
  assert_string_not_equal(a, b);
  remove("build/tmp/digest2/one/a.pgm");
  remove("build/tmp/digest2/two/c.pgm");
  remove("build/tmp/digest2/one");
  remove("build/tmp/digest2/two");
  remove("build/tmp/digest2");
  imgrec_context_destroy(ctx);
}

static void test_digest__arguments(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_dataset *d = toy_data(ctx, 3, 0, 60);
  char out[65];
  assert_int_equal(imgrec_dataset_digest(NULL, out, 65), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_digest(d, NULL, 65), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_digest(d, out, 64), IMGREC_ERR_ARGUMENT);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_digest__of_pixels),
      cmocka_unit_test(test_digest__of_a_split),
      cmocka_unit_test(test_digest__of_files),
      cmocka_unit_test(test_digest__arguments),
  };
  return cmocka_run_group_tests_name("dataset_digest", tests, NULL, NULL);
}
