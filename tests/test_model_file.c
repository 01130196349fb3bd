/* SPDX-License-Identifier: MIT */
/* Tests of lib/format/model_file.c and safetensors_write.c: models to files and
 * back, and what faults do to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fenv.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "failing_alloc.h"
#include "format/format.h"
#include "safetensors_file.h"

#define FOLDER "build/tmp/test_model_file"
#define FILE_A FOLDER "/a.safetensors"
#define FILE_B FOLDER "/b.safetensors"

static const char architecture[] = "input 6 5 3\n"
                                   "conv2d 4 kernel=3 activation=relu\n"
                                   "batch_norm\n"
                                   "flatten order=chw\n"
                                   "dense 3\n"
                                   "softmax\n";
static const char *const labels[] = {"cat", "a \"dog\"\n", "\303\244ffchen"};

struct fixture {
  struct failing failing;
  imgrec_context *ctx;
  imgrec_model *model;
  char log[512];
};

static void keep_line(void *user, int level, const char *line) {
  struct fixture *f = user;
  assert_int_equal(level, IMGREC_LOG_WARNING);
  snprintf(f->log, sizeof f->log, "%s", line);
}

static imgrec_context *make_context(struct fixture *f, uint64_t max_bytes) {
  imgrec_context *ctx = NULL;
  imgrec_context_options o;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.max_bytes = max_bytes;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &f->failing;
  o.log = keep_line;
  o.log_user = f;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  return ctx;
}

static imgrec_model *make_model(imgrec_context *ctx, uint64_t seed) {
  imgrec_model *m = NULL;
  imgrec_model_options o;
  imgrec_preprocess p;
  imgrec_model_options_init(&o, sizeof o);
  o.seed = seed;
  o.max_batch = 1;
  assert_int_equal(imgrec_model_create(&m, ctx, architecture, &o), 0);
  assert_int_equal(imgrec_model_set_labels(m, 3, labels), 0);
  imgrec_preprocess_init(&p, sizeof p);
  assert_int_equal(imgrec_model_get_preprocess(m, &p), 0);
  p.resize = IMGREC_RESIZE_CROP;
  p.mean[0] = 0.485f;
  p.mean[2] = -1e-20f;
  p.std[1] = 0.224f;
  assert_int_equal(imgrec_model_set_preprocess(m, &p), 0);
  return m;
}

static void empty_folder(void) {
  char path[512];
  DIR *dir = opendir(FOLDER);
  const struct dirent *entry;
  assert_non_null(dir);
  while ((entry = readdir(dir)) != NULL)
    if (entry->d_name[0] != '.') {
      snprintf(path, sizeof path, FOLDER "/%.255s", entry->d_name);
      remove(path);
    }
  closedir(dir);
}

static int count_files(void) {
  int n = 0;
  DIR *dir = opendir(FOLDER);
  const struct dirent *entry;
  assert_non_null(dir);
  while ((entry = readdir(dir)) != NULL)
    n += entry->d_name[0] != '.';
  closedir(dir);
  return n;
}

static int setup(void **state) {
  static struct fixture f;
  f = (struct fixture){.model = NULL};
  *state = &f;
  mkdir("build", 0777);
  mkdir("build/tmp", 0777);
  mkdir(FOLDER, 0777);
  empty_folder();
  f.ctx = make_context(&f, 0);
  f.model = make_model(f.ctx, 1);
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  return f->failing.live_blocks != 0;
}

static struct bytes saved_bytes(struct fixture *f) {
  assert_int_equal(imgrec_model_save(f->model, FILE_A), 0);
  return bytes_read(FILE_A);
}

static void assert_same_model(const imgrec_model *a, const imgrec_model *b) {
  assert_string_equal(a->graph.text, b->graph.text);
  assert_int_equal(a->weight_floats, b->weight_floats);
  assert_memory_equal(a->weights, b->weights, a->weight_floats * sizeof(float));
  for (int i = 0; i < imgrec_model_classes(a); i++)
    assert_string_equal(imgrec_model_label(a, i), imgrec_model_label(b, i));
  assert_memory_equal(&a->preprocess, &b->preprocess, sizeof a->preprocess);
}

static void assert_sentence(const imgrec_context *ctx, const char *words) {
  if (strstr(imgrec_last_error(ctx), words) == NULL)
    fail_msg("'%s' is not in '%s'", words, imgrec_last_error(ctx));
}

/* Fails with the status and these words, and leaves no model and no memory. */
static void refuse(struct fixture *f, struct bytes b, int status,
                   const char *words) {
  imgrec_model *m = NULL;
  long blocks = f->failing.live_blocks;
  assert_int_equal(imgrec_model_load_memory(&m, f->ctx, b.data, b.size, NULL),
                   status);
  assert_null(m);
  assert_int_equal(f->failing.live_blocks, blocks);
  assert_sentence(f->ctx, "model in memory: ");
  assert_sentence(f->ctx, words);
}

