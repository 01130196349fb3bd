/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/share.c: one set of weights, several contexts and
 * threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "toy_data.h"

#define NET                                                                    \
  "input 12 12 3\nconv2d 8 kernel=3 bias=false\nbatch_norm activation=relu\n"  \
  "max_pool2d 2\nflatten\ndense 64 activation=relu\ndense 4\n"                 \
  "softmax\n"

enum { CLASSES = 4, IMAGES = 3, THREADS = 8, ROUNDS = 20 };

static imgrec_tensor *some_images(imgrec_context *ctx) {
  imgrec_tensor *x = new_tensor(ctx, IMGREC_F32, 4, IMAGES, 12, 12, 3);
  fill_random(imgrec_tensor_data(x), (size_t)IMAGES * 12 * 12 * 3, 1, -1, 1);
  return x;
}

static void answer(imgrec_model *m, float y[IMAGES * CLASSES]) {
  imgrec_context *ctx = m->context;
  imgrec_tensor *x = some_images(ctx);
  imgrec_tensor *out = new_tensor(ctx, IMGREC_F32, 2, IMAGES, CLASSES, 1, 1);
  assert_ok(ctx, imgrec_model_forward(m, x, out));
  memcpy(y, imgrec_tensor_data(out), IMAGES * CLASSES * sizeof *y);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(out);
}

static imgrec_model *share(const imgrec_model *m, imgrec_context *ctx) {
  imgrec_model *s = NULL;
  assert_ok(ctx, imgrec_model_share(&s, m, ctx, NULL));
  return s;
}

/* ---- One thread ---------------------------------------------------------- */

static void test_share__same_answers(void **state) {
  (void)state;
  float ours[IMAGES * CLASSES], theirs[IMAGES * CLASSES];
  imgrec_context *one = new_context(1, 0);
  imgrec_context *two = new_context(2, IMGREC_ISA_SCALAR);
  imgrec_model *m = new_model(one, NET, IMAGES, 5);
  imgrec_model *s = share(m, two);
  answer(m, ours);
  answer(s, theirs);
  assert_memory_equal(ours, theirs, sizeof ours);
  imgrec_model_destroy(m);
  imgrec_model_destroy(s);
  imgrec_context_destroy(one);
  imgrec_context_destroy(two);
}

static void test_share__weights_are_there_once(void **state) {
  (void)state;
  imgrec_context *one = new_context(1, 0), *two = new_context(1, 0);
  uint64_t before = imgrec_context_bytes(one);
  imgrec_model *m = new_model(one, NET, IMAGES, 5);
  uint64_t whole = imgrec_context_bytes(one) - before;
  before = imgrec_context_bytes(two);
  imgrec_model *s = share(m, two);
  uint64_t shared = imgrec_context_bytes(two) - before;
  assert_true(shared + m->weight_floats * sizeof(float) <= whole);
  assert_ptr_equal(m->weights, s->weights);
  imgrec_model_destroy(m);
  imgrec_model_destroy(s);
  imgrec_context_destroy(one);
  imgrec_context_destroy(two);
}

/* Whoever comes first to its end, the last still has its weights, and gives
 * them back to the context that they are of. */
static void test_share__any_order_of_destruction(void **state) {
  (void)state;
  for (int order = 0; order < 4; order++) {
    struct failing a = {0}, b = {0};
    float ours[IMAGES * CLASSES], theirs[IMAGES * CLASSES];
    imgrec_context *one = counted_context(&a, 1), *two = counted_context(&b, 1);
    imgrec_model *m = new_model(one, NET, IMAGES, 5), *s = share(m, two);
    imgrec_model *of_share = share(s, one);
    answer(m, ours);
    imgrec_model_destroy(of_share);
    if (order & 1)
      imgrec_context_destroy(one);
    if (order & 2) {
      imgrec_model_destroy(s);
      answer(m, theirs);
      imgrec_model_destroy(m);
    } else {
      imgrec_model_destroy(m);
      answer(s, theirs);
      imgrec_model_destroy(s);
    }
    assert_memory_equal(ours, theirs, sizeof ours);
    if (!(order & 1))
      imgrec_context_destroy(one);
    imgrec_context_destroy(two);
    assert_int_equal(a.live_blocks, 0);
    assert_int_equal(b.live_blocks, 0);
  }
}

