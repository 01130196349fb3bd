/* SPDX-License-Identifier: MIT */
/* Tasks over a range of integers, on threads of our own or of the host. */
#include "base.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>

/* How often to look for work, or for the end of it, before sleeping: some ten
 * microseconds, as long as the gap between two regions of one call, and what
 * it costs to wake a thread. */
#define SPINS 400

struct worker {
  struct pool *pool;
  struct thread thread;
  int index; /* from 1; the calling thread is 0 */
};

/* A region is one imgrec__parallel_for.  `state` has, in one word, its turn (a
 * count of regions), whether workers may enter, and how many are inside; so a
 * worker that comes late either enters the region that is open now or none,
 * and the region's own fields change only while nobody is inside. */
#define TURN    ((uint64_t)1 << 32)
#define OPEN    ((uint64_t)1 << 16)
#define WAITING ((uint64_t)1 << 17) /* the calling thread, for `left` */
#define QUIT    ((uint64_t)1 << 18)
#define INSIDE  (OPEN - 1)

/* A worker's part of a region's tasks, of which it takes the first that nobody
 * has claimed.  Whoever is done goes on with the others'.  So the same worker
 * has the same part of every array, as long as none is held up, and finds it in
 * its own caches. */
struct share {
  _Alignas(IMGREC__ALIGN) atomic_size_t next;
  size_t end;
};

struct pool {
  struct allocator *allocator;
  imgrec_parallel_fn parallel;
  void *parallel_user;
  int threads;  /* as asked for: worker numbers are below this */
  int started;  /* workers that exist; may be fewer where the system refused */
  long process; /* in which they do: not in a child of fork() */
  struct worker *workers;
  struct share *shares; /* of the calling thread, then of the workers */

  imgrec_task_fn task;
  void *arg;

  /* Only who sleeps or wakes needs the lock. */
  struct lock lock;
  struct condition opened, left;
  atomic_int sleeping; /* workers waiting for `opened` */

  _Alignas(IMGREC__ALIGN) _Atomic uint64_t state;
};

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void run_share(struct pool *p, struct share *share, int worker) {
  while (atomic_load_explicit(&share->next, memory_order_relaxed) <
         share->end) {
    size_t i = atomic_fetch_add_explicit(&share->next, 1, memory_order_relaxed);
    if (i < share->end)
      p->task(p->arg, (int)i, worker);
  }
}

/* Claims tasks until there is none left. */
static void run_tasks(struct pool *p, int worker) {
  uint64_t state = imgrec__fp_enter();
  int shares = p->started + 1;
  for (int i = 0; i < shares; i++)
    run_share(p, &p->shares[(worker + i) % shares], worker);
  imgrec__fp_leave(state);
}

static void run_inline(size_t count, imgrec_task_fn task, void *arg) {
  uint64_t state = imgrec__fp_enter();
  for (size_t i = 0; i < count; i++)
    task(arg, (int)i, 0);
  imgrec__fp_leave(state);
}

/* Returns when the turn is no longer `seen`.  A worker counts itself asleep
 * before it looks a last time, and who opens a region looks for sleepers after
 * that: one of the two sees the other. */
static void await_turn(struct pool *p, uint64_t seen) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load(&p->state) / TURN != seen)
      return;
    pause_cpu();
  }
  imgrec__lock(&p->lock);
  atomic_fetch_add(&p->sleeping, 1);
  while (atomic_load(&p->state) / TURN == seen)
    imgrec__condition_wait(&p->opened, &p->lock);
  atomic_fetch_sub(&p->sleeping, 1);
  imgrec__unlock(&p->lock);
}

/* Enters the region if one is open; returns the state at that moment. */
static uint64_t enter_region(struct pool *p) {
  uint64_t state = atomic_load(&p->state);
  while ((state & OPEN) != 0 &&
         !atomic_compare_exchange_weak(&p->state, &state, state + 1))
    continue;
  return state;
}

static void leave_region(struct pool *p) {
  uint64_t state = atomic_fetch_sub(&p->state, 1);
  if ((state & WAITING) == 0 || (state & INSIDE) != 1)
    return;
  imgrec__lock(&p->lock);
  imgrec__condition_signal(&p->left);
  imgrec__unlock(&p->lock);
}

static void worker_main(void *arg) {
  struct worker *w = arg;
  struct pool *p = w->pool;
  uint64_t seen = 0;
  for (;;) {
    await_turn(p, seen);
    uint64_t state = enter_region(p);
    if ((state & QUIT) != 0)
      return;
    seen = state / TURN;
    if ((state & OPEN) == 0)
      continue;
    run_tasks(p, w->index);
    leave_region(p);
  }
}

/* While no region is open nobody but the calling thread changes the state. */
static void next_turn(struct pool *p, uint64_t flag) {
  uint64_t turn = atomic_load(&p->state) / TURN;
  atomic_store(&p->state, (turn + 1) * TURN | flag);
  if (atomic_load(&p->sleeping) == 0)
    return;
  /* With the lock in hand once, who counts as asleep does wait; but awake it
   * must not find us holding it. */
  imgrec__lock(&p->lock);
  imgrec__unlock(&p->lock);
  imgrec__condition_broadcast(&p->opened);
}

