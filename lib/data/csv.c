/* SPDX-License-Identifier: MIT */
/* A table of path,label with an optional third column for the part.
 *
 * Fields are those of RFC 4180: quotes around a field, doubled inside it.  The
 * first line may name the columns, in any order. */
#include "data/data.h"

#include <stdio.h>
#include <string.h>

/* ---- Fields ------------------------------------------------------------- */

struct field {
  char *text;
  size_t length;
};

#define MAX_FIELDS 64

/* Reads on in a table that it changes: a field is unquoted where it is. */
struct cursor {
  char *at, *end;
  size_t line; /* of the record's start, from 1 */
  size_t next_line;
  struct error *error;
  const char *path;
};

static int is_blank(char c) { return c == ' ' || c == '\t'; }

/* From behind the opening quote to behind the closing one. */
static int read_quoted(struct cursor *c, struct field *f) {
  char *to = c->at;
  f->text = to;
  for (; c->at < c->end; c->at++) {
    if (*c->at == '"') {
      if (c->at + 1 == c->end || c->at[1] != '"')
        break;
      c->at++;
    }
    c->next_line += *c->at == '\n';
    *to++ = *c->at;
  }
  if (c->at == c->end)
    return imgrec__fail(c->error, IMGREC_ERR_FORMAT,
                        "'%s' line %zu: a quote is opened and never closed",
                        c->path, c->line);
  c->at++;
  f->length = (size_t)(to - f->text);
  return IMGREC_OK;
}

static int ends_field(const struct cursor *c) {
  return c->at == c->end || *c->at == ',' || *c->at == '\n' ||
         (*c->at == '\r' && (c->at + 1 == c->end || c->at[1] == '\n'));
}

static int read_field(struct cursor *c, struct field *f) {
  while (c->at < c->end && is_blank(*c->at))
    c->at++;
  int quoted = c->at < c->end && *c->at == '"';
  if (quoted) {
    c->at++;
    int status = read_quoted(c, f);
    if (status < 0)
      return status;
    while (c->at < c->end && is_blank(*c->at))
      c->at++;
    if (ends_field(c))
      return IMGREC_OK;
    return imgrec__fail(c->error, IMGREC_ERR_FORMAT,
                        "'%s' line %zu: text behind a closing quote; a quote "
                        "inside quotes is written twice",
                        c->path, c->line);
  }
  f->text = c->at;
  while (!ends_field(c))
    c->at++;
  f->length = (size_t)(c->at - f->text);
  while (f->length > 0 && is_blank(f->text[f->length - 1]))
    f->length--;
  return IMGREC_OK;
}

/* The number of fields of the next record, blank lines apart; 0 at the end. */
static int read_record(struct cursor *c, struct field fields[MAX_FIELDS]) {
  while (c->at < c->end && (*c->at == '\n' || *c->at == '\r'))
    c->next_line += *c->at++ == '\n';
  if (c->at == c->end)
    return 0;
  c->line = c->next_line;
  for (int n = 0; n < MAX_FIELDS; n++) {
    int status = read_field(c, &fields[n]);
    if (status < 0)
      return status;
    if (c->at < c->end && *c->at == ',')
      c->at++;
    else
      return n + 1;
  }
  return imgrec__fail(c->error, IMGREC_ERR_FORMAT,
                      "'%s' line %zu: more than %d fields", c->path, c->line,
                      MAX_FIELDS);
}

/* ---- Columns ------------------------------------------------------------ */

struct columns {
  int path, label, part; /* numbers of columns; part may be -1 */
  int named;             /* by a first line */
};

/* What a column may be called; of several that are there the first counts. */
static const char *const path_words[] = {
    "path", "filename", "file", "image", "file_name", "filepath", "id", NULL};
static const char *const label_words[] = {"label", "class", "category", NULL};
static const char *const part_words[] = {"part", "split", NULL};

static int find_column(const struct field *fields, int n,
                       const char *const *words) {
  for (; *words != NULL; words++)
    for (int i = 0; i < n; i++)
      if (imgrec__same_word(fields[i].text, fields[i].length, *words))
        return i;
  return -1;
}

static int has_image_name(const struct field *fields, int n) {
  for (int i = 0; i < n; i++)
    if (imgrec__is_image_name(fields[i].text, fields[i].length))
      return 1;
  return 0;
}

/* "a, b or c" */
static const char *list_words(char *out, size_t size,
                              const char *const *words) {
  size_t n = 0;
  for (size_t i = 0; words[i] != NULL && n < size; i++) {
    const char *before = i == 0 ? "" : words[i + 1] != NULL ? ", " : " or ";
    n += (size_t)snprintf(out + n, size - n, "%s%s", before, words[i]);
  }
  return out;
}

