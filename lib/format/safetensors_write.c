/* SPDX-License-Identifier: MIT */
/* Writer of model files.  The same model gives the same bytes: tensors in the
 * model's order, no spaces but those that align the data to 8 bytes. */
#include "format/format.h"

#include <inttypes.h>

/* ---- data --------------------------------------------------------------- */

/* Weights go through a piece on their way to the file's layout, of sixteen of
 * the file's rows if that is a bearable size: so many are fast to transpose. */
static size_t piece_floats(const struct param *p) {
  size_t rows = 16 * (p->count / (size_t)p->dim[0]);
  size_t bearable = min_size(max_size(rows, (size_t)1 << 14), (size_t)1 << 21);
  return min_size(bearable, p->count);
}

static size_t largest_piece(const struct graph *g) {
  const struct param *p;
  struct cursor at = {0, 0};
  size_t largest = 0;
  while ((p = imgrec__next_param(g, &at)) != NULL)
    largest = max_size(largest, piece_floats(p));
  return largest;
}

typedef void (*sink_fn)(void *sink, const void *bytes, size_t n);

static void hash_bytes(void *sink, const void *bytes, size_t n) {
  imgrec__sha256_update(sink, bytes, n);
}

static void write_bytes(void *sink, const void *bytes, size_t n) {
  imgrec__writer_write(sink, bytes, n);
}

/* Gives the data section to `sink`, piece by piece. */
static int export_data(const struct imgrec_model *m, sink_fn give, void *sink) {
  struct imgrec_context *ctx = m->context;
  const struct param *p;
  struct cursor at = {0, 0};
  float *piece = imgrec__alloc_array(&ctx->allocator, largest_piece(&m->graph),
                                     sizeof *piece);
  if (piece == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "a piece of the weights");
  while ((p = imgrec__next_param(&m->graph, &at)) != NULL)
    for (size_t first = 0; first < p->count; first += piece_floats(p)) {
      size_t n = min_size(piece_floats(p), p->count - first);
      imgrec__param_export(p, p->data, first, n, piece);
      give(sink, piece, n * sizeof *piece);
    }
  imgrec__free(&ctx->allocator, piece);
  return IMGREC_OK;
}

int imgrec__safetensors_hash(const struct imgrec_model *m, char hex[65]) {
  struct sha256 s;
  imgrec__sha256_init(&s);
  int status = export_data(m, hash_bytes, &s);
  imgrec__sha256_hex(&s, hex);
  return status;
}

/* ---- header ------------------------------------------------------------- */

static void write_tensor(struct text *t, const struct param *p,
                         uint64_t begin) {
  imgrec__text_string(t, ",");
  imgrec__text_json_string(t, p->name);
  imgrec__text_string(t, ":{\"dtype\":\"F32\",\"shape\":[");
  for (int i = 0; i < p->ndim; i++)
    imgrec__text_add(t, "%s%" PRId64, i == 0 ? "" : ",", p->dim[i]);
  imgrec__text_add(t, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin,
                   begin + p->count * sizeof(float));
}

static int write_header(struct text *t, const struct imgrec_model *m,
                        const char *metadata) {
  struct imgrec_context *ctx = m->context;
  const struct param *p;
  struct cursor at = {0, 0};
  uint64_t begin = 0;
  imgrec__text_string(t, "{\"__metadata__\":");
  imgrec__text_string(t, metadata);
  while ((p = imgrec__next_param(&m->graph, &at)) != NULL) {
    write_tensor(t, p, begin);
    begin += p->count * sizeof(float);
  }
  imgrec__text_string(t, "}");
  while (t->length % 8 != 0 && !t->failed)
    imgrec__text_string(t, " ");
  if (t->failed)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the header of the model file");
  if (t->length > FORMAT_HEADER_MAX)
    return imgrec__fail(&ctx->error, IMGREC_ERR_LIMIT,
                        "the model's labels and names need a header of %zu "
                        "bytes; a file has %d at most",
                        t->length, (int)FORMAT_HEADER_MAX);
  return IMGREC_OK;
}

/* ---- file --------------------------------------------------------------- */

static int write_file(const struct imgrec_model *m, const struct text *header,
                      const char *path) {
  struct imgrec_context *ctx = m->context;
  struct file_writer *w = NULL;
  uint64_t length = header->length;
  int status = imgrec__writer_open(&w, &ctx->allocator, &ctx->error, path);
  if (status < 0)
    return status;
  imgrec__writer_write(w, &length, sizeof length);
  imgrec__writer_write(w, header->data, header->length);
  status = export_data(m, write_bytes, w);
  if (status < 0) {
    imgrec__writer_abort(w);
    return imgrec__fail_prefix(&ctx->error, status, "%s", path);
  }
  return imgrec__writer_commit(w, &ctx->error);
}

int imgrec__safetensors_write(const struct imgrec_model *m,
                              const char *metadata, const char *path) {
  struct text header;
  imgrec__text_init(&header, &m->context->allocator);
  int status = write_header(&header, m, metadata);
  if (status < 0)
    imgrec__fail_prefix(&m->context->error, status, "%s", path);
  else
    status = write_file(m, &header, path);
  imgrec__text_free(&header);
  return status;
}
