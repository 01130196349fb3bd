/* SPDX-License-Identifier: MIT */
/* What the files of `imgrec bench` share. */
#ifndef IMGREC_BENCH_H
#define IMGREC_BENCH_H

#include "cli.h"

/* Seconds, a row for each run: of all of it in column 0 and, with --layers, of
 * what is between the layers in REST_COLUMN and of the parts that column_of()
 * finds. */
enum { REST_COLUMN = 1 };

struct times {
  double *seconds; /* rows x columns */
  int64_t *calls;  /* of each column, how often it was told of */
  int columns;
  int64_t rows, capacity;
};

struct bench {
  const struct settings *settings;
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_trainer *trainer; /* with --train */
  imgrec_tensor *x, *y, *labels;
  int layers; /* of the model */
  struct times times;
  double *row;  /* of the run that goes on */
  double piece; /* when the piece of work that goes on began */
  struct machine machine;
  uint64_t model_bytes, max_bytes; /* planned; in use by the process */
};

/* A column of the times: a layer's forward or backward, or the loss or the
 * update of all weights, whose layer is -1.  phase: IMGREC_PHASE_*_BEGIN or
 * _END. */
int column_of(const struct bench *b, int layer, int phase);

/* ---- bench_run.c -------------------------------------------------------- */

/* The model, its trainer and random data.  EXIT_OK, or what fail() returned;
 * in both cases close_bench() is due. */
int open_bench(struct bench *b, const struct settings *s);
/* Warms up and fills b->times. */
int run_bench(struct bench *b);
void close_bench(struct bench *b);
/* The value of a column that the fraction `at` of the runs do not exceed: the
 * median for 0.5.  Sorts into `scratch`, which has place for all rows. */
double quantile(const struct times *t, int column, double at, double *scratch);

/* ---- bench_report.c ----------------------------------------------------- */

int report_bench(const struct bench *b);

#endif
