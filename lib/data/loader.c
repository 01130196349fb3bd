/* SPDX-License-Identifier: MIT */
/* Makes batches of a data set, decoding several ahead on all workers.
 *
 * The good images of a pass, in its order, are cut into batches: how far ahead
 * is read and by how many threads changes nothing in them. */
#include <string.h>

#include "data/data.h"

/* How much is decoded ahead. */
#define WINDOW_BYTES   ((uint64_t)16 << 20)
#define WINDOW_BATCHES 16

/* One image on its way into the window. */
struct slot {
  int64_t item;
  uint64_t draw; /* which of the augmented images it becomes */
  int32_t label;
  int status;
  char *reason;                /* why it failed; NULL when out of memory */
  struct imgrec_tensor *image; /* what the decode hook gave */
  struct kept kept;            /* its place in the cache */
};

struct loader {
  struct imgrec_context *context;
  struct imgrec_dataset *dataset;
  imgrec_preprocess preprocess;
  size_t batch, image; /* images a batch, floats an image */
  size_t capacity;     /* images the window holds */
  float *x;            /* capacity x H x W x C */
  int32_t *labels;
  struct slot *slots;
  size_t begin, end; /* images that are ready */
  size_t filling;    /* the first image that is being filled */
  int64_t *order;    /* indices into the data set */
  int64_t count, position;
  int64_t good; /* images of this pass so far */
  struct image_cache *cache;
  struct balance *balance; /* NULL: each image once */
  int ahead;               /* files are asked for before they are needed */
  imgrec_augment augment;
  int augments;         /* whether images are: in passes that are shuffled */
  struct mixing mixing; /* of batches: by `targets` */
  float *targets;       /* batch x classes; NULL: none are mixed */
  uint64_t seed, epoch; /* of this pass */
  uint64_t given;       /* images of it that were handed out */
  int shuffled, mixed;  /* this pass; the last batch */
};

/* ---- Making ------------------------------------------------------------- */

static uint64_t image_floats(const imgrec_preprocess *p) {
  return (uint64_t)p->height * (uint64_t)p->width * (uint64_t)p->channels;
}

static uint64_t slot_bytes(const imgrec_preprocess *p) {
  return image_floats(p) * sizeof(float) + sizeof(int32_t) +
         sizeof(struct slot);
}

/* Batches in the window. */
static uint64_t window_batches(const imgrec_preprocess *p, int batch) {
  uint64_t n =
      WINDOW_BYTES / (image_floats(p) * sizeof(float)) / (uint64_t)batch;
  return n < 1 ? 1 : n > WINDOW_BATCHES ? WINDOW_BATCHES : n;
}

uint64_t imgrec__loader_bytes(const imgrec_preprocess *p, int batch) {
  return sizeof(struct loader) +
         slot_bytes(p) * window_batches(p, batch) * (uint64_t)batch;
}

static int loader_alloc(struct loader *l) {
  struct allocator *a = &l->context->allocator;
  l->x = imgrec__alloc_array(a, l->capacity, l->image * sizeof *l->x);
  l->labels = imgrec__alloc_array(a, l->capacity, sizeof *l->labels);
  l->slots = imgrec__alloc_array(a, l->capacity, sizeof *l->slots);
  l->order =
      imgrec__alloc_array(a, (size_t)l->dataset->count, sizeof *l->order);
  if (l->x != NULL && l->labels != NULL && l->slots != NULL && l->order != NULL)
    return IMGREC_OK;
  return imgrec__fail_memory(&l->context->error, a, "the batches");
}

int imgrec__loader_create(struct loader **out, struct imgrec_dataset *d,
                          const imgrec_preprocess *p, int batch) {
  struct imgrec_context *ctx = d->context;
  int status = imgrec__preprocess_check(&ctx->error, p);
  if (status < 0)
    return status;
  if (batch < 1)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "a batch of %d images; it must have at least one",
                        batch);
  struct loader *l = imgrec__alloc_zero(&ctx->allocator, sizeof *l);
  if (l == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "the batches");
  l->context = ctx;
  l->dataset = d;
  l->preprocess = *p;
  l->batch = (size_t)batch;
  l->image = (size_t)image_floats(p);
  l->capacity =
      min_size((size_t)window_batches(p, batch) * l->batch, (size_t)d->count);
  status = loader_alloc(l);
  if (status < 0) {
    imgrec__loader_destroy(l);
    return status;
  }
  l->ahead = d->store->pixels == NULL;
  if (d->store->pixels == NULL)
    imgrec__alloc_settle(&ctx->allocator);
  *out = l;
  return IMGREC_OK;
}

