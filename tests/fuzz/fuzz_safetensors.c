/* SPDX-License-Identifier: MIT */
/* Fuzz target: any bytes as a model file.
 *
 *   clang -fsanitize=fuzzer,address,undefined -Iinclude -Ilib ...
 *
 * With IMGREC_FUZZ_STANDALONE it is a program that replays files and folders.
 */
#include <stdlib.h>

#include "format/format.h"

#define MEMORY ((uint64_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static imgrec_context *make_context(void) {
  imgrec_context *ctx = NULL;
  imgrec_context_options o;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.max_bytes = MEMORY;
  if (imgrec_context_create(&ctx, &o) < 0)
    abort();
  return ctx;
}

/* One image through it, and its bytes. */
static void run_and_save(imgrec_model *m) {
  char hex[65];
  const struct graph *g = &m->graph;
  size_t count = shape_count(&g->nodes[0].out);
  float *x = calloc(count, sizeof *x);
  if (x != NULL && count < 100000 && g->node_count < 50)
    imgrec__model_run(m, x, 1, g->output);
  free(x);
  imgrec__safetensors_hash(m, NULL, hex);
}

/* The same as a load, but past the hashes, which no mutation gets right. */
static void load_unchecked(imgrec_context *ctx, const struct safetensors *f) {
  const imgrec_model_options options = {.struct_size = sizeof options,
                                        .max_batch = 1};
  imgrec_model *m = NULL;
  struct match match;
  struct graph graph;
  char *arch = NULL;
  imgrec__metadata_check(f, &ctx->error);
  if (imgrec__metadata_arch(&arch, f, &ctx->error) < 0)
    return;
  int status = imgrec__graph_parse(&graph, &ctx->allocator, &ctx->error, arch);
  imgrec__free(&ctx->allocator, arch);
  if (status < 0)
    return;
  imgrec__mark_int8(&graph, f);
  int matched = imgrec__match(&match, &graph, f, &ctx->error) == 0;
  if (imgrec__model_from_graph(&m, ctx, &graph, &options, 0) == 0) {
    imgrec__metadata_apply(m, f);
    if (matched && imgrec__match_import(&match, m, f, "fuzz") == 0)
      run_and_save(m);
  }
  if (matched)
    imgrec__match_free(&match);
  imgrec_model_destroy(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  imgrec_context *ctx = make_context();
  uint64_t before = imgrec_context_bytes(ctx);
  imgrec_model *m = NULL;
  struct safetensors f;
  if ((imgrec_model_load_memory(&m, ctx, bytes, size, NULL) < 0) != (m == NULL))
    abort();
  imgrec_model_destroy(m);
  if (imgrec__safetensors_parse(&f, &ctx->allocator, &ctx->error, bytes,
                                size) == 0) {
    load_unchecked(ctx, &f);
    imgrec__safetensors_free(&f);
  }
  if (imgrec_context_bytes(ctx) != before)
    abort();
  imgrec_context_destroy(ctx);
  return 0;
}

#ifdef IMGREC_FUZZ_STANDALONE
#include "replay.h"
#endif
