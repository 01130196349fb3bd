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

/* What the least is found as the greatest with: all signs turned. */
enum { AS_IT_IS = 0, TURNED = INT32_MIN };

INLINE vf turn(vf x, vi signs) { return (vf)((vi)x ^ signs); }

/* The greatest, or the mean, of the taps of one vector. */
struct joined_taps {
  vf v;
  vi signs;
};

INLINE struct joined_taps first_tap(vf x, int32_t signs, const int mean) {
  struct joined_taps t = {{0}, signs - (vi){0}};
  if (!mean)
    t.v = turn(x, t.signs);
  return t;
}

/* The first of equal taps wins.  A NaN wins only as the first tap; it then
 * stays. */
INLINE void join_tap(struct joined_taps *t, vf x, const int mean) {
  t->v = mean ? x + t->v : vmax(turn(x, t->signs), t->v);
}

INLINE void store_taps(float *y, const struct joined_taps *t, size_t count,
                       const size_t n, const int mean) {
  store_upto(y, mean ? t->v / (float)count : turn(t->v, t->signs), n);
}

/* All taps of n <= VF channels in the order (ky, kx). */
INLINE void pool_taps_of(float *y, const float *x, const struct window *w,
                         struct area a, const size_t n, int32_t signs,
                         const int mean) {
  struct joined_taps t = first_tap(load_upto(x, n), signs, mean);
  for (size_t i = a.top; i < a.bottom; i++, x += w->width * w->channels) {
    const float *tap = x;
    for (size_t j = a.left; j < a.right; j++, tap += w->channels)
      join_tap(&t, load_upto(tap, n), mean);
  }
  store_taps(y, &t, area_size(a), n, mean);
}

INLINE void pool_square(float *y, const float *x, const struct window *w,
                        const int size, int32_t signs, const int mean) {
  struct joined_taps t = first_tap(load(x), signs, mean);
  UNROLL for (int i = 0; i < size * size; i++) {
    size_t tap = (size_t)(i / size) * w->width + (size_t)(i % size);
    join_tap(&t, load(x + tap * w->channels), mean);
  }
  store_taps(y, &t, (size_t)(size * size), VF, mean);
}

/* One output from the area a, whose first tap is x; by unrolled loops where
 * size is not 0. */
INLINE void pool_pixel(float *y, const float *x, const struct window *w,
                       struct area a, const int size, int32_t signs,
                       const int mean) {
  size_t c = 0;
  for (; c + VF <= w->channels; c += VF)
    if (size > 0)
      pool_square(y + c, x + c, w, size, signs, mean);
    else
      pool_taps_of(y + c, x + c, w, a, VF, signs, mean);
  if (c < w->channels)
    pool_taps_of(y + c, x + c, w, a, w->channels - c, signs, mean);
}

INLINE void pool_span(float *y, const float *x, const struct window *w,
                      size_t oy, const struct span *s, const int size,
                      int32_t signs, const int mean) {
  struct area a = area_of(w, oy, s->begin);
  x += area_offset(w, a);
  for (size_t ox = s->begin; ox < s->end; ox++) {
    pool_pixel(y + ox * w->channels, x, w, a, size, signs, mean);
    x += w->stride[1] * w->channels;
    a.left += w->stride[1];
    a.right += w->stride[1];
  }
}

INLINE void pool_row(float *y, const float *x, const struct window *w,
                     size_t oy, int32_t signs, const int mean) {
  const struct span s = square_span(w, oy);
  for (size_t ox = 0; ox < w->out_width; ox++) {
    if (ox >= s.begin && ox < s.end)
      ox = s.end;
    if (ox == w->out_width)
      break;
    const struct area a = area_of(w, oy, ox);
    pool_pixel(y + ox * w->channels, x + area_offset(w, a), w, a, 0, signs,
               mean);
  }
  if (s.size == 2)
    pool_span(y, x, w, oy, &s, 2, signs, mean);
  else if (s.size == 3)
    pool_span(y, x, w, oy, &s, 3, signs, mean);
}

static void extreme_pool(float *y, const float *x, const struct window *w,
                         size_t oy, int32_t signs) {
  pool_row(y, x, w, oy, signs, 0);
}

static void max_pool(float *y, const float *x, const struct window *w,
                     size_t oy) {
  extreme_pool(y, x, w, oy, AS_IT_IS);
}

static void min_pool(float *y, const float *x, const struct window *w,
                     size_t oy) {
  extreme_pool(y, x, w, oy, TURNED);
}