static void test_share__settings_are_copied(void **state) {
  (void)state;
  const char *const names[CLASSES] = {"ant", "bee", "cat", "dog"};
  imgrec_calibration c;
  imgrec_calibration_init(&c, sizeof c);
  c.temperature = 2;
  imgrec_context *one = new_context(1, 0), *two = new_context(1, 0);
  imgrec_model *m = new_model(one, NET, IMAGES, 5);
  assert_ok(one, imgrec_model_set_labels(m, CLASSES, names));
  assert_ok(one, imgrec_model_set_calibration(m, &c));
  imgrec_model *s = share(m, two);
  c.temperature = 4;
  assert_ok(two, imgrec_model_set_calibration(s, &c));
  assert_ok(one, imgrec_model_get_calibration(m, &c));
  assert_true(c.temperature == 2);
  imgrec_model_destroy(m);
  assert_string_equal(imgrec_model_label(s, 2), "cat");
  assert_int_equal(s->plan.batch, IMAGES);
  imgrec_model_destroy(s);
  imgrec_context_destroy(one);
  imgrec_context_destroy(two);
}

/* ---- What is refused ----------------------------------------------------- */

#define SENTENCE                                                               \
  "the weights of this model are shared with 1 other and cannot be changed; "  \
  "destroy the other first, or load the model once more"

static void test_share__weights_stay(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, 0);
  imgrec_model *m = new_model(ctx, NET, IMAGES, 5), *s = share(m, ctx);
  imgrec_tensor *value = NULL;
  imgrec_trainer *t = NULL;
  assert_ok(ctx, imgrec_model_get_parameter(&value, m, "fc1.bias"));
  imgrec_model *both[] = {m, s};
  for (int i = 0; i < 2; i++) {
    assert_fails(ctx, imgrec_model_set_parameter(both[i], "fc1.bias", value),
                 IMGREC_ERR_ARGUMENT, SENTENCE);
    assert_fails(ctx, imgrec_model_load_weights(both[i], "any"),
                 IMGREC_ERR_ARGUMENT, SENTENCE);
    assert_fails(ctx, imgrec_model_transfer_weights(both[i], "any"),
                 IMGREC_ERR_ARGUMENT, SENTENCE);
    assert_fails(ctx, imgrec_model_round_weights(both[i], IMGREC_WEIGHTS_BF16),
                 IMGREC_ERR_ARGUMENT, SENTENCE);
    assert_fails(ctx, imgrec_model_freeze(both[i], "fc1."), IMGREC_ERR_ARGUMENT,
                 SENTENCE);
    assert_fails(ctx, imgrec_trainer_create(&t, both[i], NULL),
                 IMGREC_ERR_ARGUMENT, SENTENCE);
  }
  imgrec_model_destroy(m);
  assert_ok(ctx, imgrec_model_set_parameter(s, "fc1.bias", value));
  assert_ok(ctx, imgrec_trainer_create(&t, s, NULL));
  imgrec_trainer_destroy(t);
  imgrec_tensor_destroy(value);
  imgrec_model_destroy(s);
  imgrec_context_destroy(ctx);
}

static void test_share__not_while_training(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, 0);
  imgrec_model *m = new_model(ctx, NET, IMAGES, 5), *s = NULL;
  imgrec_trainer *t = NULL;
  assert_ok(ctx, imgrec_trainer_create(&t, m, NULL));
  assert_fails(ctx, imgrec_model_share(&s, m, ctx, NULL), IMGREC_ERR_ARGUMENT,
               "the model has a trainer, which changes its weights; destroy "
               "that before the model is shared");
  assert_null(s);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_share__arguments(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, 0);
  imgrec_model *m = new_model(ctx, NET, IMAGES, 5), *s = NULL;
  assert_int_equal(imgrec_model_share(&s, m, NULL, NULL), IMGREC_ERR_ARGUMENT);
  assert_fails(ctx, imgrec_model_share(NULL, m, ctx, NULL), IMGREC_ERR_ARGUMENT,
               "imgrec_model_share: out or model is NULL");
  assert_fails(ctx, imgrec_model_share(&s, NULL, ctx, NULL),
               IMGREC_ERR_ARGUMENT, "imgrec_model_share: out or model is NULL");
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_share__out_of_memory(void **state) {
  (void)state;
  const char *const names[CLASSES] = {"ant", "bee", "cat", "dog"};
  struct failing a = {0}, b = {0};
  imgrec_context *one = counted_context(&a, 1), *two = counted_context(&b, 1);
  imgrec_model *m = new_model(one, NET, IMAGES, 5), *s = NULL;
  assert_ok(one, imgrec_model_set_labels(m, CLASSES, names));
  long blocks = b.live_blocks;
  int status = IMGREC_ERR_MEMORY;
  for (long fail = 1; status < 0; fail++) {
    b.fail_at = b.calls + fail;
    status = imgrec_model_share(&s, m, two, NULL);
    if (status < 0) {
      assert_int_equal(status, IMGREC_ERR_MEMORY);
      assert_int_equal(b.live_blocks, blocks);
    }
  }
  assert_ok(two, status);
  imgrec_model_destroy(s);
  imgrec_model_destroy(m);
  imgrec_context_destroy(one);
  imgrec_context_destroy(two);
  assert_int_equal(a.live_blocks, 0);
  assert_int_equal(b.live_blocks, 0);
}

