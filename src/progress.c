/* SPDX-License-Identifier: MIT */
/* How training is followed: a line on the terminal that moves, one line an
 * epoch on stdout, and the clock of both. */
#include "run_folder.h"

#include <math.h>
#include <string.h>

#define DRAW_EVERY 0.1 /* seconds */
#define BAR_WIDTH  12

/* ---- Clock -------------------------------------------------------------- */

static double rate(double images, double seconds) {
  return seconds > 0 ? images / seconds : NAN;
}

/* Validation follows the last step and ends with epoch_done: it is not part of
 * the training time. */
static void clock_epoch(struct run_clock *c, int64_t images) {
  double seconds = c->last_step - c->epoch_started;
  images -= c->images_before;
  c->images_before = 0;
  c->train_seconds += seconds;
  c->train_images += images;
  c->epoch_rate = rate((double)images, seconds);
}

/* ---- The line on the terminal ------------------------------------------- */

static void format_duration(char *out, size_t size, double seconds) {
  long s = (long)(seconds + 0.5);
  if (s >= 3600)
    snprintf(out, size, "%ld h %02ld min", s / 3600, s / 60 % 60);
  else if (s >= 60)
    snprintf(out, size, "%ld min %02ld s", s / 60, s % 60);
  else
    snprintf(out, size, "%ld s", s);
}

/* The time that the epochs so far took, carried on to the end. */
static double seconds_left(const struct run_clock *c,
                           const imgrec_progress *now, double part) {
  double done = now->epoch - 1 + part;
  return (c->last_step - c->started) * (now->epochs - done) /
         (done - c->epochs_before);
}

static void draw(struct train_progress *p, const imgrec_progress *now) {
  const struct run_clock *c = &p->clock;
  double part = (double)now->images / (double)now->images_total;
  int filled = (int)(part * BAR_WIDTH), width = os_columns();
  char bar[BAR_WIDTH + 1], left[40], line[200];
  for (int i = 0; i < BAR_WIDTH; i++)
    bar[i] = i < filled ? '#' : '.';
  bar[BAR_WIDTH] = '\0';
  format_duration(left, sizeof left, seconds_left(c, now, part));
  snprintf(line, sizeof line,
           "epoch %d/%d [%s] loss %.4f, %.1f %%, %.0f images/s, %s left",
           now->epoch, now->epochs, bar, (double)now->train_loss,
           100 * (double)now->train_accuracy,
           rate((double)(now->images - c->images_before),
                c->last_step - c->epoch_started),
           left);
  fprintf(stderr, "\r\033[K%.*s", width - 1, line);
  fflush(stderr);
  p->last_drawn = c->last_step;
}

void progress_end(struct train_progress *p) {
  if (p->terminal && p->last_drawn > 0)
    fputs("\r\033[K", stderr);
  p->last_drawn = 0;
}

/* ---- One line an epoch -------------------------------------------------- */

static void print_epoch(const struct train_progress *p,
                        const imgrec_progress *now, double seconds) {
  printf("epoch %d/%d: loss %.4f, accuracy %.2f %%", now->epoch, now->epochs,
         (double)now->train_loss, 100 * (double)now->train_accuracy);
  if (!isnan(now->val_loss))
    printf("; validation loss %.4f, accuracy %.2f %%", (double)now->val_loss,
           100 * (double)now->val_accuracy);
  if (isfinite(p->clock.epoch_rate))
    printf("; %.0f images/s", p->clock.epoch_rate);
  printf(", %.1f s\n", seconds);
  fflush(stdout);
}

