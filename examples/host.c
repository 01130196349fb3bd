/* SPDX-License-Identifier: MIT */
/* A host with an allocator, a log and threads of its own: host DATA MODEL
 *
 * All memory comes from the host's heap, lines go to its log, and the work is
 * done by its threads: the library starts none. */
#include <imgrec/imgrec.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* The C library's heap with a count; never called twice at once. */
static void *host_alloc(void *user, size_t size, size_t align) {
  void *p = aligned_alloc(align, (size + align - 1) / align * align);
  *(size_t *)user += p ? size : 0;
  return p;
}

static void host_free(void *user, void *ptr, size_t size) {
  *(size_t *)user -= size;
  free(ptr);
}

static void host_log(void *user, int level, const char *line) {
  fprintf(user, "imgrec (%d): %s\n", level, line);
}

/* Jobs: each thread takes the next number until there is none.  (A job system
 * that is worth its name keeps its threads.) */
enum { THREADS = 3 };

struct jobs {
  imgrec_task_fn task;
  void *arg;
  int count;
  atomic_int next, workers;
};

static void *take_jobs(void *arg) {
  struct jobs *j = arg;
  int worker = atomic_fetch_add(&j->workers, 1);
  for (int i; (i = atomic_fetch_add(&j->next, 1)) < j->count;)
    j->task(j->arg, i, worker);
  return NULL;
}

static int host_parallel(void *user, imgrec_task_fn task, void *arg,
                         int count) {
  struct jobs j = {.task = task, .arg = arg, .count = count};
  pthread_t threads[THREADS - 1];
  int started = 0;
  ++*(int *)user;
  while (started < THREADS - 1 &&
         pthread_create(&threads[started], NULL, take_jobs, &j) == 0)
    started++;
  take_jobs(&j);
  for (int i = 0; i < started; i++)
    pthread_join(threads[i], NULL);
  return 0;
}

static int train(imgrec_context *ctx, const char *path, const char *out) {
  imgrec_dataset *data = NULL;
  imgrec_model *model = NULL;
  imgrec_trainer *trainer = NULL;
  char text[4096];
  imgrec_preset("tiny", 8, 8, 1, 10, text, sizeof text);
  int status = imgrec_dataset_open(&data, ctx, path, NULL);
  if (status >= 0 &&
      (status = imgrec_model_create(&model, ctx, text, NULL)) >= 0 &&
      (status = imgrec_trainer_create(&trainer, model, NULL)) >= 0 &&
      (status = imgrec_fit(trainer, data, NULL, NULL, NULL)) >= 0)
    status = imgrec_model_save(model, out);
  imgrec_trainer_destroy(trainer);
  imgrec_model_destroy(model);
  imgrec_dataset_destroy(data);
  return status;
}

int main(int argc, char **argv) {
  size_t used = 0;
  int regions = 0;
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.alloc = host_alloc, o.free = host_free, o.alloc_user = &used;
  o.log = host_log, o.log_user = stderr;
  o.parallel = host_parallel, o.parallel_user = &regions, o.threads = THREADS;
  if (argc != 3 || imgrec_context_create(&ctx, &o) < 0)
    return 2;
  int status = train(ctx, argv[1], argv[2]);
  printf("%s; %zu KiB at most, %d times the host's threads\n",
         status < 0 ? imgrec_last_error(ctx) : "trained",
         (size_t)imgrec_context_peak_bytes(ctx) / 1024, regions);
  imgrec_context_destroy(ctx);
  return status < 0 || used != 0;
}
