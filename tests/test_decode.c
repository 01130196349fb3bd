/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/decode.c: files to pixels, the hook, memory, faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "failing_alloc.h"
#include "image/image.h"
#include "image_files.h"

static struct bytes file;
static struct failing failing;

static imgrec_context *context(imgrec_decode_fn decode) {
  imgrec_context_options o;
  imgrec_context *ctx;
  imgrec_context_options_init(&o, sizeof o);
  memset(&failing, 0, sizeof failing);
  o.threads = 1;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &failing;
  o.decode = decode;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  return ctx;
}

static imgrec_tensor *decode(imgrec_context *ctx, int channels) {
  imgrec_tensor *t = NULL;
  int status = imgrec_image_decode(&t, ctx, file.data, file.size, channels);
  if (status < 0)
    print_error("%s\n", imgrec_last_error(ctx));
  assert_int_equal(status, 0);
  return t;
}

/* The file decodes to h x w x c and these bytes. */
static void expect(int channels, int h, int w, int c, const void *bytes) {
  imgrec_context *ctx = context(NULL);
  imgrec_tensor *t = decode(ctx, channels);
  assert_int_equal(imgrec_tensor_dim(t, 0), h);
  assert_int_equal(imgrec_tensor_dim(t, 1), w);
  assert_int_equal(imgrec_tensor_dim(t, 2), c);
  assert_memory_equal(imgrec_tensor_const_data(t), bytes, (size_t)(h * w * c));
  imgrec_tensor_destroy(t);
  imgrec_context_destroy(ctx);
  assert_int_equal(failing.live_blocks, 0);
}

static void refused(int status, const char *words) {
  imgrec_context *ctx = context(NULL);
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_image_decode(&t, ctx, file.data, file.size, 0),
                   status);
  assert_null(t);
  assert_non_null(strstr(imgrec_last_error(ctx), words));
  imgrec_context_destroy(ctx);
  assert_int_equal(failing.live_blocks, 0);
}

/* ---- Formats ------------------------------------------------------------ */

static void test_decode__jpeg(void **state) {
  (void)state;
  unsigned char want[8 * 16], levels[2] = {200, 60};
  for (int i = 0; i < 8 * 16; i++)
    want[i] = levels[i % 16 / 8];
  jpeg_file(&file, 8, 16, 1, levels);
  expect(0, 8, 16, 1, want);
  expect(1, 8, 16, 1, want);
}

static void test_decode__jpeg_in_colour(void **state) {
  (void)state;
  static const unsigned char levels[3] = {81, 90, 240}; /* red */
  jpeg_file(&file, 8, 8, 3, levels);
  imgrec_context *ctx = context(NULL);
  imgrec_tensor *rgb = decode(ctx, 0), *grey = decode(ctx, 1);
  const unsigned char *p = imgrec_tensor_const_data(rgb);
  assert_in_range(p[0], 236, 240);
  assert_in_range(p[1], 12, 15);
  assert_in_range(p[2], 12, 15);
  p = imgrec_tensor_const_data(grey);
  assert_in_range(p[0], 79, 82);
  imgrec_tensor_destroy(rgb);
  imgrec_tensor_destroy(grey);
  imgrec_context_destroy(ctx);
}

static void test_decode__jpeg_with_restarts(void **state) {
  (void)state;
  unsigned char want[8 * 40], levels[5] = {10, 200, 60, 128, 255};
  for (int i = 0; i < 8 * 40; i++)
    want[i] = levels[i % 40 / 8];
  jpeg_begin(&file);
  jpeg_tables(&file);
  jpeg_marker(&file, 0xDD, "\0\x02", 2);
  jpeg_frame(&file, 0xC0, 8, 40, 1);
  jpeg_scan_header(&file, 1);
  jpeg_data(&file, levels, 5, 1, 2);
  put16(&file, 0xFFD9);
  expect(0, 8, 40, 1, want);
}

