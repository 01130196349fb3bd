/* SPDX-License-Identifier: MIT */
/* JSON over jsmn's tokens.  jsmn finds the tokens but forgives a lot, so the
 * whole text passes json_syntax.c first. */
#include "base.h"

#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

struct json_token {
  jsmntok_t t;
};

/* ---- strings ------------------------------------------------------------ */

/* Reads a checked string, unescaping on the way. */
struct scan {
  const char *s, *end;
  unsigned char out[4]; /* UTF-8 of the escape in hand */
  int length, given;
};

static struct scan scan_of(const struct json *j, int value) {
  const jsmntok_t *t = &j->tokens[value].t;
  return (struct scan){.s = j->text + t->start, .end = j->text + t->end};
}

static void put_utf8(struct scan *c, int32_t x) {
  static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
  c->given = 0;
  c->length = x < 0x80 ? 1 : x < 0x800 ? 2 : x < 0x10000 ? 3 : 4;
  for (int i = c->length - 1; i > 0; i--, x >>= 6)
    c->out[i] = (unsigned char)(0x80 | (x & 0x3f));
  c->out[0] = (unsigned char)(lead[c->length] | x);
}

static void scan_escape(struct scan *c) {
  static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
  size_t used = 0;
  char letter = c->s[1];
  const char *which = strchr(letters, letter);
  c->s += 2;
  if (letter == 'u')
    put_utf8(c, imgrec__json_unicode(c->s, (size_t)(c->end - c->s), &used));
  else
    put_utf8(c, which != NULL ? meanings[which - letters] : letter);
  c->s += used;
}

/* The next byte, or -1 at the end. */
static int scan_byte(struct scan *c) {
  if (c->given == c->length) {
    if (c->s == c->end)
      return -1;
    if (*c->s != '\\')
      return (unsigned char)*c->s++;
    scan_escape(c);
  }
  return c->out[c->given++];
}

static int compare_strings(const struct json *j, int a, int b) {
  struct scan x = scan_of(j, a), y = scan_of(j, b);
  for (;;) {
    int p = scan_byte(&x), q = scan_byte(&y);
    if (p != q)
      return p < q ? -1 : 1;
    if (p < 0)
      return 0;
  }
}

/* ---- keys --------------------------------------------------------------- */

static int is_type(const struct json *j, int value, jsmntype_t type) {
  return value >= 0 && value < j->count && j->tokens[value].t.type == type;
}

static int is_key(const struct json *j, int value) {
  return is_type(j, j->tokens[value].t.parent, JSMN_OBJECT);
}

/* By object, then by key. */
static int compare_keys(const struct json *j, int a, int b) {
  int p = j->tokens[a].t.parent, q = j->tokens[b].t.parent;
  if (p != q)
    return p < q ? -1 : 1;
  return compare_strings(j, a, b);
}

/* Moves keys[root] down the heap of n. */
static void sift_down(const struct json *j, int *keys, size_t root, size_t n) {
  for (;;) {
    size_t child = 2 * root + 1;
    if (child >= n)
      return;
    if (child + 1 < n && compare_keys(j, keys[child], keys[child + 1]) < 0)
      child++;
    if (compare_keys(j, keys[root], keys[child]) >= 0)
      return;
    int key = keys[root];
    keys[root] = keys[child];
    keys[child] = key;
    root = child;
  }
}

/* Heapsort: no input makes it slow. */
static void sort_keys(const struct json *j, int *keys, size_t n) {
  for (size_t i = n / 2; i > 0; i--)
    sift_down(j, keys, i - 1, n);
  for (size_t i = n; i > 1; i--) {
    int largest = keys[0];
    keys[0] = keys[i - 1];
    keys[i - 1] = largest;
    sift_down(j, keys, 0, i - 1);
  }
}

static int check_duplicates(const struct json *j, struct error *e) {
  size_t n = 0;
  int *keys = imgrec__alloc_array(j->allocator, (size_t)j->count, sizeof *keys);
  if (keys == NULL)
    return imgrec__fail_memory(e, j->allocator, "the keys of JSON");
  for (int i = 0; i < j->count; i++)
    if (is_key(j, i))
      keys[n++] = i;
  sort_keys(j, keys, n);
  int status = IMGREC_OK;
  for (size_t i = 1; i < n && status == IMGREC_OK; i++) {
    const jsmntok_t *t = &j->tokens[keys[i]].t;
    if (compare_keys(j, keys[i - 1], keys[i]) == 0)
      status = imgrec__fail(e, IMGREC_ERR_FORMAT,
                            "JSON: the key \"%.*s\" occurs twice in an object",
                            (int)min_size((size_t)(t->end - t->start), 100),
                            j->text + t->start);
  }
  imgrec__free(j->allocator, keys);
  return status;
}

/* ---- parsing ------------------------------------------------------------ */

