/* SPDX-License-Identifier: MIT */
/* Built-in networks with blocks that repeat, written out line by line.  Large
 * inputs are made small early, so that the last maps are 4 x 4 to 8 x 8 or so
 * whatever the input. */
#include "preset.h"

#include <stdarg.h>
#include <stdio.h>

/* Sides from which an input is halved once, and twice, before the blocks. */
enum { HALVE_FROM = 64, HALVE_AGAIN_FROM = 160 };

void imgrec__preset_put(struct preset_text *t, const char *format, ...) {
  va_list args;
  size_t used = (size_t)t->length;
  va_start(args, format);
  t->length += vsnprintf(used < t->size ? t->text + used : NULL,
                         used < t->size ? t->size - used : 0, format, args);
  va_end(args);
}

static const char *stride(int halves) { return halves ? " stride=2" : ""; }

/* ---- nano: Howard et al. 2017, depthwise-separable ----------------------- */

static void separable(struct preset_text *t, int channels, int halves) {
  imgrec__preset_put(t,
                     "depthwise_conv2d kernel=3%s padding=same bias=false\n"
                     "batch_norm activation=relu\n"
                     "conv2d %d kernel=1 bias=false\n"
                     "batch_norm activation=relu\n",
                     stride(halves), channels);
}

void imgrec__preset_nano(struct preset_text *t, int side) {
  static const int channels[] = {32, 64, 64, 128, 128, 128};
  imgrec__preset_put(t,
                     "conv2d 16 kernel=3%s padding=same bias=false\n"
                     "batch_norm activation=relu\n%s",
                     stride(side >= HALVE_FROM),
                     side >= HALVE_AGAIN_FROM ? "max_pool2d 2\n" : "");
  for (int i = 0; i < 6; i++)
    separable(t, channels[i], i == 0 || channels[i] != channels[i - 1]);
  imgrec__preset_put(t, "global_avg_pool2d\ndropout 0.1\n");
}

/* ---- base, large, resnet8: He et al. 2015, residual ---------------------- */

/* relu(main(x) + x), or with a 1 x 1 convolution of x where the shape changes.
 * A stride of 2 is the block's own; `extra` are words for each convolution. */
struct residual {
  const char *from; /* the layer that is x */
  int number, channels, halves, projects;
};

static void residual(struct preset_text *t, const struct residual *r,
                     const char *extra, int short_norm) {
  int n = r->number, c = r->channels;
  const char *s = stride(r->halves);
  imgrec__preset_put(t,
                     "conv2d %d kernel=3%s padding=same%s from=%s\n"
                     "batch_norm activation=relu\n"
                     "conv2d %d kernel=3 padding=same%s\n"
                     "main%d = batch_norm\n",
                     c, s, extra, r->from, c, extra, n);
  if (!r->projects) {
    imgrec__preset_put(t, "block%d = add from=main%d,%s activation=relu\n", n,
                       n, r->from);
    return;
  }
  if (short_norm)
    imgrec__preset_put(t,
                       "conv2d %d kernel=1%s padding=same%s from=%s\n"
                       "short%d = batch_norm\n",
                       c, s, extra, r->from, n);
  else
    imgrec__preset_put(t,
                       "short%d = conv2d %d kernel=1%s padding=same%s "
                       "from=%s\n",
                       n, c, s, extra, r->from);
  imgrec__preset_put(t, "block%d = add from=main%d,short%d activation=relu\n",
                     n, n, n);
}

/* Stages of `blocks` blocks of `channels`; each stage behind the first halves
 * the maps. */
struct stage {
  int channels, blocks;
};

static void stages(struct preset_text *t, const char *first,
                   const struct stage *stage, int count, const char *extra,
                   int short_norm) {
  char from[32];
  int number = 0;
  snprintf(from, sizeof from, "%s", first);
  for (int i = 0; i < count; i++)
    for (int b = 0; b < stage[i].blocks; b++) {
      int changes = i > 0 && b == 0;
      const struct residual r = {from, ++number, stage[i].channels, changes,
                                 changes};
      residual(t, &r, extra, short_norm);
      snprintf(from, sizeof from, "block%d", number);
    }
}