/* Adobe's CMYK is stored inverted: 255 is no ink. */
static void test_decode__jpeg_cmyk(void **state) {
  (void)state;
  static const unsigned char levels[4] = {255, 128, 0, 255};
  unsigned char want[8 * 8 * 3];
  for (int i = 0; i < 8 * 8 * 3; i++)
    want[i] = levels[i % 3];
  jpeg_file(&file, 8, 8, 4, levels);
  struct bytes plain = file;
  jpeg_begin(&file);
  jpeg_marker(&file, 0xEE, "Adobe\0\x64\0\0\0\0\0", 12);
  put(&file, plain.data + 2, plain.size - 2);
  expect(0, 8, 8, 3, want);
}

static void test_decode__png_grey(void **state) {
  (void)state;
  static const unsigned char rows8[] = {0, 1, 2, 3, 0, 4, 5, 6};
  static const unsigned char want8[] = {1, 2, 3, 4, 5, 6};
  static const unsigned char repeated[] = {1, 1, 1, 2, 2, 2, 3, 3, 3,
                                           4, 4, 4, 5, 5, 5, 6, 6, 6};
  png_file(&file, 2, 3, 8, 0, rows8, sizeof rows8);
  expect(0, 2, 3, 1, want8);
  expect(3, 2, 3, 3, repeated);
  static const unsigned char rows1[] = {0, 0xA0}, want1[] = {255, 0, 255};
  png_file(&file, 1, 3, 1, 0, rows1, 2);
  expect(0, 1, 3, 1, want1);
  static const unsigned char rows16[] = {0, 0x12, 0xFF, 0x34, 0};
  static const unsigned char want16[] = {0x12, 0x34};
  png_file(&file, 1, 2, 16, 0, rows16, sizeof rows16);
  expect(0, 1, 2, 1, want16);
}

static void test_decode__png_in_colour(void **state) {
  (void)state;
  static const unsigned char rgb[] = {0, 10, 20, 30}, luma[] = {18};
  png_file(&file, 1, 1, 8, 2, rgb, sizeof rgb);
  expect(0, 1, 1, 3, rgb + 1);
  expect(1, 1, 1, 1, luma);
  static const unsigned char wide[] = {0, 10, 255, 20, 0, 30, 9};
  png_file(&file, 1, 1, 16, 2, wide, sizeof wide);
  expect(0, 1, 1, 3, rgb + 1);
}

/* Dropped, not mixed with anything: also where it says invisible. */
static void test_decode__png_drops_transparency(void **state) {
  (void)state;
  static const unsigned char rgba[] = {0, 10, 20, 30, 0}, la[] = {0, 77, 0};
  static const unsigned char wide[] = {0, 10, 1, 20, 2, 30, 3, 0, 0};
  png_file(&file, 1, 1, 8, 6, rgba, sizeof rgba);
  expect(0, 1, 1, 3, rgba + 1);
  png_file(&file, 1, 1, 16, 6, wide, sizeof wide);
  expect(0, 1, 1, 3, rgba + 1);
  png_file(&file, 1, 1, 8, 4, la, sizeof la);
  expect(0, 1, 1, 1, la + 1);
  file.size = 0;
  png_header(&file, 1, 1, 8, 2);
  png_chunk(&file, "tRNS", "\0\x0A\0\x14\0\x1E", 6);
  png_data(&file, rgba, 4);
  png_chunk(&file, "IEND", "", 0);
  expect(0, 1, 1, 3, rgba + 1);
}

/* An index without a colour is black, never what memory held. */
static void test_decode__png_index_behind_the_palette(void **state) {
  (void)state;
  static const unsigned char row[] = {0, 0, 1, 255}, colour[] = {9, 8, 7};
  static const unsigned char want[] = {9, 8, 7, 0, 0, 0, 0, 0, 0};
  file.size = 0;
  png_header(&file, 1, 3, 8, 3);
  png_chunk(&file, "PLTE", colour, 3);
  png_data(&file, row, sizeof row);
  png_chunk(&file, "IEND", "", 0);
  expect(0, 1, 3, 3, want);
}

