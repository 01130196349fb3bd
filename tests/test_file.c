/* SPDX-License-Identifier: MIT */
/* Tests of lib/file.c: bounded reading, atomic writing, sentences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"
#include "failing_alloc.h"
#include "page_cache.h"

#define FOLDER "build/tmp/test_file"
#if defined(_WIN32)
#define NOT_A_FOLDER "no such file or folder"
#define DEVICE       "NUL"
#else
#define NOT_A_FOLDER "a part of the path is not a folder"
#define DEVICE       "/dev/zero"
#endif

struct fixture {
  struct failing failing;
  struct allocator allocator;
  struct error error;
};

/* What an earlier run that died may have left would count as ours. */
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

static int setup(void **state) {
  static struct fixture f;
  f = (struct fixture){.error = {""}};
  *state = &f;
  mkdir("build", 0777);
  mkdir("build/tmp", 0777);
  mkdir(FOLDER, 0777);
  empty_folder();
  return imgrec__allocator_init(&f.allocator, failing_alloc, failing_free,
                                &f.failing, 0);
}

static int teardown(void **state) {
  struct fixture *f = *state;
  imgrec__allocator_destroy(&f->allocator);
  return f->failing.live_blocks != 0;
}

static void put_file(const char *path, const void *bytes, size_t n) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, n, file), n);
  assert_int_equal(fclose(file), 0);
}

static int count_files(void) {
  int n = 0;
  DIR *dir = opendir(FOLDER);
  const struct dirent *entry;
  while ((entry = readdir(dir)) != NULL)
    n += entry->d_name[0] != '.';
  closedir(dir);
  return n;
}

static int read_file(struct fixture *f, struct blob *b, const char *path,
                     uint64_t limit) {
  return imgrec__file_read(b, &f->allocator, &f->error, path, limit);
}

static void check_content(struct fixture *f, const char *path,
                          const char *expected) {
  struct blob b = {NULL, 0};
  assert_int_equal(read_file(f, &b, path, 1 << 20), 0);
  assert_int_equal(b.size, strlen(expected));
  assert_string_equal((const char *)b.bytes, expected);
  imgrec__blob_free(&b, &f->allocator);
  assert_null(b.bytes);
}

static void check_refused(struct fixture *f, const char *path, int status,
                          const char *sentence) {
  struct blob b = {NULL, 77};
  assert_int_equal(read_file(f, &b, path, 100), status);
  assert_string_equal(f->error.text, sentence);
  assert_int_equal(b.size, 77);
}

static void test_file__read(void **state) {
  put_file(FOLDER "/a", "hello", 5);
  check_content(*state, FOLDER "/a", "hello");
  put_file(FOLDER "/empty", "", 0);
  check_content(*state, FOLDER "/empty", "");
}

static void test_file__read_limit(void **state) {
  struct fixture *f = *state;
  struct blob b = {NULL, 77};
  put_file(FOLDER "/a", "hello", 5);
  assert_int_equal(read_file(f, &b, FOLDER "/a", 4), IMGREC_ERR_LIMIT);
  assert_string_equal(f->error.text,
                      "'" FOLDER "/a' has 5 bytes; at most 4 are read");
  assert_int_equal(b.size, 77);
  assert_int_equal(read_file(f, &b, FOLDER "/a", 5), 0);
  imgrec__blob_free(&b, &f->allocator);
}

static void test_file__read_refuses(void **state) {
  put_file(FOLDER "/a", "hello", 5);
  check_refused(*state, FOLDER "/none", IMGREC_ERR_NOT_FOUND,
                "cannot open '" FOLDER "/none': no such file or folder");
  check_refused(*state, FOLDER "/a/b", IMGREC_ERR_NOT_FOUND,
                "cannot open '" FOLDER "/a/b': " NOT_A_FOLDER);
  check_refused(*state, FOLDER, IMGREC_ERR_IO,
                "cannot read '" FOLDER "': it is a folder");
  check_refused(*state, DEVICE, IMGREC_ERR_IO,
                "cannot read '" DEVICE "': it is a device or a pipe, not a "
                "file");
}

static void test_file__read_pipe_does_not_hang(void **state) {
  struct fixture *f = *state;
  assert_int_equal(mkfifo(FOLDER "/pipe", 0666), 0);
  check_refused(f, FOLDER "/pipe", IMGREC_ERR_IO,
                "cannot read '" FOLDER
                "/pipe': it is a device or a pipe, not a file");
}

