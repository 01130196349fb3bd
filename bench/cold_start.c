/* SPDX-License-Identifier: MIT */
/* How long whole processes take, one beside the other: the first of the
 * programs is the measure, and does nothing.
 *   cold_start ARGUMENT PROGRAM PROGRAM...
 * Prints the medians of 201 runs of each, in turns, and what is beyond the
 * first's: milliseconds until it has ended, and of processors at work for it,
 * which other programs of a busy machine do not add to. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

enum { RUNS = 201, PROGRAMS = 8 };

extern char **environ;

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

struct times {
  double wall[RUNS], cpu[RUNS];
};

static double ms_of(const struct timeval *t) {
  return 1e3 * (double)t->tv_sec + 1e-3 * (double)t->tv_usec;
}

/* 0 where it cannot be run, or fails. */
static int run(struct times *t, int i, char *program, char *argument) {
  char *const argv[] = {program, argument, NULL};
  struct rusage used;
  pid_t pid;
  int status;
  double start = now_ms();
  if (posix_spawn(&pid, program, NULL, NULL, argv, environ) != 0 ||
      wait4(pid, &status, 0, &used) != pid || status != 0)
    return 0;
  t->wall[i] = now_ms() - start;
  t->cpu[i] = ms_of(&used.ru_utime) + ms_of(&used.ru_stime);
  return 1;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *times) {
  qsort(times, RUNS, sizeof *times, by_value);
  return times[RUNS / 2];
}

int main(int argc, char **argv) {
  static struct times times[PROGRAMS];
  int programs = argc - 2;
  if (programs < 2 || programs > PROGRAMS) {
    fprintf(stderr, "usage: cold_start ARGUMENT PROGRAM PROGRAM...\n");
    return 2;
  }
  for (int i = 0; i < RUNS; i++)
    for (int k = 0; k < programs; k++)
      if (!run(&times[k], i, argv[k + 2], argv[1])) {
        fprintf(stderr, "cold_start: %s failed\n", argv[k + 2]);
        return 1;
      }
  double wall = median(times[0].wall), cpu = median(times[0].cpu);
  printf("%-28s %10s %10s %10s %10s\n", "program", "wall ms", "beyond",
         "cpu ms", "beyond");
  for (int k = 0; k < programs; k++) {
    double w = median(times[k].wall), c = median(times[k].cpu);
    printf("%-28s %10.2f %10.2f %10.2f %10.2f\n", argv[k + 2], w, w - wall, c,
           c - cpu);
  }
  return 0;
}
