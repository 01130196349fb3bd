/* SPDX-License-Identifier: MIT */
/* Floor 6, images: from the bytes of a file to the input of a network.
 *
 * Everything declared here may be called on a worker thread: it takes an
 * allocator and a place for the error, and touches no context. */
#ifndef IMGREC_IMAGE_H
#define IMGREC_IMAGE_H

#include "tensor.h"

/* Rows of H x W x C bytes without gaps; `data` is freed by imgrec__free. */
struct pixels {
  unsigned char *data;
  int height, width, channels;
};

/* Of an image that was checked; they stay the tensor's. */
static inline struct pixels imgrec__pixels_of(const struct imgrec_tensor *t) {
  return (struct pixels){t->data, (int)t->shape[0], (int)t->shape[1],
                         (int)t->shape[2]};
}

/* ---- decode.c: a file's bytes to pixels --------------------------------- */

/* The largest file that is read. */
#define IMGREC__IMAGE_FILE_MAX ((uint64_t)1 << 30)

/* channels: 1 or 3, or 0 for what the file has. */
int imgrec__decode(struct pixels *out, struct allocator *a, struct error *e,
                   const void *bytes, size_t size, int channels);

/* ---- sniff.c: what a file says of itself -------------------------------- */

enum {
  PICTURE_NONE = 0,
  PICTURE_JPEG = 1,
  PICTURE_PNG = 2,
  PICTURE_BMP = 3,
  PICTURE_PNM = 4
};

/* As stored: `orientation` (1 to 8, of EXIF) is still to be applied. */
struct picture {
  int format, height, width, channels, orientation;
};

int imgrec__sniff(struct picture *out, struct error *e, const void *bytes,
                  size_t size);
/* Height, width and channels that decoding will give, from the first bytes
 * of a file (256 KiB are enough unless metadata fill them). */
#define IMGREC__PROBE_BYTES ((size_t)256 * 1024)
int imgrec__probe(struct error *e, const void *head, size_t head_size,
                  int *height, int *width, int *channels);
/* 1 to 8, from the TIFF structure of an EXIF block; 1 where it has none. */
int imgrec__exif_orientation(const unsigned char *tiff, size_t size);
/* Refuses what is empty or beyond the limits of imgrec.h. */
int imgrec__check_size(struct error *e, const char *what, int64_t height,
                       int64_t width);

/* ---- jpeg.c, png.c: the same picture with nothing in it to fear --------- */

/* Reads the file's structure, refuses what no encoder writes, and puts into
 * `clean` (size + IMGREC__CLEAN_SLACK bytes) a file of the same pixels that
 * has only the parts a decoder needs, each of them checked.  With clean ==
 * NULL it stops where the pixels begin: only *out is wanted. */
#define IMGREC__CLEAN_SLACK ((size_t)1024)
int imgrec__jpeg_clean(struct picture *out, unsigned char *clean,
                       size_t *clean_size, struct error *e,
                       const unsigned char *bytes, size_t size);
int imgrec__png_clean(struct picture *out, unsigned char *clean,
                      size_t *clean_size, struct error *e,
                      const unsigned char *bytes, size_t size);

/* ---- bmp.c, pnm.c: decoders of our own ---------------------------------- */

int imgrec__bmp_header(struct picture *out, struct error *e,
                       const unsigned char *bytes, size_t size);
/* dst: H x W x 3, of the size that the header gave. */
int imgrec__bmp_decode(unsigned char *dst, struct error *e,
                       const unsigned char *bytes, size_t size);
int imgrec__pnm_header(struct picture *out, struct error *e,
                       const unsigned char *bytes, size_t size);
/* dst: H x W x C, of the size that the header gave. */
int imgrec__pnm_decode(unsigned char *dst, struct error *e,
                       const unsigned char *bytes, size_t size);

/* ---- fingerprint.c: to find the same picture again ---------------------- */

#define IMGREC__PRINT_SIDE        16
#define IMGREC__PRINT_COLOUR_SIDE 4

