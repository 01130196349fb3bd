/* SPDX-License-Identifier: MIT */
/* Tests of lib/json.c: values, strings, keys, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base.h"
#include "failing_alloc.h"

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

static int parse(struct fixture *f, struct json *j, const char *text) {
  return imgrec__json_parse(j, &f->allocator, &f->error, text, strlen(text));
}

static struct json parsed(struct fixture *f, const char *text) {
  struct json j = {0};
  if (parse(f, &j, text) != IMGREC_OK)
    fail_msg("%s: %s", text, f->error.text);
  return j;
}

static void check_string(const struct json *j, int value,
                         const char *expected) {
  char *s = imgrec__json_string(j, value);
  assert_non_null(s);
  assert_string_equal(s, expected);
  assert_true(imgrec__json_equal(j, value, expected));
  imgrec__free(j->allocator, s);
}

static void test_json__get(void **state) {
  struct json j =
      parsed(*state, "{\"a\":[1,{\"b\":2}],\"b\":3,\"c\":{\"a\":4}}");
  int64_t x = 0;
  assert_true(imgrec__json_is_object(&j, 0));
  assert_int_equal(imgrec__json_size(&j, 0), 3);
  assert_true(imgrec__json_int(&j, imgrec__json_get(&j, 0, "b"), &x));
  assert_int_equal(x, 3);
  int c = imgrec__json_get(&j, 0, "c");
  assert_true(imgrec__json_int(&j, imgrec__json_get(&j, c, "a"), &x));
  assert_int_equal(x, 4);
  assert_int_equal(imgrec__json_get(&j, 0, "none"), -1);
  assert_int_equal(imgrec__json_get(&j, c, "b"), -1);
  assert_int_equal(imgrec__json_get(&j, imgrec__json_get(&j, 0, "b"), "a"), -1);
  assert_int_equal(imgrec__json_get(&j, -1, "a"), -1);
  imgrec__json_free(&j);
}

static void test_json__walk_object(void **state) {
  struct json j =
      parsed(*state, "{\"a\":{\"x\":[1,2]},\"b\":[[],[3]],\"c\":\"d\"}");
  const char *keys[] = {"a", "b", "c"};
  int n = 0;
  for (int key = imgrec__json_first(&j, 0); key >= 0;
       key = imgrec__json_next(&j, 0, key))
    check_string(&j, key, keys[n++]);
  assert_int_equal(n, 3);
  assert_true(imgrec__json_is_object(
      &j, imgrec__json_value(&j, imgrec__json_first(&j, 0))));
  check_string(&j, imgrec__json_get(&j, 0, "c"), "d");
  assert_int_equal(imgrec__json_value(&j, -1), -1);
  imgrec__json_free(&j);
}

static void test_json__walk_array(void **state) {
  struct json j = parsed(*state, "[[1,[2]],{\"a\":[]},\"s\",[],4]");
  int kinds[5], n = 0;
  assert_true(imgrec__json_is_array(&j, 0));
  assert_int_equal(imgrec__json_size(&j, 0), 5);
  for (int item = imgrec__json_first(&j, 0); item >= 0;
       item = imgrec__json_next(&j, 0, item)) {
    assert_true(n < 5);
    kinds[n++] = imgrec__json_is_array(&j, item) +
                 2 * imgrec__json_is_object(&j, item) +
                 4 * imgrec__json_is_string(&j, item);
  }
  const int expected[5] = {1, 2, 4, 1, 0};
  assert_int_equal(n, 5);
  assert_memory_equal(kinds, expected, sizeof kinds);
  imgrec__json_free(&j);
}

static void test_json__empty_containers(void **state) {
  struct json j = parsed(*state, "[{},[]]");
  int object = imgrec__json_first(&j, 0);
  int array = imgrec__json_next(&j, 0, object);
  assert_int_equal(imgrec__json_first(&j, object), -1);
  assert_int_equal(imgrec__json_first(&j, array), -1);
  assert_int_equal(imgrec__json_size(&j, array), 0);
  assert_int_equal(imgrec__json_next(&j, 0, array), -1);
  imgrec__json_free(&j);
}

static void test_json__unescapes(void **state) {
  struct json j = parsed(*state, "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\","
                                 "\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00z\","
                                 "\"\\uffff\\udbff\\udfff\",\"\"]");
  int item = imgrec__json_first(&j, 0);
  check_string(&j, item, "\"\\/\b\f\n\r\t");
  item = imgrec__json_next(&j, 0, item);
  check_string(&j, item, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
  item = imgrec__json_next(&j, 0, item);
  check_string(&j, item, "\xef\xbf\xbf\xf4\x8f\xbf\xbf");
  item = imgrec__json_next(&j, 0, item);
  check_string(&j, item, "");
  imgrec__json_free(&j);
}

static void test_json__equal_is_exact(void **state) {
  struct json j = parsed(*state, "[\"a\\u0062c\",1]");
  int item = imgrec__json_first(&j, 0);
  assert_true(imgrec__json_equal(&j, item, "abc"));
  assert_false(imgrec__json_equal(&j, item, "ab"));
  assert_false(imgrec__json_equal(&j, item, "abcd"));
  assert_false(imgrec__json_equal(&j, item, "a\\u0062c"));
  assert_false(imgrec__json_equal(&j, item + 1, "1"));
  imgrec__json_free(&j);
}

static void test_json__nul_in_string(void **state) {
  struct json j = parsed(*state, "[\"a\\u0000b\"]");
  assert_null(imgrec__json_string(&j, 1));
  assert_false(imgrec__json_equal(&j, 1, "a"));
  imgrec__json_free(&j);
}

static void test_json__numbers(void **state) {
  struct json j = parsed(*state, "[-7,1.5,1e3,9223372036854775808,\"5\",true,"
                                 "1e99]");
  int64_t i = 0;
  float x = 0;
  assert_true(imgrec__json_int(&j, 1, &i));
  assert_int_equal(i, -7);
  assert_true(imgrec__json_float(&j, 1, &x));
  assert_true(x == -7);
  assert_false(imgrec__json_int(&j, 2, &i));
  assert_true(imgrec__json_float(&j, 2, &x));
  assert_true(x == 1.5f);
  assert_false(imgrec__json_int(&j, 3, &i));
  assert_true(imgrec__json_float(&j, 3, &x));
  assert_true(x == 1000);
  assert_false(imgrec__json_int(&j, 4, &i));
  for (int value = 5; value <= 7; value++)
    assert_false(imgrec__json_float(&j, value, &x));
  assert_false(imgrec__json_int(&j, 5, &i));
  assert_false(imgrec__json_int(&j, 0, &i));
  assert_false(imgrec__json_int(&j, -1, &i));
  imgrec__json_free(&j);
}

static void check_refused(struct fixture *f, const char *text,
                          const char *sentence) {
  struct json j = {.count = 77};
  assert_int_equal(parse(f, &j, text), IMGREC_ERR_FORMAT);
  assert_non_null(strstr(f->error.text, sentence));
  assert_int_equal(j.count, 77);
  assert_int_equal(f->failing.live_blocks, 0);
}

static void test_json__duplicate_keys(void **state) {
  const char *sentence = "occurs twice";
  check_refused(*state, "{\"a\":1,\"a\":2}", "the key \"a\" occurs twice");
  check_refused(*state, "{\"a\":1,\"b\":1,\"c\":{},\"b\":2}", sentence);
  check_refused(*state, "{\"\":1,\"\":2}", sentence);
  check_refused(*state, "{\"ab\":1,\"\\u0061b\":2}", sentence);
  check_refused(*state, "{\"\\u00e9\":1,\"\xc3\xa9\":2}", sentence);
  check_refused(*state, "[{\"x\":[{\"a\":1,\"b\":2,\"a\":3}]}]", sentence);
  check_refused(*state, "{\"a\\u0000b\":1,\"a\\u0000b\":2}", sentence);
}

static void test_json__keys_alike_but_not_the_same(void **state) {
  struct json j =
      parsed(*state, "{\"a\":{\"a\":\"a\",\"b\":\"b\"},\"b\":{\"a\":\"a\"},"
                     "\"ab\":1,\"\":2,\"A\":3,\"a\\u0000\":4}");
  assert_int_equal(imgrec__json_size(&j, 0), 6);
  imgrec__json_free(&j);
}

/* Some 20000 keys, in falling order: found and compared without delay. */
static void test_json__many_keys(void **state) {
  struct fixture *f = *state;
  struct text t;
  struct json j = {0};
  imgrec__text_init(&t, &f->allocator);
  imgrec__text_string(&t, "{");
  for (int i = 20000; i > 0; i--)
    imgrec__text_add(&t, "\"key%05d\":[%d],", i, i);
  imgrec__text_string(&t, "\"last\":0}");
  assert_false(t.failed);
  assert_int_equal(parse(f, &j, t.data), 0);
  assert_int_equal(imgrec__json_size(&j, 0), 20001);
  int n = 0;
  for (int key = imgrec__json_first(&j, 0); key >= 0;
       key = imgrec__json_next(&j, 0, key))
    n++;
  assert_int_equal(n, 20001);
  imgrec__json_free(&j);
  imgrec__text_free(&t);
}

