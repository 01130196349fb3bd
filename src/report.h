/* SPDX-License-Identifier: MIT */
/* The page of `imgrec report`: what it is made of, and who writes which part.
 * Parts write HTML to r->out; a failed write is found when it is closed. */
#ifndef IMGREC_REPORT_H
#define IMGREC_REPORT_H

#include "cli.h"

/* ---- html.c ------------------------------------------------------------- */

/* Text with &, <, > and quotes escaped, so that it fits into attributes too;
 * what is no UTF-8 becomes U+FFFD, control characters become spaces. */
void html_text(FILE *f, const char *text);
/* What is behind the last '/', escaped. */
void html_base_name(FILE *f, const char *path);
/* "<section>" with a heading and, unless NULL, a line below it. */
void section_begin(FILE *f, const char *id, const char *title,
                   const char *lead);
void section_end(FILE *f);
/* "1 234 567". */
void html_count(FILE *f, int64_t n);
/* The style sheet and all before the first section. */
void page_begin(FILE *f, const char *title);
void page_end(FILE *f);

/* report_style.c: what stands between <style> and </style>. */
void page_style(FILE *f);

/* ---- svg.c: plots ------------------------------------------------------- */

/* A line; values that are not finite are left out. */
struct svg_line {
  const char *label;
  const char *style; /* class: "a" or "b" */
  const double *y;
};

struct svg_chart {
  const char *title, *unit; /* unit: "%", or NULL */
  const char *x_name;
  const double *x; /* rising */
  int count;
  struct svg_line lines[2];
  int line_count;
  int percent;   /* y is a share, shown times 100 */
  int from_zero; /* the scale begins at 0 whatever the values */
  double mark;   /* an x to be marked; NaN: none */
  const char *mark_label;
};

/* Nothing when no line has a value. */
void svg_chart(FILE *f, const struct svg_chart *c);
/* Whether it would draw something. */
int svg_chart_has_values(const struct svg_chart *c);

/* ---- report_log.c: what a training run has written ---------------------- */

struct epoch {
  double epoch, train_loss, train_accuracy, val_loss, val_accuracy;
  double learning_rate, images_per_second; /* NaN where the log has none */
};

struct train_log {
  struct epoch *epochs;
  int count;
};

/* Lines that are JSON objects with a number "epoch"; of those of one epoch the
 * last counts.  Says what was wrong otherwise. */
int read_log(struct train_log *out, const char *path, const char *command);
/* The epoch whose weights training has kept, NULL without validation. */
const struct epoch *best_epoch(const struct train_log *log);

/* ---- report_data.c: what is measured ------------------------------------ */

struct answer {
  int64_t index; /* of the image */
  int truth, answer, second;
  float probability, of_truth, of_second;
};

struct report {
  const struct settings *s;
  imgrec_context *ctx;
  imgrec_model *model;
  const char *model_path;
  const char *run; /* the folder of the training run, or NULL */
  imgrec_dataset *train, *data, *test; /* data: what is measured; train and
                                          test may be NULL */
  const char *measured;                /* "validation" */
  int split;                           /* 1: was split off train */
  int learned;                         /* 1 when training had these images */
  FILE *out;
  int classes;
  int64_t parameters;
  imgrec_evaluation e, test_e;
  imgrec_calibration calibration;
  int64_t *confusion; /* classes x classes, row = true class */
  imgrec_class_score *scores;
  imgrec_reliability bins[IMGREC_RELIABILITY_BINS];
  /* The same without the model's temperature. */
  imgrec_reliability raw_bins[IMGREC_RELIABILITY_BINS];
  double raw_error;
  struct answer *answers; /* in the order of the data set */
  int64_t answer_count, answer_room;
  struct train_log log;
};

/* Fills in what is measured; a status of the library. */
int report_measure(struct report *r);
void report_free(struct report *r);
/* Writes the page; EXIT_OK or a code after saying what went wrong. */
int report_write(struct report *r, const char *path, const char *command);

static inline int64_t confused(const struct report *r, int truth, int answer) {
  return r->confusion[(size_t)truth * (size_t)r->classes + (size_t)answer];
}

/* Answers in an order; for free(), NULL when out of memory. */
typedef int (*answer_order)(const void *a, const void *b);
const struct answer **sorted_answers(const struct report *r,
                                     answer_order order);

/* ---- report_*.c: the sections ------------------------------------------- */

void report_summary(const struct report *r);
void report_curves(const struct report *r);
void report_confusion(const struct report *r);
void report_classes(const struct report *r);
void report_mistakes(const struct report *r);
void report_unsure(const struct report *r);
void report_heat(const struct report *r);
void report_calibration(const struct report *r);
void report_filters(const struct report *r);
void report_preview(const struct report *r);
void report_counts(const struct report *r);
void report_network(const struct report *r);
void report_repeat(const struct report *r);

/* A picture of an image of r->data as <img>, `side` pixels at most. */
void report_thumbnail(const struct report *r, int64_t index, int side);

#endif
