/* SPDX-License-Identifier: MIT */
/* Tests of lib/recognise/quantize.c: ranges, accuracy, the same bytes
 * everywhere, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <math.h>

#include "failing_alloc.h"
#include "toy_data.h"

/* A toy net that has learned its data: three classes, 6 x 6 images. */
struct fixture {
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_dataset *data;
};

static void train(imgrec_context *ctx, imgrec_model *m, imgrec_dataset *data) {
  imgrec_trainer *t = NULL;
  imgrec_fit_options o;
  imgrec_fit_options_init(&o, sizeof o);
  o.epochs = 12;
  assert_ok(ctx, imgrec_trainer_create(&t, m, NULL));
  assert_ok(ctx, imgrec_fit(t, data, NULL, &o, NULL));
  imgrec_trainer_destroy(t);
}

static void set_up(struct fixture *f, int threads, int isa) {
  f->ctx = new_context(threads, isa);
  f->model = new_model(f->ctx, TOY_NET, 32, 2);
  f->data = toy_data(f->ctx, 150, 0, 90);
  train(f->ctx, f->model, f->data);
}

static void tear_down(struct fixture *f) {
  imgrec_dataset_destroy(f->data);
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
}

static double accuracy(imgrec_context *ctx, imgrec_model *m,
                       imgrec_dataset *data) {
  imgrec_evaluation e;
  imgrec_evaluation_init(&e, sizeof e);
  assert_ok(ctx, imgrec_evaluate(m, data, &e));
  return e.top1;
}

static imgrec_model *quantized(const struct fixture *f,
                               const imgrec_quantize_options *o) {
  imgrec_model *m = NULL;
  assert_ok(f->ctx, imgrec_model_quantize(&m, f->model, f->data, o));
  return m;
}

/* ---- What comes of it ---------------------------------------------------- */

static void test_quantize__accuracy(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 1, IMGREC_ISA_AUTO);
  imgrec_dataset *test = toy_data(f.ctx, 300, 5000, 90);
  imgrec_quantize_options o;
  imgrec_quantize_options_init(&o, sizeof o);
  double before = accuracy(f.ctx, f.model, test);
  assert_true(before > 0.9);
  for (o.range = 0; o.range <= IMGREC_RANGE_MINMAX; o.range++) {
    imgrec_model *m = quantized(&f, &o);
    double after = accuracy(f.ctx, m, test);
    assert_true(fabs(after - before) <= 0.01);
    imgrec_model_destroy(m);
  }
  imgrec_dataset_destroy(test);
  tear_down(&f);
}

/* Labels, preprocessing and batch are the model's; the model is as it was. */
static void test_quantize__keeps(void **state) {
  (void)state;
  static const char *const names[] = {"low", "middle", "high"};
  struct fixture f;
  imgrec_preprocess p;
  imgrec_quantize_options o;
  imgrec_quantize_options_init(&o, sizeof o);
  set_up(&f, 1, IMGREC_ISA_AUTO);
  assert_ok(f.ctx, imgrec_model_set_labels(f.model, 3, names));
  imgrec_preprocess_init(&p, sizeof p);
  assert_ok(f.ctx, imgrec_model_get_preprocess(f.model, &p));
  p.resize = IMGREC_RESIZE_PAD;
  assert_ok(f.ctx, imgrec_model_set_preprocess(f.model, &p));
  size_t bytes = f.model->weight_floats * sizeof(float);
  float *weights = malloc(bytes);
  memcpy(weights, f.model->weights, bytes);
  imgrec_model *m = quantized(&f, NULL);
  assert_memory_equal(weights, f.model->weights, bytes);
  assert_int_equal(imgrec_model_weight_type(f.model), IMGREC_WEIGHTS_F32);
  assert_int_equal(imgrec_model_weight_type(m), IMGREC_WEIGHTS_INT8);
  assert_string_equal(imgrec_model_label(m, 2), "high");
  assert_string_equal(imgrec_model_architecture(m), TOY_NET);
  assert_memory_equal(&m->preprocess, &f.model->preprocess, sizeof p);
  assert_int_equal(m->plan.batch, 32);
  imgrec_model_destroy(m);
  o.max_batch = 3;
  m = quantized(&f, &o);
  assert_int_equal(m->plan.batch, 3);
  imgrec_model_destroy(m);
  free(weights);
  tear_down(&f);
}