/* ---- round trips -------------------------------------------------------- */

static void test_model_file__same_bytes(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = NULL;
  struct bytes a = saved_bytes(f);
  assert_int_equal(imgrec_model_load(&m, f->ctx, FILE_A, NULL), 0);
  assert_same_model(f->model, m);
  assert_int_equal(imgrec_model_save(m, FILE_B), 0);
  struct bytes b = bytes_read(FILE_B);
  assert_int_equal(a.size, b.size);
  assert_memory_equal(a.data, b.data, a.size);
  assert_int_equal(count_files(), 2);
  imgrec_model_destroy(m);
  free(a.data);
  free(b.data);
}

static void test_model_file__to_memory(void **state) {
  struct fixture *f = *state;
  struct bytes file = saved_bytes(f);
  uint64_t size = 0, told = 0;
  assert_int_equal(imgrec_model_save_memory(f->model, NULL, 0, &size), 0);
  assert_int_equal(size, file.size);
  unsigned char *bytes = malloc(size + 1);
  assert_non_null(bytes);
  memset(bytes, 0x55, size + 1);
  assert_int_equal(imgrec_model_save_memory(f->model, bytes, size - 1, &told),
                   IMGREC_ERR_LIMIT);
  assert_sentence(f->ctx, "bytes; the buffer has ");
  assert_int_equal(told, 0);
  assert_int_equal(bytes[0], 0x55);
  assert_int_equal(imgrec_model_save_memory(f->model, bytes, size, &told), 0);
  assert_int_equal(told, size);
  assert_memory_equal(bytes, file.data, size);
  assert_int_equal(bytes[size], 0x55);
  const int bad = IMGREC_ERR_ARGUMENT;
  assert_int_equal(imgrec_model_save_memory(NULL, bytes, size, &told), bad);
  assert_int_equal(imgrec_model_save_memory(f->model, bytes, size, NULL), bad);
  free(bytes);
  free(file.data);
}

static void test_model_file__layout(void **state) {
  struct fixture *f = *state;
  struct bytes b = saved_bytes(f);
  struct safetensors s;
  size_t header = bytes_header_size(b);
  const char *start = "{\"__metadata__\":{\"format\":\"imgrec\","
                      "\"imgrec.arch\":\"input 6 5 3\\n";
  assert_int_equal(header % 8, 0);
  assert_memory_equal(b.data + 8, start, strlen(start));
  assert_int_equal(imgrec__safetensors_parse(&s, &f->ctx->allocator,
                                             &f->ctx->error, b.data, b.size),
                   0);
  assert_int_equal(s.count, 8);
  const struct stored *w = imgrec__safetensors_find(&s, "conv1.weight");
  assert_non_null(w);
  assert_int_equal(w->begin, 0);
  assert_int_equal(w->ndim, 4);
  assert_int_equal(w->dim[0], 4);
  assert_int_equal(w->dim[1], 3);
  /* O x I x H x W in the file, H x W x I x O in memory */
  float second;
  memcpy(&second, s.data + 4, sizeof second);
  imgrec__file_order(&second, 1, sizeof second);
  assert_true(second == f->model->weights[3 * 4]);
  assert_non_null(imgrec__safetensors_find(&s, "bn1.running_var"));
  imgrec__safetensors_free(&s);
  free(b.data);
}

static void test_model_file__any_alignment(void **state) {
  struct fixture *f = *state;
  struct bytes b = saved_bytes(f);
  for (size_t shift = 0; shift < 8; shift++) {
    imgrec_model *m = NULL;
    unsigned char *moved = malloc(b.size + shift);
    assert_non_null(moved);
    memcpy(moved + shift, b.data, b.size);
    assert_int_equal(
        imgrec_model_load_memory(&m, f->ctx, moved + shift, b.size, NULL), 0);
    assert_same_model(f->model, m);
    imgrec_model_destroy(m);
    free(moved);
  }
  free(b.data);
}

