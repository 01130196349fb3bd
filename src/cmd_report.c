/* SPDX-License-Identifier: MIT */
/* imgrec report: one page on what a model learned and where it errs. */
#include "report.h"

#include "data_care.h"
#include "run_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME "report"

/* ---- The page ----------------------------------------------------------- */

static void write_page(const struct report *r) {
  page_begin(r->out, r->model_path);
  report_summary(r);
  report_curves(r);
  report_confusion(r);
  report_classes(r);
  report_mistakes(r);
  report_unsure(r);
  report_heat(r);
  report_calibration(r);
  report_filters(r);
  report_preview(r);
  report_counts(r);
  report_network(r);
  report_repeat(r);
  page_end(r->out);
}

/* Beside its place first, so that there is never a part of it. */
static char *temporary_name(const char *path) {
  size_t size = strlen(path) + 5;
  char *name = malloc(size);
  if (name != NULL)
    snprintf(name, size, "%s.tmp", path);
  return name;
}

int report_write(struct report *r, const char *path, const char *command) {
  char *name = temporary_name(path);
  if (name == NULL)
    return fail(command, "%s: out of memory", path);
  r->out = os_open(name, "wb");
  int failed = r->out == NULL;
  if (r->out != NULL) {
    write_page(r);
    failed = ferror(r->out) != 0;
    failed |= fclose(r->out) != 0;
    failed = failed || os_replace(name, path) != 0;
  }
  int code = EXIT_OK;
  if (failed) {
    code = fail(command, "%s: %s", path,
                errno ? strerror(errno) : "cannot be written");
    os_remove(name);
  }
  free(name);
  return code;
}

/* ---- Data --------------------------------------------------------------- */

static int open_part(imgrec_dataset **out, struct report *r, const char *path,
                     int part) {
  int status = open_first_part(out, NULL, r->ctx, path, &part, 1);
  if (status < 0)
    return status;
  warn_skipped(*out, NAME);
  return match_classes(*out, r->model);
}

/* What was asked for with --val or --test: that part, or all of it. */
static int open_given(imgrec_dataset **out, struct report *r, const char *path,
                      int part) {
  int status = open_part(out, r, path, part);
  return status == IMGREC_ERR_NOT_FOUND && *out == NULL
             ? open_part(out, r, path, IMGREC_PART_ANY)
             : status;
}

/* The images that `imgrec train` split off to validate on. */
static int split_off(struct report *r) {
  imgrec_dataset *first, *second;
  int status = imgrec_dataset_split(&first, &second, r->train,
                                    (float)r->s->val_split, r->s->seed);
  if (status < 0)
    return status;
  imgrec_dataset_destroy(r->train);
  r->train = first;
  r->data = second;
  r->split = 1;
  return IMGREC_OK;
}

/* All of it, among which may be what the model learned from. */
static int take_all(struct report *r, const char *path) {
  imgrec_dataset_destroy(r->train);
  r->train = NULL;
  r->measured = "given";
  r->learned = 1;
  return open_part(&r->data, r, path, IMGREC_PART_ANY);
}

static int open_measured(struct report *r, const char *path) {
  const struct settings *s = r->s;
  int status = IMGREC_ERR_NOT_FOUND;
  if (s->val != NULL)
    return open_given(&r->data, r, s->val, IMGREC_PART_VAL);
  status = open_part(&r->data, r, path, IMGREC_PART_VAL);
  if (status != IMGREC_ERR_NOT_FOUND || r->data != NULL)
    return status;
  if (r->train != NULL && s->val_split > 0)
    return split_off(r);
  r->measured = "test";
  status = open_part(&r->data, r, path, IMGREC_PART_TEST);
  if (status != IMGREC_ERR_NOT_FOUND || r->data != NULL)
    return status;
  return take_all(r, path);
}

static int open_data(struct report *r) {
  const char *path = r->s->arguments[1];
  static const int parts[] = {IMGREC_PART_TRAIN, IMGREC_PART_ANY};
  r->measured = "validation";
  int status = open_first_part(&r->train, NULL, r->ctx, path, parts, 2);
  if (status < 0 && status != IMGREC_ERR_NOT_FOUND)
    return status;
  if ((status = open_measured(r, path)) < 0)
    return status;
  if (r->s->test != NULL)
    status = open_given(&r->test, r, r->s->test, IMGREC_PART_TEST);
  return status;
}

/* Training has left out of validation what it learned from; so does this. */
static int keep_apart(struct report *r) {
  struct care c = {.command = NAME};
  int64_t images = imgrec_dataset_size(r->data);
  if (r->train == NULL || r->learned || r->s->no_check)
    return EXIT_OK;
  care_add(&c, r->train, "train", 0);
  care_add(&c, r->data, "val", r->split);
  int train = care_find(&c, "train"), val = care_find(&c, "val");
  int code = care_examine(&c, r->ctx);
  if (code == EXIT_OK)
    r->learned = care_overlap(&c, val, train).images == images;
  if (code == EXIT_OK && !r->learned)
    code = care_refuse(&c, r->ctx);
  care_free(&c);
  int64_t left_out = images - imgrec_dataset_size(r->data);
  if (left_out > 0)
    printf("left out: %lld images that are among those to train on\n",
           (long long)left_out);
  return code;
}

