/* SPDX-License-Identifier: MIT */
/* The `imgrec` command: finds the subcommand, prints help, reports failures. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct command commands[] = {
    {CMD_TRAIN, "train", "DATA -o MODEL | DATA --run DIR | --resume DIR",
     "train a network on labelled images and save it",
     "DATA is a folder with a folder of images for each class (flat, or under\n"
     "train/, val/ and test/), a CSV file of path,label, IDX files (as MNIST\n"
     "has them, plain or .gz) or CIFAR-10/100 binary files; which of them is\n"
     "found out by looking.  A val part is used for validation, else some of\n"
     "the training images are; a test part is evaluated once at the end.\n"
     "Ctrl-C ends training after the step, and saves.  With --run nothing is\n"
     "lost, whatever ends it: --resume goes on and ends with the same model, "
     "to\n"
     "the bit.\n",
     "imgrec train photos/ --epochs 20 -o photos.imgrec", cmd_train},
    {CMD_LR_FIND, "lr-find", "DATA -o FILE",
     "find a learning rate for a network and its data",
     "Makes some steps of training, each at a higher rate than the last, "
     "draws\n"
     "the losses, and suggests a tenth of the rate at which they are least.\n"
     "Network and options are those of imgrec train; no image is augmented.\n",
     "imgrec lr-find photos/ --optimizer adamw -o lr.svg", cmd_lr_find},
    {CMD_EVAL, "eval", "MODEL DATA",
     "measure how well a model recognises labelled images",
     "Uses the test part of DATA where there is one, else its val part, else\n"
     "all of it.\n",
     "imgrec eval photos.imgrec photos/ --part val", cmd_eval},
    {CMD_PREDICT, "predict", "MODEL IMAGE...", "say what is in an image",
     "Reads JPEG, PNG, BMP and PNM files.  One that cannot be read is "
     "reported,\n"
     "the others are still recognised, and the exit code is 1.\n",
     "imgrec predict photos.imgrec cat.jpg dog.jpg --top 3", cmd_predict},
    {CMD_INFO, "info", "MODEL | --preset NAME | --arch FILE",
     "show the layers of a network, its size and its cost",
     "With --text the architecture is printed alone, to be edited and given "
     "to\n"
     "imgrec train --arch.\n",
     "imgrec info --preset small --size 96x96 --classes 5", cmd_info},
    {CMD_SAMPLE, "sample", "DATA -o DIR",
     "write some images of a data set as PNG files",
     "The images are chosen by --seed and written as DIR/NNNN-label.png.\n",
     "imgrec sample mnist/ -n 5 --part test -o some/", cmd_sample},
    {CMD_PREVIEW, "preview", "DATA -o FILE",
     "show what a network will see of its training images",
     "Writes one sheet: a row for each of some images, as it is and then as "
     "it\n"
     "will be in the first epochs of imgrec train with the same --augment, "
     "--size,\n"
     "--resize and --seed.\n",
     "imgrec preview photos/ --augment strong -o sheet.png", cmd_preview},
    {CMD_QUANTIZE, "quantize", "MODEL [DATA] -o MODEL",
     "make a model smaller and faster, for recognising only",
     "Convolutions and dense layers then compute in 8 bits (a quarter of the\n"
     "bytes); some images of DATA show the range of what goes into each of\n"
     "them, whatever their labels.  --weights f16 or bf16 only stores the\n"
     "weights in half the bytes, takes no DATA, and can be trained on.\n",
     "imgrec quantize photos.imgrec photos/ -o small.imgrec", cmd_quantize},
    {CMD_SUGGEST, "suggest", "DATA",
     "find out which size of network suits your images",
     "Measures built-in networks on this machine, trains each for a short "
     "time\n"
     "on DATA, prints what each costs and recognises, and names one.  More\n"
     "training lifts all of them, the larger ones more.\n",
     "imgrec suggest photos/ --max-latency-ms 5 --seconds 300", cmd_suggest},
    {CMD_CALIBRATE, "calibrate", "MODEL DATA -o MODEL",
     "make a model as sure as it is right",
     "DATA are images that the model has not learned from: its val part where\n"
     "there is one, else all of it.  The temperature that fits them best goes\n"
     "into the model, and the probability below which an image is none of the\n"
     "classes.  'imgrec train' does the same with its validation images.\n",
     "imgrec calibrate photos.imgrec photos/ -o sure.imgrec", cmd_calibrate},
    {CMD_EXPLAIN, "explain", "MODEL IMAGE -o PNG",
     "show where in an image a class is seen",
     "Writes what the network sees of the image, with what speaks for the\n"
     "class in warm colours (Grad-CAM).\n",
     "imgrec explain photos.imgrec cat.jpg -o heat.png --class dog",
     cmd_explain},
    {CMD_REPORT, "report", "MODEL DATA -o HTML",
     "write a page on what a model learned and where it errs",
     "One file that needs nothing else: accuracy with its interval, curves of\n"
     "the training, confusion matrix, worst mistakes, calibration, where the\n"
     "network looks.  Measures on the val part of DATA; without one, on the\n"
     "images that 'imgrec train' would split off, or did in --run; else on\n"
     "the test part.\n",
     "imgrec report photos.imgrec photos/ --run run/ -o report.html",
     cmd_report},
    {CMD_BENCH, "bench", "MODEL | --preset NAME | --arch FILE",
     "measure how fast a network runs or trains here",
     "Runs on random images and prints times, images a second, and the shares\n"
     "of the multiply-adds and of the memory traffic that this machine is "
     "found\n"
     "capable of.  A share above 100 % is of memory that stayed in a cache.\n",
     "imgrec bench --preset small --size 96x96 --train --layers", cmd_bench},
    {CMD_CHECK, "check", "DATA",
     "look over data: sizes, unreadable files, the same image twice",
     "Reads all images of the train, val and test parts and prints what there\n"
     "is of each class, and which images are there twice, be it exactly or "
     "saved\n"
     "or resized anew, within a part, in two of them, or with different "
     "labels.\n",
     "imgrec check photos/ --val more-photos/", cmd_check},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void complain(const char *command, const char *format, va_list args) {
  fflush(stdout); /* keep the order where both go to one place */
  fprintf(stderr, "imgrec%s%s: ", command[0] ? " " : "", command);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
}

