/**
 * Single-threaded block matrix product, for the matmul kernels and for every kernel that has matrix products
 * inside its own parallel chunks:
 *
 *   C [m, n] = activation(alpha · A [m, k] · B [k, n] (+ C) (+ bias [n]))
 *
 * A and B may have any row and column stride, so transposition is free; the columns of C are contiguous.
 *
 * The classical scheme (Goto, van de Geijn 2008): C is cut into tiles of GEMM_ROWS × GEMM_VECTORS vectors that
 * live in registers while the inner loop runs over k. A is packed into row panels [k][rows], B into column panels
 * [k][columns], in slabs of at most GEMM_DEPTH so that a panel of B stays in the nearest caches. Operands that are
 * already laid out well and are read too few times to pay for a copy are used where they are.
 *
 * Every element of C is summed in the order of k, whatever the tile it falls into, and nothing outside the
 * matrices is read or written.
 */
#ifndef GEMM_H
#define GEMM_H

#include "vector-math.h"

/*
 * Register tile: GEMM_ROWS × (GEMM_VECTORS · VF). All shapes that leave room for B's vectors and a broadcast reach
 * the same peak on long sums; these divide the usual sizes best. Larger tiles spill in V8, which has 16 registers.
 */
#if VF == 16
#define GEMM_ROWS 8
#define GEMM_VECTORS 3
#elif VF == 8
#define GEMM_ROWS 4
#define GEMM_VECTORS 3
#elif defined(__ARM_NEON)
#define GEMM_ROWS 8
#define GEMM_VECTORS 3
#else
#define GEMM_ROWS 4
#define GEMM_VECTORS 2
#endif

/** Longest slab of k, and most columns and rows, that are packed at once. */
#define GEMM_DEPTH 256
#define GEMM_COLUMNS_AT_ONCE 384
#define GEMM_ROWS_AT_ONCE 128
/** Up to so many rows (or columns) of C, dot products beat tiles where both operands are contiguous in k. */
#define GEMM_FEW_ROWS 8
#define GEMM_FEW_COLUMNS (VF / 4)
/** Least scratch memory, in floats, that gemm_block works with; it runs best with GEMM_SCRATCH. */
#define GEMM_SCRATCH_LEAST (48 << 10)
#define GEMM_SCRATCH (FWP_SCRATCH_BYTES / 4)

enum {
  ACTIVATION_NONE,
  ACTIVATION_RELU,
  ACTIVATION_RELU6,
  ACTIVATION_ELU,
  ACTIVATION_LEAKY_RELU,
  ACTIVATION_SIGMOID,
  ACTIVATION_TANH,
  ACTIVATION_GELU,
  ACTIVATION_SILU
};

/**
 * Writes rows [row, row + rows) × depth [depth, depth + count) of A, transposed, to `panel` [count][rows]:
 * A's own packing, for operands that exist only implicitly (patches of an image).
 */
typedef void (*gemm_pack)(const void *source, i64 row, i64 rows, i64 depth, i64 count, f32 *panel);

/** One matrix product. Zero-initialise it and set what is needed; `alpha` must be set. */
typedef struct {
  i64 m, n, k;
  const f32 *a;
  i64 a_row, a_column;
  const f32 *b;
  i64 b_row, b_column;
  f32 *c;
  i64 c_row;
  f32 alpha;
  /** Adds to C instead of overwriting it. */
  i32 accumulate;
  /** Optional [n]. */
  const f32 *bias;
  i32 activation;
  /** Slope of ACTIVATION_LEAKY_RELU. */
  f32 slope;
  /** Optional: packs A instead of `a`. */
  gemm_pack pack_a;
  const void *source_a;
} gemm;

/* ---- activation and bias -------------------------------------------------------------------- */

