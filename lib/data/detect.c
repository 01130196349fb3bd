/* SPDX-License-Identifier: MIT */
/* Finds out by looking which reader suits what is at a path. */
#include "data/data.h"

#include <string.h>

static int fail_no_folders(struct error *e, const char *path) {
  return imgrec__fail(e, IMGREC_ERR_NOT_FOUND,
                      "the read callback has no '%s', and cannot list folders; "
                      "a data set that it reads is a .csv file, or files of "
                      "IDX or CIFAR",
                      path);
}

static int read_directory(struct store *s, const char *path, int part) {
  int parts = imgrec__idx_parts(s->context, path);
  if (parts > 0)
    return imgrec__read_idx(s, path, part);
  if (parts == 0)
    parts = imgrec__cifar_parts(s->context, path);
  if (parts > 0)
    return imgrec__read_cifar(s, path, part);
  if (parts < 0)
    return parts;
  return s->context->read != NULL ? fail_no_folders(&s->context->error, path)
                                  : imgrec__read_folder(s, path, part);
}

static int fail_unknown(struct error *e, const char *path,
                        const unsigned char *head, size_t n) {
  struct picture picture;
  if (imgrec__sniff(&picture, NULL, head, n) >= 0)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "'%s' is a single image; a data set is a folder with a "
                        "folder per class",
                        path);
  return imgrec__fail(e, IMGREC_ERR_FORMAT,
                      "'%s' is none of the data sets that are read: a folder "
                      "per class, a .csv file, IDX or CIFAR binary",
                      path);
}

static int read_single(struct store *s, const char *path, int part) {
  struct error *e = &s->context->error;
  unsigned char head[4096];
  size_t n;
  int status = imgrec__read_head(s->context, e, path, head, sizeof head, &n);
  if (status < 0)
    return status;
  if (imgrec__ends_in(path, ".csv"))
    return imgrec__read_csv(s, path, part);
  if (imgrec__ends_in(path, ".bin"))
    return imgrec__read_cifar(s, path, part);
  int gzip = n >= 2 && head[0] == 0x1f && head[1] == 0x8b;
  int idx = n >= 4 && head[0] == 0 && head[1] == 0 && head[2] >= 8 &&
            head[2] <= 14 && head[3] >= 1 && head[3] <= 4;
  if (gzip || idx)
    return imgrec__read_idx(s, path, part);
  return fail_unknown(e, path, head, n);
}

int imgrec__read_any(struct store *s, const char *path, int part) {
  struct file_info info;
  int number = imgrec__read_info(s->context, path, &info);
  if (number != 0 && s->context->read != NULL)
    return read_directory(s, path, part);
  if (number != 0)
    return imgrec__fail_system(&s->context->error, number, "open", path);
  return info.kind == FILE_FOLDER ? read_directory(s, path, part)
                                  : read_single(s, path, part);
}