static void test_json__refuses_bad_syntax(void **state) {
  check_refused(*state, "{\"a\":1,}", "JSON, line 1, byte 8: expected a key");
  check_refused(*state, "{\"a\"}", "expected ':'");
  check_refused(*state, "3", "expected an object or an array");
  check_refused(*state, "[1 2]", "expected ',' or ']'");
}

/* A byte changed at random: either refused, or everything in it can be
 * walked over. */
static void test_json__mutated(void **state) {
  struct fixture *f = *state;
  const char *text =
      "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\""
      ":[0,24]},\"m\":{\"k\\u00e9\":\"v\\n\",\"z\":null}}";
  size_t n = strlen(text);
  int accepted = 0;
  for (uint64_t i = 0; i < 20000; i++) {
    struct random4 r = imgrec__random4(1, 1, i);
    char copy[200];
    memcpy(copy, text, n);
    copy[r.v[0] % n] = "{}[]\":,\\0"[r.v[2] % 9];
    if (r.v[1] % 4 == 0)
      copy[r.v[0] % n] = (char)r.v[3];
    struct json j = {0};
    if (imgrec__json_parse(&j, &f->allocator, &f->error, copy, n) < 0)
      continue;
    accepted++;
    for (int value = 0; value < j.count; value++) {
      for (int item = imgrec__json_first(&j, value), k = 0; item >= 0;
           item = imgrec__json_next(&j, value, item))
        assert_true(k++ < imgrec__json_size(&j, value));
      imgrec__free(&f->allocator, imgrec__json_string(&j, value));
    }
    imgrec__json_free(&j);
  }
  assert_true(accepted > 100);
}

