/* SPDX-License-Identifier: MIT */
/* The head of the page: how good the model is, in a number and in words. */
#include "report.h"

#include <math.h>

static void label(const struct report *r, int c) {
  html_text(r->out, imgrec_model_label(r->model, c));
}

/* ---- Accuracy with its interval ----------------------------------------- */

static void draw_interval(FILE *f, const imgrec_evaluation *e, int classes) {
  const double left = 4, width = 392;
  fputs("<svg viewBox=\"0 0 400 46\" role=\"img\"><title>", f);
  fprintf(f, "accuracy %.1f %%, 95 %% interval %.1f to %.1f %%, chance %.1f %%",
          100 * e->top1, 100 * e->top1_low, 100 * e->top1_high,
          100.0 / classes);
  fprintf(f,
          "</title><rect class=\"fill-t\" x=\"%g\" y=\"8\" width=\"%g\" "
          "height=\"8\" rx=\"4\"/>",
          left, width);
  fprintf(f,
          "<rect class=\"fill-a\" opacity=\".38\" x=\"%.1f\" y=\"8\" "
          "width=\"%.1f\" height=\"8\" rx=\"2\"/>",
          left + width * e->top1_low, width * (e->top1_high - e->top1_low));
  fprintf(f,
          "<rect class=\"fill-a\" x=\"%.1f\" y=\"4\" width=\"3\" "
          "height=\"16\" rx=\"1.5\"/>",
          left + width * e->top1 - 1.5);
  fprintf(f,
          "<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"2\" "
          "y2=\"24\"/>",
          left + width / classes, left + width / classes);
  fprintf(f, "<text x=\"%.1f\" y=\"38\" text-anchor=\"%s\">chance</text>",
          left + width / classes, classes > 12 ? "start" : "middle");
  fprintf(f,
          "<text x=\"%g\" y=\"38\" text-anchor=\"end\">100 %%</text></svg>\n",
          left + width);
}

static void tile(FILE *f, const char *value, const char *what) {
  fputs("<div class=\"card tile\"><span>", f);
  html_text(f, what);
  fputs("</span><b>", f);
  html_text(f, value);
  fputs("</b>", f);
}

static void tile_note(FILE *f, const char *note) {
  fputs("<span>", f);
  html_text(f, note);
  fputs("</span></div>\n", f);
}

static void test_tile(const struct report *r) {
  char value[64], note[128];
  const imgrec_evaluation *e = &r->test_e;
  snprintf(value, sizeof value, "%.1f %%", 100 * e->top1);
  snprintf(note, sizeof note, "%.1f to %.1f %%, %lld images, used once",
           100 * e->top1_low, 100 * e->top1_high, (long long)e->images);
  tile(r->out, value, "Accuracy on the test part");
  tile_note(r->out, note);
}

static void tiles(const struct report *r) {
  char value[64], note[128];
  const imgrec_evaluation *e = &r->e;
  int count = 2 + (r->test != NULL) + (r->classes > 5) +
              (r->calibration.reject_threshold > 0);
  fprintf(r->out, "<div class=\"tiles n%d\">\n", count);
  if (r->test != NULL)
    test_tile(r);
  snprintf(value, sizeof value, "%.1f %%", 100 * e->macro_f1);
  snprintf(note, sizeof note, "precision %.1f %%, recall %.1f %%",
           100 * e->macro_precision, 100 * e->macro_recall);
  tile(r->out, value, "F1, mean over classes");
  tile_note(r->out, note);
  if (r->classes > 5) {
    snprintf(value, sizeof value, "%.1f %%", 100 * e->top5);
    tile(r->out, value, "Among the first five answers");
    tile_note(r->out, "top-5 accuracy");
  }
  snprintf(value, sizeof value, "%.1f %%", 100 * e->calibration_error);
  snprintf(note, sizeof note, "%.1f %% before temperature %.2f",
           100 * r->raw_error, (double)r->calibration.temperature);
  tile(r->out, value, "Calibration error");
  tile_note(r->out, r->calibration.temperature == 1 ? "as trained" : note);
  if (r->calibration.reject_threshold > 0) {
    snprintf(value, sizeof value, "%.1f %%",
             100 * (double)r->calibration.reject_threshold);
    snprintf(note, sizeof note, "keeps %.1f %% of these images",
             100 - 100 * e->rejected);
    tile(r->out, value, "\342\200\234None of these\342\200\235 below");
    tile_note(r->out, note);
  }
  fputs("</div>\n", r->out);
}

/* ---- In words ----------------------------------------------------------- */

static int find_class(const struct report *r, int best) {
  int found = -1;
  for (int c = 0; c < r->classes; c++) {
    if (r->scores[c].images == 0)
      continue;
    if (found < 0 || (best ? r->scores[c].f1 > r->scores[found].f1
                           : r->scores[c].f1 < r->scores[found].f1))
      found = c;
  }
  return found;
}