static void test_decode__bmp_and_pnm(void **state) {
  (void)state;
  static const unsigned char want[] = {1, 2, 3};
  bmp_header(&file, 1, 1, 24, 0, 0);
  put(&file, "\3\2\1\0", 4);
  expect(0, 1, 1, 3, want);
  file.size = 0;
  put(&file, "P6 1 1 255 \1\2\3", 14);
  expect(0, 1, 1, 3, want);
  file.size = 0;
  put(&file, "P5 3 1 255 \1\2\3", 14);
  expect(0, 1, 3, 1, want);
}

/* Pixel i of the 2 x 3 picture shown is pixel order[i] of the stored one. */
static void test_decode__orientations(void **state) {
  (void)state;
  static const unsigned char stored[] = {0, 1, 2, 3, 0, 4, 5, 6};
  static const struct {
    int h, w;
    unsigned char shown[6];
  } want[9] = {
      {0, 0, {0}},
      {2, 3, {1, 2, 3, 4, 5, 6}},
      {2, 3, {3, 2, 1, 6, 5, 4}},
      {2, 3, {6, 5, 4, 3, 2, 1}},
      {2, 3, {4, 5, 6, 1, 2, 3}},
      {3, 2, {1, 4, 2, 5, 3, 6}},
      {3, 2, {4, 1, 5, 2, 6, 3}},
      {3, 2, {6, 3, 5, 2, 4, 1}},
      {3, 2, {3, 6, 2, 5, 1, 4}},
  };
  for (unsigned v = 1; v <= 8; v++) {
    struct bytes exif = {.size = 0};
    put_tiff(&exif, v & 1, v);
    file.size = 0;
    png_header(&file, 2, 3, 8, 0);
    png_chunk(&file, "eXIf", exif.data, exif.size);
    png_data(&file, stored, sizeof stored);
    png_chunk(&file, "IEND", "", 0);
    expect(0, want[v].h, want[v].w, 1, want[v].shown);
  }
}

/* ---- Damage that only decoding shows ------------------------------------ */

static void test_decode__png_with_wrong_data(void **state) {
  (void)state;
  static const unsigned char filter[] = {9, 1, 2, 3};
  png_file(&file, 1, 3, 8, 0, filter, sizeof filter);
  refused(IMGREC_ERR_FORMAT, "compressed data are not right");
  png_file(&file, 4, 3, 8, 0, filter, sizeof filter);
  refused(IMGREC_ERR_FORMAT, "compressed data are not right");
  file.size = 0;
  png_header(&file, 1, 3, 8, 0);
  png_chunk(&file, "IDAT", "\x78\x01", 2);
  png_chunk(&file, "IEND", "", 0);
  refused(IMGREC_ERR_FORMAT, "compressed data are not right");
}

/* 40 KB of zeros in a fixed Huffman code, each byte 1032-fold or so: a pixel
 * of a picture must not cost 40 MB. */
static void test_decode__png_that_unpacks_to_too_much(void **state) {
  (void)state;
  struct bytes z = {.size = 0};
  /* Literal 0, then lengths of 258 at distance 1, 13 bits each. */
  size_t n = 0;
  static const char head[] = "110"
                             "00110000";
  static const char run[] = "1100010100000";
  static unsigned char packed[70000];
  memset(packed, 0, sizeof packed);
  for (size_t i = 0; head[i]; i++, n++)
    packed[n / 8] |= (unsigned char)((head[i] - '0') << n % 8);
  while (n / 8 + 3 < sizeof packed)
    for (size_t i = 0; run[i]; i++, n++)
      packed[n / 8] |= (unsigned char)((run[i] - '0') << n % 8);
  put(&z, "\x78\x01", 2);
  put(&z, packed, sizeof packed);
  file.size = 0;
  png_header(&file, 64, 64, 8, 6);
  png_chunk(&file, "IDAT", z.data, z.size);
  png_chunk(&file, "IEND", "", 0);
  imgrec_context *ctx = context(NULL);
  imgrec_tensor *t;
  assert_int_equal(imgrec_image_decode(&t, ctx, file.data, file.size, 0),
                   IMGREC_ERR_FORMAT);
  assert_true(imgrec_context_peak_bytes(ctx) < 4u << 20);
  imgrec_context_destroy(ctx);
}

