/* SPDX-License-Identifier: MIT */
/* Reader of safetensors files: 8 bytes of header length, the header in JSON,
 * the data.  Nothing that a file says is believed before it is checked. */
#include "format/format.h"

#include <stdio.h>
#include <string.h>

static const struct stored_type types[] = {
    {"F32", 4, WIDEN_F32},      {"F16", 2, WIDEN_F16},
    {"BF16", 2, WIDEN_BF16},    {"F64", 8, WIDEN_F64},
    {"BOOL", 1, WIDEN_NONE},    {"U8", 1, WIDEN_NONE},
    {"I8", 1, WIDEN_NONE},      {"F8_E4M3", 1, WIDEN_NONE},
    {"F8_E5M2", 1, WIDEN_NONE}, {"U16", 2, WIDEN_NONE},
    {"I16", 2, WIDEN_NONE},     {"U32", 4, WIDEN_NONE},
    {"I32", 4, WIDEN_NONE},     {"U64", 8, WIDEN_NONE},
    {"I64", 8, WIDEN_NONE},
};

int imgrec__stored_is(const struct stored *t, const char *type) {
  return strcmp(t->type->name, type) == 0;
}

/* ---- strings of a file -------------------------------------------------- */

const char *imgrec__printable(const char *name, char buffer[96]) {
  size_t n = strlen(name), limit = 88;
  int cut = n > limit;
  if (cut)
    for (n = limit; n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80;)
      n--;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)name[i];
    buffer[i] = c < 0x20 || c == 0x7f ? '?' : name[i];
  }
  memcpy(buffer + n, cut ? "..." : "", cut ? 4 : 1);
  return buffer;
}

/* Tells the two reasons of imgrec__json_string() apart. */
static int has_nul_escape(const struct json *j) {
  for (size_t i = 0; i + 6 <= j->length; i++)
    if (memcmp(j->text + i, "\\u0000", 6) == 0)
      return 1;
  return 0;
}

int imgrec__format_string(char **out, const struct json *j, int value,
                          struct error *e, const char *what) {
  if (!imgrec__json_is_string(j, value))
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "%s is not a string", what);
  char *s = imgrec__json_string(j, value);
  if (s == NULL && has_nul_escape(j))
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "%s has a character NUL in it",
                        what);
  if (s == NULL)
    return imgrec__fail_memory(e, j->allocator, what);
  *out = s;
  return IMGREC_OK;
}

/* ---- one tensor --------------------------------------------------------- */

PRINTF_LIKE(3, 4)
static int fail_tensor(struct error *e, const struct stored *t,
                       const char *format, ...) {
  struct error reason = {""};
  char name[96];
  va_list args;
  va_start(args, format);
  vsnprintf(reason.text, sizeof reason.text, format, args);
  va_end(args);
  return imgrec__fail(e, IMGREC_ERR_FORMAT, "tensor '%s' %s",
                      imgrec__printable(t->name, name), reason.text);
}

static int read_type(struct stored *t, const struct json *j, int value,
                     struct error *e) {
  if (!imgrec__json_is_string(j, value))
    return fail_tensor(e, t, "has no dtype");
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (imgrec__json_equal(j, value, types[i].name))
      t->type = &types[i];
  if (t->type == NULL)
    return fail_tensor(e, t,
                       "has a dtype that is none of the known, such as F32");
  return IMGREC_OK;
}

/* Sets the element count so that its bytes fit 64 bits as well. */
static int read_shape(struct stored *t, const struct json *j, int value,
                      struct error *e) {
  if (!imgrec__json_is_array(j, value))
    return fail_tensor(e, t, "has no shape");
  if (imgrec__json_size(j, value) > STORED_MAX_DIM)
    return fail_tensor(e, t, "has %d axes; at most %d are read",
                       imgrec__json_size(j, value), STORED_MAX_DIM);
  uint64_t limit = (uint64_t)INT64_MAX / t->type->size;
  t->count = 1;
  for (int i = imgrec__json_first(j, value); i >= 0;
       i = imgrec__json_next(j, value, i)) {
    int64_t d;
    if (!imgrec__json_int(j, i, &d) || d < 0)
      return fail_tensor(e, t, "has a shape that is not of whole numbers >= 0");
    if (d != 0 && t->count > limit / (uint64_t)d)
      return fail_tensor(e, t,
                         "has a shape of more bytes than 63 bits can "
                         "count");
    t->count *= (uint64_t)d;
    t->dim[t->ndim++] = d;
  }
  return IMGREC_OK;
}

static int read_offsets(struct stored *t, const struct json *j, int value,
                        struct error *e) {
  int64_t begin, end;
  int first = imgrec__json_first(j, value);
  if (!imgrec__json_is_array(j, value) || imgrec__json_size(j, value) != 2 ||
      !imgrec__json_int(j, first, &begin) ||
      !imgrec__json_int(j, imgrec__json_next(j, value, first), &end) ||
      begin < 0 || end < begin)
    return fail_tensor(e, t, "has data_offsets that are not [begin, end]");
  t->begin = (uint64_t)begin;
  t->end = (uint64_t)end;
  if (t->end - t->begin != t->count * t->type->size)
    return fail_tensor(e, t,
                       "needs %llu bytes of %s for its shape, but its "
                       "data_offsets give it %llu",
                       (unsigned long long)(t->count * t->type->size),
                       t->type->name, (unsigned long long)(t->end - t->begin));
  return IMGREC_OK;
}

