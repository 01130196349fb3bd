/* SPDX-License-Identifier: MIT */
/* An allocator for tests whose n-th call fails, and that counts what lives. */
#ifndef FAILING_ALLOC_H
#define FAILING_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "system.h"

struct failing {
  long calls, fail_at; /* from 1; 0: never */
  int from_then_on;
  long live_blocks;
  uint64_t live_bytes;
};

static inline void *failing_alloc(void *user, size_t size, size_t align) {
  struct failing *f = user;
  f->calls++;
  if (f->fail_at != 0 &&
      (f->from_then_on ? f->calls >= f->fail_at : f->calls == f->fail_at))
    return NULL;
  void *p = imgrec__system_alloc(size, align);
  if (p != NULL) {
    f->live_blocks++;
    f->live_bytes += size;
  }
  return p;
}

static inline void failing_free(void *user, void *p, size_t size) {
  struct failing *f = user;
  f->live_blocks--;
  f->live_bytes -= size;
  imgrec__system_free(p);
}

#endif
