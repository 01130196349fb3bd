/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/jpeg.c: what the walk over segments refuses and keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/image.h"
#include "image_files.h"

static struct bytes file;
static struct error error;
static unsigned char clean[sizeof file.data + 1024];
static size_t clean_size;
static const unsigned char grey[64] = {128, 128, 128, 128, 128, 128, 128, 128,
                                       128, 128, 128, 128, 128, 128, 128, 128,
                                       128, 128, 128, 128, 128, 128, 128, 128};

static int walk(void) {
  struct picture p = {PICTURE_JPEG, 0, 0, 0, 1};
  return imgrec__jpeg_clean(&p, clean, &clean_size, &error, file.data,
                            file.size);
}

/* The file is refused with `status` and a sentence that has `words`. */
static void refused(int status, const char *words) {
  error.text[0] = '\0';
  assert_int_equal(walk(), status);
  assert_non_null(strstr(error.text, words));
}

static void build(void) { jpeg_file(&file, 16, 16, 1, grey); }

/* A change of the first byte after `what`. */
static void change(const void *what, size_t n, size_t offset, unsigned value) {
  size_t at = find(&file, what, n);
  assert_true(at < file.size);
  file.data[at + offset] = (unsigned char)value;
}

static void test_jpeg__keeps_a_clean_file_as_it_is(void **state) {
  (void)state;
  build();
  assert_int_equal(walk(), 0);
  assert_int_equal(clean_size, file.size);
  assert_memory_equal(clean, file.data, file.size);
}

static void test_jpeg__drops_what_is_no_picture(void **state) {
  (void)state;
  struct bytes plain;
  build();
  plain = file;
  jpeg_begin(&file);
  jpeg_marker(&file, 0xFE, "a comment", 9);
  jpeg_marker(&file, 0xE2, "ICC_PROFILE", 11);
  put(&file, "\0\0\xFF\xFF", 4); /* padding and fill bytes */
  put(&file, plain.data + 3, plain.size - 3);
  put(&file, "junk", 4);
  assert_int_equal(walk(), 0);
  assert_int_equal(clean_size, plain.size);
  assert_memory_equal(clean, plain.data, plain.size);
}

static void test_jpeg__cut_off_anywhere(void **state) {
  (void)state;
  build();
  size_t whole = file.size;
  for (file.size = 3; file.size < whole; file.size++)
    refused(IMGREC_ERR_FORMAT, "the file ends before the picture does");
}

/* Any one byte changed: refused with a sentence or copied, in bounds. */
static void test_jpeg__every_byte_changed(void **state) {
  (void)state;
  static const unsigned char changes[] = {0x01, 0x80, 0xFF, 0x10};
  build();
  for (size_t i = 2; i < file.size; i++)
    for (size_t k = 0; k < sizeof changes; k++) {
      file.data[i] ^= changes[k];
      error.text[0] = '\0';
      int status = walk();
      assert_true(status == 0 || error.text[0] != '\0');
      assert_true(status < 0 || clean_size <= file.size);
      file.data[i] ^= changes[k];
    }
}

static void test_jpeg__huffman_tables(void **state) {
  (void)state;
  static const unsigned char ac[] = {0xFF, 0xC4, 0, 20, 0x10};
  static const char words[] = "a Huffman table is not one";
  build();
  change(ac, 5, 5, 2); /* both codes of one bit: the code of ones is taken */
  refused(IMGREC_ERR_FORMAT, words);
  build();
  change(ac, 5, 5, 255); /* more codes than bits can tell apart */
  refused(IMGREC_ERR_FORMAT, words);
  build();
  change(ac, 5, 4, 0x20);
  refused(IMGREC_ERR_FORMAT, words);
  build();
  change(ac, 5, 4, 0x14);
  refused(IMGREC_ERR_FORMAT, words);
  build();
  change(ac, 5, 20, 2); /* a count whose symbols are missing */
  refused(IMGREC_ERR_FORMAT, words);
}

/* 256 codes of 15 bits are a prefix code, but one too many for a table of
 * bytes; 654 of them once ran over stb_image's tables. */
static void test_jpeg__huffman_tables_of_many_codes(void **state) {
  (void)state;
  static const unsigned char counts[3] = {255, 1, 255};
  static const int good[3] = {1, 0, 0};
  for (int i = 0; i < 3; i++) {
    unsigned char table[17 + 512] = {0x10};
    table[15] = counts[0];
    table[16] = i > 0 ? counts[i] : 0;
    build();
    struct bytes plain = file;
    jpeg_begin(&file);
    jpeg_marker(&file, 0xC4, table, 17u + table[15] + table[16]);
    put(&file, plain.data + 2, plain.size - 2);
    assert_int_equal(walk() == 0, good[i]);
  }
}

