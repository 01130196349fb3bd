/* SPDX-License-Identifier: MIT */
/* Tests of lib/format/safetensors.c: what is read, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "format/format.h"
#include "safetensors_file.h"

struct fixture {
  struct failing failing;
  struct allocator allocator;
  struct error error;
};

static int setup(void **state) {
  static struct fixture f;
  f = (struct fixture){.error = {""}};
  *state = &f;
  return imgrec__allocator_init(&f.allocator, failing_alloc, failing_free,
                                &f.failing, 0);
}

static int teardown(void **state) {
  struct fixture *f = *state;
  imgrec__allocator_destroy(&f->allocator);
  return f->failing.live_blocks != 0;
}

static int parse(struct fixture *f, struct bytes b) {
  struct safetensors s;
  int status =
      imgrec__safetensors_parse(&s, &f->allocator, &f->error, b.data, b.size);
  if (status >= 0)
    imgrec__safetensors_free(&s);
  return status;
}

/* Parses and frees b. */
static int parse_once(struct fixture *f, struct bytes b) {
  int status = parse(f, b);
  free(b.data);
  return status;
}

static void accept(struct fixture *f, const char *header, size_t data_size) {
  assert_int_equal(parse_once(f, bytes_file(header, NULL, data_size)), 0);
}

/* Fails with IMGREC_ERR_FORMAT and words that are part of the sentence. */
static void refuse(struct fixture *f, const char *header, size_t data_size,
                   const char *words) {
  assert_int_equal(parse_once(f, bytes_file(header, NULL, data_size)),
                   IMGREC_ERR_FORMAT);
  if (strstr(f->error.text, words) == NULL)
    fail_msg("'%s' is not in '%s'", words, f->error.text);
}

#define ONE(members) "{\"a\":{" members "}}"
#define A(b, e)                                                                \
  "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #b "," #e "]}"
#define B(b, e)                                                                \
  "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #b "," #e "]}"

/* ---- what is read ------------------------------------------------------- */

static void test_safetensors__tensors(void **state) {
  struct fixture *f = *state;
  const char *header =
      "{\"w\":{\"data_offsets\":[4,28],\"shape\":[2,3],\"dtype\":\"F32\"},"
      "\"__metadata__\":{\"key\":\"v\\u00e4lue\"},"
      "\"b\\u0061\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
      "\"c\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[2,4]}}   ";
  struct bytes b = bytes_file(header, "abcdefghijklmnopqrstuvwxyz12", 28);
  struct safetensors s;
  assert_int_equal(
      imgrec__safetensors_parse(&s, &f->allocator, &f->error, b.data, b.size),
      0);
  assert_int_equal(s.count, 3);
  assert_int_equal(s.data_size, 28);
  assert_memory_equal(s.data, "abcd", 4);
  assert_true(imgrec__json_equal(&s.header,
                                 imgrec__json_get(&s.header, s.metadata, "key"),
                                 "v\303\244lue"));
  const struct stored *w = imgrec__safetensors_find(&s, "w");
  assert_non_null(w);
  assert_string_equal(w->type->name, "F32");
  assert_int_equal(w->ndim, 2);
  assert_int_equal(w->dim[0], 2);
  assert_int_equal(w->dim[1], 3);
  assert_int_equal(w->count, 6);
  assert_int_equal(w->begin, 4);
  assert_int_equal(w->end, 28);
  const struct stored *scalar = imgrec__safetensors_find(&s, "ba");
  assert_non_null(scalar);
  assert_int_equal(scalar->ndim, 0);
  assert_int_equal(scalar->count, 1);
  assert_non_null(imgrec__safetensors_find(&s, "c"));
  assert_null(imgrec__safetensors_find(&s, "a"));
  assert_null(imgrec__safetensors_find(&s, "x"));
  assert_null(imgrec__safetensors_find(&s, "__metadata__"));
  imgrec__safetensors_free(&s);
  free(b.data);
}

static void test_safetensors__nothing_inside(void **state) {
  accept(*state, "{}", 0);
  accept(*state, "{\"__metadata__\":{}}", 0);
  refuse(*state, "{}", 1, "end at byte 0 of 1");
}

static void test_safetensors__empty_tensors(void **state) {
  accept(
      *state,
      "{" A(0, 4) ",\"z\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775807,"
                  "9223372036854775807],\"data_offsets\":[4,4]}}",
      4);
  accept(*state,
         "{" A(0, 4) ",\"z\":{\"dtype\":\"F32\",\"shape\":[7,0],"
                     "\"data_offsets\":[0,0]}}",
         4);
}

