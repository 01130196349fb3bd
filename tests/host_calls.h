/* SPDX-License-Identifier: MIT */
/* Calls of the library on a thread in an odd state, which each must leave as it
 * is.  For functions with a `w` whose `ctx` is the context.  Include behind
 * cmocka.h. */
#ifndef HOST_CALLS_H
#define HOST_CALLS_H

#include "imgrec/imgrec.h"
#include "thread_state.h"

enum { CALLS_MAX = 400 };

/* Those that were made, to see which were not. */
static const char *calls[CALLS_MAX];
static int call_count;

static struct thread_state plain;

static inline void begin(void) {
  const struct thread_state odd = odd_thread_state();
  get_thread_state(&plain);
  set_thread_state(&odd);
}

static inline void end(const char *call, int status, imgrec_context *ctx) {
  const struct thread_state odd = odd_thread_state();
  struct thread_state after;
  get_thread_state(&after);
  set_thread_state(&plain);
  if (!same_thread_state(&odd, &after))
    fail_msg("%s leaves errno %d, mxcsr %x, x87 %x, fpcr %llx, fpsr %llx", call,
             after.error, after.sse, after.x87, (unsigned long long)after.fpcr,
             (unsigned long long)after.fpsr);
  if (status < 0)
    fail_msg("%s: %s: %s", call, imgrec_status_name(status),
             imgrec_last_error(ctx));
  assert_true(call_count < CALLS_MAX);
  calls[call_count++] = call;
}

/* A call that succeeds; one whose value does not matter; one that must fail. */
#define CALL(call)                                                             \
  do {                                                                         \
    begin();                                                                   \
    int status_ = (int)(call);                                                 \
    end(#call, status_, w->ctx);                                               \
  } while (0)
#define LOOK(call)                                                             \
  do {                                                                         \
    begin();                                                                   \
    call;                                                                      \
    end(#call, 0, NULL);                                                       \
  } while (0)
#define FAIL(call)                                                             \
  do {                                                                         \
    begin();                                                                   \
    int status_ = (int)(call);                                                 \
    end(#call, 0, NULL);                                                       \
    assert_true(status_ < 0);                                                  \
  } while (0)

/* Fills an option struct called `x`. */
#define INIT(type, x)                                                          \
  type x;                                                                      \
  CALL(type##_init(&x, sizeof x))

#endif
