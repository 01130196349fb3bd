/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/conv2d.c: outputs and gradients against f64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gradcheck.h"

/* In front of the layer under test, so that its gradient by x is seen. */
#define BEFORE "conv2d 4 kernel=1\n"

static void check(const char *input, const char *layer, size_t batch) {
  char text[300];
  snprintf(text, sizeof text, "input %s\n" BEFORE "%s\nflatten\n", input,
           layer);
  gradcheck(text, batch);
}

static void test_conv2d__kernels(void **state) {
  (void)state;
  check("5 7 3", "conv2d 3 kernel=1", 2);
  check("5 7 3", "conv2d 3 kernel=3", 3);
  check("5 7 1", "conv2d 5 kernel=5", 1);
  check("5 7 2", "conv2d 1 kernel=2", 1);
  check("6 7 2", "conv2d 2 kernel=1x4", 2);
  check("6 7 2", "conv2d 17 kernel=3x1", 1);
}

static void test_conv2d__strides(void **state) {
  (void)state;
  check("7 9 2", "conv2d 3 kernel=3 stride=2", 2);
  check("7 9 2", "conv2d 3 kernel=1 stride=2", 2);
  check("7 9 2", "conv2d 3 kernel=2 stride=3x1", 2);
  check("7 9 2", "conv2d 3 kernel=2x3 stride=1x4 padding=same", 1);
}

static void test_conv2d__paddings(void **state) {
  (void)state;
  check("4 5 2", "conv2d 3 kernel=3 padding=1", 2);
  check("4 5 2", "conv2d 3 kernel=4 padding=same", 2);
  check("4 5 2", "conv2d 2 kernel=5 padding=4x3", 1);
  check("4 5 2", "conv2d 3 kernel=2 padding=same stride=2", 2);
  check("1 1 2", "conv2d 3 kernel=3 padding=same", 3);
}

static void test_conv2d__dilations(void **state) {
  (void)state;
  check("7 8 2", "conv2d 3 kernel=3 dilation=2", 2);
  check("7 8 2", "conv2d 3 kernel=2 dilation=3x1 stride=2", 2);
  check("5 6 2", "conv2d 2 kernel=3 dilation=2 padding=same", 2);
}

static void test_conv2d__groups(void **state) {
  (void)state;
  check("5 6 2", "conv2d 6 kernel=3 groups=2", 2);
  check("5 6 2", "conv2d 4 kernel=1 groups=4", 3);
  check("5 6 2", "conv2d 6 kernel=2 groups=2 stride=2 padding=1 bias=false", 2);
  check("5 6 2", "conv2d 4 kernel=3 groups=2 dilation=2 padding=same", 2);
}

static void test_conv2d__depthwise(void **state) {
  (void)state;
  check("5 6 3", "depthwise_conv2d kernel=3", 2);
  check("5 6 3", "depthwise_conv2d 2 kernel=3 padding=same stride=2", 2);
  check("5 6 3", "depthwise_conv2d 3 kernel=1x2 bias=false dilation=2", 1);
}

/* Against f64 over more rows than are summed at once. */
static void check_many_rows(const char *size, size_t batch, const char *layer) {
  struct trial t;
  char text[200];
  snprintf(text, sizeof text, "input %s\n%s\nflatten\n", size, layer);
  trial_init(&t, text, batch, 1, 3);
  check_forward(&t, t.pass.graph->logits);
  backward(&t);
  check_gradients(&t);
  check_accumulation(&t);
  trial_free(&t);
}

/* 1024 rows make a chunk: 3 chunks one after another, a slab a task, and more
 * chunks than there are slabs. */
static void test_conv2d__many_rows(void **state) {
  (void)state;
  check_many_rows("40 32 1", 2, "conv2d 2 kernel=2");
  check_many_rows("47 43 2", 3, "conv2d 2 kernel=2 groups=2 padding=same");
  check_many_rows("75 74 1", 7, "conv2d 1 kernel=1x2");
}

/* The textbook's convolution, y(i,j) = sum of x(i-p, j-q) w(p,q), is what the
 * layer computes with the kernel turned by 180 degrees. */
static void test_conv2d__turned_kernel_convolves(void **state) {
  (void)state;
  const float w[2][3] = {{1, -2, 3}, {0.5F, 4, -1}};
  struct trial t;
  trial_init(&t, "input 4 5 1\nconv2d 1 kernel=2x3 bias=false\nflatten\n", 1, 0,
             1);
  float *kernel = t.model->graph.nodes[1].params[0].data;
  for (int p = 0; p < 2; p++)
    for (int q = 0; q < 3; q++)
      kernel[p * 3 + q] = w[1 - p][2 - q];
  const float *y = imgrec__pass_forward(&t.pass, t.pass.graph->output);
  for (int i = 1; i < 4; i++)
    for (int j = 2; j < 5; j++) {
      double sum = 0;
      for (int p = 0; p < 2; p++)
        for (int q = 0; q < 3; q++)
          sum += (double)t.x[(i - p) * 5 + j - q] * (double)w[p][q];
      compare("convolution", y + (i - 1) * 3 + j - 2, &sum, 1, 1e-6);
    }
  trial_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv2d__kernels),
      cmocka_unit_test(test_conv2d__strides),
      cmocka_unit_test(test_conv2d__paddings),
      cmocka_unit_test(test_conv2d__dilations),
      cmocka_unit_test(test_conv2d__groups),
      cmocka_unit_test(test_conv2d__depthwise),
      cmocka_unit_test(test_conv2d__many_rows),
      cmocka_unit_test(test_conv2d__turned_kernel_convolves),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
