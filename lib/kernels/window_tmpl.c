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

/* Outputs [begin, end) of row oy whose windows are size x size taps inside the
 * image: 2 or 3, for which the loops are unrolled. */
struct span {
  size_t size, begin, end;
};

INLINE struct span square_span(const struct window *w, size_t oy) {
  const struct span none = {0, 0, 0};
  size_t size = w->kernel[1], reach = w->width + w->pad[1];
  size_t top = oy * w->stride[0];
  if (w->kernel[0] != size || (size != 2 && size != 3) || reach < size)
    return none;
  if (top < w->pad[0] || top - w->pad[0] + size > w->height)
    return none;
  struct span s = {size, (w->pad[1] + w->stride[1] - 1) / w->stride[1],
                   (reach - size) / w->stride[1] + 1};
  s.end = s.end < w->out_width ? s.end : w->out_width;
  return s.begin < s.end ? s : none;
}

/* Where the taps of an area begin. */
INLINE size_t area_offset(const struct window *w, struct area a) {
  return (a.top * w->width + a.left) * w->channels;
}

/* ---- Forward ------------------------------------------------------------ */

/* All taps of n <= VF channels in the order (ky, kx): best = join(tap, best),
 * where best starts as the first tap, or as zero. */
INLINE vf join_taps(const float *x, const struct window *w, struct area a,
                    const size_t n, const int from_zero, vf (*join)(vf, vf)) {
  vf best = from_zero ? (vf){0} : load_upto(x, n);
  for (size_t i = a.top; i < a.bottom; i++, x += w->width * w->channels) {
    const float *tap = x;
    for (size_t j = a.left; j < a.right; j++, tap += w->channels)
      best = join(load_upto(tap, n), best);
  }
  return best;
}

INLINE vf join_square(const float *x, const struct window *w, const int size,
                      const size_t n, const int from_zero, vf (*join)(vf, vf)) {
  vf best = from_zero ? (vf){0} : load_upto(x, n);
  UNROLL for (int i = 0; i < size * size; i++) {
    size_t tap = (size_t)(i / size) * w->width + (size_t)(i % size);
    best = join(load_upto(x + tap * w->channels, n), best);
  }
  return best;
}

INLINE vf scaled(vf v, size_t count, const int mean) {
  return mean ? v / (float)count : v;
}

INLINE void pool_vector(float *y, const float *x, const struct window *w,
                        struct area a, const size_t n, const int size,
                        const int mean, vf (*join)(vf, vf)) {
  vf v = size > 0 ? join_square(x, w, size, n, mean, join)
                  : join_taps(x, w, a, n, mean, join);
  store_upto(y, scaled(v, area_size(a), mean), n);
}

/* size 0: any. */
INLINE void pool_pixel(float *y, const float *x, const struct window *w,
                       struct area a, const int size, const int mean,
                       vf (*join)(vf, vf)) {
  const float *first = x + area_offset(w, a);
  size_t c = 0;
  for (; c + VF <= w->channels; c += VF)
    pool_vector(y + c, first + c, w, a, VF, size, mean, join);
  if (w->channels % VF > 0)
    pool_vector(y + c, first + c, w, a, w->channels % VF, size, mean, join);
}

INLINE void pool_span(float *y, const float *x, const struct window *w,
                      size_t oy, const struct span *s, const int size,
                      const int mean, vf (*join)(vf, vf)) {
  struct area a = area_of(w, oy, s->begin);
  for (size_t ox = s->begin; ox < s->end; ox++) {
    pool_pixel(y + ox * w->channels, x, w, a, size, mean, join);
    a.left += w->stride[1];
    a.right += w->stride[1];
  }
}