INLINE vf gemm_activate(vf x, i32 activation, f32 slope) {
  switch (activation) {
    case ACTIVATION_RELU: return vselect(x < 0, vset(0), x);
    case ACTIVATION_RELU6: return vselect(x < 0, vset(0), vselect(x > 6, vset(6), x));
    case ACTIVATION_LEAKY_RELU: return vselect(x < 0, x * slope, x);
    case ACTIVATION_ELU: return vselect(x < 0, vexpm1(x), x);
    case ACTIVATION_SIGMOID: return vsigmoid(x);
    case ACTIVATION_TANH: return vtanh(x);
    case ACTIVATION_GELU: return vgelu(x);
    case ACTIVATION_SILU: return x * vsigmoid(x);
    default: return x;
  }
}

/** C [rows, columns] = activation(C + bias). */
NOINLINE void gemm_finish(f32 *c, i64 c_row, i64 rows, i64 columns, const f32 *bias, i32 activation, f32 slope) {
  for (i64 i = 0; i < rows; i++, c += c_row) {
    i64 j = 0;
    for (; j + VF <= columns; j += VF) {
      vf x = vload(c + j);
      if (bias) x += vload(bias + j);
      vstore(c + j, gemm_activate(x, activation, slope));
    }
    if (j < columns) {
      vf x = vload_first(c + j, columns - j, 0);
      if (bias) x += vload_first(bias + j, columns - j, 0);
      vstore_first(c + j, gemm_activate(x, activation, slope), columns - j);
    }
  }
}

/* ---- register tiles ------------------------------------------------------------------------- */

/**
 * `count` row panels of C below each other, times one column panel; see gemm_strip. The sum may have several segments
 * of length k: with `offsets`, segment s < segments starts offsets[s] floats into A and s · b_segment into B (the rows
 * of a filter's window).
 */
typedef struct {
  i64 count, k, segments;
  const f32 *a;
  const i64 *offsets;
  /** Distance between panels of A, and between the k's of a panel (or its rows, where A is read in place). */
  i64 a_panel, a_step;
  const f32 *b;
  i64 b_step, b_segment;
  f32 *c;
  i64 c_row;
  f32 alpha;
  i32 accumulate;
  /** Columns in the last vector: 1 … VF. */
  i64 last;
  /** gemm_finish is due. */
  i32 finish;
  const f32 *bias;
  i32 activation;
  f32 slope;
} gemm_strip_task;

/*
 * In WebAssembly a constant distance from a pointer is part of the load, but only if clang does not rewrite the pointers
 * of the loop; this keeps it from doing so. (Do not unroll the loop: V8 moves all loads of a block to its beginning,
 * and would spill.)
 */
#if defined(__wasm__)
#define GEMM_KEEP(pointer) __asm__("" : "+r"(pointer))
#else
#define GEMM_KEEP(pointer) (void)0
#endif

/**
 * The inner loop, for `rows` × `vectors` known at compile time. `by_row` says how A is read: 0: panel[k · a_step + row]
 * (a packed panel has a_step = rows; a transposed matrix is one as it stands), 1: panel[row · a_step + k].
 */
