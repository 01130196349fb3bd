/* SPDX-License-Identifier: MIT */
/* The options of all commands: one table for reading, checking and help. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind {
  KIND_FLAG,    /* int, set to 1 */
  KIND_STRING,  /* const char * */
  KIND_INTEGER, /* int64_t within [low, high] */
  KIND_SEED,    /* uint64_t */
  KIND_FLOAT,   /* double above 0 (or from 0 on with low == 0), below high */
  KIND_SIZE,    /* HxW: two ints each within [low, high] */
  KIND_BYTES,   /* uint64_t: a number with K, M, G or T, or KB .. TB */
  KIND_CHOICE   /* int: the position in `choices`, plus low */
};

struct option_spec {
  const char *name;
  const char *value; /* of the help: "N"; NULL for a flag */
  const char *help;
  const char *choices; /* "adam|sgd" */
  size_t offset;       /* into struct settings */
  double low, high;
  int commands; /* CMD_* that take it */
  enum kind kind;
  char letter; /* its short form, 0 for none */
};

#define AT(field) offsetof(struct settings, field)
#define RUNS                                                                   \
  (CMD_TRAIN | CMD_LR_FIND | CMD_EVAL | CMD_PREDICT | CMD_QUANTIZE |           \
   CMD_CALIBRATE | CMD_EXPLAIN | CMD_REPORT)
#define LOOKS (CMD_INFO | CMD_BENCH)
#define ALL   (RUNS | LOOKS | CMD_SAMPLE | CMD_SUGGEST | CMD_CHECK | CMD_PREVIEW)

#define PRESETS                                                                \
  "a built-in network: nano, small, base, large, tiny,\n"                      \
  "lenet5, seed, resnet8, resnet18, mobilenet_v2 or\n"                         \
  "cifar_fast"

