/* SPDX-License-Identifier: MIT */
/* What is taken for what: the confusion matrix, which stays readable with a
 * hundred classes, and the pairs that are confused most. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS = 10, NUMBERS_UP_TO = 24, KEPT_ORDER_UP_TO = 12 };

/* ---- Order of the classes ----------------------------------------------- */

static int64_t closeness(const struct report *r, int a, int b) {
  return confused(r, a, b) + confused(r, b, a);
}

/* Few classes stand as they are; of many each is followed by that of the rest
 * which is most confused with it. */
static int *class_order(const struct report *r) {
  int n = r->classes, *order = malloc((size_t)n * sizeof *order);
  for (int i = 0; order != NULL && i < n; i++)
    order[i] = i;
  if (order == NULL || n <= KEPT_ORDER_UP_TO)
    return order;
  for (int i = 1; i < n; i++) {
    int best = i;
    for (int k = i + 1; k < n; k++)
      if (closeness(r, order[i - 1], order[k]) >
          closeness(r, order[i - 1], order[best]))
        best = k;
    int chosen = order[best];
    memmove(order + i + 1, order + i, (size_t)(best - i) * sizeof *order);
    order[i] = chosen;
  }
  return order;
}

/* ---- The matrix --------------------------------------------------------- */

struct matrix {
  const struct report *r;
  const int *order;
  int n;
  double cell, left, top, right, font;
  int upright; /* names of columns stand on end */
};

static size_t longest_label(const struct report *r) {
  size_t longest = 4;
  for (int i = 0; i < r->classes; i++) {
    size_t n = strlen(imgrec_model_label(r->model, i));
    longest = n > longest ? n : longest;
  }
  return longest > 22 ? 22 : longest;
}

static struct matrix layout(const struct report *r, const int *order) {
  struct matrix m = {.r = r, .order = order, .n = r->classes};
  m.cell = m.n <= 6    ? 68
           : m.n <= 12 ? 50
           : m.n <= 24 ? 34
           : m.n <= 50 ? 18
                       : 11;
  m.font = m.n <= 24 ? 13 : m.n <= 50 ? 11 : 9.5;
  double text = (double)longest_label(r) * m.font * 0.54 + 8;
  m.upright = m.n > NUMBERS_UP_TO;
  m.left = text + 10;
  m.top = (m.upright ? text : text * 0.8) + 26;
  m.right = m.upright ? 6 : text * 0.68 + 20; /* the last slanted name */
  return m;
}

/* Names are cut where they would not fit. */
static void cut_label(FILE *f, const char *label) {
  char text[64];
  size_t n = 0;
  while (label[n] != '\0' && n < 22)
    n++;
  while (label[n] != '\0' && n > 0 && ((unsigned char)label[n] & 0xC0) == 0x80)
    n--;
  memcpy(text, label, n);
  snprintf(text + n, sizeof text - n, "%s", label[n] != '\0' ? ".." : "");
  html_text(f, text);
}

static void draw_labels(FILE *f, const struct matrix *m) {
  for (int i = 0; i < m->n; i++) {
    const char *label = imgrec_model_label(m->r->model, m->order[i]);
    double middle = (i + 0.5) * m->cell;
    fprintf(f,
            "<text class=\"name\" style=\"font-size:%gpx\" x=\"%.1f\" "
            "y=\"%.1f\" text-anchor=\"end\">",
            m->font, m->left - 8, m->top + middle + m->font * 0.35);
    cut_label(f, label);
    fprintf(f,
            "</text><text class=\"name\" style=\"font-size:%gpx\" "
            "transform=\"translate(%.1f %.1f) rotate(%d)\">",
            m->font, m->left + middle + m->font * (m->upright ? 0.35 : 0.2),
            m->top - 8, m->upright ? -90 : -52);
    cut_label(f, label);
    fputs("</text>\n", f);
  }
}

/* Lines that lead the eye through many classes. */
static void draw_guides(FILE *f, const struct matrix *m) {
  double side = m->n * m->cell;
  fprintf(f,
          "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
          "fill=\"none\" class=\"axis\"/>\n",
          m->left, m->top, side, side);
  int every = m->n <= NUMBERS_UP_TO ? 1 : 5;
  for (int i = every; i < m->n; i += every)
    fprintf(f, "<path class=\"grid\" d=\"M%.1f %.1fh%.1fM%.1f %.1fv%.1f\"/>\n",
            m->left, m->top + i * m->cell, side, m->left + i * m->cell, m->top,
            side);
}

