/* SPDX-License-Identifier: MIT */
/* Tensors of a file become the weights of a model: matched by name and shape,
 * all of them before the first is read. */
#include "format/format.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct param *imgrec__next_param(const struct graph *g, struct cursor *at) {
  while (at->node < g->node_count) {
    struct node *n = &g->nodes[at->node];
    if (at->index < n->param_count)
      return &n->params[at->index++];
    at->node++;
    at->index = 0;
  }
  return NULL;
}

/* ---- what does not fit -------------------------------------------------- */

enum { SHOWN = 3 };

/* Names for a sentence: the first few, and how many there are. */
struct list {
  size_t count;
  struct text names;
};

struct report {
  struct list missing, left_over, misshapen;
};

static void add_name(struct list *l, const char *name) {
  char shown[96];
  if (l->count++ < SHOWN)
    imgrec__text_add(&l->names, "%s%s", l->count == 1 ? "" : ", ",
                     imgrec__printable(name, shown));
}

static void add_shape(struct text *t, const int64_t *dim, int ndim) {
  imgrec__text_string(t, ndim == 0 ? "one number" : "");
  for (int i = 0; i < ndim; i++)
    imgrec__text_add(t, "%s%" PRId64, i == 0 ? "" : " x ", dim[i]);
}

/* t is not of this type and shape. */
static void add_misshapen(struct list *l, const struct stored *t,
                          const char *type, const int64_t *dim, int ndim) {
  add_name(l, t->name);
  if (l->count > SHOWN)
    return;
  imgrec__text_add(&l->names, " (%s ", t->type->name);
  add_shape(&l->names, t->dim, t->ndim);
  imgrec__text_add(&l->names, " instead of %s ", type);
  add_shape(&l->names, dim, ndim);
  imgrec__text_string(&l->names, ")");
}

static void add_list(struct text *t, const struct list *l, const char *what) {
  if (l->count != 0)
    imgrec__text_add(t, "; %s: %s%s", what, l->names.data,
                     l->count > SHOWN ? ", ..." : "");
}

static int fail_report(const struct report *r, struct allocator *a,
                       struct error *e) {
  struct text t;
  imgrec__text_init(&t, a);
  imgrec__text_add(&t,
                   "the weights do not fit the network: %zu missing, %zu left "
                   "over, %zu of another shape",
                   r->missing.count, r->left_over.count, r->misshapen.count);
  int failed = r->missing.names.failed || r->left_over.names.failed ||
               r->misshapen.names.failed;
  if (!failed) {
    add_list(&t, &r->missing, "missing");
    add_list(&t, &r->left_over, "left over");
    add_list(&t, &r->misshapen, "of another shape");
  }
  int status = failed || t.failed
                   ? imgrec__fail_memory(e, a, "the names that do not fit")
                   : imgrec__fail(e, IMGREC_ERR_SHAPE, "%s", t.data);
  imgrec__text_free(&t);
  return status;
}

/* ---- matching ----------------------------------------------------------- */

static int same_shape(const struct stored *t, const int64_t *dim, int ndim) {
  return t->ndim == ndim &&
         memcmp(t->dim, dim, (size_t)ndim * sizeof dim[0]) == 0;
}

/* The tensor of a name, marked in `used`; NULL, and reported, where there is
 * none. */
static const struct stored *take(const struct safetensors *f, const char *name,
                                 unsigned char *used, struct report *r) {
  const struct stored *t = imgrec__safetensors_find(f, name);
  if (t == NULL)
    add_name(&r->missing, name);
  else
    used[t - f->tensors] = 1;
  return t;
}

/* What goes with weights that are bytes. */
static void match_sides(const struct param *p, const struct safetensors *f,
                        unsigned char *used, struct report *r) {
  for (int side = 0; side < SIDE_COUNT; side++) {
    const struct side_tensor want = imgrec__side_tensor(p, (enum side)side);
    const struct stored *t = take(f, want.name, used, r);
    if (t != NULL && (!imgrec__stored_is(t, want.type) ||
                      !same_shape(t, want.dim, want.ndim)))
      add_misshapen(&r->misshapen, t, want.type, want.dim, want.ndim);
  }
}