static void test_model_file__without_labels(void **state) {
  struct fixture *f = *state;
  imgrec_model *plain = NULL, *m = NULL;
  assert_int_equal(imgrec_model_create(&plain, f->ctx, architecture, NULL), 0);
  assert_int_equal(imgrec_model_save(plain, FILE_A), 0);
  assert_int_equal(imgrec_model_load(&m, f->ctx, FILE_A, NULL), 0);
  assert_null(m->labels);
  assert_string_equal(imgrec_model_label(m, 2), "2");
  assert_same_model(plain, m);
  imgrec_model_destroy(plain);
  imgrec_model_destroy(m);
}

/* An input that no image can be has no preprocessing, and no parameters are no
 * data. */
static void test_model_file__five_channels(void **state) {
  struct fixture *f = *state;
  imgrec_model *plain = NULL, *m = NULL;
  const char *text = "input 2 2 5\nglobal_avg_pool2d\n";
  assert_int_equal(imgrec_model_create(&plain, f->ctx, text, NULL), 0);
  assert_int_equal(imgrec_model_save(plain, FILE_A), 0);
  assert_int_equal(imgrec_model_load(&m, f->ctx, FILE_A, NULL), 0);
  assert_same_model(plain, m);
  imgrec_model_destroy(plain);
  imgrec_model_destroy(m);
}

static void test_model_file__rounding_mode(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = NULL;
  struct bytes a = saved_bytes(f);
  assert_int_equal(fesetround(FE_UPWARD), 0);
  int saved = imgrec_model_save(f->model, FILE_B);
  int loaded = imgrec_model_load(&m, f->ctx, FILE_B, NULL);
  int mode = fegetround();
  fesetround(FE_TONEAREST);
  assert_int_equal(saved, 0);
  assert_int_equal(loaded, 0);
  assert_int_equal(mode, FE_UPWARD);
  assert_same_model(f->model, m);
  struct bytes b = bytes_read(FILE_B);
  assert_int_equal(a.size, b.size);
  assert_memory_equal(a.data, b.data, a.size);
  imgrec_model_destroy(m);
  free(a.data);
  free(b.data);
}

static void test_model_file__not_finite(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = NULL;
  f->model->weights[0] = NAN;
  f->model->weights[1] = -INFINITY;
  assert_int_equal(imgrec_model_save(f->model, FILE_A), 0);
  assert_int_equal(imgrec_model_load(&m, f->ctx, FILE_A, NULL), 0);
  assert_string_equal(f->log, FILE_A ": 2 of the 108 values of 'conv1.weight' "
                                     "are NaN or infinite");
  assert_same_model(f->model, m);
  imgrec_model_destroy(m);
}

/* ---- arguments and paths ------------------------------------------------ */

static void test_model_file__arguments(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = NULL;
  imgrec_model_options o;
  struct bytes b = saved_bytes(f);
  const int bad = IMGREC_ERR_ARGUMENT;
  assert_int_equal(imgrec_model_load(NULL, f->ctx, FILE_A, NULL), bad);
  assert_int_equal(imgrec_model_load(&m, NULL, FILE_A, NULL), bad);
  assert_int_equal(imgrec_model_load(&m, f->ctx, NULL, NULL), bad);
  assert_int_equal(imgrec_model_load_memory(NULL, f->ctx, "", 0, NULL), bad);
  assert_int_equal(imgrec_model_load_memory(&m, NULL, "", 0, NULL), bad);
  assert_int_equal(imgrec_model_load_memory(&m, f->ctx, NULL, 0, NULL), bad);
  assert_int_equal(imgrec_model_save(NULL, FILE_A), bad);
  assert_int_equal(imgrec_model_save(f->model, NULL), bad);
  imgrec_model_options_init(&o, sizeof o);
  o.max_batch = -1;
  assert_int_equal(imgrec_model_load(&m, f->ctx, FILE_A, &o), bad);
  assert_sentence(f->ctx, "max_batch");
  assert_null(m);
  free(b.data);
}

