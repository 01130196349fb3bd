/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/png.c: what the walk over chunks refuses and keeps. */
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
static struct picture picture;
static const unsigned char rows[8 * 9];

static int walk(void) {
  picture = (struct picture){PICTURE_PNG, 0, 0, 0, 1};
  return imgrec__png_clean(&picture, clean, &clean_size, &error, file.data,
                           file.size);
}

static void refused(int status, const char *words) {
  error.text[0] = '\0';
  assert_int_equal(walk(), status);
  assert_non_null(strstr(error.text, words));
}

static void build(void) { png_file(&file, 8, 8, 8, 0, rows, sizeof rows); }

static void test_png__cut_off_anywhere(void **state) {
  (void)state;
  build();
  size_t whole = file.size;
  for (file.size = 8; file.size < whole; file.size++)
    refused(IMGREC_ERR_FORMAT, "the file ends before the picture does");
}

/* A changed byte of a part that matters is caught by its CRC, if not before. */
static void test_png__every_byte_changed(void **state) {
  (void)state;
  build();
  for (size_t i = 8; i < file.size; i++) {
    file.data[i] ^= 0x41;
    assert_true(walk() < 0);
    file.data[i] ^= 0x41;
  }
}

static void test_png__depths_and_colours(void **state) {
  (void)state;
  static const unsigned good[5] = {1, 2, 4, 8, 16};
  for (unsigned colour = 0; colour < 9; colour++)
    for (unsigned depth = 0; depth < 20; depth++) {
      int known = 0;
      for (int i = 0; i < 5; i++)
        known |= depth == good[i];
      int fits = colour == 0   ? known
                 : colour == 3 ? known && depth < 16
                 : colour == 2 || colour == 4 || colour == 6
                     ? known && depth >= 8
                     : 0;
      file.size = 0;
      png_header(&file, 1, 1, depth, colour);
      struct picture p = {PICTURE_PNG, 0, 0, 0, 1};
      int status =
          imgrec__png_clean(&p, NULL, NULL, &error, file.data, file.size);
      assert_int_equal(status == 0, fits);
      if (fits)
        assert_int_equal(p.channels, colour == 0 || colour == 4 ? 1 : 3);
    }
}

static void test_png__sizes(void **state) {
  (void)state;
  static const uint32_t sizes[][2] = {
      {0, 1}, {1, 0}, {0x80000000u, 1}, {1, 16385}, {16384, 16384}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    png_file(&file, sizes[i][0], sizes[i][1], 8, 0, rows, sizeof rows);
    assert_int_equal(walk(), i < 2 ? IMGREC_ERR_FORMAT : IMGREC_ERR_LIMIT);
  }
}

static void test_png__palette_is_filled_up(void **state) {
  (void)state;
  static const unsigned char red[3] = {255, 0, 0};
  file.size = 0;
  png_header(&file, 8, 8, 8, 3);
  png_chunk(&file, "PLTE", red, 3);
  png_data(&file, rows, sizeof rows);
  png_chunk(&file, "IEND", "", 0);
  assert_int_equal(walk(), 0);
  static const unsigned char plte[] = {0, 0, 3, 0, 'P', 'L', 'T', 'E'};
  assert_memory_equal(clean + 33, plte, 8);
  assert_memory_equal(clean + 41, red, 3);
  for (size_t i = 3; i < 768; i++)
    assert_int_equal(clean[41 + i], 0);
}

static void test_png__palettes_that_are_none(void **state) {
  (void)state;
  static const unsigned char colours[771];
  static const size_t sizes[] = {0, 4, 771};
  for (size_t i = 0; i < 3; i++) {
    file.size = 0;
    png_header(&file, 8, 8, 8, 3);
    png_chunk(&file, "PLTE", colours, sizes[i]);
    refused(IMGREC_ERR_FORMAT, "its palette is not one");
  }
  png_file(&file, 8, 8, 8, 3, rows, sizeof rows);
  refused(IMGREC_ERR_FORMAT, "its palette is missing");
  file.size = 0;
  png_header(&file, 8, 8, 8, 3);
  png_chunk(&file, "PLTE", colours, 3);
  png_chunk(&file, "PLTE", colours, 3);
  refused(IMGREC_ERR_FORMAT, "its palette is not one");
}

