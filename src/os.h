/* SPDX-License-Identifier: MIT */
/* What the command wants of an operating system and C does not have; in
 * os_posix.c and os_windows.c, each of which is empty elsewhere.  Paths are
 * UTF-8; what fails says why in errno. */
#ifndef IMGREC_OS_H
#define IMGREC_OS_H

#include <stdint.h>
#include <stdio.h>

/* First of all: standard streams that can be relied on.  Returns the arguments
 * in UTF-8. */
char **os_begin(int *argc, char **argv);

/* ---- Files -------------------------------------------------------------- */

/* fopen(), the bytes being what they are. */
FILE *os_open(const char *path, const char *mode);
/* What was written so far is on disk then; 0, or -1. */
int os_sync(FILE *f);
/* Until it is closed no other process gets it; 0 when one has it. */
int os_lock(FILE *f);
/* Takes the place of what is at `to`; 0, or -1. */
int os_replace(const char *from, const char *to);
int os_remove(const char *path);
/* 0 when it is there then, or -1. */
int os_make_folder(const char *path);

enum { OS_NONE, OS_FILE, OS_FOLDER, OS_OTHER };
int os_kind(const char *path);
/* Bytes of a file, 0 where that is not known. */
int64_t os_size(const char *path);
/* Whether files can be made in a folder. */
int os_writable(const char *folder);
/* each(user, name) for all that is in it. */
void os_list(const char *folder, void (*each)(void *user, const char *name),
             void *user);
/* The length of what is in front of a path's last name. */
size_t os_folder_length(const char *path);
/* The path from the root, whatever is there, for free(); NULL. */
char *os_full_path(const char *path);

/* What put() prints, for free(); NULL. */
char *os_print(void (*put)(FILE *f, void *user), void *user);

/* ---- Terminal ----------------------------------------------------------- */

int os_is_terminal(FILE *f);
/* Of the terminal that stderr is. */
int os_columns(void);

/* Ctrl-C and the like, from catch to release: the first is remembered, the
 * second ends the process. */
void catch_stop_signals(void);
void release_stop_signals(void);
/* The signal that came, or 0. */
int stop_signal(void);

/* ---- The machine -------------------------------------------------------- */

int os_processors(void);
/* Bytes, 0 where that is not known. */
uint64_t os_memory(void);
uint64_t os_last_cache(void);
uint64_t os_peak_memory(void);
/* Memory in large pages, where the system has such; NULL. */
void *os_map(size_t size);
void os_unmap(void *p, size_t size);

#endif
