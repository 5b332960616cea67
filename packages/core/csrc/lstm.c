/**
 * An LSTM (Hochreiter and Schmidhuber 1997; forget gates: Gers et al. 2000) over whole sequences:
 *
 *   z_t = x_t W + h_{t-1} R + bias, cut into four: i, f, g, o
 *   i, f, o = σ(·)      g = tanh(·)      c_t = f ∘ c_{t-1} + i ∘ g      h_t = o ∘ tanh(c_t)
 *
 * with each gate [batch, hidden], W [inputs, 4 · hidden] and R [hidden, 4 · hidden]. Backward, from the last step to the
 * first, with dh and dc the gradients of h_t and c_t:
 *
 *   dc += dh ∘ o ∘ (1 − tanh²(c_t))     dz = (dc ∘ g ∘ i(1−i), dc ∘ c_{t-1} ∘ f(1−f), dc ∘ i ∘ (1−g²), dh ∘ tanh(c_t) ∘ o(1−o))
 *   dc_{t-1} = dc ∘ f                   dh_{t-1} = dz Rᵀ
 *
 * What remains are matrix products over all steps at once: dR = Σ_t h_{t-1}ᵀ dz_t and the gradients of x and W.
 *
 * Batch rows are independent: a chunk of the parallel loop takes a block of rows through all steps, without
 * synchronisation, with the weights packed once for the register tiles of gemm.h. Small weights stay in the second-level
 * cache, and x_t W is added step by step; for large ones the caller puts x W + bias into `gates` beforehand.
 */
#include "fwp.h"
#include "simd.h"
#include "vector-math.h"
#include "gemm.h"

/** Most rows of weights that are packed as one slab. */
#define LSTM_DEPTH 512
/** Fewer steps than this do not pay for packing. */
#define LSTM_STEPS 4

typedef struct {
  i64 batch, steps, hidden;
  /** [batch, steps, inputs], [inputs, 4 · hidden], optional [4 · hidden]; or none of them: `gates` holds x W + bias. */
  i64 inputs;
  const f32 *x, *input_weight, *bias;
  /** [batch, steps, 4 · hidden]: the activated gates. */
  f32 *gates;
  /** R. */
  const f32 *weight;
  /** Optional, [batch, hidden]. */
  const f32 *initial_hidden, *initial_cell;
  /** Optional [batch, steps]: where h and c are 0 before the step. */
  const u8 *reset;
  /** [batch, steps, hidden]. */
  f32 *output, *cells;
  /** [batch, hidden]. */
  f32 *final_hidden, *final_cell;
  /** R in panels (transposed for the backward), if there are at least LSTM_STEPS steps, and then W. */
  f32 *packed, *packed_input;
  /* Backward. Gradients of the outputs, of z, the initial state and the bias; h_{t-1} with resets, [batch, steps, hidden]. */
  const f32 *d_output, *d_final_hidden, *d_final_cell;
  f32 *d_gates, *d_initial_hidden, *d_initial_cell, *previous, *d_bias;
  /** Sums of dz over a chunk's rows, in the line of its first row: [batch, 4 · hidden]. */
  f32 *partial;
  /** Batch rows per chunk. */
  i64 rows;
} lstm;

/* ---- products with packed weights ------------------------------------------------------------ */

/** Packs B [k, n] in slabs of LSTM_DEPTH rows, each in panels as gemm_divide says: k · ROUND_UP(n, VF) floats. */
static void lstm_pack(const f32 *b, i64 row, i64 column, i64 k, i64 n, f32 *packed) {
  const gemm_split wide = gemm_divide(CEIL_DIV(n, VF), GEMM_VECTORS);
  for (i64 p = 0; p < k; p += LSTM_DEPTH) {
    gemm_pack_b(b + p * row, row, column, MIN(LSTM_DEPTH, k - p), n, wide, packed + p * ROUND_UP(n, VF));
  }
}

