/* SPDX-License-Identifier: MIT */
/* Heapsort (Williams 1964): no input makes it slow, and unlike the C library's
 * qsort() it takes no memory behind the back of the host's allocator. */
#include "base.h"

#include <string.h>

/* An array, element by element. */
struct array {
  char *data;
  size_t size;
  imgrec__compare_fn compare;
};

static void swap(const struct array *a, size_t i, size_t j) {
  char *x = a->data + i * a->size, *y = a->data + j * a->size;
  char room[64];
  for (size_t left = a->size; left > 0;) {
    size_t n = min_size(left, sizeof room);
    memcpy(room, x, n);
    memcpy(x, y, n);
    memcpy(y, room, n);
    x += n;
    y += n;
    left -= n;
  }
}

static int is_less(const struct array *a, size_t i, size_t j) {
  return a->compare(a->data + i * a->size, a->data + j * a->size) < 0;
}

/* Of n elements those below `root` are a heap; puts it where it belongs. */
static void sift_down(const struct array *a, size_t root, size_t n) {
  for (size_t child; (child = 2 * root + 1) < n; root = child) {
    if (child + 1 < n && is_less(a, child, child + 1))
      child++;
    if (!is_less(a, root, child))
      return;
    swap(a, root, child);
  }
}

void imgrec__sort(void *data, size_t count, size_t size,
                  imgrec__compare_fn compare) {
  const struct array a = {data, size, compare};
  for (size_t i = count / 2; i > 0; i--)
    sift_down(&a, i - 1, count);
  for (size_t n = count; n > 1; n--) {
    swap(&a, 0, n - 1);
    sift_down(&a, 0, n - 1);
  }
}
