/* SPDX-License-Identifier: MIT */
/* The options of augmentation: defaults, text, limits. */
#include <stddef.h>
#include <string.h>

#include "image/image.h"

static const imgrec_augment nothing = {.struct_size = sizeof nothing,
                                       .magnitude = 5.0f,
                                       .aspect = 4.0f / 3.0f,
                                       .degrade = 0.25f};

int imgrec_augment_init(imgrec_augment *augment, size_t struct_size) {
  return imgrec__options_init(augment, struct_size, &nothing, sizeof nothing);
}

/* ---- Fields ------------------------------------------------------------- */

/* One float of the struct: 0, or within [low, high]; `usual` is what its name
 * alone means. */
struct field {
  const char *name;
  size_t offset;
  float low, high, usual;
};

#define FIELD(name, low, high, usual)                                          \
  { #name, offsetof(imgrec_augment, name), low, high, usual }
static const struct field fields[] = {
    FIELD(flip, 0.0f, 1.0f, 0.5f),      FIELD(flip_vertical, 0.0f, 1.0f, 0.5f),
    FIELD(crop, 0.0f, 4096.0f, 0.125f), FIELD(shift, 0.0f, 1.0f, 0.1f),
    FIELD(area, 0.01f, 1.0f, 0.4f),     FIELD(aspect, 1.0f, 8.0f, 4.0f / 3.0f),
    FIELD(rotate, 0.0f, 180.0f, 10.0f), FIELD(scale, 0.0f, 3.0f, 0.1f),
    FIELD(shear, 0.0f, 1.0f, 0.1f),     FIELD(brightness, 0.0f, 1.0f, 0.3f),
    FIELD(contrast, 0.0f, 1.0f, 0.3f),  FIELD(saturation, 0.0f, 1.0f, 0.3f),
    FIELD(hue, 0.0f, 180.0f, 15.0f),    FIELD(grey, 0.0f, 1.0f, 0.1f),
    FIELD(blur, 0.0f, 8.0f, 1.0f),      FIELD(noise, 0.0f, 64.0f, 10.0f),
    FIELD(jpeg, 1.0f, 100.0f, 40.0f),   FIELD(degrade, 0.0f, 1.0f, 0.25f),
    FIELD(cutout, 0.0f, 1.0f, 0.3f),    FIELD(mixup, 0.01f, 2.0f, 0.2f),
    FIELD(cutmix, 0.01f, 2.0f, 1.0f),   FIELD(magnitude, 0.01f, 10.0f, 5.0f),
};
#undef FIELD
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

static const char *const fills[] = {"reflect", "edge", "black"};

static float *place_of(imgrec_augment *a, const struct field *f) {
  return (float *)(void *)((char *)a + f->offset);
}

static float value_of(const imgrec_augment *a, const struct field *f) {
  return *(const float *)(const void *)((const char *)a + f->offset);
}

/* 0 leaves a field out, unless it only says how another one acts. */
static int may_be_zero(const struct field *f) {
  return f->low <= 0.0f || value_of(&nothing, f) == 0.0f;
}

/* low: with at most two decimals; high: whole. */
static int fail_range(struct error *e, const struct field *f) {
  int hundredths = (int)(f->low * 100.0f + 0.5f), whole = hundredths / 100;
  const char *zero = f->low > 0.0f && may_be_zero(f) ? "0 or " : "";
  if (hundredths % 100 != 0)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "augment: %s must be %s%d.%02d to %d", f->name, zero,
                        whole, hundredths % 100, (int)f->high);
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT, "augment: %s must be %s%d to %d",
                      f->name, zero, whole, (int)f->high);
}

static int fail_count(struct error *e) {
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                      "augment: randaugment must be 0 to %d",
                      IMGREC__TONES_MAX);
}

static int check(struct error *e, const imgrec_augment *a) {
  for (size_t i = 0; i < FIELD_COUNT; i++) {
    const struct field *f = &fields[i];
    float v = value_of(a, f);
    if (v != 0.0f && !(v >= f->low && v <= f->high))
      return fail_range(e, f);
  }
  if (a->randaugment < 0 || a->randaugment > IMGREC__TONES_MAX)
    return fail_count(e);
  if (a->fill < IMGREC_FILL_REFLECT || a->fill > IMGREC_FILL_BLACK)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "augment: fill is %d, not IMGREC_FILL_REFLECT, _EDGE "
                        "or _BLACK",
                        (int)a->fill);
  return IMGREC_OK;
}