static void test_safetensors__dtypes(void **state) {
  static const struct {
    const char *name;
    int size;
  } types[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},     {"F8_E4M3", 1},
               {"U16", 2},  {"I16", 2}, {"F16", 2},    {"BF16", 2},
               {"U32", 4},  {"I32", 4}, {"F32", 4},    {"U64", 8},
               {"I64", 8},  {"F64", 8}, {"F8_E5M2", 1}};
  char header[128];
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    int bytes = 3 * types[i].size;
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%d]}}",
             types[i].name, bytes);
    accept(*state, header, (size_t)bytes);
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%d]}}",
             types[i].name, bytes + 1);
    refuse(*state, header, (size_t)bytes + 1, "for its shape");
  }
}

/* ---- the length word ---------------------------------------------------- */

static void test_safetensors__length_word(void **state) {
  static const uint64_t bad[] = {0,
                                 1,
                                 3,
                                 100,
                                 100000000,
                                 100000001,
                                 (uint64_t)1 << 31,
                                 (uint64_t)1 << 32,
                                 ((uint64_t)1 << 63) - 8,
                                 (uint64_t)1 << 63,
                                 UINT64_MAX - 7,
                                 UINT64_MAX};
  struct fixture *f = *state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_int_equal(parse_once(f, bytes_make(bad[i], "{}", 2, NULL, 0)),
                     IMGREC_ERR_FORMAT);
    assert_true(strlen(f->error.text) > 0);
  }
  assert_int_equal(f->failing.calls, 0);
}

static void test_safetensors__short_files(void **state) {
  for (size_t n = 0; n < 10; n++)
    assert_int_equal(parse_once(*state, bytes_copy("\2\0\0\0\0\0\0\0{", n)),
                     IMGREC_ERR_FORMAT);
}

static void test_safetensors__every_truncation(void **state) {
  struct bytes b = bytes_file("{" A(0, 4) "," B(4, 8) "}", NULL, 8);
  assert_int_equal(parse(*state, b), 0);
  for (size_t n = 0; n < b.size; n++)
    assert_int_equal(parse_once(*state, bytes_copy(b.data, n)),
                     IMGREC_ERR_FORMAT);
  free(b.data);
}

/* ---- the header --------------------------------------------------------- */

static void test_safetensors__not_an_object(void **state) {
  refuse(*state, " {}", 0, "not a safetensors file");
  refuse(*state, "[]", 0, "not a safetensors file");
  refuse(*state, "{]", 0, "JSON");
  refuse(*state, "{} {}", 0, "JSON");
  refuse(*state, "{\"a\":1}", 0, "tensor 'a'");
  refuse(*state, "{\"\xff\":1}", 0, "UTF-8");
}

