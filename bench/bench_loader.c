/* SPDX-License-Identifier: MIT */
/* Times the batch loader over a data set, reading it in order:
 *   bench_loader PATH [--size N] [--threads N] [--batch N] [--passes N]
 *     [--keep 1] [--cold 1] [--ahead 0] [--work MS]
 * prints one line of JSON for the last pass.  With --keep, images are kept from
 * one pass to the next as they are in training.  With --cold, the system is
 * told to forget the files before each pass; with --ahead 0, the loader does
 * not ask for files ahead; with --work, each batch is followed by so many
 * milliseconds in which something else would compute. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "data/data.h"

struct arguments {
  const char *path;
  int size, threads, batch, passes, keep, cold, ahead, work;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int parse(struct arguments *a, int argc, char **argv) {
  const struct {
    const char *name;
    int *value;
  } options[] = {{"--size", &a->size},   {"--threads", &a->threads},
                 {"--batch", &a->batch}, {"--passes", &a->passes},
                 {"--keep", &a->keep},   {"--cold", &a->cold},
                 {"--ahead", &a->ahead}, {"--work", &a->work}};
  for (int i = 1; i < argc; i++) {
    int known = argv[i][0] != '-';
    if (known)
      a->path = argv[i];
    for (size_t k = 0; k < sizeof options / sizeof options[0]; k++)
      if (strcmp(argv[i], options[k].name) == 0 && i + 1 < argc) {
        *options[k].value = atoi(argv[++i]);
        known = *options[k].value > 0 || options[k].value == &a->ahead;
        break;
      }
    if (!known)
      return 0;
  }
  return a->path != NULL;
}

static void forget(imgrec_dataset *d) {
  for (int64_t i = 0; i < imgrec_dataset_size(d); i++) {
    int fd = open(imgrec_dataset_source(d, i), O_RDONLY);
    if (fd < 0)
      continue;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
  }
}

static void work(int milliseconds) {
  struct timespec t = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  nanosleep(&t, NULL);
}

/* One pass; images seen, or a negative status. */
static int64_t run_pass(struct loader *l, int epoch, int work_ms) {
  const float *x;
  const int32_t *labels;
  int64_t images = 0;
  size_t n = 1;
  int status = imgrec__loader_start(l, 0, 0, (uint64_t)epoch);
  while (status >= 0 && n > 0) {
    status = imgrec__loader_next(l, &x, &labels, &n);
    images += status >= 0 ? (int64_t)n : 0;
    if (work_ms > 0 && status >= 0 && n > 0)
      work(work_ms);
  }
  return status < 0 ? status : images;
}

static int64_t run(const struct arguments *a, imgrec_context *ctx,
                   double *seconds) {
  imgrec_dataset *d = NULL;
  struct loader *l = NULL;
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  p.height = p.width = a->size;
  p.channels = 3;
  int64_t images = imgrec_dataset_open(&d, ctx, a->path, NULL);
  if (images >= 0)
    images = imgrec__loader_create(&l, d, &p, a->batch);
  if (images >= 0 && a->keep)
    imgrec__loader_keep(l, IMGREC__CACHE_BYTES);
  if (images >= 0)
    imgrec__loader_ahead(l, a->ahead);
  for (int i = 0; i < a->passes && images >= 0; i++) {
    if (a->cold)
      forget(d);
    double start = now();
    images = run_pass(l, i, a->work);
    *seconds = now() - start;
  }
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  return images;
}

int main(int argc, char **argv) {
  struct arguments a = {
      .size = 224, .threads = 1, .batch = 32, .passes = 1, .ahead = 1};
  imgrec_context *ctx = NULL;
  imgrec_context_options options;
  double seconds = 0;
  if (!parse(&a, argc, argv)) {
    fprintf(stderr, "usage: bench_loader PATH [--size N] [--threads N] "
                    "[--batch N] [--passes N] [--keep 1] [--cold 1] "
                    "[--ahead 0] [--work MS]\n");
    return 2;
  }
  imgrec_context_options_init(&options, sizeof options);
  options.threads = a.threads;
  if (imgrec_context_create(&ctx, &options) < 0)
    return 1;
  int64_t images = run(&a, ctx, &seconds);
  if (images < 0)
    fprintf(stderr, "%s\n", imgrec_last_error(ctx));
  else
    printf("{\"images\":%lld,\"seconds\":%.6f,\"images_per_second\":%.1f}\n",
           (long long)images, seconds, (double)images / seconds);
  imgrec_context_destroy(ctx);
  return images < 0;
}
