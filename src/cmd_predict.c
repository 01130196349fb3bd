/* SPDX-License-Identifier: MIT */
/* imgrec predict: what is in each of some image files. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define NAME        "predict"
#define SHOWN_LINES 20

/* What all images share. */
struct recogniser {
  const struct settings *s;
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_result *results; /* room for --top, at most all classes */
  int top;
};

static int check_settings(const struct settings *s) {
  if (s->argument_count < 2)
    return usage_error(NAME, "give a MODEL and at least one IMAGE");
  if (s->show != SHOW_OFF && s->json)
    return usage_error(NAME, "--show and --json exclude each other");
  return EXIT_OK;
}

/* Whether the image is none of the classes. */
static int is_unknown(const struct recogniser *r) {
  return imgrec_model_rejects(r->model, r->results[0].probability);
}

static void print_json(const struct recogniser *r, const char *path,
                       int count) {
  struct json_out j = {stdout, 0};
  json_open(&j, '{');
  json_key(&j, "path"), json_string(&j, path);
  json_key(&j, "top"), json_open(&j, '[');
  for (int i = 0; i < count; i++) {
    json_open(&j, '{');
    json_key(&j, "label"), json_string(&j, r->results[i].label);
    json_key(&j, "class"), json_integer(&j, r->results[i].class_index);
    json_key(&j, "probability");
    json_float(&j, (double)r->results[i].probability);
    json_close(&j, '}');
  }
  json_close(&j, ']');
  json_key(&j, "rejected"), json_bool(&j, is_unknown(r));
  json_finish(&j);
}

static int format_answer(char *out, size_t size, const imgrec_result *result) {
  char name[NAME_SIZE];
  return snprintf(out, size, "%s %.1f %%",
                  printable(name, sizeof name, result->label),
                  100 * (double)result->probability);
}

static void print_line(const struct recogniser *r, const char *path,
                       int count) {
  char text[NAME_SIZE + 32];
  int unknown = is_unknown(r);
  printf("%s: %s", path, unknown ? "none of these (" : "");
  for (int i = 0; i < count; i++) {
    format_answer(text, sizeof text, &r->results[i]);
    printf("%s%s", i > 0 ? ", " : "", text);
  }
  printf("%s\n", unknown ? ")" : "");
  fflush(stdout);
}

static int print_shown(const struct recogniser *r, const char *path,
                       const imgrec_tensor *image, int count) {
  char text[SHOWN_LINES][NAME_SIZE + 32];
  const char *lines[SHOWN_LINES];
  int n = 0;
  snprintf(text[0], sizeof text[0], "%s%s", path,
           is_unknown(r) ? ": none of these" : "");
  for (lines[n] = text[n], n++; n <= count && n < SHOWN_LINES; n++) {
    format_answer(text[n], sizeof text[n], &r->results[n - 1]);
    lines[n] = text[n];
  }
  int status = show_image(image, r->s->show, lines, n);
  fflush(stdout);
  return status;
}

static int recognise(const struct recogniser *r, const char *path) {
  imgrec_tensor *image;
  int status = imgrec_image_load(&image, r->ctx, path, 0);
  if (status < 0)
    return status;
  int count = imgrec_model_classify(r->model, image, r->top, r->results);
  if (count >= 0 && r->s->json)
    print_json(r, path, count);
  else if (count >= 0 && r->s->show != SHOW_OFF)
    count = print_shown(r, path, image, count);
  else if (count >= 0)
    print_line(r, path, count);
  imgrec_tensor_destroy(image);
  return count < 0 ? count : IMGREC_OK;
}

/* The library's sentence without the path that it may begin with. */
static const char *sentence(const struct recogniser *r, const char *path) {
  const char *text = imgrec_last_error(r->ctx);
  size_t n = strlen(path);
  if (strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0)
    return text + n + 2;
  return text;
}

static void report_failure(const struct recogniser *r, const char *path) {
  fail(NAME, "%s: %s", path, sentence(r, path));
  if (!r->s->json)
    return;
  struct json_out j = {stdout, 0};
  json_open(&j, '{');
  json_key(&j, "path"), json_string(&j, path);
  json_key(&j, "error"), json_string(&j, sentence(r, path));
  json_finish(&j);
}

static int predict(struct recogniser *r) {
  const struct settings *s = r->s;
  int code = EXIT_OK, classes = imgrec_model_classes(r->model);
  r->top = s->top < classes ? (int)s->top : classes;
  r->results = calloc((size_t)r->top, sizeof *r->results);
  if (r->results == NULL)
    return fail(NAME, "out of memory");
  for (int i = 1; i < s->argument_count; i++) {
    if (recognise(r, s->arguments[i]) >= 0)
      continue;
    report_failure(r, s->arguments[i]);
    code = EXIT_FAILED;
  }
  free(r->results);
  return code;
}

int cmd_predict(const struct settings *s) {
  struct recogniser r = {s, NULL, NULL, NULL, 0};
  imgrec_model_options options;
  int code = check_settings(s);
  if (code == EXIT_OK)
    code = open_context(&r.ctx, s, NAME);
  if (code != EXIT_OK)
    return code;
  imgrec_model_options_init(&options, sizeof options);
  options.max_batch = 1;
  if (imgrec_model_load(&r.model, r.ctx, s->arguments[0], &options) < 0)
    code = fail(NAME, "%s", imgrec_last_error(r.ctx));
  else
    code = predict(&r);
  imgrec_model_destroy(r.model);
  imgrec_context_destroy(r.ctx);
  return code;
}
