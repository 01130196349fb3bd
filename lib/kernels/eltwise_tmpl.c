/* SPDX-License-Identifier: MIT */
/* Functions of each element alone: sums, activations and their gradients, the
 * optimizers' updates (a part of isa.c). */

/* ---- Arithmetic --------------------------------------------------------- */

/* Less than a vector is brought into one: loops run over whole ones, and once
 * more over that. */
struct rest {
  float x[VF], y[VF];
};

INLINE void map2(float *y, const float *a, const float *b, size_t n,
                 vf (*f)(vf, vf)) {
  struct rest part;
  size_t rest = n % VF;
  float *end = y + n - rest;
  for (n -= rest;; n = VF) {
    for (size_t i = 0; i < n; i += VF)
      store(y + i, f(load(a + i), load(b + i)));
    if (rest == 0 || y == part.y)
      break;
    store(part.x, load_part(b + n, rest));
    store(part.y, load_part(a + n, rest));
    b = part.x;
    a = y = part.y;
  }
  if (rest > 0)
    store_part(end, load(part.y), rest);
}

INLINE vf sum_of(vf a, vf b) { return a + b; }
INLINE vf product_of(vf a, vf b) { return a * b; }

static void add(float *y, const float *a, const float *b, size_t n) {
  map2(y, a, b, n, sum_of);
}

static void mul(float *y, const float *a, const float *b, size_t n) {
  map2(y, a, b, n, product_of);
}

/* y = f(x, s) */
INLINE void map(float *y, const float *x, float s, size_t n,
                vf (*f)(vf x, vf s)) {
  const vf all = splat(s);
  struct rest part;
  size_t rest = n % VF;
  float *end = y + n - rest;
  for (n -= rest;; n = VF) {
    for (size_t i = 0; i < n; i += VF)
      store(y + i, f(load(x + i), all));
    if (rest == 0 || y == part.y)
      break;
    store(part.y, load_part(x + n, rest));
    x = y = part.y;
  }
  if (rest > 0)
    store_part(end, load(part.y), rest);
}

static void scale(float *y, const float *x, float s, size_t n) {
  map(y, x, s, n, product_of);
}

/* ---- Activations: y = f(x, alpha) --------------------------------------- */

INLINE vf clamp(vf x, float low, float high) {
  return vmin(vmax(x, splat(low)), splat(high));
}

INLINE vf relu_of(vf x, vf alpha) {
  (void)alpha;
  return vmax(x, (vf){0});
}

INLINE vf relu6_of(vf x, vf alpha) {
  (void)alpha;
  return clamp(x, 0.0f, 6.0f);
}

INLINE vf leaky_relu_of(vf x, vf alpha) {
  return vselect(x > 0.0f, x, alpha * x);
}

INLINE vf sigmoid_of(vf x, vf alpha) {
  (void)alpha;
  return vsigmoid(x);
}

INLINE vf tanh_of(vf x, vf alpha) {
  (void)alpha;
  return vtanh(x);
}

INLINE vf silu_of(vf x, vf alpha) {
  (void)alpha;
  return x * vsigmoid(x);
}

INLINE vf gelu_of(vf x, vf alpha) {
  vf bell;
  (void)alpha;
  return x * vnormal(x, &bell);
}

INLINE vf hard_sigmoid_of(vf x, vf alpha) {
  (void)alpha;
  return clamp(vfma(x, splat(1.0f / 6.0f), splat(0.5f)), 0.0f, 1.0f);
}

INLINE vf hard_swish_of(vf x, vf alpha) {
  return x * hard_sigmoid_of(x, alpha);
}

static void relu(float *y, const float *x, float alpha, size_t n) {
  map(y, x, alpha, n, relu_of);
}

static void relu6(float *y, const float *x, float alpha, size_t n) {
  map(y, x, alpha, n, relu6_of);
}

static void leaky_relu(float *y, const float *x, float alpha, size_t n) {
  map(y, x, alpha, n, leaky_relu_of);
}

static void sigmoid(float *y, const float *x, float alpha, size_t n) {
  map(y, x, alpha, n, sigmoid_of);
}

static void tanh_all(float *y, const float *x, float alpha, size_t n) {
  map(y, x, alpha, n, tanh_of);
}

static void silu(float *y, const float *x, float alpha, size_t n) {
  map(y, x, alpha, n, silu_of);
}

static void gelu(float *y, const float *x, float alpha, size_t n) {
  map(y, x, alpha, n, gelu_of);
}

static void hard_swish(float *y, const float *x, float alpha, size_t n) {
  map(y, x, alpha, n, hard_swish_of);
}

static void hard_sigmoid(float *y, const float *x, float alpha, size_t n) {
  map(y, x, alpha, n, hard_sigmoid_of);
}

/* ---- Gradients: dx = g(dy, v, alpha), v being x or y -------------------- */

