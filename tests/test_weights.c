/* SPDX-License-Identifier: MIT */
/* Tests of lib/format/weights.c: weights by name and shape, of any float type,
 * all or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <math.h>
#include <sys/stat.h>

#include "failing_alloc.h"
#include "format/format.h"
#include "safetensors_file.h"

#define FOLDER "build/tmp/test_weights"
#define FILE_A FOLDER "/a.safetensors"

struct fixture {
  struct failing failing;
  imgrec_context *ctx;
};

static int setup(void **state) {
  static struct fixture f;
  imgrec_context_options o;
  f = (struct fixture){.ctx = NULL};
  *state = &f;
  mkdir("build", 0777);
  mkdir("build/tmp", 0777);
  mkdir(FOLDER, 0777);
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &f.failing;
  return imgrec_context_create(&f.ctx, &o);
}

static int teardown(void **state) {
  struct fixture *f = *state;
  imgrec_context_destroy(f->ctx);
  return f->failing.live_blocks != 0;
}

static imgrec_model *make_model(struct fixture *f, const char *text) {
  imgrec_model *m = NULL;
  imgrec_model_options o;
  imgrec_model_options_init(&o, sizeof o);
  o.max_batch = 1;
  if (imgrec_model_create(&m, f->ctx, text, &o) != 0)
    fail_msg("%s", imgrec_last_error(f->ctx));
  return m;
}

static int load(imgrec_model *m, const char *header, const void *data,
                size_t size) {
  struct bytes b = bytes_file(header, data, size);
  bytes_write(b, FILE_A);
  free(b.data);
  return imgrec_model_load_weights(m, FILE_A);
}

static void assert_sentence(struct fixture *f, const char *words) {
  if (strstr(imgrec_last_error(f->ctx), words) == NULL)
    fail_msg("'%s' is not in '%s'", words, imgrec_last_error(f->ctx));
}

/* Fails so, and no weight and no memory has changed. */
static void refuse(struct fixture *f, imgrec_model *m, const char *header,
                   size_t size, int status, const char *words) {
  size_t bytes = m->weight_floats * sizeof(float);
  float *before = malloc(bytes);
  long blocks = f->failing.live_blocks;
  assert_non_null(before);
  memcpy(before, m->weights, bytes);
  assert_int_equal(load(m, header, NULL, size), status);
  assert_sentence(f, FILE_A ": ");
  assert_sentence(f, words);
  assert_memory_equal(before, m->weights, bytes);
  assert_int_equal(f->failing.live_blocks, blocks);
  free(before);
}

/* ---- files of others and of our own ------------------------------------- */

/* What the model gives back in the file's layout is what the file has. */
static void assert_weights(imgrec_model *m, struct bytes file) {
  struct imgrec_context *ctx = m->context;
  struct safetensors s;
  assert_int_equal(imgrec__safetensors_parse(&s, &ctx->allocator, &ctx->error,
                                             file.data, file.size),
                   0);
  int count = imgrec_model_parameter_count(m);
  assert_true(count > 0);
  for (int i = 0; i < count; i++) {
    imgrec_tensor *t = NULL;
    const char *name = imgrec_model_parameter_name(m, i);
    const struct stored *stored = imgrec__safetensors_find(&s, name);
    assert_non_null(stored);
    assert_int_equal(imgrec_model_get_parameter(&t, m, name), 0);
    assert_int_equal(imgrec_tensor_nbytes(t), stored->end - stored->begin);
    imgrec__file_order(imgrec_tensor_data(t), imgrec_tensor_nbytes(t) / 4, 4);
    assert_memory_equal(imgrec_tensor_const_data(t), s.data + stored->begin,
                        imgrec_tensor_nbytes(t));
    imgrec_tensor_destroy(t);
  }
  imgrec__safetensors_free(&s);
}

/* lenet: dense weights behind a flatten of C, H, W.  options: groups, no
 * biases.  dag: names of its own, num_batches_tracked. */