/* ---- Many threads ---------------------------------------------------------
 */

struct listener {
  pthread_t thread;
  const imgrec_model *model;
  const float *expected;
  int wrong; /* cmocka's assertions are for the first thread */
};

/* Shares, recognises and lets go, again and again. */
static void *listen(void *arg) {
  struct listener *l = arg;
  for (int i = 0; i < ROUNDS; i++) {
    imgrec_context_options o;
    imgrec_context *ctx = NULL;
    imgrec_model *s = NULL;
    imgrec_context_options_init(&o, sizeof o);
    o.threads = 1 + i % 2;
    l->wrong |= imgrec_context_create(&ctx, &o) < 0;
    l->wrong |= imgrec_model_share(&s, l->model, ctx, NULL) < 0;
    imgrec_tensor *x = some_images(ctx), *y = NULL;
    const int64_t shape[2] = {IMAGES, CLASSES};
    l->wrong |= imgrec_tensor_create(&y, ctx, IMGREC_F32, 2, shape) < 0;
    for (int k = 0; k < 3; k++) {
      l->wrong |= imgrec_model_forward(s, x, y) < 0;
      l->wrong |= memcmp(imgrec_tensor_data(y), l->expected,
                         imgrec_tensor_nbytes(y)) != 0;
    }
    imgrec_context_destroy(ctx);
    imgrec_tensor_destroy(x);
    imgrec_tensor_destroy(y);
    imgrec_model_destroy(s);
  }
  return NULL;
}

static void test_share__many_threads(void **state) {
  (void)state;
  struct listener listeners[THREADS];
  float expected[IMAGES * CLASSES], again[IMAGES * CLASSES];
  imgrec_context *ctx = new_context(2, 0);
  imgrec_model *m = new_model(ctx, NET, IMAGES, 5);
  answer(m, expected);
  for (int i = 0; i < THREADS; i++) {
    listeners[i] = (struct listener){.model = m, .expected = expected};
    assert_int_equal(
        pthread_create(&listeners[i].thread, NULL, listen, &listeners[i]), 0);
  }
  for (int i = 0; i < ROUNDS; i++) {
    answer(m, again);
    assert_memory_equal(expected, again, sizeof again);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(listeners[i].thread, NULL);
    assert_int_equal(listeners[i].wrong, 0);
  }
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* The first model and its context end while threads still recognise: the last
 * of them frees the weights. */
static void *recognise_on(void *arg) {
  struct listener *l = arg;
  imgrec_model *s = (imgrec_model *)(uintptr_t)l->model;
  float y[IMAGES * CLASSES];
  for (int i = 0; i < ROUNDS; i++) {
    answer(s, y);
    l->wrong |= memcmp(y, l->expected, sizeof y) != 0;
  }
  imgrec_model_destroy(s);
  return NULL;
}

static void test_share__the_last_thread_frees(void **state) {
  (void)state;
  struct failing a = {0};
  struct listener listeners[THREADS];
  imgrec_context *contexts[THREADS];
  float expected[IMAGES * CLASSES];
  imgrec_context *ctx = counted_context(&a, 2);
  imgrec_model *m = new_model(ctx, NET, IMAGES, 5);
  answer(m, expected);
  for (int i = 0; i < THREADS; i++) {
    contexts[i] = new_context(1, 0);
    listeners[i] =
        (struct listener){.model = share(m, contexts[i]), .expected = expected};
  }
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(
        pthread_create(&listeners[i].thread, NULL, recognise_on, &listeners[i]),
        0);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
  for (int i = 0; i < THREADS; i++) {
    pthread_join(listeners[i].thread, NULL);
    assert_int_equal(listeners[i].wrong, 0);
    imgrec_context_destroy(contexts[i]);
  }
  assert_int_equal(a.live_blocks, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_share__same_answers),
      cmocka_unit_test(test_share__weights_are_there_once),
      cmocka_unit_test(test_share__any_order_of_destruction),
      cmocka_unit_test(test_share__settings_are_copied),
      cmocka_unit_test(test_share__weights_stay),
      cmocka_unit_test(test_share__not_while_training),
      cmocka_unit_test(test_share__arguments),
      cmocka_unit_test(test_share__out_of_memory),
      cmocka_unit_test(test_share__many_threads),
      cmocka_unit_test(test_share__the_last_thread_frees),
  };
  return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
