/* SPDX-License-Identifier: MIT */
/* How to train: from the words of the command line to the library's options,
 * and what is said about it. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Largest over smallest class: from here on said, and something done. */
#define UNEVEN      2
#define VERY_UNEVEN 10

/* What PyTorch has for AdamW, without which it would be Adam. */
#define ADAMW_DECAY 0.01

void trainer_options(imgrec_trainer_options *o, const struct settings *s) {
  double decay = s->optimizer == IMGREC_OPTIMIZER_ADAMW ? ADAMW_DECAY : 0;
  imgrec_trainer_options_init(o, sizeof *o);
  o->seed = s->seed;
  o->optimizer = s->optimizer;
  o->max_batch = (int32_t)s->batch;
  o->learning_rate = (float)s->learning_rate;
  o->nesterov = s->nesterov;
  o->weight_decay = (float)(s->weight_decay >= 0 ? s->weight_decay : decay);
  o->decay_all = s->decay_all;
  o->label_smoothing = (float)s->label_smoothing;
  o->clip_norm = (float)s->clip_norm;
  o->ema_decay = (float)s->ema;
  o->layer_decay = (float)s->layer_decay;
}

/* Adam's second moment, and what --init brought, are not ready for a full rate
 * at once. */
static double warmup_epochs(const struct settings *s) {
  if (s->warmup_epochs >= 0)
    return s->warmup_epochs;
  return s->schedule == IMGREC_SCHEDULE_COSINE ? (double)s->epochs / 20 : 0;
}

void fit_options(imgrec_fit_options *o, const struct settings *s,
                 const struct class_sizes *sizes) {
  imgrec_fit_options_init(o, sizeof *o);
  o->seed = s->seed;
  o->epochs = (int32_t)s->epochs;
  o->batch = (int32_t)s->batch;
  o->schedule = s->schedule;
  o->warmup_epochs = (float)warmup_epochs(s);
  o->step_epochs = (float)s->step_epochs;
  o->step_factor = (float)s->step_factor;
  o->final_factor = (float)s->final_factor;
  o->patience = (int32_t)s->patience;
  o->balance = choose_balance(s, sizes);
}

int check_train_options(const struct settings *s, const char *command) {
  int sgd = s->optimizer == IMGREC_OPTIMIZER_SGD;
  if (s->nesterov && !sgd)
    return usage_error(command, "--nesterov is for --optimizer sgd");
  if (s->epochs > 0 && s->warmup_epochs > (double)s->epochs)
    return usage_error(command,
                       "--warmup-epochs: %g is more than the %lld "
                       "epochs of the run",
                       s->warmup_epochs, (long long)s->epochs);
  if ((s->step_epochs > 0 || s->step_factor > 0) &&
      s->schedule != IMGREC_SCHEDULE_STEP)
    return usage_error(command, "--step-epochs and --step-factor are for "
                                "--schedule step");
  if (s->final_factor > 0 && s->schedule != IMGREC_SCHEDULE_COSINE &&
      s->schedule != IMGREC_SCHEDULE_ONE_CYCLE)
    return usage_error(command, "--final-factor is for --schedule cosine or "
                                "one-cycle");
  return EXIT_OK;
}

/* ---- Layers that do not learn ------------------------------------------- */

int freeze_layers(imgrec_model *model, imgrec_context *ctx,
                  const struct settings *s, const char *command) {
  char prefix[NAME_SIZE];
  for (const char *p = s->freeze; p != NULL && *p != '\0';) {
    size_t n = strcspn(p, ",");
    if (n >= sizeof prefix)
      return fail(command, "--freeze: '%.40s...' is too long", p);
    memcpy(prefix, p, n);
    prefix[n] = '\0';
    int count = imgrec_model_freeze(model, prefix);
    if (count < 0)
      return fail(command, "--freeze: %s", imgrec_last_error(ctx));
    if (!s->json)
      printf("frozen: %d layer%s '%s...'\n", count, count == 1 ? "" : "s",
             prefix);
    p += n + (p[n] == ',');
  }
  return EXIT_OK;
}

/* ---- Classes of uneven size --------------------------------------------- */

int count_classes(struct class_sizes *out, const imgrec_dataset *data) {
  int classes = imgrec_dataset_classes(data);
  int64_t *counts = calloc((size_t)classes, sizeof *counts);
  if (counts == NULL)
    return 0;
  for (int64_t i = 0; i < imgrec_dataset_size(data); i++)
    counts[imgrec_dataset_class(data, i)]++;
  *out = (struct class_sizes){imgrec_dataset_size(data), 0, 0, 0};
  for (int i = 0; i < classes; i++) {
    if (counts[i] < out->least) {
      out->least = counts[i];
      out->smallest = i;
    }
    if (counts[i] > out->most)
      out->most = counts[i];
  }
  free(counts);
  return 1;
}

static int is_uneven(const struct class_sizes *sizes, int64_t times) {
  return sizes->most >= times * sizes->least;
}

int choose_balance(const struct settings *s, const struct class_sizes *sizes) {
  if (s->balance > 0)
    return s->balance - 1;
  return is_uneven(sizes, VERY_UNEVEN) && sizes->least > 0
             ? IMGREC_BALANCE_WEIGHTS
             : IMGREC_BALANCE_NONE;
}

const char *balance_name(int balance) {
  return balance == IMGREC_BALANCE_WEIGHTS   ? "weights"
         : balance == IMGREC_BALANCE_SAMPLER ? "sampler"
                                             : "none";
}

void print_balance(const struct settings *s, const struct class_sizes *sizes,
                   const imgrec_dataset *data) {
  static const char *const done[] = {
      "each image counts alike; see --balance",
      "each class weighs as much as any other in the loss",
      "each class is drawn as often as any other"};
  char name[NAME_SIZE];
  if (!is_uneven(sizes, UNEVEN))
    return;
  printf(
      "classes are uneven: %lld ('%s') to %lld images; %s\n",
      (long long)sizes->least,
      printable(name, sizeof name, imgrec_dataset_label(data, sizes->smallest)),
      (long long)sizes->most, done[choose_balance(s, sizes)]);
}
