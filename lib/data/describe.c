/* SPDX-License-Identifier: MIT */
/* Says in one line what a data set has, and which shape its images share. */
#include <string.h>

#include "data/data.h"

/* ---- Ranges ------------------------------------------------------------- */

struct range {
  int64_t low, high;
};

static const struct range nothing = {INT64_MAX, -1};

static void include(struct range *r, int64_t v) {
  if (v < r->low)
    r->low = v;
  if (v > r->high)
    r->high = v;
}

/* "45", "5421-6742" */
static void add_range(struct text *t, const struct range *r) {
  imgrec__text_add(t, "%lld", (long long)r->low);
  if (r->high > r->low)
    imgrec__text_add(t, "-%lld", (long long)r->high);
}

/* What all have in common, 0 when nothing. */
static int64_t common(const struct range *r) {
  return r->low == r->high ? r->low : 0;
}

/* ---- The line ----------------------------------------------------------- */

struct summary {
  struct range height, width, channels, per_class;
};

static void measure_images(struct summary *s, const struct imgrec_dataset *d) {
  for (int64_t i = 0; i < d->count; i++) {
    struct image_size size = imgrec__store_size(d->store, d->items[i]);
    include(&s->height, size.height);
    include(&s->width, size.width);
    include(&s->channels, size.channels);
  }
}

static int measure_classes(struct summary *s, const struct imgrec_dataset *d) {
  struct allocator *a = &d->context->allocator;
  size_t n = d->labels.count;
  int64_t *counts = imgrec__alloc_zero(a, n * sizeof *counts);
  if (counts == NULL)
    return imgrec__fail_memory(&d->context->error, a, "a data set");
  for (int64_t i = 0; i < d->count; i++)
    counts[imgrec__dataset_label(d, i)]++;
  for (size_t i = 0; i < n; i++)
    include(&s->per_class, counts[i]);
  imgrec__free(a, counts);
  return IMGREC_OK;
}

static void add_line(struct text *t, const struct imgrec_dataset *d,
                     const struct summary *s) {
  int64_t channels = common(&s->channels);
  const char *colour = channels == 1 ? "grey " : channels == 3 ? "RGB " : "";
  imgrec__text_add(t, "%s: %lld %simage%s", d->store->format,
                   (long long)d->count, colour, d->count == 1 ? "" : "s");
  if (s->height.low > 0) {
    imgrec__text_string(t, " of ");
    add_range(t, &s->height);
    imgrec__text_string(t, " x ");
    add_range(t, &s->width);
    imgrec__text_string(t, " pixels");
  }
  imgrec__text_add(t, ", %zu class%s, ", d->labels.count,
                   d->labels.count == 1 ? "" : "es");
  add_range(t, &s->per_class);
  imgrec__text_string(t, " each");
  size_t skipped = d->store->skipped_count;
  if (skipped > 0)
    imgrec__text_add(t, "; %zu file%s could not be read", skipped,
                     skipped == 1 ? "" : "s");
}

int imgrec__dataset_describe(struct imgrec_dataset *d) {
  struct summary s = {nothing, nothing, nothing, nothing};
  struct text line;
  int status = measure_classes(&s, d);
  if (status < 0)
    return status;
  measure_images(&s, d);
  imgrec__text_init(&line, &d->context->allocator);
  add_line(&line, d, &s);
  if (line.failed) {
    imgrec__text_free(&line);
    return imgrec__fail_memory(&d->context->error, &d->context->allocator,
                               "the description of a data set");
  }
  imgrec__free(&d->context->allocator, d->description);
  d->description = line.data;
  d->shape[0] = common(&s.height);
  d->shape[1] = common(&s.width);
  d->shape[2] = common(&s.channels);
  return IMGREC_OK;
}
