/**
 * Portable SIMD on GCC/Clang vector extensions: one vector type per element type, as wide as the target.
 *
 *   target    floats per vector (VF)
 *   wasm      4   (simd128; VFMA is a separate multiply and add, or relaxed_madd in the relaxed build)
 *   baseline  4   (x86-64 SSE4.2)
 *   avx2      8   (with FMA)
 *   avx512    16
 *   neon      4   (with FMA)
 */
#ifndef SIMD_H
#define SIMD_H

#include "fwp.h"

#if defined(__SSE4_1__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define VF 16
#elif defined(__AVX__)
#define VF 8
#else
#define VF 4
#endif

typedef f32 vf __attribute__((vector_size(VF * 4)));
typedef i32 vi __attribute__((vector_size(VF * 4)));
typedef u32 vu __attribute__((vector_size(VF * 4)));
/* Unaligned, aliasing views for loads and stores. */
typedef f32 vf_memory __attribute__((vector_size(VF * 4), aligned(4), may_alias));
typedef i32 vi_memory __attribute__((vector_size(VF * 4), aligned(4), may_alias));

INLINE vf vload(const f32 *p) { return *(const vf_memory *)p; }
INLINE void vstore(f32 *p, vf x) { *(vf_memory *)p = x; }
INLINE vi viload(const i32 *p) { return *(const vi_memory *)p; }
INLINE void vistore(i32 *p, vi x) { *(vi_memory *)p = x; }

INLINE vf vset(f32 x) { return x - (vf){0}; }
INLINE vi viset(i32 x) { return x - (vi){0}; }

/**
 * First `n` (1 … VF) floats, the rest is `fill`; reads nothing beyond. Masked where the target can, as tails
 * of short rows are frequent.
 */
