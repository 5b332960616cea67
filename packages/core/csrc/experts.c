/**
 * Mixtures of experts: matrix products in which every row of the input meets the matrices of a few experts only
 * (Csordás, Irie, Schmidhuber 2023; "CVMM").
 *
 * Assignment a ∈ [0, assignments) says that expert indices[a] works on a row. Rows that belong to several assignments in
 * turn are shared: assignment a belongs to row ⌊a / share⌋ of such an operand. `expert_sort` orders assignments by
 * expert, so that each expert's are neighbours; its products are then ordinary ones, gathered on load:
 *
 *   expert_hidden        hidden[p] = relu(x[a] W_e)                                    at sorted position p, a = order[p]
 *   expert_sum           y[row of a] = Σ_a gate_a source_a W_e                         scattered on store
 *   expert_hidden_grad   D = dy[a] V_eᵀ,  dgate_a = D · hidden[p],  dhidden[p] = gate_a D ∘ (hidden[p] > 0)
 *   expert_weight_grad   dW_e = Σ_{a of e} gate_a left_aᵀ right_a
 *
 * Each chunk owns a block of the output, so nothing is added atomically, and sums have an order that does not depend on
 * threads: in `expert_sum` a block of rows and columns of y meets all experts one after the other, with those of each
 * expert's assignments that belong to its rows. They follow one another, because the sort is stable. Where a row has one
 * assignment only, a block has the rows of neighbours in sorted order instead, and meets one expert or two. Blocks that are
 * at work at once have different rows: threads that write beside each other wait for each other's cache lines.
 */
#include "counting-sort.h"
#include "gemm.h"

/** Assignments that are gathered at once, and columns of a slab of them: a thread's scratch memory holds both beside a tile. */
#define EXPERT_ROWS 256
#define EXPERT_DEPTH 256
/** Columns of the output per chunk. */
#define EXPERT_COLUMNS 128
/** Sorted positions per chunk of expert_hidden and expert_hidden_grad. */
#define EXPERT_POSITIONS 256
/** Fewest rows of one expert in a part, on the average, when rows of the output are divided; and most parts. */
#define EXPERT_LEAST_ROWS 128
#define EXPERT_ROW_BLOCKS 16
/** How many rows ahead scattered rows are asked for. */
#define EXPERT_AHEAD 4
/** Multiply-adds worth a chunk of their own. */
#define EXPERT_GRAIN 1e6

/** Scratch memory of a thread: gathered rows, a second operand or a tile, and what is left for gemm_block. */
#define EXPERT_GATHERED (EXPERT_ROWS * EXPERT_DEPTH)
#define EXPERT_TILE (EXPERT_ROWS * EXPERT_COLUMNS)
#define EXPERT_GEMM (FWP_SCRATCH_BYTES / 4 - EXPERT_GATHERED - EXPERT_TILE)

/** Assignments in the order of their experts: those of expert e are order[offsets[e]] … order[offsets[e + 1] − 1], ascending. */
typedef struct {
  const i32 *order, *offsets;
  i64 assignments, experts;
} expert_groups;

/** Rows of `size` floats that belong to assignments: `share` of them to each row, or, if it is 0, one to each sorted position. */
typedef struct {
  const f32 *data;
  i64 size, share;
} expert_rows;

INLINE const f32 *expert_row(const expert_rows *rows, const i32 *order, i64 position) {
  const i64 row = rows->share ? (i64)((u32)order[position] / (u32)rows->share) : position;
  return rows->data + row * rows->size;
}

/** target [count, columns] = columns of the rows of positions [first, first + count), times gates if there are any. */
static void expert_gather(const expert_rows *rows, const i32 *order, i64 first, i64 count, i64 column, i64 columns,
                          const f32 *gates, f32 *target) {
  for (i64 i = 0; i < count; i++, target += columns) {
    const f32 *row = expert_row(rows, order, first + i) + column;
    if (i + EXPERT_AHEAD < count) prefetch_floats(expert_row(rows, order, first + i + EXPERT_AHEAD) + column, columns, 0);
    if (!gates) {
      gemm_copy(row, columns, target);
      continue;
    }
    const vf gate = vset(gates[order[first + i]]);
    i64 j = 0;
    for (; j + VF <= columns; j += VF) vstore(target + j, vload(row + j) * gate);
    if (j < columns) vstore_first(target + j, vload_first(row + j, columns - j, 0) * gate, columns - j);
  }
}

