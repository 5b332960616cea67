/**
 * States that a linear map carries on (Yau et al. 2025, equation 2):
 *
 *   s_t = s_{t-1} ▷ E_t + f_t
 *
 * s, f [batch, steps, rows, columns]; E_t is one factor for each element of s, one for all, one for each column (s diag(e)), or
 * a matrix [columns, columns] (s E). Backward, from the last step to the first, with g_t the gradient of s_t:
 *
 *   g_t = d_t + g_{t+1} ▷ E_{t+1}ᵀ        d_initial = g_0 ▷ E_0ᵀ
 *
 * which is the gradient of f, too. Rows of a state do not see each other, and without a matrix neither do columns: threads share
 * batch rows, rows and blocks of columns, each of which goes through all steps.
 */
#include "fwp.h"
#include "simd.h"
#include "rows.h"

/** Columns of a block, and of a state that a matrix carries on. */
#define AFFINE_COLUMNS 256
/** Multiply-adds of a chunk: some 20 µs. */
#define AFFINE_GRAIN 16384

/** How E is given; the numbers are those of `backend/kernels/affine-scan.ts`. */
enum { AFFINE_ELEMENTWISE, AFFINE_SCALAR, AFFINE_DIAGONAL, AFFINE_MATRIX };

typedef struct {
  i64 kind, batch, steps, rows, columns;
  const f32 *transition, *input;
  /** Optional, [batch, rows, columns]: forward s before the first step, backward what is added to the last d. */
  const f32 *edge;
  /** Optional, [batch, steps]: where s is 0 before the step. */
  const u8 *reset;
  /** s or g of all steps; s behind the last or d_initial, [batch, rows, columns]. */
  f32 *states, *final;
} affine_scan;

/** The factors of `row` at step `at` (of all batch rows), from column 0. */
INLINE const f32 *affine_factors(const affine_scan *task, i64 at, i64 row) {
  switch (task->kind) {
    case AFFINE_ELEMENTWISE: return task->transition + (at * task->rows + row) * task->columns;
    case AFFINE_SCALAR: return task->transition + at;
    case AFFINE_DIAGONAL: return task->transition + at * task->columns;
    default: return task->transition + at * task->columns * task->columns;
  }
}

/** next = state ▷ E, for `count` columns of one row. */
INLINE void affine_scale(const affine_scan *task, const f32 *factors, const f32 *state, f32 *next, i64 count) {
  const i32 one = task->kind == AFFINE_SCALAR;
  const vf factor = one ? vset(*factors) : vset(0);
#define AFFINE_SCALE(j, n) \
  ROW_STORE(next, j, n, (one ? factor : ROW_LOAD(factors, j, n, 0)) * ROW_LOAD(state, j, n, 0));
  ROW_EACH(count, AFFINE_SCALE);
#undef AFFINE_SCALE
}

/** next = state E. */
static void affine_multiply(const f32 *matrix, const f32 *state, f32 *next, i64 columns) {
  zero_bytes(next, columns * 4);
  for (i64 k = 0; k < columns; k++) {
    const f32 *row = matrix + k * columns;
    const vf factor = vset(state[k]);
#define AFFINE_ADD_ROW(j, n) ROW_STORE(next, j, n, vfma(factor, ROW_LOAD(row, j, n, 0), ROW_LOAD(next, j, n, 0)));
    ROW_EACH(columns, AFFINE_ADD_ROW);
#undef AFFINE_ADD_ROW
  }
}

/** next = state Eᵀ. */
static void affine_multiply_transposed(const f32 *matrix, const f32 *state, f32 *next, i64 columns) {
  for (i64 k = 0; k < columns; k++) {
    const f32 *row = matrix + k * columns;
    vf sum;
#define AFFINE_PRODUCT(a, j, n) a = vfma(ROW_LOAD(row, j, n, 0), ROW_LOAD(state, j, n, 0), a);
    ROW_REDUCE(sum, columns, vset(0), AFFINE_PRODUCT, ROW_PLUS);
#undef AFFINE_PRODUCT
    next[k] = vsum(sum);
  }
}

/** next = state + input; next may be state. */
INLINE void affine_add(const f32 *state, const f32 *input, f32 *next, i64 count) {
#define AFFINE_ADD(j, n) ROW_STORE(next, j, n, ROW_LOAD(state, j, n, 0) + ROW_LOAD(input, j, n, 0));
  ROW_EACH(count, AFFINE_ADD);
#undef AFFINE_ADD
}