static void test_weights__of_pytorch(void **state) {
  static const char *const nets[] = {"lenet", "options", "dag", "seed"};
  struct fixture *f = *state;
  char path[64];
  for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
    snprintf(path, sizeof path, "tests/golden/%s.arch", nets[i]);
    struct bytes arch = bytes_read(path);
    char *text = calloc(arch.size + 1, 1);
    assert_non_null(text);
    memcpy(text, arch.data, arch.size);
    imgrec_model *m = make_model(f, text);
    snprintf(path, sizeof path, "tests/golden/%s.safetensors", nets[i]);
    struct bytes file = bytes_read(path);
    assert_int_equal(imgrec_model_load_weights(m, path), 0);
    assert_weights(m, file);
    imgrec_model_destroy(m);
    free(text);
    free(arch.data);
    free(file.data);
  }
}

static void test_weights__of_our_own(void **state) {
  struct fixture *f = *state;
  const char *text = "input 4 4 3\nconv2d 2 kernel=3\nflatten\ndense 2\n";
  imgrec_model *a = make_model(f, text), *b = make_model(f, text);
  a->weights[0] = 7;
  assert_int_equal(imgrec_model_save(a, FILE_A), 0);
  assert_int_equal(imgrec_model_load_weights(b, FILE_A), 0);
  assert_memory_equal(a->weights, b->weights, a->weight_floats * sizeof(float));
  struct bytes file = bytes_read(FILE_A);
  file.data[file.size - 1] ^= 1;
  bytes_write(file, FILE_A);
  b->weights[0] = 8;
  assert_int_equal(imgrec_model_load_weights(b, FILE_A), IMGREC_ERR_FORMAT);
  assert_sentence(f, FILE_A ": the weights do not match their hash");
  assert_true(b->weights[0] == 8);
  free(file.data);
  imgrec_model_destroy(a);
  imgrec_model_destroy(b);
}

/* ---- types -------------------------------------------------------------- */

/* A dense layer without bias takes all 65536 numbers of 16 bits at once; they
 * come back in the file's order. */
static float *load_all_halves(struct fixture *f, const char *dtype,
                              imgrec_tensor **out) {
  static uint16_t all[65536];
  char header[128];
  imgrec_model *m = make_model(f, "input 16 16 1\nflatten\n"
                                  "dense 256 bias=false\n");
  for (uint32_t i = 0; i < 65536; i++)
    all[i] = (uint16_t)i;
  imgrec__file_order(all, 65536, sizeof all[0]);
  snprintf(header, sizeof header,
           "{\"fc1.weight\":{\"dtype\":\"%s\",\"shape\":[256,256],"
           "\"data_offsets\":[0,131072]}}",
           dtype);
  assert_int_equal(load(m, header, all, sizeof all), 0);
  assert_int_equal(imgrec_model_get_parameter(out, m, "fc1.weight"), 0);
  imgrec_model_destroy(m);
  return imgrec_tensor_data(*out);
}

/* IEEE 754: (-1)^s 2^(e - 15) 1.f, or 2^-14 0.f where e is 0. */
static void test_weights__f16(void **state) {
  imgrec_tensor *t = NULL;
  const float *x = load_all_halves(*state, "F16", &t);
  for (int i = 0; i < 65536; i++) {
    int exponent = i >> 10 & 31, fraction = i & 1023;
    double want = exponent == 0 ? ldexp(fraction, -24)
                                : ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31)
      want = fraction == 0 ? INFINITY : NAN;
    assert_int_equal(signbit(x[i]) != 0, i >> 15);
    if (isnan(want))
      assert_true(isnan(x[i]));
    else
      assert_true(fabs((double)x[i]) == want);
  }
  imgrec_tensor_destroy(t);
}

