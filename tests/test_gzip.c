/* SPDX-License-Identifier: MIT */
/* Tests of lib/gzip.c by way of files that are packed or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base.h"
#include "failing_alloc.h"

#define PATH "build/tmp/test_gzip"

struct fixture {
  struct failing failing;
  struct allocator allocator;
  struct error error;
};

static int setup(void **state) {
  static struct fixture f;
  f = (struct fixture){.error = {""}};
  *state = &f;
  mkdir("build", 0777);
  mkdir("build/tmp", 0777);
  return imgrec__allocator_init(&f.allocator, failing_alloc, failing_free,
                                &f.failing, 0);
}

static int teardown(void **state) {
  struct fixture *f = *state;
  imgrec__allocator_destroy(&f->allocator);
  return f->failing.live_blocks != 0;
}

static void put_file(const void *bytes, size_t n) {
  FILE *file = fopen(PATH, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, n, file), n);
  assert_int_equal(fclose(file), 0);
}

static int read_gz(struct fixture *f, struct blob *b, uint64_t limit) {
  struct blob file = {NULL, 0};
  int status = imgrec__file_read(&file, &f->allocator, &f->error, PATH, limit);
  if (status >= 0)
    status = imgrec__unpack(&file, &f->allocator, &f->error, PATH, limit);
  if (status >= 0)
    *b = file;
  return status;
}

static void test_gzip__plain_file(void **state) {
  struct fixture *f = *state;
  struct blob b = {NULL, 0};
  put_file("\x1fplain", 6);
  assert_int_equal(read_gz(f, &b, 100), 0);
  assert_int_equal(b.size, 6);
  assert_string_equal((const char *)b.bytes, "\x1fplain");
  imgrec__blob_free(&b, &f->allocator);
  put_file("", 0);
  assert_int_equal(read_gz(f, &b, 100), 0);
  assert_int_equal(b.size, 0);
  imgrec__blob_free(&b, &f->allocator);
}

static void test_gzip__no_file(void **state) {
  struct fixture *f = *state;
  struct blob b = {NULL, 0};
  remove(PATH);
  assert_int_equal(read_gz(f, &b, 100), IMGREC_ERR_NOT_FOUND);
}

#ifdef IMGREC_HAVE_ZLIB
#include <zlib.h>

/* One member of n bytes, appended to out; returns its length. */
static size_t pack(unsigned char *out, size_t room, const void *bytes,
                   size_t n) {
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + 15, 8, 0), Z_OK);
  z.next_in = (unsigned char *)(uintptr_t)bytes;
  z.avail_in = (unsigned)n;
  z.next_out = out;
  z.avail_out = (unsigned)room;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  deflateEnd(&z);
  return room - z.avail_out;
}

static unsigned char plain[300000], packed[400000];

/* Half noise, half zeros. */
static void fill_plain(void) {
  for (size_t i = 0; i < sizeof plain; i++)
    plain[i] =
        (unsigned char)(i % 3000 < 1500 ? 0 : imgrec__random4(1, 1, i).v[0]);
}

static void check_unpacked(struct fixture *f, size_t n, uint64_t limit) {
  struct blob b = {NULL, 0};
  assert_int_equal(read_gz(f, &b, limit), 0);
  assert_int_equal(b.size, n);
  assert_memory_equal(b.bytes, plain, n);
  assert_int_equal(b.bytes[n], 0);
  imgrec__blob_free(&b, &f->allocator);
}

static void test_gzip__unpacks(void **state) {
  const size_t sizes[] = {0, 1, 1000, sizeof plain};
  fill_plain();
  for (size_t i = 0; i < 4; i++) {
    put_file(packed, pack(packed, sizeof packed, plain, sizes[i]));
    check_unpacked(*state, sizes[i], sizeof plain);
  }
}

static void test_gzip__several_members(void **state) {
  fill_plain();
  size_t n = pack(packed, sizeof packed, plain, 200000);
  n += pack(packed + n, sizeof packed - n, plain + 200000, 5);
  n += pack(packed + n, sizeof packed - n, plain + 200005, 0);
  n += pack(packed + n, sizeof packed - n, plain + 200005, 99995);
  put_file(packed, n);
  check_unpacked(*state, sizeof plain, UINT64_MAX);
}

