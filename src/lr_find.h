/* SPDX-License-Identifier: MIT */
/* What the files of imgrec lr-find share. */
#ifndef IMGREC_LR_FIND_H
#define IMGREC_LR_FIND_H

#include "cli.h"

/* The loss at each rate that was tried, at least one. */
struct rate_curve {
  int count, reserved;
  const float *rates, *losses;
  float suggestion; /* 0: none */
};

/* An SVG file. */
void write_rate_plot(FILE *f, const struct rate_curve *c);

#endif
