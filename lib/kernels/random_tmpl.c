/* SPDX-License-Identifier: MIT */
/* Random numbers (Philox4x32-10 of Salmon et al. 2011), as rng.c makes them one
 * by one (a part of isa.c): number i of a stream is a function of seed,
 * stream and i alone. */

/* ---- Philox ------------------------------------------------------------- */

/* The four words of VF indices; while at work in two vectors of 64-bit lanes,
 * of which only the low half counts. */
struct words {
  vu v[4];
};

INLINE vul splat_word(uint64_t s) { return s - (vul){0}; }

INLINE void philox_round(vul c[4], vul k0, vul k1) {
  vul p0 = mul_low(splat_word(0xd2511f53u), c[0]);
  vul p1 = mul_low(splat_word(0xcd9e8d57u), c[2]);
  c[0] = (p1 >> 32) ^ c[1] ^ k0;
  c[2] = (p0 >> 32) ^ c[3] ^ k1;
  c[1] = p1;
  c[3] = p0;
}

/* index: of two vectors. */
static struct words words_at(uint64_t seed, uint64_t stream,
                             const vul index[2]) {
  vul low = splat_word(stream), high = splat_word(stream >> 32);
  vul k0 = splat_word(seed), k1 = splat_word(seed >> 32);
  vul a[4] = {index[0], index[0] >> 32, low, high};
  vul b[4] = {index[1], index[1] >> 32, low, high};
  UNROLL for (int round = 0; round < 10; round++) {
    philox_round(a, k0, k1);
    philox_round(b, k0, k1);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  struct words w;
  for (int i = 0; i < 4; i++)
    w.v[i] = low_halves(a[i], b[i]);
  return w;
}

/* Of VF indices from `first` on. */
static struct words words_of(uint64_t seed, uint64_t stream, uint64_t first) {
  static const uint64_t lanes[] = {0, 1, 2, 3, 4, 5, 6, 7};
  vul index[2];
  memcpy(&index[0], lanes, sizeof index[0]);
  index[0] += first;
  index[1] = index[0] + VD;
  return words_at(seed, stream, index);
}

/* ---- Uniform ------------------------------------------------------------ */

INLINE vf units(uint64_t seed, uint64_t stream, uint64_t first) {
  vu bits = words_of(seed, stream, first).v[0] >> 8;
  return __builtin_convertvector((vi)bits, vf) * 0x1p-24f;
}

static void random_unit(float *u, size_t n, uint64_t seed, uint64_t stream,
                        uint64_t first) {
  for (size_t i = 0; i < n; i += VF)
    store_upto(u + i, units(seed, stream, first + i), n - i < VF ? n - i : VF);
}

static void dropout(float *y, const float *x, size_t n, float rate,
                    uint64_t seed, uint64_t stream, uint64_t first) {
  const vf scale_by = splat(1 / (1 - rate));
  for (size_t i = 0; i < n; i += VF) {
    size_t count = n - i < VF ? n - i : VF;
    vf u = units(seed, stream, first + i);
    vf kept = load_upto(x + i, count) * scale_by;
    store_upto(y + i, vselect(u >= rate, kept, (vf){0}), count);
  }
}

/* ---- Normal, cut at two sigma ------------------------------------------- */

/* exp(-t), in the steps of rng.c. */
INLINE vd exp_minus(vd t) {
  vd x = t * -0x1p-4, sum = 1.0 - (vd){0};
  UNROLL for (int i = 8; i > 0; i--) sum = 1.0 + sum * x / (double)i;
  for (int i = 0; i < 4; i++)
    sum *= sum;
  return sum;
}

/* VD candidates and their chances: ones in the lanes that are accepted. */
INLINE vhi accepted(vhi odd, vhu chance) {
  vd x = __builtin_convertvector(odd, vd) * 0x1p-23;
  vd c = __builtin_convertvector((vhi)(chance ^ 0x80000000u), vd);
  vl refused = (c + 0x1p31) * 0x1p-32 >= exp_minus(x * x / 2.0);
  return __builtin_convertvector(~refused, vhi);
}

/* One draw: z gets candidates in lanes that have none yet. */
INLINE void draw(vf *z, vi *have, vu candidate, vu chance) {
  vi odd = (vi)(candidate >> 8) * 2 + 1 - (1 << 24);
  vhi o[2], ok[2];
  vhu c[2];
  memcpy(o, &odd, sizeof odd);
  memcpy(c, &chance, sizeof chance);
  for (int i = 0; i < 2; i++)
    ok[i] = accepted(o[i], c[i]);
  vi yes;
  memcpy(&yes, ok, sizeof yes);
  *z = vselect(yes & ~*have, __builtin_convertvector(odd, vf) * 0x1p-23f, *z);
  *have |= yes;
}

/* Numbers made together, and attempts at most (as in rng.c). */
enum { NORMALS = 256, ATTEMPTS = 256 };

/* The attempt for n indices, first + offset[i] each: their numbers go to
 * z[offset[i]].  Returns how many have none (and got 0); their offsets are then
 * in front. */
INLINE size_t attempt_normals(float *z, uint64_t *offset, size_t n,
                              uint64_t seed, uint64_t stream, uint64_t first) {
  size_t left = 0;
  for (size_t i = 0; i < n; i += VF) {
    vul index[2];
    memcpy(index, offset + i, sizeof index);
    index[0] += first;
    index[1] += first;
    struct words w = words_at(seed, stream, index);
    vf v = {0};
    vi have = {0};
    draw(&v, &have, w.v[0], w.v[1]);
    draw(&v, &have, w.v[2], w.v[3]);
    for (size_t j = 0; j < VF && i + j < n; j++) {
      uint64_t at = offset[i + j];
      z[at] = v[j];
      offset[left] = at;
      left += (size_t)(have[j] + 1);
    }
  }
  return left;
}

/* One index in six needs another attempt. */
static RARE void random_normal2(float *z, size_t n, uint64_t seed,
                                uint64_t stream, uint64_t first) {
  for (size_t i = 0; i < n; i += NORMALS) {
    uint64_t offset[NORMALS + VF];
    for (uint64_t j = 0; j < NORMALS + VF; j++)
      offset[j] = j;
    size_t left = n - i < NORMALS ? n - i : NORMALS;
    for (uint64_t attempt = 0; attempt < ATTEMPTS && left > 0; attempt++)
      left = attempt_normals(z + i, offset, left, seed, stream ^ attempt << 56,
                             first + i);
  }
}
