/* SPDX-License-Identifier: MIT */
/* __metadata__ of a model file: strings that say what it is, for which
 * version, with which network, labels and preprocessing, and their hashes. */
#include "format/format.h"

#include <stdio.h>
#include <string.h>

#include "image/image.h"

#define KEY_ARCH        "imgrec.arch"
#define KEY_ARITHMETIC  "imgrec.arithmetic"
#define KEY_CALIBRATION "imgrec.calibration"
#define KEY_LABELS      "imgrec.labels"
#define KEY_PREPROC     "imgrec.preproc"
#define KEY_HASH        "imgrec.sha256"
#define KEY_TEXT_HASH   "imgrec.sha256.text"
#define KEY_TRAIN_HASH  "imgrec.sha256.train"
#define KEY_TRAIN       "imgrec.train"
#define KEY_VERSION     "imgrec.version"

/* A network whose input cannot be an image has no preprocessing. */
static int takes_images(const imgrec_preprocess *p) {
  return (p->channels == 1 || p->channels == 3) &&
         p->height <= IMGREC_IMAGE_MAX_SIDE &&
         p->width <= IMGREC_IMAGE_MAX_SIDE &&
         (int64_t)p->height * p->width <= IMGREC_IMAGE_MAX_PIXELS;
}

/* ---- writing ------------------------------------------------------------ */

static void hash_string(struct sha256 *s, const char *key, const char *value) {
  if (value == NULL)
    return;
  imgrec__sha256_update(s, key, strlen(key) + 1);
  imgrec__sha256_update(s, value, strlen(value) + 1);
}

/* The values that answers depend on; NULL: none. */
struct answers {
  const char *arch, *calibration, *labels, *preproc;
};

/* Over "key NUL value NUL" of those that there are (not NULL), in this order:
 * a flipped bit here would change answers as well as one in the weights. */
static void hash_text(char hex[65], const struct answers *t) {
  struct sha256 s;
  imgrec__sha256_init(&s);
  hash_string(&s, KEY_ARCH, t->arch);
  hash_string(&s, KEY_CALIBRATION, t->calibration);
  hash_string(&s, KEY_LABELS, t->labels);
  hash_string(&s, KEY_PREPROC, t->preproc);
  imgrec__sha256_hex(&s, hex);
}

/* Where training stood. */
static void hash_train(char hex[65], const char *train) {
  struct sha256 s;
  imgrec__sha256_init(&s);
  hash_string(&s, KEY_TRAIN, train);
  imgrec__sha256_hex(&s, hex);
}

static void write_members(struct text *out, const struct answers *a,
                          const struct checkpoint *c, const char *data_hash) {
  const char *train = c != NULL ? c->train : NULL;
  char text_hash[65], train_hash[65], arithmetic[16] = "";
  hash_train(train_hash, train);
  snprintf(arithmetic, sizeof arithmetic, "%d", imgrec_arithmetic_version());
  hash_text(text_hash, a);
  const struct {
    const char *key, *value;
  } members[] = {
      {"format", "imgrec"},
      {KEY_ARCH, a->arch},
      {KEY_ARITHMETIC, arithmetic},
      {KEY_CALIBRATION, a->calibration},
      {KEY_LABELS, a->labels},
      {KEY_PREPROC, a->preproc},
      {KEY_HASH, data_hash},
      {KEY_TEXT_HASH, text_hash},
      {KEY_TRAIN_HASH, train ? train_hash : NULL},
      {KEY_TRAIN, train},
      {KEY_VERSION, imgrec_version_string()},
  };
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
    if (members[i].value == NULL)
      continue;
    imgrec__text_add(out, "%s\"%s\":", i == 0 ? "{" : ",", members[i].key);
    imgrec__text_json_string(out, members[i].value);
  }
  imgrec__text_string(out, "}");
}

