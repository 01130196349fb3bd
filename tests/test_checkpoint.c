/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/checkpoint.c, and of checkpoints in fit.c: what goes on
 * from a file ends with the bits of what was never stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failing_alloc.h"
#include "toy_data.h"
#include "train/train.h"

#define PATH "build/tmp/test_checkpoint.safetensors"
#define BEST "build/tmp/test_checkpoint_best.safetensors"

struct fixture {
  struct failing alloc;
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_trainer *trainer;
  imgrec_dataset *train, *val;
};

static imgrec_trainer_options some_options(int optimizer, int accumulate) {
  imgrec_trainer_options o;
  imgrec_trainer_options_init(&o, sizeof o);
  o.optimizer = optimizer;
  o.accumulate = accumulate;
  o.learning_rate = 0.01F;
  o.max_batch = 8;
  o.seed = UINT64_MAX - 5;
  return o;
}

static void make(struct fixture *f, const char *net, int threads,
                 const imgrec_trainer_options *options) {
  memset(f, 0, sizeof *f);
  f->ctx = counted_context(&f->alloc, threads);
  f->model = new_model(f->ctx, net, 8, 1);
  assert_ok(f->ctx, imgrec_trainer_create(&f->trainer, f->model, options));
  f->train = toy_data(f->ctx, 45, 0, 60);
  f->val = toy_data(f->ctx, 21, 100, 60);
}

static void release(struct fixture *f) {
  imgrec_dataset_destroy(f->train);
  imgrec_dataset_destroy(f->val);
  imgrec_trainer_destroy(f->trainer);
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  assert_int_equal(f->alloc.live_blocks, 0);
}

static int same_floats(const float *a, const float *b, size_t n) {
  return memcmp(a, b, n * sizeof *a) == 0;
}

/* Of vectors that lie as the model's weights do; what is between parameters is
 * nothing. */
static int same_values(const struct fixture *f, const float *a,
                       const float *b) {
  const struct param *p;
  struct cursor at = {0, 0};
  int same = 1;
  while ((p = imgrec__next_param(&f->model->graph, &at)) != NULL) {
    size_t offset = imgrec__param_offset(f->model, p);
    same &= same_floats(a + offset, b + offset, p->count);
  }
  return same;
}

static int same_weights(const struct fixture *a, const struct fixture *b) {
  return same_values(a, a->model->weights, b->model->weights);
}

/* ---- A trainer alone ----------------------------------------------------- */

static void take_steps(struct fixture *f, int first, int end) {
  for (int i = first; i < end; i++) {
    imgrec_tensor *x = new_batch(f->ctx, f->model, 8, (uint64_t)i);
    imgrec_tensor *labels = new_labels(f->ctx, 8, 3, (uint64_t)i);
    assert_ok(f->ctx, imgrec_train_step(f->trainer, x, labels, NULL));
    imgrec_tensor_destroy(x);
    imgrec_tensor_destroy(labels);
  }
}

/* Five steps, a file, and five more in a trainer that was never used, against
 * ten: all that there is, to the bit. */
static void check_trainer(const imgrec_trainer_options *o) {
  struct fixture whole, first, second;
  make(&whole, TOY_NET, 1, o);
  make(&first, TOY_NET, 1, o);
  make(&second, TOY_NET, 3, o);
  take_steps(&whole, 0, 10);
  take_steps(&first, 0, 5);
  assert_ok(first.ctx, imgrec_trainer_set_learning_rate(first.trainer, 0.01F));
  assert_ok(first.ctx, imgrec_trainer_save(first.trainer, PATH));
  assert_ok(second.ctx, imgrec_trainer_load(second.trainer, PATH));
  assert_true(same_weights(&first, &second));
  take_steps(&second, 5, 10);
  assert_true(same_weights(&whole, &second));
  assert_true(
      same_values(&whole, whole.trainer->moment1, second.trainer->moment1));
  if (whole.trainer->moment2)
    assert_true(
        same_values(&whole, whole.trainer->moment2, second.trainer->moment2));
  if (whole.trainer->average)
    assert_true(
        same_values(&whole, whole.trainer->average, second.trainer->average));
  assert_int_equal(whole.trainer->step, second.trainer->step);
  assert_int_equal(whole.trainer->updates, second.trainer->updates);
  release(&whole);
  release(&first);
  release(&second);
}

