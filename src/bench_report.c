/* SPDX-License-Identifier: MIT */
/* What the times of a bench come to: for people and as JSON. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME "bench"

enum { FORWARD, BACKWARD, DIRECTIONS };

/* A layer at work in one direction. */
struct effort {
  double seconds; /* median; NaN where it was not told of */
  double flops, bytes;
};

/* All medians; loss, update and the columns of layers only with --layers. */
struct report {
  const struct bench *bench;
  double median, p95, least;
  double flops;              /* of a whole run */
  double loss, update, rest; /* rest: what no layer was told of */
  struct effort *efforts;    /* layers x DIRECTIONS; NULL without --layers */
};

/* ---- Figures ------------------------------------------------------------ */

static int column(const struct bench *b, int layer, int direction) {
  return column_of(b, layer,
                   direction == FORWARD ? IMGREC_PHASE_FORWARD_BEGIN
                                        : IMGREC_PHASE_BACKWARD_BEGIN);
}

static int was_called(const struct bench *b, int layer, int direction) {
  return b->times.calls[column(b, layer, direction)] > 0;
}

/* The softmax at the end of a network that is trained is computed with the
 * loss. */
static int is_in_loss(const struct bench *b, int layer) {
  return b->trainer != NULL && layer == b->layers - 1 &&
         strcmp(layer_info(b->model, layer).type, "softmax") == 0;
}

/* The last of the layers that were computed together with this one: those
 * behind it that the hook was not told of. */
static int chain_end(const struct bench *b, int layer, int direction) {
  while (layer + 1 < b->layers && !was_called(b, layer + 1, direction) &&
         !is_in_loss(b, layer + 1))
    layer++;
  return layer;
}

/* The layer that did the work of this one too, -1 where none did. */
static int chain_head(const struct bench *b, int layer) {
  if (is_in_loss(b, layer))
    return -1;
  while (layer >= 0 && !was_called(b, layer, FORWARD))
    layer--;
  return layer;
}

/* The first layer with parameters needs no gradient of its input. */
static int first_learner(const struct bench *b) {
  int layer = 0;
  while (layer < b->layers && layer_info(b->model, layer).parameters == 0)
    layer++;
  return layer;
}

static double flops_of(const struct bench *b, int layer, int direction) {
  double one = 2 * (double)layer_info(b->model, layer).multiply_adds *
               (double)b->settings->batch;
  return direction == FORWARD || layer == first_learner(b) ? one : 2 * one;
}

/* What must at least come from memory or go there: inputs, outputs, weights;
 * backward: both gradients, the inputs that the gradient of weights is made
 * from, and weights and their gradients. */
static double bytes_of(const struct bench *b, int layer, int direction) {
  imgrec_layer_info head = layer_info(b->model, layer);
  int end = chain_end(b, layer, direction), first = first_learner(b);
  double weights = 0, batch = (double)b->settings->batch;
  for (int i = layer; i <= end; i++)
    weights += 4 * (double)layer_info(b->model, i).parameters;
  double in = batch * (double)head.input_bytes;
  double out = batch * (double)layer_info(b->model, end).output_bytes;
  if (direction == FORWARD)
    return in + out + weights;
  int needs_x = head.multiply_adds > 0, makes_dx = layer != first;
  return out + in * (needs_x + makes_dx) + weights * (1 + makes_dx);
}

static struct effort effort_of(const struct bench *b, int layer, int direction,
                               double *scratch) {
  struct effort e = {NAN, 0, 0};
  if (!was_called(b, layer, direction))
    return e;
  e.seconds = quantile(&b->times, column(b, layer, direction), 0.5, scratch);
  e.bytes = bytes_of(b, layer, direction);
  for (int i = layer; i <= chain_end(b, layer, direction); i++)
    e.flops += flops_of(b, i, direction);
  return e;
}

static void fill_layers(struct report *r, double *scratch) {
  const struct bench *b = r->bench;
  int loss = column_of(b, -1, IMGREC_PHASE_LOSS_BEGIN);
  int update = column_of(b, -1, IMGREC_PHASE_UPDATE_BEGIN);
  r->loss = quantile(&b->times, loss, 0.5, scratch);
  r->update = quantile(&b->times, update, 0.5, scratch);
  r->rest = quantile(&b->times, REST_COLUMN, 0.5, scratch);
  for (int i = 0; i < b->layers * DIRECTIONS; i++)
    r->efforts[i] = effort_of(b, i / DIRECTIONS, i % DIRECTIONS, scratch);
}

static int fill_report(struct report *r) {
  const struct bench *b = r->bench;
  double *scratch = malloc((size_t)b->times.rows * sizeof *scratch);
  if (scratch == NULL)
    return fail(NAME, "out of memory");
  r->median = quantile(&b->times, 0, 0.5, scratch);
  r->p95 = quantile(&b->times, 0, 0.95, scratch);
  r->least = quantile(&b->times, 0, 0, scratch);
  for (int i = 0; i < b->layers; i++)
    for (int d = FORWARD; d <= (b->trainer ? BACKWARD : FORWARD); d++)
      r->flops += flops_of(b, i, d);
  if (r->efforts != NULL)
    fill_layers(r, scratch);
  free(scratch);
  return EXIT_OK;
}

