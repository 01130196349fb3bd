/* SPDX-License-Identifier: MIT */
/* Labels, preprocessing and calibration as JSON, and back. */
#include "format/format.h"

#include "image/image.h"

/* ---- labels ------------------------------------------------------------- */

void imgrec__labels_write(struct text *t, const struct imgrec_model *m) {
  int classes = imgrec_model_classes(m);
  for (int i = 0; i < classes; i++) {
    imgrec__text_string(t, i == 0 ? "[" : ",");
    imgrec__text_json_string(t, m->labels[i]);
  }
  imgrec__text_string(t, "]");
}

/* `labels` has room for all and begins as NULLs. */
static int read_labels(char **labels, const struct json *j, struct error *e) {
  int status = IMGREC_OK, n = 0;
  for (int i = imgrec__json_first(j, 0); i >= 0 && status >= 0;
       i = imgrec__json_next(j, 0, i))
    status = imgrec__format_string(&labels[n++], j, i, e, "a label");
  return status;
}

int imgrec__labels_apply(struct imgrec_model *m, const struct json *j) {
  struct error *e = &m->context->error;
  struct allocator *a = &m->context->allocator;
  int classes = imgrec_model_classes(m), size = imgrec__json_size(j, 0);
  if (!imgrec__json_is_array(j, 0) || size != classes)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "%d labels for a network of %d classes", size, classes);
  char **labels = imgrec__alloc_zero(a, (size_t)classes * sizeof *labels);
  if (labels == NULL)
    return imgrec__fail_memory(e, a, "the labels");
  int status = read_labels(labels, j, e);
  if (status >= 0)
    status = imgrec_model_set_labels(m, classes, (const char *const *)labels);
  for (int i = 0; i < classes; i++)
    imgrec__free(a, labels[i]);
  imgrec__free(a, labels);
  return status;
}

/* ---- preprocessing ------------------------------------------------------ */

/* One value each today: what a later version adds, this one must refuse. */
#define FILTER "triangle"
#define EXIF   "apply"

static const char *const resize_names[] = {"stretch", "crop", "pad"};

static void write_floats(struct text *t, const float *x, int n) {
  for (int i = 0; i < n; i++) {
    imgrec__text_string(t, i == 0 ? "[" : ",");
    imgrec__text_float(t, x[i]);
  }
  imgrec__text_string(t, "]");
}

/* Keys sorted; mean and std have a number a channel. */
void imgrec__preprocess_write(struct text *t, const imgrec_preprocess *p) {
  imgrec__text_add(t,
                   "{\"channels\":%d,\"exif\":\"" EXIF "\",\"filter\":\"" FILTER
                   "\",\"height\":%d,\"mean\":",
                   (int)p->channels, (int)p->height);
  write_floats(t, p->mean, p->channels);
  imgrec__text_add(t, ",\"resize\":\"%s\",\"scale\":", resize_names[p->resize]);
  imgrec__text_float(t, p->scale);
  imgrec__text_string(t, ",\"std\":");
  write_floats(t, p->std, p->channels);
  imgrec__text_add(t, ",\"width\":%d}", (int)p->width);
}

/* All must be there, and nothing else: what this version does not know could
 * change every answer. */
static int check_members(const struct json *j, struct error *e) {
  static const char *const names[] = {"channels", "exif", "filter",
                                      "height",   "mean", "resize",
                                      "scale",    "std",  "width"};
  int known = (int)(sizeof names / sizeof names[0]);
  if (!imgrec__json_is_object(j, 0))
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "is not an object");
  for (int i = 0; i < known; i++)
    if (imgrec__json_get(j, 0, names[i]) < 0)
      return imgrec__fail(e, IMGREC_ERR_FORMAT, "has no '%s'", names[i]);
  if (imgrec__json_size(j, 0) != known)
    return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                        "has %d members, and this version knows only %d",
                        imgrec__json_size(j, 0), known);
  return IMGREC_OK;
}

static int read_int(int32_t *out, const struct json *j, const char *key,
                    struct error *e) {
  int64_t x;
  if (!imgrec__json_int(j, imgrec__json_get(j, 0, key), &x) || x < 0 ||
      x > INT32_MAX)
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "'%s' is not a whole number >= 0",
                        key);
  *out = (int32_t)x;
  return IMGREC_OK;
}

