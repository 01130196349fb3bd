/* SPDX-License-Identifier: MIT */
/* Pooling over windows of an image (a part of isa.c). */

/* ---- Where a window lies ------------------------------------------------ */

/* What a window covers of the image: rows [top, bottom) and columns [left,
 * right), never empty. */
struct area {
  size_t top, bottom, left, right;
};

/* [start, end) along one axis of `size`. */
INLINE void cover(size_t *start, size_t *end, size_t o, size_t size,
                  const struct window *w, int axis) {
  size_t from = o * w->stride[axis], pad = w->pad[axis];
  size_t to = from + w->kernel[axis];
  *start = from > pad ? from - pad : 0;
  *end = to - pad < size ? to - pad : size;
}

INLINE struct area area_of(const struct window *w, size_t oy, size_t ox) {
  struct area a;
  cover(&a.top, &a.bottom, oy, w->height, w, 0);
  cover(&a.left, &a.right, ox, w->width, w, 1);
  return a;
}

INLINE size_t area_size(struct area a) {
  return (a.bottom - a.top) * (a.right - a.left);
}

/* ---- Forward ------------------------------------------------------------ */

/* All taps of n <= VF channels in the order (ky, kx): best = join(tap, best),
 * where best starts as the first tap, or as zero. */
INLINE vf join_taps(const float *x, const struct window *w, struct area a,
                    const size_t n, const int from_zero, vf (*join)(vf, vf)) {
  const float *row = x + (a.top * w->width + a.left) * w->channels;
  vf best = from_zero ? (vf){0} : load_upto(row, n);
  for (size_t i = a.top; i < a.bottom; i++, row += w->width * w->channels) {
    const float *tap = row;
    for (size_t j = a.left; j < a.right; j++, tap += w->channels)
      best = join(load_upto(tap, n), best);
  }
  return best;
}

INLINE vf scaled(vf v, size_t count, const int mean) {
  return mean ? v / (float)count : v;
}

INLINE void pool_row(float *y, const float *x, const struct window *w,
                     size_t oy, const int mean, vf (*join)(vf, vf)) {
  const size_t channels = w->channels;
  for (size_t ox = 0; ox < w->out_width; ox++, y += channels) {
    struct area a = area_of(w, oy, ox);
    size_t c = 0, count = area_size(a);
    for (; c + VF <= channels; c += VF)
      store(y + c, scaled(join_taps(x + c, w, a, VF, mean, join), count, mean));
    if (c < channels) {
      vf v = join_taps(x + c, w, a, channels - c, mean, join);
      store_part(y + c, scaled(v, count, mean), channels - c);
    }
  }
}

/* The first of equal taps wins.  A NaN wins only as the first tap; it then
 * stays. */
static void max_pool(float *y, const float *x, const struct window *w,
                     size_t oy) {
  pool_row(y, x, w, oy, 0, vmax);
}

static void min_pool(float *y, const float *x, const struct window *w,
                     size_t oy) {
  pool_row(y, x, w, oy, 0, vmin);
}

static void avg_pool(float *y, const float *x, const struct window *w,
                     size_t oy) {
  pool_row(y, x, w, oy, 1, sum_of);
}

/* ---- Backward ----------------------------------------------------------- */

static void clear_channels(float *dx, const struct window *w, size_t c0,
                           size_t c1) {
  for (size_t i = 0; i < w->height * w->width; i++)
    memset(dx + i * w->channels + c0, 0, (c1 - c0) * sizeof *dx);
}

INLINE vi greater(vf a, vf b) { return a > b; }
INLINE vi less(vf a, vf b) { return a < b; }

/* The number of the winning tap, of each of n channels. */
INLINE vi winner(const float *x, const struct window *w, struct area a,
                 const size_t n, vi (*beats)(vf, vf)) {
  const float *row = x + (a.top * w->width + a.left) * w->channels;
  vf best = load_upto(row, n);
  vi won = {0};
  int32_t tap = 0;
  for (size_t i = a.top; i < a.bottom; i++, row += w->width * w->channels)
    for (size_t j = 0; j < a.right - a.left; j++, tap++) {
      vf v = load_upto(row + j * w->channels, n);
      vi better = beats(v, best);
      best = vselect(better, v, best);
      won = vselect_int(better, tap - (vi){0}, won);
    }
  return won;
}

/* dx[tap] += dy for the tap that won.  The others get + 0, which changes
 * nothing, as a sum that starts from +0 is never -0. */
INLINE void give(float *dx, vf dy, vi won, const struct window *w,
                 struct area a, const size_t n) {
  float *row = dx + (a.top * w->width + a.left) * w->channels;
  int32_t tap = 0;
  for (size_t i = a.top; i < a.bottom; i++, row += w->width * w->channels)
    for (size_t j = 0; j < a.right - a.left; j++, tap++) {
      float *to = row + j * w->channels;
      vf gain = vselect(won == tap, dy, (vf){0});
      store_upto(to, load_upto(to, n) + gain, n);
    }
}

INLINE void give_winner(float *dx, const float *dy, const float *x,
                        const struct window *w, struct area a, const size_t n,
                        vi (*beats)(vf, vf)) {
  give(dx, load_upto(dy, n), winner(x, w, a, n, beats), w, a, n);
}

/* dy: out_height x out_width x channels, its outputs in order. */
INLINE void extreme_pool_grad(float *dx, const float *dy, const float *x,
                              const struct window *w, size_t c0, size_t c1,
                              vi (*beats)(vf, vf)) {
  clear_channels(dx, w, c0, c1);
  for (size_t oy = 0; oy < w->out_height; oy++)
    for (size_t ox = 0; ox < w->out_width; ox++, dy += w->channels) {
      struct area a = area_of(w, oy, ox);
      size_t c = c0;
      for (; c + VF <= c1; c += VF)
        give_winner(dx + c, dy + c, x + c, w, a, VF, beats);
      if (c < c1)
        give_winner(dx + c, dy + c, x + c, w, a, c1 - c, beats);
    }
}

static void max_pool_grad(float *dx, const float *dy, const float *x,
                          const struct window *w, size_t c0, size_t c1) {
  extreme_pool_grad(dx, dy, x, w, c0, c1, greater);
}

static void min_pool_grad(float *dx, const float *dy, const float *x,
                          const struct window *w, size_t c0, size_t c1) {
  extreme_pool_grad(dx, dy, x, w, c0, c1, less);
}

/* Every tap gets dy / count. */
INLINE void give_all(float *dx, const float *dy, const struct window *w,
                     struct area a, const size_t n) {
  vf share = load_upto(dy, n) / (float)area_size(a);
  float *row = dx + (a.top * w->width + a.left) * w->channels;
  for (size_t i = a.top; i < a.bottom; i++, row += w->width * w->channels)
    for (size_t j = 0; j < a.right - a.left; j++) {
      float *to = row + j * w->channels;
      store_upto(to, load_upto(to, n) + share, n);
    }
}

static void avg_pool_grad(float *dx, const float *dy, const struct window *w,
                          size_t c0, size_t c1) {
  clear_channels(dx, w, c0, c1);
  for (size_t oy = 0; oy < w->out_height; oy++)
    for (size_t ox = 0; ox < w->out_width; ox++, dy += w->channels) {
      struct area a = area_of(w, oy, ox);
      size_t c = c0;
      for (; c + VF <= c1; c += VF)
        give_all(dx + c, dy + c, w, a, VF);
      if (c < c1)
        give_all(dx + c, dy + c, w, a, c1 - c);
    }
}
