/* SPDX-License-Identifier: MIT */
/* Decimal text to f32, correctly rounded for any number of digits. */
#include "base.h"

#include <float.h>
#include <string.h>

/* Little-endian words.  The largest number here is a denominator of
 * 10^(DIGITS + MAGNITUDE), shifted: below 2^700. */
#define WORDS 24

struct big {
  uint32_t w[WORDS];
};

static void multiply_add(struct big *b, uint32_t factor, uint32_t addend) {
  uint64_t carry = addend;
  for (int i = 0; i < WORDS; i++) {
    carry += (uint64_t)b->w[i] * factor;
    b->w[i] = (uint32_t)carry;
    carry >>= 32;
  }
}

static void shift_left(struct big *b, int bits) {
  for (; bits >= 31; bits -= 31)
    multiply_add(b, (uint32_t)1 << 31, 0);
  multiply_add(b, (uint32_t)1 << bits, 0);
}

static int bit_length(const struct big *b) {
  for (int i = WORDS - 1; i >= 0; i--)
    for (int bit = 31; bit >= 0; bit--)
      if (b->w[i] >> bit & 1)
        return i * 32 + bit + 1;
  return 0;
}

/* a -= b where a >= b; says whether it was. */
static int subtract(struct big *a, const struct big *b) {
  struct big difference;
  uint64_t borrow = 0;
  for (int i = 0; i < WORDS; i++) {
    uint64_t x = (uint64_t)a->w[i] - b->w[i] - borrow;
    difference.w[i] = (uint32_t)x;
    borrow = x >> 63;
  }
  if (borrow == 0)
    *a = difference;
  return borrow == 0;
}

/* 2^e for e of a double's normal range. */
static double power_of_two(int e) {
  uint64_t bits = (uint64_t)(e + 1023) << 52;
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Round to nearest, ties to even, of q * 2^lsb, `sticky` saying that a little
 * more was cut off below.  q < 2^27, and for a subnormal result lsb is -151. */
static double round_to_float(uint32_t q, int lsb, int sticky) {
  int drop = 2;
  while (q >> drop >= (uint32_t)1 << 24)
    drop++;
  uint32_t kept = q >> drop, cut = q & (((uint32_t)1 << drop) - 1);
  uint32_t half = (uint32_t)1 << (drop - 1);
  if (cut > half || (cut == half && (sticky || (kept & 1) != 0)))
    kept++;
  return kept * power_of_two(lsb + drop);
}

/* n / d, by long division in binary to 26 or 27 significant bits. */
static double divide(struct big *n, struct big *d) {
  static const struct big zero;
  int exponent = bit_length(n) - bit_length(d);
  int lsb = exponent > -125 ? exponent - 26 : -151;
  if (lsb > 0)
    shift_left(d, lsb);
  else
    shift_left(n, -lsb);
  uint32_t q = 0;
  shift_left(d, 27);
  for (int i = 0; i <= 27; i++) {
    q = q << 1 | (uint32_t)subtract(n, d);
    shift_left(n, 1);
  }
  return round_to_float(q, lsb, memcmp(n, &zero, sizeof zero) != 0);
}

/* The midpoint between two neighbouring f32 has at most 112 digits: those
 * beyond DIGITS matter only in whether they are all zero. */
#define DIGITS 120
/* Beyond 10^+-MAGNITUDE all is out of range, or nearest to zero. */
#define MAGNITUDE 60

/* digits * 10^exponent; `count` is how many were significant. */
struct decimal {
  struct big digits;
  int64_t exponent;
  int count, negative, cut;
};

static void add_digit(struct decimal *d, char c, int behind_point) {
  d->exponent -= behind_point;
  if (c == '0' && d->count == 0)
    return;
  if (d->count < DIGITS) {
    multiply_add(&d->digits, 10, (uint32_t)(c - '0'));
    d->count++;
  } else {
    d->cut |= c != '0';
    d->exponent++;
  }
}

/* "e-12" in s[i..n); an exponent beyond all sense stays at its bound. */
static int read_exponent(const char *s, size_t i, size_t n, int64_t *out) {
  const int64_t bound = INT64_MAX / 4;
  int64_t x = 0;
  int negative = i + 1 < n && s[i + 1] == '-';
  i += 1 + (size_t)(negative || (i + 1 < n && s[i + 1] == '+'));
  if (i >= n)
    return 0;
  for (; i < n; i++) {
    if (s[i] < '0' || s[i] > '9')
      return 0;
    x = x > bound / 10 ? bound : x * 10 + (s[i] - '0');
  }
  *out += negative ? -x : x;
  return 1;
}

static int read_decimal(const char *s, size_t n, struct decimal *d) {
  size_t i = n > 0 && (s[0] == '-' || s[0] == '+'), seen = 0;
  int point = 0;
  d->negative = i == 1 && s[0] == '-';
  for (; i < n && s[i] != 'e' && s[i] != 'E'; i++) {
    if (s[i] == '.' && !point) {
      point = 1;
    } else if (s[i] >= '0' && s[i] <= '9') {
      add_digit(d, s[i], point);
      seen++;
    } else {
      return 0;
    }
  }
  if (seen == 0)
    return 0;
  return i == n || read_exponent(s, i, n, &d->exponent);
}

static double magnitude(struct decimal *d) {
  struct big denominator = {{1}};
  if (d->cut) {
    multiply_add(&d->digits, 10, 1);
    d->exponent--;
  }
  for (; d->exponent > 0; d->exponent--)
    multiply_add(&d->digits, 10, 0);
  for (; d->exponent < 0; d->exponent++)
    multiply_add(&denominator, 10, 0);
  return divide(&d->digits, &denominator);
}

int imgrec__parse_float(const char *s, size_t n, float *out) {
  struct decimal d = {.count = 0};
  double x = 0;
  if (!read_decimal(s, n, &d))
    return 0;
  if (d.count != 0 && d.exponent + d.count > MAGNITUDE)
    return 0;
  if (d.count != 0 && d.exponent + d.count > -MAGNITUDE)
    x = magnitude(&d);
  if (x > (double)FLT_MAX)
    return 0;
  *out = (float)(d.negative ? -x : x);
  return 1;
}
