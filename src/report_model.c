/* SPDX-License-Identifier: MIT */
/* What the model is made of and came from: filters, layers, data, command. */
#include "report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FILTERS_MAX = 128 };

/* ---- Filters of the first layer ----------------------------------------- */

/* The first weights with four sides; NULL where there are none of an image. */
static imgrec_tensor *first_filters(const struct report *r) {
  for (int i = 0; i < imgrec_model_parameter_count(r->model); i++) {
    imgrec_tensor *t;
    const char *name = imgrec_model_parameter_name(r->model, i);
    if (imgrec_model_get_parameter(&t, r->model, name) < 0)
      return NULL;
    int64_t channels = imgrec_tensor_dim(t, 1), side = imgrec_tensor_dim(t, 2);
    if (imgrec_tensor_ndim(t) == 4 && (channels == 1 || channels == 3) &&
        side > 1)
      return t;
    int ndim = imgrec_tensor_ndim(t);
    imgrec_tensor_destroy(t);
    if (ndim == 4)
      return NULL;
  }
  return NULL;
}

/* One filter, channels x h x w, as an image: grey is zero. */
static void draw_filter(const struct report *r, const float *w, int64_t c,
                        int64_t height, int64_t width, int64_t number) {
  int64_t shape[3] = {height, width, c}, pixels = height * width;
  imgrec_tensor *image;
  float most = 1e-12F;
  if (imgrec_tensor_create(&image, r->ctx, IMGREC_U8, 3, shape) < 0)
    return;
  unsigned char *to = imgrec_tensor_data(image);
  for (int64_t i = 0; i < c * pixels; i++)
    most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
  for (int64_t k = 0; k < c; k++)
    for (int64_t i = 0; i < pixels; i++)
      to[i * c + k] =
          (unsigned char)(127.5F + 127.0F * w[k * pixels + i] / most);
  fprintf(r->out, "<img alt=\"filter %lld\" src=\"", (long long)number + 1);
  write_data_uri(r->out, image, 0);
  fputs("\">", r->out);
  imgrec_tensor_destroy(image);
}

void report_filters(const struct report *r) {
  imgrec_tensor *t = first_filters(r);
  if (t == NULL)
    return;
  int64_t n = imgrec_tensor_dim(t, 0), c = imgrec_tensor_dim(t, 1);
  int64_t h = imgrec_tensor_dim(t, 2), w = imgrec_tensor_dim(t, 3);
  const float *data = imgrec_tensor_const_data(t);
  section_begin(r->out, "filters", "What the first layer looks for",
                "Its filters, each scaled to its own strongest weight: edges, "
                "spots and colours when training went well, noise when not.");
  fputs("<div class=\"filters\">", r->out);
  for (int64_t i = 0; i < n && i < FILTERS_MAX; i++)
    draw_filter(r, data + i * c * h * w, c, h, w, i);
  fputs("</div>\n", r->out);
  section_end(r->out);
  imgrec_tensor_destroy(t);
}

/* ---- Augmented images --------------------------------------------------- */

/* All of a file, for free(); NULL when it cannot be read. */
static unsigned char *read_bytes(const char *path, size_t *size) {
  FILE *f = os_open(path, "rb");
  unsigned char *bytes = NULL;
  long end = -1;
  if (f == NULL)
    return NULL;
  if (fseek(f, 0, SEEK_END) == 0)
    end = ftell(f);
  if (end > 0 && end < 64L << 20 && fseek(f, 0, SEEK_SET) == 0)
    bytes = malloc((size_t)end + 1);
  if (bytes != NULL && fread(bytes, 1, (size_t)end, f) != (size_t)end) {
    free(bytes);
    bytes = NULL;
  }
  fclose(f);
  if (bytes != NULL)
    bytes[end] = '\0';
  *size = end > 0 ? (size_t)end : 0;
  return bytes;
}

/* DIR/name of the run, for free(); NULL without --run. */
static char *run_file(const struct report *r, const char *name) {
  if (r->run == NULL)
    return NULL;
  size_t size = strlen(r->run) + strlen(name) + 2;
  char *path = malloc(size);
  if (path != NULL)
    snprintf(path, size, "%s/%s", r->run, name);
  return path;
}

