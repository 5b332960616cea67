/**
 * Adding and writing rows at integer indices. Sums over repeated indices are taken in the order of the indices, also with
 * several threads: threads share the columns, and each walks over all indices.
 */
#ifndef SCATTER_H
#define SCATTER_H

#include "fwp.h"
#include "simd.h"
#include "blocks.h"

#define INDEXING_GRAIN 32768

/** 1 + the position of the first index outside [0, limit), or OK. */
UNUSED static i64 indexing_check(const i32 *indices, i64 count, i64 limit) {
  for (i64 i = 0; i < count;) {
    i64 end = MIN(i + 4096, count);
    i32 bad = 0;
    for (i64 j = i; j < end; j++) bad |= indices[j] < 0 || indices[j] >= limit;
    if (bad) {
      while (indices[i] >= 0 && indices[i] < limit) i++;
      return i + 1;
    }
    i = end;
  }
  return OK;
}

enum { SCATTER_ADD_F32, SCATTER_ADD_I32, SCATTER_WRITE };

typedef struct {
  const i32 *rows;
  const char *updates;
  char *y;
  i64 mode, element, count, slice, limit;
  /** Distance between updates in elements: `slice`, or 0 where one value is written everywhere. */
  i64 step;
} scatter_plan;

INLINE void scatter_row_f32(f32 *y, const f32 *x, i64 n) {
  i64 j = 0;
  for (; j + 4 * VF <= n; j += 4 * VF) {
    UNROLL for (int k = 0; k < 4; k++) vstore(y + j + k * VF, vload(y + j + k * VF) + vload(x + j + k * VF));
  }
  for (; j + VF <= n; j += VF) vstore(y + j, vload(y + j) + vload(x + j));
  for (; j < n; j++) y[j] += x[j];
}

/** Columns [begin, end) of all updates, in order. Rows outside [0, limit) are left out. */
static void scatter_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const scatter_plan *plan = context;
  const i64 n = end - begin;
  for (i64 i = 0; i < plan->count; i++) {
    i64 row = plan->rows[i];
    if (row < 0 || row >= plan->limit) continue;
    i64 to = row * plan->slice + begin, from = i * plan->step + (plan->step ? begin : 0);
    if (plan->mode == SCATTER_ADD_F32) {
      scatter_row_f32((f32 *)plan->y + to, (const f32 *)plan->updates + from, n);
    } else if (plan->mode == SCATTER_ADD_I32) {
      for (i64 j = 0; j < n; j++) ((u32 *)plan->y)[to + j] += ((const u32 *)plan->updates)[from + j];
    } else if (plan->step == 0) {
      u32 value = plan->element == 1 ? (u8)plan->updates[0] : *(const u32 *)plan->updates;
      movement_fill(plan->y + to * plan->element, value, n, plan->element);
    } else {
      movement_copy(plan->y + to * plan->element, plan->updates + from * plan->element, n * plan->element);
    }
  }
}

static void scatter_zero_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const scatter_plan *plan = context;
  zero_bytes(plan->y + begin * 4, (end - begin) * 4);
}

UNUSED static void scatter(const scatter_plan *plan) {
  if (plan->mode != SCATTER_WRITE) {
    fwp_parallel_for(plan->limit * plan->slice, 2 * INDEXING_GRAIN, scatter_zero_chunk, plan);
  }
  if (plan->count == 0) return;
  /* Whole cache lines per thread, and wide enough that reading along a row pays. */
  i64 columns = MAX(32, ROUND_UP(CEIL_DIV(INDEXING_GRAIN, plan->count), 16));
  fwp_parallel_for(plan->slice, columns, scatter_chunk, plan);
}

#endif
