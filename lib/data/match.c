/* SPDX-License-Identifier: MIT */
/* Renumbers the classes of a data set to be those of a model, by name. */
#include <string.h>

#include "data/data.h"

struct named {
  const char *name;
  int32_t index;
};

static int compare_named(const void *a, const void *b) {
  const struct named *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* The lowest class of that name, -1 when there is none. */
static int32_t find_name(const struct named *sorted, size_t n,
                         const char *name) {
  size_t low = 0, high = n;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(sorted[middle].name, name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < n && strcmp(sorted[low].name, name) == 0 ? sorted[low].index
                                                        : -1;
}

/* The model's classes by name. */
static struct named *sort_labels(struct allocator *a,
                                 const imgrec_model *model) {
  int n = imgrec_model_classes(model);
  struct named *sorted = imgrec__alloc_array(a, (size_t)n, sizeof *sorted);
  if (sorted == NULL)
    return NULL;
  for (int i = 0; i < n; i++)
    sorted[i] = (struct named){imgrec_model_label(model, i), i};
  imgrec__sort(sorted, (size_t)n, sizeof *sorted, compare_named);
  return sorted;
}

/* to[c]: the model's number of the data set's class c.  Where names occur
 * twice, equal numbers go together. */
static void match_names(int32_t *to, const struct imgrec_dataset *d,
                        const imgrec_model *model, const struct named *sorted) {
  int n = imgrec_model_classes(model);
  for (size_t c = 0; c < d->labels.count; c++) {
    const char *name = imgrec__strings_get(&d->labels, c);
    if (c < (size_t)n && strcmp(imgrec_model_label(model, (int)c), name) == 0)
      to[c] = (int32_t)c;
    else
      to[c] = find_name(sorted, (size_t)n, name);
  }
}

/* A class without images may be missing: nothing is lost with it. */
static int check_found(const struct imgrec_dataset *d, const int32_t *to) {
  for (int64_t i = 0; i < d->count; i++) {
    int32_t c = imgrec__dataset_label(d, i);
    if (to[c] < 0)
      return imgrec__fail(&d->context->error, IMGREC_ERR_NOT_FOUND,
                          "the model has no class '%s', which the data set has",
                          imgrec__strings_get(&d->labels, (size_t)c));
  }
  return IMGREC_OK;
}

/* Allocates all that is new, and only then changes the data set. */
static int renumber(struct imgrec_dataset *d, const int32_t *to,
                    const imgrec_model *model) {
  struct allocator *a = &d->context->allocator;
  size_t n = d->store->classes.count;
  int32_t *renumbered = imgrec__alloc_array(a, n, sizeof *renumbered);
  struct strings labels;
  imgrec__strings_init(&labels, a);
  for (int i = 0; i < imgrec_model_classes(model); i++) {
    const char *name = imgrec_model_label(model, i);
    imgrec__strings_add(&labels, name, strlen(name));
  }
  if (renumbered == NULL || imgrec__strings_failed(&labels)) {
    int status = imgrec__fail_memory(&d->context->error, a, "the classes");
    imgrec__free(a, renumbered);
    imgrec__strings_free(&labels);
    return status;
  }
  for (size_t c = 0; c < n; c++) {
    int32_t old = d->renumbered != NULL ? d->renumbered[c] : (int32_t)c;
    renumbered[c] = old < 0 ? -1 : to[old];
  }
  imgrec__free(a, d->renumbered);
  imgrec__strings_free(&d->labels);
  d->renumbered = renumbered;
  d->labels = labels;
  return IMGREC_OK;
}

int imgrec_dataset_match_labels(imgrec_dataset *dataset,
                                const imgrec_model *model) {
  if (dataset == NULL)
    return IMGREC_ERR_ARGUMENT;
  struct imgrec_context *ctx = dataset->context;
  struct allocator *a = &ctx->allocator;
  if (model == NULL)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_dataset_match_labels: `model` is NULL");
  struct named *sorted = sort_labels(a, model);
  int32_t *to = imgrec__alloc_array(a, dataset->labels.count, sizeof *to);
  int status;
  if (sorted == NULL || to == NULL) {
    status = imgrec__fail_memory(&ctx->error, a, "the classes");
  } else {
    match_names(to, dataset, model, sorted);
    status = check_found(dataset, to);
    if (status == IMGREC_OK)
      status = renumber(dataset, to, model);
  }
  imgrec__free(a, to);
  imgrec__free(a, sorted);
  return status;
}