static void cell_number(FILE *f, const struct matrix *m, double x, double y,
                        int64_t count, double strength) {
  if (m->n > NUMBERS_UP_TO)
    return;
  fprintf(f,
          "<text class=\"name\" style=\"font-size:%gpx%s\" x=\"%.1f\" "
          "y=\"%.1f\" text-anchor=\"middle\">%lld</text>",
          m->font, strength > 0.7 ? ";fill:#fff" : "", x + m->cell / 2,
          y + m->cell / 2 + m->font * 0.36, (long long)count);
}

static void draw_cell(FILE *f, const struct matrix *m, int row, int column) {
  const struct report *r = m->r;
  int truth = m->order[row], answer = m->order[column];
  int64_t count = confused(r, truth, answer);
  if (count == 0)
    return;
  double share = (double)count / (double)r->scores[truth].images;
  /* small shares must be seen too */
  double strength = 0.12 + 0.88 * sqrt(share);
  double x = m->left + column * m->cell, y = m->top + row * m->cell;
  fprintf(f,
          "<g><rect class=\"fill-%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
          "height=\"%.1f\" rx=\"%s\" opacity=\"%.2f\"/>",
          truth == answer ? "a" : "b", x + 0.5, y + 0.5, m->cell - 1,
          m->cell - 1, m->n > NUMBERS_UP_TO ? "1" : "3", strength);
  cell_number(f, m, x, y, count, strength);
  fputs("<title>", f);
  html_text(f, imgrec_model_label(r->model, truth));
  fputs(truth == answer ? " recognised: " : " taken for ", f);
  if (truth != answer) {
    html_text(f, imgrec_model_label(r->model, answer));
    fputs(": ", f);
  }
  fprintf(f, "%lld of %lld (%.1f %%)</title></g>\n", (long long)count,
          (long long)r->scores[truth].images, 100 * share);
}

/* In pixels, below which it is scrolled: names must stay readable. */
static double least_width(const struct matrix *m, double width) {
  return m->n <= 12 ? width * 0.62 : m->n <= 50 ? width * 0.8 : width * 0.74;
}

static void draw_matrix(const struct report *r, const int *order) {
  const struct matrix m = layout(r, order);
  FILE *f = r->out;
  double width = m.left + m.n * m.cell + m.right;
  double height = m.top + m.n * m.cell + 6;
  fprintf(f,
          "<div class=\"card scroll\"><svg viewBox=\"0 0 %.0f %.0f\" "
          "role=\"img\" style=\"min-width:%.0fpx;max-width:%.0fpx\">"
          "<title>Confusion matrix: a row for each true class, a column for "
          "each answer</title>\n",
          width, height, least_width(&m, width),
          width * (m.n > 50 ? 1.6 : 1.15));
  fprintf(f,
          "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">true "
          "class</text><text x=\"%.1f\" y=\"13\">answer</text>\n",
          m.left - 8, m.top - 8, m.left);
  draw_guides(f, &m);
  draw_labels(f, &m);
  for (int i = 0; i < m.n; i++)
    for (int k = 0; k < m.n; k++)
      draw_cell(f, &m, i, k);
  fputs("</svg></div>\n", f);
}

/* ---- Pairs -------------------------------------------------------------- */

struct pair {
  int truth, answer;
  int64_t count;
};

static void insert_pair(struct pair *pairs, int *count, struct pair p) {
  int at = *count < PAIRS ? (*count)++ : PAIRS - 1;
  if (at == PAIRS - 1 && pairs[at].count >= p.count)
    return;
  for (; at > 0 && pairs[at - 1].count < p.count; at--)
    pairs[at] = pairs[at - 1];
  pairs[at] = p;
}

static int most_confused(const struct report *r, struct pair *pairs) {
  int count = 0;
  memset(pairs, 0, PAIRS * sizeof *pairs);
  for (int i = 0; i < r->classes; i++)
    for (int k = 0; k < r->classes; k++)
      if (i != k && confused(r, i, k) > 0)
        insert_pair(pairs, &count, (struct pair){i, k, confused(r, i, k)});
  return count;
}

