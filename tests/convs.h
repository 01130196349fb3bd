/* SPDX-License-Identifier: MIT */
/* Convolutions of random numbers by one of the drivers in lib/ops: against
 * f64, and bit for bit over threads, instruction sets, batches, and what is
 * done along.  Include behind cmocka.h. */
#ifndef CONVS_H
#define CONVS_H

#include "nets.h"

#include "kernel_calls.h"

struct driver {
  const char *name;
  int (*fits)(const struct conv *c);
  size_t (*prepared)(const struct conv *c);
  void (*prepare)(const struct conv *c, const float *w, float *out);
  void (*forward)(const struct conv *c);
  int (*gradient_fits)(const struct conv *c);
  size_t (*gradient_scratch)(const struct conv *c);
  void (*gradient)(const struct conv_gradient *g);
  int adds_chunks; /* to dw one after another, not their sum */
  double bound;    /* of errors, by the outputs' rms; 0: that of plain sums */
};

/* ---- Shapes -------------------------------------------------------------- */

/* The outputs' size, with the same padding on both sides; 0 where the kernel
 * does not fit. */
static inline int place_outputs(struct conv *c) {
  size_t in[2] = {c->x.height, c->x.width}, out[2];
  for (int axis = 0; axis < 2; axis++) {
    ptrdiff_t room = (ptrdiff_t)in[axis] + 2 * c->pad[axis] - 1 -
                     (c->kernel[axis] - 1) * c->dilation[axis];
    if (room < 0)
      return 0;
    out[axis] = (size_t)room / (size_t)c->stride[axis] + 1;
  }
  c->out.height = out[0];
  c->out.width = out[1];
  return 1;
}

static inline struct conv conv_shape(size_t batch, size_t height, size_t width,
                                     size_t channels, size_t filters,
                                     int kernel, int pad) {
  struct conv c = {.batch = batch,
                   .groups = 1,
                   .kernel = {kernel, kernel},
                   .stride = {1, 1},
                   .dilation = {1, 1},
                   .pad = {pad, pad},
                   .x = {NULL, NULL, height, width, channels}};
  c.out.channels = filters;
  assert_true(place_outputs(&c));
  return c;
}

static inline size_t plane_count(const struct plane *p) {
  return p->won != NULL ? (p->height / 2) * (p->width / 2) * p->channels
                        : p->height * p->width * p->channels;
}

static inline size_t output_count(const struct output *o) {
  return o->pool ? (o->height / 2) * (o->width / 2) * o->channels
                 : o->height * o->width * o->channels;
}

static inline size_t weight_count(const struct conv *c) {
  return (size_t)(c->kernel[0] * c->kernel[1]) * c->x.channels / c->groups *
         c->out.channels;
}

static inline const char *conv_text(const struct conv *c, char text[200]) {
  snprintf(text, 200,
           "%zu x %zux%zux%zu to %zux%zux%zu, kernel %dx%d, stride %dx%d, "
           "dilation %dx%d, pad %dx%d, groups %zu",
           c->batch, c->x.height, c->x.width, c->x.channels, c->out.height,
           c->out.width, c->out.channels, c->kernel[0], c->kernel[1],
           c->stride[0], c->stride[1], c->dilation[0], c->dilation[1],
           c->pad[0], c->pad[1], c->groups);
  return text;
}

/* ---- By the definition, in f64 ------------------------------------------- */

/* y += x w, dw += x dy, dx += w dy over all products; what is NULL is left
 * out.  `size` 1: of the numbers' sizes, as bounds of errors need it. */
struct direct {
  const float *x, *w, *dy;
  double *y, *dw, *dx;
  int size;
};

static inline double term(const struct direct *d, float a, float b) {
  double product = (double)a * (double)b;
  return d->size ? fabs(product) : product;
}

