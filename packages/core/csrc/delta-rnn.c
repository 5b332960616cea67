/**
 * The recurrent half of fast recurrent nets (Irie, Schlag, Csordás, Schmidhuber 2021): Delta RNN with one gate, Delta LSTM with
 * three. For each head, and each gate g of it, with a matrix R of its own that the delta rule writes,
 *
 *   e_t = v_t − R_{t-1} k_t     w_t = β_t e_t     R_t = R_{t-1} + w_t k_tᵀ     p_t = z_t + R_t s_{t-1}
 *
 *   z, k, v, e [heads, gates, time, dim]   β [heads, gates, time]   R [heads, gates, dim, dim]   h, s, c [heads, time, dim]
 *
 * where z is what the feed-forward half gave and s_t = softmax(h_t). With one gate h = p. With the gates i, u, o
 *
 *   i = σ(p_i)    u = f(p_u)    o = σ(p_o)    c_t = i u + (1 − i) c_{t-1}    h_t = o c_t (+ z_u in version 3)
 *
 * and f the identity in version 4, else σ.
 *
 * Forward: keys are known in advance and so is s_{t-1}, so the pass over R that writes w_t also reads for s_{t-1} and for the
 * next key.
 *
 * Backward, with G the gradient of R_t and dp_t that of p_t, from the last step to the first:
 *
 *   G += dp_t s_{t-1}ᵀ   a = G k_t   dβ_t = a · e_t   dv_t = β_t a   dk_t = Gᵀ w_t − R_{t-1}ᵀ dv_t   G −= dv_t k_tᵀ
 *   ds_{t-1} = Σ_g R_tᵀ dp_t = Σ_g R_{t-1}ᵀ dp_t + k_t (w_t · dp_t)      dh_{t-1} += s ∘ (ds − s · ds)
 *
 * This needs R_{t-1} together with G. R is computed again, as the forward did, from segment to segment of time, so that nothing
 * drifts: a first pass notes it at the starts of segments, then those of one segment at each step.
 */
#include "fwp.h"
#include "simd.h"
#include "recurrent-passes.h"

/** Most gates of a cell. */
#define DELTA_RNN_GATES 3
/** The last version of the Delta LSTM is version 4; 0 is the Delta RNN. */
typedef struct {
  /** All heads of all batch elements; key_dim and value_dim are dim; initial_state and reset. */
  fast_weights scan;
  i64 gates, version;
  /** An element of s where a sequence begins. */
  f32 start;
  const f32 *z, *beta, *initial_query, *initial_cell;
  /** What the gradient needs, optional in the forward: e, s_{t-1}, [i, u, o] and c. */
  f32 *errors, *queries, *activations, *cells;
  f32 *output, *final_state, *final_cell;
  /* Backward. */
  const f32 *d_output, *d_final_state, *d_final_cell;
  f32 *dz, *dk, *dv, *d_beta, *d_initial_state, *d_initial_query, *d_initial_cell;
  /** `floats` for each thread. */
  f32 *work;
  i64 floats;
} delta_rnn;

/** Gates' rows in sequences [heads, gates, time, …]. */
INLINE i64 delta_rnn_row(const delta_rnn *task, i64 head, i64 gate, i64 t) {
  return (head * task->gates + gate) * task->scan.time + t;
}

INLINE i32 delta_rnn_is_reset(const u8 *reset, i64 t) { return reset && reset[t]; }

/* ---- forward -------------------------------------------------------------------------------- */