/* Nothing is forbidden to root: for the moment, be nobody. */
static uid_t drop_root(void) {
  uid_t user = geteuid();
  if (user == 0)
    assert_int_equal(seteuid(65534), 0);
  return user;
}

static void test_file__read_forbidden(void **state) {
  put_file(FOLDER "/a", "hello", 5);
  chmod(FOLDER "/a", 0);
  uid_t user = drop_root();
  check_refused(*state, FOLDER "/a", IMGREC_ERR_IO,
                "cannot open '" FOLDER "/a': permission denied");
  assert_int_equal(seteuid(user), 0);
}

static void test_file__read_out_of_memory(void **state) {
  struct fixture *f = *state;
  put_file(FOLDER "/a", "hello", 5);
  f->failing.fail_at = 1;
  check_refused(f, FOLDER "/a", IMGREC_ERR_MEMORY,
                "out of memory for " FOLDER "/a");
}

static void test_file__head(void **state) {
  struct fixture *f = *state;
  char buffer[8] = "";
  size_t n = 0;
  put_file(FOLDER "/a", "hello", 5);
  assert_int_equal(
      imgrec__file_head(FOLDER "/a", &f->error, buffer, sizeof buffer, &n), 0);
  assert_int_equal(n, 5);
  assert_memory_equal(buffer, "hello", 5);
  assert_int_equal(imgrec__file_head(FOLDER "/a", &f->error, buffer, 2, &n), 0);
  assert_int_equal(n, 2);
  assert_int_equal(imgrec__file_head(FOLDER "/none", &f->error, buffer, 2, &n),
                   IMGREC_ERR_NOT_FOUND);
  assert_int_equal(imgrec__file_head(FOLDER, &f->error, buffer, 2, &n),
                   IMGREC_ERR_IO);
}

static void test_file__write(void **state) {
  struct fixture *f = *state;
  struct file_writer *w = NULL;
  assert_int_equal(
      imgrec__writer_open(&w, &f->allocator, &f->error, FOLDER "/a"), 0);
  imgrec__writer_write(w, "hel", 3);
  imgrec__writer_write(w, NULL, 0);
  imgrec__writer_write(w, "lo", 2);
  assert_int_not_equal(access(FOLDER "/a", F_OK), 0);
  assert_int_equal(imgrec__writer_commit(w, &f->error), 0);
  check_content(f, FOLDER "/a", "hello");
  assert_int_equal(count_files(), 1);
}

static void test_file__write_replaces_at_commit(void **state) {
  struct fixture *f = *state;
  struct file_writer *w = NULL;
  put_file(FOLDER "/a", "old", 3);
  assert_int_equal(
      imgrec__writer_open(&w, &f->allocator, &f->error, FOLDER "/a"), 0);
  imgrec__writer_write(w, "new", 3);
  check_content(f, FOLDER "/a", "old");
  assert_int_equal(imgrec__writer_commit(w, &f->error), 0);
  check_content(f, FOLDER "/a", "new");
}

static void test_file__write_aborted(void **state) {
  struct fixture *f = *state;
  struct file_writer *w = NULL;
  put_file(FOLDER "/a", "old", 3);
  assert_int_equal(
      imgrec__writer_open(&w, &f->allocator, &f->error, FOLDER "/a"), 0);
  imgrec__writer_write(w, "new", 3);
  imgrec__writer_abort(w);
  imgrec__writer_abort(NULL);
  check_content(f, FOLDER "/a", "old");
  assert_int_equal(count_files(), 1);
}

static void test_file__two_writers(void **state) {
  struct fixture *f = *state;
  struct file_writer *v = NULL, *w = NULL;
  assert_int_equal(
      imgrec__writer_open(&v, &f->allocator, &f->error, FOLDER "/a"), 0);
  assert_int_equal(
      imgrec__writer_open(&w, &f->allocator, &f->error, FOLDER "/a"), 0);
  imgrec__writer_write(v, "first", 5);
  imgrec__writer_write(w, "second", 6);
  assert_int_equal(imgrec__writer_commit(v, &f->error), 0);
  assert_int_equal(imgrec__writer_commit(w, &f->error), 0);
  check_content(f, FOLDER "/a", "second");
  assert_int_equal(count_files(), 1);
}