/* Of the path and the label the first line names only one. */
static int fail_columns(const struct cursor *c, const struct columns *k,
                        const struct field *fields, int n) {
  char words[120];
  int known = k->path >= 0 ? k->path : k->label, other = known == 0 ? 1 : 0;
  for (int i = n - 1; i >= 0; i--)
    if (i != known && i != k->part)
      other = i;
  list_words(words, sizeof words, k->path < 0 ? path_words : label_words);
  return imgrec__fail(c->error, IMGREC_ERR_FORMAT,
                      "'%s' line %zu names the column '%.*s', but none for the "
                      "%s: that is called %s, not '%.*s'",
                      c->path, c->line, (int)fields[known].length,
                      fields[known].text, k->path < 0 ? "path" : "label", words,
                      (int)min_size(fields[other].length, 40),
                      fields[other].text);
}

/* From the first record: its names, or path,label[,part].  An image whose class
 * is called "file" does not make it one of names. */
static int find_columns(struct columns *k, const struct cursor *c,
                        const struct field *fields, int n) {
  *k = (struct columns){.path = find_column(fields, n, path_words),
                        .label = find_column(fields, n, label_words),
                        .part = find_column(fields, n, part_words),
                        .named = 1};
  if (k->path >= 0 && k->label >= 0)
    return IMGREC_OK;
  if (n > 1 && (k->path >= 0 || k->label >= 0) && !has_image_name(fields, n))
    return fail_columns(c, k, fields, n);
  *k = (struct columns){.path = 0, .label = 1, .part = n > 2 ? 2 : -1};
  return IMGREC_OK;
}

/* ---- Rows --------------------------------------------------------------- */

/* All rows of the table; a row's path and label have the row's number. */
struct table {
  struct allocator *allocator;
  struct strings paths, labels;
  unsigned char *parts;
  size_t part_capacity;
  int available; /* parts: a set of PART_BIT */
};

static void table_free(struct table *t) {
  imgrec__strings_free(&t->paths);
  imgrec__strings_free(&t->labels);
  imgrec__free(t->allocator, t->parts);
}

static int fail_table_memory(const struct cursor *c, const struct table *t) {
  return imgrec__fail_memory(c->error, t->allocator, "the rows of the table");
}

static int read_part(const struct cursor *c, const struct field *f, int *part) {
  *part = imgrec__part_of(f->text, f->length);
  if (*part != IMGREC_PART_ANY)
    return IMGREC_OK;
  return imgrec__fail(c->error, IMGREC_ERR_FORMAT,
                      "'%s' line %zu: the part is '%.*s'; it must be train, "
                      "val or test",
                      c->path, c->line, (int)min_size(f->length, 40), f->text);
}

static int add_row(struct table *t, const struct cursor *c,
                   const struct columns *k, const struct field *fields, int n) {
  int part = IMGREC_PART_ANY;
  if (n <= k->path || n <= k->label || n <= k->part)
    return imgrec__fail(c->error, IMGREC_ERR_FORMAT,
                        "'%s' line %zu has %d field%s; a line is path,label%s",
                        c->path, c->line, n, n == 1 ? "" : "s",
                        k->part >= 0 ? " and the part" : "");
  if (fields[k->path].length == 0 || fields[k->label].length == 0)
    return imgrec__fail(c->error, IMGREC_ERR_FORMAT,
                        "'%s' line %zu: the %s is empty", c->path, c->line,
                        fields[k->path].length == 0 ? "path" : "label");
  if (k->part >= 0) {
    int status = read_part(c, &fields[k->part], &part);
    if (status < 0)
      return status;
    t->available |= PART_BIT(part);
  }
  unsigned char *parts = imgrec__grow(t->allocator, t->parts, t->paths.count,
                                      &t->part_capacity, 1);
  if (parts == NULL)
    return fail_table_memory(c, t);
  t->parts = parts;
  parts[t->paths.count] = (unsigned char)part;
  imgrec__strings_add(&t->paths, fields[k->path].text, fields[k->path].length);
  imgrec__strings_add(&t->labels, fields[k->label].text,
                      fields[k->label].length);
  if (imgrec__strings_failed(&t->paths) || imgrec__strings_failed(&t->labels))
    return fail_table_memory(c, t);
  return IMGREC_OK;
}

static int read_rows(struct table *t, struct cursor *c) {
  struct field fields[MAX_FIELDS];
  int n = read_record(c, fields), status;
  if (n <= 0)
    return n;
  struct columns k;
  status = find_columns(&k, c, fields, n);
  if (status < 0)
    return status;
  if (k.named)
    n = read_record(c, fields);
  for (; n > 0 && status == IMGREC_OK; n = read_record(c, fields)) {
    status = add_row(t, c, &k, fields, n);
    if (status < 0)
      return status;
  }
  return n;
}

/* ---- Classes ------------------------------------------------------------ */

struct ranked {
  const char *name;
  int64_t number; /* what the name says, when all names are numbers */
  size_t row;
};

static int compare_ranked(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  if (x->number != y->number)
    return x->number < y->number ? -1 : 1;
  return strcmp(x->name, y->name);
}

