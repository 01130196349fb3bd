/* SPDX-License-Identifier: MIT */
/* Learning rates over a run: each a pure function of the step, so that a run
 * that is taken up again goes on as it would have. */
#include <math.h>

#include "train.h"

#define PI 3.14159265358979323846

/* cos(pi x) for x in [0, 1], to 1e-15: Taylor's series up to x^22, of the
 * nearer half. */
static double cos_pi(double x) {
  int upper = x > 0.5;
  double angle = PI * (upper ? 1 - x : x), square = angle * angle, sum = 1;
  for (int i = 22; i > 0; i -= 2)
    sum = 1 - sum * square / (i * (i - 1));
  return upper ? -sum : sum;
}

/* From a at x = 0 to b at x = 1. */
static double half_cosine(double a, double b, double x) {
  x = x < 0 ? 0 : x > 1 ? 1 : x;
  return b + (a - b) * (1 + cos_pi(x)) / 2;
}

static double steps_down(const struct schedule *s, double step) {
  double factor = 1;
  for (double at = s->every; at <= step && factor > 0; at += s->every)
    factor *= s->factor;
  return factor;
}

static double cosine(const struct schedule *s, double step) {
  if (step < s->warmup)
    return 1;
  return half_cosine(1, s->end, (step - s->warmup) / (s->total - s->warmup));
}

/* PyTorch's OneCycleLR of two phases. */
static double one_cycle(const struct schedule *s, double step) {
  const double start = 1.0 / 25;
  double top = s->warmup - 1, last = s->total - 1;
  if (step <= top)
    return top > 0 ? half_cosine(start, 1, step / top) : 1;
  return half_cosine(1, s->end, last > top ? (step - top) / (last - top) : 1);
}

static double shape(const struct schedule *s, double step) {
  switch (s->kind) {
  case IMGREC_SCHEDULE_STEP:
    return steps_down(s, step);
  case IMGREC_SCHEDULE_COSINE:
    return cosine(s, step);
  case IMGREC_SCHEDULE_ONE_CYCLE:
    return one_cycle(s, step);
  default:
    return 1;
  }
}

float imgrec__schedule_rate(const struct schedule *s, uint64_t step) {
  double t = (double)step, factor = shape(s, t);
  if (s->kind != IMGREC_SCHEDULE_ONE_CYCLE && t < s->warmup)
    factor *= (t + 1) / s->warmup;
  return (float)((double)s->rate * factor);
}

/* ---- From options ------------------------------------------------------- */

static int fail_range(struct error *e, const char *name, const char *range) {
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT, "%s must be %s", name, range);
}

static int is_count(float x) { return x >= 0 && isfinite(x); }

int imgrec__schedule_check(const imgrec_fit_options *o, struct error *e) {
  if (o->schedule < IMGREC_SCHEDULE_CONSTANT ||
      o->schedule > IMGREC_SCHEDULE_ONE_CYCLE)
    return fail_range(e, "schedule", "an IMGREC_SCHEDULE_ value");
  if (!is_count(o->warmup_epochs) || o->warmup_epochs > (float)o->epochs)
    return fail_range(e, "warmup_epochs", "0 to the number of epochs");
  if (!is_count(o->step_epochs))
    return fail_range(e, "step_epochs", "0 or a positive number");
  if (!(o->step_factor >= 0 && o->step_factor <= 1))
    return fail_range(e, "step_factor", "in [0, 1]");
  if (!(o->final_factor >= 0 && o->final_factor <= 1))
    return fail_range(e, "final_factor", "in [0, 1]");
  return IMGREC_OK;
}

/* Steps in a number of epochs, at least one. */
static double steps_in(double epochs, uint64_t steps_per_epoch) {
  double steps = floor(epochs * (double)steps_per_epoch + 0.5);
  return steps < 1 ? 1 : steps;
}

struct schedule imgrec__schedule_of(const imgrec_fit_options *o, float rate,
                                    uint64_t steps_per_epoch) {
  int one_cycle = o->schedule == IMGREC_SCHEDULE_ONE_CYCLE;
  double epochs = o->epochs, warmup = (double)o->warmup_epochs;
  double every = o->step_epochs > 0 ? (double)o->step_epochs : epochs / 3;
  struct schedule s = {.kind = o->schedule, .rate = rate};
  s.total = epochs * (double)steps_per_epoch;
  if (one_cycle && warmup == 0)
    warmup = 0.3 * epochs;
  s.warmup = warmup > 0 ? steps_in(warmup, steps_per_epoch) : 0;
  s.every = steps_in(every, steps_per_epoch);
  s.factor = o->step_factor > 0 ? (double)o->step_factor : 0.1;
  s.end = o->final_factor > 0 ? (double)o->final_factor
          : one_cycle         ? 1 / 250000.0
                              : 0;
  return s;
}
