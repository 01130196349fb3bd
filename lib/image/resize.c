/* SPDX-License-Identifier: MIT */
/* Resizes images with a triangle filter, widened when shrinking so that every
 * source pixel counts; first along rows, then along columns, in integers. */
#include <string.h>

#include "image/image.h"
#include "kernels/kernels.h"

/* One axis: output i is the sum over k < count[i] of
 * weight[i * taps + k] * source[first[i] + k]. */
struct filter {
  size_t outputs, taps;
  int32_t *first, *count, *weight;
};

/* The part [begin, end) of `size` source pixels becomes `outputs` pixels. */
struct axis {
  size_t size, outputs;
  double begin, end;
};

/* ---- Weights ------------------------------------------------------------ */

static double filter_scale(const struct axis *a) {
  double scale = (a->end - a->begin) / (double)a->outputs;
  return scale > 1.0 ? scale : 1.0;
}

static double triangle(double x) {
  x = x < 0.0 ? -x : x;
  return x < 1.0 ? 1.0 - x : 0.0;
}

/* At most as many source pixels make one output. */
static size_t taps_of(const struct axis *a) {
  return 2 * ((size_t)filter_scale(a) + 1) + 1;
}

/* Weights of output i, the at-th of the axis, from the distances of pixel
 * centres; they sum to one. */
static void filter_output(struct filter *f, const struct axis *a, size_t at,
                          size_t i) {
  double scale = (a->end - a->begin) / (double)a->outputs;
  double support = filter_scale(a);
  double center = a->begin + ((double)at + 0.5) * scale;
  double lowest = center - support + 0.5, highest = center + support + 0.5;
  int32_t first = lowest < 0.0 ? 0 : (int32_t)lowest;
  int32_t end = highest > (double)a->size ? (int32_t)a->size : (int32_t)highest;
  int32_t count = end - first;
  int32_t *weight = f->weight + i * f->taps;
  double inverse = 1.0 / support, total = 0.0;
  for (int32_t k = 0; k < count; k++)
    total += triangle((first + k - center + 0.5) * inverse);
  for (int32_t k = 0; k < count; k++) {
    double w = triangle((first + k - center + 0.5) * inverse) / total;
    weight[k] = (int32_t)(w * (1 << BLEND_BITS) + 0.5);
  }
  f->first[i] = first;
  f->count[i] = count;
}

/* The outputs from `first` on of an axis. */
static struct filter filter_make(const struct axis *axis, size_t first,
                                 size_t outputs, int32_t *room) {
  struct filter f = {.outputs = outputs, .taps = taps_of(axis)};
  f.first = room;
  f.count = room + outputs;
  f.weight = f.count + outputs;
  for (size_t i = 0; i < outputs; i++)
    filter_output(&f, axis, first + i, i);
  return f;
}

/* The first source pixel of all, and how many there are up to the last. */
static size_t source_first(const struct filter *f) {
  return (size_t)f->first[0];
}

static size_t source_count(const struct filter *f) {
  size_t last = f->outputs - 1;
  return (size_t)(f->first[last] + f->count[last] - f->first[0]);
}

/* ---- Tiles -------------------------------------------------------------- */

/* Rows that are filtered together.  Turned on their side they are columns, one
 * beside the other: a pixel's sums are then those of whole rows of bytes. */
enum { STRIP = 16, LEAST_STRIP = 4, SMALL = 8 };

/* dst: rows of dst_stride bytes, of pixels of `channels` bytes: those of src,
 * or 1 where it has 3. */
struct job {
  const struct kernels *kernels;
  unsigned char *dst;
  size_t dst_stride;
  const struct pixels *src;
  struct axis rows, columns; /* along y, along x */
  size_t channels;
};

/* A part of the new image that is made at once, and the arrays for it:
 * weights, `strip` rows of the source in grey and then turned, the same
 * filtered, and what is between the passes. */
struct tile {
  size_t rows, columns, strip;
};

/* At most so many source pixels are read for neighbouring outputs. */
static size_t reach_of(const struct axis *a, size_t outputs) {
  double scale = (a->end - a->begin) / (double)a->outputs;
  return min_size(a->size,
                  (size_t)((double)(outputs - 1) * scale) + taps_of(a) + 1);
}

static size_t filter_numbers(const struct axis *a, size_t outputs) {
  return outputs * (taps_of(a) + 2);
}

