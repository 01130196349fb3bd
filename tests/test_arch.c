/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/arch.c: graphs from text, and every sentence about a
 * wrong one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nets.h"

struct parsed {
  struct allocator allocator;
  struct error error;
  struct graph graph;
  int status;
};

static void parse(struct parsed *p, const char *text) {
  memset(p, 0, sizeof *p);
  assert_int_equal(imgrec__allocator_init(&p->allocator, NULL, NULL, NULL, 0),
                   0);
  p->status = imgrec__graph_parse(&p->graph, &p->allocator, &p->error, text);
}

static void release(struct parsed *p) {
  if (p->status >= 0)
    imgrec__graph_free(&p->graph);
  assert_int_equal(p->allocator.used, 0);
  imgrec__allocator_destroy(&p->allocator);
}

static void check_sentence(const char *text, int status, const char *sentence) {
  struct parsed p;
  parse(&p, text);
  assert_int_equal(p.status, status);
  assert_string_equal(p.error.text, sentence);
  release(&p);
}

/* ---- What is wrong ------------------------------------------------------- */

#define IN     "input 8 8 3\n"
#define NAME62 "a1234567890123456789012345678901234567890123456789012345678901"

static const struct {
  const char *text, *sentence;
} wrong[] = {
    /* The line. */
    {IN "# caf\xe9\nrelu", "the architecture text is not UTF-8"},
    {IN "conv3d 4", "line 2: there is no layer type 'conv3d'"},
    {"# nothing\n\n" IN "a = nothing 4",
     "line 4: there is no layer type 'nothing'"},
    {IN "relu\rflatten",
     "line 2: relu 'relu1': does not know what 'flatten' is for"},
    {IN "x=relu", "line 2: there is no layer type 'x=relu'"},
    {IN "x =", "line 2: there is no layer type 'x'"},
    {IN "= relu", "line 2: there is no layer type '='"},
    {IN "1a = relu",
     "line 2: '1a' is not a name; names begin with a letter and have letters, "
     "digits, '_', '.' and '-', at most 62"},
    {IN "_a = relu",
     "line 2: '_a' is not a name; names begin with a letter and have letters, "
     "digits, '_', '.' and '-', at most 62"},
    {IN "a,b = relu",
     "line 2: 'a,b' is not a name; names begin with a letter and have letters, "
     "digits, '_', '.' and '-', at most 62"},
    {IN NAME62 "3 = relu",
     "line 2: 'a123456789012345678901234567890123456789' is not a name; names "
     "begin with a letter and have letters, digits, '_', '.' and '-', at most "
     "62"},
    {IN "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25",
     "line 2: more than 24 words in one line"},
    /* The input. */
    {"", "a network needs 'input H W C' and at least one layer"},
    {"# only a comment",
     "a network needs 'input H W C' and at least one layer"},
    {IN, "a network needs 'input H W C' and at least one layer"},
    {"relu", "line 1: the first layer must be 'input H W C'"},
    {IN "flatten\n" IN, "line 3: there can be only one input"},
    /* Names and inputs. */
    {IN "a = relu\na = relu",
     "line 3: two layers are called 'a'; give one another name"},
    {IN "conv2 = conv2d 3 kernel=1\nconv2d 3 kernel=1",
     "line 3: two layers are called 'conv2'; give one another name"},
    {IN "input = relu",
     "line 2: two layers are called 'input'; give one another name"},
    {IN "relu from=b",
     "line 2: relu 'relu1': from=b: there is no layer of that name before it"},
    {IN "a = relu from=a",
     "line 2: relu 'a': from=a: there is no layer of that name before it"},
    {IN "add from=input,",
     "line 2: add 'add1': from=: there is no layer of that name before it"},
    {IN "relu from=",
     "line 2: relu 'relu1': from=: there is no layer of that name before it"},
    {IN "add from=input,input,input,input,input,input,input,input,input",
     "line 2: add 'add1': has more than 8 inputs"},
    {IN "relu from=input,input",
     "line 2: relu 'relu1': needs 1 input, but has 2"},
    {IN "mul", "line 2: mul 'mul1': needs 2 inputs, but has 1"},
    {IN "add",
     "line 2: add 'add1': needs 2 to 8 inputs, but has 1; name them in "
     "from=a,b"},
    {IN "concat from=input",
     "line 2: concat 'concat1': needs 2 to 8 inputs, but has 1; name them in "
     "from=a,b"},
    /* Shapes. */
    {IN "flatten\nconv2d 2 kernel=3",
     "line 3: conv2d 'conv1': needs an H x W x C input, not a flat one"},
    {IN "flatten\nmax_pool2d 2",
     "line 3: max_pool2d 'pool1': needs an H x W x C input, not a flat one"},
    {IN "flatten\nglobal_avg_pool2d",
     "line 3: global_avg_pool2d 'pool1': needs an H x W x C input, not a flat "
     "one"},
    {"input 3 3 1\nc2 = conv2d 2 kernel=5",
     "line 2: conv2d 'c2': kernel 5x5 is larger than its 3x3 input"},
    {IN "conv2d 2 kernel=12x1 padding=1",
     "line 2: conv2d 'conv1': kernel 12x1 is larger than its padded 10x10 "
     "input"},
    {IN "conv2d 2 kernel=3 dilation=4",
     "line 2: conv2d 'conv1': kernel 3x3 (dilated) is larger than its 8x8 "
     "input"},
    {IN "avg_pool2d 9",
     "line 2: avg_pool2d 'pool1': kernel 9x9 is larger than its 8x8 input"},
    {IN "conv2d 2 kernel=3 padding=3",
     "line 2: conv2d 'conv1': padding 3 is not smaller than the kernel"},
    {IN "max_pool2d 2 padding=0x2",
     "line 2: max_pool2d 'pool1': padding 2 is not smaller than the kernel"},
    {IN "conv2d 4 kernel=1 groups=3",
     "line 2: conv2d 'conv1': groups=3 must divide its 3 input channels and "
     "its 4 filters"},
    {IN "conv2d 4 kernel=1 groups=2",
     "line 2: conv2d 'conv1': groups=2 must divide its 3 input channels and "
     "its 4 filters"},
    {IN "dense 10",
     "line 2: dense 'fc1': needs a flat input, but its input is 8 x 8 x 3; put "
     "flatten before it"},
    {IN "a = conv2d 3 kernel=2\nadd from=a,input",
     "line 3: add 'add1': needs inputs of one shape, but has 7 x 7 x 3 and "
     "8 x 8 x 3"},
    {IN "a = flatten\nmul from=a,input",
     "line 3: mul 'mul1': needs inputs of one shape, but has 192 and "
     "8 x 8 x 3"},
    {IN "a = conv2d 5 kernel=2\nconcat from=input,a",
     "line 3: concat 'concat1': needs inputs of one height and width, but has "
     "8 x 8 x 3 and 7 x 7 x 5"},
    {"input 1 1 5\na = flatten\nconcat from=input,a",
     "line 3: concat 'concat1': needs inputs of one height and width, but has "
     "1 x 1 x 5 and 5"},
    /* Sizes. */
    {"input 16384 16384 8\nflatten",
     "line 1: input 'input': its output has 2^31 numbers or more"},
    {"input 16384 16384 1\nconv2d 1048576 kernel=1",
     "line 2: conv2d 'conv1': its output has 2^31 numbers or more"},
    {"input 64 64 4096\nflatten\ndense 1048576",
     "line 3: dense 'fc1': it has more than 2^40 weights"},
    {"input 1 1 4096\nconv2d 1048576 kernel=128 padding=same",
     "line 2: conv2d 'conv1': it has more than 2^40 weights"},
#if SIZE_MAX == UINT32_MAX
    {"input 64 64 1\nflatten\ndense 16000\ndense 1000",
     "line 4: dense 'fc2': with it the network has more weights than this "
     "machine can address"},
#endif
    /* Order of values behind flatten. */
    {IN "flatten order=chw\nsoftmax",
     "line 3: softmax 'softmax1': cannot follow flatten order=chw; only dense, "
     "activations and dropout can"},
    {IN "flatten order=chw\nbatch_norm\ndense 2",
     "line 3: batch_norm 'bn1': cannot follow flatten order=chw; only dense, "
     "activations and dropout can"},
    {IN "a = flatten order=chw\nb = flatten from=input\nadd from=b,a",
     "line 4: add 'add1': cannot follow flatten order=chw; only dense, "
     "activations and dropout can"},
    {IN "flatten order=chw\nrelu",
     "relu 'relu1': the last layer cannot be flatten order=chw"},
    {IN "flatten order=chw",
     "flatten 'flatten1': the last layer cannot be flatten order=chw"},
    /* The whole. */
    {IN "a = flatten\nb = dense 3\nc = dense 4 from=a\nsoftmax from=b",
     "dense 'c': no later layer uses its output"},
    {IN "a = conv2d 3 kernel=1 activation=relu\nflatten from=input",
     "conv2d 'a': no later layer uses its output"},
    {IN "relu",
     "relu 'relu1': the last layer's output is 8 x 8 x 3; it must be flat, one "
     "number a class"},
    {"input 1 1 5\nsoftmax",
     "softmax 'softmax1': the last layer's output is 1 x 1 x 5; it must be "
     "flat, one number a class"},
};