void imgrec__loader_destroy(struct loader *l) {
  if (l == NULL)
    return;
  struct allocator *a = &l->context->allocator;
  imgrec__image_cache_destroy(l->cache);
  imgrec__balance_destroy(l->balance);
  imgrec__free(a, l->targets);
  imgrec__free(a, l->order);
  imgrec__free(a, l->slots);
  imgrec__free(a, l->labels);
  imgrec__free(a, l->x);
  imgrec__free(a, l);
}

int imgrec__loader_augment(struct loader *l, const imgrec_augment *a,
                           int classes) {
  const imgrec_preprocess *p = &l->preprocess;
  struct allocator *alloc = &l->context->allocator;
  l->augment = *a;
  l->augments = imgrec__augment_acts(a);
  if (a->mixup == 0.0f && a->cutmix == 0.0f)
    return IMGREC_OK;
  l->mixing = (struct mixing){.augment = &l->augment,
                              .height = (size_t)p->height,
                              .width = (size_t)p->width,
                              .channels = (size_t)p->channels,
                              .classes = (size_t)classes};
  l->targets = imgrec__alloc_array(alloc, l->batch * (size_t)classes,
                                   sizeof *l->targets);
  return l->targets ? IMGREC_OK
                    : imgrec__fail_memory(&l->context->error, alloc,
                                          "the targets of a batch");
}

const float *imgrec__loader_targets(const struct loader *l) {
  return l->mixed ? l->targets : NULL;
}

/* The preprocessing that gives what is kept of an image of h x w pixels, as
 * large as any where that is 0. */
static imgrec_preprocess stage_of(const struct loader *l, int h, int w) {
  imgrec_preprocess stage = l->preprocess;
  if (l->augments)
    imgrec__augment_stage(&stage, &l->preprocess, &l->augment, h, w);
  return stage;
}

void imgrec__loader_keep(struct loader *l, uint64_t max_bytes) {
  imgrec_preprocess largest = stage_of(l, 0, 0);
  if (l->dataset->store->pixels == NULL && l->cache == NULL)
    l->cache = imgrec__image_cache_create(
        &l->context->allocator, (size_t)l->dataset->count, &largest, max_bytes);
}

int imgrec__loader_balance(struct loader *l) {
  return l->balance ? IMGREC_OK
                    : imgrec__balance_create(&l->balance, l->dataset);
}

void imgrec__loader_ahead(struct loader *l, int on) {
  l->ahead = on && !l->context->read && l->dataset->store->pixels == NULL;
}

/* ---- A pass ------------------------------------------------------------- */

static int fail_all_bad(const struct loader *l) {
  const struct store *s = l->dataset->store;
  return imgrec__fail(&l->context->error, IMGREC_ERR_FORMAT,
                      "none of the %lld images can be read; the last that "
                      "failed: %s",
                      (long long)l->dataset->count,
                      s->skipped_count > 0 ? s->skipped[s->skipped_count - 1]
                                           : "");
}

int imgrec__loader_start(struct loader *l, int shuffle, uint64_t seed,
                         uint64_t epoch) {
  const struct imgrec_dataset *d = l->dataset;
  const struct store *s = d->store;
  int64_t n = 0;
  if (shuffle)
    imgrec__random_permutation(l->order, (size_t)d->count, seed,
                               IMGREC__STREAM_SHUFFLE + epoch);
  for (int64_t i = 0; i < d->count; i++) {
    int64_t index = shuffle ? l->order[i] : i;
    if (s->bad == NULL || !s->bad[d->items[index]])
      l->order[n++] = index;
  }
  if (shuffle && l->balance != NULL)
    imgrec__balance_order(l->balance, d, l->order, n, seed, epoch);
  l->count = n;
  l->position = l->good = 0;
  l->begin = l->end = 0;
  l->seed = l->mixing.seed = seed;
  l->epoch = l->mixing.epoch = epoch;
  l->given = 0;
  l->shuffled = shuffle;
  return n > 0 ? IMGREC_OK : fail_all_bad(l);
}