static void test_jpeg__dc_symbols(void **state) {
  (void)state;
  static const unsigned char dc[] = {0xFF, 0xC4, 0, 31, 0};
  build();
  change(dc, 5, 21, 16);
  refused(IMGREC_ERR_FORMAT, "symbols that DC cannot have");
}

static void test_jpeg__quantisation(void **state) {
  (void)state;
  static const unsigned char dqt[] = {0xFF, 0xDB, 0, 67};
  static const unsigned bad[] = {0x04, 0x20, 0x10};
  for (int i = 0; i < 3; i++) {
    build();
    change(dqt, 4, 4, bad[i]);
    refused(IMGREC_ERR_FORMAT, "a quantisation table is not one");
  }
  build();
  change(dqt, 4, 4, 3);
  refused(IMGREC_ERR_FORMAT, "a quantisation table that is not there");
}

static void test_jpeg__frames(void **state) {
  (void)state;
  static const unsigned char sof[] = {0xFF, 0xC0, 0, 11};
  static const struct {
    size_t offset;
    unsigned value;
    int status;
    const char *words;
  } cases[] = {
      {1, 0xC3, IMGREC_ERR_UNSUPPORTED, "rare kind of coding"},
      {1, 0xC9, IMGREC_ERR_UNSUPPORTED, "rare kind of coding"},
      {3, 12, IMGREC_ERR_FORMAT, "wrong length"},
      {4, 12, IMGREC_ERR_UNSUPPORTED, "more than 8 bits"},
      {6, 0, IMGREC_ERR_FORMAT, "no picture"},
      {5, 0xFF, IMGREC_ERR_LIMIT, "at most 16384"},
      {9, 0, IMGREC_ERR_FORMAT, "wrong length"},
      {11, 0x01, IMGREC_ERR_FORMAT, "sampling is impossible"},
      {11, 0x15, IMGREC_ERR_FORMAT, "sampling is impossible"},
      {12, 4, IMGREC_ERR_FORMAT, "sampling is impossible"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    build();
    change(sof, 4, cases[i].offset, cases[i].value);
    refused(cases[i].status, cases[i].words);
  }
}

static void test_jpeg__components(void **state) {
  (void)state;
  jpeg_file(&file, 8, 8, 2, grey);
  refused(IMGREC_ERR_UNSUPPORTED, "components other than 1, 3 or 4");
  jpeg_file(&file, 8, 8, 4, grey);
  refused(IMGREC_ERR_UNSUPPORTED, "four components of unknown meaning");
  jpeg_file(&file, 8, 8, 3, grey);
  change("\x03\x01\x11", 3, 2, 0x31);
  change("\x31\0\x02\x11", 4, 3, 0x21);
  refused(IMGREC_ERR_UNSUPPORTED, "fractional sampling");
}

static void test_jpeg__two_frames_or_pictures(void **state) {
  (void)state;
  jpeg_begin(&file);
  jpeg_frame(&file, 0xC0, 8, 8, 1);
  jpeg_frame(&file, 0xC0, 16, 16, 1);
  refused(IMGREC_ERR_FORMAT, "two frame headers");
  jpeg_begin(&file);
  put16(&file, 0xFFD8);
  refused(IMGREC_ERR_FORMAT, "a second picture begins inside");
  jpeg_begin(&file);
  put16(&file, 0xFFD9);
  refused(IMGREC_ERR_FORMAT, "no frame header");
}

static void test_jpeg__scans(void **state) {
  (void)state;
  static const unsigned char sos[] = {0xFF, 0xDA, 0, 8, 1, 1};
  static const struct {
    size_t offset;
    unsigned value;
    const char *words;
  } cases[] = {
      {4, 2, "wrong length"},
      {4, 0, "wrong length"},
      {5, 9, "component wrongly"},
      {6, 0x10, "Huffman table that is not"},
      {6, 0x01, "Huffman table that is not"},
      {6, 0x40, "Huffman table that is not"},
      {7, 1, "progressive header"},
      {9, 0x10, "progressive header"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    build();
    change(sos, 6, cases[i].offset, cases[i].value);
    refused(IMGREC_ERR_FORMAT, cases[i].words);
  }
  jpeg_begin(&file);
  jpeg_tables(&file);
  jpeg_scan_header(&file, 1);
  refused(IMGREC_ERR_FORMAT, "before the frame header");
}

static void test_jpeg__a_component_without_a_scan(void **state) {
  (void)state;
  jpeg_begin(&file);
  jpeg_tables(&file);
  jpeg_frame(&file, 0xC0, 8, 8, 3);
  jpeg_scan_header(&file, 1);
  jpeg_data(&file, grey, 1, 1, 0);
  put16(&file, 0xFFD9);
  refused(IMGREC_ERR_FORMAT, "a colour component is missing");
}

static void test_jpeg__progression(void **state) {
  (void)state;
  /* start, end, approximation */
  static const unsigned char bad[][3] = {
      {0, 63, 0}, {64, 64, 0}, {2, 1, 0}, {0, 0, 0xE0}, {0, 0, 0x0E}};
  for (size_t i = 0; i <= sizeof bad / sizeof bad[0]; i++) {
    jpeg_begin(&file);
    jpeg_tables(&file);
    jpeg_frame(&file, 0xC2, 8, 8, 1);
    jpeg_scan_header(&file, 1);
    memcpy(file.data + file.size - 3, i ? bad[i - 1] : (const void *)"\0\0\0",
           3);
    put(&file, "\x3F\xFF\xD9", 3);
    if (i == 0)
      assert_int_equal(walk(), 0);
    else
      refused(IMGREC_ERR_FORMAT, "progression is impossible");
  }
}

static void test_jpeg__too_many_scans(void **state) {
  (void)state;
  for (int scans = 100; scans <= 101; scans++) {
    jpeg_begin(&file);
    jpeg_tables(&file);
    jpeg_frame(&file, 0xC0, 8, 8, 1);
    for (int i = 0; i < scans; i++) {
      jpeg_scan_header(&file, 1);
      jpeg_data(&file, grey, 1, 1, 0);
    }
    put16(&file, 0xFFD9);
    if (scans == 100)
      assert_int_equal(walk(), 0);
    else
      refused(IMGREC_ERR_FORMAT, "more than 100 scans");
  }
}

static void test_jpeg__data_too_short(void **state) {
  (void)state;
  build();
  change("\xFF\xC0\0\x0B", 4, 5, 4); /* 1040 rows instead of 16 */
  refused(IMGREC_ERR_FORMAT, "too short for its size");
}

static void test_jpeg__restart_intervals(void **state) {
  (void)state;
  for (size_t given = 2; given <= 3; given++) {
    jpeg_begin(&file);
    jpeg_tables(&file);
    jpeg_marker(&file, 0xDD, "\0\x02", 2);
    jpeg_frame(&file, 0xC0, 8, 40, 1);
    jpeg_scan_header(&file, 1);
    jpeg_data(&file, grey, 5, 1, given);
    put16(&file, 0xFFD9);
    if (given == 2)
      assert_int_equal(walk(), 0);
    else
      refused(IMGREC_ERR_FORMAT, "restart intervals are missing");
  }
  build();
  struct bytes plain = file;
  jpeg_begin(&file);
  jpeg_marker(&file, 0xDD, "\0\x02\0", 3);
  put(&file, plain.data + 2, plain.size - 2);
  refused(IMGREC_ERR_FORMAT, "restart interval is not one");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_jpeg__keeps_a_clean_file_as_it_is),
      cmocka_unit_test(test_jpeg__drops_what_is_no_picture),
      cmocka_unit_test(test_jpeg__cut_off_anywhere),
      cmocka_unit_test(test_jpeg__every_byte_changed),
      cmocka_unit_test(test_jpeg__huffman_tables),
      cmocka_unit_test(test_jpeg__huffman_tables_of_many_codes),
      cmocka_unit_test(test_jpeg__dc_symbols),
      cmocka_unit_test(test_jpeg__quantisation),
      cmocka_unit_test(test_jpeg__frames),
      cmocka_unit_test(test_jpeg__components),
      cmocka_unit_test(test_jpeg__two_frames_or_pictures),
      cmocka_unit_test(test_jpeg__scans),
      cmocka_unit_test(test_jpeg__a_component_without_a_scan),
      cmocka_unit_test(test_jpeg__progression),
      cmocka_unit_test(test_jpeg__too_many_scans),
      cmocka_unit_test(test_jpeg__data_too_short),
      cmocka_unit_test(test_jpeg__restart_intervals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