/* The products of one pixel with one tap: of a group's cg x og. */
static inline void direct_tap(const struct direct *d, const struct conv *c,
                              size_t x, size_t w, size_t y) {
  size_t cg = c->x.channels / c->groups, og = c->out.channels / c->groups;
  for (size_t i = 0; i < cg; i++, w += c->out.channels)
    for (size_t o = 0; o < og; o++) {
      if (d->y)
        d->y[y + o] += term(d, d->x[x + i], d->w[w + o]);
      if (d->dw)
        d->dw[w + o] += term(d, d->x[x + i], d->dy[y + o]);
      if (d->dx)
        d->dx[x + i] += term(d, d->w[w + o], d->dy[y + o]);
    }
}

static inline void direct_pixel(const struct direct *d, const struct conv *c,
                                size_t image, size_t oy, size_t ox) {
  size_t cg = c->x.channels / c->groups, og = c->out.channels / c->groups;
  for (int i = 0; i < c->kernel[0] * c->kernel[1]; i++) {
    int ky = i / c->kernel[1], kx = i % c->kernel[1];
    size_t y =
        oy * (size_t)c->stride[0] + (size_t)(ky * c->dilation[0] - c->pad[0]);
    size_t x =
        ox * (size_t)c->stride[1] + (size_t)(kx * c->dilation[1] - c->pad[1]);
    if (y >= c->x.height || x >= c->x.width) /* or below zero */
      continue;
    size_t in = (image * c->x.height + y) * c->x.width + x;
    size_t out = (image * c->out.height + oy) * c->out.width + ox;
    for (size_t g = 0; g < c->groups; g++)
      direct_tap(d, c, in * c->x.channels + g * cg,
                 (size_t)i * cg * c->out.channels + g * og,
                 out * c->out.channels + g * og);
  }
}

static inline void direct(const struct direct *d, const struct conv *c) {
  for (size_t image = 0; image < c->batch; image++)
    for (size_t oy = 0; oy < c->out.height; oy++)
      for (size_t ox = 0; ox < c->out.width; ox++)
        direct_pixel(d, c, image, oy, ox);
}

static inline double *zeros(size_t n) {
  double *p = calloc(n + 1, sizeof *p);
  assert_non_null(p);
  return p;
}

/* ---- Errors -------------------------------------------------------------- */

static inline double rms(const double *v, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++)
    sum += v[i] * v[i];
  return sqrt(sum / (double)(n + (n == 0)));
}

struct errors {
  double most, rms; /* both by the rms of what is right */
};

static inline struct errors errors_of(const float *got, const double *want,
                                      size_t n) {
  struct errors e = {0, 0};
  double scale = rms(want, n) + DBL_MIN;
  for (size_t i = 0; i < n; i++) {
    double error = fabs((double)got[i] - want[i]) / scale;
    e.most = error > e.most || error != error ? error : e.most;
    e.rms += error * error;
  }
  e.rms = sqrt(e.rms / (double)(n + (n == 0)));
  return e;
}

/* A sum of n products, rounded at each step: within n 2^-24 of the sum of the
 * products' sizes. */
static inline void assert_sums(const char *what, const struct conv *c,
                               const float *got, const double *want,
                               const double *size, size_t n, size_t terms) {
  char text[200];
  for (size_t i = 0; i < n; i++)
    if (!(fabs((double)got[i] - want[i]) <=
          (double)(terms + 2) * 0x1p-24 * size[i]))
      fail_msg("%s[%zu] is %.9g, not %.9g: %s", what, i, (double)got[i],
               want[i], conv_text(c, text));
}

static inline void assert_errors(const char *what, const struct conv *c,
                                 struct errors e, double bound) {
  char text[200];
  if (!(e.most <= bound))
    fail_msg("%s: error of %g rms: %s", what, e.most, conv_text(c, text));
}

static inline void assert_bits(const char *what, const struct conv *c,
                               const float *want, const float *got, size_t n) {
  char text[200];
  const uint32_t *a = (const void *)want, *b = (const void *)got;
  for (size_t i = 0; i < n; i++)
    if (!same_word(a[i], b[i]))
      fail_msg("%s[%zu of %zu] is %.9g, not %.9g: %s", what, i, n,
               (double)got[i], (double)want[i], conv_text(c, text));
}

