/* SPDX-License-Identifier: MIT */
/* imgrec eval: how well, and how surely, a model recognises data. */
#include "eval.h"

#include <stdlib.h>
#include <string.h>

#define NAME "eval"

static int check_settings(const struct settings *s) {
  if (s->argument_count != 2)
    return usage_error(NAME, "give a MODEL and a DATA");
  return EXIT_OK;
}

/* Evaluates one data set and adds it to the score. */
static int add_part(struct score *sc, imgrec_model *model,
                    imgrec_dataset *data) {
  imgrec_evaluation e;
  imgrec_reliability bins[IMGREC_RELIABILITY_BINS];
  size_t cells = (size_t)sc->classes * (size_t)sc->classes;
  int status = match_classes(data, model);
  if (status < 0)
    return status;
  imgrec_evaluation_init(&e, sizeof e);
  e.confusion = calloc(cells, sizeof *e.confusion);
  if (e.confusion == NULL)
    return IMGREC_ERR_MEMORY;
  e.bins = bins;
  status = imgrec_evaluate(model, data, &e);
  for (size_t i = 0; status >= 0 && i < cells; i++)
    sc->confusion[i] += e.confusion[i];
  free(e.confusion);
  if (status < 0)
    return status;
  double n = (double)e.images;
  sc->images += e.images;
  sc->loss += n * e.loss;
  sc->top1 += n * e.top1;
  sc->top5 += n * e.top5;
  sc->rejected += n * e.rejected;
  for (int i = 0; i < IMGREC_RELIABILITY_BINS; i++) {
    sc->bins[i].images += bins[i].images;
    sc->bins[i].right += bins[i].right;
    sc->bins[i].probability += bins[i].probability;
  }
  return IMGREC_OK;
}

static void introduce(const struct settings *s, const imgrec_dataset *data,
                      int part) {
  char line[4 * NAME_SIZE];
  warn_skipped(data, NAME);
  if (s->json)
    return;
  printf("%s part: %s\n", part_name(part),
         printable(line, sizeof line, imgrec_dataset_description(data)));
  fflush(stdout);
}

/* The first of `parts` that is there. */
static int score_first(struct score *sc, const struct settings *s,
                       imgrec_context *ctx, imgrec_model *model,
                       const int *parts, int count) {
  imgrec_dataset *data;
  int part;
  int status =
      open_first_part(&data, &part, ctx, s->arguments[1], parts, count);
  if (status < 0)
    return status;
  introduce(s, data, part);
  status = add_part(sc, model, data);
  imgrec_dataset_destroy(data);
  return status;
}

static int score_all(struct score *sc, const struct settings *s,
                     imgrec_context *ctx, imgrec_model *model) {
  static const int parts[] = {IMGREC_PART_TRAIN, IMGREC_PART_VAL,
                              IMGREC_PART_TEST};
  static const int any[] = {IMGREC_PART_ANY};
  int found = 0;
  for (int i = 0; i < 3; i++) {
    int status = score_first(sc, s, ctx, model, &parts[i], 1);
    if (status < 0 && status != IMGREC_ERR_NOT_FOUND)
      return status;
    found += status >= 0;
  }
  return found > 0 ? IMGREC_OK : score_first(sc, s, ctx, model, any, 1);
}

static int score_settings(struct score *sc, const struct settings *s,
                          imgrec_context *ctx, imgrec_model *model) {
  static const int usual[] = {IMGREC_PART_TEST, IMGREC_PART_VAL,
                              IMGREC_PART_ANY};
  if (s->part == PART_ALL)
    return score_all(sc, s, ctx, model);
  if (s->part != IMGREC_PART_ANY)
    return score_first(sc, s, ctx, model, &s->part, 1);
  return score_first(sc, s, ctx, model, usual, 3);
}

/* ---- The command -------------------------------------------------------- */

static int evaluate(const struct settings *s, imgrec_context *ctx,
                    imgrec_model *model) {
  struct score sc;
  memset(&sc, 0, sizeof sc);
  sc.classes = imgrec_model_classes(model);
  size_t cells = (size_t)sc.classes * (size_t)sc.classes;
  sc.confusion = calloc(cells, sizeof *sc.confusion);
  if (sc.confusion == NULL)
    return fail(NAME, "out of memory for the confusion matrix");
  int code = EXIT_OK, status = score_settings(&sc, s, ctx, model);
  if (status == IMGREC_ERR_MEMORY)
    code = fail(NAME, "out of memory");
  else if (status < 0)
    code = fail(NAME, "%s", imgrec_last_error(ctx));
  else if (s->unknown != NULL)
    code = count_unknown(&sc.unknown, s, ctx, model);
  sc.has_unknown = s->unknown != NULL;
  if (code == EXIT_OK && s->json)
    json_score(&sc, model);
  else if (code == EXIT_OK)
    print_score(&sc, model);
  free(sc.confusion);
  return code;
}

int cmd_eval(const struct settings *s) {
  imgrec_context *ctx;
  imgrec_model *model;
  int code = check_settings(s);
  if (code == EXIT_OK)
    code = open_context(&ctx, s, NAME);
  if (code != EXIT_OK)
    return code;
  if (imgrec_model_load(&model, ctx, s->arguments[0], NULL) < 0) {
    code = fail(NAME, "%s", imgrec_last_error(ctx));
  } else {
    code = evaluate(s, ctx, model);
    imgrec_model_destroy(model);
  }
  imgrec_context_destroy(ctx);
  return code;
}
