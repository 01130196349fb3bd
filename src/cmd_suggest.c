/* SPDX-License-Identifier: MIT */
/* imgrec suggest: tries networks of several sizes on the user's images, on
 * this machine, and names one. */
#include "suggest.h"

#include <math.h>
#include <string.h>

#define NAME "suggest"

enum { MOST_CANDIDATES = 6, MOST_VALIDATION = 1000, SMALL_SIDE = 64 };

#define DEFAULT_SECONDS 120

static int check_settings(const struct settings *s) {
  if (s->argument_count != 1)
    return usage_error(NAME, "give one DATA, not %d", s->argument_count);
  return EXIT_OK;
}

/* ---- Data --------------------------------------------------------------- */

static int library_failed(const struct suggest *s) {
  return fail(NAME, "%s", imgrec_last_error(s->ctx));
}

/* A fraction of *from becomes *part, the rest stays in *rest; what was in the
 * two before goes. */
static int split_off(struct suggest *s, imgrec_dataset *from, double fraction,
                     imgrec_dataset **rest, imgrec_dataset **part) {
  imgrec_dataset *first, *second;
  if (imgrec_dataset_split(&first, &second, from, (float)fraction,
                           s->settings->seed) < 0)
    return library_failed(s);
  imgrec_dataset_destroy(*rest);
  *rest = first;
  if (part != rest)
    imgrec_dataset_destroy(*part);
  *part = second;
  return EXIT_OK;
}

/* Measuring more images takes longer and says hardly more. */
static int limit_validation(struct suggest *s) {
  imgrec_dataset *rest = NULL;
  int64_t n = imgrec_dataset_size(s->val);
  if (n <= MOST_VALIDATION)
    return EXIT_OK;
  int code = split_off(s, s->val, MOST_VALIDATION / (double)n, &rest, &s->val);
  imgrec_dataset_destroy(rest);
  return code;
}

static int open_data(struct suggest *s) {
  static const int val[] = {IMGREC_PART_VAL};
  const char *path = s->settings->arguments[0];
  int code = open_training(&s->train, s->ctx, path, NAME);
  if (code == EXIT_OK)
    code = check_class_count(s->train, path, NAME);
  if (code != EXIT_OK)
    return code;
  int status = open_first_part(&s->val, NULL, s->ctx, path, val, 1);
  if (status < 0 && status != IMGREC_ERR_NOT_FOUND)
    return library_failed(s);
  if (status < 0 && s->settings->val_split <= 0)
    return fail(NAME, "%s has no val part, so --val-split must be above 0",
                path);
  if (status < 0)
    code = split_off(s, s->train, s->settings->val_split, &s->train, &s->val);
  if (code == EXIT_OK && imgrec_dataset_size(s->val) == 0)
    code = fail(NAME, "no images are left for validation; give more of them, "
                      "or a greater --val-split");
  return code == EXIT_OK ? limit_validation(s) : code;
}

/* ---- Candidates --------------------------------------------------------- */

static void add(struct suggest *s, const char *preset, int height, int width) {
  s->candidates[s->count++] =
      (struct candidate){.preset = preset, .height = height, .width = width};
}

/* Photos can be made smaller, so that some are tried in two sizes. */
static void add_for_photos(struct suggest *s) {
  add(s, "nano", 96, 96);
  add(s, "small", 96, 96);
  add(s, "small", 160, 160);
  add(s, "base", 128, 128);
  add(s, "mobilenet_v2", 128, 128);
  add(s, "large", 160, 160);
}

static void add_for_size(struct suggest *s, int height, int width) {
  int side = height < width ? height : width;
  add(s, "nano", height, width);
  add(s, side < 16 ? "tiny" : "small", height, width);
  add(s, side < SMALL_SIDE ? "resnet8" : "mobilenet_v2", height, width);
  add(s, "base", height, width);
  if (side < SMALL_SIDE)
    add(s, "cifar_fast", height, width);
  add(s, "large", height, width);
}

static void choose_candidates(struct suggest *s) {
  const struct settings *set = s->settings;
  int64_t shape[3];
  imgrec_dataset_shape(s->train, shape);
  s->channels = shape[2] > 0 ? (int)shape[2] : 3;
  if (set->height > 0)
    add_for_size(s, set->height, set->width);
  else if (shape[0] > 0 && shape[1] > 0 && shape[0] <= 96 && shape[1] <= 96)
    add_for_size(s, (int)shape[0], (int)shape[1]);
  else
    add_for_photos(s);
}

