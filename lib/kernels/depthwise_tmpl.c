/* SPDX-License-Identifier: MIT */
/* Depthwise convolution: one filter a channel (a part of isa.c).
 *
 * x: H x W x C, w: KH x KW x C, y: OH x OW x C
 *   y[oy][ox][c] = sum over ky, kx of w[ky][kx][c] *
 *     x[oy * stride + ky * dilation - pad][ox ...][c]
 *   dx[iy][ix][c] = sum over ky, kx of w[ky][kx][c] *
 *     dy[(iy + pad - ky * dilation) / stride][(ix ...) / stride][c]
 *   dw[ky][kx][c] = sum over oy, ox of dy[oy][ox][c] * x[oy ...][ox ...][c]
 *
 * All in the order (ky, kx), or (oy, ox), fused, from +0.  What lies outside
 * the image is zero and multiplied in like the rest, so that the bits are those
 * of a product with padded patches, even where w is not finite or a sum is -0.
 * In dx, taps whose quotient has a remainder are no part of the sum.
 *
 * A tile is some neighbouring outputs of a vector of channels.  The vectors of
 * a pixel come one after another, so that memory is read in its order. */

enum { TILE = 4, LARGEST_SQUARE = 5, SQUARES = ISA_NUMBER > 1 };

/* The taps of an output along one axis: number i is tap + i * tap_step of the
 * kernel, and reads place at + i * step, which may be outside the image. */
struct line {
  size_t count, tap, tap_step;
  ptrdiff_t at, step;
};

/* Places of x, for output o. */
static struct line line_of(const struct depthwise *d, int axis, size_t o) {
  struct line l = {d->kernel[axis], 0, 1, 0, (ptrdiff_t)d->dilation[axis]};
  l.at = (ptrdiff_t)(o * d->stride[axis]) - (ptrdiff_t)d->pad[axis];
  return l;
}

/* Places of dy, for place i of dx: those whose windows have a tap on it. */
static struct line adjoint_line(const struct depthwise *d, int axis, size_t i) {
  const ptrdiff_t stride = (ptrdiff_t)d->stride[axis];
  const ptrdiff_t dilation = (ptrdiff_t)d->dilation[axis];
  const ptrdiff_t from = (ptrdiff_t)(i + d->pad[axis]);
  const ptrdiff_t kernel = (ptrdiff_t)d->kernel[axis];
  ptrdiff_t tap = 0, step = 1;
  while (tap < kernel && (from - tap * dilation) % stride != 0)
    tap++;
  while (tap + step < kernel && step * dilation % stride != 0)
    step++;
  struct line l = {0, (size_t)tap, (size_t)step, 0, 0};
  l.count = (size_t)((kernel - tap + step - 1) / step);
  l.at = (from - tap * dilation) / stride;
  l.step = -(step * dilation / stride);
  return l;
}

/* A row of outputs at work: x is what is read, x or dy. */
struct sweep {
  const float *x, *w;
  size_t height, width, channels, kernel_width;
  struct line rows, cols;
  ptrdiff_t move;  /* of cols.at from output to output */
  size_t out_step; /* floats of y from output to output */
  const struct epilogue *epilogue;
};

/* A row that is read, of no width where it is outside the image. */
struct row {
  const float *x;
  size_t width;
};

/* Row number i of the taps. */
INLINE struct row tap_row(const struct sweep *s, size_t i) {
  size_t row = (size_t)(s->rows.at + (ptrdiff_t)i * s->rows.step);
  if (row >= s->height)
    return (struct row){s->x, 0};
  return (struct row){s->x + row * s->width * s->channels, s->width};
}

INLINE size_t tap_weights(const struct sweep *s, size_t i) {
  size_t ky = s->rows.tap + i * s->rows.tap_step;
  return ky * s->kernel_width * s->channels;
}

INLINE vf pixel(const struct sweep *s, struct row row, ptrdiff_t col, size_t c,
                const size_t n) {
  if ((size_t)col >= row.width)
    return (vf){0};
  return load_upto(row.x + (size_t)col * s->channels + c, n);
}

/* ---- Any kernel --------------------------------------------------------- */

