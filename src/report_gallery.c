/* SPDX-License-Identifier: MIT */
/* Images of the report: mistakes, doubts, and where the network looked. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 12, HEAT_RIGHT = 4, HEAT_WRONG = 4, QUALITY = 82 };

/* ---- Pictures ----------------------------------------------------------- */

static void write_img(const struct report *r, const imgrec_tensor *image,
                      const char *what) {
  fputs("<img loading=\"lazy\" alt=\"", r->out);
  html_text(r->out, what);
  fputs("\" src=\"", r->out);
  write_data_uri(r->out, image, QUALITY);
  fputs("\">", r->out);
}

/* As large as `side` at most, in its own shape. */
static int shrink(imgrec_tensor **out, const imgrec_tensor *image, int side) {
  int64_t h = imgrec_tensor_dim(image, 0), w = imgrec_tensor_dim(image, 1);
  int64_t longest = h > w ? h : w;
  if (longest > side) {
    h = (h * side + longest / 2) / longest;
    w = (w * side + longest / 2) / longest;
  }
  return imgrec_image_resize(out, image, h > 0 ? (int)h : 1, w > 0 ? (int)w : 1,
                             IMGREC_RESIZE_STRETCH);
}

void report_thumbnail(const struct report *r, int64_t index, int side) {
  imgrec_tensor *image, *small;
  if (imgrec_dataset_image(&image, r->data, index) < 0)
    return;
  if (shrink(&small, image, side) >= 0) {
    write_img(r, small, imgrec_dataset_source(r->data, index));
    imgrec_tensor_destroy(small);
  }
  imgrec_tensor_destroy(image);
}

static void label(const struct report *r, int c) {
  html_text(r->out, imgrec_model_label(r->model, c));
}

static void file_name(const struct report *r, int64_t index) {
  fputs("<span class=\"file\" title=\"", r->out);
  html_text(r->out, imgrec_dataset_source(r->data, index));
  fputs("\">", r->out);
  html_base_name(r->out, imgrec_dataset_source(r->data, index));
  fputs("</span>", r->out);
}

/* ---- Mistakes and doubts ------------------------------------------------ */

static int compare(float x, float y) { return (x > y) - (x < y); }

static int is_wrong(const struct answer *a) { return a->answer != a->truth; }

