/**
 * Transcendental functions on vectors of floats: polynomials only, no C library, no tables.
 *
 * Unless a comment says otherwise a function is within 2.7 ulp of the exact value (worst over all floats, measured
 * against a float64 reference; 1.5 ulp for most), keeps ±0, ±Inf, NaN, overflow and denormal results right,
 * and gives a lane the same bits whatever the other lanes hold. Polynomial coefficients are weighted minimax
 * fits whose coefficients were rounded to float one at a time, lowest degree first.
 */
#ifndef VECTOR_MATH_H
#define VECTOR_MATH_H

#include "simd.h"

#define VM_INFINITY __builtin_inff()
#define VM_NAN __builtin_nanf("")

/* ---- helpers -------------------------------------------------------------------------------- */

/** Doubles for half a vector of floats, and the matching integers and floats. */
typedef f64 vd __attribute__((vector_size(VF * 4)));
typedef i64 vl __attribute__((vector_size(VF * 4)));
typedef f32 vf_half __attribute__((vector_size(VF * 2)));
typedef i32 vi_half __attribute__((vector_size(VF * 2)));
typedef union { vf whole; vf_half half[2]; } vf_halves;
typedef union { vi whole; vi_half half[2]; } vi_halves;

INLINE vd vdset(f64 x) { return x - (vd){0}; }
INLINE vd vdselect(vl mask, vd a, vd b) { return (vd)((mask & (vl)a) | (~mask & (vl)b)); }

INLINE vf vcopysign(vf magnitude, vf sign) {
  return (vf)(((vi)magnitude & 0x7fffffff) | ((vi)sign & (i32)0x80000000));
}
INLINE vf vneg(vf x) { return (vf)((vi)x ^ (i32)0x80000000); }
/** Limits from one side; NaN stays NaN. */
INLINE vf vat_most(vf x, f32 limit) { return vmin(vset(limit), x); }
INLINE vf vat_least(vf x, f32 limit) { return vmax(vset(limit), x); }

/*
 * Adding 1.5 * 2^23 rounds a float below 2^22 to the nearest integer and leaves that integer in the low
 * bits; no conversion instruction, and no undefined behaviour for NaN.
 */
#define VM_ROUND 12582912.0f
#define VM_ROUND_BITS 0x4b400000
#define VM_ROUND_F64 6755399441055744.0

#define VM_LOG2E 1.44269504f
/* ln 2 in two parts; the first has 9 bits, so that its product with an exponent is exact. */
#define VM_LN2_HIGH 0.693359375f
#define VM_LN2_LOW -2.12194440e-4f

/** x * 2^n for n in [-252, 252], rounded once; `rounded` is n + VM_ROUND. */
INLINE vf vm_scale(vf x, vf rounded) {
#if defined(__AVX512F__)
  return (vf)_mm512_scalef_ps((__m512)x, (__m512)(rounded - VM_ROUND));
#else
  vi n = (vi)rounded - VM_ROUND_BITS;
  vi half = n >> 1;
  return x * (vf)((half + 127) << 23) * (vf)((n - half + 127) << 23);
#endif
}

/** e^r for |r| <= 0.4. */
INLINE vf vm_exp_reduced(vf r) {
  vf square = r * r;
  vf low = vfma(r, vset(0.166665211f), vset(0.49999994f)), high = vfma(r, vset(0.00836866256f), vset(0.0416682549f));
  vf p = vfma(vfma(square, vset(0.00138214685f), high), square, low);
  return vfma(p, square, r) + 1.0f;
}

/* ---- exponentials --------------------------------------------------------------------------- */

INLINE vf vexp(vf x) {
  x = vat_least(vat_most(x, 89.0f), -104.0f);
  vf t = vfma(x, vset(VM_LOG2E), vset(VM_ROUND));
  vf n = t - VM_ROUND;
  vf r = vfma(n, vset(-VM_LN2_LOW), vfma(n, vset(-VM_LN2_HIGH), x));
  return vm_scale(vm_exp_reduced(r), t);
}