/** From the pre-activations p to h, in p[0] (and the new cell); keeps activations. */
static void delta_rnn_cell(const delta_rnn *task, i64 head, i64 t, f32 *const *p, const f32 *residual, f32 *cell) {
  const i64 n = task->scan.key_dim, version = task->version;
  if (version == 0) return;
  f32 *i = p[0], *u = p[1], *o = p[2];
  FW_EACH(n, vstore(i + at, vsigmoid(vload(i + at))); vstore(o + at, vsigmoid(vload(o + at))))
  if (version != 4) FW_EACH(n, vstore(u + at, vsigmoid(vload(u + at))))
  FW_EACH(n, const vf open = vload(i + at);
          vstore(cell + at, open * vload(u + at) + (1.0f - open) * vload(cell + at)))
  if (task->activations) {
    for (i64 gate = 0; gate < DELTA_RNN_GATES; gate++) {
      fw_copy(task->activations + delta_rnn_row(task, head, gate, t) * n, p[gate], n);
    }
    fw_copy(task->cells + (head * task->scan.time + t) * n, cell, n);
  }
  FW_EACH(n, vf h = vload(o + at) * vload(cell + at); if (version == 3) h += vload(residual + at); vstore(p[0] + at, h))
}

static void delta_rnn_forward_head(const delta_rnn *task, i64 head, i64 thread) {
  const fast_weights *scan = &task->scan;
  const i64 n = scan->key_dim, gates = task->gates, time = scan->time, size = fw_matrix_size(n, n);
  const u8 *reset = fw_resets(scan, head);
  f32 *space = task->work + thread * task->floats;
  f32 *matrices = fw_take(&space, gates * size);
  f32 *query = fw_take_vector(&space, n), *cell = fw_take_vector(&space, n), *residual = fw_take_vector(&space, n);
  f32 *key = fw_take_vector(&space, n), *next = fw_take_vector(&space, n), *write = fw_take_vector(&space, n);
  f32 *expected[DELTA_RNN_GATES], *p[DELTA_RNN_GATES];
  fw_load(query, task->initial_query + head * n, n);
  if (task->initial_cell) fw_load(cell, task->initial_cell + head * n, n);
  fw_pass pass = {.rows = fw_rows(n), .stride = ROUND_UP(n, VF), .write = write, .key = key, .r = next};
  for (i64 gate = 0; gate < gates; gate++) {
    expected[gate] = fw_take_vector(&space, n), p[gate] = fw_take_vector(&space, n);
    const f32 *state = scan->initial_state ? scan->initial_state + (head * gates + gate) * n * n : 0;
    fw_load_transposed(matrices + gate * size, state, n, n);
    if (!state) continue;
    fw_load(key, scan->k + delta_rnn_row(task, head, gate, 0) * n, n);
    pass.matrix = matrices + gate * size, pass.p = key, pass.x = expected[gate];
    fw_pass_read(&pass);
  }
  pass.p = query;
  for (i64 t = 0; t < time; t++) {
    if (delta_rnn_is_reset(reset, t)) {
      zero_bytes(matrices, gates * size * 4);
      for (i64 gate = 0; gate < gates; gate++) fw_clear(expected[gate], n);
      for (i64 i = 0; i < n; i++) query[i] = task->start;
      fw_clear(cell, n);
    }
    if (task->queries) fw_copy(task->queries + (head * time + t) * n, query, n);
    for (i64 gate = 0; gate < gates; gate++) {
      const i64 row = delta_rnn_row(task, head, gate, t);
      const f32 *behind = expected[gate];
      fw_load(key, scan->k + row * n, n);
      fw_load(next, scan->k + (row + (t + 1 < time)) * n, n);
      fw_load(write, scan->v + row * n, n);
      FW_EACH(n, vstore(write + at, vload(write + at) - vload(behind + at)))
      if (task->errors) fw_copy(task->errors + row * n, write, n);
      const vf beta = vset(task->beta[row]);
      FW_EACH(n, vstore(write + at, vload(write + at) * beta))
      pass.matrix = matrices + gate * size, pass.x = p[gate], pass.y = expected[gate];
      fw_pass_write_read_two(&pass);
      /* The write is done with; z takes its place. */
      f32 *z = gate == 1 ? residual : write;
      fw_load(z, task->z + row * n, n);
      FW_EACH(n, vstore(p[gate] + at, vload(p[gate] + at) + vload(z + at)))
    }
    delta_rnn_cell(task, head, t, p, residual, cell);
    fw_copy(task->output + (head * time + t) * n, p[0], n);
    fw_load(query, p[0], n);
    fw_softmax(query, n);
  }
  for (i64 gate = 0; gate < gates; gate++) {
    fw_store_transposed(matrices + gate * size, task->final_state + (head * gates + gate) * n * n, n, n);
  }
  fw_copy(task->final_cell + head * n, cell, n);
}

