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

enum {
  SQUARES = ISA_NUMBER > 1,
  TILE = 4,
  COLUMNS = (TILE - 1) * 2 + 5 /* that a tile reads of a row, at most */
};

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
static RARE struct line adjoint_line(const struct depthwise *d, int axis,
                                     size_t i) {
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

/* `count` neighbouring pixels of a row. */
INLINE void load_columns(vf *col, const struct sweep *s, struct row row,
                         ptrdiff_t first, const int count, size_t c,
                         const int inside) {
  if (inside && row.width > 0) {
    const float *x = row.x + (size_t)first * s->channels + c;
    UNROLL for (int j = 0; j < count; j++) col[j] =
        load(x + (size_t)j * s->channels);
  } else {
    UNROLL for (int j = 0; j < count; j++) col[j] =
        pixel(s, row, first + j, c, VF);
  }
}

INLINE void sum_square(vf sum[TILE], const struct sweep *s, size_t c,
                       const int size, const int move, const int turned,
                       const int inside) {
  ptrdiff_t first = s->cols.at - (turned ? size - 1 : 0);
  for (int i = 0; i < size; i++) {
    vf col[COLUMNS];
    const float *w = s->w + tap_weights(s, (size_t)i) + c;
    load_columns(col, s, tap_row(s, (size_t)i), first,
                 square_columns(size, move, TILE), c, inside);
    UNROLL for (int j = 0; j < size; j++) {
      vf weight = load(w + (size_t)j * s->channels);
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

/* Channels from c on, of any kernel. */
INLINE void tile_from(float *y, const struct sweep *s, size_t c,
                      const int outs) {
  for (; c < s->channels; c += VF) {
    const size_t n = s->channels - c < VF ? s->channels - c : VF;
    vf sum[TILE] = {{0}};
    sum_any(sum, s, c, n, outs);
    store_outs(y, sum, s, c, n, outs);
  }
}

static RARE void tile_rest(float *y, const struct sweep *s, size_t c) {
  tile_from(y, s, c, TILE);
}
static void tile_any(float *y, const struct sweep *s) { tile_rest(y, s, 0); }
static RARE void tile_one(float *y, const struct sweep *s) {
  tile_from(y, s, 0, 1);
}

/* Whole vectors of channels; returns how many channels these are. */
INLINE size_t tile_vectors(float *y, const struct sweep *s, const int size,
                           const int move, const int turned, const int inside) {
  size_t c = 0;
  for (; c + VF <= s->channels; c += VF) {
    vf sum[TILE] = {{0}};
    sum_square(sum, s, c, size, move, turned, inside);
    store_outs(y, sum, s, c, VF, TILE);
  }
  return c;
}

/* Whether all columns of a tile lie in the image. */
INLINE int is_inside(const struct sweep *s, ptrdiff_t first, int columns) {
  return first >= 0 && first + columns <= (ptrdiff_t)s->width;
}

INLINE void tile_square(float *y, const struct sweep *s, const int size,
                        const int move, const int turned) {
  size_t c;
  if (is_inside(s, s->cols.at - (turned ? size - 1 : 0),
                square_columns(size, move, TILE)))
    c = tile_vectors(y, s, size, move, turned, 1);
  else
    c = tile_vectors(y, s, size, move, turned, 0);
  if (c < s->channels)
    tile_rest(y, s, c);
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
      for (int t = 0; t < outs; t++)
        sum = vfma(pixel(s, row, col + t * s->move, c, n), dy[t], sum);
      store_upto(to, sum, n);
    }
  }
}

INLINE void gain_square(float *dw, const vf *dy, const struct sweep *s,
                        size_t c, const int size, const int move,
                        const int inside) {
  for (int i = 0; i < size; i++) {
    vf col[COLUMNS];
    float *to = dw + tap_weights(s, (size_t)i) + c;
    load_columns(col, s, tap_row(s, (size_t)i), s->cols.at,
                 square_columns(size, move, TILE), c, inside);
    UNROLL for (int j = 0; j < size; j++) {
      vf sum = load(to + (size_t)j * s->channels);
      UNROLL for (int t = 0; t < TILE; t++) sum =
          vfma(col[j + t * move], dy[t], sum);
      store(to + (size_t)j * s->channels, sum);
    }
  }
}

INLINE void load_outs(vf *d, const float *dy, const struct sweep *s,
                      const size_t n, const int outs) {
  UNROLL for (int t = 0; t < outs; t++) d[t] =
      load_upto(dy + (size_t)t * s->channels, n);
}

INLINE void gain_from(float *dw, const float *dy, const struct sweep *s,
                      size_t c, const int outs) {
  for (; c < s->channels; c += VF) {
    const size_t n = s->channels - c < VF ? s->channels - c : VF;
    vf d[TILE];
    load_outs(d, dy + c, s, n, outs);
    gain_any(dw, d, s, c, n, outs);
  }
}

static RARE void gain_rest(float *dw, const float *dy, const struct sweep *s,
                           size_t c) {
  gain_from(dw, dy, s, c, TILE);
}
static void gain_tile(float *dw, const float *dy, const struct sweep *s) {
  gain_rest(dw, dy, s, 0);
}
static RARE void gain_one(float *dw, const float *dy, const struct sweep *s) {
  gain_from(dw, dy, s, 0, 1);
}

INLINE size_t gain_vectors(float *dw, const float *dy, const struct sweep *s,
                           const int size, const int move, const int inside) {
  size_t c = 0;
  for (; c + VF <= s->channels; c += VF) {
    vf d[TILE];
    load_outs(d, dy + c, s, VF, TILE);
    gain_square(dw, d, s, c, size, move, inside);
  }
  return c;
}

INLINE void gain_tile_square(float *dw, const float *dy, const struct sweep *s,
                             const int size, const int move) {
  size_t c;
  if (is_inside(s, s->cols.at, square_columns(size, move, TILE)))
    c = gain_vectors(dw, dy, s, size, move, 1);
  else
    c = gain_vectors(dw, dy, s, size, move, 0);
  if (c < s->channels)
    gain_rest(dw, dy, s, c);
}

static void gain_3(float *dw, const float *dy, const struct sweep *s) {
  gain_tile_square(dw, dy, s, 3, 1);
}
static void gain_3_apart(float *dw, const float *dy, const struct sweep *s) {
  gain_tile_square(dw, dy, s, 3, 2);
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
