/* SPDX-License-Identifier: MIT */
/* The instruction sets that this build and this processor have. */
#ifndef IMGREC_TESTS_ISAS_H
#define IMGREC_TESTS_ISAS_H

#include "context.h"

/* for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) */
static inline int next_isa(int isa) {
  for (isa++; isa <= imgrec__cpu_isa(); isa++)
    if (imgrec__kernels_for(isa) != NULL)
      return isa;
  return 0;
}

#endif
