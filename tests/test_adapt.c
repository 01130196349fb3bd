/* SPDX-License-Identifier: MIT */
/* Tests of lib/format/adapt.c: weights of a model for other classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "failing_alloc.h"
#include "format/format.h"
#include "nets.h"

#define FOLDER "build/tmp/test_adapt"
#define FILE_A FOLDER "/a.imgrec"

static imgrec_context *ctx;

static int setup(void **state) {
  (void)state;
  mkdir("build", 0777);
  mkdir("build/tmp", 0777);
  mkdir(FOLDER, 0777);
  ctx = new_context(1, IMGREC_ISA_AUTO);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

/* `text` with random weights, labels and a preprocessing of its own, saved. */
static imgrec_model *save(const char *text) {
  static const char *const labels[] = {"a", "b", "c", "d", "e", "f", "g"};
  imgrec_model *m = new_model(ctx, text, 1, 1);
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  assert_ok(ctx, imgrec_model_get_preprocess(m, &p));
  p.mean[0] = 0.25F;
  p.resize = IMGREC_RESIZE_PAD;
  assert_ok(ctx, imgrec_model_set_preprocess(m, &p));
  assert_ok(ctx, imgrec_model_set_labels(m, imgrec_model_classes(m), labels));
  random_weights(m, 20);
  assert_ok(ctx, imgrec_model_save(m, FILE_A));
  return m;
}

static int begins(const char *name, const char *layer) {
  return strncmp(name, layer, strlen(layer)) == 0;
}

/* Parameters of `head` are those of a new model, all others those of `from`. */
static void check_weights(const imgrec_model *m, const imgrec_model *from,
                          const char *head) {
  imgrec_model *fresh = new_model(ctx, m->graph.text, 1, 5);
  struct param *p;
  for (int i = 0; (p = imgrec__model_param(m, i)); i++) {
    const imgrec_model *other = head && begins(p->name, head) ? fresh : from;
    assert_memory_equal(p->data, imgrec__model_param(other, i)->data,
                        p->count * sizeof(float));
  }
  imgrec_model_destroy(fresh);
}

static imgrec_model *adapt(int classes, int anew) {
  imgrec_model_options o;
  imgrec_model *m = NULL;
  imgrec_model_options_init(&o, sizeof o);
  o.seed = 5;
  o.max_batch = 1;
  int status = imgrec_model_adapt(&m, ctx, FILE_A, classes, &o);
  assert_ok(ctx, status);
  assert_int_equal(status, anew);
  assert_int_equal(imgrec_model_classes(m), classes);
  return m;
}

#define BODY                                                                   \
  "input 9 9 1\nstem = conv2d 6 kernel=3\nbatch_norm activation=relu\n"

static void test_adapt__heads(void **state) {
  static const struct {
    const char *tail, *wanted, *head;
    int anew;
  } cases[] = {
      {"flatten\ndense 3\nsoftmax\n", "flatten\ndense 7\nsoftmax\n", "fc1", 2},
      {"flatten\ndense 5\nmine = dense bias=false 3\n",
       "flatten\ndense 5\nmine = dense bias=false 7\n", "mine", 1},
      {"conv2d kernel=1 3\nrelu\nglobal_avg_pool2d\nsoftmax\n",
       "conv2d kernel=1 7\nrelu\nglobal_avg_pool2d\nsoftmax\n", "conv2", 2},
      {"flatten\nx = dense 3\nbatch_norm\n",
       "flatten\nx = dense 7\nbatch_norm\n", "x", 6},
  };
  char text[300], wanted[300];
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snprintf(text, sizeof text, BODY "%s", cases[i].tail);
    snprintf(wanted, sizeof wanted, BODY "%s", cases[i].wanted);
    imgrec_model *from = save(text), *m = adapt(7, cases[i].anew);
    imgrec_preprocess p;
    assert_string_equal(imgrec_model_architecture(m), wanted);
    assert_string_equal(imgrec_model_head(m), cases[i].head);
    assert_string_equal(imgrec_model_label(m, 0), "0");
    imgrec_preprocess_init(&p, sizeof p);
    assert_ok(ctx, imgrec_model_get_preprocess(m, &p));
    assert_true(p.mean[0] == 0.25F && p.resize == IMGREC_RESIZE_PAD);
    if (cases[i].anew < 6) /* else the batch norm behind it too */
      check_weights(m, from, cases[i].head);
    imgrec_model_destroy(m);
    m = adapt(3, 0); /* as many classes: all of it */
    check_weights(m, from, NULL);
    imgrec_model_destroy(m);
    imgrec_model_destroy(from);
  }
}

