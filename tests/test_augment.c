/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/augment.c and of the parts of it: exactness of moves,
 * same bits by seed, epoch and index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "augmenting.h"

/* Smooth, so that filters differ little. */
static imgrec_tensor *smooth(int h, int w, int c) {
  imgrec_tensor *t = new_image(ctx, h, w, c);
  unsigned char *p = imgrec_tensor_data(t);
  for (int i = 0; i < h * w * c; i++)
    p[i] = (unsigned char)(128 + 60 * sin(i / c % w * 0.31 + i % c) +
                           60 * cos(i / c / w * 0.23));
  return t;
}

/* ---- Moves -------------------------------------------------------------- */

static void test_augment__nothing(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 13, 17, 3);
  imgrec_tensor *out = augmented(image, "none", 1, 5);
  assert_true(same(image, out));
  imgrec_tensor_destroy(out);
  imgrec_tensor_destroy(image);
}

static void test_augment__flip(void **state) {
  (void)state;
  for (int axis = 0; axis < 2; axis++) {
    const char *text = axis ? "flip=1" : "flip_vertical=1";
    imgrec_tensor *image = pattern(ctx, 13, 18, 3), *flipped;
    imgrec_tensor *out = augmented(image, text, 1, 5);
    assert_ok(ctx, imgrec_image_flip(&flipped, image, axis));
    assert_true(same(flipped, out));
    imgrec_tensor *twice = augmented(out, text, 2, 9);
    assert_true(same(image, twice));
    imgrec_tensor_destroy(twice);
    imgrec_tensor_destroy(out);
    imgrec_tensor_destroy(flipped);
    imgrec_tensor_destroy(image);
  }
}

static void test_augment__flip_half_of_them(void **state) {
  (void)state;
  int flips = 0;
  for (uint64_t i = 0; i < 1000; i++)
    flips += recipe_of("flip=0.5", 1, i).flip[1];
  assert_in_range(flips, 440, 560);
}

/* All whole places up to 4 are reached, about equally often. */
static void test_augment__crop(void **state) {
  (void)state;
  int seen[9][9] = {{0}};
  imgrec_tensor *image = pattern(ctx, 16, 20, 1);
  for (uint64_t i = 0; i < 2000; i++) {
    imgrec_tensor *out = augmented(image, "crop=4,fill=black", 1, i);
    int found = 0;
    for (int k = 0; k < 81 && !found; k++) {
      int dy = k / 9 - 4, dx = k % 9 - 4;
      found = 1;
      for (int y = 0; y < 16 && found; y++)
        for (int x = 0; x < 20 && found; x++) {
          int sy = y + dy, sx = x + dx;
          int inside = sy >= 0 && sx >= 0 && sy < 16 && sx < 20;
          found = bytes_of(out)[y * 20 + x] ==
                  (inside ? bytes_of(image)[sy * 20 + sx] : 0);
        }
      seen[dy + 4][dx + 4] += found;
    }
    assert_true(found);
    imgrec_tensor_destroy(out);
  }
  for (int k = 0; k < 81; k++)
    assert_in_range(seen[k / 9][k % 9], 8, 50);
  imgrec_tensor_destroy(image);
}

static void test_augment__crop_fraction(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 32, 32, 3);
  for (uint64_t i = 0; i < 50; i++) {
    imgrec_tensor *a = augmented(image, "crop=0.125", 1, i);
    imgrec_tensor *b = augmented(image, "crop=4", 1, i);
    assert_true(same(a, b));
    imgrec_tensor_destroy(a);
    imgrec_tensor_destroy(b);
  }
  imgrec_tensor_destroy(image);
}

/* The same turn as imgrec_image_rotate's, whose weights have as many bits. */
static void test_augment__rotate(void **state) {
  (void)state;
  imgrec_tensor *image = smooth(24, 31, 3);
  for (uint64_t i = 0; i < 40; i++) {
    imgrec_tensor *out = augmented(image, "rotate=180,fill=black", 3, i),
                  *turned;
    float degrees = recipe_of("rotate=180,fill=black", 3, i).rotate;
    assert_ok(ctx, imgrec_image_rotate(&turned, image, degrees));
    assert_true(greatest_difference(out, turned) <= 1);
    imgrec_tensor_destroy(turned);
    imgrec_tensor_destroy(out);
  }
  imgrec_tensor_destroy(image);
}