static void test_trainer__goes_on(void **state) {
  (void)state;
  imgrec_trainer_options o = some_options(IMGREC_OPTIMIZER_ADAM, 1);
  check_trainer(&o);
  o = some_options(IMGREC_OPTIMIZER_SGD, 1);
  check_trainer(&o);
  o = some_options(IMGREC_OPTIMIZER_ADAMW, 1);
  o.ema_decay = 0.9F;
  o.clip_norm = 1;
  o.weight_decay = 0.1F;
  check_trainer(&o);
}

/* Saved in the middle of an update, its gradients are half a sum. */
static void test_trainer__accumulates(void **state) {
  (void)state;
  imgrec_trainer_options o = some_options(IMGREC_OPTIMIZER_ADAM, 4);
  check_trainer(&o);
}

static void test_trainer__learning_rate(void **state) {
  (void)state;
  imgrec_trainer_options o = some_options(IMGREC_OPTIMIZER_SGD, 1);
  struct fixture a, b;
  make(&a, TOY_NET, 1, &o);
  make(&b, TOY_NET, 1, &o);
  assert_ok(a.ctx, imgrec_trainer_set_learning_rate(a.trainer, 0.3F));
  assert_ok(a.ctx, imgrec_trainer_save(a.trainer, PATH));
  assert_ok(b.ctx, imgrec_trainer_load(b.trainer, PATH));
  assert_true(b.trainer->options.learning_rate == 0.3F);
  release(&a);
  release(&b);
}

/* A checkpoint is a model, and imgrec_model_save makes one that is no more. */
static void test_checkpoint__is_a_model(void **state) {
  (void)state;
  imgrec_trainer_options o = some_options(IMGREC_OPTIMIZER_ADAM, 1);
  struct fixture f;
  imgrec_model *m = NULL;
  struct stat large, small;
  make(&f, TOY_NET, 1, &o);
  take_steps(&f, 0, 3);
  assert_ok(f.ctx, imgrec_trainer_save(f.trainer, PATH));
  assert_ok(f.ctx, imgrec_model_load(&m, f.ctx, PATH, NULL));
  assert_true(same_floats(m->weights, f.model->weights, m->weight_floats));
  assert_ok(f.ctx, imgrec_model_load_weights(f.model, PATH));
  assert_ok(f.ctx, imgrec_model_save(m, BEST));
  assert_int_equal(stat(PATH, &large), 0);
  assert_int_equal(stat(BEST, &small), 0);
  assert_true(large.st_size > 5 * small.st_size / 2);
  assert_int_equal(imgrec_trainer_load(f.trainer, BEST), IMGREC_ERR_FORMAT);
  assert_non_null(strstr(imgrec_last_error(f.ctx), "no checkpoint"));
  imgrec_model_destroy(m);
  release(&f);
}

/* ---- What is refused ----------------------------------------------------- */

static void refuses(struct fixture *f, int status, const char *words) {
  size_t n = f->model->weight_floats;
  float *before = malloc(n * sizeof *before);
  memcpy(before, f->model->weights, n * sizeof *before);
  assert_int_equal(imgrec_trainer_load(f->trainer, PATH), status);
  if (!strstr(imgrec_last_error(f->ctx), words))
    fail_msg("'%s' lacks '%s'", imgrec_last_error(f->ctx), words);
  assert_true(same_floats(before, f->model->weights, n));
  assert_int_equal(f->trainer->step, 0);
  free(before);
}

static void check_refused(const char *net, const imgrec_trainer_options *o,
                          int status, const char *words) {
  struct fixture f;
  make(&f, net, 1, o);
  refuses(&f, status, words);
  release(&f);
}

static void test_trainer__refuses(void **state) {
  (void)state;
  imgrec_trainer_options o = some_options(IMGREC_OPTIMIZER_SGD, 1);
  struct fixture f;
  make(&f, TOY_NET, 1, &o);
  take_steps(&f, 0, 2);
  assert_ok(f.ctx, imgrec_trainer_save(f.trainer, PATH));
  release(&f);
  imgrec_trainer_options other = some_options(IMGREC_OPTIMIZER_ADAM, 1);
  check_refused(TOY_NET, &other, IMGREC_ERR_ARGUMENT,
                "trainer.optimizer 1, which is 0 here");
  other = o;
  other.seed = 4;
  check_refused(TOY_NET, &other, IMGREC_ERR_ARGUMENT, "another trainer.seed");
  other = o;
  other.ema_decay = 0.9F;
  check_refused(TOY_NET, &other, IMGREC_ERR_FORMAT, "no 'trainer.averaged'");
  check_refused("input 6 6 1\nconv2d 4 kernel=3 bias=false\n"
                "batch_norm activation=relu6\nflatten\ndropout 0.1\n"
                "dense 3\nsoftmax\n",
                &o, IMGREC_ERR_SHAPE, "another network");
}