/* Into a network that is there, of half-width numbers too. */
static void test_adapt__transfer(void **state) {
  (void)state;
  imgrec_model *from = save(BODY "flatten\ndense 3\n");
  imgrec_model *m = new_model(ctx, BODY "flatten\ndense 4\n", 1, 5);
  assert_int_equal(imgrec_model_transfer_weights(m, FILE_A), 2);
  check_weights(m, from, "fc1");
  imgrec_model_destroy(m);
  assert_ok(ctx, imgrec_model_round_weights(from, IMGREC_WEIGHTS_BF16));
  assert_ok(ctx, imgrec_model_save(from, FILE_A));
  m = new_model(ctx, BODY "flatten\ndense 4\n", 1, 5);
  assert_int_equal(imgrec_model_transfer_weights(m, FILE_A), 2);
  check_weights(m, from, "fc1");
  assert_int_equal(imgrec_model_weight_type(m), IMGREC_WEIGHTS_F32);
  imgrec_model_destroy(m);
  m = new_model(ctx, BODY "flatten\ndense 3\n", 1, 5);
  assert_int_equal(imgrec_model_transfer_weights(m, FILE_A), 0);
  check_weights(m, from, NULL);
  imgrec_model_destroy(m);
  imgrec_model_destroy(from);
}

/* Only the head may be another. */
static void test_adapt__refused(void **state) {
  (void)state;
  imgrec_model *from = save(BODY "flatten\ndense 5\ndense 3\n");
  imgrec_model *m = new_model(ctx, BODY "flatten\ndense 6\ndense 3\n", 1, 5);
  imgrec_model *none = NULL;
  float before = m->weights[0];
  assert_fails(ctx, imgrec_model_transfer_weights(m, FILE_A), IMGREC_ERR_SHAPE,
               FILE_A ": the weights do not fit the network: 0 missing, 0 left "
                      "over, 2 of another shape; of another shape: fc1.weight "
                      "(F32 5 x 294 instead of F32 6 x 294), fc1.bias (F32 5 "
                      "instead of F32 6)");
  assert_true(m->weights[0] == before);
  assert_fails(ctx, imgrec_model_adapt(&none, ctx, FOLDER "/none", 3, NULL),
               IMGREC_ERR_NOT_FOUND, imgrec_last_error(ctx));
  assert_int_equal(imgrec_model_adapt(&none, ctx, FILE_A, 0, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_adapt(NULL, ctx, FILE_A, 3, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_adapt(&none, NULL, FILE_A, 3, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_transfer_weights(m, NULL), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_transfer_weights(NULL, FILE_A),
                   IMGREC_ERR_ARGUMENT);
  imgrec_model_destroy(m);
  imgrec_model_destroy(from);
  /* classes from two layers: none of them is the head */
  from = save("input 9 9 1\nflatten\na = dense 3\nb = dense 3 from=flatten1\n"
              "add from=a,b\n");
  assert_null(imgrec_model_head(from));
  assert_null(imgrec_model_head(NULL));
  assert_fails(ctx, imgrec_model_adapt(&none, ctx, FILE_A, 4, NULL),
               IMGREC_ERR_ARCHITECTURE,
               FILE_A ": its network has no last layer with weights whose "
                      "outputs are the classes");
  assert_null(none);
  imgrec_model_destroy(from);
}

static void test_adapt__weights_alone(void **state) {
  imgrec_model *none = NULL;
  (void)state;
  assert_fails(
      ctx,
      imgrec_model_adapt(&none, ctx, "tests/golden/lenet.safetensors", 3, NULL),
      IMGREC_ERR_UNSUPPORTED,
      "tests/golden/lenet.safetensors: it has weights but no network "
      "of its own");
}

static void test_adapt__every_allocation_fails(void **state) {
  struct failing alloc;
  imgrec_context_options c;
  imgrec_context *small = NULL;
  (void)state;
  imgrec_model_destroy(save(BODY "flatten\ndense 3\n"));
  memset(&alloc, 0, sizeof alloc);
  imgrec_context_options_init(&c, sizeof c);
  c.threads = 1;
  c.alloc = failing_alloc;
  c.free = failing_free;
  c.alloc_user = &alloc;
  assert_int_equal(imgrec_context_create(&small, &c), 0);
  long live = alloc.live_blocks;
  int status = -1;
  for (long n = 1; status < 0; n++) {
    imgrec_model *m = NULL;
    alloc.calls = 0;
    alloc.fail_at = n;
    status = imgrec_model_adapt(&m, small, FILE_A, 4, NULL);
    alloc.fail_at = 0;
    assert_true(status == 2 || status == IMGREC_ERR_MEMORY);
    imgrec_model_destroy(m);
    assert_int_equal(alloc.live_blocks, live);
  }
  imgrec_context_destroy(small);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_adapt__heads),
      cmocka_unit_test(test_adapt__transfer),
      cmocka_unit_test(test_adapt__refused),
      cmocka_unit_test(test_adapt__weights_alone),
      cmocka_unit_test(test_adapt__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
