/* SPDX-License-Identifier: MIT */
/* Random graphs as architecture texts: every value has one shape, so that any
 * can feed any.  Include behind cmocka.h. */
#ifndef RANDOM_NET_H
#define RANDOM_NET_H

#include "nets.h"

struct random_net {
  char text[2048];
  size_t length;
  int used[9], count;
  uint64_t seed, drawn;
};

static inline int draw(struct random_net *t, int n) {
  return (int)imgrec__random_below(t->seed, 5, t->drawn++, (uint64_t)n);
}

/* One of the values so far, which from now on counts as used. */
static inline int draw_value(struct random_net *t) {
  int v = draw(t, t->count);
  t->used[v] = 1;
  return v;
}

static inline void put_text(struct random_net *t, const char *text) {
  size_t n = strlen(text);
  assert_true(t->length + n < sizeof t->text);
  memcpy(t->text + t->length, text, n + 1);
  t->length += n;
}

/* One more value, from one or two of those before. */
static inline void put_random_layer(struct random_net *t) {
  static const char *const unary[] = {
      "conv2d 3 kernel=3 padding=same",
      "conv2d 3 kernel=1 activation=leaky_relu",
      "depthwise_conv2d kernel=3x1 padding=1x0 activation=tanh",
      "relu",
      "gelu",
      "sigmoid",
      "softmax",
      "batch_norm",
      "batch_norm activation=silu",
      "dropout 0.3",
      "max_pool2d 3 stride=1 padding=same",
      "avg_pool2d 2 stride=1 padding=same"};
  static const char *const binary[] = {"add", "mul", "add"};
  enum { UNARY = 12, KINDS = UNARY + 5 };
  int kind = draw(t, KINDS), a = draw_value(t);
  char line[120];
  if (kind < UNARY)
    snprintf(line, sizeof line, "v%d = %s from=v%d\n", t->count, unary[kind],
             a);
  else
    snprintf(line, sizeof line, "v%d = %s from=v%d,v%d\n", t->count,
             binary[kind % 3], a, draw_value(t));
  put_text(t, line);
  t->used[t->count++] = 0;
}

/* What nothing has used yet goes into the classifier. */
static inline void put_classifier(struct random_net *t) {
  char name[16];
  int unused = 0;
  for (int i = 0; i < t->count; i++)
    unused += !t->used[i];
  put_text(t, unused > 1 ? "concat from=" : "flatten from=");
  for (int i = 0; i < t->count; i++)
    if (!t->used[i]) {
      snprintf(name, sizeof name, "v%d%s", i, --unused > 0 ? "," : "\n");
      put_text(t, name);
    }
  put_text(t, "flatten\ndense 4\nsoftmax\n");
}

/* A network of `layers` <= 7 random layers over 4 x 3 x 3. */
static inline const char *random_net(struct random_net *t, uint64_t seed,
                                     int layers) {
  memset(t, 0, sizeof *t);
  t->seed = seed;
  t->count = 1;
  put_text(t, "v0 = input 4 3 3\n");
  for (int i = 0; i < layers; i++)
    put_random_layer(t);
  put_classifier(t);
  return t->text;
}

#endif
