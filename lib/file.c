/* SPDX-License-Identifier: MIT */
/* Files: reading within bounds, and writing that is all or nothing. */
#include "base.h"

#include <stdio.h>
#include <string.h>

int imgrec__fail_system(struct error *e, int number, const char *what,
                        const char *path) {
  const char *words;
  int status = imgrec__system_reason(number, &words);
  if (words != NULL)
    return imgrec__fail(e, status, "cannot %s '%s': %s", what, path, words);
  return imgrec__fail(e, status, "cannot %s '%s': system error %d", what, path,
                      number);
}

static int check_regular(struct error *e, const char *path,
                         const struct file_info *info) {
  if (info->kind == FILE_REGULAR)
    return IMGREC_OK;
  return imgrec__fail(
      e, IMGREC_ERR_IO, "cannot read '%s': it is a %s", path,
      info->kind == FILE_FOLDER ? "folder" : "device or a pipe, not a file");
}

static int open_regular(struct error *e, const char *path,
                        struct file_info *info, intptr_t *out) {
  int number = imgrec__file_open(out, path);
  if (number != 0)
    return imgrec__fail_system(e, number, "open", path);
  number = imgrec__file_info(*out, info);
  int status = number == 0 ? check_regular(e, path, info)
                           : imgrec__fail_system(e, number, "read", path);
  if (status < 0)
    imgrec__file_close(*out);
  return status;
}

/* Up to n bytes, fewer only at the end of the file. */
static int read_fully(intptr_t file, unsigned char *bytes, size_t n,
                      size_t *done) {
  *done = 0;
  while (*done < n) {
    size_t got = 0;
    int number = imgrec__file_get(file, bytes + *done,
                                  min_size(n - *done, (size_t)1 << 30), &got);
    if (number != 0)
      return number;
    if (got == 0)
      break;
    *done += got;
  }
  return 0;
}

static int read_open_file(struct blob *out, struct allocator *a,
                          struct error *e, const char *path, intptr_t file,
                          size_t size) {
  size_t got;
  unsigned char *bytes = imgrec__alloc(a, size + 1);
  if (bytes == NULL)
    return imgrec__fail_memory(e, a, path);
  int number = read_fully(file, bytes, size, &got), status = IMGREC_OK;
  if (number != 0)
    status = imgrec__fail_system(e, number, "read", path);
  else if (got != size)
    status = imgrec__fail(e, IMGREC_ERR_IO,
                          "cannot read '%s': it ended after %zu of %zu bytes",
                          path, got, size);
  if (status < 0) {
    imgrec__free(a, bytes);
    return status;
  }
  bytes[size] = 0;
  out->bytes = bytes;
  out->size = size;
  return IMGREC_OK;
}

int imgrec__file_read(struct blob *out, struct allocator *a, struct error *e,
                      const char *path, uint64_t limit) {
  struct file_info info;
  intptr_t file;
  int status = open_regular(e, path, &info, &file);
  if (status < 0)
    return status;
  if (info.size > limit || info.size >= PTRDIFF_MAX)
    status = imgrec__fail(
        e, IMGREC_ERR_LIMIT, "'%s' has %llu bytes; at most %llu are read", path,
        (unsigned long long)info.size, (unsigned long long)limit);
  else
    status = read_open_file(out, a, e, path, file, (size_t)info.size);
  imgrec__file_close(file);
  return status;
}

int imgrec__file_head(const char *path, struct error *e, void *buffer, size_t n,
                      size_t *out_size) {
  struct file_info info;
  intptr_t file;
  size_t got;
  int status = open_regular(e, path, &info, &file);
  if (status < 0)
    return status;
  int number = read_fully(file, buffer, n, &got);
  if (number != 0)
    status = imgrec__fail_system(e, number, "read", path);
  else
    *out_size = got;
  imgrec__file_close(file);
  return status;
}

void imgrec__blob_free(struct blob *b, struct allocator *a) {
  imgrec__free(a, b->bytes);
  *b = (struct blob){NULL, 0};
}

/* ---- writing ------------------------------------------------------------ */

struct file_writer {
  struct allocator *allocator;
  char *path, *temporary;
  intptr_t file;
  int number; /* of the first failure, or 0 */
};

static void free_writer(struct file_writer *w) {
  imgrec__free(w->allocator, w->path);
  imgrec__free(w->allocator, w->temporary);
  imgrec__free(w->allocator, w);
}

/* A name that no other writer of this process or of another has; that a
 * process which died left one behind is possible, so there are several. */
static int open_temporary(struct file_writer *w) {
  size_t size = strlen(w->path) + 64;
  w->temporary = imgrec__alloc(w->allocator, size);
  if (w->temporary == NULL)
    return -1;
  for (int attempt = 0; attempt < 16; attempt++) {
    snprintf(w->temporary, size, "%s.tmp-%ld-%llx-%d", w->path,
             imgrec__system_process(), (unsigned long long)(uintptr_t)w,
             attempt);
    w->number = imgrec__file_create(&w->file, w->temporary);
    if (w->number != IMGREC__EXISTS)
      break;
  }
  return 0;
}

int imgrec__writer_open(struct file_writer **out, struct allocator *a,
                        struct error *e, const char *path) {
  struct file_info info = {.kind = FILE_REGULAR};
  int there = imgrec__path_info(path, &info) == 0;
  if (there && info.kind != FILE_REGULAR) /* a device would be replaced */
    return imgrec__fail(e, IMGREC_ERR_IO, "cannot write '%s': it is %s", path,
                        info.kind == FILE_FOLDER ? "a folder"
                                                 : "not a regular file");
  struct file_writer *w = imgrec__alloc_zero(a, sizeof *w);
  if (w == NULL)
    return imgrec__fail_memory(e, a, path);
  w->allocator = a;
  w->path = imgrec__strdup(a, path);
  int status = IMGREC_OK;
  if (w->path == NULL || open_temporary(w) < 0)
    status = imgrec__fail_memory(e, a, path);
  else if (w->number != 0)
    status = imgrec__fail_system(e, w->number, "write", path);
  if (status < 0) {
    free_writer(w);
    return status;
  }
  *out = w;
  return IMGREC_OK;
}

void imgrec__writer_write(struct file_writer *w, const void *bytes, size_t n) {
  const char *p = bytes;
  while (n != 0 && w->number == 0) {
    size_t done = 0;
    w->number =
        imgrec__file_put(w->file, p, min_size(n, (size_t)1 << 30), &done);
    p += done;
    n -= done;
  }
}

int imgrec__writer_commit(struct file_writer *w, struct error *e) {
  if (w->number == 0)
    w->number = imgrec__file_sync(w->file);
  int closed = imgrec__file_close(w->file);
  if (w->number == 0)
    w->number = closed;
  if (w->number == 0)
    w->number = imgrec__path_replace(w->temporary, w->path);
  int status = IMGREC_OK;
  if (w->number != 0) {
    status = imgrec__fail_system(e, w->number, "write", w->path);
    imgrec__path_remove(w->temporary);
  } else {
    w->number = imgrec__path_sync(w->path);
    if (w->number != 0)
      status =
          imgrec__fail_system(e, w->number, "secure the folder of", w->path);
  }
  free_writer(w);
  return status;
}

void imgrec__writer_abort(struct file_writer *w) {
  if (w == NULL)
    return;
  imgrec__file_close(w->file);
  imgrec__path_remove(w->temporary);
  free_writer(w);
}