static void test_weights__bf16(void **state) {
  imgrec_tensor *t = NULL;
  const float *x = load_all_halves(*state, "BF16", &t);
  for (uint32_t i = 0; i < 65536; i++) {
    uint32_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    if (isnan(x[i])) /* which of them, is not promised */
      assert_true((i & 0x7fff) > 0x7f80);
    else
      assert_int_equal(bits, i << 16);
  }
  imgrec_tensor_destroy(t);
}

/* To the nearest, ties to even, whatever the caller's rounding mode. */
static void test_weights__f64(void **state) {
  static const struct {
    double from;
    float to;
  } numbers[] = {{1.0, 1.0f},
                 {-0.1, -0.1f},
                 {1 + 0x1p-24, 1.0f},
                 {1 + 0x3p-24, 1 + 0x1p-22f},
                 {1 + 0x1p-24 + 0x1p-50, 1 + 0x1p-23f},
                 {0x1.fffffep127, 0x1.fffffep127f},
                 {0x1.ffffffp127, INFINITY},
                 {1e300, INFINITY},
                 {0x1p-149, 0x1p-149f},
                 {0x3p-150, 0x1p-148f},
                 {0x1p-150, 0.0f},
                 {-1e-300, -0.0f}};
  struct fixture *f = *state;
  double data[12];
  imgrec_tensor *t = NULL;
  imgrec_model *m = make_model(f, "input 2 2 1\nflatten\n"
                                  "dense 3 bias=false\n");
  for (int i = 0; i < 12; i++)
    data[i] = numbers[i].from;
  imgrec__file_order(data, 12, sizeof data[0]);
  assert_int_equal(fesetround(FE_DOWNWARD), 0);
  int status = load(m,
                    "{\"fc1.weight\":{\"dtype\":\"F64\",\"shape\":[3,4],"
                    "\"data_offsets\":[0,96]}}",
                    data, sizeof data);
  int mode = fegetround();
  fesetround(FE_TONEAREST);
  assert_int_equal(status, 0);
  assert_int_equal(mode, FE_DOWNWARD);
  assert_int_equal(imgrec_model_get_parameter(&t, m, "fc1.weight"), 0);
  for (int i = 0; i < 12; i++)
    assert_memory_equal((const float *)imgrec_tensor_const_data(t) + i,
                        &numbers[i].to, sizeof(float));
  imgrec_tensor_destroy(t);
  imgrec_model_destroy(m);
}

/* Each parameter of another type, and data that begins at an odd place. */
static void test_weights__mixed_types(void **state) {
  struct fixture *f = *state;
  unsigned char data[2 + 8 + 4];
  const uint16_t half = 0x3e00; /* 1.5 */
  const double wide = -2.5;
  const float single = 0.75f;
  imgrec_tensor *t = NULL;
  imgrec_model *m = make_model(f, "input 1 1 1\nflatten\ndense 1\n"
                                  "dense 1 bias=false\n");
  memcpy(data, &half, 2);
  memcpy(data + 2, &wide, 8);
  memcpy(data + 10, &single, 4);
  imgrec__file_order(data, 1, 2);
  imgrec__file_order(data + 2, 1, 8);
  imgrec__file_order(data + 10, 1, 4);
  assert_int_equal(load(m,
                        "{\"fc2.weight\":{\"dtype\":\"F16\",\"shape\":[1,1],"
                        "\"data_offsets\":[0,2]},"
                        "\"fc1.weight\":{\"dtype\":\"F64\",\"shape\":[1,1],"
                        "\"data_offsets\":[2,10]},"
                        "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[1],"
                        "\"data_offsets\":[10,14]}}",
                        data, sizeof data),
                   0);
  const struct {
    const char *name;
    float value;
  } want[] = {{"fc2.weight", 1.5f}, {"fc1.weight", -2.5f}, {"fc1.bias", 0.75f}};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(imgrec_model_get_parameter(&t, m, want[i].name), 0);
    assert_true(*(const float *)imgrec_tensor_const_data(t) == want[i].value);
    imgrec_tensor_destroy(t);
  }
  imgrec_model_destroy(m);
}

