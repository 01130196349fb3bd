/* SPDX-License-Identifier: MIT */
/* Unpacking of gzip files by zlib, which a build may do without. */
#include "base.h"

#ifdef IMGREC_HAVE_ZLIB
#define ZLIB_CONST
#include <zlib.h>

/* Unpacking, on the way. */
struct unpacking {
  struct allocator *allocator;
  struct error *error;
  const char *path;
  uint64_t limit;
  struct blob out;
  size_t capacity;
  z_stream z;
};

static void *z_alloc(void *user, unsigned count, unsigned size) {
  return imgrec__alloc_array(user, count, size);
}

static void z_free(void *user, void *p) { imgrec__free(user, p); }

/* Deflate packs at most 1032 to 1, so the size at a gzip file's end is not
 * trusted beyond that; with several members in a file it is too small. */
static size_t first_capacity(const struct blob *packed, uint64_t limit) {
  uint64_t size = 0, most = packed->size * (uint64_t)1032;
  for (size_t i = 1; i <= 4 && i <= packed->size; i++)
    size = size << 8 | packed->bytes[packed->size - i];
  size = size < most ? size : most;
  return (size_t)(size < limit ? size : limit);
}

/* More room for the output, of which there is none left. */
static int grow(struct unpacking *u) {
  if (u->capacity >= u->limit)
    return imgrec__fail(u->error, IMGREC_ERR_LIMIT,
                        "'%s' unpacks to more than %llu bytes", u->path,
                        (unsigned long long)u->limit);
  uint64_t capacity = (uint64_t)u->capacity * 2 + 65536;
  capacity = capacity < u->limit ? capacity : u->limit;
  unsigned char *bytes =
      imgrec__realloc(u->allocator, u->out.bytes, (size_t)capacity + 1);
  if (bytes == NULL)
    return imgrec__fail_memory(u->error, u->allocator, u->path);
  u->out.bytes = bytes;
  u->capacity = (size_t)capacity;
  return IMGREC_OK;
}

static int fail_gzip(struct unpacking *u, const char *why) {
  return imgrec__fail(u->error, IMGREC_ERR_FORMAT,
                      "'%s' is a damaged gzip file: %s", u->path, why);
}

/* One inflate() into what room there is, in zlib's unsigned sizes. */
static int step(struct unpacking *u, const unsigned char *end) {
  size_t room = min_size(u->capacity - u->out.size, (size_t)1 << 30);
  size_t left = min_size((size_t)(end - u->z.next_in), (size_t)1 << 30);
  u->z.avail_in = (unsigned)left;
  u->z.next_out = u->out.bytes + u->out.size;
  u->z.avail_out = (unsigned)room;
  int result = inflate(&u->z, Z_NO_FLUSH);
  u->out.size += room - u->z.avail_out;
  return result;
}

/* Members one after the other, as gzip itself reads them. */
static int unpack_members(struct unpacking *u, const unsigned char *end) {
  for (;;) {
    int result = step(u, end);
    int status = IMGREC_OK;
    if (result == Z_STREAM_END) {
      if (u->z.next_in == end)
        return IMGREC_OK;
      if (*u->z.next_in != 0x1f || inflateReset(&u->z) != Z_OK)
        return fail_gzip(u, "something else follows its end");
    } else if (result == Z_MEM_ERROR) {
      return imgrec__fail_memory(u->error, u->allocator, u->path);
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return fail_gzip(u, "its contents do not unpack");
    } else if (u->z.avail_out == 0) {
      status = u->out.size == u->capacity ? grow(u) : IMGREC_OK;
    } else if (u->z.next_in == end) {
      return fail_gzip(u, "it ends early");
    }
    if (status < 0)
      return status;
  }
}

int imgrec__gunzip(struct blob *out, struct allocator *a, struct error *e,
                   const char *path, uint64_t limit,
                   const struct blob *packed) {
  struct unpacking u = {
      .allocator = a, .error = e, .path = path, .limit = limit};
  u.z.zalloc = z_alloc;
  u.z.zfree = z_free;
  u.z.opaque = a;
  u.z.next_in = packed->bytes;
  u.capacity = first_capacity(packed, limit);
  u.out.bytes = imgrec__alloc(a, u.capacity + 1);
  /* 16: a gzip header; 15: the largest window. */
  if (u.out.bytes == NULL || inflateInit2(&u.z, 16 + 15) != Z_OK) {
    imgrec__free(a, u.out.bytes);
    return imgrec__fail_memory(e, a, path);
  }
  int status = unpack_members(&u, packed->bytes + packed->size);
  inflateEnd(&u.z);
  if (status < 0) {
    imgrec__free(a, u.out.bytes);
    return status;
  }
  u.out.bytes[u.out.size] = 0;
  *out = u.out;
  return IMGREC_OK;
}

#else

int imgrec__gunzip(struct blob *out, struct allocator *a, struct error *e,
                   const char *path, uint64_t limit,
                   const struct blob *packed) {
  (void)out;
  (void)a;
  (void)limit;
  (void)packed;
  return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                      "'%s' is a gzip file, and this build has no zlib; unpack "
                      "it first",
                      path);
}

#endif

int imgrec__unpack(struct blob *file, struct allocator *a, struct error *e,
                   const char *path, uint64_t limit) {
  struct blob packed = *file;
  if (packed.size < 2 || packed.bytes[0] != 0x1f || packed.bytes[1] != 0x8b)
    return IMGREC_OK;
  int status = imgrec__gunzip(file, a, e, path, limit, &packed);
  imgrec__blob_free(&packed, a);
  return status;
}
