/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/pnm.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "image/image.h"

static struct error error;
static unsigned char pixels[64];

/* Decodes a text that may have zeros; an allocation of its own lets the
 * sanitizer see each read behind the end. */
static int decode(const char *text, size_t n) {
  struct picture p = {0};
  int status = imgrec__pnm_header(&p, &error, (const unsigned char *)text, n);
  if (status < 0)
    return status;
  assert_true(p.height * p.width * p.channels <= 64);
  memset(pixels, 0xEE, sizeof pixels);
  return imgrec__pnm_decode(pixels, &error, (const unsigned char *)text, n);
}

static void test_pnm__each_kind(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t size;
    unsigned char want[6];
    size_t n;
  } cases[] = {
      {"P1\n3 2\n1 0 1 001", 17, {0, 255, 0, 255, 255, 0}, 6},
      {"P2 2 1 10 0 5", 13, {0, 128}, 2},
      {"P3 1 1 255\n7 8 9\n", 17, {7, 8, 9}, 3},
      {"P4 9 1\n\x80\x80", 9, {0, 255, 255, 255, 255, 255}, 6},
      {"P5#c\n2#d\r1 255\nab", 18, {'a', 'b'}, 2},
      {"P6 1 1 15 \x00\x0F\x08", 13, {0, 255, 136}, 3},
      {"P5 2 1 65535 \xFF\xFF\x80\x80", 17, {255, 128}, 2},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(decode(cases[i].text, cases[i].size), 0);
    assert_memory_equal(pixels, cases[i].want, cases[i].n);
  }
}

static void test_pnm__last_pixel_of_a_row_of_bits(void **state) {
  (void)state;
  assert_int_equal(decode("P4 9 2\n\x00\x80\x00\x00", 11), 0);
  assert_int_equal(pixels[8], 0);
  assert_int_equal(pixels[17], 255);
  assert_int_equal(pixels[18], 0xEE);
}

static void test_pnm__refused(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int status;
    const char *words;
  } cases[] = {
      {"P5", IMGREC_ERR_FORMAT, "header"},
      {"P5 x", IMGREC_ERR_FORMAT, "header"},
      {"P5 1 1", IMGREC_ERR_FORMAT, "header"},
      {"P5 1 1 255", IMGREC_ERR_FORMAT, "header"},
      {"P5 1 1 -1 ", IMGREC_ERR_FORMAT, "header"},
      {"P5 00000001 1 1 ", IMGREC_ERR_FORMAT, "header"},
      {"P5 1 1 0 a", IMGREC_ERR_FORMAT, "its maximum"},
      {"P5 1 1 65536 aa", IMGREC_ERR_FORMAT, "its maximum"},
      {"P5 0 1 255 a", IMGREC_ERR_FORMAT, "no picture"},
      {"P5 9999999 9999999 255 a", IMGREC_ERR_LIMIT, "at most"},
      {"P5 2 1 255 a", IMGREC_ERR_FORMAT, "the file ends"},
      {"P5 1 1 256 a", IMGREC_ERR_FORMAT, "the file ends"},
      {"P4 9 1 a", IMGREC_ERR_FORMAT, "the file ends"},
      {"P5 1 1 96 a", IMGREC_ERR_FORMAT, "larger than its maximum"},
      {"P2 1 1 96 97", IMGREC_ERR_FORMAT, "within its range"},
      {"P2 2 1 96 9", IMGREC_ERR_FORMAT, "the file ends"},
      {"P2 2 1 96 9 x", IMGREC_ERR_FORMAT, "within its range"},
      {"P1 2 1 12", IMGREC_ERR_FORMAT, "within its range"},
      {"P1 2 1 # 11", IMGREC_ERR_FORMAT, "the file ends"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    error.text[0] = '\0';
    int status = decode(cases[i].text, strlen(cases[i].text));
    assert_int_equal(status, cases[i].status);
    assert_non_null(strstr(error.text, cases[i].words));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pnm__each_kind),
      cmocka_unit_test(test_pnm__last_pixel_of_a_row_of_bits),
      cmocka_unit_test(test_pnm__refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
