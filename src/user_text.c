/* SPDX-License-Identifier: MIT */
/* Text from the user and for the user: architectures, presets, class names. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LIMIT ((size_t)1 << 20)

/* All of `f`, or NULL when it is too long, has a zero byte or fails. */
static char *read_all(FILE *f, const char *path, const char *command) {
  char *text = malloc(TEXT_LIMIT + 1);
  if (text == NULL) {
    fail(command, "%s: out of memory", path);
    return NULL;
  }
  size_t n = fread(text, 1, TEXT_LIMIT + 1, f);
  if (ferror(f))
    fail(command, "%s: %s", path, strerror(errno));
  else if (n > TEXT_LIMIT)
    fail(command, "%s: longer than 1 MiB, so it is no text of ours", path);
  else if (memchr(text, '\0', n) != NULL)
    fail(command, "%s: has a zero byte, so it is no text file", path);
  else {
    text[n] = '\0';
    return text;
  }
  free(text);
  return NULL;
}

int read_text_file(char **out, const char *path, const char *command) {
  FILE *f = os_open(path, "rb");
  if (f == NULL)
    return fail(command, "%s: %s", path, strerror(errno));
  *out = read_all(f, path, command);
  fclose(f);
  return *out != NULL ? EXIT_OK : EXIT_FAILED;
}

int read_line(char **line, size_t *size, FILE *f) {
  size_t n = 0;
  for (int c; (n == 0 || (*line)[n - 1] != '\n') && (c = getc(f)) != EOF;) {
    if (n + 2 > *size) {
      char *grown = realloc(*line, 2 * *size + 100);
      if (grown == NULL)
        return 0;
      *line = grown;
      *size = 2 * *size + 100;
    }
    (*line)[n++] = (char)c;
    (*line)[n] = '\0';
  }
  return n > 0;
}

/* Cuts the next line that is not empty off *text, without its line end. */
static char *next_line(char **text) {
  while (**text != '\0') {
    char *line = *text;
    size_t n = strcspn(line, "\n");
    *text += n + (line[n] == '\n');
    if (n > 0 && line[n - 1] == '\r')
      n--;
    line[n] = '\0';
    if (n > 0)
      return line;
  }
  return NULL;
}

int read_names(struct name_list *out, const char *path, const char *command) {
  char *text;
  int code = read_text_file(&text, path, command);
  if (code != EXIT_OK)
    return code;
  size_t lines = 1;
  for (const char *c = text; *c != '\0'; c++)
    lines += *c == '\n';
  /* the text goes behind the pointers, so that one free() frees both */
  size_t head = lines * sizeof(char *), length = strlen(text) + 1;
  char **names = malloc(head + length);
  if (names == NULL) {
    free(text);
    return fail(command, "%s: out of memory", path);
  }
  char *rest = memcpy((char *)names + head, text, length);
  free(text);
  out->names = names;
  out->count = 0;
  for (char *line; (line = next_line(&rest)) != NULL;)
    names[out->count++] = line;
  return EXIT_OK;
}

void free_names(struct name_list *list) {
  free(list->names);
  list->names = NULL;
  list->count = 0;
}

int check_preset(const char *name, const char *command) {
  char known[200] = "";
  for (int i = 0; imgrec_preset_name(i) != NULL; i++) {
    size_t n = strlen(known);
    if (strcmp(imgrec_preset_name(i), name) == 0)
      return EXIT_OK;
    snprintf(known + n, sizeof known - n, "%s%s", i > 0 ? ", " : "",
             imgrec_preset_name(i));
  }
  return usage_error(command, "--preset: there is no preset '%s'; there are %s",
                     name, known);
}

int preset_text(char **out, const char *name, const int64_t shape[3],
                int classes, const char *command) {
  int h = (int)shape[0], w = (int)shape[1], c = (int)shape[2];
  int length = imgrec_preset(name, h, w, c, classes, NULL, 0);
  if (length == IMGREC_ERR_ARGUMENT)
    return fail(command,
                "preset %s cannot have inputs of %d x %d; 'imgrec info "
                "--preset %s' shows its own size, --size gives another",
                name, h, w, name);
  if (length < 0)
    return fail(command, "preset %s: %s", name, imgrec_status_string(length));
  char *text = malloc((size_t)length + 1);
  if (text == NULL)
    return fail(command, "preset %s: out of memory", name);
  imgrec_preset(name, h, w, c, classes, text, (size_t)length + 1);
  *out = text;
  return EXIT_OK;
}

const char *printable(char *out, size_t size, const char *text) {
  size_t n = 0;
  for (; text[n] != '\0' && n + 1 < size; n++) {
    unsigned char c = (unsigned char)text[n];
    out[n] = c < 0x20 || c == 0x7F ? '?' : text[n];
  }
  out[n] = '\0';
  return out;
}

const char *weight_type_name(int weight_type) {
  static const char *const names[] = {"f32", "f16", "bf16", "int8"};
  return names[weight_type];
}

char *shell_word(const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                              "WXYZ0123456789_./,:=+-";
  size_t n = strlen(word);
  char *out = malloc(4 * n + 3), *to = out;
  if (out == NULL || (n > 0 && strspn(word, plain) == n))
    return out != NULL ? strcpy(out, word) : NULL;
  *to++ = '\'';
  for (; *word != '\0'; word++)
    if (*word == '\'')
      to += sprintf(to, "'\\''");
    else
      *to++ = (char)(*word == '\n' ? ' ' : *word);
  strcpy(to, "'");
  return out;
}
