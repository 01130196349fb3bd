/* SPDX-License-Identifier: MIT */
/* The folder of a training run: what it was told, how it went, where it
 * stands, and what came of it. */
#ifndef IMGREC_RUN_FOLDER_H
#define IMGREC_RUN_FOLDER_H

#include "cli.h"

/* All zero: there is none. */
struct run {
  const char *folder;
  char *config_path, *log_path, *last_path, *best_path;
  char *config; /* what is in config.txt */
  FILE *log;
  double checkpoint_seconds; /* 0: at the end of epochs only */
  double last_checkpoint;    /* when, by seconds_now() */
  int resumed;               /* whether there was a checkpoint */
  imgrec_checkpoint at;      /* where that was */
  int failed;                /* the last checkpoint could not be written */
};

/* ---- run_folder.c ------------------------------------------------------- */

/* EXIT_FAILED where `folder` has a run already, or cannot be made. */
int run_check(const char *folder, const char *command);
/* Makes the folder and writes run->config into it. */
int run_begin(struct run *run, const char *folder, const char *command);
/* Opens one that is there: its checkpoint, its log up to that. */
int run_reopen(struct run *run, const char *folder, imgrec_context *ctx,
               const char *command);
int run_has_config(const char *folder);
/* 1 when it has come to its end. */
int run_is_done(const char *folder);
/* Makes a folder that vanished anew, with what has been logged so far. */
void run_mend(struct run *run);
void run_free(struct run *run);
/* An object of one event, to be ended with run_event_end. */
struct json_out run_event(struct run *run, const char *name);
void run_event_end(struct run *run, struct json_out *j);

/* ---- run_config.c ------------------------------------------------------- */

/* What of a run is not among its options. */
struct run_facts {
  const char *data, *train_digest, *val_digest, *architecture;
};

/* The text of config.txt, for free(); NULL when out of memory. */
char *config_text(const struct settings *s, const struct run_facts *facts);

/* A config.txt; `text` owns what the strings of the settings point to. */
struct config {
  char *text;
  const char *train_digest, *val_digest;
  char *arguments[1];
};

/* The options of the run become those of `s`, but for what was given again. */
int config_read(struct config *c, struct settings *s, const char *folder,
                const char *command);
/* The same to go on with it: with its data, and nothing given that changes a
 * bit. */
int config_resume(struct config *c, struct settings *s, const char *folder,
                  const char *command);
/* Digests of the data sets, `val` may be NULL, each of 65 bytes. */
int config_digests(char train[65], char val[65], const imgrec_dataset *t,
                   const imgrec_dataset *v);

#endif