static struct recipe plain(void) {
  return (struct recipe){
      .zoom = 1, .brightness = 1, .contrast = 1, .saturation = 1};
}

/* A turn by nothing is a copy, whatever else is resampled. */
static void test_augment__rotate_0(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 11, 14, 3),
                *out = new_image(ctx, 11, 14, 3);
  struct pixels src = {imgrec_tensor_data(image), 11, 14, 3};
  const int size[2] = {11, 14};
  for (int rule = IMGREC_RESIZE_STRETCH; rule <= IMGREC_RESIZE_PAD; rule++) {
    imgrec_preprocess p = {
        .height = 11, .width = 14, .channels = 3, .resize = rule};
    struct recipe r = plain();
    struct warp m;
    imgrec__augment_view(&m, &r, &p, &src, size);
    imgrec__warp(imgrec_tensor_data(out), 11, 14, &src, &m, IMGREC_FILL_BLACK);
    assert_true(same(image, out));
  }
  imgrec_tensor_destroy(out);
  imgrec_tensor_destroy(image);
}

/* Where an output pixel comes from, as fractions of the image's sides. */
static void place(double out[2], const struct warp *m, const struct pixels *src,
                  double y, double x) {
  const int size[2] = {src->height, src->width};
  for (int i = 0; i < 2; i++) {
    double at = (double)m->at[i] + (y - 0.5) * (double)m->by_y[i] +
                (x - 0.5) * (double)m->by_x[i];
    out[i] = (at / ((int64_t)1 << IMGREC__WARP_BITS) + 0.5) / size[i];
  }
}

/* Without augmentation the input shows what preprocessing shows. */
static void test_augment__frames(void **state) {
  (void)state;
  static const double want[3][4] = {
      {0, 0, 1, 1}, {0, 0.25, 1, 0.75}, {-0.5, 0, 1.5, 1}};
  struct pixels src = {NULL, 45, 36, 3}; /* all of 50 x 100 */
  const int original[2] = {50, 100};
  for (int rule = 0; rule < 3; rule++) {
    imgrec_preprocess p = {
        .height = 40, .width = 40, .channels = 3, .resize = rule};
    struct recipe r = plain();
    struct warp m;
    double at[4];
    imgrec__augment_view(&m, &r, &p, &src, original);
    place(at, &m, &src, 0, 0);
    place(at + 2, &m, &src, 40, 40);
    for (int i = 0; i < 4; i++)
      assert_float_equal(at[i], want[rule][i], 1e-6);
  }
}

/* Parts that are cut out: inside, of the area and shape that were drawn. */
static void test_augment__area(void **state) {
  (void)state;
  struct pixels src = {NULL, 45, 36, 3};
  const int original[2] = {60, 60};
  imgrec_preprocess p = {
      .height = 40, .width = 40, .channels = 3, .resize = IMGREC_RESIZE_CROP};
  double least = 1, most = 0;
  for (uint64_t i = 0; i < 500; i++) {
    struct recipe r = recipe_of("area=0.3", 1, i);
    struct warp m;
    double a[2], b[2];
    imgrec__augment_view(&m, &r, &p, &src, original);
    place(a, &m, &src, 0, 0);
    place(b, &m, &src, 40, 40);
    double area = (b[0] - a[0]) * (b[1] - a[1]);
    assert_true(a[0] > -1e-6 && a[1] > -1e-6 && b[0] < 1 + 1e-6 &&
                b[1] < 1 + 1e-6);
    assert_true(area <= r.area + 1e-6);
    if (r.area < 0.75) { /* which fits whatever its shape */
      assert_float_equal(area, r.area, 1e-5);
      assert_float_equal((b[1] - a[1]) / (b[0] - a[0]), r.aspect, 1e-5);
    }
    least = area < least ? area : least;
    most = area > most ? area : most;
  }
  assert_true(least > 0.3 - 1e-6 && least < 0.32 && most > 0.9);
}

