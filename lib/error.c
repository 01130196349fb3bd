/* SPDX-License-Identifier: MIT */
/* What went wrong, in a sentence; status codes, versions, option structs. */
#include "base.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name, *words;
} statuses[] = {
    {"IMGREC_OK", "success"},
    {"IMGREC_ERR_ARGUMENT", "an argument is out of its range"},
    {"IMGREC_ERR_MEMORY", "out of memory"},
    {"IMGREC_ERR_LIMIT", "beyond a limit"},
    {"IMGREC_ERR_IO", "reading or writing failed"},
    {"IMGREC_ERR_NOT_FOUND", "no such file, part, label or layer"},
    {"IMGREC_ERR_FORMAT", "a file is damaged or not what it claims"},
    {"IMGREC_ERR_SHAPE", "tensors or weights do not fit together"},
    {"IMGREC_ERR_ARCHITECTURE", "an architecture text is wrong"},
    {"IMGREC_ERR_UNSUPPORTED", "not something this build does"},
    {"IMGREC_ERR_CANCELLED", "a callback asked to stop"},
    {"IMGREC_ERR_DIVERGED", "the training loss is no longer finite"},
};

#define STATUS_COUNT ((int)(sizeof statuses / sizeof statuses[0]))

int imgrec_version_number(void) {
  return IMGREC_VERSION_MAJOR << 16 | IMGREC_VERSION_MINOR << 8 |
         IMGREC_VERSION_PATCH;
}

#define QUOTE_(x) #x
#define QUOTE(x)  QUOTE_(x)

const char *imgrec_version_string(void) {
  return QUOTE(IMGREC_VERSION_MAJOR) "." QUOTE(IMGREC_VERSION_MINOR) "." QUOTE(
      IMGREC_VERSION_PATCH);
}

int imgrec_arithmetic_version(void) { return 3; }

static int is_status(int status) {
  return status <= 0 && status > -STATUS_COUNT;
}

const char *imgrec_status_name(int status) {
  return is_status(status) ? statuses[-status].name : "IMGREC_ERR_UNKNOWN";
}

const char *imgrec_status_string(int status) {
  return is_status(status) ? statuses[-status].words : "unknown status";
}

/* Ends a cut text in "...", never in the middle of a UTF-8 sequence. */
static void mark_cut(char *text, size_t size) {
  size_t n = size - 4;
  while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
    n--;
  memcpy(text + n, "...", 4);
}

/* By way of `next`, since an argument may be the old sentence itself. */
PRINTF_LIKE(2, 0)
static void set_sentence(struct error *e, const char *format, va_list args) {
  struct error next;
  int n = vsnprintf(next.text, sizeof next.text, format, args);
  if (n < 0)
    next.text[0] = '\0';
  else if ((size_t)n >= sizeof next.text)
    mark_cut(next.text, sizeof next.text);
  *e = next;
}

int imgrec__fail(struct error *e, int status, const char *format, ...) {
  va_list args;
  if (e == NULL)
    return status;
  va_start(args, format);
  set_sentence(e, format, args);
  va_end(args);
  return status;
}

int imgrec__fail_prefix(struct error *e, int status, const char *format, ...) {
  struct error prefix;
  va_list args;
  if (e == NULL)
    return status;
  va_start(args, format);
  set_sentence(&prefix, format, args);
  va_end(args);
  return imgrec__fail(e, status, "%s: %s", prefix.text, e->text);
}

static int is_zero(const unsigned char *bytes, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (bytes[i] != 0)
      return 0;
  return 1;
}

/* A struct of another release is a little larger or smaller; what is beyond
 * this was never filled by an _init function. */
#define OPTIONS_MAX ((size_t)4096)

int imgrec__options_read(struct error *e, void *ours, size_t our_size,
                         const void *theirs, const char *what) {
  size_t size;
  if (theirs == NULL)
    return IMGREC_OK;
  memcpy(&size, theirs, sizeof size);
  if (size < sizeof size || size > OPTIONS_MAX)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "%s: struct_size is %zu; fill the struct with %s_init",
                        what, size, what);
  if (size > our_size &&
      !is_zero((const unsigned char *)theirs + our_size, size - our_size))
    return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                        "%s: a field beyond byte %zu is set that version %s of "
                        "the library does not know",
                        what, our_size, imgrec_version_string());
  memset(ours, 0, our_size);
  memcpy(ours, theirs, min_size(size, our_size));
  memcpy(ours, &our_size, sizeof our_size);
  return IMGREC_OK;
}

int imgrec__check_reserved(struct error *e, int32_t reserved,
                           const char *what) {
  if (reserved == 0)
    return IMGREC_OK;
  return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                      "%s: reserved is %d; it must be 0", what, (int)reserved);
}

int imgrec__options_init(void *theirs, size_t their_size, const void *defaults,
                         size_t our_size) {
  if (theirs == NULL || their_size < sizeof their_size ||
      their_size > OPTIONS_MAX)
    return IMGREC_ERR_ARGUMENT;
  memset(theirs, 0, their_size);
  memcpy(theirs, defaults, min_size(their_size, our_size));
  memcpy(theirs, &their_size, sizeof their_size);
  return IMGREC_OK;
}

void imgrec__options_write(void *theirs, const void *ours, size_t our_size) {
  size_t size;
  memcpy(&size, theirs, sizeof size);
  if (size <= sizeof size)
    return;
  memcpy((char *)theirs + sizeof size, (const char *)ours + sizeof size,
         min_size(size, our_size) - sizeof size);
}
