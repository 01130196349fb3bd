/* SPDX-License-Identifier: MIT */
/* A host that counts: what each call takes from its allocator and, past that,
 * from malloc; the threads that it starts; the bytes that it prints; and
 * whether floating-point state and errno are as they were.  Prints a table, and
 * fails where the library promises nothing and it is something.
 *
 * malloc is counted by being this program's own, where the C library is one
 * that lets it be; pthread_create by the linker's --wrap. */
#include <imgrec/imgrec.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "thread_state.h"

enum { BATCH = 8, CLASSES = 10, SIDE = 28 };

struct counts {
  long allocations, frees, mallocs, threads, output;
};

static struct counts now;

/* ---- Counting --------------------------------------------------------------
 */

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

void *malloc(size_t size) {
  now.mallocs++;
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  now.mallocs++;
  return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size) {
  now.mallocs++;
  return __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size) {
  now.mallocs++;
  return __libc_memalign(align, size);
}
#endif

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg) {
  now.threads++;
  return __real_pthread_create(thread, attr, run, arg);
}

/* The host's memory: a block that is only ever handed out, never malloc's. */
static _Alignas(64) unsigned char block[64 << 20];

static void *host_alloc(void *user, size_t size, size_t align) {
  static size_t used;
  size_t at = (used + align - 1) / align * align;
  (void)user;
  now.allocations++;
  if (size > sizeof block - at)
    return NULL;
  used = at + size;
  return block + at;
}

static void host_free(void *user, void *p, size_t size) {
  (void)user, (void)p, (void)size;
  now.frees++;
}

/* ---- The table -------------------------------------------------------------
 */

static int out_fd, err_fd, file_fd; /* of the program itself; of the calls */
static int failures;

static const struct thread_state *odd_state(void) {
  static struct thread_state odd;
  odd = odd_thread_state();
  return &odd;
}

/* Between these two the library has the thread, fd 1 and fd 2. */
static struct thread_state plain;

static void begin(void) {
  fflush(NULL);
  dup2(file_fd, 1);
  dup2(file_fd, 2);
  now = (struct counts){.output = lseek(file_fd, 0, SEEK_END)};
  get_thread_state(&plain);
  set_thread_state(odd_state());
}

/* quiet: a call that takes no memory at all. */
static void end(const char *name, int status, int quiet) {
  struct thread_state after;
  get_thread_state(&after);
  set_thread_state(&plain);
  struct counts c = now;
  c.output = lseek(file_fd, 0, SEEK_END) - c.output;
  dup2(out_fd, 1);
  dup2(err_fd, 2);
  struct thread_state before = *odd_state();
  int same_errno = before.error == after.error;
  before.error = after.error;
  int same_state = same_thread_state(&before, &after);
  int wrong = c.mallocs || c.threads || c.output || !same_errno ||
              !same_state || status < 0 ||
              (quiet && (c.allocations || c.frees));
  printf("%-22s %11ld %6ld %7ld %8ld %7ld  %-9s %-9s%s\n", name, c.allocations,
         c.frees, c.mallocs, c.threads, c.output,
         same_state ? "the same" : "CHANGED",
         same_errno ? "the same" : "CHANGED",
         status < 0 ? "  FAILED"
         : wrong    ? "  WRONG"
                    : "");
  failures += wrong;
}

