/* SPDX-License-Identifier: MIT */
/* Takes images out of a data set. */
#include "data/data.h"

static int check_indices(const struct imgrec_dataset *d, const int64_t *indices,
                         int64_t count) {
  struct error *e = &d->context->error;
  if (count < 0 || (count > 0 && indices == NULL))
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "imgrec_dataset_remove: %lld indices",
                        count < 0 ? (long long)count : 0);
  for (int64_t i = 0; i < count; i++)
    if (indices[i] < 0 || indices[i] >= d->count ||
        (i > 0 && indices[i] <= indices[i - 1]))
      return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                          "imgrec_dataset_remove: index %lld is %lld; they "
                          "must increase and lie in 0 to %lld",
                          (long long)i, (long long)indices[i],
                          (long long)d->count - 1);
  if (count == d->count)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "imgrec_dataset_remove: no image would be left");
  return IMGREC_OK;
}

int imgrec_dataset_remove(imgrec_dataset *dataset, const int64_t *indices,
                          int64_t count) {
  if (dataset == NULL)
    return IMGREC_ERR_ARGUMENT;
  struct imgrec_dataset *d = dataset;
  struct allocator *a = &d->context->allocator;
  int status = check_indices(d, indices, count);
  if (status < 0 || count == 0)
    return status;
  int64_t n = d->count, k = 0, *all = d->items;
  int64_t *left = imgrec__alloc_array(a, (size_t)(n - count), sizeof *left);
  if (left == NULL)
    return imgrec__fail_memory(&d->context->error, a, "a data set");
  for (int64_t i = 0; i < n; i++)
    if (k < count && indices[k] == i)
      k++;
    else
      left[i - k] = all[i];
  d->items = left;
  d->count = n - count;
  status = imgrec__dataset_describe(d);
  if (status < 0) {
    d->items = all;
    d->count = n;
  }
  imgrec__free(a, status < 0 ? left : all);
  return status;
}
