/* SPDX-License-Identifier: MIT */
/* config.txt: all that a run was told, to read, to repeat, and to go on. */
#include "run_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARCHITECTURE "architecture:"
/* What may be given again with --resume: nothing that changes a bit. */
#define GIVEN_AGAIN "resume|threads|isa|json|checkpoint-minutes|cache"

/* ---- Writing ------------------------------------------------------------ */

/* A value on one line: \n and \\ stand for what would break it. */
static void put_value(FILE *f, const char *value) {
  for (; *value != '\0'; value++)
    if (*value == '\n')
      fputs("\\n", f);
    else if (*value == '\\')
      fputs("\\\\", f);
    else
      fputc(*value, f);
  fputc('\n', f);
}

/* The run may be taken up again from another folder. */
static void put_path(FILE *f, const char *path) {
  char *whole = os_full_path(path);
  put_value(f, whole != NULL ? whole : path);
  free(whole);
}

static void put_option(void *user, const char *name, const char *value,
                       int is_path) {
  FILE *f = user;
  if (strcmp(name, "run") == 0 || strcmp(name, "resume") == 0)
    return;
  fprintf(f, "--%s%s", name, value[0] != '\0' ? " = " : "\n");
  if (is_path)
    put_path(f, value);
  else if (value[0] != '\0')
    put_value(f, value);
}

static void put_word(FILE *f, const char *word) {
  char *quoted = shell_word(word);
  fputs(quoted != NULL ? quoted : word, f);
  free(quoted);
}

static void put_argument(void *user, const char *name, const char *value,
                         int is_path) {
  FILE *f = user;
  (void)is_path;
  if (strcmp(name, "run") == 0 || strcmp(name, "resume") == 0)
    return;
  fprintf(f, " --%s", name);
  if (value[0] == '\0')
    return;
  fputc(' ', f);
  put_word(f, value);
}

static void put_all(FILE *f, const struct settings *s,
                    const struct run_facts *facts) {
  fputs("# A training run.  `imgrec train --resume` with this folder goes on "
        "with it.\n# To repeat it:\n# imgrec train ",
        f);
  put_word(f, facts->data);
  each_given_option(s, put_argument, f);
  fprintf(f, " --run ANOTHER\n\nversion = %s\narithmetic = %d\ndata = ",
          imgrec_version_string(), imgrec_arithmetic_version());
  put_path(f, facts->data);
  fprintf(f, "training-images = %s\n", facts->train_digest);
  if (facts->val_digest[0] != '\0')
    fprintf(f, "validation-images = %s\n", facts->val_digest);
  each_given_option(s, put_option, f);
  fprintf(f, "\n" ARCHITECTURE "\n%s", facts->architecture);
}

struct config_parts {
  const struct settings *settings;
  const struct run_facts *facts;
};

static void put_parts(FILE *f, void *user) {
  const struct config_parts *parts = user;
  put_all(f, parts->settings, parts->facts);
}

char *config_text(const struct settings *s, const struct run_facts *facts) {
  struct config_parts parts = {s, facts};
  return os_print(put_parts, &parts);
}

/* ---- Reading ------------------------------------------------------------ */

static void unescape(char *value) {
  char *to = value;
  for (; *value != '\0'; value++) {
    if (*value == '\\' && value[1] != '\0')
      *to++ = *++value == 'n' ? '\n' : *value;
    else
      *to++ = *value;
  }
  *to = '\0';
}

/* "--name" and, with a value, " = value". */
static int take_line(struct config *c, struct settings *s, char *line) {
  char *equals = strstr(line, " = ");
  char *value = equals != NULL ? equals + 3 : line + strlen(line);
  if (equals != NULL)
    *equals = '\0';
  unescape(value);
  if (strncmp(line, "--", 2) == 0)
    return set_option(s, CMD_TRAIN, line + 2, value);
  if (strcmp(line, "data") == 0)
    c->arguments[0] = value;
  else if (strcmp(line, "training-images") == 0)
    c->train_digest = value;
  else if (strcmp(line, "validation-images") == 0)
    c->val_digest = value;
  return 1; /* a later version may say more */
}

static int take_lines(struct config *c, struct settings *s, const char *path,
                      const char *command) {
  char *rest = NULL;
  for (char *line = strtok_r(c->text, "\n", &rest); line != NULL;
       line = strtok_r(NULL, "\n", &rest)) {
    if (strcmp(line, ARCHITECTURE) == 0)
      break;
    if (line[0] != '#' && !take_line(c, s, line))
      return fail(command, "%s: '%s' is no option with such a value", path,
                  line);
  }
  if (c->arguments[0] == NULL || c->train_digest == NULL)
    return fail(command, "%s is damaged: it does not name the data", path);
  return EXIT_OK;
}

static int read_file(struct config *c, const char *folder, char *path,
                     size_t size, const char *command) {
  snprintf(path, size, "%s/config.txt", folder);
  if (os_kind(path) == OS_NONE)
    return fail(command, "%s has no run: there is no %s", folder, path);
  return read_text_file(&c->text, path, command);
}

int config_read(struct config *c, struct settings *s, const char *folder,
                const char *command) {
  size_t size = strlen(folder) + sizeof "/config.txt";
  char *path = malloc(size);
  *c = (struct config){.text = NULL};
  if (path == NULL)
    return fail(command, "out of memory");
  int code = read_file(c, folder, path, size, command);
  if (code == EXIT_OK)
    code = take_lines(c, s, path, command);
  free(path);
  return code;
}

int config_resume(struct config *c, struct settings *s, const char *folder,
                  const char *command) {
  const char *wrong = given_beyond(s, GIVEN_AGAIN);
  if (wrong != NULL)
    return usage_error(command,
                       "--resume goes on with the options that the run was "
                       "begun with; --%s cannot be given",
                       wrong);
  if (s->argument_count > 0)
    return usage_error(command, "--resume knows the data; do not give them");
  int code = config_read(c, s, folder, command);
  s->arguments = c->arguments;
  s->argument_count = 1;
  return code;
}

int config_digests(char train[65], char val[65], const imgrec_dataset *t,
                   const imgrec_dataset *v) {
  int status = imgrec_dataset_digest(t, train, 65);
  val[0] = '\0';
  if (status >= 0 && v != NULL)
    status = imgrec_dataset_digest(v, val, 65);
  return status;
}