static void test_safetensors__names(void **state) {
  refuse(*state, "{" A(0, 4) "," A(4, 8) "}", 8, "twice");
  refuse(*state,
         "{" A(0, 4) ",\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[4],"
                     "\"data_offsets\":[4,8]}}",
         8, "twice");
  refuse(*state,
         "{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         "empty name");
  refuse(*state,
         "{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],"
         "\"data_offsets\":[0,1]}}",
         1, "NUL");
  refuse(*state, "{\"line\\nfeed\\u001b\":1}", 0, "tensor 'line?feed?'");
}

static void test_safetensors__members(void **state) {
  refuse(*state, "{\"a\":{}}", 0, "dtype, shape and data_offsets");
  refuse(*state, ONE("\"dtype\":\"U8\",\"shape\":[0]"), 0, "tensor 'a'");
  refuse(*state, ONE("\"dtype\":\"U8\",\"shape\":[0],\"data_offset\":[0,0]"), 0,
         "data_offsets");
  refuse(*state, ONE("\"dtypes\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]"),
         0, "dtype");
  refuse(*state, ONE("\"dtype\":\"U8\",\"shapes\":[0],\"data_offsets\":[0,0]"),
         0, "shape");
  refuse(*state,
         ONE("\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":1"),
         0, "dtype, shape and data_offsets");
}

static void test_safetensors__bad_dtypes(void **state) {
  refuse(*state, ONE("\"dtype\":8,\"shape\":[0],\"data_offsets\":[0,0]"), 0,
         "dtype");
  refuse(*state, ONE("\"dtype\":\"F33\",\"shape\":[0],\"data_offsets\":[0,0]"),
         0, "dtype");
  refuse(*state, ONE("\"dtype\":\"\",\"shape\":[0],\"data_offsets\":[0,0]"), 0,
         "dtype");
}

static void test_safetensors__bad_shapes(void **state) {
  static const char *const bad[] = {"4",
                                    "{\"a\":4}",
                                    "[-4]",
                                    "[4.0]",
                                    "[4e0]",
                                    "[\"4\"]",
                                    "[[4]]",
                                    "[null]",
                                    "[18446744073709551620]",
                                    "[9223372036854775808]",
                                    "[1,1,1,1,1,1,1,1,4]"};
  char header[160];
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    snprintf(header, sizeof header,
             ONE("\"dtype\":\"U8\",\"shape\":%s,\"data_offsets\":[0,4]"),
             bad[i]);
    refuse(*state, header, 4, "tensor 'a' has ");
  }
}

/* 2^32 x 2^32, and 2^62 of eight bytes, are 0 in 64 bits. */
static void test_safetensors__dims_that_overflow(void **state) {
  refuse(*state,
         ONE("\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],"
             "\"data_offsets\":[0,0]"),
         0, "63 bits");
  refuse(*state,
         ONE("\"dtype\":\"F64\",\"shape\":[4611686018427387904],"
             "\"data_offsets\":[0,0]"),
         0, "63 bits");
  refuse(*state,
         ONE("\"dtype\":\"F32\",\"shape\":[4294967297,4294967297],"
             "\"data_offsets\":[0,4]"),
         4, "63 bits");
}

static void test_safetensors__bad_offsets(void **state) {
  static const char *const bad[] = {
      "4",
      "[]",
      "[0]",
      "[0,4,8]",
      "[4,0]",
      "[-4,0]",
      "[0,4.0]",
      "[\"0\",4]",
      "{\"0\":4}",
      "[null,null]",
      "[18446744073709551612,18446744073709551616]"};
  char header[160];
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    snprintf(header, sizeof header,
             ONE("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":%s"), bad[i]);
    refuse(*state, header, 4, "data_offsets that are not [begin, end]");
  }
}

static void test_safetensors__places(void **state) {
  accept(*state, "{" B(4, 8) "," A(0, 4) "}", 8);
  refuse(*state, "{" A(0, 4) "," B(0, 4) "}", 4, "inside what ends at 4");
  refuse(*state, "{" A(0, 4) "," B(2, 6) "}", 6, "inside what ends at 4");
  refuse(*state, "{" A(0, 4) "," B(5, 9) "}", 9, "behind a hole");
  refuse(*state, "{" A(1, 5) "}", 5, "behind a hole");
  refuse(*state, "{" A(0, 4) "}", 5, "end at byte 4 of 5");
  refuse(*state, "{" A(0, 4) "}", 3, "ends at byte 4 of 3");
  refuse(*state, "{" A(4, 8) "}", 4, "ends at byte 8 of 4");
}

/* Two tensors of 2^63 - 1 bytes each, and one that is as large as can be. */
static void test_safetensors__sizes_that_overflow(void **state) {
  refuse(*state,
         "{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807],"
         "\"data_offsets\":[0,9223372036854775807]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807],"
         "\"data_offsets\":[9223372036854775807,18446744073709551614]}}",
         8, "data_offsets");
  refuse(*state,
         "{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807],"
         "\"data_offsets\":[0,9223372036854775807]}}",
         8, "of 8 bytes of data");
}

static void test_safetensors__metadata(void **state) {
  refuse(*state, "{\"__metadata__\":[]}", 0, "__metadata__");
  refuse(*state, "{\"__metadata__\":\"x\"}", 0, "__metadata__");
  refuse(*state, "{\"__metadata__\":{\"x\":1}}", 0, "__metadata__");
  refuse(*state, "{\"__metadata__\":{\"x\":{\"y\":\"z\"}}}", 0, "__metadata__");
  refuse(*state, "{\"__metadata__\":{\"x\":\"1\",\"x\":\"2\"}}", 0, "twice");
  refuse(*state, "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice");
}

/* ---- size --------------------------------------------------------------- */

static void test_safetensors__nested_deep(void **state) {
  size_t n = 100000;
  char *header = malloc(n + 1);
  assert_non_null(header);
  memset(header, '[', n);
  memcpy(header, "{\"a\":", 5);
  header[n] = '\0';
  assert_int_equal(parse_once(*state, bytes_file(header, NULL, 0)),
                   IMGREC_ERR_LIMIT);
  free(header);
}

/* Anything quadratic would take minutes here. */
static void test_safetensors__many_tensors(void **state) {
  struct fixture *f = *state;
  int count = 100000;
  size_t size = (size_t)count * 80 + 3;
  char *header = malloc(size), *at = header;
  assert_non_null(header);
  for (int i = 0; i < count; i++)
    at += snprintf(at, size - (size_t)(at - header),
                   "%c\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],"
                   "\"data_offsets\":[%d,%d]}",
                   i == 0 ? '{' : ',', i, count - 1 - i, count - i);
  snprintf(at, size - (size_t)(at - header), "}");
  struct bytes b = bytes_file(header, NULL, (size_t)count);
  struct safetensors s;
  assert_int_equal(
      imgrec__safetensors_parse(&s, &f->allocator, &f->error, b.data, b.size),
      0);
  for (int i = 0; i < count; i += 997) {
    char name[16];
    snprintf(name, sizeof name, "t%d", i);
    const struct stored *t = imgrec__safetensors_find(&s, name);
    assert_non_null(t);
    assert_int_equal(t->begin, count - 1 - i);
  }
  imgrec__safetensors_free(&s);
  free(b.data);
  free(header);
}

/* ---- faults ------------------------------------------------------------- */

/* A flipped bit may give another good header, but never one that lies. */
static void test_safetensors__every_bit_flipped(void **state) {
  struct fixture *f = *state;
  struct bytes b = bytes_file(
      "{\"__metadata__\":{\"k\":\"v\"}," A(0, 4) "," B(4, 8) "}  ", NULL, 8);
  size_t bits = 8 * (8 + bytes_header_size(b)), accepted = 0;
  for (size_t i = 0; i < bits; i++) {
    struct safetensors s;
    b.data[i / 8] ^= (unsigned char)(1 << i % 8);
    int status =
        imgrec__safetensors_parse(&s, &f->allocator, &f->error, b.data, b.size);
    if (status >= 0) {
      assert_int_equal(s.data_size, 8);
      assert_true(s.count <= 2);
      accepted++;
      imgrec__safetensors_free(&s);
    }
    b.data[i / 8] ^= (unsigned char)(1 << i % 8);
  }
  assert_true(accepted > 0 && accepted < bits);
  free(b.data);
}

static void test_safetensors__each_allocation_fails(void **state) {
  struct fixture *f = *state;
  struct bytes b =
      bytes_file("{\"__metadata__\":{}," A(0, 4) "," B(4, 8) "}", NULL, 8);
  int status = IMGREC_ERR_MEMORY;
  long n = 0;
  while (status != 0) {
    f->failing = (struct failing){.fail_at = ++n};
    status = parse(f, b);
    assert_true(status == 0 || status == IMGREC_ERR_MEMORY);
    assert_int_equal(f->failing.live_blocks, 0);
  }
  assert_true(n > 4);
  free(b.data);
}

/* Of two-byte characters at an even and at an odd place one is cut inside. */
static void test_safetensors__printable(void **state) {
  char buffer[96], name[300] = "x";
  (void)state;
  assert_string_equal(imgrec__printable("a.b", buffer), "a.b");
  assert_string_equal(imgrec__printable("\1\t\177", buffer), "???");
  for (int i = 0; i < 140; i++)
    memcpy(name + 1 + 2 * i, "\303\244", 3);
  for (size_t first = 0; first < 2; first++) {
    const char *shown = imgrec__printable(name + first, buffer);
    size_t n = strlen(shown);
    assert_true(n > 64 && n < sizeof buffer);
    assert_string_equal(shown + n - 3, "...");
    assert_true(imgrec__utf8_valid(shown, n));
  }
}

#define CASE(name)                                                             \
  cmocka_unit_test_setup_teardown(test_safetensors__##name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(tensors),
      CASE(nothing_inside),
      CASE(empty_tensors),
      CASE(dtypes),
      CASE(length_word),
      CASE(short_files),
      CASE(every_truncation),
      CASE(not_an_object),
      CASE(names),
      CASE(members),
      CASE(bad_dtypes),
      CASE(bad_shapes),
      CASE(dims_that_overflow),
      CASE(bad_offsets),
      CASE(places),
      CASE(sizes_that_overflow),
      CASE(metadata),
      CASE(nested_deep),
      CASE(many_tensors),
      CASE(every_bit_flipped),
      CASE(each_allocation_fails),
      CASE(printable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