INLINE void gemm_strip(const gemm_strip_task *task, const int rows, const int vectors, const int by_row) {
  const f32 *panel = task->a;
  f32 *c = task->c;
  const i64 a_step = task->a_step, b_step = task->b_step, c_row = task->c_row;
  for (i64 remaining = task->count; remaining > 0; remaining--) {
    vf sum[GEMM_ROWS][GEMM_VECTORS];
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = vset(0);
    }
    const i64 segments = task->offsets ? task->segments : 1;
    for (i64 segment = 0; segment < segments; segment++) {
      const f32 *a = panel + (task->offsets ? task->offsets[segment] : 0), *b = task->b + segment * task->b_segment;
      if (by_row) {
        /* Four rows share a pointer: x86 addresses them as p, p + s, p + 2s, p + 3s. */
        const char *group[(GEMM_ROWS + 3) / 4];
        const i64 step = a_step * 4, step3 = a_step * 12;
        UNROLL for (int i = 0; i < (rows + 3) / 4; i++) group[i] = (const char *)(a + 4 * i * a_step);
        for (i64 p = task->k; p > 0; p--) {
          vf column[GEMM_VECTORS];
          UNROLL for (int j = 0; j < vectors; j++) column[j] = vload(b + j * VF);
          UNROLL for (int i = 0; i < rows; i++) {
            const char *q = group[i / 4] + (i % 4 == 0 ? 0 : i % 4 == 1 ? step : i % 4 == 2 ? 2 * step : step3);
            const vf x = vset(*(const f32 *)q);
            UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = vfma(x, column[j], sum[i][j]);
          }
          UNROLL for (int i = 0; i < (rows + 3) / 4; i++) group[i] += 4;
          b += b_step;
        }
      } else {
        for (i64 p = task->k; p > 0; p--) {
          GEMM_KEEP(a);
          GEMM_KEEP(b);
          vf column[GEMM_VECTORS];
          UNROLL for (int j = 0; j < vectors; j++) column[j] = vload(b + j * VF);
          UNROLL for (int i = 0; i < rows; i++) {
            const vf x = vset(a[i]);
            UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = vfma(x, column[j], sum[i][j]);
          }
          a += a_step;
          b += b_step;
        }
      }
    }
    if (task->alpha != 1) {
      UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < vectors; j++) sum[i][j] *= task->alpha;
      }
    }
    const i64 last = task->last;
    if (task->accumulate) {
      UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < vectors - 1; j++) sum[i][j] += vload(c + i * c_row + j * VF);
        const f32 *tail = c + i * c_row + (vectors - 1) * VF;
        sum[i][vectors - 1] += last == VF ? vload(tail) : vload_first(tail, last, 0);
      }
    }
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int j = 0; j < vectors - 1; j++) vstore(c + i * c_row + j * VF, sum[i][j]);
      f32 *tail = c + i * c_row + (vectors - 1) * VF;
      if (last == VF) vstore(tail, sum[i][vectors - 1]);
      else vstore_first(tail, sum[i][vectors - 1], last);
    }
    if (task->finish) {
      gemm_finish(c, c_row, rows, (vectors - 1) * VF + last, task->bias, task->activation, task->slope);
    }
    panel += task->a_panel;
    c += rows * c_row;
  }
}

typedef void (*gemm_strip_function)(const gemm_strip_task *);

#define GEMM_STRIP(rows, vectors)                                                                              \
  static void gemm_packed_##rows##x##vectors(const gemm_strip_task *task) { gemm_strip(task, rows, vectors, 0); } \
  static void gemm_by_row_##rows##x##vectors(const gemm_strip_task *task) { gemm_strip(task, rows, vectors, 1); }
#if GEMM_VECTORS == 3
#define GEMM_STRIPS(rows) GEMM_STRIP(rows, 1) GEMM_STRIP(rows, 2) GEMM_STRIP(rows, 3)
#define GEMM_NAMES(mode, rows) {gemm_##mode##_##rows##x1, gemm_##mode##_##rows##x2, gemm_##mode##_##rows##x3}
#else
#define GEMM_STRIPS(rows) GEMM_STRIP(rows, 1) GEMM_STRIP(rows, 2)
#define GEMM_NAMES(mode, rows) {gemm_##mode##_##rows##x1, gemm_##mode##_##rows##x2}
#endif
GEMM_STRIPS(1) GEMM_STRIPS(2) GEMM_STRIPS(3) GEMM_STRIPS(4)
#if GEMM_ROWS == 8
GEMM_STRIPS(5) GEMM_STRIPS(6) GEMM_STRIPS(7) GEMM_STRIPS(8)
#define GEMM_TABLE(mode)                                                                                       \
  {GEMM_NAMES(mode, 1), GEMM_NAMES(mode, 2), GEMM_NAMES(mode, 3), GEMM_NAMES(mode, 4),                         \
   GEMM_NAMES(mode, 5), GEMM_NAMES(mode, 6), GEMM_NAMES(mode, 7), GEMM_NAMES(mode, 8)}
