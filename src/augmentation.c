/* SPDX-License-Identifier: MIT */
/* --augment: what of it is done, and the line that says so. */
#include "cli.h"

#include <string.h>

static int is_auto(const char *text) {
  return text == NULL || strcmp(text, "auto") == 0;
}

int check_augmentation(imgrec_context *ctx, const char *text,
                       const char *command) {
  imgrec_augment a;
  imgrec_augment_init(&a, sizeof a);
  if (is_auto(text) || imgrec_augment_parse(&a, ctx, text) >= 0)
    return EXIT_OK;
  return usage_error(command, "--%s", imgrec_last_error(ctx));
}

int choose_augmentation(struct augmentation *out, imgrec_context *ctx,
                        imgrec_dataset *data, const imgrec_preprocess *p,
                        const char *text) {
  imgrec_augment_init(&out->options, sizeof out->options);
  out->reason[0] = '\0';
  int status = is_auto(text)
                   ? imgrec_augment_choose(&out->options, data, p, out->reason,
                                           sizeof out->reason)
                   : imgrec_augment_parse(&out->options, ctx, text);
  if (status >= 0)
    status =
        imgrec_augment_print(&out->options, ctx, out->text, sizeof out->text);
  return status;
}

void print_augmentation(const struct augmentation *a) {
  char reason[sizeof a->reason];
  printf("augmentation: %s", a->text);
  if (a->reason[0] != '\0')
    printf(" (auto; %s)", printable(reason, sizeof reason, a->reason));
  putchar('\n');
}