/* Text that passed imgrec__json_check cannot fail here but for memory. */
static int tokenise(struct json *j, struct error *e) {
  jsmn_parser parser;
  jsmn_init(&parser);
  j->count = jsmn_parse(&parser, j->text, j->length, NULL, 0);
  if (j->count < 1)
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "JSON that cannot be split");
  j->tokens =
      imgrec__alloc_array(j->allocator, (size_t)j->count, sizeof *j->tokens);
  if (j->tokens == NULL)
    return imgrec__fail_memory(e, j->allocator, "the tokens of JSON");
  jsmn_init(&parser);
  if (jsmn_parse(&parser, j->text, j->length, &j->tokens[0].t,
                 (unsigned)j->count) != j->count)
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "JSON that cannot be split");
  return IMGREC_OK;
}

int imgrec__json_parse(struct json *out, struct allocator *a, struct error *e,
                       const char *text, size_t length) {
  struct json j = {.allocator = a, .text = text, .length = length};
  int status = imgrec__json_check(e, text, length);
  if (status < 0)
    return status;
  status = tokenise(&j, e);
  if (status >= 0)
    status = check_duplicates(&j, e);
  if (status < 0) {
    imgrec__json_free(&j);
    return status;
  }
  *out = j;
  return IMGREC_OK;
}

void imgrec__json_free(struct json *j) {
  imgrec__free(j->allocator, j->tokens);
  j->tokens = NULL;
  j->count = 0;
}

/* ---- values ------------------------------------------------------------- */

int imgrec__json_is_object(const struct json *j, int value) {
  return is_type(j, value, JSMN_OBJECT);
}

int imgrec__json_is_array(const struct json *j, int value) {
  return is_type(j, value, JSMN_ARRAY);
}

int imgrec__json_is_string(const struct json *j, int value) {
  return is_type(j, value, JSMN_STRING);
}

static int is_container(const struct json *j, int value) {
  return imgrec__json_is_object(j, value) || imgrec__json_is_array(j, value);
}

int imgrec__json_size(const struct json *j, int value) {
  return is_container(j, value) ? j->tokens[value].t.size : 0;
}

int imgrec__json_first(const struct json *j, int container) {
  return imgrec__json_size(j, container) > 0 ? container + 1 : -1;
}

int imgrec__json_next(const struct json *j, int container, int item) {
  int last = imgrec__json_is_object(j, container) ? item + 1 : item;
  int end = j->tokens[last].t.end, i = last + 1;
  while (i < j->count && j->tokens[i].t.start < end)
    i++;
  return i < j->count && j->tokens[i].t.parent == container ? i : -1;
}

int imgrec__json_value(const struct json *j, int key) {
  (void)j;
  return key < 0 ? -1 : key + 1;
}

int imgrec__json_get(const struct json *j, int object, const char *key) {
  if (!imgrec__json_is_object(j, object))
    return -1;
  int item = imgrec__json_first(j, object);
  while (item >= 0 && !imgrec__json_equal(j, item, key))
    item = imgrec__json_next(j, object, item);
  return imgrec__json_value(j, item);
}

char *imgrec__json_string(const struct json *j, int value) {
  if (!imgrec__json_is_string(j, value))
    return NULL;
  /* Unescaping only shortens. */
  const jsmntok_t *t = &j->tokens[value].t;
  char *string = imgrec__alloc(j->allocator, (size_t)(t->end - t->start) + 1);
  if (string == NULL)
    return NULL;
  struct scan c = scan_of(j, value);
  size_t n = 0;
  int byte = scan_byte(&c);
  for (; byte > 0; byte = scan_byte(&c))
    string[n++] = (char)byte;
  string[n] = '\0';
  if (byte == 0) {
    imgrec__free(j->allocator, string);
    return NULL;
  }
  return string;
}

int imgrec__json_equal(const struct json *j, int value, const char *s) {
  if (!imgrec__json_is_string(j, value))
    return 0;
  struct scan c = scan_of(j, value);
  for (; *s != '\0'; s++)
    if (scan_byte(&c) != (unsigned char)*s)
      return 0;
  return scan_byte(&c) < 0;
}

int imgrec__json_int(const struct json *j, int value, int64_t *out) {
  if (!is_type(j, value, JSMN_PRIMITIVE))
    return 0;
  const jsmntok_t *t = &j->tokens[value].t;
  return imgrec__parse_int(j->text + t->start, (size_t)(t->end - t->start),
                           out);
}

int imgrec__json_float(const struct json *j, int value, float *out) {
  if (!is_type(j, value, JSMN_PRIMITIVE))
    return 0;
  const jsmntok_t *t = &j->tokens[value].t;
  return imgrec__parse_float(j->text + t->start, (size_t)(t->end - t->start),
                             out);
}

void imgrec__text_json_string(struct text *t, const char *s) {
  imgrec__text_string(t, "\"");
  for (; *s != '\0'; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\')
      imgrec__text_add(t, "\\%c", c);
    else if (c == '\n')
      imgrec__text_string(t, "\\n");
    else if (c < 0x20)
      imgrec__text_add(t, "\\u%04x", c);
    else
      imgrec__text_bytes(t, s, 1);
  }
  imgrec__text_string(t, "\"");
}