static void print_epoch_json(const struct train_progress *p, FILE *f,
                             const imgrec_progress *now, double seconds) {
  struct json_out j = {f, 0};
  json_open(&j, '{');
  json_key(&j, "event"), json_string(&j, "epoch");
  json_key(&j, "epoch"), json_integer(&j, now->epoch);
  json_key(&j, "epochs"), json_integer(&j, now->epochs);
  json_key(&j, "train_loss"), json_float(&j, (double)now->train_loss);
  json_key(&j, "train_accuracy"), json_float(&j, (double)now->train_accuracy);
  json_key(&j, "val_loss"), json_float(&j, (double)now->val_loss);
  json_key(&j, "val_accuracy"), json_float(&j, (double)now->val_accuracy);
  json_key(&j, "learning_rate"), json_float(&j, (double)now->learning_rate);
  json_key(&j, "images_per_second"), json_float(&j, p->clock.epoch_rate);
  json_key(&j, "seconds"), json_float(&j, seconds);
  json_finish(&j);
}

/* On disk before the checkpoint that follows is. */
static void log_epoch(const struct train_progress *p,
                      const imgrec_progress *now, double seconds) {
  run_mend(p->run);
  print_epoch_json(p, p->run->log, now, seconds);
  os_sync(p->run->log);
  p->run->last_checkpoint = seconds_now();
}

static void end_epoch(struct train_progress *p, const imgrec_progress *now) {
  struct run_clock *c = &p->clock;
  double end = seconds_now();
  clock_epoch(c, now->images);
  progress_end(p);
  if (p->json)
    print_epoch_json(p, stdout, now, end - c->epoch_started);
  else
    print_epoch(p, now, end - c->epoch_started);
  if (p->run != NULL)
    log_epoch(p, now, end - c->epoch_started);
  p->epochs_done = now->epoch;
  p->train_loss = (double)now->train_loss;
  if (now->improved || isnan(now->val_loss)) {
    p->best_epoch = now->epoch;
    p->val_loss = (double)now->val_loss;
    p->val_accuracy = (double)now->val_accuracy;
  }
  c->epoch_started = c->last_step = end;
}

/* What was done before it was stopped. */
static void go_on(struct train_progress *p, const imgrec_checkpoint *at) {
  int inside = !at->epoch_done;
  p->epochs_done = at->epoch - inside;
  p->best_epoch = at->best_epoch;
  p->train_loss = (double)at->train_loss;
  p->val_loss = (double)at->val_loss;
  p->val_accuracy = (double)at->val_accuracy;
  p->clock.images_before = inside ? at->images : 0;
  p->clock.epochs_before = p->epochs_done;
  if (inside && at->images_total > 0)
    p->clock.epochs_before += (double)at->images / (double)at->images_total;
}

void progress_begin(struct train_progress *p, int json, struct run *run) {
  memset(p, 0, sizeof *p);
  p->run = run;
  p->json = json;
  p->terminal = os_is_terminal(stderr);
  p->train_loss = p->val_loss = p->val_accuracy = NAN;
  p->clock.started = seconds_now();
  p->clock.epoch_started = p->clock.last_step = p->clock.started;
  if (run != NULL && run->resumed)
    go_on(p, &run->at);
}

/* What to do now: stop, write a checkpoint, or nothing. */
static int decide(struct train_progress *p, const imgrec_progress *now) {
  struct run *run = p->run;
  p->images = now->epoch_done ? 0 : now->images;
  if (run != NULL)
    run->failed = now->checkpoint_status < 0;
  if (stop_signal() != 0) {
    if (run != NULL)
      run_mend(run);
    return IMGREC_FIT_STOP;
  }
  if (run == NULL || now->epoch_done || run->checkpoint_seconds <= 0 ||
      seconds_now() - run->last_checkpoint < run->checkpoint_seconds)
    return IMGREC_FIT_GO_ON;
  run_mend(run);
  run->last_checkpoint = seconds_now();
  return IMGREC_FIT_CHECKPOINT;
}

int progress_step(void *user, const imgrec_progress *now) {
  struct train_progress *p = user;
  if (now->epoch_done) {
    end_epoch(p, now);
    return decide(p, now);
  }
  p->clock.last_step = seconds_now();
  if (p->terminal && now->images > 0 &&
      p->clock.last_step - p->last_drawn >= DRAW_EVERY)
    draw(p, now);
  return decide(p, now);
}
