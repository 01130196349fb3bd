/* SPDX-License-Identifier: MIT */
/* A model from a file, from memory, and into a file. */
#include "format/format.h"

#include <string.h>

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

/* ---- Saving ------------------------------------------------------------- */

static int write_all(const struct imgrec_model *m, const struct checkpoint *c,
                     sink_fn give, void *sink) {
  struct text metadata;
  uint64_t fp = imgrec__fp_enter();
  imgrec__text_init(&metadata, &m->context->allocator);
  int status = imgrec__metadata_write(&metadata, m, c);
  if (status >= 0)
    status = imgrec__safetensors_write(m, c, metadata.data, give, sink);
  imgrec__text_free(&metadata);
  imgrec__fp_leave(fp);
  return status;
}

static void write_bytes(void *sink, const void *bytes, size_t n) {
  imgrec__writer_write(sink, bytes, n);
}

int imgrec__model_write(const struct imgrec_model *m,
                        const struct checkpoint *c, const char *path) {
  struct imgrec_context *ctx = m->context;
  struct file_writer *w = NULL;
  int status = imgrec__model_at_rest(m);
  if (status >= 0)
    status = imgrec__writer_open(&w, &ctx->allocator, &ctx->error, path);
  if (status < 0)
    return status;
  status = write_all(m, c, write_bytes, w);
  if (status < 0) {
    imgrec__writer_abort(w);
    return imgrec__fail_prefix(&ctx->error, status, "%s", path);
  }
  return imgrec__writer_commit(w, &ctx->error);
}

int imgrec_model_save(const imgrec_model *model, const char *path) {
  if (model == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (path == NULL)
    return imgrec__fail(&model->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_save: path is NULL");
  return imgrec__model_write(model, NULL, path);
}

/* Counts what there is, and keeps it where there is a place. */
struct memory {
  unsigned char *bytes;
  uint64_t size;
};

static void keep_bytes(void *sink, const void *bytes, size_t n) {
  struct memory *m = sink;
  if (m->bytes != NULL)
    memcpy(m->bytes + m->size, bytes, n);
  m->size += n;
}

int imgrec_model_save_memory(const imgrec_model *model, void *buffer,
                             uint64_t capacity, uint64_t *size) {
  struct memory all = {NULL, 0}, kept = {buffer, 0};
  if (model == NULL)
    return IMGREC_ERR_ARGUMENT;
  struct error *e = &model->context->error;
  if (size == NULL)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_save_memory: size is NULL");
  int status = imgrec__model_at_rest(model);
  if (status >= 0)
    status = write_all(model, NULL, keep_bytes, &all);
  if (status >= 0 && buffer != NULL && capacity < all.size)
    status = imgrec__fail(e, IMGREC_ERR_LIMIT,
                          "imgrec_model_save_memory: the model takes %llu "
                          "bytes; the buffer has %llu",
                          (unsigned long long)all.size,
                          (unsigned long long)capacity);
  else if (status >= 0 && buffer != NULL)
    status = write_all(model, NULL, keep_bytes, &kept);
  if (status >= 0)
    *size = all.size;
  return status;
}
