/* SPDX-License-Identifier: MIT */
/* Tests of augmentation where it is used: batches of the loader, a fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "train/train.h"

/* Both have a new_context. */
#define new_context new_file_context
#include "dataset_files.h"
#undef new_context
#include "toy_data.h"

#define EVERYTHING                                                             \
  "strong,flip_vertical,crop=2,shift,scale,shear,degrade=0.9,randaugment=3"
enum { SIDE = 12, CLASSES = 3, FILES = 24, FLOATS = SIDE * SIDE * 3 };
#define NET                                                                    \
  "input 12 12 3\nconv2d 4 kernel=3 activation=relu\nmax_pool2d 2\nflatten\n"  \
  "dense 3\nsoftmax\n"

static char root[256];

/* Pictures of many sizes, some of the input's own, some grey. */
static int setup(void **state) {
  (void)state;
  fresh_folder(root, "augmented");
  for (int i = 0; i < FILES; i++) {
    char name[64], bytes[8192];
    int h = i % 4 ? 9 + i : SIDE, w = i % 4 ? 40 - i : SIDE, c = i % 3 ? 3 : 1;
    int n =
        snprintf(bytes, sizeof bytes, "P%d %d %d 255\n", c == 3 ? 6 : 5, w, h);
    for (int k = 0; k < h * w * c; k++)
      bytes[n++] = (char)(k * 7 / c + i * 40 + k % 11 * (i % 3) * 5);
    snprintf(name, sizeof name, "%c/%d.ppm", 'a' + i % CLASSES, i);
    put_bytes(root, name, bytes, (size_t)n);
  }
  return 0;
}

static imgrec_augment options(imgrec_context *ctx, const char *text) {
  imgrec_augment a;
  imgrec_augment_init(&a, sizeof a);
  assert_ok(ctx, imgrec_augment_parse(&a, ctx, text));
  return a;
}

/* ---- Loader ------------------------------------------------------------- */

struct seen {
  float x[FILES * FLOATS], targets[FILES * CLASSES];
  size_t count;
};

/* Two passes; the floats of the second. */
static void load(struct seen *s, int threads, int isa, uint64_t keep,
                 int shuffle, const char *text) {
  imgrec_context *ctx = new_context(threads, isa);
  imgrec_dataset *d = NULL;
  imgrec_preprocess p;
  struct loader *l;
  imgrec_augment a = options(ctx, text);
  imgrec_preprocess_init(&p, sizeof p);
  p.height = p.width = SIDE;
  p.channels = 3;
  p.resize = IMGREC_RESIZE_CROP;
  assert_int_equal(open_part(&d, ctx, root, NULL, IMGREC_PART_ANY), 0);
  assert_ok(ctx, imgrec__loader_create(&l, d, &p, 7));
  assert_ok(ctx, imgrec__loader_augment(l, &a, CLASSES));
  imgrec__loader_keep(l, keep);
  for (uint64_t epoch = 1; epoch < 3; epoch++) {
    const float *x;
    const int32_t *labels;
    size_t n = 1;
    s->count = 0;
    assert_ok(ctx, imgrec__loader_start(l, shuffle, 5, epoch));
    for (; n > 0; s->count += n) {
      assert_ok(ctx, imgrec__loader_next(l, &x, &labels, &n));
      const float *targets = imgrec__loader_targets(l);
      memcpy(s->x + s->count * FLOATS, x, n * FLOATS * sizeof *x);
      memset(s->targets + s->count * CLASSES, 0, n * CLASSES * sizeof *x);
      if (targets)
        memcpy(s->targets + s->count * CLASSES, targets,
               n * CLASSES * sizeof *x);
    }
  }
  assert_int_equal(s->count, FILES);
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

/* Kept or decoded anew, on any thread, with any kernels. */
static void test_augmented__same_batches(void **state) {
  (void)state;
  static struct seen first, s;
  load(&first, 1, IMGREC_ISA_SCALAR, 0, 1, EVERYTHING);
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int threads = 1; threads <= 3; threads++)
      for (int keep = 0; keep < 3; keep++) {
        load(&s, threads, isa, (uint64_t)keep * 4000, 1, EVERYTHING);
        assert_memory_equal(&s, &first, sizeof s);
      }
}

