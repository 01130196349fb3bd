/* SPDX-License-Identifier: MIT */
/* imgrec bench: how fast a network runs or trains here, and how near that is to
 * what the machine can do. */
#include "bench.h"

#define NAME "bench"

static int check_settings(const struct settings *s) {
  if (s->runs > 0 && s->seconds > 0)
    return usage_error(NAME, "--runs and --seconds exclude each other");
  return check_network(s, NAME);
}

/* The machine comes last: what measures it needs memory of its own. */
static int measure(struct bench *b, const struct settings *s) {
  int code = open_bench(b, s);
  if (code == EXIT_OK)
    code = run_bench(b);
  if (code != EXIT_OK)
    return code;
  if (imgrec_model_memory(b->model, (int)s->batch, s->train, &b->model_bytes) <
      0)
    return fail(NAME, "%s", imgrec_last_error(b->ctx));
  b->max_bytes = os_peak_memory();
  measure_machine(&b->machine, imgrec_context_threads(b->ctx));
  return report_bench(b);
}

int cmd_bench(const struct settings *s) {
  struct bench b;
  int code = check_settings(s);
  if (code != EXIT_OK)
    return code;
  code = measure(&b, s);
  close_bench(&b);
  return code;
}
