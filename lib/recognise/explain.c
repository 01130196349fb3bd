/* SPDX-License-Identifier: MIT */
/* Grad-CAM (Selvaraju et al. 2017): where in an image the network sees a class.
 *
 *   A: h x w x c, the last activation with height and width; z: the logits
 *   weight[k] = mean over pixels of dz[class] / dA[k]
 *   map = relu(sum over k of weight[k] A[k])
 *
 * The graph is cut behind A.  Its head runs as in any forward.  Its tail runs
 * forward and backward as in training, but with dropout left out and batch
 * normalisation by the running values, as they are when recognising. */
#include <string.h>

#include "image/image.h"
#include "model/graph.h"

/* ---- Operators of the tail ----------------------------------------------- */

static unsigned no_flags(const struct node *n) {
  (void)n;
  return 0;
}

static size_t value_bytes(const struct run *r) {
  return r->batch * shape_count(&r->node->out) * sizeof(float);
}

static void copy_forward(const struct run *r) {
  memcpy(r->y, r->x[0], value_bytes(r));
}

static void copy_backward(const struct run *r) {
  if (r->dx[0])
    memcpy(r->dx[0], r->dy, value_bytes(r));
}

/* For dropout, and where A enters the tail: its dy is what is sought. */
static const struct op copy_op = {.type = "copy",
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .flags = no_flags,
                                  .forward = copy_forward,
                                  .backward = copy_backward};

static size_t norm_scratch(const struct node *n, size_t batch, int training) {
  (void)batch;
  (void)training;
  return 2 * (size_t)n->out.c;
}

/* y = x scale + shift, or only times the scale where shift is NULL. */
static void norm(const struct run *r, float *y, const float *x, int backward) {
  size_t c = (size_t)r->node->out.c;
  size_t rows = r->batch * shape_pixels(&r->node->out);
  float *scale = r->scratch, *shift = scale + c;
  imgrec__bn_factors(r->node, scale, shift);
  if (backward)
    memset(shift, 0, c * sizeof *shift);
  r->context->kernels->affine(y, x, scale, shift, rows, c);
}

static void norm_forward(const struct run *r) { norm(r, r->y, r->x[0], 0); }

static void norm_backward(const struct run *r) {
  if (r->dx[0])
    norm(r, r->dx[0], r->dy, 1);
}

/* Batch normalisation by the running values. */
static const struct op norm_op = {.type = "norm",
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .flags = no_flags,
                                  .scratch = norm_scratch,
                                  .forward = norm_forward,
                                  .backward = norm_backward};

/* ---- Where to cut -------------------------------------------------------- */

static int is_spatial(const struct node *n) {
  return !n->out.flat && n->out.h * n->out.w > 1;
}

static int is_convolution(const struct node *n) {
  return n->op == &imgrec__op_conv2d || n->op == &imgrec__op_depthwise_conv2d;
}

static int is_dropping(const struct node *n) {
  return n->op == &imgrec__op_dropout || n->op == &imgrec__op_drop_path;
}

static int is_passed_over(const struct node *n) {
  return n->op == &imgrec__op_max_pool2d || n->op == &imgrec__op_min_pool2d ||
         n->op == &imgrec__op_avg_pool2d || is_dropping(n);
}

/* Whether all that is behind node i knows what is before it through i. */
static int is_cut(const struct graph *g, int i) {
  for (int j = i + 1; j <= g->logits; j++)
    for (int k = 0; k < g->nodes[j].input_count; k++)
      if (g->nodes[j].inputs[k] < i)
        return 0;
  return 1;
}

static int convolves_before(const struct graph *g, int i) {
  for (; i > 0; i--)
    if (is_convolution(&g->nodes[i]))
      return 1;
  return 0;
}

/* The node whose value is A; 0 where there is none. */
static int find_cut(const struct graph *g) {
  int i = g->logits;
  while (i > 0 && (!is_spatial(&g->nodes[i]) || !is_cut(g, i)))
    i--;
  while (i > 0 && is_passed_over(&g->nodes[i]) &&
         is_cut(g, g->nodes[i].inputs[0]))
    i = g->nodes[i].inputs[0];
  return convolves_before(g, i) ? i : 0;
}

/* ---- Head and tail ------------------------------------------------------- */

/* Nodes [0, cut]; they stay those of the model's graph. */
static struct graph make_head(const struct graph *g, int cut) {
  struct graph head = *g;
  head.output = head.logits = cut;
  head.node_count = cut + 1;
  return head;
}

static void take_node(struct node *to, const struct node *from, int shift) {
  *to = *from;
  if (from->op == &imgrec__op_batch_norm)
    to->op = &norm_op;
  else if (is_dropping(from))
    to->op = &copy_op;
  for (int k = 0; k < to->input_count; k++)
    to->inputs[k] -= shift;
  for (int k = 0; k < to->param_count; k++)
    to->params[k].trainable = 0;
}