/** e^x for x in [-88, 89] or NaN: results below 2^-126 become 0, those from 2^127.5 on infinite. Cheaper than vexp. */
INLINE vf vexp_normal(vf x) {
  vf t = vfma(x, vset(VM_LOG2E), vset(VM_ROUND));
  vf n = t - VM_ROUND;
  vf r = vfma(n, vset(-VM_LN2_LOW), vfma(n, vset(-VM_LN2_HIGH), x));
  /* The bits of VM_ROUND are shifted out; -127 gives 0 and 128 infinity. */
  return vm_exp_reduced(r) * (vf)(((vi)t << 23) + (127 << 23));
}

/** e^x for x <= 0, as softmax needs it: results below 2^-126 become 0. Cheaper than vexp. */
INLINE vf vexp_nonpositive(vf x) { return vexp_normal(vat_least(x, -88.0f)); }

/** e^x - 1, accurate near 0. */
INLINE vf vexpm1(vf x) {
  vf c = vat_least(vat_most(x, 89.0f), -18.0f);
  vf t = vfma(c, vset(VM_LOG2E), vset(VM_ROUND));
  vf n = t - VM_ROUND;
  vf r = vfma(n, vset(-VM_LN2_LOW), vfma(n, vset(-VM_LN2_HIGH), c));
  vf p = vset(0.000197607835f);
  p = vfma(p, r, vset(0.00139323203f));
  p = vfma(p, r, vset(0.00833354704f));
  p = vfma(p, r, vset(0.0416664928f));
  p = vfma(p, r, vset(0.166666657f));
  p = vfma(p, r, vset(0.5f));
  p = vfma(p, r * r, r);
  /* 2^n (1 + p) - 1, with half of 2^n so that n = 128 doesn't overflow before the sum does. */
  vf half = (vf)(((vi)t << 23) + (126 << 23));
  vf y = vfma(half, p, half - 0.5f) * 2.0f;
  return vselect(vabs(x) < 2.98e-8f, x, y);
}

/* ---- logarithms ----------------------------------------------------------------------------- */

/** ln(2^e (1 + f)) + correction, for f in [sqrt(1/2) - 1, sqrt(2) - 1]. */
INLINE vf vm_log_reduced(vf e, vf f, vf correction) {
  vf square = f * f;
  /* Estrin's scheme: the chain of dependent operations is what limits the speed. */
  vf a = vfma(f, vset(-0.250008196f), vset(0.333333313f)), b = vfma(f, vset(-0.166234091f), vset(0.200012416f));
  vf c = vfma(f, vset(-0.131596103f), vset(0.1420158f)), d = vfma(f, vset(-0.0763643906f), vset(0.127622172f));
  vf p = vfma(vfma(d, square, c), square * square, vfma(b, square, a));
  vf y = vfma(square * f, p, correction);
  y = vfma(e, vset(VM_LN2_LOW), y);
  y = vfma(square, vset(-0.5f), y);
  return vfma(e, vset(VM_LN2_HIGH), f + y);
}

/** Splits a positive normal x into 2^exponent * m with m in [sqrt(1/2), sqrt(2)); returns m. */
INLINE vf vm_mantissa(vf x, vi *exponent) {
  vi e = ((vi)x - 0x3f3504f3) >> 23;
  *exponent = e;
  return (vf)((vi)x - (e << 23));
}

/*
 * Logarithms, sines and cosines have a fast form for common arguments and a full one. The masks tell which lanes are
 * uncommon; where a lane isn't, both forms give the same bits.
 */

