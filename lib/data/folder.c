/* SPDX-License-Identifier: MIT */
/* A folder per class, flat or under folders for training, validation and test.
 *
 * Hidden names and files that are no images are passed over.  Folders inside a
 * class belong to the class; below it symbolic links to folders are not
 * followed, so that there is no way in a circle. */
#include "data/data.h"

#include <string.h>

#define MAX_DEPTH 32

/* ---- One folder --------------------------------------------------------- */

/* What one listing adds to. */
struct listing {
  const char *folder;
  int follow;
  struct text path;
  struct strings *folders, *images;
};

/* The full path of an entry goes to the list that it belongs to.  A link that
 * leads nowhere may have been an image: reading it will say so. */
static int add_entry(void *user, const char *name, int kind) {
  struct listing *l = user;
  struct file_info info;
  if (name[0] == '.' || kind == FILE_OTHER)
    return 1;
  imgrec__join(&l->path, l->folder, name);
  if (l->path.failed)
    return 0;
  if (kind == FILE_LINK && l->follow &&
      imgrec__path_info(l->path.data, &info) == 0)
    kind = info.kind;
  if (kind == FILE_FOLDER)
    imgrec__strings_add(l->folders, l->path.data, l->path.length);
  else if (imgrec__is_image_name(name, strlen(name)))
    imgrec__strings_add(l->images, l->path.data, l->path.length);
  return 1;
}

/* Adds the full paths of what is in `folder`, in no order. */
static int list_folder(struct imgrec_context *ctx, const char *folder,
                       int follow, struct strings *folders,
                       struct strings *images) {
  struct listing l = {
      .folder = folder, .follow = follow, .folders = folders, .images = images};
  imgrec__text_init(&l.path, &ctx->allocator);
  int number = imgrec__folder_list(folder, add_entry, &l);
  int failed = l.path.failed || imgrec__strings_failed(folders) ||
               imgrec__strings_failed(images);
  imgrec__text_free(&l.path);
  if (failed)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the list of files");
  return number == 0 ? IMGREC_OK
                     : imgrec__fail_system(&ctx->error, number,
                                           "read the folder", folder);
}

/* Adds the images of a folder and of all below it. */
static int list_tree(struct imgrec_context *ctx, const char *folder,
                     struct strings *images, int depth) {
  if (depth > MAX_DEPTH)
    return imgrec__fail(&ctx->error, IMGREC_ERR_LIMIT,
                        "'%s': folders of a data set are at most %d deep",
                        folder, MAX_DEPTH);
  struct strings inner;
  imgrec__strings_init(&inner, &ctx->allocator);
  int status = list_folder(ctx, folder, 0, &inner, images);
  for (size_t i = 0; status == IMGREC_OK && i < inner.count; i++)
    status = list_tree(ctx, imgrec__strings_get(&inner, i), images, depth + 1);
  imgrec__strings_free(&inner);
  return status;
}

/* ---- Parts and classes -------------------------------------------------- */

static const char *last_name(const char *path) {
  return path + imgrec__folder_length(path);
}

/* A folder named for a part is one when it holds folders and no image: with
 * images it would be a class, such as the trains among vehicles. */
static int holds_classes(struct imgrec_context *ctx, const char *path) {
  struct strings folders, images;
  imgrec__strings_init(&folders, &ctx->allocator);
  imgrec__strings_init(&images, &ctx->allocator);
  int status = list_folder(ctx, path, 1, &folders, &images);
  int holds = status == IMGREC_OK && folders.count > 0 && images.count == 0;
  imgrec__strings_free(&folders);
  imgrec__strings_free(&images);
  return status < 0 ? status : holds;
}

/* Sets parts[IMGREC_PART_*] to the index in `folders` of the folder for the
 * part, -1 where there is none, and says which parts there are. */
static int find_parts(struct imgrec_context *ctx, const struct strings *folders,
                      int64_t parts[4], int *available) {
  *available = 0;
  for (int part = 0; part < 4; part++)
    parts[part] = -1;
  for (size_t i = 0; i < folders->count; i++) {
    const char *path = imgrec__strings_get(folders, i);
    int part = imgrec__part_of(last_name(path), strlen(last_name(path)));
    if (part == IMGREC_PART_ANY || parts[part] >= 0)
      continue;
    int holds = holds_classes(ctx, path);
    if (holds < 0)
      return holds;
    if (holds) {
      parts[part] = (int64_t)i;
      *available |= PART_BIT(part);
    }
  }
  return IMGREC_OK;
}

/* What is known while classes are looked for. */
struct scan {
  struct store *store;
  const char *roots[4]; /* folders of classes: the one wanted, then others */
  int root_count;
};

/* Lists a class's images of one root, 0 when that root does not have it. */
static int list_class(struct scan *scan, const char *root, const char *name,
                      struct strings *images) {
  struct imgrec_context *ctx = scan->store->context;
  struct text path;
  struct file_info info;
  imgrec__text_init(&path, &ctx->allocator);
  imgrec__join(&path, root, name);
  int status = IMGREC_OK;
  if (path.failed)
    status = imgrec__fail_memory(&ctx->error, &ctx->allocator, "a path");
  else if (imgrec__path_info(path.data, &info) == 0 && info.kind == FILE_FOLDER)
    status = list_tree(ctx, path.data, images, 1);
  imgrec__text_free(&path);
  if (status < 0 || imgrec__strings_sort(images, 0, 0))
    return status;
  return imgrec__fail_memory(&ctx->error, &ctx->allocator, "the list of files");
}

