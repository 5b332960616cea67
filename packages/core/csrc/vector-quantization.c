/**
 * Vector quantisation: the nearest code of every vector, sums of the vectors by code, sums over neighbours on a grid, and
 * the moving average by which a codebook follows its data.
 *
 *   assign    index[n] = argmin_k ½‖w_k‖² − z_n · w_k                               z [n, d], w [k, d]
 *   quantize  nearest[n] = w_index[n],  error = mean (w − z)²        dz = dy + 2 derror (z − w) / size
 *   stencil   y[i] = x[i] + weight · Σ x[j] over the grid neighbours j of i         x [cells, d]
 *   average   c ← b c + (1 − b) n,  m ← b m + (1 − b) s,  w = m / c                 Irie, Csordás, Schmidhuber 2023
 *
 * The n × k distances never exist as a whole: a few vectors keep those of one panel of codes, and the best so far.
 */
#include "gemm.h"
#include "rows.h"
#include "scatter.h"

/** Vectors that pass over a panel of codes together. */
#define VQ_ROWS 64

/* ---- sums by code ------------------------------------------------------------------------------- */

/**
 * Sums of rows by segment, and counts. With more than one part, threads share the rows: each part has sums and counts of its
 * own, which are added up in the end. With one they share the columns.
 */
typedef struct {
  /** [segments, slice] and [segments]. */
  f32 *sums, *counts;
  /** Of every part: its sums and then its counts; parts · segments · (slice + 1) floats. */
  f32 *partial;
  i64 segments, slice, parts;
} segment_parts;

/**
 * The first row of a part, of `count` rows in all, for whole passes of the assignment. Parts of the first half have seven times
 * as many rows as those of the second, with which threads finish together.
 */
INLINE i64 segment_begin(i64 count, i64 parts, i64 part) {
  const i64 large = parts / 2, weight = 7 * MIN(part, large) + MAX(0, part - large), all = 6 * large + parts;
  return part == parts ? count : MIN(count, ROUND_UP(count * weight / all, VQ_ROWS));
}

/** The sums of a part, and its counts behind them, all zero. */
INLINE f32 *segment_clear(const segment_parts *plan, i64 part) {
  const i64 size = plan->segments * (plan->slice + 1);
  f32 *sums = plan->partial + part * size;
  zero_bytes(sums, size * 4);
  return sums;
}

INLINE void segment_add(const segment_parts *plan, f32 *sums, i64 segment, const f32 *x) {
  scatter_row_f32(sums + segment * plan->slice, x, plan->slice);
  sums[plan->segments * plan->slice + segment] += 1;
}

/** Joins what the parts have for segments [begin, end), in the order of the parts. */
static void segment_join_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const segment_parts *plan = context;
  const i64 slice = plan->slice, step = plan->segments * (slice + 1);
  const f32 *from = plan->partial + begin * slice, *counts = plan->partial + plan->segments * slice;
#define BODY(j, lanes)                                                                               \
  {                                                                                                  \
    vf sum = ROW_LOAD(from, j, lanes, 0);                                                            \
    for (i64 part = 1; part < plan->parts; part++) sum += ROW_LOAD(from + part * step, j, lanes, 0); \
    ROW_STORE(plan->sums + begin * slice, j, lanes, sum);                                            \
  }
  ROW_EACH((end - begin) * slice, BODY);
#undef BODY
  for (i64 segment = begin; segment < end; segment++) {
    f32 sum = 0;
    for (i64 part = 0; part < plan->parts; part++) sum += counts[part * step + segment];
    plan->counts[segment] = sum;
  }
}

static void segment_join(const segment_parts *plan) {
  fwp_parallel_for(plan->segments, CEIL_DIV(ROWS_GRAIN, plan->parts * (plan->slice + 1)), segment_join_chunk, plan);
}

/** All rows in one part. */
static void segment_columns(const segment_parts *plan, const i32 *indices, const f32 *x, i64 count) {
  const scatter_plan columns = {.rows = indices, .updates = (const char *)x, .y = (char *)plan->sums,
                                .mode = SCATTER_ADD_F32, .element = 4, .count = count, .slice = plan->slice,
                                .limit = plan->segments, .step = plan->slice};
  scatter(&columns);
  zero_bytes(plan->counts, plan->segments * 4);
  for (i64 i = 0; i < count; i++) plan->counts[indices[i]] += 1;
}

