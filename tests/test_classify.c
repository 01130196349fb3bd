/* SPDX-License-Identifier: MIT */
/* Tests of lib/recognise/classify.c: order, ties, names, grey images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <math.h>

#include "failing_alloc.h"
#include "nets.h"

/* The network is its input: a pixel a class. */
#define NET "input 2 3 1\nflatten\nsoftmax\n"
enum { CLASSES = 6 };

struct fixture {
  struct failing alloc;
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_tensor *image;
};

static int set_up(void **state) {
  static const unsigned char pixels[CLASSES] = {10, 200, 30, 200, 250, 10};
  struct fixture *f = calloc(1, sizeof *f);
  imgrec_context_options o;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &f->alloc;
  assert_int_equal(imgrec_context_create(&f->ctx, &o), 0);
  f->model = new_model(f->ctx, NET, 1, 1);
  f->image = new_tensor(f->ctx, IMGREC_U8, 3, 2, 3, 1, 1);
  memcpy(imgrec_tensor_data(f->image), pixels, sizeof pixels);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  imgrec_tensor_destroy(f->image);
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  assert_int_equal(f->alloc.live_blocks, 0);
  free(f);
  return 0;
}

static void check_order(const imgrec_result *r, const int32_t *wanted, int n) {
  for (int i = 0; i < n; i++) {
    assert_int_equal(r[i].class_index, wanted[i]);
    if (i > 0)
      assert_true(r[i].probability <= r[i - 1].probability);
  }
}

/* The most probable first, of equals the lower index; never more than there
 * are classes. */
static void test_classify__order(void **state) {
  struct fixture *f = *state;
  const int32_t wanted[CLASSES] = {4, 1, 3, 2, 0, 5};
  imgrec_result r[10];
  memset(r, 0x55, sizeof r);
  assert_int_equal(imgrec_model_classify(f->model, f->image, 10, r), CLASSES);
  check_order(r, wanted, CLASSES);
  assert_int_equal(r[CLASSES].class_index, 0x55555555);
  assert_true(r[1].probability == r[2].probability);
  assert_int_equal(imgrec_model_classify(f->model, f->image, 2, r), 2);
  check_order(r, wanted, 2);
}

static void test_classify__probabilities(void **state) {
  struct fixture *f = *state;
  const unsigned char *p = imgrec_tensor_const_data(f->image);
  imgrec_result r[CLASSES];
  double sum = 0;
  for (int i = 0; i < CLASSES; i++)
    sum += exp(p[i] / 255.0);
  assert_int_equal(imgrec_model_classify(f->model, f->image, CLASSES, r), 6);
  for (int i = 0; i < CLASSES; i++) {
    double wanted = exp(p[r[i].class_index] / 255.0) / sum;
    assert_true(fabs((double)r[i].probability - wanted) < 1e-6);
  }
}

/* A network that ends in logits gives the same probabilities as one that ends
 * in a softmax. */
static void test_classify__without_softmax(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = new_model(f->ctx, "input 2 3 1\nflatten\n", 1, 1);
  imgrec_result a[CLASSES], b[CLASSES];
  imgrec_model_classify(f->model, f->image, CLASSES, a);
  assert_int_equal(imgrec_model_classify(m, f->image, CLASSES, b), CLASSES);
  for (int i = 0; i < CLASSES; i++)
    assert_true(a[i].probability == b[i].probability);
  imgrec_model_destroy(m);
}

static void test_classify__names(void **state) {
  struct fixture *f = *state;
  const char *const names[CLASSES] = {"a", "b", "c", "d", "e", "f"};
  imgrec_result r[2];
  imgrec_model_classify(f->model, f->image, 2, r);
  assert_string_equal(r[0].label, "4");
  assert_ok(f->ctx, imgrec_model_set_labels(f->model, CLASSES, names));
  imgrec_model_classify(f->model, f->image, 2, r);
  assert_string_equal(r[0].label, "e");
  assert_string_equal(r[1].label, "b");
}

/* Grey into a network of colours, and the other way round: the model's own
 * preprocessing does what imgrec_image_preprocess does. */
static void check_channels(struct fixture *f, const char *net, int channels) {
  imgrec_model *m = new_model(f->ctx, net, 1, 1);
  imgrec_tensor *image = new_tensor(f->ctx, IMGREC_U8, 3, 9, 7, channels, 1);
  imgrec_preprocess p;
  imgrec_tensor *input = NULL;
  imgrec_result r[1];
  for (size_t i = 0; i < imgrec_tensor_nbytes(image); i++)
    ((unsigned char *)imgrec_tensor_data(image))[i] = (unsigned char)(i * 37);
  imgrec_preprocess_init(&p, sizeof p);
  imgrec_model_get_preprocess(m, &p);
  p.mean[0] = 0.5F;
  assert_ok(f->ctx, imgrec_model_set_preprocess(m, &p));
  assert_ok(f->ctx, imgrec_image_preprocess(&input, image, &p));
  assert_int_equal(imgrec_model_classify(m, image, 1, r), 1);
  assert_memory_equal(m->input, floats_of(input), imgrec_tensor_nbytes(input));
  imgrec_tensor_destroy(input);
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(m);
}

static void test_classify__channels_and_size(void **state) {
  struct fixture *f = *state;
  check_channels(f, "input 4 5 3\nflatten\n", 1);
  check_channels(f, "input 4 5 1\nflatten\n", 3);
  check_channels(f, "input 9 7 3\nflatten\n", 3);
}

