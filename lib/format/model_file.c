/* SPDX-License-Identifier: MIT */
/* A model from a file, from memory, and into a file. */
#include "format/format.h"

#include <fenv.h>

/* Fits the file to its own architecture text before any weight is allocated:
 * a few bytes of text can ask for any number of them. */
static int match_text(struct match *out, struct graph *graph,
                      const struct safetensors *f, struct error *e,
                      const char *arch) {
  int status = imgrec__graph_parse(graph, f->allocator, e, arch);
  if (status < 0)
    return status;
  imgrec__mark_int8(graph, f);
  status = imgrec__match(out, graph, f, e);
  if (status < 0)
    imgrec__graph_free(graph);
  return status == IMGREC_ERR_SHAPE ? IMGREC_ERR_FORMAT : status;
}

static int make_model(struct imgrec_model **out, struct imgrec_context *ctx,
                      const struct safetensors *f, const char *arch,
                      const imgrec_model_options *options, const char *what) {
  struct match match;
  struct graph graph;
  struct imgrec_model *m = NULL;
  int status = match_text(&match, &graph, f, &ctx->error, arch);
  if (status < 0)
    return status;
  status = imgrec__model_from_graph(&m, ctx, &graph, options, 0);
  if (status >= 0)
    status = imgrec__metadata_apply(m, f);
  if (status >= 0)
    status = imgrec__match_import(&match, m, f, what);
  imgrec__match_free(&match);
  if (status < 0)
    imgrec_model_destroy(m);
  else
    *out = m;
  return status;
}

static int read_model(struct imgrec_model **out, struct imgrec_context *ctx,
                      const void *bytes, size_t size,
                      const imgrec_model_options *options, const char *what) {
  struct safetensors f;
  char *arch = NULL;
  int status =
      imgrec__safetensors_parse(&f, &ctx->allocator, &ctx->error, bytes, size);
  if (status < 0)
    return status;
  status = imgrec__metadata_check(&f, &ctx->error);
  if (status >= 0)
    status = imgrec__metadata_arch(&arch, &f, &ctx->error);
  if (status >= 0)
    status = make_model(out, ctx, &f, arch, options, what);
  imgrec__free(&ctx->allocator, arch);
  imgrec__safetensors_free(&f);
  return status;
}

/* `what` is the file, for sentences. */
static int load(struct imgrec_model **out, struct imgrec_context *ctx,
                const void *bytes, size_t size,
                const imgrec_model_options *options, const char *what) {
  uint64_t fp = imgrec__fp_enter();
  int status = read_model(out, ctx, bytes, size, options, what);
  imgrec__fp_leave(fp);
  if (status < 0)
    imgrec__fail_prefix(&ctx->error, status, "%s", what);
  return status;
}

int imgrec_model_load_memory(imgrec_model **out, imgrec_context *ctx,
                             const void *bytes, size_t size,
                             const imgrec_model_options *options) {
  if (ctx == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (out == NULL || bytes == NULL)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_load_memory: out or bytes is NULL");
  return load(out, ctx, bytes, size, options, "model in memory");
}

int imgrec_model_load(imgrec_model **out, imgrec_context *ctx, const char *path,
                      const imgrec_model_options *options) {
  struct blob file = {NULL, 0};
  if (ctx == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (out == NULL || path == NULL)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_load: out or path is NULL");
  int status =
      imgrec__read_file(&file, ctx, &ctx->error, path, FORMAT_FILE_MAX);
  if (status < 0)
    return status;
  status = load(out, ctx, file.bytes, file.size, options, path);
  imgrec__blob_free(&file, &ctx->allocator);
  return status;
}

static int save(const struct imgrec_model *m, const struct checkpoint *c,
                const char *path) {
  struct imgrec_context *ctx = m->context;
  struct text metadata;
  imgrec__text_init(&metadata, &ctx->allocator);
  int status = imgrec__metadata_write(&metadata, m, c);
  if (status < 0)
    imgrec__fail_prefix(&ctx->error, status, "%s", path);
  else
    status = imgrec__safetensors_write(m, c, metadata.data, path);
  imgrec__text_free(&metadata);
  return status;
}

int imgrec__model_write(const struct imgrec_model *m,
                        const struct checkpoint *c, const char *path) {
  int status = imgrec__model_at_rest(m);
  if (status < 0)
    return status;
  /* The C library may print numbers as the x87 unit rounds, which is not part
   * of what imgrec__fp_enter sets. */
  uint64_t fp = imgrec__fp_enter();
  int rounding = fegetround();
  fesetround(FE_TONEAREST);
  status = save(m, c, path);
  fesetround(rounding);
  imgrec__fp_leave(fp);
  return status;
}

int imgrec_model_save(const imgrec_model *model, const char *path) {
  if (model == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (path == NULL)
    return imgrec__fail(&model->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_save: path is NULL");
  return imgrec__model_write(model, NULL, path);
}