static const struct option_spec specs[] = {
    {"output", "MODEL", "the model file to write", NULL, AT(output), 0, 0,
     CMD_TRAIN | CMD_QUANTIZE | CMD_CALIBRATE, KIND_STRING, 'o'},
    {"output", "DIR", "the folder to write to; made if it is missing", NULL,
     AT(output), 0, 0, CMD_SAMPLE, KIND_STRING, 'o'},
    {"output", "PNG", "the picture to write", NULL, AT(output), 0, 0,
     CMD_EXPLAIN, KIND_STRING, 'o'},
    {"output", "HTML", "the page to write", NULL, AT(output), 0, 0, CMD_REPORT,
     KIND_STRING, 'o'},
    {"class", "NAME", "look for this class (the most probable)", NULL,
     AT(class_name), 0, 0, CMD_EXPLAIN, KIND_STRING, 0},
    {"run", "DIR",
     "the folder of the training run, of which log.jsonl,\n"
     "config.txt and preview.png go into the page",
     NULL, AT(report_run), 0, 0, CMD_REPORT, KIND_STRING, 0},
    {"log", "FILE", "the log of the training run, a JSON object a line", NULL,
     AT(log), 0, 0, CMD_REPORT, KIND_STRING, 0},
    {"preview", "FILE", "a picture (PNG or JPEG) of augmented images", NULL,
     AT(preview), 0, 0, CMD_REPORT, KIND_STRING, 0},
    {"val", "DATA", "measure on this data instead", NULL, AT(val), 0, 0,
     CMD_REPORT, KIND_STRING, 0},
    {"test", "DATA", "give the accuracy on this data too", NULL, AT(test), 0, 0,
     CMD_REPORT, KIND_STRING, 0},
    {"output", "FILE", "the PNG file to write", NULL, AT(output), 0, 0,
     CMD_PREVIEW, KIND_STRING, 'o'},
    {"run", "DIR",
     "a new folder for the run: config.txt, log.jsonl,\n"
     "checkpoints, best.safetensors, report.html",
     NULL, AT(run), 0, 0, CMD_TRAIN, KIND_STRING, 0},
    {"resume", "DIR", "go on with the run in this folder, bit for bit", NULL,
     AT(resume), 0, 0, CMD_TRAIN, KIND_STRING, 0},
    {"checkpoint-minutes", "X",
     "with --run, a checkpoint so often within epochs;\n"
     "0: only behind each (5)",
     NULL, AT(checkpoint_minutes), 0, 1e6, CMD_TRAIN, KIND_FLOAT, 0},
    {"output", "FILE", "the picture to write, SVG", NULL, AT(output), 0, 0,
     CMD_LR_FIND, KIND_STRING, 'o'},
    {"steps", "N", "steps of training, each at a higher rate (100)", NULL,
     AT(steps), 10, 100000, CMD_LR_FIND, KIND_INTEGER, 0},
    {"val", "DATA", "validate on this data instead", NULL, AT(val), 0, 0,
     CMD_TRAIN, KIND_STRING, 0},
    {"test", "DATA", "evaluate this data at the end instead", NULL, AT(test), 0,
     0, CMD_TRAIN, KIND_STRING, 0},
    {"val", "DATA", "the data to validate on", NULL, AT(val), 0, 0, CMD_CHECK,
     KIND_STRING, 0},
    {"test", "DATA", "the data to test on", NULL, AT(test), 0, 0, CMD_CHECK,
     KIND_STRING, 0},
    {"preset", "NAME", PRESETS "\n(chosen by number and size of the images)",
     NULL, AT(preset), 0, 0, CMD_TRAIN | CMD_LR_FIND, KIND_STRING, 0},
    {"preset", "NAME", PRESETS, NULL, AT(preset), 0, 0, LOOKS, KIND_STRING, 0},
    {"arch", "FILE", "a network described by a text file", NULL, AT(arch), 0, 0,
     CMD_TRAIN | CMD_LR_FIND | LOOKS, KIND_STRING, 0},
    {"size", "HxW", "input height and width of the preset", NULL, AT(height), 1,
     16384, CMD_TRAIN | CMD_LR_FIND | LOOKS, KIND_SIZE, 0},
    {"size", "HxW", "try this input height and width only", NULL, AT(height), 8,
     16384, CMD_SUGGEST, KIND_SIZE, 0},
    {"size", "HxW",
     "height and width of the network's input (as train\n"
     "chooses it)",
     NULL, AT(height), 1, 16384, CMD_PREVIEW, KIND_SIZE, 0},
    {"channels", "N", "grey (1) or colour (3) input of the preset", NULL,
     AT(channels), 1, 3, LOOKS, KIND_INTEGER, 0},
    {"classes", "N", "classes of the preset (10)", NULL, AT(classes), 1,
     1000000, LOOKS, KIND_INTEGER, 0},
    {"epochs", "N",
     "passes over the training images (10, or up to 100 so\n"
     "that 80,000 images are seen)",
     NULL, AT(epochs), 1, 1000000, CMD_TRAIN, KIND_INTEGER, 0},
    {"batch", "N", "images in one step (32)", NULL, AT(batch), 1, 65536,
     CMD_TRAIN | CMD_LR_FIND, KIND_INTEGER, 0},
    {"batch", "N", "count memory for this many images at once (32)", NULL,
     AT(batch), 1, 65536, CMD_INFO, KIND_INTEGER, 0},
    {"batch", "N", "images in one run (32)", NULL, AT(batch), 1, 65536,
     CMD_BENCH, KIND_INTEGER, 0},
    {"train", NULL, "measure training steps instead of forward runs", NULL,
     AT(train), 0, 0, CMD_BENCH, KIND_FLAG, 0},
    {"layers", NULL, "measure each layer too", NULL, AT(layers), 0, 0,
     CMD_BENCH, KIND_FLAG, 0},
    {"runs", "N", "how many runs (as many as fit into --seconds)", NULL,
     AT(runs), 1, 100000, CMD_BENCH, KIND_INTEGER, 0},
    {"seconds", "X", "run for about this long, but at least 3 times (2)", NULL,
     AT(seconds), 1e-30, 86400, CMD_BENCH, KIND_FLOAT, 0},
    {"seconds", "X", "how long it may take (120)", NULL, AT(seconds), 1e-30,
     86400, CMD_SUGGEST, KIND_FLOAT, 0},
    {"max-latency-ms", "X", "most milliseconds for one image alone", NULL,
     AT(max_latency_ms), 1e-30, 1e9, CMD_SUGGEST, KIND_FLOAT, 0},
    {"max-memory", "X", "most memory to recognise one image, in MiB", NULL,
     AT(max_memory), 1e-30, 1e9, CMD_SUGGEST, KIND_FLOAT, 0},
    {"max-file", "X", "largest model file, in MiB", NULL, AT(max_file), 1e-30,
     1e9, CMD_SUGGEST, KIND_FLOAT, 0},
    {"lr", "X", "learning rate (0.001 for adam, 0.01 for sgd)", NULL,
     AT(learning_rate), 1e-30, 1000, CMD_TRAIN, KIND_FLOAT, 0},
    {"optimizer", "NAME", "adam, adamw or sgd", "adam|sgd|adamw", AT(optimizer),
     0, 0, CMD_TRAIN | CMD_LR_FIND, KIND_CHOICE, 0},
    {"nesterov", NULL, "Nesterov's momentum, for sgd", NULL, AT(nesterov), 0, 0,
     CMD_TRAIN | CMD_LR_FIND, KIND_FLAG, 0},
    {"weight-decay", "X", "decay of weights (0.01 for adamw, else 0)", NULL,
     AT(weight_decay), 0, 10, CMD_TRAIN | CMD_LR_FIND, KIND_FLOAT, 0},
    {"decay-all", NULL, "decay biases and batch norm too", NULL, AT(decay_all),
     0, 0, CMD_TRAIN | CMD_LR_FIND, KIND_FLAG, 0},
    {"label-smoothing", "X", "share of a label given to all classes", NULL,
     AT(label_smoothing), 0, 1, CMD_TRAIN | CMD_LR_FIND, KIND_FLOAT, 0},
    {"clip-norm", "X", "scale gradients down to this norm (0: never)", NULL,
     AT(clip_norm), 0, 1e30, CMD_TRAIN | CMD_LR_FIND, KIND_FLOAT, 0},
    {"schedule", "NAME",
     "of the learning rate: constant, step, cosine or\n"
     "one-cycle",
     "constant|step|cosine|one-cycle", AT(schedule), 0, 0, CMD_TRAIN,
     KIND_CHOICE, 0},
    {"warmup-epochs", "X",
     "epochs in which the rate rises (a 20th of all for\n"
     "cosine, 0.3 of all for one-cycle, else 0)",
     NULL, AT(warmup_epochs), 0, 1000000, CMD_TRAIN, KIND_FLOAT, 0},
    {"step-epochs", "X", "epochs from step to step (a third of all)", NULL,
     AT(step_epochs), 0, 1000000, CMD_TRAIN, KIND_FLOAT, 0},
    {"step-factor", "X", "what a step makes of the rate (0.1)", NULL,
     AT(step_factor), 1e-30, 1, CMD_TRAIN, KIND_FLOAT, 0},
    {"final-factor", "X",
     "share of the rate at the end of cosine (0) and\n"
     "one-cycle (0.000004)",
     NULL, AT(final_factor), 0, 1, CMD_TRAIN, KIND_FLOAT, 0},
    {"ema", "X",
     "validate and keep averages of the weights that decay\n"
     "by this at each step, such as 0.999 (0: none)",
     NULL, AT(ema), 0, 1, CMD_TRAIN, KIND_FLOAT, 0},
    {"patience", "N", "stop after so many epochs without a better one", NULL,
     AT(patience), 1, 1000000, CMD_TRAIN, KIND_INTEGER, 0},
    {"balance", "HOW",
     "of uneven classes: none, weights or sampler (weights\n"
     "from 1 to 10 on, else none)",
     "none|weights|sampler", AT(balance), 1, 0, CMD_TRAIN, KIND_CHOICE, 0},
    {"freeze", "PREFIX",
     "layers that do not learn: those whose names begin so;\n"
     "several with commas",
     NULL, AT(freeze), 0, 0, CMD_TRAIN | CMD_LR_FIND, KIND_STRING, 0},
    {"layer-decay", "X",
     "each layer learns slower than the next, by this\n"
     "factor (1)",
     NULL, AT(layer_decay), 1e-30, 1, CMD_TRAIN | CMD_LR_FIND, KIND_FLOAT, 0},
    {"resize", "RULE",
     "how images come to the input's size: stretch, crop\n"
     "or pad (crop)",
     "stretch|crop|pad", AT(resize), 0, 0,
     CMD_TRAIN | CMD_LR_FIND | CMD_PREVIEW, KIND_CHOICE, 0},
    {"augment", "WHAT",
     "change the training images at random: auto, none, light,\n"
     "strong, or a list such as flip,crop=4,rotate=10; auto\n"
     "looks at the data and says what it chose (auto)",
     NULL, AT(augment), 0, 0, CMD_TRAIN | CMD_PREVIEW, KIND_STRING, 0},
    {"val-split", "X",
     "fraction of the training images to validate on, where\n"
     "there is no val part; 0 for none (0.1)",
     NULL, AT(val_split), 0, 1, CMD_TRAIN | CMD_SUGGEST, KIND_FLOAT, 0},
    {"cache", "SIZE",
     "memory for decoded images, such as 2GB; 0 for none\n"
     "(256MB)",
     NULL, AT(cache), 0, 0, CMD_TRAIN, KIND_BYTES, 0},
    {"no-check", NULL, "do not look for images that are there twice", NULL,
     AT(no_check), 0, 0, CMD_TRAIN, KIND_FLAG, 0},
    {"val-split", "X", "without a val part: as imgrec train was told (0.1)",
     NULL, AT(val_split), 0, 1, CMD_REPORT, KIND_FLOAT, 0},
    {"reject-rate", "X",
     "fraction of the validation images that may be called\n"
     "none of the classes; 0 for no such answer (0.05)",
     NULL, AT(reject_rate), 0, 1, CMD_TRAIN | CMD_CALIBRATE, KIND_FLOAT, 0},
    {"unknown", "DATA",
     "count how many images here, of classes that the model\n"
     "does not have, it calls none of its classes",
     NULL, AT(unknown), 0, 0, CMD_EVAL, KIND_STRING, 0},
    {"init", "FILE",
     "start from this model, of any classes, or from weights\n"
     "in a safetensors file",
     NULL, AT(init), 0, 0, CMD_TRAIN | CMD_LR_FIND, KIND_STRING, 0},
    {"labels", "FILE", "names of the classes, one a line", NULL, AT(labels), 0,
     0, CMD_TRAIN | CMD_SAMPLE, KIND_STRING, 0},
    {"part", "NAME", "train, val, test or all of DATA", "train|val|test|all",
     AT(part), 1, 0, CMD_EVAL, KIND_CHOICE, 0},
    {"part", "NAME", "train, val or test (the first there of test and val)",
     "train|val|test", AT(part), 1, 0, CMD_SAMPLE, KIND_CHOICE, 0},
    {"part", "NAME", "train, val or test of DATA (val, or all)",
     "train|val|test", AT(part), 1, 0, CMD_CALIBRATE, KIND_CHOICE, 0},
    {"part", "NAME", "train, val or test of DATA (train)", "train|val|test",
     AT(part), 1, 0, CMD_QUANTIZE, KIND_CHOICE, 0},
    {"weights", "TYPE", "int8, f16 or bf16 (int8)", "f16|bf16|int8",
     AT(weights), IMGREC_WEIGHTS_F16, 0, CMD_QUANTIZE, KIND_CHOICE, 0},
    {"images", "N", "how many images to calibrate with (512)", NULL, AT(images),
     1, 1000000, CMD_QUANTIZE, KIND_INTEGER, 0},
    {"range", "RULE",
     "of a layer's input: mse, the range of least error, or\n"
     "minmax, all that was seen (mse)",
     "mse|minmax", AT(range), IMGREC_RANGE_MSE, 0, CMD_QUANTIZE, KIND_CHOICE,
     0},
    {"count", "N", "how many images (10)", NULL, AT(count), 1, 1000000,
     CMD_SAMPLE | CMD_PREVIEW, KIND_INTEGER, 'n'},
    {"top", "K", "how many answers for each image (3)", NULL, AT(top), 1,
     1000000, CMD_PREDICT, KIND_INTEGER, 0},
    {"show", "[=HOW]",
     "show the picture beside the answer; HOW is auto, ascii,\n"
     "256 or truecolor (auto)",
     "auto|ascii|256|truecolor", AT(show), 1, 0, CMD_PREDICT, KIND_CHOICE, 0},
    {"text", NULL, "print only the architecture text", NULL, AT(text), 0, 0,
     CMD_INFO, KIND_FLAG, 0},
    {"seed", "N", "of all that is random: same seed, same result (0)", NULL,
     AT(seed), 0, 0,
     CMD_TRAIN | CMD_LR_FIND | CMD_SAMPLE | CMD_SUGGEST | CMD_PREVIEW,
     KIND_SEED, 0},
    {"seed", "N", "with --val-split: as imgrec train was told (0)", NULL,
     AT(seed), 0, 0, CMD_REPORT, KIND_SEED, 0},
    {"threads", "N", "threads to compute with (one for each core)", NULL,
     AT(threads), 1, 256, RUNS | CMD_BENCH | CMD_SUGGEST | CMD_CHECK,
     KIND_INTEGER, 0},
    {"isa", "NAME",
     "instructions: auto, scalar, avx2, avx512 or neon (auto);\n"
     "results are the same with each",
     "auto|scalar|avx2|avx512|neon", AT(isa), 0, 0,
     RUNS | CMD_BENCH | CMD_SUGGEST, KIND_CHOICE, 0},
    {"json", NULL, "print one JSON object a line", NULL, AT(json), 0, 0,
     (RUNS & ~CMD_REPORT) | LOOKS | CMD_SUGGEST | CMD_CHECK, KIND_FLAG, 0},
    {"help", NULL, "this help", NULL, AT(help), 0, 0, ALL, KIND_FLAG, 'h'},
};

