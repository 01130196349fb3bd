/* SPDX-License-Identifier: MIT */
/* What a call must leave to its host: the floating-point state of the thread,
 * and errno.  For programs that set them oddly, and look again after. */
#ifndef THREAD_STATE_H
#define THREAD_STATE_H

#include <errno.h>
#include <fenv.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

struct thread_state {
  int error;
  uint32_t sse, x87;
  uint64_t fpcr, fpsr;
};

static inline void get_thread_state(struct thread_state *s) {
  *s = (struct thread_state){.error = errno};
#if defined(__SSE2__)
  s->sse = _mm_getcsr();
#endif
#if defined(__x86_64__) || defined(__i386__)
  uint16_t control;
  __asm__ volatile("fnstcw %0" : "=m"(control));
  s->x87 = control;
#elif defined(__aarch64__)
  __asm__ volatile("mrs %0, fpcr" : "=r"(s->fpcr));
  __asm__ volatile("mrs %0, fpsr" : "=r"(s->fpsr));
#endif
}

static inline void set_thread_state(const struct thread_state *s) {
  errno = s->error;
#if defined(__SSE2__)
  _mm_setcsr(s->sse);
#endif
#if defined(__x86_64__) || defined(__i386__)
  uint16_t control = (uint16_t)s->x87;
  __asm__ volatile("fldcw %0" : : "m"(control));
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(s->fpcr));
  __asm__ volatile("msr fpsr, %0" : : "r"(s->fpsr));
#endif
}

/* Rounding up, tiny numbers flushed, division by zero and invalid operations
 * trapped where that can be had, double precision in the x87, no flag set. */
static inline struct thread_state odd_thread_state(void) {
  struct thread_state s = {.error = 77};
#if defined(__SSE2__)
  s.sse = 0xd940;
#endif
#if defined(__x86_64__) || defined(__i386__)
  s.x87 = 0x0a7f;
#elif defined(__aarch64__)
  s.fpcr = (uint64_t)1 << 22 | (uint64_t)1 << 24;
#endif
  return s;
}

static inline int same_thread_state(const struct thread_state *a,
                                    const struct thread_state *b) {
  return a->error == b->error && a->sse == b->sse && a->x87 == b->x87 &&
         a->fpcr == b->fpcr && a->fpsr == b->fpsr;
}

#endif
