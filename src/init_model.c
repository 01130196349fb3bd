/* SPDX-License-Identifier: MIT */
/* --init: a model that begins with what another one has learned. */
#include "cli.h"

/* Says what was loaded; `anew` is how many parameters were not. */
static void say_loaded(const imgrec_model *model, const struct settings *s,
                       int anew) {
  char path[NAME_SIZE];
  if (s->json)
    return;
  printable(path, sizeof path, s->init);
  if (anew > 0)
    printf("init: the head '%s' begins anew for %d classes, all other weights "
           "are those of %s\n",
           imgrec_model_head(model), imgrec_model_classes(model), path);
  else
    printf("init: all weights are those of %s\n", path);
}

int adapt_init(imgrec_model **out, imgrec_context *ctx,
               const struct settings *s, int classes,
               const imgrec_model_options *options, const char *command) {
  if (s->init == NULL || s->preset != NULL || s->arch != NULL)
    return EXIT_OK;
  int anew = imgrec_model_adapt(out, ctx, s->init, classes, options);
  if (anew == IMGREC_ERR_UNSUPPORTED) /* weights alone */
    return EXIT_OK;
  if (anew < 0)
    return fail(command, "--init: %s", imgrec_last_error(ctx));
  if (s->height > 0)
    return usage_error(command, "--size: the input is that of the model of "
                                "--init; name its --preset for another");
  say_loaded(*out, s, anew);
  return EXIT_OK;
}

int load_init(imgrec_model *model, imgrec_context *ctx,
              const struct settings *s, const char *command) {
  if (s->init == NULL)
    return EXIT_OK;
  int anew = imgrec_model_transfer_weights(model, s->init);
  if (anew < 0)
    return fail(command, "--init: %s", imgrec_last_error(ctx));
  say_loaded(model, s, anew);
  return EXIT_OK;
}
