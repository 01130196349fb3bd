/* SPDX-License-Identifier: MIT */
/* The architecture text becomes a graph: one layer a line,
 * `[name =] type [numbers] [key=value ...] [# comment]`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "layer_spec.h"

enum { MAX_NODES = 10000, MAX_TOKENS = 24, MAX_LINE = 1000 };

/* A piece of the line, not terminated. */
struct token {
  const char *s;
  size_t n;
};

#define TOKEN_WIDTH(t) ((int)min_size((t).n, 40)), (t).s

struct parser {
  struct graph *graph;
  struct error *error;
  struct text canonical;
  struct token tokens[MAX_TOKENS];
  int token_count, line;
  uint64_t weights; /* of all nodes so far */
  struct name_count {
    const char *prefix;
    int count;
  } counts[32];
};

static int token_is(const struct token *t, const char *s) {
  return strlen(s) == t->n && memcmp(t->s, s, t->n) == 0;
}

static int is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static int is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int is_name_char(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-';
}

static int is_name(const struct token *t) {
  if (t->n == 0 || t->n >= OP_NAME_MAX - 1 || !is_letter(t->s[0]))
    return 0;
  for (size_t i = 0; i < t->n; i++)
    if (!is_name_char(t->s[i]))
      return 0;
  return 1;
}

/* ---- Tokens -------------------------------------------------------------- */

/* Splits s[0..n) at spaces; a lone `=` is a token of its own. */
static int split_line(struct parser *p, const char *s, size_t n) {
  size_t i = 0;
  p->token_count = 0;
  while (i < n) {
    if (is_space(s[i])) {
      i++;
      continue;
    }
    size_t begin = i;
    while (i < n && !is_space(s[i]))
      i++;
    if (p->token_count == MAX_TOKENS)
      return imgrec__fail(p->error, IMGREC_ERR_ARCHITECTURE,
                          "more than %d words in one line", MAX_TOKENS);
    p->tokens[p->token_count++] = (struct token){s + begin, i - begin};
  }
  return IMGREC_OK;
}

static void print_line(struct parser *p) {
  for (int i = 0; i < p->token_count; i++) {
    if (i > 0)
      imgrec__text_string(&p->canonical, " ");
    imgrec__text_bytes(&p->canonical, p->tokens[i].s, p->tokens[i].n);
  }
  imgrec__text_string(&p->canonical, "\n");
}

/* ---- Graph --------------------------------------------------------------- */

static int grow(struct allocator *a, void **array, int count, int *capacity,
                size_t size) {
  if (count < *capacity)
    return 1;
  int wanted = *capacity ? 2 * *capacity : 16;
  void *bigger = imgrec__realloc(a, *array, (size_t)wanted * size);
  if (!bigger)
    return 0;
  *array = bigger;
  *capacity = wanted;
  return 1;
}

static int add_node(struct parser *p, struct node **out) {
  struct graph *g = p->graph;
  void *nodes = g->nodes;
  if (g->node_count == MAX_NODES)
    return imgrec__fail(p->error, IMGREC_ERR_LIMIT,
                        "more than %d layers in one network", MAX_NODES);
  if (!grow(g->allocator, &nodes, g->node_count, &g->node_capacity,
            sizeof *g->nodes))
    return imgrec__fail_memory(p->error, g->allocator, "the network's layers");
  g->nodes = nodes;
  *out = &g->nodes[g->node_count++];
  memset(*out, 0, sizeof **out);
  (*out)->layer = g->layer_count;
  return IMGREC_OK;
}

static int add_layer(struct parser *p, int first) {
  struct graph *g = p->graph;
  void *layers = g->layers;
  if (!grow(g->allocator, &layers, g->layer_count, &g->layer_capacity,
            sizeof *g->layers))
    return imgrec__fail_memory(p->error, g->allocator, "the network's layers");
  g->layers = layers;
  g->layers[g->layer_count++] = (struct layer){first, g->node_count - first};
  return IMGREC_OK;
}

static const struct node *layer_named(const struct graph *g,
                                      const struct token *name) {
  for (int i = 0; i < g->layer_count; i++)
    if (token_is(name, g->nodes[g->layers[i].first].name))
      return &g->nodes[g->layers[i].first];
  return NULL;
}

/* Last node of the layer that begins with `first`. */
static int layer_result(const struct graph *g, const struct node *first) {
  const struct layer *l = &g->layers[first->layer];
  return l->first + l->count - 1;
}

