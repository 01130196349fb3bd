/* SPDX-License-Identifier: MIT */
/* DIR/config.txt, log.jsonl, last.safetensors, best.safetensors, report.html:
 * made, found again, and kept in order. */
#include "run_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Paths -------------------------------------------------------------- */

static char *join(const char *folder, const char *name) {
  size_t size = strlen(folder) + strlen(name) + 2;
  char *path = malloc(size);
  if (path != NULL)
    snprintf(path, size, "%s/%s", folder, name);
  return path;
}

static int name_files(struct run *run, const char *folder) {
  run->folder = folder;
  run->config_path = join(folder, "config.txt");
  run->log_path = join(folder, "log.jsonl");
  run->last_path = join(folder, "last.safetensors");
  run->best_path = join(folder, "best.safetensors");
  return run->config_path && run->log_path && run->last_path && run->best_path;
}

static int there_is(const char *folder, const char *name) {
  char *path = join(folder, name);
  int found = path != NULL && os_kind(path) != OS_NONE;
  free(path);
  return found;
}

int run_has_config(const char *folder) {
  return there_is(folder, "config.txt");
}

/* ---- A new one ---------------------------------------------------------- */

int run_check(const char *folder, const char *command) {
  int kind = os_kind(folder);
  if (kind == OS_NONE)
    return EXIT_OK; /* run_begin makes it, or says why not */
  if (kind != OS_FOLDER)
    return fail(command, "--run: %s is no folder", folder);
  if (!run_has_config(folder))
    return EXIT_OK;
  char *word = shell_word(folder);
  int code = fail(command,
                  "--run: %s has a run already: go on with it by --resume %s, "
                  "or name another folder",
                  folder, word != NULL ? word : folder);
  free(word);
  return code;
}

static int write_text(const char *path, const char *text) {
  FILE *f = os_open(path, "w");
  if (f == NULL)
    return 0;
  int good = fputs(text, f) >= 0 && os_sync(f) == 0;
  return fclose(f) == 0 && good;
}

/* Held by one process at a time, for as long as it lives. */
static int lock_log(struct run *run, const char *command) {
  if (os_lock(run->log))
    return EXIT_OK;
  return fail(command, "%s: another process is training there", run->folder);
}

static int open_log(struct run *run, const char *command) {
  run->log = os_open(run->log_path, "a+");
  if (run->log == NULL)
    return fail(command, "cannot write %s: %s", run->log_path, strerror(errno));
  run->last_checkpoint = seconds_now();
  return lock_log(run, command);
}

int run_begin(struct run *run, const char *folder, const char *command) {
  if (!name_files(run, folder))
    return fail(command, "out of memory");
  if (os_make_folder(folder) != 0)
    return fail(command, "--run: cannot make %s: %s", folder, strerror(errno));
  int code = open_log(run, command);
  if (code == EXIT_OK && !write_text(run->config_path, run->config))
    code =
        fail(command, "cannot write %s: %s", run->config_path, strerror(errno));
  return code;
}

/* ---- One that is there -------------------------------------------------- */

static void remove_leftover(void *user, const char *name) {
  const struct run *run = user;
  int is_one = strstr(name, ".safetensors.tmp-") != NULL;
  char *path = is_one ? join(run->folder, name) : NULL;
  if (path != NULL)
    os_remove(path);
  free(path);
}

/* What a process that was killed while it wrote has left behind. */
static void remove_leftovers(struct run *run) {
  os_list(run->folder, remove_leftover, run);
}

/* Whether a line of the log stays: a whole one, of an epoch that need not be
 * done again; none where all begins anew. */
static int line_stays(const char *line, int epochs_done) {
  int epoch = 0;
  if (strchr(line, '\n') == NULL || epochs_done < 0)
    return 0;
  if (sscanf(line, "{\"event\":\"epoch\",\"epoch\":%d", &epoch) != 1)
    return 1;
  return epoch <= epochs_done;
}

