/* SPDX-License-Identifier: MIT */
/* Products of matrices of bytes, u8 times i8: cut into tasks for the workers.
 * All sums are exact, so that it does not matter how they are cut.  Those that
 * are too long for 32 bits are made of blocks, which are added up in f64,
 * exactly as well: each is below 2^31, and there are fewer than 2^22. */
#include "tensor.h"

#include "kernels/kernels.h"

#include <string.h>

/* Pixels of a line that a task has at most; fewer where sums are long, and at
 * least some in all, so that the columns' panels are used again. */
enum { PIXELS = 1024, LONG_PIXELS = 96, LEAST_PIXELS = 256, WIDTH = 32 };

/* Below this many products a task is not worth its overhead. */
#define LEAST_WORK ((size_t)1 << 17)

/* Units are lines, or pairs of lines where there is pooling. */
struct product {
  const struct imgrec_context *ctx;
  const struct qkernels *kernels;
  const struct qgemm *g;
  size_t width;         /* of a tile */
  size_t panel;         /* bytes of a panel */
  size_t lines, units;  /* lines of a unit, units of an image */
  size_t pixels, piece; /* of a task: of a line, and units */
  size_t cols;          /* of a task */
  size_t across, along; /* tasks: over the columns, and along a line */
  int is_long;
};

struct task {
  char *memory; /* the worker's */
  size_t x0, width, j, cols;
};

_Static_assert(2 * PIXELS * WIDTH * sizeof(float) <= IMGREC__WORKSPACE,
               "two lines of a tile must fit the workspace");
_Static_assert(LONG_PIXELS *WIDTH *(sizeof(double) + sizeof(int32_t)) <=
                   IMGREC__WORKSPACE,
               "long sums must fit the workspace");

/* The tile of one line, its results not yet placed. */
static struct qtile tile_of(const struct product *p, const struct task *t,
                            size_t image, size_t line) {
  const struct qgemm *g = p->g;
  struct qtile tile = {.step = g->step,
                       .runs = {g->runs[0], g->runs[1]},
                       .jump = {g->jump[0], g->jump[1]},
                       .groups = g->groups,
                       .rows = t->width,
                       .cols = t->cols,
                       .b_panel = p->panel,
                       .shift = g->shift + t->j,
                       .scale = g->scale + t->j,
                       .bias = g->bias + t->j,
                       .relu = g->relu};
  tile.a = g->a + image * g->image_step + line * g->line_step + t->x0 * g->step;
  tile.b = g->b + t->j / Q_COLS * p->panel;
  return tile;
}

static void run_line(const struct product *p, const struct task *t,
                     size_t image, size_t line) {
  const struct qgemm *g = p->g;
  struct qtile tile = tile_of(p, t, image, line);
  size_t pixel = (image * g->lines + line) * g->width + t->x0;
  tile.y = g->y + pixel * g->ldy + t->j;
  tile.ldy = g->ldy;
  p->kernels->tile(&tile);
}

static void run_pair(const struct product *p, const struct task *t,
                     size_t image, size_t pair) {
  const struct qgemm *g = p->g;
  const struct epilogue none = {.relu = 0};
  float *sums = (float *)(void *)t->memory;
  size_t row = t->width * t->cols;
  for (size_t i = 0; i < 2; i++) {
    struct qtile tile = tile_of(p, t, image, 2 * pair + i);
    tile.y = sums + i * row;
    tile.ldy = t->cols;
    p->kernels->tile(&tile);
  }
  size_t pixel = (image * p->units + pair) * (g->width / 2) + t->x0 / 2;
  p->ctx->kernels->finish_pool(g->y + pixel * g->ldy + t->j, NULL, g->ldy, sums,
                               row, &none, t->width / 2, t->cols);
}

