/* SPDX-License-Identifier: MIT */
/* Folders and files of data sets, for tests; include after cmocka.h. */
#ifndef DATASET_FILES_H
#define DATASET_FILES_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "imgrec/imgrec.h"

static inline void remove_tree(const char *path) {
  DIR *dir = remove(path) == 0 ? NULL : opendir(path);
  if (dir == NULL)
    return;
  for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
    char inner[1024];
    if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
      continue;
    int n = snprintf(inner, sizeof inner, "%s/%s", path, d->d_name);
    if (n > 0 && (size_t)n < sizeof inner)
      remove_tree(inner);
  }
  closedir(dir);
  remove(path);
}

/* build/tmp/NAME, new and empty; `root` has 256 bytes. */
static inline void fresh_folder(char *root, const char *name) {
  mkdir("build", 0777);
  mkdir("build/tmp", 0777);
  snprintf(root, 256, "build/tmp/%s", name);
  remove_tree(root);
  assert_int_equal(mkdir(root, 0777), 0);
}

/* Makes the folders on the way to the last name of `path`. */
static inline void make_folders(const char *path) {
  char part[1024];
  for (const char *p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/')) {
    snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
    assert_true(mkdir(part, 0777) == 0 || errno == EEXIST);
  }
}

static inline void put_bytes(const char *root, const char *name,
                             const void *bytes, size_t n) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", root, name);
  make_folders(path);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

static inline void put_text(const char *root, const char *name,
                            const char *text) {
  put_bytes(root, name, text, strlen(text));
}

/* A grey image of one value, as PGM whatever its name says. */
static inline void put_grey(const char *root, const char *name, int height,
                            int width, int value) {
  char bytes[8192];
  int head = snprintf(bytes, sizeof bytes, "P5 %d %d 255\n", width, height);
  size_t n = (size_t)height * (size_t)width;
  assert_true((size_t)head + n <= sizeof bytes);
  memset(bytes + head, value, n);
  put_bytes(root, name, bytes, (size_t)head + n);
}

static inline imgrec_context *new_context(int threads) {
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = threads;
  assert_int_equal(imgrec_context_create(&ctx, &o), IMGREC_OK);
  return ctx;
}

/* root/name, or root itself with name NULL. */
static inline int open_part(imgrec_dataset **out, imgrec_context *ctx,
                            const char *root, const char *name, int part) {
  char path[1024];
  imgrec_dataset_options o;
  snprintf(path, sizeof path, "%s%s%s", root, name != NULL ? "/" : "",
           name != NULL ? name : "");
  imgrec_dataset_options_init(&o, sizeof o);
  o.part = part;
  return imgrec_dataset_open(out, ctx, path, &o);
}

/* Opening must fail so, leave `out` alone, and say `words`. */
static inline void expect_failure(imgrec_context *ctx, const char *root,
                                  const char *name, int part, int status,
                                  const char *words) {
  imgrec_dataset *d = NULL;
  assert_int_equal(open_part(&d, ctx, root, name, part), status);
  assert_null(d);
  if (strstr(imgrec_last_error(ctx), words) == NULL)
    fail_msg("'%s' does not say '%s'", imgrec_last_error(ctx), words);
}

static inline imgrec_dataset *expect_dataset(imgrec_context *ctx,
                                             const char *root, const char *name,
                                             int part,
                                             const char *description) {
  imgrec_dataset *d = NULL;
  if (open_part(&d, ctx, root, name, part) != IMGREC_OK)
    fail_msg("%s", imgrec_last_error(ctx));
  assert_string_equal(imgrec_dataset_description(d), description);
  return d;
}

/* The folder that IMGREC_DATA names, and a name in it; NULL: not there. */
static inline const char *real_data(char path[1024], const char *name) {
  const char *root = getenv("IMGREC_DATA");
  struct stat st;
  if (root == NULL)
    return NULL;
  snprintf(path, 1024, "%s/%s", root, name);
  return stat(path, &st) == 0 ? path : NULL;
}

#endif
