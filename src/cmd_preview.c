/* SPDX-License-Identifier: MIT */
/* imgrec preview: a sheet of what a network will see of its training images. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define NAME       "preview"
#define COLUMNS    8  /* the first one without augmentation */
#define LEAST_SIDE 64 /* of a picture on the sheet */
#define GAP        4  /* pixels between pictures */

/* One sheet, and what it is made of. */
struct sheet {
  const struct settings *s;
  imgrec_context *ctx;
  imgrec_dataset *data;
  imgrec_preprocess input;
  struct augmentation augment;
  int rows, zoom; /* each pixel becomes zoom x zoom */
  imgrec_tensor *canvas;
};

static int library_failed(const struct sheet *sheet) {
  return fail(NAME, "%s", imgrec_last_error(sheet->ctx));
}

static int check_settings(const struct settings *s) {
  if (s->argument_count != 1)
    return usage_error(NAME, "give one DATA, not %d", s->argument_count);
  if (s->output == NULL)
    return usage_error(NAME, "-o FILE is missing: the PNG file to write");
  return EXIT_OK;
}

/* ---- Data, input -------------------------------------------------------- */

static int open_data(struct sheet *sheet) {
  int code =
      open_training(&sheet->data, sheet->ctx, sheet->s->arguments[0], NAME);
  if (code != EXIT_OK)
    return code;
  int64_t size = imgrec_dataset_size(sheet->data);
  sheet->rows = (int)(size < sheet->s->count ? size : sheet->s->count);
  return EXIT_OK;
}

/* H, W of what the preset that train would choose takes. */
static int preset_size(struct sheet *sheet, const int64_t shape[3]) {
  char *text;
  struct choice choice = choose_preset(shape, imgrec_dataset_size(sheet->data));
  int code = preset_text(&text, choice.preset, shape, 2, NAME);
  if (code != EXIT_OK)
    return code;
  const char *line = strstr(text, "input ");
  if (line == NULL || sscanf(line, "input %d %d", &sheet->input.height,
                             &sheet->input.width) != 2)
    code = fail(NAME, "the preset %s has no input line", choice.preset);
  free(text);
  return code;
}

/* H, W, C as train has them. */
static int set_input(struct sheet *sheet) {
  int64_t shape[3];
  imgrec_preprocess_init(&sheet->input, sizeof sheet->input);
  imgrec_dataset_shape(sheet->data, shape);
  choose_input(shape);
  sheet->input.channels = (int32_t)shape[2];
  sheet->input.resize =
      sheet->s->resize >= 0 ? sheet->s->resize : IMGREC_RESIZE_CROP;
  sheet->input.scale = 1.0f;
  if (sheet->s->height > 0) {
    shape[0] = sheet->s->height;
    shape[1] = sheet->s->width;
  }
  sheet->input.height = (int32_t)shape[0];
  sheet->input.width = (int32_t)shape[1];
  return shape[0] > 0 ? EXIT_OK : preset_size(sheet, shape);
}

/* By the images that train would train on. */
static int choose(struct sheet *sheet) {
  imgrec_dataset *val = NULL, *train = NULL, *rest = NULL;
  static const int parts[] = {IMGREC_PART_VAL};
  const struct settings *s = sheet->s;
  int status =
      open_first_part(&val, NULL, sheet->ctx, s->arguments[0], parts, 1);
  if (status == IMGREC_ERR_NOT_FOUND)
    status = imgrec_dataset_split(&train, &rest, sheet->data,
                                  (float)s->val_split, s->seed);
  if (train == NULL) /* there is a part for it, or no class has two images */
    status = 0;
  if (status >= 0)
    status = choose_augmentation(&sheet->augment, sheet->ctx,
                                 train ? train : sheet->data, &sheet->input,
                                 s->augment);
  imgrec_dataset_destroy(val);
  imgrec_dataset_destroy(train);
  imgrec_dataset_destroy(rest);
  return status < 0 ? library_failed(sheet) : EXIT_OK;
}

/* ---- Canvas ------------------------------------------------------------- */

