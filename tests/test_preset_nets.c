/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/preset_nets.c: what the built-in networks look like for
 * each size of input, and that their gradients lead downhill. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nets.h"

static const char *const nets[] = {"nano",      "base",     "large",
                                   "resnet8",   "resnet18", "mobilenet_v2",
                                   "cifar_fast"};

enum { NETS = sizeof nets / sizeof nets[0] };

static const char *preset(const char *name, int height, int width,
                          int classes) {
  static char text[8000];
  int n = imgrec_preset(name, height, width, 3, classes, text, sizeof text);
  assert_true(n > 0 && n < (int)sizeof text);
  return text;
}

/* What goes into the global pooling: H, W, C. */
static void last_map(const imgrec_model *m, int64_t out[3]) {
  for (int i = 1; i < imgrec_model_layer_count(m); i++) {
    imgrec_layer_info info, before;
    imgrec_layer_info_init(&info, sizeof info);
    imgrec_layer_info_init(&before, sizeof before);
    assert_int_equal(imgrec_model_layer(m, i, &info), 0);
    assert_int_equal(imgrec_model_layer(m, i - 1, &before), 0);
    if (strncmp(info.type, "global_", 7) == 0)
      memcpy(out, before.output, sizeof before.output);
  }
}

static int64_t parameters(const imgrec_model *m) {
  int64_t sum = 0;
  for (int i = 0; i < imgrec_model_layer_count(m); i++) {
    imgrec_layer_info info;
    imgrec_layer_info_init(&info, sizeof info);
    assert_int_equal(imgrec_model_layer(m, i, &info), 0);
    sum += info.parameters;
  }
  return sum;
}

static void check_map(imgrec_context *ctx, const char *name, int height,
                      int width, int h, int w, int c) {
  int64_t map[3] = {0};
  imgrec_model *m = new_model(ctx, preset(name, height, width, 10), 1, 1);
  last_map(m, map);
  if (map[0] != h || map[1] != w || map[2] != c)
    fail_msg("%s of %d x %d: %d x %d x %d", name, height, width, (int)map[0],
             (int)map[1], (int)map[2]);
  imgrec_model_destroy(m);
}

static void test_preset_nets__last_maps(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  check_map(ctx, "nano", 32, 32, 4, 4, 128);
  check_map(ctx, "nano", 63, 100, 8, 13, 128);
  check_map(ctx, "nano", 96, 96, 6, 6, 128);
  check_map(ctx, "nano", 224, 224, 7, 7, 128);
  check_map(ctx, "base", 28, 28, 4, 4, 256);
  check_map(ctx, "base", 64, 80, 4, 5, 256);
  check_map(ctx, "base", 128, 128, 8, 8, 256);
  check_map(ctx, "base", 160, 200, 5, 7, 256);
  check_map(ctx, "large", 160, 160, 5, 5, 384);
  check_map(ctx, "resnet8", 32, 32, 8, 8, 64);
  check_map(ctx, "resnet18", 32, 32, 4, 4, 512);
  check_map(ctx, "resnet18", 224, 224, 7, 7, 512);
  check_map(ctx, "mobilenet_v2", 32, 32, 4, 4, 1280);
  check_map(ctx, "mobilenet_v2", 224, 224, 7, 7, 1280);
  check_map(ctx, "cifar_fast", 32, 32, 4, 4, 256);
  imgrec_context_destroy(ctx);
}

/* torchvision counts 11,689,512 and 3,504,872 without the running statistics of
 * batch norm; MLPerf Tiny 78,666 with them. */
static void test_preset_nets__parameters(void **state) {
  static const struct {
    const char *name;
    int classes;
    int64_t count;
  } wanted[] = {{"resnet18", 1000, 11689512 + 2 * 4800},
                {"mobilenet_v2", 1000, 3504872 + 2 * 17056},
                {"resnet8", 10, 78666},
                {"nano", 10, 57194},
                {"base", 10, 1527786},
                {"large", 10, 6295642}};
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    imgrec_model *m =
        new_model(ctx, preset(wanted[i].name, 96, 96, wanted[i].classes), 1, 1);
    assert_int_equal(parameters(m), wanted[i].count);
    imgrec_model_destroy(m);
  }
  imgrec_context_destroy(ctx);
}

/* ---- Downhill ------------------------------------------------------------ */

/* Without dropout, which is another in each step. */
static imgrec_model *steady_model(imgrec_context *ctx, const char *name) {
  char text[8000];
  snprintf(text, sizeof text, "%s", preset(name, 16, 16, 5));
  char *line = strstr(text, "dropout ");
  if (line) {
    char *next = strchr(line, '\n') + 1;
    memmove(line, next, strlen(next) + 1);
  }
  return new_model(ctx, text, 16, 3);
}

static double *copy_weights(const imgrec_model *m, size_t *count) {
  struct param *p;
  double *copy = NULL;
  *count = 0;
  for (int i = 0; (p = imgrec__model_param(m, i)); i++) {
    if (strstr(p->name, ".running_"))
      continue; /* not changed by a gradient */
    copy = realloc(copy, (*count + p->count) * sizeof *copy);
    assert_non_null(copy);
    for (size_t k = 0; k < p->count; k++)
      copy[(*count)++] = (double)p->data[k];
  }
  return copy;
}

/* A small step of size r along the gradient g lowers the loss by r g g. */
static void check_downhill(imgrec_context *ctx, const char *name) {
  const float rate = 0x1p-18F;
  imgrec_model *m = steady_model(ctx, name);
  imgrec_tensor *x = new_batch(ctx, m, 16, 2);
  imgrec_tensor *labels = new_labels(ctx, 16, 5, 2);
  imgrec_trainer_options o;
  imgrec_trainer *t = NULL;
  float loss[2];
  size_t n;
  double square = 0;
  imgrec_trainer_options_init(&o, sizeof o);
  o.optimizer = IMGREC_OPTIMIZER_SGD;
  o.max_batch = 16;
  o.momentum = 0;
  o.learning_rate = rate;
  assert_ok(ctx, imgrec_trainer_create(&t, m, &o));
  double *before = copy_weights(m, &n);
  assert_ok(ctx, imgrec_train_step(t, x, labels, &loss[0]));
  double *after = copy_weights(m, &n);
  assert_ok(ctx, imgrec_train_step(t, x, labels, &loss[1]));
  for (size_t i = 0; i < n; i++)
    square += (before[i] - after[i]) * (before[i] - after[i]);
  double wanted = square / (double)rate;
  double fell = (double)loss[0] - (double)loss[1];
  if (!(fabs(fell / wanted - 1) < 0.15))
    fail_msg("%s: the loss fell by %g, not by %g", name, fell, wanted);
  free(before);
  free(after);
  imgrec_trainer_destroy(t);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(labels);
  imgrec_model_destroy(m);
}

static void test_preset_nets__downhill(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(2, IMGREC_ISA_AUTO);
  for (int i = 0; i < NETS; i++)
    check_downhill(ctx, nets[i]);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_preset_nets__last_maps),
      cmocka_unit_test(test_preset_nets__parameters),
      cmocka_unit_test(test_preset_nets__downhill),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