/* AC codes 0 with 7 bits of value, taken as one from a table of 9 bits, and 10
 * with 14.  After eight DC codes of one bit they end on whole bytes, and data
 * that end in the longer one are used up when the marker is met: the bit
 * buffer of stb_image 2.27 then comes to a shift by 32. */
static void test_decode__jpeg_whose_bits_run_out(void **state) {
  (void)state;
  static const unsigned char dc[18] = {0x00, 1};
  static const unsigned char ac[19] = {0x10, 1, 1, [17] = 7, [18] = 14};
  static const unsigned char zeros[600];
  jpeg_begin(&file);
  jpeg_tables(&file);
  jpeg_marker(&file, 0xC4, dc, sizeof dc);
  jpeg_marker(&file, 0xC4, ac, sizeof ac);
  jpeg_frame(&file, 0xC0, 8, 512, 1);
  jpeg_scan_header(&file, 1);
  size_t begin = file.size;
  for (size_t n = 440; n < 520; n++) {
    imgrec_context *ctx = context(NULL);
    imgrec_tensor *t = NULL;
    file.size = begin;
    put(&file, zeros, n);
    put16(&file, 0x8000);
    put16(&file, 0xFFD9);
    int status = imgrec_image_decode(&t, ctx, file.data, file.size, 0);
    assert_true(status == 0 || status == IMGREC_ERR_FORMAT);
    imgrec_tensor_destroy(t);
    imgrec_context_destroy(ctx);
  }
}

/* Differences of DC that add up, times the largest quantiser, pass 2^31. */
static void test_decode__jpeg_of_huge_coefficients(void **state) {
  (void)state;
  unsigned char quant[129], dc[18] = {0x00, 1}, ac[18] = {0x10, 1};
  memset(quant, 0xFF, sizeof quant);
  quant[0] = 0x10;
  dc[17] = 15;
  jpeg_begin(&file);
  jpeg_marker(&file, 0xDB, quant, sizeof quant);
  jpeg_marker(&file, 0xC4, dc, sizeof dc);
  jpeg_marker(&file, 0xC4, ac, sizeof ac);
  jpeg_frame(&file, 0xC0, 8, 1024, 1);
  jpeg_scan_header(&file, 1);
  struct bits bits = {&file, 0, 0};
  for (int i = 0; i < 128; i++)
    put_bits(&bits, 0x7FFF << 1, 17);
  flush_bits(&bits);
  put16(&file, 0xFFD9);
  imgrec_context *ctx = context(NULL);
  imgrec_tensor_destroy(decode(ctx, 0));
  imgrec_context_destroy(ctx);
}

/* ---- Arguments, memory, faults ------------------------------------------ */

