/* SPDX-License-Identifier: MIT */
/* Whether the system has a file in memory, for tests; include after cmocka.h.
 */
#ifndef PAGE_CACHE_H
#define PAGE_CACHE_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(_WIN32)
/* There is no asking. */
static inline int resident(const char *path) {
  (void)path;
  skip();
}
static inline int forget(const char *path) { return resident(path); }
static inline int becomes_resident(const char *path) { return resident(path); }
#else

/* 1 when the first page of `path` is in memory. */
static inline int resident(const char *path) {
  unsigned char in_memory = 0;
  int fd = open(path, O_RDONLY);
  assert_true(fd >= 0);
  void *p = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
  assert_true(p != MAP_FAILED);
  assert_int_equal(mincore(p, 1, &in_memory), 0);
  munmap(p, 1);
  close(fd);
  return in_memory & 1;
}

/* Makes the system forget a file; 0 where it does not (in memory alone). */
static inline int forget(const char *path) {
  int fd = open(path, O_RDONLY);
  assert_true(fd >= 0);
  fsync(fd);
  (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
  return !resident(path);
}

/* Waits up to ten seconds for it. */
static inline int becomes_resident(const char *path) {
  struct timespec ms = {0, 1000000};
  for (int i = 0; i < 10000 && !resident(path); i++)
    nanosleep(&ms, NULL);
  return resident(path);
}
#endif

#endif