#define SPEC_COUNT (sizeof specs / sizeof specs[0])
_Static_assert(SPEC_COUNT <= OPTIONS_MAX, "settings has room for each");
/* What getopt_long returns for the i-th option: beyond every letter. */
#define CODE_BASE 1000

/* ---- Values ------------------------------------------------------------- */

/* 1 when the whole of `text` is an integer within [low, high]. */
static int parse_integer(const char *text, double low, double high,
                         int64_t *out) {
  char *end;
  errno = 0;
  long long x = strtoll(text, &end, 10);
  if (!isdigit((unsigned char)text[text[0] == '-']) || *end != '\0' || errno)
    return 0;
  *out = x;
  return (double)x >= low && (double)x <= high;
}

static int parse_seed(const char *text, uint64_t *out) {
  char *end;
  errno = 0;
  unsigned long long x = strtoull(text, &end, 10);
  *out = x;
  return isdigit((unsigned char)text[0]) && *end == '\0' && !errno;
}

/* A number and a unit of 1024, 1024^2 ... bytes: "300M", "1.5 GB", "0". */
static int parse_bytes(const char *text, uint64_t *out) {
  static const char units[] = "KMGT";
  char *end;
  double x = strtod(text, &end);
  if (!isdigit((unsigned char)text[0]) || end == text)
    return 0;
  end += *end == ' ';
  const char *unit =
      *end != '\0' ? strchr(units, toupper((unsigned char)*end)) : NULL;
  for (const char *u = units; unit != NULL && u <= unit; u++)
    x *= 1024;
  end += unit != NULL;
  end += *end == 'B' || *end == 'b';
  if (*end != '\0' || !(x < 1e15))
    return 0;
  *out = (uint64_t)x;
  return 1;
}