INLINE void sum_any(vf sum[TILE], const struct sweep *s, size_t c,
                    const size_t n, const int outs) {
  for (size_t i = 0; i < s->rows.count; i++) {
    const struct row row = tap_row(s, i);
    const float *w = s->w + tap_weights(s, i) + c;
    for (size_t j = 0; j < s->cols.count; j++) {
      size_t kx = s->cols.tap + j * s->cols.tap_step;
      ptrdiff_t col = s->cols.at + (ptrdiff_t)j * s->cols.step;
      vf weight = load_upto(w + kx * s->channels, n);
      UNROLL for (int t = 0; t < outs; t++) sum[t] =
          vfma(pixel(s, row, col + t * s->move, c, n), weight, sum[t]);
    }
  }
}

/* ---- Square kernels, the outputs sharing what they read ----------------- */

/* What `outs` neighbours read of a row.  turned: the taps run backwards. */
INLINE int square_columns(const int size, const int move, const int outs) {
  return (outs - 1) * move + size;
}

INLINE void load_columns(vf *col, const struct sweep *s, struct row row,
                         ptrdiff_t first, const int count, size_t c,
                         const size_t n, const int inside) {
  if (inside && row.width > 0) {
    const float *x = row.x + (size_t)first * s->channels + c;
    UNROLL for (int j = 0; j < count; j++) col[j] =
        load_upto(x + (size_t)j * s->channels, n);
  } else {
    UNROLL for (int j = 0; j < count; j++) col[j] =
        pixel(s, row, first + j, c, n);
  }
}

INLINE void sum_square(vf sum[TILE], const struct sweep *s, size_t c,
                       const size_t n, const int size, const int move,
                       const int turned, const int inside) {
  ptrdiff_t first = s->cols.at - (turned ? size - 1 : 0);
  for (int i = 0; i < size; i++) {
    vf col[(TILE - 1) * 2 + LARGEST_SQUARE];
    const struct row row = tap_row(s, (size_t)i);
    const float *w = s->w + tap_weights(s, (size_t)i) + c;
    load_columns(col, s, row, first, square_columns(size, move, TILE), c, n,
                 inside);
    UNROLL for (int j = 0; j < size; j++) {
      vf weight = load_upto(w + (size_t)j * s->channels, n);
      int at = turned ? size - 1 - j : j;
      UNROLL for (int t = 0; t < TILE; t++) sum[t] =
          vfma(col[at + t * move], weight, sum[t]);
    }
  }
}

/* ---- Rows of outputs ---------------------------------------------------- */

INLINE void store_outs(float *y, const vf sum[TILE], const struct sweep *s,
                       size_t c, const size_t n, const int outs) {
  const struct finish f = finish_of(s->epilogue, c, n);
  const enum clamp clamp = clamp_of(s->epilogue);
  UNROLL for (int t = 0; t < outs; t++)
      store_upto(y + (size_t)t * s->out_step + c, finish(&f, sum[t], clamp), n);
}

/* How a tile is summed. */
struct way {
  int size; /* of a square kernel; 0: any */
  int move, turned, inside, outs;
};

INLINE void tile(float *y, const struct sweep *s, size_t c, const size_t n,
                 const struct way way) {
  vf sum[TILE] = {{0}};
  if (way.size > 0)
    sum_square(sum, s, c, n, way.size, way.move, way.turned, way.inside);
  else
    sum_any(sum, s, c, n, way.outs);
  store_outs(y, sum, s, c, n, way.outs);
}

INLINE void tile_channels(float *y, const struct sweep *s,
                          const struct way way) {
  size_t c = 0;
  for (; c + VF <= s->channels; c += VF)
    tile(y, s, c, VF, way);
  if (s->channels % VF > 0)
    tile(y, s, c, s->channels % VF, way);
}

static void tile_any(float *y, const struct sweep *s) {
  tile_channels(y, s, (struct way){0, 0, 0, 0, TILE});
}

static void tile_one(float *y, const struct sweep *s) {
  tile_channels(y, s, (struct way){0, 0, 0, 0, 1});
}

INLINE void tile_square(float *y, const struct sweep *s, const int size,
                        const int move, const int turned) {
  ptrdiff_t first = s->cols.at - (turned ? size - 1 : 0);
  ptrdiff_t last = first + square_columns(size, move, TILE);
  if (first >= 0 && last <= (ptrdiff_t)s->width)
    tile_channels(y, s, (struct way){size, move, turned, 1, TILE});
  else
    tile_channels(y, s, (struct way){size, move, turned, 0, TILE});
}