struct fingerprint {
  uint64_t hash; /* signs of the 8 x 8 lowest frequencies, bit 0 being 0 */
  unsigned char luma[IMGREC__PRINT_SIDE * IMGREC__PRINT_SIDE];
  /* Half of how far red and blue lie from the luma. */
  signed char tint[2][IMGREC__PRINT_COLOUR_SIDE * IMGREC__PRINT_COLOUR_SIDE];
  /* Sums of luma over the areas of tint: enough to tell most pictures apart. */
  int16_t coarse[IMGREC__PRINT_COLOUR_SIDE * IMGREC__PRINT_COLOUR_SIDE];
  int64_t contrast; /* 256^2 times the variance of luma */
};

/* Two pictures are near when their hashes differ in at most so many bits, and
 * imgrec__fingerprint_near says so. */
#define IMGREC__NEAR_BITS 7

void imgrec__fingerprint(struct fingerprint *out, const struct pixels *p);
/* 1 where there is nothing to compare: one grey, but for noise. */
int imgrec__fingerprint_flat(const struct fingerprint *f);
/* 1 when both are of the same picture as far as one can see; then *difference
 * is the root of their mean square difference over the greater contrast. */
int imgrec__fingerprint_near(float *difference, const struct fingerprint *f,
                             const struct fingerprint *g);

/* ---- resize.c ----------------------------------------------------------- */

/* src to dst: height x width x channels, which are those of src, or 1 where it
 * has 3.  scratch: a worker's workspace. */
void imgrec__resize(unsigned char *dst, int height, int width, int channels,
                    const struct kernels *k, void *scratch,
                    const struct pixels *src, int rule);

/* ---- transform.c -------------------------------------------------------- */

/* ITU-R BT.601 in 16 fraction bits. */
static inline unsigned char imgrec__luma(const unsigned char *rgb) {
  return (unsigned char)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u +
                          32768u) >>
                         16);
}
/* `n` pixels of src_channels to dst_channels, 1 or 3 each; the pixel after
 * src is src + step * src_channels. */
void imgrec__convert(unsigned char *dst, int dst_channels,
                     const unsigned char *src, int src_channels, ptrdiff_t step,
                     size_t n);
/* A turn by `degrees`, counter-clockwise, in IMGREC__TURN_BITS fraction bits.
 */
#define IMGREC__TURN_BITS 32
struct turn {
  int64_t cosine, sine;
};
struct turn imgrec__turn(float degrees);
/* How each function that makes an image of an image begins and ends.  _begin
 * checks `image` and `out` and gives a new, uninitialised image (channels 0:
 * those of `image`), _like one of the size of `image`; _end puts it into *out,
 * or destroys it on failure. `what` names the function in an error. */
int imgrec__image_begin(imgrec_tensor **made, imgrec_tensor **out,
                        const imgrec_tensor *image, const char *what,
                        int64_t height, int64_t width, int channels);
int imgrec__image_like(imgrec_tensor **made, imgrec_tensor **out,
                       const imgrec_tensor *image, const char *what);
int imgrec__image_end(imgrec_tensor **out, imgrec_tensor *made, int status);

/* ---- adjust.c ----------------------------------------------------------- */

/* n pixels of c bytes. */
void imgrec__equalize(unsigned char *pixels, size_t n, size_t c);
/* dst: as large as src and elsewhere. */
int imgrec__blur(unsigned char *dst, const struct pixels *src, float sigma,
                 struct allocator *a, struct error *e);

/* ---- preprocess.c ------------------------------------------------------- */

int imgrec__preprocess_check(struct error *e, const imgrec_preprocess *p);
/* Channels that preprocessing has before it repeats grey: 1 where the image or
 * the input is grey.  They are resized on their own. */
int imgrec__preprocess_channels(int c, const imgrec_preprocess *p);
/* The part of it that gives bytes, dst: p->height x p->width x
 * imgrec__preprocess_channels(c, p).  To preprocess those gives the same as to
 * preprocess the image. */
void imgrec__preprocess_pixels(unsigned char *dst, const struct kernels *k,
                               void *scratch, const struct pixels *src,
                               const imgrec_preprocess *p);
/* dst: p->height x p->width x p->channels f32; scratch: a worker's workspace.
 * `p` has passed the check. */
void imgrec__preprocess(float *dst, const struct kernels *k, void *scratch,
                        const struct pixels *src, const imgrec_preprocess *p);

/* ---- warp.c: an image moved, by one resampling -------------------------- */