static void residual_net(struct preset_text *t, int side,
                         const struct stage stage[4]) {
  int pools = side >= HALVE_AGAIN_FROM;
  imgrec__preset_put(
      t,
      "conv2d %d kernel=3%s padding=same bias=false\n"
      "%sbatch_norm activation=relu\n%s",
      stage[0].channels, stride(side >= HALVE_FROM),
      pools ? "" : "stem = ", pools ? "stem = max_pool2d 2\n" : "");
  stages(t, "stem", stage, 4, " bias=false", 1);
  imgrec__preset_put(t, "global_avg_pool2d\ndropout 0.2\n");
}

void imgrec__preset_base(struct preset_text *t, int side) {
  static const struct stage stage[4] = {{32, 1}, {64, 1}, {128, 2}, {256, 1}};
  residual_net(t, side, stage);
}

void imgrec__preset_large(struct preset_text *t, int side) {
  static const struct stage stage[4] = {{48, 2}, {96, 2}, {192, 2}, {384, 2}};
  residual_net(t, side, stage);
}

/* Of the benchmark MLPerf Tiny, which keeps the biases. */
void imgrec__preset_resnet8(struct preset_text *t, int side) {
  static const struct stage stage[3] = {{16, 1}, {32, 1}, {64, 1}};
  (void)side;
  imgrec__preset_put(t, "conv2d 16 kernel=3 padding=same\n"
                        "stem = batch_norm activation=relu\n");
  stages(t, "stem", stage, 3, "", 0);
  imgrec__preset_put(t, "global_avg_pool2d\n");
}

/* ---- resnet18, with torchvision's names ---------------------------------- */

static void basic_block(struct preset_text *t, const char *name,
                        const char *from, int channels, int halves) {
  imgrec__preset_put(
      t,
      "%s.conv1 = conv2d %d kernel=3%s padding=1 bias=false from=%s\n"
      "%s.bn1 = batch_norm activation=relu\n"
      "%s.conv2 = conv2d %d kernel=3 padding=1 bias=false\n"
      "%s.bn2 = batch_norm\n",
      name, channels, stride(halves), from, name, name, channels, name);
  if (halves)
    imgrec__preset_put(
        t,
        "%s.downsample.0 = conv2d %d kernel=1 stride=2 bias=false from=%s\n"
        "%s.downsample.1 = batch_norm\n"
        "%s = add from=%s.bn2,%s.downsample.1 activation=relu\n",
        name, channels, from, name, name, name, name);
  else
    imgrec__preset_put(t, "%s = add from=%s.bn2,%s activation=relu\n", name,
                       name, from);
}

/* Below 64 pixels without the first two halvings, as is usual for CIFAR. */
void imgrec__preset_resnet18(struct preset_text *t, int side) {
  int small = side < HALVE_FROM;
  char name[32], from[32];
  snprintf(from, sizeof from, small ? "bn1" : "maxpool");
  imgrec__preset_put(t,
                     "conv1 = conv2d 64 kernel=%s bias=false\n"
                     "bn1 = batch_norm activation=relu\n%s",
                     small ? "3 padding=1" : "7 stride=2 padding=3",
                     small ? ""
                           : "maxpool = max_pool2d 3 stride=2 padding=1\n");
  for (int i = 0; i < 8; i++) {
    snprintf(name, sizeof name, "layer%d.%d", i / 2 + 1, i % 2);
    basic_block(t, name, from, 64 << (i / 2), i > 0 && i % 2 == 0);
    snprintf(from, sizeof from, "%s", name);
  }
  imgrec__preset_put(t, "global_avg_pool2d\n");
}

/* ---- mobilenet_v2: Sandler et al. 2018, with torchvision's names ----------
 */