/* ---- Calls --------------------------------------------------------------- */

/* NaNs in a block of just this size. */
static inline float *blank(size_t n) {
  float *p = malloc(n * sizeof *p);
  if (n > 0)
    memset(p, 0xff, n * sizeof *p);
  return p;
}

static inline void assert_canary(const uint32_t *p, size_t n) {
  for (size_t i = 0; i < GUARD; i++)
    assert_int_equal(p[n + i], CANARY);
}

static inline float *forward_of(const struct driver *d,
                                const struct conv *shape, const float *w,
                                imgrec_context *ctx) {
  struct conv c = *shape;
  size_t n = c.batch * output_count(&c.out);
  uint32_t *y = guarded(n);
  float *prepared = blank(d->prepared(&c));
  c.context = ctx;
  c.w = prepared;
  c.out.y = (float *)y;
  d->prepare(&c, w, prepared);
  d->forward(&c);
  assert_canary(y, n);
  free(prepared);
  return (float *)y;
}

/* start: what is added to, or NULL. */
static inline float *gradient_of(const struct driver *d,
                                 const struct conv *shape,
                                 const struct plane *dy, const float *start,
                                 imgrec_context *ctx) {
  struct conv c = *shape;
  size_t n = weight_count(&c);
  uint32_t *dw = guarded(n);
  float *scratch = blank(d->gradient_scratch(&c));
  const struct conv_gradient g = {&c, dy, (float *)dw, scratch, start != NULL};
  c.context = ctx;
  if (start != NULL)
    memcpy(dw, start, n * sizeof *dw);
  d->gradient(&g);
  assert_canary(dw, n);
  free(scratch);
  return (float *)dw;
}

/* ---- Max pooling, by the definition -------------------------------------- */

/* The first of equals wins; a NaN only where it is the first tap. */
static inline float pooled_at(const struct output *o, const float *sums,
                              size_t py, size_t px, size_t c, uint8_t *won) {
  float best = 0;
  for (size_t tap = 0; tap < 4; tap++) {
    size_t at = (2 * py + tap / 2) * o->width + 2 * px + tap % 2;
    float v = finished(&o->epilogue, sums[at * o->channels + c], c);
    if (tap == 0 || v > best) {
      best = v;
      *won = (uint8_t)tap;
    }
  }
  if (o->epilogue.relu && !(best > 0.0f))
    *won = 4;
  return best;
}

/* What becomes of the sums of one image: y and won as `o` says. */
static inline void finish_image(const struct output *o, const float *sums,
                                float *y, uint8_t *won) {
  size_t width = o->pool ? o->width / 2 : o->width;
  for (size_t i = 0; i < output_count(o); i++) {
    size_t c = i % o->channels, at = i / o->channels;
    if (o->pool)
      y[i] = pooled_at(o, sums, at / width, at % width, c, &won[i]);
    else
      y[i] = finished(&o->epilogue, sums[i], c);
  }
}

/* What a plane behind a pooling stands for, all images of it. */
static inline float *expanded(const struct plane *p, size_t batch) {
  size_t n = p->height * p->width * p->channels, pooled = plane_count(p);
  float *all = malloc((batch * n + 1) * sizeof *all);
  for (size_t i = 0; i < batch * n; i++) {
    size_t c = i % p->channels, x = i / p->channels % p->width;
    size_t y = i % n / p->channels / p->width;
    size_t at =
        i / n * pooled + (y / 2 * (p->width / 2) + x / 2) * p->channels + c;
    int counts = y / 2 < p->height / 2 && x / 2 < p->width / 2;
    all[i] = counts && p->won[at] == y % 2 * 2 + x % 2 ? p->x[at] : 0.0f;
  }
  return all;
}

/* ---- All that is promised of a driver ------------------------------------ */

struct conv_case {
  const struct driver *driver;
  struct conv c;
  float *w, *y; /* y: sums by the first context */
  imgrec_context *ctx, *others[IMGREC_ISA_NEON];
  int other_count;
};