int imgrec__augment_read(imgrec_augment *out, struct error *e,
                         const imgrec_augment *theirs) {
  *out = nothing;
  int status =
      imgrec__options_read(e, out, sizeof *out, theirs, "imgrec_augment");
  if (status < 0)
    return status;
  out->magnitude = out->magnitude != 0.0f ? out->magnitude : nothing.magnitude;
  out->aspect = out->aspect != 0.0f ? out->aspect : nothing.aspect;
  out->degrade = out->degrade != 0.0f ? out->degrade : nothing.degrade;
  return check(e, out);
}

int imgrec__augment_acts(const imgrec_augment *a) {
  imgrec_augment mixes = nothing;
  mixes.fill = a->fill;
  mixes.magnitude = a->magnitude;
  mixes.aspect = a->aspect;
  mixes.degrade = a->degrade;
  mixes.mixup = a->mixup;
  mixes.cutmix = a->cutmix;
  return memcmp(&mixes, a, sizeof mixes) != 0;
}

/* ---- From text ---------------------------------------------------------- */

static const imgrec_augment light = {.struct_size = sizeof light,
                                     .magnitude = 5.0f,
                                     .flip = 0.5f,
                                     .crop = 0.125f,
                                     .aspect = 4.0f / 3.0f,
                                     .brightness = 0.2f,
                                     .contrast = 0.2f,
                                     .saturation = 0.2f,
                                     .degrade = 0.25f};
static const imgrec_augment strong = {.struct_size = sizeof strong,
                                      .magnitude = 5.0f,
                                      .flip = 0.5f,
                                      .area = 0.35f,
                                      .aspect = 4.0f / 3.0f,
                                      .rotate = 10.0f,
                                      .brightness = 0.4f,
                                      .contrast = 0.4f,
                                      .saturation = 0.4f,
                                      .hue = 15.0f,
                                      .grey = 0.1f,
                                      .blur = 1.0f,
                                      .noise = 8.0f,
                                      .jpeg = 40.0f,
                                      .degrade = 0.1f,
                                      .cutout = 0.3f,
                                      .mixup = 0.2f,
                                      .cutmix = 1.0f};

/* A piece of the text, s[0..n). */
struct word {
  const char *s;
  size_t n;
};

static int is_word(const struct word *w, const char *s) {
  return strlen(s) == w->n && memcmp(w->s, s, w->n) == 0;
}

static int take_preset(imgrec_augment *a, const struct word *w) {
  if (is_word(w, "none"))
    *a = nothing;
  else if (is_word(w, "light"))
    *a = light;
  else if (is_word(w, "strong"))
    *a = strong;
  else
    return 0;
  return 1;
}

static int fail_word(struct error *e, const struct word *name) {
  int n = name->n < 40 ? (int)name->n : 40;
  return imgrec__fail(
      e, IMGREC_ERR_ARGUMENT,
      "augment: there is no '%.*s'; there are none, light, strong, fill, flip, "
      "flip_vertical, crop, shift, area, aspect, rotate, scale, shear, "
      "brightness, contrast, saturation, hue, grey, blur, noise, jpeg, "
      "degrade, "
      "cutout, mixup, cutmix, randaugment and magnitude",
      n, name->s);
}

static int fail_value(struct error *e, const struct word *name,
                      const struct word *value, const char *right) {
  int n = value->n < 40 ? (int)value->n : 40;
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                      "augment: '%.*s' is no value of %.*s; %s", n,
                      value->n ? value->s : "", (int)name->n, name->s, right);
}

static int take_fill(imgrec_augment *a, struct error *e,
                     const struct word *name, const struct word *value) {
  for (int32_t i = 0; i < 3; i++)
    if (is_word(value, fills[i])) {
      a->fill = i;
      return IMGREC_OK;
    }
  return fail_value(e, name, value, "it is reflect, edge or black");
}

static int take_count(imgrec_augment *a, struct error *e,
                      const struct word *name, const struct word *value) {
  int64_t n = 2;
  if (value->s && !imgrec__parse_int(value->s, value->n, &n))
    return fail_value(e, name, value, "it is a whole number");
  if (n < 0 || n > IMGREC__TONES_MAX)
    return fail_count(e);
  a->randaugment = (int32_t)n;
  return IMGREC_OK;
}

