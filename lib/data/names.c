/* SPDX-License-Identifier: MIT */
/* Names: lists of strings in one block, words of file names, parts. */
#include "data/data.h"

#include <stdio.h>
#include <string.h>

void imgrec__strings_init(struct strings *s, struct allocator *a) {
  *s = (struct strings){.starts = NULL};
  imgrec__text_init(&s->bytes, a);
}

void imgrec__strings_free(struct strings *s) {
  imgrec__free(s->bytes.allocator, s->starts);
  imgrec__text_free(&s->bytes);
}

void *imgrec__grow(struct allocator *a, void *array, size_t count,
                   size_t *capacity, size_t size) {
  if (count < *capacity)
    return array;
  size_t next = max_size(16, *capacity * 2);
  if (next > SIZE_MAX / 2 / size)
    return NULL;
  void *larger = imgrec__realloc(a, array, next * size);
  if (larger != NULL)
    *capacity = next;
  return larger;
}

void imgrec__strings_add(struct strings *s, const char *bytes, size_t n) {
  size_t *starts = imgrec__grow(s->bytes.allocator, s->starts, s->count,
                                &s->capacity, sizeof *starts);
  if (starts == NULL) {
    s->bytes.failed = 1;
    return;
  }
  s->starts = starts;
  size_t start = s->bytes.length;
  imgrec__text_bytes(&s->bytes, bytes, n);
  imgrec__text_bytes(&s->bytes, "", 1);
  if (!s->bytes.failed)
    starts[s->count++] = start;
}

void imgrec__strings_copy(struct strings *s, const struct strings *from) {
  for (size_t i = 0; i < from->count; i++) {
    const char *string = imgrec__strings_get(from, i);
    imgrec__strings_add(s, string, strlen(string));
  }
}

const char *imgrec__strings_get(const struct strings *s, size_t i) {
  return s->bytes.data + s->starts[i];
}

