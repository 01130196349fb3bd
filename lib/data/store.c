/* SPDX-License-Identifier: MIT */
/* The images that data sets share: packed pixels, or a list of files. */
#include "data/data.h"

#include <stdio.h>
#include <string.h>

int imgrec__store_create(struct store **out, struct imgrec_context *ctx) {
  struct store *s = imgrec__alloc_zero(&ctx->allocator, sizeof *s);
  if (s == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "a data set");
  s->references = 1;
  s->context = ctx;
  imgrec__strings_init(&s->classes, &ctx->allocator);
  imgrec__strings_init(&s->names, &ctx->allocator);
  *out = s;
  return IMGREC_OK;
}

void imgrec__store_retain(struct store *s) { s->references++; }

void imgrec__store_release(struct store *s) {
  if (s == NULL || --s->references > 0)
    return;
  struct allocator *a = &s->context->allocator;
  for (size_t i = 0; i < s->skipped_count; i++)
    imgrec__free(a, s->skipped[i]);
  imgrec__free(a, s->skipped);
  imgrec__free(a, s->bad);
  imgrec__free(a, s->sizes);
  imgrec__free(a, s->firsts);
  imgrec__free(a, s->block);
  imgrec__free(a, s->labels);
  imgrec__strings_free(&s->names);
  imgrec__strings_free(&s->classes);
  imgrec__free(a, s);
}

unsigned char *imgrec__store_pixels(const struct store *s, int64_t item) {
  size_t image =
      (size_t)s->size.height * (size_t)s->size.width * (size_t)s->size.channels;
  return s->pixels + (size_t)item * image;
}

struct image_size imgrec__store_size(const struct store *s, int64_t item) {
  return s->pixels != NULL ? s->size : s->sizes[item];
}

int imgrec__store_add_file(struct store *s, const char *path, size_t n,
                           int32_t label) {
  struct imgrec_context *ctx = s->context;
  if (s->count >= IMGREC__FILES_MAX)
    return imgrec__fail(&ctx->error, IMGREC_ERR_LIMIT,
                        "a data set has at most %d files", IMGREC__FILES_MAX);
  int32_t *labels = imgrec__grow(&ctx->allocator, s->labels, (size_t)s->count,
                                 &s->capacity, sizeof *labels);
  if (labels != NULL) {
    s->labels = labels;
    imgrec__strings_add(&s->names, path, n);
  }
  if (labels == NULL || imgrec__strings_failed(&s->names))
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the list of files");
  labels[s->count++] = label;
  return IMGREC_OK;
}

/* ---- Files that cannot be read ------------------------------------------ */

int imgrec__store_skip(struct store *s, char *reason) {
  struct imgrec_context *ctx = s->context;
  char **skipped = imgrec__grow(&ctx->allocator, s->skipped, s->skipped_count,
                                &s->skipped_capacity, sizeof *skipped);
  if (skipped == NULL) {
    imgrec__free(&ctx->allocator, reason);
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the list of unreadable files");
  }
  s->skipped = skipped;
  skipped[s->skipped_count++] = reason;
  return IMGREC_OK;
}

struct probe {
  struct store *store;
  char **reasons; /* of each file that failed */
};

/* The head of most files says all; a photo's may begin with a thumbnail. */
#define SHORT_HEAD ((size_t)16 * 1024)
_Static_assert(IMGREC__PROBE_BYTES <= IMGREC__WORKSPACE,
               "a worker reads the head of a file into its workspace");

static int probe_head(struct image_size *out, const struct imgrec_context *ctx,
                      struct error *e, const char *path, void *head,
                      size_t limit) {
  int height, width, channels;
  size_t n;
  int status = imgrec__read_head(ctx, e, path, head, limit, &n);
  if (status < 0)
    return status;
  status = imgrec__probe(e, head, n, &height, &width, &channels);
  if (status < 0)
    return imgrec__fail_prefix(e, status, "'%s'", path);
  *out = (struct image_size){height, width, channels};
  return IMGREC_OK;
}

static void probe_file(void *arg, int i, int worker) {
  const struct probe *p = arg;
  struct store *s = p->store;
  const char *path = imgrec__strings_get(&s->names, (size_t)i);
  void *head = imgrec__workspace(s->context, worker);
  struct image_size *size = &s->sizes[i];
  struct error e;
  if (probe_head(size, s->context, &e, path, head, SHORT_HEAD) < 0 &&
      probe_head(size, s->context, &e, path, head, IMGREC__PROBE_BYTES) < 0) {
    s->bad[i] = 1;
    p->reasons[i] = imgrec__strdup(&s->context->allocator, e.text);
  }
}