static void test_quantize__layer_info(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 1, IMGREC_ISA_AUTO);
  imgrec_model *m = quantized(&f, NULL);
  for (int i = 0; i < imgrec_model_layer_count(m); i++) {
    imgrec_layer_info a, b;
    imgrec_layer_info_init(&a, sizeof a);
    imgrec_layer_info_init(&b, sizeof b);
    assert_ok(f.ctx, imgrec_model_layer(m, i, &a));
    assert_ok(f.ctx, imgrec_model_layer(f.model, i, &b));
    int bytes = strcmp(a.type, "conv2d") == 0 || strcmp(a.type, "dense") == 0;
    assert_int_equal(a.weight_type,
                     bytes ? IMGREC_WEIGHTS_INT8 : IMGREC_WEIGHTS_F32);
    assert_int_equal(b.weight_type, IMGREC_WEIGHTS_F32);
    assert_int_equal(a.parameters, b.parameters);
  }
  imgrec_model_destroy(m);
  tear_down(&f);
}

static const struct quantized *first_layer(const imgrec_model *m) {
  return m->graph.nodes[1].params[0].quantized;
}

/* The input of the first layer is pixels: all there is, or a range within. */
static void test_quantize__ranges(void **state) {
  (void)state;
  struct fixture f;
  imgrec_quantize_options o;
  imgrec_preprocess p;
  set_up(&f, 1, IMGREC_ISA_AUTO);
  imgrec_quantize_options_init(&o, sizeof o);
  o.range = IMGREC_RANGE_MINMAX;
  imgrec_model *m = quantized(&f, &o);
  float most = 189.0F / 255; /* noise of 99 and a contrast of 90 */
  assert_true(fabsf(first_layer(m)->input_scale - most / 255) < 1e-7F);
  assert_int_equal(first_layer(m)->input_zero, 0);
  o.range = IMGREC_RANGE_MSE;
  imgrec_model *tight = quantized(&f, &o);
  assert_true(first_layer(tight)->input_scale <= first_layer(m)->input_scale);
  assert_true(first_layer(tight)->input_scale > most / 255 / 2);
  imgrec_model_destroy(tight);
  imgrec_model_destroy(m);
  /* from -1 to 189 / 255 - 1 */
  imgrec_preprocess_init(&p, sizeof p);
  assert_ok(f.ctx, imgrec_model_get_preprocess(f.model, &p));
  p.mean[0] = 1;
  assert_ok(f.ctx, imgrec_model_set_preprocess(f.model, &p));
  o.range = IMGREC_RANGE_MINMAX;
  m = quantized(&f, &o);
  assert_int_equal(first_layer(m)->input_zero, 255);
  assert_true(fabsf(first_layer(m)->input_scale - 1.0F / 255) < 1e-7F);
  imgrec_model_destroy(m);
  tear_down(&f);
}

