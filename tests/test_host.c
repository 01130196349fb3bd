/* SPDX-License-Identifier: MIT */
/* Tests that a host is never harmed: every function of imgrec.h leaves the
 * floating-point state and errno as they were and prints nothing; a context of
 * one thread starts none, and idle workers sleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "dataset_files.h"
#include "host_calls.h"

#define NET                                                                    \
  "input 12 12 1\nconv2d 4 kernel=3 bias=false\nbatch_norm activation=relu\n"  \
  "max_pool2d 2\nflatten\ndropout 0.1\ndense 3\nsoftmax\n"

enum { CLASSES = 3, SIDE = 12, IMAGES = 30, BATCH = 6 };

struct world {
  char root[256], model_path[300], checkpoint[300], image_path[300];
  imgrec_context *ctx;
  imgrec_tensor *image, *rgb, *x, *labels, *y;
  imgrec_model *model;
  imgrec_dataset *data, *validation;
};

/* ---- Numbers that are none ------------------------------------------------
 */

static void refuse_images(struct world *w) {
  imgrec_tensor *none = NULL;
  const imgrec_tensor *i = w->rgb;
  FAIL(imgrec_image_adjust(&none, i, 1, NAN, 1));
  FAIL(imgrec_image_rotate(&none, i, INFINITY));
  FAIL(imgrec_image_blur(&none, i, NAN));
  FAIL(imgrec_image_sharpen(&none, i, 1, NAN));
  INIT(imgrec_preprocess, p);
  CALL(imgrec_model_get_preprocess(w->model, &p));
  p.mean[0] = -INFINITY;
  FAIL(imgrec_image_preprocess(&none, i, &p));
  FAIL(imgrec_model_set_preprocess(w->model, &p));
  INIT(imgrec_augment, a);
  a.rotate = NAN;
  FAIL(imgrec_image_augment(&none, i, NULL, &a, 1, 2, 3));
  FAIL(imgrec_augment_mix(w->x, w->y, w->labels, &a, 1, 2, 3));
  char text[500];
  FAIL(imgrec_augment_print(&a, w->ctx, text, sizeof text));
}

static void refuse_data(struct world *w) {
  imgrec_dataset *first = NULL, *second = NULL;
  FAIL(imgrec_dataset_split(&first, &second, w->data, NAN, 7));
  INIT(imgrec_preprocess, p);
  CALL(imgrec_model_get_preprocess(w->model, &p));
  INIT(imgrec_augment, a);
  p.scale = INFINITY;
  FAIL(imgrec_augment_choose(&a, w->data, &p, NULL, 0));
}

static void refuse_training(struct world *w, imgrec_trainer *t) {
  float loss, rates[20], losses[20], suggestion;
  imgrec_trainer *none = NULL;
  INIT(imgrec_trainer_options, o);
  o.layer_decay = NAN;
  FAIL(imgrec_trainer_create(&none, w->model, &o));
  FAIL(imgrec_trainer_set_learning_rate(t, NAN));
  FAIL(imgrec_trainer_set_layer_rate(t, "", NAN));
  FAIL(imgrec_train_step_ms(t, w->x, w->labels, NAN, &loss));
  INIT(imgrec_fit_options, f);
  f.final_factor = NAN;
  FAIL(imgrec_fit(t, w->data, NULL, &f, NULL));
  INIT(imgrec_rate_options, r);
  r.low = NAN;
  FAIL(imgrec_find_rate(t, w->data, &r, 20, rates, losses, &suggestion));
}

static void refuse_recognition(struct world *w) {
  INIT(imgrec_calibration, c);
  c.reject_threshold = 0.5F;
  CALL(imgrec_model_set_calibration(w->model, &c));
  LOOK(imgrec_model_rejects(w->model, NAN));
  c.temperature = NAN;
  FAIL(imgrec_model_set_calibration(w->model, &c));
  INIT(imgrec_calibrate_options, o);
  o.reject_rate = NAN;
  FAIL(imgrec_model_calibrate(w->model, w->validation, &o, NULL));
}

/* Weights that are not finite give probabilities that are not. */
static void classify_without_numbers(struct world *w) {
  imgrec_result results[CLASSES];
  imgrec_tensor *bias = NULL;
  CALL(imgrec_model_get_parameter(&bias, w->model, "fc1.bias"));
  ((float *)imgrec_tensor_data(bias))[0] = NAN;
  CALL(imgrec_model_set_parameter(w->model, "fc1.bias", bias));
  CALL(imgrec_model_classify(w->model, w->rgb, CLASSES, results));
  imgrec_tensor_destroy(bias);
}

