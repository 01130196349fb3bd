/* SPDX-License-Identifier: MIT */
/* imgrec lr-find: trains at rising rates, and suggests one. */
#include "lr_find.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME "lr-find"

struct finder {
  struct settings own;
  const struct settings *s; /* own */
  imgrec_context *ctx;
  imgrec_dataset *data;
  imgrec_model *model;
  imgrec_trainer *trainer;
  char *architecture;
  int recipe_chosen;
  float *rates, *losses;
};

static int library_failed(const struct finder *f) {
  return fail(NAME, "%s", imgrec_last_error(f->ctx));
}

static int check_settings(const struct settings *s) {
  if (s->argument_count != 1)
    return usage_error(NAME, "give one DATA, not %d", s->argument_count);
  if (s->output == NULL)
    return usage_error(NAME, "-o FILE is missing: where to draw the losses");
  int code = check_network_options(s, NAME);
  return code != EXIT_OK ? code : check_train_options(s, NAME);
}

/* ---- Network ------------------------------------------------------------- */

static int make_model(struct finder *f) {
  imgrec_model_options options;
  imgrec_model_options_init(&options, sizeof options);
  options.seed = f->s->seed;
  options.max_batch = (int32_t)f->s->batch;
  int code = adapt_init(&f->model, f->ctx, f->s,
                        imgrec_dataset_classes(f->data), &options, NAME);
  if (code != EXIT_OK || f->model != NULL)
    return code;
  struct choice choice;
  code = network_text(&f->architecture, &choice, f->s, f->data,
                      imgrec_dataset_size(f->data), NAME);
  if (code != EXIT_OK)
    return code;
  if (imgrec_model_create(&f->model, f->ctx, f->architecture, &options) < 0)
    return library_failed(f);
  return load_init(f->model, f->ctx, f->s, NAME);
}

static int make_trainer(struct finder *f) {
  imgrec_trainer_options options;
  f->recipe_chosen = choose_recipe(&f->own, f->model);
  trainer_options(&options, f->s);
  int code = freeze_layers(f->model, f->ctx, f->s, NAME);
  if (code != EXIT_OK)
    return code;
  if (imgrec_trainer_create(&f->trainer, f->model, &options) < 0)
    return library_failed(f);
  return EXIT_OK;
}

/* ---- What comes out ------------------------------------------------------ */

static int draw(const char *path, const struct rate_curve *c) {
  FILE *f = os_open(path, "w");
  if (f == NULL)
    return fail(NAME, "cannot write %s: %s", path, strerror(errno));
  write_rate_plot(f, c);
  int failed = ferror(f);
  failed |= fclose(f) != 0;
  return failed ? fail(NAME, "cannot write %s", path) : EXIT_OK;
}

static void print_json(const struct finder *f, const struct rate_curve *c) {
  const struct settings *s = f->s;
  struct json_out j = {stdout, 0};
  imgrec_trainer_options o;
  trainer_options(&o, s);
  json_open(&j, '{');
  json_key(&j, "suggestion");
  json_float(&j, c->suggestion > 0 ? (double)c->suggestion : NAN);
  json_key(&j, "optimizer"), json_string(&j, optimizer_name(s->optimizer));
  json_key(&j, "schedule"),
      json_string(&j, f->recipe_chosen ? schedule_name(s->schedule) : NULL);
  json_key(&j, "weight_decay"), json_float(&j, (double)o.weight_decay);
  json_key(&j, "label_smoothing"), json_float(&j, (double)o.label_smoothing);
  json_key(&j, "rates"), json_open(&j, '[');
  for (int i = 0; i < c->count; i++)
    json_float(&j, (double)c->rates[i]);
  json_close(&j, ']');
  json_key(&j, "losses"), json_open(&j, '[');
  for (int i = 0; i < c->count; i++)
    json_float(&j, (double)c->losses[i]);
  json_close(&j, ']');
  json_key(&j, "output"), json_string(&j, s->output);
  json_finish(&j);
}

/* The options of train that make it do what was measured, which the rate alone
 * would not where the recipe was left to us. */
static void print_suggestion(const struct finder *f, double rate) {
  const struct settings *s = f->s;
  printf("suggested: --optimizer %s --lr %.2g", optimizer_name(s->optimizer),
         rate);
  if (f->recipe_chosen) {
    printf(" --schedule %s", schedule_name(s->schedule));
    if (s->weight_decay > 0)
      printf(" --weight-decay %g", s->weight_decay);
    if (s->label_smoothing > 0)
      printf(" --label-smoothing %g", s->label_smoothing);
  }
  printf("\n");
}

static void print(const struct finder *f, const struct rate_curve *c) {
  const struct settings *s = f->s;
  printf("tried %d rates from %.2g to %.2g\n", c->count, (double)c->rates[0],
         (double)c->rates[c->count - 1]);
  if (c->suggestion > 0)
    print_suggestion(f, (double)c->suggestion);
  else
    printf("no rate makes the loss fall within %lld steps; try more --steps\n",
           (long long)s->steps);
  printf("wrote %s\n", s->output);
}

static int find(struct finder *f) {
  const struct settings *s = f->s;
  imgrec_rate_options options;
  struct rate_curve c = {.suggestion = 0};
  f->rates = malloc((size_t)s->steps * sizeof *f->rates);
  f->losses = malloc((size_t)s->steps * sizeof *f->losses);
  if (f->rates == NULL || f->losses == NULL)
    return fail(NAME, "out of memory");
  imgrec_rate_options_init(&options, sizeof options);
  options.seed = s->seed;
  c.count = imgrec_find_rate(f->trainer, f->data, &options, (int)s->steps,
                             f->rates, f->losses, &c.suggestion);
  if (c.count < 0)
    return library_failed(f);
  if (c.count == 0)
    return fail(NAME, "the loss is not finite from the first step on");
  c.rates = f->rates;
  c.losses = f->losses;
  int code = draw(s->output, &c);
  if (code == EXIT_OK && s->json)
    print_json(f, &c);
  else if (code == EXIT_OK)
    print(f, &c);
  return code;
}

static int run(struct finder *f) {
  int code = open_context(&f->ctx, f->s, NAME);
  if (code == EXIT_OK)
    code = open_training(&f->data, f->ctx, f->s->arguments[0], NAME);
  if (code == EXIT_OK)
    code = check_class_count(f->data, f->s->arguments[0], NAME);
  if (code == EXIT_OK)
    code = make_model(f);
  if (code == EXIT_OK)
    code = set_preprocess(f->model, f->s, f->architecture != NULL) < 0
               ? library_failed(f)
               : EXIT_OK;
  if (code == EXIT_OK)
    code = make_trainer(f);
  return code == EXIT_OK ? find(f) : code;
}

int cmd_lr_find(const struct settings *s) {
  struct finder f = {.own = *s};
  int code = check_settings(s);
  if (code != EXIT_OK)
    return code;
  f.s = &f.own;
  code = run(&f);
  imgrec_trainer_destroy(f.trainer);
  imgrec_model_destroy(f.model);
  imgrec_dataset_destroy(f.data);
  imgrec_context_destroy(f.ctx);
  free(f.architecture);
  free(f.rates);
  free(f.losses);
  return code;
}
