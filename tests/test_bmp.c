/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/bmp.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/image.h"
#include "image_files.h"

static struct bytes file;
static struct error error;
static unsigned char pixels[3 * 64];

static int decode(void) {
  struct picture p = {0};
  int status = imgrec__bmp_header(&p, &error, file.data, file.size);
  assert_true(status < 0 || p.height * p.width <= 64);
  if (status < 0)
    return status;
  memset(pixels, 0xEE, sizeof pixels);
  return imgrec__bmp_decode(pixels, &error, file.data, file.size);
}

static void expect(const void *rgb, size_t n) {
  assert_int_equal(decode(), 0);
  assert_memory_equal(pixels, rgb, n);
}

static void refused(int status, const char *words) {
  error.text[0] = '\0';
  assert_int_equal(decode(), status);
  assert_non_null(strstr(error.text, words));
}

/* Colour i of the palette is (i + 3, i + 2, i + 1). */
static void put_palette(unsigned n) {
  for (unsigned i = 0; i < n; i++)
    put32le(&file, (i + 3) << 16 | (i + 2) << 8 | (i + 1));
}

static void test_bmp__24_bits_bottom_up_and_top_down(void **state) {
  (void)state;
  static const unsigned char up[] = {4, 5, 6, 1, 2, 3},
                             down[] = {1, 2, 3, 4, 5, 6};
  for (int top_down = 0; top_down < 2; top_down++) {
    bmp_header(&file, top_down ? -2 : 2, 1, 24, 0, 0);
    put(&file, "\3\2\1\0\6\5\4", 7); /* the last row may lack its padding */
    expect(top_down ? down : up, 6);
  }
}

static void test_bmp__palettes(void **state) {
  (void)state;
  static const unsigned char eight[] = {4, 3, 2, 3, 2, 1, 0, 0, 0};
  static const unsigned char four[] = {4, 3, 2, 3, 2, 1, 18, 17, 16};
  static const unsigned char one[] = {4, 3, 2, 3, 2, 1, 4, 3, 2};
  bmp_header(&file, 1, 3, 8, 0, 2);
  put_palette(2);
  put(&file, "\1\0\377\0", 4); /* the last index has no colour: black */
  expect(eight, 9);
  bmp_header(&file, 1, 3, 4, 0, 16);
  put_palette(16);
  put(&file, "\x10\xF0\0\0", 4);
  expect(four, 9);
  bmp_header(&file, 1, 3, 1, 0, 2);
  put_palette(2);
  put(&file, "\xA0\0\0\0", 4);
  expect(one, 9);
}

static void test_bmp__16_and_32_bits(void **state) {
  (void)state;
  static const unsigned char red[] = {255, 0, 0, 0, 0, 8};
  static const unsigned char mixed[] = {255, 129, 0}; /* 32 of 63: 129.5 */
  static const unsigned char plain[] = {3, 2, 1};
  bmp_header(&file, 1, 2, 16, 0, 0);
  put16le(&file, 0x7C00);
  put16le(&file, 0x0001);
  expect(red, 6);
  bmp_header(&file, 1, 1, 16, 3, 0);
  put32le(&file, 0xF800);
  put32le(&file, 0x07E0);
  put32le(&file, 0x001F);
  put16le(&file, 0xF800 | 0x0400 | 0);
  put16le(&file, 0);
  expect(mixed, 3);
  bmp_header(&file, 1, 1, 32, 0, 0);
  put32le(&file, 0xFF030201);
  expect(plain, 3);
}

static void test_bmp__os2_header(void **state) {
  (void)state;
  static const unsigned char rgb[] = {6, 5, 4, 3, 2, 1};
  file.size = 0;
  put(&file, "BM", 2);
  put32le(&file, 0);
  put32le(&file, 0);
  put32le(&file, 14 + 12 + 6);
  put32le(&file, 12);
  put16le(&file, 2);
  put16le(&file, 1);
  put16le(&file, 1);
  put16le(&file, 8);
  put(&file, "\1\2\3\4\5\6\1\0\0\0", 10);
  expect(rgb, 6);
}