#else
#define GEMM_TABLE(mode) {GEMM_NAMES(mode, 1), GEMM_NAMES(mode, 2), GEMM_NAMES(mode, 3), GEMM_NAMES(mode, 4)}
#endif
static const gemm_strip_function gemm_strips[2][GEMM_ROWS][GEMM_VECTORS] = {GEMM_TABLE(packed), GEMM_TABLE(by_row)};

/** How `total` divides into `panels` of `most` or one less. */
typedef struct {
  i64 panels, most, at_most;
} gemm_split;

/** As few panels of at most `limit` as possible, of sizes that differ by one at most (the first `at_most` are larger). */
INLINE gemm_split gemm_divide(i64 total, i64 limit) {
  const i64 panels = CEIL_DIV(total, limit), most = CEIL_DIV(total, panels);
  return (gemm_split){panels, most, total - panels * (most - 1)};
}

/* ---- packing -------------------------------------------------------------------------------- */

typedef f32 gemm_f4 __attribute__((vector_size(16)));
typedef f32 gemm_f4_memory __attribute__((vector_size(16), aligned(4), may_alias));
typedef i32 gemm_i4 __attribute__((vector_size(16)));
#if defined(__clang__)
#define GEMM_SHUFFLE(a, b, i0, i1, i2, i3) __builtin_shufflevector(a, b, i0, i1, i2, i3)
#else
#define GEMM_SHUFFLE(a, b, i0, i1, i2, i3) __builtin_shuffle(a, b, (gemm_i4){i0, i1, i2, i3})
#endif

/** target[j · target_row + i] = source[i · source_row + j], 4 × 4. */
INLINE void gemm_transpose_4x4(const f32 *source, i64 source_row, f32 *target, i64 target_row) {
  const gemm_f4 r0 = *(const gemm_f4_memory *)source, r1 = *(const gemm_f4_memory *)(source + source_row);
  const gemm_f4 r2 = *(const gemm_f4_memory *)(source + 2 * source_row);
  const gemm_f4 r3 = *(const gemm_f4_memory *)(source + 3 * source_row);
  const gemm_f4 a = GEMM_SHUFFLE(r0, r1, 0, 4, 1, 5), b = GEMM_SHUFFLE(r2, r3, 0, 4, 1, 5);
  const gemm_f4 c = GEMM_SHUFFLE(r0, r1, 2, 6, 3, 7), d = GEMM_SHUFFLE(r2, r3, 2, 6, 3, 7);
  *(gemm_f4_memory *)target = GEMM_SHUFFLE(a, b, 0, 1, 4, 5);
  *(gemm_f4_memory *)(target + target_row) = GEMM_SHUFFLE(a, b, 2, 3, 6, 7);
  *(gemm_f4_memory *)(target + 2 * target_row) = GEMM_SHUFFLE(c, d, 0, 1, 4, 5);
  *(gemm_f4_memory *)(target + 3 * target_row) = GEMM_SHUFFLE(c, d, 2, 3, 6, 7);
}

INLINE void gemm_copy(const f32 *source, i64 count, f32 *target) {
  i64 i = 0;
  for (; i + VF <= count; i += VF) vstore(target + i, vload(source + i));
  for (; i + 4 <= count; i += 4) *(gemm_f4_memory *)(target + i) = *(const gemm_f4_memory *)(source + i);
  for (; i < count; i++) target[i] = source[i];
}

