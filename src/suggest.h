/* SPDX-License-Identifier: MIT */
/* What the files of `imgrec suggest` share. */
#ifndef IMGREC_SUGGEST_H
#define IMGREC_SUGGEST_H

#include "cli.h"

/* A network that is tried. */
struct candidate {
  const char *preset;
  int height, width;
  int64_t parameters, multiply_adds;
  int64_t file_bytes; /* about: the weights, their names and the text */
  int64_t run_bytes;  /* memory for one image at once */
  int64_t train_bytes;
  double latency_ms;    /* one image alone: the median */
  double step_ms;       /* of training, for one image of a batch */
  const char *too_much; /* the limit that it breaks, NULL for none */
  double epochs;        /* that it was trained for; 0: not at all */
  double accuracy;      /* on the images of validation then; NaN: not known */
};

struct suggest {
  const struct settings *settings;
  imgrec_context *ctx;
  imgrec_dataset *train, *val;
  int channels;
  double deadline; /* of seconds_now() */
  struct candidate *candidates;
  int count;
};

/* Makes the network and fills all but `epochs` and `accuracy`. */
int measure_candidate(struct suggest *s, struct candidate *c);
/* Trains it for `seconds`, and measures the accuracy.  EXIT_FAILED also when a
 * signal came. */
int train_candidate(struct suggest *s, struct candidate *c, double seconds);
/* Rows as they become known, then the choice (NULL: nothing fits). */
void print_suggest_start(const struct suggest *s);
void print_candidate(const struct suggest *s, const struct candidate *c);
void print_choice(const struct suggest *s, const struct candidate *best,
                  const struct candidate *choice);
/* Half the width of the interval that holds the accuracy with 95 %. */
double uncertainty(double accuracy, int64_t images);

#endif