/* One run, a block of it after the other. */
static void run_long(const struct product *p, const struct task *t,
                     size_t image, size_t line) {
  const struct qgemm *g = p->g;
  const size_t block = IMGREC__QBLOCK / Q_GROUP;
  double *wide = (double *)(void *)t->memory;
  struct qtile tile = tile_of(p, t, image, line);
  tile.sums = (int32_t *)(void *)(wide + LONG_PIXELS * WIDTH);
  memset(wide, 0, t->width * p->width * sizeof *wide);
  for (size_t done = 0; done < g->groups; done += block) {
    tile.groups = min_size(block, g->groups - done);
    p->kernels->tile(&tile);
    for (size_t i = 0; i < t->width * p->width; i++)
      wide[i] += i % p->width < t->cols ? tile.sums[i] : 0;
    tile.a += block * Q_GROUP;
    tile.b += block * Q_GROUP_BYTES;
    tile.shift += g->shift_step;
  }
  size_t pixel = (image * g->lines + line) * g->width + t->x0;
  for (size_t i = 0; i < t->width; i++)
    p->kernels->finish(g->y + (pixel + i) * g->ldy + t->j, wide + i * p->width,
                       tile.scale, tile.bias, g->relu, t->cols);
}

static void run_unit(const struct product *p, const struct task *t,
                     size_t unit) {
  size_t image = unit / p->units, line = unit % p->units;
  if (p->is_long)
    run_long(p, t, image, line);
  else if (p->g->pool)
    run_pair(p, t, image, line);
  else
    run_line(p, t, image, line);
}

static void run_task(void *arg, int index, int worker) {
  const struct product *p = arg;
  const struct qgemm *g = p->g;
  size_t at = (size_t)index, j0 = at % p->across * p->cols;
  size_t first = at / p->across / p->along * p->piece;
  size_t last = min_size(first + p->piece, g->images * p->units);
  size_t width = g->pool ? g->width / 2 * 2 : g->width;
  struct task t = {.memory = imgrec__workspace(p->ctx, worker),
                   .x0 = at / p->across % p->along * p->pixels};
  t.width = min_size(p->pixels, width - t.x0);
  for (t.j = j0; t.j < min_size(j0 + p->cols, g->n); t.j += p->width) {
    t.cols = min_size(p->width, g->n - t.j);
    for (size_t unit = first; unit < last; unit++)
      run_unit(p, &t, unit);
  }
}

/* ---- Cutting into tasks -------------------------------------------------- */

static size_t count_tasks(struct product *p) {
  p->across = ceil_div(p->g->n, p->cols);
  return p->across * p->along * ceil_div(p->g->images * p->units, p->piece);
}

/* Some four tasks a worker, as long as they are worth it. */
static size_t cut_for_workers(struct product *p, size_t workers) {
  const struct qgemm *g = p->g;
  size_t products = g->runs[0] * g->runs[1] * g->groups * Q_GROUP;
  size_t tasks = count_tasks(p);
  while (tasks < 4 * workers && p->piece * p->lines *
                                        min_size(p->pixels, g->width) *
                                        p->cols * products >
                                    2 * LEAST_WORK) {
    if (p->piece > 1)
      p->piece = ceil_div(p->piece, 2);
    else if (p->cols > p->width)
      p->cols = round_up(p->cols / 2, p->width);
    else
      break;
    tasks = count_tasks(p);
  }
  return tasks;
}

const struct qkernels *imgrec__qkernels(const struct imgrec_context *ctx) {
  return imgrec__qkernels_for(ctx->isa, imgrec__cpu_vnni());
}

void imgrec__qgemm(struct imgrec_context *ctx, const struct qgemm *g) {
  struct product p = {.ctx = ctx, .kernels = imgrec__qkernels(ctx), .g = g};
  size_t groups = g->runs[0] * g->runs[1] * g->groups;
  size_t width = g->pool ? g->width / 2 * 2 : g->width;
  p.lines = g->pool ? 2 : 1;
  p.units = g->lines / p.lines;
  if (g->images * p.units * width * g->n == 0)
    return;
  p.is_long = groups * Q_GROUP > IMGREC__QSUM_MAX;
  p.width = (size_t)p.kernels->panels * Q_COLS;
  p.panel = groups * Q_GROUP_BYTES;
  p.pixels = p.is_long ? LONG_PIXELS : PIXELS;
  p.along = ceil_div(width, p.pixels);
  p.piece = ceil_div(LEAST_PIXELS, p.lines * min_size(width, p.pixels));
  p.piece = min_size(p.piece, g->images * p.units);
  p.cols = round_up(g->n, p.width);
  size_t workers = (size_t)ctx->threads;
  size_t tasks = workers > 1 ? cut_for_workers(&p, workers) : count_tasks(&p);
  imgrec__parallel_for(ctx->pool, tasks, run_task, &p);
}