#define ROW(call, quiet)                                                       \
  do {                                                                         \
    begin();                                                                   \
    int status_ = call;                                                        \
    end(name_of(#call), status_, quiet);                                       \
  } while (0)

/* "model_load" of "imgrec_model_load(&m, ...". */
static const char *name_of(const char *call) {
  static char name[64];
  size_t n = strcspn(call, "(");
  snprintf(name, sizeof name, "%.*s", (int)(n - 7), call + 7);
  return name;
}

/* ---- The calls -------------------------------------------------------------
 */

struct world {
  imgrec_context *ctx, *second;
  imgrec_model *model, *shared;
  imgrec_trainer *trainer;
  imgrec_tensor *x, *labels, *y, *image;
};

static void recognise(struct world *w, const char *path) {
  static const char picture[] = "P5 4 3 255\nabcdefghijkl";
  imgrec_result best[3];
  ROW(imgrec_model_load(&w->model, w->ctx, path, NULL), 0);
  ROW(imgrec_image_decode(&w->image, w->ctx, picture, sizeof picture - 1, 0),
      0);
  ROW(imgrec_model_share(&w->shared, w->model, w->second, NULL), 0);
  ROW(imgrec_model_forward(w->model, w->x, w->y), 1);
  ROW(imgrec_model_forward(w->model, w->x, w->y), 1);
  ROW(imgrec_model_classify(w->model, w->image, 3, best), 1);
  ROW(imgrec_model_classify(w->shared, w->image, 3, best), 1);
  imgrec_model_destroy(w->shared);
}

static void train(struct world *w) {
  float loss;
  ROW(imgrec_trainer_create(&w->trainer, w->model, NULL), 0);
  ROW(imgrec_train_step(w->trainer, w->x, w->labels, &loss), 1);
  ROW(imgrec_train_step_ms(w->trainer, w->x, w->labels, 0, &loss), 1);
  ROW(imgrec_train_step_ms(w->trainer, w->x, w->labels, 1000, &loss), 1);
  imgrec_trainer_destroy(w->trainer);
}

/* What takes memory for its time, but all of it from the host. */
static void use_data(struct world *w) {
  imgrec_dataset *data = NULL;
  imgrec_trainer *trainer = NULL;
  imgrec_model *model = NULL, *bytes = NULL;
  imgrec_tensor *map = NULL;
  imgrec_fit_options fit;
  imgrec_evaluation evaluation;
  char text[4096];
  imgrec_preset("tiny", 8, 8, 1, CLASSES, text, sizeof text);
  imgrec_fit_options_init(&fit, sizeof fit);
  imgrec_evaluation_init(&evaluation, sizeof evaluation);
  fit.epochs = 1;
  ROW(imgrec_dataset_open(&data, w->ctx, "examples/data/digits", NULL), 0);
  ROW(imgrec_model_create(&model, w->ctx, text, NULL), 0);
  ROW(imgrec_trainer_create(&trainer, model, NULL), 0);
  ROW(imgrec_fit(trainer, data, NULL, &fit, NULL), 0);
  ROW(imgrec_evaluate(model, data, &evaluation), 0);
  ROW(imgrec_model_quantize(&bytes, model, data, NULL), 0);
  ROW(imgrec_model_explain(&map, model, w->image, 0), 0);
  imgrec_tensor_destroy(map);
  imgrec_model_destroy(bytes);
  imgrec_trainer_destroy(trainer);
  imgrec_model_destroy(model);
  imgrec_dataset_destroy(data);
}

static int make_world(struct world *w, const char *path) {
  const int64_t x[4] = {BATCH, SIDE, SIDE, 1}, y[2] = {BATCH, CLASSES};
  char text[4096];
  imgrec_context_options o;
  imgrec_model *m = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.alloc = host_alloc;
  o.free = host_free;
  ROW(imgrec_context_create(&w->ctx, &o), 0);
  imgrec_preset("lenet5", SIDE, SIDE, 1, CLASSES, text, sizeof text);
  int ok = imgrec_context_create(&w->second, &o) >= 0 &&
           imgrec_model_create(&m, w->ctx, text, NULL) >= 0 &&
           imgrec_model_save(m, path) >= 0 &&
           imgrec_tensor_create(&w->x, w->ctx, IMGREC_F32, 4, x) >= 0 &&
           imgrec_tensor_create(&w->y, w->ctx, IMGREC_F32, 2, y) >= 0 &&
           imgrec_tensor_create(&w->labels, w->ctx, IMGREC_I32, 1, x) >= 0;
  imgrec_model_destroy(m);
  return ok;
}

int main(int argc, char **argv) {
  struct world w = {NULL};
  if (argc != 2) {
    fprintf(stderr, "usage: counting_host FOLDER\n");
    return 2;
  }
  char path[1000], output[1000];
  snprintf(path, sizeof path, "%s/counting_host.imgrec", argv[1]);
  snprintf(output, sizeof output, "%s/counting_host.out", argv[1]);
  out_fd = dup(1);
  err_fd = dup(2);
  file_fd = open(output, O_RDWR | O_CREAT | O_TRUNC, 0666);
  printf("%-22s %11s %6s %7s %8s %7s  %-9s %-9s\n", "call", "allocations",
         "frees", "malloc", "threads", "output", "fp state", "errno");
  if (file_fd < 0 || !make_world(&w, path)) {
    fprintf(stderr, "counting_host: %s\n", imgrec_last_error(w.ctx));
    return 1;
  }
  recognise(&w, path);
  train(&w);
  use_data(&w);
  if (failures)
    printf("%d calls did what they promise not to do\n", failures);
  return failures != 0;
}
