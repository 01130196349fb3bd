/* SPDX-License-Identifier: MIT */
/* A program of another release: compiled against a header whose structs are
 * shorter (FIRST: that of the first release; SHORTER: ours, cut) or longer
 * (LONGER), and run with today's shared library.
 *   old_program FOLDER        works with each struct; FOLDER is for its files
 *   old_program FOLDER tail   LONGER: sets what the library does not know */
#include <imgrec/imgrec.h>
#include <stdio.h>
#include <string.h>

static const char text[] = "input 8 8 1\nflatten\ndense 2\nsoftmax\n";

enum { IMAGES = 8, SIDE = 8 };

static int failures, tail;
static imgrec_context *ctx;

static void expect(int right, const char *what) {
  if (right)
    return;
  failures++;
  printf("%s: %s\n", what, imgrec_last_error(ctx));
}

#if defined(LONGER)
#define SET_TAIL(options)                                                      \
  do {                                                                         \
    if (tail)                                                                  \
      (options).later = 7;                                                     \
  } while (0)
#else
#define SET_TAIL(options) ((void)0)
#endif

/* The answer to a struct that the library reads. */
static int answered(int status, const char *what) {
  if (tail) {
    const char *sentence = imgrec_last_error(ctx);
    expect(status == IMGREC_ERR_UNSUPPORTED, what);
    expect(strstr(sentence, what) && strstr(sentence, "does not know"), what);
  } else {
    expect(status >= 0, what);
  }
  return status >= 0;
}

/* The struct's own size is as the program said, whatever was written. */
#define EXPECT_WHOLE(s, what) expect((s).struct_size == sizeof(s), what)