/** panel[p · width + i] = source[i · row + p · column], for i < rows ≤ width and p < count; the rest of a line is 0. */
static void gemm_pack_panel(const f32 *source, i64 row, i64 column, i64 rows, i64 width, i64 count, f32 *panel) {
  i64 done = 0;
  if (column == 1) {
    for (; done + 4 <= rows; done += 4) {
      const f32 *s = source + done * row;
      f32 *t = panel + done;
      i64 p = 0;
      for (; p + 4 <= count; p += 4) gemm_transpose_4x4(s + p, row, t + p * width, width);
      for (; p < count; p++) {
        for (i64 i = 0; i < 4; i++) t[p * width + i] = s[i * row + p];
      }
    }
    for (i64 i = done; i < rows; i++) {
      const f32 *s = source + i * row;
      for (i64 p = 0; p < count; p++) panel[p * width + i] = s[p];
    }
  } else if (row == 1 && rows == GEMM_ROWS) {
    for (i64 p = 0; p < count; p++) copy_bytes(panel + p * width, source + p * column, GEMM_ROWS * 4);
  } else if (row == 1) {
    for (i64 p = 0; p < count; p++) gemm_copy(source + p * column, rows, panel + p * width);
  } else {
    for (i64 i = 0; i < rows; i++) {
      for (i64 p = 0; p < count; p++) panel[p * width + i] = source[i * row + p * column];
    }
  }
  for (i64 i = rows; i < width; i++) {
    for (i64 p = 0; p < count; p++) panel[p * width + i] = 0;
  }
}

/**
 * Packs `count` rows (or columns) of an operand, `step` floats apart, over k, into panels of as many `unit`s as `split` says.
 * Where neighbours in memory belong to one k, sixteen k's at a time, so that the cache lines that two panels share are
 * still near when the second one is written.
 */
static void gemm_pack_operand(const f32 *source, i64 step, i64 k_step, i64 k, i64 count, gemm_split split, i64 unit, f32 *packed) {
  const i64 together = step == 1 ? 16 : k;
  for (i64 p = 0; p < k; p += together) {
    const i64 depth = MIN(together, k - p);
    for (i64 j = 0, first = 0; j < split.panels; j++) {
      const i64 width = (split.most - (j >= split.at_most)) * unit;
      gemm_pack_panel(source + p * k_step + first * step, step, k_step, MIN(width, count - first), width, depth,
                      packed + first * k + p * width);
      first += width;
    }
  }
}

/** Packs rows [0, k) of B's block of `columns` columns into column panels; see gemm_divide for their widths. */
static void gemm_pack_b(const f32 *b, i64 row, i64 column, i64 k, i64 columns, gemm_split split, f32 *packed) {
  gemm_pack_operand(b, column, row, k, columns, split, VF, packed);
}

/* ---- matrix-vector products ----------------------------------------------------------------- */

/** c [n] (+)= alpha · a · B for one row of A and contiguous rows of B: eight rows of B at a time, streamed. */
static void gemm_combine_rows(const gemm *task, const f32 *a, i64 a_step, f32 *c) {
  const i64 k = task->k, row = task->b_row;
  for (i64 n0 = 0; n0 < task->n; n0 += 2048) {
    const i64 n = MIN(2048, task->n - n0);
    for (i64 p = 0; p < k; p += 8) {
      const i64 rows = MIN(8, k - p);
      const i32 add = task->accumulate || p > 0;
      const f32 *b = task->b + p * row + n0;
      f32 *target = c + n0;
      vf x[8];
      UNROLL for (int i = 0; i < 8; i++) x[i] = vset(i < rows ? task->alpha * a[(p + i) * a_step] : 0);
      i64 j = 0;
      if (rows == 8) {
        for (; j + VF <= n; j += VF) {
          vf sum = add ? vload(target + j) : vset(0);
          UNROLL for (int i = 0; i < 8; i++) sum = vfma(x[i], vload(b + i * row + j), sum);
          vstore(target + j, sum);
        }
        if (j < n) {
          vf sum = add ? vload_first(target + j, n - j, 0) : vset(0);
          UNROLL for (int i = 0; i < 8; i++) sum = vfma(x[i], vload_first(b + i * row + j, n - j, 0), sum);
          vstore_first(target + j, sum, n - j);
        }
      } else {
        for (; j < n; j += VF) {
          const i64 count = MIN(VF, n - j);
          vf sum = add ? vload_first(target + j, count, 0) : vset(0);
          for (i64 i = 0; i < rows; i++) {
            sum = vfma(vset(task->alpha * a[(p + i) * a_step]), vload_first(b + i * row + j, count, 0), sum);
          }
          vstore_first(target + j, sum, count);
        }
      }
    }
  }
}

