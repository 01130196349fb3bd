/* SPDX-License-Identifier: MIT */
/* Floor 1: the context, which every object of the library belongs to. */
#ifndef IMGREC_CONTEXT_H
#define IMGREC_CONTEXT_H

#include <stdatomic.h>

#include "base.h"

struct kernels; /* floor 2 */
/* The table of an IMGREC_ISA_*, NULL where this build has none. */
const struct kernels *imgrec__kernels_for(int isa);

struct imgrec_context {
  /* The creator's and one for each object; atomic, as the last user of shared
   * weights may be on another thread. */
  _Atomic int64_t references;
  struct error error;
  struct allocator allocator;
  struct pool *pool;
  const struct kernels *kernels;
  int isa;
  int threads;
  imgrec_log_fn log;
  void *log_user;
  imgrec_decode_fn decode;
  void *decode_user;
  imgrec_read_fn read; /* NULL: files are the system's */
  void *read_user;
  imgrec_clock_fn clock;
  void *clock_user;
  /* Scratch of each worker, IMGREC__WORKSPACE bytes from worker to worker. */
  char *workspace;
};

/* Holds one worker's packed panels of a matrix product (gemm.c). */
#define IMGREC__WORKSPACE ((size_t)1024 * 1024)

/* ---- read.c: files by the host's read callback, or the system's ---------- */

/* As imgrec__path_info, what a host has being files. */
int imgrec__read_info(const struct imgrec_context *ctx, const char *path,
                      struct file_info *out);
/* A whole file of at most `limit` bytes; _gz unpacks what is packed, in at most
 * as many.  A host's files are read on the calling thread only. */
int imgrec__read_file(struct blob *out, struct imgrec_context *ctx,
                      struct error *e, const char *path, uint64_t limit);
int imgrec__read_file_gz(struct blob *out, struct imgrec_context *ctx,
                         const char *path, uint64_t limit);
/* As imgrec__file_head. */
int imgrec__read_head(const struct imgrec_context *ctx, struct error *e,
                      const char *path, void *buffer, size_t n,
                      size_t *out_size);

/* ---- context.c ----------------------------------------------------------- */

void imgrec__context_retain(struct imgrec_context *ctx);
void imgrec__context_release(struct imgrec_context *ctx);
static inline void *imgrec__workspace(const struct imgrec_context *ctx,
                                      int worker) {
  return ctx->workspace + (size_t)worker * IMGREC__WORKSPACE;
}
/* Nanoseconds since some moment. */
uint64_t imgrec__clock(const struct imgrec_context *ctx);
/* Does nothing without a log hook. */
void imgrec__log(const struct imgrec_context *ctx, int level,
                 const char *format, ...) PRINTF_LIKE(3, 4);

#endif