/** C [m, n] (+)= A [m, k] · B for dense rows of A and C and the B that lstm_pack packed. */
static void lstm_multiply(const f32 *a, i64 m, i64 k, i64 n, const f32 *packed, i32 accumulate, f32 *c) {
  const gemm_split wide = gemm_divide(CEIL_DIV(n, VF), GEMM_VECTORS), tall = gemm_divide(m, GEMM_ROWS);
  for (i64 p = 0; p < k; p += LSTM_DEPTH) {
    const i64 depth = MIN(LSTM_DEPTH, k - p);
    const f32 *panel = packed + p * ROUND_UP(n, VF);
    for (i64 j = 0, column = 0; j < wide.panels; j++) {
      const i64 vectors = wide.most - (j >= wide.at_most), width = vectors * VF;
      for (i64 part = 0; part < 2; part++) {
        const i64 height = tall.most - part, first = part ? tall.at_most * tall.most : 0;
        const gemm_strip_task strip = {
            .count = part ? tall.panels - tall.at_most : tall.at_most, .k = depth,
            .a = a + first * k + p, .a_panel = height * k, .a_step = k,
            .b = panel + column * depth, .b_step = width,
            .c = c + first * n + column, .c_row = n,
            .alpha = 1, .accumulate = accumulate || p > 0, .last = MIN(width, n - column) - (vectors - 1) * VF,
        };
        if (strip.count > 0 && height > 0) gemm_strips[1][height - 1][vectors - 1](&strip);
      }
      column += width;
    }
  }
}

/** C (+)= A · R (or its transpose), packed or as it stands. */
static void lstm_recur(const lstm *task, const f32 *a, i64 m, i32 transposed, i32 accumulate, f32 *c, f32 *scratch, i64 floats) {
  const i64 hidden = task->hidden, k = transposed ? 4 * hidden : hidden, n = transposed ? hidden : 4 * hidden;
  if (task->packed) {
    lstm_multiply(a, m, k, n, task->packed, accumulate, c);
    return;
  }
  const gemm product = {
      .m = m, .n = n, .k = k, .a = a, .a_row = k, .a_column = 1,
      .b = task->weight, .b_row = transposed ? 1 : n, .b_column = transposed ? k : 1,
      .c = c, .c_row = n, .alpha = 1, .accumulate = accumulate,
  };
  gemm_block(&product, scratch, floats);
}

/** Batch rows per chunk: enough to share the packed weights' way from the outer caches, few enough for several threads. */
static i64 lstm_rows(const lstm *task) {
  const i64 limit = MAX(1, (FWP_SCRATCH_BYTES / 4 - GEMM_SCRATCH_LEAST) / (6 * task->hidden + (task->x ? task->inputs : 0)));
  i64 rows = task->hidden >= 384 ? 32 : 16;
  while (rows > 8 && CEIL_DIV(task->batch, rows) < 4) rows /= 2;
  return MIN(rows, limit);
}

/** Copies rows of a state, or zeros if there is none. */
INLINE void lstm_state(f32 *target, const f32 *state, i64 first, i64 rows, i64 hidden) {
  if (state) copy_bytes(target, state + first * hidden, rows * hidden * 4);
  else zero_bytes(target, rows * hidden * 4);
}

/* ---- forward -------------------------------------------------------------------------------- */

/** `count` (1 … VF) units of one row; gates are `stride` apart. `added` (optional) is what z lacks. */
INLINE void lstm_units(const f32 *sum, const f32 *added, f32 *gates, i64 stride, f32 *cell, f32 *cells, f32 *hidden, f32 *output,
                       i64 count) {
  vf z[4];
  UNROLL for (int gate = 0; gate < 4; gate++) {
    z[gate] = count == VF ? vload(sum + gate * stride) : vload_first(sum + gate * stride, count, 0);
    if (added) z[gate] += count == VF ? vload(added + gate * stride) : vload_first(added + gate * stride, count, 0);
  }
  const vf i = vsigmoid(z[0]), f = vsigmoid(z[1]), g = vtanh(z[2]), o = vsigmoid(z[3]);
  const vf c = vfma(f, count == VF ? vload(cell) : vload_first(cell, count, 0), i * g);
  const vf h = o * vtanh(c);
  if (count == VF) {
    vstore(gates, i), vstore(gates + stride, f), vstore(gates + 2 * stride, g), vstore(gates + 3 * stride, o);
    vstore(cell, c), vstore(cells, c), vstore(hidden, h), vstore(output, h);
  } else {
    vstore_first(gates, i, count), vstore_first(gates + stride, f, count);
    vstore_first(gates + 2 * stride, g, count), vstore_first(gates + 3 * stride, o, count);
    vstore_first(cell, c, count), vstore_first(cells, c, count);
    vstore_first(hidden, h, count), vstore_first(output, h, count);
  }
}

