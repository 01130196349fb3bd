/* SPDX-License-Identifier: MIT */
/* Whether the model is as sure as it is right. */
#include "report.h"

enum { SIDE = 360, LEFT = 46, TOP = 10, BELOW = 42 };

static double at_x(double p) { return LEFT + p * SIDE; }
static double at_y(double p) { return TOP + (1 - p) * SIDE; }

static void axes(FILE *f) {
  for (int i = 0; i <= 4; i++) {
    double p = i / 4.0;
    fprintf(f,
            "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
            "y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f "
            "%%</text><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f "
            "%%</text>\n",
            LEFT, LEFT + SIDE, at_y(p), at_y(p), LEFT - 7, at_y(p) + 4, 100 * p,
            at_x(p), TOP + SIDE + 18, 100 * p);
  }
  fprintf(f,
          "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">sure by</text>\n"
          "<text x=\"%d\" y=\"%d\">right</text>\n",
          LEFT + SIDE / 2, TOP + SIDE + 36, LEFT + 8, TOP + 14);
}

/* A bar of few images says little. */
static double strength(int64_t images) {
  return images >= 20 ? 0.8 : 0.2 + 0.6 * (double)images / 20;
}

static void bars(FILE *f, const imgrec_reliability *bins) {
  double width = (double)SIDE / IMGREC_RELIABILITY_BINS;
  for (int i = 0; i < IMGREC_RELIABILITY_BINS; i++) {
    const imgrec_reliability *b = &bins[i];
    if (b->images == 0)
      continue;
    double right = (double)b->right / (double)b->images;
    double sure = b->probability / (double)b->images;
    double x = LEFT + i * width;
    fprintf(f,
            "<g><rect class=\"fill-a\" opacity=\"%.2f\" x=\"%.1f\" y=\"%.1f\" "
            "width=\"%.1f\" height=\"%.1f\"/>"
            "<line class=\"line b\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
            "y2=\"%.1f\"/><title>%lld images, sure by %.1f %%, right %.1f "
            "%%</title></g>\n",
            strength(b->images), x + 1, at_y(right), width - 2, right * SIDE,
            x + 2, x + width - 2, at_y(sure), at_y(sure), (long long)b->images,
            100 * sure, 100 * right);
  }
}

static void diagram(const struct report *r, const imgrec_reliability *bins,
                    const char *title, double error) {
  FILE *f = r->out;
  fputs("<div class=\"card\"><h3>", f);
  html_text(f, title);
  fprintf(f, " <span class=\"label\">error %.1f&#160;%%</span></h3>\n",
          100 * error);
  fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\"><title>",
          LEFT + SIDE + 22, TOP + SIDE + BELOW);
  html_text(f, title);
  fprintf(f, ": calibration error %.1f %%</title>\n", 100 * error);
  axes(f);
  bars(f, bins);
  fprintf(f,
          "<line class=\"mark\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>"
          "</svg></div>\n",
          LEFT, TOP + SIDE, LEFT + SIDE, TOP);
}

static void reject_words(const struct report *r) {
  double least = (double)r->calibration.reject_threshold;
  int64_t kept = 0, right = 0;
  if (least <= 0)
    return;
  for (int64_t i = 0; i < r->answer_count; i++) {
    const struct answer *a = &r->answers[i];
    if ((double)a->probability < least)
      continue;
    kept++;
    right += a->answer == a->truth;
  }
  if (kept == 0)
    return;
  fprintf(r->out,
          "<p>An image whose best class is below <b>%.1f&#160;%%</b> is called "
          "<b>none of these</b>. That keeps %.1f&#160;%% of these images, of "
          "which %.1f&#160;%% are right (of all, %.1f&#160;%%).</p>\n",
          100 * least, 100 * (double)kept / (double)r->answer_count,
          100 * (double)right / (double)kept, 100 * r->e.top1);
}

void report_calibration(const struct report *r) {
  section_begin(r->out, "calibration", "How sure it may be",
                "Bars: the share of right answers among those that are about "
                "as sure. Orange: how sure they were. Where both agree, a "
                "probability means what it says. Pale bars stand for few "
                "images.");
  /* two diagrams side by side, or one beside the words */
  int calibrated = r->calibration.temperature != 1;
  fputs("<div class=\"two\">\n", r->out);
  if (calibrated)
    diagram(r, r->raw_bins, "As trained", r->raw_error);
  diagram(r, r->bins, calibrated ? "Calibrated" : "As trained",
          r->e.calibration_error);
  fputs("<div>", r->out);
  reject_words(r);
  fputs("</div></div>\n", r->out);
  section_end(r->out);
}
