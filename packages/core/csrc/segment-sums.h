/**
 * Sums of rows by segment, and counts, for kernels that have rows and their segments at hand. Sums have an order that does not
 * depend on the number of threads: rows are cut into parts by their number alone.
 */
#ifndef SEGMENT_SUMS_H
#define SEGMENT_SUMS_H

#include "fwp.h"
#include "rows.h"
#include "scatter.h"

/** Parts consist of whole passes of so many rows, but for the end. */
#define SEGMENT_PASS 64

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
 * The first row of a part, of `count` rows in all, for whole passes. Parts of the first half have seven times
 * as many rows as those of the second, with which threads finish together.
 */
INLINE i64 segment_begin(i64 count, i64 parts, i64 part) {
  const i64 large = parts / 2, weight = 7 * MIN(part, large) + MAX(0, part - large), all = 6 * large + parts;
  return part == parts ? count : MIN(count, ROUND_UP(count * weight / all, SEGMENT_PASS));
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

#endif
