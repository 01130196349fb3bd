/* SPDX-License-Identifier: MIT */
/* Forward, loss, gradients and Adam of small nets against what PyTorch and
 * Keras computed in f64; tests/golden/README.md says how. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden_file.h"

/* ---- One net ------------------------------------------------------------ */

/* A net with its first weights, and what is to come out of it. */
struct net {
  const char *name;
  struct expected expected;
  imgrec_context *context;
  imgrec_model *model;
  imgrec_tensor *x, *labels;
};

static void check(const struct net *net, int status) {
  if (status < 0)
    fail_msg("%s: %s: %s", net->name, imgrec_status_name(status),
             imgrec_last_error(net->context));
}

static struct net open_net(const char *name) {
  struct net net = {.name = name};
  char path[128];
  size_t size;
  char *architecture = read_file(name, ".arch", &size);
  net.expected = read_expected(name);
  assert_int_equal(imgrec_context_create(&net.context, NULL), 0);
  check(&net, imgrec_model_create(&net.model, net.context, architecture, NULL));
  free(architecture);
  snprintf(path, sizeof path, "tests/golden/%s.safetensors", name);
  check(&net, imgrec_model_load_weights(net.model, path));
  net.x = wrap(net.context, &net.expected, "x");
  net.labels = wrap(net.context, &net.expected, "labels");
  return net;
}

static void close_net(struct net *net) {
  imgrec_tensor_destroy(net->x);
  imgrec_tensor_destroy(net->labels);
  imgrec_model_destroy(net->model);
  imgrec_context_destroy(net->context);
  free_expected(&net->expected);
}

static imgrec_tensor *golden(const struct net *net, const char *prefix,
                             const char *parameter) {
  char name[128];
  snprintf(name, sizeof name, "%s%s", prefix, parameter);
  return wrap(net->context, &net->expected, name);
}

static imgrec_tensor *parameter(const struct net *net, const char *name) {
  imgrec_tensor *tensor;
  check(net, imgrec_model_get_parameter(&tensor, net->model, name));
  return tensor;
}

static int is_statistic(const char *parameter) {
  return strstr(parameter, ".running_") != NULL;
}

/* ---- Comparing ---------------------------------------------------------- */

static const float *floats(const imgrec_tensor *tensor) {
  assert_int_equal(imgrec_tensor_dtype(tensor), IMGREC_F32);
  return imgrec_tensor_const_data(tensor);
}

static size_t count_of(const imgrec_tensor *tensor) {
  return imgrec_tensor_nbytes(tensor) / sizeof(float);
}

static double largest(const imgrec_tensor *tensor) {
  double max = 0;
  for (size_t i = 0; i < count_of(tensor); i++)
    max = fmax(max, fabs((double)floats(tensor)[i]));
  return max;
}

static void assert_same_shape(const imgrec_tensor *a, const imgrec_tensor *b) {
  assert_int_equal(imgrec_tensor_ndim(a), imgrec_tensor_ndim(b));
  for (int axis = 0; axis < 4; axis++)
    assert_int_equal(imgrec_tensor_dim(a, axis), imgrec_tensor_dim(b, axis));
}

static void assert_near(const char *net, const char *what, size_t i,
                        double value, double expected, double tolerance) {
  if (!(fabs(value - expected) <= tolerance))
    fail_msg("%s: %s[%zu] is %.9g, not %.9g within %.2g", net, what, i, value,
             expected, tolerance);
}

/* Every element within `tolerance` of the largest. */
static void assert_close(const char *net, const char *what,
                         const imgrec_tensor *value,
                         const imgrec_tensor *expected, double tolerance) {
  assert_same_shape(value, expected);
  double bound = tolerance * largest(expected);
  for (size_t i = 0; i < count_of(expected); i++)
    assert_near(net, what, i, (double)floats(value)[i],
                (double)floats(expected)[i], bound);
}

/* ---- Logits ------------------------------------------------------------- */

static void check_logits(void **state) {
  struct net net = open_net(*state);
  imgrec_tensor *expected = golden(&net, "logits", ""), *y;
  int64_t shape[2] = {imgrec_tensor_dim(net.x, 0),
                      imgrec_model_classes(net.model)};
  check(&net, imgrec_tensor_create(&y, net.context, IMGREC_F32, 2, shape));
  check(&net, imgrec_model_forward(net.model, net.x, y));
  assert_close(net.name, "logits", y, expected, 1e-5);
  imgrec_tensor_destroy(y);
  imgrec_tensor_destroy(expected);
  close_net(&net);
}

/* ---- Loss and gradients ------------------------------------------------- */

/* The gradient is what one step of plain gradient descent takes away.  Such a
 * large power of two as learning rate, and the rounding of the new weight is
 * that of the gradient itself. */
#define LARGE_RATE 1024.0f

static float one_step_of_sgd(const struct net *net) {
  imgrec_trainer_options options;
  imgrec_trainer *trainer;
  float loss;
  check(net, imgrec_trainer_options_init(&options, sizeof options));
  options.optimizer = IMGREC_OPTIMIZER_SGD;
  options.learning_rate = LARGE_RATE;
  options.momentum = 0;
  check(net, imgrec_trainer_create(&trainer, net->model, &options));
  check(net, imgrec_train_step(trainer, net->x, net->labels, &loss));
  imgrec_trainer_destroy(trainer);
  return loss;
}

