/* SPDX-License-Identifier: MIT */
/* imgrec info: the layers of a network, what they cost, and its text. */
#include "cli.h"

#include <string.h>

#define NAME         "info"
#define LABELS_SHOWN 20

struct totals {
  int64_t parameters, multiply_adds;
  uint64_t running, training; /* bytes */
};

static int check_settings(const struct settings *s) {
  int code = check_network(s, NAME);
  if (code == EXIT_OK && s->text && s->json)
    return usage_error(NAME, "--text and --json exclude each other");
  return code;
}

static int open_model(imgrec_model **out, imgrec_context *ctx,
                      const struct settings *s) {
  imgrec_model_options options;
  imgrec_model_options_init(&options, sizeof options);
  options.max_batch = 1;
  options.init = IMGREC_INIT_ZEROS;
  return open_network(out, ctx, s, &options, NAME);
}

static int can_train(const imgrec_model *model) {
  return imgrec_model_weight_type(model) != IMGREC_WEIGHTS_INT8;
}

static int add_up(struct totals *t, const imgrec_model *model, int batch) {
  memset(t, 0, sizeof *t);
  for (int i = 0; i < imgrec_model_layer_count(model); i++) {
    imgrec_layer_info info = layer_info(model, i);
    t->parameters += info.parameters;
    t->multiply_adds += info.multiply_adds;
  }
  int status = imgrec_model_memory(model, batch, 0, &t->running);
  if (status >= 0 && can_train(model))
    status = imgrec_model_memory(model, batch, 1, &t->training);
  return status;
}

/* ---- JSON --------------------------------------------------------------- */

static void put_shape(struct json_out *j, const int64_t shape[3]) {
  json_open(j, '[');
  for (int i = 0; i < 3; i++)
    json_integer(j, shape[i]);
  json_close(j, ']');
}

