/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/layer_spec.c: the words of a layer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/layer_spec.h"
#include "nets.h"

/* ---- What is wrong ------------------------------------------------------- */

#define IN "input 8 8 3\n"

static const struct {
  const char *text, *sentence;
} wrong[] = {
    /* Numbers. */
    {"input", "line 1: input 'input': needs height, width and channels, such "
              "as 'input 224 224 3'"},
    {"input 8 8", "line 1: input 'input': needs height, width and channels, "
                  "such as 'input 224 224 3'"},
    {"input 0 8 3", "line 1: input 'input': the size 0: must be 1 to 16384"},
    {"input 8 16385 3",
     "line 1: input 'input': the size 16385: must be 1 to 16384"},
    {"input 8 x 3", "line 1: input 'input': the size x: must be 1 to 16384"},
    {"input 8 8 4097",
     "line 1: input 'input': the number of channels 4097: must be 1 to 4096"},
    {"input 8 8 3 4", "line 1: input 'input': does not know what '4' is for"},
    {IN "conv2d kernel=3",
     "line 2: conv2d 'conv1': needs a number behind its type, such as 'conv2d "
     "32' or 'dense 10'"},
    {IN "conv2d 0 kernel=3",
     "line 2: conv2d 'conv1': the number of filters 0: must be 1 to 1048576"},
    {IN "conv2d -4 kernel=3",
     "line 2: conv2d 'conv1': the number of filters -4: must be 1 to 1048576"},
    {IN "depthwise_conv2d 1048577 kernel=3",
     "line 2: depthwise_conv2d 'conv1': the number of filters 1048577: must be "
     "1 to 1048576"},
    {IN "flatten\ndense",
     "line 3: dense 'fc1': needs a number behind its type, such as 'conv2d 32' "
     "or 'dense 10'"},
    {IN "flatten\ndense 1e3",
     "line 3: dense 'fc1': the number of units 1e3: must be 1 to 1048576"},
    {IN "flatten\ndense 99999999999999999999",
     "line 3: dense 'fc1': the number of units 99999999999999999999: must be 1 "
     "to 1048576"},
    {IN "max_pool2d",
     "line 2: max_pool2d 'pool1': needs its kernel, such as 'max_pool2d 2'"},
    {IN "min_pool2d 0",
     "line 2: min_pool2d 'pool1': the kernel 0: must be 1 to 255, such as 2 or "
     "2x1"},
    {IN "max_pool2d 2x",
     "line 2: max_pool2d 'pool1': the kernel 2x: must be 1 to 255, such as 2 "
     "or 2x1"},
    {IN "max_pool2d 2 2",
     "line 2: max_pool2d 'pool1': does not know what '2' is for"},
    {IN "dropout", "line 2: dropout 'dropout1': needs its rate, such as "
                   "'dropout 0.5'"},
    {IN "dropout 1",
     "line 2: dropout 'dropout1': the rate 1: must be a number in [0, 1)"},
    {IN "dropout -0.1",
     "line 2: dropout 'dropout1': the rate -0.1: must be a number in [0, 1)"},
    {IN "dropout nan",
     "line 2: dropout 'dropout1': the rate nan: must be a number in [0, 1)"},
    {IN "dropout 0,5",
     "line 2: dropout 'dropout1': the rate 0,5: must be a number in [0, 1)"},
    /* Keys. */
    {IN "conv2d 4", "line 2: conv2d 'conv1': needs its kernel, such as "
                    "kernel=3"},
    {IN "depthwise_conv2d",
     "line 2: depthwise_conv2d 'conv1': needs its kernel, such as kernel=3"},
    {IN "conv2d 4 kernel=3 colour=blue",
     "line 2: conv2d 'conv1': does not know 'colour'"},
    {IN "conv2d 4 =3", "line 2: conv2d 'conv1': does not know ''"},
    {IN "relu kernel=3", "line 2: relu 'relu1': does not know 'kernel'"},
    {IN "depthwise_conv2d kernel=3 groups=3",
     "line 2: depthwise_conv2d 'conv1': does not know 'groups'"},
    {"input 8 8 3 from=x", "line 1: input 'input': does not know 'from'"},
    {IN "conv2d 4 kernel=3 kernel=3",
     "line 2: conv2d 'conv1': kernel is given twice"},
    {IN "conv2d 4 kernel=0",
     "line 2: conv2d 'conv1': kernel=0: must be 1 to 255, such as 3 or 3x1"},
    {IN "conv2d 4 kernel=256",
     "line 2: conv2d 'conv1': kernel=256: must be 1 to 255, such as 3 or 3x1"},
    {IN "conv2d 4 kernel=",
     "line 2: conv2d 'conv1': kernel=: must be 1 to 255, such as 3 or 3x1"},
    {IN "conv2d 4 kernel=3x",
     "line 2: conv2d 'conv1': kernel=3x: must be 1 to 255, such as 3 or 3x1"},
    {IN "conv2d 4 kernel=3x3x3",
     "line 2: conv2d 'conv1': kernel=3x3x3: must be 1 to 255, such as 3 or "
     "3x1"},
    {IN "conv2d 4 kernel=3 stride=0",
     "line 2: conv2d 'conv1': stride=0: must be 1 to 255, such as 2 or 2x1"},
    {IN "conv2d 4 kernel=3 stride=2x0",
     "line 2: conv2d 'conv1': stride=2x0: must be 1 to 255, such as 2 or 2x1"},
    {IN "conv2d 4 kernel=3 dilation=0",
     "line 2: conv2d 'conv1': dilation=0: must be 1 to 255, such as 2"},
    {IN "conv2d 4 kernel=3 padding=full",
     "line 2: conv2d 'conv1': padding=full: must be same, valid, or 0 to 254, "
     "such as 1 or 1x0"},
    {IN "conv2d 4 kernel=3 padding=-1",
     "line 2: conv2d 'conv1': padding=-1: must be same, valid, or 0 to 254, "
     "such as 1 or 1x0"},
    {IN "conv2d 4 kernel=3 groups=0",
     "line 2: conv2d 'conv1': groups=0: must be 1 to 1048576"},
    {IN "conv2d 4 kernel=3 bias=no",
     "line 2: conv2d 'conv1': bias=no: must be true or false"},
    {IN "conv2d 4 kernel=3 activation=softmax",
     "line 2: conv2d 'conv1': activation=softmax: must be relu, relu6, "
     "leaky_relu, sigmoid, tanh, silu, gelu, hard_swish, hard_sigmoid or "
     "linear"},
    {IN "leaky_relu alpha=1",
     "line 2: leaky_relu 'relu1': alpha=1: must be a number in [0, 1)"},
    {IN "batch_norm epsilon=0",
     "line 2: batch_norm 'bn1': epsilon=0: must be a number in [1e-12, 1)"},
    {IN "batch_norm momentum=1",
     "line 2: batch_norm 'bn1': momentum=1: must be a number in [0, 1)"},
    {IN "flatten order=whc",
     "line 2: flatten 'flatten1': order=whc: must be hwc or chw"},
    /* What is quoted is cut at 40. */
    {IN "relu aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee",
     "line 2: relu 'relu1': does not know what "
     "'aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd' is for"},
};