/* The tensor of a parameter of the head, NULL where there is none or it does
 * not fit. */
static const struct stored *take_head(const struct param *p,
                                      const struct safetensors *f,
                                      unsigned char *used) {
  const struct stored *t = imgrec__safetensors_find(f, p->name);
  if (t == NULL)
    return NULL;
  used[t - f->tensors] = 1;
  int fits = t->type->widen != WIDEN_NONE && same_shape(t, p->dim, p->ndim);
  return fits ? t : NULL;
}

/* All of the head has a source, or nothing of it. */
static void match_head(struct match *match, const struct graph *g,
                       const struct safetensors *f, struct cursor at,
                       unsigned char *used) {
  const struct param *p;
  size_t first = match->count, missing = 0;
  while ((p = imgrec__next_param(g, &at)) != NULL) {
    const struct stored *t = take_head(p, f, used);
    match->sources[match->count++] = t;
    missing += t == NULL;
    if (t != NULL && t->count > match->largest)
      match->largest = t->count;
  }
  if (missing > 0) {
    match->skipped = match->count - first;
    memset(match->sources + first, 0, match->skipped * sizeof *match->sources);
  }
}

/* Finds the tensor of each parameter and marks it in `used`, one a tensor. */
static void match_params(struct match *match, const struct graph *g,
                         const struct safetensors *f, int head,
                         unsigned char *used, struct report *r) {
  const struct param *p;
  struct cursor at = {0, 0}, here = at;
  for (; (p = imgrec__next_param(g, &at)) != NULL; here = at) {
    if (at.node >= head) {
      match_head(match, g, f, here, used);
      return;
    }
    const struct stored *t = take(f, p->name, used, r);
    match->sources[match->count++] = t;
    if (p->int8)
      match_sides(p, f, used, r);
    if (t == NULL)
      continue;
    int readable = p->int8 || t->type->widen != WIDEN_NONE;
    if (!readable || !same_shape(t, p->dim, p->ndim))
      add_misshapen(&r->misshapen, t, p->int8 ? "I8" : "F32", p->dim, p->ndim);
    else if (!p->int8 && t->count > match->largest)
      match->largest = t->count;
  }
}

/* PyTorch's batch norm counts its steps; nothing is computed from it. */
static int is_counter(const char *name) {
  static const char suffix[] = ".num_batches_tracked";
  size_t n = strlen(name), m = sizeof suffix - 1;
  return n > m && memcmp(name + n - m, suffix, m) == 0;
}

/* What a checkpoint has beside a model. */
static int is_attached(const char *name) {
  return strncmp(name, "optim.", 6) == 0 || strncmp(name, "best.", 5) == 0;
}

static void find_left_over(const struct safetensors *f,
                           const unsigned char *used, struct report *r) {
  int checkpoint = imgrec__metadata_is_checkpoint(f);
  for (size_t i = 0; i < f->count; i++)
    if (!used[i] && !is_counter(f->tensors[i].name) &&
        !(checkpoint && is_attached(f->tensors[i].name)))
      add_name(&r->left_over, f->tensors[i].name);
}

static void match_names(struct match *match, const struct graph *g,
                        const struct safetensors *f, int head,
                        unsigned char *used, struct report *r) {
  struct text empty;
  imgrec__text_init(&empty, f->allocator);
  r->missing = r->left_over = r->misshapen = (struct list){0, empty};
  match_params(match, g, f, head, used, r);
  find_left_over(f, used, r);
}

static size_t count_params(const struct graph *g) {
  size_t n = 0;
  for (int i = 0; i < g->node_count; i++)
    n += (size_t)g->nodes[i].param_count;
  return n;
}

int imgrec__match(struct match *out, const struct graph *g,
                  const struct safetensors *f, struct error *e) {
  return imgrec__match_but(out, g, f, g->node_count, e);
}

