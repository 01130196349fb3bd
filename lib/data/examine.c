/* SPDX-License-Identifier: MIT */
/* Looks over data sets: reads every image once, on all workers, and reports
 * sizes, what cannot be read, and what is there twice. */
#include "data/data.h"

/* Images between two looks at the host's progress hook. */
#define GROUP 256

/* What is there while it is made. */
struct examine {
  struct imgrec_context *context;
  imgrec_dataset *const *datasets;
  int sets;
  int64_t firsts[IMGREC__EXAMINE_SETS + 1];
  struct sight *seen;
  struct twin *twins;
  int64_t *leader;
  imgrec_examine_options options;
  struct sha256 hash; /* of nothing: to ask the processor costs more */
  /* The group that is being read. */
  const imgrec_dataset *dataset;
  int64_t first;
  struct sight *group;
};

int imgrec_examine_options_init(imgrec_examine_options *options,
                                size_t struct_size) {
  const imgrec_examine_options defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(options, struct_size, &defaults, sizeof defaults);
}

/* ---- One image ---------------------------------------------------------- */

static void see_fail(struct sight *seen, struct allocator *a, int status,
                     const char *reason) {
  seen->status = status;
  seen->reason = imgrec__strdup(a, reason);
}

/* Takes size and print of pixels. */
static void see_pixels(struct sight *seen, const struct pixels *p, int print) {
  seen->height = p->height;
  seen->width = p->width;
  seen->channels = p->channels;
  if (print)
    imgrec__fingerprint(&seen->print, p);
}

/* Pixels of another shape are others, whatever their bytes. */
static void digest_pixels(const struct examine *x, struct sight *seen,
                          const struct pixels *p) {
  struct sha256 hash = x->hash;
  int32_t shape[3] = {p->height, p->width, p->channels};
  imgrec__sha256_update(&hash, shape, sizeof shape);
  imgrec__sha256_update(&hash, p->data,
                        (size_t)p->height * (size_t)p->width *
                            (size_t)p->channels);
  imgrec__sha256_digest(&hash, seen->digest);
}

static void digest_file(const struct examine *x, struct sight *seen,
                        const struct blob *file) {
  struct sha256 hash = x->hash;
  imgrec__sha256_update(&hash, file->bytes, file->size);
  imgrec__sha256_digest(&hash, seen->digest);
}

static int decode_blob(struct sight *seen, struct allocator *a, struct error *e,
                       const struct blob *file) {
  struct pixels p;
  int status = imgrec__decode(&p, a, e, file->bytes, file->size, 0);
  if (status < 0)
    return status;
  see_pixels(seen, &p, 1);
  imgrec__free(a, p.data);
  return IMGREC_OK;
}

/* Only what the file's head says; it was read when the set was opened. */
static void see_head(struct sight *seen, const struct store *s, int64_t item) {
  struct image_size size = imgrec__store_size(s, item);
  seen->height = size.height;
  seen->width = size.width;
  seen->channels = size.channels;
}

static void see_file(const struct examine *x, struct sight *seen,
                     int64_t item) {
  struct allocator *a = &x->context->allocator;
  const struct store *s = x->dataset->store;
  const char *path = imgrec__strings_get(&s->names, (size_t)item);
  struct blob file;
  struct error e;
  int status =
      imgrec__read_file(&file, x->context, &e, path, IMGREC__IMAGE_FILE_MAX);
  if (status < 0) {
    see_fail(seen, a, status, e.text);
    return;
  }
  digest_file(x, seen, &file);
  if (x->options.exact_only)
    see_head(seen, s, item);
  else if ((status = decode_blob(seen, a, &e, &file)) < 0) {
    imgrec__fail_prefix(&e, status, "'%s'", path);
    see_fail(seen, a, status, e.text);
  }
  imgrec__blob_free(&file, a);
}

static void see(void *arg, int i, int worker) {
  const struct examine *x = arg;
  const struct store *s = x->dataset->store;
  struct sight *seen = &x->group[i];
  int64_t item = x->dataset->items[x->first + i];
  (void)worker;
  if (s->bad != NULL && s->bad[item]) {
    seen->status = IMGREC_ERR_FORMAT; /* known and listed */
  } else if (s->pixels == NULL) {
    see_file(x, seen, item);
  } else {
    struct pixels p = {imgrec__store_pixels(s, item), s->size.height,
                       s->size.width, s->size.channels};
    digest_pixels(x, seen, &p);
    see_pixels(seen, &p, !x->options.exact_only);
  }
}

