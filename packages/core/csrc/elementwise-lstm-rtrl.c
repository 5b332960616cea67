/**
 * Real-time recurrent learning of the e-LSTM of elementwise-lstm.c (Irie, Gopalakrishnan and Schmidhuber 2023, section 3.2). With
 * u = (x_t, c_{t-1}, 1), what the parameters of a unit are multiplied with, in rows d, and the unit's factors
 *
 *   dz = (1 − f) ∘ (1 − z²)     df = (c_{t-1} − z) ∘ f ∘ (1 − f)     a = dc_t / dc_{t-1} = f + dz ∘ wz + df ∘ wf
 *
 * the sensitivities S of c_t to the parameters of z and f, and the gradient g of a loss with e_t = dL_t / dc_t, are
 *
 *   Sz_d ← a ∘ Sz_d + dz ∘ u_d     Sf_d ← a ∘ Sf_d + df ∘ u_d          gz_d += e_t ∘ Sz_d     gf_d += e_t ∘ Sf_d
 *
 * S is [batch, inputs + 2, 2 · hidden], as the weight, its last rows being those of the recurrent weight and the bias. An element
 * of S depends on nothing but itself and the factors. So a vector of S, and one of g, stay in registers through all steps of a
 * call: one step alone runs at the speed of memory, a segment at that of arithmetic. Threads share rows and units, each with
 * all batch rows, which it adds up in order.
 *
 * Steps with the same treatment are a run: it ends where a sequence is reset, and where e begins or ceases to be all zero, as
 * then nothing is accumulated.
 */
#include "fwp.h"
#include "simd.h"
#include "rows.h"
#include "vector-math.h"

/** Units of a part: a few vectors if there are many steps for which they stay in registers, else enough to stream. */
#define RTRL_UNITS 32
#define RTRL_STREAMED_UNITS 256
/** Steps from which on a call counts as a segment. */
#define RTRL_SEGMENT 8
/** Units times steps of a chunk, with two rows of z and f each: some 20 µs. */
#define RTRL_GRAIN 40000

enum { RTRL_RESET = 1, RTRL_ERROR = 2 };

typedef struct {
  i64 batch, steps, inputs, hidden;
  /** [batch, steps, inputs], [batch, steps, 2 · hidden], [batch, steps, hidden], [2 · hidden]. */
  const f32 *x, *gates, *cells, *recurrent;
  /** Optional: [batch, hidden], bool [batch, steps], [batch, steps, hidden]. */
  const f32 *initial;
  const u8 *reset;
  const f32 *error;
  /** S before and after, [batch, inputs + 2, 2 · hidden]; they may be the same. */
  const f32 *before;
  f32 *after;
  /** Gradients of input weight, recurrent weight and bias; only with an error. */
  f32 *d_weight, *d_recurrent, *d_bias;
  /** a, dz, df and c_{t-1} of each step, [batch, steps, 4, hidden]; RTRL_… of each step, [batch, steps]. */
  f32 *factors;
  u8 *kinds;
  i64 units;
} rtrl;

/* ---- factors ---------------------------------------------------------------------------------- */

static void rtrl_factors_step(const rtrl *task, i64 at, i64 t) {
  const i64 hidden = task->hidden;
  const i32 reset = task->reset && task->reset[at];
  const f32 *gates = task->gates + at * 2 * hidden;
  const f32 *state = t > 0 ? task->cells + (at - 1) * hidden
                           : task->initial ? task->initial + at / task->steps * hidden : (const f32 *)0;
  if (reset) state = 0;
  f32 *factors = task->factors + at * 4 * hidden;
#define RTRL_FACTORS(j, count)                                                                          \
  {                                                                                                     \
    const vf z = ROW_LOAD(gates, j, count, 0), f = ROW_LOAD(gates + hidden, j, count, 0);               \
    const vf c = state ? ROW_LOAD(state, j, count, 0) : vset(0);                                        \
    const vf rest = 1.0f - f, dz = rest * (1.0f - z * z), df = (c - z) * f * rest;                      \
    const vf wz = ROW_LOAD(task->recurrent, j, count, 0);                                               \
    const vf wf = ROW_LOAD(task->recurrent + hidden, j, count, 0);                                      \
    ROW_STORE(factors, j, count, vfma(dz, wz, vfma(df, wf, f)));                                        \
    ROW_STORE(factors + hidden, j, count, dz);                                                          \
    ROW_STORE(factors + 2 * hidden, j, count, df);                                                      \
    ROW_STORE(factors + 3 * hidden, j, count, c);                                                       \
  }
  ROW_EACH(hidden, RTRL_FACTORS);
#undef RTRL_FACTORS
  i32 kind = reset ? RTRL_RESET : 0;
  if (task->error) {
    const f32 *error = task->error + at * hidden;
    vi some = viset(0);
#define RTRL_IS_ERROR(j, count) some |= ROW_LOAD(error, j, count, 0) != 0.0f;
    ROW_EACH(hidden, RTRL_IS_ERROR);
#undef RTRL_IS_ERROR
    if (vany(some)) kind |= RTRL_ERROR;
  }
  task->kinds[at] = (u8)kind;
}

