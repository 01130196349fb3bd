/* SPDX-License-Identifier: MIT */
/* Files: reading within bounds, and writing that is all or nothing. */
#include "base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
  int number, status;
  const char *words;
} reasons[] = {
    {ENOENT, IMGREC_ERR_NOT_FOUND, "no such file or folder"},
    {ENOTDIR, IMGREC_ERR_NOT_FOUND, "a part of the path is not a folder"},
    {EACCES, IMGREC_ERR_IO, "permission denied"},
    {EPERM, IMGREC_ERR_IO, "not permitted"},
    {EISDIR, IMGREC_ERR_IO, "it is a folder"},
    {EROFS, IMGREC_ERR_IO, "the file system is read-only"},
    {ENOSPC, IMGREC_ERR_IO, "no space left"},
    {EDQUOT, IMGREC_ERR_IO, "the disk quota is used up"},
    {EFBIG, IMGREC_ERR_IO, "larger than the system allows"},
    {EIO, IMGREC_ERR_IO, "the device reports an error"},
    {EMFILE, IMGREC_ERR_IO, "this process has too many files open"},
    {ENAMETOOLONG, IMGREC_ERR_IO, "the name is too long"},
    {ELOOP, IMGREC_ERR_IO, "too many symbolic links"},
};

/* strerror() is not for threads, and speaks the locale's language. */
static int fail_errno(struct error *e, int number, const char *what,
                      const char *path) {
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (reasons[i].number == number)
      return imgrec__fail(e, reasons[i].status, "cannot %s '%s': %s", what,
                          path, reasons[i].words);
  return imgrec__fail(e, IMGREC_ERR_IO, "cannot %s '%s': system error %d", what,
                      path, number);
}

/* O_NONBLOCK: a pipe without a writer must not hang us. */
static int open_regular(struct error *e, const char *path, struct stat *st,
                        int *out) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return fail_errno(e, errno, "open", path);
  int number = fstat(fd, st) == 0 ? 0 : errno;
  if (number == 0 && S_ISDIR(st->st_mode))
    number = EISDIR;
  if (number != 0) {
    close(fd);
    return fail_errno(e, number, "read", path);
  }
  if (!S_ISREG(st->st_mode)) {
    close(fd);
    return imgrec__fail(e, IMGREC_ERR_IO,
                        "cannot read '%s': it is a device or a pipe, not a "
                        "file",
                        path);
  }
  *out = fd;
  return IMGREC_OK;
}

/* Up to n bytes, fewer only at the end of the file; -1 and errno. */
static ssize_t read_fully(int fd, unsigned char *bytes, size_t n) {
  size_t done = 0;
  while (done < n) {
    size_t chunk = min_size(n - done, (size_t)1 << 30);
    ssize_t got = read(fd, bytes + done, chunk);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    if (got == 0)
      break;
    done += (size_t)got;
  }
  return (ssize_t)done;
}

static int read_open_file(struct blob *out, struct allocator *a,
                          struct error *e, const char *path, int fd,
                          size_t size) {
  unsigned char *bytes = imgrec__alloc(a, size + 1);
  if (bytes == NULL)
    return imgrec__fail_memory(e, a, path);
  ssize_t got = read_fully(fd, bytes, size);
  int status = got < 0 ? fail_errno(e, errno, "read", path) : IMGREC_OK;
  if (status == IMGREC_OK && (size_t)got != size)
    status = imgrec__fail(e, IMGREC_ERR_IO,
                          "cannot read '%s': it ended after %zu of %zu bytes",
                          path, (size_t)got, size);
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
  struct stat st;
  int fd = -1, status = open_regular(e, path, &st, &fd);
  if (status < 0)
    return status;
  uint64_t size = (uint64_t)st.st_size;
  if (size > limit || size >= PTRDIFF_MAX)
    status = imgrec__fail(e, IMGREC_ERR_LIMIT,
                          "'%s' has %llu bytes; at most %llu are read", path,
                          (unsigned long long)size, (unsigned long long)limit);
  else
    status = read_open_file(out, a, e, path, fd, (size_t)size);
  close(fd);
  return status;
}

