/* SPDX-License-Identifier: MIT */
/* Plots of lines as SVG.  Colours come from the page's style sheet, so that
 * they follow its light and dark. */
#include "report.h"

#include <math.h>

/* In units of the picture. */
enum {
  WIDTH = 480,
  HEIGHT = 238,
  LEFT = 50,
  RIGHT = 84,
  TOP = 12,
  BOTTOM = 26
};

/* A scale from values to the picture. */
struct scale {
  double low, high, step; /* step: between ticks */
  double at_low, at_high; /* in the picture */
};

static double place(const struct scale *s, double v) {
  double part = (v - s->low) / (s->high - s->low);
  return s->at_low + part * (s->at_high - s->at_low);
}

/* 1, 2 or 5 times a power of ten, about a `parts`-th of `range`. */
static double nice_step(double range, int parts) {
  double raw = range / parts, power = pow(10, floor(log10(raw)));
  double m = raw / power;
  return power * (m < 1.5 ? 1 : m < 3.5 ? 2 : m < 7.5 ? 5 : 10);
}

/* Whether there are any values, and between which. */
static int find_range(const struct svg_chart *c, double *low, double *high) {
  *low = INFINITY;
  *high = -INFINITY;
  for (int k = 0; k < c->line_count; k++)
    for (int i = 0; i < c->count; i++) {
      double y = c->lines[k].y[i];
      if (!isfinite(y))
        continue;
      *low = y < *low ? y : *low;
      *high = y > *high ? y : *high;
    }
  return *low <= *high;
}

int svg_chart_has_values(const struct svg_chart *c) {
  double low, high;
  return find_range(c, &low, &high);
}

static struct scale y_scale(const struct svg_chart *c, double low,
                            double high) {
  struct scale s = {0, 0, 0, HEIGHT - BOTTOM, TOP};
  if (low > 0 && (c->from_zero || low < high * 0.8))
    low = 0;
  if (high - low < 1e-9 * fabs(high) || high == low) {
    low = high > 0 ? 0 : high;
    high = high > 0 ? high : high + 1;
  }
  s.step = nice_step(high - low, 4);
  s.low = floor(low / s.step + 1e-9) * s.step;
  s.high = ceil(high / s.step - 1e-9) * s.step;
  if (c->percent && s.high > 1)
    s.high = 1;
  return s;
}

static struct scale x_scale(const struct svg_chart *c) {
  struct scale s = {c->x[0], c->x[c->count - 1], 0, LEFT, WIDTH - RIGHT};
  if (s.high <= s.low) {
    s.low -= 0.5;
    s.high += 0.5;
  }
  s.step = nice_step(s.high - s.low, 6);
  s.step = s.step < 1 ? 1 : s.step;
  return s;
}

/* ---- Drawing ------------------------------------------------------------ */

static void number(FILE *f, const struct svg_chart *c, double v) {
  if (c->percent)
    fprintf(f, "%.0f&#160;%%", 100 * v);
  else
    fprintf(f, "%.4g", fabs(v) < 1e-12 ? 0 : v);
}

static void y_tick(FILE *f, const struct svg_chart *c, const struct scale *s,
                   double v) {
  double y = place(s, v);
  fprintf(f,
          "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
          "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
          LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4);
  number(f, c, v);
  fputs("</text>\n", f);
}

static void y_axis(FILE *f, const struct svg_chart *c, const struct scale *s) {
  for (int i = 0; s->low + i * s->step <= s->high + s->step * 1e-6; i++)
    y_tick(f, c, s, s->low + i * s->step);
}

static void x_axis(FILE *f, const struct svg_chart *c, const struct scale *s) {
  double first = ceil(s->low / s->step - 1e-9) * s->step;
  fprintf(f, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n",
          LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM);
  for (double v = first; v <= s->high + 1e-9; v += s->step)
    fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
            place(s, v), HEIGHT - BOTTOM + 17, v);
  fprintf(f, "<text x=\"%d\" y=\"%d\">", WIDTH - RIGHT + 16,
          HEIGHT - BOTTOM + 17);
  html_text(f, c->x_name);
  fputs("</text>\n", f);
}