/** Columns [column, column + count) of a row of a batch row's state; a matrix takes all columns. */
static void affine_forward_block(const affine_scan *task, i64 batch, i64 row, i64 column, i64 count) {
  const i64 offset = (batch * task->rows + row) * task->columns + column;
  const f32 zeros[AFFINE_COLUMNS] = {0};
  const f32 *state = task->edge ? task->edge + offset : zeros;
  for (i64 t = 0; t < task->steps; t++) {
    const i64 at = batch * task->steps + t, place = (at * task->rows + row) * task->columns + column;
    f32 *next = task->states + place;
    if (task->reset && task->reset[at]) {
      zero_bytes(next, count * 4);
    } else {
      const f32 *factors = affine_factors(task, at, row);
      if (task->kind == AFFINE_MATRIX) affine_multiply(factors, state, next, count);
      else affine_scale(task, factors + (task->kind == AFFINE_SCALAR ? 0 : column), state, next, count);
    }
    affine_add(next, task->input + place, next, count);
    state = next;
  }
  copy_bytes(task->final + offset, state, count * 4);
}

static void affine_backward_block(const affine_scan *task, i64 batch, i64 row, i64 column, i64 count) {
  const i64 offset = (batch * task->rows + row) * task->columns + column;
  f32 carried[AFFINE_COLUMNS];
  if (task->edge) copy_bytes(carried, task->edge + offset, count * 4);
  else zero_bytes(carried, count * 4);
  for (i64 t = task->steps - 1; t >= 0; t--) {
    const i64 at = batch * task->steps + t, place = (at * task->rows + row) * task->columns + column;
    f32 *gradient = task->states + place;
    affine_add(carried, task->input + place, gradient, count);
    if (task->reset && task->reset[at]) {
      zero_bytes(carried, count * 4);
      continue;
    }
    const f32 *factors = affine_factors(task, at, row);
    if (task->kind == AFFINE_MATRIX) affine_multiply_transposed(factors, gradient, carried, count);
    else affine_scale(task, factors + (task->kind == AFFINE_SCALAR ? 0 : column), gradient, carried, count);
  }
  copy_bytes(task->final + offset, carried, count * 4);
}

/** Calls BLOCK for the blocks of a chunk. */
#define AFFINE_CHUNK(name, BLOCK)                                                           \
  static void name(const void *context, i64 begin, i64 end, UNUSED i64 thread) {            \
    const affine_scan *task = context;                                                      \
    const i64 blocks = CEIL_DIV(task->columns, AFFINE_COLUMNS);                             \
    for (i64 i = begin; i < end; i++) {                                                     \
      const i64 column = i % blocks * AFFINE_COLUMNS, row = i / blocks;                     \
      const i64 count = MIN(AFFINE_COLUMNS, task->columns - column);                        \
      BLOCK(task, row / task->rows, row % task->rows, column, count);                       \
    }                                                                                       \
  }
AFFINE_CHUNK(affine_forward_chunk, affine_forward_block)
AFFINE_CHUNK(affine_backward_chunk, affine_backward_block)

static i32 affine_run(const f64 *arg, fwp_body chunk) {
  const affine_scan task = {
      .kind = INT(0), .batch = INT(1), .steps = INT(2), .rows = INT(3), .columns = INT(4), .transition = F32(5),
      .input = F32(6), .edge = OPTIONAL_F32(7), .reset = PRESENT(8) ? U8(8) : 0, .states = F32(9), .final = F32(10),
  };
  const i64 columns = MIN(AFFINE_COLUMNS, MAX(task.columns, 1));
  const i64 work = columns * (task.kind == AFFINE_MATRIX ? columns : 1) * MAX(task.steps, 1);
  const i64 blocks = task.batch * task.rows * CEIL_DIV(task.columns, AFFINE_COLUMNS);
  fwp_parallel_for(blocks, CEIL_DIV(AFFINE_GRAIN, work), chunk, &task);
  return OK;
}

/**
 * affine_scan(kind, batch, steps, rows, columns, transition, input, initial?, reset?, states, final): all states and the last. With a
 * matrix, at most AFFINE_COLUMNS columns.
 */
KERNEL(affine_scan) { return affine_run(arg, affine_forward_chunk); }

/** affine_scan_grad(…the same 5, transition, d_states, d_final?, reset?, d_input, d_initial) */
KERNEL(affine_scan_grad) { return affine_run(arg, affine_backward_chunk); }

#define AFFINE_SCAN_KERNELS(ENTRY) \
  ENTRY(affine_scan, 11) \
  ENTRY(affine_scan_grad, 11)