/* ---- JSON --------------------------------------------------------------- */

static const char *model_name(const struct bench *b) {
  const struct settings *s = b->settings;
  return s->preset ? s->preset : s->arch ? s->arch : s->arguments[0];
}

static const char *isa_name(const struct bench *b) {
  static const char *const names[] = {[IMGREC_ISA_SCALAR] = "scalar",
                                      [IMGREC_ISA_AVX2] = "avx2",
                                      [IMGREC_ISA_AVX512] = "avx512",
                                      [IMGREC_ISA_NEON] = "neon"};
  return names[imgrec_context_isa(b->ctx)];
}

static void put_float(struct json_out *j, const char *key, double x) {
  json_key(j, key);
  json_float(j, x);
}

static void put_integer(struct json_out *j, const char *key, int64_t x) {
  json_key(j, key);
  json_integer(j, x);
}

static void put_string(struct json_out *j, const char *key, const char *s) {
  json_key(j, key);
  json_string(j, s);
}

static void put_shape(struct json_out *j, const char *key,
                      const int64_t shape[3]) {
  json_key(j, key), json_open(j, '[');
  for (int i = 0; i < 3; i++)
    json_integer(j, shape[i]);
  json_close(j, ']');
}

/* What is not there becomes NaN, which JSON gets as null. */
static double rate(double amount, double seconds) {
  return amount > 0 && seconds > 0 ? 1e-9 * amount / seconds : NAN;
}

static void put_effort(struct json_out *j, int direction,
                       const struct effort *e) {
  static const char *const keys[DIRECTIONS][3] = {
      {"forward_ms", "forward_gflops", "forward_gbs"},
      {"backward_ms", "backward_gflops", "backward_gbs"}};
  put_float(j, keys[direction][0], 1e3 * e->seconds);
  put_float(j, keys[direction][1], rate(e->flops, e->seconds));
  put_float(j, keys[direction][2], rate(e->bytes, e->seconds));
}

static void put_layer(struct json_out *j, const struct report *r, int layer) {
  const struct bench *b = r->bench;
  imgrec_layer_info info = layer_info(b->model, layer);
  int head = chain_head(b, layer);
  json_open(j, '{');
  put_string(j, "name", info.name);
  put_string(j, "type", info.type);
  put_shape(j, "output", info.output);
  put_integer(j, "parameters", info.parameters);
  put_integer(j, "multiply_adds", info.multiply_adds);
  for (int d = FORWARD; d <= BACKWARD; d++)
    put_effort(j, d, &r->efforts[layer * DIRECTIONS + d]);
  put_string(j, "computed_with",
             head < 0 || head == layer ? NULL
                                       : layer_info(b->model, head).name);
  put_string(j, "algorithm", info.algorithm);
  put_string(j, "reason", info.reason);
  json_close(j, '}');
}

static void put_layers(struct json_out *j, const struct report *r) {
  json_key(j, "layers"), json_open(j, '[');
  for (int i = 0; r->efforts != NULL && i < r->bench->layers; i++)
    put_layer(j, r, i);
  json_close(j, ']');
}

static void put_speeds(struct json_out *j, const struct report *r) {
  const struct bench *b = r->bench;
  put_integer(j, "runs", b->times.rows);
  put_float(j, "median_ms", 1e3 * r->median);
  put_float(j, "p95_ms", 1e3 * r->p95);
  put_float(j, "min_ms", 1e3 * r->least);
  put_float(j, "images_per_second", (double)b->settings->batch / r->median);
  put_float(j, "gflops", rate(r->flops, r->median));
  put_float(j, "peak_gflops", b->machine.gflops);
  put_float(j, "bandwidth_gbs", rate(1e9 * b->machine.gigabytes, 1));
}

static void print_json(const struct report *r) {
  const struct bench *b = r->bench;
  struct json_out j = {stdout, 0};
  int64_t in[3];
  imgrec_model_input_shape(b->model, in);
  json_open(&j, '{');
  put_string(&j, "model", model_name(b));
  put_string(&j, "arch", imgrec_model_architecture(b->model));
  put_shape(&j, "input", in);
  put_string(&j, "mode", b->trainer ? "train" : "forward");
  put_integer(&j, "batch", b->settings->batch);
  put_integer(&j, "threads", imgrec_context_threads(b->ctx));
  put_string(&j, "isa", isa_name(b));
  put_speeds(&j, r);
  put_integer(&j, "model_memory_bytes", (int64_t)b->model_bytes);
  put_integer(&j, "max_rss_bytes", (int64_t)b->max_bytes);
  int timed = r->efforts != NULL && b->trainer != NULL;
  put_float(&j, "loss_ms", timed ? 1e3 * r->loss : NAN);
  put_float(&j, "update_ms", timed ? 1e3 * r->update : NAN);
  put_float(&j, "rest_ms", r->efforts ? 1e3 * r->rest : NAN);
  put_layers(&j, r);
  json_finish(&j);
}

