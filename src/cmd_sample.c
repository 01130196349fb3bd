/* SPDX-License-Identifier: MIT */
/* imgrec sample: some images of a data set as PNG files. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME "sample"

struct sampler {
  const struct settings *s;
  imgrec_context *ctx;
  imgrec_dataset *data;
  struct name_list labels;
};

static int check_settings(const struct settings *s) {
  if (s->argument_count != 1)
    return usage_error(NAME, "give one DATA, not %d", s->argument_count);
  if (s->output == NULL)
    return usage_error(NAME, "-o DIR is missing: the folder to write to");
  return EXIT_OK;
}

/* ---- Names -------------------------------------------------------------- */

static const char *class_name(const struct sampler *sampler, int class_index) {
  if (class_index < sampler->labels.count)
    return sampler->labels.names[class_index];
  return imgrec_dataset_label(sampler->data, class_index);
}

/* DIR/NNNN-label.png; what does not belong in a file name becomes '_'. */
static char *make_path(const char *folder, int64_t number, const char *label) {
  size_t size = strlen(folder) + strlen(label) + 40;
  char *path = malloc(size);
  if (path == NULL)
    return NULL;
  int n = snprintf(path, size, "%s/%04lld-", folder, (long long)number);
  char *tail = path + n;
  snprintf(tail, size - (size_t)n, "%.100s.png", label);
  for (; *tail != '\0'; tail++) {
    unsigned char c = (unsigned char)*tail;
    if (c <= ' ' || c == 0x7F || strchr("/\\:*?\"<>|'", c) != NULL)
      *tail = '_';
  }
  return path;
}

/* ---- Choice ------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/* The first `count` of a shuffle of 0 .. size-1; for free(). */
static int64_t *choose(int64_t size, int64_t count, uint64_t seed) {
  int64_t *all = malloc((size_t)size * sizeof *all);
  if (all == NULL)
    return NULL;
  for (int64_t i = 0; i < size; i++)
    all[i] = i;
  for (int64_t i = 0; i < count; i++) {
    uint64_t left = (uint64_t)(size - i);
    int64_t k = i + (int64_t)(next_random(&seed) % left);
    int64_t chosen = all[k];
    all[k] = all[i];
    all[i] = chosen;
  }
  return all;
}

/* ---- The command -------------------------------------------------------- */

static int write_one(struct sampler *sampler, int64_t number, int64_t index) {
  imgrec_tensor *image;
  if (imgrec_dataset_image(&image, sampler->data, index) < 0)
    return fail(NAME, "%s", imgrec_last_error(sampler->ctx));
  int class_index = imgrec_dataset_class(sampler->data, index);
  char *path =
      make_path(sampler->s->output, number, class_name(sampler, class_index));
  int code = path ? write_png(path, image, NAME) : fail(NAME, "out of memory");
  if (code == EXIT_OK)
    printf("%s\n", path);
  free(path);
  imgrec_tensor_destroy(image);
  return code;
}

static int open_data(struct sampler *sampler) {
  static const int usual[] = {IMGREC_PART_TEST, IMGREC_PART_VAL,
                              IMGREC_PART_ANY};
  const struct settings *s = sampler->s;
  const int *parts = s->part ? &s->part : usual;
  if (open_first_part(&sampler->data, NULL, sampler->ctx, s->arguments[0],
                      parts, s->part ? 1 : 3) < 0)
    return fail(NAME, "%s", imgrec_last_error(sampler->ctx));
  warn_skipped(sampler->data, NAME);
  return s->labels ? read_class_names(&sampler->labels, s, sampler->data, NAME)
                   : EXIT_OK;
}

static int write_all(struct sampler *sampler) {
  const char *folder = sampler->s->output;
  int64_t size = imgrec_dataset_size(sampler->data);
  int64_t count = sampler->s->count < size ? sampler->s->count : size;
  if (os_make_folder(folder) != 0)
    return fail(NAME, "%s: %s", folder, strerror(errno));
  int64_t *chosen = choose(size, count, sampler->s->seed);
  int code = chosen ? EXIT_OK : fail(NAME, "out of memory");
  for (int64_t i = 0; code == EXIT_OK && i < count; i++)
    code = write_one(sampler, i + 1, chosen[i]);
  free(chosen);
  return code;
}

int cmd_sample(const struct settings *s) {
  struct sampler sampler = {s, NULL, NULL, {0, NULL}};
  int code = check_settings(s);
  if (code == EXIT_OK)
    code = open_context(&sampler.ctx, s, NAME);
  if (code != EXIT_OK)
    return code;
  code = open_data(&sampler);
  if (code == EXIT_OK)
    code = write_all(&sampler);
  imgrec_dataset_destroy(sampler.data);
  imgrec_context_destroy(sampler.ctx);
  free_names(&sampler.labels);
  return code;
}
