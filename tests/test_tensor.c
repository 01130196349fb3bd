/* SPDX-License-Identifier: MIT */
/* Tests of lib/tensor.c: shapes, ownership, and the limits of images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "failing_alloc.h"
#include "tensor.h"

struct fixture {
  struct failing failing;
  imgrec_context *ctx;
};

static int setup(void **state) {
  static struct fixture f;
  imgrec_context_options o;
  f = (struct fixture){.ctx = NULL};
  *state = &f;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &f.failing;
  return imgrec_context_create(&f.ctx, &o);
}

static int teardown(void **state) {
  struct fixture *f = *state;
  imgrec_context_destroy(f->ctx);
  return f->failing.live_blocks != 0;
}

static void test_tensor__create(void **state) {
  struct fixture *f = *state;
  const int64_t shape[4] = {2, 3, 5, 7};
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_tensor_create(&t, f->ctx, IMGREC_F32, 4, shape), 0);
  assert_int_equal(imgrec_tensor_dtype(t), IMGREC_F32);
  assert_int_equal(imgrec_tensor_ndim(t), 4);
  assert_int_equal(imgrec_tensor_nbytes(t), 2 * 3 * 5 * 7 * 4);
  for (int axis = 0; axis < 4; axis++)
    assert_int_equal(imgrec_tensor_dim(t, axis), shape[axis]);
  const unsigned char *bytes = imgrec_tensor_const_data(t);
  assert_int_equal((uintptr_t)bytes % IMGREC__ALIGN, 0);
  for (size_t i = 0; i < imgrec_tensor_nbytes(t); i++)
    assert_int_equal(bytes[i], 0);
  assert_ptr_equal(imgrec_tensor_data(t), bytes);
  imgrec_tensor_destroy(t);
  imgrec_tensor_destroy(NULL);
}

static void test_tensor__dim_beyond(void **state) {
  struct fixture *f = *state;
  const int64_t shape[2] = {4, 9};
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_tensor_create(&t, f->ctx, IMGREC_U8, 2, shape), 0);
  assert_int_equal(imgrec_tensor_nbytes(t), 36);
  assert_int_equal(imgrec_tensor_dim(t, 2), 1);
  assert_int_equal(imgrec_tensor_dim(t, 1000), 1);
  assert_int_equal(imgrec_tensor_dim(t, -1), 0);
  assert_int_equal(t->shape[2], 1);
  assert_int_equal(t->shape[3], 1);
  imgrec_tensor_destroy(t);
}

static void test_tensor__wrap(void **state) {
  struct fixture *f = *state;
  const int64_t shape[1] = {3};
  int32_t labels[3] = {1, 2, 3};
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_tensor_wrap(&t, f->ctx, IMGREC_I32, 1, shape, labels),
                   0);
  assert_ptr_equal(imgrec_tensor_data(t), labels);
  imgrec_tensor_destroy(t);
  assert_int_equal(labels[2], 3);
}

static void test_tensor__wrap_refuses(void **state) {
  struct fixture *f = *state;
  const int64_t shape[1] = {1};
  _Alignas(4) char bytes[8] = {0};
  imgrec_tensor *t = NULL;
  assert_int_equal(
      imgrec_tensor_wrap(&t, f->ctx, IMGREC_F32, 1, shape, bytes + 1),
      IMGREC_ERR_ARGUMENT);
  assert_non_null(strstr(imgrec_last_error(f->ctx), "not aligned"));
  assert_int_equal(imgrec_tensor_wrap(&t, f->ctx, IMGREC_F32, 1, shape, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_non_null(strstr(imgrec_last_error(f->ctx), "`data` is NULL"));
  assert_int_equal(
      imgrec_tensor_wrap(NULL, f->ctx, IMGREC_F32, 1, shape, bytes),
      IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_tensor_wrap(&t, NULL, IMGREC_F32, 1, shape, bytes),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_tensor_wrap(&t, f->ctx, 0, 1, shape, bytes),
                   IMGREC_ERR_ARGUMENT);
  assert_null(t);
  assert_int_equal(
      imgrec_tensor_wrap(&t, f->ctx, IMGREC_U8, 1, shape, bytes + 1), 0);
  imgrec_tensor_destroy(t);
}

static void check_refused(struct fixture *f, int dtype, int ndim,
                          const int64_t *shape, int status,
                          const char *sentence) {
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_tensor_create(&t, f->ctx, dtype, ndim, shape),
                   status);
  assert_non_null(strstr(imgrec_last_error(f->ctx), sentence));
  assert_null(t);
}

static void test_tensor__create_refuses(void **state) {
  struct fixture *f = *state;
  const int64_t good[5] = {1, 1, 1, 1, 1}, zero[2] = {3, 0}, minus[1] = {-5};
  const int bad = IMGREC_ERR_ARGUMENT;
  check_refused(f, 0, 1, good, bad, "dtype is 0");
  check_refused(f, 4, 1, good, bad, "dtype is 4");
  check_refused(f, IMGREC_F32, 0, good, bad, "1 to 4 sizes, not 0");
  check_refused(f, IMGREC_F32, 5, good, bad, "1 to 4 sizes, not 5");
  check_refused(f, IMGREC_F32, 1, NULL, bad, "1 to 4 sizes, not 0");
  check_refused(f, IMGREC_F32, 2, zero, bad, "size 1 of the shape is 0");
  check_refused(f, IMGREC_F32, 1, minus, bad, "size 0 of the shape is -5");
  assert_int_equal(imgrec_tensor_create(NULL, f->ctx, IMGREC_F32, 1, good),
                   bad);
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_tensor_create(&t, NULL, IMGREC_F32, 1, good), bad);
}

static void test_tensor__overflow(void **state) {
  struct fixture *f = *state;
  const int64_t shapes[][4] = {
      {INT64_MAX, 1, 1, 1},
      {(int64_t)1 << 32, (int64_t)1 << 32, 1, 1},
      {(int64_t)1 << 16, (int64_t)1 << 16, (int64_t)1 << 16, (int64_t)1 << 16},
      {1, 1, INT64_MAX / 4 + 1, 1}};
  for (size_t i = 0; i < 4; i++)
    check_refused(f, IMGREC_F32, 4, shapes[i], IMGREC_ERR_LIMIT, "more bytes");
}

static void test_tensor__out_of_memory(void **state) {
  struct fixture *f = *state;
  const int64_t shape[1] = {100};
  long blocks = f->failing.live_blocks;
  for (long n = 1; n <= 2; n++) {
    f->failing.fail_at = f->failing.calls + n;
    check_refused(f, IMGREC_F32, 1, shape, IMGREC_ERR_MEMORY,
                  n == 1 ? "out of memory for a tensor"
                         : "out of memory for a tensor of 400 bytes");
    assert_int_equal(f->failing.live_blocks, blocks);
    assert_int_equal(f->ctx->references, 1);
  }
}

static void test_tensor__outlives_the_handle_of_its_context(void **state) {
  struct fixture *f = *state;
  const int64_t shape[1] = {10};
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_tensor_create(&t, f->ctx, IMGREC_F32, 1, shape), 0);
  imgrec_context_destroy(f->ctx);
  f->ctx = NULL;
  memset(imgrec_tensor_data(t), 1, imgrec_tensor_nbytes(t));
  imgrec_tensor_destroy(t);
  assert_int_equal(f->failing.live_blocks, 0);
}

static void check_image(struct fixture *f, int dtype, int ndim,
                        const int64_t *shape, int status,
                        const char *sentence) {
  static float data[16];
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_tensor_wrap(&t, f->ctx, dtype, ndim, shape, data), 0);
  assert_int_equal(imgrec__check_image(&f->ctx->error, t, "resize"), status);
  assert_non_null(strstr(imgrec_last_error(f->ctx), sentence));
  imgrec_tensor_destroy(t);
}

static void test_tensor__check_image(void **state) {
  struct fixture *f = *state;
  const int64_t grey[3] = {4, 4, 1}, rgb[3] = {3, 2, 3}, rgba[3] = {2, 3, 4};
  const int64_t wide[3] = {1, 16385, 1}, large[3] = {16000, 16000, 1};
  const int bad = IMGREC_ERR_SHAPE;
  check_image(f, IMGREC_U8, 3, grey, IMGREC_OK, "");
  check_image(f, IMGREC_U8, 3, rgb, IMGREC_OK, "");
  check_image(f, IMGREC_U8, 3, rgba, bad,
              "resize: the image is a u8 tensor of "
              "2 x 3 x 4");
  check_image(f, IMGREC_U8, 2, grey, bad, "u8 tensor of 4 x 4");
  check_image(f, IMGREC_F32, 3, grey, bad, "f32 tensor");
  check_image(f, IMGREC_U8, 3, wide, IMGREC_ERR_LIMIT, "1 x 16385");
  check_image(f, IMGREC_U8, 3, large, IMGREC_ERR_LIMIT, "16000 x 16000");
}

static void check_new_image(struct fixture *f, int64_t height, int64_t width,
                            int channels, int status) {
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec__image_new(&t, f->ctx, height, width, channels),
                   status);
  assert_int_equal(t == NULL, status < 0);
  if (t != NULL) {
    assert_int_equal(imgrec__check_image(&f->ctx->error, t, "x"), 0);
    assert_int_equal(imgrec_tensor_dim(t, 0), height);
    assert_int_equal(imgrec_tensor_dim(t, 1), width);
    assert_int_equal(imgrec_tensor_dim(t, 2), channels);
  }
  imgrec_tensor_destroy(t);
}

static void test_tensor__image_new(void **state) {
  struct fixture *f = *state;
  check_new_image(f, 1, 1, 1, IMGREC_OK);
  check_new_image(f, 5, 7, 3, IMGREC_OK);
  check_new_image(f, 16384, 4096, 1, IMGREC_OK);
  check_new_image(f, 16384, 4097, 1, IMGREC_ERR_LIMIT);
  check_new_image(f, 16385, 1, 1, IMGREC_ERR_LIMIT);
  check_new_image(f, 1, INT64_MAX, 1, IMGREC_ERR_LIMIT);
  check_new_image(f, 0, 1, 1, IMGREC_ERR_ARGUMENT);
  check_new_image(f, 1, -1, 1, IMGREC_ERR_ARGUMENT);
  check_new_image(f, 1, 1, 2, IMGREC_ERR_ARGUMENT);
  check_new_image(f, 1, 1, 4, IMGREC_ERR_ARGUMENT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_tensor__create),
      CASE(test_tensor__dim_beyond),
      CASE(test_tensor__wrap),
      CASE(test_tensor__wrap_refuses),
      CASE(test_tensor__create_refuses),
      CASE(test_tensor__overflow),
      CASE(test_tensor__out_of_memory),
      CASE(test_tensor__outlives_the_handle_of_its_context),
      CASE(test_tensor__check_image),
      CASE(test_tensor__image_new),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
