/* SPDX-License-Identifier: MIT */
/* Every kernel of the library as something that can be called: what it works
 * on, how much work it is. */
#ifndef BENCH_KERNEL_TABLE_H
#define BENCH_KERNEL_TABLE_H

#include "kernels/kernels.h"

enum { INPUTS = 4 };

/* What the kernels read, ROOM floats in [-1, 1) each, and what they write. */
enum { ROOM = 1 << 19 };

struct data {
  float *in[INPUTS];
  uint8_t *won; /* ROOM numbers of 0 to 4, as max pooling leaves them */
  float *out;   /* ROOM; those that update find |in[3]| there */
};

/* A call of a kernel, or of one after another where one is too little. */
struct kernel_row {
  const char *name;
  void (*run)(const struct kernels *k, const struct data *d, int which);
  int which;    /* handed to run */
  size_t words; /* of out that it writes, of 4 bytes */
  double flops; /* of a call; 0: its bytes are what counts */
  double bytes; /* read and written */
};

/* The last has no name. */
extern const struct kernel_row kernel_rows[];

/* 0 without memory. */
int create_data(struct data *d);
/* Makes `out` what it was at first. */
void reset_data(struct data *d);
void destroy_data(struct data *d);

#endif
