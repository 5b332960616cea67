/**
 * Words of a counter-based random stream, for every kernel that draws: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel
 * random numbers: as easy as 1, 2, 3", SC 2011). Block i of a stream is a function of (key, stream, i) only.
 */
#ifndef RANDOM_H
#define RANDOM_H

#include "vector-math.h"

#define PHILOX_M0 0xd2511f53u
#define PHILOX_M1 0xcd9e8d57u
#define PHILOX_W0 0x9e3779b9u
#define PHILOX_W1 0xbb67ae85u

/** Words that are generated before they are transformed; they stay in the first-level cache. */
#define RANDOM_BATCH 1024 /* a multiple of PHILOX_WORDS */

typedef u64 vul __attribute__((vector_size(VF * 4)));
typedef u64 vul_unaligned __attribute__((vector_size(VF * 4), aligned(4), may_alias));

/** Keeps the compiler from fusing what was computed into x with what follows. */
#if defined(__x86_64__)
#define UNFUSED(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define UNFUSED(x) __asm__("" : "+w"(x))
#elif defined(__wasm_relaxed_simd__)
#define UNFUSED(x) __asm__("" : "+r"(x))
#else
#define UNFUSED(x) (void)0 /* plain WebAssembly has no fused operation */
#endif
INLINE vd product(vd a, vd b) {
  vd p = a * b;
  UNFUSED(p);
  return p;
}
INLINE vf product_f32(vf a, vf b) {
  vf p = a * b;
  UNFUSED(p);
  return p;
}

/* ---- Philox --------------------------------------------------------------------------------- */

typedef struct {
  void *out;
  i64 count;
  u64 block;
  u32 stream[2];
  u32 keys[10][2];
  /* Parameters of the distribution. */
  f32 p, q, r;
  u64 integer;
  i32 offset;
} random_job;

static random_job random_job_of(const f64 *arg) {
  random_job job = {.out = U8(0), .count = INT(1), .block = (u64)arg[2] | (u64)arg[3] << 32,
                    .stream = {(u32)arg[4], (u32)arg[5]}};
  u32 k0 = (u32)arg[6], k1 = (u32)arg[7];
  for (int round = 0; round < 10; round++, k0 += PHILOX_W0, k1 += PHILOX_W1) {
    job.keys[round][0] = k0;
    job.keys[round][1] = k1;
  }
  return job;
}

#if defined(__wasm_simd128__)

/** Words per call of philox_blocks. */
#define PHILOX_WORDS (4 * VF)

typedef u64 random_products __attribute__((vector_size(16)));

/** 64-bit products of the lower or upper two lanes. Clang has no builtin, and i64x2.mul is several times slower. */
#define EXTENDED_PRODUCT(which, result, a, b)                                                         \
  __asm__("local.get %1\n\tlocal.get %2\n\ti64x2.extmul_" which "_i32x4_u\n\tlocal.set %0"            \
          : "=r"(result)                                                                              \
          : "r"(a), "r"(b))

/** Products of 32-bit lanes with m: their low halves, and their high halves. */
INLINE vu multiply_words(vu a, u32 m, vu *high) {
  const vu factor = (vu){0} + m;
  random_products first, second;
  EXTENDED_PRODUCT("low", first, a, factor);
  EXTENDED_PRODUCT("high", second, a, factor);
  *high = __builtin_shufflevector((vu)first, (vu)second, 1, 3, 5, 7);
  return __builtin_shufflevector((vu)first, (vu)second, 0, 2, 4, 6);
}