typedef struct {
  segment_parts by_segment;
  const i32 *indices;
  const f32 *x;
  i64 count;
} segment_plan;

static void segment_chunk(const void *context, i64 first, i64 last, UNUSED i64 thread) {
  const segment_plan *plan = context;
  const segment_parts *parts = &plan->by_segment;
  for (i64 part = first; part < last; part++) {
    f32 *sums = segment_clear(parts, part);
    const i64 end = segment_begin(plan->count, parts->parts, part + 1);
    for (i64 i = segment_begin(plan->count, parts->parts, part); i < end; i++) {
      segment_add(parts, sums, plan->indices[i], plan->x + i * parts->slice);
    }
  }
}

/**
 * segment_statistics(indices, x, sums, counts, workspace, count, slice, segments, parts): sums [segments, slice] of the rows of
 * x by index, and how many rows each segment has, as floats. Workspace, if there is more than one part: parts · segments ·
 * (slice + 1) floats. Status: 1 + the position of an index outside [0, segments).
 */
KERNEL(segment_statistics) {
  const segment_plan plan = {.by_segment = {.sums = F32(2), .counts = F32(3), .partial = F32(4), .slice = INT(6),
                                      .segments = INT(7), .parts = INT(8)},
                       .indices = I32(0), .x = F32(1), .count = INT(5)};
  const i64 status = indexing_check(plan.indices, plan.count, plan.by_segment.segments);
  if (status != OK) return status;
  if (plan.by_segment.parts == 1) {
    segment_columns(&plan.by_segment, plan.indices, plan.x, plan.count);
    return OK;
  }
  fwp_parallel_for(plan.by_segment.parts, 1, segment_chunk, &plan);
  segment_join(&plan.by_segment);
  return OK;
}

/* ---- assignment --------------------------------------------------------------------------------- */

/** Multiply-adds worth a chunk. */
#define VQ_PRODUCTS 1e6

typedef struct {
  const f32 *z, *codes;
  i32 *indices;
  /** The packed codes: column panels [d][width]; and ½‖w‖² of all of them, padded with +infinity to whole vectors. */
  f32 *packed, *half_norms;
  /** The nearest codes themselves and, for each chunk of `grain` vectors or each part, the sum of (w − z)²; or null. */
  f32 *nearest, *errors;
  /** Sums of the vectors by code and their counts, if there are several parts. */
  segment_parts by_code;
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

/**
 * Vectors [begin, end): the scores of one panel of codes are kept, in the nearest cache, and compared at once. Adds the vectors
 * to `part_sums`, if there are any, and returns the sum of (w − z)².
 */
static f32 vq_assign_rows(const vq_assign_plan *plan, i64 begin, i64 end, f32 *part_sums, i64 thread) {
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
      if (part_sums) segment_add(&plan->by_code, part_sums, index, z + i * d);
    }
  }
  return vsum(error);
}

static void vq_assign_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const vq_assign_plan *plan = context;
  const f32 error = vq_assign_rows(plan, begin, end, 0, thread);
  if (plan->errors) plan->errors[begin / plan->grain] = error;
}

static void vq_assign_part(const void *context, i64 first, i64 last, i64 thread) {
  const vq_assign_plan *plan = context;
  const segment_parts *by_code = &plan->by_code;
  for (i64 part = first; part < last; part++) {
    const i64 begin = segment_begin(plan->vectors, by_code->parts, part);
    const i64 end = segment_begin(plan->vectors, by_code->parts, part + 1);
    plan->errors[part] = vq_assign_rows(plan, begin, end, segment_clear(by_code, part), thread);
  }
}

/** Vectors per chunk: some 20 µs of products, at least one pass. */
INLINE i64 vq_grain(i64 count, i64 d) {
  return ROUND_UP((i64)MIN(1e9, VQ_PRODUCTS / ((f64)count * (f64)(d + 1))) + 1, VQ_ROWS);
}

