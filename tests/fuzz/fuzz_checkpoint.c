/* SPDX-License-Identifier: MIT */
/* Fuzz target: any bytes as a checkpoint that a trainer goes on from, or that
 * imgrec_checkpoint_read looks at.  What is refused must change nothing, and
 * what is taken must train on.
 *
 * With IMGREC_FUZZ_STANDALONE it is a program that replays files and folders.
 */
#define _GNU_SOURCE /* memfd_create, memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/format.h"
#include "train/train.h"

/* The corpus is of this network and these options. */
#define NET     "input 2 2 1\nflatten\ndense 2\nsoftmax\n"
#define WEIGHTS 18 /* with what aligns the bias */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct training {
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_trainer *trainer;
};

static void must(int status) {
  if (status < 0)
    abort();
}

static void create(struct training *t) {
  imgrec_context_options c;
  imgrec_model_options m;
  imgrec_trainer_options o;
  imgrec_context_options_init(&c, sizeof c);
  c.threads = 1;
  must(imgrec_context_create(&t->ctx, &c));
  imgrec_model_options_init(&m, sizeof m);
  m.max_batch = 1;
  must(imgrec_model_create(&t->model, t->ctx, NET, &m));
  imgrec_trainer_options_init(&o, sizeof o);
  o.ema_decay = 0.5F;
  o.accumulate = 2;
  must(imgrec_trainer_create(&t->trainer, t->model, &o));
}

static void destroy(struct training *t) {
  imgrec_trainer_destroy(t->trainer);
  imgrec_model_destroy(t->model);
  imgrec_context_destroy(t->ctx);
}

/* ---- Hashes that are right, which no mutation gets ------------------------
 */

/* Over what stands behind `"key":"`, where that many bytes are there. */
static void put(uint8_t *bytes, size_t size, const char *key, const char *hex) {
  char start[64];
  size_t n = (size_t)snprintf(start, sizeof start, "\"%s\":\"", key);
  uint8_t *at = memmem(bytes, size, start, n);
  if (at != NULL && (size_t)(bytes + size - at) >= n + 64)
    memcpy(at + n, hex, 64);
}

static void put_hashes(uint8_t *bytes, size_t size, const struct safetensors *f,
                       struct error *e) {
  static const char key[] = "imgrec.train";
  struct sha256 s;
  char hex[65], *text = NULL;
  int value = imgrec__json_get(&f->header, f->metadata, key);
  imgrec__sha256_init(&s);
  imgrec__sha256_update(&s, f->data, f->data_size);
  imgrec__sha256_hex(&s, hex);
  put(bytes, size, "imgrec.sha256", hex);
  if (value < 0 || imgrec__format_string(&text, &f->header, value, e, key) < 0)
    return;
  imgrec__sha256_init(&s);
  imgrec__sha256_update(&s, key, sizeof key);
  imgrec__sha256_update(&s, text, strlen(text) + 1);
  imgrec__sha256_hex(&s, hex);
  put(bytes, size, "imgrec.sha256.train", hex);
  imgrec__free(f->allocator, text);
}

static void mend(imgrec_context *ctx, uint8_t *bytes, size_t size) {
  struct safetensors f;
  if (imgrec__safetensors_parse(&f, &ctx->allocator, &ctx->error, bytes, size) <
      0)
    return;
  if (f.metadata >= 0)
    put_hashes(bytes, size, &f, &ctx->error);
  imgrec__safetensors_free(&f);
}

/* ---- Going on -------------------------------------------------------------
 */

/* Whatever numbers were read: a step may call them diverged, no more. */
static void step(struct training *t) {
  float pixels[4] = {0.25F, 0.5F, 0.75F, 1}, loss;
  int32_t label = 1;
  const int64_t shape[4] = {1, 2, 2, 1};
  imgrec_tensor *x, *y;
  must(imgrec_tensor_wrap(&x, t->ctx, IMGREC_F32, 4, shape, pixels));
  must(imgrec_tensor_wrap(&y, t->ctx, IMGREC_I32, 1, shape, &label));
  int status = imgrec_train_step(t->trainer, x, y, &loss);
  if (status < 0 && status != IMGREC_ERR_DIVERGED)
    abort();
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
}

static void load(struct training *t, const char *path) {
  const float *weights = t->model->weights;
  float before[WEIGHTS];
  memcpy(before, weights, sizeof before);
  if (imgrec_trainer_load(t->trainer, path) >= 0)
    step(t);
  else if (memcmp(before, weights, sizeof before) != 0 ||
           strlen(imgrec_last_error(t->ctx)) == 0)
    abort();
}

static int as_file(const uint8_t *bytes, size_t size) {
  int file = memfd_create("checkpoint", 0);
  if (file < 0 || write(file, bytes, size) != (ssize_t)size)
    abort();
  return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  struct training t;
  imgrec_checkpoint seen;
  char path[64];
  uint8_t *mended = malloc(size + 1);
  if (mended == NULL)
    abort();
  memcpy(mended, bytes, size);
  create(&t);
  mend(t.ctx, mended, size);
  int file = as_file(mended, size);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  imgrec_checkpoint_init(&seen, sizeof seen);
  imgrec_checkpoint_read(t.ctx, path, &seen);
  load(&t, path);
  destroy(&t);
  free(mended);
  close(file);
  return 0;
}

#ifdef IMGREC_FUZZ_STANDALONE
#include "replay.h"
#endif
