/* SPDX-License-Identifier: MIT */
/* What tests use of POSIX that mingw-w64 has by other names, or Windows not at
 * all: then the test that asks for it is skipped.  Included before all else by
 * -include. */
#ifndef POSIX_H
#define POSIX_H

#include <direct.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>

#define mkdir(path, mode)    _mkdir(path)
#define realpath(path, full) _fullpath(full, path, 1024)

/* Of folders too. */
static inline int remove_any(const char *path) {
  return remove(path) == 0 ? 0 : _rmdir(path);
}
#define remove(path) remove_any(path)

/* mingw's rounds twice; this one is the processor's. */
__attribute__((target("fma"))) static inline float fused(float a, float b,
                                                         float c) {
  return __builtin_fmaf(a, b, c);
}
#define fmaf(a, b, c) fused(a, b, c)

#define mkfifo(path, mode) (skip(), 0)
#define chmod(path, mode)  (skip(), 0)
#define symlink(to, path)  (skip(), 0)
#define geteuid()          (skip(), 0U)
#define seteuid(user)      ((void)(user), 0)
#define fork()             (skip(), 0)
#define waitpid(child, status, how)                                            \
  ((void)(child), (void)(status), (void)(how), -1)
#define kill(child, signal) ((void)(child), -1)
#define WIFSIGNALED(status) ((status) != 0)
#define SIGKILL             9
#define SIGXFSZ             SIGTERM
#define fsync(fd)           (skip(), (void)(fd), 0)
typedef unsigned uid_t;

struct rusage {
  struct {
    long tv_sec, tv_usec;
  } ru_utime, ru_stime;
};
#define RUSAGE_SELF           0
#define getrusage(who, usage) ((void)(usage), skip(), -1)

enum { RLIMIT_FSIZE, RLIMIT_AS };
struct rlimit {
  unsigned long rlim_cur, rlim_max;
};
#define getrlimit(what, limit)                                                 \
  ((void)(what), *(limit) = (struct rlimit){0, 0}, skip(), -1)
#define setrlimit(what, limit) ((void)(what), (void)(limit), -1)

#endif