static int parse_float(const char *text, double low, double high, double *out) {
  char *end;
  double x = strtod(text, &end);
  if (end == text || *end != '\0' || isspace((unsigned char)text[0]))
    return 0;
  *out = x;
  return x >= low && x < high; /* and so no NaN */
}

static int parse_size(const char *text, double low, double high, int out[2]) {
  char *end;
  for (int axis = 0; axis < 2; axis++) {
    errno = 0;
    long x = strtol(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno ||
        *end != (axis == 0 ? 'x' : '\0') || (double)x < low || (double)x > high)
      return 0;
    out[axis] = (int)x;
    text = end + 1;
  }
  return 1;
}

/* The position of `text` among "a|b|c", or -1. */
static int find_choice(const char *choices, const char *text) {
  size_t length = strlen(text);
  for (int i = 0; *choices != '\0'; i++) {
    size_t n = strcspn(choices, "|");
    if (n == length && memcmp(choices, text, n) == 0)
      return i;
    choices += n + (choices[n] == '|');
  }
  return -1;
}

/* What `spec` wants instead of a bad value. */
static void describe_right(char *out, size_t size,
                           const struct option_spec *spec) {
  if (spec->kind == KIND_INTEGER)
    snprintf(out, size, "a whole number from %.0f to %.0f", spec->low,
             spec->high);
  else if (spec->kind == KIND_SEED)
    snprintf(out, size, "a whole number from 0 to 18446744073709551615");
  else if (spec->kind == KIND_FLOAT && spec->low > 0)
    snprintf(out, size, "a number above 0 and below %g", spec->high);
  else if (spec->kind == KIND_FLOAT)
    snprintf(out, size, "a number from 0 to below %g", spec->high);
  else if (spec->kind == KIND_SIZE)
    snprintf(out, size, "height and width such as 64x96, each %.0f to %.0f",
             spec->low, spec->high);
  else if (spec->kind == KIND_BYTES)
    snprintf(out, size, "a size such as 500MB, 2GB or 0");
  else if (spec->kind == KIND_CHOICE)
    snprintf(out, size, "one of %s", spec->choices);
  else
    snprintf(out, size, "a name that is not empty");
}

