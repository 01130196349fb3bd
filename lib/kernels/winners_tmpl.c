/* SPDX-License-Identifier: MIT */
/* Gradients of a convolution behind a 2 x 2 max pooling (a part of
 * passes.c).
 *
 * Of the four sums in a window only the winner's has a gradient, d.  With one
 * filter, and windows in order (struct winners), at = where the winner's patch
 * begins:
 *   by the weights: sum[r][j] += d x[at + r jump + j],  r < rows, j < run
 *   by the input:   dx[at + r jump + j] += d w[r][j]
 * Both are rows of a patch times a number: the first is summed in registers. */

/* Rows of a patch at a time, vectors of such a row, and of a whole tile, in
 * registers.  Of three rows also twice as many vectors, where there are
 * registers for them. */
enum {
  SUM_ROWS = ISA_NUMBER > 1 ? 5 : 1,
  RUN_VECTORS = ISA_NUMBER > 1 ? 3 : 1,
  SUM_VECTORS = ISA_NUMBER > 2    ? 18
                : ISA_NUMBER == 2 ? 10
                                  : 1,
  MOST_VECTORS = ISA_NUMBER > 2 ? 2 * RUN_VECTORS : RUN_VECTORS
};

/* Where the taps of a window begin, and the place of LOST, whose d is zero. */
struct winner_taps {
  ptrdiff_t at[LOST + 1];
};

INLINE struct winner_taps taps_of(const struct winners *w) {
  const struct winner_taps taps = {
      {0, w->tap[1], w->tap[0], w->tap[0] + w->tap[1], 0}};
  return taps;
}

/* ---- By the weights ------------------------------------------------------ */

/* rows x (vectors - 1 whole vectors and `last` numbers). */
INLINE void sum_tile(float *sum, const float *x, const struct winners *w,
                     size_t last, int accumulate, const int rows,
                     const int vectors) {
  const struct winner_taps taps = taps_of(w);
  vf acc[SUM_ROWS][MOST_VECTORS];
  UNROLL
  for (int r = 0; r < rows; r++) {
    UNROLL
    for (int j = 0; j < vectors; j++) {
      const float *from = sum + (size_t)r * w->run + j * VF;
      acc[r][j] = (vf){0};
      if (accumulate)
        acc[r][j] = j < vectors - 1 ? load(from) : load_part(from, last);
    }
  }
  const struct winners v = *w;
  for (size_t wy = 0; wy < v.windows[0]; wy++) {
    const float *d = v.d + wy * v.next[0];
    const uint8_t *won = v.won + wy * v.next[0];
    const float *at = x + wy * v.stride[0];
    for (size_t wx = v.windows[1]; wx > 0; wx--) {
      const float *patch = at + taps.at[*won];
      vf left = splat(*d);
      UNROLL
      for (int r = 0; r < rows; r++) {
        UNROLL
        for (int j = 0; j < vectors; j++) {
          const float *from = patch + (size_t)r * v.jump + j * VF;
          vf right = j < vectors - 1 ? load(from) : load_part(from, last);
          acc[r][j] = vfma(left, right, acc[r][j]);
        }
      }
      d += v.next[1];
      won += v.next[1];
      at += v.stride[1];
    }
  }
  UNROLL
  for (int r = 0; r < rows; r++) {
    UNROLL
    for (int j = 0; j < vectors; j++) {
      float *to = sum + (size_t)r * w->run + j * VF;
      if (j < vectors - 1)
        store(to, acc[r][j]);
      else
        store_part(to, acc[r][j], last);
    }
  }
}

INLINE void sum_rows_of(float *sum, const float *x, const struct winners *w,
                        size_t last, int accumulate, const int rows,
                        size_t vectors) {
#define VECTORS(n)                                                             \
  case n:                                                                      \
    if ((n <= RUN_VECTORS && n * rows <= SUM_VECTORS) ||                       \
        (n == MOST_VECTORS && rows == 3))                                      \
      sum_tile(sum, x, w, last, accumulate, rows, n);                          \
    break
  switch (vectors) {
    VECTORS(1);
    VECTORS(2);
    VECTORS(3);
    VECTORS(6);
  }
#undef VECTORS
}

