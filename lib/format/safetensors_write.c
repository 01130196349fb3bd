/* SPDX-License-Identifier: MIT */
/* Writer of model files.  The same model gives the same bytes: tensors in the
 * model's order, no spaces but those that align the data to 8 bytes. */
#include "format/format.h"

#include <inttypes.h>
#include <string.h>

/* ---- order -------------------------------------------------------------- */

/* A tensor of the file: values of a parameter, or what stands beside them. */
struct part {
  const struct param *p;
  const float *values;
  const struct attachment *attached; /* NULL: the model's own */
  int side;                          /* enum side; -1: the values */
  const char *type;
  size_t size; /* bytes an element */
};

static struct part make_part(const struct param *p, int side, const char *type,
                             size_t size) {
  return (struct part){
      .p = p, .values = p->data, .side = side, .type = type, .size = size};
}

static struct part part_of(int weight_type, const struct param *p, int side) {
  if (side == SIDE_INPUT_ZERO)
    return make_part(p, side, "U8", 1);
  if (side < 0 && p->int8)
    return make_part(p, side, "I8", 1);
  if (side < 0 && imgrec__is_weight(p) && weight_type == IMGREC_WEIGHTS_F16)
    return make_part(p, side, "F16", 2);
  if (side < 0 && imgrec__is_weight(p) && weight_type == IMGREC_WEIGHTS_BF16)
    return make_part(p, side, "BF16", 2);
  return make_part(p, side, "F32", 4);
}

/* The parts in the order of the file: by size, so that each is aligned, then
 * as the model has them; those of a checkpoint behind the model's own, all of
 * them F32. */
struct order {
  const struct imgrec_model *model;
  const struct checkpoint *checkpoint;
  struct cursor at, attached_at;
  size_t attached;
  const struct param *p;
  int side, weight_type;
  size_t size;
};

static struct order order_of(const struct imgrec_model *m,
                             const struct checkpoint *c) {
  return (struct order){.model = m,
                        .checkpoint = c,
                        .side = SIDE_COUNT,
                        .weight_type =
                            c != NULL ? IMGREC_WEIGHTS_F32 : m->weight_type,
                        .size = 4};
}

/* The next part of any size; 0 at the end. */
static int next_any(struct order *o, struct part *part) {
  int sides = o->p != NULL && o->p->int8 ? SIDE_COUNT : 0;
  if (++o->side >= sides) {
    o->p = imgrec__next_param(&o->model->graph, &o->at);
    o->side = -1;
  }
  if (o->p != NULL)
    *part = part_of(o->weight_type, o->p, o->side);
  return o->p != NULL;
}

static int next_attached(struct order *o, struct part *part) {
  const struct checkpoint *c = o->checkpoint;
  const struct param *p;
  for (; c != NULL && o->attached < c->count; o->attached++) {
    const struct attachment *a = &c->attached[o->attached];
    while ((p = imgrec__next_param(&o->model->graph, &o->attached_at)) !=
           NULL) {
      *part = make_part(p, -1, "F32", 4);
      part->attached = a;
      part->values = imgrec__attached_values(a, o->model, p, o->attached_at);
      if (part->values != NULL)
        return 1;
    }
    o->attached_at = (struct cursor){0, 0};
  }
  return 0;
}

static int next_part(struct order *o, struct part *part) {
  for (; o->size > 0; o->size /= 2) {
    while (next_any(o, part))
      if (part->size == o->size)
        return 1;
    if (next_attached(o, part))
      return 1;
    o->at = (struct cursor){0, 0};
    o->side = SIDE_COUNT;
  }
  return 0;
}

static size_t count_of(const struct part *part) {
  if (part->side < 0)
    return part->p->count;
  return part->side == SIDE_WEIGHT_SCALE ? part->p->quantized->outputs : 1;
}

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

static void hash_bytes(void *sink, const void *bytes, size_t n) {
  imgrec__sha256_update(sink, bytes, n);
}

/* In place. */
static void narrow(float *piece, size_t n, const char *type) {
  int bf16 = type[0] == 'B';
  char *to = (char *)piece;
  for (size_t i = 0; i < n; i++, to += sizeof(uint16_t)) {
    float x = piece[i];
    uint16_t half = bf16 ? imgrec__narrow_bf16(x) : imgrec__narrow_f16(x);
    memcpy(to, &half, sizeof half);
  }
}