static void call_without_numbers(struct world *w) {
  imgrec_trainer *t = NULL;
  refuse_images(w);
  refuse_data(w);
  CALL(imgrec_trainer_create(&t, w->model, NULL));
  refuse_training(w, t);
  imgrec_trainer_destroy(t);
  refuse_recognition(w);
  classify_without_numbers(w);
}

/* ---- All of them -----------------------------------------------------------
 */

static void call_context(struct world *w) {
  imgrec_context *other = NULL;
  LOOK(imgrec_version_number());
  LOOK(imgrec_version_string());
  LOOK(imgrec_arithmetic_version());
  LOOK(imgrec_status_name(-3));
  LOOK(imgrec_status_string(-3));
  INIT(imgrec_context_options, o);
  o.threads = 1;
  CALL(imgrec_context_create(&w->ctx, &o));
  o.threads = 3;
  CALL(imgrec_context_create(&other, &o));
  LOOK(imgrec_context_destroy(other));
  o.max_bytes = 1000;
  FAIL(imgrec_context_create(&other, &o));
  LOOK(imgrec_last_error(w->ctx));
  LOOK(imgrec_context_isa(w->ctx));
  LOOK(imgrec_context_threads(w->ctx));
  LOOK(imgrec_context_bytes(w->ctx));
  LOOK(imgrec_context_peak_bytes(w->ctx));
}

static void call_tensors(struct world *w) {
  const int64_t image[3] = {20, 16, 1}, rgb[3] = {20, 16, 3};
  const int64_t x[4] = {BATCH, SIDE, SIDE, 1}, y[2] = {BATCH, CLASSES};
  static float values[BATCH * SIDE * SIDE];
  imgrec_tensor *t = NULL;
  CALL(imgrec_tensor_create(&w->image, w->ctx, IMGREC_U8, 3, image));
  CALL(imgrec_tensor_create(&w->rgb, w->ctx, IMGREC_U8, 3, rgb));
  CALL(imgrec_tensor_create(&w->x, w->ctx, IMGREC_F32, 4, x));
  CALL(imgrec_tensor_create(&w->labels, w->ctx, IMGREC_I32, 1, x));
  CALL(imgrec_tensor_create(&w->y, w->ctx, IMGREC_F32, 2, y));
  CALL(imgrec_tensor_wrap(&t, w->ctx, IMGREC_F32, 4, x, values));
  LOOK(imgrec_tensor_destroy(t));
  LOOK(imgrec_tensor_dtype(w->x));
  LOOK(imgrec_tensor_ndim(w->x));
  LOOK(imgrec_tensor_dim(w->x, 1));
  LOOK(imgrec_tensor_nbytes(w->x));
  LOOK(imgrec_tensor_const_data(w->x));
  LOOK(imgrec_tensor_data(w->x));
  for (int i = 0; i < BATCH * SIDE * SIDE; i++)
    ((float *)imgrec_tensor_data(w->x))[i] = (float)(i % 17) / 16;
  for (int i = 0; i < BATCH; i++)
    ((int32_t *)imgrec_tensor_data(w->labels))[i] = i % CLASSES;
  for (int i = 0; i < 20 * 16; i++)
    for (int c = 0; c < 3; c++)
      ((unsigned char *)imgrec_tensor_data(w->rgb))[3 * i + c] =
          ((unsigned char *)imgrec_tensor_data(w->image))[i] =
              (unsigned char)(i * 7 + c * 50);
}

/* Each function of images makes a new one. */
#define MAKE(call)                                                             \
  do {                                                                         \
    imgrec_tensor *made = NULL;                                                \
    CALL(call);                                                                \
    LOOK(imgrec_tensor_destroy(made));                                         \
  } while (0)

