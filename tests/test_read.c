/* SPDX-License-Identifier: MIT */
/* Tests of lib/read.c: a host whose files are in an archive of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "nets.h"

enum { FILES = 16, SIDE = 8 };

/* Names are such as no file system has. */
struct archive {
  struct entry {
    char name[100];
    unsigned char *bytes;
    int64_t size;
  } entries[FILES];
  int count, reads;
  int wrong_thread, fails_from; /* a read with this number */
  int64_t cut;                  /* bytes that a read gives too few */
  pthread_t thread;
};

static int64_t read_entry(void *user, const char *path, void *buffer,
                          size_t size) {
  struct archive *a = user;
  a->wrong_thread |= !pthread_equal(a->thread, pthread_self());
  if (++a->reads == a->fails_from)
    return IMGREC_ERR_IO;
  for (int i = 0; i < a->count; i++) {
    const struct entry *e = &a->entries[i];
    if (strcmp(e->name, path) != 0)
      continue;
    if (buffer == NULL)
      return e->size;
    assert_true((int64_t)size <= e->size);
    memcpy(buffer, e->bytes, size);
    return (int64_t)size - a->cut;
  }
  return IMGREC_ERR_NOT_FOUND;
}

static void add(struct archive *a, const char *name, const void *bytes,
                int64_t size) {
  struct entry *e = &a->entries[a->count++];
  assert_true(a->count <= FILES);
  snprintf(e->name, sizeof e->name, "%s", name);
  e->bytes = malloc((size_t)size + 1);
  memcpy(e->bytes, bytes, (size_t)size);
  e->size = size;
}

static void free_archive(struct archive *a) {
  for (int i = 0; i < a->count; i++)
    free(a->entries[i].bytes);
}

static imgrec_context *archive_context(struct archive *a) {
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  *a = (struct archive){.thread = pthread_self()};
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 3;
  o.read = read_entry;
  o.read_user = a;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  return ctx;
}

/* A file of the system's becomes one of the archive. */
static void add_file(struct archive *a, const char *name, const char *path) {
  static unsigned char bytes[1 << 20];
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  size_t n = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  add(a, name, bytes, (int64_t)n);
}

#define NET "input 8 8 1\nflatten\ndense 2\nsoftmax\n"

static void test_read__models(void **state) {
  (void)state;
  struct archive a;
  imgrec_context *ctx = archive_context(&a);
  imgrec_model *m = new_model(ctx, NET, 4, 1), *loaded = NULL;
  imgrec_trainer *t = NULL;
  assert_ok(ctx, imgrec_trainer_create(&t, m, NULL));
  assert_ok(ctx, imgrec_model_save(m, "build/tmp/read.imgrec"));
  add_file(&a, "pack:/model", "build/tmp/read.imgrec");
  assert_ok(ctx, imgrec_trainer_save(t, "build/tmp/read.imgrec"));
  add_file(&a, "pack:/checkpoint", "build/tmp/read.imgrec");
  assert_ok(ctx, imgrec_model_load(&loaded, ctx, "pack:/model", NULL));
  assert_memory_equal(m->weights, loaded->weights,
                      m->weight_floats * sizeof(float));
  assert_ok(ctx, imgrec_model_load_weights(m, "pack:/model"));
  assert_ok(ctx, imgrec_model_transfer_weights(m, "pack:/model"));
  assert_ok(ctx, imgrec_trainer_load(t, "pack:/checkpoint"));
  imgrec_model_destroy(loaded);
  loaded = NULL;
  assert_ok(ctx, imgrec_model_adapt(&loaded, ctx, "pack:/model", 3, NULL));
  imgrec_model_destroy(loaded);
  loaded = NULL;
  /* which is on the disk, but not in the archive */
  assert_fails(ctx,
               imgrec_model_load(&loaded, ctx, "build/tmp/read.imgrec", NULL),
               IMGREC_ERR_NOT_FOUND,
               "cannot read 'build/tmp/read.imgrec': the read callback says "
               "IMGREC_ERR_NOT_FOUND");
  assert_null(loaded);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
  free_archive(&a);
}

static void picture(unsigned char bytes[11 + SIDE * SIDE], int number) {
  memcpy(bytes, "P5 8 8 255\n", 11);
  for (int i = 0; i < SIDE * SIDE; i++)
    bytes[11 + i] = (unsigned char)(number % 2 * 100 + i + number);
}

