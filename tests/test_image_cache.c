/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/image_cache.c: passes after the first need no file, and
 * are the same whether images are kept or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "dataset_files.h"
#include "failing_alloc.h"

enum { IMAGES = 12, SIDE = 5, CHANNELS = 3, FLOATS = SIDE * SIDE * CHANNELS };

static char root[256];

/* Grey and coloured files, of the input's size and of others. */
static int setup(void **state) {
  (void)state;
  fresh_folder(root, "image_cache");
  for (int i = 0; i < IMAGES; i++) {
    char name[32], bytes[1024];
    int h = 3 + i % 4, w = i % 3 == 0 ? SIDE : 9, c = i % 2 ? 3 : 1;
    snprintf(name, sizeof name, "%c/%02d.pnm", 'a' + i % 2, i);
    int n =
        snprintf(bytes, sizeof bytes, "P%d %d %d 255\n", c == 3 ? 6 : 5, w, h);
    for (int k = 0; k < h * w * c; k++)
      bytes[n++] = (char)(k * 29 + i * 17);
    put_bytes(root, name, bytes, (size_t)n);
  }
  return 0;
}

static imgrec_preprocess input(int channels) {
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  p.height = p.width = SIDE;
  p.channels = channels;
  p.mean[0] = 0.3F;
  return p;
}

static imgrec_dataset *open_root(imgrec_context *ctx) {
  imgrec_dataset *d = NULL;
  if (imgrec_dataset_open(&d, ctx, root, NULL) != IMGREC_OK)
    fail_msg("%s", imgrec_last_error(ctx));
  return d;
}

/* Shuffled by `epoch`; the number of images, or a status. */
static int run_pass(struct loader *l, uint64_t epoch, float *out,
                    size_t floats) {
  const float *x;
  const int32_t *labels;
  size_t n = 1, count = 0;
  int status = imgrec__loader_start(l, 1, 7, epoch);
  while (status >= 0 && n > 0) {
    status = imgrec__loader_next(l, &x, &labels, &n);
    if (status >= 0 && n > 0) {
      assert_true(count + n <= IMAGES);
      memcpy(out + count * floats, x, n * floats * sizeof *x);
      count += n;
    }
  }
  return status < 0 ? status : (int)count;
}

