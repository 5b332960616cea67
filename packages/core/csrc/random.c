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
#include "random.h"

/** Elements per chunk of a parallel loop. */
#define RANDOM_GRAIN (1 << 14)

/** Draws words in batches and calls `transform` on them: words w, n of them, for elements from position i on. */
#define RANDOM_KERNEL(name, words_per_element, parameters)                                            \
  RANGE_FUNCTION(name) {                                                                              \
    const random_job *job = context;                                                                  \
    _Alignas(64) u32 words[RANDOM_BATCH + 4 * VF];                                                    \
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

/**
 * out[i … i + n) = expression of `words + k` (VF words). Whole groups of vectors are computed, from words that may be
 * left over from earlier batches at the end, because V8 needs several vectors to share the constants.
 */
#define RANDOM_BATCH_LOOP(expression)                                                                 \
  {                                                                                                   \
    f32 *out = (f32 *)job->out + i;                                                                   \
    for (i64 first = 0; first < n; first += ELEMENTWISE_UNROLL * VF) {                                \
      vf y[ELEMENTWISE_UNROLL];                                                                       \
      UNROLL for (int u = 0; u < ELEMENTWISE_UNROLL; u++) {                                           \
        const i64 k = first + u * VF;                                                                 \
        y[u] = expression;                                                                            \
      }                                                                                               \
      UNROLL for (int u = 0; u < ELEMENTWISE_UNROLL; u++) {                                           \
        const i64 k = first + u * VF, rest = n - k;                                                   \
        if (rest >= VF) vstore(out + k, y[u]);                                                        \
        else if (rest > 0) vstore_first(out + k, y[u], rest);                                         \
      }                                                                                               \
    }                                                                                                 \
  }

INLINE vf uniform_of(const u32 *words, const random_job *job) {
  const vf unit = __builtin_convertvector((vi)(*(const vu *)words >> 8), vf) * 0x1p-24f;
  return vmin(product_f32(unit, vset(job->q)) + job->p, vset(job->r));
}
static void random_uniform_batch(const random_job *job, const u32 *words, i64 i, i64 n)
    RANDOM_BATCH_LOOP(uniform_of(words + k, job))
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

/** a0 b0 a1 b1 … */
INLINE vf interleave_halves(vf_half a, vf_half b) {
#if VF == 4 && defined(__clang__)
  return __builtin_shufflevector(a, b, 0, 2, 1, 3);
#elif VF == 4
  const vf_halves both = {.half = {a, b}};
  return __builtin_shuffle(both.whole, (vi){0, 2, 1, 3});
#elif VF == 8 && defined(__clang__)
  return __builtin_shufflevector(a, b, 0, 4, 1, 5, 2, 6, 3, 7);
#elif VF == 8
  const vf_halves both = {.half = {a, b}};
  return __builtin_shuffle(both.whole, (vi){0, 4, 1, 5, 2, 6, 3, 7});
#elif defined(__clang__)
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
#else
  const vf_halves both = {.half = {a, b}};
  return __builtin_shuffle(both.whole, (vi){0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15});
#endif
}

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
  return interleave_halves(__builtin_convertvector(product(first, radius), vf_half),
                           __builtin_convertvector(product(second, radius), vf_half));
}
INLINE vf affine_of(vf z, const random_job *job) { return product_f32(z, vset(job->q)) + job->p; }
static void random_normal_batch(const random_job *job, const u32 *words, i64 i, i64 n)
    RANDOM_BATCH_LOOP(affine_of(normal_pairs(*(const vul_unaligned *)(words + k)), job))
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
INLINE vf_half truncated_normal_of(vul word) {
  const vd u = product(double_of(word) + 0.5, vdset(0x1p-32)) - 0.5;
  return __builtin_convertvector(inverse_normal(product(u, vdset(0.9544997361036416))), vf_half);
}
INLINE vf truncated_normal_pairs(vul words) {
  return interleave_halves(truncated_normal_of(words & 0xffffffffu), truncated_normal_of(words >> 32));
}
static void random_truncated_normal_batch(const random_job *job, const u32 *words, i64 i, i64 n)
    RANDOM_BATCH_LOOP(affine_of(truncated_normal_pairs(*(const vul_unaligned *)(words + k)), job))
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
  _Alignas(64) u32 words[RANDOM_BATCH + 4 * VF];
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
