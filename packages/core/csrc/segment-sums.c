/** Sums of rows by segment as a kernel of its own. */
#include "segment-sums.h"

/**
 * segment_statistics(indices, x, sums, counts, workspace, count, slice, segments): sums [segments, slice] of the rows of x by
 * index, and how many rows each segment has, as floats. Workspace: count + segments + 1 ints. Status: 1 + the position of an
 * index outside [0, segments).
 */
KERNEL(segment_statistics) {
  segment_plan plan = {.indices = I32(0), .x = F32(1), .sums = F32(2), .counts = F32(3), .order = I32(4),
                       .count = INT(5), .slice = INT(6), .segments = INT(7)};
  plan.offsets = plan.order + plan.count;
  return segment_sums(&plan);
}

#define SEGMENT_SUMS_KERNELS(ENTRY) ENTRY(segment_statistics, 8)