static void check_passes(uint64_t max_bytes, int channels, int threads) {
  float plain[IMAGES * FLOATS], kept[IMAGES * FLOATS];
  size_t floats = (size_t)(SIDE * SIDE * channels);
  imgrec_preprocess p = input(channels);
  imgrec_context *ctx = new_context(threads);
  imgrec_dataset *d = open_root(ctx);
  struct loader *l, *keeps;
  assert_int_equal(imgrec__loader_create(&l, d, &p, 5), 0);
  assert_int_equal(imgrec__loader_create(&keeps, d, &p, 5), 0);
  imgrec__loader_keep(keeps, max_bytes);
  for (uint64_t epoch = 0; epoch < 3; epoch++) {
    assert_int_equal(run_pass(l, epoch, plain, floats), IMAGES);
    assert_int_equal(run_pass(keeps, epoch, kept, floats), IMAGES);
    assert_memory_equal(kept, plain, IMAGES * floats * sizeof(float));
  }
  imgrec__loader_destroy(l);
  imgrec__loader_destroy(keeps);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

static void test_image_cache__same_passes(void **state) {
  (void)state;
  const uint64_t sizes[] = {0, FLOATS - 1, FLOATS * 5 + 3, FLOATS * 1000};
  for (size_t i = 0; i < 4; i++)
    for (int threads = 1; threads < 4; threads++) {
      check_passes(sizes[i], 3, threads);
      check_passes(sizes[i], 1, threads);
    }
}

/* A first pass with files, a second without; what the second gives. */
static int pass_without_files(imgrec_context *ctx, uint64_t max_bytes) {
  float first[IMAGES * FLOATS], second[IMAGES * FLOATS];
  imgrec_preprocess p = input(CHANNELS);
  imgrec_dataset *d = open_root(ctx);
  struct loader *l;
  assert_int_equal(imgrec__loader_create(&l, d, &p, 5), 0);
  imgrec__loader_keep(l, max_bytes);
  assert_int_equal(run_pass(l, 1, first, FLOATS), IMAGES);
  remove_tree(root);
  int count = run_pass(l, 1, second, FLOATS);
  if (count == IMAGES)
    assert_memory_equal(first, second, sizeof first);
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  return count;
}

static void test_image_cache__decodes_once(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(2);
  assert_int_equal(pass_without_files(ctx, IMAGES * FLOATS), IMAGES);
  imgrec_context_destroy(ctx);
}

static void test_image_cache__room_for_some(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(2);
  assert_int_equal(pass_without_files(ctx, 7 * FLOATS + 1), 7);
  imgrec_context_destroy(ctx);
}

/* Under a cap half of what is left may be kept, when asked for. */
static void test_image_cache__room(void **state) {
  (void)state;
  struct allocator a = {.max_bytes = 0, .used = 600};
  assert_int_equal(imgrec__cache_room(&a, 0), IMGREC__CACHE_BYTES);
  assert_int_equal(imgrec__cache_room(&a, 12345), 12345);
  a.max_bytes = 1000;
  assert_int_equal(imgrec__cache_room(&a, 0), 0);
  assert_int_equal(imgrec__cache_room(&a, 100), 100);
  assert_int_equal(imgrec__cache_room(&a, 12345), 200);
}

static void test_image_cache__does_without_memory(void **state) {
  (void)state;
  imgrec_preprocess p = input(CHANNELS);
  for (int n = 1; n <= 6; n++) {
    struct failing f = {0};
    struct allocator a;
    imgrec__allocator_init(&a, failing_alloc, failing_free, &f, 0);
    f.fail_at = n;
    struct image_cache *c = imgrec__image_cache_create(&a, IMAGES, &p, 1000);
    assert_int_equal(c != NULL, n == 6);
    imgrec__image_cache_destroy(c);
    assert_int_equal(f.live_blocks, 0);
    imgrec__allocator_destroy(&a);
  }
}

/* A host's decoder, which counts its calls. */
static int decode_grey(void *user, imgrec_tensor **out, imgrec_context *ctx,
                       const void *bytes, size_t size, int channels) {
  const int64_t shape[3] = {2, 2, 1};
  (void)bytes;
  (void)size;
  (void)channels;
  ++*(int *)user;
  return imgrec_tensor_create(out, ctx, IMGREC_U8, 3, shape);
}

static void test_image_cache__decode_hook(void **state) {
  (void)state;
  float x[IMAGES * FLOATS];
  int calls = 0;
  imgrec_preprocess p = input(CHANNELS);
  imgrec_context_options o;
  imgrec_context *ctx;
  struct loader *l;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 2;
  o.decode = decode_grey;
  o.decode_user = &calls;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  imgrec_dataset *d = open_root(ctx);
  assert_int_equal(imgrec__loader_create(&l, d, &p, 5), 0);
  imgrec__loader_keep(l, 3 * FLOATS);
  assert_int_equal(run_pass(l, 0, x, FLOATS), IMAGES);
  assert_int_equal(calls, IMAGES);
  assert_int_equal(run_pass(l, 1, x, FLOATS), IMAGES);
  assert_int_equal(calls, 2 * IMAGES - 3);
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

static int remove_after_first(void *user, const imgrec_progress *p) {
  (void)user;
  if (p->epoch == 1 && p->epoch_done)
    remove_tree(root);
  return 0;
}

/* A run of two epochs without the files in the second. */
static int fit_without_files(uint64_t cache_bytes) {
  imgrec_context *ctx = new_context(2);
  imgrec_dataset *d = open_root(ctx);
  imgrec_model *m;
  imgrec_trainer *t;
  imgrec_fit_options o;
  imgrec_fit_options_init(&o, sizeof o);
  o.epochs = 2;
  o.cache_bytes = cache_bytes;
  o.progress = remove_after_first;
  assert_int_equal(
      imgrec_model_create(&m, ctx, "input 5 5 3\nflatten\ndense 2\nsoftmax\n",
                          NULL),
      0);
  assert_int_equal(imgrec_trainer_create(&t, m, NULL), 0);
  int status = imgrec_fit(t, d, NULL, &o, NULL);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
  return status;
}

static void test_image_cache__of_a_training_run(void **state) {
  assert_int_equal(fit_without_files(0), IMGREC_OK);
  setup(state);
  assert_int_equal(fit_without_files(IMAGES * FLOATS), IMGREC_OK);
  setup(state);
  assert_int_equal(fit_without_files(1), IMGREC_ERR_FORMAT);
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_image_cache__same_passes),
      CASE(test_image_cache__decodes_once),
      CASE(test_image_cache__room_for_some),
      CASE(test_image_cache__room),
      CASE(test_image_cache__does_without_memory),
      CASE(test_image_cache__decode_hook),
      CASE(test_image_cache__of_a_training_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