static int make_canvas(struct sheet *sheet) {
  const imgrec_preprocess *p = &sheet->input;
  int longer = p->height > p->width ? p->height : p->width;
  sheet->zoom = longer < LEAST_SIDE ? (LEAST_SIDE + longer - 1) / longer : 1;
  const int64_t shape[3] = {
      GAP + (int64_t)sheet->rows * (sheet->zoom * p->height + GAP),
      2 * GAP + (int64_t)COLUMNS * (sheet->zoom * p->width + GAP), 3};
  if (shape[0] > IMGREC_IMAGE_MAX_SIDE || shape[1] > IMGREC_IMAGE_MAX_SIDE)
    return fail(NAME,
                "--count: %d rows of %d x %d pixels are too many for a "
                "sheet",
                sheet->rows, (int)p->height, (int)p->width);
  if (imgrec_tensor_create(&sheet->canvas, sheet->ctx, IMGREC_U8, 3, shape) < 0)
    return library_failed(sheet);
  memset(imgrec_tensor_data(sheet->canvas), 255,
         imgrec_tensor_nbytes(sheet->canvas));
  return EXIT_OK;
}

/* pixels: as the network's input has them, 0 to 255. */
static void draw(const struct sheet *sheet, int row, int column,
                 const float *pixels) {
  const imgrec_preprocess *p = &sheet->input;
  int c = p->channels, z = sheet->zoom;
  int64_t stride = 3 * imgrec_tensor_dim(sheet->canvas, 1);
  int64_t top = GAP + (int64_t)row * (z * p->height + GAP);
  int64_t left = GAP + (int64_t)column * (z * p->width + GAP);
  left += column > 0 ? GAP : 0;
  unsigned char *dst = imgrec_tensor_data(sheet->canvas);
  dst += top * stride + 3 * left;
  for (int y = 0; y < z * p->height; y++)
    for (int x = 0; x < z * p->width; x++)
      for (int k = 0; k < 3; k++)
        dst[y * stride + 3 * x + k] =
            (unsigned char)(pixels[(y / z * p->width + x / z) * c +
                                   (c == 1 ? 0 : k)] +
                            0.5f);
}

/* ---- Images ------------------------------------------------------------- */

/* The n-th of `rows`, spread over the data and so over its classes. */
static int64_t place_of(const struct sheet *sheet, int n) {
  int64_t size = imgrec_dataset_size(sheet->data);
  return (2 * n + 1) * size / (2 * sheet->rows);
}

/* What the batch of a column is made of. */
struct batch {
  imgrec_tensor **images, *x, *targets, *labels;
  int64_t *places; /* of the images in the data */
};

/* Image i as the network's input in that epoch; a status of the library. */
static int put(const struct sheet *sheet, struct batch *b, int i, int epoch,
               const imgrec_augment *a) {
  imgrec_tensor *bytes = NULL, *floats = NULL;
  int status = imgrec_image_augment(&bytes, b->images[i], &sheet->input, a,
                                    sheet->s->seed, (uint64_t)epoch,
                                    (uint64_t)b->places[i]);
  if (status >= 0)
    status = imgrec_image_preprocess(&floats, bytes, &sheet->input);
  if (status >= 0) {
    size_t n = imgrec_tensor_nbytes(floats);
    memcpy((char *)imgrec_tensor_data(b->x) + (size_t)i * n,
           imgrec_tensor_const_data(floats), n);
  }
  imgrec_tensor_destroy(bytes);
  imgrec_tensor_destroy(floats);
  return status;
}

static int draw_column(struct sheet *sheet, struct batch *b, int column) {
  const imgrec_preprocess *p = &sheet->input;
  size_t image = (size_t)p->height * (size_t)p->width * (size_t)p->channels;
  imgrec_augment a = sheet->augment.options;
  int status = column == 0 ? imgrec_augment_init(&a, sizeof a) : 0;
  for (int i = 0; i < sheet->rows && status >= 0; i++)
    status = put(sheet, b, i, column, &a);
  if (status >= 0)
    status = imgrec_augment_mix(b->x, b->targets, b->labels, &a, sheet->s->seed,
                                (uint64_t)column, 0);
  if (status < 0)
    return library_failed(sheet);
  const float *x = imgrec_tensor_const_data(b->x);
  for (int i = 0; i < sheet->rows; i++)
    draw(sheet, i, column, x + (size_t)i * image);
  return EXIT_OK;
}

/* The image at its place, or else the next one that can be read. */
static int read_image(const struct sheet *sheet, struct batch *b, int i) {
  int64_t size = imgrec_dataset_size(sheet->data), first = place_of(sheet, i);
  int status = IMGREC_ERR_FORMAT;
  for (int64_t tried = 0; tried < size && status < 0; tried++) {
    b->places[i] = (first + tried) % size;
    status = imgrec_dataset_image(&b->images[i], sheet->data, b->places[i]);
    if (status == IMGREC_ERR_MEMORY)
      break;
  }
  if (status >= 0)
    ((int32_t *)imgrec_tensor_data(b->labels))[i] =
        imgrec_dataset_class(sheet->data, b->places[i]);
  return status;
}