static void delta_rnn_forward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  for (i64 head = begin; head < end; head++) delta_rnn_forward_head(context, head, thread);
}

/* ---- backward ------------------------------------------------------------------------------- */

/** A head of the backward: vectors of one step, padded. */
typedef struct {
  const delta_rnn *task;
  i64 head, size;
  const u8 *reset;
  /** What is subtracted from G on the way to the step before: dv and k of each gate. */
  f32 *erased[DELTA_RNN_GATES], *erased_key[DELTA_RNN_GATES];
  /** Gradients of each gate's p. */
  f32 *dp[DELTA_RNN_GATES];
  /** Gradients of h, c and s. */
  f32 *dh, *d_cell, *d_query;
  f32 *query, *write, *error, *dk, *g_key, *x, *y, *a, *b;
} delta_rnn_unit;

/** w_t = β_t e_t of a gate, as a padded vector. */
INLINE void delta_rnn_write(const delta_rnn_unit *unit, f32 *write, i64 row) {
  const delta_rnn *task = unit->task;
  const i64 n = task->scan.key_dim;
  fw_load(write, task->errors + row * n, n);
  const vf beta = vset(task->beta[row]);
  FW_EACH(n, vstore(write + at, vload(write + at) * beta))
}

/** From the states of all gates before step t, to those after it: [gates, values, keys]. */
static void delta_rnn_step_state(const delta_rnn_unit *unit, f32 *states, i64 t) {
  const delta_rnn *task = unit->task;
  const i64 n = task->scan.key_dim;
  for (i64 gate = 0; gate < task->gates; gate++) {
    const i64 row = delta_rnn_row(task, unit->head, gate, t);
    delta_rnn_write(unit, unit->write, row);
    fw_load(unit->a, task->scan.k + row * n, n);
    const fw_pass pass = {.rows = fw_rows(n), .stride = ROUND_UP(n, VF), .matrix = states + gate * unit->size,
                          .write = unit->a, .key = unit->write};
    fw_pass_write(&pass);
  }
}

/** The states before the first step. */
static void delta_rnn_load_states(const delta_rnn_unit *unit, f32 *states) {
  const delta_rnn *task = unit->task;
  const i64 n = task->scan.key_dim;
  for (i64 gate = 0; gate < task->gates; gate++) {
    const f32 *state = task->scan.initial_state;
    fw_load_rows(states + gate * unit->size, state ? state + (unit->head * task->gates + gate) * n * n : 0, n, n);
  }
}

/** From dh to the gradients of z and p, and from that of c_t to that of c_{t-1}. */
static void delta_rnn_cell_back(const delta_rnn_unit *unit, i64 t) {
  const delta_rnn *task = unit->task;
  const i64 n = task->scan.key_dim, step = unit->head * task->scan.time + t, version = task->version;
  if (version > 0) {
    f32 *i = unit->x, *u = unit->y, *o = unit->a, *c = unit->b, *before = unit->g_key;
    const f32 *previous = t > 0 ? task->cells + (step - 1) * n : task->initial_cell ? task->initial_cell + unit->head * n : 0;
    fw_load(i, task->activations + delta_rnn_row(task, unit->head, 0, t) * n, n);
    fw_load(u, task->activations + delta_rnn_row(task, unit->head, 1, t) * n, n);
    fw_load(o, task->activations + delta_rnn_row(task, unit->head, 2, t) * n, n);
    fw_load(c, task->cells + step * n, n);
    fw_clear(before, n);
    if (previous && !delta_rnn_is_reset(unit->reset, t)) fw_load(before, previous, n);
    FW_EACH(n, const vf open = vload(i + at); const vf update = vload(u + at); const vf out = vload(o + at);
            const vf dh = vload(unit->dh + at); const vf dc = vload(unit->d_cell + at) + dh * out;
            const vf du = dc * open;
            vstore(unit->dp[0] + at, dc * (update - vload(before + at)) * open * (1.0f - open));
            vstore(unit->dp[1] + at, version == 4 ? du : du * update * (1.0f - update));
            vstore(unit->dp[2] + at, dh * vload(c + at) * out * (1.0f - out));
            vstore(unit->d_cell + at, dc * (1.0f - open)))
  } else {
    fw_load(unit->dp[0], unit->dh, n);
  }
  for (i64 gate = 0; gate < task->gates; gate++) {
    f32 *dz = task->dz + delta_rnn_row(task, unit->head, gate, t) * n;
    fw_copy(dz, unit->dp[gate], n);
    if (version == 3 && gate == 1) for (i64 i = 0; i < n; i++) dz[i] += unit->dh[i];
  }
}