static void call_images(struct world *w) {
  static const char file[] = "P5 2 2 255\nabcd";
  const imgrec_tensor *i = w->rgb;
  MAKE(imgrec_image_decode(&made, w->ctx, file, sizeof file - 1, 3));
  MAKE(imgrec_image_load(&made, w->ctx, w->image_path, 0));
  MAKE(imgrec_image_resize(&made, i, 9, 11, IMGREC_RESIZE_CROP));
  MAKE(imgrec_image_crop(&made, i, 1, 1, 9, 9));
  MAKE(imgrec_image_rotate(&made, i, 12.5F));
  MAKE(imgrec_image_flip(&made, i, 1));
  MAKE(imgrec_image_adjust(&made, i, 0.1F, 1.1F, 0.9F));
  MAKE(imgrec_image_equalize(&made, i));
  MAKE(imgrec_image_blur(&made, i, 1.25F));
  MAKE(imgrec_image_sharpen(&made, i, 0.5F, 1));
  MAKE(imgrec_image_convert(&made, i, 1));
  INIT(imgrec_preprocess, p);
  p.height = p.width = SIDE;
  p.channels = 1;
  MAKE(imgrec_image_preprocess(&made, i, &p));
  imgrec_tensor *none = NULL;
  FAIL(imgrec_image_load(&none, w->ctx, "no such file", 0));
  INIT(imgrec_augment, a);
  char text[500];
  CALL(imgrec_augment_parse(&a, w->ctx, "strong,mixup=0.3,rotate=1e-44"));
  CALL(imgrec_augment_print(&a, w->ctx, text, sizeof text));
  MAKE(imgrec_image_augment(&made, i, &p, &a, 1, 2, 3));
  CALL(imgrec_augment_mix(w->x, w->y, w->labels, &a, 1, 2, 3));
}

static void call_data(struct world *w) {
  const int64_t shape[4] = {IMAGES, SIDE, SIDE, 1};
  const int64_t last[1] = {0};
  imgrec_tensor *images = NULL, *labels = NULL;
  imgrec_dataset *opened = NULL, *whole = NULL;
  CALL(imgrec_tensor_create(&images, w->ctx, IMGREC_U8, 4, shape));
  CALL(imgrec_tensor_create(&labels, w->ctx, IMGREC_I32, 1, shape));
  for (int i = 0; i < IMAGES; i++)
    ((int32_t *)imgrec_tensor_data(labels))[i] = i % CLASSES;
  for (int i = 0; i < IMAGES * SIDE * SIDE; i++)
    ((unsigned char *)imgrec_tensor_data(images))[i] =
        (unsigned char)(i * i % 251 + i / SIDE / SIDE % CLASSES);
  CALL(imgrec_dataset_from_memory(&whole, w->ctx, images, labels, CLASSES));
  CALL(imgrec_dataset_split(&w->data, &w->validation, whole, 0.3F, 7));
  LOOK(imgrec_dataset_destroy(whole));
  INIT(imgrec_dataset_options, o);
  CALL(imgrec_dataset_open(&opened, w->ctx, w->root, &o));
  LOOK(imgrec_dataset_size(opened));
  LOOK(imgrec_dataset_classes(opened));
  LOOK(imgrec_dataset_label(opened, 0));
  LOOK(imgrec_dataset_class(opened, 0));
  LOOK(imgrec_dataset_source(opened, 0));
  int64_t hwc[3];
  LOOK(imgrec_dataset_shape(opened, hwc));
  LOOK(imgrec_dataset_description(opened));
  LOOK(imgrec_dataset_readable(opened, 0));
  LOOK(imgrec_dataset_skipped(opened));
  LOOK(imgrec_dataset_skipped_reason(opened, 0));
  MAKE(imgrec_dataset_image(&made, opened, 0));
  char digits[65];
  CALL(imgrec_dataset_digest(opened, digits, sizeof digits));
  CALL(imgrec_dataset_remove(opened, last, 1));
  FAIL(imgrec_dataset_open(&whole, w->ctx, "no such folder", NULL));
  INIT(imgrec_augment, augment);
  INIT(imgrec_preprocess, p);
  char reason[200];
  p.height = p.width = SIDE;
  p.channels = 1;
  CALL(imgrec_augment_choose(&augment, opened, &p, reason, sizeof reason));
  imgrec_tensor_destroy(images);
  imgrec_tensor_destroy(labels);
  imgrec_dataset_destroy(opened);
}