/** Lanes that are not positive normal floats. */
INLINE vi vm_log_special(vf x) { return (vi)((vu)x - 0x00800000u >= (vu)viset(0x7f000000)); }
/** `y` where 0 < x < Inf, else what a logarithm gives: -Inf at 0, NaN below, Inf and NaN as they are. */
INLINE vf vm_log_limits(vf x, vf y) {
  vf limit = vselect(x == 0.0f, vset(-VM_INFINITY), vselect(x < 0.0f, vset(VM_NAN), x));
  return vselect((x > 0.0f) & (x < VM_INFINITY), y, limit);
}

/** ln(x) for positive normal x. */
INLINE vf vm_log_normal(vf x) {
  vi e;
  vf m = vm_mantissa(x, &e);
  return vm_log_reduced(vtofloat(e), m - 1.0f, vset(0.0f));
}

/** Natural logarithm. */
INLINE vf vlog(vf x) {
  if (LIKELY(!vany(vm_log_special(x)))) return vm_log_normal(x);
  vi denormal = x < 1.17549435e-38f;
  vi e;
  vf m = vm_mantissa(vselect(denormal, x * 8388608.0f, x), &e);
  return vm_log_limits(x, vm_log_reduced(vtofloat(e + (denormal & -23)), m - 1.0f, vset(0.0f)));
}

/** ln(1 + x) for 1 + x positive, accurate near 0. */
INLINE vf vm_log1p_normal(vf x) {
  vf u = x + 1.0f;
  vi e;
  vf m = vm_mantissa(u, &e);
  /* What rounding lost in u, at first order. */
  vf y = vm_log_reduced(vtofloat(e), m - 1.0f, (x - (u - 1.0f)) / u);
  return vselect(u == 1.0f, x, y);
}
INLINE vi vm_log1p_special(vf x) { return vm_log_special(x + 1.0f); }
/** ln(1 + x), accurate near 0. */
INLINE vf vlog1p(vf x) {
  vf y = vm_log1p_normal(x);
  return UNLIKELY(vany(vm_log1p_special(x))) ? vm_log_limits(x + 1.0f, y) : y;
}

/* ---- sigmoid family ------------------------------------------------------------------------- */

/** 1 / (1 + e^-x); results below 2^-127.5 become 0. */
INLINE vf vsigmoid(vf x) {
  return 1.0f / (1.0f + vexp_normal(vneg(vat_most(vat_least(x, -89.0f), 88.0f))));
}

INLINE vf vtanh(vf x) {
  vf a = vabs(x);
  vf s = x * x;
  vf p = vset(-0.0056922962f);
  p = vfma(p, s, vset(0.0206281673f));
  p = vfma(p, s, vset(-0.0537365153f));
  p = vfma(p, s, vset(0.133314058f));
  p = vfma(p, s, vset(-0.333332807f));
  vf small = vfma(p * s, a, a);
  vf e = vexp_normal(vat_most(a, 10.0f) * 2.0f);
  vf large = 1.0f - 2.0f / (e + 1.0f);
  return vcopysign(vselect(a >= 0.625f, large, small), x); /* NaN takes the polynomial */
}

/** ln(1 + e^x) = max(x, 0) + ln(1 + w) with w = e^-|x|; results below 2^-126 become 0. */
INLINE vf vsoftplus(vf x) {
  vf w = vexp_nonpositive((vf)((vi)x | (i32)0x80000000));
  /* ln(1 + w) = 2 atanh(s) */
  vf s = w / (w + 2.0f);
  vf square = s * s;
  vf p = vset(0.280067533f);
  p = vfma(p, square, vset(0.28003028f));
  p = vfma(p, square, vset(0.400214374f));
  p = vfma(p, square, vset(0.666664183f));
  return vfma(p * square, s, s + s) + vat_least(x, 0.0f);
}

/* ---- error function and GELU ---------------------------------------------------------------- */