static int read_floats(float *out, int n, const struct json *j, const char *key,
                       struct error *e) {
  int array = imgrec__json_get(j, 0, key), i = imgrec__json_first(j, array);
  int good =
      imgrec__json_is_array(j, array) && imgrec__json_size(j, array) == n;
  for (int k = 0; k < n && good; k++, i = imgrec__json_next(j, array, i))
    good = imgrec__json_float(j, i, &out[k]);
  if (!good)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "'%s' is not an array of one number a channel (%d)",
                        key, n);
  return IMGREC_OK;
}

/* Which of `words` the member is. */
static int read_word(int32_t *out, const struct json *j, const char *key,
                     const char *const *words, int count, struct error *e) {
  int value = imgrec__json_get(j, 0, key);
  for (int i = 0; i < count; i++)
    if (imgrec__json_equal(j, value, words[i])) {
      *out = i;
      return IMGREC_OK;
    }
  return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                      "'%s' is nothing that this version knows", key);
}

static int read_words(imgrec_preprocess *p, const struct json *j,
                      struct error *e) {
  static const char *const filter = FILTER, *const exif = EXIF;
  int32_t only;
  int status = read_word(&p->resize, j, "resize", resize_names, 3, e);
  if (status >= 0)
    status = read_word(&only, j, "filter", &filter, 1, e);
  return status < 0 ? status : read_word(&only, j, "exif", &exif, 1, e);
}

static int read_preprocess(imgrec_preprocess *p, const struct json *j,
                           struct error *e) {
  int status = check_members(j, e);
  if (status >= 0)
    status = read_int(&p->height, j, "height", e);
  if (status >= 0)
    status = read_int(&p->width, j, "width", e);
  if (status >= 0)
    status = read_int(&p->channels, j, "channels", e);
  if (status >= 0 && p->channels != 1 && p->channels != 3)
    status =
        imgrec__fail(e, IMGREC_ERR_FORMAT,
                     "'channels' is %d; it must be 1 or 3", (int)p->channels);
  if (status >= 0)
    status = read_floats(p->mean, p->channels, j, "mean", e);
  if (status >= 0)
    status = read_floats(p->std, p->channels, j, "std", e);
  if (status >= 0 &&
      !imgrec__json_float(j, imgrec__json_get(j, 0, "scale"), &p->scale))
    status = imgrec__fail(e, IMGREC_ERR_FORMAT, "'scale' is not a number");
  return status < 0 ? status : read_words(p, j, e);
}

int imgrec__preprocess_apply(struct imgrec_model *m, const struct json *j) {
  struct error *e = &m->context->error;
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  int status = read_preprocess(&p, j, e);
  if (status >= 0)
    status = imgrec__preprocess_check(e, &p);
  return status < 0 ? status : imgrec_model_set_preprocess(m, &p);
}

/* ---- calibration -------------------------------------------------------- */

void imgrec__calibration_write(struct text *t, const imgrec_calibration *c) {
  imgrec__text_string(t, "{\"reject_threshold\":");
  imgrec__text_float(t, c->reject_threshold);
  imgrec__text_string(t, ",\"temperature\":");
  imgrec__text_float(t, c->temperature);
  imgrec__text_string(t, "}");
}

static int read_number(float *out, const struct json *j, const char *key,
                       struct error *e) {
  if (imgrec__json_float(j, imgrec__json_get(j, 0, key), out))
    return IMGREC_OK;
  return imgrec__fail(e, IMGREC_ERR_FORMAT, "'%s' is not a number", key);
}

int imgrec__calibration_apply(struct imgrec_model *m, const struct json *j) {
  struct error *e = &m->context->error;
  imgrec_calibration c;
  imgrec_calibration_init(&c, sizeof c);
  if (!imgrec__json_is_object(j, 0))
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "is not an object");
  if (imgrec__json_size(j, 0) > 2)
    return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                        "has %d members, and this version knows only 2",
                        imgrec__json_size(j, 0));
  int status = read_number(&c.reject_threshold, j, "reject_threshold", e);
  if (status >= 0)
    status = read_number(&c.temperature, j, "temperature", e);
  return status < 0 ? status : imgrec_model_set_calibration(m, &c);
}
