/* SPDX-License-Identifier: MIT */
/* Looking over the data before training: what is there, and what is there
 * twice. */
#ifndef IMGREC_DATA_CARE_H
#define IMGREC_DATA_CARE_H

#include "cli.h"

/* The data sets of a run in this order, those that there are. */
enum { CARE_SETS = 3 };
struct care {
  const char *command;
  imgrec_dataset *sets[CARE_SETS];
  const char *names[CARE_SETS]; /* "train", "val", "test" */
  int shared[CARE_SETS];        /* 1: split off the set before */
  int count;
  imgrec_examination *found;
};

/* NULL: there is none. */
void care_add(struct care *c, imgrec_dataset *data, const char *name,
              int shared);
/* Reads all images, on a terminal with a line that moves. */
int care_examine(struct care *c, imgrec_context *ctx);
void care_free(struct care *c);
imgrec_data_summary care_summary(const struct care *c, int set);
/* Where the set called so stands, -1 when there is none. */
int care_find(const struct care *c, const char *name);
/* Images of `set` that are in `original_set` too: all, exact ones, and
 * optionally the first few. */
struct overlap {
  int64_t images, exact;
  imgrec_duplicate first[3];
  int first_count;
};
struct overlap care_overlap(const struct care *c, int set, int original_set);
/* Takes images of validation that are trained on out of it, and says so. */
int care_refuse(const struct care *c, imgrec_context *ctx);

/* ---- data_table.c ------------------------------------------------------- */

/* What was found: a table, then a line each for what needs attention.  With
 * `all`, duplicates are listed by name. */
void print_data_table(const struct care *c, int all);
/* One object: the event "data". */
void print_data_json(const struct care *c);
/* One object for each duplicate: the event "duplicate". */
void print_duplicates_json(const struct care *c);
/* Images as "img.jpg (cat)". */
const char *source_and_label(char *out, size_t size, imgrec_dataset *data,
                             int64_t index);

#endif
