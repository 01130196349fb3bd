/* SPDX-License-Identifier: MIT */
/* Does work slow down where values fade below the normal numbers?  Times
 * kernels and training steps with ordinary values, with denormal ones, and with
 * such that products are denormal; prints how many times as long they take. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "context.h"
#include "kernels/kernels.h"

enum { N = 4096, CHANNELS = 64, ROUNDS = 200, STEPS = 60 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fill(float *p, size_t n, float size) {
  for (size_t i = 0; i < n; i++)
    p[i] = size * (0.5f + (float)(i * 7919 % 1000) / 1000) *
           (i % 3 == 0 ? -1.0f : 1.0f);
}

/* ---- Kernels ------------------------------------------------------------ */

/* Blocks of N floats, y being written. */
struct arrays {
  float y[N], a[N], b[N], v[N], save[2 * N];
};

typedef void (*kernel_fn)(const struct kernels *k, struct arrays *s);

static void run_mul(const struct kernels *k, struct arrays *s) {
  k->mul(s->y, s->a, s->b, N);
}

static void run_add(const struct kernels *k, struct arrays *s) {
  k->add(s->y, s->a, s->b, N);
}

static void run_scale(const struct kernels *k, struct arrays *s) {
  k->scale(s->y, s->a, s->b[1], N);
}

static void run_affine(const struct kernels *k, struct arrays *s) {
  k->affine(s->y, s->a, s->b, s->b, N / CHANNELS, CHANNELS);
}

static void run_affine2(const struct kernels *k, struct arrays *s) {
  k->affine2(s->y, s->a, s->b, s->b, s->b, s->b, N / CHANNELS, CHANNELS);
}

static void run_sum_rows(const struct kernels *k, struct arrays *s) {
  double sum[CHANNELS] = {0}, dot[CHANNELS] = {0};
  k->sum_rows(sum, dot, s->a, s->b, N / CHANNELS, CHANNELS);
  s->y[0] = (float)(sum[0] + dot[0]);
}

static void run_softmax(const struct kernels *k, struct arrays *s) {
  k->softmax(s->y, s->a, N);
}

static void run_adam(const struct kernels *k, struct arrays *s) {
  memcpy(s->y, s->a, sizeof s->y);
  memcpy(s->v, s->b, sizeof s->v);
  k->adam(s->save, s->y, s->v, s->a, N, 1, 1e-3f, 0.1f, 1e-3f, 1e-7f);
}

static void run_sgd(const struct kernels *k, struct arrays *s) {
  memcpy(s->y, s->a, sizeof s->y);
  k->sgd(s->save, s->y, s->b, N, 1, 1e-3f, 0.9f);
}

#define ACTIVATION(name, which)                                                \
  static void run_##name(const struct kernels *k, struct arrays *s) {          \
    k->activate[which](s->y, s->a, 0.1f, N);                                   \
  }                                                                            \
  static void run_##name##_grad(const struct kernels *k, struct arrays *s) {   \
    k->activate_grad[which](s->y, s->a, s->b, s->b, 0.1f, N);                  \
  }

ACTIVATION(relu, ACT_RELU)
ACTIVATION(leaky_relu, ACT_LEAKY_RELU)
ACTIVATION(sigmoid, ACT_SIGMOID)
ACTIVATION(tanh, ACT_TANH)
ACTIVATION(silu, ACT_SILU)
ACTIVATION(gelu, ACT_GELU)
ACTIVATION(hard_swish, ACT_HARD_SWISH)

static const struct window window = {.height = 8,
                                     .width = 8,
                                     .channels = CHANNELS,
                                     .out_height = 4,
                                     .out_width = 4,
                                     .kernel = {2, 2},
                                     .stride = {2, 2}};

static void run_avg_pool(const struct kernels *k, struct arrays *s) {
  for (size_t oy = 0; oy < window.out_height; oy++)
    k->avg_pool(s->y + oy * window.out_width * CHANNELS, s->a, &window, oy);
}

static void run_avg_pool_grad(const struct kernels *k, struct arrays *s) {
  k->avg_pool_grad(s->y, s->a, &window, 0, window.height);
}

