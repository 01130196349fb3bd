/* SPDX-License-Identifier: MIT */
/* Data sets as the command sees them: parts, classes, skipped files. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define SKIPPED_SHOWN 10

int open_first_part(imgrec_dataset **out, int *part, imgrec_context *ctx,
                    const char *path, const int *parts, int count) {
  int status = IMGREC_ERR_NOT_FOUND;
  for (int i = 0; i < count && status == IMGREC_ERR_NOT_FOUND; i++) {
    imgrec_dataset_options options;
    imgrec_dataset_options_init(&options, sizeof options);
    options.part = parts[i];
    status = imgrec_dataset_open(out, ctx, path, &options);
    if (part != NULL)
      *part = parts[i];
  }
  return status;
}

/* Images that are there to validate or to test with are none to learn from. */
static int open_learned(imgrec_dataset **out, imgrec_context *ctx,
                        const char *path) {
  static const int parts[] = {IMGREC_PART_TRAIN, IMGREC_PART_VAL,
                              IMGREC_PART_TEST, IMGREC_PART_ANY};
  int part, status = open_first_part(out, &part, ctx, path, parts, 4);
  if (status < 0 || part == IMGREC_PART_TRAIN || part == IMGREC_PART_ANY)
    return status;
  imgrec_dataset_destroy(*out);
  *out = NULL;
  return open_first_part(out, NULL, ctx, path, parts, 1); /* says so */
}

int open_training(imgrec_dataset **out, imgrec_context *ctx, const char *path,
                  const char *command) {
  if (open_learned(out, ctx, path) < 0)
    return fail(command, "%s", imgrec_last_error(ctx));
  warn_skipped(*out, command);
  return EXIT_OK;
}

int check_class_count(const imgrec_dataset *data, const char *path,
                      const char *command) {
  char name[NAME_SIZE];
  if (imgrec_dataset_classes(data) > 1)
    return EXIT_OK;
  return fail(command,
              "%s has one class, '%s'; to tell apart there must be two, in a "
              "folder each (are they one level deeper?)",
              path,
              printable(name, sizeof name, imgrec_dataset_label(data, 0)));
}

const char *part_name(int part) {
  switch (part) {
  case IMGREC_PART_TRAIN:
    return "train";
  case IMGREC_PART_VAL:
    return "val";
  case IMGREC_PART_TEST:
    return "test";
  default:
    return "all";
  }
}

/* 1 when the classes are called 0, 1, 2 ..., as IDX files have them. */
static int classes_are_numbered(const imgrec_dataset *data) {
  for (int i = 0; i < imgrec_dataset_classes(data); i++) {
    char number[16];
    snprintf(number, sizeof number, "%d", i);
    if (strcmp(imgrec_dataset_label(data, i), number) != 0)
      return 0;
  }
  return 1;
}

int match_classes(imgrec_dataset *data, const imgrec_model *model) {
  int status = imgrec_dataset_match_labels(data, model);
  if (status == IMGREC_ERR_NOT_FOUND && classes_are_numbered(data) &&
      imgrec_dataset_classes(data) == imgrec_model_classes(model))
    return IMGREC_OK;
  return status;
}

int read_class_names(struct name_list *out, const struct settings *s,
                     const imgrec_dataset *data, const char *command) {
  int classes = imgrec_dataset_classes(data);
  char name[NAME_SIZE];
  if (!classes_are_numbered(data))
    return usage_error(
        command,
        "--labels is for classes that are numbered; those of the data have "
        "names of their own, such as '%s'",
        printable(name, sizeof name, imgrec_dataset_label(data, 0)));
  int code = read_names(out, s->labels, command);
  if (code == EXIT_OK && out->count != classes)
    return fail(command, "--labels: %s names %d classes, the data has %d",
                s->labels, out->count, classes);
  return code;
}

/* ---- Files that cannot be read ------------------------------------------ */

int64_t count_images(const imgrec_dataset *data) {
  int64_t n = 0;
  for (int64_t i = 0; i < imgrec_dataset_size(data); i++)
    n += imgrec_dataset_readable(data, i);
  return n;
}

/* Of each class the images, or only those that can be read; for free(). */
static int64_t *count_classes_of(const imgrec_dataset *data, int all) {
  size_t classes = (size_t)imgrec_dataset_classes(data);
  int64_t *counts = calloc(classes, sizeof *counts);
  for (int64_t i = 0; counts != NULL && i < imgrec_dataset_size(data); i++)
    if (all || imgrec_dataset_readable(data, i))
      counts[imgrec_dataset_class(data, i)]++;
  return counts;
}

int64_t *count_by_class(const imgrec_dataset *data) {
  return count_classes_of(data, 0);
}

void warn_skipped_from(const imgrec_dataset *data, int first,
                       const char *command) {
  int count = imgrec_dataset_skipped(data) - first;
  for (int i = 0; i < count && i < SKIPPED_SHOWN; i++)
    fprintf(stderr, "imgrec %s: skipped: %s\n", command,
            imgrec_dataset_skipped_reason(data, first + i));
  if (count > SKIPPED_SHOWN)
    fprintf(stderr, "imgrec %s: skipped: %d more files\n", command,
            count - SKIPPED_SHOWN);
}

/* Classes without an image: with `opened`, those that the data set does not
 * have, else those that it has and that cannot be read. */
static void warn_classes(const imgrec_dataset *data, int opened,
                         const char *command) {
  char name[NAME_SIZE];
  int count = 0;
  int64_t *all = count_classes_of(data, 1), *good = count_classes_of(data, 0);
  for (int i = 0; all && good && i < imgrec_dataset_classes(data); i++)
    if (good[i] == 0 && (all[i] == 0) == opened && count++ < SKIPPED_SHOWN)
      fprintf(stderr,
              "imgrec %s: the class '%s' has no image here that can be read\n",
              command,
              printable(name, sizeof name, imgrec_dataset_label(data, i)));
  if (count > SKIPPED_SHOWN)
    fprintf(stderr, "imgrec %s: nor have %d more classes\n", command,
            count - SKIPPED_SHOWN);
  free(all);
  free(good);
}

void warn_skipped(const imgrec_dataset *data, const char *command) {
  warn_skipped_from(data, 0, command);
  if (imgrec_dataset_skipped(data) > 0)
    warn_classes(data, 1, command);
}

void warn_lost_classes(const imgrec_dataset *data, const char *command) {
  warn_classes(data, 0, command);
}