#define INIT(type, s)                                                          \
  expect(type##_init(&(s), sizeof(s)) == IMGREC_OK, #type "_init")

/* ---- Contexts and images ------------------------------------------------- */

static void try_context(void) {
  imgrec_context_options o;
  imgrec_context *made = NULL;
  INIT(imgrec_context_options, o);
  o.threads = 1;
  SET_TAIL(o);
  int status = imgrec_context_create(&made, &o);
  expect(status == (tail ? IMGREC_ERR_UNSUPPORTED : IMGREC_OK),
         "imgrec_context_options");
  expect(tail ? made == NULL : imgrec_context_threads(made) == 1, "threads");
  imgrec_context_destroy(made);
}

static imgrec_tensor *new_images(int64_t n, int channels) {
  const int64_t shape[4] = {n, SIDE, SIDE, channels};
  imgrec_tensor *t = NULL;
  expect(imgrec_tensor_create(&t, ctx, IMGREC_U8, 4, shape) == 0, "tensor");
  unsigned char *p = imgrec_tensor_data(t);
  for (size_t i = 0; i < imgrec_tensor_nbytes(t); i++)
    p[i] = (unsigned char)(i * i % 251);
  return t;
}

static void try_preprocess(imgrec_model *model) {
  const int64_t shape[3] = {10, 12, 1};
  imgrec_preprocess p;
  imgrec_tensor *image = NULL, *input = NULL;
  INIT(imgrec_preprocess, p);
  expect(imgrec_model_get_preprocess(model, &p) == 0, "get_preprocess");
  EXPECT_WHOLE(p, "imgrec_preprocess");
  expect(p.height == SIDE && p.std[0] == 1, "imgrec_preprocess's fields");
  expect(imgrec_tensor_create(&image, ctx, IMGREC_U8, 3, shape) == 0, "image");
  SET_TAIL(p);
  if (answered(imgrec_image_preprocess(&input, image, &p), "imgrec_preprocess"))
    expect(imgrec_tensor_dim(input, 0) == SIDE, "preprocessed");
  answered(imgrec_model_set_preprocess(model, &p), "imgrec_preprocess");
  imgrec_tensor_destroy(input);
  imgrec_tensor_destroy(image);
}

#if !defined(FIRST)
static void try_augment(void) {
  char fields[200] = "";
  imgrec_augment a;
  INIT(imgrec_augment, a);
  expect(imgrec_augment_parse(&a, ctx, "flip,rotate=10") == 0, "parse");
  EXPECT_WHOLE(a, "imgrec_augment");
  SET_TAIL(a);
  if (answered(imgrec_augment_print(&a, ctx, fields, sizeof fields),
               "imgrec_augment"))
    expect(strstr(fields, "rotate=10") != NULL, fields);
}
#endif

/* ---- Models -------------------------------------------------------------- */

static imgrec_model *new_model(void) {
  imgrec_model *model = NULL;
  expect(imgrec_model_create(&model, ctx, text, NULL) == 0, "model");
  return model;
}

static void try_model(void) {
  imgrec_model_options o;
  imgrec_model *model = NULL;
  INIT(imgrec_model_options, o);
  o.seed = 3;
  SET_TAIL(o);
  if (answered(imgrec_model_create(&model, ctx, text, &o),
               "imgrec_model_options"))
    expect(imgrec_model_classes(model) == 2, "classes");
  imgrec_model_destroy(model);
}

/* The library fills these: what it does not know stays as it was. */
static void try_layer(imgrec_model *model) {
  imgrec_layer_info info;
  INIT(imgrec_layer_info, info);
  SET_TAIL(info);
  expect(imgrec_model_layer(model, 2, &info) == 0, "imgrec_layer_info");
  EXPECT_WHOLE(info, "imgrec_layer_info");
  expect(strcmp(info.type, "dense") == 0 && info.parameters == 130, "layer");
#if defined(LONGER)
  expect(info.later == (tail ? 7 : 0), "a member the library does not know");
#endif
}

#if !defined(FIRST)
static void try_calibration(imgrec_model *model) {
  imgrec_calibration c;
  INIT(imgrec_calibration, c);
  expect(imgrec_model_get_calibration(model, &c) == 0, "get_calibration");
  EXPECT_WHOLE(c, "imgrec_calibration");
#if !defined(SHORTER) /* which has no temperature to set */
  expect(c.temperature == 1, "temperature");
  SET_TAIL(c);
  answered(imgrec_model_set_calibration(model, &c), "imgrec_calibration");
#endif
}

static void try_quantize(imgrec_model *model, imgrec_dataset *data) {
  imgrec_quantize_options o;
  imgrec_model *quantized = NULL;
  INIT(imgrec_quantize_options, o);
  o.images = 4;
  SET_TAIL(o);
  answered(imgrec_model_quantize(&quantized, model, data, &o),
           "imgrec_quantize_options");
  imgrec_model_destroy(quantized);
}
#endif

/* ---- Data sets ----------------------------------------------------------- */

static imgrec_dataset *new_dataset(void) {
  const int64_t count = IMAGES;
  imgrec_dataset *data = NULL;
  imgrec_tensor *images = new_images(IMAGES, 1), *labels = NULL;
  expect(imgrec_tensor_create(&labels, ctx, IMGREC_I32, 1, &count) == 0,
         "labels");
  for (int i = 0; i < IMAGES; i++)
    ((int32_t *)imgrec_tensor_data(labels))[i] = i % 2;
  expect(imgrec_dataset_from_memory(&data, ctx, images, labels, 2) == 0,
         "data set");
  imgrec_tensor_destroy(images);
  imgrec_tensor_destroy(labels);
  return data;
}

static void try_open(void) {
  imgrec_dataset_options o;
  imgrec_dataset *data = NULL;
  INIT(imgrec_dataset_options, o);
  SET_TAIL(o);
  if (answered(imgrec_dataset_open(&data, ctx, "examples/data/digits", &o),
               "imgrec_dataset_options"))
    expect(imgrec_dataset_size(data) > 0, "images");
  imgrec_dataset_destroy(data);
}

#if !defined(FIRST)
static void try_examination(imgrec_dataset *data) {
  imgrec_dataset *twice[2] = {data, data};
  imgrec_examination *found = NULL;
  imgrec_examine_options o;
  imgrec_data_summary summary;
  imgrec_duplicate duplicate;
  INIT(imgrec_examine_options, o);
  INIT(imgrec_data_summary, summary);
  INIT(imgrec_duplicate, duplicate);
  SET_TAIL(o);
  if (!answered(imgrec_dataset_examine(&found, twice, 2, &o),
                "imgrec_examine_options"))
    return;
  expect(imgrec_examination_summary(found, 1, &summary) == 0, "summary");
  expect(summary.images == IMAGES, "imgrec_data_summary");
  EXPECT_WHOLE(summary, "imgrec_data_summary");
  expect(imgrec_examination_duplicate(found, 0, &duplicate) == 0, "duplicate");
  expect(duplicate.kind == IMGREC_DUPLICATE_EXACT, "imgrec_duplicate");
  EXPECT_WHOLE(duplicate, "imgrec_duplicate");
  imgrec_examination_destroy(found);
}
#endif

/* ---- Training ------------------------------------------------------------ */

static imgrec_trainer *new_trainer(imgrec_model *model) {
  imgrec_trainer *trainer = NULL;
  expect(imgrec_trainer_create(&trainer, model, NULL) == 0, "trainer");
  return trainer;
}

static void try_trainer(imgrec_model *model) {
  imgrec_trainer_options o;
  imgrec_trainer *trainer = NULL;
  INIT(imgrec_trainer_options, o);
  o.max_batch = 4;
  SET_TAIL(o);
  answered(imgrec_trainer_create(&trainer, model, &o),
           "imgrec_trainer_options");
  imgrec_trainer_destroy(trainer);
}

/* The library's struct is as long as struct_size says, whatever ours is. */
static int seen(void *user, const imgrec_progress *progress) {
  int *calls = user;
  ++*calls;
  expect(progress->images_total == IMAGES, "imgrec_progress");
#if defined(LONGER)
  expect(progress->struct_size < sizeof *progress, "its struct_size");
#else
  expect(progress->struct_size >= sizeof *progress, "its struct_size");
#endif
  return 0;
}

#if !defined(FIRST)
static void try_checkpoint(const char *path) {
  imgrec_checkpoint c;
  INIT(imgrec_checkpoint, c);
  expect(imgrec_checkpoint_read(ctx, path, &c) == 0, "checkpoint_read");
  EXPECT_WHOLE(c, "imgrec_checkpoint");
  expect(c.epochs == 2 && c.images_total == IMAGES, "imgrec_checkpoint");
}
#endif

static void try_fit(imgrec_trainer *trainer, imgrec_dataset *data,
                    const char *path) {
  imgrec_fit_options o;
  imgrec_fit_result result;
  int calls = 0;
  INIT(imgrec_fit_options, o);
  INIT(imgrec_fit_result, result);
  o.epochs = 2;
  o.progress = seen;
  o.progress_user = &calls;
#if !defined(FIRST)
  o.checkpoint = path;
#endif
  SET_TAIL(o);
  if (!answered(imgrec_fit(trainer, data, NULL, &o, &result),
                "imgrec_fit_options"))
    return;
  EXPECT_WHOLE(result, "imgrec_fit_result");
  expect(result.epochs == 2 && calls > 2, "imgrec_fit_result");
#if !defined(FIRST)
  try_checkpoint(path);
#else
  (void)path;
#endif
}

#if !defined(FIRST)
static void try_rates(imgrec_trainer *trainer, imgrec_dataset *data) {
  float rates[10], losses[10], best = 0;
  imgrec_rate_options o;
  INIT(imgrec_rate_options, o);
  o.seed = 2;
  SET_TAIL(o);
  answered(imgrec_find_rate(trainer, data, &o, 10, rates, losses, &best),
           "imgrec_rate_options");
}

static void try_calibrate(imgrec_model *model, imgrec_dataset *data) {
  imgrec_calibrate_options o;
  imgrec_calibrate_result result;
  INIT(imgrec_calibrate_options, o);
  INIT(imgrec_calibrate_result, result);
  SET_TAIL(o);
  if (!answered(imgrec_model_calibrate(model, data, &o, &result),
                "imgrec_calibrate_options"))
    return;
  EXPECT_WHOLE(result, "imgrec_calibrate_result");
  expect(result.images == IMAGES, "imgrec_calibrate_result");
}
#endif

static void try_evaluate(imgrec_model *model, imgrec_dataset *data) {
  int64_t confusion[4] = {0};
  imgrec_evaluation e;
  INIT(imgrec_evaluation, e);
  e.confusion = confusion;
  SET_TAIL(e);
  if (!answered(imgrec_evaluate(model, data, &e), "imgrec_evaluation"))
    return;
  EXPECT_WHOLE(e, "imgrec_evaluation");
  expect(e.images == IMAGES && e.confusion == confusion, "imgrec_evaluation");
  expect(confusion[0] + confusion[1] == IMAGES / 2, "its counts");
}

static void try_all(const char *path) {
  imgrec_model *model = new_model();
  imgrec_dataset *data = new_dataset();
  try_context();
  try_preprocess(model);
  try_model();
  try_layer(model);
  try_open();
  try_trainer(model);
  imgrec_trainer *trainer = new_trainer(model);
  try_fit(trainer, data, path);
  try_evaluate(model, data);
#if !defined(FIRST)
  try_augment();
  try_rates(trainer, data);
  try_calibration(model);
  try_examination(data);
  imgrec_trainer_destroy(trainer);
  trainer = NULL;
  try_calibrate(model, data);
  try_quantize(model, data);
#endif
  imgrec_trainer_destroy(trainer);
  imgrec_dataset_destroy(data);
  imgrec_model_destroy(model);
}

int main(int argc, char **argv) {
  char path[400];
  tail = argc > 2 && strcmp(argv[2], "tail") == 0;
  if (argc < 2 || imgrec_context_create(&ctx, NULL) < 0)
    return 2;
  snprintf(path, sizeof path, "%s/old_program.checkpoint", argv[1]);
  try_all(path);
  imgrec_context_destroy(ctx);
  remove(path);
  return failures > 0;
}
