/* SPDX-License-Identifier: MIT */
/* A growing string, UTF-8, and numbers as text that knows no locale. */
#include "base.h"

#include <assert.h>
#include <fenv.h>
#include <float.h>
#include <stdio.h>
#include <string.h>

void imgrec__text_init(struct text *t, struct allocator *a) {
  *t = (struct text){.allocator = a};
}

void imgrec__text_free(struct text *t) {
  imgrec__free(t->allocator, t->data);
  imgrec__text_init(t, t->allocator);
}

/* Room for n more bytes and the NUL. */
static int reserve(struct text *t, size_t n) {
  if (t->failed || n > (size_t)PTRDIFF_MAX - t->length) {
    t->failed = 1;
    return 0;
  }
  size_t need = t->length + n + 1;
  if (need <= t->capacity)
    return 1;
  size_t capacity = max_size(max_size(need, 64), t->capacity * 2);
  char *data = imgrec__realloc(t->allocator, t->data, capacity);
  if (data == NULL) {
    t->failed = 1;
    return 0;
  }
  t->data = data;
  t->capacity = capacity;
  return 1;
}

void imgrec__text_bytes(struct text *t, const char *bytes, size_t n) {
  if (!reserve(t, n))
    return;
  if (n != 0)
    memcpy(t->data + t->length, bytes, n);
  t->length += n;
  t->data[t->length] = '\0';
}

void imgrec__text_string(struct text *t, const char *s) {
  imgrec__text_bytes(t, s, strlen(s));
}

void imgrec__text_add(struct text *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (n < 0) {
    t->failed = 1;
    return;
  }
  if (!reserve(t, (size_t)n))
    return;
  va_start(args, format);
  vsnprintf(t->data + t->length, (size_t)n + 1, format, args);
  va_end(args);
  t->length += (size_t)n;
}

/* Replaces what the locale took for the decimal point, of any length. */
static size_t undo_locale(char *s) {
  size_t n = 0;
  int in_point = 0;
  for (const char *p = s; *p != '\0'; p++) {
    int plain = (*p >= '0' && *p <= '9') || *p == '-' || *p == '+' || *p == 'e';
    if (plain)
      s[n++] = *p;
    else if (!in_point)
      s[n++] = '.';
    in_point = !plain;
  }
  s[n] = '\0';
  return n;
}

/* The shortest that gives x back. */
static size_t print_float(char s[64], float x) {
  size_t n = 0;
  assert(x >= -FLT_MAX && x <= FLT_MAX);
  for (int digits = 1; digits <= 9; digits++) {
    float back = 0;
    snprintf(s, 64, "%.*g", digits, (double)x);
    n = undo_locale(s);
    if (imgrec__parse_float(s, n, &back) && memcmp(&back, &x, sizeof x) == 0)
      break;
  }
  return n;
}

/* The C library may print as the x87 unit rounds, which is not part of what
 * imgrec__fp_enter sets. */
void imgrec__text_float(struct text *t, float x) {
  char s[64];
  uint64_t fp = imgrec__fp_enter();
  int rounding = fegetround();
  fesetround(FE_TONEAREST);
  size_t n = print_float(s, x);
  fesetround(rounding);
  imgrec__fp_leave(fp);
  imgrec__text_bytes(t, s, n);
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

int imgrec__parse_int(const char *s, size_t n, int64_t *out) {
  size_t i = n > 0 && s[0] == '-';
  uint64_t limit = i == 0 ? INT64_MAX : (uint64_t)INT64_MAX + 1, x = 0;
  if (i == n)
    return 0;
  for (size_t first = i; i < n; i++) {
    if (!is_digit(s[i]))
      return 0;
    uint64_t digit = (uint64_t)(s[i] - '0');
    if (i > first && x > (limit - digit) / 10)
      return 0;
    x = x * 10 + digit;
  }
  *out = limit == INT64_MAX ? (int64_t)x : (int64_t)(0 - x);
  return 1;
}

/* Leading byte, and the range of the second byte (Unicode, table 3-7). */
static size_t utf8_length(const unsigned char *s, size_t n) {
  unsigned char c = s[0], low = 0x80, high = 0xbf;
  if (c < 0x80)
    return c != 0;
  size_t length = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
  if (c < 0xc2 || c > 0xf4 || length > n)
    return 0;
  if (c == 0xe0)
    low = 0xa0;
  else if (c == 0xed)
    high = 0x9f;
  else if (c == 0xf0)
    low = 0x90;
  else if (c == 0xf4)
    high = 0x8f;
  if (s[1] < low || s[1] > high)
    return 0;
  for (size_t i = 2; i < length; i++)
    if ((s[i] & 0xc0) != 0x80)
      return 0;
  return length;
}

int imgrec__utf8_valid(const char *s, size_t n) {
  for (size_t i = 0; i < n;) {
    size_t length = utf8_length((const unsigned char *)s + i, n - i);
    if (length == 0)
      return 0;
    i += length;
  }
  return 1;
}
