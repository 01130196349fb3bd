/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/inspect.c: layers, and weights by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nets.h"

#define NET                                                                    \
  "input 10 8 3\nstem = conv2d 6 kernel=3 activation=relu\nbatch_norm\n"       \
  "depthwise_conv2d 2 kernel=3x1\nflatten\ndense 5\nsoftmax\n"

struct fixture {
  imgrec_context *ctx;
  imgrec_model *model;
};

static int set_up(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  f->ctx = new_context(1, IMGREC_ISA_AUTO);
  f->model = new_model(f->ctx, NET, 2, 1);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  free(f);
  return 0;
}

/* ---- Layers -------------------------------------------------------------- */

static void check_layer(struct fixture *f, int index, const char *name,
                        const char *type, const int64_t numbers[6]) {
  imgrec_layer_info i;
  imgrec_layer_info_init(&i, sizeof i);
  assert_ok(f->ctx, imgrec_model_layer(f->model, index, &i));
  assert_string_equal(i.name, name);
  assert_string_equal(i.type, type);
  const int64_t found[6] = {i.output[0],  i.output[1],     i.output[2],
                            i.parameters, i.multiply_adds, i.output_bytes};
  for (int k = 0; k < 6; k++)
    assert_int_equal(found[k], numbers[k]);
}

static void test_inspect__layers(void **state) {
  struct fixture *f = *state;
  /* height, width, channels, parameters, multiply-adds, bytes */
  static const int64_t numbers[7][6] = {
      {10, 8, 3, 0, 0, 240 * 4},  {8, 6, 6, 27 * 6 + 6, 48 * 27 * 6, 288 * 4},
      {8, 6, 6, 24, 0, 288 * 4},  {6, 6, 12, 3 * 12 + 12, 36 * 3 * 12, 432 * 4},
      {1, 1, 432, 0, 0, 432 * 4}, {1, 1, 5, 433 * 5, 432 * 5, 20},
      {1, 1, 5, 0, 0, 20}};
  static const char *const names[7] = {"input",    "stem", "bn1",     "conv2",
                                       "flatten1", "fc1",  "softmax1"};
  static const char *const types[7] = {
      "input",   "conv2d", "batch_norm", "depthwise_conv2d",
      "flatten", "dense",  "softmax"};
  assert_int_equal(imgrec_model_layer_count(f->model), 7);
  for (int i = 0; i < 7; i++)
    check_layer(f, i, names[i], types[i], numbers[i]);
}

static imgrec_layer_info layer_of(struct fixture *f, int index) {
  imgrec_layer_info i;
  imgrec_layer_info_init(&i, sizeof i);
  assert_ok(f->ctx, imgrec_model_layer(f->model, index, &i));
  return i;
}

static void test_inspect__input_bytes(void **state) {
  struct fixture *f = *state;
  assert_int_equal(layer_of(f, 0).input_bytes, 0);
  assert_int_equal(layer_of(f, 1).input_bytes, 240 * 4);
  assert_int_equal(layer_of(f, 5).input_bytes, 432 * 4);
  imgrec_model_destroy(f->model);
  f->model = new_model(f->ctx,
                       "input 4 4 2\na = relu\nb = tanh from=a\n"
                       "add from=a,b\nflatten\ndense 3\n",
                       1, 1);
  assert_int_equal(layer_of(f, 3).input_bytes, 2 * 32 * 4);
}

/* A phrase stands beside each algorithm; other layers have neither. */
static void test_inspect__algorithms(void **state) {
  struct fixture *f = *state;
  for (int i = 0; i < 7; i++) {
    imgrec_layer_info info = layer_of(f, i);
    int choice = i == 1 || i == 3 || i == 5;
    assert_int_equal(info.algorithm != NULL, choice);
    assert_int_equal(info.reason != NULL, choice);
  }
  assert_string_equal(layer_of(f, 5).algorithm, "gemm");
}

static void test_inspect__layer_errors(void **state) {
  struct fixture *f = *state;
  imgrec_layer_info i;
  imgrec_layer_info_init(&i, sizeof i);
  assert_fails(f->ctx, imgrec_model_layer(f->model, 7, &i), IMGREC_ERR_ARGUMENT,
               "layer 7 of 7");
  assert_fails(f->ctx, imgrec_model_layer(f->model, -1, &i),
               IMGREC_ERR_ARGUMENT, "layer -1 of 7");
  assert_int_equal(imgrec_model_layer(f->model, 0, NULL), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_layer(NULL, 0, &i), IMGREC_ERR_ARGUMENT);
}

