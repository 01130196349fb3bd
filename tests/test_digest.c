/* SPDX-License-Identifier: MIT */
/* Identical bits: digests of training and of forward are the same for every
 * number of threads, instruction set, job system and batch.  The digests are
 * in tests/golden/digests.txt; they change only with
 * imgrec_arithmetic_version(), and IMGREC_WRITE_DIGESTS=1 writes them anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/kernels.h"
#include "nets.h"

#define GOLDEN "tests/golden/digests.txt"

/* The table of plain C is some fifty times slower, so it takes fewer steps. */
static const struct net {
  const char *preset; /* or a name of ours, in texts[] */
  int size, channels, batch, steps, scalar_too;
} nets[] = {
    {"lenet5", 28, 1, 8, 2, 1},  {"tiny", 8, 1, 8, 10, 1},
    {"small", 16, 3, 2, 2, 1},   {"seed", 22, 3, 2, 2, 1},
    {"lenet5", 28, 1, 8, 50, 0}, {"tiny", 8, 1, 8, 50, 0},
    {"small", 32, 3, 2, 50, 0},  {"seed", 32, 3, 2, 50, 0},
    {"odd", 21, 3, 16, 2, 1},    {"cifar", 32, 3, 8, 5, 0},
    {"nano", 16, 3, 4, 2, 1},    {"resnet8", 16, 3, 2, 2, 1},
    {"nano", 64, 3, 2, 10, 0},   {"resnet8", 32, 3, 4, 10, 0},
    {"base", 16, 3, 4, 5, 0},    {"cifar_fast", 16, 3, 4, 5, 0},
    {"base", 160, 3, 2, 1, 0},   {"mobilenet_v2", 64, 3, 4, 3, 0},
    {"large", 8, 3, 4, 2, 0},    {"resnet18", 32, 3, 4, 1, 0},
};

/* Pooling of odd sizes; Winograd's gradients in several slabs. */
static const struct {
  const char *name, *text;
} texts[] = {{"odd", "input 21 21 3\n"
                     "conv2d 16 kernel=3 padding=same activation=relu\n"
                     "max_pool2d 2\n"
                     "conv2d 20 kernel=4 padding=1 activation=relu\n"
                     "conv2d 17 kernel=3 padding=same activation=relu\n"
                     "max_pool2d 2\nflatten\ndense 10\nsoftmax\n"},
             {"cifar", "input 32 32 3\n"
                       "conv2d 32 kernel=3 padding=same activation=relu\n"
                       "max_pool2d 2\n"
                       "conv2d 64 kernel=3 padding=same activation=relu\n"
                       "max_pool2d 2\n"
                       "conv2d 128 kernel=3 padding=same activation=relu\n"
                       "max_pool2d 2\nflatten\n"
                       "dense 128 activation=relu\ndense 10\nsoftmax\n"}};

enum { NETS = sizeof nets / sizeof nets[0], CLASSES = 10 };

struct digests {
  char weights[65], logits[65];
};

/* ---- One run ------------------------------------------------------------- */

static imgrec_model *model_of(imgrec_context *ctx, const struct net *net,
                              int max_batch) {
  char text[8000];
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (strcmp(net->preset, texts[i].name) == 0)
      return new_model(ctx, texts[i].text, max_batch, 7);
  assert_true(imgrec_preset(net->preset, net->size, net->size, net->channels,
                            CLASSES, text, sizeof text) > 0);
  return new_model(ctx, text, max_batch, 7);
}

/* Steps over three batches, in turn. */
static void train(imgrec_context *ctx, imgrec_model *m, const struct net *net,
                  int steps) {
  imgrec_trainer_options o;
  imgrec_trainer *t = NULL;
  imgrec_trainer_options_init(&o, sizeof o);
  o.max_batch = net->batch;
  o.seed = 11;
  assert_ok(ctx, imgrec_trainer_create(&t, m, &o));
  for (int step = 0; step < steps; step++) {
    imgrec_tensor *x = new_batch(ctx, m, net->batch, (uint64_t)step % 3);
    imgrec_tensor *labels =
        new_labels(ctx, net->batch, CLASSES, (uint64_t)step % 3);
    assert_ok(ctx, imgrec_train_step(t, x, labels, NULL));
    imgrec_tensor_destroy(x);
    imgrec_tensor_destroy(labels);
  }
  imgrec_trainer_destroy(t);
}

