/**
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). Block i of a stream is a function of (key, stream, i) only, so that any part of a tensor can be
 * drawn by any thread. src/random has the same algorithms in TypeScript, and both give the same bits on every target:
 * the arithmetic consists of correctly rounded operations only (+, -, *, /, sqrt), none of which may be contracted.
 *
 *   name   (out, count, block low, block high, stream low, stream high, key low, key high, …)
 *
 * Element i comes from word i of the stream that starts at the given block of four words, unless a comment says
 * otherwise.
 */
#include "elementwise.h"

#define PHILOX_M0 0xd2511f53u
#define PHILOX_M1 0xcd9e8d57u
#define PHILOX_W0 0x9e3779b9u
#define PHILOX_W1 0xbb67ae85u

/** Elements per chunk of a parallel loop. */
#define RANDOM_GRAIN (1 << 14)
/** Words that are generated before they are transformed; they stay in the first-level cache. */
#define RANDOM_BATCH 1024

typedef u64 vul __attribute__((vector_size(VF * 4)));
typedef u64 vul_unaligned __attribute__((vector_size(VF * 4), aligned(4), may_alias));

/** Keeps the compiler from fusing what was computed into x with what follows. */
#if defined(__x86_64__)
#define UNFUSED(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define UNFUSED(x) __asm__("" : "+w"(x))
#else
#define UNFUSED(x) __asm__("" : "+r"(x))
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
#else
  return (a & 0xffffffffu) * (u64)m;
#endif
}

#if VF == 16
#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#elif VF == 8
#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 2)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 1, 3)
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

/** At least `count` words from word `first` (a multiple of 4) of the stream; writes up to 2 VF - 1 more. */
static void random_words(const random_job *job, i64 first, i64 count, u32 *words) {
  for (i64 i = 0; i < count; i += 2 * VF) philox_blocks(job, job->block + (u64)(first + i) / 4, words + i);
}

/** Draws words in batches and calls `transform` on them: words w, n of them, for elements from position i on. */
#define RANDOM_KERNEL(name, words_per_element, parameters)                                            \
  RANGE_FUNCTION(name) {                                                                              \
    const random_job *job = context;                                                                  \
    _Alignas(64) u32 words[RANDOM_BATCH + 2 * VF];                                                    \
    for (i64 i = begin; i < end; i += RANDOM_BATCH / words_per_element) {                             \
      const i64 n = MIN(RANDOM_BATCH / words_per_element, end - i);                                   \
      random_words(job, i * words_per_element, n * words_per_element, words);                         \
      name##_batch(job, words, i, n);                                                                 \
    }                                                                                                 \
  }                                                                                                   \
  KERNEL(name) {                                                                                      \
    random_job job = random_job_of(arg);                                                              \
    parameters;                                                                                       \
    fwp_parallel_for(job.count, RANDOM_GRAIN, name##_range, &job);                                    \
    return OK;                                                                                        \
  }

/* ---- distributions -------------------------------------------------------------------------- */

static void random_bits_batch(const random_job *job, const u32 *words, i64 i, i64 n) {
  copy_bytes((u32 *)job->out + i, words, n * 4);
}
/** (…): 32 random bits as int32. */
RANDOM_KERNEL(random_bits, 1, (void)0)

static void random_uniform_batch(const random_job *job, const u32 *words, i64 i, i64 n) {
  f32 *out = (f32 *)job->out + i;
  for (i64 k = 0; k < n; k += VF) {
    const vf unit = __builtin_convertvector((vi)(*(const vu *)(words + k) >> 8), vf) * 0x1p-24f;
    const vf y = vmin(product_f32(unit, vset(job->q)) + job->p, vset(job->r));
    if (n - k >= VF) vstore(out + k, y);
    else vstore_first(out + k, y, n - k);
  }
}
/** (…, low, range, greatest): min(low + range u, greatest) with u the upper 24 bits of a word as a fraction. */
RANDOM_KERNEL(random_uniform, 1, (job.p = NUM(8), job.q = NUM(9), job.r = NUM(10)))

/** -2 ln(u) for u in (0, 1). */
INLINE vd minus_two_log(vd u) {
  /* u = 2^e m with m in [sqrt(1/2), sqrt(2)); 64 keeps the shifted exponent positive. */
  const vul shifted = ((vul)u - 0x3fe6a09e00000000u + ((u64)64 << 52)) >> 52;
  const vd m = (vd)((vul)u - ((shifted - 64) << 52));
  const vd e = (vd)(shifted | 0x4330000000000000u) - (0x1p52 + 64.0);
  const vd s = (m - 1.0) / (m + 1.0);
  const vd x = s * s;
  vd p = product(x, vdset(-0.47236947856634615)) - 0.57069857408139701;
  p = product(p, x) - 0.80000773765358979;
  p = product(p, x) - 1.3333333046943434;
  p = product(p, x) - 4.0000000000169491;
  return product(p, s) - product(e, vdset(1.3862943611198906));
}

INLINE vd vdsqrt(vd x) {
#if defined(__AVX512F__)
  return (vd)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX__)
  return (vd)_mm256_sqrt_pd((__m256d)x);
#elif defined(__SSE4_1__)
  return (vd)_mm_sqrt_pd((__m128d)x);
#elif defined(__wasm_simd128__)
  return __builtin_wasm_sqrt_f64x2(x);
#elif defined(__ARM_NEON)
  return (vd)vsqrtq_f64((float64x2_t)x);
#endif
}

