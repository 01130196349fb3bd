/* SPDX-License-Identifier: MIT */
/* What this machine can do, measured: the limits that speeds are compared
 * with.  Also used by bench/. */
#ifndef IMGREC_MACHINE_H
#define IMGREC_MACHINE_H

#include <stdint.h>

struct machine {
  int threads;      /* that ran at once: no more than there are processors */
  double gflops;    /* 1e9 float operations a second: multiply-adds, two each */
  double gigabytes; /* 1e9 bytes a second read from memory; 0: not measured */
};

/* Takes about half a second, and memory many times the caches. */
void measure_machine(struct machine *out, int threads);
/* Seconds of a clock that never goes back. */
double seconds_now(void);

#endif
