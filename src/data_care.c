/* SPDX-License-Identifier: MIT */
/* Looks over the data of a run, and keeps what is trained on out of
 * validation. */
#include "data_care.h"

#include <stdlib.h>
#include <string.h>

#define DRAW_AFTER 0.3 /* seconds */

void care_add(struct care *c, imgrec_dataset *data, const char *name,
              int shared) {
  if (data == NULL)
    return;
  c->sets[c->count] = data;
  c->shared[c->count] = shared;
  c->names[c->count++] = name;
}

int care_find(const struct care *c, const char *name) {
  for (int i = 0; i < c->count; i++)
    if (strcmp(c->names[i], name) == 0)
      return i;
  return -1;
}

/* ---- Reading ------------------------------------------------------------ */

struct watch {
  double started, drawn;
  int lines;
};

static int draw(void *user, int64_t images, int64_t total) {
  struct watch *w = user;
  double now = seconds_now();
  if (now - w->started < DRAW_AFTER || now - w->drawn < 0.1)
    return 0;
  fprintf(stderr, "\rlooking over the images: %lld of %lld", (long long)images,
          (long long)total);
  fflush(stderr);
  w->drawn = now;
  w->lines = 1;
  return 0;
}

int care_examine(struct care *c, imgrec_context *ctx) {
  struct watch w = {seconds_now(), 0, 0};
  imgrec_examine_options options;
  imgrec_examine_options_init(&options, sizeof options);
  options.progress = os_is_terminal(stderr) ? draw : NULL;
  options.progress_user = &w;
  int before[CARE_SETS];
  for (int i = 0; i < c->count; i++)
    before[i] = imgrec_dataset_skipped(c->sets[i]);
  int status = imgrec_dataset_examine(&c->found, c->sets, c->count, &options);
  if (w.lines)
    fputs("\r\033[K", stderr);
  for (int i = 0; i < c->count && status >= 0; i++)
    if (!c->shared[i]) {
      warn_skipped_from(c->sets[i], before[i], c->command);
      warn_lost_classes(c->sets[i], c->command);
    }
  return status < 0 ? fail(c->command, "%s", imgrec_last_error(ctx)) : EXIT_OK;
}

void care_free(struct care *c) {
  imgrec_examination_destroy(c->found);
  c->found = NULL;
}

imgrec_data_summary care_summary(const struct care *c, int set) {
  imgrec_data_summary s;
  imgrec_data_summary_init(&s, sizeof s);
  imgrec_examination_summary(c->found, set, &s);
  return s;
}

/* ---- What is trained on and measured on --------------------------------- */

struct overlap care_overlap(const struct care *c, int set, int original_set) {
  struct overlap o;
  memset(&o, 0, sizeof o);
  int64_t n = imgrec_examination_duplicates(c->found);
  for (int64_t i = 0; i < n; i++) {
    imgrec_duplicate d;
    imgrec_duplicate_init(&d, sizeof d);
    imgrec_examination_duplicate(c->found, i, &d);
    if (d.set != set || d.original_set != original_set)
      continue;
    o.images++;
    o.exact += d.kind == IMGREC_DUPLICATE_EXACT;
    if (o.first_count < (int)(sizeof o.first / sizeof o.first[0]))
      o.first[o.first_count++] = d;
  }
  return o;
}

/* The indices in `set` of what it shares with `original_set`, for free(). */
static int64_t *list_overlap(const struct care *c, int set, int original_set,
                             int64_t count) {
  int64_t *indices = malloc((size_t)count * sizeof *indices), k = 0;
  for (int64_t i = 0; indices != NULL && k < count; i++) {
    imgrec_duplicate d;
    imgrec_duplicate_init(&d, sizeof d);
    imgrec_examination_duplicate(c->found, i, &d);
    if (d.set == set && d.original_set == original_set)
      indices[k++] = d.image;
  }
  return indices;
}

static int remove_overlap(const struct care *c, imgrec_context *ctx, int set,
                          int original_set, int64_t count) {
  int64_t *indices = list_overlap(c, set, original_set, count);
  if (indices == NULL)
    return fail(c->command, "out of memory");
  int status = imgrec_dataset_remove(c->sets[set], indices, count);
  free(indices);
  return status < 0 ? fail(c->command, "%s", imgrec_last_error(ctx)) : EXIT_OK;
}

int care_refuse(const struct care *c, imgrec_context *ctx) {
  int train = care_find(c, "train"), val = care_find(c, "val");
  if (train < 0 || val < 0)
    return EXIT_OK;
  int64_t count = care_overlap(c, val, train).images;
  if (count == 0)
    return EXIT_OK;
  if (count == imgrec_dataset_size(c->sets[val]))
    return fail(c->command,
                "all %lld images to validate on are trained on too, so that "
                "validation would say nothing; give other ones, or --no-check",
                (long long)count);
  return remove_overlap(c, ctx, val, train, count);
}
