/* SPDX-License-Identifier: MIT */
/* Tests of lib/json_syntax.c: what is JSON and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base.h"

static int check(struct error *e, const char *text) {
  return imgrec__json_check(e, text, strlen(text));
}

static void test_json_syntax__accepts(void **state) {
  (void)state;
  static const char *const good[] = {
      "{}",
      "[]",
      " \t\r\n{ } \n",
      "{\"\":0}",
      "[[],{},[[]]]",
      "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":\"\"}",
      "[true,false,null]",
      "[0,-0,1,-1,10,1.5,-0.0,1e5,1E+5,1e-05,0e0,123456789012345678901234]",
      "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
      "[\"\\u0041\\u00e9\\ud83d\\ude00\\u0000\\uFFFF\"]",
      "[\"\xc3\xa9 \xf0\x9f\x98\x80 \x7f\"]"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    struct error e = {""};
    if (check(&e, good[i]) != IMGREC_OK)
      fail_msg("%s: %s", good[i], e.text);
  }
}

static const char *const bad[] = {"",
                                  " ",
                                  "1",
                                  "null",
                                  "\"a\"",
                                  "{",
                                  "}",
                                  "[",
                                  "]",
                                  "[}",
                                  "{]",
                                  "[1",
                                  "[1,",
                                  "[1,]",
                                  "[,1]",
                                  "[,]",
                                  "[1 2]",
                                  "[1,,2]",
                                  "[1]]",
                                  "[1] 2",
                                  "[1],",
                                  "{}{}",
                                  "{\"a\"}",
                                  "{\"a\":}",
                                  "{\"a\":1,}",
                                  "{,}",
                                  "{:1}",
                                  "{\"a\" 1}",
                                  "{\"a\":1 2}",
                                  "{\"a\"::1}",
                                  "{\"a\",1}",
                                  "{1:2}",
                                  "{a:1}",
                                  "{null:1}",
                                  "{[]:1}",
                                  "{'a':1}",
                                  "[1:2]",
                                  "[\"a\":1]",
                                  "{\"a\":1\"b\":2}",
                                  "[tru]",
                                  "[True]",
                                  "[nul]",
                                  "[nulll]",
                                  "[truefalse]",
                                  "[NaN]",
                                  "[Infinity]",
                                  "[-Infinity]",
                                  "[undefined]",
                                  "[-]",
                                  "[+1]",
                                  "[01]",
                                  "[-01]",
                                  "[1.]",
                                  "[.5]",
                                  "[1.e5]",
                                  "[1e]",
                                  "[1e+]",
                                  "[1.5.5]",
                                  "[0x10]",
                                  "[1_000]",
                                  "[1a]",
                                  "[1,5e]",
                                  "[--1]",
                                  "[\"]",
                                  "[\"a]",
                                  "[\"\\\"]",
                                  "[\"\\x41\"]",
                                  "[\"\\a\"]",
                                  "[\"\\'\"]",
                                  "[\"\\u\"]",
                                  "[\"\\u12\"]",
                                  "[\"\\u123g\"]",
                                  "[\"\\u 123\"]",
                                  "[\"\\ud800\"]",
                                  "[\"\\udc00\"]",
                                  "[\"\\ud800\\u0041\"]",
                                  "[\"\\ud800x\"]",
                                  "[\"\\ud800\\ud800\"]",
                                  "[\"\\U0041\"]",
                                  "[\"\n\"]",
                                  "[\"\t\"]",
                                  "[\"\x01\"]",
                                  "//c\n[]",
                                  "[/**/]",
                                  "\xef\xbb\xbf[]",
                                  "[\"\xff\"]",
                                  "[\"\xed\xa0\x80\"]",
                                  "[\x0b]",
                                  "[1]x",
                                  "[\"a\"\"b\"]",
                                  "{\"a\":1}]",
                                  "\f[]"};

