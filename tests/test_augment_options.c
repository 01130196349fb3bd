/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/augment_options.c: text to options and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/image.h"
#include "nets.h"

static imgrec_context *ctx;

static int setup(void **state) {
  (void)state;
  ctx = new_context(1, IMGREC_ISA_AUTO);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

static imgrec_augment parsed(const char *text) {
  imgrec_augment a;
  assert_int_equal(imgrec_augment_init(&a, sizeof a), 0);
  assert_ok(ctx, imgrec_augment_parse(&a, ctx, text));
  return a;
}

static void test_augment_options__init(void **state) {
  (void)state;
  imgrec_augment a;
  assert_int_equal(imgrec_augment_init(&a, sizeof a), 0);
  assert_int_equal(a.struct_size, sizeof a);
  assert_true(a.flip == 0 && a.mixup == 0 && a.aspect > 1.3F);
  assert_false(imgrec__augment_acts(&a));
  a.mixup = 1; /* of batches */
  assert_false(imgrec__augment_acts(&a));
  a.flip = 0.5F;
  assert_true(imgrec__augment_acts(&a));
  assert_int_equal(imgrec_augment_init(NULL, sizeof a), IMGREC_ERR_ARGUMENT);
}

static void test_augment_options__parse(void **state) {
  (void)state;
  imgrec_augment a = parsed("flip,crop=4,rotate=10.5,fill=edge,randaugment=3");
  assert_true(a.flip == 0.5F && a.crop == 4 && a.rotate == 10.5F);
  assert_int_equal(a.fill, IMGREC_FILL_EDGE);
  assert_int_equal(a.randaugment, 3);
  assert_true(a.shift == 0 && a.cutmix == 0);
  a = parsed("strong,flip=0,mixup=0");
  assert_true(a.flip == 0 && a.mixup == 0 && a.cutmix == 1 && a.area > 0);
  a = parsed("none");
  assert_false(imgrec__augment_acts(&a));
}

/* A chance of 0 leaves out what it is the chance of. */
static void test_augment_options__degrade_of_zero(void **state) {
  (void)state;
  imgrec_augment a = parsed("strong,degrade=0"), strong = parsed("strong");
  assert_true(a.blur == 0 && a.noise == 0 && a.jpeg == 0);
  assert_true(a.flip == strong.flip && a.cutout == strong.cutout);
  a = parsed("degrade=0,blur=2,jpeg");
  assert_true(a.blur == 0 && a.jpeg == 0);
  a = parsed("strong,degrade=0,degrade=0.2");
  assert_true(a.degrade == 0.2F && a.blur == strong.blur);
}

/* What is printed gives the same options. */
static void test_augment_options__print(void **state) {
  (void)state;
  static const char *const texts[][2] = {
      {"none", "none"},
      {"none,flip=0.25", "flip=0.25"},
      {"crop=4,flip", "flip=0.5,crop=4"},
      {"light", NULL},
      {"strong", NULL},
      {"strong,randaugment,fill=black", NULL},
      {"none,flip,noise,degrade=0", "flip=0.5"},
      {"jpeg=33.3,degrade=1,hue=1e-1", "hue=0.1,jpeg=33.3,degrade=1"}};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    char text[400], again[400];
    imgrec_augment a = parsed(texts[i][0]), b;
    int n = imgrec_augment_print(&a, ctx, text, sizeof text);
    assert_int_equal(n, strlen(text));
    if (texts[i][1])
      assert_string_equal(text, texts[i][1]);
    b = parsed(text);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(imgrec_augment_print(&a, ctx, NULL, 0), n);
    assert_int_equal(imgrec_augment_print(&a, ctx, again, 3), n);
    assert_int_equal(strncmp(text, again, 2) == 0 && again[2] == 0, 1);
  }
}

static void test_augment_options__refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *sentence;
  } cases[] = {
      {"flop", "augment: there is no 'flop'; there are "},
      {"", "augment: there is no ''"},
      {"flip,", "augment: there is no ''"},
      {"flip,none", "augment: there is no 'none'"},
      {"flip=", "augment: '' is no value of flip; it is a number"},
      {"flip=x", "augment: 'x' is no value of flip"},
      {"flip=nan", "augment: 'nan' is no value"},
      {"flip=1.1", "augment: flip must be 0 to 1"},
      {"flip=-1", "augment: flip must be"},
      {"area=0.001", "augment: area must be 0 or 0.01 to 1"},
      {"jpeg=0.5", "augment: jpeg must be 0 or 1 to 100"},
      {"aspect=0.5", "augment: aspect must be 1 to 8"},
      {"area,aspect=0", "augment: aspect must be 1 to 8"},
      {"randaugment,magnitude=0", "augment: magnitude must be 0.01 to 10"},
      {"fill=red", "augment: 'red' is no value of fill; it is reflect, edge"},
      {"fill", "augment: '' is no value of fill"},
      {"randaugment=9", "augment: randaugment must be 0 to 8"},
      {"randaugment=-1", "augment: randaugment must be"},
      {"randaugment=1.5", "augment: '1.5' is no value of randaugment"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    imgrec_augment a = parsed("hue=7"), before = a;
    assert_int_equal(imgrec_augment_parse(&a, ctx, cases[i].text),
                     IMGREC_ERR_ARGUMENT);
    const char *said = imgrec_last_error(ctx);
    if (strncmp(said, cases[i].sentence, strlen(cases[i].sentence)) != 0)
      fail_msg("%s: %s", cases[i].text, said);
    assert_memory_equal(&a, &before, sizeof a);
  }
  assert_int_equal(imgrec_augment_parse(NULL, ctx, "flip"),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_augment_print(NULL, ctx, NULL, 0),
                   IMGREC_ERR_ARGUMENT);
}

/* Values that no text gave. */
static void test_augment_options__struct_is_checked(void **state) {
  (void)state;
  imgrec_augment a = parsed("none"), read;
  a.fill = 3;
  assert_int_equal(imgrec__augment_read(&read, NULL, &a), IMGREC_ERR_ARGUMENT);
  a = parsed("none");
  a.noise = -1;
  assert_int_equal(imgrec__augment_read(&read, NULL, &a), IMGREC_ERR_ARGUMENT);
  a = parsed("none");
  a.aspect = a.degrade = a.magnitude = 0;
  assert_int_equal(imgrec__augment_read(&read, NULL, &a), 0);
  assert_true(read.aspect > 1 && read.degrade > 0 && read.magnitude > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_augment_options__init),
      cmocka_unit_test(test_augment_options__parse),
      cmocka_unit_test(test_augment_options__degrade_of_zero),
      cmocka_unit_test(test_augment_options__print),
      cmocka_unit_test(test_augment_options__refused),
      cmocka_unit_test(test_augment_options__struct_is_checked),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
