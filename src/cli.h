/* SPDX-License-Identifier: MIT */
/* What the files of the `imgrec` command share.  The command knows the library
 * by its public header only. */
#ifndef IMGREC_CLI_H
#define IMGREC_CLI_H

#include <imgrec/imgrec.h>
#include <stdio.h>

#include "machine.h"
#include "os.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* ---- options.c ---------------------------------------------------------- */

/* One bit a command, so that an option can say which of them take it. */
enum {
  CMD_TRAIN = 1,
  CMD_EVAL = 2,
  CMD_PREDICT = 4,
  CMD_INFO = 8,
  CMD_SAMPLE = 16,
  CMD_QUANTIZE = 32,
  CMD_BENCH = 64,
  CMD_SUGGEST = 128,
  CMD_CHECK = 256,
  CMD_CALIBRATE = 1024,
  CMD_EXPLAIN = 2048,
  CMD_REPORT = 4096,
  CMD_PREVIEW = 65536,
  CMD_LR_FIND = 131072
};

#define NOT_GIVEN UINT64_MAX

/* The value of --part behind those of IMGREC_PART_*. */
#define PART_ALL 4

/* The values of --show. */
enum { SHOW_OFF, SHOW_AUTO, SHOW_ASCII, SHOW_256, SHOW_TRUECOLOR };

/* More than there are options. */
#define OPTIONS_MAX 160

/* All options of all commands; zero is "not given" unless said otherwise. */
struct settings {
  const char *val, *test, *preset, *arch, *init, *output, *labels;
  const char *unknown, *class_name, *log, *preview, *report_run;
  const char *augment; /* NULL: auto */
  double learning_rate;
  double val_split; /* 0.1 */
  double seconds;
  double max_latency_ms, max_memory, max_file; /* MiB the last two */
  double reject_rate;                          /* 0.05 */
  uint64_t seed;
  int64_t epochs, batch, threads, top, count, channels, classes, images, runs;
  int height, width;
  int optimizer, isa; /* IMGREC_OPTIMIZER_*, _ISA_* */
  int resize;         /* IMGREC_RESIZE_*; -1: not given */
  int part;           /* IMGREC_PART_* or PART_ALL */
  int show;           /* SHOW_* */
  int weights, range; /* IMGREC_WEIGHTS_*, _RANGE_* */
  /* How to train: train_options.c. */
  double weight_decay, warmup_epochs; /* below 0: not given */
  double label_smoothing, clip_norm, ema, layer_decay;
  double step_epochs, step_factor, final_factor;
  int64_t patience, steps;
  const char *freeze;
  int schedule; /* IMGREC_SCHEDULE_*; below 0: not given, as optimizer */
  int balance;  /* 0: not given, else IMGREC_BALANCE_* + 1 */
  int nesterov, decay_all;
  int json, text, help, train, layers, no_check;
  uint64_t cache; /* bytes; NOT_GIVEN without --cache */
  const char *run, *resume;
  double checkpoint_minutes; /* below 0: not given */
  int argument_count;        /* what is not an option, in order */
  char **arguments;
  /* The value of each option that was given, "" of a flag, else NULL. */
  const char *given[OPTIONS_MAX];
};

struct command {
  int bit; /* CMD_* */
  const char *name;
  const char *arguments; /* "MODEL DATA" */
  const char *summary;   /* half a line, for `imgrec --help` */
  const char *details;   /* paragraphs for `imgrec NAME --help` */
  const char *example;
  int (*run)(const struct settings *s);
};

/* Reads the words behind the command's name (argv[0] is that name).
 * Returns EXIT_OK, or EXIT_USAGE after saying what was wrong. */
int read_options(struct settings *s, const struct command *command, int argc,
                 char **argv);
/* As if it had been on the command line, unless it was; `value` is kept.  0
 * when there is no such option or value. */
int set_option(struct settings *s, int bit, const char *name,
               const char *value);
/* The same where it was. */
void replace_option(struct settings *s, int bit, const char *name,
                    const char *value);
/* The given options in the order of the table. */
void each_given_option(const struct settings *s,
                       void (*tell)(void *user, const char *name,
                                    const char *value, int is_path),
                       void *user);
/* The name of a given option that is not among "a|b|c", or NULL. */
const char *given_beyond(const struct settings *s, const char *names);
/* One line or two for each option that `command` takes. */
void print_option_help(FILE *f, const struct command *command);

