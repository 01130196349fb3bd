/* SPDX-License-Identifier: MIT */
/* Memory, threads and files of Unix.  errno is the host's: whatever may set it
 * here puts it back. */
#if defined(__linux__)
#define _GNU_SOURCE /* sched_getaffinity */
#endif

#include "base.h"

#if !defined(_WIN32)

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The number of a failure, 0 for none, once errno is `kept` again. */
static int leave(int kept, int failed) {
  int number = failed ? errno : 0;
  errno = kept;
  return number;
}

/* ---- Memory ------------------------------------------------------------- */

void *imgrec__system_alloc(size_t size, size_t align) {
  int kept = errno;
  void *p = aligned_alloc(align, round_up(size, align));
  errno = kept;
  return p;
}

void imgrec__system_free(void *p) {
  int kept = errno;
  free(p);
  errno = kept;
}

#if defined(__EMSCRIPTEN__) /* whose mappings are blocks of malloc() */

void *imgrec__system_map(size_t size) {
  void *p = imgrec__system_alloc(size, 64);
  if (p != NULL)
    memset(p, 0, size);
  return p;
}

void imgrec__system_unmap(void *p, size_t size) {
  (void)size;
  imgrec__system_free(p);
}

#else

/* In huge pages where the system grants them: their first touch is four times
 * as fast. */
#define HUGE_PAGE ((size_t)2 << 20)

void *imgrec__system_map(size_t size) {
  int kept = errno;
  size = round_up(size, HUGE_PAGE);
  char *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    errno = kept;
    return NULL;
  }
  size_t front = round_up((uintptr_t)p, HUGE_PAGE) - (uintptr_t)p;
  if (front != 0)
    munmap(p, front);
  munmap(p + front + size, HUGE_PAGE - front);
#ifdef MADV_HUGEPAGE
  (void)madvise(p + front, size, MADV_HUGEPAGE); /* only a wish */
#endif
  errno = kept;
  return p + front;
}

void imgrec__system_unmap(void *p, size_t size) {
  int kept = errno;
  munmap(p, round_up(size, HUGE_PAGE));
  errno = kept;
}

#endif

/* ---- Threads ------------------------------------------------------------ */

void imgrec__lock_init(struct lock *l) {
  static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  l->mutex = fresh;
}

void imgrec__lock_destroy(struct lock *l) { pthread_mutex_destroy(&l->mutex); }

void imgrec__lock(struct lock *l) { pthread_mutex_lock(&l->mutex); }

void imgrec__unlock(struct lock *l) { pthread_mutex_unlock(&l->mutex); }

void imgrec__condition_init(struct condition *c) {
  static const pthread_cond_t fresh = PTHREAD_COND_INITIALIZER;
  c->cond = fresh;
}

void imgrec__condition_destroy(struct condition *c) {
  pthread_cond_destroy(&c->cond);
}

void imgrec__condition_wait(struct condition *c, struct lock *l) {
  pthread_cond_wait(&c->cond, &l->mutex);
}

void imgrec__condition_signal(struct condition *c) {
  pthread_cond_signal(&c->cond);
}

void imgrec__condition_broadcast(struct condition *c) {
  pthread_cond_broadcast(&c->cond);
}

static void *run_thread(void *arg) {
  struct thread *t = arg;
  t->run(t->arg);
  return NULL;
}

int imgrec__thread_start(struct thread *t, void (*run)(void *arg), void *arg) {
  int kept = errno;
  sigset_t all, old;
  sigfillset(&all);
  t->run = run;
  t->arg = arg;
  if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0)
    return 0;
  int number = pthread_create(&t->id, NULL, run_thread, t);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  errno = kept;
  return number == 0;
}

void imgrec__thread_join(struct thread *t) { pthread_join(t->id, NULL); }

int imgrec__system_processors(void) {
  int kept = errno;
  long n = 0;
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    n = CPU_COUNT(&set);
#endif
  if (n < 1)
    n = sysconf(_SC_NPROCESSORS_ONLN);
  errno = kept;
  return n < 1 ? 1 : n > INT32_MAX ? INT32_MAX : (int)n;
}

/* ---- Time ---------------------------------------------------------------- */