static void say_classes(const struct report *r) {
  int best = find_class(r, 1), worst = find_class(r, 0);
  if (best < 0 || best == worst)
    return;
  fputs("<li>It knows <b>", r->out);
  label(r, best);
  fprintf(r->out, "</b> best (F1 %.0f %%) and <b>", 100 * r->scores[best].f1);
  label(r, worst);
  fprintf(r->out, "</b> least (F1 %.0f %%).</li>\n", 100 * r->scores[worst].f1);
}

static void say_confusion(const struct report *r) {
  int truth = -1, answer = -1;
  int64_t most = 1;
  for (int i = 0; i < r->classes; i++)
    for (int j = 0; j < r->classes; j++)
      if (i != j && confused(r, i, j) > most) {
        most = confused(r, i, j);
        truth = i;
        answer = j;
      }
  if (truth < 0)
    return;
  fputs("<li class=\"warn\">Most often it takes <b>", r->out);
  label(r, truth);
  fputs("</b> for <b>", r->out);
  label(r, answer);
  fprintf(r->out, "</b>: %lld of %lld times.</li>\n", (long long)most,
          (long long)r->scores[truth].images);
}

static void say_overfit(const struct report *r) {
  const struct epoch *e = best_epoch(&r->log);
  if (e == NULL || !isfinite(e->train_accuracy))
    return;
  double gap = e->train_accuracy - e->val_accuracy;
  if (gap > 0.1)
    fprintf(r->out,
            "<li class=\"warn\">Of the images it learned from it got %.0f %% "
            "right, of others %.0f %%: it learns them by heart. More images or "
            "stronger augmentation would help most.</li>\n",
            100 * e->train_accuracy, 100 * e->val_accuracy);
  else if (r->log.count > 1 && e == &r->log.epochs[r->log.count - 1])
    fputs("<li>The last epoch was the best one: longer training may still "
          "help.</li>\n",
          r->out);
}

static void say_sure(const struct report *r) {
  int64_t sure = 0, right = 0;
  for (int64_t i = 0; i < r->answer_count; i++) {
    const struct answer *a = &r->answers[i];
    sure += a->probability >= 0.9F;
    right += a->probability >= 0.9F && a->answer == a->truth;
  }
  if (sure > 0)
    fprintf(r->out,
            "<li>It is at least 90 %% sure of %.0f %% of the images, and right "
            "on %.0f %% of those.</li>\n",
            100 * (double)sure / (double)r->answer_count,
            100 * (double)right / (double)sure);
}

static void say(const struct report *r) {
  fputs("<ul class=\"say\">\n", r->out);
  if (r->learned)
    fputs("<li class=\"warn\"><b>These images may be among those that it "
          "learned from</b>: on new ones it will do worse.</li>\n",
          r->out);
  say_classes(r);
  say_confusion(r);
  say_sure(r);
  say_overfit(r);
  fputs("</ul>\n", r->out);
}

/* ---- The head ----------------------------------------------------------- */

static void links(const struct report *r) {
  static const char *const names[][2] = {{"curves", "Training"},
                                         {"confusion", "Confusion"},
                                         {"classes", "Classes"},
                                         {"mistakes", "Mistakes"},
                                         {"unsure", "Least sure"},
                                         {"heat", "Where it looks"},
                                         {"calibration", "Calibration"},
                                         {"filters", "Filters"},
                                         {"data", "Data"},
                                         {"network", "Network"},
                                         {"repeat", "Repeat"}};
  fputs("<nav aria-label=\"sections\">", r->out);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (i == 0 && r->log.count == 0)
      continue;
    fprintf(r->out, "<a href=\"#%s\">%s</a>", names[i][0], names[i][1]);
  }
  fputs("</nav>\n", r->out);
}

void report_summary(const struct report *r) {
  FILE *f = r->out;
  fputs("<header><p class=\"kind\">imgrec report</p>\n<h1>", f);
  html_base_name(f, r->model_path);
  fprintf(f, "</h1>\n<p class=\"sub\">%d classes, ", r->classes);
  html_count(f, r->e.images);
  fprintf(f, " %s images, ", r->measured);
  html_count(f, r->parameters);
  fputs(" parameters</p></header>\n", f);
  links(r);
  fputs("<div class=\"hero\"><div class=\"card\"><span class=\"label\">"
        "Accuracy on ",
        f);
  fprintf(f, "%s images</span><p class=\"big\">%.1f<small> %%</small></p>\n",
          r->measured, 100 * r->e.top1);
  draw_interval(f, &r->e, r->classes);
  fprintf(f,
          "<span class=\"label\">With 95 %% confidence %.1f to %.1f %% of such "
          "images</span></div>\n",
          100 * r->e.top1_low, 100 * r->e.top1_high);
  tiles(r);
  fputs("</div>\n", f);
  say(r);
}