static void test_arch__sentences(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    check_sentence(wrong[i].text, IMGREC_ERR_ARCHITECTURE, wrong[i].sentence);
}

static void test_arch__long_line(void **state) {
  (void)state;
  char text[1100];
  memset(text, ' ', sizeof text);
  text[1001] = '\0';
  check_sentence(text, IMGREC_ERR_ARCHITECTURE,
                 "line 1: is longer than 1000 characters");
  text[600] = '#'; /* comments may be longer */
  check_sentence(text, IMGREC_ERR_ARCHITECTURE,
                 "a network needs 'input H W C' and at least one layer");
}

static void test_arch__too_many_layers(void **state) {
  (void)state;
  enum { LINES = 10000 };
  char *text = malloc(20 + 5 * LINES + 1);
  size_t at = (size_t)sprintf(text, "input 1 1 1\n");
  for (int i = 0; i < LINES; i++)
    at += (size_t)sprintf(text + at, "relu\n");
  check_sentence(text, IMGREC_ERR_LIMIT,
                 "line 10001: more than 10000 layers in one network");
  free(text);
}

/* The largest weights that a text can ask for: nothing overflows on the way. */
static void test_arch__numbers_do_not_overflow(void **state) {
  (void)state;
  char text[1000] = "input 1 1 4096\na0 = conv2d 1048576 kernel=1\n";
  size_t at = strlen(text);
  for (int i = 0; i < 3; i++)
    at += (size_t)sprintf(text + at,
                          "a%d = concat from=a%d,a%d,a%d,a%d,a%d,a%d,a%d,a%d\n",
                          i + 1, i, i, i, i, i, i, i, i);
  sprintf(text + at, "depthwise_conv2d 1048576 kernel=255 padding=127\n");
  check_sentence(text, IMGREC_ERR_ARCHITECTURE,
                 SIZE_MAX == UINT32_MAX
                     ? "line 2: conv2d 'a0': with it the network has more "
                       "weights than this machine can address"
                     : "line 6: depthwise_conv2d 'conv2': its output has 2^31 "
                       "numbers or more");
}

