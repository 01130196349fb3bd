/* SPDX-License-Identifier: MIT */
/* Splits a data set in two, each class in the same proportion. */
#include <string.h>

#include "data/data.h"

/* Images by class, and which of them go to the second data set. */
struct split {
  size_t *starts; /* of each class in members, and the end */
  int64_t *members;
  int64_t *order;        /* room for a class's permutation */
  unsigned char *second; /* 1 for an image that goes there */
  size_t classes;
  int64_t moved;
};

static void split_free(struct split *s, struct allocator *a) {
  imgrec__free(a, s->starts);
  imgrec__free(a, s->members);
  imgrec__free(a, s->order);
  imgrec__free(a, s->second);
}

static int split_alloc(struct split *s, const struct imgrec_dataset *d) {
  struct allocator *a = &d->context->allocator;
  size_t n = (size_t)d->count;
  s->classes = d->store->classes.count;
  s->starts = imgrec__alloc_zero(a, (s->classes + 2) * sizeof *s->starts);
  s->members = imgrec__alloc_array(a, n, sizeof *s->members);
  s->order = imgrec__alloc_array(a, n, sizeof *s->order);
  s->second = imgrec__alloc_zero(a, n);
  if (s->starts != NULL && s->members != NULL && s->order != NULL &&
      s->second != NULL)
    return IMGREC_OK;
  return imgrec__fail_memory(&d->context->error, a, "splitting a data set");
}

/* The class that the store knows: renumbering does not change a split. */
static size_t class_of(const struct imgrec_dataset *d, int64_t i) {
  return (size_t)d->store->labels[d->items[i]];
}

/* Counting sort.  starts is kept one place ahead while members are put, so
 * that it is right at the end. */
static void group(struct split *s, const struct imgrec_dataset *d) {
  for (int64_t i = 0; i < d->count; i++)
    s->starts[class_of(d, i) + 2]++;
  for (size_t c = 1; c <= s->classes; c++)
    s->starts[c + 1] += s->starts[c];
  for (int64_t i = 0; i < d->count; i++)
    s->members[s->starts[class_of(d, i) + 1]++] = i;
}

/* Rounded, and with two images or more at least one on either side; an only one
 * stays. */
static size_t share(size_t n, float fraction) {
  size_t k = (size_t)((double)fraction * (double)n + 0.5);
  if (n < 2)
    return 0;
  return k < 1 ? 1 : min_size(k, n - 1);
}

static void draw(struct split *s, float fraction, uint64_t seed) {
  for (size_t c = 0; c < s->classes; c++) {
    const int64_t *members = s->members + s->starts[c];
    size_t n = s->starts[c + 1] - s->starts[c], k = share(n, fraction);
    imgrec__random_permutation(s->order, n, seed, IMGREC__STREAM_SPLIT + c);
    for (size_t i = 0; i < k; i++)
      s->second[members[s->order[i]]] = 1;
    s->moved += (int64_t)k;
  }
}

static int copy_renumbered(struct imgrec_dataset *to,
                           const struct imgrec_dataset *from, size_t classes) {
  struct allocator *a = &from->context->allocator;
  if (from->renumbered == NULL)
    return IMGREC_OK;
  to->renumbered = imgrec__alloc_array(a, classes, sizeof *to->renumbered);
  if (to->renumbered == NULL)
    return imgrec__fail_memory(&from->context->error, a, "a data set");
  memcpy(to->renumbered, from->renumbered, classes * sizeof *to->renumbered);
  return IMGREC_OK;
}

/* The images on one side, in the order of the whole. */
static int take_side(struct imgrec_dataset **out,
                     const struct imgrec_dataset *d, const struct split *s,
                     int second) {
  struct imgrec_dataset *side;
  int64_t count = second ? s->moved : d->count - s->moved, n = 0;
  int status = imgrec__dataset_new(&side, d->store, count, &d->labels);
  if (status < 0)
    return status;
  for (int64_t i = 0; i < d->count; i++)
    if (s->second[i] == second)
      side->items[n++] = d->items[i];
  status = copy_renumbered(side, d, s->classes);
  if (status == IMGREC_OK)
    status = imgrec__dataset_describe(side);
  if (status < 0) {
    imgrec_dataset_destroy(side);
    return status;
  }
  *out = side;
  return IMGREC_OK;
}

static int take_both(imgrec_dataset **first, imgrec_dataset **second,
                     const struct imgrec_dataset *d, const struct split *s) {
  struct imgrec_dataset *a, *b;
  if (s->moved == 0)
    return imgrec__fail(&d->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_dataset_split: no class has two images, so one "
                        "side would be empty");
  int status = take_side(&a, d, s, 0);
  if (status < 0)
    return status;
  status = take_side(&b, d, s, 1);
  if (status < 0) {
    imgrec_dataset_destroy(a);
    return status;
  }
  *first = a;
  *second = b;
  return IMGREC_OK;
}

static int check_fraction(struct error *e, float fraction) {
  if (fraction > 0 && fraction < 1)
    return IMGREC_OK;
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                      "imgrec_dataset_split: the fraction must be between 0 "
                      "and 1");
}

int imgrec_dataset_split(imgrec_dataset **first, imgrec_dataset **second,
                         const imgrec_dataset *dataset, float fraction,
                         uint64_t seed) {
  struct split s = {0};
  if (dataset == NULL)
    return IMGREC_ERR_ARGUMENT;
  struct imgrec_context *ctx = dataset->context;
  if (first == NULL || second == NULL)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_dataset_split: `%s` is NULL",
                        first == NULL ? "first" : "second");
  uint64_t fp = imgrec__fp_enter();
  int status = check_fraction(&ctx->error, fraction);
  if (status == IMGREC_OK)
    status = split_alloc(&s, dataset);
  if (status == IMGREC_OK) {
    group(&s, dataset);
    draw(&s, fraction, seed);
    status = take_both(first, second, dataset, &s);
  }
  split_free(&s, &ctx->allocator);
  imgrec__fp_leave(fp);
  return status;
}