static int is_good(const struct imgrec_dataset *d, int64_t index) {
  const unsigned char *bad = d->store->bad;
  return bad == NULL || !bad[d->items[index]];
}

int imgrec__loader_skip(struct loader *l, int64_t images) {
  while (l->good < images && l->position < l->count)
    l->good += is_good(l->dataset, l->order[l->position++]);
  l->given = (uint64_t)l->good;
  if (l->good == images)
    return IMGREC_OK;
  return imgrec__fail(&l->context->error, IMGREC_ERR_FORMAT,
                      "the checkpoint is %lld images into an epoch of %lld",
                      (long long)images, (long long)l->count);
}

/* ---- Images into slots -------------------------------------------------- */

static void slot_fail(struct slot *slot, struct allocator *a, int status,
                      const char *reason) {
  slot->status = status;
  slot->reason = imgrec__strdup(a, reason);
}

static int decode_file(struct pixels *out, struct allocator *a, struct error *e,
                       const char *path) {
  struct blob file;
  int status = imgrec__file_read(&file, a, e, path, IMGREC__IMAGE_FILE_MAX);
  if (status < 0)
    return status;
  status = imgrec__decode(out, a, e, file.bytes, file.size, 0);
  imgrec__blob_free(&file, a);
  return status < 0 ? imgrec__fail_prefix(e, status, "'%s'", path) : status;
}

static int is_kept(const struct slot *slot) {
  return slot->kept.pixels != NULL && *slot->kept.channels != 0;
}

static struct pixels kept_pixels(const struct loader *l,
                                 const struct slot *slot) {
  imgrec_preprocess stage = stage_of(l, slot->kept.size[0], slot->kept.size[1]);
  return (struct pixels){slot->kept.pixels, stage.height, stage.width,
                         *slot->kept.channels};
}

/* The pixels of an item wherever they are; *owned is what to free. */
static int find_pixels(struct pixels *out, unsigned char **owned,
                       struct error *e, const struct loader *l,
                       const struct slot *slot) {
  const struct store *s = l->dataset->store;
  if (is_kept(slot)) {
    *out = kept_pixels(l, slot);
    return IMGREC_OK;
  }
  if (slot->image != NULL) {
    const int64_t *shape = slot->image->shape;
    *out = (struct pixels){slot->image->data, (int)shape[0], (int)shape[1],
                           (int)shape[2]};
    return IMGREC_OK;
  }
  if (s->pixels != NULL) {
    *out = (struct pixels){imgrec__store_pixels(s, slot->item), s->size.height,
                           s->size.width, s->size.channels};
    return IMGREC_OK;
  }
  int status = decode_file(out, &l->context->allocator, e,
                           imgrec__strings_get(&s->names, (size_t)slot->item));
  *owned = status < 0 ? NULL : out->data;
  return status;
}

/* Brings *p to the size that is kept, in the place for it. */
static void keep(struct pixels *p, void *scratch, const struct loader *l,
                 const struct slot *slot) {
  imgrec_preprocess stage = stage_of(l, p->height, p->width);
  imgrec__preprocess_pixels(slot->kept.pixels, l->context->kernels, scratch, p,
                            &stage);
  slot->kept.size[0] = p->height;
  slot->kept.size[1] = p->width;
  *slot->kept.channels =
      (unsigned char)imgrec__preprocess_channels(p->channels, &l->preprocess);
  *p = kept_pixels(l, slot);
}

/* Asks for the file of the image at `position` of the pass. */
static void ask_ahead(const struct loader *l, int64_t position) {
  if (!l->ahead || position >= l->count)
    return;
  int64_t index = l->order[position];
  const struct imgrec_dataset *d = l->dataset;
  if (!imgrec__image_cache_has(l->cache, (size_t)index))
    imgrec__path_ahead(
        imgrec__strings_get(&d->store->names, (size_t)d->items[index]));
}

static void ask_for_first(void *arg, int i, int worker) {
  (void)worker;
  ask_ahead(arg, i);
}