/** Integers below 2^52 in 64-bit lanes as doubles. */
INLINE vd double_of(vul x) { return (vd)(x | 0x4330000000000000u) - 0x1p52; }

/** Box and Muller: two normal numbers from two words per lane (low half, high half), in the same places. */
INLINE vf normal_pairs(vul words) {
  const vd u = product(double_of(words & 0xffffffffu) + 0.5, vdset(0x1p-32));
  const vd radius = vdsqrt(minus_two_log(u));
  /* The angle in quarter turns, split into the nearest whole one and a rest in [-1/2, 1/2]; all exact. */
  const vd turns = product(double_of(words >> 32), vdset(0x1p-30));
  const vd rounded = turns + VM_ROUND_F64;
  const vd r = turns - (rounded - VM_ROUND_F64);
  const vd x = r * r;
  vd sine = product(x, vdset(0.00015819507355677661)) - 0.0046812606273191502;
  sine = product(sine, x) + 0.0796925818428737;
  sine = product(sine, x) - 0.64596409610241889;
  sine = product(sine, x) + 1.5707963267877501;
  sine = product(sine, r);
  vd cosine = product(x, vdset(0.00090336297933544759)) - 0.020859936029454067;
  cosine = product(cosine, x) + 0.25366918259626053;
  cosine = product(cosine, x) - 1.2337005395647667;
  cosine = product(cosine, x) + 0.9999999999439374;
  const vul quarter = (vul)rounded;
  const vl odd = (vl)((quarter & 1) == 1);
  const vd first = (vd)((vul)vdselect(odd, sine, cosine) ^ ((quarter + 1) & 2) << 62);
  const vd second = (vd)((vul)vdselect(odd, cosine, sine) ^ (quarter & 2) << 62);
  union { vf_half f[2]; vf v; } y;
  const vf_half z0 = __builtin_convertvector(product(first, radius), vf_half);
  const vf_half z1 = __builtin_convertvector(product(second, radius), vf_half);
  UNROLL for (int k = 0; k < VF / 2; k++) {
    y.v[2 * k] = z0[k];
    y.v[2 * k + 1] = z1[k];
  }
  return y.v;
}
static void random_normal_batch(const random_job *job, const u32 *words, i64 i, i64 n) {
  f32 *out = (f32 *)job->out + i;
  for (i64 k = 0; k < n; k += VF) {
    const vf y = product_f32(normal_pairs(*(const vul_unaligned *)(words + k)), vset(job->q)) + job->p;
    if (n - k >= VF) vstore(out + k, y);
    else vstore_first(out + k, y, n - k);
  }
}
/** (…, mean, standard deviation): elements 2 k and 2 k + 1 from words 2 k and 2 k + 1. */
RANDOM_KERNEL(random_normal, 1, (job.p = NUM(8), job.q = NUM(9)))