/* As many rows at a time as divide the kernel's. */
static void winners_sum(float *sum, const float *x, const struct winners *w,
                        int accumulate) {
#if ISA_NUMBER == 3
  if (w->run <= VF / 2) {
    imgrec__kernels_avx2.winners_sum(sum, x, w, accumulate);
    return;
  }
#endif
  size_t rows = SUM_ROWS == 1      ? 1
                : w->rows % 5 == 0 ? 5
                : w->rows % 3 == 0 ? 3
                                   : 1;
  size_t most = SUM_VECTORS / rows < RUN_VECTORS ? SUM_VECTORS / rows
                                                 : (size_t)RUN_VECTORS;
  size_t all = (w->run + VF - 1) / VF;
  if (rows == 3 && all % MOST_VECTORS == 0)
    most = MOST_VECTORS;
  size_t pieces = (all + most - 1) / most;
  for (size_t j = 0, i = 0; i < pieces; i++) {
    size_t vectors = (all - j + pieces - i - 1) / (pieces - i);
    size_t last = w->run - (j + vectors - 1) * VF;
    last = last < VF ? last : VF;
    for (size_t r = 0; r < w->rows; r += rows) {
      float *to = sum + r * w->run + j * VF;
      const float *from = x + r * w->jump + j * VF;
      if (SUM_ROWS > 1 && rows == 5)
        sum_rows_of(to, from, w, last, accumulate, 5, vectors);
      else if (SUM_ROWS > 1 && rows == 3)
        sum_rows_of(to, from, w, last, accumulate, 3, vectors);
      else
        sum_rows_of(to, from, w, last, accumulate, 1, vectors);
    }
    j += vectors;
  }
}

/* ---- By the input -------------------------------------------------------- */

/* A row of a patch: vectors of them, or, where that is 0, all there are. */
INLINE void add_row_of(float *x, const float *w, vf d, size_t run,
                       const int vectors) {
  UNROLL
  for (int j = 0; j < vectors; j++)
    store(x + j * VF, vfma(d, load(w + j * VF), load(x + j * VF)));
  for (size_t j = 0; vectors == 0 && j < run; j += VF)
    store(x + j, vfma(d, load(w + j), load(x + j)));
}

INLINE void add_patches(float *x, const float *weights, const struct winners *w,
                        const int vectors) {
  const struct winner_taps taps = taps_of(w);
  const struct winners v = *w;
  for (size_t wy = 0; wy < v.windows[0]; wy++) {
    const float *d = v.d + wy * v.next[0];
    const uint8_t *won = v.won + wy * v.next[0];
    float *at = x + wy * v.stride[0];
    for (size_t wx = v.windows[1]; wx > 0; wx--) {
      float *patch = at + taps.at[*won];
      const float *row = weights;
      vf left = splat(*d);
      for (size_t r = v.rows; r > 0; r--) {
        add_row_of(patch, row, left, v.run, vectors);
        patch += v.jump;
        row += v.run;
      }
      d += v.next[1];
      won += v.next[1];
      at += v.stride[1];
    }
  }
}

/* A patch begins where one of the last has just been stored: what is loaded
 * there is one of the vectors stored if pixels are whole vectors. */
static void winners_add(float *x, const float *weights,
                        const struct winners *w) {
#if ISA_NUMBER == 3
  if (w->tap[1] % VF != 0 || w->run % VF != 0) {
    imgrec__kernels_avx2.winners_add(x, weights, w);
    return;
  }
#endif
  switch (ISA_NUMBER > 1 ? w->run / VF : 0) {
  case 3:
    add_patches(x, weights, w, 3);
    break;
  case 5:
    add_patches(x, weights, w, 5);
    break;
  default:
    add_patches(x, weights, w, 0);
  }
}