/** c[i, j] (+)= alpha · a_i · b_j for `rows` × `columns` pairs of contiguous vectors of length k. */
INLINE void gemm_dots(i64 k, const f32 *a, i64 a_row, const f32 *b, i64 b_row, f32 *c, i64 c_row, i64 c_column, f32 alpha,
                      i32 accumulate, const int rows, const int columns) {
  vf sum[4][4];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int j = 0; j < columns; j++) sum[i][j] = vset(0);
  }
  i64 p = 0;
  for (; p + VF <= k; p += VF) {
    vf y[4];
    UNROLL for (int j = 0; j < columns; j++) y[j] = vload(b + j * b_row + p);
    UNROLL for (int i = 0; i < rows; i++) {
      const vf x = vload(a + i * a_row + p);
      UNROLL for (int j = 0; j < columns; j++) sum[i][j] = vfma(x, y[j], sum[i][j]);
    }
  }
  if (p < k) {
    vf y[4];
    UNROLL for (int j = 0; j < columns; j++) y[j] = vload_first(b + j * b_row + p, k - p, 0);
    UNROLL for (int i = 0; i < rows; i++) {
      const vf x = vload_first(a + i * a_row + p, k - p, 0);
      UNROLL for (int j = 0; j < columns; j++) sum[i][j] = vfma(x, y[j], sum[i][j]);
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int j = 0; j < columns; j++) {
      f32 *target = c + i * c_row + j * c_column;
      const f32 value = alpha * vsum(sum[i][j]);
      *target = accumulate ? *target + value : value;
    }
  }
}

/** C (+)= alpha · A · Bᵀ as dot products, for few rows of A: rows of A and of Bᵀ contiguous, C with any strides. */
static void gemm_dot_products(i64 m, i64 n, i64 k, const f32 *a, i64 a_row, const f32 *b, i64 b_row, f32 *c, i64 c_row,
                              i64 c_column, f32 alpha, i32 accumulate) {
  for (i64 j = 0; j < n; j += 4) {
    const f32 *y = b + j * b_row;
    for (i64 i = 0; i < m;) {
      const f32 *x = a + i * a_row;
      f32 *target = c + i * c_row + j * c_column;
      const i64 rows = m - i >= 4 ? 4 : m - i >= 2 ? 2 : 1;
      if (n - j >= 4) {
        if (rows == 4) gemm_dots(k, x, a_row, y, b_row, target, c_row, c_column, alpha, accumulate, 4, 4);
        else if (rows == 2) gemm_dots(k, x, a_row, y, b_row, target, c_row, c_column, alpha, accumulate, 2, 4);
        else gemm_dots(k, x, a_row, y, b_row, target, c_row, c_column, alpha, accumulate, 1, 4);
      } else {
        for (i64 jj = 0; jj < n - j; jj++) {
          const f32 *z = y + jj * b_row;
          f32 *t = target + jj * c_column;
          if (rows == 4) gemm_dots(k, x, a_row, z, b_row, t, c_row, c_column, alpha, accumulate, 4, 1);
          else if (rows == 2) gemm_dots(k, x, a_row, z, b_row, t, c_row, c_column, alpha, accumulate, 2, 1);
          else gemm_dots(k, x, a_row, z, b_row, t, c_row, c_column, alpha, accumulate, 1, 1);
        }
      }
      i += rows;
    }
  }
}

