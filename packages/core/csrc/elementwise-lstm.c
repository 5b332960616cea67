/**
 * An LSTM with elementwise recurrence (Irie, Gopalakrishnan and Schmidhuber 2023, section 3.1) over whole sequences:
 *
 *   z_t = tanh(x_t Wz + wz ∘ c_{t-1} + bz)    f_t = σ(x_t Wf + wf ∘ c_{t-1} + bf)    c_t = f_t ∘ c_{t-1} + (1 − f_t) ∘ z_t
 *
 * The caller puts x W + b, [batch, steps, 2 · hidden] with z's part first, into `gates`, which the forward replaces by z and f.
 * Backward, from the last step to the first, with dc the gradient of c_t:
 *
 *   dz = dc ∘ (1 − f) ∘ (1 − z²)     df = dc ∘ (c_{t-1} − z) ∘ f ∘ (1 − f)       (both before the activations)
 *   dc_{t-1} = dc ∘ f + dz ∘ wz + df ∘ wf
 *
 * No unit reads another one's state. So what threads share are blocks of units of one batch row, each of which goes through
 * all steps.
 */
#include "fwp.h"
#include "simd.h"
#include "rows.h"
#include "vector-math.h"

/** Units of a block. */
#define ELSTM_UNITS 64
/** Units times steps of a chunk: some 20 µs. */
#define ELSTM_GRAIN 8192

typedef struct {
  i64 batch, steps, hidden;
  /** [batch, steps, 2 · hidden]: first the sums, then z and f. */
  f32 *gates;
  /** wz and wf, [2 · hidden]. */
  const f32 *recurrent;
  /** Optional, [batch, hidden]. */
  const f32 *initial;
  /** Optional [batch, steps]: where c is 0 before the step. */
  const u8 *reset;
  /** c of all steps, [batch, steps, hidden], and of the last, [batch, hidden]. */
  f32 *cells, *final;
  /* Backward: gradients of these two, of the sums and of the initial state; for each batch row those of the recurrent weight and
   * of the bias, [batch, 2, 2 · hidden]. */
  const f32 *d_cells, *d_final;
  f32 *d_gates, *d_initial, *partial;
} elementwise_lstm;

/** One vector of units: `count` (1 … VF) of them; f's part of the gates is `hidden` after z's. */
INLINE void elstm_units(f32 *gates, i64 hidden, vf wz, vf wf, f32 *state, f32 *cell, i64 count) {
  const vf before = ROW_LOAD(state, 0, count, 0);
  const vf z = vtanh(vfma(wz, before, ROW_LOAD(gates, 0, count, 0)));
  const vf f = vsigmoid(vfma(wf, before, ROW_LOAD(gates, hidden, count, 0)));
  const vf c = vfma(f, before, (1.0f - f) * z);
  ROW_STORE(gates, 0, count, z);
  ROW_STORE(gates, hidden, count, f);
  ROW_STORE(state, 0, count, c);
  ROW_STORE(cell, 0, count, c);
}

/** Units [unit, unit + units) of a batch row through all steps. */
static void elstm_forward_block(const elementwise_lstm *task, i64 row, i64 unit, i64 units) {
  const i64 hidden = task->hidden;
  f32 state[ELSTM_UNITS];
  if (task->initial) copy_bytes(state, task->initial + row * hidden + unit, units * 4);
  else zero_bytes(state, units * 4);
  const f32 *wz = task->recurrent + unit, *wf = wz + hidden;
  for (i64 t = 0; t < task->steps; t++) {
    const i64 at = row * task->steps + t;
    f32 *gates = task->gates + at * 2 * hidden + unit, *cells = task->cells + at * hidden + unit;
    if (task->reset && task->reset[at]) zero_bytes(state, units * 4);
#define ELSTM_FORWARD(j, count) \
  elstm_units(gates + (j), hidden, ROW_LOAD(wz, j, count, 0), ROW_LOAD(wf, j, count, 0), state + (j), cells + (j), count);
    ROW_EACH(units, ELSTM_FORWARD);
#undef ELSTM_FORWARD
  }
  copy_bytes(task->final + row * hidden + unit, state, units * 4);
}

/** The backward of one vector of units at one step; all pointers at its first unit. */
typedef struct {
  const f32 *gates, *d_cell, *wz, *wf;
  /** Absent: zero. */
  const f32 *before;
  /** dc_t, then dc_{t-1}. */
  f32 *dc;
  f32 *d_gates;
  /** Sums over time. */
  f32 *d_recurrent, *d_bias;
} elstm_step;

INLINE void elstm_units_backward(const elstm_step *step, i64 hidden, i64 at, i64 count) {
  const vf z = ROW_LOAD(step->gates, at, count, 0), f = ROW_LOAD(step->gates + hidden, at, count, 0);
  const vf before = step->before ? ROW_LOAD(step->before, at, count, 0) : vset(0);
  const vf dc = ROW_LOAD(step->dc, at, count, 0) + ROW_LOAD(step->d_cell, at, count, 0);
  const vf rest = 1.0f - f;
  const vf dz = dc * rest * (1.0f - z * z), df = dc * (before - z) * f * rest;
  ROW_STORE(step->d_gates, at, count, dz);
  ROW_STORE(step->d_gates + hidden, at, count, df);
  const vf carried = vfma(dz, ROW_LOAD(step->wz, at, count, 0), vfma(df, ROW_LOAD(step->wf, at, count, 0), dc * f));
  ROW_STORE(step->dc, at, count, carried);
  ROW_STORE(step->d_recurrent, at, count, vfma(dz, before, ROW_LOAD(step->d_recurrent, at, count, 0)));
  ROW_STORE(step->d_recurrent + hidden, at, count, vfma(df, before, ROW_LOAD(step->d_recurrent + hidden, at, count, 0)));
  ROW_STORE(step->d_bias, at, count, dz + ROW_LOAD(step->d_bias, at, count, 0));
  ROW_STORE(step->d_bias + hidden, at, count, df + ROW_LOAD(step->d_bias + hidden, at, count, 0));
}

