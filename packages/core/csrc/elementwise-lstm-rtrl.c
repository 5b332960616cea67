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
 * call: one step alone runs at the speed of memory, a segment at that of arithmetic. Units are taken in parts, whose factors
 * of a batch row stay in the first-level cache while the rows of S go by. Threads share parts and groups of rows, each with all
 * batch rows, which it adds up in order.
 *
 * Steps with the same treatment are a run: it ends where a sequence is reset, and where e begins or ceases to be all zero, as
 * then nothing is accumulated. Behind a run, and behind RTRL_RUN_STEPS steps, sensitivities that are next to nothing become 0: a
 * weight whose input is 0 for long, as most are for one-hot inputs, would fade into denormal numbers, which are slow.
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
/** Most steps of a run. */
#define RTRL_RUN_STEPS 64
/** Units times steps of a chunk, with two rows of z and f each: some 20 µs. */
#define RTRL_GRAIN 40000
/** Least pairs of rows of a chunk, which share a look at the factors. */
#define RTRL_PAIRS 16
/** What counts as nothing: after RTRL_RUN_STEPS more steps with a = 0.6 it is still a normal number. */
#define RTRL_NOTHING 1e-20f

/** What is kept of a step and a unit. */
enum { RTRL_A, RTRL_DZ, RTRL_DF, RTRL_BEFORE, RTRL_E, RTRL_FACTORS };

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
  /** a, dz, df, c_{t-1} and e, [batch, parts, steps, RTRL_FACTORS, units]; what kind of step each is, [batch, steps]. */
  f32 *factors;
  u8 *kinds;
  /** Units of a part; pairs of rows of a group. */
  i64 units, pairs;
} rtrl;

/* ---- factors ---------------------------------------------------------------------------------- */

INLINE vf rtrl_flush(vf x) { return vselect(vabs(x) < RTRL_NOTHING, vset(0), x); }

INLINE f32 *rtrl_panel(const rtrl *task, i64 b, i64 part) {
  const i64 parts = CEIL_DIV(task->hidden, task->units);
  return task->factors + (b * parts + part) * task->steps * RTRL_FACTORS * task->units;
}

static void rtrl_factors_step(const rtrl *task, i64 b, i64 t) {
  const i64 hidden = task->hidden, width = task->units, at = b * task->steps + t;
  const i32 reset = task->reset && task->reset[at];
  const f32 *state = t > 0 ? task->cells + (at - 1) * hidden : task->initial ? task->initial + b * hidden : (const f32 *)0;
  if (reset) state = 0;
  vi some = viset(0);
  for (i64 unit = 0; unit < hidden; unit += width) {
    const f32 *gates = task->gates + at * 2 * hidden + unit, *recurrent = task->recurrent + unit;
    const f32 *error = task->error ? task->error + at * hidden + unit : 0;
    f32 *factors = rtrl_panel(task, b, unit / width) + t * RTRL_FACTORS * width;
#define RTRL_STORE(factor, v) ROW_STORE(factors + (factor) * width, row_j, row_count, v)
#define RTRL_UNIT(j, count)                                                                             \
  {                                                                                                     \
    const i64 row_count = count;                                                                        \
    const vf z = ROW_LOAD(gates, j, count, 0), f = ROW_LOAD(gates + hidden, j, count, 0);               \
    const vf c = state ? ROW_LOAD(state + unit, j, count, 0) : vset(0);                                 \
    const vf rest = 1.0f - f, dz = rtrl_flush(rest * (1.0f - z * z)), df = rtrl_flush((c - z) * f * rest); \
    const vf wz = ROW_LOAD(recurrent, j, count, 0), wf = ROW_LOAD(recurrent + hidden, j, count, 0);     \
    const vf e = error ? ROW_LOAD(error, j, count, 0) : vset(0);                                        \
    some |= e != 0.0f;                                                                                  \
    RTRL_STORE(RTRL_A, vfma(dz, wz, vfma(df, wf, f)));                                                  \
    RTRL_STORE(RTRL_DZ, dz);                                                                            \
    RTRL_STORE(RTRL_DF, df);                                                                            \
    RTRL_STORE(RTRL_BEFORE, c);                                                                         \
    RTRL_STORE(RTRL_E, e);                                                                              \
  }
    ROW_EACH(MIN(width, hidden - unit), RTRL_UNIT);
#undef RTRL_UNIT
#undef RTRL_STORE
  }
  task->kinds[at] = (u8)((reset ? RTRL_RESET : 0) | (vany(some) ? RTRL_ERROR : 0));
}

