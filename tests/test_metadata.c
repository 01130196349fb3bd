/* SPDX-License-Identifier: MIT */
/* Tests of lib/format/metadata.c and model_json.c: model files whose hashes are
 * right and whose contents are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "format/format.h"
#include "safetensors_file.h"

#define ARCH "input 2 2 1\nflatten\ndense 2\n"
#define PREPROC                                                                \
  "{\"channels\":1,\"exif\":\"apply\",\"filter\":\"triangle\",\"height\":2,"   \
  "\"mean\":[0.5],\"resize\":\"pad\",\"scale\":0.25,\"std\":[2],\"width\":2}"
#define TENSORS                                                                \
  "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[2,4],"                         \
  "\"data_offsets\":[0,32]},"                                                  \
  "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[32,40]}"

struct fixture {
  struct failing failing;
  imgrec_context *ctx;
};

static int setup(void **state) {
  static struct fixture f;
  imgrec_context_options o;
  f = (struct fixture){.ctx = NULL};
  *state = &f;
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

/* ---- forged files ------------------------------------------------------- */

/* Strings of __metadata__, NULL where there is none. */
struct forged {
  const char *format, *arch, *arithmetic, *labels, *preproc, *version;
  const char *hash, *text_hash; /* "": the right one */
  const char *tensors;
  size_t data_size; /* of zeros */
};

static const struct forged good = {.format = "imgrec",
                                   .arch = ARCH,
                                   .arithmetic = "1",
                                   .labels = "[\"no\",\"yes\"]",
                                   .preproc = PREPROC,
                                   .version = "0.1.0",
                                   .hash = "",
                                   .text_hash = "",
                                   .tensors = TENSORS,
                                   .data_size = 40};

static void add_member(struct text *t, const char *key, const char *value) {
  if (value == NULL)
    return;
  imgrec__text_add(t, "%s\"%s\":", t->data[t->length - 1] == '{' ? "" : ",",
                   key);
  imgrec__text_json_string(t, value);
}

static void hash_member(struct sha256 *s, const char *key, const char *value) {
  if (value == NULL)
    return;
  imgrec__sha256_update(s, key, strlen(key) + 1);
  imgrec__sha256_update(s, value, strlen(value) + 1);
}

static void hash_zeros(char hex[65], size_t n) {
  struct sha256 s;
  imgrec__sha256_init(&s);
  for (size_t i = 0; i < n; i++)
    imgrec__sha256_update(&s, "", 1);
  imgrec__sha256_hex(&s, hex);
}

static void hash_strings(char hex[65], const struct forged *x) {
  struct sha256 s;
  imgrec__sha256_init(&s);
  hash_member(&s, "imgrec.arch", x->arch);
  hash_member(&s, "imgrec.labels", x->labels);
  hash_member(&s, "imgrec.preproc", x->preproc);
  imgrec__sha256_hex(&s, hex);
}

static struct bytes forge(const struct forged *x, struct allocator *a) {
  char data[65], strings[65];
  struct text t;
  hash_zeros(data, x->data_size);
  hash_strings(strings, x);
  imgrec__text_init(&t, a);
  imgrec__text_string(&t, "{\"__metadata__\":{");
  add_member(&t, "imgrec.version", x->version);
  add_member(&t, "imgrec.sha256.text",
             x->text_hash && !*x->text_hash ? strings : x->text_hash);
  add_member(&t, "imgrec.sha256", x->hash && !*x->hash ? data : x->hash);
  add_member(&t, "imgrec.preproc", x->preproc);
  add_member(&t, "imgrec.labels", x->labels);
  add_member(&t, "imgrec.arithmetic", x->arithmetic);
  add_member(&t, "imgrec.arch", x->arch);
  add_member(&t, "format", x->format);
  add_member(&t, "something.else", "is nobody's business");
  imgrec__text_add(&t, "}%s%s}", *x->tensors ? "," : "", x->tensors);
  struct bytes b = bytes_file(t.data, NULL, x->data_size);
  imgrec__text_free(&t);
  return b;
}

