/* SPDX-License-Identifier: MIT */
/* Files that are read: by the host's read callback where the context has one,
 * else by the system. */
#include "context.h"

/* A host's status and words for it. */
static int fail_hook(struct error *e, int64_t status, const char *path) {
  int code = status < IMGREC_ERR_DIVERGED ? IMGREC_ERR_IO : (int)status;
  return imgrec__fail(e, code, "cannot read '%s': the read callback says %s",
                      path, imgrec_status_name(code));
}

int imgrec__read_info(const struct imgrec_context *ctx, const char *path,
                      struct file_info *out) {
  if (ctx->read == NULL)
    return imgrec__path_info(path, out);
  int64_t size = ctx->read(ctx->read_user, path, NULL, 0);
  *out = (struct file_info){FILE_REGULAR, size < 0 ? 0 : (uint64_t)size};
  return size < 0;
}

/* n bytes that are there. */
static int read_hooked(const struct imgrec_context *ctx, struct error *e,
                       const char *path, void *bytes, size_t n) {
  int64_t got = ctx->read(ctx->read_user, path, bytes, n);
  if (got < 0)
    return fail_hook(e, got, path);
  if ((uint64_t)got != n)
    return imgrec__fail(e, IMGREC_ERR_IO,
                        "cannot read '%s': the read callback gave %lld of %zu "
                        "bytes",
                        path, (long long)got, n);
  return IMGREC_OK;
}

static int size_hooked(const struct imgrec_context *ctx, struct error *e,
                       const char *path, uint64_t *size) {
  int64_t there = ctx->read(ctx->read_user, path, NULL, 0);
  if (there < 0)
    return fail_hook(e, there, path);
  *size = (uint64_t)there;
  return IMGREC_OK;
}

int imgrec__read_file(struct blob *out, struct imgrec_context *ctx,
                      struct error *e, const char *path, uint64_t limit) {
  struct allocator *a = &ctx->allocator;
  uint64_t size = 0;
  if (ctx->read == NULL)
    return imgrec__file_read(out, a, e, path, limit);
  int status = size_hooked(ctx, e, path, &size);
  if (status < 0)
    return status;
  if (size > limit || size >= PTRDIFF_MAX)
    return imgrec__fail(e, IMGREC_ERR_LIMIT,
                        "'%s' has %llu bytes; at most %llu are read", path,
                        (unsigned long long)size, (unsigned long long)limit);
  unsigned char *bytes = imgrec__alloc(a, (size_t)size + 1);
  if (bytes == NULL)
    return imgrec__fail_memory(e, a, path);
  status = read_hooked(ctx, e, path, bytes, (size_t)size);
  if (status < 0) {
    imgrec__free(a, bytes);
    return status;
  }
  bytes[size] = 0;
  *out = (struct blob){bytes, (size_t)size};
  return IMGREC_OK;
}

int imgrec__read_file_gz(struct blob *out, struct imgrec_context *ctx,
                         const char *path, uint64_t limit) {
  struct blob file = {NULL, 0};
  int status = imgrec__read_file(&file, ctx, &ctx->error, path, limit);
  if (status >= 0)
    status = imgrec__unpack(&file, &ctx->allocator, &ctx->error, path, limit);
  if (status >= 0)
    *out = file;
  return status;
}

int imgrec__read_head(const struct imgrec_context *ctx, struct error *e,
                      const char *path, void *buffer, size_t n,
                      size_t *out_size) {
  uint64_t size = 0;
  if (ctx->read == NULL)
    return imgrec__file_head(path, e, buffer, n, out_size);
  int status = size_hooked(ctx, e, path, &size);
  if (status < 0)
    return status;
  n = size < n ? (size_t)size : n;
  *out_size = n;
  return read_hooked(ctx, e, path, buffer, n);
}