/** The normal number with distribution function 1/2 + q, for |q| < Φ(2) - 1/2. */
INLINE vd inverse_normal(vd q) {
  const vd x = q * q;
  vd n = product(x, vdset(-41.70019633475434)) + 227.959169031318;
  n = product(n, x) - 281.6275711845524;
  n = product(n, x) + 140.06669024070865;
  n = product(n, x) - 30.83787588488407;
  n = product(n, x) + 2.5066282783269567;
  vd d = product(x, vdset(-56.7317603139171)) + 166.11696762650698;
  d = product(d, x) - 158.60300285428795;
  d = product(d, x) + 67.55537811946039;
  d = product(d, x) - 13.34972948566154;
  d = product(d, x) + 1.0;
  return product(q, n) / d;
}
static void random_truncated_normal_batch(const random_job *job, const u32 *words, i64 i, i64 n) {
  f32 *out = (f32 *)job->out + i;
  for (i64 k = 0; k < n; k += VF) {
    union { vf whole; f32 s[VF]; } z;
    const vul pairs = *(const vul_unaligned *)(words + k);
    UNROLL for (int half = 0; half < 2; half++) {
      const vul word = half ? pairs >> 32 : pairs & 0xffffffffu;
      const vd u = product(double_of(word) + 0.5, vdset(0x1p-32)) - 0.5;
      const vf_half y = __builtin_convertvector(inverse_normal(product(u, vdset(0.9544997361036416))), vf_half);
      UNROLL for (int j = 0; j < VF / 2; j++) z.s[2 * j + half] = y[j];
    }
    const vf y = product_f32(z.whole, vset(job->q)) + job->p;
    if (n - k >= VF) vstore(out + k, y);
    else vstore_first(out + k, y, n - k);
  }
}
/** (…, mean, standard deviation): normal numbers within two standard deviations, by inversion. */
RANDOM_KERNEL(random_truncated_normal, 1, (job.p = NUM(8), job.q = NUM(9)))

static void random_bernoulli_batch(const random_job *job, const u32 *words, i64 i, i64 n) {
  f32 *restrict out = (f32 *)job->out + i;
  const u32 threshold = (u32)MIN(job->integer, 0xffffffffu);
  const u32 always = job->integer > 0xffffffffu;
  const f32 value = job->p;
  for (i64 k = 0; k < n; k++) out[k] = (words[k] < threshold) | always ? value : 0.0f;
}
/** (…, threshold, value): value where a word is below the threshold (0 … 2^32), else 0; float32. */
RANDOM_KERNEL(random_bernoulli, 1, (job.integer = (u64)arg[8], job.p = NUM(9)))

static void random_bernoulli_bool_batch(const random_job *job, const u32 *words, i64 i, i64 n) {
  u8 *restrict out = (u8 *)job->out + i;
  const u32 threshold = (u32)MIN(job->integer, 0xffffffffu);
  const u32 always = job->integer > 0xffffffffu;
  for (i64 k = 0; k < n; k++) out[k] = (u8)((words[k] < threshold) | always);
}
/** (…, threshold): 1 where a word is below the threshold, else 0; bool. */
RANDOM_KERNEL(random_bernoulli_bool, 1, job.integer = (u64)arg[8])

/** floor(range w / 2^64) for the 64-bit number w of two words; range is at most 2^32, the bias below 2^-32. */
INLINE u64 scale_to_range(u32 low, u32 high, u64 range) { return (high * range + (low * range >> 32)) >> 32; }

static void random_integers_batch(const random_job *job, const u32 *words, i64 i, i64 n) {
  i32 *out = (i32 *)job->out + i;
  for (i64 k = 0; k < n; k++) {
    out[k] = (i32)((u32)job->offset + (u32)scale_to_range(words[2 * k], words[2 * k + 1], job->integer));
  }
}
/** (…, low, range): integers from low on, each from two words. */
RANDOM_KERNEL(random_integers, 2, (job.offset = (i32)arg[8], job.integer = (u64)arg[9]))

/**
 * (…): a permutation of 0 … count - 1, by Fisher and Yates from the end; the k-th exchange takes words 2 k and
 * 2 k + 1.
 */
KERNEL(random_permutation) {
  const random_job job = random_job_of(arg);
  i32 *out = job.out;
  _Alignas(64) u32 words[RANDOM_BATCH + 2 * VF];
  for (i64 i = 0; i < job.count; i++) out[i] = (i32)i;
  for (i64 first = 0; first < job.count - 1; first += RANDOM_BATCH / 2) {
    const i64 n = MIN(RANDOM_BATCH / 2, job.count - 1 - first);
    random_words(&job, 2 * first, 2 * n, words);
    for (i64 k = 0; k < n; k++) {
      const i64 last = job.count - 1 - (first + k);
      const i64 other = (i64)scale_to_range(words[2 * k], words[2 * k + 1], (u64)last + 1);
      const i32 moved = out[last];
      out[last] = out[other];
      out[other] = moved;
    }
  }
  return OK;
}

#define RANDOM_KERNELS(ENTRY)                                                                         \
  ENTRY(random_bits, 8) ENTRY(random_uniform, 11) ENTRY(random_normal, 10)                            \
  ENTRY(random_truncated_normal, 10) ENTRY(random_bernoulli, 10) ENTRY(random_bernoulli_bool, 9)      \
  ENTRY(random_integers, 10) ENTRY(random_permutation, 8)