static const char *picture_type(const unsigned char *bytes, size_t size) {
  if (size > 8 && memcmp(bytes, "\211PNG", 4) == 0)
    return "png";
  if (size > 8 && memcmp(bytes, "\377\330\377", 3) == 0)
    return "jpeg";
  return NULL;
}

void report_preview(const struct report *r) {
  size_t size = 0;
  char *path = run_file(r, "preview.png");
  const char *name = r->s->preview != NULL ? r->s->preview : path;
  unsigned char *bytes = name != NULL ? read_bytes(name, &size) : NULL;
  const char *type = bytes != NULL ? picture_type(bytes, size) : NULL;
  if (type != NULL) {
    section_begin(r->out, "preview", "What training saw",
                  "Images as augmentation changed them, each time anew.");
    fprintf(r->out,
            "<div class=\"sheet\"><img alt=\"augmented images\" "
            "src=\"data:image/%s;base64,",
            type);
    write_base64(r->out, bytes, size);
    fputs("\"></div>\n", r->out);
    section_end(r->out);
  }
  free(bytes);
  free(path);
}

/* ---- Data --------------------------------------------------------------- */

static int64_t count_class(const imgrec_dataset *data, const char *label) {
  int64_t n = 0;
  for (int64_t i = 0; i < imgrec_dataset_size(data); i++)
    n += imgrec_dataset_readable(data, i) &&
         strcmp(imgrec_dataset_label(data, imgrec_dataset_class(data, i)),
                label) == 0;
  return n;
}

static int64_t count_bad(const imgrec_dataset *data) {
  return imgrec_dataset_size(data) - count_images(data);
}

static void data_line(const struct report *r, const char *what,
                      const imgrec_dataset *data, int64_t unreadable) {
  fputs("<tr><td class=\"t\">", r->out);
  html_text(r->out, what);
  fputs("</td><td>", r->out);
  html_count(r->out, count_images(data));
  fprintf(r->out, "</td><td>%lld</td><td class=\"t w\">",
          (long long)unreadable);
  html_text(r->out, imgrec_dataset_description(data));
  fputs("</td></tr>\n", r->out);
}

/* Sides of a split have one list of skipped files: the images that were split
 * off count those that are theirs, training the rest. */
static void data_lines(const struct report *r) {
  int64_t theirs =
      r->split ? count_bad(r->data) : imgrec_dataset_skipped(r->data);
  if (r->train != NULL)
    data_line(r, "training", r->train,
              imgrec_dataset_skipped(r->train) - (r->split ? theirs : 0));
  data_line(r, r->measured, r->data, theirs);
  if (r->test != NULL)
    data_line(r, "test", r->test, imgrec_dataset_skipped(r->test));
}

static int64_t most_images(const struct report *r) {
  int64_t most = 1;
  for (int c = 0; c < r->classes; c++) {
    int64_t n = r->train
                    ? count_class(r->train, imgrec_model_label(r->model, c))
                    : r->scores[c].images;
    most = n > most ? n : most;
  }
  return most;
}

static void class_counts(const struct report *r) {
  int64_t most = most_images(r);
  fprintf(r->out,
          "<details%s><summary>Images of each class</summary><div "
          "class=\"scroll\"><table><thead><tr><th class=\"t\">class</th>",
          r->classes <= 20 ? " open" : "");
  if (r->train != NULL)
    fputs("<th>training</th>", r->out);
  fprintf(r->out, "<th>%s</th></tr></thead><tbody>\n", r->measured);
  for (int c = 0; c < r->classes; c++) {
    const char *name = imgrec_model_label(r->model, c);
    int64_t n = r->train ? count_class(r->train, name) : r->scores[c].images;
    fputs("<tr><td class=\"t w\">", r->out);
    html_text(r->out, name);
    fprintf(r->out,
            "</td><td>%lld<span class=\"bar\"><i style=\"width:%.0f%%\"></i>"
            "</span></td>",
            (long long)n, 100 * (double)n / (double)most);
    if (r->train != NULL)
      fprintf(r->out, "<td>%lld</td>", (long long)r->scores[c].images);
    fputs("</tr>\n", r->out);
  }
  fputs("</tbody></table></div></details>\n", r->out);
}