/* A folder is a class when one of the roots has images for it; only those of
 * the first are taken. */
static int add_class(struct scan *scan, const char *name) {
  struct store *s = scan->store;
  int found = 0, status = IMGREC_OK;
  for (int r = 0; status == IMGREC_OK && r < scan->root_count && !found; r++) {
    struct strings images;
    imgrec__strings_init(&images, &s->context->allocator);
    status = list_class(scan, scan->roots[r], name, &images);
    found = images.count > 0;
    for (size_t i = 0; status == IMGREC_OK && r == 0 && i < images.count; i++) {
      const char *path = imgrec__strings_get(&images, i);
      status = imgrec__store_add_file(s, path, strlen(path),
                                      (int32_t)s->classes.count);
    }
    imgrec__strings_free(&images);
  }
  if (found)
    imgrec__strings_add(&s->classes, name, strlen(name));
  return status;
}

/* The names of the folders in all roots, each once, sorted. */
static int list_names(struct scan *scan, struct strings *names) {
  struct imgrec_context *ctx = scan->store->context;
  int status = IMGREC_OK;
  for (int r = 0; status == IMGREC_OK && r < scan->root_count; r++) {
    struct strings folders, images;
    imgrec__strings_init(&folders, &ctx->allocator);
    imgrec__strings_init(&images, &ctx->allocator);
    status = list_folder(ctx, scan->roots[r], 1, &folders, &images);
    for (size_t i = 0; status == IMGREC_OK && i < folders.count; i++) {
      const char *name = last_name(imgrec__strings_get(&folders, i));
      imgrec__strings_add(names, name, strlen(name));
    }
    imgrec__strings_free(&folders);
    imgrec__strings_free(&images);
  }
  if (status == IMGREC_OK &&
      (imgrec__strings_failed(names) || !imgrec__strings_sort(names, 0, 1)))
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the list of classes");
  return status;
}

static int read_classes(struct scan *scan) {
  struct store *s = scan->store;
  struct imgrec_context *ctx = s->context;
  struct strings names;
  imgrec__strings_init(&names, &ctx->allocator);
  int status = list_names(scan, &names);
  if (status == IMGREC_OK && names.count > IMGREC__CLASSES_MAX)
    status = imgrec__fail(&ctx->error, IMGREC_ERR_LIMIT,
                          "'%s' has %zu folders; a data set has at most %d "
                          "classes",
                          scan->roots[0], names.count, IMGREC__CLASSES_MAX);
  for (size_t i = 0; status == IMGREC_OK && i < names.count; i++)
    status = add_class(scan, imgrec__strings_get(&names, i));
  imgrec__strings_free(&names);
  if (status == IMGREC_OK && imgrec__strings_failed(&s->classes))
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the list of classes");
  return status < 0 ? status
                    : imgrec__names_check(&ctx->error, scan->roots[0],
                                          "the folder", &s->classes);
}

/* ---- The reader --------------------------------------------------------- */

static int fail_empty(struct imgrec_context *ctx, const char *path,
                      size_t loose) {
  if (loose > 0)
    return imgrec__fail(&ctx->error, IMGREC_ERR_FORMAT,
                        "'%s' has %zu images beside each other, but no folder "
                        "per class with images in it",
                        path, loose);
  return imgrec__fail(&ctx->error, IMGREC_ERR_FORMAT,
                      "'%s' has no data set: looked for a folder per class "
                      "with .jpg, .png, .bmp or .pnm files, for IDX files "
                      "(train-images-idx3-ubyte) and for CIFAR's .bin files",
                      path);
}

static int read_listed(struct store *s, const char *path,
                       const struct strings *folders, int part) {
  struct scan scan = {.store = s, .root_count = 1, .roots = {path}};
  int64_t parts[4];
  int available;
  int status = find_parts(s->context, folders, parts, &available);
  if (status == IMGREC_OK)
    status =
        imgrec__part_choose(&s->context->error, path, available, part, &part);
  if (status < 0)
    return status;
  if (part != IMGREC_PART_ANY)
    scan.roots[0] = imgrec__strings_get(folders, (size_t)parts[part]);
  for (int other = IMGREC_PART_TRAIN; other <= IMGREC_PART_TEST; other++)
    if (other != part && parts[other] >= 0)
      scan.roots[scan.root_count++] =
          imgrec__strings_get(folders, (size_t)parts[other]);
  return read_classes(&scan);
}

int imgrec__read_folder(struct store *s, const char *path, int part) {
  struct imgrec_context *ctx = s->context;
  struct strings folders, images;
  imgrec__strings_init(&folders, &ctx->allocator);
  imgrec__strings_init(&images, &ctx->allocator);
  s->format = "folder per class";
  int status = list_folder(ctx, path, 1, &folders, &images);
  if (status == IMGREC_OK && !imgrec__strings_sort(&folders, 0, 0))
    status =
        imgrec__fail_memory(&ctx->error, &ctx->allocator, "the list of files");
  if (status == IMGREC_OK)
    status = read_listed(s, path, &folders, part);
  if (status == IMGREC_OK && s->count == 0)
    status = fail_empty(ctx, path, images.count);
  imgrec__strings_free(&folders);
  imgrec__strings_free(&images);
  return status < 0 ? status : imgrec__store_probe(s, path);
}