static void run_max_pool(const struct kernels *k, struct arrays *s) {
  for (size_t oy = 0; oy < window.out_height; oy++)
    k->max_pool(s->y + oy * window.out_width * CHANNELS, s->a, &window, oy);
}

static const struct {
  const char *name;
  kernel_fn run;
} works[] = {
    {"mul", run_mul},
    {"add", run_add},
    {"scale", run_scale},
    {"affine", run_affine},
    {"affine2", run_affine2},
    {"sum_rows", run_sum_rows},
    {"softmax", run_softmax},
    {"adam", run_adam},
    {"sgd", run_sgd},
    {"relu", run_relu},
    {"relu_grad", run_relu_grad},
    {"leaky_relu", run_leaky_relu},
    {"leaky_relu_grad", run_leaky_relu_grad},
    {"sigmoid", run_sigmoid},
    {"sigmoid_grad", run_sigmoid_grad},
    {"tanh", run_tanh},
    {"tanh_grad", run_tanh_grad},
    {"silu", run_silu},
    {"silu_grad", run_silu_grad},
    {"gelu", run_gelu},
    {"gelu_grad", run_gelu_grad},
    {"hard_swish", run_hard_swish},
    {"hard_swish_grad", run_hard_swish_grad},
    {"avg_pool", run_avg_pool},
    {"avg_pool_grad", run_avg_pool_grad},
    {"max_pool", run_max_pool},
};

/* Sizes of a and b: ordinary, denormal, of denormal products. */
static const float sizes[3][2] = {{1, 1}, {1e-40f, 1}, {1e-20f, 1e-20f}};

/* Least seconds of each, taken in turns. */
static void time_kernel(const struct kernels *k, kernel_fn run,
                        double best[3]) {
  static struct arrays s[3];
  for (int i = 0; i < 3; i++) {
    fill(s[i].a, N, sizes[i][0]);
    fill(s[i].b, N, sizes[i][1]);
    best[i] = 1e9;
  }
  for (int round = 0; round < ROUNDS; round++)
    for (int i = 0; i < 3; i++) {
      double start = now();
      for (int repeat = 0; repeat < 8; repeat++)
        run(k, &s[i]);
      double took = now() - start;
      best[i] = took < best[i] ? took : best[i];
    }
}

static void kernels_of(const struct kernels *k) {
  printf("\n%-18s %-8s denormal  products\n", "kernel", k->name);
  for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
    double best[3];
    time_kernel(k, works[i].run, best);
    printf("%-18s %5.2f us %8.2f  %8.2f\n", works[i].name, best[0] * 1e6 / 8,
           best[1] / best[0], best[2] / best[0]);
  }
}

/* ---- Steps -------------------------------------------------------------- */

static const struct {
  const char *name, *text;
} nets[] = {
    {"dense", "input 8 8 16\nflatten\ndense 256 activation=relu\ndense 256 "
              "activation=relu\ndense 10\nsoftmax\n"},
    {"conv", "input 16 16 16\nconv2d 32 kernel=3 activation=relu\nconv2d 32 "
             "kernel=3 activation=relu\nconv2d 32 kernel=3 activation=relu\n"
             "global_avg_pool2d\ndense 10\nsoftmax\n"},
    {"depthwise", "input 16 16 16\nconv2d 32 kernel=1 activation=silu\n"
                  "depthwise_conv2d kernel=3 activation=relu\navg_pool2d 2\n"
                  "flatten\ndense 10\nsoftmax\n"},
    {"batch_norm", "input 16 16 16\nconv2d 32 kernel=3\nbatch_norm\nrelu\n"
                   "max_pool2d 2\nflatten\ndense 10\nsoftmax\n"},
};

/* What fades, and how much: input, all weights but the last, the last. */
static const struct {
  const char *name;
  float input, weights, last;
} regimes[] = {
    {"ordinary", 1, 1, 1},
    {"denormal inputs", 1e-39f, 1, 1},
    {"inputs 1e-38", 1e-37f, 1, 1},
    {"faint weights", 1, 1e-15f, 1},
    {"denormal weights", 1, 1e-38f, 1},
    {"faint gradients", 1, 1, 1e-37f},
};

