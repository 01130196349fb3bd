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

/* Weights of output i from the distances of pixel centres; they sum to one. */
static void filter_output(struct filter *f, const struct axis *a, size_t i) {
  double scale = (a->end - a->begin) / (double)a->outputs;
  double support = filter_scale(a);
  double center = a->begin + ((double)i + 0.5) * scale;
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

static void filter_free(struct filter *f, struct allocator *a) {
  imgrec__free(a, f->first);
}

/* One block: first, count, weight. */
static int filter_create(struct filter *f, struct allocator *a, struct error *e,
                         const struct axis *axis) {
  size_t half = (size_t)filter_scale(axis) + 1;
  f->outputs = axis->outputs;
  f->taps = 2 * half + 1;
  f->first =
      imgrec__alloc_array(a, f->outputs * (f->taps + 2), sizeof(int32_t));
  if (!f->first)
    return imgrec__fail_memory(e, a, "the weights of a resize");
  f->count = f->first + f->outputs;
  f->weight = f->count + f->outputs;
  for (size_t i = 0; i < f->outputs; i++)
    filter_output(f, axis, i);
  return 0;
}

/* ---- Passes ------------------------------------------------------------- */

/* Rows that are filtered together.  Turned on their side they are columns, one
 * beside the other: a pixel's sums are then those of whole rows of bytes. */
#define STRIP ((size_t)16)

/* Rows of pixels of `channels` bytes; `strip` has room for size x channels x
 * STRIP of them, `filtered` for outputs x channels x STRIP. */
struct row_pass {
  const struct kernels *kernels;
  const struct filter *filter;
  size_t size, channels;
  unsigned char *strip, *filtered;
};

/* src: `rows` <= STRIP rows of `size` pixels; dst: as many of `outputs`. */
static void filter_strip(unsigned char *dst, const unsigned char *src,
                         const struct row_pass *p, size_t rows) {
  const struct kernels *k = p->kernels;
  const struct filter *f = p->filter;
  size_t in = p->size * p->channels, out = f->outputs * p->channels;
  size_t pixel = STRIP * p->channels;
  k->turn_bytes(p->strip, STRIP, src, in, rows, in);
  for (size_t x = 0; x < f->outputs; x++)
    k->blend_bytes(p->filtered + x * pixel,
                   p->strip + (size_t)f->first[x] * pixel, pixel,
                   f->weight + x * f->taps, (size_t)f->count[x], pixel);
  k->turn_bytes(dst, out, p->filtered, STRIP, out, rows);
}

/* The last strip overlaps the one in front of it. */
static void filter_rows(unsigned char *dst, const unsigned char *src,
                        const struct row_pass *p, size_t rows) {
  size_t in = p->size * p->channels, out = p->filter->outputs * p->channels;
  size_t step = min_size(rows, STRIP);
  for (size_t i = 0; i < rows; i += step) {
    size_t y = min_size(i, rows - step);
    filter_strip(dst + y * out, src + y * in, p, step);
  }
}

/* src: rows of n bytes, the first being row `first` of the image; dst:
 * f->outputs rows of n. */
static void filter_columns(unsigned char *dst, size_t dst_stride,
                           const unsigned char *src, size_t first,
                           const struct kernels *k, const struct filter *f,
                           size_t n) {
  for (size_t y = 0; y < f->outputs; y++)
    k->blend_bytes(dst + y * dst_stride,
                   src + ((size_t)f->first[y] - first) * n, n,
                   f->weight + y * f->taps, (size_t)f->count[y], n);
}

/* ---- Both axes ---------------------------------------------------------- */

/* dst: rows of dst_stride bytes. */
struct job {
  const struct kernels *kernels;
  unsigned char *dst;
  size_t dst_stride;
  const unsigned char *src;
  struct axis rows, columns; /* along y, along x */
  size_t channels;
};

/* Memory: the turned strips, then the image between the passes, which has the
 * rows [first, end) that the second one needs. */
static int run_filters(const struct job *j, const struct filter *fy,
                       const struct filter *fx, struct allocator *a,
                       struct error *e) {
  size_t c = j->channels, n = fx->outputs * c, w = j->columns.size;
  size_t last = fy->outputs - 1, first = (size_t)fy->first[0];
  size_t rows = (size_t)fy->first[last] + (size_t)fy->count[last] - first;
  struct row_pass p = {j->kernels, fx, w, c, NULL, NULL};
  size_t strips = STRIP * (w * c + n);
  p.strip = imgrec__alloc(a, strips + rows * n);
  if (!p.strip)
    return imgrec__fail_memory(e, a, "a resize");
  p.filtered = p.strip + STRIP * w * c;
  unsigned char *middle = p.strip + strips;
  if (rows < STRIP)
    memset(p.strip, 0, STRIP * w * c); /* what no row fills */
  filter_rows(middle, j->src + first * w * c, &p, rows);
  filter_columns(j->dst, j->dst_stride, middle, first, j->kernels, fy, n);
  imgrec__free(a, p.strip);
  return 0;
}

static int resize_box(const struct job *j, struct allocator *a,
                      struct error *e) {
  struct filter fx = {0}, fy = {0};
  int status = filter_create(&fx, a, e, &j->columns);
  if (status == 0)
    status = filter_create(&fy, a, e, &j->rows);
  if (status == 0)
    status = run_filters(j, &fy, &fx, a, e);
  filter_free(&fx, a);
  filter_free(&fy, a);
  return status;
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

int imgrec__resize(unsigned char *dst, int height, int width,
                   const struct kernels *k, struct allocator *a,
                   struct error *e, const unsigned char *src, int h, int w,
                   int c, int rule) {
  size_t channels = (size_t)c, stride = (size_t)width * channels;
  struct job j = {k,
                  dst,
                  stride,
                  src,
                  {(size_t)h, (size_t)height, 0.0, h},
                  {(size_t)w, (size_t)width, 0.0, w},
                  channels};
  if (h == height && w == width) {
    memcpy(dst, src, (size_t)height * stride);
    return 0;
  }
  if (rule == IMGREC_RESIZE_CROP)
    cut_to_cover(&j);
  if (rule == IMGREC_RESIZE_PAD) {
    memset(dst, 0, (size_t)height * stride);
    shrink_to_fit(&j, channels);
  }
  return resize_box(&j, a, e);
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
  uint64_t fp = imgrec__fp_enter();
  status = imgrec__resize(t->data, height, width, ctx->kernels, &ctx->allocator,
                          &ctx->error, image->data, (int)image->shape[0],
                          (int)image->shape[1], (int)image->shape[2], rule);
  imgrec__fp_leave(fp);
  return imgrec__image_end(out, t, status);
}