int fail(const char *command, const char *format, ...) {
  va_list args;
  va_start(args, format);
  complain(command, format, args);
  va_end(args);
  return EXIT_FAILED;
}

int usage_error(const char *command, const char *format, ...) {
  va_list args;
  va_start(args, format);
  complain(command, format, args);
  va_end(args);
  fprintf(stderr, "try 'imgrec%s%s --help'\n", command[0] ? " " : "", command);
  return EXIT_USAGE;
}

static void log_line(void *user, int level, const char *line) {
  (void)user;
  if (level >= IMGREC_LOG_WARNING)
    fprintf(stderr, "imgrec: warning: %s\n", line);
}

int open_context(imgrec_context **out, const struct settings *s,
                 const char *command) {
  imgrec_context_options options;
  int status = imgrec_context_options_init(&options, sizeof options);
  if (status >= 0) {
    options.threads = (int32_t)s->threads;
    options.isa = s->isa;
    options.log = log_line;
    status = imgrec_context_create(out, &options);
  }
  if (status >= 0)
    return EXIT_OK;
  if (status == IMGREC_ERR_UNSUPPORTED)
    return fail(command, "--isa: this processor or this build does not have "
                         "that instruction set; auto takes the best there is");
  return fail(command, "cannot start: %s", imgrec_status_string(status));
}

static const struct command *find_command(const char *name) {
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    if (strcmp(commands[i].name, name) == 0)
      return &commands[i];
  return NULL;
}

static void print_help(FILE *f) {
  fputs("imgrec - train and run image recognisers on the CPU\n\n"
        "usage: imgrec COMMAND ...\n\n",
        f);
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    fprintf(f, "  %-9s %s\n", commands[i].name, commands[i].summary);
  fputs("\n  -h, --help     this help; 'imgrec COMMAND --help' says more\n"
        "  --version      the version of the library\n\n"
        "example: imgrec train photos/ -o photos.imgrec\n"
        "         imgrec predict photos.imgrec cat.jpg\n",
        f);
}

static void print_command_help(FILE *f, const struct command *c) {
  fprintf(f, "usage: imgrec %s %s [options]\n\n%c%s.\n\n%s\noptions:\n",
          c->name, c->arguments, c->summary[0] - 'a' + 'A', c->summary + 1,
          c->details);
  print_option_help(f, c);
  fprintf(f, "\nexample: %s\n", c->example);
}

/* Output that did not arrive is a failure too. */
static int finish_output(int code) {
  errno = 0;
  if (fflush(stdout) == 0 && !ferror(stdout))
    return code;
  const char *why = errno ? strerror(errno) : "a write failed";
  fprintf(stderr, "imgrec: cannot write to standard output: %s\n", why);
  return code == EXIT_OK ? EXIT_FAILED : code;
}

static int run_command(const struct command *command, int argc, char **argv) {
  struct settings s;
  int code = read_options(&s, command, argc, argv);
  if (code != EXIT_OK)
    return code;
  if (s.help) {
    print_command_help(stdout, command);
    return EXIT_OK;
  }
  return command->run(&s);
}

/* "train, eval, ... and bench" */
static void list_commands(char *out, size_t size) {
  size_t at = 0;
  for (size_t i = 0; i < COMMAND_COUNT && at < size; i++) {
    const char *before = i == 0 ? "" : i + 1 < COMMAND_COUNT ? ", " : " and ";
    at +=
        (size_t)snprintf(out + at, size - at, "%s%s", before, commands[i].name);
  }
}

static int unknown_command(const char *word) {
  char names[400];
  list_commands(names, sizeof names);
  if (word[0] == '\0')
    return usage_error("", "a command is missing; there are %s", names);
  return usage_error("", "'%s' is no command; there are %s", word, names);
}

static int run(int argc, char **argv) {
  const char *word = argc > 1 ? argv[1] : "";
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
    print_help(stdout);
    return EXIT_OK;
  }
  if (strcmp(word, "--version") == 0) {
    printf("imgrec %s\n", imgrec_version_string());
    return EXIT_OK;
  }
  const struct command *command = find_command(word);
  if (command != NULL)
    return run_command(command, argc - 1, argv + 1);
  return unknown_command(word);
}

int main(int argc, char **argv) {
  argv = os_begin(&argc, argv);
  return finish_output(run(argc, argv));
}
