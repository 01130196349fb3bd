/* SPDX-License-Identifier: MIT */
/* What follows a convolution, applied on the way to memory: scale and shift of
 * each channel, ReLU, 2 x 2 max pooling; and the way back (a part of isa.c). */

/* ---- Forward ------------------------------------------------------------- */

/* A few tiles at a time, which are finished while they are near. */
static void gemm_tile_finished(const struct left *a, const float *b, size_t ldb,
                               float *c, size_t ldc, size_t rows, size_t cols,
                               const struct epilogue *e) {
  enum { NEAR = 8 * MR };
  struct left rest = *a;
  while (rows > 0) {
    size_t now = rows >= 2 * NEAR ? (size_t)NEAR : rows;
    gemm_tile(&rest, b, ldb, c, ldc, now, cols, 0);
    PASSES.finish_rows(c, ldc, e, now, cols);
    rest.data += now * a->row;
    c += now * ldc;
    rows -= now;
  }
}

/* ---- Backward ------------------------------------------------------------ */

/* Whether all of the n x n window at (y, x) lies in what counts. */
INLINE int is_inside(const struct plane *s, ptrdiff_t y, ptrdiff_t x, int n) {
  size_t height = s->height, width = s->width;
  if (s->won != NULL) {
    height &= ~(size_t)1;
    width &= ~(size_t)1;
  }
  return y >= 0 && x >= 0 && (size_t)(y + n) <= height &&
         (size_t)(x + n) <= width;
}

/* Where fetched pixels go, `step` floats apart: `kept` of the n <= VF channels
 * from c on, which are followed by zeros. */
struct fetched {
  float *to;
  size_t step, c, n, kept;
};

static void fetch_zeros(struct fetched *f, size_t count) {
  for (; count > 0; count--, f->to += f->step)
    store_upto(f->to, (vf){0}, f->kept);
}

/* Pixels [x, x + count) of row y; zeros outside of the plane. */
static void fetch_plain(struct fetched *f, const struct plane *s, ptrdiff_t y,
                        ptrdiff_t x, size_t count) {
  size_t before = 0, inside = 0;
  if (y >= 0 && (size_t)y < s->height) {
    before = x < 0 ? (size_t)-x : 0;
    before = before < count ? before : count;
    size_t from = (size_t)(x + (ptrdiff_t)before);
    inside = from < s->width ? s->width - from : 0;
    inside = inside < count - before ? inside : count - before;
  }
  fetch_zeros(f, before);
  const float *from =
      s->x + ((size_t)y * s->width + (size_t)x + before) * s->channels + f->c;
  for (size_t i = 0; i < inside; i++, from += s->channels, f->to += f->step)
    store_upto(f->to, load_upto(from, f->n), f->kept);
  fetch_zeros(f, count - before - inside);
}

/* One pixel of a plane behind a pooling. */
RARE void fetch_won(struct fetched *f, const struct plane *s, ptrdiff_t y,
                    ptrdiff_t x) {
  size_t py = (size_t)y / 2, px = (size_t)x / 2, pooled = s->width / 2;
  vf v = {0};
  if (y >= 0 && x >= 0 && py < s->height / 2 && px < pooled) {
    size_t at = (py * pooled + px) * s->channels + f->c;
    vi tap = (int32_t)((y & 1) * 2 + (x & 1)) - (vi){0};
    v = vselect(load_bytes(s->won + at, f->n) == tap,
                load_upto(s->x + at, f->n), v);
  }
  store_upto(f->to, v, f->kept);
  f->to += f->step;
}

/* Row y of `windows` windows of the pooling, two pixels each, from number px
 * on; there may be none. */
static void fetch_windows(struct fetched *f, const struct plane *s, ptrdiff_t y,
                          ptrdiff_t px, size_t windows) {
  const size_t pooled = s->width / 2, py = (size_t)y / 2;
  const size_t width = y >= 0 && py < s->height / 2 ? pooled : 0;
  const vi left = (int32_t)(y & 1) * 2 - (vi){0}, right = left + 1;
  for (; windows > 0; windows--, px++, f->to += 2 * f->step) {
    vf v = {0};
    vi won = {0};
    if ((size_t)px < width) {
      size_t at = (py * pooled + (size_t)px) * s->channels + f->c;
      v = load_upto(s->x + at, f->n);
      won = load_bytes(s->won + at, f->n);
    }
    store_upto(f->to, vselect(won == left, v, (vf){0}), f->kept);
    store_upto(f->to + f->step, vselect(won == right, v, (vf){0}), f->kept);
  }
}

/* `count` pixels of a row.  Behind a pooling: what comes before a window,
 * windows, the rest. */
static void fetch_pixels(struct fetched f, const struct plane *s, ptrdiff_t y,
                         ptrdiff_t x, size_t count) {
  if (s->won == NULL) {
    fetch_plain(&f, s, y, x, count);
    return;
  }
  for (; count > 0 && (x < 0 || x % 2 != 0); x++, count--)
    fetch_won(&f, s, y, x);
  fetch_windows(&f, s, y, x / 2, count / 2);
  x += (ptrdiff_t)count / 2 * 2;
  count %= 2;
  for (; count > 0; x++, count--)
    fetch_won(&f, s, y, x);
}

static void fetch_row(float *dst, const struct plane *s, ptrdiff_t y,
                      ptrdiff_t x, size_t count) {
  for (size_t c = 0; c < s->channels; c += VF) {
    size_t n = s->channels - c < VF ? s->channels - c : VF;
    fetch_pixels((struct fetched){dst + c, s->channels, c, n, n}, s, y, x,
                 count);
  }
}
