/* SPDX-License-Identifier: MIT */
/* Floor 0, the ground: errors, memory, text, files, threads, random numbers.
 * Knows the C library and, by system.h, the system, and nothing of this library
 * above it. */
#ifndef IMGREC_BASE_H
#define IMGREC_BASE_H

/* A host is never aborted: assertions are for this library's own tests.  To be
 * included before <assert.h>. */
#if !defined(IMGREC_ASSERTS) && !defined(NDEBUG)
#define NDEBUG
#endif

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "imgrec/imgrec.h"
#include "system.h"

#ifdef __FAST_MATH__
#error "fast-math would change results from one machine to the next"
#endif

#define IMGREC__ALIGN 64

#if defined(__MINGW32__) && !defined(__clang__)
#define PRINTF_LIKE(f, a) __attribute__((format(gnu_printf, f, a)))
#else
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#endif

static inline size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t max_size(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static inline size_t round_up(size_t a, size_t b) { return ceil_div(a, b) * b; }

/* ---- error.c ------------------------------------------------------------ */

/* The sentence of the last failure; longer ones end in "...". */
struct error {
  char text[512];
};

/* Writes the sentence and returns `status`, so that a caller can say
 * `return imgrec__fail(e, IMGREC_ERR_SHAPE, "...", ...)`.  e may be NULL. */
int imgrec__fail(struct error *e, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Puts "prefix: " before the sentence that e has. */
int imgrec__fail_prefix(struct error *e, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Copies an option struct of the caller's size into ours, zeroing what theirs
 * lacks; refuses a non-zero tail that we do not know.  Both start with
 * size_t struct_size.  With theirs NULL ours stays as the caller filled it.
 * `what` is the struct's name. */
int imgrec__options_read(struct error *e, void *ours, size_t our_size,
                         const void *theirs, const char *what);
/* Refuses a field for later that is not 0; `what` as above. */
int imgrec__check_reserved(struct error *e, int32_t reserved, const char *what);
/* Fills an option struct of the caller's size with our defaults, zero beyond:
 * the whole of a public _init function. */
int imgrec__options_init(void *theirs, size_t their_size, const void *defaults,
                         size_t our_size);
/* Writes min(theirs, ours) of an option struct back to the caller, whose
 * struct_size stays. */
void imgrec__options_write(void *theirs, const void *ours, size_t our_size);

/* ---- alloc.c ------------------------------------------------------------ */

struct allocator {
  imgrec_alloc_fn alloc;
  imgrec_free_fn free;
  void *user;
  uint64_t max_bytes; /* 0: no cap */
  uint64_t used, peak;
  int capped; /* the last failure was the cap, not the hook */
  struct lock lock;
};

int imgrec__allocator_init(struct allocator *a, imgrec_alloc_fn alloc,
                           imgrec_free_fn free_fn, void *user,
                           uint64_t max_bytes);
void imgrec__allocator_destroy(struct allocator *a);
/* Moves all of an idle allocator, blocks and counts; `from` is destroyed. */
void imgrec__allocator_move(struct allocator *to, struct allocator *from);
/* Bytes in use, and the most ever. */
uint64_t imgrec__allocator_used(const struct allocator *a, uint64_t *peak);
/* `size` bytes (0 is taken as 1) aligned to 64, or NULL.  Any thread. */
void *imgrec__alloc(struct allocator *a, size_t size);
void *imgrec__alloc_zero(struct allocator *a, size_t size);
/* NULL when count * size overflows. */
void *imgrec__alloc_array(struct allocator *a, size_t count, size_t size);
/* Keeps the first min(old, size) bytes; on NULL the old block still stands. */
void *imgrec__realloc(struct allocator *a, void *p, size_t size);
void imgrec__free(struct allocator *a, void *p);
/* Before many blocks of up to 4 MiB come and go: glibc gives such memory back
 * to the system each time, to have it anew page by page, until it has seen one
 * block of that size freed. */
void imgrec__alloc_settle(struct allocator *a);
/* What the host is asked for: for a block of this size, and for one that there
 * is (0 for none). */
static inline uint64_t imgrec__bytes_for(size_t size) {
  return (uint64_t)max_size(size, 1) + IMGREC__ALIGN;
}
uint64_t imgrec__block_bytes(const void *p);
char *imgrec__strdup(struct allocator *a, const char *s);
char *imgrec__strndup(struct allocator *a, const char *s, size_t n);
/* Says "out of memory" (IMGREC_ERR_MEMORY) or names the cap
 * (IMGREC_ERR_LIMIT); `what` is for whom: "the image's pixels". */
int imgrec__fail_memory(struct error *e, const struct allocator *a,
                        const char *what);

/* ---- sort.c ------------------------------------------------------------- */

/* As qsort(), which must not be called; what compares equal comes out in any
 * order. */
typedef int (*imgrec__compare_fn)(const void *a, const void *b);
void imgrec__sort(void *data, size_t count, size_t size,
                  imgrec__compare_fn compare);

/* ---- text.c: a growing string; numbers that know no locale ------------- */

/* Errors are sticky: after a failed allocation `failed` is 1 and adding does
 * nothing, so a writer checks once.  data is NUL-terminated, or NULL while
 * nothing was added. */
struct text {
  struct allocator *allocator;
  char *data;
  size_t length, capacity;
  int failed;
};

void imgrec__text_init(struct text *t, struct allocator *a);
void imgrec__text_free(struct text *t);
void imgrec__text_bytes(struct text *t, const char *bytes, size_t n);
void imgrec__text_string(struct text *t, const char *s);
/* No %f, %g or %e: those follow the locale; use _float. */
void imgrec__text_add(struct text *t, const char *format, ...)
    PRINTF_LIKE(2, 3);
/* The shortest decimal that imgrec__parse_float reads back to the same bits; x
 * is finite. */
void imgrec__text_float(struct text *t, float x);

/* Both read all of s[0..n) or fail (0); 1 on success.  A float is rounded to
 * nearest, tiny ones to zero; what is beyond the largest one fails, and so do
 * inf, nan and hexadecimal (decimal.c). */
int imgrec__parse_int(const char *s, size_t n, int64_t *out);
int imgrec__parse_float(const char *s, size_t n, float *out);
/* 1 when s[0..n) is well-formed UTF-8 without NUL. */
int imgrec__utf8_valid(const char *s, size_t n);

/* ---- file.c ------------------------------------------------------------- */

/* The sentence for a failure of system.h: "cannot `what` '`path`': ...". */
int imgrec__fail_system(struct error *e, int number, const char *what,
                        const char *path);

/* A whole file in memory; bytes[size] is 0. */
struct blob {
  unsigned char *bytes;
  size_t size;
};

/* Reads a regular file of at most `limit` bytes. */
int imgrec__file_read(struct blob *out, struct allocator *a, struct error *e,
                      const char *path, uint64_t limit);
/* The bytes of a gzip file (gzip.c), at most `limit` unpacked.
 * IMGREC_ERR_UNSUPPORTED in a build without zlib. */
int imgrec__gunzip(struct blob *out, struct allocator *a, struct error *e,
                   const char *path, uint64_t limit, const struct blob *packed);
/* A file that was read becomes what is packed in it, where its first two bytes
 * say that it is gzip; on failure it is freed. */
int imgrec__unpack(struct blob *file, struct allocator *a, struct error *e,
                   const char *path, uint64_t limit);
/* At most `n` leading bytes of a file; *out_size says how many there were. */
int imgrec__file_head(const char *path, struct error *e, void *buffer, size_t n,
                      size_t *out_size);
void imgrec__blob_free(struct blob *b, struct allocator *a);

/* A file that appears under its name only when all of it is safe on disk:
 * written beside the target, then fsync, rename, fsync of the folder.  Write
 * errors are sticky and reported by _commit. */
struct file_writer;
int imgrec__writer_open(struct file_writer **out, struct allocator *a,
                        struct error *e, const char *path);
void imgrec__writer_write(struct file_writer *w, const void *bytes, size_t n);
/* Frees w in any case. */
int imgrec__writer_commit(struct file_writer *w, struct error *e);
void imgrec__writer_abort(struct file_writer *w);

/* ---- sha256.c (FIPS 180-4) ---------------------------------------------- */

struct sha256 {
  uint32_t state[8];
  /* n blocks of 64 bytes into the state. */
  void (*blocks)(uint32_t state[8], const unsigned char *blocks, size_t n);
  uint64_t length;
  unsigned char block[64];
};

void imgrec__sha256_init(struct sha256 *s);
void imgrec__sha256_update(struct sha256 *s, const void *bytes, size_t n);
void imgrec__sha256_digest(struct sha256 *s, unsigned char out[32]);
/* 64 lower-case hex digits and a NUL. */
void imgrec__sha256_hex(struct sha256 *s, char out[65]);
/* In plain C, and by the instructions of a processor for which
 * imgrec__cpu_sha() is 1 (sha256_x86.c). */
void imgrec__sha256_blocks(uint32_t state[8], const unsigned char *blocks,
                           size_t n);
void imgrec__sha256_blocks_x86(uint32_t state[8], const unsigned char *blocks,
                               size_t n);
extern const uint32_t imgrec__sha256_k[64];

/* ---- thread.c: tasks over a range of integers --------------------------- */

struct pool;
/* `threads` workers in all, the calling thread being worker 0; threads == 1
 * starts none, and so does a `parallel` hook. */
int imgrec__pool_create(struct pool **out, struct allocator *a, int threads,
                        imgrec_parallel_fn parallel, void *parallel_user);
void imgrec__pool_destroy(struct pool *p);
int imgrec__pool_threads(const struct pool *p);
/* task(arg, i, worker) for each i in [0, count), count <= INT_MAX; returns when
 * all are done.  Tasks run with imgrec__fp_enter in force and must not call
 * this again.  A `parallel` hook must run them all: there is no telling which
 * it left out. */
void imgrec__parallel_for(struct pool *p, size_t count, imgrec_task_fn task,
                          void *arg);

/* ---- cpu.c -------------------------------------------------------------- */

/* The best IMGREC_ISA_* of this CPU and operating system. */
int imgrec__cpu_isa(void);
/* 1 when this CPU has instructions for SHA-256 that this build uses. */
int imgrec__cpu_sha(void);
/* Whether it has AVX-512's dot products of bytes on top. */
int imgrec__cpu_vnni(void);
/* Round to nearest, no flush to zero, no traps; returns what to restore. */
uint64_t imgrec__fp_enter(void);
void imgrec__fp_leave(uint64_t state);

/* ---- rng.c: Philox4x32-10 (Salmon et al., SC 2011) ---------------------- */

/* Number `index` of stream `stream` under `seed`: any of them at any time, in
 * any order, on any thread. */
struct random4 {
  uint32_t v[4];
};
struct random4 imgrec__random4(uint64_t seed, uint64_t stream, uint64_t index);
/* Uniform in [0, 1): a multiple of 2^-24. */
float imgrec__random_unit(uint64_t seed, uint64_t stream, uint64_t index);
/* Uniform in [0, n), n >= 1. */
uint64_t imgrec__random_below(uint64_t seed, uint64_t stream, uint64_t index,
                              uint64_t n);
/* Standard normal cut at two sigma. */
float imgrec__random_normal2(uint64_t seed, uint64_t stream, uint64_t index);
/* Shuffle of 0 .. n-1. */
void imgrec__random_permutation(int64_t *out, size_t n, uint64_t seed,
                                uint64_t stream);

/* Streams: one number a purpose, so that no two draw the same numbers.  The
 * low 32 bits count within the purpose (layer, epoch, class ...). */
#define IMGREC__STREAM_WEIGHTS ((uint64_t)1 << 32)
#define IMGREC__STREAM_DROPOUT ((uint64_t)2 << 32)
#define IMGREC__STREAM_SHUFFLE ((uint64_t)3 << 32)
#define IMGREC__STREAM_SPLIT   ((uint64_t)4 << 32)
#define IMGREC__STREAM_BALANCE ((uint64_t)5 << 32)
#define IMGREC__STREAM_AUGMENT ((uint64_t)16 << 32)
#define IMGREC__STREAM_NOISE   ((uint64_t)17 << 32)
#define IMGREC__STREAM_MIX     ((uint64_t)18 << 32)
#define IMGREC__STREAM_TRIAL   ((uint64_t)19 << 32)

/* ---- json.c: jsmn's tokens, checked and unescaped ----------------------- */

/* The checks of json_syntax.c: a status and a sentence with line and byte. */
int imgrec__json_check(struct error *e, const char *text, size_t length);
/* The code point of s[0..n), which starts behind "\u"; two escapes where the
 * first is a high surrogate.  *used is their length; -1 when malformed. */
int32_t imgrec__json_unicode(const char *s, size_t n, size_t *used);

struct json_token; /* jsmntok_t */
struct json {
  struct allocator *allocator;
  const char *text;
  size_t length;
  struct json_token *tokens;
  int count;
};

/* Strict JSON: one object or array, UTF-8, no duplicate keys, nesting <= 64.
 * `text` must outlive the result. */
int imgrec__json_parse(struct json *out, struct allocator *a, struct error *e,
                       const char *text, size_t length);
void imgrec__json_free(struct json *j);
/* Values are token numbers, the root being 0; -1 where there is none. */
int imgrec__json_get(const struct json *j, int object, const char *key);
int imgrec__json_is_object(const struct json *j, int value);
int imgrec__json_is_array(const struct json *j, int value);
int imgrec__json_is_string(const struct json *j, int value);
/* Members of an object, items of an array. */
int imgrec__json_size(const struct json *j, int value);
/* First member (its key) or item, and the one that follows; -1 at the end.
 * A member's value is _value(key). */
int imgrec__json_first(const struct json *j, int container);
int imgrec__json_next(const struct json *j, int container, int item);
int imgrec__json_value(const struct json *j, int key);
/* The unescaped string as a new C string; NULL when out of memory, not a
 * string, or with an embedded NUL. */
char *imgrec__json_string(const struct json *j, int value);
/* 1 when the string is this one (unescaped). */
int imgrec__json_equal(const struct json *j, int value, const char *s);
int imgrec__json_int(const struct json *j, int value, int64_t *out);
int imgrec__json_float(const struct json *j, int value, float *out);
/* Appends s with quotes and escapes. */
void imgrec__text_json_string(struct text *t, const char *s);

#endif