static int read_tensor(struct stored *t, const struct json *j, int key,
                       struct error *e) {
  int value = imgrec__json_value(j, key);
  int status = imgrec__format_string(&t->name, j, key, e, "a tensor's name");
  if (status < 0)
    return status;
  if (t->name[0] == '\0')
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "a tensor has an empty name");
  if (!imgrec__json_is_object(j, value) || imgrec__json_size(j, value) != 3)
    return fail_tensor(e, t,
                       "is not described by dtype, shape and data_offsets");
  status = read_type(t, j, imgrec__json_get(j, value, "dtype"), e);
  if (status >= 0)
    status = read_shape(t, j, imgrec__json_get(j, value, "shape"), e);
  if (status >= 0)
    status = read_offsets(t, j, imgrec__json_get(j, value, "data_offsets"), e);
  return status;
}

/* ---- order -------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
  const struct stored *x = a, *y = b;
  return strcmp(x->name, y->name);
}

/* Empty tensors come before the one that begins where they are. */
static int by_place(const void *a, const void *b) {
  const struct stored *x = a, *y = b;
  if (x->begin != y->begin)
    return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end;
}

/* The data section is tiled by the tensors: no hole, no overlap, no rest. */
static int check_places(const struct safetensors *f, struct error *e) {
  uint64_t at = 0;
  for (size_t i = 0; i < f->count; i++) {
    const struct stored *t = &f->tensors[i];
    if (t->end > f->data_size)
      return fail_tensor(e, t, "ends at byte %llu of %zu bytes of data",
                         (unsigned long long)t->end, f->data_size);
    if (t->begin != at)
      return fail_tensor(e, t, "begins at byte %llu of the data, %s %llu",
                         (unsigned long long)t->begin,
                         t->begin < at ? "inside what ends at"
                                       : "behind a hole that begins at",
                         (unsigned long long)at);
    at = t->end;
  }
  if (at != f->data_size)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "the tensors end at byte %llu of %zu bytes of data",
                        (unsigned long long)at, f->data_size);
  return IMGREC_OK;
}

/* ---- the file ----------------------------------------------------------- */

/* Sets where header and data are. */
static int split(struct safetensors *f, const unsigned char *bytes, size_t size,
                 size_t *header_size, struct error *e) {
  uint64_t n;
  if (size < sizeof n)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "%zu bytes are too few for a safetensors file", size);
  memcpy(&n, bytes, sizeof n);
  imgrec__file_order(&n, 1, sizeof n);
  size -= sizeof n;
  if (n < 2 || n > FORMAT_HEADER_MAX || (n <= size && bytes[sizeof n] != '{'))
    return imgrec__fail(
        e, IMGREC_ERR_FORMAT,
        "this is not a safetensors file: it does not begin with the "
        "length of a JSON header");
  if (n > size)
    return imgrec__fail(
        e, IMGREC_ERR_FORMAT,
        "the header has %llu bytes, but the file ends after %zu "
        "of them (cut off?)",
        (unsigned long long)n, size);
  *header_size = (size_t)n;
  f->data = bytes + sizeof n + n;
  f->data_size = size - (size_t)n;
  return IMGREC_OK;
}

static int check_metadata(const struct json *j, int object, struct error *e) {
  if (!imgrec__json_is_object(j, object))
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "__metadata__ is not an object");
  for (int key = imgrec__json_first(j, object); key >= 0;
       key = imgrec__json_next(j, object, key))
    if (!imgrec__json_is_string(j, imgrec__json_value(j, key)))
      return imgrec__fail(e, IMGREC_ERR_FORMAT,
                          "a value of __metadata__ is not a string");
  return IMGREC_OK;
}

static int read_header(struct safetensors *f, struct error *e) {
  const struct json *j = &f->header;
  size_t most = (size_t)imgrec__json_size(j, 0);
  f->tensors = imgrec__alloc_array(f->allocator, most, sizeof *f->tensors);
  if (f->tensors == NULL)
    return imgrec__fail_memory(e, f->allocator, "the list of tensors");
  for (int key = imgrec__json_first(j, 0); key >= 0;
       key = imgrec__json_next(j, 0, key)) {
    int status;
    if (imgrec__json_equal(j, key, "__metadata__")) {
      f->metadata = imgrec__json_value(j, key);
      status = check_metadata(j, f->metadata, e);
    } else {
      struct stored *t = &f->tensors[f->count++];
      *t = (struct stored){.name = NULL};
      status = read_tensor(t, j, key, e);
    }
    if (status < 0)
      return status;
  }
  return IMGREC_OK;
}

int imgrec__safetensors_parse(struct safetensors *out, struct allocator *a,
                              struct error *e, const void *bytes, size_t size) {
  struct safetensors f = {.allocator = a, .metadata = -1};
  size_t length = 0;
  f.header.allocator = a;
  int status = split(&f, bytes, size, &length, e);
  if (status >= 0)
    status =
        imgrec__json_parse(&f.header, a, e, (const char *)bytes + 8, length);
  if (status >= 0)
    status = read_header(&f, e);
  if (status >= 0) {
    imgrec__sort(f.tensors, f.count, sizeof *f.tensors, by_place);
    status = check_places(&f, e);
  }
  if (status < 0) {
    imgrec__safetensors_free(&f);
    return status;
  }
  imgrec__sort(f.tensors, f.count, sizeof *f.tensors, by_name);
  *out = f;
  return IMGREC_OK;
}

void imgrec__safetensors_free(struct safetensors *f) {
  for (size_t i = 0; i < f->count; i++)
    imgrec__free(f->allocator, f->tensors[i].name);
  imgrec__free(f->allocator, f->tensors);
  f->tensors = NULL;
  f->count = 0;
  imgrec__json_free(&f->header);
}

struct stored *imgrec__safetensors_find(const struct safetensors *f,
                                        const char *name) {
  size_t low = 0, high = f->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = strcmp(f->tensors[middle].name, name);
    if (order == 0)
      return &f->tensors[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}