static int store_choice(const struct option_spec *spec, const char *value,
                        void *field) {
  int i = find_choice(spec->choices, value);
  *(int *)field = i + (int)spec->low;
  return i >= 0;
}

/* 1 when `value` (NULL for a flag) is right and stored. */
static int store(struct settings *s, const struct option_spec *spec,
                 const char *value) {
  void *field = (char *)s + spec->offset;
  switch (spec->kind) {
  case KIND_FLAG:
    *(int *)field = 1;
    return 1;
  case KIND_STRING:
    *(const char **)field = value;
    return value[0] != '\0';
  case KIND_INTEGER:
    return parse_integer(value, spec->low, spec->high, field);
  case KIND_SEED:
    return parse_seed(value, field);
  case KIND_FLOAT:
    return parse_float(value, spec->low, spec->high, field);
  case KIND_SIZE:
    return parse_size(value, spec->low, spec->high, field);
  case KIND_BYTES:
    return parse_bytes(value, field);
  case KIND_CHOICE:
    return store_choice(spec, value, field);
  }
  return 0;
}

/* ---- Reading ------------------------------------------------------------ */

/* getopt's two descriptions of what `command` takes. */
struct getopt_tables {
  struct option names[SPEC_COUNT + 1];
  char letters[2 + 2 * SPEC_COUNT + 1];
};

