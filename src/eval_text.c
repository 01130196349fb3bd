/* SPDX-License-Identifier: MIT */
/* The numbers of `imgrec eval`, for people and as JSON. */
#include "eval.h"

#include <math.h>

#define MATRIX_CLASSES_MAX 20

static int64_t count_at(const struct score *sc, int truth, int answer) {
  return sc->confusion[(size_t)truth * (size_t)sc->classes + (size_t)answer];
}

static double per_image(const struct score *sc, double sum) {
  return sum / (double)sc->images;
}

static void top1_interval(const struct score *sc, double interval[2]) {
  imgrec_wilson_interval((int64_t)(sc->top1 + 0.5), sc->images, interval);
}

/* As imgrec_evaluate defines it, over all parts. */
static double calibration_error(const struct score *sc) {
  double gap = 0;
  for (int i = 0; i < IMGREC_RELIABILITY_BINS; i++)
    gap += fabs((double)sc->bins[i].right - sc->bins[i].probability);
  return per_image(sc, gap);
}

static imgrec_class_score class_score(const struct score *sc, int c) {
  imgrec_class_score s = {.right = count_at(sc, c, c)};
  for (int i = 0; i < sc->classes; i++) {
    s.images += count_at(sc, c, i);
    s.answers += count_at(sc, i, c);
  }
  s.recall = (double)s.right / (double)s.images;
  s.precision = (double)s.right / (double)s.answers;
  s.f1 = 2 * (double)s.right / (double)(s.images + s.answers);
  return s;
}

static imgrec_class_score macro_of(const struct score *sc) {
  imgrec_class_score macro = {0};
  imgrec_confusion_scores(NULL, &macro, sc->confusion, sc->classes);
  return macro;
}

static imgrec_calibration calibration_of(const imgrec_model *model) {
  imgrec_calibration c;
  imgrec_calibration_init(&c, sizeof c);
  imgrec_model_get_calibration(model, &c);
  return c;
}

/* ---- JSON --------------------------------------------------------------- */

static void json_triple(struct json_out *j, const imgrec_class_score *s) {
  json_key(j, "precision"), json_float(j, s->precision);
  json_key(j, "recall"), json_float(j, s->recall);
  json_key(j, "f1"), json_float(j, s->f1);
}

