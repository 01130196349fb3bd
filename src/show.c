/* SPDX-License-Identifier: MIT */
/* Pictures in a terminal: two pixels a character as upper half blocks, or a
 * ramp of characters where colours would not arrive. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WIDTH  40 /* pixels = columns */
#define MAX_HEIGHT 40 /* pixels, two a line */

/* A small RGB picture. */
struct picture {
  const unsigned char *pixels; /* H x W x 3 */
  int height, width;
};

static int choose_how(int how) {
  if (how != SHOW_AUTO)
    return how;
  const char *term = getenv("TERM"), *colours = getenv("COLORTERM");
  if (!os_is_terminal(stdout) || term == NULL || strcmp(term, "dumb") == 0)
    return SHOW_ASCII;
  if (colours != NULL &&
      (strcmp(colours, "truecolor") == 0 || strcmp(colours, "24bit") == 0))
    return SHOW_TRUECOLOR;
  return SHOW_256;
}

/* The nearest of the 6 x 6 x 6 colours from 16 on, or of the 24 greys from
 * 232 on, of which the i-th is 8 + 10 i. */
static int nearest_256(const unsigned char *c) {
  if (c[0] == c[1] && c[1] == c[2]) {
    if (c[0] < 4)
      return 16;
    return c[0] > 246 ? 231 : 232 + (c[0] < 8 ? 0 : (c[0] - 3) / 10);
  }
  int code = 16, place = 36;
  for (int i = 0; i < 3; i++, place /= 6) /* levels 0, 95, 135 ... 255 */
    code += place * (c[i] < 48 ? 0 : c[i] < 115 ? 1 : (c[i] - 35) / 40);
  return code;
}

/* `layer`: 38 for the upper half, 48 for the lower. */
static void put_colour(const unsigned char *c, int layer, int how) {
  if (how == SHOW_TRUECOLOR)
    printf("\033[%d;2;%d;%d;%dm", layer, c[0], c[1], c[2]);
  else
    printf("\033[%d;5;%dm", layer, nearest_256(c));
}

static const unsigned char *pixel(const struct picture *p, int y, int x) {
  return p->pixels + 3 * ((size_t)y * (size_t)p->width + (size_t)x);
}

static void put_colour_row(const struct picture *p, int y, int how) {
  for (int x = 0; x < p->width; x++) {
    put_colour(pixel(p, y, x), 38, how);
    if (y + 1 < p->height)
      put_colour(pixel(p, y + 1, x), 48, how);
    fputs("\xe2\x96\x80", stdout); /* U+2580, upper half block */
  }
  fputs("\033[0m", stdout);
}

static int luma(const unsigned char *c) {
  return (299 * c[0] + 587 * c[1] + 114 * c[2]) / 1000;
}

static void put_ascii_row(const struct picture *p, int y) {
  static const char ramp[] = " .:-=+*#%@";
  int below = y + 1 < p->height ? y + 1 : y;
  for (int x = 0; x < p->width; x++) {
    int light = (luma(pixel(p, y, x)) + luma(pixel(p, below, x))) / 2;
    putchar(ramp[light * (int)(sizeof ramp - 1) / 256]);
  }
}

static void put_picture(const struct picture *p, int how,
                        const char *const *lines, int line_count) {
  int rows = (p->height + 1) / 2;
  int first = rows > line_count ? (rows - line_count) / 2 : 0;
  int total = rows > line_count ? rows : line_count;
  for (int row = 0; row < total; row++) {
    if (row >= rows)
      printf("%*s", p->width, "");
    else if (how == SHOW_ASCII)
      put_ascii_row(p, 2 * row);
    else
      put_colour_row(p, 2 * row, how);
    if (row >= first && row - first < line_count)
      printf("  %s", lines[row - first]);
    putchar('\n');
  }
}

/* Height and width within the limits, in the proportions of the image. */
static void fit(const imgrec_tensor *image, int size[2]) {
  int64_t h = imgrec_tensor_dim(image, 0), w = imgrec_tensor_dim(image, 1);
  if (h > MAX_HEIGHT || w > MAX_WIDTH) {
    if (h * MAX_WIDTH > w * MAX_HEIGHT) {
      w = w * MAX_HEIGHT / h;
      h = MAX_HEIGHT;
    } else {
      h = h * MAX_WIDTH / w;
      w = MAX_WIDTH;
    }
  }
  size[0] = h > 1 ? (int)h : 1;
  size[1] = w > 1 ? (int)w : 1;
}

int show_image(const imgrec_tensor *image, int how, const char *const *lines,
               int line_count) {
  imgrec_tensor *small = NULL, *rgb = NULL;
  int size[2];
  fit(image, size);
  int status = imgrec_image_resize(&small, image, size[0], size[1],
                                   IMGREC_RESIZE_STRETCH);
  if (status >= 0)
    status = imgrec_image_convert(&rgb, small, 3);
  if (status >= 0) {
    struct picture p = {imgrec_tensor_const_data(rgb), size[0], size[1]};
    put_picture(&p, choose_how(how), lines, line_count);
  }
  imgrec_tensor_destroy(small);
  imgrec_tensor_destroy(rgb);
  return status;
}