static void test_augment__scale_shift_shear(void **state) {
  (void)state;
  struct pixels src = {NULL, 40, 40, 3};
  const int original[2] = {40, 40};
  imgrec_preprocess p = {.height = 40, .width = 40, .channels = 3};
  for (uint64_t i = 0; i < 100; i++) {
    struct recipe r = recipe_of("scale=0.5,shift=0.2,shear=0.3", 1, i);
    struct warp m;
    double at[2], right[2], down[2];
    assert_true(r.zoom > 0.66 && r.zoom < 1.51);
    imgrec__augment_view(&m, &r, &p, &src, original);
    place(at, &m, &src, 20, 20);
    place(right, &m, &src, 20, 21);
    place(down, &m, &src, 21, 20);
    for (int k = 0; k < 2; k++) {
      const double *along = k ? right : down, *across = k ? down : right;
      assert_true(fabs(r.shift[k]) <= 0.2 && fabs(r.shear[k]) <= 0.3);
      assert_float_equal((along[k] - at[k]) * 40, 1 / r.zoom, 1e-6);
      assert_float_equal((across[k] - at[k]) * 40, r.shear[k] / r.zoom, 1e-6);
    }
    double y = -r.shift[0] - r.shift[1] * r.shear[0];
    assert_float_equal(at[0] - 0.5, y / r.zoom, 1e-6);
  }
}

/* A larger image: all of it is there to be shown, and what is shown is near to
 * what resizing the part gives. */
static void test_augment__larger_image(void **state) {
  (void)state;
  imgrec_tensor *image = smooth(120, 160, 3), *fitted, *out;
  imgrec_preprocess p;
  imgrec_augment a = options("rotate=0.01");
  imgrec_preprocess_init(&p, sizeof p);
  p.height = p.width = 48;
  p.channels = 3;
  for (int rule = 0; rule < 3; rule++) {
    p.resize = rule;
    assert_ok(ctx, imgrec_image_resize(&fitted, image, 48, 48, rule));
    assert_ok(ctx, imgrec_image_augment(&out, image, &p, &a, 1, 1, 1));
    long sum = 0;
    for (size_t i = 0; i < imgrec_tensor_nbytes(out); i++)
      sum += abs(bytes_of(out)[i] - bytes_of(fitted)[i]);
    assert_true((double)sum / (double)imgrec_tensor_nbytes(out) < 2.0);
    imgrec_tensor_destroy(fitted);
    imgrec_tensor_destroy(out);
  }
  p.channels = 1;
  assert_ok(ctx, imgrec_image_augment(&out, image, &p, &a, 1, 1, 1));
  assert_int_equal(imgrec_tensor_dim(out, 2), 1);
  imgrec_tensor_destroy(out);
  imgrec_tensor_destroy(image);
}

/* Whole pixels and flips of a larger image: of what preprocessing makes. */
static void test_augment__larger_image_whole_pixels(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 50, 70, 3), *fitted, *flipped, *out;
  imgrec_augment a = options("flip=1,crop=0.1");
  imgrec_preprocess p;
  a.crop = 0;
  imgrec_preprocess_init(&p, sizeof p);
  p.height = p.width = 32;
  p.channels = 3;
  p.resize = IMGREC_RESIZE_CROP;
  assert_ok(ctx, imgrec_image_resize(&fitted, image, 32, 32, p.resize));
  assert_ok(ctx, imgrec_image_flip(&flipped, fitted, 1));
  assert_ok(ctx, imgrec_image_augment(&out, image, &p, &a, 1, 1, 1));
  assert_true(same(flipped, out));
  imgrec_tensor_destroy(fitted);
  imgrec_tensor_destroy(flipped);
  imgrec_tensor_destroy(out);
  imgrec_tensor_destroy(image);
}

/* ---- Bits --------------------------------------------------------------- */

#define EVERYTHING                                                             \
  "strong,flip_vertical,crop=2,shift,scale,shear,degrade=0.9,randaugment=3"

