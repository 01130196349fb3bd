/* SPDX-License-Identifier: MIT */
/* Floor 0: all that the library wants of an operating system.  It is in
 * system_posix.c and system_windows.c, each of which is empty elsewhere.
 *
 * Paths are UTF-8.  What can fail returns 0 or a number of the system's own,
 * which imgrec__system_reason() puts into words. */
#ifndef IMGREC_SYSTEM_H
#define IMGREC_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#if !defined(_WIN32)
#include <pthread.h>
#endif

/* ---- Memory ------------------------------------------------------------- */

/* For small blocks, and for large ones that are zero; `align` is a power of
 * two.  NULL when there is no more. */
void *imgrec__system_alloc(size_t size, size_t align);
void imgrec__system_free(void *p);
/* Aligned to 64 at least. */
void *imgrec__system_map(size_t size);
void imgrec__system_unmap(void *p, size_t size);

/* ---- Threads ------------------------------------------------------------ */

#if defined(_WIN32)
struct lock {
  void *state; /* an SRWLOCK */
};
struct condition {
  void *state; /* a CONDITION_VARIABLE */
};
#else
struct lock {
  pthread_mutex_t mutex;
};
struct condition {
  pthread_cond_t cond;
};
#endif

void imgrec__lock_init(struct lock *l);
void imgrec__lock_destroy(struct lock *l);
void imgrec__lock(struct lock *l);
void imgrec__unlock(struct lock *l);

void imgrec__condition_init(struct condition *c);
void imgrec__condition_destroy(struct condition *c);
/* May return without a signal. */
void imgrec__condition_wait(struct condition *c, struct lock *l);
void imgrec__condition_signal(struct condition *c);
void imgrec__condition_broadcast(struct condition *c);

struct thread {
  void (*run)(void *arg);
  void *arg;
#if defined(_WIN32)
  void *handle;
#else
  pthread_t id;
#endif
};

/* Runs run(arg), on a thread that takes no signal: those are for the host's.
 * `t` stays in place until it is joined.  1, or 0 where the system refuses. */
int imgrec__thread_start(struct thread *t, void (*run)(void *arg), void *arg);
void imgrec__thread_join(struct thread *t);

/* Processors that this process may use, >= 1. */
int imgrec__system_processors(void);

/* ---- Time ---------------------------------------------------------------- */

/* Nanoseconds since some moment, which nobody sets back. */
uint64_t imgrec__system_clock(void);

/* ---- Files -------------------------------------------------------------- */

enum { FILE_REGULAR, FILE_FOLDER, FILE_LINK, FILE_OTHER };

struct file_info {
  int kind; /* FILE_*; a link only where they are not followed */
  uint64_t size;
};

/* What imgrec__file_create says of a name that is taken: no system's number. */
#define IMGREC__EXISTS (-1)

/* An IMGREC_ERR_* and words for a failure; words are NULL for one that has
 * none. */
int imgrec__system_reason(int number, const char **words);

/* By way of links. */
int imgrec__path_info(const char *path, struct file_info *out);
/* each(user, name, kind) for all in a folder but "." and "..", in no order,
 * until it returns 0. */
int imgrec__folder_list(const char *folder,
                        int (*each)(void *user, const char *name, int kind),
                        void *user);
/* Where it fails nothing is to be done about it. */
void imgrec__path_remove(const char *path);
/* `from`, which is beside it, takes the place of what is at `to`. */
int imgrec__path_replace(const char *from, const char *to);
/* Makes the name of a file last. */
int imgrec__path_sync(const char *path);
/* Asks for a file to be read into the system's cache. */
void imgrec__path_ahead(const char *path);

/* Whether a path does not depend on the working directory; the length of a
 * path's part in front of its last name, with what separates the two. */
int imgrec__path_absolute(const char *path);
size_t imgrec__folder_length(const char *path);

/* Opens for reading, be it a folder or a device; never waits. */
int imgrec__file_open(intptr_t *out, const char *path);
/* Creates for writing what is not there. */
int imgrec__file_create(intptr_t *out, const char *path);
int imgrec__file_info(intptr_t file, struct file_info *out);
/* Up to n bytes, n <= 1 GiB; *done is 0 at the end of the file. */
int imgrec__file_get(intptr_t file, void *bytes, size_t n, size_t *done);
int imgrec__file_put(intptr_t file, const void *bytes, size_t n, size_t *done);
/* Safe on disk, where the file system knows of such. */
int imgrec__file_sync(intptr_t file);
int imgrec__file_close(intptr_t file);

/* This process's number. */
long imgrec__system_process(void);

#endif