static void lstm_forward_rows(const lstm *task, i64 first, i64 rows, f32 *scratch) {
  const i64 hidden = task->hidden, steps = task->steps, inputs = task->inputs;
  f32 *h = scratch, *c = h + rows * hidden, *z = c + rows * hidden, *x = z + rows * 4 * hidden;
  f32 *rest = x + (task->x ? rows * inputs : 0);
  lstm_state(h, task->initial_hidden, first, rows, hidden);
  lstm_state(c, task->initial_cell, first, rows, hidden);
  for (i64 t = 0; t < steps; t++) {
    for (i64 row = 0; task->reset && row < rows; row++) {
      if (!task->reset[(first + row) * steps + t]) continue;
      zero_bytes(h + row * hidden, hidden * 4);
      zero_bytes(c + row * hidden, hidden * 4);
    }
    if (task->x) {
      for (i64 row = 0; row < rows; row++) {
        gemm_copy(task->x + ((first + row) * steps + t) * inputs, inputs, x + row * inputs);
      }
      lstm_multiply(x, rows, inputs, 4 * hidden, task->packed_input, 0, z);
    }
    lstm_recur(task, h, rows, 0, task->x != 0, z, rest, FWP_SCRATCH_BYTES / 4 - (rest - scratch));
    for (i64 row = 0; row < rows; row++) {
      const i64 at = (first + row) * steps + t;
      f32 *gates = task->gates + at * 4 * hidden, *cells = task->cells + at * hidden, *output = task->output + at * hidden;
      const f32 *sum = z + row * 4 * hidden, *added = task->x ? task->bias : gates;
      f32 *row_c = c + row * hidden, *row_h = h + row * hidden;
      for (i64 j = 0; j < hidden; j += VF) {
        const f32 *rest_of_z = added ? added + j : 0;
        if (j + VF <= hidden) lstm_units(sum + j, rest_of_z, gates + j, hidden, row_c + j, cells + j, row_h + j, output + j, VF);
        else lstm_units(sum + j, rest_of_z, gates + j, hidden, row_c + j, cells + j, row_h + j, output + j, hidden - j);
      }
    }
  }
  copy_bytes(task->final_hidden + first * hidden, h, rows * hidden * 4);
  copy_bytes(task->final_cell + first * hidden, c, rows * hidden * 4);
}

static void lstm_forward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const lstm *task = context;
  lstm_forward_rows(task, begin, end - begin, fwp_scratch(thread));
}

/* ---- backward ------------------------------------------------------------------------------- */

/** What one unit's backward reads and writes; all pointers at the unit, gates `stride` apart. */
typedef struct {
  const f32 *gates, *hidden, *previous_cell, *d_output;
  /** Gradients of the state, updated in place (dh is only read), and of z, in two places. */
  f32 *dh, *dc, *dz, *d_gates;
} lstm_unit;