static void test_layer_spec__sentences(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    struct allocator a;
    struct graph g;
    struct error e;
    imgrec__allocator_init(&a, NULL, NULL, NULL, 0);
    assert_int_equal(imgrec__graph_parse(&g, &a, &e, wrong[i].text),
                     IMGREC_ERR_ARCHITECTURE);
    assert_string_equal(e.text, wrong[i].sentence);
    assert_int_equal(a.used, 0);
    imgrec__allocator_destroy(&a);
  }
}

/* ---- What is right ------------------------------------------------------- */

/* The first node of a network's second line. */
static struct node node_of(const char *line) {
  char text[300];
  struct allocator a;
  struct graph g;
  struct error e;
  snprintf(text, sizeof text, "input 300 300 6\n%s\nflatten\n", line);
  imgrec__allocator_init(&a, NULL, NULL, NULL, 0);
  if (imgrec__graph_parse(&g, &a, &e, text) < 0)
    fail_msg("%s", e.text);
  struct node n = g.nodes[1];
  imgrec__graph_free(&g);
  imgrec__allocator_destroy(&a);
  return n;
}

static void test_layer_spec__types(void **state) {
  (void)state;
  static const char *const types[] = {"input",
                                      "conv2d",
                                      "depthwise_conv2d",
                                      "max_pool2d",
                                      "min_pool2d",
                                      "avg_pool2d",
                                      "global_avg_pool2d",
                                      "global_max_pool2d",
                                      "dense",
                                      "flatten",
                                      "batch_norm",
                                      "dropout",
                                      "drop_path",
                                      "softmax",
                                      "add",
                                      "mul",
                                      "concat",
                                      "relu",
                                      "relu6",
                                      "leaky_relu",
                                      "sigmoid",
                                      "tanh",
                                      "silu",
                                      "gelu",
                                      "hard_swish",
                                      "hard_sigmoid"};
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    const struct layer_spec *spec =
        imgrec__layer_spec(types[i], strlen(types[i]));
    assert_non_null(spec);
    assert_string_equal(spec->op->type, types[i]);
  }
  assert_null(imgrec__layer_spec("rel", 3));
  assert_null(imgrec__layer_spec("relu7", 5));
  assert_null(imgrec__layer_spec("", 0));
}