static int value_rule(const struct option_spec *spec) {
  if (spec->value == NULL)
    return no_argument;
  return spec->value[0] == '[' ? optional_argument : required_argument;
}

static void fill_tables(struct getopt_tables *t, int bit) {
  size_t n = 0;
  char *letter = t->letters;
  memset(t, 0, sizeof *t);
  *letter++ = ':'; /* tell a missing value from an unknown option */
  for (size_t i = 0; i < SPEC_COUNT; i++) {
    const struct option_spec *spec = &specs[i];
    if (!(spec->commands & bit))
      continue;
    t->names[n].name = spec->name;
    t->names[n].has_arg = value_rule(spec);
    t->names[n++].val = CODE_BASE + (int)i;
    if (spec->letter != 0)
      *letter++ = spec->letter;
    if (spec->letter != 0 && spec->value != NULL)
      *letter++ = ':';
  }
}

static const struct option_spec *find_spec(int code, int bit) {
  if (code >= CODE_BASE)
    return &specs[code - CODE_BASE];
  for (size_t i = 0; i < SPEC_COUNT; i++)
    if (specs[i].letter == code && (specs[i].commands & bit))
      return &specs[i];
  return NULL;
}

/* getopt said '?' or ':' about the word before optind. */
static int bad_option(const struct command *command, int code, char **argv) {
  const char *word = argv[optind - 1];
  if (code == ':')
    return usage_error(command->name, "option %s needs a value", word);
  if (optopt >= CODE_BASE)
    return usage_error(command->name, "option %s takes no value", word);
  if (optopt != 0)
    return usage_error(command->name, "there is no option -%c", optopt);
  return usage_error(command->name, "there is no option %s", word);
}

