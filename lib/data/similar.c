/* SPDX-License-Identifier: MIT */
/* Finds the same picture among many: equal ones by sorting their digests, near
 * ones by multi-index hashing (Norouzi, Punjani and Fleet, CVPR 2012).
 *
 * Of two hashes that differ in at most 7 of 64 bits, one of the four quarters
 * differs in at most 1 of its 16.  So an image looks in each of four tables,
 * of the images by one quarter of their hash, at the 17 places that lie within
 * one bit of its own quarter, and nowhere else. */
#include <math.h>
#include <string.h>

#include "data/data.h"

#define QUARTERS 4
#define PLACES   65536
/* Where very many hashes are alike, an image is compared with the first so many
 * of them, and looked at beside so many: the time for n images stays bounded by
 * n times this. */
#define COMPARISONS 65536
#define LOOKS       2048

_Static_assert(IMGREC__NEAR_BITS < 2 * QUARTERS,
               "then one quarter differs in one bit at most");

static int set_of(const struct similar *s, int64_t image) {
  int set = 0;
  while (image >= s->firsts[set + 1])
    set++;
  return set;
}

static struct twin *twin_of(const struct similar *s, int64_t image, int set) {
  return &s->twins[image * s->sets + set];
}

/* ---- Equal ones --------------------------------------------------------- */

struct keyed {
  unsigned char digest[32];
  int64_t image;
};

static int compare_keyed(const void *a, const void *b) {
  const struct keyed *x = a, *y = b;
  int order = memcmp(x->digest, y->digest, sizeof x->digest);
  return order != 0 ? order : (x->image > y->image) - (x->image < y->image);
}

/* `count` equal images in order. */
static void link_equal(struct similar *s, const struct keyed *k, size_t count) {
  int64_t first_of[IMGREC__EXAMINE_SETS]; /* of each set, here */
  for (int set = 0; set < s->sets; set++)
    first_of[set] = -1;
  for (size_t i = 0; i < count; i++) {
    int own = set_of(s, k[i].image);
    for (int set = 0; set <= own; set++)
      if (first_of[set] >= 0)
        *twin_of(s, k[i].image, set) = (struct twin){first_of[set], 0, 1};
    if (first_of[own] < 0)
      first_of[own] = k[i].image;
    s->leader[k[i].image] = first_of[own];
  }
}