/* The input, a node that asks for the gradient of it (by a parameter of no
 * numbers, since only what leads to one has a gradient), and those behind the
 * cut. */
static int make_tail(struct graph *tail, struct imgrec_context *ctx,
                     const struct graph *g, int cut) {
  int count = g->logits - cut + 2;
  struct node *nodes =
      imgrec__alloc_zero(&ctx->allocator, (size_t)count * sizeof *nodes);
  if (!nodes)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "an explanation");
  nodes[0].op = &imgrec__op_input;
  nodes[1].op = &copy_op;
  nodes[0].out = nodes[1].out = nodes[1].in[0] = g->nodes[cut].out;
  nodes[1].input_count = nodes[1].param_count = 1;
  nodes[1].params[0].trainable = 1;
  for (int i = 2; i < count; i++)
    take_node(&nodes[i], &g->nodes[cut + i - 1], cut - 1);
  *tail = (struct graph){.nodes = nodes, .node_count = count};
  tail->output = tail->logits = count - 1;
  return IMGREC_OK;
}

/* ---- Running ------------------------------------------------------------- */

/* A graph with its plan, for one image. */
struct piece {
  struct imgrec_model *model;
  struct graph graph;
  struct plan plan;
  float *arena;
  struct gradient_place *places; /* of no parameter */
};

static int plan_piece(struct piece *p, int training) {
  struct imgrec_context *ctx = p->model->context;
  struct allocator *a = &ctx->allocator;
  size_t nodes = (size_t)p->graph.node_count;
  int status =
      imgrec__plan_create(&p->plan, a, &ctx->error, &p->graph, 1, training);
  if (status < 0)
    return status;
  p->arena = imgrec__alloc_array(a, p->plan.floats, sizeof *p->arena);
  p->places = imgrec__alloc_array(a, nodes, sizeof *p->places);
  if (!p->arena || !p->places)
    return imgrec__fail_memory(&ctx->error, a, "an explanation");
  for (size_t i = 0; i < nodes; i++)
    for (int k = 0; k < NODE_MAX_PARAMS; k++)
      p->places[i].at[k] = PLAN_NONE;
  return IMGREC_OK;
}

static void free_piece(struct piece *p) {
  struct allocator *a = &p->model->context->allocator;
  imgrec__plan_free(&p->plan);
  imgrec__free(a, p->arena);
  imgrec__free(a, p->places);
}

static struct pass pass_of(const struct piece *p, const float *x) {
  return (struct pass){.context = p->model->context,
                       .graph = &p->graph,
                       .plan = &p->plan,
                       .arena = p->arena,
                       .x = x,
                       .batch = 1,
                       .prepare = 1,
                       .places = p->places,
                       .hook = p->model->hook};
}

static size_t greatest(const float *v, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (v[i] > v[best])
      best = i;
  return best;
}

/* dz[class] / dA; class -1: that of the greatest logit. */
static const float *gradient_of(const struct piece *tail, const float *a,
                                int class_index) {
  const struct pass pass = pass_of(tail, a);
  size_t classes = shape_count(&tail->graph.nodes[tail->graph.logits].out);
  const float *z = imgrec__pass_forward(&pass, tail->graph.logits);
  size_t target = class_index < 0 ? greatest(z, classes) : (size_t)class_index;
  float *dz = imgrec__pass_gradient(&pass);
  memset(dz, 0, classes * sizeof *dz);
  dz[target] = 1;
  imgrec__pass_backward(&pass);
  return tail->arena + tail->plan.places[1].dy;
}

/* ---- The map ------------------------------------------------------------- */

/* weight: c; map: h x w. */
static void weigh(float *map, double *weight, const float *a, const float *da,
                  const struct shape *s) {
  size_t pixels = shape_pixels(s), c = (size_t)s->c;
  memset(weight, 0, c * sizeof *weight);
  for (size_t i = 0; i < pixels; i++)
    for (size_t k = 0; k < c; k++)
      weight[k] += (double)da[i * c + k];
  for (size_t i = 0; i < pixels; i++) {
    double sum = 0;
    for (size_t k = 0; k < c; k++)
      sum += weight[k] / (double)pixels * (double)a[i * c + k];
    map[i] = sum > 0 ? (float)sum : 0;
  }
}

/* Where output i of `to` lies among `from` inputs, by half pixels. */
struct tap {
  size_t at[2];
  double part; /* of the second */
};

static struct tap tap_of(size_t i, size_t to, size_t from) {
  double x = ((double)i + 0.5) * (double)from / (double)to - 0.5;
  struct tap t = {{0, 0}, 0};
  if (x > 0) {
    t.at[0] = (size_t)x;
    t.part = x - (double)t.at[0];
  }
  t.at[1] = min_size(t.at[0] + 1, from - 1);
  return t;
}

