/**
 * The Recurrent Delta Net (Irie, Schlag, Csordás, Schmidhuber 2021): the delta rule whose queries, keys, values and rates depend
 * on the last output. For each head, with r = tanh(y_{t-1}),
 *
 *   q = softmax(q_t + R_q r)    k = softmax(k_t + R_k r)    v = v_t + R_v r    β = σ(β_t + r_b · r)
 *   e = v − S_{t-1} k     w = β e     S_t = S_{t-1} + w kᵀ     y_t = S_t q
 *
 *   q_t, k_t [heads, time, key_dim]   v_t, y_t [heads, time, value_dim]   β_t [heads, time]   S [heads, value_dim, key_dim]
 *   R_q, R_k [heads per batch, key_dim, value_dim]   R_v [heads per batch, value_dim, value_dim]   r_b [heads per batch, value_dim]
 *
 * Forward: S_t q = S_{t-1} q + w (k · q), so that one pass over S does all: it writes w kᵀ of the last step and reads for q and k.
 *
 * Backward, with G the gradient of S_t and dy_t that of y_t, from the last step to the first:
 *
 *   G += dy qᵀ   a = G k   dβ = a · e   dv = β a   dk = Gᵀ w − S_{t-1}ᵀ dv   dq = S_{t-1}ᵀ dy + k (w · dy)   G −= dv kᵀ
 *
 * then through softmax and σ to the gradients of q_t, k_t, v_t and β_t, and from them
 *
 *   dr = R_qᵀ dq_t + R_kᵀ dk_t + R_vᵀ dv_t + r_b dβ_t      dy_{t-1} += (1 − r²) ∘ dr
 *
 * The gradients of the recurrent weights are products of those with r, over all of time: matrix products, done elsewhere. S is
 * computed again from segment to segment of time, as in `delta-rnn.c`.
 */
#include "fwp.h"
#include "simd.h"
#include "recurrent-passes.h"

typedef struct {
  fast_weights scan;
  const f32 *beta, *initial_output, *weight_q, *weight_k, *weight_v, *weight_b;
  /** What the gradient needs, optional in the forward: activated q, k and β, e, and r. */
  f32 *queries, *keys, *rates, *errors, *feedback;
  f32 *output, *final_state;
  /* Backward. */
  const f32 *d_output, *d_final_state;
  f32 *dq, *dk, *dv, *d_beta, *d_initial_state, *d_initial_output;
  /** `floats` for each thread. */
  f32 *work;
  i64 floats;
} recurrent_delta;

INLINE i32 recurrent_delta_is_reset(const u8 *reset, i64 t) { return reset && reset[t]; }

/* ---- forward -------------------------------------------------------------------------------- */