static void test_decode__arguments(void **state) {
  (void)state;
  imgrec_context *ctx = context(NULL);
  imgrec_tensor *t = NULL;
  file.size = 0;
  put(&file, "P5 1 1 255 a", 12);
  assert_int_equal(imgrec_image_decode(&t, NULL, file.data, 12, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_decode(NULL, ctx, file.data, 12, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_decode(&t, ctx, NULL, 12, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_decode(&t, ctx, file.data, 12, 2),
                   IMGREC_ERR_ARGUMENT);
  assert_non_null(strstr(imgrec_last_error(ctx), "not 2"));
  assert_int_equal(imgrec_image_decode(&t, ctx, file.data, 0, 0),
                   IMGREC_ERR_UNSUPPORTED);
  assert_int_equal(imgrec_image_load(&t, ctx, NULL, 0), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_load(&t, ctx, "build/tmp/none.png", 0),
                   IMGREC_ERR_NOT_FOUND);
  assert_null(t);
  imgrec_context_destroy(ctx);
}

static void test_decode__load(void **state) {
  (void)state;
  static const char path[] = "build/tmp/test_decode.pgm";
  mkdir("build", 0777);
  mkdir("build/tmp", 0777);
  for (int good = 0; good < 2; good++) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(good ? "P5 1 1 255 a" : "P5 1 1 255 ", f);
    assert_int_equal(fclose(f), 0);
    imgrec_context *ctx = context(NULL);
    imgrec_tensor *t = NULL;
    int status = imgrec_image_load(&t, ctx, path, 0);
    assert_int_equal(status, good ? 0 : IMGREC_ERR_FORMAT);
    if (!good)
      assert_int_equal(strncmp(imgrec_last_error(ctx), path, sizeof path - 1),
                       0);
    imgrec_tensor_destroy(t);
    imgrec_context_destroy(ctx);
    assert_int_equal(failing.live_blocks, 0);
  }
  remove(path);
}

static void build_each(int kind) {
  static const unsigned char rows[8 * 25], levels[3] = {1, 2, 3};
  if (kind == 0)
    jpeg_file(&file, 8, 8, 3, levels);
  else if (kind == 1)
    png_file(&file, 8, 8, 8, 2, rows, sizeof rows);
  else if (kind == 2) {
    bmp_header(&file, 1, 1, 24, 0, 0);
    put(&file, "\3\2\1\0", 4);
  } else {
    file.size = 0;
    put(&file, "P6 1 1 255 \1\2\3", 14);
  }
}

/* Each allocation of each format fails, once and from then on. */
static void test_decode__allocations_fail(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++)
    for (int from_then_on = 0; from_then_on < 2; from_then_on++) {
      imgrec_context *ctx = context(NULL);
      long before = failing.live_blocks;
      int status = -1;
      build_each(kind);
      for (long n = 1; status < 0; n++) {
        imgrec_tensor *t = NULL;
        failing.fail_at = failing.calls + n;
        failing.from_then_on = from_then_on;
        status = imgrec_image_decode(&t, ctx, file.data, file.size, 0);
        failing.fail_at = 0;
        assert_true(status == 0 || status == IMGREC_ERR_MEMORY);
        assert_true(n < 100);
        imgrec_tensor_destroy(t);
        assert_int_equal(failing.live_blocks, before);
      }
      imgrec_context_destroy(ctx);
    }
}

static void test_decode__cap_of_the_context(void **state) {
  (void)state;
  imgrec_context_options o;
  imgrec_context *ctx;
  imgrec_tensor *t;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.max_bytes = 4u << 20;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  static unsigned char packed[40000];
  file.size = 0;
  png_header(&file, 4096, 4096, 8, 0);
  png_chunk(&file, "IDAT", packed, sizeof packed);
  png_chunk(&file, "IEND", "", 0);
  assert_int_equal(imgrec_image_decode(&t, ctx, file.data, file.size, 0),
                   IMGREC_ERR_LIMIT);
  imgrec_context_destroy(ctx);
}

/* ---- Threads ------------------------------------------------------------ */

enum { THREADS = 4, ROUNDS = 20 };

/* The core may run on any thread: all share an allocator and nothing else. */
static void *decode_often(void *arg) {
  struct allocator *a = arg;
  size_t wrong = 0;
  for (int i = 0; i < ROUNDS; i++) {
    struct pixels p;
    struct error e;
    if (imgrec__decode(&p, a, &e, file.data, file.size, 3) < 0)
      return a;
    for (size_t k = 0; k < 8 * 16 * 3; k++)
      wrong += p.data[k] != (k % 48 < 24 ? 200 : 60);
    imgrec__free(a, p.data);
  }
  return wrong ? a : NULL;
}

static void test_decode__on_many_threads(void **state) {
  (void)state;
  static const unsigned char levels[2] = {200, 60};
  struct allocator a;
  pthread_t threads[THREADS];
  jpeg_file(&file, 8, 16, 1, levels);
  assert_int_equal(imgrec__allocator_init(&a, NULL, NULL, NULL, 0), 0);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, decode_often, &a), 0);
  for (int i = 0; i < THREADS; i++) {
    void *result;
    assert_int_equal(pthread_join(threads[i], &result), 0);
    assert_null(result);
  }
  assert_int_equal(a.used, 0);
  imgrec__allocator_destroy(&a);
}