static size_t tile_bytes(const struct job *j, const struct tile *t) {
  size_t c = j->channels, across = reach_of(&j->columns, t->columns);
  size_t grey = c < (size_t)j->src->channels ? across : 0;
  size_t numbers = filter_numbers(&j->rows, t->rows) +
                   filter_numbers(&j->columns, t->columns);
  return numbers * sizeof(int32_t) +
         t->strip * (grey + across * c + t->columns * c) +
         reach_of(&j->rows, t->rows) * t->columns * c;
}

static size_t half_of(size_t n) { return (n + 1) / 2; }

/* The largest that has room.  Wide ones read few source pixels twice, and so
 * do high ones; the least, a pixel in strips of 4, has room in any image. */
static struct tile choose_tile(const struct job *j) {
  struct tile t = {j->rows.outputs, j->columns.outputs, STRIP};
  while (tile_bytes(j, &t) > IMGREC__WORKSPACE) {
    if (t.rows > SMALL)
      t.rows = half_of(t.rows);
    else if (t.columns > SMALL)
      t.columns = half_of(t.columns);
    else if (t.strip > LEAST_STRIP)
      t.strip /= 2;
    else if (t.rows > 1)
      t.rows = half_of(t.rows);
    else
      t.columns = half_of(t.columns);
  }
  return t;
}

/* ---- Passes ------------------------------------------------------------- */

struct row_pass {
  const struct job *job;
  const struct filter *filter;
  size_t strip; /* rows of one */
  unsigned char *grey, *turned, *filtered;
};

/* `rows` rows of the source from y on, as far as the filter reads them and
 * with as many channels as the job has, turned on their side. */
static void turn_strip(const struct row_pass *p, size_t y, size_t rows) {
  const struct pixels *src = p->job->src;
  const struct kernels *k = p->job->kernels;
  size_t from = (size_t)src->channels, c = p->job->channels;
  size_t stride = (size_t)src->width * from, n = source_count(p->filter);
  const unsigned char *row =
      src->data + y * stride + source_first(p->filter) * from;
  if (c == from) {
    k->turn_bytes(p->turned, p->strip, row, stride, rows, n * c);
    return;
  }
  for (size_t i = 0; i < rows; i++)
    imgrec__convert(p->grey + i * n, 1, row + i * stride, 3, 1, n);
  k->turn_bytes(p->turned, p->strip, p->grey, n, rows, n);
}

static void filter_strip(unsigned char *dst, const struct row_pass *p, size_t y,
                         size_t rows) {
  const struct kernels *k = p->job->kernels;
  const struct filter *f = p->filter;
  size_t out = f->outputs * p->job->channels;
  size_t pixel = p->strip * p->job->channels;
  turn_strip(p, y, rows);
  for (size_t x = 0; x < f->outputs; x++)
    k->blend_bytes(p->filtered + x * pixel,
                   p->turned + (size_t)(f->first[x] - f->first[0]) * pixel,
                   pixel, f->weight + x * f->taps, (size_t)f->count[x], pixel);
  k->turn_bytes(dst, out, p->filtered, p->strip, out, rows);
}

/* The last strip overlaps the one in front of it. */
static void filter_rows(unsigned char *dst, const struct row_pass *p,
                        size_t first, size_t rows) {
  size_t out = p->filter->outputs * p->job->channels;
  size_t step = min_size(rows, p->strip);
  if (rows < p->strip) /* what no row fills */
    memset(p->turned, 0, p->strip * source_count(p->filter) * p->job->channels);
  for (size_t i = 0; i < rows; i += step) {
    size_t y = min_size(i, rows - step);
    filter_strip(dst + y * out, p, first + y, step);
  }
}

/* src: rows of n bytes, the first being the first that f reads; dst:
 * f->outputs rows of n. */
static void filter_columns(unsigned char *dst, size_t dst_stride,
                           const unsigned char *src, const struct kernels *k,
                           const struct filter *f, size_t n) {
  for (size_t y = 0; y < f->outputs; y++)
    k->blend_bytes(dst + y * dst_stride,
                   src + (size_t)(f->first[y] - f->first[0]) * n, n,
                   f->weight + y * f->taps, (size_t)f->count[y], n);
}

/* ---- Both axes ---------------------------------------------------------- */