static void test_augmented__only_when_shuffled(void **state) {
  (void)state;
  static struct seen a, b;
  load(&a, 2, IMGREC_ISA_AUTO, 1 << 20, 0, EVERYTHING);
  load(&b, 2, IMGREC_ISA_AUTO, 0, 0, "none");
  assert_memory_equal(a.targets, b.targets, sizeof a.targets);
  for (int i = 0; i < FILES; i++) {
    float diff = 0;
    for (int k = i * FLOATS; k < (i + 1) * FLOATS; k++)
      diff += a.x[k] > b.x[k] ? a.x[k] - b.x[k] : b.x[k] - a.x[k];
    if (i % 4 == 0) /* of the input's size */
      assert_true(diff / FLOATS < 0.2F);
  }
}

/* What the loader shows is what imgrec_image_augment makes. */
static void test_augmented__as_the_public_function(void **state) {
  (void)state;
  static struct seen s;
  const char *text = "area=0.4,rotate=20,hue=20,cutout,flip";
  load(&s, 2, IMGREC_ISA_AUTO, 1 << 20, 1, text);
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_augment a = options(ctx, text);
  imgrec_preprocess p;
  imgrec_dataset *d = NULL;
  int64_t order[FILES];
  imgrec_preprocess_init(&p, sizeof p);
  p.height = p.width = SIDE;
  p.channels = 3;
  p.resize = IMGREC_RESIZE_CROP;
  assert_int_equal(open_part(&d, ctx, root, NULL, IMGREC_PART_ANY), 0);
  imgrec__random_permutation(order, FILES, 5, IMGREC__STREAM_SHUFFLE + 2);
  for (size_t i = 0; i < FILES; i++) {
    imgrec_tensor *image, *out, *x;
    assert_ok(ctx, imgrec_dataset_image(&image, d, order[i]));
    assert_ok(ctx, imgrec_image_augment(&out, image, &p, &a, 5, 2,
                                        (uint64_t)order[i]));
    assert_ok(ctx, imgrec_image_preprocess(&x, out, &p));
    assert_memory_equal(imgrec_tensor_data(x), s.x + i * FLOATS,
                        FLOATS * sizeof(float));
    imgrec_tensor_destroy(image);
    imgrec_tensor_destroy(out);
    imgrec_tensor_destroy(x);
  }
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

/* ---- Fit ---------------------------------------------------------------- */

/* Where a fit is to be cut: a step of the second epoch; with a checkpoint. */
struct cut {
  const char *write, *read;
};

static int stop_in_epoch_2(void *user, const imgrec_progress *p) {
  (void)user;
  return p->epoch == 2 && p->images == 16
             ? IMGREC_FIT_STOP | IMGREC_FIT_CHECKPOINT
             : 0;
}

static float *fit_cut(int threads, int isa, const char *text, size_t *count,
                      const struct cut *cut) {
  imgrec_context *ctx = new_context(threads, isa);
  imgrec_augment a = options(ctx, text ? text : "none");
  imgrec_model *m = new_model(ctx, NET, 8, 1);
  imgrec_trainer *t = NULL;
  imgrec_trainer_options to;
  imgrec_fit_options o;
  imgrec_dataset *d = NULL;
  imgrec_trainer_options_init(&to, sizeof to);
  to.max_batch = 8;
  assert_ok(ctx, imgrec_trainer_create(&t, m, &to));
  imgrec_fit_options_init(&o, sizeof o);
  o.epochs = 3;
  o.seed = 4;
  o.augment = text ? &a : NULL;
  o.progress = cut->write ? stop_in_epoch_2 : NULL;
  o.checkpoint = cut->write;
  o.resume = cut->read;
  assert_int_equal(open_part(&d, ctx, root, NULL, IMGREC_PART_ANY), 0);
  assert_ok(ctx, imgrec_fit(t, d, d, &o, NULL));
  *count = m->weight_floats;
  float *weights = malloc(*count * sizeof *weights);
  memcpy(weights, m->weights, *count * sizeof *weights);
  imgrec_dataset_destroy(d);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
  return weights;
}

static float *fit(int threads, int isa, const char *text, size_t *count) {
  return fit_cut(threads, isa, text, count, &(struct cut){NULL, NULL});
}

/* Cut in the middle of an epoch and resumed: draws and pairs go on. */
static void test_augmented__resumed(void **state) {
  (void)state;
  size_t n;
  const char *path = "build/tmp/augmented.checkpoint";
  const struct cut write = {path, NULL}, read = {NULL, path};
  float *whole = fit(2, IMGREC_ISA_AUTO, EVERYTHING, &n);
  float *half = fit_cut(2, IMGREC_ISA_AUTO, EVERYTHING, &n, &write);
  float *rest = fit_cut(3, IMGREC_ISA_AUTO, EVERYTHING, &n, &read);
  assert_true(memcmp(half, whole, n * sizeof *half) != 0);
  assert_memory_equal(rest, whole, n * sizeof *rest);
  free(whole);
  free(half);
  free(rest);
}

static void test_augmented__fit_has_the_same_bits(void **state) {
  (void)state;
  size_t n;
  float *first = fit(1, IMGREC_ISA_SCALAR, EVERYTHING, &n);
  float *other = fit(1, IMGREC_ISA_SCALAR, NULL, &n);
  assert_true(memcmp(first, other, n * sizeof *first) != 0);
  free(other);
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int threads = 1; threads <= 3; threads++) {
      float *w = fit(threads, isa, EVERYTHING, &n);
      assert_memory_equal(w, first, n * sizeof *w);
      free(w);
    }
  free(first);
}