static void enlarge(float *out, size_t height, size_t width, const float *map,
                    size_t h, size_t w) {
  for (size_t i = 0; i < height; i++) {
    struct tap y = tap_of(i, height, h);
    for (size_t j = 0; j < width; j++) {
      struct tap x = tap_of(j, width, w);
      double row[2];
      for (int k = 0; k < 2; k++) {
        const float *m = map + y.at[k] * w;
        row[k] =
            (double)m[x.at[0]] * (1 - x.part) + (double)m[x.at[1]] * x.part;
      }
      out[i * width + j] = (float)(row[0] * (1 - y.part) + row[1] * y.part);
    }
  }
}

static void bring_to_one(float *map, size_t n) {
  float most = map[greatest(map, n)];
  if (most > 0)
    for (size_t i = 0; i < n; i++)
      map[i] /= most;
}

static int draw(struct imgrec_tensor *out, const struct piece *head,
                const float *a, const float *da) {
  struct imgrec_context *ctx = head->model->context;
  const struct shape *s = &head->graph.nodes[head->graph.logits].out;
  float *map =
      imgrec__alloc_array(&ctx->allocator, shape_pixels(s), sizeof *map);
  double *weight =
      imgrec__alloc_array(&ctx->allocator, (size_t)s->c, sizeof *weight);
  int status = IMGREC_OK;
  if (map && weight) {
    weigh(map, weight, a, da, s);
    enlarge(out->data, (size_t)out->shape[0], (size_t)out->shape[1], map,
            (size_t)s->h, (size_t)s->w);
    bring_to_one(out->data, (size_t)(out->shape[0] * out->shape[1]));
  } else {
    status =
        imgrec__fail_memory(&ctx->error, &ctx->allocator, "an explanation");
  }
  imgrec__free(&ctx->allocator, map);
  imgrec__free(&ctx->allocator, weight);
  return status;
}

/* ---- The call ------------------------------------------------------------ */

static int run(struct imgrec_tensor *out, struct piece *head,
               struct piece *tail, const struct imgrec_tensor *image,
               int class_index) {
  struct imgrec_model *m = head->model;
  struct imgrec_context *ctx = m->context;
  const struct pixels pixels = imgrec__pixels_of(image);
  imgrec__preprocess(m->input, ctx->kernels, imgrec__workspace(ctx, 0), &pixels,
                     &m->preprocess);
  int status;
  if ((status = plan_piece(head, 0)) < 0 || (status = plan_piece(tail, 1)) < 0)
    return status;
  const struct pass pass = pass_of(head, m->input);
  const float *a = imgrec__pass_forward(&pass, head->graph.logits);
  return draw(out, head, a, gradient_of(tail, a, class_index));
}

static int explain(struct imgrec_tensor *out, struct imgrec_model *m, int cut,
                   const struct imgrec_tensor *image, int class_index) {
  struct piece head = {.model = m, .graph = make_head(&m->graph, cut)};
  struct piece tail = {.model = m};
  int status = make_tail(&tail.graph, m->context, &m->graph, cut);
  if (status >= 0)
    status = run(out, &head, &tail, image, class_index);
  free_piece(&head);
  free_piece(&tail);
  imgrec__free(&m->context->allocator, tail.graph.nodes);
  return status;
}

static int check(const struct imgrec_model *m,
                 const struct imgrec_tensor *image, int class_index, int cut) {
  struct error *e = &m->context->error;
  int status = imgrec__check_image(e, image, "image");
  if (status < 0 ||
      (status = imgrec__preprocess_check(e, &m->preprocess)) < 0 ||
      (status = imgrec__model_need_floats(m, "cannot be explained")) < 0)
    return status;
  if (class_index < -1 || class_index >= imgrec_model_classes(m))
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "class %d of a model of %d classes", class_index,
                        imgrec_model_classes(m));
  if (cut == 0)
    return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                        "this network has no one activation with height and "
                        "width behind a convolution that leads to the answer");
  return IMGREC_OK;
}

int imgrec_model_explain(imgrec_tensor **out, imgrec_model *m,
                         const imgrec_tensor *image, int class_index) {
  imgrec_tensor *map = NULL;
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  if (!out || !image)
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_explain: out or image is NULL");
  int cut = find_cut(&m->graph);
  const int64_t shape[] = {m->preprocess.height, m->preprocess.width};
  uint64_t fp = imgrec__fp_enter();
  int status = check(m, image, class_index, cut);
  if (status >= 0)
    status = imgrec__tensor_new(&map, m->context, IMGREC_F32, 2, shape);
  if (status >= 0)
    status = explain(map, m, cut, image, class_index);
  imgrec__fp_leave(fp);
  if (status < 0)
    imgrec_tensor_destroy(map);
  else
    *out = map;
  return status;
}