static void put_layers(struct json_out *j, const imgrec_model *model) {
  json_open(j, '[');
  for (int i = 0; i < imgrec_model_layer_count(model); i++) {
    imgrec_layer_info info = layer_info(model, i);
    json_open(j, '{');
    json_key(j, "name"), json_string(j, info.name);
    json_key(j, "type"), json_string(j, info.type);
    json_key(j, "output"), put_shape(j, info.output);
    json_key(j, "parameters"), json_integer(j, info.parameters);
    json_key(j, "multiply_adds"), json_integer(j, info.multiply_adds);
    if (info.parameters > 0) {
      json_key(j, "weights");
      json_string(j, weight_type_name(info.weight_type));
    }
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void print_json(const imgrec_model *model, const struct totals *t,
                       int64_t batch) {
  struct json_out j = {stdout, 0};
  int64_t in[3];
  imgrec_model_input_shape(model, in);
  json_open(&j, '{');
  json_key(&j, "input"), put_shape(&j, in);
  json_key(&j, "layers"), put_layers(&j, model);
  json_key(&j, "parameters"), json_integer(&j, t->parameters);
  json_key(&j, "multiply_adds"), json_integer(&j, t->multiply_adds);
  json_key(&j, "batch"), json_integer(&j, batch);
  json_key(&j, "run_bytes"), json_integer(&j, (int64_t)t->running);
  if (can_train(model))
    json_key(&j, "train_bytes"), json_integer(&j, (int64_t)t->training);
  json_key(&j, "weights");
  json_string(&j, weight_type_name(imgrec_model_weight_type(model)));
  json_key(&j, "labels"), json_open(&j, '[');
  for (int i = 0; i < imgrec_model_classes(model); i++)
    json_string(&j, imgrec_model_label(model, i));
  json_close(&j, ']');
  json_key(&j, "architecture");
  json_string(&j, imgrec_model_architecture(model));
  json_finish(&j);
}

/* ---- Table -------------------------------------------------------------- */

static void print_row(const char *name, const char *type,
                      const int64_t shape[3]) {
  char name_text[NAME_SIZE], text[80];
  if (shape[0] == 1 && shape[1] == 1)
    snprintf(text, sizeof text, "%lld", (long long)shape[2]);
  else
    snprintf(text, sizeof text, "%lld x %lld x %lld", (long long)shape[0],
             (long long)shape[1], (long long)shape[2]);
  printf("%-12s %-16s %15s", printable(name_text, sizeof name_text, name), type,
         text);
}

static void print_counts(int64_t parameters, int64_t multiply_adds) {
  printf(" %12lld %14lld\n", (long long)parameters, (long long)multiply_adds);
}

/* "12.3 MiB" */
static void print_bytes(uint64_t bytes) {
  static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double x = (double)bytes;
  int unit = 0;
  for (; x >= 1024 && unit < 4; unit++)
    x /= 1024;
  printf("%.*f %s", unit > 0, x, units[unit]);
}

static void print_table(const imgrec_model *model, const struct totals *t,
                        int64_t batch) {
  printf("%-12s %-16s %15s %12s %14s\n", "layer", "type", "output",
         "parameters", "multiply-adds");
  for (int i = 0; i < imgrec_model_layer_count(model); i++) {
    imgrec_layer_info info = layer_info(model, i);
    print_row(info.name, info.type, info.output);
    print_counts(info.parameters, info.multiply_adds);
  }
  printf("%-45s", "total");
  print_counts(t->parameters, t->multiply_adds);
  printf("\nmemory for batches of %lld: ", (long long)batch);
  print_bytes(t->running);
  fputs(" to run", stdout);
  if (can_train(model)) {
    fputs(", ", stdout);
    print_bytes(t->training);
    fputs(" to train", stdout);
  }
  printf("\nweights: %s\n", weight_type_name(imgrec_model_weight_type(model)));
}

static void print_labels(const imgrec_model *model) {
  char name[NAME_SIZE];
  int count = imgrec_model_classes(model);
  printf("%d classes:", count);
  for (int i = 0; i < count && i < LABELS_SHOWN; i++)
    printf("%s %s", i > 0 ? "," : "",
           printable(name, sizeof name, imgrec_model_label(model, i)));
  puts(count > LABELS_SHOWN ? ", ..." : "");
}

static void print_preprocess(const imgrec_model *model) {
  static const char *const rules[] = {"stretched", "cropped", "padded"};
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  if (imgrec_model_get_preprocess(model, &p) >= 0 && p.resize >= 0 &&
      p.resize <= IMGREC_RESIZE_PAD)
    printf("images are %s to %d x %d, %s\n", rules[p.resize], p.height, p.width,
           p.channels == 1 ? "grey" : "RGB");
}

static void print_plain(const struct settings *s, const imgrec_model *model,
                        const struct totals *t) {
  print_table(model, t, s->batch);
  if (s->argument_count > 0) {
    print_preprocess(model);
    print_labels(model);
  } else {
    printf("\n%s", imgrec_model_architecture(model));
  }
}

/* ---- The command -------------------------------------------------------- */

static int print_info(const struct settings *s, imgrec_context *ctx,
                      const imgrec_model *model) {
  struct totals t;
  if (s->text) {
    fputs(imgrec_model_architecture(model), stdout);
    return EXIT_OK;
  }
  if (add_up(&t, model, (int)s->batch) < 0)
    return fail(NAME, "%s", imgrec_last_error(ctx));
  if (s->json)
    print_json(model, &t, s->batch);
  else
    print_plain(s, model, &t);
  return EXIT_OK;
}

int cmd_info(const struct settings *s) {
  imgrec_context *ctx;
  imgrec_model *model = NULL;
  int code = check_settings(s);
  if (code == EXIT_OK)
    code = open_context(&ctx, s, NAME);
  if (code != EXIT_OK)
    return code;
  code = open_model(&model, ctx, s);
  if (code == EXIT_OK)
    code = print_info(s, ctx, model);
  imgrec_model_destroy(model);
  imgrec_context_destroy(ctx);
  return code;
}
