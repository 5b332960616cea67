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

#include "simd.h"

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

/** Longest slab of k that is packed at once. */
#define GEMM_DEPTH 256
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
  ACTIVATION_GELU
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
#ifdef VECTOR_MATH_H
    case ACTIVATION_ELU: return vselect(x < 0, vexp(x) - 1, x);
    case ACTIVATION_SIGMOID: return vsigmoid(x);
    case ACTIVATION_TANH: return vtanh(x);
    case ACTIVATION_GELU: return vgelu(x);
#endif
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

/** `count` row panels of C below each other, times one column panel; see gemm_strip. */
typedef struct {
  i64 count, k;
  const f32 *a;
  /** Distance between panels of A, and between the k's of a panel (or its rows, where A is read in place). */
  i64 a_panel, a_step;
  const f32 *b;
  i64 b_step;
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
    const f32 *b = task->b;
    if (by_row) {
      /* Four rows share a pointer: x86 addresses them as p, p + s, p + 2s, p + 3s. */
      const char *group[(GEMM_ROWS + 3) / 4];
      const i64 step = a_step * 4, step3 = a_step * 12;
      UNROLL for (int i = 0; i < (rows + 3) / 4; i++) group[i] = (const char *)(panel + 4 * i * a_step);
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
      const f32 *a = panel;
      for (i64 p = task->k; p > 0; p--) {
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
  } else if (row == 1) {
    for (; done + VF <= rows; done += VF) {
      for (i64 p = 0; p < count; p++) vstore(panel + p * width + done, vload(source + p * column + done));
    }
    if (done + 4 <= rows && VF > 4) {
      for (i64 p = 0; p < count; p++) {
        for (i64 i = done; i + 4 <= rows; i += 4) {
          *(gemm_f4_memory *)(panel + p * width + i) = *(const gemm_f4_memory *)(source + p * column + i);
        }
      }
      done += (rows - done) / 4 * 4;
    }
    for (i64 i = done; i < rows; i++) {
      for (i64 p = 0; p < count; p++) panel[p * width + i] = source[p * column + i];
    }
  } else {
    for (i64 i = 0; i < rows; i++) {
      for (i64 p = 0; p < count; p++) panel[p * width + i] = source[i * row + p * column];
    }
  }
  for (i64 i = rows; i < width; i++) {
    for (i64 p = 0; p < count; p++) panel[p * width + i] = 0;
  }
}

/* ---- the product ---------------------------------------------------------------------------- */

/** How `total` divides into `panels` of `most` or one less. */
typedef struct {
  i64 panels, most, at_most;
} gemm_split;

/** As few panels of at most `limit` as possible, of sizes that differ by one at most (the first `at_most` are larger). */
INLINE gemm_split gemm_divide(i64 total, i64 limit) {
  const i64 panels = CEIL_DIV(total, limit), most = CEIL_DIV(total, panels);
  return (gemm_split){panels, most, total - panels * (most - 1)};
}

static void gemm_block(const gemm *task, f32 *scratch, i64 scratch_floats) {
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
  const i32 a_in_place = TUNE_A;
  const i32 b_in_place = TUNE_B;
  const i64 depth = MIN(task->k, GEMM_DEPTH);
  const i64 slabs = CEIL_DIV(task->k, GEMM_DEPTH), slab_depth = CEIL_DIV(task->k, slabs);
  /* B takes two thirds of the scratch memory, A the rest. */
  const i64 n_limit = MAX(GEMM_VECTORS * VF, (scratch_floats * 2 / 3 / depth) / (GEMM_VECTORS * VF) * (GEMM_VECTORS * VF));
  const i64 m_limit = MAX(GEMM_ROWS, (scratch_floats / 3 / depth) / GEMM_ROWS * GEMM_ROWS);
  const i64 n_block = MIN(n_limit, TUNE_NC), m_block = MIN(m_limit, TUNE_MC);
  f32 *packed_b = scratch, *packed_a = scratch + n_limit * depth;

  for (i64 k0 = 0; k0 < task->k; k0 += slab_depth) {
    const i64 k = MIN(slab_depth, task->k - k0);
    const i32 finish = k0 + k == task->k && (task->bias || task->activation);
    for (i64 n0 = 0; n0 < n; n0 += n_block) {
      const i64 columns = MIN(n_block, n - n0);
      const gemm_split wide = gemm_divide(CEIL_DIV(columns, VF), GEMM_VECTORS);
      const f32 *b = task->b + k0 * task->b_row + n0 * task->b_column;
      for (i64 m0 = 0; m0 < m; m0 += m_block) {
        const i64 rows = MIN(m_block, m - m0);
        const gemm_split tall = gemm_divide(rows, GEMM_ROWS);
        const f32 *a = task->a + m0 * task->a_row + k0 * task->a_column;
        if (!a_in_place) {
          for (i64 i = 0, row = 0; i < tall.panels; i++) {
            const i64 height = tall.most - (i >= tall.at_most);
            if (task->pack_a) task->pack_a(task->source_a, m0 + row, height, k0, k, packed_a + row * k);
            else gemm_pack_panel(a + row * task->a_row, task->a_row, task->a_column, height, height, k, packed_a + row * k);
            row += height;
          }
        }
        for (i64 j = 0, column = 0; j < wide.panels; j++) {
          const i64 vectors = wide.most - (j >= wide.at_most), width = vectors * VF;
          const i64 used = MIN(width, columns - column);
          gemm_strip_task strip = {
              .k = k,
              .alpha = task->alpha,
              .accumulate = task->accumulate || k0 > 0,
              .c_row = task->c_row,
              .last = used - (vectors - 1) * VF,
              .finish = finish,
              .bias = task->bias ? task->bias + n0 + column : 0,
              .activation = task->activation,
              .slope = task->slope,
          };
          f32 *panel = packed_b + column * k;
          if (b_in_place && used == width) {
            strip.b = b + column, strip.b_step = task->b_row;
          } else {
            if (m0 == 0) gemm_pack_panel(b + column * task->b_column, task->b_column, task->b_row, used, width, k, panel);
            strip.b = panel, strip.b_step = width;
          }
          for (i64 part = 0; part < 2; part++) {
            const i64 height = tall.most - part, first = part ? tall.at_most * tall.most : 0;
            strip.count = part ? tall.panels - tall.at_most : tall.at_most;
            if (strip.count == 0 || height == 0) continue;
            strip.c = task->c + (m0 + first) * task->c_row + n0 + column;
            if (!a_in_place) {
              strip.a = packed_a + first * k, strip.a_panel = height * k, strip.a_step = height;
              gemm_strips[0][height - 1][vectors - 1](&strip);
            } else {
              strip.a = a + first * task->a_row, strip.a_panel = height * task->a_row;
              strip.a_step = task->a_column == 1 ? task->a_row : task->a_column;
              gemm_strips[task->a_column == 1][height - 1][vectors - 1](&strip);
            }
          }
          column += width;
        }
      }
    }
  }
}

#endif
