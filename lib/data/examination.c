/* SPDX-License-Identifier: MIT */
/* The report on data sets that were looked over. */
#include <stdio.h>
#include <string.h>

#include "data/data.h"

struct imgrec_examination {
  struct imgrec_context *context;
  int sets;
  imgrec_data_summary summaries[IMGREC__EXAMINE_SETS];
  imgrec_duplicate *duplicates;
  int64_t count;
};

int imgrec_data_summary_init(imgrec_data_summary *summary, size_t struct_size) {
  const imgrec_data_summary defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(summary, struct_size, &defaults, sizeof defaults);
}

int imgrec_duplicate_init(imgrec_duplicate *duplicate, size_t struct_size) {
  const imgrec_duplicate defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(duplicate, struct_size, &defaults,
                              sizeof defaults);
}

/* ---- The report --------------------------------------------------------- */

/* 1 when the name of a class is just its number, as IDX files have it. */
static int is_number(const char *name, int32_t index) {
  char number[16];
  snprintf(number, sizeof number, "%d", (int)index);
  return strcmp(name, number) == 0;
}

static int same_label(const imgrec_dataset *d, int64_t i,
                      const imgrec_dataset *e, int64_t k) {
  int32_t a = imgrec__dataset_label(d, i), b = imgrec__dataset_label(e, k);
  if (d == e)
    return a == b;
  const char *left = imgrec_dataset_label(d, a);
  const char *right = imgrec_dataset_label(e, b);
  return strcmp(left, right) == 0 ||
         (a == b && (is_number(left, a) || is_number(right, b)));
}

static imgrec_duplicate duplicate_of(const struct similar *x, int set,
                                     int64_t image, int original_set,
                                     const struct twin *twin) {
  int64_t original = twin->image - x->firsts[original_set];
  return (imgrec_duplicate){
      .struct_size = sizeof(imgrec_duplicate),
      .image = image,
      .original = original,
      .set = set,
      .original_set = original_set,
      .kind = twin->exact ? IMGREC_DUPLICATE_EXACT : IMGREC_DUPLICATE_NEAR,
      .same_label = same_label(x->datasets[set], image,
                               x->datasets[original_set], original),
      .difference = twin->difference};
}

/* An image counts once, as what it is most: equal before near. */
static void count_image(imgrec_data_summary *s, const imgrec_duplicate *list,
                        int64_t n) {
  int exact = 0, near = 0, exact_else = 0, near_else = 0, other = 0;
  for (int64_t i = 0; i < n; i++) {
    int is_exact = list[i].kind == IMGREC_DUPLICATE_EXACT;
    int own = list[i].set == list[i].original_set;
    *(own        ? is_exact ? &exact : &near
      : is_exact ? &exact_else
                 : &near_else) = 1;
    other |= !list[i].same_label;
  }
  s->exact += exact;
  s->near_duplicates += near && !exact;
  s->exact_elsewhere += exact_else;
  s->near_elsewhere += near_else && !exact_else;
  s->conflicting += other;
}

static int64_t count_twins(const struct similar *x) {
  int64_t count = 0;
  for (int64_t i = 0; i < x->firsts[x->sets] * x->sets; i++)
    count += x->twins[i].image >= 0;
  return count;
}

/* Its twins lie only in its own and earlier sets. */
static void list_set(struct imgrec_examination *r, const struct similar *x,
                     int set) {
  imgrec_data_summary *s = &r->summaries[set];
  for (int64_t i = 0; i < x->datasets[set]->count; i++) {
    const struct twin *twins = x->twins + (x->firsts[set] + i) * x->sets;
    imgrec_duplicate *list = r->duplicates + r->count;
    int64_t n = 0;
    for (int other = 0; other <= set; other++)
      if (twins[other].image >= 0)
        list[n++] = duplicate_of(x, set, i, other, &twins[other]);
    count_image(s, list, n);
    r->count += n;
  }
}