static void rtrl_factors_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const rtrl *task = context;
  for (i64 at = begin; at < end; at++) rtrl_factors_step(task, at, at % task->steps);
}

/* ---- sensitivities ---------------------------------------------------------------------------- */

/** Steps of one batch row and the rows of S that they change; pointers to the first step, and to the first unit where units matter. */
typedef struct {
  i64 steps, inputs, hidden, units;
  const f32 *x, *factors, *error;
  /** S of the first row, z's part; null before a run that begins with a reset. */
  const f32 *before;
  f32 *after;
  /** Gradients of up to two rows. */
  f32 *gradients[2];
} rtrl_run;

/**
 * `count` units of `rows` rows through all steps of a run: rows of the input weight, or with `own` those of the recurrent weight
 * and the bias. With `active`, the gradient is accumulated.
 */
INLINE void rtrl_units(const rtrl_run *run, i64 at, i64 count, const int rows, const int own, const int active) {
  const i64 hidden = run->hidden;
  vf s[2][2], g[2][2];
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int gate = 0; gate < 2; gate++) {
      const i64 place = (2 * r + gate) * hidden + at;
      s[r][gate] = run->before ? ROW_LOAD(run->before, place, count, 0) : vset(0);
      if (active) g[r][gate] = ROW_LOAD(run->gradients[r], gate * hidden + at, count, 0);
    }
  }
  const f32 *factors = run->factors + at, *error = run->error + at, *x = run->x;
  for (i64 t = 0; t < run->steps; t++, factors += 4 * hidden, error += hidden, x += run->inputs) {
    const vf a = ROW_LOAD(factors, 0, count, 0);
    const vf dz = ROW_LOAD(factors, hidden, count, 0), df = ROW_LOAD(factors, 2 * hidden, count, 0);
    const vf e = active ? ROW_LOAD(error, 0, count, 0) : a;
    UNROLL for (int r = 0; r < rows; r++) {
      if (own && r == 1) {
        s[r][0] = vfma(a, s[r][0], dz);
        s[r][1] = vfma(a, s[r][1], df);
      } else {
        const vf u = own ? ROW_LOAD(factors, 3 * hidden, count, 0) : vset(x[r]);
        s[r][0] = vfma(a, s[r][0], dz * u);
        s[r][1] = vfma(a, s[r][1], df * u);
      }
      if (active) {
        g[r][0] = vfma(e, s[r][0], g[r][0]);
        g[r][1] = vfma(e, s[r][1], g[r][1]);
      }
    }
  }
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int gate = 0; gate < 2; gate++) {
      ROW_STORE(run->after, (2 * r + gate) * hidden + at, count, s[r][gate]);
      if (active) ROW_STORE(run->gradients[r], gate * hidden + at, count, g[r][gate]);
    }
  }
}

#define RTRL_RUN(name, rows, own, active)                                      \
  NOINLINE void name(const rtrl_run *run) {                                    \
    i64 at = 0;                                                                \
    for (; at + VF <= run->units; at += VF) rtrl_units(run, at, VF, rows, own, active); \
    if (at < run->units) rtrl_units(run, at, run->units - at, rows, own, active);       \
  }
RTRL_RUN(rtrl_update_own, 2, 1, 0)
RTRL_RUN(rtrl_update_row, 1, 0, 0)
RTRL_RUN(rtrl_update_rows, 2, 0, 0)
RTRL_RUN(rtrl_accumulate_own, 2, 1, 1)
RTRL_RUN(rtrl_accumulate_row, 1, 0, 1)
RTRL_RUN(rtrl_accumulate_rows, 2, 0, 1)