static void rtrl_factors_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const rtrl *task = context;
  for (i64 at = begin; at < end; at++) rtrl_factors_step(task, at / task->steps, at % task->steps);
}

/* ---- sensitivities ---------------------------------------------------------------------------- */

/** Steps of one batch row and the rows of S that they change; pointers to the first step and the part's first unit. */
typedef struct {
  i64 steps, inputs, hidden;
  /** Units that there are, and those of a full part. */
  i64 units, width;
  const f32 *x, *factors;
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
  const i64 hidden = run->hidden, width = run->width;
  vf s[2][2], g[2][2];
  UNROLL for (int r = 0; r < rows; r++) {
    UNROLL for (int gate = 0; gate < 2; gate++) {
      s[r][gate] = run->before ? ROW_LOAD(run->before, (2 * r + gate) * hidden + at, count, 0) : vset(0);
      if (active) g[r][gate] = ROW_LOAD(run->gradients[r], gate * hidden + at, count, 0);
    }
  }
  const f32 *factors = run->factors + at, *x = run->x;
  for (i64 t = 0; t < run->steps; t++, factors += RTRL_FACTORS * width, x += run->inputs) {
    const vf a = ROW_LOAD(factors, RTRL_A * width, count, 0);
    const vf dz = ROW_LOAD(factors, RTRL_DZ * width, count, 0), df = ROW_LOAD(factors, RTRL_DF * width, count, 0);
    const vf e = active ? ROW_LOAD(factors, RTRL_E * width, count, 0) : a;
    UNROLL for (int r = 0; r < rows; r++) {
      if (own && r == 1) {
        s[r][0] = vfma(a, s[r][0], dz);
        s[r][1] = vfma(a, s[r][1], df);
      } else {
        const vf u = own ? ROW_LOAD(factors, RTRL_BEFORE * width, count, 0) : vset(x[r]);
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
      ROW_STORE(run->after, (2 * r + gate) * hidden + at, count, rtrl_flush(s[r][gate]));
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

/** First row of a pair, and how many rows of the input weight it has: 0 for the cell's own. */
INLINE i64 rtrl_row(const rtrl *task, i64 pair) { return MIN(2 * pair, task->inputs); }
INLINE i64 rtrl_row_count(const rtrl *task, i64 pair) {
  return pair == CEIL_DIV(task->inputs, 2) ? 0 : MIN(2, task->inputs - 2 * pair);
}

/** Where the gradients of a pair's rows are, at a unit. */
INLINE void rtrl_gradients(const rtrl *task, i64 pair, i64 unit, f32 *gradients[2]) {
  const i32 own = rtrl_row_count(task, pair) == 0;
  gradients[0] = (own ? task->d_recurrent : task->d_weight + 2 * pair * 2 * task->hidden) + unit;
  gradients[1] = own ? task->d_bias + unit : gradients[0] + 2 * task->hidden;
}

/** Pairs of rows [begin, end) of a part of the units, for all batch rows and steps. */
static void rtrl_group(const rtrl *task, i64 part, i64 begin, i64 end) {
  const i64 hidden = task->hidden, steps = task->steps, unit = part * task->units;
  rtrl_run run = {.inputs = task->inputs, .hidden = hidden, .width = task->units, .units = MIN(task->units, hidden - unit)};
  for (i64 pair = begin; task->error && pair < end; pair++) {
    rtrl_gradients(task, pair, unit, run.gradients);
    for (i64 r = 0; r < (rtrl_row_count(task, pair) == 1 ? 1 : 2); r++) {
      zero_bytes(run.gradients[r], run.units * 4);
      zero_bytes(run.gradients[r] + hidden, run.units * 4);
    }
  }
  for (i64 b = 0; b < task->batch; b++) {
    const u8 *kinds = task->kinds + b * steps;
    for (i64 t = 0; t < steps; t += run.steps) {
      const i32 active = (kinds[t] & RTRL_ERROR) != 0, reset = (kinds[t] & RTRL_RESET) != 0;
      const i64 most = MIN(RTRL_RUN_STEPS, steps - t);
      run.steps = 1;
      while (run.steps < most && kinds[t + run.steps] == (active ? RTRL_ERROR : 0)) run.steps++;
      run.factors = rtrl_panel(task, b, part) + t * RTRL_FACTORS * task->units;
      for (i64 pair = begin; pair < end; pair++) {
        const i64 row = rtrl_row(task, pair), place = (b * (task->inputs + 2) + row) * 2 * hidden + unit;
        run.x = task->x + (b * steps + t) * task->inputs + row;
        run.before = reset ? 0 : (t > 0 ? task->after : task->before) + place;
        run.after = task->after + place;
        if (active) rtrl_gradients(task, pair, unit, run.gradients);
        rtrl_functions[active][rtrl_row_count(task, pair)](&run);
      }
    }
  }
}

static void rtrl_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const rtrl *task = context;
  const i64 pairs = CEIL_DIV(task->inputs, 2) + 1, groups = CEIL_DIV(pairs, task->pairs);
  for (i64 i = begin; i < end; i++) {
    const i64 first = i % groups * task->pairs;
    rtrl_group(task, i / groups, first, MIN(pairs, first + task->pairs));
  }
}

/**
 * elementwise_lstm_rtrl(batch, steps, inputs, hidden, x, gates, cells, recurrent, initial?, reset?, error?, before, after, d_weight,
 * d_recurrent, d_bias, factors, kinds): S and, with an error, the gradients. There is at least one step. `factors` is work space of
 * 5 · batch · steps · (hidden + 256) floats, `kinds` of batch · steps bytes.
 */
KERNEL(elementwise_lstm_rtrl) {
  rtrl task = {
      .batch = INT(0), .steps = INT(1), .inputs = INT(2), .hidden = INT(3), .x = F32(4), .gates = F32(5), .cells = F32(6),
      .recurrent = F32(7), .initial = OPTIONAL_F32(8), .reset = PRESENT(9) ? U8(9) : 0, .error = OPTIONAL_F32(10),
      .before = F32(11), .after = F32(12), .d_weight = F32(13), .d_recurrent = F32(14), .d_bias = F32(15),
      .factors = F32(16), .kinds = U8(17),
  };
  if (task.hidden == 0) return OK;
  task.units = MIN(task.steps < RTRL_SEGMENT ? RTRL_STREAMED_UNITS : RTRL_UNITS, task.hidden);
  const i64 pairs = CEIL_DIV(task.inputs, 2) + 1;
  /* A group of half the rows at most, for two threads, unless that is too little to do. */
  const i64 worth = CEIL_DIV(RTRL_GRAIN, task.units * MAX(task.batch, 1) * task.steps);
  task.pairs = MIN(pairs, MAX(worth, MIN(RTRL_PAIRS, CEIL_DIV(pairs, 2))));
  fwp_parallel_for(task.batch * task.steps, CEIL_DIV(ROWS_GRAIN, task.hidden), rtrl_factors_chunk, &task);
  const i64 parts = CEIL_DIV(task.hidden, task.units);
  fwp_parallel_for(parts * CEIL_DIV(pairs, task.pairs), CEIL_DIV(worth, task.pairs), rtrl_chunk, &task);
  return OK;
}

#define ELEMENTWISE_LSTM_RTRL_KERNELS(ENTRY) ENTRY(elementwise_lstm_rtrl, 18)