/* A caller built against a shorter struct gets no byte more. */
static void test_inspect__older_caller(void **state) {
  struct fixture *f = *state;
  imgrec_layer_info i;
  memset(&i, 0x55, sizeof i);
  i.struct_size = offsetof(imgrec_layer_info, parameters);
  assert_ok(f->ctx, imgrec_model_layer(f->model, 1, &i));
  assert_int_equal(i.output[2], 6);
  assert_int_equal(i.parameters, 0x5555555555555555);
  assert_int_equal(i.struct_size, offsetof(imgrec_layer_info, parameters));
}

/* ---- The hook ------------------------------------------------------------ */

enum { EVENTS = 100 };

struct events {
  int count, layer[EVENTS], phase[EVENTS];
};

static void record(void *user, int layer, int phase) {
  struct events *e = user;
  assert_in_range(e->count, 0, EVENTS - 1);
  e->layer[e->count] = layer;
  e->phase[e->count++] = phase;
}

/* Events come in pairs, phases in order, layers upwards and then downwards. */
static void check_order(const struct events *e) {
  assert_int_equal(e->count % 2, 0);
  for (int i = 0; i < e->count; i += 2) {
    int layer = e->layer[i], phase = e->phase[i];
    assert_int_equal(e->phase[i + 1], phase + 1);
    assert_int_equal(e->layer[i + 1], layer);
    int whole =
        phase == IMGREC_PHASE_LOSS_BEGIN || phase == IMGREC_PHASE_UPDATE_BEGIN;
    assert_true(whole ? layer == -1 : layer >= 1 && layer < 7);
    if (i == 0)
      continue;
    assert_true(phase >= e->phase[i - 1] - 1);
    if (phase == IMGREC_PHASE_FORWARD_BEGIN)
      assert_true(layer >= e->layer[i - 1]);
    else if (phase == e->phase[i - 2])
      assert_true(layer <= e->layer[i - 1]);
  }
}

static int times_told(const struct events *e, int layer, int phase) {
  int n = 0;
  for (int i = 0; i < e->count; i++)
    n += e->layer[i] == layer && e->phase[i] == phase;
  return n;
}

static void test_inspect__hook_forward(void **state) {
  struct fixture *f = *state;
  struct events e = {0};
  imgrec_tensor *x = new_batch(f->ctx, f->model, 2, 1);
  imgrec_tensor *y = new_tensor(f->ctx, IMGREC_F32, 2, 2, 5, 1, 1);
  imgrec_tensor *z = new_tensor(f->ctx, IMGREC_F32, 2, 2, 5, 1, 1);
  assert_ok(f->ctx, imgrec_model_forward(f->model, x, y));
  assert_ok(f->ctx, imgrec_model_set_layer_hook(f->model, record, &e));
  assert_ok(f->ctx, imgrec_model_forward(f->model, x, z));
  assert_memory_equal(floats_of(y), floats_of(z), 10 * sizeof(float));
  check_order(&e);
  assert_in_range(times_told(&e, 1, IMGREC_PHASE_FORWARD_END), 1, 2);
  assert_int_equal(times_told(&e, 3, IMGREC_PHASE_FORWARD_END), 1);
  assert_int_equal(times_told(&e, 5, IMGREC_PHASE_FORWARD_END), 1);
  assert_int_equal(times_told(&e, -1, IMGREC_PHASE_LOSS_BEGIN), 0);
  int before = e.count;
  assert_ok(f->ctx, imgrec_model_set_layer_hook(f->model, NULL, &e));
  assert_ok(f->ctx, imgrec_model_forward(f->model, x, y));
  assert_int_equal(e.count, before);
  assert_int_equal(imgrec_model_set_layer_hook(NULL, record, &e),
                   IMGREC_ERR_ARGUMENT);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
  imgrec_tensor_destroy(z);
}

/* The second of two steps that make one update tells of it. */
static void test_inspect__hook_training(void **state) {
  struct fixture *f = *state;
  imgrec_trainer *t = NULL;
  imgrec_trainer_options o;
  imgrec_tensor *x = new_batch(f->ctx, f->model, 2, 1);
  imgrec_tensor *labels = new_labels(f->ctx, 2, 5, 1);
  imgrec_trainer_options_init(&o, sizeof o);
  o.max_batch = o.accumulate = 2;
  assert_ok(f->ctx, imgrec_trainer_create(&t, f->model, &o));
  for (int step = 0; step < 2; step++) {
    struct events e = {0};
    assert_ok(f->ctx, imgrec_model_set_layer_hook(f->model, record, &e));
    assert_ok(f->ctx, imgrec_train_step(t, x, labels, NULL));
    check_order(&e);
    assert_int_equal(times_told(&e, 3, IMGREC_PHASE_FORWARD_END), 1);
    assert_int_equal(times_told(&e, -1, IMGREC_PHASE_LOSS_END), 1);
    assert_int_equal(times_told(&e, 3, IMGREC_PHASE_BACKWARD_END), 1);
    assert_int_equal(times_told(&e, 5, IMGREC_PHASE_BACKWARD_BEGIN), 1);
    assert_int_equal(times_told(&e, -1, IMGREC_PHASE_UPDATE_END), step);
  }
  imgrec_trainer_destroy(t);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(labels);
}