/** `previous_cell` may be absent (zero). */
INLINE void lstm_units_backward(const lstm_unit *unit, i64 at, i64 stride, i64 count) {
#define LSTM_LOAD(p) (count == VF ? vload((p) + at) : vload_first((p) + at, count, 0))
  const vf i = LSTM_LOAD(unit->gates), f = LSTM_LOAD(unit->gates + stride);
  const vf g = LSTM_LOAD(unit->gates + 2 * stride), o = LSTM_LOAD(unit->gates + 3 * stride);
  /* tanh(c) = h / o; where o is 0, so is everything that follows from it. */
  const vf squashed = LSTM_LOAD(unit->hidden) / vmax(o, vset(1e-37f));
  const vf before = unit->previous_cell ? LSTM_LOAD(unit->previous_cell) : vset(0);
  const vf dh = LSTM_LOAD(unit->dh) + LSTM_LOAD(unit->d_output);
  const vf dc = vfma(dh * o, 1.0f - squashed * squashed, LSTM_LOAD(unit->dc));
  const vf dz[4] = {dc * g * i * (1.0f - i), dc * before * f * (1.0f - f), dc * i * (1.0f - g * g), dh * squashed * o * (1.0f - o)};
#undef LSTM_LOAD
  if (count == VF) {
    UNROLL for (int gate = 0; gate < 4; gate++) {
      vstore(unit->dz + at + gate * stride, dz[gate]);
      vstore(unit->d_gates + at + gate * stride, dz[gate]);
    }
    vstore(unit->dc + at, dc * f);
  } else {
    UNROLL for (int gate = 0; gate < 4; gate++) {
      vstore_first(unit->dz + at + gate * stride, dz[gate], count);
      vstore_first(unit->d_gates + at + gate * stride, dz[gate], count);
    }
    vstore_first(unit->dc + at, dc * f, count);
  }
}

/** sums [columns] += the sum of the rows of x. */
INLINE void lstm_sum_rows(const f32 *x, i64 rows, i64 columns, f32 *sums) {
  for (i64 j = 0; j < columns; j += VF) {
    const i64 count = MIN(VF, columns - j);
    vf sum = vload_first(sums + j, count, 0);
    for (i64 row = 0; row < rows; row++) sum += vload_first(x + row * columns + j, count, 0);
    vstore_first(sums + j, sum, count);
  }
}

static void lstm_backward_rows(const lstm *task, i64 first, i64 rows, f32 *scratch) {
  const i64 hidden = task->hidden, steps = task->steps;
  f32 *sums = task->partial + first * 4 * hidden;
  zero_bytes(sums, 4 * hidden * 4);
  f32 *dh = scratch, *dc = dh + rows * hidden, *dz = dc + rows * hidden;
  f32 *rest = dz + rows * 4 * hidden;
  lstm_state(dh, task->d_final_hidden, first, rows, hidden);
  lstm_state(dc, task->d_final_cell, first, rows, hidden);
  for (i64 t = steps - 1; t >= 0; t--) {
    for (i64 row = 0; row < rows; row++) {
      const i64 at = (first + row) * steps + t;
      const i32 reset = task->reset && task->reset[at];
      const f32 *state = t > 0 ? task->cells + (at - 1) * hidden : task->initial_cell ? task->initial_cell + (first + row) * hidden : 0;
      const lstm_unit unit = {
          .gates = task->gates + at * 4 * hidden, .hidden = task->output + at * hidden, .previous_cell = reset ? 0 : state,
          .d_output = task->d_output + at * hidden, .dh = dh + row * hidden, .dc = dc + row * hidden,
          .dz = dz + row * 4 * hidden, .d_gates = task->d_gates + at * 4 * hidden,
      };
      i64 j = 0;
      for (; j + VF <= hidden; j += VF) lstm_units_backward(&unit, j, hidden, VF);
      if (j < hidden) lstm_units_backward(&unit, j, hidden, hidden - j);
      const f32 *h = t > 0 ? task->output + (at - 1) * hidden : task->initial_hidden ? task->initial_hidden + (first + row) * hidden : 0;
      if (reset || !h) zero_bytes(task->previous + at * hidden, hidden * 4);
      else copy_bytes(task->previous + at * hidden, h, hidden * 4);
    }
    lstm_sum_rows(dz, rows, 4 * hidden, sums);
    lstm_recur(task, dz, rows, 1, 0, dh, rest, FWP_SCRATCH_BYTES / 4 - (rest - scratch));
    for (i64 row = 0; task->reset && row < rows; row++) {
      if (!task->reset[(first + row) * steps + t]) continue;
      zero_bytes(dh + row * hidden, hidden * 4);
      zero_bytes(dc + row * hidden, hidden * 4);
    }
  }
  copy_bytes(task->d_initial_hidden + first * hidden, dh, rows * hidden * 4);
  copy_bytes(task->d_initial_cell + first * hidden, dc, rows * hidden * 4);
}