/* What else they are, the run may have learned from. */
static int compare_with_run(struct report *r, const struct config *c) {
  char digest[65];
  if (c->val_digest == NULL || strcmp(r->measured, "validation") != 0)
    return IMGREC_OK;
  int status = imgrec_dataset_digest(r->data, digest, sizeof digest);
  if (status >= 0 && strcmp(digest, c->val_digest) != 0) {
    fail(NAME,
         "%s was validated on other images than these, and may have learned "
         "from some of them",
         r->run);
    r->learned = 1;
  }
  return status;
}

/* ---- The command -------------------------------------------------------- */

static int check_settings(const struct settings *s) {
  if (s->argument_count != 2)
    return usage_error(NAME, "give a MODEL and a DATA");
  if (s->output == NULL)
    return usage_error(NAME, "-o HTML is missing: the page to write");
  return EXIT_OK;
}

/* --log, else the log of --run. */
static int open_log(struct report *r) {
  const char *folder = r->run;
  if (r->s->log != NULL)
    return read_log(&r->log, r->s->log, NAME);
  if (folder == NULL)
    return EXIT_OK;
  size_t size = strlen(folder) + sizeof "/log.jsonl";
  char *path = malloc(size);
  if (path == NULL)
    return fail(NAME, "out of memory");
  snprintf(path, size, "%s/log.jsonl", folder);
  int code = read_log(&r->log, path, NAME);
  free(path);
  return code;
}

static int library_code(const struct report *r, int status) {
  if (status == IMGREC_ERR_MEMORY)
    return fail(NAME, "out of memory");
  return status < 0 ? fail(NAME, "%s", imgrec_last_error(r->ctx)) : EXIT_OK;
}

static int measure(struct report *r, const struct config *c) {
  int status = imgrec_model_load(&r->model, r->ctx, r->model_path, NULL);
  if (status >= 0)
    status = open_data(r);
  int code = library_code(r, status);
  if (code == EXIT_OK)
    code = keep_apart(r);
  if (code != EXIT_OK)
    return code;
  status = compare_with_run(r, c);
  return library_code(r, status < 0 ? status : report_measure(r));
}

static int report(struct report *r, const struct config *c) {
  int code = open_log(r);
  if (code == EXIT_OK)
    code = measure(r, c);
  if (code != EXIT_OK)
    return code;
  code = report_write(r, r->s->output, NAME);
  if (code == EXIT_OK)
    printf("%s: %.1f %% of %lld %s images are right (95 %% interval %.1f to "
           "%.1f %%)\n",
           r->s->output, 100 * r->e.top1, (long long)r->e.images, r->measured,
           100 * r->e.top1_low, 100 * r->e.top1_high);
  return code;
}

static void take_option(void *user, const char *name, const char *value,
                        int is_path) {
  static const char *const names[] = {"seed", "val-split", "val", "test"};
  (void)is_path;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(name, names[i]) == 0)
      set_option(user, CMD_REPORT, name, value);
}

/* What says which images are which is as the run was told, unless given. */
static int take_options(struct settings *own, struct config *c) {
  struct settings told = {.val = NULL};
  int other_images = own->val != NULL;
  if (own->report_run == NULL || !run_has_config(own->report_run))
    return EXIT_OK;
  int code = config_read(c, &told, own->report_run, NAME);
  each_given_option(&told, take_option, own);
  own->no_check = told.no_check;
  if (other_images)
    c->val_digest = NULL; /* as is wished */
  return code;
}

int cmd_report(const struct settings *s) {
  struct report r;
  struct settings own = *s;
  struct config config = {.text = NULL};
  int code = check_settings(s);
  if (code != EXIT_OK)
    return code;
  memset(&r, 0, sizeof r);
  r.s = &own;
  r.model_path = s->arguments[0];
  r.run = s->report_run;
  code = take_options(&own, &config);
  if (code == EXIT_OK)
    code = open_context(&r.ctx, &own, NAME);
  if (code == EXIT_OK)
    code = report(&r, &config);
  free(config.text);
  report_free(&r);
  imgrec_dataset_destroy(r.train);
  imgrec_dataset_destroy(r.data);
  imgrec_dataset_destroy(r.test);
  imgrec_model_destroy(r.model);
  imgrec_context_destroy(r.ctx);
  return code;
}

/* ---- At the end of a training run --------------------------------------- */

static int report_run(struct report *r) {
  size_t size = strlen(r->run) + sizeof "/report.html";
  char *path = malloc(size);
  if (path == NULL)
    return fail("train", "out of memory for the report");
  snprintf(path, size, "%s/report.html", r->run);
  int code = open_log(r);
  if (code == EXIT_OK && report_measure(r) < 0)
    code = fail("train", "the report: %s", imgrec_last_error(r->ctx));
  if (code == EXIT_OK)
    code = report_write(r, path, "train");
  free(path);
  return code;
}

int write_run_report(const struct settings *s, imgrec_context *ctx,
                     imgrec_model *model, const char *run,
                     const struct run_data *data) {
  struct report r;
  memset(&r, 0, sizeof r);
  r.s = s;
  r.ctx = ctx;
  r.model = model;
  r.model_path = s->output != NULL ? s->output : run;
  r.run = run;
  r.train = data->train;
  r.data = data->val != NULL ? data->val : data->train;
  r.test = data->test;
  r.measured = data->val != NULL ? "validation" : "training";
  r.split = data->split;
  r.learned = data->val == NULL;
  int code = report_run(&r);
  report_free(&r);
  return code;
}