static int compare_strings(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int imgrec__strings_sort(struct strings *s, size_t first, int unique) {
  size_t n = s->count - first, kept = 0;
  struct allocator *a = s->bytes.allocator;
  const char **sorted = imgrec__alloc_array(a, n, sizeof *sorted);
  if (sorted == NULL)
    return 0;
  for (size_t i = 0; i < n; i++)
    sorted[i] = imgrec__strings_get(s, first + i);
  imgrec__sort(sorted, n, sizeof *sorted, compare_strings);
  for (size_t i = 0; i < n; i++)
    if (!unique || i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0)
      s->starts[first + kept++] = (size_t)(sorted[i] - s->bytes.data);
  s->count = first + kept;
  imgrec__free(a, sorted);
  return 1;
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

int imgrec__same_word(const char *s, size_t n, const char *word) {
  for (size_t i = 0; i < n; i++)
    if (word[i] == '\0' || lower(s[i]) != word[i])
      return 0;
  return word[n] == '\0';
}

static int ends_in(const char *name, size_t n, const char *suffix) {
  size_t m = strlen(suffix);
  return n >= m && imgrec__same_word(name + n - m, m, suffix);
}

int imgrec__ends_in(const char *name, const char *suffix) {
  return ends_in(name, strlen(name), suffix);
}

/* Those that are read, then others: to pass these over in silence would make a
 * class smaller than it looks. */
static const char *const image_suffixes[] = {
    ".jpg",  ".jpeg", ".jpe",  ".jfif", ".png", ".bmp", ".pnm",
    ".pbm",  ".pgm",  ".ppm",  ".webp", ".gif", ".tif", ".tiff",
    ".heic", ".heif", ".avif", ".jxl",  ".jp2"};

int imgrec__is_image_name(const char *name, size_t n) {
  for (size_t i = 0; i < sizeof image_suffixes / sizeof image_suffixes[0]; i++)
    if (ends_in(name, n, image_suffixes[i]))
      return 1;
  return 0;
}

void imgrec__join(struct text *out, const char *folder, const char *name) {
  size_t n = strlen(folder);
  out->length = 0;
  imgrec__text_bytes(out, folder, n);
  if (n > 0 && imgrec__folder_length(folder) < n)
    imgrec__text_bytes(out, "/", 1);
  imgrec__text_string(out, name);
}

int imgrec__fail_open(struct imgrec_context *ctx, const char *path) {
  char byte;
  size_t n;
  struct error *e = &ctx->error;
  int status = imgrec__read_head(ctx, e, path, &byte, sizeof byte, &n);
  return status < 0 ? status
                    : imgrec__fail(e, IMGREC_ERR_IO, "cannot read '%s'", path);
}

/* Bytes that a terminal may not show, and a backslash, as \xNN; cut to size. */
static void escape(char *out, size_t size, const char *s) {
  size_t n = 0;
  for (; *s != '\0' && n + 5 <= size; s++) {
    unsigned char c = (unsigned char)*s;
    if (c >= ' ' && c < 0x7f && c != '\\')
      out[n++] = *s;
    else
      n += (size_t)snprintf(out + n, size - n, "\\x%02x", c);
  }
  out[n] = '\0';
}

int imgrec__names_check(struct error *e, const char *path, const char *what,
                        const struct strings *names) {
  for (size_t i = 0; i < names->count; i++) {
    const char *name = imgrec__strings_get(names, i);
    char shown[200];
    if (imgrec__utf8_valid(name, strlen(name)))
      continue;
    escape(shown, sizeof shown, name);
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "'%s': %s '%s' is not UTF-8 text, as names of classes "
                        "must be",
                        path, what, shown);
  }
  return IMGREC_OK;
}

static const struct {
  const char *word;
  int part;
} part_words[] = {
    {"train", IMGREC_PART_TRAIN},    {"training", IMGREC_PART_TRAIN},
    {"val", IMGREC_PART_VAL},        {"valid", IMGREC_PART_VAL},
    {"validation", IMGREC_PART_VAL}, {"test", IMGREC_PART_TEST},
    {"testing", IMGREC_PART_TEST},
};

int imgrec__part_of(const char *word, size_t n) {
  for (size_t i = 0; i < sizeof part_words / sizeof part_words[0]; i++)
    if (imgrec__same_word(word, n, part_words[i].word))
      return part_words[i].part;
  return IMGREC_PART_ANY;
}

static const char *const part_names[] = {"any", "train", "val", "test"};

/* Says which parts there are. */
static int fail_part(struct error *e, const char *path, int available,
                     int want) {
  const char *has[3] = {"", "", ""};
  int n = 0;
  for (int part = IMGREC_PART_TRAIN; part <= IMGREC_PART_TEST; part++)
    if (available & PART_BIT(part))
      has[n++] = part_names[part];
  return imgrec__fail(e, IMGREC_ERR_NOT_FOUND,
                      "'%s' has no part '%s'; %s%s%s%s", path, part_names[want],
                      n == 0 ? "it does not come in parts" : "it has ", has[0],
                      n > 1 ? " and " : "", has[1]);
}

/* The only member of the set, IMGREC_PART_ANY when there are several. */
static int only_part(int available) {
  for (int part = IMGREC_PART_TRAIN; part <= IMGREC_PART_TEST; part++)
    if (available == PART_BIT(part))
      return part;
  return IMGREC_PART_ANY;
}

int imgrec__part_choose(struct error *e, const char *path, int available,
                        int want, int *part) {
  if (want == IMGREC_PART_ANY && available == 0) {
    *part = IMGREC_PART_ANY;
    return IMGREC_OK;
  }
  if (want == IMGREC_PART_ANY)
    want = only_part(available);
  if (want == IMGREC_PART_ANY)
    want = IMGREC_PART_TRAIN;
  if (!(available & PART_BIT(want)))
    return fail_part(e, path, available, want);
  *part = want;
  return IMGREC_OK;
}
