/* SPDX-License-Identifier: MIT */
/* The picture of imgrec lr-find: losses over rates, on a logarithmic scale. */
#include "lr_find.h"

#include <math.h>

/* In pixels. */
enum {
  WIDTH = 720,
  HEIGHT = 420,
  LEFT = 64,
  RIGHT = 24,
  TOP = 48,
  BOTTOM = 56
};

struct axes {
  double x_low, x_high; /* logarithms of rates */
  double y_low, y_high, y_step;
};

static double across(const struct axes *a, double rate) {
  double part = (log10(rate) - a->x_low) / (a->x_high - a->x_low);
  return LEFT + part * (WIDTH - LEFT - RIGHT);
}

static double down(const struct axes *a, double loss) {
  double part = (loss - a->y_low) / (a->y_high - a->y_low);
  return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, for some six lines. */
static double line_step(double range) {
  double power = pow(10, floor(log10(range / 6))), parts = range / 6 / power;
  return power * (parts < 1.5 ? 1 : parts < 3.5 ? 2 : parts < 7.5 ? 5 : 10);
}

/* What rises far above the least is cut off: it is the lower part that one
 * looks at. */
static struct axes make_axes(const struct rate_curve *c) {
  double low = INFINITY, high = -INFINITY;
  for (int i = 0; i < c->count; i++) {
    low = fmin(low, (double)c->losses[i]);
    high = fmax(high, (double)c->losses[i]);
  }
  double first = (double)c->losses[0];
  high = fmin(high, first + 0.6 * (first - low) + 0.05 * fabs(first));
  if (!(high > low))
    high = low + 1;
  struct axes a = {.x_low = log10((double)c->rates[0]),
                   .x_high = log10((double)c->rates[c->count - 1]),
                   .y_step = line_step(high - low)};
  if (!(a.x_high > a.x_low))
    a.x_high = a.x_low + 1;
  a.y_low = floor(low / a.y_step) * a.y_step;
  a.y_high = ceil(high / a.y_step) * a.y_step;
  return a;
}

static void draw_grid(FILE *f, const struct axes *a) {
  for (double y = a->y_low; y < a->y_high + a->y_step / 2; y += a->y_step)
    fprintf(f,
            "<path class=\"grid\" d=\"M%d %.1fH%d\"/>"
            "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n",
            LEFT, down(a, y), WIDTH - RIGHT, LEFT - 8, down(a, y) + 4,
            fabs(y) < a->y_step / 2 ? 0.0 : y);
  for (double x = ceil(a->x_low); x <= a->x_high; x++)
    fprintf(f,
            "<path class=\"grid\" d=\"M%.1f %dV%d\"/>"
            "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
            across(a, pow(10, x)), TOP, HEIGHT - BOTTOM, across(a, pow(10, x)),
            HEIGHT - BOTTOM + 20, pow(10, x));
}

static void draw_curve(FILE *f, const struct axes *a,
                       const struct rate_curve *c) {
  fprintf(f, "<path class=\"curve\" clip-path=\"url(#room)\" d=\"");
  for (int i = 0; i < c->count; i++)
    fprintf(f, "%s%.1f %.1f", i == 0 ? "M" : "L",
            across(a, (double)c->rates[i]), down(a, (double)c->losses[i]));
  fputs("\"/>\n", f);
}

static void draw_suggestion(FILE *f, const struct axes *a, double rate) {
  double x = across(a, rate);
  if (!(rate > 0) || x < LEFT)
    return;
  fprintf(f, "<path class=\"mark\" d=\"M%.1f %dV%d\"/>\n", x, TOP,
          HEIGHT - BOTTOM);
}

void write_rate_plot(FILE *f, const struct rate_curve *c) {
  const struct axes a = make_axes(c);
  fprintf(f,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
          "height=\"%d\" viewBox=\"0 0 %d %d\">\n"
          "<style>text{font:13px sans-serif;fill:#444}.title{font-size:15px;"
          "fill:#111}.grid{stroke:#ddd}.curve{fill:none;stroke:#1b6ac9;"
          "stroke-width:2.2}.mark{stroke:#c2410c;stroke-width:1.6;"
          "stroke-dasharray:5 4}</style>\n"
          "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
          "<clipPath id=\"room\"><rect x=\"%d\" y=\"%d\" width=\"%d\" "
          "height=\"%d\"/></clipPath>\n",
          WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT, TOP,
          WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
  draw_grid(f, &a);
  draw_curve(f, &a, c);
  draw_suggestion(f, &a, (double)c->suggestion);
  fprintf(f, "<text class=\"title\" x=\"%d\" y=\"28\">", LEFT);
  if (c->suggestion > 0)
    fprintf(f, "Suggested learning rate: %.2g", (double)c->suggestion);
  else
    fputs("No learning rate here makes the loss fall", f);
  fprintf(f,
          "</text>\n<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">learning "
          "rate</text>\n<text transform=\"translate(18 %d) rotate(-90)\" "
          "text-anchor=\"middle\">loss</text>\n</svg>\n",
          (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, (TOP + HEIGHT - BOTTOM) / 2);
}