/**
 * C [count, n] (c_row apart) = activation(rows of positions [first, first + count) · B), where B has the strides b_row and
 * b_column; rows that lie in order are used where they are.
 */
static void expert_product(const expert_rows *rows, const i32 *order, i64 first, i64 count, const f32 *b, i64 b_row,
                           i64 b_column, i64 n, f32 *c, i64 c_row, i32 activation, f32 *gathered, f32 *scratch) {
  gemm task = {.m = count, .n = n, .k = rows->size, .b = b, .b_row = b_row, .b_column = b_column,
               .c = c, .c_row = c_row, .a_column = 1, .alpha = 1, .activation = activation};
  if (!rows->share || rows->size == 0) {
    task.a = rows->data + first * rows->size, task.a_row = rows->size;
    gemm_block(&task, scratch, EXPERT_GEMM);
    return;
  }
  const i64 slabs = CEIL_DIV(rows->size, EXPERT_DEPTH), depth = CEIL_DIV(rows->size, slabs);
  for (i64 k = 0; k < rows->size; k += depth) {
    task.k = MIN(depth, rows->size - k);
    expert_gather(rows, order, first, count, k, task.k, 0, gathered);
    task.a = gathered, task.a_row = task.k;
    task.b = b + k * b_row;
    task.accumulate = k > 0;
    task.activation = k + task.k == rows->size ? activation : ACTIVATION_NONE;
    gemm_block(&task, scratch, EXPERT_GEMM);
  }
}

INLINE f32 expert_dot(const f32 *x, const f32 *y, i64 n) {
  vf sums[2] = {vset(0), vset(0)};
  i64 j = 0;
  for (; j + 2 * VF <= n; j += 2 * VF) {
    UNROLL for (int i = 0; i < 2; i++) sums[i] = vfma(vload(x + j + i * VF), vload(y + j + i * VF), sums[i]);
  }
  for (; j < n; j += VF) {
    const i64 count = MIN(VF, n - j);
    sums[0] = vfma(vload_first(x + j, count, 0), vload_first(y + j, count, 0), sums[0]);
  }
  return vsum(sums[0] + sums[1]);
}

/* ---- order ---------------------------------------------------------------------------------- */

/**
 * expert_sort(indices, order, offsets, assignments, experts): a stable counting sort. 1 + the position of the first index
 * outside [0, experts), or OK.
 */
KERNEL(expert_sort) {
  return counting_sort(I32(0), INT(3), INT(4), I32(1), I32(2));
}