static void call_examination(struct world *w) {
  imgrec_examination *x = NULL;
  imgrec_dataset *sets[2] = {w->data, w->validation};
  INIT(imgrec_examine_options, o);
  CALL(imgrec_dataset_examine(&x, sets, 2, &o));
  INIT(imgrec_data_summary, summary);
  CALL(imgrec_examination_summary(x, 0, &summary));
  LOOK(imgrec_examination_duplicates(x));
  INIT(imgrec_duplicate, duplicate);
  if (imgrec_examination_duplicates(x) > 0)
    CALL(imgrec_examination_duplicate(x, 0, &duplicate));
  else
    FAIL(imgrec_examination_duplicate(x, 0, &duplicate));
  LOOK(imgrec_examination_destroy(x));
}

static void note_layer(void *user, int layer, int phase) {
  *(int *)user += layer + phase;
}

static void call_model(struct world *w) {
  static const char *const names[CLASSES] = {"0", "1", "2"};
  static int noted;
  uint64_t bytes;
  INIT(imgrec_model_options, o);
  o.max_batch = BATCH;
  CALL(imgrec_model_create(&w->model, w->ctx, NET, &o));
  imgrec_model *m = w->model;
  CALL(imgrec_model_set_labels(m, CLASSES, names));
  LOOK(imgrec_model_label(m, 1));
  INIT(imgrec_preprocess, p);
  CALL(imgrec_model_get_preprocess(m, &p));
  CALL(imgrec_model_set_preprocess(m, &p));
  int64_t hwc[3];
  LOOK(imgrec_model_input_shape(m, hwc));
  LOOK(imgrec_model_classes(m));
  LOOK(imgrec_model_architecture(m));
  LOOK(imgrec_model_head(m));
  LOOK(imgrec_model_weight_type(m));
  CALL(imgrec_model_memory(m, BATCH, 1, &bytes));
  INIT(imgrec_layer_info, info);
  LOOK(imgrec_model_layer_count(m));
  CALL(imgrec_model_layer(m, 1, &info));
  CALL(imgrec_model_set_layer_hook(m, note_layer, &noted));
  CALL(imgrec_model_freeze(m, "conv"));
  CALL(imgrec_model_unfreeze(m, ""));
  LOOK(imgrec_model_parameter_count(m));
  const char *name = imgrec_model_parameter_name(m, 0);
  LOOK(imgrec_model_parameter_name(m, 0));
  imgrec_tensor *value = NULL;
  CALL(imgrec_model_get_parameter(&value, m, name));
  CALL(imgrec_model_set_parameter(m, name, value));
  imgrec_tensor_destroy(value);
  char text[4000];
  CALL(imgrec_preset("lenet5", 28, 28, 1, 10, text, sizeof text));
  LOOK(imgrec_preset_name(0));
}

static void call_recognition(struct world *w) {
  imgrec_result results[CLASSES];
  imgrec_model *m = w->model, *other = NULL, *bad = NULL;
  uint64_t size;
  CALL(imgrec_model_forward(m, w->x, w->y));
  CALL(imgrec_model_classify(m, w->rgb, CLASSES, results));
  MAKE(imgrec_model_explain(&made, m, w->image, -1));
  INIT(imgrec_calibration, c);
  CALL(imgrec_model_get_calibration(m, &c));
  CALL(imgrec_model_set_calibration(m, &c));
  LOOK(imgrec_model_rejects(m, 0.1F));
  INIT(imgrec_evaluation, e);
  CALL(imgrec_evaluate(m, w->validation, &e));
  INIT(imgrec_calibrate_options, co);
  INIT(imgrec_calibrate_result, cr);
  CALL(imgrec_model_calibrate(m, w->validation, &co, &cr));
  INIT(imgrec_quantize_options, q);
  CALL(imgrec_model_quantize(&other, m, w->data, &q));
  CALL(imgrec_model_classify(other, w->rgb, CLASSES, results));
  LOOK(imgrec_model_destroy(other));
  CALL(imgrec_model_share(&other, m, w->ctx, NULL));
  imgrec_model_destroy(other);
  CALL(imgrec_model_round_weights(m, IMGREC_WEIGHTS_BF16));
  CALL(imgrec_model_save(m, w->model_path));
  CALL(imgrec_model_save_memory(m, NULL, 0, &size));
  CALL(imgrec_model_load(&other, w->ctx, w->model_path, NULL));
  CALL(imgrec_model_load_weights(other, w->model_path));
  CALL(imgrec_model_transfer_weights(other, w->model_path));
  CALL(imgrec_dataset_match_labels(w->data, other));
  imgrec_model_destroy(other);
  CALL(imgrec_model_adapt(&other, w->ctx, w->model_path, 5, NULL));
  imgrec_model_destroy(other);
  FAIL(imgrec_model_load(&bad, w->ctx, w->root, NULL));
  FAIL(imgrec_model_load_memory(&bad, w->ctx, "junk", 4, NULL));
  FAIL(imgrec_model_save(m, "no/such/folder/model"));
  FAIL(imgrec_model_save_memory(m, &bad, sizeof bad, &size));
}

