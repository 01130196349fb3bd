/* SPDX-License-Identifier: MIT */
/* A model in 8 bits from one in floats: the float model runs over images and
 * shows the range of each layer's input; the weights need no data.
 *
 * A range [low, high] holds 0, which padding and relu make exact:
 *   scale = (high - low) / 255,   zero = round(-low / scale).
 * It begins as what was seen.  With IMGREC_RANGE_MSE a second pass counts the
 * values in bins, and of the ranges shrunk by steps of 1/64 the one is taken
 * with the least sum of squared errors, rounding and clipping together. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "data/data.h"
#include "model/graph.h"

enum { IMAGES = 512, MAX_IMAGES = 10000000, BINS = 2048, STEPS = 64 };
/* Ranges are not shrunk below this many steps. */
enum { LEAST_STEPS = 8 };

/* Of a node's input. */
struct seen {
  float low, high;
  int not_finite;
  uint64_t bins[BINS];
};

struct calibration {
  struct imgrec_model *model;
  struct loader *loader;
  struct seen *seen; /* one a node */
  size_t images;
  int count; /* in bins, instead of finding the range */
};

/* ---- Options ------------------------------------------------------------- */

int imgrec_quantize_options_init(imgrec_quantize_options *options,
                                 size_t struct_size) {
  const imgrec_quantize_options defaults = {.struct_size = sizeof defaults,
                                            .images = IMAGES};
  return imgrec__options_init(options, struct_size, &defaults, sizeof defaults);
}

static int read_options(struct error *e, imgrec_quantize_options *o,
                        const imgrec_quantize_options *theirs) {
  imgrec_quantize_options_init(o, sizeof *o);
  int status =
      imgrec__options_read(e, o, sizeof *o, theirs, "imgrec_quantize_options");
  if (status < 0)
    return status;
  if (o->images == 0)
    o->images = IMAGES;
  if (o->images < 1 || o->images > MAX_IMAGES)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "images is %d; it must be 1 to %d", (int)o->images,
                        MAX_IMAGES);
  if (o->range != IMGREC_RANGE_MSE && o->range != IMGREC_RANGE_MINMAX)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "range is %d, which is no IMGREC_RANGE_ value",
                        (int)o->range);
  return imgrec__check_reserved(e, o->reserved, "imgrec_quantize_options");
}

/* ---- What inputs look like ----------------------------------------------- */

static void find_range(struct seen *s, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (!(x[i] - x[i] == 0))
      s->not_finite = 1;
    else if (x[i] < s->low)
      s->low = x[i];
    else if (x[i] > s->high)
      s->high = x[i];
  }
}

static double bin_width(const struct seen *s) {
  return ((double)s->high - (double)s->low) / BINS;
}

static void count_bins(struct seen *s, const float *x, size_t n) {
  double width = bin_width(s), each = width > 0 ? 1 / width : 0;
  for (size_t i = 0; i < n; i++) {
    size_t bin = (size_t)(((double)x[i] - (double)s->low) * each);
    s->bins[min_size(bin, BINS - 1)]++;
  }
}

static void look(void *user, const struct run *r) {
  struct calibration *c = user;
  struct seen *s = &c->seen[r->node - c->model->graph.nodes];
  size_t n = r->batch * shape_count(&r->node->in[0]);
  if (imgrec__quantized_op(r->node) == NULL || s->not_finite)
    return;
  if (c->count)
    count_bins(s, r->x[0], n);
  else
    find_range(s, r->x[0], n);
}

/* The same images each time. */
static int run_images(struct calibration *c) {
  struct imgrec_model *m = c->model;
  struct pass pass = {.context = m->context,
                      .graph = &m->graph,
                      .plan = &m->plan,
                      .arena = m->arena,
                      .watch = look,
                      .watch_user = c,
                      .hook = m->hook};
  const int32_t *labels;
  size_t n;
  int status = imgrec__loader_start(c->loader, 1, 0, 0);
  for (size_t done = 0; status >= 0 && done < c->images; done += n) {
    status = imgrec__loader_next(c->loader, &pass.x, &labels, &n);
    if (status < 0 || n == 0)
      break;
    pass.batch = min_size(n, c->images - done);
    pass.prepare = !m->prepared;
    imgrec__pass_forward(&pass, m->graph.logits);
    m->prepared = 1;
  }
  return status;
}

static int check_finite(const struct calibration *c) {
  const struct graph *g = &c->model->graph;
  for (int i = 0; i < g->node_count; i++)
    if (c->seen[i].not_finite)
      return imgrec__fail(&c->model->context->error, IMGREC_ERR_DIVERGED,
                          "the input of layer '%s' is not finite on these "
                          "images",
                          g->nodes[i].name);
  return IMGREC_OK;
}

static int look_at_images(struct calibration *c, int range) {
  int status = run_images(c);
  if (status >= 0)
    status = check_finite(c);
  c->count = 1;
  return status >= 0 && range == IMGREC_RANGE_MSE ? run_images(c) : status;
}

/* ---- Choosing a range ---------------------------------------------------- */

/* Sum of squared errors of what is in the bins, taken at their middles. */
static double error_of(const struct seen *s, double low, double high) {
  double scale = (high - low) / 255, zero = rint(-low / scale), sum = 0;
  for (int i = 0; i < BINS; i++) {
    double x = (double)s->low + (i + 0.5) * bin_width(s);
    double q = rint(x / scale) + zero;
    q = q < 0 ? 0 : q > 255 ? 255 : q;
    double d = x - (q - zero) * scale;
    sum += (double)s->bins[i] * (d * d);
  }
  return sum;
}