static void test_augmented__none_is_none(void **state) {
  (void)state;
  size_t n;
  float *a = fit(2, IMGREC_ISA_AUTO, NULL, &n);
  float *b = fit(2, IMGREC_ISA_AUTO, "none,fill=edge,degrade=1", &n);
  assert_memory_equal(a, b, n * sizeof *a);
  free(a);
  free(b);
}

static void test_augmented__every_allocation_fails(void **state) {
  (void)state;
  struct failing f = {0};
  imgrec_context_options c;
  imgrec_context *ctx;
  imgrec_trainer *t = NULL;
  imgrec_fit_options o;
  int status = -1;
  long n = 0;
  imgrec_context_options_init(&c, sizeof c);
  c.threads = 1;
  c.alloc = failing_alloc;
  c.free = failing_free;
  c.alloc_user = &f;
  assert_int_equal(imgrec_context_create(&ctx, &c), 0);
  const char *const names[] = {"top", "middle", "bottom"};
  imgrec_model *m = new_model(ctx, TOY_NET, 8, 1);
  imgrec_dataset *d = toy_data(ctx, 11, 0, 60);
  assert_ok(ctx, imgrec_model_set_labels(m, 3, names));
  imgrec_augment a = options(ctx, EVERYTHING);
  assert_ok(ctx, imgrec_trainer_create(&t, m, NULL));
  imgrec_fit_options_init(&o, sizeof o);
  o.epochs = 1;
  o.augment = &a;
  while (status < 0) {
    long live = f.live_blocks;
    f.calls = 0;
    f.fail_at = ++n;
    status = imgrec_fit(t, d, NULL, &o, NULL);
    f.fail_at = 0;
    assert_int_equal(f.live_blocks, live);
    assert_true(status >= 0 || status == IMGREC_ERR_MEMORY);
  }
  assert_true(n > 20);
  imgrec_dataset_destroy(d);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
  assert_int_equal(f.live_blocks, 0);
}

static void test_augmented__refused(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, TOY_NET, 8, 1);
  imgrec_dataset *d = toy_data(ctx, 9, 0, 60);
  imgrec_augment a = options(ctx, "flip");
  imgrec_trainer *t = NULL;
  imgrec_fit_options o;
  assert_ok(ctx, imgrec_trainer_create(&t, m, NULL));
  imgrec_fit_options_init(&o, sizeof o);
  assert_null(o.augment);
  o.augment = &a;
  a.flip = -1;
  assert_fails(ctx, imgrec_fit(t, d, NULL, &o, NULL), IMGREC_ERR_ARGUMENT,
               "augment: flip must be 0 to 1");
  imgrec_dataset_destroy(d);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_augmented__same_batches),
      cmocka_unit_test(test_augmented__only_when_shuffled),
      cmocka_unit_test(test_augmented__as_the_public_function),
      cmocka_unit_test(test_augmented__resumed),
      cmocka_unit_test(test_augmented__fit_has_the_same_bits),
      cmocka_unit_test(test_augmented__none_is_none),
      cmocka_unit_test(test_augmented__every_allocation_fails),
      cmocka_unit_test(test_augmented__refused),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
