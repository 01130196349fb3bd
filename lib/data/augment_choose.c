/* SPDX-License-Identifier: MIT */
/* Chooses augmentation by looking at the data: whether mirrored images are
 * still themselves, how large images are, and how many of them. */
#include <string.h>

#include "data/data.h"

/* Below this many pixels a side, parts that are cut out would be a blur. */
#define LARGE_SIDE 48
/* Fewer images a class than these get more variety. */
#define RARE 200
#define MANY 1000
/* Images tried before orientation is believed to be of no matter. */
#define SURE 200

enum mirror { MIRROR_YES, MIRROR_NO, MIRROR_ANY };

/* ---- Names of classes --------------------------------------------------- */

static int is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether s has the word, whole. */
static int has_word(const char *s, const char *word) {
  while (*s != '\0') {
    size_t n = 0;
    while (is_letter(s[n]))
      n++;
    if (n > 0 && imgrec__same_word(s, n, word))
      return 1;
    s += n > 0 ? n : 1;
  }
  return 0;
}

/* A class named after what a mirror changes: that class, else NULL. */
static const char *mirrored_name(const struct imgrec_dataset *d) {
  static const char *const words[] = {"left",  "right",   "letter",
                                      "digit", "letters", "digits"};
  int letters = 0, classes = imgrec_dataset_classes(d);
  for (int i = 0; i < classes; i++) {
    const char *name = imgrec_dataset_label(d, i);
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
      if (has_word(name, words[k]))
        return name;
    letters += is_letter(name[0]) && name[1] == '\0';
  }
  return letters > 2 && 2 * letters > classes ? imgrec_dataset_label(d, 0)
                                              : NULL;
}

/* ---- What to do --------------------------------------------------------- */

struct facts {
  enum mirror mirror;
  int large, colour; /* of the input and the images */
  int64_t per_class;
};

/* On photos of 10 and 5 classes, parts of at least half of the image and
 * mirrored ones were recognised best; turned ones and other colours did not
 * help where colour says much, and were in the way of short training. */
static void choose_moves(imgrec_augment *a, const struct facts *f) {
  if (f->mirror != MIRROR_NO)
    a->flip = 0.5f;
  else
    a->fill = IMGREC_FILL_EDGE;
  if (f->mirror == MIRROR_ANY)
    a->flip_vertical = 0.5f;
  if (f->large && f->colour) {
    a->area = 0.5f;
  } else if (f->colour) {
    a->crop = 0.125f;
  } else {
    int many = f->per_class >= MANY;
    a->shift = many ? 0.05f : 0.07f;
    a->rotate = many ? 4.0f : 8.0f;
    a->scale = many ? 0.05f : 0.1f;
  }
}

static void choose_values(imgrec_augment *a, const struct facts *f) {
  if (f->per_class < RARE && (f->large || f->colour))
    a->brightness = a->contrast = 0.2f;
  if (f->per_class < RARE && f->colour)
    a->saturation = 0.2f;
}

/* ---- Why ---------------------------------------------------------------- */

static int percent(int64_t part, int64_t whole) {
  return whole > 0 ? (int)((200 * part + whole) / (2 * whole)) : 0;
}

static void explain_trial(struct text *t, const struct facts *f,
                          const struct mirror_trial *m, const char *name) {
  int usual = percent(m->right[0], m->images);
  int mirrored = percent(m->right[1], m->images);
  if (name)
    imgrec__text_add(t, "never mirrored, as a class is called '%.40s'", name);
  else if (m->matters[1])
    imgrec__text_add(t,
                     "never mirrored: in a trial %d %% of the images were "
                     "recognised, %d %% when mirrored",
                     usual, mirrored);
  else if (f->mirror == MIRROR_NO)
    imgrec__text_string(t, "not mirrored, as the images are grey and a trial "
                           "says nothing");
  else if (m->evidence)
    imgrec__text_add(t,
                     "mirrored too: in a trial %d %% of the images were "
                     "recognised, %d %% when mirrored",
                     usual, mirrored);
  else
    imgrec__text_string(t, "mirrored too, as photos may be");
  if (f->mirror == MIRROR_ANY)
    imgrec__text_add(t, ", %d %% upside down", percent(m->right[2], m->images));
}

static int explain(struct imgrec_context *ctx, char *reason, size_t size,
                   const struct facts *f, const struct mirror_trial *m,
                   const char *name) {
  struct text t;
  int status = IMGREC_OK;
  imgrec__text_init(&t, &ctx->allocator);
  explain_trial(&t, f, m, name);
  imgrec__text_add(&t, "; %s %s images, %lld a class",
                   f->large ? "large" : "small", f->colour ? "colour" : "grey",
                   (long long)f->per_class);
  if (t.failed)
    status = imgrec__fail_memory(&ctx->error, &ctx->allocator, "a sentence");
  else if (size > 0) {
    size_t n = min_size(t.length, size - 1);
    memcpy(reason, t.data, n);
    reason[n] = '\0';
  }
  imgrec__text_free(&t);
  return status;
}

/* ---- Public ------------------------------------------------------------- */

static enum mirror may_mirror(const struct mirror_trial *m, const char *name,
                              int colour) {
  if (name || m->matters[1] || (!m->evidence && !colour))
    return MIRROR_NO;
  int sure = m->images >= SURE && 2 * m->right[0] > m->images;
  int alike = 20 * (m->right[0] - m->right[2]) <= m->right[0];
  return sure && alike && !m->matters[2] ? MIRROR_ANY : MIRROR_YES;
}

static int choose(imgrec_augment *a, struct imgrec_dataset *d,
                  const imgrec_preprocess *p, char *reason, size_t size) {
  struct mirror_trial m;
  int64_t classes = imgrec_dataset_classes(d);
  const char *name = mirrored_name(d);
  int status = imgrec__mirror_trial(&m, d, p);
  if (status < 0)
    return status;
  struct facts f = {.colour = p->channels == 3 && d->shape[2] != 1,
                    .large = p->height >= LARGE_SIDE && p->width >= LARGE_SIDE,
                    .per_class = classes > 0 ? d->count / classes : d->count};
  f.mirror = may_mirror(&m, name, f.colour);
  choose_moves(a, &f);
  choose_values(a, &f);
  return explain(d->context, reason, reason ? size : 0, &f, &m, name);
}

int imgrec_augment_choose(imgrec_augment *augment, imgrec_dataset *dataset,
                          const imgrec_preprocess *preprocess, char *reason,
                          size_t size) {
  imgrec_augment a;
  imgrec_preprocess p = {0};
  if (!dataset)
    return IMGREC_ERR_ARGUMENT;
  struct error *e = &dataset->context->error;
  if (!augment || !preprocess)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "imgrec_augment_choose: %s is NULL",
                        augment ? "preprocess" : "augment");
  imgrec_augment_init(&a, sizeof a);
  uint64_t fp = imgrec__fp_enter();
  int status =
      imgrec__options_read(e, &p, sizeof p, preprocess, "imgrec_preprocess");
  if (status == IMGREC_OK)
    status = imgrec__preprocess_check(e, &p);
  if (status == IMGREC_OK)
    status = choose(&a, dataset, &p, reason, size);
  imgrec__fp_leave(fp);
  if (status == IMGREC_OK)
    imgrec__options_write(augment, &a, sizeof a);
  return status;
}
