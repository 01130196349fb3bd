/* SPDX-License-Identifier: MIT */
/* Decoded images of one size, kept from one pass of a loader to the next. */
#include "data/data.h"

struct image_cache {
  struct allocator *allocator;
  size_t image; /* bytes of a place */
  size_t places, used;
  int32_t *place; /* of each image of the data set; -1: none */
  unsigned char *channels;
  int32_t *sizes;        /* places x 2 */
  unsigned char *pixels; /* places x H x W x channels */
};

static int alloc_arrays(struct image_cache *c, size_t images) {
  struct allocator *a = c->allocator;
  c->place = imgrec__alloc_array(a, images, sizeof *c->place);
  c->channels = imgrec__alloc_zero(a, c->places);
  c->sizes = imgrec__alloc_array(a, c->places, 2 * sizeof *c->sizes);
  c->pixels = imgrec__alloc_array(a, c->places, c->image);
  for (size_t i = 0; i < images && c->place; i++)
    c->place[i] = -1;
  return c->place && c->channels && c->sizes && c->pixels;
}

uint64_t imgrec__cache_room(const struct allocator *a, uint64_t wanted) {
  if (a->max_bytes == 0)
    return wanted == 0 ? IMGREC__CACHE_BYTES : wanted;
  uint64_t peak, left = a->max_bytes - imgrec__allocator_used(a, &peak);
  return wanted < left / 2 ? wanted : left / 2;
}

struct image_cache *imgrec__image_cache_create(struct allocator *a,
                                               size_t images,
                                               const imgrec_preprocess *p,
                                               uint64_t max_bytes) {
  size_t image = (size_t)p->height * (size_t)p->width * (size_t)p->channels;
  size_t places = min_size((size_t)(max_bytes / image), images);
  if (places == 0 || places > INT32_MAX)
    return NULL;
  struct image_cache *c = imgrec__alloc_zero(a, sizeof *c);
  if (!c)
    return NULL;
  c->allocator = a;
  c->image = image;
  c->places = places;
  if (alloc_arrays(c, images))
    return c;
  imgrec__image_cache_destroy(c);
  return NULL;
}

void imgrec__image_cache_destroy(struct image_cache *c) {
  if (!c)
    return;
  struct allocator *a = c->allocator;
  imgrec__free(a, c->pixels);
  imgrec__free(a, c->sizes);
  imgrec__free(a, c->channels);
  imgrec__free(a, c->place);
  imgrec__free(a, c);
}

int imgrec__image_cache_has(const struct image_cache *c, size_t index) {
  return c && c->place[index] >= 0 && c->channels[c->place[index]] != 0;
}

struct kept imgrec__image_cache_get(struct image_cache *c, size_t index) {
  struct kept none = {NULL, NULL, NULL};
  if (!c)
    return none;
  if (c->place[index] < 0 && c->used < c->places)
    c->place[index] = (int32_t)c->used++;
  if (c->place[index] < 0)
    return none;
  size_t place = (size_t)c->place[index];
  return (struct kept){c->pixels + place * c->image, c->channels + place,
                       c->sizes + 2 * place};
}
