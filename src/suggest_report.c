/* SPDX-License-Identifier: MIT */
/* The table of `imgrec suggest`, its choice, and both as JSON. */
#include "suggest.h"

#include <math.h>
#include <string.h>

/* ---- Numbers for people ------------------------------------------------- */

/* "1.5 M", "57 k" */
static const char *short_count(char *out, size_t size, int64_t x) {
  if (x >= 1000000)
    snprintf(out, size, "%.*f M", x < 10000000, (double)x / 1e6);
  else
    snprintf(out, size, "%.0f k", (double)x / 1e3);
  return out;
}

/* "6.1 MiB" */
static const char *mebibytes(char *out, size_t size, int64_t bytes) {
  double x = (double)bytes / 1048576;
  snprintf(out, size, "%.*f MiB", x < 10 ? 1 : 0, x);
  return out;
}

/* "0.38": three figures or so, whatever the size */
static const char *milliseconds(char *out, size_t size, double x) {
  snprintf(out, size, "%.*f", x < 1 ? 2 : x < 100 ? 1 : 0, x);
  return out;
}

/* ---- Start -------------------------------------------------------------- */

static void print_header(void) {
  printf("%-12s %9s %7s %7s %8s %9s %9s %8s %7s %8s\n", "network", "input",
         "params", "mul-add", "file", "to run", "to train", "ms/image",
         "epochs", "accuracy");
}

static void print_start_json(const struct suggest *s) {
  struct json_out j = {stdout, 0};
  json_open(&j, '{');
  json_key(&j, "event"), json_string(&j, "start");
  json_key(&j, "data");
  json_string(&j, imgrec_dataset_description(s->train));
  json_key(&j, "train_images"), json_integer(&j, imgrec_dataset_size(s->train));
  json_key(&j, "val_images"), json_integer(&j, imgrec_dataset_size(s->val));
  json_key(&j, "seconds"), json_float(&j, s->deadline - seconds_now());
  json_key(&j, "candidates"), json_integer(&j, s->count);
  json_finish(&j);
}

void print_suggest_start(const struct suggest *s) {
  char line[4 * NAME_SIZE];
  if (s->settings->json) {
    print_start_json(s);
    return;
  }
  printf("data: %s\n",
         printable(line, sizeof line, imgrec_dataset_description(s->train)));
  printf("trying %d networks on %lld images for about %.0f s, measuring them "
         "on %lld others\n\n",
         s->count, (long long)imgrec_dataset_size(s->train),
         s->deadline - seconds_now(), (long long)imgrec_dataset_size(s->val));
  print_header();
  fflush(stdout);
}

/* ---- Rows --------------------------------------------------------------- */

static void print_candidate_json(const struct candidate *c) {
  struct json_out j = {stdout, 0};
  json_open(&j, '{');
  json_key(&j, "event"), json_string(&j, "candidate");
  json_key(&j, "network"), json_string(&j, c->preset);
  json_key(&j, "input"), json_open(&j, '[');
  json_integer(&j, c->height), json_integer(&j, c->width);
  json_close(&j, ']');
  json_key(&j, "parameters"), json_integer(&j, c->parameters);
  json_key(&j, "multiply_adds"), json_integer(&j, c->multiply_adds);
  json_key(&j, "file_bytes"), json_integer(&j, c->file_bytes);
  json_key(&j, "run_bytes"), json_integer(&j, c->run_bytes);
  json_key(&j, "train_bytes"), json_integer(&j, c->train_bytes);
  json_key(&j, "latency_ms"), json_float(&j, c->latency_ms);
  json_key(&j, "train_ms"), json_float(&j, c->step_ms);
  json_key(&j, "over_limit"), json_string(&j, c->too_much);
  json_key(&j, "epochs"), json_float(&j, c->epochs);
  json_key(&j, "accuracy"), json_float(&j, c->accuracy);
  json_finish(&j);
}

void print_candidate(const struct suggest *s, const struct candidate *c) {
  char input[24], params[16], work[16], file[16], run[16], train[16], ms[16];
  if (s->settings->json) {
    print_candidate_json(c);
    return;
  }
  snprintf(input, sizeof input, "%d x %d", c->height, c->width);
  printf("%-12s %9s %7s %7s %8s %9s %9s %8s ", c->preset, input,
         short_count(params, sizeof params, c->parameters),
         short_count(work, sizeof work, c->multiply_adds),
         mebibytes(file, sizeof file, c->file_bytes),
         mebibytes(run, sizeof run, c->run_bytes),
         mebibytes(train, sizeof train, c->train_bytes),
         milliseconds(ms, sizeof ms, c->latency_ms));
  if (c->too_much != NULL)
    printf("over %s\n", c->too_much);
  else if (isnan(c->accuracy))
    printf("the loss became infinite\n");
  else
    printf("%7.1f %6.1f %%\n", c->epochs, 100 * c->accuracy);
  fflush(stdout);
}

/* ---- Choice ------------------------------------------------------------- */

static void write_reason(char *out, size_t size, const struct suggest *s,
                         const struct candidate *best,
                         const struct candidate *choice) {
  double images =
      100 * uncertainty(best->accuracy, imgrec_dataset_size(s->val));
  if (choice == best)
    snprintf(out, size,
             "no network within the limits recognised more in this time, and "
             "no faster one as much");
  else
    snprintf(out, size,
             "%s %d x %d reached %.1f %% instead of %.1f %%, which on %lld "
             "images (+- %.1f) is no clear difference, and takes %.1f times as "
             "long for an image",
             best->preset, best->height, best->width, 100 * best->accuracy,
             100 * choice->accuracy, (long long)imgrec_dataset_size(s->val),
             images, best->latency_ms / choice->latency_ms);
}

static void print_choice_json(const struct candidate *c, const char *reason) {
  struct json_out j = {stdout, 0};
  json_open(&j, '{');
  json_key(&j, "event"), json_string(&j, "choice");
  json_key(&j, "network"), json_string(&j, c->preset);
  json_key(&j, "input"), json_open(&j, '[');
  json_integer(&j, c->height), json_integer(&j, c->width);
  json_close(&j, ']');
  json_key(&j, "accuracy"), json_float(&j, c->accuracy);
  json_key(&j, "reason"), json_string(&j, reason);
  json_finish(&j);
}

void print_choice(const struct suggest *s, const struct candidate *best,
                  const struct candidate *c) {
  char reason[400], path[NAME_SIZE];
  write_reason(reason, sizeof reason, s, best, c);
  if (s->settings->json) {
    print_choice_json(c, reason);
    return;
  }
  printf("\nchoice: %s %d x %d: %s\n", c->preset, c->height, c->width, reason);
  if (c->epochs < 3)
    puts("trained for less than 3 epochs: --seconds with a larger number says "
         "more");
  printf("train it: imgrec train %s --preset %s --size %dx%d -o MODEL\n",
         printable(path, sizeof path, s->settings->arguments[0]), c->preset,
         c->height, c->width);
}