INLINE void vq_assign_run(vq_assign_plan *plan) {
  plan->half_norms = plan->packed + ROUND_UP(plan->count, VF) * plan->d;
  plan->grain = vq_grain(plan->count, plan->d);
  fwp_parallel_for(vq_panels(plan).panels, MAX(1, 65536 / (VF * GEMM_VECTORS * (plan->d + 1))), vq_pack_chunk, plan);
  if (plan->by_code.parts > 1) fwp_parallel_for(plan->by_code.parts, 1, vq_assign_part, plan);
  else fwp_parallel_for(plan->vectors, plan->grain, vq_assign_chunk, plan);
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
 * vq_quantize(z, codes, indices, nearest, error, workspace, vectors, count, d, sums?, counts, parts): the same, the codes
 * themselves [vectors, d], the mean of (w − z)² and, if asked for, the sums of the vectors by code [count, d] and their counts
 * [count], as segment_statistics has them. Workspace as for vq_assign, a float for every 64 vectors, and, for the sums, as for
 * segment_statistics. At least one vector.
 */
KERNEL(vq_quantize) {
  vq_assign_plan plan = {.z = F32(0), .codes = F32(1), .indices = I32(2), .nearest = F32(3), .packed = F32(5),
                         .vectors = INT(6), .count = INT(7), .d = INT(8)};
  plan.errors = plan.packed + ROUND_UP(plan.count, 16) * (plan.d + 1);
  plan.by_code = (segment_parts){.sums = OPTIONAL_F32(9), .counts = F32(10), .segments = plan.count, .slice = plan.d,
                                 .parts = PRESENT(9) ? INT(11) : 0,
                                 .partial = plan.errors + CEIL_DIV(plan.vectors, VQ_ROWS)};
  const i64 parts = plan.by_code.parts;
  vq_assign_run(&plan);
  if (parts > 1) segment_join(&plan.by_code);
  else if (parts == 1) segment_columns(&plan.by_code, plan.indices, plan.z, plan.vectors);
  f64 total = 0;
  for (i64 i = 0; i < (parts > 1 ? parts : CEIL_DIV(plan.vectors, plan.grain)); i++) total += plan.errors[i];
  *F32(4) = (f32)(total / ((f64)plan.vectors * (f64)plan.d));
  return OK;
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

/* ---- neighbours on a grid ------------------------------------------------------------------------ */

/** Most axes of a grid. */
#define GRID_AXES 4

typedef struct {
  const f32 *x;
  f32 *y;
  i64 axes, sizes[GRID_AXES], d;
  f32 weight;
} grid_plan;

/** Cells [begin, end): a cell's number is Σ coordinate · product of the sizes of the axes before. */
static void grid_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const grid_plan *plan = context;
  const i64 d = plan->d;
  i64 steps = 1;
  for (i64 axis = 0; axis < plan->axes; axis++) steps *= 3;
  for (i64 cell = begin; cell < end; cell++) {
    i64 neighbours[81], found = 0;
    for (i64 step = 0; step < steps; step++) {
      i64 rest = step, place = cell, stride = 1, other = cell, moved = 0, inside = 1;
      for (i64 axis = 0; axis < plan->axes; axis++) {
        const i64 size = plan->sizes[axis], shift = rest % 3 - 1, to = place % size + shift;
        inside &= to >= 0 && to < size;
        moved += shift != 0;
        other += shift * stride;
        rest /= 3, place /= size, stride *= size;
      }
      /* At a distance below 1.5 at most two coordinates differ, by one. */
      if (inside && (moved == 1 || moved == 2)) neighbours[found++] = other;
    }
    const f32 *x = plan->x;
    f32 *y = plan->y + cell * d;
    const f32 weight = plan->weight;
#define BODY(j, count)                                                                               \
  {                                                                                                  \
    vf sum = vset(0);                                                                                \
    for (i64 i = 0; i < found; i++) sum += ROW_LOAD(x + neighbours[i] * d, j, count, 0);             \
    ROW_STORE(y, j, count, vfma(vset(weight), sum, ROW_LOAD(x + cell * d, j, count, 0)));            \
  }
    ROW_EACH(d, BODY);
#undef BODY
  }
}

/** grid_neighbor_sum(x, y, weight, cells, d, axes, 4 × size): y = x + weight · the sum of x over each cell's neighbours. */
KERNEL(grid_neighbor_sum) {
  grid_plan plan = {.x = F32(0), .y = F32(1), .weight = NUM(2), .d = INT(4), .axes = INT(5),
                    .sizes = {INT(6), INT(7), INT(8), INT(9)}};
  fwp_parallel_for(INT(3), CEIL_DIV(ROWS_GRAIN / 4, MAX(plan.d, 8)), grid_chunk, &plan);
  return OK;
}

/* ---- the moving average --------------------------------------------------------------------------- */

enum { SMOOTHING_NONE, SMOOTHING_STORED, SMOOTHING_DIVISOR };

typedef struct {
  const f32 *sums, *batch_counts, *batch_sums, *divisors, *codes;
  f32 *new_sums, *new_codes;
  i64 d;
  f32 decay;
  i32 keep_unused;
} vq_average_plan;

static void vq_average_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const vq_average_plan *plan = context;
  const i64 d = plan->d;
  const vf decay = vset(plan->decay), rest = vset(1 - plan->decay);
  for (i64 k = begin; k < end; k++) {
    const f32 *sums = plan->sums + k * d, *batch = plan->batch_sums + k * d;
    f32 *new_sums = plan->new_sums + k * d, *codes = plan->new_codes + k * d;
    if (plan->keep_unused && plan->batch_counts[k] == 0) {
      copy_bytes(new_sums, sums, d * 4);
      copy_bytes(codes, plan->codes + k * d, d * 4);
      continue;
    }
    const vf divisor = vset(plan->divisors[k]);
#define BODY(j, count)                                                                               \
  {                                                                                                  \
    const vf m = vfma(decay, ROW_LOAD(sums, j, count, 0), rest * ROW_LOAD(batch, j, count, 0));      \
    ROW_STORE(new_sums, j, count, m);                                                                \
    ROW_STORE(codes, j, count, m / divisor);                                                         \
  }
    ROW_EACH(d, BODY);
#undef BODY
  }
}