/* A host's decoder runs on this thread only, as its read callback does. */
static void see_hooked(struct examine *x, int i) {
  struct imgrec_context *ctx = x->context;
  struct error before = ctx->error;
  struct sight *seen = &x->group[i];
  imgrec_tensor *image = NULL;
  int64_t item = x->dataset->items[x->first + i];
  const struct store *s = x->dataset->store;
  struct blob file;
  if (s->bad[item]) {
    seen->status = IMGREC_ERR_FORMAT;
    return;
  }
  const char *path = imgrec__strings_get(&s->names, (size_t)item);
  int status =
      imgrec__read_file(&file, ctx, &ctx->error, path, IMGREC__IMAGE_FILE_MAX);
  if (status == IMGREC_OK) {
    digest_file(x, seen, &file);
    status = imgrec_image_decode(&image, ctx, file.bytes, file.size, 0);
    imgrec__blob_free(&file, &ctx->allocator);
    if (status < 0)
      imgrec__fail_prefix(&ctx->error, status, "'%s'", path);
  }
  if (status == IMGREC_OK) {
    struct pixels p = {image->data, (int)image->shape[0], (int)image->shape[1],
                       (int)image->shape[2]};
    see_pixels(seen, &p, 1);
  } else {
    see_fail(seen, &ctx->allocator, status, ctx->error.text);
  }
  imgrec_tensor_destroy(image);
  ctx->error = before;
}

/* ---- All of them -------------------------------------------------------- */

static int is_fatal(const struct examine *x, const struct sight *seen) {
  return seen->status == IMGREC_ERR_MEMORY || seen->reason == NULL ||
         x->dataset->store->bad == NULL ||
         (seen->status == IMGREC_ERR_LIMIT &&
          x->context->allocator.max_bytes != 0);
}

/* Puts a file that failed among the skipped ones, for which it needs what went
 * wrong; a lack of memory is no fault of the file. */
static int settle_one(struct examine *x, int64_t i) {
  struct imgrec_context *ctx = x->context;
  struct store *s = x->dataset->store;
  struct sight *seen = &x->group[i];
  int64_t item = x->dataset->items[x->first + i];
  if (seen->status >= 0 || (s->bad != NULL && s->bad[item]))
    return IMGREC_OK;
  if (is_fatal(x, seen))
    return seen->reason == NULL || seen->status == IMGREC_ERR_MEMORY
               ? imgrec__fail_memory(&ctx->error, &ctx->allocator,
                                     "looking over a data set")
               : imgrec__fail(&ctx->error, seen->status, "%s", seen->reason);
  char *reason = seen->reason;
  seen->reason = NULL;
  int status = imgrec__store_skip(s, reason);
  s->bad[item] = status == IMGREC_OK;
  return status;
}

static int settle(struct examine *x, int64_t n) {
  int status = IMGREC_OK;
  for (int64_t i = 0; i < n; i++) {
    if (status == IMGREC_OK)
      status = settle_one(x, i);
    imgrec__free(&x->context->allocator, x->group[i].reason);
    x->group[i].reason = NULL;
  }
  return status;
}

static int tell(const struct examine *x, int64_t done) {
  const imgrec_examine_options *o = &x->options;
  if (o->progress == NULL ||
      o->progress(o->progress_user, done, x->firsts[x->sets]) == 0)
    return IMGREC_OK;
  return imgrec__fail(&x->context->error, IMGREC_ERR_CANCELLED,
                      "looking over the data was cancelled");
}

static int see_set(struct examine *x, int set) {
  x->dataset = x->datasets[set];
  int hooked = x->context->decode != NULL &&
               x->dataset->store->pixels == NULL && !x->options.exact_only;
  int reads = x->context->read != NULL && x->dataset->store->pixels == NULL;
  int status = IMGREC_OK;
  for (int64_t n = 0; x->first = n, n < x->dataset->count && status >= 0;) {
    int64_t count =
        x->dataset->count - n < GROUP ? x->dataset->count - n : GROUP;
    x->group = x->seen + x->firsts[set] + n;
    if (hooked || reads)
      for (int i = 0; i < (int)count; i++)
        hooked ? see_hooked(x, i) : see(x, i, 0);
    else
      imgrec__parallel_for(x->context->pool, (size_t)count, see, x);
    status = settle(x, count);
    n += count;
    if (status >= 0)
      status = tell(x, x->firsts[set] + n);
  }
  return status;
}