static size_t read_whole(unsigned char **out, const char *path) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  fseek(f, 0, SEEK_END);
  size_t n = (size_t)ftell(f);
  rewind(f);
  *out = malloc(n);
  assert_int_equal(fread(*out, 1, n, f), n);
  fclose(f);
  return n;
}

static void write_whole(const char *path, const unsigned char *bytes,
                        size_t n) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  fclose(f);
}

/* Cut anywhere, and with any byte of a sample changed: refused, or read as it
 * was where the byte was a space of the header. */
static void test_checkpoint__damaged(void **state) {
  (void)state;
  imgrec_trainer_options o = some_options(IMGREC_OPTIMIZER_ADAM, 1);
  struct fixture f;
  unsigned char *bytes;
  imgrec_checkpoint c;
  make(&f, TOY_NET, 1, &o);
  assert_ok(f.ctx, imgrec_trainer_save(f.trainer, PATH));
  size_t n = read_whole(&bytes, PATH);
  for (size_t cut = 0; cut < n; cut += 97) {
    write_whole(PATH, bytes, cut);
    assert_true(imgrec_trainer_load(f.trainer, PATH) < 0);
  }
  for (size_t i = 0; i < n; i += 31) {
    bytes[i] ^= 4;
    write_whole(PATH, bytes, n);
    if (imgrec_trainer_load(f.trainer, PATH) >= 0)
      assert_true(bytes[i] == (' ' ^ 4));
    bytes[i] ^= 4;
  }
  write_whole(PATH, bytes, n);
  assert_ok(f.ctx, imgrec_trainer_load(f.trainer, PATH));
  imgrec_checkpoint_init(&c, sizeof c);
  assert_int_equal(imgrec_checkpoint_read(f.ctx, PATH, &c),
                   IMGREC_ERR_FORMAT); /* of no fit */
  free(bytes);
  release(&f);
}

