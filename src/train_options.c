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

/* ---- Where nothing is asked for ------------------------------------------ */

static int has_batch_norm(const imgrec_model *model) {
  imgrec_layer_info info;
  imgrec_layer_info_init(&info, sizeof info);
  for (int i = 0; i < imgrec_model_layer_count(model); i++)
    if (imgrec_model_layer(model, i, &info) >= 0 &&
        strcmp(info.type, "batch_norm") == 0)
      return 1;
  return 0;
}

/* With batch norm a network bears a rate, and gains by decay, that would undo
 * one without: on photos of five flowers `small` came to 81 % so, and with the
 * plain Adam of the others to 76 %. */
int choose_recipe(struct settings *s, const imgrec_model *model) {
  int chosen = s->optimizer < 0 && s->schedule < 0 && s->learning_rate == 0;
  if (chosen && has_batch_norm(model)) {
    s->optimizer = IMGREC_OPTIMIZER_ADAMW;
    s->learning_rate = s->init ? 0.001 : 0.003;
    s->weight_decay = s->weight_decay >= 0 ? s->weight_decay : 0.05;
    s->label_smoothing = s->label_smoothing >= 0 ? s->label_smoothing : 0.1;
  }
  if (chosen)
    s->schedule = IMGREC_SCHEDULE_COSINE;
  if (s->optimizer < 0)
    s->optimizer = IMGREC_OPTIMIZER_ADAM;
  if (s->schedule < 0)
    s->schedule = IMGREC_SCHEDULE_CONSTANT;
  if (s->label_smoothing < 0)
    s->label_smoothing = 0;
  return chosen;
}

const char *optimizer_name(int optimizer) {
  static const char *const names[] = {"adam", "sgd", "adamw"};
  return names[optimizer];
}

const char *schedule_name(int schedule) {
  static const char *const names[] = {"constant", "step", "cosine",
                                      "one-cycle"};
  return names[schedule];
}

void print_recipe(const struct settings *s, int chosen) {
  imgrec_trainer_options o;
  trainer_options(&o, s);
  printf("training: %s, learning rate ", optimizer_name(s->optimizer));
  if (o.learning_rate > 0)
    printf("%g", (double)o.learning_rate);
  else
    printf("%g", s->optimizer == IMGREC_OPTIMIZER_SGD ? 0.01 : 0.001);
  printf(" (%s), batches of %lld", schedule_name(s->schedule),
         (long long)s->batch);
  if (o.weight_decay > 0)
    printf(", weight decay %g", (double)o.weight_decay);
  if (o.label_smoothing > 0)
    printf(", label smoothing %g", (double)o.label_smoothing);
  printf("%s\n", chosen ? " (chosen by the network)" : "");
}

/* ---- The library's options ----------------------------------------------- */

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
  int64_t *counts = count_by_class(data);
  if (counts == NULL)
    return 0;
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
