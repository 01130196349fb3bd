/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/drop_path.c: whole images left out while training. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "gradcheck.h"

static void test_drop_path__gradients(void **state) {
  (void)state;
  gradcheck("input 3 5 2\nstem = conv2d 4 kernel=1\nconv2d 4 kernel=1\n"
            "drop_path 0.4\nadd from=drop_path1,stem activation=relu\n"
            "flatten\ndense 3\n",
            6);
  gradcheck("input 1 1 4\nflatten\ndense 5\ndrop_path 0\ndrop_path 0.75\n"
            "dense 3\n",
            4);
}

enum { IMAGES = 2000, PIXELS = 6 };

/* How many images are left out; each is so or is scaled as a whole. */
static size_t count_dropped(const struct trial *t, const float *y,
                            unsigned char *dropped) {
  size_t count = 0;
  for (size_t i = 0; i < IMAGES; i++) {
    dropped[i] = y[i * PIXELS] == 0;
    count += dropped[i];
    for (size_t k = i * PIXELS; k < (i + 1) * PIXELS; k++)
      assert_true(dropped[i]
                      ? y[k] == 0
                      : fabs((double)y[k] * 0.75 - (double)t->x[k]) < 1e-6);
  }
  return count;
}

static void test_drop_path__images(void **state) {
  static unsigned char first[IMAGES], second[IMAGES];
  struct trial t;
  size_t changed = 0;
  (void)state;
  trial_init(&t, "input 1 3 2\ndrop_path 0.25\nflatten\n", IMAGES, 1, 3);
  const float *y = imgrec__pass_forward(&t.pass, 2);
  assert_in_range(count_dropped(&t, y, first), IMAGES * 21 / 100,
                  IMAGES * 29 / 100);
  t.pass.step++;
  y = imgrec__pass_forward(&t.pass, 2);
  assert_in_range(count_dropped(&t, y, second), IMAGES * 21 / 100,
                  IMAGES * 29 / 100);
  for (size_t i = 0; i < IMAGES; i++)
    changed += first[i] != second[i];
  assert_in_range(changed, IMAGES * 33 / 100, IMAGES * 42 / 100);
  trial_free(&t);
}

static void test_drop_path__rests_in_inference(void **state) {
  struct trial t;
  (void)state;
  trial_init(&t, "input 5 5 3\ndrop_path 0.9\nflatten\n", 4, 0, 1);
  assert_memory_equal(imgrec__pass_forward(&t.pass, 2), t.x,
                      t.logits * sizeof(float));
  trial_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_drop_path__gradients),
      cmocka_unit_test(test_drop_path__images),
      cmocka_unit_test(test_drop_path__rests_in_inference),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
