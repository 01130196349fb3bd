/* SPDX-License-Identifier: MIT */
/* The inner loops of matrix products (a part of isa.c). */

/* Rows and vectors of a whole tile, as many as there are registers for; in
 * plain C, where a fused multiply-add is a call, few. */
#if defined(SANITIZED) && ISA_NUMBER > 1
#define MR      3
#define THIN_MR 4
#define NV      2
#if ISA_NUMBER == 3
extern const struct kernels imgrec__kernels_avx2;
#endif
#elif ISA_NUMBER == 3
#define MR      12
#define THIN_MR 12 /* of a single vector */
#define NV      2
extern const struct kernels imgrec__kernels_avx2;
#elif ISA_NUMBER == 2
#define MR      6
#define THIN_MR 12
#define NV      2
#elif ISA_NUMBER == 4
#define MR      12
#define THIN_MR 12
#define NV      2
#else
#define MR      2
#define THIN_MR 2
#define NV      1
#endif
#define NR (NV * VF)

/* The rows of a tile lie `row` floats apart: reached from one pointer for
 * every three of them, so that addresses stay in registers.  Tiles of several
 * vectors that are not whole have at most LOW_WIDE rows; ones of less than BUSY
 * rows are to be avoided. */
enum { ROW_POINTERS = (THIN_MR + 2) / 3, LOW_WIDE = MR < 8 ? MR : 8, BUSY = 4 };

/* A tile at work: a->data is its first row's, and its last vector has `last`
 * columns. */
struct tile {
  struct left a;
  const float *b;
  size_t ldb;
  float *c;
  size_t ldc, last;
  int accumulate;
  const struct epilogue *finish; /* of whole tiles, or NULL */
};

/* Where all of a vector is loaded a mask is a constant. */
INLINE vf load_where(const float *p, vm mask, const int part) {
  return part ? load_masked(p, mask) : load(p);
}

/* One run of k products onto acc, all in registers: both arrays and loops are
 * of constant size once this is inlined.  Returns b behind the run.  With
 * `fetch`, asks for what is needed later. */
INLINE const float *tile_run(vf acc[THIN_MR][NV], const struct tile *t,
                             const float *a, const float *b, vm mask,
                             struct ahead *fetch, const int rows,
                             const int vectors, const int part) {
  const size_t row = t->a.row, step = t->a.step, ldb = t->ldb;
  const float *at[ROW_POINTERS];
  UNROLL
  for (int i = 0; i < ROW_POINTERS; i++)
    at[i] = a + (size_t)i * 3 * row;
  for (size_t k = t->a.k; k > 0; k--, b += ldb) {
    if (fetch) {
      UNROLL
      for (int i = 0; i < AHEAD_STREAMS; i++) {
        __builtin_prefetch((const void *)fetch->at[i], 0, 2);
        fetch->at[i] += fetch->step;
      }
    }
    vf right[NV];
    UNROLL
    for (int j = 0; j < vectors; j++)
      right[j] = load_where(b + j * VF, mask, part && j == vectors - 1);
    UNROLL
    for (int i = 0; i < rows; i++) {
      vf left = splat(at[i / 3][(size_t)(i % 3) * row]);
      UNROLL
      for (int j = 0; j < vectors; j++)
        acc[i][j] = vfma(left, right[j], acc[i][j]);
    }
    UNROLL
    for (int i = 0; i < ROW_POINTERS; i++)
      at[i] += step;
  }
  return b;
}

/* All runs of a onto acc. */
INLINE void tile_sum(vf acc[THIN_MR][NV], const struct tile *t, vm mask,
                     struct ahead *fetch, const int rows, const int vectors,
                     const int part) {
  const struct left *a = &t->a;
  const float *b = t->b;
  for (size_t y = 0; y < a->runs[0]; y++)
    for (size_t x = 0; x < a->runs[1]; x++)
      b = tile_run(acc, t,
                   a->data + (ptrdiff_t)y * a->jump[0] +
                       (ptrdiff_t)x * a->jump[1],
                   b, mask, fetch, rows, vectors, part);
}

INLINE void store_finished(const struct tile *t, vf acc[THIN_MR][NV],
                           const int rows, const int vectors,
                           const enum clamp clamp) {
  UNROLL
  for (int j = 0; j < vectors; j++) {
    const struct finish f = finish_of(t->finish, (size_t)j * VF, VF);
    UNROLL
    for (int i = 0; i < rows; i++)
      store(t->c + (size_t)i * t->ldc + j * VF, finish(&f, acc[i][j], clamp));
  }
}