static int bad_value(const struct command *command,
                     const struct option_spec *spec, const char *value) {
  char right[100];
  describe_right(right, sizeof right, spec);
  return usage_error(command->name, "--%s: '%s' is not %s", spec->name, value,
                     right);
}

static void set_defaults(struct settings *s) {
  memset(s, 0, sizeof *s);
  s->val_split = 0.1;
  s->cache = NOT_GIVEN;
  s->reject_rate = 0.05;
  s->resize = -1;
  s->batch = 32;
  s->steps = 100;
  s->top = 3;
  s->count = 10;
  s->images = 512;
  s->weights = IMGREC_WEIGHTS_INT8;
  s->weight_decay = s->warmup_epochs = s->label_smoothing = -1;
  s->optimizer = s->schedule = -1;
  s->checkpoint_minutes = -1;
}

/* 1 when `value` (NULL for a flag) is right and stored, and remembered. */
static int give(struct settings *s, const struct option_spec *spec,
                const char *value) {
  s->given[spec - specs] = value != NULL ? value : "";
  return store(s, spec, value);
}

int read_options(struct settings *s, const struct command *command, int argc,
                 char **argv) {
  struct getopt_tables tables;
  int code;
  fill_tables(&tables, command->bit);
  set_defaults(s);
  opterr = 0;
  while ((code = getopt_long(argc, argv, tables.letters, tables.names, NULL)) !=
         -1) {
    if (code == '?' || code == ':')
      return bad_option(command, code, argv);
    const struct option_spec *spec = find_spec(code, command->bit);
    const char *value = optarg;
    if (value == NULL && spec->kind == KIND_CHOICE)
      value = "auto"; /* --show alone */
    if (!give(s, spec, value))
      return bad_value(command, spec, value);
  }
  s->arguments = argv + optind;
  s->argument_count = argc - optind;
  return EXIT_OK;
}

/* ---- Given options ------------------------------------------------------ */

int set_option(struct settings *s, int bit, const char *name,
               const char *value) {
  for (size_t i = 0; i < SPEC_COUNT; i++)
    if ((specs[i].commands & bit) && strcmp(specs[i].name, name) == 0)
      return s->given[i] != NULL ||
             give(s, &specs[i], specs[i].value != NULL ? value : NULL);
  return 0;
}

void replace_option(struct settings *s, int bit, const char *name,
                    const char *value) {
  for (size_t i = 0; i < SPEC_COUNT; i++)
    if ((specs[i].commands & bit) && strcmp(specs[i].name, name) == 0)
      give(s, &specs[i], value);
}

static int is_path(const struct option_spec *spec) {
  return spec->kind == KIND_STRING &&
         find_choice("FILE|DATA|DIR|MODEL", spec->value) >= 0;
}

void each_given_option(const struct settings *s,
                       void (*tell)(void *user, const char *name,
                                    const char *value, int is_path),
                       void *user) {
  for (size_t i = 0; i < SPEC_COUNT; i++)
    if (s->given[i] != NULL)
      tell(user, specs[i].name, s->given[i], is_path(&specs[i]));
}

const char *given_beyond(const struct settings *s, const char *names) {
  for (size_t i = 0; i < SPEC_COUNT; i++)
    if (s->given[i] != NULL && find_choice(names, specs[i].name) < 0)
      return specs[i].name;
  return NULL;
}

/* ---- Help --------------------------------------------------------------- */

static void print_one(FILE *f, const struct option_spec *spec) {
  char left[48], letter[8] = "";
  if (spec->letter != 0)
    snprintf(letter, sizeof letter, "-%c, ", spec->letter);
  int flag = spec->value == NULL;
  snprintf(left, sizeof left, "%s--%s%s%s", letter, spec->name,
           flag || spec->value[0] == '[' ? "" : " ", flag ? "" : spec->value);
  fprintf(f, "  %-21s ", left);
  for (const char *c = spec->help; *c != '\0'; c++) {
    fputc(*c, f);
    if (*c == '\n')
      fprintf(f, "%24s", "");
  }
  fputc('\n', f);
}

void print_option_help(FILE *f, const struct command *command) {
  for (size_t i = 0; i < SPEC_COUNT; i++)
    if (specs[i].commands & command->bit)
      print_one(f, &specs[i]);
}
