/* SPDX-License-Identifier: MIT */
/* What `imgrec eval` measures, and how it is printed. */
#ifndef IMGREC_EVAL_H
#define IMGREC_EVAL_H

#include "cli.h"

/* Images of classes that the model does not have. */
struct unknown {
  int64_t images, rejected, unreadable;
};

/* Sums over the parts that were evaluated. */
struct score {
  int64_t images;
  double loss, top1, top5, rejected; /* sums over images */
  int classes;
  int64_t *confusion; /* classes x classes, row = true class */
  imgrec_reliability bins[IMGREC_RELIABILITY_BINS];
  struct unknown unknown;
  int has_unknown;
};

/* unknown.c: all images of --unknown whose class the model does not have. */
int count_unknown(struct unknown *u, const struct settings *s,
                  imgrec_context *ctx, imgrec_model *model);

/* eval_text.c */
void print_score(const struct score *sc, const imgrec_model *model);
void json_score(const struct score *sc, const imgrec_model *model);

#endif