/**
 * vq_average(counts, sums, codes, batch_counts, batch_sums, new_counts, new_sums, new_codes, divisors, count, d, decay,
 * epsilon, smoothing, keep_unused): the moving averages of counts [count] and sums [count, d], and their quotients. Laplace
 * smoothing (c + ε) / (Σc + count ε) · Σc is stored (1), of the divisor only (2), or left out (0). With keep_unused, what
 * has a batch count of 0 stays as it is. Workspace `divisors`: count floats.
 */
KERNEL(vq_average) {
  const f32 *counts = F32(0), *batch_counts = F32(3);
  f32 *new_counts = F32(5), *divisors = F32(8);
  const i64 count = INT(9);
  const f64 decay = arg[11], epsilon = arg[12];
  const i64 smoothing = INT(13);
  vq_average_plan plan = {.sums = F32(1), .codes = F32(2), .batch_counts = batch_counts, .batch_sums = F32(4),
                          .new_sums = F32(6), .new_codes = F32(7), .divisors = divisors, .d = INT(10),
                          .decay = (f32)decay, .keep_unused = FLAG(14)};
  f64 total = 0;
  for (i64 k = 0; k < count; k++) {
    const i32 keeps = plan.keep_unused && batch_counts[k] == 0;
    const f32 c = keeps ? counts[k] : (f32)(decay * counts[k] + (1 - decay) * batch_counts[k]);
    new_counts[k] = divisors[k] = c;
    total += c;
  }
  if (smoothing != SMOOTHING_NONE) {
    const f64 scale = total / (total + (f64)count * epsilon);
    for (i64 k = 0; k < count; k++) {
      divisors[k] = (f32)((new_counts[k] + epsilon) * scale);
      if (smoothing == SMOOTHING_STORED) new_counts[k] = divisors[k];
    }
  }
  fwp_parallel_for(count, CEIL_DIV(ROWS_GRAIN, MAX(plan.d, 1)), vq_average_chunk, &plan);
  return OK;
}

#define VECTOR_QUANTIZATION_KERNELS(ENTRY) \
  ENTRY(vq_assign, 7)                      \
  ENTRY(vq_quantize, 12)                   \
  ENTRY(vq_quantize_grad, 6)               \
  ENTRY(segment_statistics, 9)             \
  ENTRY(grid_neighbor_sum, 10)             \
  ENTRY(vq_average, 15)