/* As little-endian machines have them. */
static void hash_floats(struct sha256 *s, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    const unsigned char bytes[] = {
        (unsigned char)bits, (unsigned char)(bits >> 8),
        (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
    imgrec__sha256_update(s, bytes, sizeof bytes);
  }
}

static void hash_weights(const imgrec_model *m, char hex[65]) {
  struct sha256 s;
  struct param *p;
  imgrec__sha256_init(&s);
  for (int i = 0; (p = imgrec__model_param(m, i)); i++)
    hash_floats(&s, p->data, p->count);
  imgrec__sha256_hex(&s, hex);
}

/* Logits of n images. */
static void logits_of(imgrec_model *m, const float *x, size_t n, float *y) {
  memcpy(y, imgrec__model_run(m, x, n, m->graph.logits),
         n * CLASSES * sizeof *y);
}

static void hash_logits(imgrec_context *ctx, imgrec_model *m,
                        const struct net *net, char hex[65]) {
  struct sha256 s;
  float y[32 * CLASSES];
  size_t n = (size_t)net->batch;
  imgrec_tensor *x = new_batch(ctx, m, net->batch, 21);
  logits_of(m, floats_of(x), n, y);
  imgrec__sha256_init(&s);
  hash_floats(&s, y, n * CLASSES);
  imgrec__sha256_hex(&s, hex);
  imgrec_tensor_destroy(x);
}

static struct digests run(imgrec_context *ctx, const struct net *net) {
  struct digests d;
  imgrec_model *m = model_of(ctx, net, net->batch);
  train(ctx, m, net, net->steps);
  hash_weights(m, d.weights);
  hash_logits(ctx, m, net, d.logits);
  imgrec_model_destroy(m);
  return d;
}

/* ---- What is right ------------------------------------------------------- */

static struct digests golden[NETS];

static const char *net_name(const struct net *net, char name[80]) {
  snprintf(name, 80, "%s %dx%dx%d batch %d steps %d", net->preset, net->size,
           net->size, net->channels, net->batch, net->steps);
  return name;
}

static void write_golden(void) {
  char name[80];
  FILE *f = fopen(GOLDEN, "w");
  assert_non_null(f);
  fprintf(f,
          "# Written by IMGREC_WRITE_DIGESTS=1 build/tests/test_digest of "
          "imgrec %s,\n# arithmetic version %d: sha256 of the weights after "
          "training,\n# and of the logits of one batch.\n",
          imgrec_version_string(), imgrec_arithmetic_version());
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  for (int i = 0; i < NETS; i++) {
    golden[i] = run(ctx, &nets[i]);
    fprintf(f, "%s\nweights %s\nlogits %s\n", net_name(&nets[i], name),
            golden[i].weights, golden[i].logits);
  }
  imgrec_context_destroy(ctx);
  assert_int_equal(fclose(f), 0);
}

static void read_line(FILE *f, char line[200]) {
  do
    assert_non_null(fgets(line, 200, f));
  while (line[0] == '#');
  line[strcspn(line, "\n")] = '\0';
}

static void read_digest(FILE *f, const char *word, char hex[65]) {
  char line[200];
  size_t n = strlen(word);
  read_line(f, line);
  assert_memory_equal(line, word, n);
  assert_int_equal(strlen(line + n), 64);
  memcpy(hex, line + n, 65);
}

static int read_golden(void **state) {
  char line[200], name[80];
  (void)state;
  if (getenv("IMGREC_WRITE_DIGESTS")) {
    write_golden();
    return 0;
  }
  FILE *f = fopen(GOLDEN, "r");
  assert_non_null(f);
  for (int i = 0; i < NETS; i++) {
    read_line(f, line);
    assert_string_equal(line, net_name(&nets[i], name));
    read_digest(f, "weights ", golden[i].weights);
    read_digest(f, "logits ", golden[i].logits);
  }
  fclose(f);
  return 0;
}

/* ---- Tests --------------------------------------------------------------- */

static void check(imgrec_context *ctx) {
  int scalar = imgrec_context_isa(ctx) == IMGREC_ISA_SCALAR;
  for (int i = 0; i < NETS; i++) {
    if (scalar && !nets[i].scalar_too)
      continue;
    const struct digests d = run(ctx, &nets[i]);
    assert_string_equal(d.weights, golden[i].weights);
    assert_string_equal(d.logits, golden[i].logits);
  }
}

static void test_digest__threads_and_instruction_sets(void **state) {
  static const int threads[] = {1, 2, 3, 5, 7};
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int i = 0; i < 5; i++) {
      imgrec_context *ctx = new_context(threads[i], isa);
      check(ctx);
      imgrec_context_destroy(ctx);
    }
}

