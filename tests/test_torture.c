/* SPDX-License-Identifier: MIT */
/* Decodes thousands of damaged, odd and hostile image files (with IMGREC_DATA
 * only): each gives an image or a sentence, within the memory that decode.c
 * states, and the good ones give the pixels that Pillow 9.4 gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

enum { COLUMNS = 7 }; /* of the manifest */

/* What Pillow reads, by its name for the format: how many of those we must
 * read at least, and of how many the pixels must be the same (those without
 * transparency and of 8 bits; a JPEG decoder is free in the last bit).  What
 * is missing: pictures that are cut off or damaged, which Pillow fills up, and
 * arithmetic coding. */
static struct tally {
  const char *format;
  int at_least, same_at_least;
  int files, read, same;
} tallies[] = {
    {"JPEG", 89, 0, 0, 0, 0},
    {"PNG", 434, 342, 0, 0, 0},
    {"BMP", 144, 90, 0, 0, 0},
    {"PPM", 21, 17, 0, 0, 0},
};

static imgrec_context *context(void) {
  imgrec_context_options o;
  imgrec_context *ctx;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  return ctx;
}

/* First 16 hex digits of the SHA-256 of the pixels as opaque RGBA. */
static void pixel_hash(const imgrec_tensor *image, char hex[65]) {
  const unsigned char *p = imgrec_tensor_const_data(image);
  int64_t c = imgrec_tensor_dim(image, 2);
  size_t n = imgrec_tensor_nbytes(image) / (size_t)c;
  struct sha256 s;
  imgrec__sha256_init(&s);
  for (size_t i = 0; i < n; i++, p += c) {
    unsigned char rgba[4] = {p[0], p[c / 2], p[c - 1], 255};
    imgrec__sha256_update(&s, rgba, 4);
  }
  imgrec__sha256_hex(&s, hex);
  hex[16] = '\0';
}

/* What decode.c says that it needs, with the image, its input and slack for
 * the context's own. */
static uint64_t memory_bound(size_t size, int h, int w) {
  uint64_t padded = (uint64_t)(h + 31) * (uint64_t)(w + 31);
  return 2 * (uint64_t)size + 35 * padded + (2u << 20);
}

static void preprocess(const imgrec_tensor *image) {
  imgrec_preprocess p;
  imgrec_tensor *x;
  imgrec_preprocess_init(&p, sizeof p);
  p.height = 20;
  p.width = 30;
  p.channels = 3;
  p.resize = IMGREC_RESIZE_PAD;
  assert_int_equal(imgrec_image_preprocess(&x, image, &p), 0);
  imgrec_tensor_destroy(x);
}

/* 1 when the file was read; `hex` has the hash of its pixels. */
static int decode_one(const struct blob *file, char hex[65]) {
  imgrec_context *ctx = context();
  imgrec_tensor *image = NULL;
  struct error e;
  uint64_t before = imgrec_context_bytes(ctx);
  int h = 0, w = 0, c = 0;
  int probed = imgrec__probe(&e, file->bytes, file->size, &h, &w, &c);
  int status = imgrec_image_decode(&image, ctx, file->bytes, file->size, 0);
  if (status == 0) {
    assert_int_equal(probed, 0);
    assert_int_equal(imgrec_tensor_dim(image, 0), h);
    assert_int_equal(imgrec_tensor_dim(image, 1), w);
    assert_int_equal(imgrec_tensor_dim(image, 2), c);
    pixel_hash(image, hex);
  } else {
    assert_null(image);
    assert_true(imgrec_last_error(ctx)[0] != '\0');
  }
  assert_true(imgrec_context_peak_bytes(ctx) - before <=
              memory_bound(file->size, h, w));
  if (image)
    preprocess(image);
  imgrec_tensor_destroy(image);
  assert_int_equal(imgrec_context_bytes(ctx), before);
  imgrec_context_destroy(ctx);
  return status == 0;
}

static struct tally *tally_of(const char *verdict) {
  char format[16] = "";
  if (sscanf(verdict, "ok %15s", format) == 1)
    for (size_t i = 0; i < sizeof tallies / sizeof tallies[0]; i++)
      if (strcmp(format, tallies[i].format) == 0)
        return &tallies[i];
  return NULL;
}

/* path, size, hash, repository, its path, verdict, hash of the pixels. */
static int split(char *line, char *column[COLUMNS]) {
  line[strcspn(line, "\n")] = '\0';
  for (int i = 0; i < COLUMNS; i++) {
    column[i] = line;
    line = strchr(line, '\t');
    if (!line)
      return i == COLUMNS - 1;
    *line++ = '\0';
  }
  return 1;
}

static void run_line(const char *folder, char *line) {
  char path[4096], hex[65], *column[COLUMNS];
  struct blob file;
  struct error e;
  imgrec_context *ctx = context();
  assert_true(split(line, column));
  snprintf(path, sizeof path, "%s/%s", folder, column[0]);
  assert_int_equal(imgrec__file_read(&file, &ctx->allocator, &e, path,
                                     IMGREC__IMAGE_FILE_MAX),
                   0);
  struct tally *t = tally_of(column[5]);
  int read = decode_one(&file, hex);
  if (t) {
    t->files++;
    t->read += read;
    t->same += read && strcmp(hex, column[6]) == 0;
  }
  imgrec__blob_free(&file, &ctx->allocator);
  imgrec_context_destroy(ctx);
}

static void test_torture__every_file(void **state) {
  (void)state;
  char folder[4000], path[4096], line[8192];
  const char *data = getenv("IMGREC_DATA");
  int files = 0;
  if (!data)
    skip();
  snprintf(folder, sizeof folder, "%s/torture", data);
  snprintf(path, sizeof path, "%s/MANIFEST.tsv", folder);
  FILE *f = fopen(path, "r");
  if (!f)
    skip();
  while (fgets(line, sizeof line, f)) {
    if (line[0] == '#')
      continue;
    run_line(folder, line);
    files++;
  }
  fclose(f);
  print_message("%d files\n", files);
  for (size_t i = 0; i < sizeof tallies / sizeof tallies[0]; i++) {
    const struct tally *t = &tallies[i];
    print_message("%s: of %d that Pillow reads %d read, %d the same\n",
                  t->format, t->files, t->read, t->same);
    assert_true(t->read >= t->at_least);
    assert_true(t->same >= t->same_at_least);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_torture__every_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