/* Moves the good ones together and the reasons to the skipped. */
static int drop_bad(struct store *s, char **reasons) {
  int64_t kept = 0;
  for (int64_t i = 0; i < s->count; i++) {
    char *reason = reasons[i];
    reasons[i] = NULL;
    if (!s->bad[i]) {
      s->names.starts[kept] = s->names.starts[i];
      s->labels[kept] = s->labels[i];
      s->sizes[kept++] = s->sizes[i];
      continue;
    }
    if (reason == NULL)
      return imgrec__fail_memory(&s->context->error, &s->context->allocator,
                                 "the list of unreadable files");
    int status = imgrec__store_skip(s, reason);
    if (status < 0)
      return status;
  }
  memset(s->bad, 0, (size_t)s->count);
  s->names.count = (size_t)kept;
  s->count = kept;
  return IMGREC_OK;
}

static int probe_all(struct store *s) {
  struct allocator *a = &s->context->allocator;
  size_t n = (size_t)s->count;
  char **reasons = imgrec__alloc_zero(a, n * sizeof *reasons);
  if (reasons == NULL)
    return imgrec__fail_memory(&s->context->error, a, "the list of files");
  struct probe p = {s, reasons};
  if (s->context->read != NULL)
    for (size_t i = 0; i < n; i++)
      probe_file(&p, (int)i, 0);
  else
    imgrec__parallel_for(s->context->pool, n, probe_file, &p);
  int status = drop_bad(s, reasons);
  for (size_t i = 0; i < n; i++)
    imgrec__free(a, reasons[i]);
  imgrec__free(a, reasons);
  return status;
}

int imgrec__store_probe(struct store *s, const char *path) {
  struct imgrec_context *ctx = s->context;
  size_t n = (size_t)s->count;
  s->bad = imgrec__alloc_zero(&ctx->allocator, n);
  s->sizes = imgrec__alloc_zero(&ctx->allocator, n * sizeof *s->sizes);
  if (s->bad == NULL || s->sizes == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the list of files");
  int status = ctx->decode == NULL ? probe_all(s) : IMGREC_OK;
  if (status < 0 || s->count > 0)
    return status;
  return imgrec__fail(&ctx->error, IMGREC_ERR_FORMAT,
                      "'%s': none of its %zu images can be read; the first: %s",
                      path, n, s->skipped[0]);
}

/* ---- Names of classes --------------------------------------------------- */

/* A name a line, blank lines apart. */
static void add_lines(struct strings *s, const struct blob *b) {
  const char *p = (const char *)b->bytes, *end = p + b->size;
  while (p < end) {
    const char *feed = memchr(p, '\n', (size_t)(end - p));
    const char *stop = feed != NULL ? feed : end;
    size_t n = (size_t)(stop - p);
    if (n > 0 && p[n - 1] == '\r')
      n--;
    if (n > 0)
      imgrec__strings_add(s, p, n);
    p = stop + 1;
  }
}

static int read_names(struct store *s, const char *path) {
  struct imgrec_context *ctx = s->context;
  struct blob b;
  struct error e; /* that there is no such file is no failure */
  int status = imgrec__read_file(&b, ctx, &e, path, IMGREC__TABLE_MAX);
  if (status == IMGREC_ERR_NOT_FOUND)
    return status;
  if (status < 0)
    return imgrec__fail(&ctx->error, status, "%s", e.text);
  if (memchr(b.bytes, '\0', b.size) != NULL)
    status = imgrec__fail(&ctx->error, IMGREC_ERR_FORMAT,
                          "'%s' is no text file; it must have the name of a "
                          "class on each line",
                          path);
  else
    add_lines(&s->classes, &b);
  imgrec__blob_free(&b, &ctx->allocator);
  if (imgrec__strings_failed(&s->classes))
    status = imgrec__fail_memory(&ctx->error, &ctx->allocator,
                                 "the names of the classes");
  if (status >= 0)
    status = imgrec__names_check(&ctx->error, path, "the line", &s->classes);
  return status < 0 ? status : 1;
}

int imgrec__store_name_file(struct store *s, const char *folder,
                            const char *name) {
  struct imgrec_context *ctx = s->context;
  struct text path;
  imgrec__text_init(&path, &ctx->allocator);
  imgrec__join(&path, folder, name);
  int status;
  if (path.failed)
    status = imgrec__fail_memory(&ctx->error, &ctx->allocator, "a path");
  else
    status = read_names(s, path.data);
  imgrec__text_free(&path);
  return status == IMGREC_ERR_NOT_FOUND ? 0 : status;
}

int imgrec__store_name_numbers(struct store *s, int count) {
  for (int i = 0; i < count; i++) {
    char name[16];
    int n = snprintf(name, sizeof name, "%d", i);
    imgrec__strings_add(&s->classes, name, (size_t)n);
  }
  if (imgrec__strings_failed(&s->classes))
    return imgrec__fail_memory(&s->context->error, &s->context->allocator,
                               "the names of the classes");
  return IMGREC_OK;
}