/* Explaining tells of layers up to the logits, and back down to where it looks;
 * of what it adds to them it tells nothing. */
static void test_inspect__hook_explain(void **state) {
  struct fixture *f = *state;
  struct events e = {0};
  imgrec_tensor *image = new_tensor(f->ctx, IMGREC_U8, 3, 10, 8, 3, 1);
  imgrec_tensor *map = NULL;
  assert_ok(f->ctx, imgrec_model_set_layer_hook(f->model, record, &e));
  assert_ok(f->ctx, imgrec_model_explain(&map, f->model, image, 1));
  check_order(&e);
  for (int layer = 1; layer <= 5; layer++)
    assert_true(times_told(&e, layer, IMGREC_PHASE_FORWARD_END) > 0);
  assert_int_equal(times_told(&e, 3, IMGREC_PHASE_BACKWARD_END), 0);
  assert_int_equal(times_told(&e, 5, IMGREC_PHASE_BACKWARD_END), 1);
  imgrec_tensor_destroy(map);
  imgrec_tensor_destroy(image);
}

/* So does quantizing, of the model that it looks at; here of one batch. */
static void test_inspect__hook_quantize(void **state) {
  struct fixture *f = *state;
  struct events e = {0};
  imgrec_tensor *images = new_tensor(f->ctx, IMGREC_U8, 4, 2, 10, 8, 3);
  imgrec_tensor *labels = new_labels(f->ctx, 2, 5, 1);
  imgrec_dataset *data = NULL;
  imgrec_model *bytes = NULL;
  imgrec_quantize_options o;
  imgrec_quantize_options_init(&o, sizeof o);
  o.range = IMGREC_RANGE_MINMAX;
  assert_ok(f->ctx,
            imgrec_dataset_from_memory(&data, f->ctx, images, labels, 5));
  assert_ok(f->ctx, imgrec_model_set_layer_hook(f->model, record, &e));
  assert_ok(f->ctx, imgrec_model_quantize(&bytes, f->model, data, &o));
  check_order(&e);
  assert_int_equal(times_told(&e, 3, IMGREC_PHASE_FORWARD_END), 1);
  assert_int_equal(times_told(&e, 5, IMGREC_PHASE_FORWARD_END), 1);
  imgrec_model_destroy(bytes);
  imgrec_dataset_destroy(data);
  imgrec_tensor_destroy(images);
  imgrec_tensor_destroy(labels);
}

/* ---- Parameters ---------------------------------------------------------- */

static void test_inspect__names(void **state) {
  struct fixture *f = *state;
  static const char *const names[] = {
      "stem.weight",      "stem.bias",       "bn1.weight",   "bn1.bias",
      "bn1.running_mean", "bn1.running_var", "conv2.weight", "conv2.bias",
      "fc1.weight",       "fc1.bias"};
  assert_int_equal(imgrec_model_parameter_count(f->model), 10);
  for (int i = 0; i < 10; i++)
    assert_string_equal(imgrec_model_parameter_name(f->model, i), names[i]);
  assert_null(imgrec_model_parameter_name(f->model, 10));
  assert_null(imgrec_model_parameter_name(f->model, -1));
}

static void check_dims(const imgrec_tensor *t, int ndim, int64_t a, int64_t b,
                       int64_t c, int64_t d) {
  assert_int_equal(imgrec_tensor_ndim(t), ndim);
  assert_int_equal(imgrec_tensor_dim(t, 0), a);
  assert_int_equal(imgrec_tensor_dim(t, 1), b);
  assert_int_equal(imgrec_tensor_dim(t, 2), c);
  assert_int_equal(imgrec_tensor_dim(t, 3), d);
}

