/* SPDX-License-Identifier: MIT */
/* The words that each type of layer knows: between arch.c, which reads lines,
 * and layer_spec.c, which reads words. */
#ifndef IMGREC_LAYER_SPEC_H
#define IMGREC_LAYER_SPEC_H

#include "graph.h"

struct layer_spec {
  const struct op *op;
  int activation;         /* of an activation layer */
  const char *positional; /* what the numbers behind the type mean */
  unsigned keys;          /* which key=value it takes */
};

/* What a line says that is not kept in the node. */
struct layer_words {
  const char *from; /* NULL: the layer before */
  size_t from_length;
  int activation; /* enum activation, or -1 */
  int positional; /* how many numbers were given */
  unsigned seen;  /* keys */
};

/* NULL for a type that there is not. */
const struct layer_spec *imgrec__layer_spec(const char *type, size_t length);
void imgrec__layer_defaults(const struct layer_spec *spec, struct node *n,
                            struct layer_words *words);
/* One word behind the type. */
int imgrec__layer_word(const struct layer_spec *spec, struct node *n,
                       struct layer_words *words, const char *s, size_t length,
                       struct error *e);
/* All words are read: what is missing, and what follows from others. */
int imgrec__layer_complete(const struct layer_spec *spec, struct node *n,
                           const struct layer_words *words, struct error *e);

#endif