INLINE void map_grad(float *dx, const float *dy, const float *v, float alpha,
                     size_t n, vf (*g)(vf dy, vf v, vf alpha)) {
  const vf all = splat(alpha);
  struct rest part;
  size_t rest = n % VF;
  float *end = dx + n - rest;
  for (n -= rest;; n = VF) {
    for (size_t i = 0; i < n; i += VF)
      store(dx + i, g(load(dy + i), load(v + i), all));
    if (rest == 0 || dx == part.y)
      break;
    store(part.x, load_part(v + n, rest));
    store(part.y, load_part(dy + n, rest));
    v = part.x;
    dy = dx = part.y;
  }
  if (rest > 0)
    store_part(end, load(part.y), rest);
}

INLINE vf relu_slope(vf dy, vf y, vf alpha) {
  (void)alpha;
  return vselect(y > 0.0f, dy, (vf){0});
}

INLINE vf relu6_slope(vf dy, vf y, vf alpha) {
  (void)alpha;
  return vselect((y > 0.0f) & (y < 6.0f), dy, (vf){0});
}

/* The sign of y is that of x for alpha >= 0 only. */
INLINE vf leaky_relu_slope(vf dy, vf y, vf alpha) {
  return vselect(y > 0.0f, dy, alpha * dy);
}

INLINE vf sigmoid_slope(vf dy, vf y, vf alpha) {
  (void)alpha;
  return dy * (y * (1.0f - y));
}

INLINE vf tanh_slope(vf dy, vf y, vf alpha) {
  (void)alpha;
  return dy * vfma(-y, y, splat(1.0f));
}

INLINE vf silu_slope(vf dy, vf x, vf alpha) {
  (void)alpha;
  vf s = vsigmoid(x);
  return dy * (s * vfma(x, 1.0f - s, splat(1.0f)));
}

/* f'(x) = Phi(x) + x phi(x), phi(x) = exp(-x^2 / 2) / sqrt(2 pi) */
INLINE vf gelu_slope(vf dy, vf x, vf alpha) {
  vf bell;
  (void)alpha;
  vf area = vnormal(x, &bell);
  return dy * vfma(x * bell, splat(0.3989422804f), area);
}

/* h + x h', h the hard sigmoid, whose slope is 1/6 inside and 0 outside. */
INLINE vf hard_swish_slope(vf dy, vf x, vf alpha) {
  vf h = hard_sigmoid_of(x, alpha);
  vf slope = vselect((h > 0.0f) & (h < 1.0f), splat(1.0f / 6.0f), (vf){0});
  return dy * vfma(x, slope, h);
}

INLINE vf hard_sigmoid_slope(vf dy, vf y, vf alpha) {
  (void)alpha;
  return vselect((y > 0.0f) & (y < 1.0f), dy * (1.0f / 6.0f), (vf){0});
}

static void relu_grad(float *dx, const float *dy, const float *x,
                      const float *y, float alpha, size_t n) {
  (void)x;
  map_grad(dx, dy, y, alpha, n, relu_slope);
}

static void relu6_grad(float *dx, const float *dy, const float *x,
                       const float *y, float alpha, size_t n) {
  (void)x;
  map_grad(dx, dy, y, alpha, n, relu6_slope);
}

static void leaky_relu_grad(float *dx, const float *dy, const float *x,
                            const float *y, float alpha, size_t n) {
  (void)x;
  map_grad(dx, dy, y, alpha, n, leaky_relu_slope);
}

static void sigmoid_grad(float *dx, const float *dy, const float *x,
                         const float *y, float alpha, size_t n) {
  (void)x;
  map_grad(dx, dy, y, alpha, n, sigmoid_slope);
}

static void tanh_grad(float *dx, const float *dy, const float *x,
                      const float *y, float alpha, size_t n) {
  (void)x;
  map_grad(dx, dy, y, alpha, n, tanh_slope);
}

static void silu_grad(float *dx, const float *dy, const float *x,
                      const float *y, float alpha, size_t n) {
  (void)y;
  map_grad(dx, dy, x, alpha, n, silu_slope);
}

static void gelu_grad(float *dx, const float *dy, const float *x,
                      const float *y, float alpha, size_t n) {
  (void)y;
  map_grad(dx, dy, x, alpha, n, gelu_slope);
}

static void hard_swish_grad(float *dx, const float *dy, const float *x,
                            const float *y, float alpha, size_t n) {
  (void)y;
  map_grad(dx, dy, x, alpha, n, hard_swish_slope);
}

static void hard_sigmoid_grad(float *dx, const float *dy, const float *x,
                              const float *y, float alpha, size_t n) {
  (void)x;
  map_grad(dx, dy, y, alpha, n, hard_sigmoid_slope);
}

/* ---- Updates ------------------------------------------------------------ */

/* The last ones of a parameter, less than VF, by themselves. */
struct last {
  float w[VF], m[VF], v[VF], g[VF];
};