static int load(imgrec_model **out, struct fixture *f, const struct forged *x) {
  struct bytes b = forge(x, &f->ctx->allocator);
  int status = imgrec_model_load_memory(out, f->ctx, b.data, b.size, NULL);
  free(b.data);
  return status;
}

static void refuse(struct fixture *f, const struct forged *x, int status,
                   const char *words) {
  imgrec_model *m = NULL;
  long blocks = f->failing.live_blocks;
  assert_int_equal(load(&m, f, x), status);
  assert_null(m);
  assert_int_equal(f->failing.live_blocks, blocks);
  if (strstr(imgrec_last_error(f->ctx), words) == NULL)
    fail_msg("'%s' is not in '%s'", words, imgrec_last_error(f->ctx));
}

static void accept(struct fixture *f, const struct forged *x) {
  imgrec_model *m = NULL;
  if (load(&m, f, x) != 0)
    fail_msg("%s", imgrec_last_error(f->ctx));
  imgrec_model_destroy(m);
}

/* ---- cases -------------------------------------------------------------- */

/* Also: keys in any order, and keys of others. */
static void test_metadata__good(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = NULL;
  imgrec_preprocess p;
  assert_int_equal(load(&m, f, &good), 0);
  assert_string_equal(imgrec_model_label(m, 1), "yes");
  imgrec_preprocess_init(&p, sizeof p);
  assert_int_equal(imgrec_model_get_preprocess(m, &p), 0);
  assert_int_equal(p.height, 2);
  assert_int_equal(p.channels, 1);
  assert_int_equal(p.resize, IMGREC_RESIZE_PAD);
  assert_true(p.scale == 0.25f && p.mean[0] == 0.5f && p.std[0] == 2);
  imgrec_model_destroy(m);
}

static void test_metadata__not_a_model(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = NULL;
  const char *path = "tests/golden/lenet.safetensors";
  const char *words = ": this is a safetensors file but not an imgrec model: "
                      "it has no imgrec.arch; use imgrec_model_load_weights";
  assert_int_equal(imgrec_model_load(&m, f->ctx, path, NULL),
                   IMGREC_ERR_FORMAT);
  assert_memory_equal(imgrec_last_error(f->ctx), path, strlen(path));
  assert_non_null(strstr(imgrec_last_error(f->ctx), words));
  struct forged x = good;
  x.arch = NULL;
  refuse(f, &x, IMGREC_ERR_FORMAT, words);
  x = good;
  x.format = "pt";
  refuse(f, &x, IMGREC_ERR_FORMAT, "'format'");
  x.format = NULL;
  refuse(f, &x, IMGREC_ERR_FORMAT, "'format'");
}

static void test_metadata__version(void **state) {
  static const char *const bad[] = {"", ".1", "x.1.0", "-1.0", "0x0.1", " 0.1"};
  struct fixture *f = *state;
  struct forged x = good;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    x.version = bad[i];
    refuse(f, &x, IMGREC_ERR_FORMAT, "imgrec.version");
  }
  x.version = NULL;
  refuse(f, &x, IMGREC_ERR_FORMAT, "no 'imgrec.version'");
  x.version = "1.0.0";
  refuse(f, &x, IMGREC_ERR_UNSUPPORTED,
         "its imgrec.version is 1.0.0, which is newer than this library");
  x.version = "9223372036854775807.0.0";
  refuse(f, &x, IMGREC_ERR_UNSUPPORTED, "newer");
  x.version = "0.99.7";
  accept(f, &x);
}

static void test_metadata__arithmetic(void **state) {
  struct fixture *f = *state;
  struct forged x = good;
  x.arithmetic = "99";
  refuse(f, &x, IMGREC_ERR_UNSUPPORTED, "imgrec.arithmetic is 99");
  x.arithmetic = "0";
  refuse(f, &x, IMGREC_ERR_FORMAT, "imgrec.arithmetic");
  x.arithmetic = "one";
  refuse(f, &x, IMGREC_ERR_FORMAT, "imgrec.arithmetic");
  x.arithmetic = NULL;
  refuse(f, &x, IMGREC_ERR_FORMAT, "no 'imgrec.arithmetic'");
}

