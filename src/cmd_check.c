/* SPDX-License-Identifier: MIT */
/* imgrec check: looks over data without training on it. */
#include "data_care.h"

#define NAME "check"

/* The part of `given`, or all of it; else of DATA, if it is there. */
static int open_part(imgrec_dataset **out, imgrec_context *ctx,
                     const char *data, const char *given, int part) {
  const int parts[] = {part, IMGREC_PART_ANY};
  int status = open_first_part(out, NULL, ctx, given ? given : data, parts,
                               given ? 2 : 1);
  if (status == IMGREC_ERR_NOT_FOUND && given == NULL)
    return EXIT_OK;
  if (status < 0)
    return fail(NAME, "%s", imgrec_last_error(ctx));
  warn_skipped(*out, NAME);
  return EXIT_OK;
}

static int open_all(imgrec_dataset *sets[CARE_SETS], imgrec_context *ctx,
                    const struct settings *s) {
  const char *data = s->arguments[0];
  int code = open_training(&sets[0], ctx, data, NAME);
  if (code == EXIT_OK)
    code = open_part(&sets[1], ctx, data, s->val, IMGREC_PART_VAL);
  if (code == EXIT_OK)
    code = open_part(&sets[2], ctx, data, s->test, IMGREC_PART_TEST);
  return code;
}

static void report(const struct care *c, const struct settings *s) {
  char line[4 * NAME_SIZE];
  if (s->json) {
    print_data_json(c);
    print_duplicates_json(c);
    return;
  }
  printf("data: %s\n",
         printable(line, sizeof line, imgrec_dataset_description(c->sets[0])));
  print_data_table(c, 1);
}

static int run(struct care *c, imgrec_context *ctx,
               imgrec_dataset *sets[CARE_SETS], const struct settings *s) {
  static const char *const names[] = {"train", "val", "test"};
  int code = open_all(sets, ctx, s);
  for (int i = 0; i < CARE_SETS && code == EXIT_OK; i++)
    care_add(c, sets[i], names[i], 0);
  if (code == EXIT_OK)
    code = care_examine(c, ctx);
  if (code == EXIT_OK)
    report(c, s);
  return code;
}

int cmd_check(const struct settings *s) {
  imgrec_dataset *sets[CARE_SETS] = {NULL};
  imgrec_context *ctx = NULL;
  struct care c = {.command = NAME};
  if (s->argument_count != 1)
    return usage_error(NAME, "give one DATA, not %d", s->argument_count);
  int code = open_context(&ctx, s, NAME);
  if (code == EXIT_OK)
    code = run(&c, ctx, sets, s);
  care_free(&c);
  for (int i = 0; i < CARE_SETS; i++)
    imgrec_dataset_destroy(sets[i]);
  imgrec_context_destroy(ctx);
  return code;
}