static void open_region(struct pool *p, size_t count, imgrec_task_fn task,
                        void *arg) {
  size_t shares = (size_t)p->started + 1;
  p->task = task;
  p->arg = arg;
  for (size_t i = 0; i < shares; i++) {
    atomic_store_explicit(&p->shares[i].next, i * count / shares,
                          memory_order_relaxed);
    p->shares[i].end = (i + 1) * count / shares;
  }
  next_turn(p, OPEN);
}

/* Waits for those who entered; who has not by now finds it closed. */
static void close_region(struct pool *p) {
  uint64_t state = atomic_fetch_and(&p->state, ~OPEN);
  for (int i = 0; i < SPINS && (state & INSIDE) != 0; i++) {
    pause_cpu();
    state = atomic_load(&p->state);
  }
  if ((state & INSIDE) == 0)
    return;
  imgrec__lock(&p->lock);
  atomic_fetch_or(&p->state, WAITING);
  while ((atomic_load(&p->state) & INSIDE) != 0)
    imgrec__condition_wait(&p->left, &p->lock);
  imgrec__unlock(&p->lock);
}

/* What a host's job system calls instead of the task. */
struct hooked {
  imgrec_task_fn task;
  void *arg;
  atomic_int started;
};

static void run_hooked(void *arg, int i, int worker) {
  struct hooked *h = arg;
  atomic_store_explicit(&h->started, 1, memory_order_relaxed);
  uint64_t state = imgrec__fp_enter();
  h->task(h->arg, i, worker);
  imgrec__fp_leave(state);
}

/* A hook that fails before it starts anything is made up for; one that fails
 * later has broken its promise, and running tasks twice would not mend it. */
static void run_parallel_hook(struct pool *p, size_t count, imgrec_task_fn task,
                              void *arg) {
  struct hooked h = {.task = task, .arg = arg};
  int failed = p->parallel(p->parallel_user, run_hooked, &h, (int)count);
  if (failed && !atomic_load(&h.started))
    run_inline(count, task, arg);
}

void imgrec__parallel_for(struct pool *p, size_t count, imgrec_task_fn task,
                          void *arg) {
  assert(count <= INT_MAX);
  if (count <= 1 || p->threads == 1) {
    run_inline(count, task, arg);
  } else if (p->parallel != NULL) {
    run_parallel_hook(p, count, task, arg);
  } else if (p->started == 0) {
    run_inline(count, task, arg);
  } else {
    open_region(p, count, task, arg);
    run_tasks(p, 0);
    close_region(p);
  }
}

/* Where the system gives no more threads, those that there are do the work. */
static void start_workers(struct pool *p) {
  for (int i = 0; i < p->threads - 1; i++) {
    struct worker *w = &p->workers[i];
    w->pool = p;
    w->index = i + 1;
    if (!imgrec__thread_start(&w->thread, worker_main, w))
      break;
    p->started++;
  }
}

static void free_pool(struct pool *p) {
  imgrec__free(p->allocator, p->workers);
  imgrec__free(p->allocator, p->shares);
  imgrec__free(p->allocator, p);
}

int imgrec__pool_create(struct pool **out, struct allocator *a, int threads,
                        imgrec_parallel_fn parallel, void *parallel_user) {
  struct pool *p = imgrec__alloc_zero(a, sizeof *p);
  if (p == NULL)
    return imgrec__fail_memory(NULL, a, "the threads");
  p->allocator = a;
  p->process = imgrec__system_process();
  p->threads = threads;
  p->parallel = parallel;
  p->parallel_user = parallel_user;
  p->workers = imgrec__alloc_array(a, (size_t)threads, sizeof *p->workers);
  p->shares = imgrec__alloc_array(a, (size_t)threads, sizeof *p->shares);
  if (p->workers == NULL || p->shares == NULL) {
    free_pool(p);
    return imgrec__fail_memory(NULL, a, "the threads");
  }
  imgrec__lock_init(&p->lock);
  imgrec__condition_init(&p->opened);
  imgrec__condition_init(&p->left);
  if (parallel == NULL)
    start_workers(p);
  *out = p;
  return IMGREC_OK;
}

static void stop_workers(struct pool *p) {
  next_turn(p, QUIT);
  for (int i = 0; i < p->started; i++)
    imgrec__thread_join(&p->workers[i].thread);
  imgrec__condition_destroy(&p->left);
  imgrec__condition_destroy(&p->opened);
  imgrec__lock_destroy(&p->lock);
}

/* In a child of fork() there are no workers: those that slept would be waited
 * for, and the lock may be held by one, for ever. */
void imgrec__pool_destroy(struct pool *p) {
  if (p == NULL)
    return;
  if (p->process == imgrec__system_process())
    stop_workers(p);
  free_pool(p);
}

int imgrec__pool_threads(const struct pool *p) { return p->threads; }