/* "conv3" for the third layer of that kind, named or not. */
static void default_name(struct parser *p, struct node *n) {
  struct name_count *c = p->counts;
  while (c->prefix && strcmp(c->prefix, n->op->prefix) != 0)
    c++;
  c->prefix = n->op->prefix;
  c->count++;
  if (n->name[0] != '\0')
    return;
  if (n->op == &imgrec__op_input)
    snprintf(n->name, sizeof n->name, "input");
  else
    snprintf(n->name, sizeof n->name, "%s%d", c->prefix, c->count);
}

static int name_node(struct parser *p, struct node *n,
                     const struct token *name) {
  if (name)
    snprintf(n->name, sizeof n->name, "%.*s", (int)name->n, name->s);
  default_name(p, n);
  const struct token made = {n->name, strlen(n->name)};
  const struct node *other = layer_named(p->graph, &made);
  if (other)
    return imgrec__fail(p->error, IMGREC_ERR_ARCHITECTURE,
                        "two layers are called '%s'; give one another name",
                        n->name);
  return IMGREC_OK;
}

/* `from=a,b`: earlier layers; without it the line before. */
static int connect(struct parser *p, struct node *n, const struct token *from) {
  const struct graph *g = p->graph;
  if (!from) {
    n->input_count = n->op == &imgrec__op_input ? 0 : 1;
    n->inputs[0] = g->node_count - 2;
    return IMGREC_OK;
  }
  const char *s = from->s, *end = from->s + from->n;
  for (;; s++) {
    const char *comma = memchr(s, ',', (size_t)(end - s));
    const struct token name = {s, (size_t)((comma ? comma : end) - s)};
    const struct node *source = layer_named(g, &name);
    if (!source)
      return imgrec__fail_node(
          p->error, n, "from=%.*s: there is no layer of that name before it",
          TOKEN_WIDTH(name));
    if (n->input_count == NODE_MAX_INPUTS)
      return imgrec__fail_node(p->error, n, "has more than %d inputs",
                               NODE_MAX_INPUTS);
    n->inputs[n->input_count++] = layer_result(g, source);
    if (!comma)
      return IMGREC_OK;
    s = comma;
  }
}

static int check_input_count(struct parser *p, const struct node *n) {
  if (n->input_count >= n->op->min_inputs &&
      n->input_count <= n->op->max_inputs)
    return IMGREC_OK;
  if (n->op->min_inputs == n->op->max_inputs)
    return imgrec__fail_node(p->error, n, "needs %d input%s, but has %d",
                             n->op->min_inputs,
                             n->op->min_inputs == 1 ? "" : "s", n->input_count);
  return imgrec__fail_node(
      p->error, n, "needs %d to %d inputs, but has %d; name them in from=a,b",
      n->op->min_inputs, n->op->max_inputs, n->input_count);
}

#define MAX_VALUE   ((int64_t)1 << 31)
#define MAX_WEIGHTS ((int64_t)1 << 40)

/* One more than MAX_WEIGHTS where there are more. */
static int64_t weights_of(const struct param *w) {
  int64_t total = 1;
  for (int i = 0; i < w->ndim; i++)
    if (__builtin_mul_overflow(total, w->dim[i], &total) || total > MAX_WEIGHTS)
      return MAX_WEIGHTS + 1;
  return total;
}

/* Sizes stay far from overflow: 2^31 - 1 numbers a value, so that an int counts
 * the classes, 2^40 a parameter, and of all parameters so few that a size_t
 * counts the bytes of several copies, transformed ones too. */
static int check_sizes(struct parser *p, const struct node *n) {
  int64_t count;
  if (__builtin_mul_overflow(n->out.h * n->out.w, n->out.c, &count) ||
      count >= MAX_VALUE)
    return imgrec__fail_node(p->error, n,
                             "its output has 2^31 numbers or more");
  for (int i = 0; i < n->param_count; i++) {
    int64_t weights = weights_of(&n->params[i]);
    if (weights > MAX_WEIGHTS)
      return imgrec__fail_node(p->error, n, "it has more than 2^40 weights");
    p->weights += (uint64_t)weights;
  }
  if (p->weights > SIZE_MAX / 64)
    return imgrec__fail_node(p->error, n,
                             "with it the network has more weights than this "
                             "machine can address");
  return IMGREC_OK;
}