void report_counts(const struct report *r) {
  section_begin(r->out, "data", "The data", NULL);
  fputs("<div class=\"card scroll\" style=\"margin:12px 0 16px\"><table><thead>"
        "<tr><th class=\"t\">part</th><th>images</th><th>unreadable</th>"
        "<th class=\"t\">what it is</th></tr></thead><tbody>\n",
        r->out);
  data_lines(r);
  fputs("</tbody></table></div>\n", r->out);
  class_counts(r);
  section_end(r->out);
}

/* ---- Layers ------------------------------------------------------------- */

static void layer_row(const struct report *r, int i) {
  const imgrec_layer_info info = layer_info(r->model, i);
  fputs("<tr><td class=\"t\">", r->out);
  html_text(r->out, info.name);
  fputs("</td><td class=\"t\">", r->out);
  html_text(r->out, info.type);
  fprintf(r->out, "</td><td>%lld &#215; %lld &#215; %lld</td><td>",
          (long long)info.output[0], (long long)info.output[1],
          (long long)info.output[2]);
  html_count(r->out, info.parameters);
  fputs("</td><td>", r->out);
  html_count(r->out, info.multiply_adds);
  fputs("</td></tr>\n", r->out);
}

void report_network(const struct report *r) {
  int64_t work = 0, in[3];
  imgrec_model_input_shape(r->model, in);
  for (int i = 0; i < imgrec_model_layer_count(r->model); i++)
    work += layer_info(r->model, i).multiply_adds;
  section_begin(r->out, "network", "The network", NULL);
  fprintf(r->out, "<p class=\"sub\">Input %lld &#215; %lld &#215; %lld, ",
          (long long)in[0], (long long)in[1], (long long)in[2]);
  html_count(r->out, r->parameters);
  fputs(" parameters, ", r->out);
  html_count(r->out, work);
  fprintf(r->out, " multiply-adds an image, weights %s.</p>\n",
          weight_type_name(imgrec_model_weight_type(r->model)));
  fputs("<details><summary>Layers</summary><div class=\"scroll\"><table>"
        "<thead><tr><th class=\"t\">layer</th><th class=\"t\">type</th>"
        "<th>output</th><th>parameters</th><th>multiply-adds</th></tr></thead>"
        "<tbody>\n",
        r->out);
  for (int i = 0; i < imgrec_model_layer_count(r->model); i++)
    layer_row(r, i);
  fputs("</tbody></table></div></details>\n", r->out);
  section_end(r->out);
}

/* ---- The command -------------------------------------------------------- */

/* The line "# imgrec ..." of a config.txt without its "# "; NULL: none. */
static const char *command_of(const char *config) {
  const char *at = strncmp(config, "# imgrec ", 9) == 0
                       ? config
                       : strstr(config, "\n# imgrec ");
  return at != NULL ? strstr(at, "imgrec ") : NULL;
}

/* As html_text, but for lines. */
static void html_lines(FILE *f, char *text) {
  for (char *line = text, *next; *line != '\0'; line = next) {
    char *end = line + strcspn(line, "\n");
    next = *end != '\0' ? end + 1 : end;
    *end = '\0';
    html_text(f, line);
    fputc('\n', f);
  }
}

static void write_command(const struct report *r, const char *config) {
  const char *command = config != NULL ? command_of(config) : NULL;
  if (command != NULL) {
    char *line = strdup(command);
    if (line != NULL)
      line[strcspn(line, "\n")] = '\0';
    html_text(r->out, line != NULL ? line : "");
    free(line);
  } else {
    fputs("imgrec report ", r->out);
    html_text(r->out, r->model_path);
    fputc(' ', r->out);
    html_text(r->out, r->s->arguments[r->s->argument_count - 1]);
    fputs(" -o report.html", r->out);
  }
}

void report_repeat(const struct report *r) {
  size_t size = 0;
  char *path = run_file(r, "config.txt");
  char *text = path != NULL ? (char *)read_bytes(path, &size) : NULL;
  section_begin(r->out, "repeat", "To repeat this",
                "The same data, options and seed give the same model, bit for "
                "bit.");
  fputs("<pre>", r->out);
  write_command(r, text);
  fputs("</pre>\n", r->out);
  if (text != NULL) {
    fputs("<details style=\"margin-top:14px\"><summary>All that the training "
          "run was told (config.txt)</summary><pre style=\"margin-top:12px\">",
          r->out);
    html_lines(r->out, text);
    fputs("</pre></details>\n", r->out);
  }
  section_end(r->out);
  free(text);
  free(path);
}