/** Φ(-a) e^(a²/2) for a in [0, 13.3], with Φ the normal distribution function. */
INLINE vf vm_normal_tail(vf a) {
  vf t = 1.0f / vfma(a, vset(0.3f), vset(1.0f));
  vf p = vset(-0.0205846746f);
  p = vfma(p, t, vset(0.112217464f));
  p = vfma(p, t, vset(-0.227680922f));
  p = vfma(p, t, vset(0.191044629f));
  p = vfma(p, t, vset(-0.0787805021f));
  p = vfma(p, t, vset(0.0957950801f));
  p = vfma(p, t, vset(0.078521125f));
  p = vfma(p, t, vset(0.110205725f));
  p = vfma(p, t, vset(0.11957559f));
  p = vfma(p, t, vset(0.119686484f));
  return p * t;
}

INLINE vf verf(vf x) {
  vf a = vat_most(vabs(x), 4.0f);
  vf s = a * a;
  vf p = vset(7.80690316e-05f);
  p = vfma(p, s, vset(-0.00079978531f));
  p = vfma(p, s, vset(0.0051871622f));
  p = vfma(p, s, vset(-0.0268533472f));
  p = vfma(p, s, vset(0.112835787f));
  p = vfma(p, s, vset(-0.37612626f));
  p = vfma(p, s, vset(0.128379166f));
  vf small = vfma(p, x, x);
  vf large = 1.0f - vm_normal_tail(a * 1.41421356f) * 2.0f * vexp_normal(vneg(s));
  return vselect(a >= 1.0f, vcopysign(large, x), small);
}

/**
 * x Φ(x) = max(x, 0) - |x| Φ(-|x|). Relative error in the left tail at most 5 + x²/2 ulp; the rounding of x²/2 is
 * what counts there.
 */
INLINE vf vgelu(vf x) {
  vf a = vat_most(vabs(x), 14.5f);
  vf tail = vm_normal_tail(a) * a * vexp_nonpositive(a * a * -0.5f);
  return vat_least(x, 0.0f) - tail;
}
/** Derivative Φ(x) + x φ(x); absolute error below 2.5e-7. */
INLINE vf vgelu_grad(vf x) {
  vf c = vat_most(vat_least(x, -14.5f), 14.5f);
  vf e = vexp_nonpositive(c * c * -0.5f);
  vf tail = vm_normal_tail(vabs(c)) * e;
  return vfma(c * 0.398942280f, e, vselect(c < 0.0f, tail, 1.0f - tail));
}

/* x sigmoid(2 u) = x (1 + tanh u) / 2 with u = sqrt(2/π) (x + 0.044715 x³). */
#define VM_GELU_LINEAR 1.59576912f
#define VM_GELU_CUBIC 0.0713548163f
/** The tanh form of GELU; relative error at most 4 + 6 x² ulp left of 0, where the rounding of u is what counts. */
INLINE vf vgelu_tanh(vf x) {
  vf c = vat_least(x, -12.0f);
  return c * vsigmoid(c * vfma(c * c, vset(VM_GELU_CUBIC), vset(VM_GELU_LINEAR)));
}
/** Its derivative σ + x σ (1 - σ) d(2u)/dx with σ = sigmoid(2 u); absolute error below 1e-6. */
INLINE vf vgelu_tanh_grad(vf x) {
  vf c = vat_most(vat_least(x, -12.0f), 12.0f);
  vf s = c * c;
  vf u = c * vfma(s, vset(VM_GELU_CUBIC), vset(VM_GELU_LINEAR));
  vf e = vexp_nonpositive((vf)((vi)u | (i32)0x80000000));
  vf d = 1.0f / (1.0f + e);
  vf slope = vfma(s, vset(3.0f * VM_GELU_CUBIC), vset(VM_GELU_LINEAR));
  return vfma(c * slope, e * d * d, vselect(u < 0.0f, e * d, d));
}

/* ---- sine and cosine ------------------------------------------------------------------------ */