static void test_json__out_of_memory(void **state) {
  struct fixture *f = *state;
  for (long n = 1; n <= 2; n++) {
    struct json j = {.count = 77};
    f->failing.fail_at = f->failing.calls + n;
    assert_int_equal(parse(f, &j, "{\"a\":[1]}"), IMGREC_ERR_MEMORY);
    assert_int_equal(j.count, 77);
    assert_int_equal(f->failing.live_blocks, 0);
  }
  struct json j = parsed(f, "[\"a\"]");
  f->failing.fail_at = f->failing.calls + 1;
  assert_null(imgrec__json_string(&j, 1));
  imgrec__json_free(&j);
}

/* Escaping and reading give back the string, for each byte there is. */
static void test_json__writes_strings(void **state) {
  struct fixture *f = *state;
  char all[128];
  for (int i = 0; i < 127; i++)
    all[i] = (char)(i + 1);
  all[127] = '\0';
  struct text t;
  imgrec__text_init(&t, &f->allocator);
  imgrec__text_string(&t, "[");
  imgrec__text_json_string(&t, "a\"\\\n\x01\xc3\xa9");
  assert_string_equal(t.data, "[\"a\\\"\\\\\\n\\u0001\xc3\xa9\"");
  imgrec__text_string(&t, ",");
  imgrec__text_json_string(&t, all);
  imgrec__text_string(&t, "]");
  struct json j = parsed(f, t.data);
  check_string(&j, 2, all);
  imgrec__json_free(&j);
  imgrec__text_free(&t);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_json__get),
      CASE(test_json__walk_object),
      CASE(test_json__walk_array),
      CASE(test_json__empty_containers),
      CASE(test_json__unescapes),
      CASE(test_json__equal_is_exact),
      CASE(test_json__nul_in_string),
      CASE(test_json__numbers),
      CASE(test_json__duplicate_keys),
      CASE(test_json__keys_alike_but_not_the_same),
      CASE(test_json__many_keys),
      CASE(test_json__refuses_bad_syntax),
      CASE(test_json__mutated),
      CASE(test_json__out_of_memory),
      CASE(test_json__writes_strings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