static void check_gradient(const struct net *net, const char *name,
                           const imgrec_tensor *before) {
  imgrec_tensor *expected = golden(net, "gradient.", name);
  imgrec_tensor *gradient = parameter(net, name);
  float *g = imgrec_tensor_data(gradient);
  assert_same_shape(gradient, before);
  for (size_t i = 0; i < count_of(gradient); i++)
    g[i] = (floats(before)[i] - g[i]) / LARGE_RATE;
  assert_close(net->name, name, gradient, expected, 1e-4);
  imgrec_tensor_destroy(gradient);
  imgrec_tensor_destroy(expected);
}

static void check_gradients(void **state) {
  struct net net = open_net(*state), first = open_net(*state);
  imgrec_tensor *losses = golden(&net, "losses", "");
  double expected = (double)floats(losses)[0];
  assert_near(net.name, "loss", 0, (double)one_step_of_sgd(&net), expected,
              1e-5 * expected);
  int count = imgrec_model_parameter_count(net.model);
  assert_true(count > 0);
  for (int i = 0; i < count; i++) {
    const char *name = imgrec_model_parameter_name(net.model, i);
    imgrec_tensor *before = parameter(&first, name);
    if (!is_statistic(name))
      check_gradient(&net, name, before);
    imgrec_tensor_destroy(before);
  }
  imgrec_tensor_destroy(losses);
  close_net(&first);
  close_net(&net);
}

/* ---- Adam --------------------------------------------------------------- */

enum { STEPS = 3 };

#define RATE 0.001

/* Adam divides a gradient g by its own size: a first step is
 * rate * g / (|g| + e) with e = epsilon / sqrt(1 - beta2).  An error d in g
 * thus becomes at most 2 * rate * d / (|g| + e), and however small g is, no
 * more than twice the step.  d is what check_gradients allows; to it comes the
 * rounding of the weight in each step. */
static double adam_tolerance(double g, double largest_g, double weight) {
  double d = 1e-4 * largest_g, e = 1e-7 / sqrt(1 - 0.999);
  double step = RATE * fmin(2, 2 * d / (fabs(g) + e));
  return STEPS * (step + 0x1p-24 * (fabs(weight) + 2 * RATE));
}

static void check_trained(const struct net *net, const char *name) {
  imgrec_tensor *after = parameter(net, name);
  imgrec_tensor *expected = golden(net, "after.", name);
  imgrec_tensor *gradient = golden(net, "gradient.", name);
  double max = largest(gradient), off = 0, steps = 0;
  assert_same_shape(after, expected);
  for (size_t i = 0; i < count_of(expected); i++) {
    double value = (double)floats(after)[i];
    double wanted = (double)floats(expected)[i];
    double g = (double)floats(gradient)[i];
    assert_near(net->name, name, i, value, wanted,
                adam_tolerance(g, max, wanted));
    off += fabs(value - wanted);
    steps += g != 0 ? STEPS * RATE : 0;
  }
  /* The bound above says little where gradients are small; so all of them
   * together must be right as well. */
  if (off > 1e-4 * steps)
    fail_msg("%s: %s is off by %.2g of its steps", net->name, name,
             off / steps);
  imgrec_tensor_destroy(gradient);
  imgrec_tensor_destroy(expected);
  imgrec_tensor_destroy(after);
}

static void check_statistic(const struct net *net, const char *name) {
  imgrec_tensor *after = parameter(net, name);
  imgrec_tensor *expected = golden(net, "after.", name);
  assert_close(net->name, name, after, expected, 1e-5);
  imgrec_tensor_destroy(expected);
  imgrec_tensor_destroy(after);
}

static void train_with_adam(const struct net *net) {
  imgrec_tensor *losses = golden(net, "losses", "");
  imgrec_trainer_options options;
  imgrec_trainer *trainer;
  check(net, imgrec_trainer_options_init(&options, sizeof options));
  options.optimizer = IMGREC_OPTIMIZER_ADAM;
  options.learning_rate = (float)RATE;
  check(net, imgrec_trainer_create(&trainer, net->model, &options));
  assert_int_equal(count_of(losses), STEPS);
  for (size_t i = 0; i < STEPS; i++) {
    double expected = (double)floats(losses)[i];
    float loss;
    check(net, imgrec_train_step(trainer, net->x, net->labels, &loss));
    assert_near(net->name, "losses", i, (double)loss, expected,
                1e-5 * expected);
  }
  imgrec_trainer_destroy(trainer);
  imgrec_tensor_destroy(losses);
}

static void check_adam(void **state) {
  struct net net = open_net(*state);
  train_with_adam(&net);
  int count = imgrec_model_parameter_count(net.model);
  assert_true(count > 0);
  for (int i = 0; i < count; i++) {
    const char *name = imgrec_model_parameter_name(net.model, i);
    if (is_statistic(name))
      check_statistic(&net, name);
    else
      check_trained(&net, name);
  }
  close_net(&net);
}

/* ---- All nets ----------------------------------------------------------- */

static const char *const nets[] = {"lenet", "options",    "dag",
                                   "seed",  "keras_seed", "keras_same"};

static const struct {
  const char *what;
  CMUnitTestFunction function;
} checks[] = {
    {"logits", check_logits},
    {"gradients", check_gradients},
    {"adam", check_adam},
};

enum {
  NETS = sizeof nets / sizeof nets[0],
  CHECKS = sizeof checks / sizeof checks[0]
};

int main(void) {
  static char names[NETS * CHECKS][64];
  struct CMUnitTest tests[NETS * CHECKS];
  for (int i = 0; i < NETS * CHECKS; i++) {
    const char *net = nets[i / CHECKS];
    snprintf(names[i], sizeof names[i], "test_golden__%s_%s", net,
             checks[i % CHECKS].what);
    tests[i] = (struct CMUnitTest){.name = names[i],
                                   .test_func = checks[i % CHECKS].function,
                                   .initial_state = (void *)(uintptr_t)net};
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