static int is_open(const struct candidate *c) {
  return c->too_much == NULL && isnan(c->accuracy) && c->epochs <= 0;
}

/* The time that is left, shared among those not yet trained by the root of what
 * an image costs: dearer ones get more time, but fewer epochs. */
static double share_of(const struct suggest *s, const struct candidate *c) {
  double sum = 0;
  for (int i = 0; i < s->count; i++)
    if (is_open(&s->candidates[i]))
      sum += sqrt(s->candidates[i].step_ms);
  double left = s->deadline - seconds_now();
  return left > 0 ? left * sqrt(c->step_ms) / sum : 0;
}

/* Measuring takes its time from the training, but leaves half of it. */
static int measure_all(struct suggest *s) {
  double half = (s->deadline - seconds_now()) / 2;
  int code = EXIT_OK;
  for (int i = 0; i < s->count && code == EXIT_OK; i++)
    code = measure_candidate(s, &s->candidates[i]);
  s->deadline = fmax(s->deadline, seconds_now() + half);
  return code;
}

static int try_all(struct suggest *s) {
  int code = measure_all(s);
  for (int i = 0; i < s->count && code == EXIT_OK; i++) {
    struct candidate *c = &s->candidates[i];
    if (is_open(c))
      code = train_candidate(s, c, share_of(s, c));
    if (code == EXIT_OK)
      print_candidate(s, c);
  }
  return code;
}

/* ---- The choice --------------------------------------------------------- */

double uncertainty(double accuracy, int64_t images) {
  double n = (double)images, z = 1.96;
  /* Wilson's interval, which also holds near 0 and 1 */
  return z / (1 + z * z / n) *
         sqrt(accuracy * (1 - accuracy) / n + z * z / (4 * n * n));
}

static const struct candidate *find_best(const struct suggest *s) {
  const struct candidate *best = NULL;
  for (int i = 0; i < s->count; i++) {
    const struct candidate *c = &s->candidates[i];
    if (!isnan(c->accuracy) && (!best || c->accuracy > best->accuracy))
      best = c;
  }
  return best;
}

/* The fastest of those that are not clearly worse than the best: within half
 * of the uncertainty, as all see the same images. */
static const struct candidate *choose(const struct suggest *s,
                                      const struct candidate *best) {
  const struct candidate *choice = best;
  if (best == NULL)
    return NULL;
  double least = best->accuracy -
                 uncertainty(best->accuracy, imgrec_dataset_size(s->val)) / 2;
  for (int i = 0; i < s->count; i++) {
    const struct candidate *c = &s->candidates[i];
    if (!isnan(c->accuracy) && c->accuracy >= least &&
        c->latency_ms < choice->latency_ms)
      choice = c;
  }
  return choice;
}

/* ---- The command -------------------------------------------------------- */

static int suggest(struct suggest *s) {
  int code = open_data(s);
  if (code != EXIT_OK)
    return code;
  choose_candidates(s);
  print_suggest_start(s);
  catch_stop_signals();
  code = try_all(s);
  int number = stop_signal();
  release_stop_signals();
  if (number != 0) {
    fail(NAME, "interrupted");
    return 128 + number;
  }
  if (code != EXIT_OK)
    return code;
  const struct candidate *best = find_best(s);
  if (best == NULL)
    return fail(NAME, "none of these networks keeps within the limits");
  print_choice(s, best, choose(s, best));
  return EXIT_OK;
}

int cmd_suggest(const struct settings *settings) {
  struct candidate candidates[MOST_CANDIDATES];
  struct suggest s;
  int code = check_settings(settings);
  if (code != EXIT_OK)
    return code;
  memset(&s, 0, sizeof s);
  s.settings = settings;
  s.candidates = candidates;
  s.deadline = seconds_now() +
               (settings->seconds > 0 ? settings->seconds : DEFAULT_SECONDS);
  code = open_context(&s.ctx, settings, NAME);
  if (code != EXIT_OK)
    return code;
  code = suggest(&s);
  imgrec_dataset_destroy(s.train);
  imgrec_dataset_destroy(s.val);
  imgrec_context_destroy(s.ctx);
  return code;
}
