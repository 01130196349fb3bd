/* SPDX-License-Identifier: MIT */
/* Random numbers many at a time: on every table those of lib/rng.c. */
#include "kernel_calls.h"

/* Of the stream of a call; indices pass 2^32. */
struct place {
  uint64_t seed, stream, first;
};

static struct place place; /* of the calls that follow */

static void some_place(void) {
  place.seed = (uint64_t)next_random() << 32 | next_random();
  place.stream = (uint64_t)next_random() << 24 | next_random();
  place.first = ((uint64_t)(next_random() & 3) << 32) - below(100);
}

static void run_unit(const struct kernels *k, const struct call *c,
                     float *out) {
  k->random_unit(out, c->n, place.seed, place.stream, place.first);
}

static void run_normal2(const struct kernels *k, const struct call *c,
                        float *out) {
  k->random_normal2(out, c->n, place.seed, place.stream, place.first);
}

static void run_dropout(const struct kernels *k, const struct call *c,
                        float *out) {
  k->dropout(out, c->in[0], c->n, c->in[1][0], place.seed, place.stream,
             place.first);
}

static void test_random_tmpl__units(void **state) {
  (void)state;
  for (size_t n = 0; n < 300; n++) {
    struct call c = {.name = "random_unit", .n = n, .words = n};
    some_place();
    float *u = on_all_tables(&c, run_unit);
    for (size_t i = 0; i < n; i++)
      assert_true(u[i] == imgrec__random_unit(place.seed, place.stream,
                                              place.first + i));
    free(u);
  }
}

static void test_random_tmpl__normals(void **state) {
  (void)state;
  for (size_t n = 0; n < 300; n++) {
    struct call c = {.name = "random_normal2", .n = n, .words = n};
    some_place();
    float *z = on_all_tables(&c, run_normal2);
    for (size_t i = 0; i < n; i++)
      assert_true(z[i] == imgrec__random_normal2(place.seed, place.stream,
                                                 place.first + i));
    free(z);
  }
}

static void test_random_tmpl__dropout(void **state) {
  static const float rates[] = {0.0f, 0.25f, 0.5f, 0.9f};
  (void)state;
  for (size_t n = 0; n < 300; n++) {
    float rate = rates[n % 4];
    float *x = numbers(n, n % 3 ? PLAIN : SPECIAL);
    struct call c = {.name = "dropout", .n = n, .words = n, .in = {x, &rate}};
    some_place();
    float *y = on_all_tables(&c, run_dropout);
    for (size_t i = 0; i < n; i++) {
      float u = imgrec__random_unit(place.seed, place.stream, place.first + i);
      float want = u >= rate ? x[i] * (1 / (1 - rate)) : 0.0f;
      assert_true(y[i] == want || (isnan(y[i]) && isnan(want)));
    }
    free(x);
    free(y);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random_tmpl__units),
      cmocka_unit_test(test_random_tmpl__normals),
      cmocka_unit_test(test_random_tmpl__dropout),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