static void recurrent_delta_forward_head(const recurrent_delta *task, i64 head, i64 thread) {
  const fast_weights *scan = &task->scan;
  const i64 n = scan->key_dim, m = scan->value_dim, time = scan->time, weights = head % scan->heads_per_batch;
  const u8 *reset = fw_resets(scan, head);
  f32 *space = task->work + thread * task->floats;
  /* R_q, R_k and R_v side by side, transposed. */
  const i64 keys = ROUND_UP(n, VF), values = ROUND_UP(m, VF), stride = 2 * keys + values;
  f32 *s = fw_take(&space, fw_matrix_size(n, m)), *recurrent = fw_take(&space, fw_rows(m) * stride);
  zero_bytes(recurrent, fw_rows(m) * stride * 4);
  transpose_block(recurrent, task->weight_q + weights * n * m, n, m, m, stride);
  transpose_block(recurrent + keys, task->weight_k + weights * n * m, n, m, m, stride);
  transpose_block(recurrent + 2 * keys, task->weight_v + weights * m * m, m, m, m, stride);
  f32 *r = fw_take_vector(&space, m), *weight_b = fw_take_vector(&space, m), *sums = fw_take(&space, stride);
  f32 *q = fw_take_vector(&space, n), *k = fw_take_vector(&space, n), *v = fw_take_vector(&space, m);
  f32 *read = fw_take_vector(&space, m), *expected = fw_take_vector(&space, m);
  /* Of the last step, still to be written. */
  f32 *write = fw_take_vector(&space, m), *key = fw_take_vector(&space, n);
  fw_load(weight_b, task->weight_b + weights * m, m);
  fw_load_transposed(s, scan->initial_state ? scan->initial_state + head * m * n : 0, m, n);
  if (task->initial_output) fw_load(r, task->initial_output + head * m, m);
  FW_EACH(m, vstore(r + at, vtanh(vload(r + at))))
  const fw_pass recur = {.rows = fw_rows(m), .stride = stride, .matrix = recurrent, .p = r, .x = sums};
  const fw_pass pass = {.rows = fw_rows(n), .stride = values, .matrix = s, .write = write, .key = key, .p = q, .r = k,
                        .x = read, .y = expected};
  for (i64 t = 0; t < time; t++) {
    const i64 step = head * time + t;
    if (recurrent_delta_is_reset(reset, t)) {
      zero_bytes(s, fw_matrix_size(n, m) * 4);
      fw_clear(write, m);
      fw_clear(key, n);
      fw_clear(r, m);
    }
    fw_pass_read(&recur);
    fw_load(q, scan->q + step * n, n);
    fw_load(k, scan->k + step * n, n);
    fw_load(v, scan->v + step * m, m);
    FW_EACH(n, vstore(q + at, vload(q + at) + vload(sums + at));
            vstore(k + at, vload(k + at) + vload(sums + keys + at)))
    fw_softmax(q, n);
    fw_softmax(k, n);
    const f32 rate = vsigmoid(vset(task->beta[step] + fw_dot(weight_b, r, m)))[0];
    if (task->feedback) {
      fw_copy(task->feedback + step * m, r, m);
      fw_copy(task->queries + step * n, q, n);
      fw_copy(task->keys + step * n, k, n);
      task->rates[step] = rate;
    }
    fw_pass_write_read_two(&pass);
    FW_EACH(m, vstore(v + at, vload(v + at) + vload(sums + 2 * keys + at) - vload(expected + at)))
    if (task->errors) fw_copy(task->errors + step * m, v, m);
    fw_load(key, k, n);
    const vf similarity = vset(fw_dot(k, q, n));
    FW_EACH(m, const vf written = vload(v + at) * rate; vstore(write + at, written);
            vstore(read + at, vfma(written, similarity, vload(read + at)));
            vstore(r + at, vtanh(vload(read + at))))
    fw_copy(task->output + step * m, read, m);
  }
  fw_pass_write(&pass);
  fw_store_transposed(s, task->final_state + head * m * n, m, n);
}

static void recurrent_delta_forward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  for (i64 head = begin; head < end; head++) recurrent_delta_forward_head(context, head, thread);
}

/* ---- backward ------------------------------------------------------------------------------- */

/** A head of the backward: vectors of one step, padded. */
typedef struct {
  const recurrent_delta *task;
  i64 head;
  const u8 *reset;
  /** R_q, R_k and R_v one below the other, and the gradients of what they gave. */
  f32 *recurrent, *upstream;
  i64 rows;
  f32 *weight_b;
  /** What is subtracted from G on the way to the step before: dv and k. */
  f32 *erased, *erased_key;
  f32 *dy, *dr, *r, *q, *k, *write, *error, *dq, *dk, *g_key, *read, *unread;
} recurrent_delta_unit;

/** w of step t, as a padded vector. */
INLINE void recurrent_delta_write(const recurrent_delta *task, f32 *write, i64 step) {
  const i64 m = task->scan.value_dim;
  fw_load(write, task->errors + step * m, m);
  const vf rate = vset(task->rates[step]);
  FW_EACH(m, vstore(write + at, vload(write + at) * rate))
}

/** From the state before step t to that after it: [values, keys]. */
static void recurrent_delta_step_state(const recurrent_delta_unit *unit, f32 *state, i64 t) {
  const recurrent_delta *task = unit->task;
  const i64 n = task->scan.key_dim, m = task->scan.value_dim, step = unit->head * task->scan.time + t;
  recurrent_delta_write(task, unit->write, step);
  fw_load(unit->k, task->keys + step * n, n);
  const fw_pass pass = {.rows = fw_rows(m), .stride = ROUND_UP(n, VF), .matrix = state, .write = unit->k, .key = unit->write};
  fw_pass_write(&pass);
}

