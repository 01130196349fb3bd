/* SPDX-License-Identifier: MIT */
/* JSON for --json: one value on one line, valid whatever the names are. */
#include "cli.h"

#include <math.h>

static void separate(struct json_out *j) {
  if (j->comma)
    fputc(',', j->file);
  j->comma = 1;
}

void json_open(struct json_out *j, char bracket) {
  separate(j);
  fputc(bracket, j->file);
  j->comma = 0;
}

void json_close(struct json_out *j, char bracket) {
  fputc(bracket, j->file);
  j->comma = 1;
}

int utf8_length(const unsigned char *s) {
  if (s[0] < 0x80)
    return 1;
  int n = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
  if (s[0] < 0xC2 || s[0] > 0xF4)
    return 0;
  for (int i = 1; i < n; i++)
    if ((s[i] & 0xC0) != 0x80)
      return 0;
  /* overlong forms, surrogates, beyond U+10FFFF */
  if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
      (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
    return 0;
  return n;
}

static void put_character(FILE *f, const unsigned char *s, int length) {
  if (length == 0)
    fputs("\\ufffd", f);
  else if (*s == '"' || *s == '\\')
    fprintf(f, "\\%c", *s);
  else if (*s == '\n')
    fputs("\\n", f);
  else if (*s < 0x20 || *s == 0x7F)
    fprintf(f, "\\u%04x", *s);
  else
    fwrite(s, 1, (size_t)length, f);
}

static void put_string(FILE *f, const char *text) {
  const unsigned char *s = (const unsigned char *)text;
  fputc('"', f);
  while (*s != '\0') {
    int n = utf8_length(s);
    put_character(f, s, n);
    s += n > 0 ? n : 1;
  }
  fputc('"', f);
}

void json_key(struct json_out *j, const char *key) {
  separate(j);
  put_string(j->file, key);
  fputc(':', j->file);
  j->comma = 0;
}

void json_string(struct json_out *j, const char *s) {
  separate(j);
  if (s != NULL)
    put_string(j->file, s);
  else
    fputs("null", j->file);
}

void json_integer(struct json_out *j, int64_t x) {
  separate(j);
  fprintf(j->file, "%lld", (long long)x);
}

void json_float(struct json_out *j, double x) {
  separate(j);
  if (isfinite(x))
    fprintf(j->file, "%.9g", x);
  else
    fputs("null", j->file);
}

void json_bool(struct json_out *j, int x) {
  separate(j);
  fputs(x ? "true" : "false", j->file);
}

void json_finish(struct json_out *j) {
  json_close(j, '}');
  fputc('\n', j->file);
  fflush(j->file);
  j->comma = 0;
}