static void tile_3(float *y, const struct sweep *s) {
  tile_square(y, s, 3, 1, 0);
}
static void tile_3_apart(float *y, const struct sweep *s) {
  tile_square(y, s, 3, 2, 0);
}
static void tile_3_turned(float *y, const struct sweep *s) {
  tile_square(y, s, 3, 1, 1);
}
static void tile_5(float *y, const struct sweep *s) {
  tile_square(y, s, 5, 1, 0);
}
static void tile_5_apart(float *y, const struct sweep *s) {
  tile_square(y, s, 5, 2, 0);
}
static void tile_5_turned(float *y, const struct sweep *s) {
  tile_square(y, s, 5, 1, 1);
}

typedef void (*sweep_fn)(float *y, const struct sweep *s);

/* All taps there, side by side, and the outputs 1 or 2 places apart.  Where a
 * fused multiply-add is a function, sharing loads gains nothing. */
static sweep_fn sweep_of(const struct sweep *s) {
  static const sweep_fn some[2][3] = {{tile_3_turned, tile_3, tile_3_apart},
                                      {tile_5_turned, tile_5, tile_5_apart}};
  size_t size = s->cols.count;
  int turned = s->cols.step == -1;
  if (!SQUARES || (size != 3 && size != 5) || s->rows.count != size ||
      s->rows.tap_step != 1 || s->cols.tap_step != 1)
    return tile_any;
  if ((!turned && s->cols.step != 1) || s->move > (turned ? 1 : 2))
    return tile_any;
  return some[size / 2 - 1][turned ? 0 : s->move];
}

/* `count` outputs.  The last tile starts where it still is whole, and writes
 * some of them a second time. */
static void sweep_row(float *y, struct sweep *s, size_t count) {
  size_t outs = count < TILE ? 1 : TILE;
  sweep_fn fn = count < TILE ? tile_one : sweep_of(s);
  ptrdiff_t at = s->cols.at;
  for (size_t done = 0; done < count; done += outs) {
    size_t o = done + outs <= count ? done : count - outs;
    s->cols.at = at + (ptrdiff_t)o * s->move;
    fn(y + o * s->out_step, s);
  }
}

static void depthwise(float *y, const float *x, const float *w,
                      const struct depthwise *d, const struct epilogue *e,
                      size_t oy) {
  struct sweep s = {.x = x,
                    .w = w,
                    .height = d->height,
                    .width = d->width,
                    .channels = d->channels,
                    .kernel_width = d->kernel[1],
                    .rows = line_of(d, 0, oy),
                    .cols = line_of(d, 1, 0),
                    .move = (ptrdiff_t)d->stride[1],
                    .out_step = d->channels,
                    .epilogue = e};
  sweep_row(y, &s, d->out_width);
}

/* Places a stride apart have the same taps: one sweep for each of the first
 * ones. */
static void depthwise_grad_x(float *dx, const float *dy, const float *w,
                             const struct depthwise *d, size_t iy) {
  static const struct epilogue none = {NULL, NULL, 0, 0};
  struct sweep s = {.x = dy,
                    .w = w,
                    .height = d->out_height,
                    .width = d->out_width,
                    .channels = d->channels,
                    .kernel_width = d->kernel[1],
                    .rows = adjoint_line(d, 0, iy),
                    .move = 1,
                    .out_step = d->stride[1] * d->channels,
                    .epilogue = &none};
  for (size_t ix = 0; ix < d->stride[1] && ix < d->width; ix++) {
    s.cols = adjoint_line(d, 1, ix);
    sweep_row(dx + ix * d->channels, &s,
              (d->width - ix + d->stride[1] - 1) / d->stride[1]);
  }
}

/* ---- Gradient by the weights -------------------------------------------- */

/* outs neighbours with gradients dy. */
INLINE void gain_any(float *dw, const vf *dy, const struct sweep *s, size_t c,
                     const size_t n, const int outs) {
  for (size_t i = 0; i < s->rows.count; i++) {
    const struct row row = tap_row(s, i);
    float *to = dw + tap_weights(s, i) + c;
    for (size_t j = 0; j < s->cols.count; j++, to += s->channels) {
      ptrdiff_t col = s->cols.at + (ptrdiff_t)j * s->cols.step;
      vf sum = load_upto(to, n);
      UNROLL for (int t = 0; t < outs; t++) sum =
          vfma(pixel(s, row, col + t * s->move, c, n), dy[t], sum);
      store_upto(to, sum, n);
    }
  }
}