static void test_gzip__limit(void **state) {
  struct fixture *f = *state;
  struct blob b = {NULL, 77};
  memset(plain, 0, sizeof plain);
  put_file(packed, pack(packed, sizeof packed, plain, sizeof plain));
  check_unpacked(f, sizeof plain, sizeof plain);
  assert_int_equal(read_gz(f, &b, sizeof plain - 1), IMGREC_ERR_LIMIT);
  assert_string_equal(f->error.text,
                      "'" PATH "' unpacks to more than 299999 bytes");
  assert_int_equal(b.size, 77);
  /* Packed it is larger than that already. */
  assert_int_equal(read_gz(f, &b, 5), IMGREC_ERR_LIMIT);
}

/* The size that the end of a file claims is only a hint. */
static void test_gzip__false_size(void **state) {
  fill_plain();
  size_t n = pack(packed, sizeof packed, plain, 1000);
  size_t m = pack(packed + n, sizeof packed - n, plain + 1000, 0);
  put_file(packed, n + m);
  check_unpacked(*state, 1000, UINT64_MAX);
  struct fixture *f = *state;
  struct blob b = {NULL, 0};
  memset(packed + n - 4, 0xff, 4);
  put_file(packed, n);
  assert_int_equal(read_gz(f, &b, UINT64_MAX), IMGREC_ERR_FORMAT);
  assert_true(f->allocator.peak < 10 << 20);
}

static void test_gzip__truncated(void **state) {
  struct fixture *f = *state;
  fill_plain();
  size_t n = pack(packed, sizeof packed, plain, 3000);
  for (size_t cut = 2; cut < n; cut++) {
    struct blob b = {NULL, 77};
    put_file(packed, cut);
    assert_int_equal(read_gz(f, &b, 1 << 20), IMGREC_ERR_FORMAT);
    assert_string_equal(f->error.text,
                        "'" PATH "' is a damaged gzip file: it ends early");
    assert_int_equal(b.size, 77);
    assert_int_equal(f->failing.live_blocks, 0);
  }
}

static void test_gzip__damaged(void **state) {
  struct fixture *f = *state;
  fill_plain();
  size_t n = pack(packed, sizeof packed, plain, 3000);
  for (size_t at = n - 8; at < n; at++) {
    struct blob b = {NULL, 77};
    packed[at] ^= 0x10;
    put_file(packed, n);
    packed[at] ^= 0x10;
    assert_int_equal(read_gz(f, &b, 1 << 20), IMGREC_ERR_FORMAT);
    assert_non_null(strstr(f->error.text, "do not unpack"));
  }
  struct blob b = {NULL, 77};
  packed[n] = 'x';
  put_file(packed, n + 1);
  assert_int_equal(read_gz(f, &b, 1 << 20), IMGREC_ERR_FORMAT);
  assert_non_null(strstr(f->error.text, "something else follows"));
}

static void test_gzip__out_of_memory(void **state) {
  struct fixture *f = *state;
  struct blob b = {NULL, 77};
  fill_plain();
  size_t n = pack(packed, sizeof packed, plain, 200000);
  n += pack(packed + n, sizeof packed - n, plain, 10); /* so that it grows */
  put_file(packed, n);
  for (long fail_at = 1;; fail_at++) {
    f->failing.calls = 0;
    f->failing.fail_at = fail_at;
    int status = read_gz(f, &b, 1 << 20);
    if (status == IMGREC_OK)
      break;
    assert_int_equal(status, IMGREC_ERR_MEMORY);
    assert_int_equal(b.size, 77);
    assert_int_equal(f->failing.live_blocks, 0);
  }
  assert_true(f->failing.fail_at > 4);
  imgrec__blob_free(&b, &f->allocator);
}

#else

static void test_gzip__unsupported(void **state) {
  struct fixture *f = *state;
  struct blob b = {NULL, 77};
  put_file("\x1f\x8b\x08", 3);
  assert_int_equal(read_gz(f, &b, 100), IMGREC_ERR_UNSUPPORTED);
  assert_non_null(strstr(f->error.text, "unpack it first"));
  assert_int_equal(b.size, 77);
}

#endif

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_gzip__plain_file),    CASE(test_gzip__no_file),
#ifdef IMGREC_HAVE_ZLIB
      CASE(test_gzip__unpacks),       CASE(test_gzip__several_members),
      CASE(test_gzip__limit),         CASE(test_gzip__false_size),
      CASE(test_gzip__truncated),     CASE(test_gzip__damaged),
      CASE(test_gzip__out_of_memory),
#else
      CASE(test_gzip__unsupported),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
