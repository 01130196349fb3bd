/* SPDX-License-Identifier: MIT */
/* Finds out whether images of a data set may be mirrored: small copies of some
 * are recognised by the most similar of others, as they are, mirrored and
 * upside down.  Where a mirrored class is no longer itself, as with digits,
 * that fails far more often. */
#include <math.h>
#include <string.h>

#include "data/data.h"

enum {
  SIDE = 16,
  VARIANTS = 3,
  PACKED_IMAGES = 4000,
  FILE_IMAGES = 800,
  FILE_IMAGES_MIN = 120,
  TESTS = 1000,
  LEAST = 40 /* images for a trial at all */
};
/* What files may have to be decoded, in pixels. */
#define PIXELS_MAX ((int64_t)400 * 1000 * 1000)

/* Rows of `dims` floats of mean 0 and length 1: the first `tests` are tried,
 * each on all others. */
struct trial {
  struct imgrec_context *context;
  size_t dims, channels, count, tests;
  float *rows, *varied, *scores;
  int32_t *labels, *answers[VARIANTS]; /* of each row; of each test */
};

/* ---- Images ------------------------------------------------------------- */

static int64_t how_many(const struct imgrec_dataset *d) {
  const struct store *s = d->store;
  int64_t n = s->pixels ? PACKED_IMAGES : FILE_IMAGES, pixels = 0;
  for (int64_t i = 0; i < d->count && s->pixels == NULL; i++) {
    struct image_size size = imgrec__store_size(s, d->items[i]);
    pixels += (int64_t)size.height * size.width;
  }
  int64_t affordable = pixels > 0 ? PIXELS_MAX / (pixels / d->count + 1) : n;
  if (affordable < n)
    n = affordable > FILE_IMAGES_MIN ? affordable : FILE_IMAGES_MIN;
  return n < d->count ? n : d->count;
}

static int draw_images(struct imgrec_dataset **out,
                       const struct imgrec_dataset *d, int64_t n) {
  struct allocator *a = &d->context->allocator;
  int64_t *order = imgrec__alloc_array(a, (size_t)d->count, sizeof *order);
  if (!order)
    return imgrec__fail_memory(&d->context->error, a, "a trial");
  int status = imgrec__dataset_new(out, d->store, n, &d->labels);
  if (status == IMGREC_OK) {
    imgrec__random_permutation(order, (size_t)d->count, 0,
                               IMGREC__STREAM_TRIAL);
    for (int64_t i = 0; i < n; i++)
      (*out)->items[i] = d->items[order[i]];
  }
  imgrec__free(a, order);
  return status;
}

static void normalise(float *row, size_t n) {
  double sum = 0.0, squares = 0.0;
  for (size_t i = 0; i < n; i++)
    sum += (double)row[i];
  float mean = (float)(sum / (double)n);
  for (size_t i = 0; i < n; i++) {
    row[i] -= mean;
    squares += (double)row[i] * (double)row[i];
  }
  float scale = squares > 0.0 ? (float)(1.0 / sqrt(squares)) : 0.0f;
  for (size_t i = 0; i < n; i++)
    row[i] *= scale;
}

static int read_rows(struct trial *t, struct imgrec_dataset *drawn,
                     const imgrec_preprocess *p) {
  struct loader *l;
  const float *x;
  const int32_t *labels;
  size_t n = 1;
  int status = imgrec__loader_create(&l, drawn, p, 50);
  if (status < 0)
    return status;
  status = imgrec__loader_start(l, 0, 0, 0);
  while (status == IMGREC_OK && n > 0) {
    status = imgrec__loader_next(l, &x, &labels, &n);
    if (status < 0 || n == 0)
      break;
    memcpy(t->rows + t->count * t->dims, x, n * t->dims * sizeof *x);
    memcpy(t->labels + t->count, labels, n * sizeof *labels);
    t->count += n;
  }
  imgrec__loader_destroy(l);
  for (size_t i = 0; i < t->count; i++)
    normalise(t->rows + i * t->dims, t->dims);
  return status;
}

/* ---- Trial -------------------------------------------------------------- */

/* dst: SIDE x SIDE pixels, with columns or rows in reverse. */
static void vary(float *dst, const float *src, size_t c, int variant) {
  for (size_t y = 0; y < SIDE; y++)
    for (size_t x = 0; x < SIDE; x++) {
      size_t sy = variant == 2 ? SIDE - 1 - y : y;
      size_t sx = variant == 1 ? SIDE - 1 - x : x;
      memcpy(dst + (y * SIDE + x) * c, src + (sy * SIDE + sx) * c,
             c * sizeof *dst);
    }
}

/* The class of the other row that is most like a test. */
static int32_t answer(const struct trial *t, size_t test) {
  size_t best = test == 0;
  const float *score = t->scores + test * t->count;
  for (size_t i = best + 1; i < t->count; i++)
    best = score[i] > score[best] && i != test ? i : best;
  return t->labels[best];
}

static void recognise(struct trial *t, int variant) {
  for (size_t i = 0; i < t->tests; i++)
    vary(t->varied + i * t->dims, t->rows + i * t->dims, t->channels, variant);
  const struct gemm g = {.m = t->tests,
                         .n = t->count,
                         .k = t->dims,
                         .a = matrix_of(t->varied, t->dims, 1),
                         .b = matrix_of(t->rows, 1, t->dims),
                         .c = t->scores,
                         .ldc = t->count};
  imgrec__gemm(t->context, &g);
  for (size_t i = 0; i < t->tests; i++)
    t->answers[variant][i] = answer(t, i);
}

