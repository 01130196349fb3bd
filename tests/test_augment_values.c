/* SPDX-License-Identifier: MIT */
/* Tests of what augmentation does to values, against doubles: lib/image/
 * augment_colour.c, augment_tone.c, and the rest of augment.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "augmenting.h"

/* ---- Values ------------------------------------------------------------- */

static double bounded(double v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

static double luma(const double v[3]) {
  return 0.299 * v[0] + 0.587 * v[1] + 0.114 * v[2];
}

/* One after another, in doubles, cut at the end. */
static void reference_colour(double v[3], const struct recipe *r, double mean) {
  const double angle = (double)r->hue * acos(-1) / 180;
  for (int k = 0; k < 3; k++)
    v[k] = v[k] * r->brightness;
  for (int k = 0; k < 3; k++)
    v[k] = mean * r->brightness * (1 - r->contrast) + v[k] * r->contrast;
  double y = luma(v), u = 0.492111 * (v[2] - y) * r->saturation;
  double w = 0.877283 * (v[0] - y) * r->saturation;
  double u2 = u * cos(angle) - w * sin(angle);
  double w2 = u * sin(angle) + w * cos(angle);
  v[0] = y + w2 / 0.877283;
  v[2] = y + u2 / 0.492111;
  v[1] = (y - 0.299 * v[0] - 0.114 * v[2]) / 0.587;
}

static void check_colour(const char *text, int channels) {
  imgrec_tensor *image = pattern(ctx, 9, 10, channels);
  const unsigned char *p = bytes_of(image);
  double mean = 0;
  for (int i = 0; i < 90; i++) {
    const double v[3] = {p[i * channels], p[i * channels + channels / 2],
                         p[i * channels + channels - 1]};
    mean += luma(v) / 90;
  }
  for (uint64_t n = 0; n < 50; n++) {
    imgrec_tensor *out = augmented(image, text, 1, n);
    struct recipe r = recipe_of(text, 1, n);
    for (int i = 0; i < 90; i++) {
      double v[3] = {p[i * channels], p[i * channels + channels / 2],
                     p[i * channels + channels - 1]};
      reference_colour(v, &r, mean);
      for (int k = 0; k < channels; k++)
        assert_true(fabs(bytes_of(out)[i * channels + k] - bounded(v[k])) <
                    0.6);
    }
    imgrec_tensor_destroy(out);
  }
  imgrec_tensor_destroy(image);
}

static void test_augment_values__colour(void **state) {
  (void)state;
  check_colour("brightness=0.5", 3);
  check_colour("contrast=1", 3);
  check_colour("saturation=0.9", 3);
  check_colour("hue=180", 3);
  check_colour("brightness=1,contrast=1,saturation=1,hue=30", 3);
  check_colour("brightness=0.5,contrast=0.7", 1);
}

static void test_augment_values__grey(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 9, 10, 3), *one, *three;
  imgrec_tensor *out = augmented(image, "grey=1", 1, 1);
  assert_ok(ctx, imgrec_image_convert(&one, image, 1));
  assert_ok(ctx, imgrec_image_convert(&three, one, 3));
  assert_true(greatest_difference(out, three) <= 1);
  for (int i = 0; i < 90; i++)
    assert_true(bytes_of(out)[3 * i] == bytes_of(out)[3 * i + 1] &&
                bytes_of(out)[3 * i] == bytes_of(out)[3 * i + 2]);
  imgrec_tensor_destroy(one);
  imgrec_tensor_destroy(three);
  imgrec_tensor_destroy(out);
  imgrec_tensor_destroy(image);
}

static void test_augment_values__blur(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 20, 21, 3);
  for (uint64_t i = 0; i < 20; i++) {
    imgrec_tensor *out = augmented(image, "blur=4,degrade=1", 1, i), *blurred;
    float sigma = recipe_of("blur=4,degrade=1", 1, i).blur;
    assert_true(sigma >= 0 && sigma < 4);
    if (sigma >= 0.34F) {
      assert_ok(ctx, imgrec_image_blur(&blurred, image, sigma));
      assert_true(same(out, blurred));
      imgrec_tensor_destroy(blurred);
    } else {
      assert_true(same(out, image));
    }
    imgrec_tensor_destroy(out);
  }
  imgrec_tensor_destroy(image);
}

static void test_augment_values__noise(void **state) {
  (void)state;
  imgrec_tensor *image = new_image(ctx, 64, 64, 3);
  memset(imgrec_tensor_data(image), 128, 64 * 64 * 3);
  for (uint64_t i = 0; i < 10; i++) {
    imgrec_tensor *out = augmented(image, "noise=20,degrade=1", 1, i);
    double sum = 0, squares = 0, n = 64 * 64 * 3, next = 0;
    double sigma = (double)recipe_of("noise=20,degrade=1", 1, i).noise;
    for (int k = 0; k < 64 * 64 * 3; k++) {
      double d = bytes_of(out)[k] - 128.0;
      sum += d;
      squares += d * d;
      next += k > 0 ? d * (bytes_of(out)[k - 1] - 128.0) : 0;
    }
    assert_true(fabs(sum / n) < 0.05 * sigma + 0.02);
    /* rounding adds a variance of 1 / 12 */
    assert_true(fabs(sqrt(squares / n) - sqrt(sigma * sigma + 1 / 12.0)) <
                0.04 * sigma + 0.02);
    assert_true(fabs(next / n) < 0.04 * sigma * sigma + 0.02);
    imgrec_tensor_destroy(out);
  }
  imgrec_tensor_destroy(image);
}