static int make_batch(struct sheet *sheet, struct batch *b) {
  const imgrec_preprocess *p = &sheet->input;
  int classes = imgrec_dataset_classes(sheet->data);
  const int64_t shape[4] = {sheet->rows, p->height, p->width, p->channels};
  const int64_t targets[2] = {sheet->rows, classes};
  int status = imgrec_tensor_create(&b->x, sheet->ctx, IMGREC_F32, 4, shape);
  if (status >= 0)
    status =
        imgrec_tensor_create(&b->targets, sheet->ctx, IMGREC_F32, 2, targets);
  if (status >= 0)
    status = imgrec_tensor_create(&b->labels, sheet->ctx, IMGREC_I32, 1, shape);
  for (int i = 0; i < sheet->rows && status >= 0; i++)
    status = read_image(sheet, b, i);
  return status < 0 ? library_failed(sheet) : EXIT_OK;
}

static int draw_images(struct sheet *sheet) {
  struct batch b = {NULL, NULL, NULL, NULL, NULL};
  size_t rows = (size_t)sheet->rows;
  b.images = calloc(rows, sizeof *b.images);
  b.places = calloc(rows, sizeof *b.places);
  int code = b.images && b.places ? make_batch(sheet, &b)
                                  : fail(NAME, "out of memory");
  for (int column = 0; code == EXIT_OK && column < COLUMNS; column++)
    code = draw_column(sheet, &b, column);
  for (size_t i = 0; b.images && i < rows; i++)
    imgrec_tensor_destroy(b.images[i]);
  free(b.images);
  free(b.places);
  imgrec_tensor_destroy(b.x);
  imgrec_tensor_destroy(b.targets);
  imgrec_tensor_destroy(b.labels);
  return code;
}

/* ---- The command -------------------------------------------------------- */

/* Makes and writes the sheet of what is chosen. */
static int write_sheet(struct sheet *sheet, const char *path) {
  int code = make_canvas(sheet);
  if (code == EXIT_OK)
    code = draw_images(sheet);
  return code == EXIT_OK ? write_png(path, sheet->canvas, NAME) : code;
}

int write_preview(const struct settings *s, imgrec_context *ctx,
                  imgrec_dataset *data, const imgrec_preprocess *input,
                  const struct augmentation *augment, const char *path) {
  struct sheet sheet = {.s = s,
                        .ctx = ctx,
                        .data = data,
                        .augment = *augment,
                        .rows = (int)s->count};
  if (sheet.rows > imgrec_dataset_size(data))
    sheet.rows = (int)imgrec_dataset_size(data);
  imgrec_preprocess_init(&sheet.input, sizeof sheet.input);
  sheet.input.height = input->height;
  sheet.input.width = input->width;
  sheet.input.channels = input->channels;
  sheet.input.resize = input->resize;
  sheet.input.scale = 1.0f;
  int code = write_sheet(&sheet, path);
  imgrec_tensor_destroy(sheet.canvas);
  return code;
}

static int run(struct sheet *sheet) {
  int code = check_augmentation(sheet->ctx, sheet->s->augment, NAME);
  if (code == EXIT_OK)
    code = open_data(sheet);
  if (code == EXIT_OK)
    code = set_input(sheet);
  if (code == EXIT_OK)
    code = choose(sheet);
  if (code == EXIT_OK)
    code = write_sheet(sheet, sheet->s->output);
  if (code != EXIT_OK)
    return code;
  print_augmentation(&sheet->augment);
  printf("%s: %d images of %d x %d, each as it is and in %d epochs\n",
         sheet->s->output, sheet->rows, (int)sheet->input.height,
         (int)sheet->input.width, COLUMNS - 1);
  return EXIT_OK;
}

int cmd_preview(const struct settings *s) {
  struct sheet sheet = {.s = s};
  int code = check_settings(s);
  if (code == EXIT_OK)
    code = open_context(&sheet.ctx, s, NAME);
  if (code != EXIT_OK)
    return code;
  code = run(&sheet);
  imgrec_tensor_destroy(sheet.canvas);
  imgrec_dataset_destroy(sheet.data);
  imgrec_context_destroy(sheet.ctx);
  return code;
}