typedef void (*rtrl_function)(const rtrl_run *run);
/** By whether the gradient is accumulated, then 0 for the cell's own rows, 1 and 2 for so many rows of the input weight. */
static const rtrl_function rtrl_functions[2][3] = {
    {rtrl_update_own, rtrl_update_row, rtrl_update_rows},
    {rtrl_accumulate_own, rtrl_accumulate_row, rtrl_accumulate_rows},
};

/** Two rows (or one) of S from `row` on, units [unit, unit + units), for all batch rows and steps. */
static void rtrl_rows(const rtrl *task, i64 row, i64 unit, i64 units) {
  const i64 hidden = task->hidden, steps = task->steps, own = row >= task->inputs;
  const i64 rows = own ? 0 : MIN(2, task->inputs - row);
  rtrl_run run = {.inputs = task->inputs, .hidden = hidden, .units = units};
  if (task->error) {
    run.gradients[0] = (own ? task->d_recurrent : task->d_weight + row * 2 * hidden) + unit;
    run.gradients[1] = own ? task->d_bias + unit : run.gradients[0] + 2 * hidden;
    for (i64 r = 0; r < (own ? 2 : rows); r++) {
      zero_bytes(run.gradients[r], units * 4);
      zero_bytes(run.gradients[r] + hidden, units * 4);
    }
  }
  for (i64 b = 0; b < task->batch; b++) {
    const i64 place = (b * (task->inputs + 2) + row) * 2 * hidden + unit;
    const u8 *kinds = task->kinds + b * steps;
    run.before = task->before + place;
    run.after = task->after + place;
    for (i64 t = 0; t < steps; t += run.steps) {
      const i64 at = b * steps + t;
      const i32 active = (kinds[t] & RTRL_ERROR) != 0;
      run.steps = 1;
      while (t + run.steps < steps && kinds[t + run.steps] == (active ? RTRL_ERROR : 0)) run.steps++;
      run.x = task->x + at * task->inputs + row;
      run.factors = task->factors + at * 4 * hidden + unit;
      run.error = task->error ? task->error + at * hidden + unit : run.factors;
      if (kinds[t] & RTRL_RESET) run.before = 0;
      rtrl_functions[active][rows](&run);
      run.before = run.after;
    }
  }
}

static void rtrl_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const rtrl *task = context;
  const i64 parts = CEIL_DIV(task->hidden, task->units), pairs = CEIL_DIV(task->inputs, 2);
  for (i64 i = begin; i < end; i++) {
    const i64 pair = i / parts, unit = i % parts * task->units;
    rtrl_rows(task, pair < pairs ? 2 * pair : task->inputs, unit, MIN(task->units, task->hidden - unit));
  }
}

/**
 * elementwise_lstm_rtrl(batch, steps, inputs, hidden, x, gates, cells, recurrent, initial?, reset?, error?, before, after, d_weight,
 * d_recurrent, d_bias, factors, kinds): S and, with an error, the gradients; `factors` is work space of 4 · batch · steps · hidden floats,
 * `kinds` of batch · steps bytes. There is at least one step.
 */
KERNEL(elementwise_lstm_rtrl) {
  rtrl task = {
      .batch = INT(0), .steps = INT(1), .inputs = INT(2), .hidden = INT(3), .x = F32(4), .gates = F32(5), .cells = F32(6),
      .recurrent = F32(7), .initial = OPTIONAL_F32(8), .reset = PRESENT(9) ? U8(9) : 0, .error = OPTIONAL_F32(10),
      .before = F32(11), .after = F32(12), .d_weight = F32(13), .d_recurrent = F32(14), .d_bias = F32(15),
      .factors = F32(16), .kinds = U8(17),
  };
  const i64 hidden = MAX(task.hidden, 1);
  fwp_parallel_for(task.batch * task.steps, CEIL_DIV(ROWS_GRAIN, hidden), rtrl_factors_chunk, &task);
  task.units = MIN(task.steps < RTRL_SEGMENT ? RTRL_STREAMED_UNITS : RTRL_UNITS, hidden);
  const i64 work = task.units * MAX(task.batch, 1) * task.steps;
  fwp_parallel_for((CEIL_DIV(task.inputs, 2) + 1) * CEIL_DIV(task.hidden, task.units), CEIL_DIV(RTRL_GRAIN, work), rtrl_chunk, &task);
  return OK;
}

#define ELEMENTWISE_LSTM_RTRL_KERNELS(ENTRY) ENTRY(elementwise_lstm_rtrl, 18)
