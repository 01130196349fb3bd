/* SPDX-License-Identifier: MIT */
/* The words of the architecture text: types, their numbers, key=value. */
#include "layer_spec.h"

#include <inttypes.h>
#include <string.h>

enum {
  KEY_KERNEL = 1,
  KEY_STRIDE = 2,
  KEY_PADDING = 4,
  KEY_DILATION = 8,
  KEY_GROUPS = 16,
  KEY_BIAS = 32,
  KEY_ACTIVATION = 64,
  KEY_FROM = 128,
  KEY_ALPHA = 256,
  KEY_EPSILON = 512,
  KEY_MOMENTUM = 1024,
  KEY_ORDER = 2048
};

enum {
  KEYS_WINDOW = KEY_STRIDE | KEY_PADDING | KEY_FROM,
  KEYS_CONV = KEYS_WINDOW | KEY_KERNEL | KEY_DILATION | KEY_BIAS |
              KEY_ACTIVATION | KEY_ALPHA
};

static const struct {
  const char *name;
  unsigned key;
} key_names[] = {{"kernel", KEY_KERNEL},         {"stride", KEY_STRIDE},
                 {"padding", KEY_PADDING},       {"dilation", KEY_DILATION},
                 {"groups", KEY_GROUPS},         {"bias", KEY_BIAS},
                 {"activation", KEY_ACTIVATION}, {"from", KEY_FROM},
                 {"alpha", KEY_ALPHA},           {"epsilon", KEY_EPSILON},
                 {"momentum", KEY_MOMENTUM},     {"order", KEY_ORDER}};

enum { KEY_COUNT = sizeof key_names / sizeof key_names[0] };

/* Letters of `positional`: h w c sizes of the input, u units, m filters a
 * channel (may be left out), k kernel, r rate. */
static const struct layer_spec specs[] = {
    {&imgrec__op_input, 0, "hwc", 0},
    {&imgrec__op_conv2d, 0, "u", KEYS_CONV | KEY_GROUPS},
    {&imgrec__op_depthwise_conv2d, 0, "m", KEYS_CONV},
    {&imgrec__op_max_pool2d, 0, "k", KEYS_WINDOW},
    {&imgrec__op_min_pool2d, 0, "k", KEYS_WINDOW},
    {&imgrec__op_avg_pool2d, 0, "k", KEYS_WINDOW},
    {&imgrec__op_global_avg_pool2d, 0, "", KEY_FROM},
    {&imgrec__op_global_max_pool2d, 0, "", KEY_FROM},
    {&imgrec__op_dense, 0, "u",
     KEY_FROM | KEY_BIAS | KEY_ACTIVATION | KEY_ALPHA},
    {&imgrec__op_flatten, 0, "", KEY_FROM | KEY_ORDER},
    {&imgrec__op_batch_norm, 0, "",
     KEY_FROM | KEY_EPSILON | KEY_MOMENTUM | KEY_ACTIVATION | KEY_ALPHA},
    {&imgrec__op_dropout, 0, "r", KEY_FROM},
    {&imgrec__op_drop_path, 0, "r", KEY_FROM},
    {&imgrec__op_softmax, 0, "", KEY_FROM},
    {&imgrec__op_add, 0, "", KEY_FROM | KEY_ACTIVATION | KEY_ALPHA},
    {&imgrec__op_mul, 0, "", KEY_FROM | KEY_ACTIVATION | KEY_ALPHA},
    {&imgrec__op_concat, 0, "", KEY_FROM},
    {&imgrec__op_activation[ACT_RELU], ACT_RELU, "", KEY_FROM},
    {&imgrec__op_activation[ACT_RELU6], ACT_RELU6, "", KEY_FROM},
    {&imgrec__op_activation[ACT_LEAKY_RELU], ACT_LEAKY_RELU, "",
     KEY_FROM | KEY_ALPHA},
    {&imgrec__op_activation[ACT_SIGMOID], ACT_SIGMOID, "", KEY_FROM},
    {&imgrec__op_activation[ACT_TANH], ACT_TANH, "", KEY_FROM},
    {&imgrec__op_activation[ACT_SILU], ACT_SILU, "", KEY_FROM},
    {&imgrec__op_activation[ACT_GELU], ACT_GELU, "", KEY_FROM},
    {&imgrec__op_activation[ACT_HARD_SWISH], ACT_HARD_SWISH, "", KEY_FROM},
    {&imgrec__op_activation[ACT_HARD_SIGMOID], ACT_HARD_SIGMOID, "", KEY_FROM},
};

enum { SPEC_COUNT = sizeof specs / sizeof specs[0] };

static int word_is(const char *s, size_t n, const char *word) {
  return strlen(word) == n && memcmp(s, word, n) == 0;
}

const struct layer_spec *imgrec__layer_spec(const char *type, size_t length) {
  for (size_t i = 0; i < SPEC_COUNT; i++)
    if (word_is(type, length, specs[i].op->type))
      return &specs[i];
  return NULL;
}

