/* SPDX-License-Identifier: MIT */
/* imgrec eval: accuracy, loss and the confusion matrix of a model on data. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define NAME               "eval"
#define MATRIX_CLASSES_MAX 20

/* Sums over the parts that were evaluated. */
struct score {
  int64_t images;
  double loss, top1, top5; /* sums over images */
  int classes;
  int64_t *confusion; /* classes x classes, row = true class */
};

static int check_settings(const struct settings *s) {
  if (s->argument_count != 2)
    return usage_error(NAME, "give a MODEL and a DATA");
  return EXIT_OK;
}

static int64_t count_at(const struct score *sc, int truth, int answer) {
  return sc->confusion[(size_t)truth * (size_t)sc->classes + (size_t)answer];
}

/* Evaluates one data set and adds it to the score. */
static int add_part(struct score *sc, imgrec_model *model,
                    imgrec_dataset *data) {
  imgrec_evaluation e;
  size_t cells = (size_t)sc->classes * (size_t)sc->classes;
  int status = match_classes(data, model);
  if (status < 0)
    return status;
  imgrec_evaluation_init(&e, sizeof e);
  e.confusion = calloc(cells, sizeof *e.confusion);
  if (e.confusion == NULL)
    return IMGREC_ERR_MEMORY;
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

/* ---- Output ------------------------------------------------------------- */

static double per_image(const struct score *sc, double sum) {
  return sum / (double)sc->images;
}

static void print_json(const struct score *sc) {
  struct json_out j = {stdout, 0};
  json_open(&j, '{');
  json_key(&j, "images"), json_integer(&j, sc->images);
  json_key(&j, "loss"), json_float(&j, per_image(sc, sc->loss));
  json_key(&j, "top1"), json_float(&j, per_image(sc, sc->top1));
  json_key(&j, "top5"), json_float(&j, per_image(sc, sc->top5));
  json_key(&j, "confusion"), json_open(&j, '[');
  for (int truth = 0; truth < sc->classes; truth++) {
    json_open(&j, '[');
    for (int answer = 0; answer < sc->classes; answer++)
      json_integer(&j, count_at(sc, truth, answer));
    json_close(&j, ']');
  }
  json_close(&j, ']');
  json_finish(&j);
}

static void print_share(int64_t part, int64_t whole) {
  if (whole > 0)
    printf(" %8.1f %%", 100.0 * (double)part / (double)whole);
  else
    printf(" %8s  ", "-");
}

static void print_classes(const struct score *sc, const imgrec_model *model) {
  char name[NAME_SIZE];
  printf("\n  class    images     recall  precision  name\n");
  for (int c = 0; c < sc->classes; c++) {
    int64_t images = 0, answers = 0;
    for (int i = 0; i < sc->classes; i++) {
      images += count_at(sc, c, i);
      answers += count_at(sc, i, c);
    }
    printf("  %5d  %8lld", c, (long long)images);
    print_share(count_at(sc, c, c), images);
    print_share(count_at(sc, c, c), answers);
    printf("  %s\n",
           printable(name, sizeof name, imgrec_model_label(model, c)));
  }
}

static void print_matrix(const struct score *sc) {
  printf("\nrows: true class, columns: answer\n       ");
  for (int c = 0; c < sc->classes; c++)
    printf(" %5d", c);
  for (int truth = 0; truth < sc->classes; truth++) {
    printf("\n  %5d", truth);
    for (int answer = 0; answer < sc->classes; answer++)
      printf(" %5lld", (long long)count_at(sc, truth, answer));
  }
  putchar('\n');
}

static void print_plain(const struct score *sc, const imgrec_model *model) {
  printf("%lld images, loss %.4f, top-1 %.2f %%, top-5 %.2f %%\n",
         (long long)sc->images, per_image(sc, sc->loss),
         100 * per_image(sc, sc->top1), 100 * per_image(sc, sc->top5));
  print_classes(sc, model);
  if (sc->classes <= MATRIX_CLASSES_MAX)
    print_matrix(sc);
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
  int status = score_settings(&sc, s, ctx, model);
  if (status == IMGREC_ERR_MEMORY)
    fail(NAME, "out of memory");
  else if (status < 0)
    fail(NAME, "%s", imgrec_last_error(ctx));
  else if (s->json)
    print_json(&sc);
  else
    print_plain(&sc, model);
  free(sc.confusion);
  return status < 0 ? EXIT_FAILED : EXIT_OK;
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
