/* SPDX-License-Identifier: MIT */
/* The optimisers' rules, for an operator that applies one to a weight gradient
 * as it comes and for the trainer, which applies it to all others. */
#include "op.h"

void imgrec__update(const struct update *u, float *w, const float *g,
                    size_t n) {
  const struct kernels *k = u->kernels;
  size_t at = (size_t)(w - u->weights);
  if (u->moment2)
    k->adam(w, u->moment1 + at, u->moment2 + at, g, n, 1, u->rate, 1 - u->beta1,
            1 - u->beta2, u->epsilon);
  else
    k->sgd(w, u->moment1 + at, g, n, 1, u->rate, u->momentum);
}