static void test_model_file__paths(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = NULL;
  assert_int_equal(imgrec_model_load(&m, f->ctx, FOLDER "/none", NULL),
                   IMGREC_ERR_NOT_FOUND);
  assert_sentence(f->ctx, FOLDER "/none");
  assert_int_equal(imgrec_model_load(&m, f->ctx, FOLDER, NULL), IMGREC_ERR_IO);
  assert_int_equal(imgrec_model_save(f->model, FOLDER), IMGREC_ERR_IO);
  assert_int_equal(imgrec_model_save(f->model, FOLDER "/none/a"),
                   IMGREC_ERR_NOT_FOUND);
  assert_null(m);
  assert_int_equal(count_files(), 0);
}

/* In a process that may write no more than 256 bytes a file: EFBIG beyond.
 * 0 when saving failed as it should. */
static int save_in_little_room(struct fixture *f) {
  const struct rlimit limit = {256, 256};
  signal(SIGXFSZ, SIG_IGN);
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
    return 2;
  f->model->weights[0] += 1;
  int good = imgrec_model_save(f->model, FILE_A) == IMGREC_ERR_IO &&
             strstr(imgrec_last_error(f->ctx), FILE_A) != NULL;
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  return good ? 0 : 1;
}

static void test_model_file__full_disk(void **state) {
  struct fixture *f = *state;
  struct bytes a = saved_bytes(f);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    free(a.data);
    _exit(save_in_little_room(f));
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  struct bytes b = bytes_read(FILE_A);
  assert_int_equal(a.size, b.size);
  assert_memory_equal(a.data, b.data, a.size);
  assert_int_equal(count_files(), 1);
  free(a.data);
  free(b.data);
}

static void test_model_file__bad_preprocess(void **state) {
  struct fixture *f = *state;
  f->model->preprocess.std[1] = 0;
  assert_int_equal(imgrec_model_save(f->model, FILE_A), IMGREC_ERR_ARGUMENT);
  assert_sentence(f->ctx, FILE_A);
  assert_sentence(f->ctx, "std");
  assert_int_equal(count_files(), 0);
}

/* ---- damage ------------------------------------------------------------- */

static void test_model_file__every_truncation(void **state) {
  struct fixture *f = *state;
  struct bytes b = saved_bytes(f);
  for (size_t n = 0; n < b.size; n++) {
    struct bytes part = bytes_copy(b.data, n);
    refuse(f, part, IMGREC_ERR_FORMAT, "");
    free(part.data);
  }
  free(b.data);
}

/* What loads in spite of it is the same model. */
static void test_model_file__every_header_bit_flipped(void **state) {
  struct fixture *f = *state;
  struct bytes b = saved_bytes(f);
  size_t bits = 8 * (8 + bytes_header_size(b)), loaded = 0;
  for (size_t i = 0; i < bits; i++) {
    imgrec_model *m = NULL;
    b.data[i / 8] ^= (unsigned char)(1 << i % 8);
    if (imgrec_model_load_memory(&m, f->ctx, b.data, b.size, NULL) == 0) {
      assert_same_model(f->model, m);
      loaded++;
    }
    imgrec_model_destroy(m);
    b.data[i / 8] ^= (unsigned char)(1 << i % 8);
  }
  assert_true(loaded < bits / 100);
  free(b.data);
}

static void test_model_file__every_data_byte_flipped(void **state) {
  struct fixture *f = *state;
  struct bytes b = saved_bytes(f);
  for (size_t i = 8 + bytes_header_size(b); i < b.size; i++) {
    b.data[i] ^= (unsigned char)(1 << i % 8);
    refuse(f, b, IMGREC_ERR_FORMAT,
           "the weights do not match their hash (file damaged?)");
    b.data[i] ^= (unsigned char)(1 << i % 8);
  }
  free(b.data);
}

/* ---- memory ------------------------------------------------------------- */

/* From the file, or from bytes that lie where each weight needs converting. */
static int load_either(imgrec_model **out, struct fixture *f, struct bytes b,
                       int from_file) {
  if (from_file)
    return imgrec_model_load(out, f->ctx, FILE_A, NULL);
  return imgrec_model_load_memory(out, f->ctx, b.data + 1, b.size - 1, NULL);
}