static void lstm_backward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const lstm *task = context;
  lstm_backward_rows(task, begin, end - begin, fwp_scratch(thread));
}

/* ---- kernels -------------------------------------------------------------------------------- */

/** The arguments that both kernels begin with. */
#define LSTM_ARGUMENTS 11
static lstm lstm_read(const f64 *arg) {
  lstm task = {
      .batch = INT(0), .steps = INT(1), .hidden = INT(2), .gates = F32(3), .weight = F32(4),
      .initial_hidden = OPTIONAL_F32(5), .initial_cell = OPTIONAL_F32(6), .reset = PRESENT(7) ? U8(7) : 0,
      .output = F32(8), .cells = F32(9), .packed = OPTIONAL_F32(10),
  };
  if (task.steps < LSTM_STEPS) task.packed = 0;
  return task;
}

/**
 * lstm_forward(batch, steps, hidden, gates, weight, initial_hidden, initial_cell, reset, output, cells, packed, x, inputs,
 * input_weight, bias, final_hidden, final_cell): fills gates, output, cells and the final state. With x = 0 `gates` holds x W + bias.
 * `packed` has (inputs + hidden + 16) · (4 · hidden + 16) floats (without x, and in the backward, inputs = 0).
 */
KERNEL(lstm_forward) {
  lstm task = lstm_read(arg);
  arg += LSTM_ARGUMENTS;
  task.x = OPTIONAL_F32(0), task.inputs = INT(1), task.input_weight = F32(2), task.bias = OPTIONAL_F32(3);
  task.final_hidden = F32(4), task.final_cell = F32(5);
  if (task.batch == 0 || task.hidden == 0) return OK;
  const i64 columns = 4 * task.hidden;
  task.rows = lstm_rows(&task);
  if (task.packed) lstm_pack(task.weight, columns, 1, task.hidden, columns, task.packed);
  if (task.x) {
    task.packed_input = task.packed + task.hidden * ROUND_UP(columns, VF);
    lstm_pack(task.input_weight, columns, 1, task.inputs, columns, task.packed_input);
  }
  fwp_parallel_for(task.batch, task.rows, lstm_forward_chunk, &task);
  return OK;
}

/**
 * lstm_backward(…the same 11, d_output, d_final_hidden, d_final_cell, d_gates, d_initial_hidden, d_initial_cell, previous, d_bias,
 * partial): fills the gradients of z, the initial state and the bias, and `previous`, h_{t-1} for each step.
 */
KERNEL(lstm_backward) {
  lstm task = lstm_read(arg);
  arg += LSTM_ARGUMENTS;
  task.d_output = F32(0), task.d_final_hidden = F32(1), task.d_final_cell = F32(2), task.d_gates = F32(3);
  task.d_initial_hidden = F32(4), task.d_initial_cell = F32(5), task.previous = F32(6), task.d_bias = F32(7), task.partial = F32(8);
  const i64 columns = 4 * task.hidden;
  zero_bytes(task.d_bias, columns * 4);
  if (task.batch == 0 || task.hidden == 0) return OK;
  task.rows = lstm_rows(&task);
  if (task.packed) lstm_pack(task.weight, 1, columns, columns, task.hidden, task.packed);
  fwp_parallel_for(task.batch, task.rows, lstm_backward_chunk, &task);
  for (i64 first = 0; first < task.batch; first += task.rows) lstm_sum_rows(task.partial + first * columns, 1, columns, task.d_bias);
  return OK;
}

#define LSTM_KERNELS(ENTRY) ENTRY(lstm_forward, 17) ENTRY(lstm_backward, 20)