/* v may be NULL. */
static RARE void take_last(struct last *l, const float *w, const float *m,
                           const float *v, const float *g, size_t n) {
  store(l->w, load_part(w, n));
  store(l->m, load_part(m, n));
  if (v != NULL)
    store(l->v, load_part(v, n));
  store(l->g, load_part(g, n));
}

static RARE void put_last(const struct last *l, float *w, float *m, float *v,
                          size_t n) {
  store_part(w, load(l->w), n);
  store_part(m, load(l->m), n);
  if (v != NULL)
    store_part(v, load(l->v), n);
}

/* Moments that fade below the normal numbers are flushed to zero. */
static void adam(float *w, float *m, float *v, const float *g, size_t n,
                 float scale_by, float rate, float one_minus_b1,
                 float one_minus_b2, float epsilon) {
  size_t i = 0;
  for (; i + VF <= n; i += VF) {
    vf slope = load(g + i) * splat(scale_by);
    vf first = load(m + i), second = load(v + i);
    first = flush(vfma(slope - first, splat(one_minus_b1), first));
    second = flush(vfma(slope * slope - second, splat(one_minus_b2), second));
    store(m + i, first);
    store(v + i, second);
    vf step = first * splat(rate) / (vsqrt(second) + splat(epsilon));
    store(w + i, load(w + i) - step);
  }
  if (i < n) {
    struct last l;
    take_last(&l, w + i, m + i, v + i, g + i, n - i);
    adam(l.w, l.m, l.v, l.g, VF, scale_by, rate, one_minus_b1, one_minus_b2,
         epsilon);
    put_last(&l, w + i, m + i, v + i, n - i);
  }
}

static void sgd(float *w, float *m, const float *g, size_t n, float scale_by,
                float rate, float momentum) {
  size_t i = 0;
  for (; i + VF <= n; i += VF) {
    vf step = load(g + i) * splat(scale_by) * splat(rate);
    vf speed = flush(vfma(load(m + i), splat(momentum), -step));
    store(m + i, speed);
    store(w + i, load(w + i) + speed);
  }
  if (i < n) {
    struct last l;
    take_last(&l, w + i, m + i, NULL, g + i, n - i);
    sgd(l.w, l.m, l.g, VF, scale_by, rate, momentum);
    put_last(&l, w + i, m + i, NULL, n - i);
  }
}

/* ---- Updates with decay ------------------------------------------------- */

static void adam_decay(float *w, float *m, float *v, const float *g, size_t n,
                       const struct adam_step *s) {
  const struct adam_step t = *s;
  size_t i = 0;
  for (; i + VF <= n; i += VF) {
    vf weight = load(w + i);
    vf slope = vfma(weight, splat(t.decay), load(g + i) * splat(t.scale));
    vf first = load(m + i), second = load(v + i);
    first = flush(vfma(slope - first, splat(t.one_minus_b1), first));
    second = flush(vfma(slope * slope - second, splat(t.one_minus_b2), second));
    store(m + i, first);
    store(v + i, second);
    vf step = first * splat(t.rate) / (vsqrt(second) + splat(t.epsilon));
    store(w + i, vfma(-splat(t.shrink), weight, weight) - step);
  }
  if (i < n) {
    struct last l;
    take_last(&l, w + i, m + i, v + i, g + i, n - i);
    adam_decay(l.w, l.m, l.v, l.g, VF, s);
    put_last(&l, w + i, m + i, v + i, n - i);
  }
}

static void sgd_decay(float *w, float *m, const float *g, size_t n,
                      const struct sgd_step *s) {
  const struct sgd_step t = *s;
  /* What of the speed and of the step moves the weights. */
  const float ahead = t.nesterov ? t.momentum : 1.0f;
  const float now = t.nesterov ? 1.0f : 0.0f;
  size_t i = 0;
  for (; i + VF <= n; i += VF) {
    vf weight = load(w + i);
    vf slope = vfma(weight, splat(t.decay), load(g + i) * splat(t.scale));
    vf step = slope * splat(t.rate);
    vf speed = flush(vfma(load(m + i), splat(t.momentum), -step));
    store(m + i, speed);
    store(w + i, weight + vfma(speed, splat(ahead), -(step * splat(now))));
  }
  if (i < n) {
    struct last l;
    take_last(&l, w + i, m + i, NULL, g + i, n - i);
    sgd_decay(l.w, l.m, l.g, VF, s);
    put_last(&l, w + i, m + i, NULL, n - i);
  }
}

static void approach(float *y, const float *x, float share, size_t n) {
  for (size_t i = 0; i < n; i += VF) {
    size_t count = n - i < VF ? n - i : VF;
    vf from = load_upto(y + i, count);
    store_upto(y + i, vfma(load_upto(x + i, count) - from, splat(share), from),
               count);
  }
}
