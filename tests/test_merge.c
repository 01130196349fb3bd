/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/merge.c: add, mul, concat, in chains and graphs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gradcheck.h"

/* Three values of 3 x 4 x 3, each with weights before it. */
#define THREE                                                                  \
  "input 3 4 2\na = conv2d 3 kernel=1\nb = conv2d 3 kernel=1 from=a\n"         \
  "c = conv2d 3 kernel=1 from=input activation=tanh\n"

static void test_merge__add(void **state) {
  (void)state;
  gradcheck(THREE "add from=a,b,c\nflatten\n", 2);
  gradcheck(THREE "add from=c,b,a activation=silu\nflatten\n", 3);
  gradcheck(THREE "d = add from=b,c\nadd from=a,d\nflatten\n", 1);
}

static void test_merge__mul(void **state) {
  (void)state;
  gradcheck(THREE "d = mul from=a,b\nmul from=d,c\nflatten\n", 2);
  gradcheck(THREE "d = mul from=c,a\ne = mul from=d,b\nadd from=d,e\nflatten\n",
            2);
}

static void test_merge__concat(void **state) {
  (void)state;
  gradcheck(THREE "d = conv2d 5 kernel=1 from=b\nconcat from=a,d,c,input\n"
                  "conv2d 2 kernel=2\nflatten\n",
            2);
  gradcheck("input 2 2 1\na = flatten\nb = dense 3\nc = dense 1\n"
            "concat from=c,b,a\ndense 4\n",
            3);
}

/* The same value twice. */
static void test_merge__twice(void **state) {
  (void)state;
  gradcheck(THREE "d = add from=c,c\nadd from=a,b,d,d\nflatten\n", 2);
  gradcheck(THREE "d = mul from=c,c\nadd from=a,b,d\nflatten\n", 2);
  gradcheck(THREE "d = concat from=c,a,c,b\nconv2d 2 kernel=1\nflatten\n", 2);
  gradcheck("input 1 1 3\nflatten\na = dense 4\nadd from=a,a\n", 2);
}

/* A value with many readers, of every kind: some that want x, some that work
 * in place. */
static void test_merge__many_readers(void **state) {
  (void)state;
  gradcheck(THREE "d = relu from=a\ne = batch_norm from=a\n"
                  "f = sigmoid from=b\ng = dropout 0.5 from=a\n"
                  "h = add from=a,d,e,f,g,c,b\nmul from=h,a\nflatten\n",
            2);
}

static void test_merge__residual(void **state) {
  (void)state;
  gradcheck("input 4 4 2\nstem = conv2d 3 kernel=3 padding=same\n"
            "c1 = conv2d 3 kernel=3 padding=same bias=false\n"
            "b1 = batch_norm activation=relu\nc2 = conv2d 3 kernel=1\n"
            "s1 = add from=c2,stem activation=relu\n"
            "c3 = conv2d 3 kernel=1 activation=gelu\ns2 = add from=s1,c3\n"
            "global_avg_pool2d\ndense 3\nsoftmax\n",
            3);
}

/* Many more numbers than one piece of work. */
static void test_merge__many_pieces(void **state) {
  (void)state;
  struct trial t;
  trial_init(&t,
             "input 90 91 5\na = relu\nb = tanh\nc = add from=a,b\n"
             "d = mul from=c,a\nconcat from=d,input\nflatten\n",
             2, 0, 3);
  check_forward(&t, t.pass.graph->output);
  trial_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_merge__add),
      cmocka_unit_test(test_merge__mul),
      cmocka_unit_test(test_merge__concat),
      cmocka_unit_test(test_merge__twice),
      cmocka_unit_test(test_merge__many_readers),
      cmocka_unit_test(test_merge__residual),
      cmocka_unit_test(test_merge__many_pieces),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
