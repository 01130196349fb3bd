/* SPDX-License-Identifier: MIT */
/* Floor 6, data sets: what the readers of each format fill in, the public
 * object over it, and the loader that makes batches of it. */
#ifndef IMGREC_DATA_H
#define IMGREC_DATA_H

#include "context.h"
#include "image/image.h"

/* Files of packed images and tables are read whole; no larger than this. */
#define IMGREC__PACKED_MAX  ((uint64_t)1 << 32)
#define IMGREC__TABLE_MAX   ((uint64_t)1 << 30)
#define IMGREC__CLASSES_MAX 1000000
/* Tasks are counted by int. */
#define IMGREC__FILES_MAX 2000000000

/* ---- names.c: lists of strings, words of file names, parts -------------- */

/* Strings in one block.  Errors are sticky, as those of struct text: check
 * imgrec__strings_failed when all is added. */
struct strings {
  struct text bytes; /* each string with its NUL */
  size_t *starts;
  size_t count, capacity;
};

void imgrec__strings_init(struct strings *s, struct allocator *a);
void imgrec__strings_free(struct strings *s);
void imgrec__strings_add(struct strings *s, const char *bytes, size_t n);
/* Adds all of `from`. */
void imgrec__strings_copy(struct strings *s, const struct strings *from);
/* Borrowed until the next _add. */
const char *imgrec__strings_get(const struct strings *s, size_t i);
static inline int imgrec__strings_failed(const struct strings *s) {
  return s->bytes.failed;
}
/* Sorts by bytes; with `unique`, of equal ones one stays.  0 when out of
 * memory. */
int imgrec__strings_sort(struct strings *s, size_t first, int unique);

/* The array with room for one more behind `count`, NULL when out of memory
 * (then the old one still stands). */
void *imgrec__grow(struct allocator *a, void *array, size_t count,
                   size_t *capacity, size_t size);

/* 1 when s[0..n) is `word` but for the case of A to Z; word is lower case. */
int imgrec__same_word(const char *s, size_t n, const char *word);
/* 1 when `name` ends in `suffix` likewise. */
int imgrec__ends_in(const char *name, const char *suffix);
/* 1 when name[0..n) ends as names of pictures do, of formats that are read or
 * not. */
int imgrec__is_image_name(const char *name, size_t n);
/* Sets `out` to the folder's path and the name in it; the text's own sticky
 * error says whether it could. */
void imgrec__join(struct text *out, const char *folder, const char *name);
/* Fails with IMGREC_ERR_FORMAT when one of `names`, of classes, is not UTF-8:
 * models and results could not have it.  `what` is it in `path`: "the label".
 */
int imgrec__names_check(struct error *e, const char *path, const char *what,
                        const struct strings *names);
/* Fails with the reason why `path` cannot be opened. */
int imgrec__fail_open(struct imgrec_context *ctx, const char *path);

/* IMGREC_PART_* of train, training, val, valid, validation, test, testing;
 * IMGREC_PART_ANY for another word. */
int imgrec__part_of(const char *word, size_t n);
#define PART_BIT(part) (1 << (part))
/* The part that `want` means, given the set of those there are (0: `path` does
 * not come in parts): train for IMGREC_PART_ANY, or the only one. */
int imgrec__part_choose(struct error *e, const char *path, int available,
                        int want, int *part);

/* ---- store.c: the images that data sets share --------------------------- */

struct image_size {
  int32_t height, width, channels; /* 0: not known */
};

/* Either pixels in memory or a list of files. */
struct store {
  int64_t references;
  struct imgrec_context *context; /* kept alive by whoever keeps the store */
  const char *format;             /* for people: "folder per class" */
  struct strings classes;         /* names */
  int64_t count;
  size_t capacity;      /* of labels while files are added */
  int32_t *labels;      /* class of each item */
  struct strings names; /* of files: one an item; packed: of the files */

  void *block;           /* packed: the memory that pixels lie in */
  unsigned char *pixels; /* packed: count x H x W x C; NULL: files */
  struct image_size size;
  int64_t *firsts; /* packed: the first item of each of names */

  struct image_size *sizes; /* files: of each */
  unsigned char *bad;       /* files: 1 when it could not be decoded */
  char **skipped;           /* a sentence for each unreadable file */
  size_t skipped_count, skipped_capacity;
};

int imgrec__store_create(struct store **out, struct imgrec_context *ctx);
void imgrec__store_retain(struct store *s);
void imgrec__store_release(struct store *s);
int imgrec__store_add_file(struct store *s, const char *path, size_t n,
                           int32_t label);
/* Looks at the head of every file and drops what no image can be read from,
 * with a sentence each; IMGREC_ERR_FORMAT when none is left. `path` is what
 * was opened.  With a decode hook all files stay, of unknown size. */