/* x: where the image goes; p: decoded or kept. */
static int put(float *x, struct error *e, void *scratch, const struct loader *l,
               const struct slot *slot, const struct pixels *p) {
  const struct kernels *k = l->context->kernels;
  struct allocator *a = &l->context->allocator;
  const imgrec_preprocess *pre = &l->preprocess;
  const struct augment_key key = {l->seed, l->epoch, slot->draw};
  int original[2] = {p->height, p->width};
  if (!l->augments || !l->shuffled) {
    imgrec__preprocess(x, k, scratch, p, pre);
    return IMGREC_OK;
  }
  if (slot->kept.pixels != NULL)
    memcpy(original, slot->kept.size, sizeof original);
  unsigned char *bytes = imgrec__alloc(a, l->image);
  if (bytes == NULL)
    return imgrec__fail_memory(e, a, "an augmented image");
  int status = imgrec__augment(bytes, k, scratch, a, e, p, original, pre,
                               &l->augment, &key);
  const struct pixels augmented = {
      bytes, pre->height, pre->width,
      imgrec__preprocess_channels(p->channels, pre)};
  if (status == IMGREC_OK)
    imgrec__preprocess(x, k, scratch, &augmented, pre);
  imgrec__free(a, bytes);
  return status;
}

struct fill {
  struct loader *loader;
  size_t first;
};

/* Task: slot first + i becomes image filling + first + i of the window. */
static void fill_slot(void *arg, int i, int worker) {
  const struct fill *f = arg;
  const struct loader *l = f->loader;
  size_t k = f->first + (size_t)i;
  struct slot *slot = &l->slots[k];
  struct allocator *a = &l->context->allocator;
  unsigned char *owned = NULL;
  struct pixels p;
  struct error e;
  void *scratch = imgrec__workspace(l->context, worker);
  ask_ahead(l, l->position + (int64_t)k);
  if (slot->status < 0)
    return;
  int status = find_pixels(&p, &owned, &e, l, slot);
  if (status == IMGREC_OK && slot->kept.pixels != NULL && !is_kept(slot))
    keep(&p, scratch, l, slot);
  if (status == IMGREC_OK)
    status = put(l->x + (l->filling + k) * l->image, &e, scratch, l, slot, &p);
  imgrec__free(a, owned);
  if (status < 0)
    slot_fail(slot, a, status, e.text);
}

/* A host's decoder and its files are for this thread only.  That files fail is
 * no failure of the call. */
static void decode_hooked(struct loader *l, struct slot *slot) {
  struct imgrec_context *ctx = l->context;
  const struct strings *names = &l->dataset->store->names;
  struct error before = ctx->error;
  int status = imgrec_image_load(
      &slot->image, ctx, imgrec__strings_get(names, (size_t)slot->item), 0);
  if (status < 0)
    slot_fail(slot, &ctx->allocator, status, ctx->error.text);
  ctx->error = before;
}

/* So few at a time that the decoded images of a batch never live at once. */
static void fill_hooked(struct loader *l, size_t n) {
  size_t group = 2 * (size_t)l->context->threads;
  for (size_t first = 0; first < n; first += group) {
    struct fill f = {l, first};
    size_t count = min_size(group, n - first);
    for (size_t i = first; i < first + count; i++)
      if (!is_kept(&l->slots[i]))
        decode_hooked(l, &l->slots[i]);
    imgrec__parallel_for(l->context->pool, count, fill_slot, &f);
    for (size_t i = first; i < first + count; i++)
      imgrec_tensor_destroy(l->slots[i].image);
  }
}

static void fill(struct loader *l, size_t n) {
  struct fill f = {l, 0};
  const struct imgrec_context *ctx = l->context;
  if ((ctx->decode || ctx->read) && l->dataset->store->pixels == NULL)
    fill_hooked(l, n);
  else
    imgrec__parallel_for(l->context->pool, n, fill_slot, &f);
}

/* ---- Slots into the window ---------------------------------------------- */

/* Not the image's fault, so that leaving it out would be wrong: another run
 * with more memory gives other batches. */