/* ---- What it says ------------------------------------------------------- */

static int is_right(const struct trial *t, int variant, size_t test) {
  return t->answers[variant][test] == t->labels[test];
}

static int64_t count_right(const struct trial *t, int variant) {
  int64_t n = 0;
  for (size_t i = 0; i < t->tests; i++)
    n += is_right(t, variant, i);
  return n;
}

/* A quarter of what was right is lost, and more than chance would have it: a
 * normal approximation of McNemar's test. */
static int is_worse(const struct trial *t, int variant) {
  int64_t lost = 0, won = 0, right = count_right(t, 0);
  for (size_t i = 0; i < t->tests; i++) {
    int before = is_right(t, 0, i), after = is_right(t, variant, i);
    lost += before > after;
    won += before < after;
  }
  return 4 * (lost - won) > right &&
         (double)(lost - won) > 3.0 * sqrt((double)(lost + won));
}

/* What most images of class c, of those that were right, become; -1: nothing
 * in particular, or there are too few.  By the vote of Boyer and Moore. */
static int32_t becomes(const struct trial *t, int variant, int32_t c) {
  int32_t most = -1;
  int votes = 0, count = 0, agree = 0;
  for (size_t i = 0; i < t->tests; i++) {
    int32_t a = t->answers[variant][i];
    if (t->labels[i] != c || !is_right(t, 0, i))
      continue;
    most = votes == 0 ? a : most;
    votes += a == most ? 1 : -1;
  }
  for (size_t i = 0; i < t->tests; i++)
    if (t->labels[i] == c && is_right(t, 0, i)) {
      count++;
      agree += t->answers[variant][i] == most;
    }
  return count >= 4 && 2 * agree > count ? most : -1;
}

/* Two classes are each other's mirror images, such as left and right. */
static int is_swapped(const struct trial *t, int variant) {
  for (size_t i = 0; i < t->tests; i++) {
    int32_t c = t->labels[i];
    int32_t other = is_right(t, 0, i) && !is_right(t, variant, i)
                        ? becomes(t, variant, c)
                        : -1;
    if (other >= 0 && other != c && becomes(t, variant, other) == c)
      return 1;
  }
  return 0;
}

/* Of a test's own class; by counting, as classes may be many. */
static size_t frequency(const struct trial *t, size_t test) {
  size_t n = 0;
  for (size_t i = 0; i < t->tests; i++)
    n += t->labels[i] == t->labels[test];
  return n;
}

/* Whether more are right than the most frequent class would give, by far. */
static int is_evidence(const struct trial *t) {
  size_t most = 0;
  for (size_t i = 0; i < t->tests; i++)
    most = max_size(most, frequency(t, i));
  double n = (double)t->tests, p = (double)most / n;
  return (double)count_right(t, 0) > n * p + 3.0 * sqrt(n * p * (1.0 - p) + 1);
}

static void judge(struct trial *t, struct mirror_trial *out) {
  out->images = (int64_t)t->tests;
  for (int v = 0; v < VARIANTS; v++)
    recognise(t, v);
  for (int v = 0; v < VARIANTS; v++) {
    out->right[v] = count_right(t, v);
    out->matters[v] = is_worse(t, v) || is_swapped(t, v);
  }
  out->evidence = is_evidence(t);
}

/* ---- The whole ---------------------------------------------------------- */

static int alloc_trial(struct trial *t, size_t images) {
  struct allocator *a = &t->context->allocator;
  size_t tests = min_size(images, TESTS);
  t->rows = imgrec__alloc_array(a, images, t->dims * sizeof(float));
  t->labels = imgrec__alloc_array(a, images, sizeof *t->labels);
  t->varied = imgrec__alloc_array(a, tests, t->dims * sizeof(float));
  t->scores = imgrec__alloc_array(a, tests * images, sizeof(float));
  t->answers[0] = imgrec__alloc_array(a, tests, VARIANTS * sizeof(int32_t));
  if (t->rows && t->labels && t->varied && t->scores && t->answers[0]) {
    for (int v = 1; v < VARIANTS; v++)
      t->answers[v] = t->answers[v - 1] + tests;
    return IMGREC_OK;
  }
  return imgrec__fail_memory(&t->context->error, a, "a trial");
}

static void free_trial(struct trial *t) {
  struct allocator *a = &t->context->allocator;
  imgrec__free(a, t->answers[0]);
  imgrec__free(a, t->scores);
  imgrec__free(a, t->varied);
  imgrec__free(a, t->labels);
  imgrec__free(a, t->rows);
}

int imgrec__mirror_trial(struct mirror_trial *out, struct imgrec_dataset *d,
                         const imgrec_preprocess *p) {
  struct trial t = {.context = d->context,
                    .channels = (size_t)p->channels,
                    .dims = SIDE * SIDE * (size_t)p->channels};
  imgrec_preprocess small = *p;
  struct imgrec_dataset *drawn = NULL;
  int64_t n = how_many(d);
  *out = (struct mirror_trial){.images = 0};
  if (n < LEAST)
    return IMGREC_OK;
  small.height = small.width = SIDE;
  int status = alloc_trial(&t, (size_t)n);
  if (status == IMGREC_OK)
    status = draw_images(&drawn, d, n);
  if (status == IMGREC_OK)
    status = read_rows(&t, drawn, &small);
  t.tests = min_size(t.count, TESTS);
  if (status == IMGREC_OK && t.count >= LEAST)
    judge(&t, out);
  imgrec_dataset_destroy(drawn);
  free_trial(&t);
  return status;
}
