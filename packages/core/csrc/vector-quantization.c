/**
 * Vector quantisation: the nearest code of every vector and, in the same pass, the codes themselves, their errors, and the sums of
 * the vectors by code.
 *
 *   assign    index[n] = argmin_k ½‖w_k‖² − z_n · w_k                               z [n, d], w [k, d]
 *   quantize  nearest[n] = w_index[n],  error = mean (w − z)²        dz = dy + 2 derror (z − w) / size
 *
 * The n × k distances never exist as a whole: a few vectors keep those of one panel of codes, and the best so far.
 */
#include "gemm.h"
#include "rows.h"
#include "segment-sums.h"

/** Vectors that pass over a panel of codes together. */
#define VQ_ROWS 64
/** Multiply-adds worth a chunk. */
#define VQ_PRODUCTS 1e6

typedef struct {
  const f32 *z, *codes;
  i32 *indices;
  /** The packed codes: column panels [d][width]; and ½‖w‖² of all of them, padded with +infinity to whole vectors. */
  f32 *packed, *half_norms;
  /** The nearest codes themselves and, for each chunk of `grain` vectors, the sum of (w − z)²; or null. */
  f32 *nearest, *errors;
  i64 vectors, count, d, grain;
} vq_assign_plan;

INLINE gemm_split vq_panels(const vq_assign_plan *plan) { return gemm_divide(CEIL_DIV(plan->count, VF), GEMM_VECTORS); }

/** Packs panels [begin, end) of the codes, and halves their squared lengths. */
static void vq_pack_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const vq_assign_plan *plan = context;
  const gemm_split wide = vq_panels(plan);
  const i64 d = plan->d;
  for (i64 j = begin; j < end; j++) {
    const i64 width = (wide.most - (j >= wide.at_most)) * VF;
    const i64 first = (j * wide.most - MAX(0, j - wide.at_most)) * VF, used = MIN(width, plan->count - first);
    gemm_pack_panel(plan->codes + first * d, d, 1, used, width, d, plan->packed + first * d);
    for (i64 k = first; k < first + width; k++) {
      f32 half = __builtin_inff();
      if (k < plan->count) {
        const f32 *w = plan->codes + k * d;
        vf total;
#define JOIN(s, i, n)                      \
  {                                        \
    vf x = ROW_LOAD(w, i, n, 0);           \
    s = vfma(x, x, s);                     \
  }
        ROW_REDUCE(total, d, vset(0), JOIN, ROW_PLUS);
#undef JOIN
        half = 0.5f * vsum(total);
      }
      plan->half_norms[k] = half;
    }
  }
}

/** The best of one row so far, lane by lane: −½‖z − w‖² + ½‖z‖², and in which vector of codes it was. */
typedef struct {
  vf score;
  vi vector;
} vq_lane_best;

/** Keeps x and its number where x is greater than the score. gcc makes four operations of two choices by the same comparison. */
INLINE void vq_keep_greater(vf x, vi number, vf *score, vi *vector) {
#if defined(__AVX512F__)
  const __mmask16 more = _mm512_cmp_ps_mask((__m512)x, (__m512)*score, _CMP_GT_OQ);
  *score = (vf)_mm512_mask_mov_ps((__m512)*score, more, (__m512)x);
  *vector = (vi)_mm512_mask_mov_epi32((__m512i)*vector, more, (__m512i)number);
#else
  const vi more = x > *score;
  *score = vselect(more, x, *score), *vector = viselect(more, number, *vector);
#endif
}

/**
 * Takes vectors of codes, the first of which is number `first`, into account, for each of `rows` vectors. Comparisons with NaN
 * are false, so NaN never wins.
 */
INLINE void vq_compare(const f32 *dot, const f32 *half, i64 first, i64 rows, vq_lane_best *best, const int vectors) {
  vf offset[GEMM_VECTORS];
  UNROLL for (int j = 0; j < vectors; j++) offset[j] = vload(half + j * VF);
  for (i64 i = 0; i < rows; i++) {
    vf score = best[i].score;
    vi vector = best[i].vector;
    UNROLL for (int j = 0; j < vectors; j++) {
      vq_keep_greater(vload(dot + (i * vectors + j) * VF) - offset[j], viset((i32)(first + j)), &score, &vector);
    }
    best[i] = (vq_lane_best){score, vector};
  }
}
NOINLINE void vq_compare_panel(const f32 *dot, const f32 *half, i64 first, i64 rows, vq_lane_best *best, i64 vectors) {
  if (vectors == 1) vq_compare(dot, half, first, rows, best, 1);
  else if (vectors == 2) vq_compare(dot, half, first, rows, best, 2);
#if GEMM_VECTORS == 3
  else vq_compare(dot, half, first, rows, best, 3);
#endif
}

