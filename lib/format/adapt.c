/* SPDX-License-Identifier: MIT */
/* Weights of one model for another number of classes: all but those of the
 * head, the last layer that has any. */
#include "format/format.h"

#include <string.h>

/* ---- The head ------------------------------------------------------------ */

/* The convolution or dense layer that the logits come from by functions of one
 * number, pooling and the like; -1 where they come from several. */
static int head_node(const struct graph *g) {
  int i = g->logits;
  while (i > 0 && g->nodes[i].input_count == 1) {
    const struct node *n = &g->nodes[i];
    if (n->param_count > 0 && n->params[0].fill == FILL_RANDOM)
      return i;
    i = n->inputs[0];
  }
  return -1;
}

const char *imgrec_model_head(const imgrec_model *model) {
  int head = model == NULL ? -1 : head_node(&model->graph);
  return head < 0 ? NULL : model->graph.nodes[head].name;
}

/* Weights of the file to those of m; how many parameters keep what they have,
 * which can only be the head's. */
static int transfer(struct imgrec_model *m, const struct safetensors *f,
                    const char *what) {
  struct error *e = &m->context->error;
  int head = head_node(&m->graph), skipped;
  struct match match;
  int status = imgrec__match_but(&match, &m->graph, f,
                                 head < 0 ? m->graph.node_count : head, e);
  if (status < 0)
    return status;
  skipped = (int)match.skipped;
  status = imgrec__match_import(&match, m, f, what);
  imgrec__match_free(&match);
  return status < 0 ? status : skipped;
}

/* ---- The text ------------------------------------------------------------ */

/* Word `index` of a line in its canonical form, NULL behind the last. */
static const char *line_word(const char *s, int index, size_t *length) {
  for (;; index--, s += *length + 1) {
    *length = strcspn(s, " \n");
    if (index == 0)
      return s;
    if (s[*length] != ' ')
      return NULL;
  }
}

/* The number of outputs: the first word without a '=' behind the type, which
 * follows `name =` or begins the line. */
static const char *find_units(const char *line, size_t *length) {
  const char *word = line_word(line, 1, length);
  int index = word != NULL && *length == 1 && *word == '=' ? 3 : 1;
  while ((word = line_word(line, index++, length)) != NULL)
    if (memchr(word, '=', *length) == NULL)
      return word;
  return NULL;
}

/* `arch`, in its canonical form, with another number of outputs of layer
 * `line`, counted from 0. */
static int replace_units(struct text *out, const char *arch, int line,
                         int classes) {
  size_t length = 0;
  const char *s = arch;
  for (; line > 0; line--) /* each ends in a line feed */
    s = strchr(s, '\n') + 1;
  const char *units = find_units(s, &length);
  if (units == NULL)
    return 0;
  imgrec__text_bytes(out, arch, (size_t)(units - arch));
  imgrec__text_add(out, "%d", classes);
  imgrec__text_string(out, units + length);
  return 1;
}

static int fail_head(struct error *e) {
  return imgrec__fail(e, IMGREC_ERR_ARCHITECTURE,
                      "its network has no last layer with weights whose "
                      "outputs are the classes");
}

/* The text of f's network for `classes` classes. */
static int adapted_text(struct text *out, const struct safetensors *f,
                        int classes, struct error *e) {
  struct graph g;
  char *arch = NULL;
  int status = imgrec__metadata_arch(&arch, f, e);
  if (status >= 0)
    status = imgrec__graph_parse(&g, f->allocator, e, arch);
  imgrec__free(f->allocator, arch);
  if (status < 0)
    return status;
  int head = head_node(&g);
  if (g.nodes[g.output].out.c == classes)
    imgrec__text_string(out, g.text);
  else if (head < 0 ||
           !replace_units(out, g.text, g.nodes[head].layer, classes))
    status = fail_head(e);
  imgrec__graph_free(&g);
  if (status >= 0 && out->failed)
    status = imgrec__fail_memory(e, f->allocator, "the architecture text");
  return status;
}

/* ---- Models ---------------------------------------------------------------
 */

static int check_source(const struct safetensors *f, struct error *e) {
  if (!imgrec__metadata_is_model(f))
    return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                        "it has weights but no network of its own");
  int status = imgrec__metadata_check(f, e);
  for (size_t i = 0; status >= 0 && i < f->count; i++)
    if (imgrec__stored_is(&f->tensors[i], "I8"))
      status = imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                            "a model whose weights are int8 cannot be trained "
                            "on");
  return status;
}

static int adapt(struct imgrec_model **out, struct imgrec_context *ctx,
                 const struct safetensors *f, int classes,
                 const imgrec_model_options *options, const char *what) {
  struct imgrec_model *m = NULL;
  struct text text;
  imgrec__text_init(&text, &ctx->allocator);
  int status = check_source(f, &ctx->error);
  if (status >= 0)
    status = adapted_text(&text, f, classes, &ctx->error);
  if (status >= 0)
    status = imgrec__model_new(&m, ctx, text.data, options, 1);
  if (status >= 0 && imgrec_model_classes(m) != classes)
    status = fail_head(&ctx->error);
  if (status >= 0)
    status = imgrec__metadata_apply_preprocess(m, f);
  if (status >= 0)
    status = transfer(m, f, what);
  imgrec__text_free(&text);
  if (status < 0)
    imgrec_model_destroy(m);
  else
    *out = m;
  return status;
}

/* What both public functions do with a file: `out` is where a new model goes,
 * or NULL when the weights are for `model`. */
struct source {
  struct imgrec_model **out, *model;
  struct imgrec_context *context;
  int classes;
  const imgrec_model_options *options;
};

static int read_source(const struct source *s, const char *path) {
  struct imgrec_context *ctx = s->context;
  struct blob file = {NULL, 0};
  struct safetensors f;
  int status =
      imgrec__read_file(&file, ctx, &ctx->error, path, FORMAT_FILE_MAX);
  if (status < 0)
    return status;
  uint64_t fp = imgrec__fp_enter();
  status = imgrec__safetensors_parse(&f, &ctx->allocator, &ctx->error,
                                     file.bytes, file.size);
  if (status >= 0) {
    status = imgrec__metadata_check_data(&f, &ctx->error);
    if (status >= 0)
      status = s->out ? adapt(s->out, ctx, &f, s->classes, s->options, path)
                      : transfer(s->model, &f, path);
    imgrec__safetensors_free(&f);
  }
  imgrec__fp_leave(fp);
  imgrec__blob_free(&file, &ctx->allocator);
  return status < 0 ? imgrec__fail_prefix(&ctx->error, status, "%s", path)
                    : status;
}

int imgrec_model_transfer_weights(imgrec_model *model, const char *path) {
  if (model == NULL)
    return IMGREC_ERR_ARGUMENT;
  struct imgrec_context *ctx = model->context;
  if (path == NULL)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_transfer_weights: path is NULL");
  int status = imgrec__model_may_change(model, "cannot be loaded alone");
  const struct source s = {.model = model, .context = ctx};
  return status < 0 ? status : read_source(&s, path);
}

int imgrec_model_adapt(imgrec_model **out, imgrec_context *ctx,
                       const char *path, int classes,
                       const imgrec_model_options *options) {
  if (ctx == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (out == NULL || path == NULL || classes < 1)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_adapt: out or path is NULL, or classes "
                        "is not positive");
  const struct source s = {out, NULL, ctx, classes, options};
  return read_source(&s, path);
}