INLINE vf vload_first(const f32 *p, i64 n, f32 fill) {
#if defined(__AVX512F__)
  return (vf)_mm512_mask_loadu_ps((__m512)vset(fill), (__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__)
  vi mask = (vi){0, 1, 2, 3, 4, 5, 6, 7} < viset((i32)n);
  return (vf)_mm256_blendv_ps((__m256)vset(fill), _mm256_maskload_ps(p, (__m256i)mask), (__m256)mask);
#else
  union { vf v; f32 s[VF]; } x;
  x.v = vset(fill);
  for (i64 i = 0; i < n; i++) x.s[i] = p[i];
  return x.v;
#endif
}
INLINE void vstore_first(f32 *p, vf v, i64 n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#elif defined(__AVX2__)
  vi mask = (vi){0, 1, 2, 3, 4, 5, 6, 7} < viset((i32)n);
  _mm256_maskstore_ps(p, (__m256i)mask, (__m256)v);
#else
  union { vf v; f32 s[VF]; } x = {.v = v};
  for (i64 i = 0; i < n; i++) p[i] = x.s[i];
#endif
}

/** a * b + c, fused where the target has a fused instruction. */
INLINE vf vfma(vf a, vf b, vf c) {
#if defined(__wasm_relaxed_simd__)
  return __builtin_wasm_relaxed_madd_f32x4(a, b, c);
#else
  return a * b + c; /* contracted to an FMA by -ffp-contract=fast */
#endif
}

/** mask ? a : b, where mask lanes are all ones or all zeros (the result of a vector comparison). */
INLINE vf vselect(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
INLINE vi viselect(vi mask, vi a, vi b) { return (mask & a) | (~mask & b); }

/*
 * Lane-wise maximum and minimum (where a lane is NaN in either, the result is `b`'s), square root, and
 * rounding to integral floats: `vround` to nearest even, `vfloor` down, `vceil` up.
 */
#if defined(__AVX512F__)
INLINE vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vf vsqrt(vf x) { return (vf)_mm512_sqrt_ps((__m512)x); }
INLINE vf vround(vf x) { return (vf)_mm512_roundscale_ps((__m512)x, 8); }
INLINE vf vfloor(vf x) { return (vf)_mm512_roundscale_ps((__m512)x, 9); }
INLINE vf vceil(vf x) { return (vf)_mm512_roundscale_ps((__m512)x, 10); }
#elif defined(__AVX__)
INLINE vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vf vsqrt(vf x) { return (vf)_mm256_sqrt_ps((__m256)x); }
INLINE vf vround(vf x) { return (vf)_mm256_round_ps((__m256)x, 8); }
INLINE vf vfloor(vf x) { return (vf)_mm256_round_ps((__m256)x, 9); }
INLINE vf vceil(vf x) { return (vf)_mm256_round_ps((__m256)x, 10); }
#elif defined(__SSE4_1__)
INLINE vf vmax(vf a, vf b) { return (vf)_mm_max_ps((__m128)a, (__m128)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm_min_ps((__m128)a, (__m128)b); }
INLINE vf vsqrt(vf x) { return (vf)_mm_sqrt_ps((__m128)x); }
INLINE vf vround(vf x) { return (vf)_mm_round_ps((__m128)x, 8); }
INLINE vf vfloor(vf x) { return (vf)_mm_round_ps((__m128)x, 9); }
INLINE vf vceil(vf x) { return (vf)_mm_round_ps((__m128)x, 10); }
#elif defined(__wasm_simd128__)
INLINE vf vmax(vf a, vf b) { return __builtin_wasm_pmax_f32x4(b, a); }
INLINE vf vmin(vf a, vf b) { return __builtin_wasm_pmin_f32x4(b, a); }
INLINE vf vsqrt(vf x) { return __builtin_wasm_sqrt_f32x4(x); }
INLINE vf vround(vf x) { return __builtin_wasm_nearest_f32x4(x); }
INLINE vf vfloor(vf x) { return __builtin_wasm_floor_f32x4(x); }
INLINE vf vceil(vf x) { return __builtin_wasm_ceil_f32x4(x); }
#elif defined(__ARM_NEON)
INLINE vf vmax(vf a, vf b) { return vselect(a > b, a, b); }
INLINE vf vmin(vf a, vf b) { return vselect(a < b, a, b); }
INLINE vf vsqrt(vf x) { return (vf)vsqrtq_f32((float32x4_t)x); }
INLINE vf vround(vf x) { return (vf)vrndnq_f32((float32x4_t)x); }
INLINE vf vfloor(vf x) { return (vf)vrndmq_f32((float32x4_t)x); }
INLINE vf vceil(vf x) { return (vf)vrndpq_f32((float32x4_t)x); }
#else
#error "no SIMD target: build for x86-64 with SSE4.2, arm64 or wasm with simd128"
#endif
INLINE vf vabs(vf x) { return (vf)((vi)x & 0x7fffffff); }

/** True if any lane of a comparison's result is set. */
INLINE int vany(vi mask) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)mask) != 0;
#elif defined(__AVX__)
  return _mm256_movemask_ps((__m256)mask) != 0;
#elif defined(__SSE4_1__)
  return _mm_movemask_ps((__m128)mask) != 0;
#elif defined(__wasm_simd128__)
  return __builtin_wasm_any_true_v128(mask);
#elif defined(__ARM_NEON)
  return vmaxvq_u32((uint32x4_t)mask) != 0;
#endif
}

/** Float to int32 by truncation (in range values only), and back. */
INLINE vi vtoint(vf x) { return __builtin_convertvector(x, vi); }
INLINE vf vtofloat(vi x) { return __builtin_convertvector(x, vf); }

/* Horizontal reductions in a fixed tree order (the order does not depend on threads). */
INLINE f32 vsum(vf x) {
  union { vf v; f32 s[VF]; } y = {.v = x};
  UNROLL for (int width = VF / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; i++) y.s[i] += y.s[i + width];
  }
  return y.s[0];
}
/** The largest lane; where one is NaN, any lane. */
INLINE f32 vmax_across(vf x) {
  union { vf v; f32 s[VF]; } y = {.v = x};
  UNROLL for (int width = VF / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; i++) y.s[i] = y.s[i + width] > y.s[i] ? y.s[i + width] : y.s[i];
  }
  return y.s[0];
}

#endif