static int compare_sizes(const void *a, const void *b) {
  const int32_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static void three_of(int32_t out[3], int32_t *v, int64_t n) {
  if (n == 0)
    return;
  imgrec__sort(v, (size_t)n, sizeof *v, compare_sizes);
  out[0] = v[0];
  out[1] = v[n / 2];
  out[2] = v[n - 1];
}

/* Files that were left out when the store was filled, so that no set has them:
 * of all that it lists, those that no item stands for. */
static int64_t left_out(const struct store *s) {
  int64_t n = (int64_t)s->skipped_count;
  for (int64_t i = 0; s->bad != NULL && i < s->count; i++)
    n -= s->bad[i];
  return n > 0 ? n : 0;
}

/* Sets of one store share its list; what was left out is the first one's. */
static int64_t count_unreadable(const struct similar *x, int set) {
  const struct imgrec_dataset *d = x->datasets[set];
  int64_t n = 0;
  int first = 0;
  while (x->datasets[first]->store != d->store)
    first++;
  for (int64_t i = 0; i < d->count; i++)
    n += !imgrec_dataset_readable(d, i);
  return first == set ? n + left_out(d->store) : n;
}

/* v: room for the images of the set. */
static void measure(imgrec_data_summary *s, const struct similar *x, int set,
                    int32_t *v) {
  const struct sight *seen = x->seen + x->firsts[set];
  int64_t count = x->datasets[set]->count, n = 0;
  for (int64_t i = 0; i < count; i++)
    if (seen[i].status >= 0) {
      s->grey += seen[i].channels == 1;
      v[n++] = seen[i].height;
    }
  three_of(s->height, v, n);
  s->images = n;
  n = 0;
  for (int64_t i = 0; i < count; i++)
    if (seen[i].status >= 0)
      v[n++] = seen[i].width;
  three_of(s->width, v, n);
  s->unreadable = count_unreadable(x, set);
}

int imgrec__examination_new(struct imgrec_examination **out,
                            const struct similar *x) {
  struct imgrec_context *ctx = x->datasets[0]->context;
  struct allocator *a = &ctx->allocator;
  struct imgrec_examination *r = imgrec__alloc_zero(a, sizeof *r);
  int32_t *room =
      imgrec__alloc_array(a, (size_t)x->firsts[x->sets], sizeof *room);
  if (r != NULL)
    r->duplicates = imgrec__alloc_array(a, (size_t)count_twins(x) + 1,
                                        sizeof *r->duplicates);
  if (r == NULL || r->duplicates == NULL || room == NULL) {
    imgrec__free(a, room);
    imgrec__free(a, r != NULL ? r->duplicates : NULL);
    imgrec__free(a, r);
    return imgrec__fail_memory(&ctx->error, a, "the report on a data set");
  }
  r->context = ctx;
  r->sets = x->sets;
  imgrec__context_retain(ctx);
  for (int set = 0; set < x->sets; set++) {
    imgrec_data_summary_init(&r->summaries[set], sizeof r->summaries[set]);
    measure(&r->summaries[set], x, set, room);
    list_set(r, x, set);
  }
  imgrec__free(a, room);
  *out = r;
  return IMGREC_OK;
}

void imgrec_examination_destroy(imgrec_examination *examination) {
  if (examination == NULL)
    return;
  struct imgrec_context *ctx = examination->context;
  imgrec__free(&ctx->allocator, examination->duplicates);
  imgrec__free(&ctx->allocator, examination);
  imgrec__context_release(ctx);
}

int imgrec_examination_summary(const imgrec_examination *examination, int set,
                               imgrec_data_summary *out) {
  if (examination == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (out == NULL || set < 0 || set >= examination->sets)
    return imgrec__fail(&examination->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_examination_summary: there are %d data sets",
                        examination->sets);
  imgrec__options_write(out, &examination->summaries[set], sizeof *out);
  return IMGREC_OK;
}

int64_t imgrec_examination_duplicates(const imgrec_examination *examination) {
  return examination != NULL ? examination->count : 0;
}

int imgrec_examination_duplicate(const imgrec_examination *examination,
                                 int64_t index, imgrec_duplicate *out) {
  if (examination == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (out == NULL || index < 0 || index >= examination->count)
    return imgrec__fail(&examination->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_examination_duplicate: there are %lld "
                        "duplicates",
                        (long long)examination->count);
  imgrec__options_write(out, &examination->duplicates[index], sizeof *out);
  return IMGREC_OK;
}
