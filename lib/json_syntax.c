/* SPDX-License-Identifier: MIT */
/* A strict reader of JSON (RFC 8259) that only says yes, or where not. */
#include "base.h"

#include <limits.h>
#include <string.h>

#define MAX_DEPTH 64

/* Readers below advance `i` and return 1, or say what they miss and return
 * 0.  s[0..n) is valid UTF-8. */
struct reader {
  const char *s;
  size_t n, i;
  int depth;
  const char *problem;
  int status;
};

static int miss(struct reader *r, const char *problem) {
  r->problem = problem;
  r->status = IMGREC_ERR_FORMAT;
  return 0;
}

/* '\0' at the end, which is no valid character inside. */
static char peek(const struct reader *r) {
  return r->i < r->n ? r->s[r->i] : 0;
}

static char peek_past_space(struct reader *r) {
  while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' ||
         peek(r) == '\r')
    r->i++;
  return peek(r);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits behind \u, or -1. */
static int32_t hex4(const char *s, size_t n) {
  int32_t x = 0;
  if (n < 4)
    return -1;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(s[i]);
    if (digit < 0)
      return -1;
    x = x * 16 + digit;
  }
  return x;
}

int32_t imgrec__json_unicode(const char *s, size_t n, size_t *used) {
  int32_t x = hex4(s, n);
  *used = 4;
  if (x < 0xd800 || x > 0xdfff)
    return x;
  if (x > 0xdbff || n < 10 || s[4] != '\\' || s[5] != 'u')
    return -1;
  int32_t low = hex4(s + 6, n - 6);
  if (low < 0xdc00 || low > 0xdfff)
    return -1;
  *used = 10;
  return 0x10000 + ((x - 0xd800) << 10) + (low - 0xdc00);
}

static int read_escape(struct reader *r) {
  size_t used = 0;
  char c = ++r->i < r->n ? r->s[r->i] : 0;
  if (c == 0 || strchr("\"\\/bfnrtu", c) == NULL)
    return miss(r, "an escape that JSON does not have");
  r->i++;
  if (c == 'u' && imgrec__json_unicode(r->s + r->i, r->n - r->i, &used) < 0)
    return miss(r, "\\u without a Unicode character in four hex digits");
  r->i += used;
  return 1;
}

static int read_string(struct reader *r) {
  if (peek(r) != '"')
    return miss(r, "expected a string");
  r->i++;
  while (peek(r) != '"') {
    if ((unsigned char)peek(r) < 0x20)
      return miss(r, r->i < r->n ? "a control character in a string"
                                 : "a string without its end");
    if (peek(r) != '\\')
      r->i++;
    else if (!read_escape(r))
      return 0;
  }
  r->i++;
  return 1;
}

static int read_digits(struct reader *r) {
  size_t first = r->i;
  while (peek(r) >= '0' && peek(r) <= '9')
    r->i++;
  return r->i > first || miss(r, "expected a digit");
}

static int read_number(struct reader *r) {
  if (peek(r) == '-')
    r->i++;
  if (peek(r) == '0')
    r->i++;
  else if (!read_digits(r))
    return 0;
  if (peek(r) == '.') {
    r->i++;
    if (!read_digits(r))
      return 0;
  }
  if (peek(r) == 'e' || peek(r) == 'E') {
    r->i++;
    if (peek(r) == '+' || peek(r) == '-')
      r->i++;
    return read_digits(r);
  }
  return 1;
}

static int read_word(struct reader *r, const char *word) {
  size_t n = strlen(word);
  if (r->n - r->i < n || memcmp(r->s + r->i, word, n) != 0)
    return miss(r, "expected a value");
  r->i += n;
  return 1;
}

static int read_container(struct reader *r);

static int read_value(struct reader *r) {
  switch (peek_past_space(r)) {
  case '{':
  case '[':
    return read_container(r);
  case '"':
    return read_string(r);
  case 't':
    return read_word(r, "true");
  case 'f':
    return read_word(r, "false");
  case 'n':
    return read_word(r, "null");
  default:
    if (peek(r) != '-' && (peek(r) < '0' || peek(r) > '9'))
      return miss(r, "expected a value");
    return read_number(r);
  }
}

static int read_member(struct reader *r) {
  if (peek_past_space(r) != '"')
    return miss(r, "expected a key in quotes");
  if (!read_string(r))
    return 0;
  if (peek_past_space(r) != ':')
    return miss(r, "expected ':' behind a key");
  r->i++;
  return read_value(r);
}

/* Calls itself by way of read_value, MAX_DEPTH deep at most. */
static int read_container(struct reader *r) {
  int object = peek(r) == '{';
  char end = object ? '}' : ']';
  if (++r->depth > MAX_DEPTH) {
    miss(r, "nested more than 64 deep");
    r->status = IMGREC_ERR_LIMIT;
    return 0;
  }
  r->i++;
  if (peek_past_space(r) != end) {
    for (;;) {
      if (!(object ? read_member(r) : read_value(r)))
        return 0;
      if (peek_past_space(r) != ',')
        break;
      r->i++;
    }
    if (peek(r) != end)
      return miss(r, object ? "expected ',' or '}'" : "expected ',' or ']'");
  }
  r->depth--;
  r->i++;
  return 1;
}

static int fail_json(struct error *e, const struct reader *r) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < r->i && i < r->n; i++) {
    column = r->s[i] == '\n' ? 1 : column + 1;
    line += r->s[i] == '\n';
  }
  return imgrec__fail(e, r->status, "JSON, line %zu, byte %zu: %s", line,
                      column, r->problem);
}

int imgrec__json_check(struct error *e, const char *text, size_t length) {
  struct reader r = {.s = text, .n = length};
  if (length > INT_MAX)
    return imgrec__fail(e, IMGREC_ERR_LIMIT,
                        "JSON of %zu bytes; at most 2 GiB are read", length);
  if (!imgrec__utf8_valid(text, length))
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "JSON that is not UTF-8");
  char first = peek_past_space(&r);
  if (first != '{' && first != '[')
    miss(&r, "expected an object or an array");
  else if (read_container(&r) && peek_past_space(&r) != 0)
    miss(&r, "expected the end");
  return r.problem == NULL ? IMGREC_OK : fail_json(e, &r);
}