struct bench {
  imgrec_model *model;
  imgrec_trainer *trainer;
  imgrec_tensor *x, *labels;
};

static int scale_weights(imgrec_model *m, float weights, float last) {
  int layers = imgrec_model_layer_count(m);
  imgrec_tensor *w;
  char name[64];
  static const char *const kinds[] = {"conv", "fc"};
  for (int i = layers; i > 0; i--)
    for (int k = 0; k < 2; k++) {
      snprintf(name, sizeof name, "%s%d.weight", kinds[k], i);
      if (imgrec_model_get_parameter(&w, m, name) < 0)
        continue;
      float *data = imgrec_tensor_data(w);
      int is_last = imgrec_tensor_dim(w, 0) == 10;
      for (size_t j = 0; j < imgrec_tensor_nbytes(w) / sizeof *data; j++)
        data[j] *= is_last ? last : weights;
      int status = imgrec_model_set_parameter(m, name, w);
      imgrec_tensor_destroy(w);
      if (status < 0)
        return 0;
    }
  return 1;
}

/* A rate so small that the weights stay as they are. */
static int create(struct bench *b, imgrec_context *ctx, const char *text,
                  int regime) {
  int64_t shape[4] = {16, 0, 0, 0};
  imgrec_trainer_options o;
  imgrec_trainer_options_init(&o, sizeof o);
  o.learning_rate = 1e-37f;
  o.max_batch = 16;
  if (imgrec_model_create(&b->model, ctx, text, NULL) < 0 ||
      imgrec_trainer_create(&b->trainer, b->model, &o) < 0 ||
      !scale_weights(b->model, regimes[regime].weights, regimes[regime].last))
    return 0;
  imgrec_model_input_shape(b->model, shape + 1);
  if (imgrec_tensor_create(&b->x, ctx, IMGREC_F32, 4, shape) < 0 ||
      imgrec_tensor_create(&b->labels, ctx, IMGREC_I32, 1, shape) < 0)
    return 0;
  fill(imgrec_tensor_data(b->x), imgrec_tensor_nbytes(b->x) / sizeof(float),
       regimes[regime].input);
  return 1;
}

static void destroy(struct bench *b) {
  imgrec_tensor_destroy(b->x);
  imgrec_tensor_destroy(b->labels);
  imgrec_trainer_destroy(b->trainer);
  imgrec_model_destroy(b->model);
}

enum { REGIMES = sizeof regimes / sizeof regimes[0] };

static int steps_of(imgrec_context *ctx, const char *name, const char *text) {
  struct bench b[REGIMES] = {{NULL, NULL, NULL, NULL}};
  double best[REGIMES];
  int ok = 1;
  for (int i = 0; i < REGIMES; i++) {
    best[i] = 1e9;
    ok = ok && create(&b[i], ctx, text, i);
  }
  for (int step = 0; ok && step < STEPS; step++)
    for (int i = 0; i < REGIMES; i++) {
      double start = now();
      imgrec_train_step(b[i].trainer, b[i].x, b[i].labels, NULL);
      double took = now() - start;
      best[i] = took < best[i] ? took : best[i];
    }
  for (int i = 0; ok && i < REGIMES; i++)
    printf("%-12s %-18s %8.3f ms  %6.2f\n", name, regimes[i].name,
           best[i] * 1e3, best[i] / best[0]);
  if (!ok)
    fprintf(stderr, "%s: %s\n", name, imgrec_last_error(ctx));
  for (int i = 0; i < REGIMES; i++)
    destroy(&b[i]);
  return ok;
}

int main(void) {
  imgrec_context *ctx = NULL;
  imgrec_context_options o;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  int ok = imgrec_context_create(&ctx, &o) >= 0;
  for (size_t i = 0; ok && i < sizeof nets / sizeof nets[0]; i++)
    ok = steps_of(ctx, nets[i].name, nets[i].text);
  for (int isa = IMGREC_ISA_SCALAR; ok && isa <= ctx->isa; isa++)
    if (imgrec__kernels_for(isa))
      kernels_of(imgrec__kernels_for(isa));
  imgrec_context_destroy(ctx);
  return !ok;
}