int imgrec__store_probe(struct store *s, const char *path);
/* Takes over `reason`, which is freed when this fails. */
int imgrec__store_skip(struct store *s, char *reason);
unsigned char *imgrec__store_pixels(const struct store *s, int64_t item);
struct image_size imgrec__store_size(const struct store *s, int64_t item);
/* Class names from a file with one a line, when there is one at folder/name:
 * 1 when they were read, 0 when there is none. */
int imgrec__store_name_file(struct store *s, const char *folder,
                            const char *name);
/* The names "0" to "count - 1". */
int imgrec__store_name_numbers(struct store *s, int count);

/* ---- Readers: each fills a new store and reports to its context --------- */

int imgrec__read_folder(struct store *s, const char *path, int part);

int imgrec__read_csv(struct store *s, const char *path, int part);
/* From memory, which is changed; files are listed but not looked at. */
int imgrec__csv_parse(struct store *s, const char *path, struct blob *b,
                      int part);

/* `path`: the file of the images, or the folder. */
int imgrec__read_idx(struct store *s, const char *path, int part);
/* Takes over the bytes of `images` when it succeeds.  `classes`: at least so
 * many, however few the labels use. */
int imgrec__idx_parse(struct store *s, const char *path, struct blob *images,
                      const struct blob *labels, int classes);
/* Which parts a folder has as IDX files: a set of PART_BIT. */
int imgrec__idx_parts(struct imgrec_context *ctx, const char *folder);

/* `path`: one .bin file, or the folder. */
int imgrec__read_cifar(struct store *s, const char *path, int part);
/* Room for the images of `bytes` bytes of files, then one file after another
 * put behind what is there. */
int imgrec__cifar_reserve(struct store *s, uint64_t bytes, size_t files);
int imgrec__cifar_append(struct store *s, const char *path,
                         const struct blob *b);
int imgrec__cifar_parts(struct imgrec_context *ctx, const char *folder);

/* detect.c: the reader that suits what is at `path`. */
int imgrec__read_any(struct store *s, const char *path, int part);

/* ---- dataset.c ---------------------------------------------------------- */

struct imgrec_dataset {
  struct imgrec_context *context;
  struct store *store;
  int64_t *items; /* of the store, in this data set's order */
  int64_t count;
  struct strings labels;
  int32_t *renumbered; /* from the store's classes; NULL: the same */
  int64_t shape[3];
  char *description;
  char *source; /* what imgrec_dataset_source returned last */
  size_t source_size;
};

int32_t imgrec__dataset_label(const struct imgrec_dataset *d, int64_t index);
/* Over `count` items of a store, which the caller lists, and with a copy of
 * `labels`; retains the store. */
int imgrec__dataset_new(struct imgrec_dataset **out, struct store *s,
                        int64_t count, const struct strings *labels);

/* describe.c: sets shape and description. */
int imgrec__dataset_describe(struct imgrec_dataset *d);

/* ---- similar.c: the same pictures among many ----------------------------- */

/* One image of several data sets that are numbered through, set by set. */
struct sight {
  unsigned char digest[32]; /* of the file's bytes, or of the pixels */
  struct fingerprint print;
  int32_t height, width, channels;
  int32_t status; /* negative: not readable, and the rest does not count */
  char *reason;
};

/* What image i is like among those before it of one set; -1: none. */
struct twin {
  int64_t image; /* numbered through */
  float difference;
  int32_t exact;
};

#define IMGREC__EXAMINE_SETS 16

struct similar {
  struct imgrec_dataset *const *datasets;
  const struct sight *seen;
  const int64_t *firsts; /* of each set, and the end */
  int sets;
  struct twin *twins; /* images x sets */
  int64_t *leader;    /* of each: the first equal one of its own set */
};

/* Fills twins and leader, which have room; IMGREC_ERR_MEMORY or _LIMIT. With
 * `near` 0 only what is equal is looked for. */
int imgrec__similar_find(struct similar *s, struct imgrec_context *ctx,
                         int near);

/* examination.c: the report that `s` gives. */
int imgrec__examination_new(struct imgrec_examination **out,
                            const struct similar *s);

/* ---- image_cache.c: what a loader need not decode again ------------------ */

struct image_cache;
/* What may be kept of the `wanted` bytes (0: not said): at most half of what
 * the context's max_bytes leaves, as others need some, and nothing there unless
 * said. */
#define IMGREC__CACHE_BYTES ((uint64_t)256 << 20)
uint64_t imgrec__cache_room(const struct allocator *a, uint64_t wanted);
/* Room for up to max_bytes of images that imgrec__preprocess_pixels made by p;
 * NULL when there is none, which is no failure. */