/* ---- What is right ------------------------------------------------------- */

static const struct node *node_named(const struct graph *g, const char *name) {
  for (int i = 0; i < g->node_count; i++)
    if (strcmp(g->nodes[i].name, name) == 0)
      return &g->nodes[i];
  return NULL;
}

static void test_arch__default_names(void **state) {
  (void)state;
  struct parsed p;
  parse(&p, "input 8 8 3\nconv2d 4 kernel=1\nstem = conv2d 4 kernel=1\n"
            "depthwise_conv2d kernel=1\nbatch_norm\nrelu\nleaky_relu\n"
            "max_pool2d 2\navg_pool2d 2\nflatten\ndense 4\nsoftmax\n");
  assert_int_equal(p.status, 0);
  static const char *const names[] = {"input", "conv1",    "stem",  "conv3",
                                      "bn1",   "relu1",    "relu2", "pool1",
                                      "pool2", "flatten1", "fc1",   "softmax1"};
  assert_int_equal(p.graph.layer_count, 12);
  for (int i = 0; i < 12; i++)
    assert_string_equal(p.graph.nodes[p.graph.layers[i].first].name, names[i]);
  release(&p);
}

static void test_arch__longest_name(void **state) {
  (void)state;
  struct parsed p;
  parse(&p, IN NAME62 " = flatten\n");
  assert_int_equal(p.status, 0);
  assert_non_null(node_named(&p.graph, NAME62));
  release(&p);
}

/* Spaces, comments and line ends do not matter; the order of words does not
 * change. */
static void test_arch__canonical_text(void **state) {
  (void)state;
  struct parsed p, again;
  parse(&p, "  # first\r\n\tinput  8   8 3 # here\r\n\n"
            "a =  conv2d  kernel=3 4\tbias=false\n#\nflatten");
  assert_int_equal(p.status, 0);
  assert_string_equal(p.graph.text,
                      "input 8 8 3\na = conv2d kernel=3 4 bias=false\n"
                      "flatten\n");
  parse(&again, p.graph.text);
  assert_int_equal(again.status, 0);
  assert_string_equal(again.graph.text, p.graph.text);
  assert_int_equal(p.graph.node_count, again.graph.node_count);
  release(&again);
  release(&p);
}

static void check_shape(const struct graph *g, const char *name, int64_t h,
                        int64_t w, int64_t c) {
  const struct node *n = node_named(g, name);
  assert_non_null(n);
  assert_true(n->out.h == h && n->out.w == w && n->out.c == c);
}