/** The code with the highest score; of several the first. */
INLINE i32 vq_first_best(vq_lane_best best) {
  union { vf v; f32 s[VF]; } score = {.v = best.score};
  union { vi v; i32 s[VF]; } vector = {.v = best.vector};
  i32 lane = 0;
  for (i32 i = 1; i < VF; i++) {
    if (score.s[i] > score.s[lane] || (score.s[i] == score.s[lane] && vector.s[i] < vector.s[lane])) lane = i;
  }
  return score.s[lane] > -__builtin_inff() ? vector.s[lane] * VF + lane : 0;
}

/** Copies a code and adds (w − z)² to the lanes of `sum`. */
INLINE vf vq_take(const f32 *w, const f32 *z, f32 *nearest, i64 d, vf sum) {
#define BODY(j, count)                                                             \
  {                                                                                \
    const vf code = ROW_LOAD(w, j, count, 0), error = code - ROW_LOAD(z, j, count, 0); \
    ROW_STORE(nearest, j, count, code);                                            \
    sum = vfma(error, error, sum);                                                 \
  }
  ROW_EACH(d, BODY);
#undef BODY
  return sum;
}

/** Vectors [begin, end): the scores of one panel of codes are kept, in the nearest cache, and compared at once. */
static void vq_assign_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const vq_assign_plan *plan = context;
  const gemm_split wide = vq_panels(plan);
  const i64 d = plan->d;
  vf error = vset(0);
  vq_lane_best *best = fwp_scratch(thread);
  f32 *scores = (f32 *)(best + VQ_ROWS);
#if defined(__wasm__)
  f32 *packed_z = scores + VQ_ROWS * GEMM_VECTORS * VF;
  const i32 copies = VQ_ROWS * (i64)(sizeof(vq_lane_best) + (GEMM_VECTORS * VF + d) * 4) <= FWP_SCRATCH_BYTES;
#else
  const i32 copies = 0;
#endif
  for (i64 row = begin; row < end; row += VQ_ROWS) {
    const i64 rows = MIN(VQ_ROWS, end - row);
    const gemm_split tall = gemm_divide(rows, GEMM_ROWS);
    const f32 *z = plan->z + row * d;
#if defined(__wasm__)
    if (copies) gemm_pack_operand(z, d, 1, d, rows, tall, 1, packed_z);
#endif
    for (i64 i = 0; i < rows; i++) best[i] = (vq_lane_best){vset(-__builtin_inff()), viset(0)};
    for (i64 j = 0, column = 0; j < wide.panels; j++) {
      const i64 vectors = wide.most - (j >= wide.at_most), width = vectors * VF;
      for (i64 part = 0; part < 2; part++) {
        const i64 height = tall.most - part, first = part ? tall.at_most * tall.most : 0;
        gemm_strip_task strip = {
            .count = part ? tall.panels - tall.at_most : tall.at_most, .k = d,
            .a = z + first * d, .a_panel = height * d, .a_step = d,
            .b = plan->packed + column * d, .b_step = width,
            .c = scores + first * width, .c_row = width, .alpha = 1, .last = VF,
        };
#if defined(__wasm__)
        if (copies) strip.a = packed_z + first * d, strip.a_step = height;
#endif
        if (strip.count > 0 && height > 0) gemm_strips[!copies][height - 1][vectors - 1](&strip);
      }
      vq_compare_panel(scores, plan->half_norms + column, column / VF, rows, best, vectors);
      column += width;
    }
    for (i64 i = 0; i < rows; i++) {
      const i32 index = vq_first_best(best[i]);
      plan->indices[row + i] = index;
      if (plan->nearest) error = vq_take(plan->codes + index * d, z + i * d, plan->nearest + (row + i) * d, d, error);
    }
  }
  if (plan->errors) plan->errors[begin / plan->grain] = vsum(error);
}