/** From step t to the one before; `state` is S_{t-1}. */
static void recurrent_delta_step_back(const recurrent_delta_unit *unit, i64 t, f32 *g, f32 *state) {
  const recurrent_delta *task = unit->task;
  const fast_weights *scan = &task->scan;
  const i64 n = scan->key_dim, m = scan->value_dim, step = unit->head * scan->time + t;
  f32 *dy = unit->dy, *q = unit->q, *k = unit->k, *write = unit->write, *error = unit->error;
  fw_load(dy, task->d_output + step * m, m);
  if (t + 1 < scan->time) {
    if (recurrent_delta_is_reset(unit->reset, t + 1)) {
      zero_bytes(g, fw_gradient_size(m, n) * 4);
      fw_clear(unit->erased, m);
    } else {
      const f32 *r = unit->r;
      fw_load(unit->r, task->feedback + (step + 1) * m, m);
      FW_EACH(m, const vf of = vload(r + at);
              vstore(dy + at, vfma(1.0f - of * of, vload(unit->dr + at), vload(dy + at))))
    }
  }
  fw_load(q, task->queries + step * n, n);
  fw_load(k, task->keys + step * n, n);
  fw_load(error, task->errors + step * m, m);
  recurrent_delta_write(task, write, step);
  fw_clear(unit->dk, n);
  const fw_gradient_step gradient = {.sizes = scan, .g = g, .erased = unit->erased, .erased_key = unit->erased_key, .dy = dy,
                                     .query = q, .key = k, .write = write, .g_key = unit->g_key, .dk = unit->dk};
  fw_step_gradient(&gradient);
  const f32 rate = task->rates[step];
  const f32 d_beta = fw_dot(unit->g_key, error, m) * rate * (1 - rate);
  FW_EACH(m, vstore(unit->erased + at, vload(unit->g_key + at) * rate))
  fw_load(unit->erased_key, k, n);
  const fw_pass pass = {.rows = fw_rows(m), .stride = ROUND_UP(n, VF), .matrix = state, .p = dy, .r = unit->erased,
                        .x = unit->read, .y = unit->unread};
  fw_pass_read_two(&pass);
  const vf written = vset(fw_dot(write, dy, m));
  FW_EACH(n, vstore(unit->read + at, vfma(vload(k + at), written, vload(unit->read + at)));
          vstore(unit->dk + at, vload(unit->dk + at) - vload(unit->unread + at)))
  fw_softmax_gradient(unit->dq, q, unit->read, n);
  fw_softmax_gradient(unit->read, k, unit->dk, n);
  fw_copy(task->dq + step * n, unit->dq, n);
  fw_copy(task->dk + step * n, unit->read, n);
  fw_copy(task->dv + step * m, unit->erased, m);
  task->d_beta[step] = d_beta;

  fw_copy(unit->upstream, unit->dq, n);
  fw_copy(unit->upstream + fw_rows(n), unit->read, n);
  fw_copy(unit->upstream + 2 * fw_rows(n), unit->erased, m);
  const fw_pass recur = {.rows = unit->rows, .stride = ROUND_UP(m, VF), .matrix = unit->recurrent, .p = unit->upstream,
                         .x = unit->dr};
  fw_pass_read(&recur);
  FW_EACH(m, vstore(unit->dr + at, vfma(vload(unit->weight_b + at), vset(d_beta), vload(unit->dr + at))))
}

