/** Transposition of small blocks in registers. */
#ifndef TRANSPOSE_H
#define TRANSPOSE_H

#include "simd.h"

typedef f32 f32x4 __attribute__((vector_size(16)));
typedef f32 f32x4_memory __attribute__((vector_size(16), aligned(4), may_alias));

/*
 * 4 × 4 elements of 4 bytes, transposed in registers: row i of x (rows `in` apart) becomes column i of y (rows `out`
 * apart). With AVX also 8 × 4. No more than 4 rows are written at a time, because rows that lie a multiple of 4 KiB
 * apart compete for the 8 ways of one set of the first-level cache.
 */
INLINE void transpose_4x4(f32 *y, const f32 *x, i64 in, i64 out) {
#define TRANSPOSE_LOAD(i) (*(const f32x4_memory *)(x + (i) * in))
#define TRANSPOSE_STORE(i, v) (*(f32x4_memory *)(y + (i) * out) = (f32x4)(v))
  f32x4 a = TRANSPOSE_LOAD(0), b = TRANSPOSE_LOAD(1), c = TRANSPOSE_LOAD(2), d = TRANSPOSE_LOAD(3);
#if defined(__SSE4_1__)
  __m128 ab_low = _mm_unpacklo_ps((__m128)a, (__m128)b), ab_high = _mm_unpackhi_ps((__m128)a, (__m128)b);
  __m128 cd_low = _mm_unpacklo_ps((__m128)c, (__m128)d), cd_high = _mm_unpackhi_ps((__m128)c, (__m128)d);
#define TRANSPOSE_LOW(p, q) _mm_movelh_ps(p, q)
#define TRANSPOSE_HIGH(p, q) _mm_movehl_ps(q, p)
#elif defined(__ARM_NEON)
  float32x4_t ab_low = vzip1q_f32((float32x4_t)a, (float32x4_t)b), ab_high = vzip2q_f32((float32x4_t)a, (float32x4_t)b);
  float32x4_t cd_low = vzip1q_f32((float32x4_t)c, (float32x4_t)d), cd_high = vzip2q_f32((float32x4_t)c, (float32x4_t)d);
#define TRANSPOSE_LOW(p, q) vzip1q_f64((float64x2_t)(p), (float64x2_t)(q))
#define TRANSPOSE_HIGH(p, q) vzip2q_f64((float64x2_t)(p), (float64x2_t)(q))
#else
  f32x4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  f32x4 ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  f32x4 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  f32x4 cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
#define TRANSPOSE_LOW(p, q) __builtin_shufflevector(p, q, 0, 1, 4, 5)
#define TRANSPOSE_HIGH(p, q) __builtin_shufflevector(p, q, 2, 3, 6, 7)
#endif
  TRANSPOSE_STORE(0, TRANSPOSE_LOW(ab_low, cd_low));
  TRANSPOSE_STORE(1, TRANSPOSE_HIGH(ab_low, cd_low));
  TRANSPOSE_STORE(2, TRANSPOSE_LOW(ab_high, cd_high));
  TRANSPOSE_STORE(3, TRANSPOSE_HIGH(ab_high, cd_high));
}

#if defined(__AVX__)
INLINE __m256 transpose_halves(const f32 *low, const f32 *high) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
}
INLINE void transpose_8x4(f32 *y, const f32 *x, i64 in, i64 out) {
  __m256 a = transpose_halves(x, x + 4 * in), b = transpose_halves(x + in, x + 5 * in);
  __m256 c = transpose_halves(x + 2 * in, x + 6 * in), d = transpose_halves(x + 3 * in, x + 7 * in);
  __m256 ab_low = _mm256_unpacklo_ps(a, b), ab_high = _mm256_unpackhi_ps(a, b);
  __m256 cd_low = _mm256_unpacklo_ps(c, d), cd_high = _mm256_unpackhi_ps(c, d);
  _mm256_storeu_ps(y, _mm256_shuffle_ps(ab_low, cd_low, 0x44));
  _mm256_storeu_ps(y + out, _mm256_shuffle_ps(ab_low, cd_low, 0xee));
  _mm256_storeu_ps(y + 2 * out, _mm256_shuffle_ps(ab_high, cd_high, 0x44));
  _mm256_storeu_ps(y + 3 * out, _mm256_shuffle_ps(ab_high, cd_high, 0xee));
}
#endif

/** y[j · out + i] = x[i · in + j] for i < rows, j < columns. */
INLINE void transpose_block(f32 *y, const f32 *x, i64 rows, i64 columns, i64 in, i64 out) {
  i64 j = 0;
  for (; j + 4 <= columns; j += 4) {
    i64 i = 0;
#if defined(__AVX__)
    for (; i + 8 <= rows; i += 8) transpose_8x4(y + j * out + i, x + i * in + j, in, out);
#endif
    for (; i + 4 <= rows; i += 4) transpose_4x4(y + j * out + i, x + i * in + j, in, out);
    for (; i < rows; i++) {
      for (i64 k = j; k < j + 4; k++) y[k * out + i] = x[i * in + k];
    }
  }
  for (; j < columns; j++) {
    for (i64 i = 0; i < rows; i++) y[j * out + i] = x[i * in + j];
  }
}

#endif
