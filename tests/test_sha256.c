/* SPDX-License-Identifier: MIT */
/* Tests of lib/sha256.c with the examples of FIPS 180. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base.h"

static void check(const char *text, const char *expected) {
  struct sha256 s;
  char hex[65];
  imgrec__sha256_init(&s);
  imgrec__sha256_update(&s, text, strlen(text));
  imgrec__sha256_hex(&s, hex);
  assert_string_equal(hex, expected);
}

static void test_sha256__examples(void **state) {
  (void)state;
  check("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  check("abc",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  check("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
        "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

static void test_sha256__million(void **state) {
  (void)state;
  struct sha256 s;
  char hex[65], chunk[1000];
  memset(chunk, 'a', sizeof chunk);
  imgrec__sha256_init(&s);
  for (int i = 0; i < 1000; i++)
    imgrec__sha256_update(&s, chunk, sizeof chunk);
  imgrec__sha256_hex(&s, hex);
  assert_string_equal(
      hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* However the bytes come in, the hash is that of all of them. */
static void test_sha256__any_split(void **state) {
  (void)state;
  unsigned char bytes[200];
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (unsigned char)(i * 37);
  for (size_t n = 0; n <= sizeof bytes; n++) {
    struct sha256 whole, parts;
    char expected[65], hex[65];
    imgrec__sha256_init(&whole);
    imgrec__sha256_update(&whole, bytes, n);
    imgrec__sha256_hex(&whole, expected);
    for (size_t cut = 0; cut <= n; cut += 7) {
      imgrec__sha256_init(&parts);
      imgrec__sha256_update(&parts, bytes, cut);
      imgrec__sha256_update(&parts, NULL, 0);
      imgrec__sha256_update(&parts, bytes + cut, n - cut);
      imgrec__sha256_hex(&parts, hex);
      assert_string_equal(hex, expected);
    }
  }
}

/* The processor's instructions, where it has them, against plain C. */
static void test_sha256__same_by_instructions(void **state) {
  (void)state;
  unsigned char bytes[64 * 5];
  uint32_t plain[8], fast[8];
  if (!imgrec__cpu_sha())
    skip();
  for (uint32_t seed = 0; seed < 200; seed++) {
    for (size_t i = 0; i < sizeof bytes; i++)
      bytes[i] = (unsigned char)imgrec__random_below(seed, 0, i, 256);
    for (size_t i = 0; i < 8; i++)
      plain[i] = fast[i] = imgrec__random4(seed, 1, i).v[0];
    imgrec__sha256_blocks(plain, bytes, seed % 6);
    imgrec__sha256_blocks_x86(fast, bytes, seed % 6);
    assert_memory_equal(fast, plain, sizeof plain);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sha256__examples),
      cmocka_unit_test(test_sha256__million),
      cmocka_unit_test(test_sha256__any_split),
      cmocka_unit_test(test_sha256__same_by_instructions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