/** What remains of the gradients before the first step: those of the initial state. */
static void recurrent_delta_finish_back(const recurrent_delta_unit *unit, f32 *g) {
  const recurrent_delta *task = unit->task;
  const fast_weights *scan = &task->scan;
  const i64 n = scan->key_dim, m = scan->value_dim;
  if (recurrent_delta_is_reset(unit->reset, 0)) {
    zero_bytes(g, fw_gradient_size(m, n) * 4);
    fw_clear(unit->erased, m);
    fw_clear(unit->dr, m);
  }
  f32 *of_values = unit->dy, *of_keys = unit->q;
  fw_clear(of_values, m);
  fw_clear(of_keys, n);
  const fw_gradient_step gradient = {.sizes = scan, .g = g, .erased = unit->erased, .erased_key = unit->erased_key,
                                     .dy = of_values, .query = of_keys, .key = of_keys, .write = of_values,
                                     .g_key = unit->g_key, .dk = unit->dk};
  fw_step_gradient(&gradient);
  fw_store_gradient(g, scan, task->d_initial_state, unit->head);
  const f32 *r = unit->r;
  fw_load(unit->r, task->feedback + unit->head * scan->time * m, m);
  FW_EACH(m, const vf of = vload(r + at); vstore(unit->dr + at, (1.0f - of * of) * vload(unit->dr + at)))
  fw_copy(task->d_initial_output + unit->head * m, unit->dr, m);
}

static void recurrent_delta_backward_head(const recurrent_delta *task, i64 head, i64 thread) {
  const fast_weights *scan = &task->scan;
  const i64 n = scan->key_dim, m = scan->value_dim, time = scan->time, size = fw_matrix_size(m, n);
  const i64 segments = CEIL_DIV(time, RECURRENT_SEGMENT), weights = head % scan->heads_per_batch, lanes = ROUND_UP(m, VF);
  f32 *space = task->work + thread * task->floats;
  recurrent_delta_unit unit = {.task = task, .head = head, .reset = fw_resets(scan, head)};
  unit.rows = 2 * fw_rows(n) + fw_rows(m);
  f32 *g = fw_take(&space, fw_gradient_size(m, n)), *state = fw_take(&space, size);
  f32 *notes = fw_take(&space, RECURRENT_SEGMENT * size), *starts = fw_take(&space, segments * size);
  unit.recurrent = fw_take(&space, unit.rows * lanes), unit.upstream = fw_take_vector(&space, unit.rows);
  fw_load_rows(unit.recurrent, task->weight_q + weights * n * m, n, m);
  fw_load_rows(unit.recurrent + fw_rows(n) * lanes, task->weight_k + weights * n * m, n, m);
  fw_load_rows(unit.recurrent + 2 * fw_rows(n) * lanes, task->weight_v + weights * m * m, m, m);
  unit.weight_b = fw_take_vector(&space, m), unit.erased = fw_take_vector(&space, m), unit.dy = fw_take_vector(&space, m);
  unit.dr = fw_take_vector(&space, m), unit.r = fw_take_vector(&space, m), unit.write = fw_take_vector(&space, m);
  unit.error = fw_take_vector(&space, m), unit.g_key = fw_take_vector(&space, m);
  unit.erased_key = fw_take_vector(&space, n), unit.q = fw_take_vector(&space, n), unit.k = fw_take_vector(&space, n);
  unit.dq = fw_take_vector(&space, n), unit.dk = fw_take_vector(&space, n), unit.read = fw_take_vector(&space, n);
  unit.unread = fw_take_vector(&space, n);
  fw_load(unit.weight_b, task->weight_b + weights * m, m);

  fw_load_rows(state, scan->initial_state ? scan->initial_state + head * m * n : 0, m, n);
  for (i64 t = 0; t < (segments - 1) * RECURRENT_SEGMENT; t++) {
    if (t % RECURRENT_SEGMENT == 0) copy_bytes(starts + t / RECURRENT_SEGMENT * size, state, size * 4);
    if (recurrent_delta_is_reset(unit.reset, t)) zero_bytes(state, size * 4);
    recurrent_delta_step_state(&unit, state, t);
  }
  copy_bytes(starts + (segments - 1) * size, state, size * 4);
  fw_load_gradient(g, scan, task->d_final_state, head);
  for (i64 segment = segments - 1; segment >= 0; segment--) {
    const i64 first = segment * RECURRENT_SEGMENT, end = MIN(first + RECURRENT_SEGMENT, time);
    copy_bytes(notes, starts + segment * size, size * 4);
    for (i64 t = first; t < end; t++) {
      f32 *note = notes + (t - first) * size;
      if (recurrent_delta_is_reset(unit.reset, t)) zero_bytes(note, size * 4);
      if (t + 1 == end) break;
      copy_bytes(note + size, note, size * 4);
      recurrent_delta_step_state(&unit, note + size, t);
    }
    for (i64 t = end - 1; t >= first; t--) recurrent_delta_step_back(&unit, t, g, notes + (t - first) * size);
  }
  recurrent_delta_finish_back(&unit, g);
}