/* A job system that starts with the last task, and hands out workers as it
 * likes. */
static int backwards(void *user, imgrec_task_fn task, void *arg, int count) {
  int *calls = user;
  for (int i = count - 1; i >= 0; i--)
    task(arg, i, (*calls + i) % 4);
  ++*calls;
  return 0;
}

static void test_digest__job_system_of_the_host(void **state) {
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  int calls = 0;
  (void)state;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 4;
  o.parallel = backwards;
  o.parallel_user = &calls;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  check(ctx);
  assert_true(calls > 100);
  imgrec_context_destroy(ctx);
}

/* An image has the same logits alone and among 31 others. */
static void check_alone(imgrec_context *ctx, const struct net *net) {
  float together[32 * CLASSES], alone[CLASSES];
  imgrec_model *m = model_of(ctx, net, 32);
  imgrec_tensor *x = new_batch(ctx, m, 32, 30);
  size_t image = imgrec_tensor_nbytes(x) / 32 / sizeof(float);
  train(ctx, m, net, 2);
  logits_of(m, floats_of(x), 32, together);
  for (size_t i = 0; i < 32; i += 31) {
    logits_of(m, floats_of(x) + i * image, 1, alone);
    assert_memory_equal(alone, together + i * CLASSES, sizeof alone);
  }
  imgrec_tensor_destroy(x);
  imgrec_model_destroy(m);
}

static void test_digest__alone_and_in_a_batch(void **state) {
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    imgrec_context *ctx = new_context(2, isa);
    for (int i = 0; i < NETS; i++)
      if (nets[i].scalar_too)
        check_alone(ctx, &nets[i]);
    imgrec_context_destroy(ctx);
  }
}

/* One run of each small net, printed: for machines that are emulated, and to
 * see them side by side (digests.sh). */
static void test_digest__quick(void **state) {
  char name[80];
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    imgrec_context *ctx = new_context(2, isa);
    for (int i = 0; i < NETS; i++) {
      if (!nets[i].scalar_too)
        continue;
      const struct digests d = run(ctx, &nets[i]);
      printf("digest %s %s: %s %s\n", imgrec__kernels_for(isa)->name,
             net_name(&nets[i], name), d.weights, d.logits);
      assert_string_equal(d.weights, golden[i].weights);
      assert_string_equal(d.logits, golden[i].logits);
    }
    imgrec_context_destroy(ctx);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest quick[] = {cmocka_unit_test(test_digest__quick)};
  if (argc > 1 && strcmp(argv[1], "quick") == 0)
    return cmocka_run_group_tests(quick, read_golden, NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_digest__threads_and_instruction_sets),
      cmocka_unit_test(test_digest__job_system_of_the_host),
      cmocka_unit_test(test_digest__alone_and_in_a_batch),
  };
  return cmocka_run_group_tests(tests, read_golden, NULL);
}