/* Pixel (y, x) of the new image comes from this place of the old one, in
 * 2^-IMGREC__WARP_BITS pixels, y first: at + y by_y + x by_x. */
#define IMGREC__WARP_BITS 32
struct warp {
  int64_t at[2], by_y[2], by_x[2];
};
/* dst: height x width of src's channels, bilinear, or copied where no pixel
 * is divided; fill: IMGREC_FILL_*. */
void imgrec__warp(unsigned char *dst, int height, int width,
                  const struct pixels *src, const struct warp *m, int fill);

/* ---- augment_options.c -------------------------------------------------- */

/* Reads the caller's options (NULL: none), with defaults for the zeros. */
int imgrec__augment_read(imgrec_augment *out, struct error *e,
                         const imgrec_augment *theirs);
/* Whether anything is done to single images. */
int imgrec__augment_acts(const imgrec_augment *a);

/* ---- augment_recipe.c: what happens to one image ------------------------ */

/* Image `index` (below 2^55) in epoch `epoch` (below 2^32) under `seed`. */
struct augment_key {
  uint64_t seed, epoch, index;
};

/* RandAugment's operations on values, in `tones`. */
enum {
  TONE_SHARPNESS = 0,
  TONE_POSTERIZE = 1,
  TONE_SOLARIZE = 2,
  TONE_AUTOCONTRAST = 3,
  TONE_EQUALIZE = 4
};
#define IMGREC__TONES_MAX 8
struct tone {
  int kind;
  float strength; /* in [-1, 1] */
};

struct recipe {
  int flip[2];               /* upside down, left and right */
  float crop[2], crop_most;  /* in [0, 1); as in imgrec_augment */
  double shift[2], shear[2]; /* y, x */
  double zoom;               /* above 1 makes larger */
  double area, aspect;       /* of the part that is cut out; 0: none is */
  double place[2];           /* of that part, in [0, 1) */
  double brightness, contrast, saturation;
  float rotate, hue;       /* degrees */
  float blur, noise, jpeg; /* sigmas, quality; 0: none */
  uint64_t noise_seed;
  double hole[2]; /* the middle of the cutout, in [0, 1) */
  int tone_count;
  struct tone tones[IMGREC__TONES_MAX];
};
void imgrec__augment_recipe(struct recipe *r, const imgrec_augment *a,
                            const struct augment_key *key);

/* ---- augment_view.c: where its pixels come from ------------------------- */

/* Whether pixels are moved by parts of a pixel. */
int imgrec__augment_resamples(const imgrec_augment *a);
/* The preprocessing that brings an image of h x w pixels to what
 * imgrec__augment takes; to do it again changes nothing.  With h of 0: that of
 * an image that gives as many pixels as any. */
void imgrec__augment_stage(imgrec_preprocess *stage, const imgrec_preprocess *p,
                           const imgrec_augment *a, int h, int w);
/* The warp that makes p->height x p->width of `src`, which shows all of an
 * image of original[0] x original[1] pixels. */
void imgrec__augment_view(struct warp *m, const struct recipe *r,
                          const imgrec_preprocess *p, const struct pixels *src,
                          const int original[2]);

/* ---- augment_colour.c, augment_tone.c, requantize.c: its values --------- */

void imgrec__augment_colour(struct pixels *image, const struct recipe *r);
/* scratch: as large as the image. */
int imgrec__augment_tones(struct pixels *image, const struct recipe *r,
                          struct allocator *a, struct error *e);
void imgrec__augment_noise(struct pixels *image, const struct recipe *r);
/* What JPEG of quality 1 to 100 leaves of an image. */
void imgrec__requantize(struct pixels *image, float quality);

/* ---- augment.c ---------------------------------------------------------- */

/* dst: p->height x p->width x imgrec__preprocess_channels(channels, p) bytes;
 * src: as decoded or staged; original: height and width before that; scratch: a
 * worker's workspace. */
int imgrec__augment(unsigned char *dst, const struct kernels *k, void *scratch,
                    struct allocator *alloc, struct error *e,
                    const struct pixels *src, const int original[2],
                    const imgrec_preprocess *p, const imgrec_augment *a,
                    const struct augment_key *key);

#endif
