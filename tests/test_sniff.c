/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/sniff.c: kinds of file, sizes, EXIF orientation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "image/image.h"
#include "image_files.h"

static struct bytes file;
static struct error error;

static int probe(int *h, int *w, int *c) {
  return imgrec__probe(&error, file.data, file.size, h, w, c);
}

static void test_sniff__orientation_of_both_orders(void **state) {
  (void)state;
  for (int big = 0; big < 2; big++)
    for (unsigned v = 1; v <= 8; v++) {
      file.size = 0;
      put_tiff(&file, big, v);
      assert_int_equal(imgrec__exif_orientation(file.data, file.size), v);
    }
}

static void test_sniff__orientation_that_is_none(void **state) {
  (void)state;
  for (unsigned v = 0; v <= 65535; v += v == 0 ? 9 : 1021) {
    file.size = 0;
    put_tiff(&file, 0, v);
    assert_int_equal(imgrec__exif_orientation(file.data, file.size), 1);
  }
  assert_int_equal(imgrec__exif_orientation(file.data, 0), 1);
}

/* Each number of the structure changed: bounded, and 1 but for the value. */
static void test_sniff__orientation_damaged(void **state) {
  (void)state;
  for (size_t i = 0; i < 22; i++) {
    if (i == 18 || i == 19)
      continue; /* the value itself */
    file.size = 0;
    put_tiff(&file, 0, 6);
    file.data[i] ^= 0xFF;
    int v = imgrec__exif_orientation(file.data, file.size);
    assert_true(v == 1 || (v == 6 && (i >= 14 || i == 8 || i == 9)));
  }
}

static void test_sniff__orientation_cut_off(void **state) {
  (void)state;
  file.size = 0;
  put_tiff(&file, 1, 6);
  for (size_t n = 0; n < 20; n++)
    assert_int_equal(imgrec__exif_orientation(file.data, n), 1);
}

static void test_sniff__probes_each_format(void **state) {
  (void)state;
  unsigned char rows[12] = {0}, levels[2] = {128, 128};
  int h, w, c;
  jpeg_file(&file, 5, 12, 1, levels);
  assert_int_equal(probe(&h, &w, &c), 0);
  assert_true(h == 5 && w == 12 && c == 1);
  png_file(&file, 2, 1, 8, 2, rows, 8);
  assert_int_equal(probe(&h, &w, &c), 0);
  assert_true(h == 2 && w == 1 && c == 3);
  bmp_header(&file, -3, 2, 24, 0, 0);
  assert_int_equal(probe(&h, &w, &c), 0);
  assert_true(h == 3 && w == 2 && c == 3);
  file.size = 0;
  put(&file, "P5 7 4 255\n", 11);
  assert_int_equal(probe(&h, &w, &c), 0);
  assert_true(h == 4 && w == 7 && c == 1);
}

static void test_sniff__probe_turns_the_size(void **state) {
  (void)state;
  struct bytes exif = {.size = 0};
  put(&exif, "Exif\0\0", 6);
  put_tiff(&exif, 1, 6);
  jpeg_begin(&file);
  jpeg_marker(&file, 0xE1, exif.data, exif.size);
  jpeg_tables(&file);
  jpeg_frame(&file, 0xC0, 5, 12, 1);
  int h, w, c;
  assert_int_equal(probe(&h, &w, &c), 0);
  assert_true(h == 12 && w == 5);
  file.size = 0;
  png_header(&file, 5, 12, 8, 0);
  png_chunk(&file, "eXIf", exif.data + 6, exif.size - 6);
  put(&file, "\0\0\xFF\xFFiCCP", 8); /* the head ends inside of a profile */
  assert_int_equal(probe(&h, &w, &c), 0);
  assert_true(h == 12 && w == 5);
}

static void test_sniff__unknown_kind(void **state) {
  (void)state;
  static const char *const heads[] = {
      "", "P", "P7", "RIFF\1\1\1\1WAVE", "\xFF\xD8\0", "\x89PNG\r\n\x1a"};
  int h = -1, w, c;
  for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
    file.size = 0;
    put(&file, heads[i], strlen(heads[i]));
    assert_int_equal(probe(&h, &w, &c), IMGREC_ERR_UNSUPPORTED);
    assert_string_equal(error.text, "not a JPEG, PNG, BMP or PNM image");
  }
  assert_int_equal(h, -1);
}

static void test_sniff__other_pictures_are_named(void **state) {
  (void)state;
  static const struct {
    const char *head, *name;
    size_t n;
  } cases[] = {{"GIF89a", "GIF", 6},
               {"RIFF\1\0\0\0WEBPVP8 ", "WebP", 16},
               {"II*\0\10\0\0\0", "TIFF", 8},
               {"MM\0*\0\0\0\10", "TIFF", 8},
               {"\0\0\0 ftypavif", "AVIF", 12},
               {"\0\0\0 ftypheic", "HEIF", 12},
               {"\0\0\0 ftypmif1", "HEIF", 12},
               {"\0\0\0\fJXL \r\n", "JPEG XL", 10},
               {"\0\0\0\fjP  \r\n", "JPEG 2000", 10}};
  int h, w, c;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char sentence[100];
    snprintf(sentence, sizeof sentence,
             "this is a %s image; only JPEG, PNG, BMP and PNM are read",
             cases[i].name);
    file.size = 0;
    put(&file, cases[i].head, cases[i].n);
    assert_int_equal(probe(&h, &w, &c), IMGREC_ERR_UNSUPPORTED);
    assert_string_equal(error.text, sentence);
    file.size = 1; /* too short to say */
    assert_int_equal(probe(&h, &w, &c), IMGREC_ERR_UNSUPPORTED);
    assert_string_equal(error.text, "not a JPEG, PNG, BMP or PNM image");
  }
}

static void test_sniff__limits_of_size(void **state) {
  (void)state;
  struct error *e = &error;
  assert_int_equal(imgrec__check_size(e, "x", 16384, 4096), 0);
  assert_int_equal(imgrec__check_size(e, "x", 16384, 4097), IMGREC_ERR_LIMIT);
  assert_int_equal(imgrec__check_size(e, "x", 1, 16385), IMGREC_ERR_LIMIT);
  assert_int_equal(imgrec__check_size(e, "x", INT64_MAX, INT64_MAX),
                   IMGREC_ERR_LIMIT);
  assert_int_equal(imgrec__check_size(e, "x", 0, 1), IMGREC_ERR_FORMAT);
  assert_int_equal(imgrec__check_size(e, "x", 1, -1), IMGREC_ERR_FORMAT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sniff__orientation_of_both_orders),
      cmocka_unit_test(test_sniff__orientation_that_is_none),
      cmocka_unit_test(test_sniff__orientation_damaged),
      cmocka_unit_test(test_sniff__orientation_cut_off),
      cmocka_unit_test(test_sniff__probes_each_format),
      cmocka_unit_test(test_sniff__probe_turns_the_size),
      cmocka_unit_test(test_sniff__unknown_kind),
      cmocka_unit_test(test_sniff__other_pictures_are_named),
      cmocka_unit_test(test_sniff__limits_of_size),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