static int find_equal(struct similar *s, struct imgrec_context *ctx) {
  int64_t images = s->firsts[s->sets];
  struct keyed *keys =
      imgrec__alloc_array(&ctx->allocator, (size_t)images, sizeof *keys);
  size_t n = 0;
  if (keys == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the search for equal images");
  for (int64_t i = 0; i < images; i++) {
    s->leader[i] = i;
    if (s->seen[i].status < 0)
      continue;
    memcpy(keys[n].digest, s->seen[i].digest, sizeof keys[n].digest);
    keys[n++].image = i;
  }
  imgrec__sort(keys, n, sizeof *keys, compare_keyed);
  for (size_t from = 0, to; from < n; from = to) {
    for (to = from + 1; to < n && memcmp(keys[from].digest, keys[to].digest,
                                         sizeof keys->digest) == 0;)
      to++;
    link_equal(s, keys + from, to - from);
  }
  imgrec__free(&ctx->allocator, keys);
  return IMGREC_OK;
}

/* ---- Near ones ---------------------------------------------------------- */

struct entry {
  uint64_t hash;
  uint32_t image;
  float deviation; /* of luma */
};

struct tables {
  struct similar *similar;
  size_t count;          /* images that are looked for and at */
  struct entry *entries; /* in order */
  /* Of each quarter: the entries sorted by it, in order where it is equal, and
   * where each of its values begins. */
  struct entry *sorted[QUARTERS];
  uint32_t *starts[QUARTERS];
};

static size_t quarter(uint64_t hash, int q) {
  return (size_t)(hash >> (16 * q)) & (PLACES - 1);
}

/* Counting sort.  starts is kept one place ahead while entries are put, so
 * that it is right at the end. */
static void fill_table(void *arg, int q, int worker) {
  struct tables *t = arg;
  uint32_t *starts = t->starts[q];
  (void)worker;
  memset(starts, 0, (PLACES + 2) * sizeof *starts);
  for (size_t i = 0; i < t->count; i++)
    starts[quarter(t->entries[i].hash, q) + 2]++;
  for (size_t p = 2; p < PLACES + 2; p++)
    starts[p] += starts[p - 1];
  for (size_t i = 0; i < t->count; i++)
    t->sorted[q][starts[quarter(t->entries[i].hash, q) + 1]++] = t->entries[i];
}

static int bits(uint64_t x) {
  x -= x >> 1 & 0x5555555555555555;
  x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return (int)(x * 0x0101010101010101 >> 56);
}

/* Takes `candidate` when it is nearer than what there is. */
static void consider(const struct similar *s, int64_t image,
                     int64_t candidate) {
  struct twin *twin = twin_of(s, image, set_of(s, candidate));
  float difference;
  if (twin->exact || twin->image == candidate ||
      !imgrec__fingerprint_near(&difference, &s->seen[image].print,
                                &s->seen[candidate].print))
    return;
  if (twin->image < 0 || difference < twin->difference ||
      (difference == twin->difference && candidate < twin->image))
    *twin = (struct twin){candidate, difference, 0};
}

/* The deviations of two pictures differ by no more than they do, which spares
 * most of them a closer look. */
static int may_be_near(const struct entry *e, const struct entry *f) {
  float greater = e->deviation > f->deviation ? e->deviation : f->deviation;
  return fabsf(e->deviation - f->deviation) <= 0.1F * greater &&
         bits(e->hash ^ f->hash) <= IMGREC__NEAR_BITS;
}

struct budget {
  size_t comparisons, looks;
};

/* Those before `own` at one place of a table. */
static void look_at(const struct tables *t, const struct entry *own, int q,
                    size_t place, struct budget *left) {
  const struct entry *e = t->sorted[q] + t->starts[q][place];
  const struct entry *end = t->sorted[q] + t->starts[q][place + 1];
  for (; e < end && e->image < own->image; e++) {
    if (left->comparisons == 0 || left->looks == 0)
      return;
    left->comparisons--;
    if (!may_be_near(e, own))
      continue;
    left->looks--;
    consider(t->similar, own->image, e->image);
  }
}

static void look_around(void *arg, int i, int worker) {
  const struct tables *t = arg;
  const struct entry *own = &t->entries[i];
  struct budget left = {COMPARISONS, LOOKS};
  (void)worker;
  for (int q = 0; q < QUARTERS; q++) {
    size_t place = quarter(own->hash, q);
    look_at(t, own, q, place, &left);
    for (int bit = 0; bit < 16; bit++)
      look_at(t, own, q, place ^ (size_t)1 << bit, &left);
  }
}

static int make_tables(struct tables *t, struct imgrec_context *ctx) {
  struct allocator *a = &ctx->allocator;
  size_t images = (size_t)t->similar->firsts[t->similar->sets];
  t->entries = imgrec__alloc_array(a, images, sizeof *t->entries);
  int ok = t->entries != NULL;
  for (int q = 0; q < QUARTERS; q++) {
    t->sorted[q] = imgrec__alloc_array(a, images, sizeof *t->sorted[q]);
    t->starts[q] = imgrec__alloc_array(a, PLACES + 2, sizeof *t->starts[q]);
    ok = ok && t->sorted[q] != NULL && t->starts[q] != NULL;
  }
  return ok ? IMGREC_OK
            : imgrec__fail_memory(&ctx->error, a, "the search for near images");
}

static void free_tables(struct tables *t, struct allocator *a) {
  for (int q = 0; q < QUARTERS; q++) {
    imgrec__free(a, t->starts[q]);
    imgrec__free(a, t->sorted[q]);
  }
  imgrec__free(a, t->entries);
}

/* One of each set stands for all that are equal to it. */
static void list_entries(struct tables *t) {
  const struct similar *s = t->similar;
  for (int64_t i = 0; i < s->firsts[s->sets]; i++) {
    const struct sight *seen = &s->seen[i];
    if (seen->status >= 0 && s->leader[i] == i &&
        !imgrec__fingerprint_flat(&seen->print))
      t->entries[t->count++] = (struct entry){
          seen->print.hash, (uint32_t)i, sqrtf((float)seen->print.contrast)};
  }
}

static int find_near(struct similar *s, struct imgrec_context *ctx) {
  struct tables t = {.similar = s};
  int status = make_tables(&t, ctx);
  if (status == IMGREC_OK) {
    list_entries(&t);
    imgrec__parallel_for(ctx->pool, QUARTERS, fill_table, &t);
    imgrec__parallel_for(ctx->pool, t.count, look_around, &t);
  }
  free_tables(&t, &ctx->allocator);
  return status;
}

/* What holds for one image holds for all of its set that are equal to it. */
static void share_with_equals(struct similar *s) {
  for (int64_t i = 0; i < s->firsts[s->sets]; i++)
    for (int set = 0, own = set_of(s, i); set < own; set++)
      *twin_of(s, i, set) = *twin_of(s, s->leader[i], set);
}

int imgrec__similar_find(struct similar *s, struct imgrec_context *ctx,
                         int near) {
  for (int64_t i = 0; i < s->firsts[s->sets] * s->sets; i++)
    s->twins[i] = (struct twin){-1, 0, 0};
  int status = find_equal(s, ctx);
  if (status == IMGREC_OK && near)
    status = find_near(s, ctx);
  if (status == IMGREC_OK)
    share_with_equals(s);
  return status;
}