static void elstm_backward_block(const elementwise_lstm *task, i64 row, i64 unit, i64 units) {
  const i64 hidden = task->hidden;
  f32 dc[ELSTM_UNITS];
  copy_bytes(dc, task->d_final + row * hidden + unit, units * 4);
  f32 *sums = task->partial + row * 4 * hidden + unit;
  for (i64 part = 0; part < 4; part++) zero_bytes(sums + part * hidden, units * 4);
  for (i64 t = task->steps - 1; t >= 0; t--) {
    const i64 at = row * task->steps + t;
    const i32 reset = task->reset && task->reset[at];
    const f32 *before = t > 0 ? task->cells + (at - 1) * hidden + unit : task->initial ? task->initial + row * hidden + unit : 0;
    const elstm_step step = {
        .gates = task->gates + at * 2 * hidden + unit, .d_cell = task->d_cells + at * hidden + unit,
        .wz = task->recurrent + unit, .wf = task->recurrent + hidden + unit, .before = reset ? 0 : before,
        .dc = dc, .d_gates = task->d_gates + at * 2 * hidden + unit, .d_recurrent = sums, .d_bias = sums + 2 * hidden,
    };
#define ELSTM_BACKWARD(j, count) elstm_units_backward(&step, hidden, j, count);
    ROW_EACH(units, ELSTM_BACKWARD);
#undef ELSTM_BACKWARD
    if (reset) zero_bytes(dc, units * 4);
  }
  copy_bytes(task->d_initial + row * hidden + unit, dc, units * 4);
}

/** Calls BLOCK for the blocks of a chunk. */
#define ELSTM_CHUNK(name, BLOCK)                                                            \
  static void name(const void *context, i64 begin, i64 end, UNUSED i64 thread) {            \
    const elementwise_lstm *task = context;                                                 \
    const i64 blocks = CEIL_DIV(task->hidden, ELSTM_UNITS);                                 \
    for (i64 i = begin; i < end; i++) {                                                     \
      const i64 unit = i % blocks * ELSTM_UNITS;                                            \
      BLOCK(task, i / blocks, unit, MIN(ELSTM_UNITS, task->hidden - unit));                 \
    }                                                                                       \
  }
ELSTM_CHUNK(elstm_forward_chunk, elstm_forward_block)
ELSTM_CHUNK(elstm_backward_chunk, elstm_backward_block)

static void elstm_run(const elementwise_lstm *task, fwp_body chunk) {
  const i64 units = MIN(ELSTM_UNITS, MAX(task->hidden, 1));
  const i64 grain = CEIL_DIV(ELSTM_GRAIN, units * MAX(task->steps, 1));
  fwp_parallel_for(task->batch * CEIL_DIV(task->hidden, ELSTM_UNITS), grain, chunk, task);
}

#define ELSTM_ARGUMENTS 8
static elementwise_lstm elstm_read(const f64 *arg) {
  return (elementwise_lstm){
      .batch = INT(0), .steps = INT(1), .hidden = INT(2), .gates = F32(3), .recurrent = F32(4),
      .initial = OPTIONAL_F32(5), .reset = PRESENT(6) ? U8(6) : 0, .cells = F32(7),
  };
}

/** elementwise_lstm(batch, steps, hidden, gates, recurrent, initial?, reset?, cells, final): fills gates, cells and final. */
KERNEL(elementwise_lstm) {
  elementwise_lstm task = elstm_read(arg);
  arg += ELSTM_ARGUMENTS;
  task.final = F32(0);
  elstm_run(&task, elstm_forward_chunk);
  return OK;
}

/**
 * elementwise_lstm_grad(…the same 8, d_cells, d_final, d_gates, d_initial, partial, d_recurrent, d_bias): fills the gradients of
 * the sums, the initial state, the recurrent weight and the bias; `partial` is work space of batch · 4 · hidden floats.
 */
KERNEL(elementwise_lstm_grad) {
  elementwise_lstm task = elstm_read(arg);
  arg += ELSTM_ARGUMENTS;
  task.d_cells = F32(0), task.d_final = F32(1), task.d_gates = F32(2), task.d_initial = F32(3), task.partial = F32(4);
  f32 *sums[2] = {F32(5), F32(6)};
  elstm_run(&task, elstm_backward_chunk);
  const i64 columns = 2 * task.hidden;
  for (i64 part = 0; part < 2; part++) {
    zero_bytes(sums[part], columns * 4);
    for (i64 row = 0; row < task.batch; row++) {
      const f32 *partial = task.partial + (row * 2 + part) * columns;
#define ELSTM_ADD(j, count) ROW_STORE(sums[part], j, count, ROW_LOAD(sums[part], j, count, 0) + ROW_LOAD(partial, j, count, 0));
      ROW_EACH(columns, ELSTM_ADD);
#undef ELSTM_ADD
    }
  }
  return OK;
}

#define ELEMENTWISE_LSTM_KERNELS(ENTRY) ENTRY(elementwise_lstm, 9) ENTRY(elementwise_lstm_grad, 15)