INLINE void store_whole(const struct tile *t, vf acc[THIN_MR][NV],
                        const int rows, const int vectors) {
  if (t->finish == NULL) {
    UNROLL
    for (int i = 0; i < rows; i++) {
      UNROLL
      for (int j = 0; j < vectors; j++)
        store(t->c + (size_t)i * t->ldc + j * VF, acc[i][j]);
    }
    return;
  }
  switch (clamp_of(t->finish)) {
  case CLAMP_RELU:
    store_finished(t, acc, rows, vectors, CLAMP_RELU);
    break;
  case CLAMP_RELU6:
    store_finished(t, acc, rows, vectors, CLAMP_RELU6);
    break;
  default:
    store_finished(t, acc, rows, vectors, CLAMP_NONE);
  }
}

/* Every column is there; `fetch` may be NULL. */
INLINE void tile_whole(const struct tile *t, struct ahead *fetch,
                       const int rows, const int vectors) {
  vf acc[THIN_MR][NV];
  UNROLL
  for (int i = 0; i < rows; i++) {
    UNROLL
    for (int j = 0; j < vectors; j++) {
      acc[i][j] = (vf){0};
      if (t->accumulate)
        acc[i][j] = load(t->c + (size_t)i * t->ldc + j * VF);
    }
  }
  if (fetch)
    tile_sum(acc, t, mask_of(VF), fetch, rows, vectors, 0);
  else
    tile_sum(acc, t, mask_of(VF), NULL, rows, vectors, 0);
  store_whole(t, acc, rows, vectors);
}

/* Of its last vector the columns that there are. */
INLINE void tile_part(const struct tile *t, const int rows, const int vectors) {
  vf acc[THIN_MR][NV];
  const vm mask = mask_of(t->last);
  UNROLL
  for (int i = 0; i < rows; i++) {
    UNROLL
    for (int j = 0; j < vectors; j++) {
      acc[i][j] = (vf){0};
      if (t->accumulate)
        acc[i][j] = load_where(t->c + (size_t)i * t->ldc + j * VF, mask,
                               j == vectors - 1);
    }
  }
  tile_sum(acc, t, mask, NULL, rows, vectors, 1);
  UNROLL
  for (int i = 0; i < rows; i++) {
    float *to = t->c + (size_t)i * t->ldc;
    UNROLL
    for (int j = 0; j < vectors - 1; j++)
      store(to + j * VF, acc[i][j]);
    to += (vectors - 1) * VF;
    if (SLOW_MASKED_STORES && t->last == VF)
      store(to, acc[i][vectors - 1]);
    else
      store_masked(to, acc[i][vectors - 1], mask);
  }
}

/* Each height is a loop of its own, held in registers: above 8 only even ones.
 */
INLINE void tile_low(const struct tile *t, size_t rows, const int vectors) {
  const int most = vectors > 1 ? LOW_WIDE : THIN_MR;
#define HEIGHT(n)                                                              \
  case n:                                                                      \
    if (n <= most && (HAS_MASKS || t->last < VF))                              \
      tile_part(t, n, vectors);                                                \
    else if (n <= most)                                                        \
      tile_whole(t, NULL, n, vectors);                                         \
    break
  switch (rows) {
    HEIGHT(1);
    HEIGHT(2);
    HEIGHT(3);
    HEIGHT(4);
    HEIGHT(5);
    HEIGHT(6);
    HEIGHT(7);
    HEIGHT(8);
    HEIGHT(10);
    HEIGHT(12);
  }
#undef HEIGHT
}

#if NV > 1
static void tile_wide(const struct tile *t, struct ahead *fetch) {
  tile_whole(t, fetch, MR, NV);
}

static void tile_wide_low(const struct tile *t, size_t rows) {
  tile_low(t, rows, NV);
}
#endif

static void tile_thin(const struct tile *t, struct ahead *fetch) {
  (void)fetch;
  tile_whole(t, NULL, THIN_MR, 1);
}

static void tile_thin_low(const struct tile *t, size_t rows) {
  tile_low(t, rows, 1);
}

