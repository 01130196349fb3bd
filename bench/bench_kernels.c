/* SPDX-License-Identifier: MIT */
/* Speed of each kernel on each instruction set that this CPU has, beside the
 * peak of one core, and whether its bits are those of the scalar table.
 *   bench_kernels [NAME [SECONDS]]
 * NAME: only kernels with that in their names; SECONDS: for each cell (0.05).
 * Exit code 1 where bits differ. */
#include "base.h"
#include "kernel_table.h"
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kernels *table(int isa) {
  return isa <= imgrec__cpu_isa() ? imgrec__kernels_for(isa) : NULL;
}

/* What all cells have in common. */
struct bench {
  struct data data;
  float *want; /* what the scalar table makes */
  double seconds, peak;
};

/* Seconds of a call, the least of several rounds of at least one call. */
static double measure(const struct bench *b, const struct kernels *k,
                      const struct kernel_row *row) {
  enum { ROUNDS = 16 };
  double begin = seconds_now(), least = 0, start, spent;
  long calls = 1;
  do {
    start = seconds_now();
    for (long i = 0; i < calls; i++)
      row->run(k, &b->data, row->which);
    spent = seconds_now() - start;
    if (least == 0 || spent / (double)calls < least)
      least = spent / (double)calls;
    if (spent < b->seconds / ROUNDS)
      calls *= 2;
  } while (start + spent - begin < b->seconds);
  return least;
}

static int same_bits(struct bench *b, const struct kernels *k,
                     const struct kernel_row *row) {
  reset_data(&b->data);
  row->run(k, &b->data, row->which);
  return memcmp(b->data.out, b->want, row->words * sizeof *b->want) == 0;
}

static void print_speed(const struct bench *b, const struct kernel_row *row,
                        double seconds) {
  if (row->flops > 0)
    printf(" %8.1f %3.0f %%", 1e-9 * row->flops / seconds,
           1e-7 * row->flops / seconds / b->peak);
  else
    printf(" %8.1f      ", 1e-9 * row->bytes / seconds);
}

/* Returns whether the bits are right. */
static int print_row(struct bench *b, const struct kernel_row *row) {
  const char *wrong = NULL;
  reset_data(&b->data);
  row->run(table(IMGREC_ISA_SCALAR), &b->data, row->which);
  memcpy(b->want, b->data.out, row->words * sizeof *b->want);
  printf("%-24s", row->name);
  for (int isa = IMGREC_ISA_SCALAR; isa <= IMGREC_ISA_NEON; isa++) {
    const struct kernels *k = table(isa);
    if (k == NULL)
      continue;
    if (!same_bits(b, k, row))
      wrong = k->name;
    print_speed(b, row, measure(b, k, row));
  }
  printf("  %-7s  %s%s\n", row->flops > 0 ? "GFLOP/s" : "GB/s",
         wrong ? "OTHER BITS on " : "same bits", wrong ? wrong : "");
  return wrong == NULL;
}

static int print_rows(struct bench *b, const char *name) {
  int found = 0, wrong = 0;
  printf("peak of a core: %.1f GFLOP/s\n%-24s", b->peak, "kernel");
  for (int isa = IMGREC_ISA_SCALAR; isa <= IMGREC_ISA_NEON; isa++)
    if (table(isa) != NULL)
      printf(" %8s      ", table(isa)->name);
  putchar('\n');
  for (const struct kernel_row *row = kernel_rows; row->name != NULL; row++)
    if (strstr(row->name, name) != NULL) {
      found++;
      wrong += !print_row(b, row);
    }
  if (found == 0)
    fprintf(stderr, "bench_kernels: no kernel has '%s' in its name\n", name);
  return found == 0 || wrong > 0;
}

int main(int argc, char **argv) {
  struct bench b = {.seconds = argc > 2 ? strtod(argv[2], NULL) : 0.05};
  struct machine machine;
  int failed = 1;
  b.want = malloc(ROOM * sizeof *b.want);
  if (create_data(&b.data) && b.want != NULL) {
    measure_machine(&machine, 1);
    b.peak = machine.gflops;
    failed = print_rows(&b, argc > 1 ? argv[1] : "");
  } else {
    fprintf(stderr, "bench_kernels: out of memory\n");
  }
  free(b.want);
  destroy_data(&b.data);
  return failed;
}