/* ---- main.c ------------------------------------------------------------- */

/* "imgrec train: sentence" to stderr; returns EXIT_FAILED. */
int fail(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same with a hint at --help; returns EXIT_USAGE. */
int usage_error(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A context with the --threads and --isa of `s` whose warnings go to stderr;
 * says what went wrong otherwise. */
int open_context(imgrec_context **out, const struct settings *s,
                 const char *command);

/* ---- user_text.c -------------------------------------------------------- */

/* A text file with a name a line. */
struct name_list {
  int count;
  char **names;
};

/* The whole of a text file of at most 1 MiB as a C string for free(). */
int read_text_file(char **out, const char *path, const char *command);
/* A line of any length, its end included; *line, of *size, is grown, for
 * free().  0 at the end of the file. */
int read_line(char **line, size_t *size, FILE *f);
int read_names(struct name_list *out, const char *path, const char *command);
void free_names(struct name_list *list);
/* EXIT_USAGE, after naming those there are, when `name` is no preset. */
int check_preset(const char *name, const char *command);
/* The text of a preset for an input of H, W, C (0: the preset's own); for
 * free(). */
int preset_text(char **out, const char *name, const int64_t shape[3],
                int classes, const char *command);
/* A copy of a name from a file without what could steer a terminal, cut to
 * `size`. */
const char *printable(char *out, size_t size, const char *text);
#define NAME_SIZE 256
/* On one line, as a shell takes it, for free(); NULL when out of memory. */
char *shell_word(const char *word);
/* "int8" of an IMGREC_WEIGHTS_*. */
const char *weight_type_name(int weight_type);

/* ---- network.c ---------------------------------------------------------- */

/* EXIT_USAGE unless `s` names one network: by MODEL, --preset or --arch. */
int check_network(const struct settings *s, const char *command);
int open_network(imgrec_model **out, imgrec_context *ctx,
                 const struct settings *s, const imgrec_model_options *options,
                 const char *command);
imgrec_layer_info layer_info(const imgrec_model *model, int index);

/* ---- choose.c ----------------------------------------------------------- */

struct choice {
  const char *preset, *why; /* "small", "for small pictures" */
};

/* Where a network is made for data (network.c): EXIT_USAGE where --preset,
 * --arch and --size contradict each other; its text for free(), and what was
 * chosen where the user did not say, for so many images before any are split
 * off; how images come to its input, by --resize and, in a `fresh` network, as
 * usual: a status of the library. */
int check_network_options(const struct settings *s, const char *command);
int network_text(char **text, struct choice *choice, const struct settings *s,
                 const imgrec_dataset *data, int64_t images,
                 const char *command);
int set_preprocess(imgrec_model *model, const struct settings *s, int fresh);
/* The network for so many images of H, W, C, where H and W are 0 for photos
 * that are to be made smaller. */
struct choice choose_preset(const int64_t shape[3], int64_t images);
/* From what the images share to the input: their own size up to 128 pixels,
 * else 0 for that of the preset; colour where channels differ. */
void choose_input(int64_t shape[3]);
int choose_epochs(int64_t images);

/* ---- data_parts.c ------------------------------------------------------- */

/* The first of `parts` that the data set has; *part (may be NULL) says which.
 * A status of the library. */
int open_first_part(imgrec_dataset **out, int *part, imgrec_context *ctx,
                    const char *path, const int *parts, int count);
/* What is to be learned from: the part for it, or all where there are no parts,
 * with its skipped files said; EXIT_OK or EXIT_FAILED. */
int open_training(imgrec_dataset **out, imgrec_context *ctx, const char *path,
                  const char *command);
/* EXIT_FAILED, after saying so, where there is but one class. */
int check_class_count(const imgrec_dataset *data, const char *path,
                      const char *command);
const char *part_name(int part);
/* Renumbers `data` to the classes of `model`.  Data whose classes have numbers
 * for names fit any model with as many classes. */
int match_classes(imgrec_dataset *data, const imgrec_model *model);
/* The names of --labels, as many as `data` has classes, which must be numbered:
 * names of their own are what other data is matched by. */
int read_class_names(struct name_list *out, const struct settings *s,
                     const imgrec_dataset *data, const char *command);
/* Images that are not known to be unreadable. */
int64_t count_images(const imgrec_dataset *data);
/* The same of each class, for free(); NULL when out of memory. */
int64_t *count_by_class(const imgrec_dataset *data);
/* The skipped files of a data set that was opened to stderr, the first few by
 * name, and the classes that have no others. */
void warn_skipped(const imgrec_dataset *data, const char *command);
/* The files alone, from `first` on: those found since. */
void warn_skipped_from(const imgrec_dataset *data, int first,
                       const char *command);
/* Classes that have images in `data`, all of them found to be unreadable. */
void warn_lost_classes(const imgrec_dataset *data, const char *command);

/* ---- train_options.c ---------------------------------------------------- */

/* Images of the smallest class and of the largest. */
struct class_sizes {
  int64_t least, most;
  int smallest, reserved;
};

/* EXIT_USAGE where options contradict each other. */
int check_train_options(const struct settings *s, const char *command);
void trainer_options(imgrec_trainer_options *o, const struct settings *s);
void fit_options(imgrec_fit_options *o, const struct settings *s,
                 const struct class_sizes *sizes);
/* Where neither optimizer nor learning rate nor schedule is given: those that
 * suit the model.  Returns whether it chose. */
int choose_recipe(struct settings *s, const imgrec_model *model);
/* "adamw", "one-cycle": as --optimizer and --schedule have them. */
const char *optimizer_name(int optimizer);
const char *schedule_name(int schedule);
void print_recipe(const struct settings *s, int chosen);
/* Those of --freeze. */
int freeze_layers(imgrec_model *model, imgrec_context *ctx,
                  const struct settings *s, const char *command);
/* 0 when out of memory. */
int count_classes(struct class_sizes *out, const imgrec_dataset *data);
/* IMGREC_BALANCE_*: as asked, else by the sizes. */
int choose_balance(const struct settings *s, const struct class_sizes *sizes);
const char *balance_name(int balance);
/* One line where classes are uneven: that they are, and what is done. */
void print_balance(const struct settings *s, const struct class_sizes *sizes,
                   const imgrec_dataset *data);

struct json_out;

/* ---- picture.c ----------------------------------------------------------- */

/* An image of H x W x C u8 as a PNG file, or nothing and a sentence. */
int write_png(const char *path, const imgrec_tensor *image,
              const char *command);
void write_base64(FILE *f, const unsigned char *bytes, size_t size);
/* "data:image/png;base64,...", or JPEG of that quality; 0 or a status, and then
 * nothing is written. */
int write_data_uri(FILE *f, const imgrec_tensor *image, int jpeg_quality);

/* ---- calibration_text.c -------------------------------------------------- */

/* Calibrates `model` on `data` by --reject-rate; a status of the library. */
int calibrate_model(imgrec_model *model, imgrec_dataset *data,
                    const struct settings *s, imgrec_calibrate_result *result);
/* A sentence, or the members of a JSON object. */
void print_calibration(const imgrec_model *model,
                       const imgrec_calibrate_result *r);
void json_calibration(struct json_out *j, const imgrec_model *model,
                      const imgrec_calibrate_result *r);

/* ---- cmd_report.c -------------------------------------------------------- */

/* What a run has learned from, and what it is measured on; NULL: nothing. */
struct run_data {
  imgrec_dataset *train, *val, *test;
  int split; /* 1: val was split off train */
};
/* Writes RUN/report.html from the model and RUN/log.jsonl; EXIT_OK or a code
 * after saying what went wrong. */
int write_run_report(const struct settings *s, imgrec_context *ctx,
                     imgrec_model *model, const char *run,
                     const struct run_data *data);

/* ---- heat.c -------------------------------------------------------------- */

/* `map` (H x W f32 of 0 to 1) in colours over `view`, an image of any size of
 * which it is the map; 0 or a status. */
int make_overlay(imgrec_tensor **out, imgrec_context *ctx,
                 const imgrec_tensor *view, const imgrec_tensor *map);
/* What the model sees of `image`, enlarged by a whole number so that its longer
 * side is at least `side` pixels; 0 or a status. */
int make_view(imgrec_tensor **out, const imgrec_model *model,
              const imgrec_tensor *image, int side);

/* ---- augmentation.c ----------------------------------------------------- */

struct augmentation {
  imgrec_augment options;
  char text[512], reason[256]; /* "" unless it was chosen by the data */
};

/* EXIT_USAGE, after saying what is wrong with --augment `text`. */
int check_augmentation(imgrec_context *ctx, const char *text,
                       const char *command);
/* By --augment `text`, for training on `data`.  A status of the library. */
int choose_augmentation(struct augmentation *out, imgrec_context *ctx,
                        imgrec_dataset *data, const imgrec_preprocess *p,
                        const char *text);
void print_augmentation(const struct augmentation *a);

/* ---- cmd_preview.c ------------------------------------------------------ */

/* A PNG file of images as a network will see them, s->count of them. */
int write_preview(const struct settings *s, imgrec_context *ctx,
                  imgrec_dataset *data, const imgrec_preprocess *input,
                  const struct augmentation *augment, const char *path);

/* ---- init_model.c ------------------------------------------------------- */

/* With --init and no other network named, the model of that file for `classes`
 * classes; *out stays NULL where there is none, as in a file of weights. */
int adapt_init(imgrec_model **out, imgrec_context *ctx,
               const struct settings *s, int classes,
               const imgrec_model_options *options, const char *command);
/* The weights of --init, if given, to a model that is there. */
int load_init(imgrec_model *model, imgrec_context *ctx,
              const struct settings *s, const char *command);

/* ---- json_out.c --------------------------------------------------------- */

/* One JSON value on one line.  Floats that are not finite become null, bytes
 * that are not UTF-8 become U+FFFD. */
struct json_out {
  FILE *file;
  int comma; /* one is due before the next item */
};

/* Bytes of the well-formed UTF-8 sequence at s, 0 where there is none. */
int utf8_length(const unsigned char *s);
void json_open(struct json_out *j, char bracket);  /* '{' or '[' */
void json_close(struct json_out *j, char bracket); /* '}' or ']' */
void json_key(struct json_out *j, const char *key);
void json_string(struct json_out *j, const char *s); /* NULL: null */
void json_integer(struct json_out *j, int64_t x);
void json_float(struct json_out *j, double x);
void json_bool(struct json_out *j, int x);
/* Closes the outermost object and its line, and flushes, so that a reader at
 * the other end of a pipe sees it now. */
void json_finish(struct json_out *j);

/* ---- progress.c --------------------------------------------------------- */

struct run; /* run_folder.h */

/* What is known about a training run while it runs. */
struct run_clock {
  double started, epoch_started, last_step;
  double train_seconds; /* without validation */
  int64_t train_images; /* all epochs */
  double epoch_rate;    /* images a second of the epoch that just ended */
  /* What a run that goes on had done before. */
  int64_t images_before; /* of the epoch that it is in */
  double epochs_before;
};

/* What an `imgrec_fit` callback of ours is given as `user`. */
struct train_progress {
  struct run_clock clock;
  int json;
  int terminal;    /* stderr is one */
  int epochs_done; /* and what they came to */
  int best_epoch;
  double train_loss, val_loss, val_accuracy;
  double last_drawn;
  int64_t images;  /* of the epoch under way */
  struct run *run; /* or NULL */
};

void progress_begin(struct train_progress *p, int json, struct run *run);
/* An imgrec_progress_fn; asks to stop once a signal has come. */
int progress_step(void *user, const imgrec_progress *progress);
/* Clears the line that the last step left on the terminal. */
void progress_end(struct train_progress *p);

/* ---- show.c ------------------------------------------------------------- */

/* Prints a picture to stdout, and `lines` beside it. */
int show_image(const imgrec_tensor *image, int how, const char *const *lines,
               int line_count);

/* ---- cmd_*.c ------------------------------------------------------------ */

int cmd_train(const struct settings *s);
int cmd_lr_find(const struct settings *s);
int cmd_eval(const struct settings *s);
int cmd_predict(const struct settings *s);
int cmd_info(const struct settings *s);
int cmd_sample(const struct settings *s);
int cmd_quantize(const struct settings *s);
int cmd_bench(const struct settings *s);
int cmd_suggest(const struct settings *s);
int cmd_check(const struct settings *s);
int cmd_calibrate(const struct settings *s);
int cmd_explain(const struct settings *s);
int cmd_report(const struct settings *s);
int cmd_preview(const struct settings *s);

#endif
