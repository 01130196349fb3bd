/* SPDX-License-Identifier: MIT */
/* Named numbers as JSON, bit by bit, and back. */
#include "train.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* ---- Listing ------------------------------------------------------------- */

static struct field *add(struct state *s, const char *name,
                         enum field_kind kind, void *value) {
  assert(s->count < FIELDS_MAX);
  struct field *f = &s->fields[s->count++];
  *f = (struct field){.name = name, .kind = kind, .value = value};
  return f;
}

void imgrec__state_field(struct state *s, const char *name,
                         enum field_kind kind, void *value) {
  add(s, name, kind, value);
}

void imgrec__state_fixed(struct state *s, const char *name,
                         enum field_kind kind, void *value) {
  add(s, name, kind, value)->fixed = 1;
}

void imgrec__state_mask(struct state *s, const char *name, unsigned char *mask,
                        int64_t count) {
  add(s, name, FIELD_MASK, mask)->count = count;
}

void imgrec__state_vector(struct state *s, const char *prefix, float *values,
                          const struct gradient_place *places) {
  struct checkpoint *c = &s->vectors;
  assert(c->count < ATTACHMENTS_MAX);
  c->attached[c->count++] = (struct attachment){prefix, values, places};
}

/* ---- Writing -------------------------------------------------------------
 * Counts are what they are; other numbers are their bits taken as an integer,
 * so that each, NaN too, comes back as it was; a mask is the list of what is
 * set. */

static void write_mask(struct text *t, const struct field *f) {
  const unsigned char *mask = f->value;
  const char *comma = "";
  imgrec__text_string(t, "[");
  for (int64_t i = 0; i < f->count; i++)
    if (mask[i]) {
      imgrec__text_add(t, "%s%" PRId64, comma, i);
      comma = ",";
    }
  imgrec__text_string(t, "]");
}

static int is_narrow(const struct field *f) {
  return f->kind == FIELD_INT || f->kind == FIELD_BITS32;
}

static int64_t bits_of(const struct field *f) {
  uint32_t narrow;
  int64_t wide;
  if (is_narrow(f)) {
    memcpy(&narrow, f->value, sizeof narrow);
    return narrow;
  }
  memcpy(&wide, f->value, sizeof wide);
  return wide;
}

static void set_bits(const struct field *f, int64_t bits) {
  uint32_t narrow = (uint32_t)bits;
  if (is_narrow(f))
    memcpy(f->value, &narrow, sizeof narrow);
  else
    memcpy(f->value, &bits, sizeof bits);
}

static void write_value(struct text *t, const struct field *f) {
  if (f->kind == FIELD_MASK)
    write_mask(t, f);
  else
    imgrec__text_add(t, "%" PRId64, bits_of(f));
}

int imgrec__state_save(struct state *s, const struct imgrec_model *m,
                       const char *path) {
  struct imgrec_context *ctx = m->context;
  struct text t;
  imgrec__text_init(&t, &ctx->allocator);
  for (size_t i = 0; i < s->count; i++) {
    imgrec__text_add(&t, "%s\"%s\":", i == 0 ? "{" : ",", s->fields[i].name);
    write_value(&t, &s->fields[i]);
  }
  imgrec__text_string(&t, "}");
  s->vectors.train = t.data;
  int status = t.failed
                   ? imgrec__fail_memory(&ctx->error, &ctx->allocator, path)
                   : imgrec__model_write(m, &s->vectors, path);
  s->vectors.train = NULL;
  imgrec__text_free(&t);
  return status;
}

/* ---- Reading ------------------------------------------------------------- */

static int read_mask(const struct json *j, int list, const struct field *f,
                     unsigned char *mask) {
  int64_t index;
  if (!imgrec__json_is_array(j, list))
    return 0;
  for (int i = imgrec__json_first(j, list); i >= 0;
       i = imgrec__json_next(j, list, i)) {
    if (!imgrec__json_int(j, i, &index) || index < 0 || index >= f->count)
      return 0;
    if (mask != NULL)
      mask[index] = 1;
  }
  return 1;
}

/* The value of a field that is no mask, as bits; 0 when it is none. */
static int read_value(const struct json *j, int value, const struct field *f,
                      int64_t *out) {
  int64_t low = f->kind == FIELD_BITS64 ? INT64_MIN : 0;
  int64_t high = f->kind == FIELD_INT      ? INT32_MAX
                 : f->kind == FIELD_BITS32 ? (int64_t)UINT32_MAX
                                           : INT64_MAX;
  return imgrec__json_int(j, value, out) && *out >= low && *out <= high;
}

static int check_fixed(struct error *e, const struct field *f, int64_t value) {
  int64_t here = bits_of(f);
  if (!f->fixed || here == value)
    return IMGREC_OK;
  if (f->kind == FIELD_BITS64 || f->kind == FIELD_BITS32)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "the checkpoint is of training with another %s",
                        f->name);
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                      "the checkpoint is of training with %s %" PRId64
                      ", which is %" PRId64 " here",
                      f->name, value, here);
}

static int check_field(const struct json *j, const struct field *f,
                       struct error *e) {
  int value = imgrec__json_get(j, 0, f->name);
  int64_t bits = 0;
  if (value < 0)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "the checkpoint has no '%s': it is of another kind of "
                        "training",
                        f->name);
  int right = f->kind == FIELD_MASK ? read_mask(j, value, f, NULL)
                                    : read_value(j, value, f, &bits);
  if (!right)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "the checkpoint's '%s' is out of its range", f->name);
  return f->kind == FIELD_MASK ? IMGREC_OK : check_fixed(e, f, bits);
}

static int check_fields(const struct state *s, const struct json *j,
                        struct error *e) {
  int status = IMGREC_OK;
  for (size_t i = 0; status >= 0 && i < s->count; i++)
    status = check_field(j, &s->fields[i], e);
  return status;
}

/* What was checked. */
static void take_field(const struct json *j, const struct field *f) {
  int value = imgrec__json_get(j, 0, f->name);
  int64_t bits = 0;
  if (f->kind == FIELD_MASK) {
    if (f->count > 0)
      memset(f->value, 0, (size_t)f->count);
    read_mask(j, value, f, f->value);
    return;
  }
  read_value(j, value, f, &bits);
  set_bits(f, bits);
}

static void take_fields(const struct state *s, const struct json *j) {
  for (size_t i = 0; i < s->count; i++)
    take_field(j, &s->fields[i]);
}

int imgrec__state_read(const struct state *s,
                       const struct checkpoint_file *file) {
  int status = check_fields(s, &file->train, &file->context->error);
  if (status >= 0)
    take_fields(s, &file->train);
  return status;
}

int imgrec__state_load(struct state *s, struct imgrec_model *m,
                       const char *path) {
  struct checkpoint_file file;
  int status = imgrec__checkpoint_open(&file, m->context, path);
  if (status < 0)
    return status;
  status = check_fields(s, &file.train, &m->context->error);
  if (status >= 0)
    status = imgrec__checkpoint_check(&file, m, &s->vectors);
  if (status >= 0) {
    take_fields(s, &file.train);
    imgrec__checkpoint_import(&file, m, &s->vectors);
  } else {
    imgrec__fail_prefix(&m->context->error, status, "%s", path);
  }
  imgrec__checkpoint_close(&file);
  return status;
}
