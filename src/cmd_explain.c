/* SPDX-License-Identifier: MIT */
/* imgrec explain: where in an image the network sees a class. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define NAME "explain"
#define SIDE 480 /* pixels that the picture has at least */

static int check_settings(const struct settings *s) {
  if (s->argument_count != 2)
    return usage_error(NAME, "give a MODEL and an IMAGE");
  if (s->output == NULL)
    return usage_error(NAME, "-o PNG is missing: the picture to write");
  return EXIT_OK;
}

/* The class of --class, or -1 after saying that there is none. */
static int find_class(const imgrec_model *model, const char *name) {
  for (int i = 0; i < imgrec_model_classes(model); i++)
    if (strcmp(imgrec_model_label(model, i), name) == 0)
      return i;
  fail(NAME, "--class: the model has no class '%s'; 'imgrec info' lists them",
       name);
  return -1;
}

static void report(const struct settings *s, const imgrec_model *model,
                   int class_index, float probability) {
  char name[NAME_SIZE];
  const char *label = imgrec_model_label(model, class_index);
  if (!s->json) {
    printf("%s: where the model sees '%s' (%.1f %%)\n", s->output,
           printable(name, sizeof name, label), 100 * (double)probability);
    return;
  }
  struct json_out j = {stdout, 0};
  json_open(&j, '{');
  json_key(&j, "output"), json_string(&j, s->output);
  json_key(&j, "label"), json_string(&j, label);
  json_key(&j, "class"), json_integer(&j, class_index);
  json_key(&j, "probability"), json_float(&j, (double)probability);
  json_finish(&j);
}

static int library_failed(imgrec_context *ctx) {
  return fail(NAME, "%s", imgrec_last_error(ctx));
}

static int write_map(const struct settings *s, imgrec_context *ctx,
                     const imgrec_model *model, const imgrec_tensor *image,
                     const imgrec_tensor *map) {
  imgrec_tensor *view, *overlay;
  int status = make_view(&view, model, image, SIDE);
  if (status < 0)
    return library_failed(ctx);
  status = make_overlay(&overlay, ctx, view, map);
  imgrec_tensor_destroy(view);
  if (status < 0)
    return library_failed(ctx);
  int code = write_png(s->output, overlay, NAME);
  imgrec_tensor_destroy(overlay);
  return code;
}

/* The probability that the model gives to a class. */
static int ask(imgrec_model *model, const imgrec_tensor *image,
               int *class_index, float *probability) {
  int classes = imgrec_model_classes(model);
  imgrec_result *results = calloc((size_t)classes, sizeof *results);
  if (results == NULL)
    return IMGREC_ERR_MEMORY;
  int status = imgrec_model_classify(model, image, classes, results);
  if (status >= 0 && *class_index < 0)
    *class_index = results[0].class_index;
  for (int i = 0; i < status; i++)
    if (results[i].class_index == *class_index)
      *probability = results[i].probability;
  free(results);
  return status;
}

static int explain(const struct settings *s, imgrec_context *ctx,
                   imgrec_model *model, const imgrec_tensor *image) {
  int class_index = -1;
  float probability = 0;
  imgrec_tensor *map;
  if (s->class_name != NULL &&
      (class_index = find_class(model, s->class_name)) < 0)
    return EXIT_FAILED;
  if (ask(model, image, &class_index, &probability) < 0 ||
      imgrec_model_explain(&map, model, image, class_index) < 0)
    return library_failed(ctx);
  int code = write_map(s, ctx, model, image, map);
  imgrec_tensor_destroy(map);
  if (code == EXIT_OK)
    report(s, model, class_index, probability);
  return code;
}

int cmd_explain(const struct settings *s) {
  imgrec_context *ctx;
  imgrec_model *model = NULL;
  imgrec_tensor *image = NULL;
  imgrec_model_options options;
  int code = check_settings(s);
  if (code == EXIT_OK)
    code = open_context(&ctx, s, NAME);
  if (code != EXIT_OK)
    return code;
  imgrec_model_options_init(&options, sizeof options);
  options.max_batch = 1;
  if (imgrec_model_load(&model, ctx, s->arguments[0], &options) < 0 ||
      imgrec_image_load(&image, ctx, s->arguments[1], 0) < 0)
    code = library_failed(ctx);
  else
    code = explain(s, ctx, model, image);
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(model);
  imgrec_context_destroy(ctx);
  return code;
}
