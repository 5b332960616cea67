/**
 * Passes over the rows of a matrix [rows, n], for kernels that work along the last axis: elementwise, and sums in an
 * order that depends on n only. The last vector of a row may be partial and uses the same arithmetic as the others.
 */
#ifndef ROWS_H
#define ROWS_H

#include "simd.h"

/** Elements per chunk of rows: some 20 µs. */
#define ROWS_GRAIN 16384

/*
 * ROW_REDUCE folds JOIN(accumulator, j, count) over the vectors of a row of n elements, starting from `first`; j is a
 * vector's first element and `count` is VF or, for the last one, what is left. Four accumulators, which COMBINE joins
 * at the end, hide the latency; the order depends on n only.
 */
#define ROW_REDUCE(result, n, first, JOIN, COMBINE)                            \
  do {                                                                         \
    vf row_a = (first), row_b = row_a, row_c = row_a, row_d = row_a;           \
    i64 row_j = 0;                                                             \
    for (; row_j + 4 * VF <= (n); row_j += 4 * VF) {                           \
      JOIN(row_a, row_j, VF)                                                   \
      JOIN(row_b, row_j + VF, VF)                                              \
      JOIN(row_c, row_j + 2 * VF, VF)                                          \
      JOIN(row_d, row_j + 3 * VF, VF)                                          \
    }                                                                          \
    for (; row_j + VF <= (n); row_j += VF) { JOIN(row_a, row_j, VF) }          \
    if (row_j < (n)) { JOIN(row_b, row_j, (n)-row_j) }                         \
    (result) = COMBINE(COMBINE(row_a, row_b), COMBINE(row_c, row_d));          \
  } while (0)
#define ROW_PLUS(a, b) ((a) + (b))
#define ROW_LOAD(p, j, count, fill) ((count) == VF ? vload((p) + (j)) : vload_first((p) + (j), count, fill))
#define ROW_STORE(p, j, count, v)                  \
  do {                                             \
    if ((count) == VF) vstore((p) + (j), v);       \
    else vstore_first((p) + (j), v, count);        \
  } while (0)
/** Runs BODY(j, count) for the vectors of a row. */
#define ROW_EACH(n, BODY)                                                \
  do {                                                                   \
    i64 row_j = 0;                                                       \
    for (; row_j + VF <= (n); row_j += VF) { BODY(row_j, VF) }           \
    if (row_j < (n)) { BODY(row_j, (n)-row_j) }                          \
  } while (0)

/** Calls CASE(vectors) with a constant for rows of at most 8 vectors, LONG for others. */
#define ROW_BY_LENGTH(n, CASE, LONG)      \
  switch (CEIL_DIV(n, VF)) {              \
    case 1: CASE(1); break;               \
    case 2: CASE(2); break;               \
    case 3: CASE(3); break;               \
    case 4: CASE(4); break;               \
    case 5: CASE(5); break;               \
    case 6: CASE(6); break;               \
    case 7: CASE(7); break;               \
    case 8: CASE(8); break;               \
    default: LONG;                        \
  }

#endif