/** Products with few rows or few columns, which tiles would waste; false if this is none. */
static i32 gemm_narrow(const gemm *task, f32 *scratch, i64 scratch_floats) {
  const i64 m = task->m, n = task->n, k = task->k;
  if (task->pack_a) return 0;
  if (m <= GEMM_FEW_ROWS && task->b_row == 1 && k >= 2 * VF) {
    const f32 *a = task->a;
    i64 a_row = task->a_row;
    if (task->a_column != 1) {
      if (m * k > scratch_floats) return 0;
      for (i64 i = 0; i < m; i++) {
        for (i64 p = 0; p < k; p++) scratch[i * k + p] = a[i * a_row + p * task->a_column];
      }
      a = scratch, a_row = k;
    }
    gemm_dot_products(m, n, k, a, a_row, task->b, task->b_column, task->c, task->c_row, 1, task->alpha, task->accumulate);
  } else if (n <= GEMM_FEW_COLUMNS && task->a_column == 1 && k >= 2 * VF) {
    const f32 *b = task->b;
    i64 b_column = task->b_column;
    if (task->b_row != 1) {
      if (n * k > scratch_floats) return 0;
      for (i64 p = 0; p < k; p++) {
        for (i64 j = 0; j < n; j++) scratch[j * k + p] = b[p * task->b_row + j * b_column];
      }
      b = scratch, b_column = k;
    }
    gemm_dot_products(n, m, k, b, b_column, task->a, task->a_row, task->c, 1, task->c_row, task->alpha, task->accumulate);
  } else if (m <= 2 && task->b_column == 1) {
    for (i64 i = 0; i < m; i++) gemm_combine_rows(task, task->a + i * task->a_row, task->a_column, task->c + i * task->c_row);
  } else if (n == 1 && task->a_row == 1 && task->c_row == 1) {
    gemm swapped = *task;
    swapped.n = m, swapped.b = task->a, swapped.b_row = task->a_column;
    gemm_combine_rows(&swapped, task->b, task->b_row, task->c);
  } else {
    return 0;
  }
  if (task->bias || task->activation) {
    gemm_finish(task->c, task->c_row, m, n, task->bias, task->activation, task->slope);
  }
  return 1;
}

/* ---- the product ---------------------------------------------------------------------------- */

/**
 * A needs no copy if its rows are contiguous, or its columns are and are few or close to each other. In WebAssembly, where
 * distances that are not constant cost additions, a copy pays already for a few panels of B.
 */
static i32 gemm_a_in_place(const gemm *task, i64 depth UNUSED) {
  if (task->pack_a || (task->a_column != 1 && task->a_row != 1)) return 0;
#if defined(__wasm__)
  return task->n <= 4 * GEMM_VECTORS * VF;
#else
  if (task->a_column == 1) return 1;
  return task->a_column <= 256 || depth * task->a_column <= 32768 || task->n <= 4 * VF;
#endif
}

/** B needs no copy if its rows are contiguous and fit the caches, or are read by few tiles. */
static i32 gemm_b_in_place(const gemm *task, i64 depth) {
  return task->b_column == 1 && (task->m <= 2 * GEMM_ROWS || depth * task->b_row <= 4096 * VF);
}

