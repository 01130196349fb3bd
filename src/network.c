/* SPDX-License-Identifier: MIT */
/* The network that a command is to look at: a model file, a preset or an
 * architecture. */
#include "cli.h"

#include <stdlib.h>

int check_network(const struct settings *s, const char *command) {
  int sources = s->argument_count + (s->preset != NULL) + (s->arch != NULL);
  if (sources != 1)
    return usage_error(command,
                       "give one of MODEL, --preset NAME and --arch FILE");
  int preset_only = s->height > 0 || s->channels > 0 || s->classes > 0;
  if (s->preset == NULL && preset_only)
    return usage_error(command, "--size, --channels and --classes are for "
                                "--preset only");
  if (s->channels == 2)
    return usage_error(command, "--channels: '2' is not 1 or 3");
  return s->preset ? check_preset(s->preset, command) : EXIT_OK;
}

static int create_from_text(imgrec_model **out, imgrec_context *ctx,
                            const struct settings *s,
                            const imgrec_model_options *options,
                            const char *command) {
  char *text;
  int64_t shape[3] = {s->height, s->width, s->channels};
  int classes = s->classes > 0 ? (int)s->classes : 10;
  int code = s->arch ? read_text_file(&text, s->arch, command)
                     : preset_text(&text, s->preset, shape, classes, command);
  if (code != EXIT_OK)
    return code;
  if (imgrec_model_create(out, ctx, text, options) < 0)
    code = fail(command, "%s", imgrec_last_error(ctx));
  free(text);
  return code;
}

int open_network(imgrec_model **out, imgrec_context *ctx,
                 const struct settings *s, const imgrec_model_options *options,
                 const char *command) {
  if (s->argument_count == 0)
    return create_from_text(out, ctx, s, options, command);
  if (imgrec_model_load(out, ctx, s->arguments[0], options) < 0)
    return fail(command, "%s", imgrec_last_error(ctx));
  return EXIT_OK;
}

imgrec_layer_info layer_info(const imgrec_model *model, int index) {
  imgrec_layer_info info;
  imgrec_layer_info_init(&info, sizeof info);
  imgrec_model_layer(model, index, &info);
  return info;
}

int check_network_options(const struct settings *s, const char *command) {
  if (s->preset != NULL && s->arch != NULL)
    return usage_error(command, "--preset and --arch exclude each other");
  if (s->arch != NULL && s->height > 0)
    return usage_error(command, "--size is for presets; with --arch the input "
                                "line of the file says the size");
  return s->preset ? check_preset(s->preset, command) : EXIT_OK;
}

int network_text(char **text, struct choice *choice, const struct settings *s,
                 const imgrec_dataset *data, int64_t images,
                 const char *command) {
  int64_t shape[3];
  if (s->arch != NULL)
    return read_text_file(text, s->arch, command);
  imgrec_dataset_shape(data, shape);
  choose_input(shape);
  if (s->height > 0) {
    shape[0] = s->height;
    shape[1] = s->width;
  }
  *choice = choose_preset(shape, images);
  if (s->preset != NULL)
    choice->preset = s->preset;
  return preset_text(text, choice->preset, shape, imgrec_dataset_classes(data),
                     command);
}

int set_preprocess(imgrec_model *model, const struct settings *s, int fresh) {
  imgrec_preprocess p;
  int status = imgrec_preprocess_init(&p, sizeof p);
  if (status >= 0)
    status = imgrec_model_get_preprocess(model, &p);
  if (fresh) {
    p.resize = IMGREC_RESIZE_CROP;
    p.scale = 1.0f / 255.0f;
  }
  if (s->resize >= 0)
    p.resize = s->resize;
  return status < 0 ? status : imgrec_model_set_preprocess(model, &p);
}