static void call_training(struct world *w) {
  imgrec_trainer *t = NULL;
  float loss, rates[20], losses[20], suggestion;
  double interval[2];
  INIT(imgrec_trainer_options, o);
  o.max_batch = BATCH;
  o.ema_decay = 0.9F;
  CALL(imgrec_trainer_create(&t, w->model, &o));
  CALL(imgrec_train_step(t, w->x, w->labels, &loss));
  CALL(imgrec_train_step_ms(t, w->x, w->labels, 0, &loss));
  FAIL(imgrec_train_step(t, w->x, w->labels, &loss));
  LOOK(imgrec_trainer_longest_piece(t));
  LOOK(imgrec_trainer_abandon(t));
  CALL(imgrec_trainer_set_learning_rate(t, 0.01F));
  CALL(imgrec_trainer_set_layer_rate(t, "", 0.5F));
  CALL(imgrec_trainer_swap_average(t));
  CALL(imgrec_trainer_swap_average(t));
  CALL(imgrec_trainer_save(t, w->checkpoint));
  CALL(imgrec_trainer_load(t, w->checkpoint));
  INIT(imgrec_fit_options, f);
  INIT(imgrec_fit_result, r);
  f.epochs = 2;
  f.checkpoint = w->checkpoint;
  CALL(imgrec_fit(t, w->data, w->validation, &f, &r));
  INIT(imgrec_checkpoint, c);
  CALL(imgrec_checkpoint_read(w->ctx, w->checkpoint, &c));
  INIT(imgrec_rate_options, ro);
  CALL(imgrec_find_rate(t, w->data, &ro, 20, rates, losses, &suggestion));
  LOOK(imgrec_wilson_interval(3, 7, interval));
  const int64_t confusion[4] = {3, 1, 2, 5};
  imgrec_class_score scores[2], macro;
  CALL(imgrec_confusion_scores(scores, &macro, confusion, 2));
  LOOK(imgrec_trainer_destroy(t));
}

static void make_world(struct world *w) {
  char picture[11 + 64] = "P5 8 8 255\n";
  for (int i = 0; i < 64; i++)
    picture[11 + i] = (char)(i * i);
  fresh_folder(w->root, "host");
  put_bytes(w->root, "one/a.pgm", picture, sizeof picture);
  put_bytes(w->root, "one/b.pgm", picture, sizeof picture);
  put_bytes(w->root, "two/c.pgm", picture, sizeof picture);
  put_bytes(w->root, "two/d.pgm", "P5 8 8 255\n", 11);
  snprintf(w->image_path, sizeof w->image_path, "%s/one/a.pgm", w->root);
  snprintf(w->model_path, sizeof w->model_path, "%s/m.imgrec", w->root);
  snprintf(w->checkpoint, sizeof w->checkpoint, "%s/c.imgrec", w->root);
}

static void free_world(struct world *w) {
  imgrec_tensor_destroy(w->image);
  imgrec_tensor_destroy(w->rgb);
  imgrec_tensor_destroy(w->x);
  imgrec_tensor_destroy(w->y);
  imgrec_tensor_destroy(w->labels);
  imgrec_dataset_destroy(w->data);
  imgrec_dataset_destroy(w->validation);
  imgrec_model_destroy(w->model);
  imgrec_context_destroy(w->ctx);
}

static void call_everything(struct world *w) {
  call_context(w);
  call_tensors(w);
  call_images(w);
  call_data(w);
  call_examination(w);
  call_model(w);
  call_recognition(w);
  call_training(w);
  call_without_numbers(w);
}

/* ---- Tests ----------------------------------------------------------------
 */

static int was_called(const char *name) {
  size_t n = strlen(name);
  for (int i = 0; i < call_count; i++)
    if (strncmp(calls[i], name, n) == 0 && calls[i][n] == '(')
      return 1;
  return 0;
}

