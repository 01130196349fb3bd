/* SPDX-License-Identifier: MIT */
/* What `imgrec train` does where the user did not say: network, input size,
 * epochs. */
#include "cli.h"

#define SIDE_OF_PICTURES 28   /* below that: icons and digits */
#define SIDE_OF_PHOTOS   64   /* from that on */
#define LARGEST_OWN_SIDE 128  /* larger images are made smaller */
#define MANY_PHOTOS      5000 /* that are worth a larger network */
#define MANY_PICTURES    10000

#define IMAGES_SEEN  80000 /* in all epochs, between the following */
#define LEAST_EPOCHS 10
#define MOST_EPOCHS  100

/* With few images a larger network, or a larger input, takes longer and learns
 * no more: on 450 photos of 10 classes, and on 130 of 2, inputs of 128 and 160
 * were no better than 96, and on 2000 of 5 classes base no better than small;
 * there 40 epochs recognised more than 20. */
struct choice choose_preset(const int64_t shape[3], int64_t images) {
  int64_t side = shape[0] < shape[1] ? shape[0] : shape[1];
  if (side > 0 && side < SIDE_OF_PICTURES)
    return (struct choice){"tiny", "for pictures below 28 pixels"};
  if (side > 0 && side < SIDE_OF_PHOTOS && images >= MANY_PICTURES &&
      shape[2] == 3)
    return (struct choice){"cifar_fast", "for 10,000 small pictures or more"};
  if (side > 0 && side < SIDE_OF_PHOTOS)
    return (struct choice){"small", "for small pictures"};
  if (images >= MANY_PHOTOS)
    return (struct choice){"base", "for 5,000 photos or more"};
  return (struct choice){"small", "for less than 5,000 photos"};
}

void choose_input(int64_t shape[3]) {
  if (shape[0] > LARGEST_OWN_SIDE || shape[1] > LARGEST_OWN_SIDE ||
      shape[0] == 0 || shape[1] == 0)
    shape[0] = shape[1] = 0;
  if (shape[2] == 0)
    shape[2] = 3;
}

int choose_epochs(int64_t images) {
  int64_t n = images > 0 ? (IMAGES_SEEN + images - 1) / images : 0;
  if (n > MOST_EPOCHS)
    return MOST_EPOCHS;
  return n < LEAST_EPOCHS ? LEAST_EPOCHS : (int)n;
}