static int is_fatal(const struct loader *l, const struct slot *slot) {
  return slot->status == IMGREC_ERR_MEMORY || slot->reason == NULL ||
         l->dataset->store->bad == NULL ||
         (slot->status == IMGREC_ERR_LIMIT &&
          l->context->allocator.max_bytes != 0);
}

static int give_up(struct loader *l, const struct slot *slot) {
  struct imgrec_context *ctx = l->context;
  l->position = l->count;
  if (slot->reason == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "the batches");
  return imgrec__fail(&ctx->error, slot->status, "%s", slot->reason);
}

/* Takes over the slot's reason. */
static int leave_out(struct loader *l, struct slot *slot) {
  struct store *s = l->dataset->store;
  char *reason = slot->reason;
  slot->reason = NULL;
  s->bad[slot->item] = 1;
  imgrec__log(l->context, IMGREC_LOG_WARNING, "an image is left out: %s",
              reason);
  return imgrec__store_skip(s, reason);
}

/* Moves image `from` of the window behind those that are ready. */
static void accept(struct loader *l, size_t from, int32_t label) {
  if (from != l->end)
    memcpy(l->x + l->end * l->image, l->x + from * l->image,
           l->image * sizeof *l->x);
  l->labels[l->end++] = label;
  l->good++;
}

static int settle(struct loader *l, size_t n) {
  int status = IMGREC_OK;
  for (size_t i = 0; i < n; i++) {
    struct slot *slot = &l->slots[i];
    if (status == IMGREC_OK && slot->status == IMGREC_OK)
      accept(l, l->filling + i, slot->label);
    else if (status == IMGREC_OK)
      status = is_fatal(l, slot) ? give_up(l, slot) : leave_out(l, slot);
    imgrec__free(&l->context->allocator, slot->reason);
  }
  return status;
}

static void move_to_front(struct loader *l) {
  size_t n = l->end - l->begin;
  memmove(l->x, l->x + l->begin * l->image, n * l->image * sizeof *l->x);
  memmove(l->labels, l->labels + l->begin, n * sizeof *l->labels);
  l->begin = 0;
  l->end = n;
}

/* An image that is in a window twice is kept by the first of them, as the
 * slots are filled at once. */
static struct kept place_kept(struct loader *l, int64_t index) {
  struct kept kept = imgrec__image_cache_get(l->cache, (size_t)index);
  if (l->balance != NULL && kept.pixels != NULL && *kept.channels == 0 &&
      !imgrec__balance_first(l->balance, index))
    return (struct kept){NULL, NULL, NULL};
  return kept;
}

/* Reads as far ahead as there is room: at least one image. */
static int refill(struct loader *l) {
  const struct imgrec_dataset *d = l->dataset;
  move_to_front(l);
  if (l->balance != NULL)
    imgrec__balance_window(l->balance);
  size_t n = min_size(l->capacity - l->end, (size_t)(l->count - l->position));
  if (l->ahead && l->position == 0)
    imgrec__parallel_for(l->context->pool, n, ask_for_first, l);
  for (size_t i = 0; i < n; i++) {
    int64_t index = l->order[l->position++];
    uint64_t item = (uint64_t)d->items[index];
    l->slots[i] = (struct slot){
        .item = d->items[index],
        /* of an image that comes more than once each time another */
        .draw = l->balance ? (uint64_t)l->position : item,
        .label = imgrec__dataset_label(d, index),
        .kept = place_kept(l, index)};
  }
  l->filling = l->end;
  fill(l, n);
  return settle(l, n);
}

int imgrec__loader_next(struct loader *l, const float **x,
                        const int32_t **labels, size_t *n) {
  while (l->end - l->begin < l->batch && l->position < l->count) {
    int status = refill(l);
    if (status < 0)
      return status;
  }
  size_t ready = min_size(l->batch, l->end - l->begin);
  if (l->good == 0)
    return fail_all_bad(l);
  *x = l->x + l->begin * l->image;
  *labels = l->labels + l->begin;
  *n = ready;
  l->mixed = l->targets != NULL && l->shuffled && ready > 0;
  if (l->mixed)
    imgrec__mix(l->context, &l->mixing, l->x + l->begin * l->image, l->targets,
                *labels, ready, l->given);
  l->begin += ready;
  l->given += ready;
  return IMGREC_OK;
}