/* Behind `flatten order=chw` the files' order of values is another than ours:
 * functions of one number keep it, dense weights are permuted by it, and
 * nothing else may follow. */
static int follow_chw(struct parser *p, struct node *n) {
  const struct node *from = &p->graph->nodes[n->inputs[0]];
  int keeps = n->input_count == 1 && n->param_count == 0 &&
              (n->op->flags(n) & OP_IN_PLACE) && n->op != &imgrec__op_softmax;
  if (n->flatten_chw && shape_pixels(&n->in[0]) > 1)
    n->chw = n->in[0];
  for (int i = 0; i < n->input_count; i++)
    if (p->graph->nodes[n->inputs[i]].chw.h > 0 && !keeps &&
        n->op != &imgrec__op_dense)
      return imgrec__fail_node(p->error, n,
                               "cannot follow flatten order=chw; only dense, "
                               "activations and dropout can");
  if (from->chw.h == 0)
    return IMGREC_OK;
  if (keeps) {
    n->chw = from->chw;
  } else {
    n->params[0].layout = LAYOUT_DENSE_CHW;
    n->params[0].source = from->chw;
  }
  return IMGREC_OK;
}

/* Shapes of the inputs are known: finds the output and the parameters. */
static int set_up(struct parser *p, struct node *n) {
  for (int i = 0; i < n->input_count; i++) {
    n->in[i] = p->graph->nodes[n->inputs[i]].out;
    p->graph->nodes[n->inputs[i]].used = 1;
  }
  int status = n->op->setup(n, p->error);
  if (status < 0 || (status = check_sizes(p, n)) < 0)
    return status;
  return n->input_count > 0 ? follow_chw(p, n) : IMGREC_OK;
}

static int add_activation(struct parser *p, int activation) {
  struct node *n;
  int status = add_node(p, &n);
  if (status < 0)
    return status;
  struct node *before = n - 1;
  n->op = &imgrec__op_activation[activation];
  memcpy(n->name, before->name, sizeof n->name);
  n->activation = activation;
  n->alpha = before->alpha;
  n->input_count = 1;
  n->inputs[0] = p->graph->node_count - 2;
  return set_up(p, n);
}

/* ---- One line ------------------------------------------------------------ */

struct line {
  struct token *name, *words; /* name may be NULL; words follow the type */
  int word_count;
  const struct layer_spec *spec;
};

static int read_type(struct parser *p, struct line *l) {
  struct token *t = p->tokens;
  int named = p->token_count >= 3 && token_is(&t[1], "=");
  struct token *type = named ? &t[2] : &t[0];
  l->name = named ? &t[0] : NULL;
  l->words = type + 1;
  l->word_count = p->token_count - (int)(l->words - t);
  if (named && !is_name(l->name))
    return imgrec__fail(p->error, IMGREC_ERR_ARCHITECTURE,
                        "'%.*s' is not a name; names begin with a letter and "
                        "have letters, digits, '_', '.' and '-', at most %d",
                        TOKEN_WIDTH(*l->name), OP_NAME_MAX - 2);
  l->spec = imgrec__layer_spec(type->s, type->n);
  if (!l->spec)
    return imgrec__fail(p->error, IMGREC_ERR_ARCHITECTURE,
                        "there is no layer type '%.*s'", TOKEN_WIDTH(*type));
  return IMGREC_OK;
}

static int read_words(struct parser *p, const struct line *l, struct node *n,
                      struct layer_words *words) {
  imgrec__layer_defaults(l->spec, n, words);
  for (int i = 0; i < l->word_count; i++) {
    const struct token *t = &l->words[i];
    int status = imgrec__layer_word(l->spec, n, words, t->s, t->n, p->error);
    if (status < 0)
      return status;
  }
  return imgrec__layer_complete(l->spec, n, words, p->error);
}

