/* SPDX-License-Identifier: MIT */
/* Tests of lib/format/int8.c, and of what the writer does with weights that are
 * not F32: models in bytes and in halves to files and back, and files that say
 * what cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <sys/stat.h>

#include "failing_alloc.h"
#include "format/format.h"
#include "int8_net.h"
#include "safetensors_file.h"

#define FOLDER "build/tmp/test_int8"
#define FILE_A FOLDER "/a.safetensors"
#define FILE_B FOLDER "/b.safetensors"

#define NET                                                                    \
  "input 6 5 3\nconv2d 4 kernel=3 activation=relu\nbatch_norm\n"               \
  "depthwise_conv2d 2 kernel=2 bias=false\nconv2d 6 kernel=1 groups=2\n"       \
  "flatten order=chw\ndense 3\nsoftmax\n"

static int make_folder(void **state) {
  (void)state;
  mkdir("build", 0777);
  mkdir("build/tmp", 0777);
  mkdir(FOLDER, 0777);
  return 0;
}

/* ---- To a file and back -------------------------------------------------- */

static void assert_same_answers(imgrec_context *ctx, imgrec_model *a,
                                imgrec_model *b) {
  imgrec_tensor *x = new_batch(ctx, a, 2, 3);
  int classes = imgrec_model_classes(a);
  imgrec_tensor *p = new_tensor(ctx, IMGREC_F32, 2, 2, classes, 1, 1);
  imgrec_tensor *q = new_tensor(ctx, IMGREC_F32, 2, 2, classes, 1, 1);
  assert_ok(ctx, imgrec_model_forward(a, x, p));
  assert_ok(ctx, imgrec_model_forward(b, x, q));
  assert_memory_equal(floats_of(p), floats_of(q), imgrec_tensor_nbytes(p));
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(p);
  imgrec_tensor_destroy(q);
}

/* Saves, loads, compares, saves again: the same bytes. */
static size_t round_trip(imgrec_context *ctx, imgrec_model *m) {
  imgrec_model *loaded = NULL;
  assert_ok(ctx, imgrec_model_save(m, FILE_A));
  assert_ok(ctx, imgrec_model_load(&loaded, ctx, FILE_A, NULL));
  assert_int_equal(imgrec_model_weight_type(loaded),
                   imgrec_model_weight_type(m));
  assert_same_answers(ctx, m, loaded);
  assert_ok(ctx, imgrec_model_save(loaded, FILE_B));
  struct bytes a = bytes_read(FILE_A), b = bytes_read(FILE_B);
  size_t size = a.size;
  assert_int_equal(a.size, b.size);
  assert_memory_equal(a.data, b.data, a.size);
  free(a.data);
  free(b.data);
  imgrec_model_destroy(loaded);
  return size;
}

static void test_int8__round_trip(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *f = new_model(ctx, NET, 2, 1);
  random_weights(f, 4);
  imgrec_model *m = int8_model(ctx, f, 0.0625F, 100);
  round_trip(ctx, m);
  imgrec_model_destroy(m);
  imgrec_model_destroy(f);
  imgrec_context_destroy(ctx);
}

static void test_int8__halves_round_trip(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, NET, 2, 1);
  random_weights(m, 4);
  size_t floats = round_trip(ctx, m);
  for (int type = IMGREC_WEIGHTS_F16; type <= IMGREC_WEIGHTS_BF16; type++) {
    assert_ok(ctx, imgrec_model_round_weights(m, type));
    assert_true(round_trip(ctx, m) < floats);
  }
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* The data section: 4 bytes each, then 2, then 1, all aligned; each weight in
 * its own size. */
static void test_int8__layout(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *f = new_model(ctx, NET, 2, 1);
  imgrec_model *m = int8_model(ctx, f, 0.0625F, 100);
  struct safetensors s;
  assert_ok(ctx, imgrec_model_save(m, FILE_A));
  struct bytes b = bytes_read(FILE_A);
  assert_ok(ctx, imgrec__safetensors_parse(&s, &ctx->allocator, &ctx->error,
                                           b.data, b.size));
  for (size_t i = 0; i < s.count; i++)
    assert_int_equal(s.tensors[i].begin % s.tensors[i].type->size, 0);
  const struct stored *t = imgrec__safetensors_find(&s, "conv2.weight");
  assert_true(imgrec__stored_is(t, "I8"));
  assert_int_equal(t->end - t->begin, 8 * 2 * 2);
  t = imgrec__safetensors_find(&s, "conv2.input_zero_point");
  assert_int_equal(s.data[t->begin], 100);
  assert_int_equal(t->ndim, 0);
  t = imgrec__safetensors_find(&s, "conv2.weight_scale");
  assert_int_equal(t->count, 8);
  assert_null(imgrec__safetensors_find(&s, "bn1.weight_scale"));
  imgrec__safetensors_free(&s);
  free(b.data);
  imgrec_model_destroy(m);
  imgrec_model_destroy(f);
  imgrec_context_destroy(ctx);
}