/** x mod π/2 in double for any finite |x| >= 2^20 (Payne and Hanek 1983): 96 bits of x * 2/π. */
NOINLINE f64 vm_reduce_large(f32 x, i32 *quadrant) {
  static const u32 two_over_pi[9] = {0,          0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0,
                                     0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561};
  union { f32 f; u32 u; } bits = {.f = x};
  i32 exponent = (i32)(bits.u >> 23 & 255) - 150;
  u64 mantissa = (bits.u & 0x7fffff) | 0x800000;
  /* Bits of 2/π worth a multiple of 4 after the product are left out: the first one kept is worth 2. */
  i32 first = 32 + exponent - 2;
  i32 word = first >> 5, shift = first & 31;
  u64 w[3];
  for (i32 i = 0; i < 3; i++) {
    w[i] = ((u64)two_over_pi[word + i] << 32 | two_over_pi[word + i + 1]) << shift >> 32;
  }
  u64 low = mantissa * w[2];
  u64 middle = mantissa * w[1] + (low >> 32);
  u64 top = (mantissa * w[0] << 32) + middle;
  /* Units of 2^-62 quarter turns, rounded to the nearest quarter. */
  i64 quarter = (i64)(top + ((u64)1 << 61)) >> 62;
  i64 fraction = (i64)(top - ((u64)quarter << 62));
  f64 r = (f64)fraction * (1.5707963267948966 / 4611686018427387904.0);
  if (bits.u >> 31) {
    *quadrant = (i32)-quarter & 3;
    return -r;
  }
  *quadrant = (i32)quarter & 3;
  return r;
}

/** Lanes of which vm_reduce_small would be wrong; NaN isn't one of them. */
INLINE vi vm_angle_special(vf x) { return vabs(x) >= 1048576.0f; }

/** r in [-π/4, π/4] and the quadrant (0 … 3) with x = r + quadrant π/2 (mod 2π), for |x| < 2^20. */
INLINE vf vm_reduce_small(vf x, vi *quadrant) {
  vf_halves in = {.whole = x}, out;
  vi_halves q;
  UNROLL for (int i = 0; i < 2; i++) {
    vd d = __builtin_convertvector(in.half[i], vd);
    vd t = d * 0.6366197723675814 + VM_ROUND_F64;
    vd n = t - VM_ROUND_F64;
    /* π/2 in two parts; the first has 33 bits, so its product is exact up to n = 2^20. */
    vd r = (d - n * 1.5707963267341256) - n * 6.077100506506192e-11;
    out.half[i] = __builtin_convertvector(r, vf_half);
    q.half[i] = __builtin_convertvector((vl)t & 3, vi_half);
  }
  *quadrant = q.whole;
  return out.whole;
}

/** The same for any x, lane by lane where it is large; NaN for ±Inf. */
NOINLINE vf vm_reduce_any(vf x, vi *quadrant) {
  union { vf v; f32 s[VF]; } input = {.v = x}, reduced;
  union { vi v; i32 s[VF]; } quarters;
  reduced.v = vm_reduce_small(x, &quarters.v);
  for (int i = 0; i < VF; i++) {
    const f32 a = __builtin_fabsf(input.s[i]);
    if (a < 1048576.0f || a != a) continue;
    if (a == VM_INFINITY) reduced.s[i] = VM_NAN;
    else reduced.s[i] = (f32)vm_reduce_large(input.s[i], &quarters.s[i]);
  }
  *quadrant = quarters.v;
  return reduced.v;
}

/** sin(r + quadrant π/2). */
INLINE vf vm_sin_quadrant(vf r, vi quadrant) {
  vf s = r * r;
  vf sine = vset(-0.00019518286f);
  sine = vfma(sine, s, vset(0.00833218917f));
  sine = vfma(sine, s, vset(-0.166666552f));
  sine = vfma(sine * s, r, r);
  vf cosine = vset(2.44323273e-05f);
  cosine = vfma(cosine, s, vset(-0.00138873095f));
  cosine = vfma(cosine, s, vset(0.0416666456f));
  cosine = vfma(s * s, cosine, vfma(s, vset(-0.5f), vset(1.0f)));
  vf y = vselect((quadrant & 1) != 0, cosine, sine);
  return (vf)((vi)y ^ ((quadrant & 2) << 30));
}

