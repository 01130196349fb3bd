/* SPDX-License-Identifier: MIT */
/* What the files of imgrec train share. */
#ifndef IMGREC_TRAIN_JOB_H
#define IMGREC_TRAIN_JOB_H

#include "run_folder.h"

#define TRAIN_NAME "train"

/* One run, and all that it holds. */
struct job {
  const struct settings *s;
  struct settings own; /* where *s is: with what was left to us filled in */
  const char *data;
  imgrec_context *ctx;
  imgrec_dataset *train, *val, *test;
  int64_t images; /* to train on, before the split */
  imgrec_model *model;
  imgrec_trainer *trainer;
  struct name_list labels;
  struct augmentation augment;
  const char *preset; /* NULL with --arch, and with the network of --init */
  struct choice choice;
  char *architecture;
  char *found; /* what DATA is, before the split */
  int val_is_split, recipe_chosen;
  double test_loss, test_accuracy;     /* NaN: not measured */
  imgrec_calibrate_result calibration; /* images 0: none */
  struct train_progress progress;
  struct class_sizes sizes; /* of the training set */
  imgrec_fit_result result;
  struct run run;       /* of --run or --resume */
  struct config config; /* of --resume */
  char chosen[12][32];  /* values of options that were left to us */
  size_t chosen_count;
};

/* ---- train_text.c: what is said ----------------------------------------- */

/* The library's sentence about the last failure. */
int train_library_failed(const struct job *job);
void train_print_start(const struct job *job);
void train_print_start_json(const struct job *job, FILE *f);
void train_print_done(const struct job *job);
void train_print_done_json(const struct job *job, FILE *f);

/* ---- train_run.c: the folder of the run --------------------------------- */

/* With --run or --resume, when all that was left to us is decided. */
int train_open_run(struct job *job);
void train_print_resumed(const struct job *job);
/* Logs that it was "interrupted", or has "diverged". */
void train_log_stop(struct job *job, const char *event);

#endif