/* Runs, codes as they are, jumps and ends, in both widths. */
static void test_bmp__run_lengths(void **state) {
  (void)state;
  static const unsigned char eight[] = {2, 2, 0, 3, 1, 2, 3, 0, 0,
                                        0, 0, 2, 1, 0, 1, 1, 0, 1};
  static const unsigned char four[] = {3, 0x12, 0, 4, 0x12, 0x10, 0, 1};
  /* The red of colour i is i + 3. */
  static const unsigned char red8[] = {3, 4, 3, 3, 3, 5, 5, 4, 5, 6};
  static const unsigned char red4[] = {4, 5, 4, 4, 5, 4, 3, 3};
  bmp_header(&file, 2, 5, 8, 1, 4);
  put_palette(4);
  put(&file, eight, sizeof eight);
  assert_int_equal(decode(), 0);
  for (int i = 0; i < 10; i++)
    assert_int_equal(pixels[3 * i], red8[i]);
  bmp_header(&file, 1, 8, 4, 2, 4);
  put_palette(4);
  put(&file, four, sizeof four);
  assert_int_equal(decode(), 0);
  for (int i = 0; i < 8; i++)
    assert_int_equal(pixels[3 * i], red4[i]);
}

static void test_bmp__run_lengths_stay_inside(void **state) {
  (void)state;
  static const unsigned char codes[] = {255, 1, 0, 2,   255, 0, 255,
                                        1,   0, 0, 255, 2,   0, 1};
  bmp_header(&file, 2, 3, 8, 1, 4);
  put_palette(4);
  put(&file, codes, sizeof codes);
  assert_int_equal(decode(), 0);
  assert_int_equal(pixels[0], 5);
  assert_int_equal(pixels[9], 4);
  assert_int_equal(pixels[18], 0xEE);
}

static void test_bmp__cut_off_anywhere(void **state) {
  (void)state;
  static const unsigned compressions[] = {0, 1};
  for (int k = 0; k < 2; k++) {
    bmp_header(&file, 2, 4, 8, compressions[k], 4);
    put_palette(4);
    put(&file, "\4\1\0\0\4\1\0\1", 8);
    size_t whole = file.size - (k == 1 ? 2 : 0);
    assert_int_equal(decode(), 0);
    for (file.size = 2; file.size < whole; file.size++)
      refused(IMGREC_ERR_FORMAT, "the file ends");
  }
}

static void test_bmp__every_byte_of_the_header_changed(void **state) {
  (void)state;
  static unsigned char large[3 << 20];
  bmp_header(&file, 4, 4, 8, 0, 4);
  put_palette(4);
  put(&file, pixels, 16);
  for (size_t i = 0; i < 54; i++)
    for (unsigned bit = 0; bit < 8; bit++) {
      struct picture p = {0};
      file.data[i] ^= 1u << bit;
      int status = imgrec__bmp_header(&p, &error, file.data, file.size);
      size_t need = 3 * (size_t)p.height * (size_t)p.width;
      if (status == 0 && need <= sizeof large)
        status = imgrec__bmp_decode(large, &error, file.data, file.size);
      assert_true(status == 0 || error.text[0] != '\0');
      file.data[i] ^= 1u << bit;
    }
}

static void test_bmp__headers_that_are_none(void **state) {
  (void)state;
  bmp_header(&file, INT32_MIN, 1, 24, 0, 0);
  refused(IMGREC_ERR_LIMIT, "at most 16384");
  bmp_header(&file, 1, -1, 24, 0, 0);
  refused(IMGREC_ERR_FORMAT, "no picture");
  bmp_header(&file, 0, 1, 24, 0, 0);
  refused(IMGREC_ERR_FORMAT, "no picture");
  bmp_header(&file, 1, 1, 5, 0, 0);
  refused(IMGREC_ERR_UNSUPPORTED, "unknown kind of coding");
  bmp_header(&file, -1, 1, 8, 1, 0);
  refused(IMGREC_ERR_UNSUPPORTED, "unknown kind of coding");
  bmp_header(&file, 1, 1, 24, 4, 0);
  refused(IMGREC_ERR_UNSUPPORTED, "unknown kind of coding");
  bmp_header(&file, 1, 1, 16, 3, 0);
  put(&file, "\5\0\0\0\5\0\0\0\5\0\0\0", 12);
  refused(IMGREC_ERR_FORMAT, "a bit field is not a run of bits");
  bmp_header(&file, 1, 1, 24, 0, 0);
  file.data[14] = 13;
  refused(IMGREC_ERR_UNSUPPORTED, "unknown kind of header");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bmp__24_bits_bottom_up_and_top_down),
      cmocka_unit_test(test_bmp__palettes),
      cmocka_unit_test(test_bmp__16_and_32_bits),
      cmocka_unit_test(test_bmp__os2_header),
      cmocka_unit_test(test_bmp__run_lengths),
      cmocka_unit_test(test_bmp__run_lengths_stay_inside),
      cmocka_unit_test(test_bmp__cut_off_anywhere),
      cmocka_unit_test(test_bmp__every_byte_of_the_header_changed),
      cmocka_unit_test(test_bmp__headers_that_are_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
