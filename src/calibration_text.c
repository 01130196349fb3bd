/* SPDX-License-Identifier: MIT */
/* What calibrating a model came to, in words. */
#include "cli.h"

int calibrate_model(imgrec_model *model, imgrec_dataset *data,
                    const struct settings *s, imgrec_calibrate_result *result) {
  imgrec_calibrate_options options;
  imgrec_calibrate_options_init(&options, sizeof options);
  imgrec_calibrate_result_init(result, sizeof *result);
  options.reject_rate = (float)s->reject_rate;
  return imgrec_model_calibrate(model, data, &options, result);
}

static imgrec_calibration calibration_of(const imgrec_model *model) {
  imgrec_calibration c;
  imgrec_calibration_init(&c, sizeof c);
  imgrec_model_get_calibration(model, &c);
  return c;
}

void print_calibration(const imgrec_model *model,
                       const imgrec_calibrate_result *r) {
  const imgrec_calibration c = calibration_of(model);
  printf("calibrated on %lld images: temperature %.3f, calibration error "
         "%.1f %% -> %.1f %%\n",
         (long long)r->images, (double)c.temperature, 100 * r->error_before,
         100 * r->error_after);
  if (c.reject_threshold > 0)
    printf("'none of these' below %.1f %%, which rejects %.1f %% of them\n",
           100 * (double)c.reject_threshold, 100 * r->rejected);
}

void json_calibration(struct json_out *j, const imgrec_model *model,
                      const imgrec_calibrate_result *r) {
  const imgrec_calibration c = calibration_of(model);
  json_key(j, "temperature"), json_float(j, (double)c.temperature);
  json_key(j, "calibration_error_before"), json_float(j, r->error_before);
  json_key(j, "calibration_error"), json_float(j, r->error_after);
  json_key(j, "reject_threshold");
  json_float(j, (double)c.reject_threshold);
  json_key(j, "rejected"), json_float(j, r->rejected);
}