int imgrec__match_but(struct match *out, const struct graph *g,
                      const struct safetensors *f, int head, struct error *e) {
  struct allocator *a = f->allocator;
  struct report r;
  struct match match = {.allocator = a};
  unsigned char *used = imgrec__alloc_zero(a, f->count);
  match.sources =
      imgrec__alloc_array(a, count_params(g), sizeof *match.sources);
  if (used == NULL || match.sources == NULL) {
    imgrec__free(a, used);
    imgrec__match_free(&match);
    return imgrec__fail_memory(e, a, "the list of weights");
  }
  match_names(&match, g, f, head, used, &r);
  int status = IMGREC_OK;
  if (r.missing.count + r.left_over.count + r.misshapen.count != 0)
    status = fail_report(&r, a, e);
  imgrec__text_free(&r.missing.names);
  imgrec__text_free(&r.left_over.names);
  imgrec__text_free(&r.misshapen.names);
  imgrec__free(a, used);
  if (status < 0)
    imgrec__match_free(&match);
  else
    *out = match;
  return status;
}

void imgrec__match_free(struct match *match) {
  imgrec__free(match->allocator, match->sources);
  match->sources = NULL;
}

/* ---- numbers ------------------------------------------------------------ */

/* count elements from bytes of any alignment; F64 is rounded. */
static void widen(float *out, const struct stored *t,
                  const unsigned char *bytes) {
  for (size_t i = 0; i < t->count; i++, bytes += t->type->size) {
    uint16_t half;
    double wide;
    switch (t->type->widen) {
    case WIDEN_F16:
      memcpy(&half, bytes, sizeof half);
      imgrec__file_order(&half, 1, sizeof half);
      out[i] = imgrec__widen_f16(half);
      break;
    case WIDEN_BF16:
      memcpy(&half, bytes, sizeof half);
      imgrec__file_order(&half, 1, sizeof half);
      out[i] = imgrec__widen_bf16(half);
      break;
    case WIDEN_F64:
      memcpy(&wide, bytes, sizeof wide);
      imgrec__file_order(&wide, 1, sizeof wide);
      out[i] = (float)wide;
      break;
    default:
      memcpy(&out[i], bytes, sizeof out[i]);
      imgrec__file_order(&out[i], 1, sizeof out[i]);
    }
  }
}

/* ---- importing ---------------------------------------------------------- */

struct census {
  const float *data;
  atomic_size_t not_finite;
};

static void count_not_finite(const void *arg, size_t begin, size_t end) {
  struct census *c = (struct census *)(uintptr_t)arg;
  size_t n = 0;
  for (size_t i = begin; i < end; i++)
    n += !(c->data[i] - c->data[i] == 0.0f);
  if (n != 0)
    atomic_fetch_add(&c->not_finite, n);
}

/* Such weights make every answer NaN, but that is the file's to say. */
static void warn_not_finite(struct imgrec_context *ctx, const struct param *p,
                            const char *what) {
  struct census c = {.data = p->data};
  imgrec__parallel_range(ctx, p->count, (size_t)1 << 16, count_not_finite, &c);
  size_t n = atomic_load(&c.not_finite);
  if (n != 0)
    imgrec__log(ctx, IMGREC_LOG_WARNING,
                "%s: %zu of the %zu values of '%s' are NaN or infinite", what,
                n, p->count, p->name);
}

/* Bytes, and F32 that lies right, are read where they are; anything else needs
 * room. */
static int in_place(const struct stored *t, const struct safetensors *f) {
  if (imgrec__stored_is(t, "I8"))
    return 1;
  return t->type->widen == WIDEN_F32 &&
         (uintptr_t)(f->data + t->begin) % sizeof(float) == 0;
}

static int needs_room(const struct match *match, const struct safetensors *f) {
  for (size_t i = 0; i < match->count; i++)
    if (match->sources[i] != NULL && !in_place(match->sources[i], f))
      return 1;
  return 0;
}

static int import_param(struct imgrec_context *ctx, const struct param *p,
                        const struct stored *t, const struct safetensors *f,
                        float *room) {
  const void *bytes = f->data + t->begin;
  if (p->int8)
    return imgrec__import_int8(ctx, p, t, f);
  if (in_place(t, f)) {
    imgrec__param_import(ctx, p, bytes, p->data);
    imgrec__file_order(p->data, p->count, sizeof *p->data);
  } else {
    widen(room, t, bytes);
    imgrec__param_import(ctx, p, room, p->data);
  }
  return IMGREC_OK;
}