static void recurrent_delta_backward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  for (i64 head = begin; head < end; head++) recurrent_delta_backward_head(context, head, thread);
}

/* ---- kernels -------------------------------------------------------------------------------- */

/**
 * What both kernels begin with: (…the arguments of all scans, beta, initial output?, R_q, R_k, R_v, r_b, queries?, keys?, rates?,
 * errors?, feedback?, work, floats per thread); what is kept is given whole or not at all.
 */
#define RECURRENT_DELTA_ARGUMENTS (FW_ARGUMENTS + 13)
INLINE recurrent_delta recurrent_delta_read(const f64 *arg) {
  recurrent_delta task = {.scan = fw_read(arg)};
  arg += FW_ARGUMENTS;
  task.beta = F32(0), task.initial_output = OPTIONAL_F32(1);
  task.weight_q = F32(2), task.weight_k = F32(3), task.weight_v = F32(4), task.weight_b = F32(5);
  task.queries = OPTIONAL_F32(6), task.keys = OPTIONAL_F32(7), task.rates = OPTIONAL_F32(8), task.errors = OPTIONAL_F32(9);
  task.feedback = OPTIONAL_F32(10), task.work = F32(11), task.floats = INT(12);
  return task;
}

/** Floating-point operations of a head's step. */
INLINE i64 recurrent_delta_work(const fast_weights *scan) {
  return 2 * scan->value_dim * (5 * scan->key_dim + scan->value_dim);
}

/** recurrent_delta_forward(…, output, final state). */
KERNEL(recurrent_delta_forward) {
  recurrent_delta task = recurrent_delta_read(arg);
  arg += RECURRENT_DELTA_ARGUMENTS;
  task.output = F32(0), task.final_state = F32(1);
  const i64 states = task.scan.heads * task.scan.value_dim * task.scan.key_dim;
  if (states == 0) return OK;
  if (task.scan.time == 0) {
    fw_copy_or_zero(task.final_state, task.scan.initial_state, states);
    return OK;
  }
  const i64 work = task.scan.time * recurrent_delta_work(&task.scan);
  fwp_parallel_for(task.scan.heads, MAX(1, FW_GRAIN / MAX(work, 1)), recurrent_delta_forward_chunk, &task);
  return OK;
}

/** recurrent_delta_backward(…, d output, d final state, dq, dk, dv, d beta, d initial state, d initial output). */
KERNEL(recurrent_delta_backward) {
  recurrent_delta task = recurrent_delta_read(arg);
  arg += RECURRENT_DELTA_ARGUMENTS;
  task.d_output = F32(0), task.d_final_state = F32(1), task.dq = F32(2), task.dk = F32(3), task.dv = F32(4);
  task.d_beta = F32(5), task.d_initial_state = F32(6), task.d_initial_output = F32(7);
  const i64 states = task.scan.heads * task.scan.value_dim * task.scan.key_dim;
  if (states == 0) return OK;
  if (task.scan.time == 0) {
    fw_copy_or_zero(task.d_initial_state, task.d_final_state, states);
    fw_copy_or_zero(task.d_initial_output, 0, task.scan.heads * task.scan.value_dim);
    return OK;
  }
  const i64 work = 2 * task.scan.time * recurrent_delta_work(&task.scan);
  fwp_parallel_for(task.scan.heads, MAX(1, FW_GRAIN / MAX(work, 1)), recurrent_delta_backward_chunk, &task);
  return OK;
}

#define RECURRENT_DELTA_KERNELS(ENTRY) ENTRY(recurrent_delta_forward, 26) ENTRY(recurrent_delta_backward, 32)