/** The gradients of a gate's key, value and β, given R_{t-1} [values, keys]; adds R_tᵀ dp to d_query. */
static void delta_rnn_gate_back(const delta_rnn_unit *unit, i64 gate, i64 t, f32 *g, f32 *state) {
  const delta_rnn *task = unit->task;
  const i64 n = task->scan.key_dim, row = delta_rnn_row(task, unit->head, gate, t);
  f32 *dp = unit->dp[gate], *erased = unit->erased[gate], *erased_key = unit->erased_key[gate], *key = unit->a;
  fw_load(unit->error, task->errors + row * n, n);
  delta_rnn_write(unit, unit->write, row);
  fw_load(key, task->scan.k + row * n, n);
  fw_clear(unit->dk, n);
  const fw_gradient_step step = {.sizes = &task->scan, .g = g, .erased = erased, .erased_key = erased_key, .dy = dp,
                                 .query = unit->query, .key = key, .write = unit->write, .g_key = unit->g_key, .dk = unit->dk};
  fw_step_gradient(&step);
  task->d_beta[row] = fw_dot(unit->g_key, unit->error, n);
  const vf beta = vset(task->beta[row]);
  FW_EACH(n, vstore(erased + at, vload(unit->g_key + at) * beta))
  fw_load(erased_key, key, n);
  fw_copy(task->dv + row * n, erased, n);
  const fw_pass pass = {.rows = fw_rows(n), .stride = ROUND_UP(n, VF), .matrix = state, .p = dp, .r = erased,
                        .x = unit->x, .y = unit->y};
  fw_pass_read_two(&pass);
  const vf written = vset(fw_dot(unit->write, dp, n));
  FW_EACH(n, vstore(unit->d_query + at, vload(unit->d_query + at) + vfma(vload(key + at), written, vload(unit->x + at)));
          vstore(unit->dk + at, vload(unit->dk + at) - vload(unit->y + at)))
  fw_copy(task->dk + row * n, unit->dk, n);
}

/** From step t to the one before; `states` are those before step t. */
static void delta_rnn_step_back(const delta_rnn_unit *unit, i64 t, f32 *g, f32 *states) {
  const delta_rnn *task = unit->task;
  const i64 n = task->scan.key_dim, gates = task->gates, step = unit->head * task->scan.time + t;
  fw_load(unit->dh, task->d_output + step * n, n);
  if (t + 1 < task->scan.time) {
    if (delta_rnn_is_reset(unit->reset, t + 1)) {
      zero_bytes(g, gates * unit->size * 4);
      for (i64 gate = 0; gate < gates; gate++) fw_clear(unit->erased[gate], n);
      fw_clear(unit->d_cell, n);
    } else {
      fw_load(unit->query, task->queries + (step + 1) * n, n);
      fw_softmax_gradient(unit->x, unit->query, unit->d_query, n);
      FW_EACH(n, vstore(unit->dh + at, vload(unit->dh + at) + vload(unit->x + at)))
    }
  }
  delta_rnn_cell_back(unit, t);
  fw_load(unit->query, task->queries + step * n, n);
  fw_clear(unit->d_query, n);
  for (i64 gate = 0; gate < gates; gate++) {
    delta_rnn_gate_back(unit, gate, t, g + gate * unit->size, states + gate * unit->size);
  }
}

