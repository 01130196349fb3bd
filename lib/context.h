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
  imgrec_clock_fn clock;
  void *clock_user;
  /* Scratch of each worker, IMGREC__WORKSPACE bytes from worker to worker. */
  char *workspace;
};

/* Holds one worker's packed panels of a matrix product (gemm.c). */
#define IMGREC__WORKSPACE ((size_t)1024 * 1024)

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