/* One value that stands out: only MINMAX makes room for it. */
static void test_quantize__outlier(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, "input 40 40 1\nflatten\ndense 2\n", 1, 1);
  imgrec_tensor *images = new_tensor(ctx, IMGREC_U8, 4, 400, 40, 40, 1);
  imgrec_tensor *labels = new_tensor(ctx, IMGREC_I32, 1, 400, 1, 1, 1);
  imgrec_dataset *data = NULL;
  imgrec_model *made[2] = {NULL, NULL};
  imgrec_preprocess p;
  unsigned char *pixels = imgrec_tensor_data(images);
  for (size_t i = 0; i < imgrec_tensor_nbytes(images); i++)
    pixels[i] = (unsigned char)(i % 101);
  pixels[777] = 255;
  imgrec_preprocess_init(&p, sizeof p);
  assert_ok(ctx, imgrec_model_get_preprocess(m, &p));
  p.mean[0] = -0.5F / 255; /* or else all values are steps of 1 / 255 */
  assert_ok(ctx, imgrec_model_set_preprocess(m, &p));
  assert_ok(ctx, imgrec_dataset_from_memory(&data, ctx, images, labels, 2));
  for (int range = 0; range < 2; range++) {
    imgrec_quantize_options o;
    imgrec_quantize_options_init(&o, sizeof o);
    o.range = range;
    assert_ok(ctx, imgrec_model_quantize(&made[range], m, data, &o));
  }
  const struct quantized *mse = made[0]->graph.nodes[2].params[0].quantized;
  const struct quantized *all = made[1]->graph.nodes[2].params[0].quantized;
  assert_true(fabsf(all->input_scale * 255 - 255.5F / 255) < 1e-6F);
  assert_true(mse->input_scale * 255 < 0.6F);
  imgrec_model_destroy(made[0]);
  imgrec_model_destroy(made[1]);
  imgrec_dataset_destroy(data);
  imgrec_tensor_destroy(images);
  imgrec_tensor_destroy(labels);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* ---- The same everywhere ------------------------------------------------- */

static void digest(int threads, int isa, char hex[65]) {
  struct fixture f;
  struct sha256 s;
  set_up(&f, threads, isa);
  imgrec_model *m = quantized(&f, NULL);
  imgrec_tensor *x = new_batch(f.ctx, m, 20, 8);
  imgrec__sha256_init(&s);
  for (int i = 0; i < m->graph.node_count; i++) {
    const struct quantized *q = m->graph.nodes[i].params[0].quantized;
    if (q == NULL)
      continue;
    imgrec__sha256_update(&s, &q->input_scale, sizeof q->input_scale);
    imgrec__sha256_update(&s, q->weight_scale, q->outputs * sizeof(float));
    for (size_t k = 0; k < m->graph.nodes[i].params[0].count; k++)
      imgrec__sha256_update(&s, imgrec__quantized_value(q, k), 1);
  }
  imgrec__sha256_update(&s,
                        imgrec__model_run(m, floats_of(x), 20, m->graph.output),
                        20 * 3 * sizeof(float));
  imgrec__sha256_hex(&s, hex);
  imgrec_tensor_destroy(x);
  imgrec_model_destroy(m);
  tear_down(&f);
}

static void test_quantize__same_bits(void **state) {
  (void)state;
  char want[65], got[65];
  digest(1, IMGREC_ISA_SCALAR, want);
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int threads = 1; threads <= 3; threads++) {
      digest(threads, isa, got);
      assert_string_equal(got, want);
    }
}

/* Of bytes, numbers are made when they are asked for. */
static void test_quantize__parameter_in_any_rounding(void **state) {
  const int modes[] = {FE_UPWARD, FE_DOWNWARD};
  (void)state;
  struct fixture f;
  set_up(&f, 1, IMGREC_ISA_AUTO);
  imgrec_model *m = quantized(&f, NULL);
  const char *name = imgrec_model_parameter_name(m, 0);
  imgrec_tensor *want = NULL;
  assert_ok(f.ctx, imgrec_model_get_parameter(&want, m, name));
  for (int i = 0; i < 2; i++) {
    imgrec_tensor *got = NULL;
    fesetround(modes[i]);
    int status = imgrec_model_get_parameter(&got, m, name);
    fesetround(FE_TONEAREST);
    assert_ok(f.ctx, status);
    assert_memory_equal(floats_of(got), floats_of(want),
                        imgrec_tensor_nbytes(want));
    imgrec_tensor_destroy(got);
  }
  imgrec_tensor_destroy(want);
  imgrec_model_destroy(m);
  tear_down(&f);
}

