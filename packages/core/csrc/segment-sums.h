/**
 * Sums of rows by segment, and counts, for kernels that have rows and their segments at hand: sums[s] = Σ over i with
 * indices[i] = s of x[i], counts[s] = how many. Rows are sorted by segment; then threads share the segments, and each sum is
 * taken in registers, in the order of the rows, whatever the number of threads.
 */
#ifndef SEGMENT_SUMS_H
#define SEGMENT_SUMS_H

#include "counting-sort.h"
#include "rows.h"

typedef struct {
  const i32 *indices;
  /** [count, slice]. */
  const f32 *x;
  /** [segments, slice] and [segments]. */
  f32 *sums, *counts;
  /** Workspace: count ints, and segments + 1. */
  i32 *order, *offsets;
  i64 count, segments, slice;
} segment_plan;

/** Vectors of one row that are summed side by side. */
#define SEGMENT_WIDTH 4

static void segment_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const segment_plan *plan = context;
  const i64 slice = plan->slice;
  for (i64 segment = begin; segment < end; segment++) {
    const i32 *rows = plan->order + plan->offsets[segment];
    const i64 count = plan->offsets[segment + 1] - plan->offsets[segment];
    f32 *sums = plan->sums + segment * slice;
    i64 j = 0;
    for (; j + SEGMENT_WIDTH * VF <= slice; j += SEGMENT_WIDTH * VF) {
      vf sum[SEGMENT_WIDTH];
      UNROLL for (int k = 0; k < SEGMENT_WIDTH; k++) sum[k] = vset(0);
      for (i64 i = 0; i < count; i++) {
        const f32 *x = plan->x + rows[i] * slice + j;
        UNROLL for (int k = 0; k < SEGMENT_WIDTH; k++) sum[k] += vload(x + k * VF);
      }
      UNROLL for (int k = 0; k < SEGMENT_WIDTH; k++) vstore(sums + j + k * VF, sum[k]);
    }
#define BODY(at, lanes)                                                                                       \
  {                                                                                                           \
    vf sum = vset(0);                                                                                         \
    for (i64 i = 0; i < count; i++) sum += ROW_LOAD(plan->x + rows[i] * slice + j, at, lanes, 0);             \
    ROW_STORE(sums + j, at, lanes, sum);                                                                      \
  }
    ROW_EACH(slice - j, BODY);
#undef BODY
    plan->counts[segment] = (f32)count;
  }
}

/** Returns 1 + the position of the first index that is no segment, or OK. */
static i64 segment_sums(const segment_plan *plan) {
  const i64 status = counting_sort(plan->indices, plan->count, plan->segments, plan->order, plan->offsets);
  if (status != OK) return status;
  const i64 elements = plan->count * plan->slice + plan->segments;
  const i64 grain = MAX(1, (i64)((f64)ROWS_GRAIN * (f64)plan->segments / (f64)elements));
  fwp_parallel_for(plan->segments, grain, segment_chunk, plan);
  return OK;
}

#endif
