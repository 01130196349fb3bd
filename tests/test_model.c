/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/model.c: creating, running, limits, labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <sys/stat.h>

#include "failing_alloc.h"
#include "nets.h"

#define NET                                                                    \
  "input 6 5 3\nconv2d 4 kernel=3 activation=relu\nbatch_norm\n"               \
  "max_pool2d 2\nflatten\ndense 3\nsoftmax\n"

struct fixture {
  struct failing alloc;
  imgrec_context *ctx;
  imgrec_model *model;
};

static imgrec_context *counting_context(struct failing *f, uint64_t max_bytes) {
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 2;
  o.max_bytes = max_bytes;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = f;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  return ctx;
}

static int set_up(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  f->ctx = counting_context(&f->alloc, 0);
  f->model = new_model(f->ctx, NET, 4, 1);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  imgrec_context_destroy(f->ctx); /* the model keeps it */
  imgrec_model_destroy(f->model);
  assert_int_equal(f->alloc.live_blocks, 0);
  assert_int_equal(f->alloc.live_bytes, 0);
  free(f);
  return 0;
}

/* ---- Creating ------------------------------------------------------------ */

static void check_options(struct fixture *f, const imgrec_model_options *o,
                          int status, const char *sentence) {
  imgrec_model *m = NULL;
  assert_fails(f->ctx, imgrec_model_create(&m, f->ctx, NET, o), status,
               sentence);
  assert_null(m);
}

static void test_model__options(void **state) {
  struct fixture *f = *state;
  imgrec_model_options o;
  imgrec_model_options_init(&o, sizeof o);
  o.max_batch = -1;
  check_options(f, &o, IMGREC_ERR_ARGUMENT,
                "max_batch is -1; it must be 1 to 65536");
  o.max_batch = 65537;
  check_options(f, &o, IMGREC_ERR_ARGUMENT,
                "max_batch is 65537; it must be 1 to 65536");
  o.max_batch = 0;
  o.init = 3;
  check_options(f, &o, IMGREC_ERR_ARGUMENT,
                "init is 3, which is no IMGREC_INIT_ value");
}