INLINE void gain_square(float *dw, const vf *dy, const struct sweep *s,
                        size_t c, const size_t n, const int size,
                        const int move, const int inside) {
  for (int i = 0; i < size; i++) {
    vf col[(TILE - 1) * 2 + LARGEST_SQUARE];
    float *to = dw + tap_weights(s, (size_t)i) + c;
    load_columns(col, s, tap_row(s, (size_t)i), s->cols.at,
                 square_columns(size, move, TILE), c, n, inside);
    UNROLL for (int j = 0; j < size; j++) {
      vf sum = load_upto(to + (size_t)j * s->channels, n);
      UNROLL for (int t = 0; t < TILE; t++) sum =
          vfma(col[j + t * move], dy[t], sum);
      store_upto(to + (size_t)j * s->channels, sum, n);
    }
  }
}

INLINE void load_outs(vf *d, const float *dy, const struct sweep *s,
                      const size_t n, const int outs) {
  UNROLL for (int t = 0; t < outs; t++) d[t] =
      load_upto(dy + (size_t)t * s->channels, n);
}

INLINE void gain(float *dw, const float *dy, const struct sweep *s, size_t c,
                 const size_t n, const struct way way) {
  vf d[TILE];
  load_outs(d, dy + c, s, n, way.outs);
  if (way.size > 0)
    gain_square(dw, d, s, c, n, way.size, way.move, way.inside);
  else
    gain_any(dw, d, s, c, n, way.outs);
}

INLINE void gain_channels(float *dw, const float *dy, const struct sweep *s,
                          const struct way way) {
  size_t c = 0;
  for (; c + VF <= s->channels; c += VF)
    gain(dw, dy, s, c, VF, way);
  if (s->channels % VF > 0)
    gain(dw, dy, s, c, s->channels % VF, way);
}

INLINE void gain_tile_square(float *dw, const float *dy, const struct sweep *s,
                             const int size, const int move) {
  ptrdiff_t last = s->cols.at + square_columns(size, move, TILE);
  if (s->cols.at >= 0 && last <= (ptrdiff_t)s->width)
    gain_channels(dw, dy, s, (struct way){size, move, 0, 1, TILE});
  else
    gain_channels(dw, dy, s, (struct way){size, move, 0, 0, TILE});
}

static void gain_3(float *dw, const float *dy, const struct sweep *s) {
  gain_tile_square(dw, dy, s, 3, 1);
}
static void gain_3_apart(float *dw, const float *dy, const struct sweep *s) {
  gain_tile_square(dw, dy, s, 3, 2);
}
static void gain_tile(float *dw, const float *dy, const struct sweep *s) {
  gain_channels(dw, dy, s, (struct way){0, 0, 0, 0, TILE});
}
static void gain_one(float *dw, const float *dy, const struct sweep *s) {
  gain_channels(dw, dy, s, (struct way){0, 0, 0, 0, 1});
}

typedef void (*gain_fn)(float *dw, const float *dy, const struct sweep *s);

static gain_fn gain_of(const struct sweep *s) {
  sweep_fn like = sweep_of(s);
  if (SQUARES && like == tile_3)
    return gain_3;
  return SQUARES && like == tile_3_apart ? gain_3_apart : gain_tile;
}

static void depthwise_grad_w(float *dw, const float *x, const float *dy,
                             const struct depthwise *d, size_t first,
                             size_t last) {
  struct sweep s = {.x = x,
                    .height = d->height,
                    .width = d->width,
                    .channels = d->channels,
                    .kernel_width = d->kernel[1],
                    .move = (ptrdiff_t)d->stride[1]};
  for (size_t oy = first; oy < last; oy++) {
    const float *row = dy + oy * d->out_width * d->channels;
    size_t ox = 0;
    s.rows = line_of(d, 0, oy);
    s.cols = line_of(d, 1, 0);
    const gain_fn whole = gain_of(&s);
    for (; ox + TILE <= d->out_width; ox += TILE) {
      s.cols = line_of(d, 1, ox);
      whole(dw, row + ox * d->channels, &s);
    }
    for (; ox < d->out_width; ox++) {
      s.cols = line_of(d, 1, ox);
      gain_one(dw, row + ox * d->channels, &s);
    }
  }
}