/** The expert of a sorted position. */
static i64 expert_at(const expert_groups *groups, i64 position) {
  i64 low = 0, high = groups->experts - 1;
  while (low < high) {
    const i64 middle = (low + high + 1) / 2;
    if (groups->offsets[middle] <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The first position in [begin, end) whose assignment is not below `assignment`. */
static i64 expert_position(const i32 *order, i64 begin, i64 end, i64 assignment) {
  while (begin < end) {
    const i64 middle = (begin + end) / 2;
    if (order[middle] < assignment) begin = middle + 1;
    else end = middle;
  }
  return begin;
}

/* ---- hidden layer --------------------------------------------------------------------------- */

typedef struct {
  expert_groups groups;
  /** x, or dy. */
  expert_rows source;
  /** [experts, source.size, n] as strides. */
  const f32 *weights;
  i64 w_row, w_column, n;
  const f32 *gates;
  f32 *hidden, *d_hidden, *d_gates;
} expert_hidden_plan;

static void expert_hidden_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const expert_hidden_plan *plan = context;
  const i32 *order = plan->groups.order;
  const i64 n = plan->n;
  f32 *gathered = fwp_scratch(thread), *scratch = gathered + EXPERT_GATHERED;
  f32 *output = plan->d_hidden ? plan->d_hidden : plan->hidden;
  i64 e = expert_at(&plan->groups, begin);
  for (i64 position = begin; position < end;) {
    while (plan->groups.offsets[e + 1] <= position) e++;
    const i64 count = MIN(MIN(end, plan->groups.offsets[e + 1]) - position, EXPERT_ROWS);
    expert_product(&plan->source, order, position, count, plan->weights + e * plan->source.size * n, plan->w_row,
                   plan->w_column, n, output + position * n, n, plan->d_hidden ? ACTIVATION_NONE : ACTIVATION_RELU,
                   gathered, scratch);
    position += count;
  }
  if (!plan->d_hidden) return;
  for (i64 position = begin; position < end; position++) {
    const f32 *hidden = plan->hidden + position * n;
    f32 *d = output + position * n;
    plan->d_gates[order[position]] = expert_dot(d, hidden, n);
    const vf gate = vset(plan->gates[order[position]]);
    i64 j = 0;
    for (; j + VF <= n; j += VF) vstore(d + j, vselect(vload(hidden + j) > 0, vload(d + j) * gate, vset(0)));
    if (j < n) {
      const vf x = vselect(vload_first(hidden + j, n - j, 0) > 0, vload_first(d + j, n - j, 0) * gate, vset(0));
      vstore_first(d + j, x, n - j);
    }
  }
}

/** expert_hidden(x, weights [experts, size, n], order, offsets, hidden, assignments, experts, size, n, share) */
KERNEL(expert_hidden) {
  const expert_hidden_plan plan = {
      .source = {F32(0), INT(7), INT(9)}, .weights = F32(1), .w_row = INT(8), .w_column = 1, .n = INT(8),
      .groups = {I32(2), I32(3), INT(5), INT(6)}, .hidden = F32(4)};
  fwp_parallel_for(plan.groups.assignments, EXPERT_POSITIONS, expert_hidden_chunk, &plan);
  return OK;
}

/**
 * expert_hidden_grad(dy, weights [experts, n, size], order, offsets, gates, hidden, d_hidden, d_gates, assignments, experts,
 * size, n, share)
 */
KERNEL(expert_hidden_grad) {
  const expert_hidden_plan plan = {
      .source = {F32(0), INT(10), INT(12)}, .weights = F32(1), .w_row = 1, .w_column = INT(10), .n = INT(11),
      .groups = {I32(2), I32(3), INT(8), INT(9)}, .gates = F32(4), .hidden = F32(5), .d_hidden = F32(6), .d_gates = F32(7)};
  fwp_parallel_for(plan.groups.assignments, EXPERT_POSITIONS, expert_hidden_chunk, &plan);
  return OK;
}

/* ---- sums over assignments ------------------------------------------------------------------ */

typedef struct {
  expert_groups groups;
  expert_rows source;
  /** [experts, source.size, n] as strides. */
  const f32 *weights;
  i64 w_row, w_column;
  /** Optional [assignments]. */
  const f32 *gates;
  /** y [rows, n], and how many assignments share a row. */
  f32 *y;
  i64 rows, n, share;
  /** Optional: dots[column block, a] = unweighted product of a · the row of a in reference [rows, n]. */
  const f32 *reference;
  f32 *dots;
  i64 rows_at_once, columns_at_once, column_blocks;
} expert_sum_plan;

/** Where the output row of an assignment begins. */
INLINE i64 expert_output(const expert_sum_plan *plan, i64 assignment) {
  return (i64)((u32)assignment / (u32)plan->share) * plan->n;
}

static void expert_sum_block(const expert_sum_plan *plan, i64 unit, f32 *scratch) {
  const i32 *order = plan->groups.order, *offsets = plan->groups.offsets;
  f32 *gathered = scratch, *tile = gathered + EXPERT_GATHERED, *rest = tile + EXPERT_TILE;
  const i64 row_blocks = CEIL_DIV(plan->rows, plan->rows_at_once), block = unit / row_blocks;
  const i64 first_row = unit % row_blocks * plan->rows_at_once, column = block * plan->columns_at_once;
  const i64 end_row = MIN(plan->rows, first_row + plan->rows_at_once);
  const i64 columns = MIN(plan->columns_at_once, plan->n - column);
  const i32 sorted = plan->share == 1;
  for (i64 i = first_row; i < end_row; i++) zero_bytes(plan->y + (sorted ? order[i] : i) * plan->n + column, columns * 4);
  for (i64 e = 0; e < plan->groups.experts; e++) {
    i64 begin = MAX(offsets[e], first_row), end = MIN(offsets[e + 1], end_row);
    if (!sorted) {
      begin = expert_position(order, offsets[e], offsets[e + 1], first_row * plan->share);
      end = expert_position(order, begin, offsets[e + 1], end_row * plan->share);
    }
    const f32 *weights = plan->weights + e * plan->source.size * plan->n + column * plan->w_column;
    for (i64 position = begin; position < end; position += EXPERT_ROWS) {
      const i64 count = MIN(EXPERT_ROWS, end - position);
      expert_product(&plan->source, order, position, count, weights, plan->w_row, plan->w_column, columns, tile, columns,
                     ACTIVATION_NONE, gathered, rest);
      for (i64 i = 0; i < count; i++) {
        const i64 a = order[position + i], at = expert_output(plan, a) + column;
        if (i + EXPERT_AHEAD < count) {
          prefetch_floats(plan->y + expert_output(plan, order[position + i + EXPERT_AHEAD]) + column, columns, 1);
        }
        const f32 *product = tile + i * columns;
        f32 *y = plan->y + at;
        const vf gate = vset(plan->gates ? plan->gates[a] : 1);
        i64 j = 0;
        for (; j + VF <= columns; j += VF) vstore(y + j, vfma(gate, vload(product + j), vload(y + j)));
        if (j < columns) {
          const i64 left = columns - j;
          vstore_first(y + j, vfma(gate, vload_first(product + j, left, 0), vload_first(y + j, left, 0)), left);
        }
        if (plan->dots) {
          plan->dots[block * plan->groups.assignments + a] = expert_dot(product, plan->reference + at, columns);
        }
      }
    }
  }
}

static void expert_sum_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  for (i64 unit = begin; unit < end; unit++) expert_sum_block(context, unit, fwp_scratch(thread));
}

/**
 * expert_sum(source, weights, order, offsets, gates?, y, reference?, dots?, assignments, experts, size, n, source share, rows,
 * transposed): weights are [experts, size, n], or [experts, n, size] if `transposed`; source share 0: source is in sorted
 * order. With `reference`, dots [⌈n / EXPERT_COLUMNS⌉, assignments] ends with the dot products in its first row.
 */
KERNEL(expert_sum) {
  expert_sum_plan plan = {
      .groups = {I32(2), I32(3), INT(8), INT(9)}, .source = {F32(0), INT(10), INT(12)}, .weights = F32(1),
      .gates = OPTIONAL_F32(4), .y = F32(5), .reference = OPTIONAL_F32(6), .dots = OPTIONAL_F32(7),
      .n = INT(11), .rows = INT(13)};
  const i64 transposed = FLAG(14), assignments = plan.groups.assignments;
  plan.w_row = transposed ? 1 : plan.n, plan.w_column = transposed ? plan.source.size : 1;
  if (plan.rows == 0 || plan.n == 0) return OK;
  plan.share = MAX(1, assignments / plan.rows);
  plan.column_blocks = CEIL_DIV(plan.n, EXPERT_COLUMNS);
  plan.columns_at_once = MIN(plan.n, ROUND_UP(CEIL_DIV(plan.n, plan.column_blocks), VF));
  const f64 products = (f64)assignments * (f64)MAX(1, plan.source.size) * (f64)plan.n;
  const i64 worth = (i64)MIN(products / EXPERT_GRAIN / (f64)plan.column_blocks, EXPERT_ROW_BLOCKS);
  const i64 dense = assignments / plan.groups.experts / EXPERT_LEAST_ROWS;
  const i64 row_blocks = MAX(1, MIN(MIN(worth, dense), plan.rows));
  plan.rows_at_once = plan.share == 1 ? EXPERT_POSITIONS : CEIL_DIV(plan.rows, row_blocks);
  const i64 units = CEIL_DIV(plan.rows, plan.rows_at_once) * plan.column_blocks;
  fwp_parallel_for(units, MAX(1, (i64)(EXPERT_GRAIN / 2 / (products / (f64)units + 50))), expert_sum_chunk, &plan);
  for (i64 block = 1; plan.dots && block < plan.column_blocks; block++) {
    for (i64 a = 0; a < assignments; a++) plan.dots[a] += plan.dots[block * assignments + a];
  }
  return OK;
}

/* ---- gradients of the experts' matrices ----------------------------------------------------- */

typedef struct {
  expert_groups groups;
  expert_rows left, right;
  /** Optional [assignments]. */
  const f32 *gates;
  /** [experts, left.size, right.size] */
  f32 *d_weights;
  i64 left_blocks, right_blocks;
} expert_weight_plan;

static void expert_weight_block(const expert_weight_plan *plan, i64 unit, f32 *scratch) {
  const i32 *order = plan->groups.order;
  const i64 block = unit % (plan->left_blocks * plan->right_blocks), e = unit / (plan->left_blocks * plan->right_blocks);
  const i64 left = block / plan->right_blocks * EXPERT_COLUMNS, right = block % plan->right_blocks * EXPERT_COLUMNS;
  const i64 m = MIN(EXPERT_COLUMNS, plan->left.size - left), n = MIN(EXPERT_COLUMNS, plan->right.size - right);
  const i64 begin = plan->groups.offsets[e], end = plan->groups.offsets[e + 1];
  f32 *left_rows = scratch, *right_rows = scratch + EXPERT_TILE, *rest = scratch + 2 * EXPERT_TILE;
  gemm task = {.m = m, .n = n, .c = plan->d_weights + (e * plan->left.size + left) * plan->right.size + right,
               .c_row = plan->right.size, .a_row = 1, .b_column = 1, .alpha = 1};
  for (i64 position = begin; position < end || position == begin; position += EXPERT_ROWS) {
    task.k = MIN(EXPERT_ROWS, end - position);
    if (plan->left.share) {
      expert_gather(&plan->left, order, position, task.k, left, m, 0, left_rows);
      task.a = left_rows, task.a_column = m;
    } else {
      task.a = plan->left.data + position * plan->left.size + left, task.a_column = plan->left.size;
    }
    if (plan->right.share || plan->gates) {
      expert_gather(&plan->right, order, position, task.k, right, n, plan->gates, right_rows);
      task.b = right_rows, task.b_row = n;
    } else {
      task.b = plan->right.data + position * plan->right.size + right, task.b_row = plan->right.size;
    }
    task.accumulate = position > begin;
    gemm_block(&task, rest, FWP_SCRATCH_BYTES / 4 - 2 * EXPERT_TILE);
  }
}

static void expert_weight_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  for (i64 unit = begin; unit < end; unit++) expert_weight_block(context, unit, fwp_scratch(thread));
}