UNUSED static void gemm_block(const gemm *task, f32 *scratch, i64 scratch_floats) {
  const i64 m = task->m, n = task->n;
  if (m <= 0 || n <= 0) return;
  if (task->k <= 0) {
    if (!task->accumulate) {
      for (i64 i = 0; i < m; i++) zero_bytes(task->c + i * task->c_row, n * 4);
    }
    if (task->bias || task->activation) {
      gemm_finish(task->c, task->c_row, m, n, task->bias, task->activation, task->slope);
    }
    return;
  }
  if (gemm_narrow(task, scratch, scratch_floats)) return;

  const i64 slabs = CEIL_DIV(task->k, GEMM_DEPTH), depth = CEIL_DIV(task->k, slabs);
  const i32 a_in_place = gemm_a_in_place(task, depth);
  const i32 b_in_place = gemm_b_in_place(task, depth);
  /* B takes two thirds of the scratch memory, A the rest. */
  const i64 width_limit = GEMM_VECTORS * VF;
  const i64 b_floats = scratch_floats * 2 / 3, a_floats = scratch_floats - b_floats;
  const i64 n_block = MAX(width_limit, MIN(b_floats / depth, GEMM_COLUMNS_AT_ONCE) / width_limit * width_limit);
  const i64 m_block = MAX(GEMM_ROWS, MIN(a_floats / depth, GEMM_ROWS_AT_ONCE) / GEMM_ROWS * GEMM_ROWS);
  f32 *packed_b = scratch, *packed_a = scratch + b_floats;

  for (i64 k0 = 0; k0 < task->k; k0 += depth) {
    const i64 k = MIN(depth, task->k - k0);
    const i32 finish = k0 + k == task->k && (task->bias || task->activation);
    for (i64 n0 = 0; n0 < n; n0 += n_block) {
      const i64 columns = MIN(n_block, n - n0);
      const gemm_split wide = gemm_divide(CEIL_DIV(columns, VF), GEMM_VECTORS);
      const f32 *b = task->b + k0 * task->b_row + n0 * task->b_column;
      if (!b_in_place) gemm_pack_b(b, task->b_row, task->b_column, k, columns, wide, packed_b);
      for (i64 m0 = 0; m0 < m; m0 += m_block) {
        const i64 rows = MIN(m_block, m - m0);
        const gemm_split tall = gemm_divide(rows, GEMM_ROWS);
        const f32 *a = task->a + m0 * task->a_row + k0 * task->a_column;
        if (task->pack_a) {
          for (i64 i = 0, row = 0; i < tall.panels; i++) {
            const i64 height = tall.most - (i >= tall.at_most);
            task->pack_a(task->source_a, m0 + row, height, k0, k, packed_a + row * k);
            row += height;
          }
        } else if (!a_in_place) {
          gemm_pack_operand(a, task->a_row, task->a_column, k, rows, tall, 1, packed_a);
        }
        for (i64 j = 0, column = 0; j < wide.panels; j++) {
          const i64 vectors = wide.most - (j >= wide.at_most), width = vectors * VF;
          const i64 used = MIN(width, columns - column);
          gemm_strip_task strip = {
              .k = k,
              .b = packed_b + column * k,
              .b_step = width,
              .c_row = task->c_row,
              .alpha = task->alpha,
              .accumulate = task->accumulate || k0 > 0,
              .last = used - (vectors - 1) * VF,
              .finish = finish,
              .bias = task->bias ? task->bias + n0 + column : 0,
              .activation = task->activation,
              .slope = task->slope,
          };
          if (b_in_place && used == width) {
            strip.b = b + column, strip.b_step = task->b_row;
          } else if (b_in_place && m0 == 0) {
            gemm_pack_panel(b + column, 1, task->b_row, used, width, k, packed_b + column * k);
          }
          for (i64 part = 0; part < 2; part++) {
            const i64 height = tall.most - part, first = part ? tall.at_most * tall.most : 0;
            strip.count = part ? tall.panels - tall.at_most : tall.at_most;
            if (strip.count == 0 || height == 0) continue;
            strip.c = task->c + (m0 + first) * task->c_row + n0 + column;
            const i32 by_row = a_in_place && task->a_column == 1;
            if (a_in_place) {
              strip.a = a + first * task->a_row, strip.a_panel = height * task->a_row;
              strip.a_step = by_row ? task->a_row : task->a_column;
            } else {
              strip.a = packed_a + first * k, strip.a_panel = height * k, strip.a_step = height;
            }
            gemm_strips[by_row][height - 1][vectors - 1](&strip);
          }
          column += width;
        }
      }
    }
  }
}

#endif