static void test_read__images(void **state) {
  (void)state;
  struct archive a;
  unsigned char bytes[11 + SIDE * SIDE];
  imgrec_context *ctx = archive_context(&a);
  imgrec_tensor *image = NULL;
  picture(bytes, 1);
  add(&a, "pack:/a.pgm", bytes, sizeof bytes);
  assert_ok(ctx, imgrec_image_load(&image, ctx, "pack:/a.pgm", 0));
  assert_memory_equal(imgrec_tensor_data(image), bytes + 11, SIDE * SIDE);
  imgrec_tensor_destroy(image);
  image = NULL;
  a.cut = 1;
  assert_fails(ctx, imgrec_image_load(&image, ctx, "pack:/a.pgm", 0),
               IMGREC_ERR_IO,
               "cannot read 'pack:/a.pgm': the read callback gave 74 of 75 "
               "bytes");
  a.cut = 0;
  a.fails_from = a.reads + 2;
  assert_fails(ctx, imgrec_image_load(&image, ctx, "pack:/a.pgm", 0),
               IMGREC_ERR_IO,
               "cannot read 'pack:/a.pgm': the read callback says "
               "IMGREC_ERR_IO");
  assert_null(image);
  a.entries[0].size = INT64_MAX;
  assert_int_equal(imgrec_image_load(&image, ctx, "pack:/a.pgm", 0),
                   IMGREC_ERR_LIMIT);
  imgrec_context_destroy(ctx);
  free_archive(&a);
}

/* A table of images, all of them in the archive: opened, trained on, looked
 * over, always on this thread. */
static void test_read__csv(void **state) {
  (void)state;
  struct archive a;
  char table[500] = "", digits[65];
  imgrec_context *ctx = archive_context(&a);
  imgrec_dataset *d = NULL;
  imgrec_examination *x = NULL;
  imgrec_trainer *t = NULL;
  imgrec_fit_options f;
  imgrec_examine_options e;
  for (int i = 0; i < 8; i++) {
    unsigned char bytes[11 + SIDE * SIDE];
    char name[40];
    snprintf(name, sizeof name, "pack:/%d.pgm", i);
    picture(bytes, i);
    add(&a, name, bytes, sizeof bytes);
    snprintf(table + strlen(table), 40, "%d.pgm,%s\n", i,
             i % 2 ? "odd" : "even");
  }
  add(&a, "pack:/table.csv", table, (int64_t)strlen(table));
  assert_ok(ctx, imgrec_dataset_open(&d, ctx, "pack:/table.csv", NULL));
  assert_int_equal(imgrec_dataset_size(d), 8);
  assert_ok(ctx, imgrec_dataset_digest(d, digits, sizeof digits));
  imgrec_examine_options_init(&e, sizeof e);
  for (e.exact_only = 0; e.exact_only < 2; e.exact_only++) {
    assert_ok(ctx, imgrec_dataset_examine(&x, &d, 1, &e));
    imgrec_examination_destroy(x);
  }
  imgrec_model *m = new_model(ctx, NET, 4, 1);
  imgrec_fit_options_init(&f, sizeof f);
  f.epochs = 3;
  assert_ok(ctx, imgrec_trainer_create(&t, m, NULL));
  assert_ok(ctx, imgrec_fit(t, d, NULL, &f, NULL));
  assert_int_equal(imgrec_dataset_skipped(d), 0);
  assert_false(a.wrong_thread);
  assert_true(a.reads > 30);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
  free_archive(&a);
}

static void test_read__idx(void **state) {
  (void)state;
  static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0,
                                         0, 1, 0, 0, 0, 2, 1, 2, 3, 4};
  static const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 1, 0};
  struct archive a;
  imgrec_context *ctx = archive_context(&a);
  imgrec_dataset *d = NULL;
  add(&a, "pack:/train-images-idx3-ubyte", images, sizeof images);
  add(&a, "pack:/train-labels-idx1-ubyte", labels, sizeof labels);
  assert_ok(ctx, imgrec_dataset_open(&d, ctx, "pack:", NULL));
  assert_int_equal(imgrec_dataset_size(d), 2);
  assert_int_equal(imgrec_dataset_class(d, 0), 1);
  imgrec_dataset_destroy(d);
  d = NULL;
  assert_fails(ctx, imgrec_dataset_open(&d, ctx, "elsewhere", NULL),
               IMGREC_ERR_NOT_FOUND,
               "the read callback has no 'elsewhere', and cannot list folders; "
               "a data set that it reads is a .csv file, or files of IDX or "
               "CIFAR");
  imgrec_context_destroy(ctx);
  free_archive(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_read__models),
      cmocka_unit_test(test_read__images),
      cmocka_unit_test(test_read__csv),
      cmocka_unit_test(test_read__idx),
  };
  return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