/* features.N: a 1 x 1 convolution to `expand` times the input's channels, a
 * depthwise one, and a 1 x 1 convolution to `out`, added to the input where
 * the shape is the same. */
struct inverted {
  int number, in, out, expand, halves;
};

static void inverted(struct preset_text *t, const struct inverted *b,
                     const char *from) {
  int n = b->number, part = 0;
  char input[48];
  snprintf(input, sizeof input, " from=%s", from);
  if (b->expand > 1) {
    imgrec__preset_put(
        t,
        "features.%d.conv.0.0 = conv2d %d kernel=1 bias=false%s\n"
        "features.%d.conv.0.1 = batch_norm activation=relu6\n",
        n, b->in * b->expand, input, n);
    input[0] = '\0';
    part = 1;
  }
  imgrec__preset_put(t,
                     "features.%d.conv.%d.0 = depthwise_conv2d kernel=3%s "
                     "padding=1 bias=false%s\n"
                     "features.%d.conv.%d.1 = batch_norm activation=relu6\n"
                     "features.%d.conv.%d = conv2d %d kernel=1 bias=false\n"
                     "features.%d.conv.%d = batch_norm\n",
                     n, part, stride(b->halves), input, n, part, n, part + 1,
                     b->out, n, part + 2);
  if (b->in == b->out)
    imgrec__preset_put(t, "features.%d = add from=%s,features.%d.conv.%d\n", n,
                       from, n, part + 2);
}

/* Below 64 pixels without the first two halvings. */
void imgrec__preset_mobilenet_v2(struct preset_text *t, int side) {
  static const struct {
    int expand, channels, blocks, halves;
  } rows[] = {{1, 16, 1, 0}, {6, 24, 2, 1},  {6, 32, 3, 1}, {6, 64, 4, 1},
              {6, 96, 3, 0}, {6, 160, 3, 1}, {6, 320, 1, 0}};
  char from[32] = "features.0.1";
  struct inverted b = {.number = 1, .in = 32};
  int small = side < HALVE_FROM;
  imgrec__preset_put(t,
                     "features.0.0 = conv2d 32 kernel=3%s padding=1 "
                     "bias=false\n"
                     "features.0.1 = batch_norm activation=relu6\n",
                     stride(!small));
  for (int row = 0; row < 7; row++)
    for (int i = 0; i < rows[row].blocks; i++, b.number++, b.in = b.out) {
      b.out = rows[row].channels;
      b.expand = rows[row].expand;
      b.halves = i == 0 && rows[row].halves && !(small && row == 1);
      inverted(t, &b, from);
      int part = b.in == b.out ? -1 : b.expand > 1 ? 3 : 2;
      snprintf(from, sizeof from,
               part < 0 ? "features.%d" : "features.%d.conv.%d", b.number,
               part);
    }
  imgrec__preset_put(t, "features.18.0 = conv2d 1280 kernel=1 bias=false\n"
                        "features.18.1 = batch_norm activation=relu6\n"
                        "global_avg_pool2d\ndropout 0.2\n");
}

/* ---- cifar_fast -----------------------------------------------------------
 */

/* In the manner of the nets that are quick to learn CIFAR-10 (Page 2018, Jordan
 * 2024): pooling stands before batch norm, which then has a quarter to do. */
void imgrec__preset_cifar_fast(struct preset_text *t, int side) {
  static const int channels[] = {64, 128, 256};
  (void)side;
  imgrec__preset_put(t, "conv2d 32 kernel=3 padding=same bias=false\n"
                        "batch_norm activation=relu\n");
  for (int i = 0; i < 3; i++)
    imgrec__preset_put(t,
                       "conv2d %d kernel=3 padding=same bias=false\n"
                       "max_pool2d 2\n"
                       "batch_norm activation=relu\n"
                       "conv2d %d kernel=3 padding=same bias=false\n"
                       "batch_norm activation=relu\n",
                       channels[i], channels[i]);
  imgrec__preset_put(t, "global_avg_pool2d\n");
}