/** Vectors per chunk: some 20 µs of products, at least one pass. */
INLINE i64 vq_grain(i64 count, i64 d) {
  return ROUND_UP((i64)MIN(1e9, VQ_PRODUCTS / ((f64)count * (f64)(d + 1))) + 1, VQ_ROWS);
}

INLINE void vq_assign_run(vq_assign_plan *plan) {
  plan->half_norms = plan->packed + ROUND_UP(plan->count, VF) * plan->d;
  plan->grain = vq_grain(plan->count, plan->d);
  fwp_parallel_for(vq_panels(plan).panels, MAX(1, 65536 / (VF * GEMM_VECTORS * (plan->d + 1))), vq_pack_chunk, plan);
  fwp_parallel_for(plan->vectors, plan->grain, vq_assign_chunk, plan);
}

/**
 * vq_assign(z, codes, indices, workspace, vectors, count, d): the lowest index of the nearest code; 0 if no distance is a
 * number. Workspace: (d + 1) · (count rounded up to 16) floats.
 */
KERNEL(vq_assign) {
  vq_assign_plan plan = {.z = F32(0), .codes = F32(1), .indices = I32(2), .packed = F32(3), .vectors = INT(4),
                         .count = INT(5), .d = INT(6)};
  if (plan.vectors > 0) vq_assign_run(&plan);
  return OK;
}

/**
 * vq_quantize(z, codes, indices, nearest, error, workspace, vectors, count, d, sums?, counts): the same, the codes themselves
 * [vectors, d], the mean of (w − z)² and, if asked for, the sums of the vectors by code [count, d] and their counts [count], as
 * segment_statistics has them. Workspace as for vq_assign, a float for every 64 vectors, and, for the sums, as for
 * segment_statistics. At least one vector.
 */
KERNEL(vq_quantize) {
  vq_assign_plan plan = {.z = F32(0), .codes = F32(1), .indices = I32(2), .nearest = F32(3), .packed = F32(5),
                         .vectors = INT(6), .count = INT(7), .d = INT(8)};
  plan.errors = plan.packed + ROUND_UP(plan.count, 16) * (plan.d + 1);
  vq_assign_run(&plan);
  const i64 chunks = CEIL_DIV(plan.vectors, plan.grain);
  f64 total = 0;
  for (i64 i = 0; i < chunks; i++) total += plan.errors[i];
  *F32(4) = (f32)(total / ((f64)plan.vectors * (f64)plan.d));
  if (!PRESENT(9)) return OK;
  i32 *order = (i32 *)(plan.errors + CEIL_DIV(plan.vectors, VQ_ROWS));
  const segment_plan by_code = {.indices = plan.indices, .x = plan.z, .sums = F32(9), .counts = F32(10), .order = order,
                                .offsets = order + plan.vectors, .count = plan.vectors, .segments = plan.count,
                                .slice = plan.d};
  return segment_sums(&by_code);
}

typedef struct {
  const f32 *dy, *z, *nearest;
  f32 *dz, factor;
} vq_quantize_grad_plan;

static void vq_quantize_grad_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const vq_quantize_grad_plan *plan = context;
  const vf factor = vset(plan->factor);
  const f32 *dy = plan->dy + begin, *z = plan->z + begin, *nearest = plan->nearest + begin;
  f32 *dz = plan->dz + begin;
#define BODY(j, count)                                                                                        \
  ROW_STORE(dz, j, count,                                                                                     \
            vfma(factor, ROW_LOAD(z, j, count, 0) - ROW_LOAD(nearest, j, count, 0), ROW_LOAD(dy, j, count, 0)));
  ROW_EACH(end - begin, BODY);
#undef BODY
}

/** vq_quantize_grad(dy, derror, z, nearest, dz, size): dz = dy + 2 derror / size · (z − w). */
KERNEL(vq_quantize_grad) {
  vq_quantize_grad_plan plan = {.dy = F32(0), .z = F32(2), .nearest = F32(3), .dz = F32(4)};
  const i64 size = INT(5);
  plan.factor = (f32)(2.0 * (f64)*F32(1) / (f64)size);
  fwp_parallel_for(size, ROWS_GRAIN, vq_quantize_grad_chunk, &plan);
  return OK;
}

#define VECTOR_QUANTIZATION_KERNELS(ENTRY) \
  ENTRY(vq_assign, 7)                      \
  ENTRY(vq_quantize, 11)                   \
  ENTRY(vq_quantize_grad, 6)