static int parse_layer(struct parser *p) {
  struct line l = {0};
  struct layer_words words;
  struct node *n;
  int first = p->graph->node_count, status = read_type(p, &l);
  if (status < 0 || (status = add_node(p, &n)) < 0)
    return status;
  n->op = l.spec->op;
  n->activation = l.spec->activation;
  if ((first == 0) != (n->op == &imgrec__op_input))
    return imgrec__fail(p->error, IMGREC_ERR_ARCHITECTURE,
                        first == 0 ? "the first layer must be 'input H W C'"
                                   : "there can be only one input");
  if ((status = name_node(p, n, l.name)) < 0 ||
      (status = read_words(p, &l, n, &words)) < 0)
    return status;
  const struct token from = {words.from, words.from_length};
  if ((status = connect(p, n, words.from ? &from : NULL)) < 0 ||
      (status = check_input_count(p, n)) < 0 || (status = set_up(p, n)) < 0)
    return status;
  if (words.activation >= 0 &&
      (status = add_activation(p, words.activation)) < 0)
    return status;
  return add_layer(p, first);
}

static int parse_line(struct parser *p, const char *s, size_t n) {
  const char *comment = memchr(s, '#', n);
  if (comment)
    n = (size_t)(comment - s);
  if (n > MAX_LINE)
    return imgrec__fail(p->error, IMGREC_ERR_ARCHITECTURE,
                        "is longer than %d characters", MAX_LINE);
  int status = split_line(p, s, n);
  if (status < 0 || p->token_count == 0)
    return status;
  status = parse_layer(p);
  print_line(p);
  return status;
}

/* ---- The whole text ------------------------------------------------------ */

/* Every layer but the last must feed another. */
static int check_used(struct parser *p) {
  const struct graph *g = p->graph;
  for (int i = 0; i < g->layer_count - 1; i++) {
    int result = g->layers[i].first + g->layers[i].count - 1;
    if (!g->nodes[result].used)
      return imgrec__fail_node(p->error, &g->nodes[g->layers[i].first],
                               "no later layer uses its output");
  }
  return IMGREC_OK;
}

static int finish(struct parser *p) {
  struct graph *g = p->graph;
  char text[64];
  if (g->layer_count < 2)
    return imgrec__fail(p->error, IMGREC_ERR_ARCHITECTURE,
                        "a network needs 'input H W C' and at least one layer");
  int status = check_used(p);
  if (status < 0)
    return status;
  g->output = g->node_count - 1;
  const struct node *last = &g->nodes[g->output];
  if (!last->out.flat)
    return imgrec__fail_node(p->error, last,
                             "the last layer's output is %s; it must be flat, "
                             "one number a class",
                             imgrec__shape_text(&last->out, text));
  if (last->chw.h > 0)
    return imgrec__fail_node(p->error, last,
                             "the last layer cannot be flatten order=chw");
  g->logits = last->op == &imgrec__op_softmax ? last->inputs[0] : g->output;
  if (g->logits == 0)
    return imgrec__fail_node(p->error, last, "there is nothing before it");
  return IMGREC_OK;
}

static int parse_lines(struct parser *p, const char *text) {
  for (const char *s = text; *s; p->line++) {
    const char *end = strchr(s, '\n');
    size_t n = end ? (size_t)(end - s) : strlen(s);
    int status = parse_line(p, s, n);
    if (status < 0)
      return imgrec__fail_prefix(p->error, status, "line %d", p->line);
    s += n + (end ? 1 : 0);
  }
  return finish(p);
}

int imgrec__graph_parse(struct graph *out, struct allocator *a, struct error *e,
                        const char *text) {
  struct graph g = {.allocator = a};
  struct parser p = {.graph = &g, .error = e, .line = 1};
  imgrec__text_init(&p.canonical, a);
  int status = imgrec__utf8_valid(text, strlen(text))
                   ? parse_lines(&p, text)
                   : imgrec__fail(e, IMGREC_ERR_ARCHITECTURE,
                                  "the architecture text is not UTF-8");
  if (status >= 0 && p.canonical.failed)
    status = imgrec__fail_memory(e, a, "the architecture text");
  if (status < 0) {
    imgrec__text_free(&p.canonical);
    imgrec__graph_free(&g);
    return status;
  }
  g.text = p.canonical.data;
  *out = g;
  return IMGREC_OK;
}

void imgrec__graph_free(struct graph *g) {
  imgrec__free(g->allocator, g->nodes);
  imgrec__free(g->allocator, g->layers);
  imgrec__free(g->allocator, g->text);
  memset(g, 0, sizeof *g);
}

size_t imgrec__graph_parameters(const struct graph *g) {
  size_t total = 0;
  for (int i = 0; i < g->node_count; i++)
    for (int j = 0; j < g->nodes[i].param_count; j++)
      total += g->nodes[i].params[j].count;
  return total;
}