static void test_metadata__hashes(void **state) {
  struct fixture *f = *state;
  struct forged x = good;
  char other[65];
  hash_zeros(other, 41);
  x.hash = other;
  refuse(f, &x, IMGREC_ERR_FORMAT, "the weights do not match their hash");
  x.hash = NULL;
  refuse(f, &x, IMGREC_ERR_FORMAT, "no 'imgrec.sha256'");
  x = good;
  x.text_hash = other;
  refuse(f, &x, IMGREC_ERR_FORMAT, "labels or preprocessing do not match");
  x.text_hash = NULL;
  refuse(f, &x, IMGREC_ERR_FORMAT, "no 'imgrec.sha256.text'");
}

static void test_metadata__labels(void **state) {
  static const char *const bad[] = {
      "[\"one\"]", "[\"a\",\"b\",\"c\"]",  "[]", "{\"a\":1,\"b\":2}",
      "[1,2]",     "[\"a\",\"b\\u0000\"]", "",   "[\"a\",\"b\"",
      "\"a\""};
  struct fixture *f = *state;
  struct forged x = good;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    x.labels = bad[i];
    refuse(f, &x, IMGREC_ERR_FORMAT, "model in memory: imgrec.labels: ");
  }
  x.labels = bad[0];
  refuse(f, &x, IMGREC_ERR_FORMAT, "1 labels for a network of 2 classes");
  x.labels = NULL;
  accept(f, &x);
}

/* PREPROC with one member instead of another. */
static void swap_member(char out[512], const char *from, const char *to) {
  const char *at = strstr(PREPROC, from);
  assert_non_null(at);
  snprintf(out, 512, "%.*s%s%s", (int)(at - PREPROC), PREPROC, to,
           at + strlen(from));
}

static void test_metadata__preprocess(void **state) {
  static const struct {
    const char *from, *to;
    int status;
    const char *words;
  } bad[] = {
      {"\"width\":2", "\"width\":3", IMGREC_ERR_FORMAT, "2 x 3 x 1"},
      {"\"width\":2", "\"width\":-2", IMGREC_ERR_FORMAT, "'width'"},
      {"\"width\":2", "\"width\":2147483650", IMGREC_ERR_FORMAT, "'width'"},
      {"\"width\":2", "\"width\":\"2\"", IMGREC_ERR_FORMAT, "'width'"},
      {"\"height\":2", "\"height\":0", IMGREC_ERR_FORMAT, "0 x 2"},
      {"\"channels\":1", "\"channels\":3", IMGREC_ERR_FORMAT, "'mean'"},
      {"\"channels\":1", "\"channels\":2", IMGREC_ERR_FORMAT, "'channels'"},
      {"\"mean\":[0.5]", "\"mean\":0.5", IMGREC_ERR_FORMAT, "'mean'"},
      {"\"mean\":[0.5]", "\"mean\":[0,1]", IMGREC_ERR_FORMAT, "'mean'"},
      {"\"mean\":[0.5]", "\"mean\":[\"x\"]", IMGREC_ERR_FORMAT, "'mean'"},
      {"\"std\":[2]", "\"std\":[0]", IMGREC_ERR_FORMAT, "std"},
      {"\"std\":[2]", "\"std\":[]", IMGREC_ERR_FORMAT, "'std'"},
      {"\"scale\":0.25", "\"scale\":null", IMGREC_ERR_FORMAT, "'scale'"},
      {"\"scale\":0.25", "\"scale\":1e999", IMGREC_ERR_FORMAT, "scale"},
      {"\"exif\":\"apply\"", "\"exif\":\"ignore\"", IMGREC_ERR_UNSUPPORTED,
       "'exif'"},
      {"\"triangle\"", "\"cubic\"", IMGREC_ERR_UNSUPPORTED, "'filter'"},
      {"\"pad\"", "\"tile\"", IMGREC_ERR_UNSUPPORTED, "'resize'"},
      {"\"pad\"", "7", IMGREC_ERR_UNSUPPORTED, "'resize'"},
      {"\"scale\":0.25,", "", IMGREC_ERR_FORMAT, "has no 'scale'"},
      {"\"width\":2", "\"width\":2,\"gamma\":2.2", IMGREC_ERR_UNSUPPORTED,
       "10 members"},
      {PREPROC, "[]", IMGREC_ERR_FORMAT, "not an object"},
      {PREPROC, "{", IMGREC_ERR_FORMAT, "JSON"},
      {PREPROC, "", IMGREC_ERR_FORMAT, "JSON"},
  };
  struct fixture *f = *state;
  struct forged x = good;
  char preproc[512];
  x.preproc = preproc;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    swap_member(preproc, bad[i].from, bad[i].to);
    refuse(f, &x, bad[i].status, "model in memory: imgrec.preproc: ");
    refuse(f, &x, bad[i].status, bad[i].words);
  }
  x.preproc = NULL;
  refuse(f, &x, IMGREC_ERR_FORMAT, "no 'imgrec.preproc'");
}