/* ---- For people --------------------------------------------------------- */

/* A number, or "-" for none. */
static void print_cell(double x, int width, int decimals) {
  if (isfinite(x))
    printf(" %*.*f", width, decimals, x);
  else
    printf(" %*s", width, "-");
}

/* A speed and its share of a limit in %. */
static void print_speed(double amount, double seconds, double limit) {
  double speed = rate(amount, seconds);
  print_cell(speed, 8, 1);
  print_cell(limit > 0 ? 100 * speed / limit : NAN, 6, 0);
}

static void print_way(const struct bench *b, int layer) {
  char name[NAME_SIZE];
  imgrec_layer_info info = layer_info(b->model, layer);
  int head = chain_head(b, layer);
  if (is_in_loss(b, layer))
    fputs("  with the loss", stdout);
  else if (head >= 0 && head != layer)
    printf("  with %s",
           printable(name, sizeof name, layer_info(b->model, head).name));
  else if (info.algorithm != NULL)
    printf("  %s: %s", info.algorithm, info.reason ? info.reason : "");
}

static void print_layer(const struct report *r, int layer) {
  const struct bench *b = r->bench;
  char name[NAME_SIZE];
  imgrec_layer_info info = layer_info(b->model, layer);
  double seconds = 0, flops = 0, bytes = 0;
  printf("%-12s %-17s", printable(name, sizeof name, info.name), info.type);
  for (int d = FORWARD; d <= (b->trainer ? BACKWARD : FORWARD); d++) {
    const struct effort *e = &r->efforts[layer * DIRECTIONS + d];
    seconds += isnan(e->seconds) ? 0 : e->seconds;
    flops += e->flops;
    bytes += e->bytes;
    print_cell(1e3 * e->seconds, 9, 3);
  }
  print_speed(flops, seconds, b->machine.gflops);
  print_speed(bytes, seconds, b->machine.gigabytes);
  print_way(b, layer);
  putchar('\n');
}

static void print_layers(const struct report *r) {
  const struct bench *b = r->bench;
  int first = was_called(b, 0, FORWARD) ? 0 : 1; /* the input does nothing */
  printf("\n%-12s %-17s %9s%s %8s %6s %8s %6s  %s\n", "layer", "type", "fwd ms",
         b->trainer ? "    bwd ms" : "", "GFLOP/s", "% peak", "GB/s", "% peak",
         "how");
  for (int i = first; i < b->layers; i++)
    print_layer(r, i);
  if (b->trainer)
    printf("%-30s %9.3f\n%-30s %9.3f\n", "loss", 1e3 * r->loss, "update",
           1e3 * r->update);
  printf("%-30s %9.3f\n", "between layers", 1e3 * r->rest);
}

/* The share of a limit, where there is one. */
static void print_share(double x, double limit) {
  if (isfinite(x) && limit > 0)
    printf(", %.0f %% of the peak", 100 * x / limit);
}

static void print_plain(const struct report *r) {
  const struct bench *b = r->bench;
  char name[NAME_SIZE];
  int64_t in[3];
  double gflops = rate(r->flops, r->median);
  imgrec_model_input_shape(b->model, in);
  printf("%s, %lld x %lld x %lld, %s, batch %lld, threads %d, %s\n",
         printable(name, sizeof name, model_name(b)), (long long)in[0],
         (long long)in[1], (long long)in[2],
         b->trainer ? "training" : "forward", (long long)b->settings->batch,
         imgrec_context_threads(b->ctx), isa_name(b));
  printf("time:    median %.3f ms, p95 %.3f ms, min %.3f ms; %lld runs\n",
         1e3 * r->median, 1e3 * r->p95, 1e3 * r->least,
         (long long)b->times.rows);
  printf("speed:   %.1f images/s", (double)b->settings->batch / r->median);
  if (isfinite(gflops))
    printf(", %.1f GFLOP/s", gflops);
  print_share(gflops, b->machine.gflops);
  printf("\nmemory:  %.1f MiB planned, at most %.1f MiB in use\n",
         (double)b->model_bytes / 1048576, (double)b->max_bytes / 1048576);
  printf("machine: %.1f GFLOP/s", b->machine.gflops);
  if (b->machine.gigabytes > 0)
    printf(", reads %.1f GB/s", b->machine.gigabytes);
  printf(", threads %d\n", b->machine.threads);
}

int report_bench(const struct bench *b) {
  struct report r = {.bench = b};
  if (b->settings->layers) {
    r.efforts = calloc((size_t)b->layers * DIRECTIONS, sizeof *r.efforts);
    if (r.efforts == NULL)
      return fail(NAME, "out of memory");
  }
  int code = fill_report(&r);
  if (code == EXIT_OK && b->settings->json) {
    print_json(&r);
  } else if (code == EXIT_OK) {
    print_plain(&r);
    if (r.efforts != NULL)
      print_layers(&r);
  }
  free(r.efforts);
  return code;
}