static void test_augment__by_seed_epoch_index(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 40, 50, 3);
  imgrec_tensor *a = augmented(image, EVERYTHING, 1, 1);
  for (int i = 0; i < 4; i++) {
    imgrec_tensor *b = augmented(image, EVERYTHING, 1 + i % 2, 1 + i / 2);
    assert_int_equal(same(a, b), i == 0);
    imgrec_tensor_destroy(b);
  }
  imgrec_tensor_destroy(a);
  imgrec_tensor_destroy(image);
}

/* One more operation changes none of the draws of the others. */
static void test_augment__draws_are_apart(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 20; i++) {
    struct recipe a = recipe_of("rotate=20,crop=4,jpeg=50", 1, i);
    struct recipe b =
        recipe_of("rotate=20,crop=4,jpeg=50,flip,scale,hue", 1, i);
    assert_true(a.rotate == b.rotate && a.crop[0] == b.crop[0] &&
                a.jpeg == b.jpeg && a.noise_seed == b.noise_seed);
  }
}

/* And from every compiler: changes with imgrec_arithmetic_version() only. */
#define DIGEST 0xf883a328u

static void test_augment__same_on_every_isa(void **state) {
  (void)state;
  uint32_t digests[40], all = 0;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    imgrec_context *other = new_context(1, isa);
    imgrec_augment a = options(EVERYTHING);
    imgrec_tensor *image = pattern(other, 90, 75, 3), *out;
    imgrec_preprocess p;
    imgrec_preprocess_init(&p, sizeof p);
    p.height = 32;
    p.width = 30;
    p.channels = 3;
    for (uint64_t i = 0; i < 40; i++) {
      p.resize = (int)(i % 3);
      assert_ok(other, imgrec_image_augment(&out, image, &p, &a, 3, 2, i));
      if (isa == IMGREC_ISA_SCALAR)
        digests[i] = digest(out);
      assert_int_equal(digest(out), digests[i]);
      imgrec_tensor_destroy(out);
    }
    imgrec_tensor_destroy(image);
    imgrec_context_destroy(other);
  }
  for (int i = 0; i < 40; i++)
    all = all * 31 + digests[i];
  assert_int_equal(all, DIGEST);
}

static void test_augment__refused(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 4, 4, 3), *out = NULL;
  imgrec_augment a = options("flip");
  assert_int_equal(imgrec_image_augment(&out, NULL, NULL, &a, 0, 0, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_augment(NULL, image, NULL, &a, 0, 0, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(
      imgrec_image_augment(&out, image, NULL, &a, 0, (uint64_t)1 << 32, 0),
      IMGREC_ERR_ARGUMENT);
  assert_int_equal(
      imgrec_image_augment(&out, image, NULL, &a, 0, 0, (uint64_t)1 << 55),
      IMGREC_ERR_ARGUMENT);
  a.flip = 2;
  assert_int_equal(imgrec_image_augment(&out, image, NULL, &a, 0, 0, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_null(out);
  /* NULL: nothing is done */
  assert_ok(ctx, imgrec_image_augment(&out, image, NULL, NULL, 0, 0, 0));
  assert_true(same(image, out));
  imgrec_tensor_destroy(out);
  imgrec_tensor_destroy(image);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_augment__nothing),
      cmocka_unit_test(test_augment__flip),
      cmocka_unit_test(test_augment__flip_half_of_them),
      cmocka_unit_test(test_augment__crop),
      cmocka_unit_test(test_augment__crop_fraction),
      cmocka_unit_test(test_augment__rotate),
      cmocka_unit_test(test_augment__rotate_0),
      cmocka_unit_test(test_augment__frames),
      cmocka_unit_test(test_augment__area),
      cmocka_unit_test(test_augment__scale_shift_shear),
      cmocka_unit_test(test_augment__larger_image),
      cmocka_unit_test(test_augment__larger_image_whole_pixels),
      cmocka_unit_test(test_augment__by_seed_epoch_index),
      cmocka_unit_test(test_augment__draws_are_apart),
      cmocka_unit_test(test_augment__same_on_every_isa),
      cmocka_unit_test(test_augment__refused),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
