/* SPDX-License-Identifier: MIT */
/* imgrec quantize: a smaller model from one in floats, for recognising. */
#include "cli.h"

#define NAME "quantize"

static int check_settings(const struct settings *s) {
  int wanted = s->weights == IMGREC_WEIGHTS_INT8 ? 2 : 1;
  if (wanted == 2 && s->argument_count != 2)
    return usage_error(NAME, "give a MODEL and a DATA to calibrate with");
  if (wanted == 1 && s->argument_count != 1)
    return usage_error(NAME, "give one MODEL; only --weights int8 takes DATA");
  if (s->output == NULL)
    return usage_error(NAME, "-o MODEL is missing");
  return EXIT_OK;
}

/* Layers of `model` whose weights are of its type. */
static int count_layers(const imgrec_model *model) {
  int count = 0;
  for (int i = 0; i < imgrec_model_layer_count(model); i++) {
    imgrec_layer_info info;
    imgrec_layer_info_init(&info, sizeof info);
    imgrec_model_layer(model, i, &info);
    count += info.weight_type != IMGREC_WEIGHTS_F32;
  }
  return count;
}

static void report(const struct settings *s, const imgrec_model *model) {
  int64_t before = os_size(s->arguments[0]), after = os_size(s->output);
  const char *type = weight_type_name(imgrec_model_weight_type(model));
  char path[NAME_SIZE];
  if (s->json) {
    struct json_out j = {stdout, 0};
    json_open(&j, '{');
    json_key(&j, "output"), json_string(&j, s->output);
    json_key(&j, "weights"), json_string(&j, type);
    json_key(&j, "layers"), json_integer(&j, count_layers(model));
    json_key(&j, "bytes_before"), json_integer(&j, before);
    json_key(&j, "bytes"), json_integer(&j, after);
    json_finish(&j);
    return;
  }
  printf("%s: %s weights in %d layers, %lld bytes instead of %lld\n",
         printable(path, sizeof path, s->output), type, count_layers(model),
         (long long)after, (long long)before);
}

static int save(const struct settings *s, imgrec_context *ctx,
                const imgrec_model *model) {
  if (imgrec_model_save(model, s->output) < 0)
    return fail(NAME, "%s", imgrec_last_error(ctx));
  report(s, model);
  return EXIT_OK;
}

static int quantize(const struct settings *s, imgrec_context *ctx,
                    imgrec_model *model) {
  static const int usual[] = {IMGREC_PART_TRAIN, IMGREC_PART_ANY};
  imgrec_quantize_options options;
  imgrec_dataset *data;
  imgrec_model *made = NULL;
  const int *parts = s->part != IMGREC_PART_ANY ? &s->part : usual;
  int status = open_first_part(&data, NULL, ctx, s->arguments[1], parts,
                               parts == usual ? 2 : 1);
  if (status < 0)
    return fail(NAME, "%s", imgrec_last_error(ctx));
  warn_skipped(data, NAME);
  imgrec_quantize_options_init(&options, sizeof options);
  options.images = (int32_t)s->images;
  options.range = s->range;
  status = imgrec_model_quantize(&made, model, data, &options);
  int code = status < 0 ? fail(NAME, "%s", imgrec_last_error(ctx))
                        : save(s, ctx, made);
  imgrec_model_destroy(made);
  imgrec_dataset_destroy(data);
  return code;
}

static int round_weights(const struct settings *s, imgrec_context *ctx,
                         imgrec_model *model) {
  if (imgrec_model_round_weights(model, s->weights) < 0)
    return fail(NAME, "%s", imgrec_last_error(ctx));
  return save(s, ctx, model);
}

int cmd_quantize(const struct settings *s) {
  imgrec_context *ctx;
  imgrec_model *model;
  int code = check_settings(s);
  if (code == EXIT_OK)
    code = open_context(&ctx, s, NAME);
  if (code != EXIT_OK)
    return code;
  if (imgrec_model_load(&model, ctx, s->arguments[0], NULL) < 0) {
    code = fail(NAME, "%s", imgrec_last_error(ctx));
  } else {
    code = s->weights == IMGREC_WEIGHTS_INT8 ? quantize(s, ctx, model)
                                             : round_weights(s, ctx, model);
    imgrec_model_destroy(model);
  }
  imgrec_context_destroy(ctx);
  return code;
}