static void avg_pool(float *y, const float *x, const struct window *w,
                     size_t oy) {
  pool_row(y, x, w, oy, AS_IT_IS, 1);
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
  for (; c < channels; c += VD)
    mean_vectors(y + c, x + c, rows, stride,
                 channels - c < VD ? channels - c : VD, 1);
}

/* ---- Backward ----------------------------------------------------------- */

/* Pixels [first, last) of the image. */
static void clear_pixels(float *dx, const struct window *w, size_t first,
                         size_t last) {
  if (last > first)
    memset(dx + first * w->channels, 0,
           (last - first) * w->channels * sizeof *dx);
}

/* The winning tap so far, of each channel. */
struct contest {
  vf best;
  vi won, signs;
};

INLINE struct contest contest_of(vf x, int32_t signs) {
  const vi all = signs - (vi){0};
  return (struct contest){turn(x, all), {0}, all};
}

INLINE void compete(struct contest *c, vf x, int32_t tap) {
  const vf v = turn(x, c->signs);
  const vi better = v > c->best;
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

/* An image at work, of which only rows [first, last) of dx are written. */
struct spread {
  float *dx;
  const float *dy, *x;
  const struct window *w;
  size_t first, last;
  int32_t signs;
  int fresh;
};

/* n channels from float `in` of dx and x, and float `out` of dy, on. */
INLINE void give_winner(const struct spread *s, size_t in, size_t out,
                        struct area a, const size_t n) {
  const size_t channels = s->w->channels, row = s->w->width * channels;
  const float *x = s->x + in;
  struct contest c = contest_of(load_upto(x, n), s->signs);
  int32_t tap = 0;
  for (size_t i = a.top; i < a.bottom; i++, x += row)
    for (size_t j = 0; j < a.right - a.left; j++)
      compete(&c, load_upto(x + j * channels, n), tap++);
  vf dy = load_upto(s->dy + out, n);
  float *dx = s->dx + in;
  tap = 0;
  for (size_t i = a.top; i < a.bottom; i++, dx += row)
    for (size_t j = 0; j < a.right - a.left; j++, tap++)
      if (i >= s->first && i < s->last)
        give(dx + j * channels, dy, c.won, tap, n, s->fresh);
}

/* A whole vector of a square window with all taps. */
INLINE void give_square(const struct spread *s, size_t in, size_t out,
                        const int size, const int fresh) {
  const struct window *w = s->w;
  const float *x = s->x + in;
  float *dx = s->dx + in;
  struct contest c = contest_of(load(x), s->signs);
  UNROLL for (int i = 1; i < size * size; i++) {
    size_t tap = (size_t)(i / size) * w->width + (size_t)(i % size);
    compete(&c, load(x + tap * w->channels), i);
  }
  vf dy = load(s->dy + out);
  UNROLL for (int i = 0; i < size * size; i++) {
    size_t tap = (size_t)(i / size) * w->width + (size_t)(i % size);
    give(dx + tap * w->channels, dy, c.won, i, VF, fresh);
  }
}

/* The window of output number `out`; size 0: any. */
INLINE void spread_pixel(const struct spread *s, size_t out, struct area a,
                         const int size, const int fresh) {
  const size_t channels = s->w->channels, in = area_offset(s->w, a);
  size_t c = 0;
  for (; c + VF <= channels; c += VF)
    if (size > 0)
      give_square(s, in + c, out * channels + c, size, fresh);
    else
      give_winner(s, in + c, out * channels + c, a, VF);
  if (c < channels)
    give_winner(s, in + c, out * channels + c, a, channels - c);
}

static void spread_row(const struct spread *s, size_t oy) {
  const struct window *w = s->w;
  struct span square = square_span(w, oy);
  struct area a = area_of(w, oy, 0);
  if (a.top < s->first || a.bottom > s->last)
    square = (struct span){0, 0, 0};
  for (size_t ox = 0; ox < w->out_width; ox++) {
    size_t out = oy * w->out_width + ox;
    int inside = ox >= square.begin && ox < square.end;
    a = area_of(w, oy, ox);
    if (inside && square.size == 2 && s->fresh)
      spread_pixel(s, out, a, 2, 1);
    else if (inside && square.size == 2)
      spread_pixel(s, out, a, 2, 0);
    else if (inside && !s->fresh)
      spread_pixel(s, out, a, 3, 0);
    else
      spread_pixel(s, out, a, 0, 0);
  }
}

/* Rows of outputs whose windows reach rows [first, last) of the image. */
INLINE size_t first_window(const struct window *w, size_t first) {
  size_t end = first + w->pad[0] + 1;
  return end > w->kernel[0]
             ? (end - w->kernel[0] + w->stride[0] - 1) / w->stride[0]
             : 0;
}

INLINE size_t last_window(const struct window *w, size_t last) {
  size_t count = (last - 1 + w->pad[0]) / w->stride[0] + 1;
  return count < w->out_height ? count : w->out_height;
}

/* Clears the rows in front of `to` that are not clear yet.  Done just before
 * windows are added to them, it leaves them in the nearest cache. */
INLINE void clear_ahead(const struct spread *s, size_t *done, size_t to) {
  to = to < s->last ? to : s->last;
  clear_pixels(s->dx, s->w, *done * s->w->width, to * s->w->width);
  *done = to > *done ? to : *done;
}

static void extreme_pool_grad(const struct spread *s) {
  size_t done = s->first, end = last_window(s->w, s->last);
  for (size_t oy = first_window(s->w, s->first); oy < end; oy++) {
    clear_ahead(s, &done, area_of(s->w, oy, 0).bottom);
    spread_row(s, oy);
  }
  clear_ahead(s, &done, s->last);
}

static void max_pool_grad(float *dx, const float *dy, const float *x,
                          const struct window *w, size_t first, size_t last) {
  const struct spread s = {dx, dy, x, w, first, last, AS_IT_IS, 0};
  extreme_pool_grad(&s);
}

static void min_pool_grad(float *dx, const float *dy, const float *x,
                          const struct window *w, size_t first, size_t last) {
  const struct spread s = {dx, dy, x, w, first, last, TURNED, 0};
  extreme_pool_grad(&s);
}

/* The rows from the window's first to the next one's are all of this output
 * row's; what no window covers is cleared. */
static void extreme_pool_grad_row(const struct spread *s, size_t oy) {
  const struct window *w = s->w;
  struct area a = area_of(w, oy, 0);
  size_t from = oy > 0 ? a.top : 0, to = w->height, done = 0;
  if (oy + 1 < w->out_height)
    to = area_of(w, oy + 1, 0).top;
  clear_pixels(s->dx, w, from * w->width, a.top * w->width);
  clear_pixels(s->dx, w, a.bottom * w->width, to * w->width);
  for (size_t ox = 0; ox <= w->out_width; ox++) {
    struct area b = {0, 0, w->width, w->width};
    if (ox < w->out_width)
      b = area_of(w, oy, ox);
    for (size_t i = a.top; i < a.bottom && done < b.left; i++)
      clear_pixels(s->dx, w, i * w->width + done, i * w->width + b.left);
    done = b.right;
  }
  spread_row(s, oy);
}

static void max_pool_grad_row(float *dx, const float *dy, const float *x,
                              const struct window *w, size_t oy) {
  const struct spread s = {dx, dy, x, w, 0, w->height, AS_IT_IS, 1};
  extreme_pool_grad_row(&s, oy);
}

static void min_pool_grad_row(float *dx, const float *dy, const float *x,
                              const struct window *w, size_t oy) {
  const struct spread s = {dx, dy, x, w, 0, w->height, TURNED, 1};
  extreme_pool_grad_row(&s, oy);
}

/* Every tap gets dy / count. */
INLINE void give_all(const struct spread *s, size_t in, size_t out,
                     struct area a, const size_t n) {
  const size_t channels = s->w->channels, row = s->w->width * channels;
  vf share = load_upto(s->dy + out, n) / (float)area_size(a);
  float *dx = s->dx + in;
  for (size_t i = a.top; i < a.bottom; i++, dx += row)
    for (size_t j = 0; j < a.right - a.left && i >= s->first && i < s->last;
         j++) {
      float *to = dx + j * channels;
      store_upto(to, load_upto(to, n) + share, n);
    }
}

INLINE void share_pixel(const struct spread *s, size_t out, struct area a) {
  const size_t channels = s->w->channels, in = area_offset(s->w, a);
  size_t c = 0;
  for (; c + VF <= channels; c += VF)
    give_all(s, in + c, out * channels + c, a, VF);
  if (c < channels)
    give_all(s, in + c, out * channels + c, a, channels - c);
}

static void avg_pool_grad(float *dx, const float *dy, const struct window *w,
                          size_t first, size_t last) {
  const struct spread s = {dx, dy, NULL, w, first, last, AS_IT_IS, 0};
  size_t done = first, end = last_window(w, last);
  for (size_t oy = first_window(w, first); oy < end; oy++) {
    clear_ahead(&s, &done, area_of(w, oy, 0).bottom);
    for (size_t ox = 0; ox < w->out_width; ox++)
      share_pixel(&s, oy * w->out_width + ox, area_of(w, oy, ox));
  }
  clear_ahead(&s, &done, last);
}