INLINE vf vm_sin_small(vf x) {
  vi quadrant;
  vf r = vm_reduce_small(x, &quadrant);
  return vselect(x == 0.0f, x, vm_sin_quadrant(r, quadrant));
}
INLINE vf vm_cos_small(vf x) {
  vi quadrant;
  vf r = vm_reduce_small(x, &quadrant);
  return vm_sin_quadrant(r, quadrant + 1);
}
/** Sine and cosine of any float. */
INLINE vf vsin(vf x) {
  if (LIKELY(!vany(vm_angle_special(x)))) return vm_sin_small(x);
  vi quadrant;
  vf r = vm_reduce_any(x, &quadrant);
  return vselect(x == 0.0f, x, vm_sin_quadrant(r, quadrant));
}
INLINE vf vcos(vf x) {
  if (LIKELY(!vany(vm_angle_special(x)))) return vm_cos_small(x);
  vi quadrant;
  vf r = vm_reduce_any(x, &quadrant);
  return vm_sin_quadrant(r, quadrant + 1);
}

/* ---- power ---------------------------------------------------------------------------------- */

/**
 * x^y through log2 and exp2 in double, within 1 ulp; special values as JavaScript's `**` (NaN for
 * (±1)^±Inf, 1 for x^±0 even if x is NaN).
 */
INLINE vf vpow(vf x, vf y) {
  vf a = vabs(x);
  vi denormal = a < 1.17549435e-38f;
  vi exponent;
  vf_halves m = {.whole = vm_mantissa(vselect(denormal, a * 8388608.0f, a), &exponent)};
  vf_halves e = {.whole = vtofloat(exponent + (denormal & -23))};
  e.whole = vselect(a == 0.0f, vset(-VM_INFINITY), vselect(a < VM_INFINITY, e.whole, a));
  vf_halves power = {.whole = y}, out;
  UNROLL for (int i = 0; i < 2; i++) {
    vd mantissa = __builtin_convertvector(m.half[i], vd);
    /* log2(m) = 2 / ln 2 atanh(s) */
    vd s = (mantissa - 1.0) / (mantissa + 1.0);
    vd square = s * s;
    vd p = square * 0.34074255029374412 + 0.41167200122042324;
    p = p * square + 0.5770835979012845;
    p = p * square + 0.96179667326718554;
    p = p * square + 2.8853900817901534;
    vd t = (s * p + __builtin_convertvector(e.half[i], vd)) * __builtin_convertvector(power.half[i], vd);
    t = vdselect(t > 200.0, vdset(200.0), t);
    t = vdselect(t < -200.0, vdset(-200.0), t);
    vd rounded = t + VM_ROUND_F64;
    vd r = t - (rounded - VM_ROUND_F64);
    vd q = r * 0.00015345788878397596 + 0.0013399957626494591;
    q = q * r + 0.0096184892446519715;
    q = q * r + 0.055503287118061032;
    q = q * r + 0.24022646886078328;
    q = q * r + 0.69314720576713917;
    q = q * r + 1.0000000005550491;
    out.half[i] = __builtin_convertvector((vd)((vl)q + ((vl)rounded << 52)), vf_half);
  }
  vf result = out.whole;
  vi negative = (vi)x >> 31;
  vi integral = vfloor(y) == y;
  vi odd = integral & (vfloor(y * 0.5f) != y * 0.5f);
  result = (vf)((vi)result | (negative & odd & (i32)0x80000000));
  result = vselect((x < 0.0f) & (x > -VM_INFINITY) & ~integral, vset(VM_NAN), result);
  return vselect(y == 0.0f, vset(1.0f), result);
}

#endif
