/* SPDX-License-Identifier: MIT */
/* The built-in architectures: texts with the input and the classes left open.
 */
#include <string.h>

#include "graph.h"
#include "preset.h"

struct preset {
  const char *name, *comment;
  int height, width, channels, classes; /* its own */
  int smallest;                         /* least height and width */
  const char *layers;                   /* or, where NULL, what this writes: */
  void (*write)(struct preset_text *t, int side);
  const char *head; /* name of the last dense layer, or "" */
};

static const struct preset presets[] = {
    {"seed", "the network of the introduction to image recognition", 224, 224,
     3, 10, 22,
     "conv2d 32 kernel=3 activation=relu\n"
     "max_pool2d 2\n"
     "conv2d 64 kernel=3 activation=relu\n"
     "max_pool2d 2\n"
     "conv2d 128 kernel=3 activation=relu\n"
     "max_pool2d 2\n"
     "flatten\n"
     "dense 512 activation=relu\n",
     NULL, ""},
    {"lenet5", "after LeCun et al. 1998, with max pooling and ReLU", 28, 28, 1,
     10, 12,
     "conv2d 6 kernel=5 padding=same activation=relu\n"
     "max_pool2d 2\n"
     "conv2d 16 kernel=5 activation=relu\n"
     "max_pool2d 2\n"
     "flatten\n"
     "dense 120 activation=relu\n"
     "dense 84 activation=relu\n",
     NULL, ""},
    {"small", "a good default for folders of photos", 96, 96, 3, 10, 16,
     "conv2d 16 kernel=3 padding=same bias=false\n"
     "batch_norm activation=relu\n"
     "max_pool2d 2\n"
     "conv2d 32 kernel=3 padding=same bias=false\n"
     "batch_norm activation=relu\n"
     "max_pool2d 2\n"
     "conv2d 64 kernel=3 padding=same bias=false\n"
     "batch_norm activation=relu\n"
     "max_pool2d 2\n"
     "conv2d 128 kernel=3 padding=same bias=false\n"
     "batch_norm activation=relu\n"
     "max_pool2d 2\n"
     "conv2d 128 kernel=3 padding=same bias=false\n"
     "batch_norm activation=relu\n"
     "global_avg_pool2d\n"
     "dropout 0.2\n",
     NULL, ""},
    {"tiny", "for small pictures, from 8 x 8 up", 28, 28, 1, 10, 8,
     "conv2d 16 kernel=3 padding=same activation=relu\n"
     "max_pool2d 2\n"
     "conv2d 32 kernel=3 padding=same activation=relu\n"
     "max_pool2d 2\n"
     "flatten\n"
     "dense 64 activation=relu\n",
     NULL, ""},
    {"nano", "for the smallest devices, of depthwise-separable convolutions",
     96, 96, 3, 10, 8, NULL, imgrec__preset_nano, ""},
    {"base", "a residual network for some thousand photos", 128, 128, 3, 10, 8,
     NULL, imgrec__preset_base, ""},
    {"large", "a residual network for ten thousand photos and more", 160, 160,
     3, 10, 8, NULL, imgrec__preset_large, ""},
    {"resnet8", "the residual network of MLPerf Tiny", 32, 32, 3, 10, 8, NULL,
     imgrec__preset_resnet8, ""},
    {"resnet18", "He et al. 2015; layers have torchvision's names", 224, 224, 3,
     1000, 8, NULL, imgrec__preset_resnet18, "fc = "},
    {"mobilenet_v2", "Sandler et al. 2018; layers have torchvision's names",
     224, 224, 3, 1000, 8, NULL, imgrec__preset_mobilenet_v2,
     "classifier.1 = "},
    {"cifar_fast", "learns CIFAR-10 in few minutes", 32, 32, 3, 10, 8, NULL,
     imgrec__preset_cifar_fast, ""},
};

enum { PRESET_COUNT = sizeof presets / sizeof presets[0] };

const char *imgrec_preset_name(int index) {
  return index >= 0 && index < (int)PRESET_COUNT ? presets[index].name : NULL;
}

static const struct preset *find(const char *name) {
  for (size_t i = 0; name && i < PRESET_COUNT; i++)
    if (strcmp(presets[i].name, name) == 0)
      return &presets[i];
  return NULL;
}

int imgrec_preset(const char *name, int height, int width, int channels,
                  int classes, char *text, size_t size) {
  struct preset_text t = {text, size, 0};
  const struct preset *p = find(name);
  if (!p)
    return IMGREC_ERR_NOT_FOUND;
  height = height ? height : p->height;
  width = width ? width : p->width;
  channels = channels ? channels : p->channels;
  classes = classes ? classes : p->classes;
  if (height < p->smallest || width < p->smallest || channels < 1 ||
      classes < 1 || (size > 0 && !text))
    return IMGREC_ERR_ARGUMENT;
  imgrec__preset_put(&t, "# %s: %s\ninput %d %d %d\n%s", p->name, p->comment,
                     height, width, channels, p->layers ? p->layers : "");
  if (p->write)
    p->write(&t, height < width ? height : width);
  imgrec__preset_put(&t, "%sdense %d\nsoftmax\n", p->head, classes);
  return t.length;
}
