/* SPDX-License-Identifier: MIT */
/* Times each layer of a network: forward, and the gradients by its input and by
 * its weights apart.  GFLOP/s count the multiplications of the definition,
 * which Winograd does not all do; `peak` is what the inner loop of a product
 * reaches on the same threads with all operands in the nearest cache.
 *
 *   bench_layers ARCH_FILE BATCH [THREADS] */
#include "model/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 9, MOST_NODES = 1000 };

struct bench {
  imgrec_context *ctx;
  imgrec_model *model;
  struct plan plan;
  size_t batch;
  float *arena, *gradients, *x;
  double peak; /* GFLOP/s */
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static float random_unit(void) { return (float)rand() / (float)RAND_MAX; }

static void fill(float *p, size_t n, float low) {
  for (size_t i = 0; i < n; i++)
    p[i] = low + random_unit();
}

/* ---- The peak ------------------------------------------------------------ */

enum { PEAK_K = 256, PEAK_ROUNDS = 400 };

static void peak_task(void *arg, int i, int worker) {
  const struct imgrec_context *ctx = arg;
  const struct kernels *k = ctx->kernels;
  size_t mr = (size_t)k->mr, nr = (size_t)k->nr;
  float *a = imgrec__workspace(ctx, worker), *b = a + PEAK_K * mr;
  float *c = b + PEAK_K * nr;
  const struct left left = {a, 1, mr, PEAK_K, {1, 1}, {0, 0}};
  (void)i;
  for (int round = 0; round < PEAK_ROUNDS; round++)
    k->gemm_tile(&left, b, nr, c, nr, mr, nr, 0);
}

static double measure_peak(struct imgrec_context *ctx) {
  double best = 1e9;
  double flops = 2.0 * PEAK_K * ctx->kernels->mr * ctx->kernels->nr *
                 PEAK_ROUNDS * ctx->threads;
  for (int i = 0; i < ctx->threads; i++)
    memset(imgrec__workspace(ctx, i), 0, IMGREC__WORKSPACE);
  for (int i = 0; i < 50; i++) {
    double start = now();
    imgrec__parallel_for(ctx->pool, (size_t)ctx->threads, peak_task, ctx);
    double time = now() - start;
    best = time < best ? time : best;
  }
  return 1e-9 * flops / best;
}

/* ---- A layer ------------------------------------------------------------- */

static float *at(const struct bench *b, int64_t place) {
  return place == PLAN_NONE ? NULL : b->arena + place;
}

static const struct node *node_at(const struct bench *b, int i) {
  return i == PLAN_NONE ? NULL : &b->model->graph.nodes[i];
}

static struct run run_of(const struct bench *b, int i) {
  const struct node *n = node_at(b, i);
  const struct place *p = &b->plan.places[i];
  struct run r = {.context = b->ctx,
                  .node = n,
                  .batch = b->batch,
                  .training = 1,
                  .y = at(b, p->y),
                  .dy = at(b, p->dy),
                  .saved = at(b, p->saved),
                  .scratch = b->arena,
                  .prepared = at(b, p->prepared),
                  .bn = node_at(b, p->bn),
                  .act = node_at(b, p->act),
                  .pool = node_at(b, p->pool)};
  r.won = (uint8_t *)(void *)at(b, p->won);
  for (int k = 0; k < n->input_count; k++)
    r.x[k] = n->inputs[k] == 0 ? b->x : at(b, b->plan.places[n->inputs[k]].y);
  return r;
}

enum direction { FORWARD, BY_INPUT, BY_WEIGHTS };

/* Median seconds; 0 where there is nothing of the kind. */
static double time_of(const struct bench *b, int i, enum direction d) {
  double times[RUNS];
  struct run r = run_of(b, i);
  const struct place *place = &b->plan.places[i];
  for (int k = 0; k < r.node->input_count && d == BY_INPUT; k++)
    r.dx[k] = at(b, place->dx[k]);
  for (int k = 0; k < r.node->param_count && d == BY_WEIGHTS; k++)
    if (r.node->params[k].trainable)
      r.dparam[k] = b->gradients + (r.node->params[k].data - b->model->weights);
  if ((d == BY_INPUT && !r.dx[0]) || (d == BY_WEIGHTS && !r.dparam[0]))
    return 0;
  for (int run = -1; run < RUNS; run++) {
    double start = now();
    if (d == FORWARD && r.node->op->prepare)
      r.node->op->prepare(&r);
    if (d == FORWARD)
      r.node->op->forward(&r);
    else
      r.node->op->backward(&r);
    times[run < 0 ? 0 : run] = now() - start;
  }
  qsort(times, RUNS, sizeof times[0], ascending);
  return times[RUNS / 2];
}

static void print_time(const struct bench *b, double time, double flops) {
  if (time == 0)
    printf("%34s", "");
  else if (flops == 0)
    printf("%10.3f ms%21s", 1e3 * time, "");
  else
    printf("%10.3f ms %7.1f GFLOP/s%4.0f%%", 1e3 * time, 1e-9 * flops / time,
           1e-7 * flops / time / b->peak);
}

static void report(const struct bench *b, int i, const double times[3]) {
  const struct node *n = node_at(b, i);
  double flops = 0;
  if (n->op->multiply_adds)
    flops = 2.0 * (double)n->op->multiply_adds(n) * (double)b->batch;
  printf("%-10s", n->name);
  for (int d = 0; d < 3; d++)
    print_time(b, times[d], flops);
  printf("\n");
}

/* ---- All of them --------------------------------------------------------- */

/* Forward in order, so that each layer has something to work on; then backward
 * from what the last one is given. */
static void measure(const struct bench *b) {
  static double times[MOST_NODES][3];
  const struct graph *g = &b->model->graph;
  for (int i = 1; i <= g->logits; i = b->plan.places[i].last + 1)
    times[i][FORWARD] = time_of(b, i, FORWARD);
  fill(at(b, b->plan.places[g->logits].dy),
       b->batch * shape_count(&g->nodes[g->logits].out), -0.5F);
  for (int i = g->logits; i > 0; i--) {
    if (b->plan.places[i].head != i)
      continue;
    times[i][BY_WEIGHTS] = time_of(b, i, BY_WEIGHTS);
    times[i][BY_INPUT] = time_of(b, i, BY_INPUT);
  }
  printf("%-10s%-34s%-34s%-34s\n", "", "   forward", "   by the input",
         "   by the weights");
  for (int i = 1; i <= g->logits; i = b->plan.places[i].last + 1)
    report(b, i, times[i]);
}

static int prepare(struct bench *b, const char *text, int threads) {
  imgrec_context_options o;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = threads;
  if (imgrec_context_create(&b->ctx, &o) < 0 ||
      imgrec_model_create(&b->model, b->ctx, text, NULL) < 0)
    return 0;
  struct allocator *a = &b->ctx->allocator;
  const struct graph *g = &b->model->graph;
  if (g->node_count > MOST_NODES ||
      imgrec__plan_create(&b->plan, a, &b->ctx->error, g, b->batch, 1) < 0)
    return 0;
  size_t inputs = b->batch * shape_count(&g->nodes[0].out);
  b->arena = imgrec__alloc_zero(a, b->plan.floats * sizeof *b->arena);
  b->gradients = imgrec__alloc_array(a, b->model->weight_floats, sizeof(float));
  b->x = imgrec__alloc_array(a, inputs, sizeof *b->x);
  if (!b->arena || !b->gradients || !b->x)
    return 0;
  fill(b->x, inputs, 0);
  b->peak = measure_peak(b->ctx);
  return 1;
}

static void release(struct bench *b) {
  if (!b->ctx)
    return;
  imgrec__free(&b->ctx->allocator, b->arena);
  imgrec__free(&b->ctx->allocator, b->gradients);
  imgrec__free(&b->ctx->allocator, b->x);
  imgrec__plan_free(&b->plan);
  imgrec_model_destroy(b->model);
  imgrec_context_destroy(b->ctx);
}

static int read_file(const char *path, char *text, size_t size) {
  FILE *f = fopen(path, "r");
  if (!f)
    return 0;
  text[fread(text, 1, size - 1, f)] = '\0';
  fclose(f);
  return 1;
}

int main(int argc, char **argv) {
  static char text[1 << 16];
  struct bench b = {0};
  b.batch = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
  if (b.batch < 1 || b.batch > 4096 || !read_file(argv[1], text, sizeof text)) {
    fprintf(stderr, "usage: bench_layers ARCH_FILE BATCH [THREADS]\n");
    return 2;
  }
  int ok = prepare(&b, text, argc > 3 ? atoi(argv[3]) : 0);
  if (ok) {
    printf("batch %zu, %d threads, %s, peak %.0f GFLOP/s\n", b.batch,
           b.ctx->threads, b.ctx->kernels->name, b.peak);
    measure(&b);
  } else {
    fprintf(stderr, "%s\n", b.ctx ? imgrec_last_error(b.ctx) : "no context");
  }
  release(&b);
  return !ok;
}
