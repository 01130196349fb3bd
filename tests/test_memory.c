/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/memory.c: what is said beforehand is what the allocator
 * sees, and what max_bytes has to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "toy_data.h"
#include "train/train.h"

static const struct {
  const char *preset;
  int side, channels;
} nets[] = {{"tiny", 32, 3},        {"lenet5", 28, 1},   {"nano", 32, 3},
            {"small", 32, 3},       {"base", 32, 3},     {"seed", 32, 1},
            {"resnet8", 32, 3},     {"resnet18", 32, 3}, {"cifar_fast", 32, 3},
            {"mobilenet_v2", 32, 3}};

enum { NETS = sizeof nets / sizeof nets[0], CLASSES = 10 };

static const int batches[] = {1, 7, 32};

static void preset_text(char *text, size_t size, int net) {
  assert_true(imgrec_preset(nets[net].preset, nets[net].side, nets[net].side,
                            nets[net].channels, CLASSES, text, size) > 0);
}

static imgrec_context *capped_context(struct failing *alloc,
                                      uint64_t max_bytes) {
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.max_bytes = max_bytes;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = alloc;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  return ctx;
}

static int create(imgrec_model **m, imgrec_context *ctx, int net, int batch) {
  char text[20000];
  imgrec_model_options o;
  imgrec_model_options_init(&o, sizeof o);
  o.max_batch = batch;
  o.init = IMGREC_INIT_ZEROS;
  preset_text(text, sizeof text, net);
  return imgrec_model_create(m, ctx, text, &o);
}

static int create_trainer(imgrec_trainer **t, imgrec_model *m, int batch) {
  imgrec_trainer_options o;
  imgrec_trainer_options_init(&o, sizeof o);
  o.max_batch = batch;
  return imgrec_trainer_create(t, m, &o);
}

/* Live bytes, beside those of the context, of a model and its trainer. */
static void measure(int net, int batch, uint64_t said[2], uint64_t seen[2]) {
  struct failing alloc = {0};
  imgrec_model *m = NULL;
  imgrec_trainer *t = NULL;
  imgrec_context *ctx = capped_context(&alloc, 0);
  uint64_t before = alloc.live_bytes;
  assert_ok(ctx, create(&m, ctx, net, batch));
  seen[0] = alloc.live_bytes - before;
  assert_ok(ctx, imgrec_model_memory(m, batch, 0, &said[0]));
  assert_ok(ctx, imgrec_model_memory(m, batch, 1, &said[1]));
  assert_ok(ctx, create_trainer(&t, m, batch));
  /* and the best weights, which imgrec_fit keeps */
  float *best = imgrec__alloc(&ctx->allocator, m->weight_floats * sizeof *best);
  seen[1] = alloc.live_bytes - before;
  assert_int_equal(alloc.live_bytes, imgrec_context_bytes(ctx));
  imgrec__free(&ctx->allocator, best);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_memory__is_what_the_allocator_sees(void **state) {
  (void)state;
  for (int net = 0; net < NETS; net++)
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
      uint64_t said[2], seen[2];
      measure(net, batches[i], said, seen);
      for (int training = 0; training < 2; training++)
        if (said[training] != seen[training])
          fail_msg("%s, batch %d, training %d: %llu bytes are said, %llu taken",
                   nets[net].preset, batches[i], training,
                   (unsigned long long)said[training],
                   (unsigned long long)seen[training]);
    }
}

/* Of another batch than the model was made for. */
static void test_memory__of_other_batches(void **state) {
  (void)state;
  struct failing alloc = {0};
  imgrec_context *ctx = capped_context(&alloc, 0);
  uint64_t said[2], seen[2], other;
  imgrec_model *m = NULL;
  measure(1, 32, said, seen);
  assert_ok(ctx, create(&m, ctx, 1, 1));
  assert_ok(ctx, imgrec_model_memory(m, 32, 1, &other));
  assert_int_equal(other, said[1]);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_memory__labels_count(void **state) {
  (void)state;
  static const char *const names[3] = {"a", "bb", "a long name of a class"};
  struct failing alloc = {0};
  imgrec_context *ctx = capped_context(&alloc, 0);
  uint64_t before = alloc.live_bytes, said;
  imgrec_model *m = new_model(ctx, TOY_NET, 4, 1);
  assert_ok(ctx, imgrec_model_set_labels(m, 3, names));
  assert_ok(ctx, imgrec_model_memory(m, 4, 0, &said));
  assert_int_equal(said, alloc.live_bytes - before);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_memory__arguments(void **state) {
  (void)state;
  uint64_t said = 5;
  imgrec_context *ctx = new_context(1, 0);
  imgrec_model *m = new_model(ctx, TOY_NET, 4, 1);
  assert_fails(ctx, imgrec_model_memory(m, 0, 0, &said), IMGREC_ERR_ARGUMENT,
               "batch is 0; it must be 1 to 65536");
  assert_int_equal(imgrec_model_memory(m, 1, 0, NULL), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_memory(NULL, 1, 0, &said), IMGREC_ERR_ARGUMENT);
  assert_int_equal(said, 5);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* With 1 % more a context can do it, with 1 % less it cannot. */
static int fits(int net, int batch, int training, uint64_t bytes) {
  struct failing alloc = {0};
  imgrec_model *m = NULL;
  imgrec_trainer *t = NULL;
  imgrec_context *ctx = capped_context(&alloc, 0);
  uint64_t context = alloc.live_bytes;
  imgrec_context_destroy(ctx);
  ctx = capped_context(&alloc, context + bytes);
  int status = create(&m, ctx, net, batch);
  if (status >= 0 && training)
    status = create_trainer(&t, m, batch);
  float *best =
      status >= 0 && training
          ? imgrec__alloc(&ctx->allocator, m->weight_floats * sizeof *best)
          : NULL;
  if (status >= 0 && training && !best)
    status = IMGREC_ERR_LIMIT;
  if (status < 0)
    assert_int_equal(status, IMGREC_ERR_LIMIT);
  assert_true(imgrec_context_peak_bytes(ctx) <= context + bytes);
  imgrec__free(&ctx->allocator, best);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
  assert_int_equal(alloc.live_blocks, 0);
  return status >= 0;
}

static void test_memory__max_bytes(void **state) {
  (void)state;
  for (int net = 0; net < NETS; net++) {
    uint64_t said[2], seen[2];
    measure(net, 8, said, seen);
    for (int training = 0; training < 2; training++) {
      assert_true(fits(net, 8, training, said[training] * 101 / 100));
      assert_false(fits(net, 8, training, said[training] * 99 / 100));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_memory__is_what_the_allocator_sees),
      cmocka_unit_test(test_memory__of_other_batches),
      cmocka_unit_test(test_memory__labels_count),
      cmocka_unit_test(test_memory__arguments),
      cmocka_unit_test(test_memory__max_bytes),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