/* Wrong ones first, the surest of them first. */
static int by_mistake(const void *a, const void *b) {
  const struct answer *x = *(const struct answer *const *)a;
  const struct answer *y = *(const struct answer *const *)b;
  if (is_wrong(x) != is_wrong(y))
    return is_wrong(y) - is_wrong(x);
  int order = compare(y->probability, x->probability);
  return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int by_doubt(const void *a, const void *b) {
  const struct answer *x = *(const struct answer *const *)a;
  const struct answer *y = *(const struct answer *const *)b;
  int order =
      compare(x->probability - x->of_second, y->probability - y->of_second);
  return order ? order : (x->index > y->index) - (x->index < y->index);
}

static void mistake(const struct report *r, const struct answer *a) {
  fputs("<figure>", r->out);
  report_thumbnail(r, a->index, 200);
  fputs("<figcaption><span class=\"bad\">", r->out);
  label(r, a->answer);
  fprintf(r->out, " %.0f&#160;%%</span><br>is ", 100 * (double)a->probability);
  label(r, a->truth);
  fprintf(r->out, " (%.0f&#160;%%)", 100 * (double)a->of_truth);
  file_name(r, a->index);
  fputs("</figcaption></figure>\n", r->out);
}

static void doubt(const struct report *r, const struct answer *a) {
  fputs("<figure>", r->out);
  report_thumbnail(r, a->index, 200);
  fprintf(r->out, "<figcaption><span class=\"%s\">",
          is_wrong(a) ? "bad" : "good");
  label(r, a->answer);
  fprintf(r->out, " %.0f&#160;%%</span><br>or ", 100 * (double)a->probability);
  label(r, a->second >= 0 ? a->second : a->answer);
  fprintf(r->out, " %.0f&#160;%%", 100 * (double)a->of_second);
  if (is_wrong(a)) {
    fputs("; is ", r->out);
    label(r, a->truth);
  }
  file_name(r, a->index);
  fputs("</figcaption></figure>\n", r->out);
}

static int64_t count_wrong(const struct report *r) {
  int64_t n = 0;
  for (int64_t i = 0; i < r->answer_count; i++)
    n += is_wrong(&r->answers[i]);
  return n;
}

void report_mistakes(const struct report *r) {
  const struct answer **sorted = sorted_answers(r, by_mistake);
  int64_t wrong = count_wrong(r);
  section_begin(r->out, "mistakes", "The worst mistakes",
                "Wrong answers that it was surest of. Look for wrong labels "
                "first.");
  if (wrong == 0)
    fputs("<p>There are none.</p>\n", r->out);
  fputs("<div class=\"shots\">\n", r->out);
  for (int64_t i = 0; sorted != NULL && i < wrong && i < SHOWN; i++)
    mistake(r, sorted[i]);
  fputs("</div>\n", r->out);
  section_end(r->out);
  free(sorted);
}

void report_unsure(const struct report *r) {
  const struct answer **sorted = sorted_answers(r, by_doubt);
  section_begin(r->out, "unsure", "The least sure answers",
                "Two classes were almost as probable as each other. More "
                "images of this kind would teach it most.");
  fputs("<div class=\"shots\">\n", r->out);
  for (int64_t i = 0; sorted != NULL && i < r->answer_count && i < SHOWN; i++)
    doubt(r, sorted[i]);
  fputs("</div>\n", r->out);
  section_end(r->out);
  free(sorted);
}

/* ---- Where it looked ---------------------------------------------------- */

static void heat_figure(const struct report *r, const imgrec_tensor *image,
                        const imgrec_tensor *view, int class_index,
                        const char *words) {
  imgrec_tensor *map, *overlay;
  if (imgrec_model_explain(&map, r->model, image, class_index) < 0)
    return;
  if (make_overlay(&overlay, r->ctx, view, map) >= 0) {
    fputs("<figure>", r->out);
    write_img(r, overlay, words);
    fputs("<figcaption>", r->out);
    html_text(r->out, words);
    fputs(" ", r->out);
    label(r, class_index);
    fputs("</figcaption></figure>", r->out);
    imgrec_tensor_destroy(overlay);
  }
  imgrec_tensor_destroy(map);
}

static void plain_figure(const struct report *r, const struct answer *a,
                         const imgrec_tensor *view) {
  fputs("<figure>", r->out);
  write_img(r, view, "what the network sees");
  fputs("<figcaption>", r->out);
  if (is_wrong(a)) {
    fputs("is ", r->out);
    label(r, a->truth);
    fputs(", called <span class=\"bad\">", r->out);
  } else {
    fputs("<span class=\"good\">", r->out);
  }
  label(r, a->answer);
  fprintf(r->out, "</span> %.0f&#160;%%</figcaption></figure>",
          100 * (double)a->probability);
}

static void heat(const struct report *r, const struct answer *a) {
  imgrec_tensor *image, *view;
  if (imgrec_dataset_image(&image, r->data, a->index) < 0)
    return;
  if (make_view(&view, r->model, image, 192) >= 0) {
    fprintf(r->out, "<div class=\"card %s\">", is_wrong(a) ? "trio" : "pair");
    plain_figure(r, a, view);
    heat_figure(r, image, view, a->answer, "what speaks for");
    if (is_wrong(a))
      heat_figure(r, image, view, a->truth, "what speaks for");
    fputs("</div>\n", r->out);
    imgrec_tensor_destroy(view);
  }
  imgrec_tensor_destroy(image);
}

/* Those of `sorted` that are right or wrong, one a true class at first; marks
 * classes in `used`. */
static void heat_some(const struct report *r, const struct answer **sorted,
                      int wrong, int most) {
  char *used = calloc((size_t)r->classes, 1);
  int shown = 0;
  for (int64_t i = 0; used != NULL && i < r->answer_count && shown < most;
       i++) {
    const struct answer *a = sorted[i];
    if (is_wrong(a) != wrong || used[a->truth])
      continue;
    used[a->truth] = 1;
    heat(r, a);
    shown++;
  }
  free(used);
}

/* Whether there can be maps at all; not of networks in bytes, for instance. */
static int can_explain(const struct report *r) {
  imgrec_tensor *image, *map;
  if (imgrec_dataset_image(&image, r->data, r->answers[0].index) < 0)
    return 0;
  int status = imgrec_model_explain(&map, r->model, image, -1);
  if (status >= 0)
    imgrec_tensor_destroy(map);
  imgrec_tensor_destroy(image);
  return status >= 0;
}

void report_heat(const struct report *r) {
  const struct answer **sorted = sorted_answers(r, by_mistake);
  section_begin(r->out, "heat", "Where it looks",
                "What the last convolution saw that speaks for a class "
                "(Grad-CAM): yellow most, violet little. The network's own "
                "crop of the image.");
  if (sorted == NULL || r->answer_count == 0 || !can_explain(r)) {
    fputs("<p>This network gives no such map.</p>\n", r->out);
  } else {
    fputs("<h3>Wrong answers</h3>\n<div class=\"heat\">\n", r->out);
    heat_some(r, sorted, 1, HEAT_WRONG);
    fputs("</div>\n<h3 style=\"margin-top:28px\">Right answers</h3>\n"
          "<div class=\"heat right\">\n",
          r->out);
    heat_some(r, sorted, 0, HEAT_RIGHT);
    fputs("</div>\n", r->out);
  }
  section_end(r->out);
  free(sorted);
}