static void draw_pairs(const struct report *r) {
  struct pair pairs[PAIRS];
  int count = most_confused(r, pairs);
  if (count == 0)
    return;
  fputs("<div class=\"card scroll\"><h3>Confused "
        "most</h3><table><thead><tr><th class=\"t\">true class"
        "</th><th class=\"t\">taken for</th><th>images</th><th>of this class"
        "</th></tr></thead><tbody>\n",
        r->out);
  for (int i = 0; i < count; i++) {
    double share =
        (double)pairs[i].count / (double)r->scores[pairs[i].truth].images;
    fputs("<tr><td class=\"t\">", r->out);
    html_text(r->out, imgrec_model_label(r->model, pairs[i].truth));
    fputs("</td><td class=\"t\">", r->out);
    html_text(r->out, imgrec_model_label(r->model, pairs[i].answer));
    fprintf(r->out,
            "</td><td>%lld</td><td>%.0f&#160;%%<span class=\"bar low\"><i "
            "style=\"width:%.0f%%\"></i></span></td></tr>\n",
            (long long)pairs[i].count, 100 * share, 100 * share);
  }
  fputs("</tbody></table></div>\n", r->out);
}

void report_confusion(const struct report *r) {
  int *order = class_order(r);
  section_begin(r->out, "confusion", "What is taken for what",
                r->classes <= KEPT_ORDER_UP_TO
                    ? "A row for each true class, a column for each answer. "
                      "Blue is right, orange wrong, stronger is more of the "
                      "row."
                    : "A row for each true class, a column for each answer. "
                      "Blue is right, orange wrong, stronger is more of the "
                      "row; classes that are taken for each other stand side "
                      "by side. Point at a cell to read it.");
  fprintf(r->out, "<div class=\"%s\">\n",
          r->classes <= KEPT_ORDER_UP_TO ? "two" : "stack");
  if (order != NULL)
    draw_matrix(r, order);
  free(order);
  draw_pairs(r);
  fputs("</div>\n", r->out);
  section_end(r->out);
}

/* ---- The table ---------------------------------------------------------- */

static void share(FILE *f, double x, int bar) {
  if (!isfinite(x)) {
    fputs("<td>-</td>", f);
    return;
  }
  fprintf(f, "<td>%.1f&#160;%%", 100 * x);
  if (bar)
    fprintf(f, "<span class=\"bar%s\"><i style=\"width:%.0f%%\"></i></span>",
            x < 0.5 ? " low" : "", 100 * x);
  fputs("</td>", f);
}

static void class_row(const struct report *r, int c) {
  const imgrec_class_score *s = &r->scores[c];
  fputs("<tr><td class=\"t w\">", r->out);
  html_text(r->out, imgrec_model_label(r->model, c));
  fprintf(r->out, "</td><td>%lld</td>", (long long)s->images);
  share(r->out, s->precision, 0);
  share(r->out, s->recall, 0);
  share(r->out, s->f1, 1);
  fputs("</tr>\n", r->out);
}

static int by_f1(const void *a, const void *b) {
  const imgrec_class_score *x = *(const imgrec_class_score *const *)a;
  const imgrec_class_score *y = *(const imgrec_class_score *const *)b;
  double f = isfinite(x->f1) ? x->f1 : 2, g = isfinite(y->f1) ? y->f1 : 2;
  return f != g ? (f > g) - (f < g) : (x > y) - (x < y);
}

void report_classes(const struct report *r) {
  size_t n = (size_t)r->classes;
  const imgrec_class_score **sorted = malloc(n * sizeof *sorted);
  section_begin(r->out, "classes", "Each class",
                "Precision: of the images called this, how many are. Recall: "
                "of the images that are this, how many are called so. F1 is "
                "their harmonic mean. The weakest class comes first.");
  fputs("<div class=\"card scroll\"><table><thead><tr><th class=\"t\">class"
        "</th><th>images</th><th>precision</th><th>recall</th><th>F1</th></tr>"
        "</thead><tbody>\n",
        r->out);
  for (size_t i = 0; sorted != NULL && i < n; i++)
    sorted[i] = &r->scores[i];
  if (sorted != NULL)
    qsort(sorted, n, sizeof *sorted, by_f1);
  for (size_t i = 0; sorted != NULL && i < n; i++)
    class_row(r, (int)(sorted[i] - r->scores));
  fprintf(r->out, "</tbody><tfoot><tr><td class=\"t\">mean</td><td>%lld</td>",
          (long long)r->e.images);
  share(r->out, r->e.macro_precision, 0);
  share(r->out, r->e.macro_recall, 0);
  share(r->out, r->e.macro_f1, 1);
  fputs("</tr></tfoot></table></div>\n", r->out);
  section_end(r->out);
  free(sorted);
}