/* An image gets the same answer alone and among others. */
static void test_quantize__batch(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, 1, IMGREC_ISA_AUTO);
  imgrec_model *m = quantized(&f, NULL);
  imgrec_tensor *x = new_batch(f.ctx, m, 32, 8);
  float all[32 * 3];
  memcpy(all, imgrec__model_run(m, floats_of(x), 32, m->graph.output),
         sizeof all);
  for (size_t i = 0; i < 32; i++)
    assert_memory_equal(
        all + i * 3,
        imgrec__model_run(m, floats_of(x) + i * 36, 1, m->graph.output),
        3 * sizeof(float));
  imgrec_tensor_destroy(x);
  imgrec_model_destroy(m);
  tear_down(&f);
}

/* ---- Refused ------------------------------------------------------------- */

static void refuses(const struct fixture *f, imgrec_quantize_options o,
                    int code, const char *sentence) {
  imgrec_model *m = NULL;
  o.struct_size = sizeof o;
  assert_fails(f->ctx, imgrec_model_quantize(&m, f->model, f->data, &o), code,
               sentence);
  assert_null(m);
}

static void test_quantize__options(void **state) {
  (void)state;
  struct fixture f;
  imgrec_model *m = NULL, *twice = NULL;
  set_up(&f, 1, IMGREC_ISA_AUTO);
  refuses(&f, (imgrec_quantize_options){.images = -1}, IMGREC_ERR_ARGUMENT,
          "images is -1; it must be 1 to 10000000");
  refuses(&f, (imgrec_quantize_options){.range = 2}, IMGREC_ERR_ARGUMENT,
          "range is 2, which is no IMGREC_RANGE_ value");
  refuses(&f, (imgrec_quantize_options){.max_batch = -1}, IMGREC_ERR_ARGUMENT,
          "max_batch is -1; it must be 1 to 65536");
  refuses(&f, (imgrec_quantize_options){.reserved = 1}, IMGREC_ERR_UNSUPPORTED,
          "imgrec_quantize_options: reserved is 1; it must be 0");
  assert_int_equal(imgrec_model_quantize(&m, NULL, f.data, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_fails(f.ctx, imgrec_model_quantize(NULL, f.model, f.data, NULL),
               IMGREC_ERR_ARGUMENT,
               "imgrec_model_quantize: out or the data set is NULL");
  assert_fails(f.ctx, imgrec_model_quantize(&m, f.model, NULL, NULL),
               IMGREC_ERR_ARGUMENT,
               "imgrec_model_quantize: out or the data set is NULL");
  m = quantized(&f, NULL);
  assert_fails(f.ctx, imgrec_model_quantize(&twice, m, f.data, NULL),
               IMGREC_ERR_UNSUPPORTED,
               "the weights of this model are int8, which cannot be quantized "
               "again; go back to the model that it was made from");
  imgrec_model_destroy(m);
  tear_down(&f);
}

static void test_quantize__nothing_to_do(void **state) {
  (void)state;
  struct fixture f = {.ctx = new_context(1, IMGREC_ISA_AUTO)};
  f.model = new_model(f.ctx, "input 6 6 1\nflatten\n", 4, 1);
  f.data = toy_data(f.ctx, 3, 0, 60);
  refuses(&f, (imgrec_quantize_options){.images = 3}, IMGREC_ERR_UNSUPPORTED,
          "the model has no convolution and no dense layer to quantize");
  tear_down(&f);
}

static void test_quantize__not_finite(void **state) {
  (void)state;
  struct fixture f = {.ctx = new_context(1, IMGREC_ISA_AUTO)};
  f.model = new_model(
      f.ctx, "input 6 6 1\nconv2d 2 kernel=3\nflatten\ndense 3\n", 4, 1);
  f.data = toy_data(f.ctx, 3, 0, 60);
  f.model->graph.nodes[1].params[0].data[3] = NAN;
  refuses(&f, (imgrec_quantize_options){.images = 3}, IMGREC_ERR_DIVERGED,
          "the input of layer 'fc1' is not finite on these images");
  tear_down(&f);
}

/* An input of zeros and weights of zeros: any scale is right. */
static void test_quantize__zeros(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, "input 6 6 1\nflatten\ndense 3\n", 4, 1);
  imgrec_tensor *images = new_tensor(ctx, IMGREC_U8, 4, 2, 6, 6, 1);
  imgrec_tensor *labels = new_tensor(ctx, IMGREC_I32, 1, 2, 1, 1, 1);
  imgrec_dataset *data = NULL;
  imgrec_model *made = NULL;
  memset(m->weights, 0, m->weight_floats * sizeof(float));
  m->graph.nodes[2].params[1].data[1] = 7;
  assert_ok(ctx, imgrec_dataset_from_memory(&data, ctx, images, labels, 3));
  assert_ok(ctx, imgrec_model_quantize(&made, m, data, NULL));
  const float x[36] = {1};
  const float *y = imgrec__model_run(made, x, 1, made->graph.output);
  assert_true(y[0] == 0 && y[1] == 7 && y[2] == 0);
  imgrec_model_destroy(made);
  imgrec_dataset_destroy(data);
  imgrec_tensor_destroy(images);
  imgrec_tensor_destroy(labels);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* Inputs and weights whose steps have no product that is finite. */
static void test_quantize__too_large(void **state) {
  (void)state;
  struct fixture f = {.ctx = new_context(1, IMGREC_ISA_AUTO)};
  f.model = new_model(f.ctx, "input 6 6 1\nflatten\ndense 3\n", 4, 1);
  f.data = toy_data(f.ctx, 3, 0, 60);
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  assert_ok(f.ctx, imgrec_model_get_preprocess(f.model, &p));
  p.scale = 1e30F;
  assert_ok(f.ctx, imgrec_model_set_preprocess(f.model, &p));
  f.model->graph.nodes[2].params[0].data[0] = 1e35F;
  refuses(&f, (imgrec_quantize_options){.images = 3}, IMGREC_ERR_DIVERGED,
          "the weights of layer 'fc1' and its input on these images are too "
          "large");
  tear_down(&f);
}

static void test_quantize__out_of_memory(void **state) {
  (void)state;
  struct failing failing = {0};
  imgrec_context_options o;
  struct fixture f = {NULL, NULL, NULL};
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &failing;
  assert_int_equal(imgrec_context_create(&f.ctx, &o), IMGREC_OK);
  f.model = new_model(f.ctx, TOY_NET, 4, 1);
  f.data = toy_data(f.ctx, 6, 0, 60);
  int status = IMGREC_ERR_MEMORY;
  for (long n = 1; status == IMGREC_ERR_MEMORY; n++) {
    imgrec_model *m = NULL;
    long blocks = failing.live_blocks;
    failing.calls = 0;
    failing.fail_at = n;
    status = imgrec_model_quantize(&m, f.model, f.data, NULL);
    assert_true((status >= 0) == (m != NULL));
    imgrec_model_destroy(m);
    assert_int_equal(failing.live_blocks, blocks);
  }
  failing.fail_at = 0;
  assert_int_equal(status, IMGREC_OK);
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_quantize__accuracy),
      cmocka_unit_test(test_quantize__keeps),
      cmocka_unit_test(test_quantize__layer_info),
      cmocka_unit_test(test_quantize__ranges),
      cmocka_unit_test(test_quantize__outlier),
      cmocka_unit_test(test_quantize__same_bits),
      cmocka_unit_test(test_quantize__parameter_in_any_rounding),
      cmocka_unit_test(test_quantize__batch),
      cmocka_unit_test(test_quantize__options),
      cmocka_unit_test(test_quantize__nothing_to_do),
      cmocka_unit_test(test_quantize__not_finite),
      cmocka_unit_test(test_quantize__zeros),
      cmocka_unit_test(test_quantize__too_large),
      cmocka_unit_test(test_quantize__out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
