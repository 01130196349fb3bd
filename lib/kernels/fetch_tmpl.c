/* SPDX-License-Identifier: MIT */
/* Pixels of a plane, plain or behind a pooling (a part of isa.c). */

/* Where fetched pixels go, `step` floats apart: `kept` of the n <= VF channels
 * from c on, which are followed by zeros. */
struct fetched {
  float *to;
  size_t step, c, n, kept;
};

/* One pixel; zeros outside of the plane. */
static RARE void fetch_pixel(struct fetched *f, const struct plane *s,
                             ptrdiff_t y, ptrdiff_t x) {
  const int pooled = s->won != NULL;
  size_t py = (size_t)y >> pooled, px = (size_t)x >> pooled;
  size_t width = s->width >> pooled;
  vf v = {0};
  if (y >= 0 && x >= 0 && py < s->height >> pooled && px < width) {
    size_t at = (py * width + px) * s->channels + f->c;
    v = load_upto(s->x + at, f->n);
    if (pooled) {
      vi tap = (int32_t)((y & 1) * 2 + (x & 1)) - (vi){0};
      v = vselect(load_bytes(s->won + at, f->n) == tap, v, (vf){0});
    }
  }
  store_upto(f->to, v, f->kept);
  f->to += f->step;
}

/* Row y of `windows` windows of a pooling, two pixels each, from number px on.
 */
INLINE void fetch_windows(struct fetched *f, const struct plane *s, size_t y,
                          size_t px, size_t windows, const size_t n) {
  size_t at = (y / 2 * (s->width / 2) + px) * s->channels + f->c;
  const vi left = (int32_t)(y & 1) * 2 - (vi){0}, right = left + 1;
  for (; windows > 0; windows--, at += s->channels, f->to += 2 * f->step) {
    const vf v = load_upto(s->x + at, n);
    const vi won = load_bytes(s->won + at, n);
    store_upto(f->to, vselect(won == left, v, (vf){0}), n);
    store_upto(f->to + f->step, vselect(won == right, v, (vf){0}), n);
  }
}

/* `count` pixels of a row behind a pooling: what comes before a window,
 * windows, the rest. */
static void fetch_pooled(struct fetched f, const struct plane *s, ptrdiff_t y,
                         ptrdiff_t x, size_t count) {
  const ptrdiff_t end = x + (ptrdiff_t)count;
  for (; x < end && (x < 0 || x % 2 != 0); x++)
    fetch_pixel(&f, s, y, x);
  const ptrdiff_t reach = (ptrdiff_t)s->width / 2 * 2;
  const ptrdiff_t most = (end < reach ? end : reach) - x;
  if (y >= 0 && (size_t)y / 2 < s->height / 2 && most > 1) {
    const size_t windows = (size_t)most / 2;
    if (f.n == VF)
      fetch_windows(&f, s, (size_t)y, (size_t)x / 2, windows, VF);
    else
      fetch_windows(&f, s, (size_t)y, (size_t)x / 2, windows, f.n);
    x += 2 * (ptrdiff_t)windows;
  }
  for (; x < end; x++)
    fetch_pixel(&f, s, y, x);
}

/* All channels lie together, and are copied so. */
static void fetch_plain(float *dst, const struct plane *s, ptrdiff_t y,
                        ptrdiff_t x, size_t count) {
  size_t before = 0, inside = 0;
  if (y >= 0 && (size_t)y < s->height) {
    before = x < 0 ? (size_t)-x : 0;
    before = before < count ? before : count;
    size_t from = (size_t)(x + (ptrdiff_t)before);
    inside = from < s->width ? s->width - from : 0;
    inside = inside < count - before ? inside : count - before;
  }
  const size_t c = s->channels, bytes = c * sizeof *dst;
  memset(dst, 0, before * bytes);
  if (inside > 0)
    memcpy(dst + before * c,
           s->x + ((size_t)y * s->width + (size_t)(x + (ptrdiff_t)before)) * c,
           inside * bytes);
  memset(dst + (before + inside) * c, 0, (count - before - inside) * bytes);
}

static void fetch_row(float *dst, const struct plane *s, ptrdiff_t y,
                      ptrdiff_t x, size_t count) {
  if (s->won == NULL) {
    fetch_plain(dst, s, y, x, count);
    return;
  }
  for (size_t c = 0; c < s->channels; c += VF) {
    size_t n = s->channels - c < VF ? s->channels - c : VF;
    fetch_pooled((struct fetched){dst + c, s->channels, c, n, n}, s, y, x,
                 count);
  }
}