/* Weights that are not finite: all classes, in order, none of them probable. */
static void test_classify__not_finite(void **state) {
  struct fixture *f = *state;
  imgrec_model *m =
      new_model(f->ctx, "input 2 3 1\nflatten\ndense 6\nsoftmax\n", 1, 1);
  const int32_t wanted[CLASSES] = {0, 1, 2, 3, 4, 5};
  imgrec_result r[CLASSES];
  for (size_t i = 0; i < m->weight_floats; i++)
    m->weights[i] = NAN;
  assert_int_equal(imgrec_model_classify(m, f->image, 9, r), CLASSES);
  for (int i = 0; i < CLASSES; i++) {
    assert_int_equal(r[i].class_index, wanted[i]);
    assert_true(isnan(r[i].probability));
  }
  imgrec_model_destroy(m);
}

static void test_classify__rounding_mode(void **state) {
  struct fixture *f = *state;
  imgrec_result a[CLASSES], b[CLASSES];
  imgrec_model_classify(f->model, f->image, CLASSES, a);
  fesetround(FE_UPWARD);
  imgrec_model_classify(f->model, f->image, CLASSES, b);
  int mode = fegetround();
  fesetround(FE_TONEAREST);
  assert_int_equal(mode, FE_UPWARD);
  for (int i = 0; i < CLASSES; i++)
    assert_true(a[i].probability == b[i].probability);
}

/* ---- What is refused ----------------------------------------------------- */

/* The sentence is where the call's other sentences are. */
static void test_classify__image_of_another_context(void **state) {
  struct fixture *f = *state;
  imgrec_context *other = new_context(1, IMGREC_ISA_AUTO);
  imgrec_tensor *flat = new_tensor(other, IMGREC_U8, 2, 2, 3, 1, 1);
  imgrec_result r[1];
  assert_fails(f->ctx, imgrec_model_classify(f->model, flat, 1, r),
               IMGREC_ERR_SHAPE,
               "image: the image is a u8 tensor of 2 x 3; it must be u8, "
               "height x width x 1 or 3");
  assert_string_equal(imgrec_last_error(other), "");
  imgrec_tensor_destroy(flat);
  imgrec_context_destroy(other);
}

static void test_classify__arguments(void **state) {
  struct fixture *f = *state;
  imgrec_result r[1];
  imgrec_tensor *flat = new_tensor(f->ctx, IMGREC_U8, 2, 2, 3, 1, 1);
  const char *sentence = "imgrec_model_classify: image or results is NULL, or "
                         "k is 1 and must be at least 1";
  assert_fails(f->ctx, imgrec_model_classify(f->model, NULL, 1, r),
               IMGREC_ERR_ARGUMENT, sentence);
  assert_fails(f->ctx, imgrec_model_classify(f->model, f->image, 1, NULL),
               IMGREC_ERR_ARGUMENT, sentence);
  assert_fails(f->ctx, imgrec_model_classify(f->model, f->image, 0, r),
               IMGREC_ERR_ARGUMENT,
               "imgrec_model_classify: image or results is NULL, or k is 0 and "
               "must be at least 1");
  assert_int_equal(imgrec_model_classify(f->model, flat, 1, r),
                   IMGREC_ERR_SHAPE);
  assert_int_equal(imgrec_model_classify(NULL, f->image, 1, r),
                   IMGREC_ERR_ARGUMENT);
  imgrec_tensor_destroy(flat);
}

/* What no image can become. */
static void test_classify__five_channels(void **state) {
  struct fixture *f = *state;
  imgrec_result r[1];
  imgrec_model *m = new_model(f->ctx, "input 2 3 5\nflatten\n", 1, 1);
  assert_fails(f->ctx, imgrec_model_classify(m, f->image, 1, r),
               IMGREC_ERR_ARGUMENT,
               "preprocess: channels is 5; it must be 1 or 3");
  imgrec_model_destroy(m);
}

/* Whatever the size of the image, larger ones being resized tile by tile. */
static void test_classify__takes_no_memory(void **state) {
  struct fixture *f = *state;
  static const int sizes[][3] = {{1, 1, 1},     {40, 50, 3},   {300, 200, 1},
                                 {2, 16384, 3}, {900, 800, 3}, {3000, 20, 1}};
  imgrec_result r[1];
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    f->alloc.fail_at = 0;
    imgrec_tensor *image = new_tensor(f->ctx, IMGREC_U8, 3, sizes[i][0],
                                      sizes[i][1], sizes[i][2], 1);
    f->alloc.calls = 0;
    f->alloc.fail_at = f->alloc.from_then_on = 1;
    assert_int_equal(imgrec_model_classify(f->model, image, 1, r), 1);
    assert_int_equal(f->alloc.calls, 0);
    f->alloc.fail_at = 0;
    imgrec_tensor_destroy(image);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_classify__order),
      TEST(test_classify__probabilities),
      TEST(test_classify__without_softmax),
      TEST(test_classify__names),
      TEST(test_classify__channels_and_size),
      TEST(test_classify__not_finite),
      TEST(test_classify__rounding_mode),
      TEST(test_classify__image_of_another_context),
      TEST(test_classify__arguments),
      TEST(test_classify__five_channels),
      TEST(test_classify__takes_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
