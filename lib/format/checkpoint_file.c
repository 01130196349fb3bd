/* SPDX-License-Identifier: MIT */
/* Reader of checkpoints: model files with tensors beside the weights and, in
 * imgrec.train, where training stood. */
#include "format/format.h"

#include <stdio.h>
#include <string.h>

/* ---- attachments -------------------------------------------------------- */

float *imgrec__attached_values(const struct attachment *a,
                               const struct imgrec_model *m,
                               const struct param *p, struct cursor at) {
  if (a->places == NULL)
    return a->values + imgrec__param_offset(m, p);
  int64_t place = a->places[at.node].at[at.index - 1];
  return place == PLAN_NONE ? NULL : a->values + place;
}

void imgrec__attached_name(char name[ATTACHED_NAME], const struct attachment *a,
                           const struct param *p) {
  snprintf(name, ATTACHED_NAME, "%s%s", a->prefix, p->name);
}

/* ---- opening ------------------------------------------------------------ */

static int parse(struct checkpoint_file *file, struct error *e) {
  struct allocator *a = &file->context->allocator;
  int status = imgrec__safetensors_parse(&file->file, a, e, file->bytes.bytes,
                                         file->bytes.size);
  if (status >= 0)
    status = imgrec__metadata_check(&file->file, e);
  if (status >= 0)
    status = imgrec__metadata_train(&file->text, &file->file, e);
  if (status >= 0)
    status =
        imgrec__json_parse(&file->train, a, e, file->text, strlen(file->text));
  return status;
}

int imgrec__checkpoint_open(struct checkpoint_file *out,
                            struct imgrec_context *ctx, const char *path) {
  struct checkpoint_file file = {.context = ctx};
  struct error *e = &ctx->error;
  file.file.allocator = file.file.header.allocator = &ctx->allocator;
  file.train.allocator = &ctx->allocator;
  int status = imgrec__read_file(&file.bytes, ctx, e, path, FORMAT_FILE_MAX);
  if (status < 0)
    return status;
  status = parse(&file, e);
  if (status < 0) {
    imgrec__checkpoint_close(&file);
    return imgrec__fail_prefix(e, status, "%s", path);
  }
  *out = file;
  return IMGREC_OK;
}

void imgrec__checkpoint_close(struct checkpoint_file *file) {
  if (file->context == NULL)
    return;
  struct allocator *a = &file->context->allocator;
  imgrec__json_free(&file->train);
  imgrec__free(a, file->text);
  imgrec__safetensors_free(&file->file);
  imgrec__blob_free(&file->bytes, a);
  *file = (struct checkpoint_file){.context = NULL};
}

/* ---- what is in it ------------------------------------------------------ */

/* Numbers that can be taken as they are; they always can be where we wrote
 * them. */
static int is_plain(const struct safetensors *f, const struct stored *t,
                    const struct param *p) {
  return imgrec__stored_is(t, "F32") && t->ndim == p->ndim &&
         memcmp(t->dim, p->dim, (size_t)p->ndim * sizeof p->dim[0]) == 0 &&
         (uintptr_t)(f->data + t->begin) % sizeof(float) == 0;
}

static int check_tensor(const struct checkpoint_file *file,
                        const struct param *p, const char *name) {
  const struct stored *t = imgrec__safetensors_find(&file->file, name);
  struct error *e = &file->context->error;
  char shown[96];
  if (t == NULL)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "the checkpoint has no tensor '%s': it is of another "
                        "network or another kind of training",
                        imgrec__printable(name, shown));
  if (!is_plain(&file->file, t, p))
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "tensor '%s' of the checkpoint has another type or "
                        "shape than here",
                        imgrec__printable(name, shown));
  return IMGREC_OK;
}

/* Not by its layers alone: an activation has no weights. */
static int check_network(const struct checkpoint_file *file,
                         const struct imgrec_model *m) {
  struct error *e = &file->context->error;
  char *arch = NULL;
  int status = imgrec__metadata_arch(&arch, &file->file, e);
  if (status >= 0 && strcmp(arch, m->graph.text) != 0)
    status = imgrec__fail(e, IMGREC_ERR_SHAPE,
                          "the checkpoint is of another network");
  imgrec__free(&file->context->allocator, arch);
  return status;
}

int imgrec__checkpoint_check(const struct checkpoint_file *file,
                             const struct imgrec_model *m,
                             const struct checkpoint *c) {
  const struct param *p;
  struct cursor at = {0, 0};
  char name[ATTACHED_NAME];
  int status = check_network(file, m);
  while (status >= 0 && (p = imgrec__next_param(&m->graph, &at)) != NULL) {
    status = check_tensor(file, p, p->name);
    for (size_t i = 0; status >= 0 && i < c->count; i++) {
      imgrec__attached_name(name, &c->attached[i], p);
      if (imgrec__attached_values(&c->attached[i], m, p, at) != NULL)
        status = check_tensor(file, p, name);
    }
  }
  return status;
}

static void import(const struct checkpoint_file *file, const struct param *p,
                   const char *name, float *to) {
  const struct stored *t = imgrec__safetensors_find(&file->file, name);
  imgrec__param_import(
      file->context, p,
      (const float *)(const void *)(file->file.data + t->begin), to);
  imgrec__file_order(to, p->count, sizeof *to);
}

void imgrec__checkpoint_import(const struct checkpoint_file *file,
                               struct imgrec_model *m,
                               const struct checkpoint *c) {
  const struct param *p;
  struct cursor at = {0, 0};
  char name[ATTACHED_NAME];
  while ((p = imgrec__next_param(&m->graph, &at)) != NULL) {
    import(file, p, p->name, p->data);
    for (size_t i = 0; i < c->count; i++) {
      float *to = imgrec__attached_values(&c->attached[i], m, p, at);
      imgrec__attached_name(name, &c->attached[i], p);
      if (to != NULL)
        import(file, p, name, to);
    }
  }
  m->weight_type = IMGREC_WEIGHTS_F32;
  imgrec__model_changed(m);
}