void imgrec__layer_defaults(const struct layer_spec *spec, struct node *n,
                            struct layer_words *words) {
  (void)spec;
  memset(words, 0, sizeof *words);
  words->activation = -1;
  for (int axis = 0; axis < 2; axis++) {
    n->kernel[axis] = 1;
    n->stride[axis] = n->dilation[axis] = 1;
  }
  n->groups = n->units = 1;
  n->bias = 1;
  n->alpha = 0.01F;
  n->epsilon = 1e-5F;
  n->momentum = 0.9F;
}

/* ---- Values -------------------------------------------------------------- */

struct word {
  const char *key; /* for the sentence: "stride=", or "the kernel " */
  const char *s;
  size_t n;
};

static int fail_word(struct error *e, const struct node *n,
                     const struct word *w, const char *right) {
  return imgrec__fail_node(e, n, "%s%.*s: must be %s", w->key,
                           (int)min_size(w->n, 40), w->s, right);
}

static int read_int(const struct word *w, const struct node *n, int64_t low,
                    int64_t high, const char *right, int64_t *out,
                    struct error *e) {
  int64_t value;
  if (!imgrec__parse_int(w->s, w->n, &value) || value < low || value > high)
    return fail_word(e, n, w, right);
  *out = value;
  return IMGREC_OK;
}

/* "3", or "3x1" for rows and columns. */
static int read_pair(const struct word *w, const struct node *n, int64_t low,
                     int64_t high, const char *right, int64_t out[2],
                     struct error *e) {
  const char *x = memchr(w->s, 'x', w->n);
  size_t first = x ? (size_t)(x - w->s) : w->n;
  int64_t a, b;
  if (!imgrec__parse_int(w->s, first, &a))
    return fail_word(e, n, w, right);
  b = a;
  if (x && !imgrec__parse_int(x + 1, w->n - first - 1, &b))
    return fail_word(e, n, w, right);
  if (a < low || a > high || b < low || b > high)
    return fail_word(e, n, w, right);
  out[0] = a;
  out[1] = b;
  return IMGREC_OK;
}

static int read_float(const struct word *w, const struct node *n, float low,
                      float high, const char *right, float *out,
                      struct error *e) {
  float value;
  if (!imgrec__parse_float(w->s, w->n, &value) || !(value >= low) ||
      !(value < high))
    return fail_word(e, n, w, right);
  *out = value;
  return IMGREC_OK;
}

static int read_padding(const struct word *w, struct node *n, struct error *e) {
  int64_t pair[2];
  n->pad_same = word_is(w->s, w->n, "same");
  if (n->pad_same || word_is(w->s, w->n, "valid"))
    return IMGREC_OK;
  int status = read_pair(w, n, 0, 254,
                         "same, valid, or 0 to 254, such as 1 or 1x0", pair, e);
  if (status < 0)
    return status;
  n->pad[0] = n->pad[2] = pair[0];
  n->pad[1] = n->pad[3] = pair[1];
  return IMGREC_OK;
}

static int read_bias(const struct word *w, struct node *n, struct error *e) {
  n->bias = word_is(w->s, w->n, "true");
  if (n->bias || word_is(w->s, w->n, "false"))
    return IMGREC_OK;
  return fail_word(e, n, w, "true or false");
}

static int read_order(const struct word *w, struct node *n, struct error *e) {
  n->flatten_chw = word_is(w->s, w->n, "chw");
  if (n->flatten_chw || word_is(w->s, w->n, "hwc"))
    return IMGREC_OK;
  return fail_word(e, n, w, "hwc or chw");
}

static int read_activation(const struct word *w, struct node *n,
                           struct layer_words *words, struct error *e) {
  for (int i = 0; i < ACT_COUNT; i++)
    if (word_is(w->s, w->n, imgrec__op_activation[i].type)) {
      words->activation = i;
      return IMGREC_OK;
    }
  if (word_is(w->s, w->n, "linear"))
    return IMGREC_OK;
  return fail_word(e, n, w,
                   "relu, relu6, leaky_relu, sigmoid, tanh, silu, gelu, "
                   "hard_swish, hard_sigmoid or linear");
}