static void test_inspect__shapes(void **state) {
  struct fixture *f = *state;
  static const struct {
    const char *name;
    int ndim;
    int64_t dim[4];
  } wanted[] = {{"stem.weight", 4, {6, 3, 3, 3}},
                {"stem.bias", 1, {6, 1, 1, 1}},
                {"conv2.weight", 4, {12, 1, 3, 1}},
                {"fc1.weight", 2, {5, 432, 1, 1}}};
  for (int i = 0; i < 4; i++) {
    imgrec_tensor *t = NULL;
    assert_ok(f->ctx, imgrec_model_get_parameter(&t, f->model, wanted[i].name));
    const int64_t *d = wanted[i].dim;
    check_dims(t, wanted[i].ndim, d[0], d[1], d[2], d[3]);
    imgrec_tensor_destroy(t);
  }
}

/* What is set is got again, and is where the layer reads it: filter o of a
 * pointwise look at pixel (1, 2), channel c. */
static void test_inspect__set_and_get(void **state) {
  struct fixture *f = *state;
  imgrec_tensor *w = new_tensor(f->ctx, IMGREC_F32, 4, 6, 3, 3, 3);
  imgrec_tensor *back = NULL;
  fill_random(floats_of(w), 162, 5, -1, 1);
  assert_ok(f->ctx, imgrec_model_set_parameter(f->model, "stem.weight", w));
  assert_ok(f->ctx, imgrec_model_get_parameter(&back, f->model, "stem.weight"));
  assert_memory_equal(floats_of(back), floats_of(w), 162 * sizeof(float));
  const float *memory = imgrec__model_param(f->model, 0)->data;
  int o = 4, c = 2, h = 1, x = 2;
  assert_true(memory[((h * 3 + x) * 3 + c) * 6 + o] ==
              floats_of(w)[((o * 3 + c) * 3 + h) * 3 + x]);
  floats_of(back)[0] = 99; /* a copy */
  assert_true(memory[0] != 99);
  imgrec_tensor_destroy(back);
  imgrec_tensor_destroy(w);
}

static void check_refused(struct fixture *f, const imgrec_tensor *t) {
  float before = imgrec__model_param(f->model, 0)->data[0];
  assert_fails(f->ctx, imgrec_model_set_parameter(f->model, "stem.weight", t),
               IMGREC_ERR_SHAPE,
               "the value for 'stem.weight' must be f32 and of its shape");
  assert_true(imgrec__model_param(f->model, 0)->data[0] == before);
}

static void test_inspect__set_refuses(void **state) {
  struct fixture *f = *state;
  imgrec_tensor *turned = new_tensor(f->ctx, IMGREC_F32, 4, 3, 6, 3, 3);
  imgrec_tensor *flat = new_tensor(f->ctx, IMGREC_F32, 1, 162, 1, 1, 1);
  imgrec_tensor *ints = new_tensor(f->ctx, IMGREC_I32, 4, 6, 3, 3, 3);
  check_refused(f, turned);
  check_refused(f, flat);
  check_refused(f, ints);
  check_refused(f, NULL);
  assert_fails(
      f->ctx, imgrec_model_set_parameter(f->model, "conv1.weight", flat),
      IMGREC_ERR_NOT_FOUND, "the model has no parameter 'conv1.weight'");
  assert_int_equal(imgrec_model_set_parameter(NULL, "stem.weight", flat),
                   IMGREC_ERR_ARGUMENT);
  imgrec_tensor_destroy(turned);
  imgrec_tensor_destroy(flat);
  imgrec_tensor_destroy(ints);
}

static void test_inspect__get_refuses(void **state) {
  struct fixture *f = *state;
  imgrec_tensor *t = NULL;
  assert_fails(f->ctx, imgrec_model_get_parameter(&t, f->model, "x"),
               IMGREC_ERR_NOT_FOUND, "the model has no parameter 'x'");
  assert_fails(f->ctx, imgrec_model_get_parameter(&t, f->model, NULL),
               IMGREC_ERR_NOT_FOUND, "the model has no parameter 'NULL'");
  assert_int_equal(imgrec_model_get_parameter(NULL, f->model, "stem.bias"),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_get_parameter(&t, NULL, "stem.bias"),
                   IMGREC_ERR_ARGUMENT);
  assert_null(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_inspect__layers),       TEST(test_inspect__layer_errors),
      TEST(test_inspect__input_bytes),  TEST(test_inspect__algorithms),
      TEST(test_inspect__hook_forward), TEST(test_inspect__hook_training),
      TEST(test_inspect__hook_explain), TEST(test_inspect__hook_quantize),
      TEST(test_inspect__older_caller), TEST(test_inspect__names),
      TEST(test_inspect__shapes),       TEST(test_inspect__set_and_get),
      TEST(test_inspect__set_refuses),  TEST(test_inspect__get_refuses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