/* In a model of bytes only the bytes are there, not also their floats. */
static void test_int8__memory(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *f = new_model(ctx, "input 9 9 8\nflatten\ndense 512\n", 1, 1);
  imgrec_model *m = int8_model(ctx, f, 1, 0);
  uint64_t floats = 0, bytes = 0;
  assert_ok(ctx, imgrec_model_memory(f, 1, 0, &floats));
  assert_ok(ctx, imgrec_model_memory(m, 1, 0, &bytes));
  assert_in_range(bytes, floats / 5, floats / 3);
  assert_fails(
      ctx, imgrec_model_memory(m, 1, 1, &bytes), IMGREC_ERR_UNSUPPORTED,
      "the weights of this model are int8, which cannot be trained; go "
      "back to the model that it was made from");
  imgrec_model_destroy(m);
  imgrec_model_destroy(f);
  imgrec_context_destroy(ctx);
}

static void test_int8__refused_calls(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *f = new_model(ctx, NET, 2, 1);
  imgrec_model *m = int8_model(ctx, f, 1, 0);
  imgrec_trainer *t = NULL;
  assert_ok(ctx, imgrec_model_save(f, FILE_B));
  assert_ok(ctx, imgrec_model_save(m, FILE_A));
  assert_int_equal(imgrec_trainer_create(&t, m, NULL), IMGREC_ERR_UNSUPPORTED);
  assert_non_null(strstr(imgrec_last_error(ctx), "int8, which cannot be "
                                                 "trained"));
  assert_null(t);
  assert_int_equal(imgrec_model_load_weights(m, FILE_B),
                   IMGREC_ERR_UNSUPPORTED);
  assert_int_equal(imgrec_model_load_weights(f, FILE_A), IMGREC_ERR_SHAPE);
  assert_non_null(strstr(imgrec_last_error(ctx),
                         "conv1.weight (I8 4 x 3 x 3 x 3 instead of F32 4 x 3 "
                         "x 3 x 3)"));
  assert_int_equal(imgrec_model_round_weights(m, IMGREC_WEIGHTS_BF16),
                   IMGREC_ERR_UNSUPPORTED);
  imgrec_model_destroy(m);
  imgrec_model_destroy(f);
  imgrec_context_destroy(ctx);
}

/* ---- Files made by hand -------------------------------------------------- */

#define TINY "input 1 1 2\nflatten\ndense 2\n"

struct tensor {
  const char *name, *type, *shape;
  const void *data;
  size_t size;
};

static const float ones[2] = {1, 1};
static const unsigned char weights[4] = {1, 2, 3, 0x80};

/* What TINY needs. */
static const struct tensor right[5] = {
    {"fc1.bias", "F32", "2", ones, 8},
    {"fc1.weight_scale", "F32", "2", ones, 8},
    {"fc1.input_scale", "F32", "", ones, 4},
    {"fc1.weight", "I8", "2,2", weights, 4},
    {"fc1.input_zero_point", "U8", "", weights, 1},
};

static struct bytes file_of(const struct tensor *t, size_t count) {
  char header[2000] = "{";
  unsigned char data[200];
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    char one[300];
    snprintf(one, sizeof one,
             "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":"
             "[%zu,%zu]}",
             i > 0 ? "," : "", t[i].name, t[i].type, t[i].shape, at,
             at + t[i].size);
    strcat(header, one);
    memcpy(data + at, t[i].data, t[i].size);
    at += t[i].size;
  }
  strcat(header, "}");
  return bytes_file(header, data, at);
}

/* As a load, but for the hashes. */
static int load(imgrec_context *ctx, imgrec_model **out, struct bytes b) {
  struct safetensors f;
  struct match match;
  struct graph g;
  assert_ok(ctx, imgrec__safetensors_parse(&f, &ctx->allocator, &ctx->error,
                                           b.data, b.size));
  assert_ok(ctx, imgrec__graph_parse(&g, &ctx->allocator, &ctx->error, TINY));
  imgrec__mark_int8(&g, &f);
  int status = imgrec__match(&match, &g, &f, &ctx->error);
  if (status < 0) {
    imgrec__graph_free(&g);
  } else {
    assert_ok(ctx, imgrec__model_from_graph(out, ctx, &g, NULL, 0));
    status = imgrec__match_import(&match, *out, &f, "test");
    imgrec__match_free(&match);
  }
  if (status < 0) {
    imgrec_model_destroy(*out);
    *out = NULL;
  }
  imgrec__safetensors_free(&f);
  return status;
}