static void test_metadata__architecture(void **state) {
  struct fixture *f = *state;
  struct forged x = good;
  x.arch = "input 2 2 1\nflatten\ndance 2\n";
  refuse(f, &x, IMGREC_ERR_ARCHITECTURE, "model in memory: line 3");
  x.arch = "";
  refuse(f, &x, IMGREC_ERR_ARCHITECTURE, "model in memory: ");
  x.arch = "input 2 2 1\nflatten\ndense 2 bias=false\n";
  refuse(f, &x, IMGREC_ERR_FORMAT, "left over: fc1.bias");
  x.arch = "input 2 2 1\nflatten\ndense 2\ndense 2\n";
  refuse(f, &x, IMGREC_ERR_FORMAT, "missing: fc2.weight, fc2.bias");
  x.arch = "input 1 5 1\nflatten\ndense 2\n";
  refuse(f, &x, IMGREC_ERR_FORMAT,
         "fc1.weight (F32 2 x 4 instead of F32 2 x 5)");
}

/* A few bytes must not make the library allocate what they name. */
static void test_metadata__architecture_of_terabytes(void **state) {
  struct fixture *f = *state;
  struct forged x = good;
  uint64_t before = imgrec_context_peak_bytes(f->ctx);
  x.labels = x.preproc = NULL;
  x.arch = "input 1024 1024 3\nflatten\ndense 10000\n";
  refuse(f, &x, IMGREC_ERR_FORMAT, "10000 x 3145728");
  assert_true(imgrec_context_peak_bytes(f->ctx) - before < 1 << 20);
}

static void test_metadata__arch_with_nul(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = NULL;
  const char *header = "{\"__metadata__\":{\"format\":\"imgrec\","
                       "\"imgrec.arithmetic\":\"1\","
                       "\"imgrec.version\":\"0.1.0\","
                       "\"imgrec.arch\":\"input 2 2 1\\u0000\"}}";
  struct bytes b = bytes_file(header, NULL, 0);
  assert_int_equal(imgrec_model_load_memory(&m, f->ctx, b.data, b.size, NULL),
                   IMGREC_ERR_FORMAT);
  assert_non_null(strstr(imgrec_last_error(f->ctx), "NUL"));
  assert_null(m);
  free(b.data);
}

#define CASE(name)                                                             \
  cmocka_unit_test_setup_teardown(test_metadata__##name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(good),          CASE(not_a_model),  CASE(version),
      CASE(arithmetic),    CASE(hashes),       CASE(labels),
      CASE(preprocess),    CASE(architecture), CASE(architecture_of_terabytes),
      CASE(arch_with_nul),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
