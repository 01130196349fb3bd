/* SPDX-License-Identifier: MIT */
/* Kernels on bytes, on every table, against their definition. */
#include "kernel_calls.h"

/* A block of just n bytes. */
static unsigned char *bytes(size_t n, int fill) {
  unsigned char *p = malloc(n);
  assert_non_null(p);
  for (size_t i = 0; i < n; i++)
    p[i] = (unsigned char)(fill < 0 ? (int)below(256) : fill);
  return p;
}

static void check_turn(const struct kernels *k, size_t rows, size_t columns,
                       size_t more_src, size_t more_dst) {
  size_t src_stride = columns + more_src, dst_stride = rows + more_dst;
  unsigned char *src = bytes((rows - 1) * src_stride + columns, -1);
  unsigned char *dst = bytes((columns - 1) * dst_stride + rows, 0x5a);
  k->turn_bytes(dst, dst_stride, src, src_stride, rows, columns);
  for (size_t j = 0; j < columns; j++) {
    for (size_t i = 0; i < rows; i++)
      assert_int_equal(dst[j * dst_stride + i], src[i * src_stride + j]);
    for (size_t i = rows; i < dst_stride && j + 1 < columns; i++)
      assert_int_equal(dst[j * dst_stride + i], 0x5a);
  }
  free(dst);
  free(src);
}

static void test_bytes_tmpl__turn(void **state) {
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    const struct kernels *k = imgrec__kernels_for(isa);
    for (size_t i = 0; k && i < 300; i++)
      check_turn(k, 1 + below(50), 1 + below(70), below(5), below(5));
  }
}

/* Weights of about one in all, as a resize makes them. */
static void some_weights(int32_t *weight, size_t count) {
  int32_t rest = 1 << BLEND_BITS;
  for (size_t i = 0; i + 1 < count; i++) {
    weight[i] = (int32_t)below((size_t)rest + 1);
    rest -= weight[i];
  }
  weight[count - 1] = rest;
}

/* fill: of the source, -1 for anything. */
static void check_blend(const struct kernels *k, size_t n, size_t count,
                        size_t stride, int fill) {
  int32_t weight[64];
  unsigned char *src = bytes((count - 1) * stride + n, fill);
  unsigned char *dst = bytes(n, 0);
  some_weights(weight, count);
  k->blend_bytes(dst, src, stride, weight, count, n);
  for (size_t x = 0; x < n; x++) {
    int64_t sum = 1 << (BLEND_BITS - 1);
    for (size_t i = 0; i < count; i++)
      sum += (int64_t)weight[i] * src[i * stride + x];
    assert_int_equal(dst[x], sum >> BLEND_BITS);
  }
  free(dst);
  free(src);
}

static void test_bytes_tmpl__blend(void **state) {
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    const struct kernels *k = imgrec__kernels_for(isa);
    for (size_t i = 0; k && i < 500; i++) {
      size_t n = 1 + below(200);
      check_blend(k, n, 1 + below(64), n + below(20), i % 5 == 0 ? 255 : -1);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bytes_tmpl__turn),
      cmocka_unit_test(test_bytes_tmpl__blend),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