static void test_int8__by_hand(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = NULL;
  struct bytes b = file_of(right, 5);
  assert_ok(ctx, load(ctx, &m, b));
  const float x[2] = {10, 200};
  const float *y = imgrec__model_run(m, x, 1, m->graph.output);
  /* zero is 1; -128 is a weight that a file may have */
  assert_true(y[0] == 10 * 1 + 200 * 2 + 1);
  assert_true(y[1] == 10 * 3 + 200 * -128 + 1);
  imgrec_model_destroy(m);
  free(b.data);
  imgrec_context_destroy(ctx);
}

/* TINY's tensors with one replaced, or left out where `name` is NULL. */
static void refuses(int index, struct tensor instead, int code,
                    const char *sentence) {
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  uint64_t before = imgrec_context_bytes(ctx);
  imgrec_model *m = NULL;
  struct tensor t[5];
  memcpy(t, right, sizeof t);
  t[index] = instead;
  if (instead.name == NULL)
    memmove(t + index, t + index + 1, (size_t)(4 - index) * sizeof *t);
  struct bytes b = file_of(t, instead.name == NULL ? 4 : 5);
  assert_int_equal(load(ctx, &m, b), code);
  if (strstr(imgrec_last_error(ctx), sentence) == NULL)
    fail_msg("'%s' lacks '%s'", imgrec_last_error(ctx), sentence);
  assert_true(imgrec_context_bytes(ctx) == before);
  free(b.data);
  imgrec_context_destroy(ctx);
}

static void test_int8__what_does_not_fit(void **state) {
  (void)state;
  static const char *const missing[] = {NULL, "missing: fc1.weight_scale",
                                        "missing: fc1.input_scale", NULL,
                                        "missing: fc1.input_zero_point"};
  for (int i = 0; i < 5; i++)
    if (missing[i] != NULL)
      refuses(i, (struct tensor){NULL, "", "", NULL, 0}, IMGREC_ERR_SHAPE,
              missing[i]);
  refuses(1, (struct tensor){"fc1.weight_scale", "F32", "1,2", ones, 8},
          IMGREC_ERR_SHAPE, "fc1.weight_scale (F32 1 x 2 instead of F32 2)");
  refuses(1, (struct tensor){"fc1.weight_scale", "F16", "2", ones, 4},
          IMGREC_ERR_SHAPE, "fc1.weight_scale (F16 2 instead of F32 2)");
  refuses(2, (struct tensor){"fc1.input_scale", "F32", "1", ones, 4},
          IMGREC_ERR_SHAPE,
          "fc1.input_scale (F32 1 instead of F32 one number)");
  refuses(4, (struct tensor){"fc1.input_zero_point", "I8", "", ones, 1},
          IMGREC_ERR_SHAPE,
          "fc1.input_zero_point (I8 one number instead of U8 one number)");
  refuses(3, (struct tensor){"fc1.weight", "I8", "4", weights, 4},
          IMGREC_ERR_SHAPE, "fc1.weight (I8 4 instead of I8 2 x 2)");
  refuses(3, (struct tensor){"fc1.weight", "U8", "2,2", weights, 4},
          IMGREC_ERR_SHAPE, "fc1.weight (U8 2 x 2 instead of F32 2 x 2)");
  refuses(3, (struct tensor){"fc1.weight", "F8_E4M3", "2,2", weights, 4},
          IMGREC_ERR_SHAPE, "fc1.weight (F8_E4M3");
  refuses(0, (struct tensor){"fc1.bias", "I8", "2", weights, 2},
          IMGREC_ERR_SHAPE, "fc1.bias (I8 2 instead of F32 2)");
  refuses(2, (struct tensor){"fc1.weight_zero", "F32", "", ones, 4},
          IMGREC_ERR_SHAPE, "left over: fc1.weight_zero");
}