static void test_trainer__arguments(void **state) {
  (void)state;
  imgrec_trainer_options o = some_options(IMGREC_OPTIMIZER_SGD, 1);
  struct fixture f;
  make(&f, TOY_NET, 1, &o);
  assert_int_equal(imgrec_trainer_save(NULL, PATH), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_trainer_load(NULL, PATH), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_trainer_save(f.trainer, NULL), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_trainer_load(f.trainer, NULL), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_trainer_load(f.trainer, "build/tmp/nowhere"),
                   IMGREC_ERR_NOT_FOUND);
  assert_int_equal(imgrec_trainer_save(f.trainer, "build/tmp/no/such"),
                   IMGREC_ERR_NOT_FOUND);
  assert_int_equal(imgrec_checkpoint_read(f.ctx, NULL, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_checkpoint_read(NULL, PATH, NULL),
                   IMGREC_ERR_ARGUMENT);
  release(&f);
}

/* Every allocation of both fails once: a status, and nothing has changed. */
static void test_trainer__out_of_memory(void **state) {
  (void)state;
  imgrec_trainer_options o = some_options(IMGREC_OPTIMIZER_ADAM, 1);
  struct fixture f;
  make(&f, TOY_NET, 1, &o);
  assert_ok(f.ctx, imgrec_trainer_save(f.trainer, PATH));
  for (int loads = 0; loads < 2; loads++) {
    int status = IMGREC_ERR_MEMORY;
    for (int n = 1; status < 0; n++) {
      f.alloc.fail_at = f.alloc.calls + n;
      status = loads ? imgrec_trainer_load(f.trainer, PATH)
                     : imgrec_trainer_save(f.trainer, PATH);
      f.alloc.fail_at = 0;
      assert_true(status == 0 || status == IMGREC_ERR_MEMORY);
      assert_true(n < 2000);
    }
  }
  release(&f);
}

/* ---- Fit ----------------------------------------------------------------- */

enum { EPOCHS = 4, STEPS = 6 }; /* steps an epoch */

struct stop {
  int after; /* calls of progress; 0: never */
  int calls;
  int ask; /* a checkpoint at that call instead of an end */
};

static int stop_after(void *user, const imgrec_progress *p) {
  struct stop *s = user;
  (void)p;
  if (++s->calls != s->after)
    return IMGREC_FIT_GO_ON;
  return s->ask ? IMGREC_FIT_CHECKPOINT : IMGREC_FIT_STOP;
}

static imgrec_fit_options fit_options(struct stop *s) {
  imgrec_fit_options o;
  imgrec_fit_options_init(&o, sizeof o);
  o.epochs = EPOCHS;
  o.seed = 3;
  o.schedule = IMGREC_SCHEDULE_COSINE;
  o.balance = IMGREC_BALANCE_SAMPLER;
  o.checkpoint = PATH;
  o.progress = stop_after;
  o.progress_user = s;
  return o;
}

static imgrec_trainer_options fit_trainer(void) {
  imgrec_trainer_options o = some_options(IMGREC_OPTIMIZER_ADAMW, 1);
  o.ema_decay = 0.9F;
  return o;
}

static void fit_until(struct fixture *f, struct stop s, const char *resume,
                      imgrec_fit_result *r) {
  imgrec_trainer_options t = fit_trainer();
  imgrec_fit_options o = fit_options(&s);
  imgrec_augment augment;
  make(f, TOY_NET, 2, &t);
  imgrec_augment_init(&augment, sizeof augment);
  assert_ok(f->ctx, imgrec_augment_parse(&augment, f->ctx, "shift=0.1,mixup"));
  o.augment = &augment;
  o.resume = resume;
  imgrec_fit_result_init(r, sizeof *r);
  assert_ok(f->ctx, imgrec_fit(f->trainer, f->train, f->val, &o, r));
}

static void same_results(const imgrec_fit_result *a,
                         const imgrec_fit_result *b) {
  assert_int_equal(a->epochs, b->epochs);
  assert_int_equal(a->best_epoch, b->best_epoch);
  assert_true(a->train_loss == b->train_loss);
  assert_true(a->val_loss == b->val_loss);
  assert_true(a->val_accuracy == b->val_accuracy);
}

/* Ended after each possible step and epoch, and gone on with; or, as a kill
 * would have it, gone on with from an older checkpoint than the end. */
static void test_fit__resumes(void **state) {
  (void)state;
  struct fixture whole;
  imgrec_fit_result r, other;
  unsigned char *bytes, *again;
  fit_until(&whole, (struct stop){0}, NULL, &r);
  size_t n = read_whole(&bytes, PATH);
  for (int after = 1; after <= EPOCHS * (STEPS + 1); after++) {
    struct fixture stopped, resumed;
    fit_until(&stopped, (struct stop){.after = after}, NULL, &other);
    assert_int_equal(other.cancelled, 1);
    fit_until(&resumed, (struct stop){0}, PATH, &other);
    assert_true(same_weights(&whole, &resumed));
    same_results(&r, &other);
    assert_int_equal(read_whole(&again, PATH), n);
    assert_memory_equal(bytes, again, n);
    free(again);
    release(&stopped);
    release(&resumed);
  }
  free(bytes);
  release(&whole);
}

/* Twice, once by a checkpoint that was asked for; its file tells where. */
static void test_fit__resumes_twice(void **state) {
  (void)state;
  struct fixture f[4];
  imgrec_fit_result r, other;
  imgrec_checkpoint c;
  fit_until(&f[0], (struct stop){0}, NULL, &r);
  fit_until(&f[1], (struct stop){.after = 10}, NULL, &other);
  imgrec_checkpoint_init(&c, sizeof c);
  assert_ok(f[1].ctx, imgrec_checkpoint_read(f[1].ctx, PATH, &c));
  assert_int_equal(c.epoch, 2);
  assert_int_equal(c.epochs, EPOCHS);
  assert_int_equal(c.epoch_done, 0);
  assert_int_equal(c.images, 24);
  assert_int_equal(c.images_total, 45);
  assert_int_equal(c.best_epoch, 1);
  assert_true(isfinite(c.train_loss) && isfinite(c.val_loss));
  fit_until(&f[2], (struct stop){.after = 9}, PATH, &other);
  fit_until(&f[3], (struct stop){0}, PATH, &other);
  assert_true(same_weights(&f[0], &f[3]));
  same_results(&r, &other);
  for (int i = 0; i < 4; i++)
    release(&f[i]);
}

/* What has come to its end gives its best weights at once. */
static void test_fit__resumes_the_end(void **state) {
  (void)state;
  struct fixture whole, again;
  imgrec_fit_result r, other;
  fit_until(&whole, (struct stop){0}, NULL, &r);
  fit_until(&again, (struct stop){.after = 1}, PATH, &other);
  assert_int_equal(other.cancelled, 0); /* no step was taken */
  assert_true(same_weights(&whole, &again));
  same_results(&r, &other);
  release(&whole);
  release(&again);
}

static void test_fit__refuses(void **state) {
  (void)state;
  struct fixture f, g;
  struct stop s = {0};
  imgrec_fit_result r;
  imgrec_trainer_options t = fit_trainer();
  imgrec_fit_options o = fit_options(&s);
  fit_until(&f, (struct stop){.after = 3}, NULL, &r);
  make(&g, TOY_NET, 1, &t);
  o.resume = PATH;
  o.checkpoint = NULL;
  o.seed = 4;
  assert_int_equal(imgrec_fit(g.trainer, g.train, g.val, &o, NULL),
                   IMGREC_ERR_ARGUMENT);
  o.seed = 3;
  assert_int_equal(imgrec_fit(g.trainer, g.val, g.train, &o, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_non_null(strstr(imgrec_last_error(g.ctx),
                         "fit.train_images 45, which is 21 here"));
  o.batch = 5;
  assert_int_equal(imgrec_fit(g.trainer, g.train, g.val, &o, NULL),
                   IMGREC_ERR_ARGUMENT);
  release(&f);
  release(&g);
}

/* ---- Files that cannot be written ---------------------------------------- */

static int count_failures(void *user, const imgrec_progress *p) {
  int *failures = user;
  *failures += p->checkpoint_status == IMGREC_ERR_NOT_FOUND;
  return IMGREC_FIT_CHECKPOINT;
}

static void test_fit__no_folder(void **state) {
  (void)state;
  imgrec_trainer_options t = fit_trainer();
  struct fixture whole, f;
  imgrec_fit_result r;
  int failures = 0;
  struct stop s = {0};
  imgrec_fit_options o = fit_options(&s);
  o.checkpoint = NULL;
  make(&whole, TOY_NET, 1, &t);
  assert_ok(whole.ctx,
            imgrec_fit(whole.trainer, whole.train, whole.val, &o, NULL));
  make(&f, TOY_NET, 1, &t);
  o.checkpoint = "build/tmp/no/such/last";
  o.best = "build/tmp/no/such/best";
  o.progress = count_failures;
  o.progress_user = &failures;
  imgrec_fit_result_init(&r, sizeof r);
  assert_ok(f.ctx, imgrec_fit(f.trainer, f.train, f.val, &o, &r));
  assert_int_equal(r.checkpoint_status, IMGREC_ERR_NOT_FOUND);
  assert_true(failures > EPOCHS * STEPS / 2);
  assert_true(same_weights(&whole, &f));
  release(&whole);
  release(&f);
}

/* What `best` has is what the model ends with. */
static void test_fit__best(void **state) {
  (void)state;
  imgrec_trainer_options t = fit_trainer();
  struct fixture f;
  struct stop s = {0};
  imgrec_model *m = NULL;
  imgrec_fit_options o = fit_options(&s);
  o.best = BEST;
  make(&f, TOY_NET, 1, &t);
  assert_ok(f.ctx, imgrec_fit(f.trainer, f.train, f.val, &o, NULL));
  assert_ok(f.ctx, imgrec_model_load(&m, f.ctx, BEST, NULL));
  assert_true(same_floats(m->weights, f.model->weights, m->weight_floats));
  imgrec_model_destroy(m);
  release(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_trainer__goes_on),
      cmocka_unit_test(test_trainer__accumulates),
      cmocka_unit_test(test_trainer__learning_rate),
      cmocka_unit_test(test_checkpoint__is_a_model),
      cmocka_unit_test(test_trainer__refuses),
      cmocka_unit_test(test_checkpoint__damaged),
      cmocka_unit_test(test_trainer__arguments),
      cmocka_unit_test(test_trainer__out_of_memory),
      cmocka_unit_test(test_fit__resumes),
      cmocka_unit_test(test_fit__resumes_twice),
      cmocka_unit_test(test_fit__resumes_the_end),
      cmocka_unit_test(test_fit__refuses),
      cmocka_unit_test(test_fit__no_folder),
      cmocka_unit_test(test_fit__best),
  };
  return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