static void test_layer_spec__activations(void **state) {
  (void)state;
  for (int i = 0; i < ACT_COUNT; i++) {
    const char *type = imgrec__op_activation[i].type;
    const struct layer_spec *spec = imgrec__layer_spec(type, strlen(type));
    assert_int_equal(spec->activation, i);
  }
}

static void test_layer_spec__defaults(void **state) {
  (void)state;
  struct node n = node_of("conv2d 4 kernel=3");
  assert_true(n.stride[0] == 1 && n.stride[1] == 1 && n.dilation[0] == 1);
  assert_true(n.groups == 1 && n.bias && !n.pad_same && n.pad[0] == 0);
  n = node_of("batch_norm");
  assert_true(n.epsilon == 1e-5F && n.momentum == 0.9F);
  n = node_of("leaky_relu");
  assert_true(n.alpha == 0.01F);
  n = node_of("max_pool2d 3x2");
  assert_true(n.stride[0] == 3 && n.stride[1] == 2);
  n = node_of("depthwise_conv2d kernel=3");
  assert_true(n.units == 6 && n.groups == 6);
}

static void test_layer_spec__values(void **state) {
  (void)state;
  struct node n = node_of("conv2d kernel=3x255 4 stride=7x2 dilation=5x1 "
                          "padding=1x0 groups=2 bias=false");
  assert_true(n.kernel[0] == 3 && n.kernel[1] == 255 && n.units == 4);
  assert_true(n.stride[0] == 7 && n.stride[1] == 2);
  assert_true(n.dilation[0] == 5 && n.dilation[1] == 1);
  assert_true(n.pad[0] == 1 && n.pad[1] == 0 && n.pad[2] == 1 && n.pad[3] == 0);
  assert_true(n.groups == 2 && !n.bias);
  n = node_of("batch_norm epsilon=1e-3 momentum=0");
  assert_true(n.epsilon == 1e-3F && n.momentum == 0);
  n = node_of("conv2d 4 kernel=3 padding=valid bias=true activation=linear");
  assert_true(n.pad[0] == 0 && n.bias);
  n = node_of("max_pool2d 2 stride=1 padding=same");
  assert_true(n.stride[0] == 1 && n.pad[0] == 0 && n.pad[2] == 1);
  n = node_of("dropout 0.25");
  assert_true(n.rate == 0.25F);
  n = node_of("depthwise_conv2d 3 kernel=1");
  assert_true(n.units == 18 && n.out.c == 18);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_layer_spec__sentences),
      cmocka_unit_test(test_layer_spec__types),
      cmocka_unit_test(test_layer_spec__activations),
      cmocka_unit_test(test_layer_spec__defaults),
      cmocka_unit_test(test_layer_spec__values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
