/* SPDX-License-Identifier: MIT */
/* The log of a training run: a JSON object a line, of which numbers are taken
 * by name, whatever else is there. */
#include "report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 65536
#define EPOCHS_MAX     1000000

/* The number behind "key": in a line, NaN where there is none. */
static double number_of(const char *line, const char *key) {
  char quoted[64];
  int n = snprintf(quoted, sizeof quoted, "\"%s\"", key);
  for (const char *at = line; (at = strstr(at, quoted)) != NULL;) {
    at += n;
    at += strspn(at, " \t");
    if (*at != ':')
      continue;
    char *end;
    double x = strtod(at + 1, &end);
    return end == at + 1 ? (double)NAN : x;
  }
  return (double)NAN;
}

/* Those of a run that was taken up again replace what came after. */
static int add_epoch(struct train_log *log, const struct epoch *e) {
  while (log->count > 0 && log->epochs[log->count - 1].epoch >= e->epoch)
    log->count--;
  if ((log->count & (log->count - 1)) == 0) {
    size_t room = log->count > 0 ? 2 * (size_t)log->count : 1;
    struct epoch *more = realloc(log->epochs, room * sizeof *more);
    if (more == NULL)
      return 0;
    log->epochs = more;
  }
  log->epochs[log->count++] = *e;
  return 1;
}

/* Other lines may name an epoch too. */
static int has_values(const struct epoch *e) {
  return isfinite(e->train_loss) || isfinite(e->train_accuracy) ||
         isfinite(e->val_loss) || isfinite(e->val_accuracy);
}

static int add_line(struct train_log *log, const char *line) {
  const struct epoch e = {
      .epoch = number_of(line, "epoch"),
      .train_loss = number_of(line, "train_loss"),
      .train_accuracy = number_of(line, "train_accuracy"),
      .val_loss = number_of(line, "val_loss"),
      .val_accuracy = number_of(line, "val_accuracy"),
      .learning_rate = number_of(line, "learning_rate"),
      .images_per_second = number_of(line, "images_per_second"),
  };
  if (!isfinite(e.epoch) || !has_values(&e) || log->count >= EPOCHS_MAX)
    return 1;
  return add_epoch(log, &e);
}

int read_log(struct train_log *out, const char *path, const char *command) {
  static char line[LINE_MAX_BYTES];
  FILE *f = os_open(path, "r");
  if (f == NULL)
    return fail(command, "%s: %s", path, strerror(errno));
  int good = 1;
  while (good && fgets(line, sizeof line, f) != NULL)
    good = add_line(out, line);
  int failed = ferror(f);
  fclose(f);
  if (!good)
    return fail(command, "%s: out of memory", path);
  if (failed)
    return fail(command, "%s: cannot be read", path);
  if (out->count == 0)
    return fail(command,
                "%s: has no line with an \"epoch\"; it should be the "
                "log.jsonl of a run, or what train --json printed",
                path);
  return EXIT_OK;
}

/* As imgrec_fit decides: by accuracy, of equal ones by the lower loss. */
static int is_better(const struct epoch *e, const struct epoch *than) {
  if (than == NULL || e->val_accuracy != than->val_accuracy)
    return than == NULL || e->val_accuracy > than->val_accuracy;
  return e->val_loss < than->val_loss;
}

const struct epoch *best_epoch(const struct train_log *log) {
  const struct epoch *best = NULL;
  for (int i = 0; i < log->count; i++)
    if (isfinite(log->epochs[i].val_accuracy) &&
        is_better(&log->epochs[i], best))
      best = &log->epochs[i];
  return best;
}