static int take_float(imgrec_augment *a, struct error *e,
                      const struct word *name, const struct word *value) {
  for (size_t i = 0; i < FIELD_COUNT; i++) {
    const struct field *f = &fields[i];
    float v = f->usual;
    if (!is_word(name, f->name))
      continue;
    if (value->s && !imgrec__parse_float(value->s, value->n, &v))
      return fail_value(e, name, value, "it is a number");
    if (v == 0.0f && !may_be_zero(f))
      return fail_range(e, f);
    *place_of(a, f) = v;
    return IMGREC_OK;
  }
  return fail_word(e, name);
}

/* "name" or "name=value"; a value that is missing is {NULL, 0}. */
static int take_item(imgrec_augment *a, struct error *e,
                     const struct word *item) {
  const char *equals = memchr(item->s, '=', item->n);
  struct word name = *item, value = {NULL, 0};
  if (equals) {
    name.n = (size_t)(equals - item->s);
    value = (struct word){equals + 1, item->n - name.n - 1};
  }
  if (is_word(&name, "fill"))
    return take_fill(a, e, &name, &value);
  if (is_word(&name, "randaugment"))
    return take_count(a, e, &name, &value);
  return take_float(a, e, &name, &value);
}

/* In the struct a chance of 0 stands for the usual one. */
static void drop_degraded(imgrec_augment *a) {
  if (a->degrade == 0.0f)
    a->blur = a->noise = a->jpeg = 0.0f;
}

static int parse(imgrec_augment *a, struct error *e, const char *text) {
  const char *s = text;
  for (;; s++) {
    struct word item = {s, strcspn(s, ",")};
    int status =
        s == text && take_preset(a, &item) ? 0 : take_item(a, e, &item);
    if (status < 0)
      return status;
    s += item.n;
    if (*s == '\0')
      break;
  }
  drop_degraded(a);
  return IMGREC_OK;
}

int imgrec_augment_parse(imgrec_augment *augment, imgrec_context *ctx,
                         const char *text) {
  imgrec_augment said = nothing, a;
  if (!ctx)
    return IMGREC_ERR_ARGUMENT;
  if (!augment || !text)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_augment_parse: %s is NULL",
                        augment ? "text" : "augment");
  uint64_t fp = imgrec__fp_enter();
  int status = parse(&said, &ctx->error, text);
  if (status == IMGREC_OK)
    status = imgrec__augment_read(&a, &ctx->error, &said);
  imgrec__fp_leave(fp);
  if (status == IMGREC_OK)
    imgrec__options_write(augment, &a, sizeof a);
  return status;
}

/* ---- To text ------------------------------------------------------------ */

static void add_name(struct text *t, const char *name) {
  imgrec__text_add(t, "%s%s=", t->length > 0 ? "," : "", name);
}

static void print(struct text *t, const imgrec_augment *a) {
  for (size_t i = 0; i < FIELD_COUNT; i++) {
    float v = value_of(a, &fields[i]);
    if (v == value_of(&nothing, &fields[i]))
      continue;
    add_name(t, fields[i].name);
    if (v == (float)(int)v)
      imgrec__text_add(t, "%d", (int)v);
    else
      imgrec__text_float(t, v);
  }
  if (a->randaugment != 0) {
    add_name(t, "randaugment");
    imgrec__text_add(t, "%d", (int)a->randaugment);
  }
  if (a->fill != nothing.fill) {
    add_name(t, "fill");
    imgrec__text_string(t, fills[a->fill]);
  }
  if (t->length == 0)
    imgrec__text_string(t, "none");
}

int imgrec_augment_print(const imgrec_augment *augment, imgrec_context *ctx,
                         char *text, size_t size) {
  imgrec_augment a;
  struct text t;
  if (!ctx)
    return IMGREC_ERR_ARGUMENT;
  if (!augment || (!text && size > 0))
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_augment_print: %s is NULL",
                        augment ? "text" : "augment");
  imgrec__text_init(&t, &ctx->allocator);
  uint64_t fp = imgrec__fp_enter();
  int status = imgrec__augment_read(&a, &ctx->error, augment);
  if (status == IMGREC_OK)
    print(&t, &a);
  imgrec__fp_leave(fp);
  if (status < 0)
    return status;
  if (t.failed)
    status = imgrec__fail_memory(&ctx->error, &ctx->allocator, "a text");
  else
    status = (int)t.length;
  if (status >= 0 && size > 0) {
    size_t n = min_size(t.length, size - 1);
    memcpy(text, t.data, n);
    text[n] = '\0';
  }
  imgrec__text_free(&t);
  return status;
}