int imgrec__metadata_write(struct text *out, const struct imgrec_model *m,
                           const struct checkpoint *c) {
  struct imgrec_context *ctx = m->context;
  struct text labels, preproc, calibration;
  char hash[65];
  int images = takes_images(&m->preprocess);
  int status = images ? imgrec__preprocess_check(&ctx->error, &m->preprocess)
                      : IMGREC_OK;
  if (status >= 0)
    status = imgrec__safetensors_hash(m, c, hash);
  if (status < 0)
    return status;
  imgrec__text_init(&labels, &ctx->allocator);
  imgrec__text_init(&preproc, &ctx->allocator);
  imgrec__text_init(&calibration, &ctx->allocator);
  if (m->labels != NULL)
    imgrec__labels_write(&labels, m);
  if (images)
    imgrec__preprocess_write(&preproc, &m->preprocess);
  if (imgrec__model_calibrated(m))
    imgrec__calibration_write(&calibration, &m->calibration);
  const struct answers a = {m->graph.text, calibration.data, labels.data,
                            preproc.data};
  int failed = labels.failed || preproc.failed || calibration.failed;
  if (!failed)
    write_members(out, &a, c, hash);
  if (failed || out->failed)
    status = imgrec__fail_memory(&ctx->error, &ctx->allocator,
                                 "the header of the model file");
  imgrec__text_free(&labels);
  imgrec__text_free(&preproc);
  imgrec__text_free(&calibration);
  return status;
}

/* ---- checking ----------------------------------------------------------- */

static int has(const struct safetensors *f, const char *key) {
  return imgrec__json_get(&f->header, f->metadata, key) >= 0;
}

/* The value of `key`; *out stays NULL where there is none. */
static int get(char **out, const struct safetensors *f, const char *key,
               struct error *e) {
  int value = imgrec__json_get(&f->header, f->metadata, key);
  if (value < 0)
    return IMGREC_OK;
  return imgrec__format_string(out, &f->header, value, e, key);
}

static int need(char **out, const struct safetensors *f, const char *key,
                struct error *e) {
  if (!has(f, key))
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "its metadata has no '%s' (damaged?)", key);
  return get(out, f, key, e);
}

int imgrec__metadata_arch(char **out, const struct safetensors *f,
                          struct error *e) {
  return need(out, f, KEY_ARCH, e);
}

static int check_format(const struct safetensors *f, struct error *e) {
  const struct json *j = &f->header;
  if (!has(f, KEY_ARCH))
    return imgrec__fail(
        e, IMGREC_ERR_FORMAT,
        "this is a safetensors file but not an imgrec model: it has "
        "no imgrec.arch; use imgrec_model_load_weights on a "
        "model of the same architecture");
  if (!imgrec__json_equal(j, imgrec__json_get(j, f->metadata, "format"),
                          "imgrec"))
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "its metadata does not have 'format' of \"imgrec\"");
  return IMGREC_OK;
}

/* That the number which begins the value of `key`, up to a full stop if there
 * is one, is in least .. most. */
static int check_number(const struct safetensors *f, const char *key,
                        int64_t least, int64_t most, struct error *e) {
  char *s = NULL, shown[96];
  int64_t number = 0;
  int status = need(&s, f, key, e);
  if (status < 0)
    return status;
  if (!imgrec__parse_int(s, strcspn(s, "."), &number) || number < least)
    status = imgrec__fail(e, IMGREC_ERR_FORMAT, "its %s is '%s', no version",
                          key, imgrec__printable(s, shown));
  else if (number > most)
    status = imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                          "its %s is %s, which is newer than this library "
                          "(%s, arithmetic %d)",
                          key, imgrec__printable(s, shown),
                          imgrec_version_string(), imgrec_arithmetic_version());
  imgrec__free(f->allocator, s);
  return status;
}

static int check_hash(const struct safetensors *f, const char *key,
                      const char hex[65], struct error *e, const char *what) {
  int value = imgrec__json_get(&f->header, f->metadata, key);
  if (value < 0)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "its metadata has no '%s' (damaged?)", key);
  if (!imgrec__json_equal(&f->header, value, hex))
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "%s do not match their hash (file damaged?)", what);
  return IMGREC_OK;
}

