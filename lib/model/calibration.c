/* SPDX-License-Identifier: MIT */
/* How sure the model is: probabilities from logits, and which are too small. */
#include "graph.h"

#define MOST_TEMPERATURE 64.0F

int imgrec_calibration_init(imgrec_calibration *calibration,
                            size_t struct_size) {
  const imgrec_calibration defaults = {.struct_size = sizeof defaults,
                                       .temperature = 1};
  return imgrec__options_init(calibration, struct_size, &defaults,
                              sizeof defaults);
}

void imgrec__model_uncalibrate(struct imgrec_model *m) {
  imgrec_calibration_init(&m->calibration, sizeof m->calibration);
}

int imgrec__model_calibrated(const struct imgrec_model *m) {
  return m->calibration.temperature != 1 ||
         m->calibration.reject_threshold != 0;
}

static int check(struct error *e, const imgrec_calibration *c) {
  if (!(c->temperature >= 1 / MOST_TEMPERATURE &&
        c->temperature <= MOST_TEMPERATURE))
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "calibration: temperature is %g; it must be 1/64 to 64",
                        (double)c->temperature);
  if (!(c->reject_threshold >= 0 && c->reject_threshold < 1))
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "calibration: reject_threshold is %g; it must be in "
                        "[0, 1)",
                        (double)c->reject_threshold);
  return IMGREC_OK;
}

static int set_calibration(struct imgrec_model *m,
                           const imgrec_calibration *calibration) {
  struct error *e = &m->context->error;
  imgrec_calibration c;
  imgrec_calibration_init(&c, sizeof c);
  int status =
      imgrec__options_read(e, &c, sizeof c, calibration, "imgrec_calibration");
  if (status < 0)
    return status;
  if (c.temperature == 0) /* of a caller who knows no such field */
    c.temperature = 1;
  if ((status = check(e, &c)) < 0)
    return status;
  m->calibration = c;
  return IMGREC_OK;
}

int imgrec_model_set_calibration(imgrec_model *m,
                                 const imgrec_calibration *calibration) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  uint64_t fp = imgrec__fp_enter();
  int status = set_calibration(m, calibration);
  imgrec__fp_leave(fp);
  return status;
}

int imgrec_model_get_calibration(const imgrec_model *m,
                                 imgrec_calibration *calibration) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  if (!calibration)
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_get_calibration: calibration is NULL");
  imgrec__options_write(calibration, &m->calibration, sizeof m->calibration);
  return IMGREC_OK;
}

int imgrec_model_rejects(const imgrec_model *m, float probability) {
  if (!m)
    return 0;
  uint64_t fp = imgrec__fp_enter();
  float least = m->calibration.reject_threshold;
  int rejects = least > 0 && !(probability >= least); /* a NaN too */
  imgrec__fp_leave(fp);
  return rejects;
}

void imgrec__model_probabilities(const struct imgrec_model *m, const float *z,
                                 float *p) {
  size_t classes = (size_t)imgrec_model_classes(m);
  float temperature = m->calibration.temperature;
  for (size_t i = 0; i < classes; i++)
    p[i] = z[i] / temperature;
  m->context->kernels->softmax(p, p, classes);
}