/** What remains of the gradients before the first step: those of the initial state. */
static void delta_rnn_finish_back(const delta_rnn_unit *unit, f32 *g) {
  const delta_rnn *task = unit->task;
  const i64 n = task->scan.key_dim;
  const i32 cut = delta_rnn_is_reset(unit->reset, 0);
  if (cut) {
    zero_bytes(g, task->gates * unit->size * 4);
    fw_clear(unit->d_query, n);
    fw_clear(unit->d_cell, n);
  }
  f32 *nothing = unit->x;
  fw_clear(nothing, n);
  for (i64 gate = 0; gate < task->gates; gate++) {
    f32 *matrix = g + gate * unit->size;
    const fw_gradient_step step = {.sizes = &task->scan, .g = matrix, .erased = cut ? nothing : unit->erased[gate],
                                   .erased_key = unit->erased_key[gate], .dy = nothing, .query = nothing, .key = nothing,
                                   .write = nothing, .g_key = unit->y, .dk = unit->dk};
    fw_step_gradient(&step);
    fw_store_gradient(matrix, &task->scan, task->d_initial_state, unit->head * task->gates + gate);
  }
  fw_copy(task->d_initial_query + unit->head * n, unit->d_query, n);
  fw_copy(task->d_initial_cell + unit->head * n, unit->d_cell, n);
}

static void delta_rnn_backward_head(const delta_rnn *task, i64 head, i64 thread) {
  const i64 n = task->scan.key_dim, time = task->scan.time, size = fw_matrix_size(n, n), states = task->gates * size;
  const i64 segments = CEIL_DIV(time, RECURRENT_SEGMENT);
  f32 *space = task->work + thread * task->floats;
  f32 *g = fw_take(&space, states), *state = fw_take(&space, states);
  f32 *notes = fw_take(&space, RECURRENT_SEGMENT * states), *starts = fw_take(&space, segments * states);
  delta_rnn_unit unit = {.task = task, .head = head, .size = size, .reset = fw_resets(&task->scan, head)};
  for (i64 gate = 0; gate < task->gates; gate++) {
    unit.erased[gate] = fw_take_vector(&space, n), unit.erased_key[gate] = fw_take_vector(&space, n);
    unit.dp[gate] = fw_take_vector(&space, n);
    fw_load_gradient(g + gate * size, &task->scan, task->d_final_state, head * task->gates + gate);
  }
  unit.dh = fw_take_vector(&space, n), unit.d_cell = fw_take_vector(&space, n), unit.d_query = fw_take_vector(&space, n);
  unit.query = fw_take_vector(&space, n), unit.write = fw_take_vector(&space, n), unit.error = fw_take_vector(&space, n);
  unit.dk = fw_take_vector(&space, n), unit.g_key = fw_take_vector(&space, n), unit.x = fw_take_vector(&space, n);
  unit.y = fw_take_vector(&space, n), unit.a = fw_take_vector(&space, n), unit.b = fw_take_vector(&space, n);
  fw_load(unit.d_cell, task->d_final_cell + head * n, n);

  delta_rnn_load_states(&unit, state);
  for (i64 t = 0; t < (segments - 1) * RECURRENT_SEGMENT; t++) {
    if (t % RECURRENT_SEGMENT == 0) copy_bytes(starts + t / RECURRENT_SEGMENT * states, state, states * 4);
    if (delta_rnn_is_reset(unit.reset, t)) zero_bytes(state, states * 4);
    delta_rnn_step_state(&unit, state, t);
  }
  copy_bytes(starts + (segments - 1) * states, state, states * 4);
  for (i64 segment = segments - 1; segment >= 0; segment--) {
    const i64 first = segment * RECURRENT_SEGMENT, end = MIN(first + RECURRENT_SEGMENT, time);
    copy_bytes(notes, starts + segment * states, states * 4);
    for (i64 t = first; t < end; t++) {
      f32 *note = notes + (t - first) * states;
      if (delta_rnn_is_reset(unit.reset, t)) zero_bytes(note, states * 4);
      if (t + 1 == end) break;
      copy_bytes(note + states, note, states * 4);
      delta_rnn_step_state(&unit, note + states, t);
    }
    for (i64 t = end - 1; t >= first; t--) delta_rnn_step_back(&unit, t, g, notes + (t - first) * states);
  }
  delta_rnn_finish_back(&unit, g);
}