/* Labels in the order of their classes: by number if all are numbers. */
static void rank(struct ranked *out, const struct strings *labels) {
  int numbers = 1;
  for (size_t i = 0; i < labels->count; i++) {
    const char *name = imgrec__strings_get(labels, i);
    out[i] = (struct ranked){name, 0, i};
    numbers &= imgrec__parse_int(name, strlen(name), &out[i].number);
  }
  for (size_t i = 0; i < labels->count && !numbers; i++)
    out[i].number = 0;
  imgrec__sort(out, labels->count, sizeof *out, compare_ranked);
}

/* Names the classes and writes the class of each row. */
static int number_classes(struct store *s, const struct table *t,
                          const char *path, int32_t *classes) {
  struct imgrec_context *ctx = s->context;
  size_t n = t->labels.count;
  struct ranked *ranked = imgrec__alloc_array(t->allocator, n, sizeof *ranked);
  if (ranked == NULL)
    return imgrec__fail_memory(&ctx->error, t->allocator, "the classes");
  rank(ranked, &t->labels);
  for (size_t i = 0; i < n; i++) {
    const char *name = ranked[i].name;
    if (i == 0 || strcmp(name, ranked[i - 1].name) != 0)
      imgrec__strings_add(&s->classes, name, strlen(name));
    classes[ranked[i].row] = (int32_t)s->classes.count - 1;
    if (s->classes.count > IMGREC__CLASSES_MAX)
      break;
  }
  imgrec__free(t->allocator, ranked);
  if (imgrec__strings_failed(&s->classes))
    return imgrec__fail_memory(&ctx->error, t->allocator, "the classes");
  if (s->classes.count > IMGREC__CLASSES_MAX)
    return imgrec__fail(&ctx->error, IMGREC_ERR_LIMIT,
                        "'%s' has more than %d classes", path,
                        IMGREC__CLASSES_MAX);
  return imgrec__names_check(&ctx->error, path, "the label", &s->classes);
}

/* ---- The reader --------------------------------------------------------- */

/* Relative paths are relative to the table's folder. */
static int add_file(struct store *s, const char *csv, const char *path,
                    int32_t label) {
  size_t folder = imgrec__path_absolute(path) ? 0 : imgrec__folder_length(csv);
  if (folder == 0)
    return imgrec__store_add_file(s, path, strlen(path), label);
  struct text full;
  imgrec__text_init(&full, &s->context->allocator);
  imgrec__text_bytes(&full, csv, folder);
  imgrec__text_string(&full, path);
  int status;
  if (full.failed)
    status = imgrec__fail_memory(&s->context->error, full.allocator, "a path");
  else
    status = imgrec__store_add_file(s, full.data, full.length, label);
  imgrec__text_free(&full);
  return status;
}

static int add_files(struct store *s, const struct table *t, const char *path,
                     int part, const int32_t *classes) {
  int status = IMGREC_OK;
  for (size_t i = 0; status == IMGREC_OK && i < t->paths.count; i++)
    if (t->parts[i] == part)
      status = add_file(s, path, imgrec__strings_get(&t->paths, i), classes[i]);
  return status;
}

static int take_table(struct store *s, const struct table *t, const char *path,
                      int part) {
  struct imgrec_context *ctx = s->context;
  if (t->paths.count == 0)
    return imgrec__fail(&ctx->error, IMGREC_ERR_FORMAT,
                        "'%s' has no rows; each line is path,label", path);
  int status =
      imgrec__part_choose(&ctx->error, path, t->available, part, &part);
  if (status < 0)
    return status;
  int32_t *classes =
      imgrec__alloc_array(t->allocator, t->paths.count, sizeof *classes);
  if (classes == NULL)
    return imgrec__fail_memory(&ctx->error, t->allocator, "the classes");
  status = number_classes(s, t, path, classes);
  if (status == IMGREC_OK)
    status = add_files(s, t, path, part, classes);
  imgrec__free(t->allocator, classes);
  return status;
}

int imgrec__csv_parse(struct store *s, const char *path, struct blob *b,
                      int part) {
  struct allocator *a = &s->context->allocator;
  char *text = (char *)b->bytes;
  size_t mark = b->size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
  struct cursor c = {.at = text + mark,
                     .end = text + b->size,
                     .next_line = 1,
                     .error = &s->context->error,
                     .path = path};
  struct table t = {.allocator = a};
  if (memchr(text, '\0', b->size) != NULL)
    return imgrec__fail(c.error, IMGREC_ERR_FORMAT,
                        "'%s' is no text file; each line must be path,label",
                        path);
  imgrec__strings_init(&t.paths, a);
  imgrec__strings_init(&t.labels, a);
  s->format = "CSV";
  int status = read_rows(&t, &c);
  if (status == IMGREC_OK)
    status = take_table(s, &t, path, part);
  table_free(&t);
  return status;
}

int imgrec__read_csv(struct store *s, const char *path, int part) {
  struct imgrec_context *ctx = s->context;
  struct blob b;
  int status = imgrec__read_file(&b, ctx, &ctx->error, path, IMGREC__TABLE_MAX);
  if (status < 0)
    return status;
  status = imgrec__csv_parse(s, path, &b, part);
  imgrec__blob_free(&b, &ctx->allocator);
  return status < 0 ? status : imgrec__store_probe(s, path);
}