void imgrec__file_ahead(const char *path) {
#ifdef POSIX_FADV_WILLNEED
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return;
  (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
  close(fd);
#else
  (void)path;
#endif
}

int imgrec__file_head(const char *path, struct error *e, void *buffer, size_t n,
                      size_t *out_size) {
  struct stat st;
  int fd = -1, status = open_regular(e, path, &st, &fd);
  if (status < 0)
    return status;
  ssize_t got = read_fully(fd, buffer, n);
  if (got < 0)
    status = fail_errno(e, errno, "read", path);
  else
    *out_size = (size_t)got;
  close(fd);
  return status;
}

void imgrec__blob_free(struct blob *b, struct allocator *a) {
  imgrec__free(a, b->bytes);
  *b = (struct blob){NULL, 0};
}

int imgrec__file_read_gz(struct blob *out, struct allocator *a, struct error *e,
                         const char *path, uint64_t limit) {
  struct blob packed = {NULL, 0};
  int status = imgrec__file_read(&packed, a, e, path, limit);
  if (status < 0)
    return status;
  if (packed.size < 2 || packed.bytes[0] != 0x1f || packed.bytes[1] != 0x8b) {
    *out = packed;
    return IMGREC_OK;
  }
  status = imgrec__gunzip(out, a, e, path, limit, &packed);
  imgrec__blob_free(&packed, a);
  return status;
}

/* ---- writing ------------------------------------------------------------ */

struct file_writer {
  struct allocator *allocator;
  char *path, *temporary;
  int fd;
  int number; /* errno of the first failure, or 0 */
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
    snprintf(w->temporary, size, "%s.tmp-%ld-%llx-%d", w->path, (long)getpid(),
             (unsigned long long)(uintptr_t)w, attempt);
    w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->fd >= 0 || errno != EEXIST)
      break;
  }
  w->number = w->fd < 0 ? errno : 0;
  return 0;
}

int imgrec__writer_open(struct file_writer **out, struct allocator *a,
                        struct error *e, const char *path) {
  struct stat st;
  int there = stat(path, &st) == 0;
  if (there && S_ISDIR(st.st_mode))
    return fail_errno(e, EISDIR, "write", path);
  if (there && !S_ISREG(st.st_mode)) /* a rename would replace a device */
    return imgrec__fail(e, IMGREC_ERR_IO,
                        "cannot write '%s': it is not a regular file", path);
  struct file_writer *w = imgrec__alloc_zero(a, sizeof *w);
  if (w == NULL)
    return imgrec__fail_memory(e, a, path);
  w->allocator = a;
  w->path = imgrec__strdup(a, path);
  int status = IMGREC_OK;
  if (w->path == NULL || open_temporary(w) < 0)
    status = imgrec__fail_memory(e, a, path);
  else if (w->fd < 0)
    status = fail_errno(e, w->number, "write", path);
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
    ssize_t done = write(w->fd, p, min_size(n, (size_t)1 << 30));
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0) {
      w->number = errno;
      return;
    }
    p += done;
    n -= (size_t)done;
  }
}

/* Some file systems have no fsync: they say EINVAL. */
static int sync_file(int fd) {
  int result;
  do
    result = fsync(fd);
  while (result != 0 && errno == EINTR);
  return result == 0 || errno == EINVAL ? 0 : errno;
}

/* Makes the new name last.  A folder that may be written but not read cannot
 * be opened for it; then the file is in place all the same. */
static int sync_folder(char *path) {
  char *slash = strrchr(path, '/');
  const char *folder = slash == NULL ? "." : path;
  if (slash == path)
    folder = "/";
  else if (slash != NULL)
    *slash = '\0';
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return errno == EACCES ? 0 : errno;
  int number = sync_file(fd);
  close(fd);
  return number;
}

int imgrec__writer_commit(struct file_writer *w, struct error *e) {
  if (w->number == 0)
    w->number = sync_file(w->fd);
  if (close(w->fd) != 0 && w->number == 0 && errno != EINTR)
    w->number = errno;
  if (w->number == 0 && rename(w->temporary, w->path) != 0)
    w->number = errno;
  int status = IMGREC_OK;
  if (w->number != 0) {
    status = fail_errno(e, w->number, "write", w->path);
    unlink(w->temporary);
  } else {
    /* temporary has the same folder, and is not needed any more */
    w->number = sync_folder(w->temporary);
    if (w->number != 0)
      status = fail_errno(e, w->number, "secure the folder of", w->path);
  }
  free_writer(w);
  return status;
}

void imgrec__writer_abort(struct file_writer *w) {
  if (w == NULL)
    return;
  close(w->fd);
  unlink(w->temporary);
  free_writer(w);
}