static void delta_rnn_backward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  for (i64 head = begin; head < end; head++) delta_rnn_backward_head(context, head, thread);
}

/* ---- kernels -------------------------------------------------------------------------------- */

/**
 * What both kernels begin with: (heads, heads per batch, gates, time, dim, version, start, z, k, v, beta, initial state?,
 * initial query, initial cell?, reset?, errors?, queries?, activations?, cells?, work, floats per thread).
 */
#define DELTA_RNN_ARGUMENTS 21
INLINE delta_rnn delta_rnn_read(const f64 *arg) {
  return (delta_rnn){
      .scan = {.heads = INT(0), .heads_per_batch = INT(1), .time = INT(3), .key_dim = INT(4), .value_dim = INT(4),
               .k = F32(8), .v = F32(9), .initial_state = OPTIONAL_F32(11), .reset = PRESENT(14) ? U8(14) : 0},
      .gates = INT(2), .version = INT(5), .start = NUM(6), .z = F32(7), .beta = F32(10), .initial_query = F32(12),
      .initial_cell = OPTIONAL_F32(13), .errors = OPTIONAL_F32(15), .queries = OPTIONAL_F32(16),
      .activations = OPTIONAL_F32(17), .cells = OPTIONAL_F32(18), .work = F32(19), .floats = INT(20),
  };
}

/** delta_rnn_forward(…, output, final state, final cell). */
KERNEL(delta_rnn_forward) {
  delta_rnn task = delta_rnn_read(arg);
  arg += DELTA_RNN_ARGUMENTS;
  task.output = F32(0), task.final_state = F32(1), task.final_cell = F32(2);
  const i64 n = task.scan.key_dim;
  if (n == 0) return OK;
  if (task.scan.time == 0) {
    fw_copy_or_zero(task.final_state, task.scan.initial_state, task.scan.heads * task.gates * n * n);
    fw_copy_or_zero(task.final_cell, task.initial_cell, task.scan.heads * n);
    return OK;
  }
  const i64 work = 6 * task.gates * task.scan.time * n * n;
  fwp_parallel_for(task.scan.heads, MAX(1, FW_GRAIN / MAX(work, 1)), delta_rnn_forward_chunk, &task);
  return OK;
}

/**
 * delta_rnn_backward(…, d output, d final state, d final cell, dz, dk, dv, d beta, d initial state, d initial query,
 * d initial cell).
 */
KERNEL(delta_rnn_backward) {
  delta_rnn task = delta_rnn_read(arg);
  arg += DELTA_RNN_ARGUMENTS;
  task.d_output = F32(0), task.d_final_state = F32(1), task.d_final_cell = F32(2);
  task.dz = F32(3), task.dk = F32(4), task.dv = F32(5), task.d_beta = F32(6);
  task.d_initial_state = F32(7), task.d_initial_query = F32(8), task.d_initial_cell = F32(9);
  const i64 n = task.scan.key_dim;
  if (n == 0) return OK;
  if (task.scan.time == 0) {
    fw_copy_or_zero(task.d_initial_state, task.d_final_state, task.scan.heads * task.gates * n * n);
    fw_copy_or_zero(task.d_initial_query, 0, task.scan.heads * n);
    fw_copy_or_zero(task.d_initial_cell, task.d_final_cell, task.scan.heads * n);
    return OK;
  }
  const i64 work = 16 * task.gates * task.scan.time * n * n;
  fwp_parallel_for(task.scan.heads, MAX(1, FW_GRAIN / MAX(work, 1)), delta_rnn_backward_chunk, &task);
  return OK;
}

#define DELTA_RNN_KERNELS(ENTRY) ENTRY(delta_rnn_forward, 24) ENTRY(delta_rnn_backward, 31)