/**
 * expert_weight_grad(left, right, order, offsets, gates?, d_weights, assignments, experts, left size, left share, right size,
 * right share): gates multiply the rows of the right operand. Experts without assignments get zeros.
 */
KERNEL(expert_weight_grad) {
  expert_weight_plan plan = {
      .left = {F32(0), INT(8), INT(9)}, .right = {F32(1), INT(10), INT(11)}, .groups = {I32(2), I32(3), INT(6), INT(7)},
      .gates = OPTIONAL_F32(4), .d_weights = F32(5)};
  plan.left_blocks = CEIL_DIV(plan.left.size, EXPERT_COLUMNS);
  plan.right_blocks = CEIL_DIV(plan.right.size, EXPERT_COLUMNS);
  const i64 units = plan.groups.experts * plan.left_blocks * plan.right_blocks;
  if (units == 0) return OK;
  const f64 products = (f64)plan.groups.assignments * (f64)plan.left.size * (f64)plan.right.size;
  fwp_parallel_for(units, MAX(1, (i64)(EXPERT_GRAIN / 2 / (products / (f64)units + 50))), expert_weight_chunk, &plan);
  return OK;
}

#define EXPERTS_KERNELS(ENTRY) \
  ENTRY(expert_sort, 5) \
  ENTRY(expert_hidden, 10) \
  ENTRY(expert_hidden_grad, 13) \
  ENTRY(expert_sum, 15) \
  ENTRY(expert_weight_grad, 12)