static void test_json_syntax__refuses(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct error e = {""};
    if (check(&e, bad[i]) != IMGREC_ERR_FORMAT)
      fail_msg("%s was accepted", bad[i]);
    assert_int_equal(strncmp(e.text, "JSON", 4), 0);
  }
}

static void test_json_syntax__embedded_nul(void **state) {
  (void)state;
  assert_int_equal(imgrec__json_check(NULL, "[1]\0", 4), IMGREC_ERR_FORMAT);
  assert_int_equal(imgrec__json_check(NULL, "[\"\0\"]", 5), IMGREC_ERR_FORMAT);
}

static void test_json_syntax__says_where(void **state) {
  (void)state;
  struct error e;
  check(&e, "{\"a\": 1,\n \"b\" 2}");
  assert_string_equal(e.text,
                      "JSON, line 2, byte 6: expected ':' behind a key");
  check(&e, "[1");
  assert_string_equal(e.text, "JSON, line 1, byte 3: expected ',' or ']'");
  check(&e, "[] []");
  assert_string_equal(e.text, "JSON, line 1, byte 4: expected the end");
}

/* Every beginning of a text is refused, and nothing behind it is read. */
static void test_json_syntax__truncated(void **state) {
  (void)state;
  const char *text = "{\"k\\u00e9y\":[1.5e-3,true,null,\"\\ud83d\\ude00\","
                     "{\"a\":{}}],\"z\":-0}";
  size_t n = strlen(text);
  assert_int_equal(imgrec__json_check(NULL, text, n), IMGREC_OK);
  for (size_t cut = 0; cut < n; cut++) {
    char *copy = malloc(cut + 1);
    memcpy(copy + 1, text, cut);
    assert_int_equal(imgrec__json_check(NULL, copy + 1, cut),
                     IMGREC_ERR_FORMAT);
    free(copy);
  }
}

static int check_nested(size_t depth) {
  char *text = malloc(depth * 2);
  for (size_t i = 0; i < depth; i++) {
    text[i] = '[';
    text[2 * depth - 1 - i] = ']';
  }
  int status = imgrec__json_check(NULL, text, depth * 2);
  free(text);
  return status;
}

static void test_json_syntax__nesting(void **state) {
  (void)state;
  assert_int_equal(check_nested(64), IMGREC_OK);
  assert_int_equal(check_nested(65), IMGREC_ERR_LIMIT);
  assert_int_equal(check_nested(1000000), IMGREC_ERR_LIMIT);
  struct error e;
  char objects[65 * 5 + 1] = "";
  for (int i = 0; i < 65; i++)
    strcat(objects, "{\"a\":");
  assert_int_equal(check(&e, objects), IMGREC_ERR_LIMIT);
  assert_non_null(strstr(e.text, "nested more than 64 deep"));
}

/* Depth counts what is open, not what there has been. */
static void test_json_syntax__breadth(void **state) {
  (void)state;
  char text[1000] = "[";
  for (int i = 0; i < 200; i++)
    strcat(text, "[],");
  strcat(text, "[]]");
  assert_int_equal(imgrec__json_check(NULL, text, strlen(text)), IMGREC_OK);
}

static void test_json_syntax__too_long(void **state) {
  (void)state;
  struct error e;
  if (sizeof(size_t) < 8)
    skip();
  assert_int_equal(imgrec__json_check(&e, "[]", (size_t)INT32_MAX + 1),
                   IMGREC_ERR_LIMIT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_json_syntax__accepts),
      cmocka_unit_test(test_json_syntax__refuses),
      cmocka_unit_test(test_json_syntax__embedded_nul),
      cmocka_unit_test(test_json_syntax__says_where),
      cmocka_unit_test(test_json_syntax__truncated),
      cmocka_unit_test(test_json_syntax__nesting),
      cmocka_unit_test(test_json_syntax__breadth),
      cmocka_unit_test(test_json_syntax__too_long),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
