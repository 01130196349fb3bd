/* SPDX-License-Identifier: MIT */
/* The optimisers' rules, for an operator that applies one to a weight gradient
 * as it comes and for the trainer, which applies it to all others. */
#include "op.h"

/* Adam and gradient descent as most ask for them. */
static void plain(const struct update *u, float rate, float *w, const float *g,
                  size_t n) {
  const struct kernels *k = u->kernels;
  size_t at = (size_t)(w - u->weights);
  if (u->moment2)
    k->adam(w, u->moment1 + at, u->moment2 + at, g, n, u->scale, rate,
            1 - u->beta1, 1 - u->beta2, u->epsilon);
  else
    k->sgd(w, u->moment1 + at, g, n, u->scale, rate, u->momentum);
}

void imgrec__update(const struct update *u, const struct update_rule *rule,
                    float *w, const float *g, size_t n) {
  float rate = u->rate * rule->rate;
  float decay = rule->decays ? u->decay : 0;
  float shrink = rule->decays ? u->shrink * rule->rate : 0;
  size_t at = (size_t)(w - u->weights);
  const struct adam_step adam = {u->scale,   rate,  1 - u->beta1, 1 - u->beta2,
                                 u->epsilon, decay, shrink};
  const struct sgd_step sgd = {u->scale, rate, u->momentum, decay, u->nesterov};
  if (decay == 0 && shrink == 0 && !u->nesterov)
    plain(u, rate, w, g, n);
  else if (u->moment2)
    u->kernels->adam_decay(w, u->moment1 + at, u->moment2 + at, g, n, &adam);
  else
    u->kernels->sgd_decay(w, u->moment1 + at, g, n, &sgd);
}