static void draw_mark(FILE *f, const struct svg_chart *c,
                      const struct scale *x) {
  if (!isfinite(c->mark) || c->mark < x->low || c->mark > x->high)
    return;
  double at = place(x, c->mark);
  fprintf(f,
          "<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\">"
          "<title>",
          at, at, TOP, HEIGHT - BOTTOM);
  html_text(f, c->mark_label);
  fputs("</title></line>\n", f);
}

static int last_value(const struct svg_chart *c, const double *y) {
  int i = c->count - 1;
  while (i >= 0 && !isfinite(y[i]))
    i--;
  return i;
}

static void draw_line(FILE *f, const struct svg_chart *c,
                      const struct svg_line *line, const struct scale *x,
                      const struct scale *y) {
  int pen = 0;
  fprintf(f, "<path class=\"line %s\" d=\"", line->style);
  for (int i = 0; i < c->count; i++) {
    int here = isfinite(line->y[i]);
    if (here)
      fprintf(f, "%s%.1f %.1f", pen ? "L" : "M", place(x, c->x[i]),
              place(y, line->y[i]));
    pen = here;
  }
  fputs("\"/>\n", f);
  for (int i = 0; c->count <= 60 && i < c->count; i++) {
    if (!isfinite(line->y[i]))
      continue;
    fprintf(f,
            "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\">"
            "<title>",
            line->style, place(x, c->x[i]), place(y, line->y[i]),
            c->count <= 30 ? "2.6" : "1.6");
    html_text(f, line->label);
    fprintf(f, ", %s %g: ", c->x_name, c->x[i]);
    fprintf(f, c->percent ? "%.1f %%" : "%.5g",
            c->percent ? 100 * line->y[i] : line->y[i]);
    fputs("</title></circle>\n", f);
  }
}

/* Names of the lines stand at their ends, apart from each other. */
static void draw_names(FILE *f, const struct svg_chart *c,
                       const struct scale *x, const struct scale *y) {
  double at[2] = {0, 0};
  int end[2] = {-1, -1};
  for (int k = 0; k < c->line_count; k++) {
    end[k] = last_value(c, c->lines[k].y);
    if (end[k] >= 0)
      at[k] = place(y, c->lines[k].y[end[k]]) + 4;
  }
  if (end[0] >= 0 && end[1] >= 0 && fabs(at[0] - at[1]) < 15) {
    double middle = (at[0] + at[1]) / 2;
    int first_above = at[0] <= at[1];
    at[0] = middle + (first_above ? -7.5 : 7.5);
    at[1] = middle + (first_above ? 7.5 : -7.5);
  }
  for (int k = 0; k < c->line_count; k++) {
    if (end[k] < 0)
      continue;
    fprintf(f, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", c->lines[k].style,
            place(x, c->x[end[k]]) + 8, at[k]);
    html_text(f, c->lines[k].label);
    fputs("</text>\n", f);
  }
}

void svg_chart(FILE *f, const struct svg_chart *c) {
  double low, high;
  if (c->count < 1 || !find_range(c, &low, &high))
    return;
  const struct scale x = x_scale(c), y = y_scale(c, low, high);
  fprintf(f,
          "<svg viewBox=\"0 0 %d %d\" role=\"img\" preserveAspectRatio="
          "\"xMinYMin meet\"><title>",
          WIDTH, HEIGHT);
  html_text(f, c->title);
  fprintf(f, ", from %.4g to %.4g</title>\n", low, high);
  y_axis(f, c, &y);
  x_axis(f, c, &x);
  draw_mark(f, c, &x);
  for (int k = 0; k < c->line_count; k++)
    draw_line(f, c, &c->lines[k], &x, &y);
  draw_names(f, c, &x, &y);
  fputs("</svg>\n", f);
}