/** Words of four consecutive blocks, in order, to words[0 … 16). */
INLINE void philox_blocks(const random_job *job, u64 block, u32 *words) {
  const u64 b[4] = {block, block + 1, block + 2, block + 3};
  vu x0 = {(u32)b[0], (u32)b[1], (u32)b[2], (u32)b[3]};
  vu x1 = {(u32)(b[0] >> 32), (u32)(b[1] >> 32), (u32)(b[2] >> 32), (u32)(b[3] >> 32)};
  vu x2 = (vu){0} + job->stream[0], x3 = (vu){0} + job->stream[1];
  UNROLL for (int round = 0; round < 10; round++) {
    vu high0, high1;
    const vu low0 = multiply_words(x0, PHILOX_M0, &high0), low1 = multiply_words(x2, PHILOX_M1, &high1);
    x0 = high1 ^ x1 ^ job->keys[round][0];
    x2 = high0 ^ x3 ^ job->keys[round][1];
    x1 = low1;
    x3 = low0;
  }
  /* Four by four transpose. */
  const vu a = __builtin_shufflevector(x0, x1, 0, 4, 1, 5), b01 = __builtin_shufflevector(x0, x1, 2, 6, 3, 7);
  const vu c = __builtin_shufflevector(x2, x3, 0, 4, 1, 5), d = __builtin_shufflevector(x2, x3, 2, 6, 3, 7);
  vistore((i32 *)words, (vi)__builtin_shufflevector(a, c, 0, 1, 4, 5));
  vistore((i32 *)words + 4, (vi)__builtin_shufflevector(a, c, 2, 3, 6, 7));
  vistore((i32 *)words + 8, (vi)__builtin_shufflevector(b01, d, 0, 1, 4, 5));
  vistore((i32 *)words + 12, (vi)__builtin_shufflevector(b01, d, 2, 3, 6, 7));
}

#else

#define PHILOX_WORDS (2 * VF)

/** Products of the low halves of 64-bit lanes with m; the high halves are ignored. */
INLINE vul multiply_low_halves(vul a, u32 m) {
#if defined(__AVX512F__)
  return (vul)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(m));
#elif defined(__AVX2__)
  return (vul)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(m));
#elif defined(__SSE4_1__)
  return (vul)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x(m));
#elif defined(__ARM_NEON)
  return (vul)vmull_u32(vmovn_u64((uint64x2_t)a), vdup_n_u32(m));
#endif
}

#if VF == 16
#define INTERLEAVE_LOW(a, b) RANDOM_SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define INTERLEAVE_HIGH(a, b) RANDOM_SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#elif VF == 8
#define INTERLEAVE_LOW(a, b) RANDOM_SHUFFLE(a, b, 0, 4, 1, 5)
#define INTERLEAVE_HIGH(a, b) RANDOM_SHUFFLE(a, b, 2, 6, 3, 7)
#else
#define INTERLEAVE_LOW(a, b) RANDOM_SHUFFLE(a, b, 0, 2)
#define INTERLEAVE_HIGH(a, b) RANDOM_SHUFFLE(a, b, 1, 3)
#endif
#if defined(__clang__)
#define RANDOM_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define RANDOM_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vul){__VA_ARGS__})
#endif

/** Words of VF / 2 consecutive blocks, in order, to words[0 … 2 VF). */
INLINE void philox_blocks(const random_job *job, u64 block, u32 *words) {
  vul counter;
  for (int k = 0; k < VF / 2; k++) counter[k] = block + (u64)k;
  /* Each lane holds one word in its low half; what is in the high half doesn't matter. */
  vul x0 = counter, x1 = counter >> 32;
  vul x2 = (vul){0} + job->stream[0], x3 = (vul){0} + job->stream[1];
  UNROLL for (int round = 0; round < 10; round++) {
    const vul p0 = multiply_low_halves(x0, PHILOX_M0), p1 = multiply_low_halves(x2, PHILOX_M1);
    x0 = (p1 >> 32) ^ x1 ^ (u64)job->keys[round][0];
    x2 = (p0 >> 32) ^ x3 ^ (u64)job->keys[round][1];
    x1 = p1;
    x3 = p0;
  }
  const vul first = (x0 & 0xffffffffu) | x1 << 32, second = (x2 & 0xffffffffu) | x3 << 32;
  *(vul_unaligned *)words = INTERLEAVE_LOW(first, second);
  *(vul_unaligned *)(words + VF) = INTERLEAVE_HIGH(first, second);
}

#endif

/** At least `count` words from word `first` (a multiple of 4) of the stream; writes up to PHILOX_WORDS - 1 more. */
static void random_words(const random_job *job, i64 first, i64 count, u32 *words) {
  for (i64 i = 0; i < count; i += PHILOX_WORDS) philox_blocks(job, job->block + (u64)(first + i) / 4, words + i);
}

#endif