/* One of a single thread, one of several for each instruction set. */
static inline void make_contexts(struct conv_case *t) {
  t->ctx = new_context(1, IMGREC_ISA_AUTO);
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    t->others[t->other_count++] = new_context(1 + (int)below(5), isa);
}

static inline void check_forward_values(struct conv_case *t) {
  const struct conv *c = &t->c;
  size_t n = c->batch * output_count(&c->out);
  size_t terms =
      (size_t)(c->kernel[0] * c->kernel[1]) * c->x.channels / c->groups;
  struct direct d = {.x = c->x.x, .w = t->w, .y = zeros(n)};
  struct direct sizes = {.x = c->x.x, .w = t->w, .y = zeros(n), .size = 1};
  direct(&d, c);
  direct(&sizes, c);
  if (t->driver->bound > 0)
    assert_errors("y", c, errors_of(t->y, d.y, n), t->driver->bound);
  else
    assert_sums("y", c, t->y, d.y, sizes.y, n, terms);
  free(d.y);
  free(sizes.y);
}

static inline void check_forward_contexts(struct conv_case *t) {
  size_t n = t->c.batch * output_count(&t->c.out);
  for (int i = 0; i < t->other_count; i++) {
    float *y = forward_of(t->driver, &t->c, t->w, t->others[i]);
    assert_bits(t->others[i]->kernels->name, &t->c, t->y, y, n);
    free(y);
  }
}

/* Each image alone. */
static inline void check_alone(struct conv_case *t) {
  size_t n = output_count(&t->c.out);
  for (size_t image = 0; image < t->c.batch; image++) {
    struct conv c = t->c;
    c.batch = 1;
    c.x.x += image * plane_count(&c.x);
    float *y = forward_of(t->driver, &c, t->w, t->others[t->other_count - 1]);
    assert_bits("alone", &c, t->y + image * n, y, n);
    free(y);
  }
}

/* Scale, shift, ReLU and pooling give what they make of the sums. */
static inline void check_epilogue(struct conv_case *t) {
  struct conv c = t->c;
  size_t sums = output_count(&c.out), filters = c.out.channels;
  float *scale = numbers(filters, PLAIN), *shift = numbers(filters, PLAIN);
  int kind = (int)below(3);
  c.out.epilogue.scale = below(2) ? scale : NULL;
  c.out.epilogue.shift = c.out.epilogue.scale || below(2) ? shift : NULL;
  c.out.pool = c.out.height > 1 && c.out.width > 1 && below(4);
  c.out.epilogue.relu = kind == 1;
  c.out.epilogue.relu6 = kind == 2;
  size_t n = output_count(&c.out);
  uint8_t *won = malloc(2 * c.batch * n + 1), *want_won = won + c.batch * n;
  float *want = malloc((c.batch * n + 1) * sizeof *want);
  if (c.out.pool && kind < 2 && below(4))
    c.out.won = won;
  for (size_t image = 0; image < c.batch; image++)
    finish_image(&c.out, t->y + image * sums, want + image * n,
                 want_won + image * n);
  if (t->driver->fits(&c)) {
    float *y = forward_of(t->driver, &c, t->w, t->others[t->other_count - 1]);
    assert_bits("epilogue", &c, want, y, c.batch * n);
    if (c.out.won)
      assert_memory_equal(won, want_won, c.batch * n);
    free(y);
  }
  free(scale);
  free(shift);
  free(won);
  free(want);
}

/* A plane behind a max pooling, of random winners. */
static inline struct plane random_pooled(struct plane p, size_t batch) {
  uint8_t none = 0;
  p.won = &none;
  size_t n = batch * plane_count(&p);
  uint8_t *won = malloc(n + 1);
  for (size_t i = 0; i < n; i++)
    won[i] = (uint8_t)below(5);
  p.x = numbers(n, PLAIN);
  p.won = won;
  return p;
}

static inline void free_plane(const struct plane *p) {
  free((void *)(uintptr_t)p->x);
  free((void *)(uintptr_t)p->won);
}