static void json_classes(struct json_out *j, const struct score *sc,
                         const imgrec_model *model) {
  json_key(j, "classes"), json_open(j, '[');
  for (int c = 0; c < sc->classes; c++) {
    const imgrec_class_score s = class_score(sc, c);
    json_open(j, '{');
    json_key(j, "label"), json_string(j, imgrec_model_label(model, c));
    json_key(j, "images"), json_integer(j, s.images);
    json_key(j, "answers"), json_integer(j, s.answers);
    json_key(j, "right"), json_integer(j, s.right);
    json_triple(j, &s);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void json_bins(struct json_out *j, const struct score *sc) {
  json_key(j, "reliability"), json_open(j, '[');
  for (int i = 0; i < IMGREC_RELIABILITY_BINS; i++) {
    const imgrec_reliability *b = &sc->bins[i];
    json_open(j, '{');
    json_key(j, "images"), json_integer(j, b->images);
    json_key(j, "right"), json_integer(j, b->right);
    json_key(j, "probability");
    json_float(j, b->probability / (double)b->images);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void json_confusion(struct json_out *j, const struct score *sc) {
  json_key(j, "confusion"), json_open(j, '[');
  for (int truth = 0; truth < sc->classes; truth++) {
    json_open(j, '[');
    for (int answer = 0; answer < sc->classes; answer++)
      json_integer(j, count_at(sc, truth, answer));
    json_close(j, ']');
  }
  json_close(j, ']');
}

static void json_unknown(struct json_out *j, const struct unknown *u) {
  json_key(j, "unknown"), json_open(j, '{');
  json_key(j, "images"), json_integer(j, u->images);
  json_key(j, "rejected");
  json_float(j, (double)u->rejected / (double)u->images);
  json_close(j, '}');
}

void json_score(const struct score *sc, const imgrec_model *model) {
  struct json_out j = {stdout, 0};
  const imgrec_class_score macro = macro_of(sc);
  const imgrec_calibration c = calibration_of(model);
  double interval[2];
  top1_interval(sc, interval);
  json_open(&j, '{');
  json_key(&j, "images"), json_integer(&j, sc->images);
  json_key(&j, "loss"), json_float(&j, per_image(sc, sc->loss));
  json_key(&j, "top1"), json_float(&j, per_image(sc, sc->top1));
  json_key(&j, "top5"), json_float(&j, per_image(sc, sc->top5));
  json_key(&j, "top1_interval"), json_open(&j, '[');
  json_float(&j, interval[0]), json_float(&j, interval[1]);
  json_close(&j, ']');
  json_key(&j, "macro"), json_open(&j, '{');
  json_triple(&j, &macro);
  json_close(&j, '}');
  json_key(&j, "temperature"), json_float(&j, (double)c.temperature);
  json_key(&j, "calibration_error"), json_float(&j, calibration_error(sc));
  json_key(&j, "reject_threshold");
  json_float(&j, (double)c.reject_threshold);
  json_key(&j, "rejected"), json_float(&j, per_image(sc, sc->rejected));
  if (sc->has_unknown)
    json_unknown(&j, &sc->unknown);
  json_classes(&j, sc, model);
  json_bins(&j, sc);
  json_confusion(&j, sc);
  json_finish(&j);
}

/* ---- For people --------------------------------------------------------- */

static void print_share(double share) {
  if (isfinite(share))
    printf("  %7.1f %%", 100 * share);
  else
    printf("  %7s  ", "-");
}

static void print_classes(const struct score *sc, const imgrec_model *model) {
  char name[NAME_SIZE];
  const imgrec_class_score macro = macro_of(sc);
  printf("\n  class    images     recall  precision         F1  name\n");
  for (int c = 0; c < sc->classes; c++) {
    const imgrec_class_score s = class_score(sc, c);
    printf("  %5d  %8lld", c, (long long)s.images);
    print_share(s.recall);
    print_share(s.precision);
    print_share(s.f1);
    printf("  %s\n",
           printable(name, sizeof name, imgrec_model_label(model, c)));
  }
  printf("   mean  %8s", "");
  print_share(macro.recall);
  print_share(macro.precision);
  print_share(macro.f1);
  putchar('\n');
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

static void print_reliability(const struct score *sc,
                              const imgrec_model *model) {
  const imgrec_calibration c = calibration_of(model);
  printf("\ncalibration error %.1f %% at temperature %.3f\n",
         100 * calibration_error(sc), (double)c.temperature);
  printf("  sure by       images      right\n");
  for (int i = 0; i < IMGREC_RELIABILITY_BINS; i++) {
    const imgrec_reliability *b = &sc->bins[i];
    if (b->images == 0)
      continue;
    printf("  %5.1f %%    %8lld", 100 * b->probability / (double)b->images,
           (long long)b->images);
    print_share((double)b->right / (double)b->images);
    putchar('\n');
  }
}

static void print_rejected(const struct score *sc, const imgrec_model *model) {
  const imgrec_calibration c = calibration_of(model);
  const struct unknown *u = &sc->unknown;
  if (c.reject_threshold <= 0)
    return;
  printf("\n'none of these' below %.1f %%: keeps %.1f %% of these images\n",
         100 * (double)c.reject_threshold,
         100 - 100 * per_image(sc, sc->rejected));
  if (sc->has_unknown)
    printf("of %lld images of classes that it does not know, rejects %lld "
           "(%.1f %%)\n",
           (long long)u->images, (long long)u->rejected,
           100 * (double)u->rejected / (double)u->images);
}

void print_score(const struct score *sc, const imgrec_model *model) {
  double interval[2];
  top1_interval(sc, interval);
  printf("%lld images, loss %.4f, top-1 %.2f %%, top-5 %.2f %%\n",
         (long long)sc->images, per_image(sc, sc->loss),
         100 * per_image(sc, sc->top1), 100 * per_image(sc, sc->top5));
  printf("with 95 %% confidence, top-1 is %.1f %% to %.1f %%\n",
         100 * interval[0], 100 * interval[1]);
  print_classes(sc, model);
  print_reliability(sc, model);
  print_rejected(sc, model);
  if (sc->classes <= MATRIX_CLASSES_MAX)
    print_matrix(sc);
}