/* How often each of the three is done. */
static void test_augment_values__degrade(void **state) {
  (void)state;
  int blurs = 0, noises = 0, jpegs = 0;
  for (uint64_t i = 0; i < 1000; i++) {
    struct recipe r = recipe_of("blur=1,noise=8,jpeg=50,degrade=0.3", 2, i);
    blurs += r.blur > 0;
    noises += r.noise > 0;
    jpegs += r.jpeg > 0;
    assert_true(r.jpeg == 0 || (r.jpeg >= 50 && r.jpeg < 100));
  }
  assert_in_range(blurs, 250, 350);
  assert_in_range(noises, 250, 350);
  assert_in_range(jpegs, 250, 350);
}

static void test_augment_values__cutout(void **state) {
  (void)state;
  imgrec_tensor *image = new_image(ctx, 20, 30, 1);
  memset(imgrec_tensor_data(image), 200, 600);
  memset(imgrec_tensor_data(image), 0, 300); /* the mean is 100 */
  for (uint64_t i = 0; i < 200; i++) {
    imgrec_tensor *out = augmented(image, "cutout=0.3", 1, i);
    int top = 20, left = 30, bottom = -1, right = -1, count = 0;
    for (int k = 0; k < 600; k++)
      if (bytes_of(out)[k] != bytes_of(image)[k]) {
        int y = k / 30, x = k % 30;
        assert_int_equal(bytes_of(out)[k], 100);
        count++;
        top = y < top ? y : top;
        bottom = y > bottom ? y : bottom;
        left = x < left ? x : left;
        right = x > right ? x : right;
      }
    assert_int_equal(count, (bottom - top + 1) * (right - left + 1));
    assert_true(bottom - top < 6 && right - left < 6 && count >= 9);
    assert_true((bottom - top == 5 || top == 0 || bottom == 19) &&
                (right - left == 5 || left == 0 || right == 29));
    imgrec_tensor_destroy(out);
  }
  imgrec_tensor_destroy(image);
}

/* ---- RandAugment -------------------------------------------------------- */

static void tone(unsigned char *p, int n, int kind, float strength) {
  struct recipe r = {.tone_count = 1, .tones = {{kind, strength}}};
  struct pixels image = {p, 1, n, 1};
  assert_int_equal(imgrec__augment_tones(&image, &r, &ctx->allocator, NULL), 0);
}

static void test_augment_values__tones(void **state) {
  (void)state;
  unsigned char a[] = {0, 15, 16, 100, 255};
  const unsigned char posterized[] = {0, 0, 16, 96, 240};
  tone(a, 5, TONE_POSTERIZE, 1);
  assert_memory_equal(a, posterized, 5);
  unsigned char b[] = {0, 127, 128, 200, 255};
  const unsigned char solarized[] = {0, 127, 127, 55, 0};
  tone(b, 5, TONE_SOLARIZE, 0.5F);
  assert_memory_equal(b, solarized, 5);
  unsigned char c[] = {50, 60, 75, 100};
  const unsigned char stretched[] = {0, 51, 128, 255};
  tone(c, 4, TONE_AUTOCONTRAST, 1);
  assert_memory_equal(c, stretched, 4);
  unsigned char d[] = {7, 7, 7};
  tone(d, 3, TONE_AUTOCONTRAST, 1);
  assert_int_equal(d[0], 7);
  unsigned char e[] = {100, 100, 200, 100, 100};
  tone(e, 5, TONE_SHARPNESS, 0.9F);
  assert_true(e[2] > 200 && e[1] < 100);
  tone(e, 5, TONE_SHARPNESS, -0.9F);
  assert_true(e[2] < 220);
}

/* Each of the 14 comes about as often; magnitude 10 is the strongest. */
static void test_augment_values__randaugment(void **state) {
  (void)state;
  int counts[14] = {0};
  for (uint64_t i = 0; i < 1400; i++) {
    struct recipe r = recipe_of("randaugment=1,magnitude=10", 1, i);
    const int what[] = {0,
                        r.shear[0] != 0,
                        r.shear[1] != 0,
                        r.shift[0] != 0,
                        r.shift[1] != 0,
                        r.rotate != 0,
                        r.brightness != 1,
                        r.contrast != 1,
                        r.saturation != 1};
    int seen = 0;
    for (int k = 1; k < 9; k++) {
      counts[k] += what[k];
      seen += what[k];
    }
    if (r.tone_count)
      counts[9 + r.tones[0].kind]++;
    counts[0] += seen + r.tone_count == 0;
    assert_true(seen + r.tone_count <= 1);
    assert_true(r.rotate == 0 || fabsf(r.rotate) == 30);
    assert_true(r.shear[0] == 0 || fabs(fabs(r.shear[0]) - 0.3) < 1e-6);
  }
  for (int k = 0; k < 14; k++)
    assert_in_range(counts[k], 60, 145);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_augment_values__colour),
      cmocka_unit_test(test_augment_values__grey),
      cmocka_unit_test(test_augment_values__blur),
      cmocka_unit_test(test_augment_values__noise),
      cmocka_unit_test(test_augment_values__degrade),
      cmocka_unit_test(test_augment_values__cutout),
      cmocka_unit_test(test_augment_values__tones),
      cmocka_unit_test(test_augment_values__randaugment),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