uint64_t imgrec__system_clock(void) {
  struct timespec t = {0, 0};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- Failures ----------------------------------------------------------- */

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
int imgrec__system_reason(int number, const char **words) {
  *words = NULL;
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (reasons[i].number == number) {
      *words = reasons[i].words;
      return reasons[i].status;
    }
  return IMGREC_ERR_IO;
}

/* ---- Paths -------------------------------------------------------------- */

static struct file_info info_of(const struct stat *st) {
  mode_t mode = st->st_mode;
  int kind = S_ISREG(mode)   ? FILE_REGULAR
             : S_ISDIR(mode) ? FILE_FOLDER
             : S_ISLNK(mode) ? FILE_LINK
                             : FILE_OTHER;
  return (struct file_info){kind, (uint64_t)st->st_size};
}

int imgrec__path_info(const char *path, struct file_info *out) {
  int kept = errno;
  struct stat st;
  int number = leave(kept, stat(path, &st) != 0);
  if (number == 0)
    *out = info_of(&st);
  return number;
}

/* Asks the file system only where the folder itself does not tell; what is
 * gone by then counts as a file, and reading it will say so. */
static int entry_kind(DIR *dir, const struct dirent *d) {
  struct stat st;
  switch (d->d_type) {
  case DT_REG:
    return FILE_REGULAR;
  case DT_DIR:
    return FILE_FOLDER;
  case DT_LNK:
    return FILE_LINK;
  case DT_UNKNOWN:
    break;
  default:
    return FILE_OTHER;
  }
  if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return FILE_REGULAR;
  return info_of(&st).kind;
}

int imgrec__folder_list(const char *folder,
                        int (*each)(void *user, const char *name, int kind),
                        void *user) {
  int kept = errno;
  DIR *dir = opendir(folder);
  const struct dirent *d;
  int number = dir == NULL ? errno : 0, more = 1;
  while (dir != NULL && more && (errno = 0, d = readdir(dir)) != NULL)
    if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
      more = each(user, d->d_name, entry_kind(dir, d));
  if (dir != NULL && more)
    number = errno;
  if (dir != NULL)
    closedir(dir);
  errno = kept;
  return number;
}

void imgrec__path_remove(const char *path) {
  int kept = errno;
  unlink(path);
  errno = kept;
}

int imgrec__path_replace(const char *from, const char *to) {
  int kept = errno;
  return leave(kept, rename(from, to) != 0);
}

int imgrec__path_absolute(const char *path) { return path[0] == '/'; }

size_t imgrec__folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

/* A folder that may be written but not read cannot be opened for it; then the
 * file is in place all the same. */
int imgrec__path_sync(const char *path) {
  char folder[4096] = ".";
  size_t n = imgrec__folder_length(path);
  if (n >= sizeof folder)
    return ENAMETOOLONG;
  if (n > 0)
    memcpy(folder, path, n), folder[n] = '\0';
  int kept = errno;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int number = leave(kept, fd < 0);
  if (fd < 0)
    return number == EACCES ? 0 : number;
  number = imgrec__file_sync(fd);
  imgrec__file_close(fd);
  return number;
}

/* O_NONBLOCK: a pipe without a writer must not hang us. */
#define READING (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

void imgrec__path_ahead(const char *path) {
#ifdef POSIX_FADV_WILLNEED
  intptr_t fd;
  if (imgrec__file_open(&fd, path) != 0)
    return;
  (void)posix_fadvise((int)fd, 0, 0, POSIX_FADV_WILLNEED);
  imgrec__file_close(fd);
#else
  (void)path;
#endif
}

/* ---- Files -------------------------------------------------------------- */

int imgrec__file_open(intptr_t *out, const char *path) {
  int kept = errno;
  int fd = open(path, READING);
  *out = fd;
  return leave(kept, fd < 0);
}

int imgrec__file_create(intptr_t *out, const char *path) {
  int kept = errno;
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  int number = leave(kept, fd < 0);
  *out = fd;
  return number == EEXIST ? IMGREC__EXISTS : number;
}

int imgrec__file_info(intptr_t file, struct file_info *out) {
  int kept = errno;
  struct stat st;
  int number = leave(kept, fstat((int)file, &st) != 0);
  if (number == 0)
    *out = info_of(&st);
  return number;
}

int imgrec__file_get(intptr_t file, void *bytes, size_t n, size_t *done) {
  int kept = errno;
  ssize_t got;
  do
    got = read((int)file, bytes, n);
  while (got < 0 && errno == EINTR);
  *done = got < 0 ? 0 : (size_t)got;
  return leave(kept, got < 0);
}

int imgrec__file_put(intptr_t file, const void *bytes, size_t n, size_t *done) {
  int kept = errno;
  ssize_t put;
  do
    put = write((int)file, bytes, n);
  while (put < 0 && errno == EINTR);
  *done = put < 0 ? 0 : (size_t)put;
  return leave(kept, put < 0);
}

/* Some file systems have no fsync: they say EINVAL. */
int imgrec__file_sync(intptr_t file) {
  int kept = errno, result;
  do
    result = fsync((int)file);
  while (result != 0 && errno == EINTR);
  int number = leave(kept, result != 0);
  return number == EINVAL ? 0 : number;
}

int imgrec__file_close(intptr_t file) {
  int kept = errno;
  int number = leave(kept, close((int)file) != 0);
  return number == EINTR ? 0 : number;
}

long imgrec__system_process(void) { return (long)getpid(); }

#endif