INLINE void pool_row(float *y, const float *x, const struct window *w,
                     size_t oy, const int mean, vf (*join)(vf, vf)) {
  const struct span s = square_span(w, oy);
  for (size_t ox = 0; ox < w->out_width; ox++) {
    if (ox >= s.begin && ox < s.end)
      ox = s.end;
    if (ox < w->out_width)
      pool_pixel(y + ox * w->channels, x, w, area_of(w, oy, ox), 0, mean, join);
  }
  if (s.size == 2)
    pool_span(y, x, w, oy, &s, 2, mean, join);
  else if (s.size == 3)
    pool_span(y, x, w, oy, &s, 3, mean, join);
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

/* The whole image of `rows` pixels, summed in double. */
INLINE void mean_vectors(float *y, const float *x, size_t rows, size_t stride,
                         const size_t n, const size_t vectors) {
  vd sum[BLOCKS];
  UNROLL for (size_t i = 0; i < vectors; i++) sum[i] = (vd){0};
  for (size_t row = 0; row < rows; row++, x += stride)
    UNROLL for (size_t i = 0; i < vectors; i++) sum[i] += widen(x + i * VD, n);
  UNROLL for (size_t i = 0; i < vectors; i++) {
    vh mean = __builtin_convertvector(sum[i] / (double)rows, vh);
    memcpy(y + i * VD, &mean, n * sizeof *y);
  }
}

static void mean_rows(float *y, const float *x, size_t rows, size_t stride,
                      size_t channels) {
  size_t c = 0;
  for (; c + BLOCKS * VD <= channels; c += BLOCKS * VD)
    mean_vectors(y + c, x + c, rows, stride, VD, BLOCKS);
  for (; c + VD <= channels; c += VD)
    mean_vectors(y + c, x + c, rows, stride, VD, 1);
  if (channels % VD > 0)
    mean_vectors(y + c, x + c, rows, stride, channels % VD, 1);
}

/* ---- Backward ----------------------------------------------------------- */

/* Pixels [first, last) of a row or, with rows that follow, of the image. */
static void clear_pixels(float *dx, const struct window *w, size_t first,
                         size_t last, size_t c0, size_t c1) {
  float *to = dx + first * w->channels + c0;
  for (size_t i = first; i < last; i++, to += w->channels)
    memset(to, 0, (c1 - c0) * sizeof *to);
}

INLINE vi greater(vf a, vf b) { return a > b; }
INLINE vi less(vf a, vf b) { return a < b; }

/* The winning tap so far, of each channel. */
struct contest {
  vf best;
  vi won;
};

INLINE void compete(struct contest *c, vf v, int32_t tap, vi (*beats)(vf, vf)) {
  vi better = beats(v, c->best);
  c->best = vselect(better, v, c->best);
  c->won = vselect_int(better, tap - (vi){0}, c->won);
}

/* dx[tap] += dy for the tap that won.  The others get + 0, which changes
 * nothing, as a sum that starts from +0 is never -0.  fresh: dx counts as 0. */
INLINE void give(float *dx, vf dy, vi won, int32_t tap, const size_t n,
                 const int fresh) {
  vf gain = vselect(won == tap, dy, (vf){0});
  store_upto(dx, (fresh ? (vf){0} : load_upto(dx, n)) + gain, n);
}

INLINE void give_winner(float *dx, const float *dy, const float *x,
                        const struct window *w, struct area a, const size_t n,
                        const int fresh, vi (*beats)(vf, vf)) {
  const size_t row = w->width * w->channels, columns = a.right - a.left;
  struct contest c = {load_upto(x, n), {0}};
  int32_t tap = 0;
  for (size_t i = 0; i < a.bottom - a.top; i++)
    for (size_t j = 0; j < columns; j++)
      compete(&c, load_upto(x + i * row + j * w->channels, n), tap++, beats);
  vf all = load_upto(dy, n);
  tap = 0;
  for (size_t i = 0; i < a.bottom - a.top; i++)
    for (size_t j = 0; j < columns; j++)
      give(dx + i * row + j * w->channels, all, c.won, tap++, n, fresh);
}

INLINE void give_square(float *dx, const float *dy, const float *x,
                        const struct window *w, const int size, const size_t n,
                        const int fresh, vi (*beats)(vf, vf)) {
  struct contest c = {load_upto(x, n), {0}};
  UNROLL for (int i = 1; i < size * size; i++) {
    size_t tap = (size_t)(i / size) * w->width + (size_t)(i % size);
    compete(&c, load_upto(x + tap * w->channels, n), i, beats);
  }
  vf all = load_upto(dy, n);
  UNROLL for (int i = 0; i < size * size; i++) {
    size_t tap = (size_t)(i / size) * w->width + (size_t)(i % size);
    give(dx + tap * w->channels, all, c.won, i, n, fresh);
  }
}

/* Arrays of one image at work, and the channels. */
struct spread {
  float *dx;
  const float *dy, *x;
  const struct window *w;
  size_t c0, c1;
};

INLINE void spread_vector(const struct spread *s, size_t in, size_t out,
                          struct area a, const size_t n, const int size,
                          const int fresh, vi (*beats)(vf, vf)) {
  if (size > 0)
    give_square(s->dx + in, s->dy + out, s->x + in, s->w, size, n, fresh,
                beats);
  else
    give_winner(s->dx + in, s->dy + out, s->x + in, s->w, a, n, fresh, beats);
}

/* The window of output number `out`. */
INLINE void spread_pixel(const struct spread *s, size_t out, struct area a,
                         const int size, const int fresh, vi (*beats)(vf, vf)) {
  size_t c = s->c0, rest = (s->c1 - s->c0) % VF;
  size_t in = area_offset(s->w, a);
  out *= s->w->channels;
  for (; c + VF <= s->c1; c += VF)
    spread_vector(s, in + c, out + c, a, VF, size, fresh, beats);
  if (rest > 0)
    spread_vector(s, in + c, out + c, a, rest, size, fresh, beats);
}

INLINE void spread_row(const struct spread *s, size_t oy, const int fresh,
                       vi (*beats)(vf, vf)) {
  const struct window *w = s->w;
  const struct span square = square_span(w, oy);
  for (size_t ox = 0; ox < w->out_width; ox++) {
    size_t out = oy * w->out_width + ox;
    struct area a = area_of(w, oy, ox);
    int inside = ox >= square.begin && ox < square.end;
    if (inside && square.size == 2)
      spread_pixel(s, out, a, 2, fresh, beats);
    else if (inside && !fresh)
      spread_pixel(s, out, a, 3, fresh, beats);
    else
      spread_pixel(s, out, a, 0, fresh, beats);
  }
}

/* Before the windows of row oy are added: clears the rows that no window has
 * reached yet, behind the last windows all that are left.  They are then in the
 * nearest cache.  Returns how many rows are clear. */
INLINE size_t clear_ahead(float *dx, const struct window *w, size_t oy,
                          size_t done, size_t c0, size_t c1) {
  size_t to = w->height;
  if (oy < w->out_height)
    to = area_of(w, oy, 0).bottom;
  if (to > done)
    clear_pixels(dx, w, done * w->width, to * w->width, c0, c1);
  return to > done ? to : done;
}

/* The windows in order. */
INLINE void extreme_pool_grad(const struct spread *s, vi (*beats)(vf, vf)) {
  size_t clear = 0;
  for (size_t oy = 0; oy < s->w->out_height; oy++) {
    clear = clear_ahead(s->dx, s->w, oy, clear, s->c0, s->c1);
    spread_row(s, oy, 0, beats);
  }
  clear_ahead(s->dx, s->w, s->w->out_height, clear, s->c0, s->c1);
}

static void max_pool_grad(float *dx, const float *dy, const float *x,
                          const struct window *w, size_t c0, size_t c1) {
  const struct spread s = {dx, dy, x, w, c0, c1};
  extreme_pool_grad(&s, greater);
}

static void min_pool_grad(float *dx, const float *dy, const float *x,
                          const struct window *w, size_t c0, size_t c1) {
  const struct spread s = {dx, dy, x, w, c0, c1};
  extreme_pool_grad(&s, less);
}

/* The rows from the window's first to the next one's are all of this output
 * row's; what no window covers is cleared. */
INLINE void extreme_pool_grad_row(const struct spread *s, size_t oy,
                                  vi (*beats)(vf, vf)) {
  const struct window *w = s->w;
  struct area a = area_of(w, oy, 0);
  size_t from = oy > 0 ? a.top : 0, to = w->height, done = 0;
  if (oy + 1 < w->out_height)
    to = area_of(w, oy + 1, 0).top;
  clear_pixels(s->dx, w, from * w->width, a.top * w->width, 0, w->channels);
  clear_pixels(s->dx, w, a.bottom * w->width, to * w->width, 0, w->channels);
  for (size_t ox = 0; ox <= w->out_width; ox++) {
    struct area b = {0, 0, w->width, w->width};
    if (ox < w->out_width)
      b = area_of(w, oy, ox);
    for (size_t i = a.top; i < a.bottom && done < b.left; i++)
      clear_pixels(s->dx, w, i * w->width + done, i * w->width + b.left, 0,
                   w->channels);
    done = b.right;
  }
  spread_row(s, oy, 1, beats);
}

static void max_pool_grad_row(float *dx, const float *dy, const float *x,
                              const struct window *w, size_t oy) {
  const struct spread s = {dx, dy, x, w, 0, w->channels};
  extreme_pool_grad_row(&s, oy, greater);
}

static void min_pool_grad_row(float *dx, const float *dy, const float *x,
                              const struct window *w, size_t oy) {
  const struct spread s = {dx, dy, x, w, 0, w->channels};
  extreme_pool_grad_row(&s, oy, less);
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
  size_t clear = 0;
  for (size_t oy = 0; oy < w->out_height; oy++) {
    clear = clear_ahead(dx, w, oy, clear, c0, c1);
    for (size_t ox = 0; ox < w->out_width; ox++, dy += w->channels) {
      struct area a = area_of(w, oy, ox);
      size_t c = c0;
      for (; c + VF <= c1; c += VF)
        give_all(dx + c, dy + c, w, a, VF);
      if (c < c1)
        give_all(dx + c, dy + c, w, a, c1 - c);
    }
  }
  clear_ahead(dx, w, w->out_height, clear, c0, c1);
}
