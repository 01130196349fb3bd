/* SPDX-License-Identifier: MIT */
/* All memory of a context: the host's hooks or malloc, counted and capped. */
#include "base.h"

#include <assert.h>
#include <string.h>

/* In front of each block, as long as the alignment so as to keep it. */
union header {
  size_t total; /* of header and block, as the hook was asked for it */
  char space[IMGREC__ALIGN];
};

/* From here on our own allocator takes fresh memory of the system, which is
 * zero. */
#define HUGE_BLOCK ((size_t)4 << 20)

static void *default_alloc(void *user, size_t size, size_t align) {
  (void)user;
  return size >= HUGE_BLOCK ? imgrec__system_map(size)
                            : imgrec__system_alloc(size, align);
}

static void default_free(void *user, void *p, size_t size) {
  (void)user;
  if (size >= HUGE_BLOCK)
    imgrec__system_unmap(p, size);
  else
    imgrec__system_free(p);
}

int imgrec__allocator_init(struct allocator *a, imgrec_alloc_fn alloc,
                           imgrec_free_fn free_fn, void *user,
                           uint64_t max_bytes) {
  if ((alloc == NULL) != (free_fn == NULL))
    return IMGREC_ERR_ARGUMENT;
  *a = (struct allocator){.alloc = alloc != NULL ? alloc : default_alloc,
                          .free = free_fn != NULL ? free_fn : default_free,
                          .user = user,
                          .max_bytes = max_bytes};
  imgrec__lock_init(&a->lock);
  return IMGREC_OK;
}

void imgrec__allocator_destroy(struct allocator *a) {
  imgrec__lock_destroy(&a->lock);
}

void imgrec__allocator_move(struct allocator *to, struct allocator *from) {
  imgrec__lock_destroy(&from->lock);
  *to = *from;
  imgrec__lock_init(&to->lock);
}

uint64_t imgrec__allocator_used(const struct allocator *a, uint64_t *peak) {
  struct lock *lock = (struct lock *)(uintptr_t)&a->lock;
  imgrec__lock(lock);
  uint64_t used = a->used;
  *peak = a->peak;
  imgrec__unlock(lock);
  return used;
}

/* With the lock held. */
static void *alloc_locked(struct allocator *a, size_t total) {
  uint64_t cap = a->max_bytes;
  int over = cap != 0 && (total > cap || a->used > cap - total);
  void *p = over ? NULL : a->alloc(a->user, total, IMGREC__ALIGN);
  if (p == NULL) {
    a->capped = over;
    return NULL;
  }
  if ((uintptr_t)p % IMGREC__ALIGN != 0) { /* a hook that breaks its word */
    a->free(a->user, p, total);
    a->capped = 0;
    return NULL;
  }
  a->used += total;
  if (a->used > a->peak)
    a->peak = a->used;
  return p;
}

static void *fail_oversize(struct allocator *a) {
  imgrec__lock(&a->lock);
  a->capped = a->max_bytes != 0;
  imgrec__unlock(&a->lock);
  return NULL;
}

/* Leaves room for rounding up and aligning by whoever allocates. */
#define LARGEST ((size_t)PTRDIFF_MAX - HUGE_BLOCK)

void *imgrec__alloc(struct allocator *a, size_t size) {
  if (size > LARGEST)
    return fail_oversize(a);
  size_t total = sizeof(union header) + max_size(size, 1);
  imgrec__lock(&a->lock);
  union header *h = alloc_locked(a, total);
  imgrec__unlock(&a->lock);
  if (h == NULL)
    return NULL;
  h->total = total;
  return h + 1;
}

void *imgrec__alloc_zero(struct allocator *a, size_t size) {
  void *p = imgrec__alloc(a, size);
  int is_zero = a->alloc == default_alloc && size >= HUGE_BLOCK;
  if (p != NULL && !is_zero)
    memset(p, 0, size);
  return p;
}

void *imgrec__alloc_array(struct allocator *a, size_t count, size_t size) {
  if (size != 0 && count > SIZE_MAX / size)
    return fail_oversize(a);
  return imgrec__alloc(a, count * size);
}

void *imgrec__realloc(struct allocator *a, void *p, size_t size) {
  void *next = imgrec__alloc(a, size);
  if (next == NULL || p == NULL)
    return next;
  size_t old = ((union header *)p - 1)->total - sizeof(union header);
  memcpy(next, p, min_size(old, size));
  imgrec__free(a, p);
  return next;
}

void imgrec__free(struct allocator *a, void *p) {
  if (p == NULL)
    return;
  union header *h = (union header *)p - 1;
  size_t total = h->total;
  imgrec__lock(&a->lock);
  assert(a->used >= total);
  a->used -= total;
  a->free(a->user, h, total);
  imgrec__unlock(&a->lock);
}

uint64_t imgrec__block_bytes(const void *p) {
  return p != NULL ? ((const union header *)p - 1)->total : 0;
}

void imgrec__alloc_settle(struct allocator *a) {
  size_t size = HUGE_BLOCK - IMGREC__ALIGN;
  if (a->alloc != default_alloc)
    return;
  volatile char *p = default_alloc(NULL, size, IMGREC__ALIGN);
  if (p != NULL)
    *p = 0; /* lest the compiler leave the pair out */
  default_free(NULL, (void *)p, size);
}

char *imgrec__strndup(struct allocator *a, const char *s, size_t n) {
  char *copy = n < LARGEST ? imgrec__alloc(a, n + 1) : fail_oversize(a);
  if (copy == NULL)
    return NULL;
  memcpy(copy, s, n);
  copy[n] = '\0';
  return copy;
}

char *imgrec__strdup(struct allocator *a, const char *s) {
  return imgrec__strndup(a, s, strlen(s));
}

int imgrec__fail_memory(struct error *e, const struct allocator *a,
                        const char *what) {
  uint64_t peak, used = imgrec__allocator_used(a, &peak);
  if (!a->capped)
    return imgrec__fail(e, IMGREC_ERR_MEMORY, "out of memory for %s", what);
  return imgrec__fail(e, IMGREC_ERR_LIMIT,
                      "%s would take the context beyond its max_bytes of %llu; "
                      "%llu are in use",
                      what, (unsigned long long)a->max_bytes,
                      (unsigned long long)used);
}