static void test_model__create_arguments(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = NULL;
  const char *sentence = "imgrec_model_create: out or architecture is NULL";
  assert_fails(f->ctx, imgrec_model_create(NULL, f->ctx, NET, NULL),
               IMGREC_ERR_ARGUMENT, sentence);
  assert_fails(f->ctx, imgrec_model_create(&m, f->ctx, NULL, NULL),
               IMGREC_ERR_ARGUMENT, sentence);
  assert_int_equal(imgrec_model_create(&m, NULL, NET, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_fails(f->ctx, imgrec_model_create(&m, f->ctx, "input 1 1 1", NULL),
               IMGREC_ERR_ARCHITECTURE,
               "a network needs 'input H W C' and at least one layer");
  assert_null(m);
  imgrec_model_destroy(NULL);
}

static void create_failing(long fail_at, int from_then_on, int *done) {
  struct failing f = {0};
  imgrec_context *ctx = counting_context(&f, 0);
  imgrec_model *m = NULL;
  long live = f.live_blocks;
  f.calls = 0;
  f.fail_at = fail_at;
  f.from_then_on = from_then_on;
  int status = imgrec_model_create(&m, ctx, NET, NULL);
  *done = status == IMGREC_OK && f.calls < fail_at;
  f.fail_at = 0;
  if (status < 0) {
    assert_int_equal(status, IMGREC_ERR_MEMORY);
    assert_null(m);
    assert_int_equal(f.live_blocks, live);
    assert_non_null(strstr(imgrec_last_error(ctx), "out of memory"));
  }
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
  assert_int_equal(f.live_blocks, 0);
}

static void test_model__every_allocation_fails(void **state) {
  (void)state;
  for (int from_then_on = 0; from_then_on < 2; from_then_on++) {
    long n = 1;
    for (int done = 0; !done; n++)
      create_failing(n, from_then_on, &done);
    assert_true(n > 10);
  }
}

/* A cap that everything just fits, and one byte less. */
static void test_model__max_bytes(void **state) {
  (void)state;
  struct failing f = {0};
  imgrec_context *ctx = counting_context(&f, 0);
  imgrec_model *m = new_model(ctx, NET, 4, 1);
  uint64_t peak = imgrec_context_peak_bytes(ctx);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
  ctx = counting_context(&f, peak);
  m = new_model(ctx, NET, 4, 1);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
  ctx = counting_context(&f, peak - 1);
  imgrec_model_options o;
  imgrec_model_options_init(&o, sizeof o);
  o.max_batch = 4;
  m = NULL;
  assert_int_equal(imgrec_model_create(&m, ctx, NET, &o), IMGREC_ERR_LIMIT);
  assert_null(m);
  assert_non_null(strstr(imgrec_last_error(ctx), "max_bytes"));
  imgrec_context_destroy(ctx);
  assert_int_equal(f.live_blocks, 0);
}

/* ---- Forward ------------------------------------------------------------- */

static void test_model__forward(void **state) {
  struct fixture *f = *state;
  imgrec_tensor *x = new_batch(f->ctx, f->model, 4, 1);
  imgrec_tensor *y = new_tensor(f->ctx, IMGREC_F32, 2, 4, 3, 1, 1);
  long calls = f->alloc.calls;
  assert_ok(f->ctx, imgrec_model_forward(f->model, x, y));
  assert_int_equal(f->alloc.calls, calls); /* allocates nothing */
  for (int i = 0; i < 4; i++) {
    const float *p = floats_of(y) + 3 * i;
    float sum = p[0] + p[1] + p[2];
    assert_true(sum > 0.99999F && sum < 1.00001F && p[0] > 0 && p[0] < 1);
  }
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
}

static void check_forward(struct fixture *f, const imgrec_tensor *x,
                          imgrec_tensor *y, int status, const char *sentence) {
  assert_fails(f->ctx, imgrec_model_forward(f->model, x, y), status, sentence);
}

static void test_model__forward_shapes(void **state) {
  struct fixture *f = *state;
  imgrec_context *ctx = f->ctx;
  imgrec_tensor *x = new_batch(ctx, f->model, 2, 1);
  imgrec_tensor *y = new_tensor(ctx, IMGREC_F32, 2, 2, 3, 1, 1);
  imgrec_tensor *bytes = new_tensor(ctx, IMGREC_U8, 4, 2, 6, 5, 3);
  imgrec_tensor *turned = new_tensor(ctx, IMGREC_F32, 4, 2, 5, 6, 3);
  imgrec_tensor *image = new_tensor(ctx, IMGREC_F32, 3, 6, 5, 3, 1);
  imgrec_tensor *many = new_tensor(ctx, IMGREC_F32, 4, 5, 6, 5, 3);
  check_forward(f, NULL, y, IMGREC_ERR_ARGUMENT, "x must be an f32 tensor");
  check_forward(f, bytes, y, IMGREC_ERR_ARGUMENT, "x must be an f32 tensor");
  check_forward(f, turned, y, IMGREC_ERR_SHAPE,
                "x is 2 x 5 x 6 x 3; this model takes N x 6 x 5 x 3");
  check_forward(f, image, y, IMGREC_ERR_SHAPE,
                "x is 6 x 5 x 3 x 1; this model takes N x 6 x 5 x 3");
  check_forward(f, many, y, IMGREC_ERR_SHAPE, "x has 5 images; max_batch is 4");
  const char *sentence = "y must be an f32 tensor of 2 x 3";
  check_forward(f, x, NULL, IMGREC_ERR_SHAPE, sentence);
  check_forward(f, x, x, IMGREC_ERR_SHAPE, sentence);
  check_forward(f, x, bytes, IMGREC_ERR_SHAPE, sentence);
  assert_int_equal(imgrec_model_forward(NULL, x, y), IMGREC_ERR_ARGUMENT);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
  imgrec_tensor_destroy(bytes);
  imgrec_tensor_destroy(turned);
  imgrec_tensor_destroy(image);
  imgrec_tensor_destroy(many);
}

/* Whatever the caller's rounding mode, weights and outputs have the same bits,
 * and the mode is as before. */
static void test_model__rounding_mode(void **state) {
  struct fixture *f = *state;
  imgrec_tensor *x = new_batch(f->ctx, f->model, 4, 1);
  imgrec_tensor *y = new_tensor(f->ctx, IMGREC_F32, 2, 4, 3, 1, 1);
  imgrec_tensor *z = new_tensor(f->ctx, IMGREC_F32, 2, 4, 3, 1, 1);
  assert_ok(f->ctx, imgrec_model_forward(f->model, x, y));
  assert_int_equal(fesetround(FE_UPWARD), 0);
  imgrec_model *m = new_model(f->ctx, NET, 4, 1);
  assert_ok(f->ctx, imgrec_model_forward(m, x, z));
  int mode = fegetround();
  fesetround(FE_TONEAREST);
  assert_int_equal(mode, FE_UPWARD);
  assert_memory_equal(m->weights, f->model->weights,
                      m->weight_floats * sizeof(float));
  assert_memory_equal(floats_of(y), floats_of(z), 12 * sizeof(float));
  imgrec_model_destroy(m);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
  imgrec_tensor_destroy(z);
}

/* A model that has learnt something, from a file again: the same bits. */
static void test_model__saved_and_loaded(void **state) {
  struct fixture *f = *state;
  const char *path = "build/tmp/test_model.safetensors";
  imgrec_tensor *x = new_batch(f->ctx, f->model, 4, 1);
  imgrec_tensor *labels = new_labels(f->ctx, 4, 3, 1);
  imgrec_tensor *y = new_tensor(f->ctx, IMGREC_F32, 2, 4, 3, 1, 1);
  imgrec_tensor *z = new_tensor(f->ctx, IMGREC_F32, 2, 4, 3, 1, 1);
  imgrec_trainer *t = NULL;
  imgrec_model *m = NULL;
  assert_ok(f->ctx, imgrec_trainer_create(&t, f->model, NULL));
  for (int step = 0; step < 5; step++)
    assert_ok(f->ctx, imgrec_train_step(t, x, labels, NULL));
  mkdir("build", 0777);
  mkdir("build/tmp", 0777);
  assert_ok(f->ctx, imgrec_model_save(f->model, path));
  assert_ok(f->ctx, imgrec_model_load(&m, f->ctx, path, NULL));
  assert_ok(f->ctx, imgrec_model_forward(f->model, x, y));
  assert_ok(f->ctx, imgrec_model_forward(m, x, z));
  assert_memory_equal(floats_of(y), floats_of(z), 12 * sizeof(float));
  assert_string_equal(imgrec_model_architecture(m), NET);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(labels);
  imgrec_tensor_destroy(y);
  imgrec_tensor_destroy(z);
  remove(path);
}

/* ---- Asking -------------------------------------------------------------- */

static void test_model__asking(void **state) {
  struct fixture *f = *state;
  int64_t shape[3];
  imgrec_model_input_shape(f->model, shape);
  assert_true(shape[0] == 6 && shape[1] == 5 && shape[2] == 3);
  assert_int_equal(imgrec_model_classes(f->model), 3);
  assert_string_equal(imgrec_model_architecture(f->model), NET);
}

static void test_model__labels(void **state) {
  struct fixture *f = *state;
  const char *const names[] = {"cat", "dog", "\xc3\xa9lan"};
  const char *const broken[] = {"cat", "\xff", "bird"};
  const char *const missing[] = {"cat", "dog", NULL};
  assert_string_equal(imgrec_model_label(f->model, 2), "2");
  assert_ok(f->ctx, imgrec_model_set_labels(f->model, 3, names));
  assert_string_equal(imgrec_model_label(f->model, 1), "dog");
  assert_fails(f->ctx, imgrec_model_set_labels(f->model, 2, names),
               IMGREC_ERR_ARGUMENT, "2 labels for a model of 3 classes");
  assert_fails(f->ctx, imgrec_model_set_labels(f->model, 3, NULL),
               IMGREC_ERR_ARGUMENT, "3 labels for a model of 3 classes");
  assert_fails(f->ctx, imgrec_model_set_labels(f->model, 3, broken),
               IMGREC_ERR_ARGUMENT, "label 1 is not UTF-8 text");
  assert_fails(f->ctx, imgrec_model_set_labels(f->model, 3, missing),
               IMGREC_ERR_ARGUMENT, "label 2 is not UTF-8 text");
  assert_int_equal(imgrec_model_set_labels(NULL, 3, names),
                   IMGREC_ERR_ARGUMENT);
  assert_string_equal(imgrec_model_label(f->model, 2), names[2]);
  assert_string_equal(imgrec_model_label(f->model, 3), "");
  assert_string_equal(imgrec_model_label(f->model, -1), "");
}

static void test_model__labels_without_memory(void **state) {
  struct fixture *f = *state;
  const char *const names[] = {"a", "b", "c"}, *const other[] = {"d", "e", "f"};
  assert_ok(f->ctx, imgrec_model_set_labels(f->model, 3, names));
  for (long n = 1; n <= 4; n++) {
    f->alloc.calls = 0;
    f->alloc.fail_at = n;
    assert_int_equal(imgrec_model_set_labels(f->model, 3, other),
                     IMGREC_ERR_MEMORY);
    assert_string_equal(imgrec_model_label(f->model, 0), "a");
  }
  f->alloc.fail_at = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_model__options),
      TEST(test_model__create_arguments),
      TEST(test_model__every_allocation_fails),
      TEST(test_model__max_bytes),
      TEST(test_model__forward),
      TEST(test_model__forward_shapes),
      TEST(test_model__rounding_mode),
      TEST(test_model__saved_and_loaded),
      TEST(test_model__asking),
      TEST(test_model__labels),
      TEST(test_model__labels_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