/* ---- what does not fit -------------------------------------------------- */

#define WEIGHT                                                                 \
  "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[2,4],"                         \
  "\"data_offsets\":[0,32]}"
#define BIAS                                                                   \
  "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[32,40]}"

static void test_weights__missing_and_left_over(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = make_model(f, "input 2 2 1\nflatten\ndense 2\n");
  const int shape = IMGREC_ERR_SHAPE;
  assert_int_equal(load(m, "{" WEIGHT "," BIAS "}", NULL, 40), 0);
  refuse(f, m, "{" WEIGHT "}", 32, shape,
         "the weights do not fit the network: 1 missing, 0 left over, 0 of "
         "another shape; missing: fc1.bias");
  refuse(f, m, "{}", 0, shape, "missing: fc1.weight, fc1.bias");
  refuse(f, m,
         "{" WEIGHT "," BIAS ",\"head\\n\":{\"dtype\":\"U8\",\"shape\":[0],"
         "\"data_offsets\":[40,40]}}",
         40, shape, "1 left over, 0 of another shape; left over: head?");
  refuse(f, m,
         "{\"model.fc1.weight\":{\"dtype\":\"F32\",\"shape\":[2,4],"
         "\"data_offsets\":[0,32]}," BIAS "}",
         40, shape,
         "1 missing, 1 left over, 0 of another shape; missing: fc1.weight; "
         "left over: model.fc1.weight");
  imgrec_model_destroy(m);
}

static void test_weights__other_shapes(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = make_model(f, "input 2 2 1\nflatten\ndense 2\n");
  static const struct {
    const char *weight, *words;
  } bad[] = {
      {"\"F32\",\"shape\":[4,2]", "(F32 4 x 2 instead of F32 2 x 4)"},
      {"\"F32\",\"shape\":[8]", "(F32 8 instead of F32 2 x 4)"},
      {"\"F32\",\"shape\":[2,4,1]", "(F32 2 x 4 x 1 instead of F32 2 x 4)"},
      {"\"I32\",\"shape\":[2,4]", "(I32 2 x 4 instead of F32 2 x 4)"},
      {"\"I64\",\"shape\":[2,2]", "(I64 2 x 2 instead of F32 2 x 4)"},
  };
  char header[256];
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    snprintf(header, sizeof header,
             "{\"fc1.weight\":{\"dtype\":%s,\"data_offsets\":[0,32]}," BIAS "}",
             bad[i].weight);
    refuse(f, m, header, 40, IMGREC_ERR_SHAPE, "of another shape: fc1.weight");
    refuse(f, m, header, 40, IMGREC_ERR_SHAPE, bad[i].words);
  }
  imgrec_model_destroy(m);
}

static void test_weights__scalar(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = make_model(f, "input 1 1 1\nflatten\n"
                                  "dense 1 bias=false\n");
  refuse(f, m,
         "{\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[],"
         "\"data_offsets\":[0,4]}}",
         4, IMGREC_ERR_SHAPE, "(F32 one number instead of F32 1 x 1)");
  imgrec_model_destroy(m);
}

/* The counts are of all, the names are the first. */
static void test_weights__many_names(void **state) {
  struct fixture *f = *state;
  char text[256] = "input 1 1 1\nflatten\n", header[1024] = "{", *at = header;
  for (int i = 0; i < 10; i++)
    strcat(text, "dense 1\n");
  imgrec_model *m = make_model(f, text);
  for (int i = 0; i < 9; i++)
    at += sprintf(at,
                  "%c\"x%d\":{\"dtype\":\"U8\",\"shape\":[0],"
                  "\"data_offsets\":[0,0]}",
                  i == 0 ? '{' : ',', i);
  strcat(header, "}");
  refuse(f, m, header, 0, IMGREC_ERR_SHAPE,
         "20 missing, 9 left over, 0 of another shape; missing: fc1.weight, "
         "fc1.bias, fc2.weight, ...; left over: x0, x1, x2, ...");
  imgrec_model_destroy(m);
}