static inline void check_pooled_x(struct conv_case *t) {
  struct conv c = t->c;
  size_t n = c.batch * output_count(&c.out);
  const struct plane pooled = random_pooled(c.x, c.batch);
  float *all = expanded(&pooled, c.batch);
  c.x.x = all;
  float *want = forward_of(t->driver, &c, t->w, t->ctx);
  c.x = pooled;
  float *y = forward_of(t->driver, &c, t->w, t->others[t->other_count - 1]);
  assert_bits("of a pooled plane", &c, want, y, n);
  free_plane(&pooled);
  free(all);
  free(want);
  free(y);
}

static inline void check_gradient_values(struct conv_case *t,
                                         const struct plane *dy,
                                         const float *dw) {
  const struct conv *c = &t->c;
  size_t n = weight_count(c), pixels = c->out.height * c->out.width;
  struct direct d = {.x = c->x.x, .dy = dy->x, .dw = zeros(n)};
  struct direct sizes = {.x = c->x.x, .dy = dy->x, .dw = zeros(n), .size = 1};
  direct(&d, c);
  direct(&sizes, c);
  if (t->driver->bound > 0)
    assert_errors("dw", c, errors_of(dw, d.dw, n), t->driver->bound);
  else
    assert_sums("dw", c, dw, d.dw, sizes.dw, n, c->batch * pixels);
  free(d.dw);
  free(sizes.dw);
}

/* On every context, and added to what is there. */
static inline void check_gradient_bits(struct conv_case *t,
                                       const struct plane *dy,
                                       const float *dw) {
  size_t n = weight_count(&t->c);
  float *start = numbers(n, PLAIN), *sum = numbers(n, PLAIN);
  for (size_t i = 0; i < n; i++)
    sum[i] = start[i] + dw[i];
  if (t->driver->adds_chunks) {
    free(sum);
    sum = gradient_of(t->driver, &t->c, dy, start, t->ctx);
  }
  for (int i = 0; i < t->other_count; i++) {
    float *again = gradient_of(t->driver, &t->c, dy, NULL, t->others[i]);
    float *added = gradient_of(t->driver, &t->c, dy, start, t->others[i]);
    assert_bits("dw", &t->c, dw, again, n);
    assert_bits("dw added", &t->c, sum, added, n);
    free(again);
    free(added);
  }
  free(start);
  free(sum);
}

static inline void check_gradient(struct conv_case *t) {
  const struct output *o = &t->c.out;
  struct plane dy = {NULL, NULL, o->height, o->width, o->channels};
  const struct plane pooled = random_pooled(dy, t->c.batch);
  for (int behind_pool = 0; behind_pool < 2; behind_pool++) {
    float *plain = behind_pool ? expanded(&pooled, t->c.batch)
                               : numbers(t->c.batch * plane_count(&dy), PLAIN);
    dy.x = plain;
    float *dw = gradient_of(t->driver, &t->c, &dy, NULL, t->ctx);
    check_gradient_values(t, &dy, dw);
    check_gradient_bits(t, behind_pool ? &pooled : &dy, dw);
    free(plain);
    free(dw);
  }
  free_plane(&pooled);
}

static inline void check_conv(const struct driver *d, struct conv c) {
  struct conv_case t = {.driver = d, .c = c};
  float *x = numbers(c.batch * plane_count(&c.x), PLAIN);
  t.c.x.x = x;
  t.w = numbers(weight_count(&c), PLAIN);
  make_contexts(&t);
  assert_true(d->fits(&t.c));
  t.y = forward_of(d, &t.c, t.w, t.ctx);
  check_forward_values(&t);
  check_forward_contexts(&t);
  check_alone(&t);
  check_epilogue(&t);
  check_pooled_x(&t);
  if (c.pad[0] >= 0 && c.pad[1] >= 0 && d->gradient_fits(&t.c))
    check_gradient(&t);
  for (int i = 0; i < t.other_count; i++)
    imgrec_context_destroy(t.others[i]);
  imgrec_context_destroy(t.ctx);
  free(x);
  free(t.w);
  free(t.y);
}

#endif