static void export_values(const struct part *part, float *piece, sink_fn give,
                          void *sink) {
  const struct param *p = part->p;
  for (size_t first = 0; first < p->count; first += piece_floats(p)) {
    size_t n = min_size(piece_floats(p), p->count - first);
    if (p->int8)
      imgrec__param_export_int8(p, first, n, (int8_t *)piece);
    else
      imgrec__param_export(p, part->values, first, n, piece);
    if (part->size == sizeof(uint16_t))
      narrow(piece, n, part->type);
    imgrec__file_order(piece, n, part->size);
    give(sink, piece, n * part->size);
  }
}

static void export_scales(const float *scales, size_t n, sink_fn give,
                          void *sink) {
  for (size_t i = 0; i < n; i++) {
    float scale = scales[i];
    imgrec__file_order(&scale, 1, sizeof scale);
    give(sink, &scale, sizeof scale);
  }
}

static void export_side(const struct part *part, sink_fn give, void *sink) {
  const struct quantized *q = part->p->quantized;
  uint8_t zero = (uint8_t)q->input_zero;
  if (part->side == SIDE_WEIGHT_SCALE)
    export_scales(q->weight_scale, q->outputs, give, sink);
  else if (part->side == SIDE_INPUT_SCALE)
    export_scales(&q->input_scale, 1, give, sink);
  else
    give(sink, &zero, sizeof zero);
}

/* Gives the data section to `sink`, piece by piece. */
static int export_data(const struct imgrec_model *m, const struct checkpoint *c,
                       sink_fn give, void *sink) {
  struct imgrec_context *ctx = m->context;
  struct order o = order_of(m, c);
  struct part part;
  float *piece = imgrec__alloc_array(&ctx->allocator, largest_piece(&m->graph),
                                     sizeof *piece);
  if (piece == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "a piece of the weights");
  while (next_part(&o, &part))
    if (part.side >= 0)
      export_side(&part, give, sink);
    else
      export_values(&part, piece, give, sink);
  imgrec__free(&ctx->allocator, piece);
  return IMGREC_OK;
}

int imgrec__safetensors_hash(const struct imgrec_model *m,
                             const struct checkpoint *c, char hex[65]) {
  struct sha256 s;
  imgrec__sha256_init(&s);
  int status = export_data(m, c, hash_bytes, &s);
  imgrec__sha256_hex(&s, hex);
  return status;
}

/* ---- header ------------------------------------------------------------- */

static void write_tensor(struct text *t, const struct part *part,
                         uint64_t begin) {
  const struct param *p = part->p;
  struct side_tensor side = {.name = ""};
  char attached[ATTACHED_NAME];
  const char *name = p->name;
  if (part->attached != NULL) {
    imgrec__attached_name(attached, part->attached, p);
    name = attached;
  }
  if (part->side >= 0)
    side = imgrec__side_tensor(p, (enum side)part->side);
  const int64_t *dim = part->side >= 0 ? side.dim : p->dim;
  int ndim = part->side >= 0 ? side.ndim : p->ndim;
  imgrec__text_string(t, ",");
  imgrec__text_json_string(t, part->side >= 0 ? side.name : name);
  imgrec__text_add(t, ":{\"dtype\":\"%s\",\"shape\":[", part->type);
  for (int i = 0; i < ndim; i++)
    imgrec__text_add(t, "%s%" PRId64, i == 0 ? "" : ",", dim[i]);
  imgrec__text_add(t, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin,
                   begin + count_of(part) * part->size);
}

static int write_header(struct text *t, const struct imgrec_model *m,
                        const struct checkpoint *c, const char *metadata) {
  struct imgrec_context *ctx = m->context;
  struct order o = order_of(m, c);
  struct part part;
  uint64_t begin = 0;
  imgrec__text_string(t, "{\"__metadata__\":");
  imgrec__text_string(t, metadata);
  while (next_part(&o, &part)) {
    write_tensor(t, &part, begin);
    begin += count_of(&part) * part.size;
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

int imgrec__safetensors_write(const struct imgrec_model *m,
                              const struct checkpoint *c, const char *metadata,
                              sink_fn give, void *sink) {
  struct text header;
  imgrec__text_init(&header, &m->context->allocator);
  int status = write_header(&header, m, c, metadata);
  if (status >= 0) {
    uint64_t length = header.length;
    imgrec__file_order(&length, 1, sizeof length);
    give(sink, &length, sizeof length);
    give(sink, header.data, header.length);
    status = export_data(m, c, give, sink);
  }
  imgrec__text_free(&header);
  return status;
}