static void test_int8__what_is_no_scale(void **state) {
  (void)state;
  static const float bad[] = {0, -1, 1e-40F, INFINITY, NAN, -0.0F};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    const float scales[2] = {1, bad[i]};
    refuses(1, (struct tensor){"fc1.weight_scale", "F32", "2", scales, 8},
            IMGREC_ERR_FORMAT,
            "value 1 of tensor 'fc1.weight_scale' is no scale: it is not a "
            "normal number above 0");
    refuses(2, (struct tensor){"fc1.input_scale", "F32", "", &bad[i], 4},
            IMGREC_ERR_FORMAT,
            "tensor 'fc1.input_scale' is no scale: it is not a normal number "
            "above 0");
  }
  const float large[2] = {3e38F, 3e38F};
  const struct tensor both[5] = {right[0],
                                 {"fc1.weight_scale", "F32", "2", large, 8},
                                 {"fc1.input_scale", "F32", "", large, 4},
                                 right[3],
                                 right[4]};
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = NULL;
  struct bytes b = file_of(both, 5);
  assert_int_equal(load(ctx, &m, b), IMGREC_ERR_FORMAT);
  assert_non_null(strstr(imgrec_last_error(ctx), "too large"));
  free(b.data);
  imgrec_context_destroy(ctx);
}

/* Scales that do not lie where floats do. */
static void test_int8__unaligned(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = NULL;
  const struct tensor order[5] = {right[4], right[1], right[0], right[2],
                                  right[3]};
  struct bytes b = file_of(order, 5);
  assert_ok(ctx, load(ctx, &m, b));
  const float x[2] = {1, 0};
  assert_true(imgrec__model_run(m, x, 1, m->graph.output)[1] == 4);
  imgrec_model_destroy(m);
  free(b.data);
  imgrec_context_destroy(ctx);
}

/* ---- Faults -------------------------------------------------------------- */

static imgrec_context *failing_context(struct failing *f) {
  imgrec_context *ctx = NULL;
  imgrec_context_options o;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = f;
  assert_int_equal(imgrec_context_create(&ctx, &o), IMGREC_OK);
  return ctx;
}

static void write_model(void) {
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *f = new_model(ctx, NET, 2, 1);
  imgrec_model *m = int8_model(ctx, f, 0.0625F, 100);
  assert_ok(ctx, imgrec_model_save(m, FILE_A));
  imgrec_model_destroy(m);
  imgrec_model_destroy(f);
  imgrec_context_destroy(ctx);
}

static void test_int8__out_of_memory(void **state) {
  (void)state;
  struct failing f = {0};
  imgrec_context *ctx = failing_context(&f);
  int status = IMGREC_ERR_MEMORY;
  write_model();
  for (long n = 1; status == IMGREC_ERR_MEMORY; n++) {
    imgrec_model *m = NULL;
    long blocks = f.live_blocks;
    f.calls = 0;
    f.fail_at = n;
    status = imgrec_model_load(&m, ctx, FILE_A, NULL);
    if (status >= 0)
      status = imgrec_model_save(m, FILE_B);
    assert_int_equal(m == NULL && status >= 0, 0);
    imgrec_model_destroy(m);
    assert_int_equal(f.live_blocks, blocks);
  }
  f.fail_at = 0;
  assert_int_equal(status, IMGREC_OK);
  imgrec_context_destroy(ctx);
}

/* Any byte of the file changed: a refusal, and nothing left behind. */
static void test_int8__flipped(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  write_model();
  struct bytes b = bytes_read(FILE_A);
  uint64_t before = imgrec_context_bytes(ctx);
  for (size_t i = 0; i < b.size; i++) {
    imgrec_model *m = NULL;
    b.data[i] ^= (unsigned char)(1 << i % 8);
    if (imgrec_model_load_memory(&m, ctx, b.data, b.size, NULL) >= 0)
      imgrec_model_destroy(m); /* a version's last number, or the case of \u */
    b.data[i] ^= (unsigned char)(1 << i % 8);
    assert_true(imgrec_context_bytes(ctx) == before);
  }
  for (size_t n = 0; n < b.size; n++) {
    imgrec_model *m = NULL;
    struct bytes cut = bytes_copy(b.data, n);
    assert_true(imgrec_model_load_memory(&m, ctx, cut.data, n, NULL) < 0);
    free(cut.data);
  }
  free(b.data);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_int8__round_trip),
      cmocka_unit_test(test_int8__halves_round_trip),
      cmocka_unit_test(test_int8__layout),
      cmocka_unit_test(test_int8__memory),
      cmocka_unit_test(test_int8__refused_calls),
      cmocka_unit_test(test_int8__by_hand),
      cmocka_unit_test(test_int8__what_does_not_fit),
      cmocka_unit_test(test_int8__what_is_no_scale),
      cmocka_unit_test(test_int8__unaligned),
      cmocka_unit_test(test_int8__out_of_memory),
      cmocka_unit_test(test_int8__flipped),
  };
  return cmocka_run_group_tests(tests, make_folder, NULL);
}
