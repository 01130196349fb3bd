/* SPDX-License-Identifier: MIT */
/* Functions of each element alone: sums, activations and their gradients, the
 * optimizers' updates (a part of isa.c). */

/* ---- Arithmetic --------------------------------------------------------- */

INLINE void map2(float *y, const float *a, const float *b, size_t n,
                 vf (*f)(vf, vf)) {
  size_t i = 0;
  for (; i + VF <= n; i += VF)
    store(y + i, f(load(a + i), load(b + i)));
  if (i < n)
    store_part(y + i, f(load_part(a + i, n - i), load_part(b + i, n - i)),
               n - i);
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
  size_t i = 0;
  for (; i + VF <= n; i += VF)
    store(y + i, f(load(x + i), all));
  if (i < n)
    store_part(y + i, f(load_part(x + i, n - i), all), n - i);
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
  size_t i = 0;
  for (; i + VF <= n; i += VF)
    store(dx + i, g(load(dy + i), load(v + i), all));
  if (i < n)
    store_part(dx + i,
               g(load_part(dy + i, n - i), load_part(v + i, n - i), all),
               n - i);
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

struct adam_terms {
  vf scale, rate, one_minus_b1, one_minus_b2, epsilon;
};

/* Moments that fade below the normal numbers are flushed to zero. */
INLINE void adam_part(float *w, float *m, float *v, const float *g,
                      const size_t n, const struct adam_terms *s) {
  vf slope = load_upto(g, n) * s->scale;
  vf first = load_upto(m, n), second = load_upto(v, n);
  first = flush(vfma(slope - first, s->one_minus_b1, first));
  second = flush(vfma(slope * slope - second, s->one_minus_b2, second));
  store_upto(m, first, n);
  store_upto(v, second, n);
  vf step = first * s->rate / (vsqrt(second) + s->epsilon);
  store_upto(w, load_upto(w, n) - step, n);
}

static void adam(float *w, float *m, float *v, const float *g, size_t n,
                 float scale_by, float rate, float one_minus_b1,
                 float one_minus_b2, float epsilon) {
  const struct adam_terms s = {splat(scale_by), splat(rate),
                               splat(one_minus_b1), splat(one_minus_b2),
                               splat(epsilon)};
  size_t i = 0;
  for (; i + VF <= n; i += VF)
    adam_part(w + i, m + i, v + i, g + i, VF, &s);
  if (i < n)
    adam_part(w + i, m + i, v + i, g + i, n - i, &s);
}

INLINE void sgd_part(float *w, float *m, const float *g, const size_t n,
                     vf scale_by, vf rate, vf momentum) {
  vf step = load_upto(g, n) * scale_by * rate;
  vf speed = flush(vfma(load_upto(m, n), momentum, -step));
  store_upto(m, speed, n);
  store_upto(w, load_upto(w, n) + speed, n);
}

static void sgd(float *w, float *m, const float *g, size_t n, float scale_by,
                float rate, float momentum) {
  const vf s = splat(scale_by), r = splat(rate), mu = splat(momentum);
  size_t i = 0;
  for (; i + VF <= n; i += VF)
    sgd_part(w + i, m + i, g + i, VF, s, r, mu);
  if (i < n)
    sgd_part(w + i, m + i, g + i, n - i, s, r, mu);
}

/* ---- Updates with decay ------------------------------------------------- */

struct decay_terms {
  struct adam_terms adam;
  vf decay, shrink;
};

INLINE void adam_decay_part(float *w, float *m, float *v, const float *g,
                            const size_t n, const struct decay_terms *d) {
  const struct adam_terms *s = &d->adam;
  vf weight = load_upto(w, n);
  vf slope = vfma(weight, d->decay, load_upto(g, n) * s->scale);
  vf first = load_upto(m, n), second = load_upto(v, n);
  first = flush(vfma(slope - first, s->one_minus_b1, first));
  second = flush(vfma(slope * slope - second, s->one_minus_b2, second));
  store_upto(m, first, n);
  store_upto(v, second, n);
  vf step = first * s->rate / (vsqrt(second) + s->epsilon);
  store_upto(w, vfma(-d->shrink, weight, weight) - step, n);
}

static void adam_decay(float *w, float *m, float *v, const float *g, size_t n,
                       const struct adam_step *s) {
  const struct decay_terms d = {{splat(s->scale), splat(s->rate),
                                 splat(s->one_minus_b1), splat(s->one_minus_b2),
                                 splat(s->epsilon)},
                                splat(s->decay),
                                splat(s->shrink)};
  size_t i = 0;
  for (; i + VF <= n; i += VF)
    adam_decay_part(w + i, m + i, v + i, g + i, VF, &d);
  if (i < n)
    adam_decay_part(w + i, m + i, v + i, g + i, n - i, &d);
}

struct sgd_terms {
  vf scale, rate, momentum, decay;
  vf ahead, now; /* what of the speed and of the step moves the weights */
};

INLINE void sgd_decay_part(float *w, float *m, const float *g, const size_t n,
                           const struct sgd_terms *s) {
  vf weight = load_upto(w, n);
  vf slope = vfma(weight, s->decay, load_upto(g, n) * s->scale);
  vf step = slope * s->rate;
  vf speed = flush(vfma(load_upto(m, n), s->momentum, -step));
  store_upto(m, speed, n);
  store_upto(w, weight + vfma(speed, s->ahead, -(step * s->now)), n);
}

static void sgd_decay(float *w, float *m, const float *g, size_t n,
                      const struct sgd_step *s) {
  const struct sgd_terms t = {splat(s->scale),
                              splat(s->rate),
                              splat(s->momentum),
                              splat(s->decay),
                              splat(s->nesterov ? s->momentum : 1.0f),
                              splat(s->nesterov ? 1.0f : 0.0f)};
  size_t i = 0;
  for (; i + VF <= n; i += VF)
    sgd_decay_part(w + i, m + i, g + i, VF, &t);
  if (i < n)
    sgd_decay_part(w + i, m + i, g + i, n - i, &t);
}

INLINE void approach_part(float *y, const float *x, const size_t n, vf share) {
  vf from = load_upto(y, n);
  store_upto(y, vfma(load_upto(x, n) - from, share, from), n);
}

static void approach(float *y, const float *x, float share, size_t n) {
  const vf s = splat(share);
  size_t i = 0;
  for (; i + VF <= n; i += VF)
    approach_part(y + i, x + i, VF, s);
  if (i < n)
    approach_part(y + i, x + i, n - i, s);
}
