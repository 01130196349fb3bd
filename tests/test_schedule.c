/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/schedule.c: each schedule against PyTorch's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "golden/optim.h"
#include "nets.h"
#include "train/train.h"

/* 5 epochs of 4 steps, the rate 0.5. */
enum { EPOCHS = 5, EPOCH_STEPS = 4, STEPS = EPOCHS * EPOCH_STEPS };

static imgrec_fit_options with(int schedule) {
  imgrec_fit_options o;
  imgrec_fit_options_init(&o, sizeof o);
  o.schedule = schedule;
  o.epochs = EPOCHS;
  return o;
}

static float rate_at(const imgrec_fit_options *o, uint64_t step) {
  struct error e;
  assert_int_equal(imgrec__schedule_check(o, &e), IMGREC_OK);
  const struct schedule s = imgrec__schedule_of(o, 0.5F, EPOCH_STEPS);
  return imgrec__schedule_rate(&s, step);
}

static void check(const imgrec_fit_options *o, const double *golden) {
  for (uint64_t step = 0; step < STEPS; step++) {
    double got = (double)rate_at(o, step);
    if (!(fabs(got - golden[step]) <= 1e-7 * (1e-3 + golden[step])))
      fail_msg("step %d: %.9g, not %.9g", (int)step, got, golden[step]);
  }
}

static void test_schedule__constant(void **state) {
  imgrec_fit_options o = with(IMGREC_SCHEDULE_CONSTANT);
  (void)state;
  for (uint64_t step = 0; step < STEPS; step++)
    assert_true(rate_at(&o, step) == 0.5F);
  o.warmup_epochs = 2; /* 8 steps */
  assert_true(rate_at(&o, 0) == 0.0625F);
  assert_true(rate_at(&o, 6) == 0.4375F);
  assert_true(rate_at(&o, 7) == 0.5F);
  assert_true(rate_at(&o, 19) == 0.5F);
}

static void test_schedule__step(void **state) {
  imgrec_fit_options o = with(IMGREC_SCHEDULE_STEP);
  (void)state;
  o.step_epochs = 1.5F; /* 6 steps */
  o.step_factor = 0.25F;
  check(&o, golden_step);
  o = with(IMGREC_SCHEDULE_STEP); /* a tenth at each third, of 7 steps */
  assert_true(rate_at(&o, 6) == 0.5F);
  assert_true(rate_at(&o, 7) == 0.05F);
  assert_true(rate_at(&o, 14) == 0.005F);
}

static void test_schedule__cosine(void **state) {
  imgrec_fit_options o = with(IMGREC_SCHEDULE_COSINE);
  (void)state;
  o.final_factor = 0.125F;
  check(&o, golden_cosine);
  o = with(IMGREC_SCHEDULE_COSINE);
  o.warmup_epochs = 1;
  check(&o, golden_warm_cosine);
}

static void test_schedule__one_cycle(void **state) {
  imgrec_fit_options o = with(IMGREC_SCHEDULE_ONE_CYCLE);
  (void)state;
  o.warmup_epochs = 2;
  check(&o, golden_one_cycle);
  /* without it 0.3 of the epochs, 6 steps */
  o.warmup_epochs = 0;
  assert_true(rate_at(&o, 5) == 0.5F);
  assert_true(rate_at(&o, 4) < 0.5F && rate_at(&o, 6) < 0.5F);
}

/* Whatever there is of epochs and steps, every rate is one that a trainer
 * takes. */
static void test_schedule__always_positive(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++)
    for (int epochs = 1; epochs <= 3; epochs++)
      for (uint64_t steps = 1; steps <= 3; steps++)
        for (int warm = 0; warm <= epochs; warm++) {
          imgrec_fit_options o = with(kind);
          o.epochs = epochs;
          o.warmup_epochs = (float)warm;
          const struct schedule s = imgrec__schedule_of(&o, 0.5F, steps);
          for (uint64_t t = 0; t < (uint64_t)epochs * steps; t++) {
            float rate = imgrec__schedule_rate(&s, t);
            assert_true(rate > 0 && rate <= 0.5F);
          }
        }
}

static void refused(const imgrec_fit_options *o, const char *sentence) {
  struct error e;
  assert_int_equal(imgrec__schedule_check(o, &e), IMGREC_ERR_ARGUMENT);
  assert_string_equal(e.text, sentence);
}

static void test_schedule__options(void **state) {
  imgrec_fit_options o = with(4), none = with(0);
  (void)state;
  refused(&o, "schedule must be an IMGREC_SCHEDULE_ value");
  o = none;
  o.warmup_epochs = 6;
  refused(&o, "warmup_epochs must be 0 to the number of epochs");
  o.warmup_epochs = NAN;
  refused(&o, "warmup_epochs must be 0 to the number of epochs");
  o = none;
  o.step_epochs = -1;
  refused(&o, "step_epochs must be 0 or a positive number");
  o = none;
  o.step_factor = 1.5F;
  refused(&o, "step_factor must be in [0, 1]");
  o = none;
  o.final_factor = -0.5F;
  refused(&o, "final_factor must be in [0, 1]");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_schedule__constant),
      cmocka_unit_test(test_schedule__step),
      cmocka_unit_test(test_schedule__cosine),
      cmocka_unit_test(test_schedule__one_cycle),
      cmocka_unit_test(test_schedule__always_positive),
      cmocka_unit_test(test_schedule__options),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