static void test_arch__shapes(void **state) {
  (void)state;
  struct parsed p;
  parse(&p, "input 9 8 3\na = conv2d 6 kernel=3 stride=2\n"
            "b = depthwise_conv2d 2 kernel=3 padding=same\n"
            "c = max_pool2d 2\nd = avg_pool2d 2x1 stride=1\n"
            "e = global_avg_pool2d\nf = global_max_pool2d from=c\n"
            "g = concat from=e,f\nh = flatten from=c\ni = dense 24\n"
            "j = add from=i,g activation=relu\n");
  assert_int_equal(p.status, 0);
  check_shape(&p.graph, "a", 4, 3, 6);
  check_shape(&p.graph, "b", 4, 3, 12);
  check_shape(&p.graph, "c", 2, 1, 12);
  check_shape(&p.graph, "d", 1, 1, 12);
  check_shape(&p.graph, "g", 1, 1, 24);
  check_shape(&p.graph, "h", 1, 1, 24);
  assert_true(node_named(&p.graph, "g")->out.flat);
  assert_false(node_named(&p.graph, "d")->out.flat);
  release(&p);
}

static void test_arch__graph(void **state) {
  (void)state;
  struct parsed p;
  parse(&p, "input 9 9 3\na = conv2d 6 kernel=3 activation=relu\n"
            "b = conv2d 6 kernel=1 from=a\nc = add from=a,b activation=tanh\n"
            "e = global_avg_pool2d\nf = global_max_pool2d from=c\n"
            "g = concat from=e,f\ndense 5\nsoftmax\n");
  const struct graph *g = &p.graph;
  assert_int_equal(p.status, 0);
  assert_int_equal(g->node_count, 11);
  assert_int_equal(g->layer_count, 9);
  /* Readers of a layer get what its activation made. */
  assert_int_equal(g->nodes[3].inputs[0], 2);
  assert_int_equal(g->nodes[4].inputs[0], 2);
  assert_int_equal(g->nodes[4].inputs[1], 3);
  assert_int_equal(g->nodes[7].inputs[0], 5);
  check_shape(g, "a", 7, 7, 6);
  check_shape(g, "g", 1, 1, 12);
  assert_int_equal(g->output, 10);
  assert_int_equal(g->logits, 9);
  assert_int_equal(imgrec__graph_parameters(g),
                   (27 + 1) * 6 + (6 + 1) * 6 + (12 + 1) * 5);
  release(&p);
}

/* A softmax may also be in the middle, or not at all. */
static void test_arch__logits(void **state) {
  (void)state;
  struct parsed p;
  parse(&p, IN "flatten\nsoftmax\ndense 3\n");
  assert_int_equal(p.status, 0);
  assert_int_equal(p.graph.logits, p.graph.output);
  release(&p);
  parse(&p, IN "flatten\nsoftmax\n");
  assert_int_equal(p.graph.logits, 1);
  release(&p);
}

/* From the front, any text that is cut off is refused or right; nothing is
 * lost. */
static void test_arch__every_truncation(void **state) {
  (void)state;
  char text[200] = "input 9 9 3 # x\na = conv2d 6 kernel=3 activation=relu\n"
                   "b = conv2d 6 kernel=1 from=a\nadd from=a,b\n"
                   "global_avg_pool2d\n";
  for (size_t n = strlen(text); n-- > 0;) {
    struct parsed p;
    text[n] = '\0';
    parse(&p, text);
    assert_true(p.status == 0 || p.error.text[0] != '\0');
    release(&p);
  }
}

static void test_arch__every_allocation_fails(void **state) {
  (void)state;
  const char *text = "input 9 9 3\nrelu\nrelu\nrelu\nrelu\nrelu\nrelu\nrelu\n"
                     "relu\nrelu\nrelu\nrelu\nrelu\nrelu\nrelu\nrelu\nrelu\n"
                     "relu\nrelu\nrelu\nrelu\nrelu\nglobal_avg_pool2d\n";
  int failures = 0;
  for (uint64_t cap = 64; failures >= 0; cap += 64) {
    struct allocator a;
    struct error e;
    struct graph g;
    assert_int_equal(imgrec__allocator_init(&a, NULL, NULL, NULL, cap), 0);
    int status = imgrec__graph_parse(&g, &a, &e, text);
    if (status == 0) {
      imgrec__graph_free(&g);
      assert_true(failures > 10);
      failures = -1;
    } else {
      assert_int_equal(status, IMGREC_ERR_LIMIT);
      failures++;
    }
    assert_int_equal(a.used, 0);
    imgrec__allocator_destroy(&a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_arch__sentences),
      cmocka_unit_test(test_arch__long_line),
      cmocka_unit_test(test_arch__too_many_layers),
      cmocka_unit_test(test_arch__numbers_do_not_overflow),
      cmocka_unit_test(test_arch__default_names),
      cmocka_unit_test(test_arch__longest_name),
      cmocka_unit_test(test_arch__canonical_text),
      cmocka_unit_test(test_arch__shapes),
      cmocka_unit_test(test_arch__graph),
      cmocka_unit_test(test_arch__logits),
      cmocka_unit_test(test_arch__every_truncation),
      cmocka_unit_test(test_arch__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