static int read_key(unsigned key, const struct word *w, struct node *n,
                    struct layer_words *words, struct error *e) {
  switch (key) {
  case KEY_KERNEL:
    return read_pair(w, n, 1, 255, "1 to 255, such as 3 or 3x1", n->kernel, e);
  case KEY_STRIDE:
    return read_pair(w, n, 1, 255, "1 to 255, such as 2 or 2x1", n->stride, e);
  case KEY_DILATION:
    return read_pair(w, n, 1, 255, "1 to 255, such as 2", n->dilation, e);
  case KEY_PADDING:
    return read_padding(w, n, e);
  case KEY_GROUPS:
    return read_int(w, n, 1, 1 << 20, "1 to 1048576", &n->groups, e);
  case KEY_BIAS:
    return read_bias(w, n, e);
  case KEY_ACTIVATION:
    return read_activation(w, n, words, e);
  case KEY_ALPHA:
    return read_float(w, n, 0, 1, "a number in [0, 1)", &n->alpha, e);
  case KEY_EPSILON:
    return read_float(w, n, 1e-12F, 1, "a number in [1e-12, 1)", &n->epsilon,
                      e);
  case KEY_MOMENTUM:
    return read_float(w, n, 0, 1, "a number in [0, 1)", &n->momentum, e);
  case KEY_ORDER:
    return read_order(w, n, e);
  default: /* KEY_FROM: names are looked up when all words are read */
    words->from = w->s;
    words->from_length = w->n;
    return IMGREC_OK;
  }
}

static int read_positional(char what, const char *s, size_t length,
                           struct node *n, struct error *e) {
  struct word w = {"the size ", s, length};
  switch (what) {
  case 'h':
    return read_int(&w, n, 1, 16384, "1 to 16384", &n->out.h, e);
  case 'w':
    return read_int(&w, n, 1, 16384, "1 to 16384", &n->out.w, e);
  case 'c':
    w.key = "the number of channels ";
    return read_int(&w, n, 1, 4096, "1 to 4096", &n->out.c, e);
  case 'k':
    w.key = "the kernel ";
    return read_pair(&w, n, 1, 255, "1 to 255, such as 2 or 2x1", n->kernel, e);
  case 'r':
    w.key = "the rate ";
    return read_float(&w, n, 0, 1, "a number in [0, 1)", &n->rate, e);
  default:
    w.key = n->op == &imgrec__op_dense ? "the number of units "
                                       : "the number of filters ";
    return read_int(&w, n, 1, 1 << 20, "1 to 1048576", &n->units, e);
  }
}

/* ---- Words --------------------------------------------------------------- */

static int read_assignment(const struct layer_spec *spec, struct node *n,
                           struct layer_words *words, const char *s,
                           const char *equals, size_t length, struct error *e) {
  size_t k = 0, key_length = (size_t)(equals - s);
  while (k < KEY_COUNT && !word_is(s, key_length, key_names[k].name))
    k++;
  if (k == KEY_COUNT || !(spec->keys & key_names[k].key))
    return imgrec__fail_node(e, n, "does not know '%.*s'",
                             (int)min_size(key_length, 40), s);
  if (words->seen & key_names[k].key)
    return imgrec__fail_node(e, n, "%s is given twice", key_names[k].name);
  words->seen |= key_names[k].key;
  char key[24];
  const struct word w = {key, equals + 1, length - key_length - 1};
  memcpy(key, s, key_length + 1); /* with its '=' */
  key[key_length + 1] = '\0';
  return read_key(key_names[k].key, &w, n, words, e);
}

int imgrec__layer_word(const struct layer_spec *spec, struct node *n,
                       struct layer_words *words, const char *s, size_t length,
                       struct error *e) {
  const char *equals = memchr(s, '=', length);
  if (equals)
    return read_assignment(spec, n, words, s, equals, length, e);
  if ((size_t)words->positional >= strlen(spec->positional))
    return imgrec__fail_node(e, n, "does not know what '%.*s' is for",
                             (int)min_size(length, 40), s);
  return read_positional(spec->positional[words->positional++], s, length, n,
                         e);
}

static const char *missing(char what) {
  switch (what) {
  case 'k':
    return "needs its kernel, such as 'max_pool2d 2'";
  case 'r':
    return "needs its rate, such as 'dropout 0.5'";
  case 'u':
    return "needs a number behind its type, such as 'conv2d 32' or 'dense 10'";
  default:
    return "needs height, width and channels, such as 'input 224 224 3'";
  }
}

int imgrec__layer_complete(const struct layer_spec *spec, struct node *n,
                           const struct layer_words *words, struct error *e) {
  char next = spec->positional[words->positional];
  if (next != '\0' && next != 'm')
    return imgrec__fail_node(e, n, "%s", missing(next));
  if ((spec->keys & KEY_KERNEL) && !(words->seen & KEY_KERNEL))
    return imgrec__fail_node(e, n, "needs its kernel, such as kernel=3");
  if (spec->positional[0] == 'k' && !(words->seen & KEY_STRIDE))
    memcpy(n->stride, n->kernel, sizeof n->stride);
  return IMGREC_OK;
}

/* ---- The input ----------------------------------------------------------- */

static int input_setup(struct node *n, struct error *e) {
  (void)n;
  (void)e;
  return IMGREC_OK;
}

static unsigned input_flags(const struct node *n) {
  (void)n;
  return 0;
}

const struct op imgrec__op_input = {.type = "input",
                                    .prefix = "input",
                                    .setup = input_setup,
                                    .flags = input_flags};