static void test_model_file__load_allocation_fails(void **state) {
  struct fixture *f = *state;
  struct bytes saved = saved_bytes(f),
               b = {malloc(saved.size + 1), saved.size + 1};
  assert_non_null(b.data);
  memcpy(b.data + 1, saved.data, saved.size);
  free(saved.data);
  for (int kind = 0; kind < 4; kind++) {
    int status = IMGREC_ERR_MEMORY;
    for (long n = 1; status != 0; n++) {
      imgrec_model *m = NULL;
      long blocks = f->failing.live_blocks;
      f->failing.fail_at = f->failing.calls + n;
      f->failing.from_then_on = kind % 2;
      status = load_either(&m, f, b, kind / 2);
      f->failing.fail_at = 0;
      assert_true(status == 0 || (status == IMGREC_ERR_MEMORY && m == NULL));
      imgrec_model_destroy(m);
      assert_int_equal(f->failing.live_blocks, blocks);
    }
  }
  free(b.data);
}

static void test_model_file__save_allocation_fails(void **state) {
  struct fixture *f = *state;
  struct bytes a = saved_bytes(f);
  f->model->weights[0] += 1;
  for (int from_then_on = 0; from_then_on < 2; from_then_on++) {
    int status = IMGREC_ERR_MEMORY;
    for (long n = 1; status != 0; n++) {
      long blocks = f->failing.live_blocks;
      f->failing.fail_at = f->failing.calls + n;
      f->failing.from_then_on = from_then_on;
      status = imgrec_model_save(f->model, FILE_A);
      f->failing.fail_at = 0;
      assert_true(status == 0 || status == IMGREC_ERR_MEMORY);
      assert_int_equal(f->failing.live_blocks, blocks);
      assert_int_equal(count_files(), 1);
      struct bytes b = bytes_read(FILE_A);
      assert_int_equal(a.size, b.size);
      assert_int_equal(memcmp(a.data, b.data, a.size) != 0, status == 0);
      free(b.data);
    }
    bytes_write(a, FILE_A);
  }
  free(a.data);
}

/* A cap that the file and its weights do not fit under. */
static void test_model_file__cap(void **state) {
  struct fixture *f = *state;
  struct bytes b = saved_bytes(f);
  imgrec_model *m = NULL;
  imgrec_context *capped = make_context(f, 4 << 20);
  uint64_t before = imgrec_context_bytes(capped);
  assert_int_equal(imgrec_model_load(&m, capped, FILE_A, NULL), 0);
  imgrec_model_destroy(m);
  imgrec_context_destroy(capped);
  m = NULL;
  capped = make_context(f, before + b.size);
  assert_int_equal(imgrec_model_load(&m, capped, FILE_A, NULL),
                   IMGREC_ERR_LIMIT);
  assert_null(m);
  assert_sentence(capped, FILE_A);
  imgrec_context_destroy(capped);
  free(b.data);
}

/* ---- kill -9 ------------------------------------------------------------ */

static void save_for_ever(imgrec_model *a, imgrec_model *b) {
  for (;;)
    if (imgrec_model_save(a, FILE_A) < 0 || imgrec_model_save(b, FILE_A) < 0)
      _exit(1);
}

/* The file is always the one model or the other. */
static void test_model_file__killed_while_saving(void **state) {
  struct fixture *f = *state;
#if defined(_WIN32) /* which has no fork() */
  skip();
#endif
  imgrec_model *other = make_model(f->ctx, 2);
  assert_int_equal(imgrec_model_save(f->model, FILE_A), 0);
  for (uint64_t i = 0; i < 20; i++) {
    imgrec_model *m = NULL;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
      save_for_ever(f->model, other);
    const struct timespec wait = {
        .tv_nsec = 1000000 + (long)imgrec__random_below(1, 0, i, 20000000)};
    nanosleep(&wait, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(imgrec_model_load(&m, f->ctx, FILE_A, NULL), 0);
    int first = memcmp(m->weights, f->model->weights,
                       m->weight_floats * sizeof(float)) == 0;
    assert_same_model(first ? f->model : other, m);
    imgrec_model_destroy(m);
  }
  imgrec_model_destroy(other);
}

#define CASE(name)                                                             \
  cmocka_unit_test_setup_teardown(test_model_file__##name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(same_bytes),
      CASE(to_memory),
      CASE(layout),
      CASE(any_alignment),
      CASE(without_labels),
      CASE(five_channels),
      CASE(rounding_mode),
      CASE(not_finite),
      CASE(arguments),
      CASE(paths),
      CASE(full_disk),
      CASE(bad_preprocess),
      CASE(every_truncation),
      CASE(every_header_bit_flipped),
      CASE(every_data_byte_flipped),
      CASE(load_allocation_fails),
      CASE(save_allocation_fails),
      CASE(cap),
      CASE(killed_while_saving),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