/* Only names that end so are passed over, and not such a name alone. */
static void test_weights__counters(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = make_model(f, "input 2 2 1\nflatten\ndense 2\n");
  static const struct {
    const char *name;
    int status;
  } names[] = {{"bn1.num_batches_tracked", 0},
               {"a.b.num_batches_tracked", 0},
               {".num_batches_tracked", IMGREC_ERR_SHAPE},
               {"num_batches_tracked", IMGREC_ERR_SHAPE},
               {"bn1.num_batches_tracked.x", IMGREC_ERR_SHAPE}};
  char header[512];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(header, sizeof header,
             "{" WEIGHT "," BIAS ",\"%s\":{\"dtype\":\"I64\",\"shape\":[],"
             "\"data_offsets\":[40,48]}}",
             names[i].name);
    assert_int_equal(load(m, header, NULL, 48), names[i].status);
  }
  imgrec_model_destroy(m);
}

/* ---- faults ------------------------------------------------------------- */

static void test_weights__damaged_files(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = make_model(f, "input 2 2 1\nflatten\ndense 2\n");
  const int format = IMGREC_ERR_FORMAT;
  refuse(f, m, "", 0, format, "not a safetensors file");
  refuse(f, m, "{" WEIGHT "," BIAS "}", 39, format, "ends at byte 40 of 39");
  refuse(f, m, "{" WEIGHT "," WEIGHT "}", 32, format, "twice");
  assert_int_equal(imgrec_model_load_weights(m, FOLDER "/none"),
                   IMGREC_ERR_NOT_FOUND);
  assert_sentence(f, FOLDER "/none");
  assert_int_equal(imgrec_model_load_weights(m, FOLDER), IMGREC_ERR_IO);
  assert_int_equal(imgrec_model_load_weights(m, NULL), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_load_weights(NULL, FILE_A),
                   IMGREC_ERR_ARGUMENT);
  imgrec_model_destroy(m);
}

/* Of a file that fits and needs converting, and of one that does not fit. */
static void test_weights__each_allocation_fails(void **state) {
  static const char *const headers[] = {
      "{\"fc1.weight\":{\"dtype\":\"F16\",\"shape\":[2,4],"
      "\"data_offsets\":[0,16]},\"fc1.bias\":{\"dtype\":\"F64\",\"shape\":[2],"
      "\"data_offsets\":[16,32]}}",
      "{\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[4,2],"
      "\"data_offsets\":[0,32]}}"};
  struct fixture *f = *state;
  for (int kind = 0; kind < 4; kind++) {
    int last = kind % 2 == 0 ? 0 : IMGREC_ERR_SHAPE;
    imgrec_model *m = make_model(f, "input 2 2 1\nflatten\ndense 2\n");
    int status = IMGREC_ERR_MEMORY;
    m->weights[0] = 5;
    for (long n = 1; status != last; n++) {
      long blocks = f->failing.live_blocks;
      f->failing.fail_at = f->failing.calls + n;
      f->failing.from_then_on = kind / 2;
      status = load(m, headers[kind % 2], NULL, 32);
      f->failing.fail_at = 0;
      assert_true(status == last || status == IMGREC_ERR_MEMORY);
      assert_true(m->weights[0] == (status == 0 ? 0.0f : 5.0f));
      assert_int_equal(f->failing.live_blocks, blocks);
    }
    imgrec_model_destroy(m);
  }
}

#define CASE(name)                                                             \
  cmocka_unit_test_setup_teardown(test_weights__##name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(of_pytorch),
      CASE(of_our_own),
      CASE(f16),
      CASE(bf16),
      CASE(f64),
      CASE(mixed_types),
      CASE(missing_and_left_over),
      CASE(other_shapes),
      CASE(scalar),
      CASE(many_names),
      CASE(counters),
      CASE(damaged_files),
      CASE(each_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