static void test_png__order_of_chunks(void **state) {
  (void)state;
  static const unsigned char head[8] = {137, 'P', 'N', 'G', 13, 10, 26, 10};
  file.size = 0;
  put(&file, head, 8);
  png_data(&file, rows, sizeof rows);
  refused(IMGREC_ERR_FORMAT, "header is not the first chunk");
  file.size = 0;
  png_header(&file, 8, 8, 8, 0);
  png_chunk(&file, "IEND", "", 0);
  refused(IMGREC_ERR_FORMAT, "it has no pixels");
  file.size = 0;
  png_header(&file, 8, 8, 8, 0);
  png_chunk(&file, "IDAT", "", 0);
  png_chunk(&file, "IEND", "", 0);
  refused(IMGREC_ERR_FORMAT, "it has no pixels");
  file.size = 0;
  png_header(&file, 8, 8, 8, 0);
  png_chunk(&file, "IHDR", file.data + 16, 13);
  refused(IMGREC_ERR_FORMAT, "its header is not one");
}

static void test_png__unknown_chunks(void **state) {
  (void)state;
  file.size = 0;
  png_header(&file, 8, 8, 8, 0);
  png_chunk(&file, "teXt", "words", 5);
  file.data[file.size - 1] ^= 1; /* nobody reads it, so its CRC may be wrong */
  png_data(&file, rows, sizeof rows);
  png_chunk(&file, "IEND", "", 0);
  assert_int_equal(walk(), 0);
  assert_int_equal(clean_size, file.size - 17);
  file.size = 0;
  png_header(&file, 8, 8, 8, 0);
  png_chunk(&file, "CgBI", "", 0);
  refused(IMGREC_ERR_UNSUPPORTED, "extension that changes its pixels");
}

static void test_png__pixels_in_many_chunks(void **state) {
  (void)state;
  unsigned char once[256];
  build();
  assert_int_equal(walk(), 0);
  memcpy(once, clean, clean_size);
  size_t size = clean_size, n = file.size - 33 - 12 - 12;
  unsigned char data[256];
  memcpy(data, file.data + 33 + 8, n);
  file.size = 33;
  for (size_t i = 0; i < n; i += 7) {
    png_chunk(&file, "IDAT", "", 0);
    png_chunk(&file, "IDAT", data + i, n - i < 7 ? n - i : 7);
  }
  png_chunk(&file, "IEND", "", 0);
  assert_int_equal(walk(), 0);
  assert_int_equal(clean_size, size);
  assert_memory_equal(clean, once, size);
}

static void test_png__data_that_cannot_be(void **state) {
  (void)state;
  static unsigned char much[100000];
  png_file(&file, 4000, 4000, 16, 6, rows, sizeof rows);
  refused(IMGREC_ERR_FORMAT, "too short for its size");
  file.size = 0;
  png_header(&file, 8, 8, 8, 0);
  png_chunk(&file, "IDAT", much, sizeof much);
  png_chunk(&file, "IEND", "", 0);
  refused(IMGREC_ERR_FORMAT, "too long for its size");
}

static void test_png__orientation_before_the_pixels(void **state) {
  (void)state;
  struct bytes exif = {.size = 0};
  put_tiff(&exif, 0, 8);
  for (int after = 0; after < 2; after++) {
    file.size = 0;
    png_header(&file, 8, 8, 8, 0);
    if (!after)
      png_chunk(&file, "eXIf", exif.data, exif.size);
    png_data(&file, rows, sizeof rows);
    if (after)
      png_chunk(&file, "eXIf", exif.data, exif.size);
    png_chunk(&file, "IEND", "", 0);
    assert_int_equal(walk(), 0);
    assert_int_equal(picture.orientation, after ? 1 : 8);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_png__cut_off_anywhere),
      cmocka_unit_test(test_png__every_byte_changed),
      cmocka_unit_test(test_png__depths_and_colours),
      cmocka_unit_test(test_png__sizes),
      cmocka_unit_test(test_png__palette_is_filled_up),
      cmocka_unit_test(test_png__palettes_that_are_none),
      cmocka_unit_test(test_png__order_of_chunks),
      cmocka_unit_test(test_png__unknown_chunks),
      cmocka_unit_test(test_png__pixels_in_many_chunks),
      cmocka_unit_test(test_png__data_that_cannot_be),
      cmocka_unit_test(test_png__orientation_before_the_pixels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