static int best_step(const struct seen *s) {
  int best = STEPS;
  double least = INFINITY;
  for (int i = STEPS; i >= LEAST_STEPS; i--) {
    double f = (double)i / STEPS;
    double e = error_of(s, (double)s->low * f, (double)s->high * f);
    if (e < least) {
      least = e;
      best = i;
    }
  }
  return best;
}

static void choose_range(struct quantized *q, const struct seen *s, int range) {
  int step = range == IMGREC_RANGE_MSE ? best_step(s) : STEPS;
  double f = (double)step / STEPS;
  double low = (double)s->low * f, high = (double)s->high * f;
  float scale = (float)((high - low) / 255);
  int none = !(scale >= FLT_MIN);
  q->input_scale = none ? 1 : scale;
  q->input_zero = none ? 0 : (int32_t)rint(-low / (double)scale);
  if (q->input_zero > 255)
    q->input_zero = 255;
}

/* ---- The new model ------------------------------------------------------- */

static int mark_nodes(struct graph *g, struct error *e) {
  int count = 0;
  for (int i = 0; i < g->node_count; i++)
    if (imgrec__quantized_op(&g->nodes[i]) != NULL) {
      g->nodes[i].params[0].int8 = 1;
      count++;
    }
  if (count > 0)
    return IMGREC_OK;
  return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                      "the model has no convolution and no dense layer to "
                      "quantize");
}

static int new_model(struct imgrec_model **out, const struct imgrec_model *m,
                     int max_batch) {
  struct imgrec_context *ctx = m->context;
  imgrec_model_options options;
  struct graph graph;
  imgrec_model_options_init(&options, sizeof options);
  options.max_batch = max_batch != 0 ? max_batch : (int32_t)m->plan.batch;
  int status =
      imgrec__graph_parse(&graph, &ctx->allocator, &ctx->error, m->graph.text);
  if (status < 0)
    return status;
  status = mark_nodes(&graph, &ctx->error);
  if (status < 0) {
    imgrec__graph_free(&graph);
    return status;
  }
  return imgrec__model_from_graph(out, ctx, &graph, &options, 0);
}

static void copy_weights(struct imgrec_model *to, const struct calibration *c,
                         int range) {
  const struct graph *from = &c->model->graph;
  for (int i = 0; i < from->node_count; i++) {
    const struct node *n = &to->graph.nodes[i];
    for (int k = 0; k < n->param_count; k++) {
      const struct param *p = &n->params[k];
      const float *data = from->nodes[i].params[k].data;
      if (p->int8)
        imgrec__quantized_round(p->quantized, data);
      else
        memcpy(p->data, data, p->count * sizeof *data);
    }
    if (n->params[0].int8) {
      choose_range(n->params[0].quantized, &c->seen[i], range);
      imgrec__quantized_finish(n->params[0].quantized);
    }
  }
}

/* That outputs have scales which are numbers. */
static int check_scales(const struct imgrec_model *m) {
  for (int i = 0; i < m->graph.node_count; i++) {
    const struct node *n = &m->graph.nodes[i];
    const struct quantized *q = n->params[0].quantized;
    for (size_t o = 0; q && o < q->outputs; o++)
      if (!(q->weight_scale[o] * q->input_scale <= FLT_MAX))
        return imgrec__fail(&m->context->error, IMGREC_ERR_DIVERGED,
                            "the weights of layer '%s' and its input on these "
                            "images are too large",
                            n->name);
  }
  return IMGREC_OK;
}

static int make(struct imgrec_model **out, const struct calibration *c,
                const imgrec_quantize_options *o) {
  const struct imgrec_model *m = c->model;
  struct imgrec_model *made = NULL;
  int status = new_model(&made, m, o->max_batch);
  if (status < 0)
    return status;
  copy_weights(made, c, o->range);
  made->preprocess = m->preprocess;
  made->calibration = m->calibration;
  status = check_scales(made);
  if (status >= 0 && m->labels)
    status = imgrec_model_set_labels(made, imgrec_model_classes(m),
                                     (const char *const *)m->labels);
  if (status < 0)
    imgrec_model_destroy(made);
  else
    *out = made;
  return status;
}

/* ---- The call ------------------------------------------------------------ */

static int calibrate(struct imgrec_model **out, struct imgrec_model *m,
                     struct imgrec_dataset *data,
                     const imgrec_quantize_options *o) {
  struct imgrec_context *ctx = m->context;
  struct calibration c = {.model = m, .images = (size_t)o->images};
  c.seen = imgrec__alloc_zero(&ctx->allocator,
                              (size_t)m->graph.node_count * sizeof *c.seen);
  if (!c.seen)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the ranges of the layers' inputs");
  int status = imgrec__loader_create(&c.loader, data, &m->preprocess,
                                     (int)m->plan.batch);
  if (status >= 0)
    status = look_at_images(&c, o->range);
  imgrec__loader_destroy(c.loader);
  if (status >= 0)
    status = make(out, &c, o);
  imgrec__free(&ctx->allocator, c.seen);
  return status;
}

int imgrec_model_quantize(imgrec_model **out, imgrec_model *m,
                          imgrec_dataset *calibration,
                          const imgrec_quantize_options *options) {
  imgrec_quantize_options o;
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  struct error *e = &m->context->error;
  if (!out || !calibration)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_quantize: out or the data set is NULL");
  int status = imgrec__model_need_floats(m, "cannot be quantized again");
  if (status < 0 || (status = imgrec__model_at_rest(m)) < 0 ||
      (status = read_options(e, &o, options)) < 0)
    return status;
  if (imgrec_dataset_size(calibration) == 0)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "the calibration data have no images");
  uint64_t fp = imgrec__fp_enter();
  status = calibrate(out, m, calibration, &o);
  imgrec__fp_leave(fp);
  return status;
}