static void test_host__every_call_leaves_the_thread_alone(void **state) {
  (void)state;
  struct world w = {.ctx = NULL};
  make_world(&w);
  call_everything(&w);
  free_world(&w);
  FILE *list = fopen("tests/abi/symbols.txt", "r");
  char name[100];
  assert_non_null(list);
  while (fscanf(list, "%99s", name) == 1)
    if (!was_called(name))
      fail_msg("%s is not among the calls of this test", name);
  fclose(list);
}

static off_t output_of(void (*run)(struct world *), struct world *w) {
  const char *path = "build/tmp/host_output";
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
  int out = dup(1), err = dup(2);
  fflush(NULL);
  dup2(file, 1);
  dup2(file, 2);
  run(w);
  fflush(NULL);
  dup2(out, 1);
  dup2(err, 2);
  off_t size = lseek(file, 0, SEEK_END);
  close(out);
  close(err);
  close(file);
  return size;
}

static void test_host__nothing_is_printed(void **state) {
  (void)state;
  struct world w = {.ctx = NULL};
  make_world(&w);
  call_count = 0;
  assert_int_equal(output_of(call_everything, &w), 0);
  free_world(&w);
}

static int count_threads(void) {
  DIR *dir = opendir("/proc/self/task");
  int n = 0;
  while (dir != NULL && readdir(dir) != NULL)
    n++;
  if (dir != NULL)
    closedir(dir);
  return n - 2; /* . and .. */
}

/* The threads that there are while the model works. */
static void watch_threads(void *user, int layer, int phase) {
  (void)layer;
  (void)phase;
  int n = count_threads(), *most = user;
  if (n > *most)
    *most = n;
}

static int threads_of_training(int threads) {
  struct world w = {.ctx = NULL};
  int most = 0;
  imgrec_context_options o;
  imgrec_fit_options f;
  imgrec_trainer *t = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = threads;
  assert_int_equal(imgrec_context_create(&w.ctx, &o), 0);
  call_tensors(&w);
  make_world(&w);
  call_data(&w);
  imgrec_fit_options_init(&f, sizeof f);
  f.epochs = 1;
  assert_int_equal(imgrec_model_create(&w.model, w.ctx, NET, NULL), 0);
  imgrec_model_set_layer_hook(w.model, watch_threads, &most);
  assert_int_equal(imgrec_trainer_create(&t, w.model, NULL), 0);
  assert_int_equal(imgrec_fit(t, w.data, w.validation, &f, NULL), 0);
  imgrec_trainer_destroy(t);
  free_world(&w);
  return most;
}

static void test_host__one_thread_starts_none(void **state) {
  (void)state;
  call_count = 0;
#if defined(_WIN32) /* Wine shows the folder, but of another process */
  skip();
#endif
  if (access("/proc/self/task", R_OK) != 0)
    skip();
  int before = count_threads();
  assert_int_equal(threads_of_training(1), before);
  assert_int_equal(threads_of_training(3), before + 2);
  assert_int_equal(count_threads(), before);
}

static double cpu_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void test_host__idle_workers_sleep(void **state) {
  (void)state;
  const struct timespec wait = {0, 300000000}, settle = {0, 20000000};
  struct world w = {.ctx = NULL};
  imgrec_context_options o;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 4;
  assert_int_equal(imgrec_context_create(&w.ctx, &o), 0);
  call_count = 0;
  call_tensors(&w);
  imgrec_model *m = NULL;
  imgrec_model_options mo;
  imgrec_model_options_init(&mo, sizeof mo);
  mo.max_batch = BATCH;
  assert_int_equal(imgrec_model_create(&m, w.ctx, NET, &mo), 0);
  assert_int_equal(imgrec_model_forward(m, w.x, w.y), 0);
  nanosleep(&settle, NULL); /* they look for more work for a moment */
  double before = cpu_seconds();
  nanosleep(&wait, NULL);
  assert_true(cpu_seconds() - before < 0.01);
  imgrec_model_destroy(m);
  free_world(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_host__every_call_leaves_the_thread_alone),
      cmocka_unit_test(test_host__nothing_is_printed),
      cmocka_unit_test(test_host__one_thread_starts_none),
      cmocka_unit_test(test_host__idle_workers_sleep),
  };
  return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
