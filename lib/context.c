/* SPDX-License-Identifier: MIT */
/* The context: the host's hooks, the kernels in use, the workers' scratch. */
#include "context.h"

#include <stdio.h>

#define MAX_THREADS 256

int imgrec_context_options_init(imgrec_context_options *options,
                                size_t struct_size) {
  const imgrec_context_options defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(options, struct_size, &defaults, sizeof defaults);
}

/* The table asked for, or with IMGREC_ISA_AUTO the best one that both this
 * build and this CPU have. */
static int choose_kernels(struct imgrec_context *ctx, int isa) {
  int best = imgrec__cpu_isa();
  if (isa < IMGREC_ISA_AUTO || isa > IMGREC_ISA_NEON)
    return IMGREC_ERR_ARGUMENT;
  if (isa > best)
    return IMGREC_ERR_UNSUPPORTED;
  if (isa == IMGREC_ISA_AUTO) {
    isa = best;
    while (isa > IMGREC_ISA_SCALAR && imgrec__kernels_for(isa) == NULL)
      isa--;
  }
  ctx->isa = isa;
  ctx->kernels = imgrec__kernels_for(isa);
  return ctx->kernels != NULL ? IMGREC_OK : IMGREC_ERR_UNSUPPORTED;
}

static int start_workers(struct imgrec_context *ctx,
                         const imgrec_context_options *o) {
  int threads = o->threads;
  if (threads < 0 || threads > MAX_THREADS)
    return IMGREC_ERR_ARGUMENT;
  if (threads == 0)
    threads = imgrec__system_processors();
  ctx->threads = threads < MAX_THREADS ? threads : MAX_THREADS;
  ctx->workspace = imgrec__alloc_array(&ctx->allocator, (size_t)ctx->threads,
                                       IMGREC__WORKSPACE);
  if (ctx->workspace == NULL)
    return imgrec__fail_memory(NULL, &ctx->allocator, "the workspace");
  return imgrec__pool_create(&ctx->pool, &ctx->allocator, ctx->threads,
                             o->parallel, o->parallel_user);
}

/* The context is its allocator's first block and the last to be freed, so the
 * allocator moves into it, and out again in free_context. */
static int new_context(struct imgrec_context **out,
                       const imgrec_context_options *o) {
  struct allocator first;
  int status = imgrec__allocator_init(&first, o->alloc, o->free, o->alloc_user,
                                      o->max_bytes);
  if (status < 0)
    return status;
  struct imgrec_context *ctx = imgrec__alloc_zero(&first, sizeof *ctx);
  if (ctx == NULL) {
    status = imgrec__fail_memory(NULL, &first, "the context");
    imgrec__allocator_destroy(&first);
    return status;
  }
  imgrec__allocator_move(&ctx->allocator, &first);
  atomic_init(&ctx->references, 1);
  ctx->log = o->log;
  ctx->log_user = o->log_user;
  ctx->decode = o->decode;
  ctx->decode_user = o->decode_user;
  ctx->read = o->read;
  ctx->read_user = o->read_user;
  ctx->clock = o->clock;
  ctx->clock_user = o->clock_user;
  *out = ctx;
  return IMGREC_OK;
}

static void free_context(struct imgrec_context *ctx) {
  struct allocator last;
  imgrec__pool_destroy(ctx->pool);
  imgrec__free(&ctx->allocator, ctx->workspace);
  imgrec__allocator_move(&last, &ctx->allocator);
  imgrec__free(&last, ctx);
  imgrec__allocator_destroy(&last);
}

int imgrec_context_create(imgrec_context **out,
                          const imgrec_context_options *options) {
  imgrec_context_options o = {.struct_size = sizeof o};
  struct imgrec_context *ctx = NULL;
  if (out == NULL)
    return IMGREC_ERR_ARGUMENT;
  int status = imgrec__options_read(NULL, &o, sizeof o, options,
                                    "imgrec_context_options");
  if (status < 0)
    return status;
  status = new_context(&ctx, &o);
  if (status < 0)
    return status;
  status = choose_kernels(ctx, o.isa);
  if (status >= 0)
    status = start_workers(ctx, &o);
  if (status < 0) {
    free_context(ctx);
    return status;
  }
  *out = ctx;
  return IMGREC_OK;
}

void imgrec_context_destroy(imgrec_context *ctx) {
  if (ctx != NULL)
    imgrec__context_release(ctx);
}

void imgrec__context_retain(struct imgrec_context *ctx) {
  atomic_fetch_add(&ctx->references, 1);
}

void imgrec__context_release(struct imgrec_context *ctx) {
  if (atomic_fetch_sub(&ctx->references, 1) == 1)
    free_context(ctx);
}

const char *imgrec_last_error(const imgrec_context *ctx) {
  return ctx != NULL ? ctx->error.text : "";
}

int imgrec_context_isa(const imgrec_context *ctx) { return ctx->isa; }

int imgrec_context_threads(const imgrec_context *ctx) { return ctx->threads; }

uint64_t imgrec_context_bytes(const imgrec_context *ctx) {
  uint64_t peak;
  return imgrec__allocator_used(&ctx->allocator, &peak);
}

uint64_t imgrec_context_peak_bytes(const imgrec_context *ctx) {
  uint64_t peak;
  imgrec__allocator_used(&ctx->allocator, &peak);
  return peak;
}

uint64_t imgrec__clock(const struct imgrec_context *ctx) {
  return ctx->clock ? ctx->clock(ctx->clock_user) : imgrec__system_clock();
}

void imgrec__log(const struct imgrec_context *ctx, int level,
                 const char *format, ...) {
  char line[512];
  va_list args;
  if (ctx->log == NULL)
    return;
  va_start(args, format);
  int n = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (n >= 0)
    ctx->log(ctx->log_user, level, line);
}