/* Lines of any length, for free(). */
static int copy_lines(FILE *from, FILE *to, int epochs_done) {
  char *line = NULL;
  size_t size = 0;
  while (read_line(&line, &size, from))
    if (line_stays(line, epochs_done))
      fputs(line, to);
  free(line);
  return !ferror(from) && !ferror(to);
}

/* Lines of epochs behind the checkpoint will be written again. */
static int trim_log(const struct run *run, int epochs_done) {
  FILE *from = os_open(run->log_path, "r");
  char *name = join(run->folder, "log.jsonl.tmp");
  FILE *to = name != NULL ? os_open(name, "w") : NULL;
  int good = from == NULL; /* then there is nothing to trim */
  if (from != NULL && to != NULL)
    good = copy_lines(from, to, epochs_done);
  if (to != NULL)
    good = fclose(to) == 0 && good;
  if (from != NULL)
    fclose(from);
  if (good && from != NULL && to != NULL)
    good = os_replace(name, run->log_path) == 0;
  else if (to != NULL)
    os_remove(name);
  free(name);
  return good;
}

static int find_checkpoint(struct run *run, imgrec_context *ctx,
                           const char *command) {
  imgrec_checkpoint_init(&run->at, sizeof run->at);
  if (os_kind(run->last_path) == OS_NONE)
    return EXIT_OK; /* stopped before the first one: from the start */
  if (imgrec_checkpoint_read(ctx, run->last_path, &run->at) < 0)
    return fail(command,
                "%s; without it the run cannot go on, but %s has the best "
                "weights",
                imgrec_last_error(ctx), run->best_path);
  run->resumed = 1;
  return EXIT_OK;
}

int run_reopen(struct run *run, const char *folder, imgrec_context *ctx,
               const char *command) {
  if (!name_files(run, folder))
    return fail(command, "out of memory");
  int code = open_log(run, command);
  if (code == EXIT_OK)
    code = find_checkpoint(run, ctx, command);
  if (code != EXIT_OK)
    return code;
  int done = run->at.epoch - !run->at.epoch_done;
  remove_leftovers(run);
  fclose(run->log); /* the one that is trimmed is another file */
  run->log = NULL;
  if (!trim_log(run, run->resumed ? done : -1))
    return fail(command, "cannot write %s: %s", run->log_path, strerror(errno));
  return open_log(run, command);
}

int run_is_done(const char *folder) {
  char *path = join(folder, "log.jsonl"), *line = NULL;
  FILE *f = path != NULL ? os_open(path, "r") : NULL;
  size_t size = 0;
  int done = 0;
  while (f != NULL && read_line(&line, &size, f))
    done |= strstr(line, "{\"event\":\"done\"") == line;
  if (f != NULL)
    fclose(f);
  free(line);
  free(path);
  return done;
}

/* ---- While it runs ------------------------------------------------------ */

/* The old log can still be read: it is open. */
static void copy_log(struct run *run) {
  FILE *anew = os_open(run->log_path, "a+");
  if (anew == NULL)
    return;
  rewind(run->log);
  copy_lines(run->log, anew, INT32_MAX);
  fclose(run->log);
  run->log = anew;
}

void run_mend(struct run *run) {
  if (os_kind(run->config_path) != OS_NONE)
    return;
  if (os_make_folder(run->folder) != 0)
    return;
  if (write_text(run->config_path, run->config) && run->log != NULL &&
      os_kind(run->log_path) == OS_NONE)
    copy_log(run);
}

struct json_out run_event(struct run *run, const char *name) {
  struct json_out j = {run->log, 0};
  json_open(&j, '{');
  json_key(&j, "event"), json_string(&j, name);
  return j;
}

void run_event_end(struct run *run, struct json_out *j) {
  json_finish(j);
  os_sync(run->log);
}

void run_free(struct run *run) {
  if (run->log != NULL)
    fclose(run->log);
  free(run->config_path);
  free(run->log_path);
  free(run->last_path);
  free(run->best_path);
  free(run->config);
}
