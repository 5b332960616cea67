/** Sums of rows by segment: sums[s] = Σ over i with indices[i] = s of x[i], counts[s] = how many (`segment-sums.h` says how). */
#include "segment-sums.h"

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

#define SEGMENT_SUMS_KERNELS(ENTRY) ENTRY(segment_statistics, 9)