struct image_cache *imgrec__image_cache_create(struct allocator *a,
                                               size_t images,
                                               const imgrec_preprocess *p,
                                               uint64_t max_bytes);
void imgrec__image_cache_destroy(struct image_cache *c);

/* The place of one image: *channels is 0 until whoever fills it sets it. */
struct kept {
  unsigned char *pixels; /* NULL: it has none */
  unsigned char *channels;
  int32_t *size; /* height and width that the image had when decoded */
};
/* 1 when that image has its pixels there; c may be NULL. */
int imgrec__image_cache_has(const struct image_cache *c, size_t index);
/* c may be NULL. */
struct kept imgrec__image_cache_get(struct image_cache *c, size_t index);

/* ---- balance.c: as many images of each class ----------------------------- */

struct balance;
int imgrec__balance_create(struct balance **out,
                           const struct imgrec_dataset *d);
void imgrec__balance_destroy(struct balance *b);
/* Replaces the n images of `order`, which is shuffled, by n of which each class
 * that it has gets as many (one more, the first ones): of a large class the
 * first in `order`, of a small one all, again and again. */
void imgrec__balance_order(struct balance *b, const struct imgrec_dataset *d,
                           int64_t *order, int64_t n, uint64_t seed,
                           uint64_t epoch);
/* A window of images begins; whether an image is in it for the first time. */
void imgrec__balance_window(struct balance *b);
int imgrec__balance_first(struct balance *b, int64_t index);

/* ---- loader.c: batches, decoded ahead by all workers -------------------- */

struct loader;
/* `d` must outlive the loader. */
int imgrec__loader_create(struct loader **out, struct imgrec_dataset *d,
                          const imgrec_preprocess *p, int batch);
void imgrec__loader_destroy(struct loader *l);
/* Passes that are shuffled show images augmented, by the seed and epoch of
 * _start, with mixed targets where `a` has mixup or cutmix; before _keep. */
int imgrec__loader_augment(struct loader *l, const imgrec_augment *a,
                           int classes);
/* For more than one pass: keeps images of files, as far as they fit into
 * max_bytes, so that only the first pass decodes them. */
void imgrec__loader_keep(struct loader *l, uint64_t max_bytes);
/* Shuffled passes have as many images of each class from now on. */
int imgrec__loader_balance(struct loader *l);
/* While images are decoded the system is asked for the files of the images that
 * come after them, so that these are in memory when their turn comes; 0: it is
 * not, for those who measure what that gives. */
void imgrec__loader_ahead(struct loader *l, int on);
/* A new pass over all images, without those that failed in an earlier one; in
 * the order of the data set or shuffled by seed and epoch. */
int imgrec__loader_start(struct loader *l, int shuffle, uint64_t seed,
                         uint64_t epoch);
/* Passes over the first images of a pass that has begun: so many as were handed
 * out when the marks in the store were made.  IMGREC_ERR_FORMAT when there are
 * fewer. */
int imgrec__loader_skip(struct loader *l, int64_t images);
/* The next *n images, x: n x H x W x C, and their classes, borrowed until the
 * next call; all batches but the last are full, *n is 0 at the end.  A file
 * that cannot be decoded is left out, logged, and added to the data set's
 * skipped files; IMGREC_ERR_FORMAT when that was all of them. */
int imgrec__loader_next(struct loader *l, const float **x,
                        const int32_t **labels, size_t *n);
/* Probabilities, n x classes, that go with the last batch instead of its
 * labels; NULL where images are not mixed.  Borrowed as the batch is. */
const float *imgrec__loader_targets(const struct loader *l);
/* The most that a loader allocates, but for 8 bytes an image of the set, and
 * for what it keeps. */
uint64_t imgrec__loader_bytes(const imgrec_preprocess *p, int batch);

/* ---- mix.c: mixup, cutmix ----------------------------------------------- */

struct mixing {
  const imgrec_augment *augment;
  size_t height, width, channels, classes;
  uint64_t seed, epoch;
};
/* x: n images, changed in place; targets: n x classes; first: the place of x
 * in the epoch. */
void imgrec__mix(struct imgrec_context *ctx, const struct mixing *m, float *x,
                 float *targets, const int32_t *labels, size_t n,
                 uint64_t first);

/* ---- mirror_trial.c: may images be mirrored? ---------------------------- */

/* By 1 for mirrored, 2 for upside down; 0: as they are. */
struct mirror_trial {
  int64_t images;   /* that were tried; 0: there are too few */
  int64_t right[3]; /* of those, recognised by the most similar of others */
  int evidence;     /* whether that is better than guessing */
  int matters[3];   /* whether it is far less often right, or two classes are
                       exchanged */
};
int imgrec__mirror_trial(struct mirror_trial *out, struct imgrec_dataset *d,
                         const imgrec_preprocess *p);

#endif
