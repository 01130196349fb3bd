/* SPDX-License-Identifier: MIT */
/* How training went: loss, accuracy, learning rate, speed. */
#include "report.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

/* One value of each epoch; for free(). */
static double *column(const struct train_log *log, size_t offset) {
  double *v = malloc((size_t)log->count * sizeof *v);
  for (int i = 0; v != NULL && i < log->count; i++)
    v[i] =
        *(const double *)(const void *)((const char *)&log->epochs[i] + offset);
  return v;
}

/* What one plot shows. */
struct plot {
  const char *title, *first, *second; /* second: NULL, a single line */
  size_t a, b;
  int percent, from_zero;
};

static void draw(const struct report *r, const struct plot *p) {
  double *x = column(&r->log, offsetof(struct epoch, epoch));
  double *a = column(&r->log, p->a), *b = column(&r->log, p->b);
  const struct epoch *best = best_epoch(&r->log);
  struct svg_chart chart = {.title = p->title,
                            .x_name = "epoch",
                            .x = x,
                            .count = r->log.count,
                            .lines = {{p->first, "a", a}, {p->second, "b", b}},
                            .line_count = p->second ? 2 : 1,
                            .percent = p->percent,
                            .from_zero = p->from_zero,
                            .mark = best ? best->epoch : (double)NAN,
                            .mark_label = "the best epoch, whose weights were "
                                          "kept"};
  if (x != NULL && a != NULL && b != NULL && svg_chart_has_values(&chart)) {
    fputs("<div class=\"card\"><h3>", r->out);
    html_text(r->out, p->title);
    fputs("</h3>\n", r->out);
    svg_chart(r->out, &chart);
    fputs("</div>\n", r->out);
  }
  free(x);
  free(a);
  free(b);
}

void report_curves(const struct report *r) {
  if (r->log.count == 0)
    return;
#define AT(field) offsetof(struct epoch, field)
  const struct plot plots[] = {
      {"Loss", "training", "validation", AT(train_loss), AT(val_loss), 0, 0},
      {"Accuracy", "training", "validation", AT(train_accuracy),
       AT(val_accuracy), 1, 0},
      {"Learning rate", "rate", NULL, AT(learning_rate), AT(learning_rate), 0,
       1},
      {"Images per second", "images/s", NULL, AT(images_per_second),
       AT(images_per_second), 0, 1}};
#undef AT
  section_begin(r->out, "curves", "How training went",
                "One point an epoch. The dashed line is the epoch with the "
                "best validation accuracy.");
  fputs("<div class=\"plots\">\n", r->out);
  for (size_t i = 0; i < sizeof plots / sizeof plots[0]; i++)
    draw(r, &plots[i]);
  fputs("</div>\n", r->out);
  section_end(r->out);
}