static int check_text(const struct safetensors *f, struct error *e) {
  char *arch = NULL, *calibration = NULL, *labels = NULL, *preproc = NULL;
  char hex[65];
  int status = need(&arch, f, KEY_ARCH, e);
  if (status >= 0)
    status = get(&calibration, f, KEY_CALIBRATION, e);
  if (status >= 0)
    status = get(&labels, f, KEY_LABELS, e);
  if (status >= 0)
    status = get(&preproc, f, KEY_PREPROC, e);
  if (status >= 0) {
    const struct answers a = {arch, calibration, labels, preproc};
    hash_text(hex, &a);
    status = check_hash(f, KEY_TEXT_HASH, hex, e,
                        "architecture, calibration, labels or preprocessing");
  }
  imgrec__free(f->allocator, arch);
  imgrec__free(f->allocator, calibration);
  imgrec__free(f->allocator, labels);
  imgrec__free(f->allocator, preproc);
  return status;
}

static int check_data(const struct safetensors *f, struct error *e) {
  char hex[65];
  struct sha256 s;
  imgrec__sha256_init(&s);
  imgrec__sha256_update(&s, f->data, f->data_size);
  imgrec__sha256_hex(&s, hex);
  return check_hash(f, KEY_HASH, hex, e, "the weights");
}

int imgrec__metadata_is_checkpoint(const struct safetensors *f) {
  return has(f, KEY_TRAIN);
}

int imgrec__metadata_train(char **out, const struct safetensors *f,
                           struct error *e) {
  char *train = NULL, hex[65];
  if (!has(f, KEY_TRAIN))
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "this is a model but no checkpoint: it has no "
                        "imgrec.train");
  int status = get(&train, f, KEY_TRAIN, e);
  if (status < 0)
    return status;
  hash_train(hex, train);
  status = check_hash(f, KEY_TRAIN_HASH, hex, e, "the numbers of training");
  if (status < 0)
    imgrec__free(f->allocator, train);
  else
    *out = train;
  return status;
}

int imgrec__metadata_check_data(const struct safetensors *f, struct error *e) {
  return has(f, KEY_HASH) ? check_data(f, e) : IMGREC_OK;
}

int imgrec__metadata_check(const struct safetensors *f, struct error *e) {
  int status = check_format(f, e);
  if (status >= 0)
    status = check_number(f, KEY_VERSION, 0, IMGREC_VERSION_MAJOR, e);
  if (status >= 0)
    status = check_number(f, KEY_ARITHMETIC, 1, imgrec_arithmetic_version(), e);
  if (status >= 0)
    status = check_text(f, e);
  return status < 0 ? status : check_data(f, e);
}

/* ---- applying ---------------------------------------------------------------
 */

typedef int (*apply_fn)(struct imgrec_model *m, const struct json *j);

/* What does not fit the network is the file's fault, not an argument's. */
static int apply(struct imgrec_model *m, const struct safetensors *f,
                 const char *key, apply_fn fn) {
  struct error *e = &m->context->error;
  struct json j = {.allocator = f->allocator};
  char *s = NULL;
  int status = need(&s, f, key, e);
  if (status < 0)
    return status;
  status = imgrec__json_parse(&j, f->allocator, e, s, strlen(s));
  if (status >= 0)
    status = fn(m, &j);
  if (status == IMGREC_ERR_ARGUMENT || status == IMGREC_ERR_SHAPE)
    status = IMGREC_ERR_FORMAT;
  if (status < 0)
    imgrec__fail_prefix(e, status, "%s", key);
  imgrec__json_free(&j);
  imgrec__free(f->allocator, s);
  return status;
}

int imgrec__metadata_is_model(const struct safetensors *f) {
  return has(f, KEY_ARCH);
}

int imgrec__metadata_apply_preprocess(struct imgrec_model *m,
                                      const struct safetensors *f) {
  if (has(f, KEY_PREPROC) || takes_images(&m->preprocess))
    return apply(m, f, KEY_PREPROC, imgrec__preprocess_apply);
  return IMGREC_OK;
}

int imgrec__metadata_apply(struct imgrec_model *m,
                           const struct safetensors *f) {
  int status = IMGREC_OK;
  if (has(f, KEY_LABELS))
    status = apply(m, f, KEY_LABELS, imgrec__labels_apply);
  if (status >= 0)
    status = imgrec__metadata_apply_preprocess(m, f);
  if (status >= 0 && has(f, KEY_CALIBRATION))
    status = apply(m, f, KEY_CALIBRATION, imgrec__calibration_apply);
  return status;
}