/* ---- The hook ----------------------------------------------------------- */

static int hooked_channels, hooked_dtype, hooked_status;

static int hook(void *user, imgrec_tensor **out, imgrec_context *ctx,
                const void *bytes, size_t size, int channels) {
  (void)user;
  assert_ptr_equal(bytes, file.data);
  assert_int_equal(size, file.size);
  int64_t shape[3] = {2, 2, hooked_channels ? hooked_channels : channels};
  if (hooked_status < 0)
    return hooked_status;
  return imgrec_tensor_create(out, ctx, hooked_dtype, 3, shape);
}

static int none_hook(void *user, imgrec_tensor **out, imgrec_context *ctx,
                     const void *bytes, size_t size, int channels) {
  (void)user, (void)out, (void)ctx, (void)bytes, (void)size, (void)channels;
  return 0;
}

static void hook_gives(int channels, int dtype, int status, int expected) {
  imgrec_context *ctx = context(hook);
  imgrec_tensor *t = NULL;
  hooked_channels = channels;
  hooked_dtype = dtype;
  hooked_status = status;
  assert_int_equal(imgrec_image_decode(&t, ctx, file.data, file.size, 3),
                   expected);
  assert_int_equal(t != NULL, expected == 0);
  assert_true(expected == 0 || imgrec_last_error(ctx)[0] != '\0');
  imgrec_tensor_destroy(t);
  imgrec_context_destroy(ctx);
  assert_int_equal(failing.live_blocks, 0);
}

static void test_decode__hook(void **state) {
  (void)state;
  file.size = 0;
  put(&file, "anything", 8);
  hook_gives(0, IMGREC_U8, 0, 0);
  hook_gives(1, IMGREC_U8, 0, IMGREC_ERR_ARGUMENT);
  hook_gives(2, IMGREC_U8, 0, IMGREC_ERR_SHAPE);
  hook_gives(0, IMGREC_F32, 0, IMGREC_ERR_SHAPE);
  hook_gives(0, IMGREC_U8, IMGREC_ERR_UNSUPPORTED, IMGREC_ERR_FORMAT);
  imgrec_context *ctx = context(none_hook);
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_image_decode(&t, ctx, file.data, file.size, 3),
                   IMGREC_ERR_ARGUMENT);
  assert_null(t);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_decode__jpeg),
      cmocka_unit_test(test_decode__jpeg_in_colour),
      cmocka_unit_test(test_decode__jpeg_with_restarts),
      cmocka_unit_test(test_decode__jpeg_cmyk),
      cmocka_unit_test(test_decode__png_grey),
      cmocka_unit_test(test_decode__png_in_colour),
      cmocka_unit_test(test_decode__png_drops_transparency),
      cmocka_unit_test(test_decode__png_index_behind_the_palette),
      cmocka_unit_test(test_decode__bmp_and_pnm),
      cmocka_unit_test(test_decode__orientations),
      cmocka_unit_test(test_decode__png_with_wrong_data),
      cmocka_unit_test(test_decode__png_that_unpacks_to_too_much),
      cmocka_unit_test(test_decode__jpeg_whose_bits_run_out),
      cmocka_unit_test(test_decode__jpeg_of_huge_coefficients),
      cmocka_unit_test(test_decode__arguments),
      cmocka_unit_test(test_decode__load),
      cmocka_unit_test(test_decode__allocations_fail),
      cmocka_unit_test(test_decode__cap_of_the_context),
      cmocka_unit_test(test_decode__on_many_threads),
      cmocka_unit_test(test_decode__hook),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