/* The type that a file stores all weights in, F32 where they differ or where it
 * is one that we do not write. */
static int weight_type(const struct match *match, const struct graph *g) {
  const struct param *p;
  struct cursor at = {0, 0};
  size_t weights = 0, f16 = 0, bf16 = 0;
  for (size_t i = 0; (p = imgrec__next_param(g, &at)) != NULL; i++) {
    weights += (size_t)imgrec__is_weight(p);
    if (match->sources[i] == NULL)
      continue;
    f16 += imgrec__is_weight(p) && imgrec__stored_is(match->sources[i], "F16");
    bf16 +=
        imgrec__is_weight(p) && imgrec__stored_is(match->sources[i], "BF16");
  }
  if (weights == 0)
    return IMGREC_WEIGHTS_F32;
  return f16 == weights    ? IMGREC_WEIGHTS_F16
         : bf16 == weights ? IMGREC_WEIGHTS_BF16
                           : IMGREC_WEIGHTS_F32;
}

static void finish_int8(const struct graph *g) {
  for (int i = 0; i < g->node_count; i++)
    if (g->nodes[i].params[0].int8)
      imgrec__quantized_finish(g->nodes[i].params[0].quantized);
}

int imgrec__match_import(const struct match *match, struct imgrec_model *m,
                         const struct safetensors *f, const char *what) {
  struct imgrec_context *ctx = m->context;
  const struct param *p;
  struct cursor at = {0, 0};
  float *room = NULL;
  if (needs_room(match, f)) {
    room = imgrec__alloc_array(&ctx->allocator, (size_t)match->largest,
                               sizeof *room);
    if (room == NULL)
      return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                                 "the conversion of the weights");
  }
  int status = IMGREC_OK;
  for (size_t i = 0;
       status >= 0 && (p = imgrec__next_param(&m->graph, &at)) != NULL; i++) {
    if (match->sources[i] == NULL)
      continue;
    status = import_param(ctx, p, match->sources[i], f, room);
    if (!p->int8)
      warn_not_finite(ctx, p, what);
  }
  imgrec__free(&ctx->allocator, room);
  if (status < 0)
    return status;
  finish_int8(&m->graph);
  if (m->weight_type != IMGREC_WEIGHTS_INT8)
    m->weight_type = weight_type(match, &m->graph);
  imgrec__model_changed(m);
  return IMGREC_OK;
}

/* ---- public ------------------------------------------------------------- */

static int load_weights(struct imgrec_model *m, const struct blob *file,
                        const char *path) {
  struct imgrec_context *ctx = m->context;
  struct safetensors f;
  struct match match;
  int status = imgrec__safetensors_parse(&f, &ctx->allocator, &ctx->error,
                                         file->bytes, file->size);
  if (status < 0)
    return status;
  status = imgrec__metadata_check_data(&f, &ctx->error);
  if (status >= 0)
    status = imgrec__match(&match, &m->graph, &f, &ctx->error);
  if (status >= 0) {
    status = imgrec__match_import(&match, m, &f, path);
    imgrec__match_free(&match);
    if (status >= 0)
      imgrec__model_uncalibrate(m);
  }
  imgrec__safetensors_free(&f);
  return status;
}

int imgrec_model_load_weights(imgrec_model *model, const char *path) {
  struct blob file = {NULL, 0};
  if (model == NULL)
    return IMGREC_ERR_ARGUMENT;
  struct imgrec_context *ctx = model->context;
  if (path == NULL)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_load_weights: path is NULL");
  int status = imgrec__model_may_change(model, "cannot be loaded alone");
  if (status >= 0)
    status = imgrec__read_file(&file, ctx, &ctx->error, path, FORMAT_FILE_MAX);
  if (status < 0)
    return status;
  uint64_t fp = imgrec__fp_enter();
  status = load_weights(model, &file, path);
  imgrec__fp_leave(fp);
  if (status < 0)
    imgrec__fail_prefix(&ctx->error, status, "%s", path);
  imgrec__blob_free(&file, &ctx->allocator);
  return status;
}