INLINE void tile_next(struct tile *t, size_t rows) {
  t->a.data += rows * t->a.row;
  t->c += rows * t->ldc;
}

/* Whole tiles, then at most `low` rows at a time: where they are not whole,
 * tiles are of nearly equal heights, so that none is too low to keep the
 * multipliers busy. */
INLINE void tile_pieces(struct tile *t, size_t rows, const size_t most,
                        const size_t low,
                        void (*high_tile)(const struct tile *, struct ahead *),
                        void (*low_tile)(const struct tile *, size_t)) {
  for (; t->last == VF && (rows == most || rows >= most + BUSY); rows -= most) {
    high_tile(t, NULL);
    tile_next(t, most);
  }
  while (rows > 0) {
    size_t now = rows > 2 * low ? low : rows > low ? (rows + 1) / 2 : rows;
    if (now > 8 && now % 2 != 0)
      now = now / 2 + 1;
    low_tile(t, now);
    tile_next(t, now);
    rows -= now;
  }
}

static void gemm_tile(const struct left *a, const float *b, size_t ldb,
                      float *c, size_t ldc, size_t rows, size_t cols,
                      int accumulate) {
#if ISA_NUMBER == 3
  /* What fills the narrower vectors, of which two make a cycle. */
  size_t whole = cols > VF ? VF : 0;
  if (cols - whole <= VF / 2) {
    if (whole)
      imgrec__kernels_avx2.gemm_tile(a, b, ldb, c, ldc, rows, whole,
                                     accumulate);
    imgrec__kernels_avx2.gemm_tile(a, b + whole, ldb, c + whole, ldc, rows,
                                   cols - whole, accumulate);
    return;
  }
#endif
  struct tile t = {*a, b, ldb, c, ldc, cols, accumulate, NULL};
#if NV > 1
  if (cols > VF) {
    t.last -= VF;
    tile_pieces(&t, rows, MR, LOW_WIDE, tile_wide, tile_wide_low);
    return;
  }
#endif
  tile_pieces(&t, rows, THIN_MR, THIN_MR, tile_thin, tile_thin_low);
}

/* Whole tiles are finished in their registers; what they leave is of two nearly
 * equal heights. */
static void gemm_tile_finished(const struct left *a, const float *b, size_t ldb,
                               float *c, size_t ldc, size_t rows, size_t cols,
                               const struct epilogue *e) {
  const size_t most = cols == VF ? THIN_MR : MR;
  struct tile t = {*a, b, ldb, c, ldc, VF, 0, e};
  while ((cols == NR || cols == VF) && (rows == most || rows >= 2 * most)) {
#if NV > 1
    if (cols == NR)
      tile_wide(&t, NULL);
    else
#endif
      tile_thin(&t, NULL);
    tile_next(&t, most);
    rows -= most;
  }
  gemm_tile(&t.a, b, ldb, t.c, ldc, rows, cols, 0);
  finish_rows(t.c, ldc, e, rows, cols);
}

enum { AHEAD_ROWS = MR < 8 ? MR : 8 };
#if NV > 1 && MR > 8
static void tile_wide_ahead(const struct tile *t, struct ahead *fetch) {
  tile_whole(t, fetch, AHEAD_ROWS, NV);
}
#else
#define tile_wide_ahead tile_wide
#endif

/* Only where all columns are there, and in tiles that are not done before
 * memory answers. */
static void gemm_tile_ahead(const struct left *a, const float *b, size_t ldb,
                            float *c, size_t ldc, size_t rows, size_t cols,
                            int accumulate, const struct ahead *ahead) {
  struct left rest = *a;
#if NV > 1
  struct ahead next = *ahead;
  const size_t least = AHEAD_ROWS;
  while (cols == NR && rows >= least) {
    size_t now = rows >= MR ? MR : least;
    struct ahead fetch = next;
    const struct tile t = {rest, b, ldb, c, ldc, VF, accumulate, NULL};
    if (now == MR)
      tile_wide(&t, &fetch);
    else
      tile_wide_ahead(&t, &fetch);
    rest.data += now * a->row;
    c += now * ldc;
    rows -= now;
    for (int i = 0; i < AHEAD_STREAMS; i++)
      next.at[i] += now * next.row;
  }
#else
  (void)ahead;
#endif
  gemm_tile(&rest, b, ldb, c, ldc, rows, cols, accumulate);
}