/* The new image's pixels from (y, x) on, as many as the tile has. */
static void make_tile(const struct job *j, const struct tile *t, size_t y,
                      size_t x, void *scratch) {
  size_t c = j->channels, n = t->columns * c;
  int32_t *numbers = scratch;
  struct filter fy = filter_make(&j->rows, y, t->rows, numbers);
  numbers += filter_numbers(&j->rows, t->rows);
  struct filter fx = filter_make(&j->columns, x, t->columns, numbers);
  numbers += filter_numbers(&j->columns, t->columns);
  size_t across = source_count(&fx);
  struct row_pass p = {j, &fx, t->strip, NULL, NULL, NULL};
  p.turned = (unsigned char *)numbers;
  p.filtered = p.turned + t->strip * across * c;
  unsigned char *middle = p.filtered + t->strip * n;
  p.grey = middle + source_count(&fy) * n;
  filter_rows(middle, &p, source_first(&fy), source_count(&fy));
  filter_columns(j->dst + y * j->dst_stride + x * c, j->dst_stride, middle,
                 j->kernels, &fy, n);
}

/* Tiles at the edges overlap their neighbours. */
static void make_tiles(const struct job *j, void *scratch) {
  struct tile t = choose_tile(j);
  size_t height = j->rows.outputs, width = j->columns.outputs;
  for (size_t y = 0; y < height; y += t.rows)
    for (size_t x = 0; x < width; x += t.columns)
      make_tile(j, &t, min_size(y, height - t.rows),
                min_size(x, width - t.columns), scratch);
}

/* ---- Rules -------------------------------------------------------------- */

/* The middle part of the source that has the target's aspect ratio. */
static void cut_to_cover(struct job *j) {
  double h = (double)j->rows.size, w = (double)j->columns.size;
  double th = (double)j->rows.outputs, tw = (double)j->columns.outputs;
  struct axis *cut = w * th > h * tw ? &j->columns : &j->rows;
  double size = cut == &j->columns ? h * tw / th : w * th / tw;
  cut->begin = ((double)cut->size - size) / 2.0;
  cut->end = cut->begin + size;
}

/* The middle part of the target that has the source's aspect ratio. */
static void shrink_to_fit(struct job *j, size_t c) {
  size_t h = j->rows.size, w = j->columns.size;
  size_t th = j->rows.outputs, tw = j->columns.outputs;
  if (w * th > h * tw)
    j->rows.outputs = max_size((2 * h * tw + w) / (2 * w), 1);
  else
    j->columns.outputs = max_size((2 * w * th + h) / (2 * h), 1);
  j->dst += (th - j->rows.outputs) / 2 * j->dst_stride +
            (tw - j->columns.outputs) / 2 * c;
}

void imgrec__resize(unsigned char *dst, int height, int width, int channels,
                    const struct kernels *k, void *scratch,
                    const struct pixels *src, int rule) {
  size_t c = (size_t)channels, stride = (size_t)width * c;
  int h = src->height, w = src->width;
  struct job j = {k,
                  dst,
                  stride,
                  src,
                  {(size_t)h, (size_t)height, 0.0, h},
                  {(size_t)w, (size_t)width, 0.0, w},
                  c};
  if (h == height && w == width) {
    imgrec__convert(dst, channels, src->data, src->channels, 1,
                    (size_t)height * (size_t)width);
    return;
  }
  if (rule == IMGREC_RESIZE_CROP)
    cut_to_cover(&j);
  if (rule == IMGREC_RESIZE_PAD) {
    memset(dst, 0, (size_t)height * stride);
    shrink_to_fit(&j, c);
  }
  make_tiles(&j, scratch);
}

/* ---- Public ------------------------------------------------------------- */

int imgrec_image_resize(imgrec_tensor **out, const imgrec_tensor *image,
                        int height, int width, int rule) {
  imgrec_tensor *t;
  int status =
      imgrec__image_begin(&t, out, image, "image_resize", height, width, 0);
  if (status < 0)
    return status;
  struct imgrec_context *ctx = t->context;
  if (rule < IMGREC_RESIZE_STRETCH || rule > IMGREC_RESIZE_PAD) {
    status =
        imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                     "image_resize: rule is %d, not IMGREC_RESIZE_STRETCH, "
                     "_CROP or _PAD",
                     rule);
    return imgrec__image_end(out, t, status);
  }
  const struct pixels src = imgrec__pixels_of(image);
  uint64_t fp = imgrec__fp_enter();
  imgrec__resize(t->data, height, width, src.channels, ctx->kernels,
                 imgrec__workspace(ctx, 0), &src, rule);
  imgrec__fp_leave(fp);
  return imgrec__image_end(out, t, IMGREC_OK);
}
