/* SPDX-License-Identifier: MIT */
/* The layers of those built-in architectures that are not one fixed text. */
#ifndef IMGREC_PRESET_H
#define IMGREC_PRESET_H

#include <stddef.h>

/* A text as it grows: `length` goes on where `size` bytes are full. */
struct preset_text {
  char *text;
  size_t size;
  int length;
};

void imgrec__preset_put(struct preset_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Each writes the layers between the input and the last dense layer; `side` is
 * the lesser of the input's height and width. */
void imgrec__preset_nano(struct preset_text *t, int side);
void imgrec__preset_base(struct preset_text *t, int side);
void imgrec__preset_large(struct preset_text *t, int side);
void imgrec__preset_resnet8(struct preset_text *t, int side);
void imgrec__preset_resnet18(struct preset_text *t, int side);
void imgrec__preset_mobilenet_v2(struct preset_text *t, int side);
void imgrec__preset_cifar_fast(struct preset_text *t, int side);

#endif
