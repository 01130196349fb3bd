/* SPDX-License-Identifier: MIT */
/* imgrec calibrate: probabilities that mean what they say, and a threshold
 * below which an image is none of the classes. */
#include "cli.h"

#define NAME "calibrate"

static int check_settings(const struct settings *s) {
  if (s->argument_count != 2)
    return usage_error(NAME, "give a MODEL and a DATA");
  if (s->output == NULL)
    return usage_error(NAME, "-o MODEL is missing: where to save the model");
  return EXIT_OK;
}

static int open_data(imgrec_dataset **out, const struct settings *s,
                     imgrec_context *ctx, const imgrec_model *model) {
  static const int usual[] = {IMGREC_PART_VAL, IMGREC_PART_ANY};
  int status = open_first_part(out, NULL, ctx, s->arguments[1],
                               s->part ? &s->part : usual, s->part ? 1 : 2);
  if (status < 0)
    return status;
  warn_skipped(*out, NAME);
  status = match_classes(*out, model);
  if (status < 0)
    imgrec_dataset_destroy(*out);
  return status;
}

static void report(const struct settings *s, const imgrec_model *model,
                   const imgrec_calibrate_result *r) {
  if (!s->json) {
    print_calibration(model, r);
    printf("saved %s\n", s->output);
    return;
  }
  struct json_out j = {stdout, 0};
  json_open(&j, '{');
  json_key(&j, "output"), json_string(&j, s->output);
  json_key(&j, "images"), json_integer(&j, r->images);
  json_calibration(&j, model, r);
  json_finish(&j);
}

static int calibrate(const struct settings *s, imgrec_context *ctx,
                     imgrec_model *model) {
  imgrec_dataset *data;
  imgrec_calibrate_result r;
  int status = open_data(&data, s, ctx, model);
  if (status < 0)
    return status;
  status = calibrate_model(model, data, s, &r);
  imgrec_dataset_destroy(data);
  if (status >= 0)
    status = imgrec_model_save(model, s->output);
  if (status >= 0)
    report(s, model, &r);
  return status;
}

int cmd_calibrate(const struct settings *s) {
  imgrec_context *ctx;
  imgrec_model *model = NULL;
  int code = check_settings(s);
  if (code == EXIT_OK)
    code = open_context(&ctx, s, NAME);
  if (code != EXIT_OK)
    return code;
  int status = imgrec_model_load(&model, ctx, s->arguments[0], NULL);
  if (status >= 0)
    status = calibrate(s, ctx, model);
  if (status < 0)
    code = fail(NAME, "%s", imgrec_last_error(ctx));
  imgrec_model_destroy(model);
  imgrec_context_destroy(ctx);
  return code;
}