/* A target that turned into a folder meanwhile cannot be renamed over. */
static void test_file__write_fails_at_commit(void **state) {
  struct fixture *f = *state;
  struct file_writer *w = NULL;
  assert_int_equal(
      imgrec__writer_open(&w, &f->allocator, &f->error, FOLDER "/a"), 0);
  imgrec__writer_write(w, "new", 3);
  assert_int_equal(mkdir(FOLDER "/a", 0777), 0);
  assert_int_equal(imgrec__writer_commit(w, &f->error), IMGREC_ERR_IO);
  assert_string_equal(f->error.text,
                      "cannot write '" FOLDER "/a': it is a folder");
  assert_int_equal(count_files(), 1);
}

static void check_open_refused(struct fixture *f, const char *path, int status,
                               const char *sentence) {
  struct file_writer *w = NULL;
  assert_int_equal(imgrec__writer_open(&w, &f->allocator, &f->error, path),
                   status);
  assert_null(w);
  assert_string_equal(f->error.text, sentence);
}

static void test_file__write_refused(void **state) {
  put_file(FOLDER "/a", "old", 3);
  check_open_refused(*state, FOLDER, IMGREC_ERR_IO,
                     "cannot write '" FOLDER "': it is a folder");
  check_open_refused(*state, FOLDER "/none/a", IMGREC_ERR_NOT_FOUND,
                     "cannot write '" FOLDER
                     "/none/a': no such file or folder");
  check_open_refused(*state, FOLDER "/a/b", IMGREC_ERR_NOT_FOUND,
                     "cannot write '" FOLDER "/a/b': " NOT_A_FOLDER);
  assert_int_equal(mkfifo(FOLDER "/special", 0666), 0);
  check_open_refused(*state, FOLDER "/special", IMGREC_ERR_IO,
                     "cannot write '" FOLDER
                     "/special': it is not a regular file");
}

static void test_file__write_into_read_only_folder(void **state) {
  struct fixture *f = *state;
  assert_int_equal(mkdir(FOLDER "/closed", 0555), 0);
  uid_t user = drop_root();
  check_open_refused(f, FOLDER "/closed/a", IMGREC_ERR_IO,
                     "cannot write '" FOLDER "/closed/a': permission denied");
  assert_int_equal(seteuid(user), 0);
}

static void test_file__write_into_current_folder(void **state) {
  struct fixture *f = *state;
  struct file_writer *w = NULL;
  char here[4096];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(FOLDER), 0);
  int status = imgrec__writer_open(&w, &f->allocator, &f->error, "a");
  if (status == 0)
    status = imgrec__writer_commit(w, &f->error);
  assert_int_equal(chdir(here), 0);
  assert_int_equal(status, 0);
  check_content(f, FOLDER "/a", "");
}

static void test_file__write_out_of_memory(void **state) {
  struct fixture *f = *state;
  put_file(FOLDER "/a", "old", 3);
  for (long n = 1; n <= 3; n++) {
    f->failing.fail_at = f->failing.calls + n;
    check_open_refused(f, FOLDER "/a", IMGREC_ERR_MEMORY,
                       "out of memory for " FOLDER "/a");
    assert_int_equal(f->failing.live_blocks, 0);
  }
  assert_int_equal(count_files(), 1);
}

static void test_file__ahead(void **state) {
  static const char text[] = "read me soon";
  (void)state;
  imgrec__path_ahead(FOLDER "/nowhere");
  imgrec__path_ahead(FOLDER);
  FILE *file = fopen(FOLDER "/soon", "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, sizeof text, file), sizeof text);
  fclose(file);
  if (!forget(FOLDER "/soon"))
    skip();
  imgrec__path_ahead(FOLDER "/soon");
  assert_true(becomes_resident(FOLDER "/soon"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_file__read),
      CASE(test_file__read_limit),
      CASE(test_file__read_refuses),
      CASE(test_file__read_pipe_does_not_hang),
      CASE(test_file__read_forbidden),
      CASE(test_file__read_out_of_memory),
      CASE(test_file__head),
      CASE(test_file__ahead),
      CASE(test_file__write),
      CASE(test_file__write_replaces_at_commit),
      CASE(test_file__write_aborted),
      CASE(test_file__two_writers),
      CASE(test_file__write_fails_at_commit),
      CASE(test_file__write_refused),
      CASE(test_file__write_into_read_only_folder),
      CASE(test_file__write_into_current_folder),
      CASE(test_file__write_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