/* ---- The calls ---------------------------------------------------------- */

static int check_sets(imgrec_dataset *const *datasets, int count) {
  struct error *e = &datasets[0]->context->error;
  if (count > IMGREC__EXAMINE_SETS)
    return imgrec__fail(e, IMGREC_ERR_LIMIT,
                        "imgrec_dataset_examine: %d data sets; at most %d are "
                        "looked over at once",
                        count, IMGREC__EXAMINE_SETS);
  for (int i = 1; i < count; i++)
    if (datasets[i] == NULL || datasets[i]->context != datasets[0]->context)
      return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                          "imgrec_dataset_examine: data set %d is NULL or of "
                          "another context",
                          i);
  return IMGREC_OK;
}

static int begin(struct examine *x) {
  struct allocator *a = &x->context->allocator;
  for (int set = 0; set < x->sets; set++)
    x->firsts[set + 1] = x->firsts[set] + x->datasets[set]->count;
  size_t n = (size_t)x->firsts[x->sets];
  if (n > IMGREC__FILES_MAX)
    return imgrec__fail(&x->context->error, IMGREC_ERR_LIMIT,
                        "imgrec_dataset_examine: more than %d images",
                        IMGREC__FILES_MAX);
  x->seen = imgrec__alloc_zero(a, n * sizeof *x->seen);
  x->twins = imgrec__alloc_array(a, n * (size_t)x->sets, sizeof *x->twins);
  x->leader = imgrec__alloc_array(a, n, sizeof *x->leader);
  if (x->seen == NULL || x->twins == NULL || x->leader == NULL)
    return imgrec__fail_memory(&x->context->error, a,
                               "looking over a data set");
  imgrec__alloc_settle(a);
  return IMGREC_OK;
}

static int run(struct imgrec_examination **out, struct examine *x) {
  int status = begin(x);
  for (int set = 0; set < x->sets && status == IMGREC_OK; set++)
    status = see_set(x, set);
  struct similar similar = {x->datasets, x->seen,  x->firsts,
                            x->sets,     x->twins, x->leader};
  if (status == IMGREC_OK)
    status = imgrec__similar_find(&similar, x->context, !x->options.exact_only);
  if (status == IMGREC_OK)
    status = imgrec__examination_new(out, &similar);
  return status;
}

static int read_options(struct examine *x, const imgrec_examine_options *o) {
  struct error *e = &x->context->error;
  imgrec_examine_options *ours = &x->options;
  imgrec_examine_options_init(ours, sizeof *ours);
  int status =
      imgrec__options_read(e, ours, sizeof *ours, o, "imgrec_examine_options");
  if (status == IMGREC_OK &&
      (ours->reserved != 0 || ours->exact_only < 0 || ours->exact_only > 1))
    return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                        "imgrec_examine_options: exact_only is not 0 or 1, or "
                        "reserved is not 0");
  return status;
}

int imgrec_dataset_examine(imgrec_examination **out,
                           imgrec_dataset *const *datasets, int count,
                           const imgrec_examine_options *options) {
  if (datasets == NULL || count < 1 || datasets[0] == NULL)
    return IMGREC_ERR_ARGUMENT;
  struct imgrec_context *ctx = datasets[0]->context;
  struct examine x = {.context = ctx, .datasets = datasets, .sets = count};
  if (out == NULL)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_dataset_examine: `out` is NULL");
  imgrec__sha256_init(&x.hash);
  uint64_t fp = imgrec__fp_enter();
  int status = check_sets(datasets, count);
  if (status == IMGREC_OK)
    status = read_options(&x, options);
  if (status == IMGREC_OK)
    status = run(out, &x);
  imgrec__fp_leave(fp);
  imgrec__free(&ctx->allocator, x.leader);
  imgrec__free(&ctx->allocator, x.twins);
  imgrec__free(&ctx->allocator, x.seen);
  return status;
}
