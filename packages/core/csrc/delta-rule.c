/**
 * The delta rule (Schlag, Irie, Schmidhuber 2021), with or without a decay a_t (else 1), for each head:
 *
 *   e_t = v_t − a_t S_{t-1} k_t     w_t = β_t e_t     S_t = a_t S_{t-1} + w_t k_tᵀ     y_t = S_t q_t
 *
 *   q, k [heads, time, key_dim]   v, e, y [heads, time, value_dim]   β, a [heads, time]   S [heads, value_dim, key_dim]
 *
 * Forward: keys are known in advance, so the pass over S that writes w_t also reads for the query and for the next
 * key: three multiply-adds for one load and one store. Reading before the write is reading for the next query.
 *
 * Backward, from dy and the gradient of the final state, with e kept: G is the gradient of S_t. From the last step to the
 * first
 *
 *   G += dy_t q_tᵀ   d_t = G k_t   dv_t = β_t d_t   dβ_t = d_t · e_t   dk_t = Gᵀ w_t   P_t = G − dv_t k_tᵀ   G = a_t P_t
 *
 * needs no states (P_t and then dy_{t-1} q_{t-1}ᵀ go into one pass); from the first step to the last, with S again,
 *
 *   da_t = ⟨P_t, S_{t-1}⟩   dk_t −= a_t S_{t-1}ᵀ dv_t   S_t = a_t S_{t-1} + w_t k_tᵀ   dq_t = S_tᵀ dy_t
 *
 * so that S_t is rounded as in the forward and nothing drifts. Only da_t wants P_t and S_{t-1} at once. With a decay, time
 * is therefore cut into segments of DELTA_SEGMENT steps: a first pass notes S at their starts; then, from the last segment to
 * the first, the P_t of one segment are noted on the way back and used on the way forth. No division by a decay, no state
 * computed backwards: a_t = 0 is an ordinary decay.
 *
 * A chunk of the parallel loop is one tile of a head in the forward, and in the backward a group of tiles, whose
 * dq, dk, dβ and da add up. Few heads are spread over several groups; their sums go to memory of their own and are added in
 * order, so that results don't depend on the number of threads.
 */
#include "fwp.h"
#include "simd.h"
#include "fast-weights.h"
#include "delta-passes.h"

/** Steps of a segment of the gated backward: its tiles fit into the second-level cache for key_dim <= 128 or so. */
#define DELTA_SEGMENT 32

typedef struct {
  fast_weights scan;
  const f32 *beta;
  /** Optional. */
  const f32 *decay;
  /** e, optional in the forward. */
  f32 *errors;
  f32 *output, *final_state;
  /* Backward. */
  const f32 *d_output, *d_final_state;
  f32 *dq, *dk, *dv, *d_beta, *d_decay, *d_initial_state;
  i64 groups;
  /** dq, dk, dβ and da of all groups but the first: `groups - 1` times `sums` floats. */
  f32 *partial;
  i64 sums;
  /** With a decay: for each thread, S at the starts of segments and P of one segment, `noted` floats in all. */
  f32 *notes;
  i64 noted;
} delta_rule;

/* ---- forward -------------------------------------------------------------------------------- */

/** Steps of one pass over a tile: two where there are 32 registers, for half of the loads, stores and waiting. */
#if defined(__AVX512F__)
#define DELTA_STEPS 2
#else
#define DELTA_STEPS 1
#endif
/** Steps that a tile stays in the nearest cache before the next tile of the same head takes the same steps. */
#define DELTA_BLOCK 64
/**
 * How many steps ahead rows are asked for. Where they come from memory, a pass otherwise waits for them more than it computes
 * meanwhile; 16 and more steps of 64 floats lie in the same sets of the nearest cache as the tile.
 */
#define DELTA_AHEAD 8
/** Most tiles of a unit, and the heads below which these are fewer, for several threads. */
#define DELTA_TILES 16
#define DELTA_HEADS 8

/** A head: its rows, and three padded rows for each step of a pass. */
typedef struct {
  const fast_weights *scan;
  const f32 *q, *k, *v, *beta, *decay;
  f32 *output, *errors;
  const u8 *reset;
  f32 *padding;
} delta_head;

/** A tile of S on its way through time, and what the keys of the next pass read of it. */
typedef struct {
  fw_tile tile;
  f32 *s;
  fw_lanes expected[DELTA_STEPS];
} delta_tile;

/** k_t · k_{t+1}. */
INLINE f32 delta_key_product(const delta_head *head, i64 t) {
  const i64 n = head->scan->key_dim;
  const f32 *k = head->k + t * n;
  vf sum = vset(0);
  i64 j = 0;
  for (; j + VF <= n; j += VF) sum = vfma(vload(k + j), vload(k + n + j), sum);
  if (j < n) sum = vfma(vload_first(k + j, n - j, 0), vload_first(k + n + j, n - j, 0), sum);
  return vsum(sum);
}

/**
 * A pass: the steps t … t + steps − 1. The second of two corrects what its key read of the state before the first one:
 * S_t k_{t+1} = a_t S_{t-1} k_{t+1} + w_t (k_t · k_{t+1}), the last factor being `product`. Short rows of a tile have few sums, each a
 * chain of additions; they take several rows at a time, each with its own.
 */
INLINE void delta_forward_pass(const delta_head *head, delta_tile *unit, i64 t, f32 product, const int steps,
                               const int vectors, const int gated) {
#if defined(__wasm__)
  const int unrolled = vectors == 1 ? 2 : 1;
#else
  const int unrolled = vectors == 1 ? 4 : vectors == 2 ? 2 : 1;
#endif
  const fast_weights *scan = head->scan;
  const i64 n = scan->key_dim, values = scan->value_dim, last = scan->time - 1, reader = t + scan->before;
  const i32 rows = (i32)fw_rows(n);
  const f32 *key[DELTA_STEPS], *query[DELTA_STEPS], *next[DELTA_STEPS];
  vf factor[DELTA_STEPS], write[DELTA_STEPS][FW_VECTORS];
  UNROLL for (int s = 0; s < DELTA_STEPS; s++) {
    f32 *padding = head->padding + 3 * s * rows;
    next[s] = fw_padded(padding, head->k + MIN(t + steps + s, last) * n, n);
    if (s >= steps) continue;
    key[s] = fw_padded(padding + rows, head->k + (t + s) * n, n);
    query[s] = fw_padded(padding + 2 * rows, head->q + MIN(reader + s, last) * n, n);
    factor[s] = vset(gated ? head->decay[t + s] : 1);
  }
  prefetch_floats(head->k + (t + DELTA_AHEAD) * n, steps * n, 0);
  prefetch_floats(head->q + (t + DELTA_AHEAD) * n, steps * n, 0);
  prefetch_floats(head->v + (t + DELTA_AHEAD) * values, steps * values, 0);
  prefetch_floats(head->output + (t + DELTA_AHEAD) * values, steps * values, 1);
  if (head->errors) prefetch_floats(head->errors + (t + DELTA_AHEAD) * values, steps * values, 1);
  UNROLL for (int i = 0; i < vectors; i++) {
    UNROLL for (int s = 0; s < steps; s++) {
      vf expected = unit->expected[s].vector[i];
      if (gated) expected *= factor[0];
      if (s > 0) {
        expected = vfma(write[0][i], vset(product), expected);
        if (gated) expected *= factor[s];
      }
      const vf e = fw_load_vector(head->v + (t + s) * values, i, vectors, &unit->tile) - expected;
      if (head->errors) fw_store_vector(head->errors + (t + s) * values, i, vectors, &unit->tile, e);
      write[s][i] = head->beta[t + s] * e;
    }
  }

  vf y[DELTA_STEPS][4], p[DELTA_STEPS][4];
  UNROLL for (int s = 0; s < DELTA_STEPS; s++) {
    UNROLL for (int c = 0; c < 4; c++) y[s][c] = p[s][c] = vset(0);
  }
  f32 *tile = unit->s;
  for (i32 row = 0; row < rows; row += unrolled) {
    UNROLL for (int r = 0; r < unrolled; r++) {
      vf k[DELTA_STEPS], q[DELTA_STEPS], k_next[DELTA_STEPS];
      UNROLL for (int s = 0; s < DELTA_STEPS; s++) {
        if (s < steps) k[s] = fw_broadcast(key[s] + r), q[s] = fw_broadcast(query[s] + r);
        k_next[s] = fw_broadcast(next[s] + r);
      }
      UNROLL for (int i = 0; i < vectors; i++) {
        const int c = r * vectors + i;
        vf x = vload(tile + c * VF);
        UNROLL for (int s = 0; s < steps; s++) {
          if (gated) x *= factor[s];
          x = vfma(write[s][i], k[s], x);
          y[s][c] = vfma(x, q[s], y[s][c]);
        }
        fw_store(tile + c * VF, x);
        UNROLL for (int s = 0; s < DELTA_STEPS; s++) p[s][c] = vfma(x, k_next[s], p[s][c]);
      }
    }
    tile += unrolled * vectors * VF;
    UNROLL for (int s = 0; s < DELTA_STEPS; s++) {
      if (s < steps) key[s] += unrolled, query[s] += unrolled;
      next[s] += unrolled;
    }
  }
  UNROLL for (int i = 0; i < vectors; i++) {
    UNROLL for (int s = 0; s < DELTA_STEPS; s++) {
      UNROLL for (int r = 1; r < unrolled; r++) y[s][i] += y[s][r * vectors + i], p[s][i] += p[s][r * vectors + i];
      unit->expected[s].vector[i] = p[s][i];
      if (s >= steps || reader + s > last) continue;
      const i32 nothing = scan->before && head->reset && head->reset[reader + s];
      fw_store_vector(head->output + (reader + s) * values, i, vectors, &unit->tile, nothing ? vset(0) : y[s][i]);
    }
  }
}

/** The steps [begin, end), without resets. */
INLINE void delta_forward_steps(const delta_head *head, delta_tile *unit, i64 begin, i64 end, const int vectors,
                                const int gated) {
  i64 t = begin;
#if DELTA_STEPS == 2
  f32 product = end - t > 1 ? delta_key_product(head, t) : 0;
  for (; t + 2 <= end; t += 2) {
    const f32 following = t + 4 <= end ? delta_key_product(head, t + 2) : 0;
    delta_forward_pass(head, unit, t, product, 2, vectors, gated);
    product = following;
  }
#endif
  for (; t < end; t++) delta_forward_pass(head, unit, t, 0, 1, vectors, gated);
}

/* One function for each number of vectors, gated or not: V8 keeps its better register allocator for functions of this size. */
typedef void (*delta_forward_function)(const delta_head *head, delta_tile *unit, i64 begin, i64 end);
#define DELTA_FORWARD(name, vectors, gated)                                                      \
  static void name(const delta_head *head, delta_tile *unit, i64 begin, i64 end) {               \
    delta_forward_steps(head, unit, begin, end, vectors, gated);                                 \
  }
DELTA_FORWARD(delta_forward_1, 1, 0)
DELTA_FORWARD(delta_forward_2, 2, 0)
DELTA_FORWARD(delta_forward_3, 3, 0)
DELTA_FORWARD(delta_forward_1_gated, 1, 1)
DELTA_FORWARD(delta_forward_2_gated, 2, 1)
DELTA_FORWARD(delta_forward_3_gated, 3, 1)
#if FW_VECTORS > 3
DELTA_FORWARD(delta_forward_4, 4, 0)
DELTA_FORWARD(delta_forward_4_gated, 4, 1)
#define DELTA_FORWARD_4(name) , name
#else
#define DELTA_FORWARD_4(name)
#endif
static const delta_forward_function delta_forward_functions[2][FW_VECTORS] = {
    {delta_forward_1, delta_forward_2, delta_forward_3 DELTA_FORWARD_4(delta_forward_4)},
    {delta_forward_1_gated, delta_forward_2_gated, delta_forward_3_gated DELTA_FORWARD_4(delta_forward_4_gated)},
};

/** The steps [begin, end) of a tile. */
static void delta_forward_block(const delta_head *head, delta_tile *unit, i64 begin, i64 end) {
  const delta_forward_function steps = delta_forward_functions[head->decay != 0][unit->tile.vectors - 1];
  while (begin < end) {
    if (head->reset && head->reset[begin]) {
      zero_bytes(unit->s, fw_tile_size(head->scan, &unit->tile) * 4);
      zero_bytes(unit->expected, sizeof unit->expected);
    }
    i64 stop = begin + 1;
    while (stop < end && !(head->reset && head->reset[stop])) stop++;
    steps(head, unit, begin, stop);
    begin = stop;
  }
}

/** S row, for a row of keys or queries. */
static void delta_read(const delta_head *head, const delta_tile *unit, const f32 *row, fw_lanes *sums) {
  fw_load_lanes(sums, 0, &unit->tile);
  const f32 *s = unit->s;
  for (i64 j = 0; j < head->scan->key_dim; j++) {
    for (i64 i = 0; i < unit->tile.vectors; i++, s += VF) sums->vector[i] = vfma(vload(s), vset(row[j]), sums->vector[i]);
  }
}

/** Loads a tile, and reads what the first steps want of the initial state. */
static void delta_forward_open(const delta_head *head, delta_tile *unit, i64 index) {
  const fast_weights *scan = head->scan;
  fw_load_tile(unit->s, scan, scan->initial_state, index, &unit->tile);
  for (i64 s = 0; s < DELTA_STEPS; s++) {
    delta_read(head, unit, head->k + MIN(s, scan->time - 1) * scan->key_dim, &unit->expected[s]);
  }
  if (!scan->before) return;
  fw_lanes y;
  delta_read(head, unit, head->q, &y);
  if (head->reset && head->reset[0]) fw_load_lanes(&y, 0, &unit->tile);
  fw_store_lanes(&y, head->output, &unit->tile);
}

/** How many groups the tiles of a head are cut into: each fits half of the scratch memory, and few heads have several. */
static i64 delta_forward_groups(const fast_weights *scan) {
  const i64 tiles = fw_tiles(scan->value_dim, FW_VECTORS), bytes = fw_rows(scan->key_dim) * FW_VECTORS * VF * 4;
  const i64 most = MAX(1, MIN(DELTA_TILES, FWP_SCRATCH_BYTES / 2 / MAX(bytes, 1)));
  return MAX(CEIL_DIV(tiles, most), MIN(tiles, CEIL_DIV(DELTA_HEADS, MAX(scan->heads, 1))));
}

static void delta_forward_unit(const delta_rule *task, i64 index, i64 group, i64 thread) {
  const fast_weights *scan = &task->scan;
  const i64 start = index * scan->time, keys = start * scan->key_dim, values = start * scan->value_dim;
  const i64 padded = 3 * DELTA_STEPS * fw_rows(scan->key_dim);
  const delta_head head = {
      .scan = scan, .q = scan->q + keys, .k = scan->k + keys, .v = scan->v + values, .beta = task->beta + start,
      .decay = task->decay ? task->decay + start : 0, .output = task->output + values,
      .errors = task->errors ? task->errors + values : 0, .reset = fw_resets(scan, index), .padding = fwp_scratch(thread),
  };
  zero_bytes(head.padding, padded * 4);
  delta_tile tiles[DELTA_TILES];
  const i64 all = fw_tiles(scan->value_dim, FW_VECTORS), groups = delta_forward_groups(scan);
  const i64 first = all * group / groups, count = all * (group + 1) / groups - first;
  f32 *s = head.padding + ROUND_UP(padded, 16);
  for (i64 i = 0; i < count; i++) {
    tiles[i].tile = fw_tile_at(scan->value_dim, FW_VECTORS, first + i), tiles[i].s = s;
    s += fw_tile_size(scan, &tiles[i].tile);
    delta_forward_open(&head, &tiles[i], index);
  }
  for (i64 begin = 0; begin < scan->time; begin += DELTA_BLOCK) {
    const i64 end = MIN(begin + DELTA_BLOCK, scan->time);
    for (i64 i = 0; i < count; i++) delta_forward_block(&head, &tiles[i], begin, end);
  }
  for (i64 i = 0; i < count; i++) fw_store_tile(tiles[i].s, scan, task->final_state, index, &tiles[i].tile);
}

static void delta_forward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const delta_rule *task = context;
  const i64 groups = delta_forward_groups(&task->scan);
  for (i64 unit = begin; unit < end; unit++) delta_forward_unit(task, unit / groups, unit % groups, thread);
}

/* ---- backward ------------------------------------------------------------------------------- */

/** What a tile adds up with the others of its group: rows of one head. */
typedef struct {
  f32 *dq, *dk, *d_beta, *d_decay;
} delta_sums;

/** A tile of a head: the head's rows, and scratch memory. */
typedef struct {
  const fast_weights *scan;
  fw_tile tile;
  i64 head, rows, size;
  const f32 *q, *k, *beta, *decay, *errors, *d_output;
  f32 *dv;
  const u8 *reset;
  delta_sums sums;
  /** Five padded rows, the tiles of G and S, and noted tiles. */
  f32 *padding, *g, *s, *notes;
} delta_unit;

INLINE i32 delta_is_reset(const delta_unit *unit, i64 t) { return unit->reset && t >= 0 && unit->reset[t]; }

/** The step whose output reads S_t, or none (−1): past the end, or cut off by a reset. */
INLINE i64 delta_reader(const delta_unit *unit, i64 t) {
  const i64 reader = t + unit->scan->before;
  return reader >= unit->scan->time || (reader > t && delta_is_reset(unit, reader)) ? -1 : reader;
}

/** The lanes of step t of x, or zeros for t < 0. */
INLINE void delta_lanes(const delta_unit *unit, fw_lanes *lanes, const f32 *x, i64 t) {
  fw_load_lanes(lanes, t >= 0 ? x + t * unit->scan->value_dim : 0, &unit->tile);
}

/** β_t times lanes of e_t, or zeros for t < 0. */
INLINE void delta_writes(const delta_unit *unit, fw_lanes *write, i64 t) {
  delta_lanes(unit, write, unit->errors, t);
  for (i64 i = 0; t >= 0 && i < unit->tile.vectors; i++) write->vector[i] *= unit->beta[t];
}

/** Row t (some other for t < 0) of keys or queries, padded in buffer `buffer`. */
INLINE const f32 *delta_row(const delta_unit *unit, const f32 *x, i64 t, i64 buffer) {
  return fw_padded(unit->padding + buffer * unit->rows, x + MAX(t, 0) * unit->scan->key_dim, unit->scan->key_dim);
}

/** Where a pass adds to row t of dq or dk: the row itself or, if it is too short or t < 0, buffer `buffer`. */
INLINE f32 *delta_sum_row(const delta_unit *unit, f32 *x, i64 t, i64 buffer) {
  const i64 n = unit->scan->key_dim;
  if (t >= 0 && n % FW_ROWS == 0) return x + t * n;
  f32 *row = unit->padding + buffer * unit->rows;
  zero_bytes(row, unit->rows * 4);
  return row;
}
/** Afterwards: adds a buffer to its row. */
INLINE void delta_add_row(const delta_unit *unit, f32 *x, i64 t, const f32 *row) {
  const i64 n = unit->scan->key_dim;
  if (t < 0 || n % FW_ROWS == 0) return;
  for (i64 j = 0; j < n; j++) x[t * n + j] += row[j];
}

/** The sum of all lanes of x · y. */
INLINE f32 delta_inner(const delta_unit *unit, const fw_lanes *x, const fw_lanes *y) {
  vf sum = vset(0);
  for (i64 i = 0; i < unit->tile.vectors; i++) sum = vfma(x->vector[i], y->vector[i], sum);
  return vsum(sum);
}

/** From the gradient of S_{t+1} to that of S_t, which reads dv_{t+1} and writes dv_t; t = −1 ends at the initial state. */
static void delta_step_back(const delta_unit *unit, i64 t, f32 *noted) {
  const i64 next = t + 1, reader = delta_reader(unit, t);
  const i32 ends = next >= unit->scan->time || delta_is_reset(unit, next);
  if (next < unit->scan->time && ends) zero_bytes(unit->g, unit->size * 4);
  delta_pass pass;
  pass.rows = (i32)unit->rows, pass.tile = unit->g, pass.noted = noted;
  pass.factor = unit->decay && !ends ? unit->decay[next] : 1;
  pass.key = delta_row(unit, unit->k, t, 0), pass.next_key = delta_row(unit, unit->k, ends ? t : next, 1);
  pass.query = delta_row(unit, unit->q, reader, 2), pass.dk = delta_sum_row(unit, unit->sums.dk, t, 3);
  delta_lanes(unit, &pass.dv, unit->dv, ends ? -1 : next);
  delta_lanes(unit, &pass.dy, unit->d_output, reader);
  delta_writes(unit, &pass.write, t);
  delta_back_functions[unit->decay != 0][unit->tile.vectors - 1](&pass);
  delta_add_row(unit, unit->sums.dk, t, pass.dk);
  if (t < 0) return;
  fw_lanes e;
  delta_lanes(unit, &e, unit->errors, t);
  unit->sums.d_beta[t] += delta_inner(unit, &pass.result, &e);
  for (i64 i = 0; i < unit->tile.vectors; i++) pass.result.vector[i] *= unit->beta[t];
  fw_store_lanes(&pass.result, unit->dv + t * unit->scan->value_dim, &unit->tile);
}

/** From S_{t-1} to S_t, with what remains of the gradients of step t; t = −1 only reads S for step 0. */
static void delta_step_forth(const delta_unit *unit, i64 t, f32 *noted) {
  const i64 reader = delta_reader(unit, t);
  if (delta_is_reset(unit, t)) zero_bytes(unit->s, unit->size * 4);
  delta_pass pass;
  pass.rows = (i32)unit->rows, pass.tile = unit->s, pass.noted = noted;
  pass.factor = unit->decay && t >= 0 ? unit->decay[t] : 1, pass.key = delta_row(unit, unit->k, t, 0);
  pass.dk = delta_sum_row(unit, unit->sums.dk, t, 3), pass.dq = delta_sum_row(unit, unit->sums.dq, reader, 4);
  delta_lanes(unit, &pass.dv, unit->dv, t);
  delta_lanes(unit, &pass.dy, unit->d_output, reader);
  delta_writes(unit, &pass.write, t);
  delta_forth_functions[unit->decay != 0][unit->tile.vectors - 1](&pass);
  delta_add_row(unit, unit->sums.dk, t, pass.dk);
  delta_add_row(unit, unit->sums.dq, reader, pass.dq);
  if (!unit->decay || t < 0 || delta_is_reset(unit, t)) return;
  vf sum = pass.result.vector[0];
  for (i64 i = 1; i < unit->tile.vectors; i++) sum += pass.result.vector[i];
  unit->sums.d_decay[t] += vsum(sum);
}

/** S_t from S_{t-1} alone. */
static void delta_step_state(const delta_unit *unit, i64 t) {
  if (delta_is_reset(unit, t)) zero_bytes(unit->s, unit->size * 4);
  fw_lanes write;
  delta_writes(unit, &write, t);
  const f32 *key = unit->k + t * unit->scan->key_dim;
  f32 *s = unit->s;
  for (i64 j = 0; j < unit->scan->key_dim; j++) {
    for (i64 i = 0; i < unit->tile.vectors; i++, s += VF) {
      vstore(s, vfma(write.vector[i], vset(key[j]), vload(s) * unit->decay[t]));
    }
  }
}

static void delta_backward_tile(const delta_rule *task, const delta_unit *unit) {
  const fast_weights *scan = unit->scan;
  const i64 time = scan->time, size = unit->size;
  const i64 length = unit->decay ? DELTA_SEGMENT : time, segments = CEIL_DIV(time, length), note = unit->decay ? size : 0;
  f32 *starts = unit->notes + DELTA_SEGMENT * size;
  if (segments > 1) fw_load_tile(unit->s, scan, scan->initial_state, unit->head, &unit->tile);
  for (i64 t = 0; t < (segments - 1) * length; t++) {
    delta_step_state(unit, t);
    if ((t + 1) % length == 0) copy_bytes(starts + ((t + 1) / length - 1) * size, unit->s, size * 4);
  }
  fw_load_tile(unit->g, scan, task->d_final_state, unit->head, &unit->tile);
  for (i64 segment = segments - 1; segment >= 0; segment--) {
    const i64 first = segment * length, end = MIN(first + length, time);
    /* The pass of step t gives P of step t + 1: passes are a step ahead of the segment, and the first of all gives none. */
    for (i64 t = end == time ? end - 1 : end - 2; t >= first - 1; t--) {
      delta_step_back(unit, t, unit->notes + MIN(t + 1 - first, length - 1) * note);
    }
    if (segment > 0) copy_bytes(unit->s, starts + (segment - 1) * size, size * 4);
    else fw_load_tile(unit->s, scan, scan->initial_state, unit->head, &unit->tile);
    for (i64 t = first == 0 && scan->before ? -1 : first; t < end; t++) {
      delta_step_forth(unit, t, unit->notes + MAX(t - first, 0) * note);
    }
  }
  fw_store_tile(unit->g, scan, task->d_initial_state, unit->head, &unit->tile);
}

/** Where a group keeps its sums: the results themselves, or memory of its own. */
static delta_sums delta_group_sums(const delta_rule *task, i64 group, i64 head) {
  const i64 steps = task->scan.heads * task->scan.time, n = task->scan.key_dim, at = head * task->scan.time;
  if (group == 0) {
    return (delta_sums){task->dq + at * n, task->dk + at * n, task->d_beta + at, task->d_decay ? task->d_decay + at : 0};
  }
  f32 *sums = task->partial + (group - 1) * task->sums;
  return (delta_sums){sums + at * n, sums + (steps + at) * n, sums + 2 * steps * n + at, sums + 2 * steps * n + steps + at};
}

static void delta_backward_unit(const delta_rule *task, i64 head, i64 group, i64 thread) {
  const fast_weights *scan = &task->scan;
  const i64 n = scan->key_dim, time = scan->time, tiles = fw_tiles(scan->value_dim, DELTA_BACK_VECTORS);
  const delta_sums sums = delta_group_sums(task, group, head);
  zero_bytes(sums.dq, time * n * 4);
  zero_bytes(sums.dk, time * n * 4);
  zero_bytes(sums.d_beta, time * 4);
  if (task->decay) zero_bytes(sums.d_decay, time * 4);
  for (i64 index = tiles * group / task->groups; index < tiles * (group + 1) / task->groups; index++) {
    const i64 start = head * time, values = start * scan->value_dim;
    delta_unit unit = {
        .scan = scan, .tile = fw_tile_at(scan->value_dim, DELTA_BACK_VECTORS, index), .head = head, .rows = fw_rows(n),
        .q = scan->q + start * n, .k = scan->k + start * n, .beta = task->beta + start,
        .decay = task->decay ? task->decay + start : 0, .errors = task->errors + values, .d_output = task->d_output + values,
        .dv = task->dv + values, .reset = fw_resets(scan, head), .sums = sums, .notes = task->notes + thread * task->noted,
    };
    unit.size = fw_tile_size(scan, &unit.tile);
    unit.padding = fwp_scratch(thread), unit.g = unit.padding + ROUND_UP(5 * unit.rows, 16), unit.s = unit.g + unit.size;
    zero_bytes(unit.padding, 5 * unit.rows * 4);
    delta_backward_tile(task, &unit);
  }
}

static void delta_backward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const delta_rule *task = context;
  for (i64 unit = begin; unit < end; unit++) delta_backward_unit(task, unit / task->groups, unit % task->groups, thread);
}

/** Adds the sums of all groups to those of the first. */
static void delta_join_chunk(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const delta_rule *task = context;
  const i64 time = task->scan.time, n = task->scan.key_dim;
  for (i64 head = begin; head < end; head++) {
    const delta_sums target = delta_group_sums(task, 0, head);
    for (i64 group = 1; group < task->groups; group++) {
      const delta_sums source = delta_group_sums(task, group, head);
      for (i64 i = 0; i < time * n; i++) target.dq[i] += source.dq[i];
      for (i64 i = 0; i < time * n; i++) target.dk[i] += source.dk[i];
      for (i64 i = 0; i < time; i++) target.d_beta[i] += source.d_beta[i];
      for (i64 i = 0; task->decay && i < time; i++) target.d_decay[i] += source.d_decay[i];
    }
  }
}

/* ---- kernels -------------------------------------------------------------------------------- */

/** Copies a state, or zeros. */
INLINE void delta_copy_state(f32 *target, const f32 *state, const fast_weights *scan) {
  const i64 bytes = scan->heads * scan->value_dim * scan->key_dim * 4;
  if (state) copy_bytes(target, state, bytes);
  else zero_bytes(target, bytes);
}

/** delta_rule_forward(…the arguments of all scans, beta, decay?, errors?, output, final_state). */
KERNEL(delta_rule_forward) {
  delta_rule task = {.scan = fw_read(arg)};
  arg += FW_ARGUMENTS;
  task.beta = F32(0), task.decay = OPTIONAL_F32(1), task.errors = OPTIONAL_F32(2), task.output = F32(3), task.final_state = F32(4);
  const fast_weights *scan = &task.scan;
  const i64 units = scan->heads * delta_forward_groups(scan);
  if (units == 0) return OK;
  if (scan->time == 0) {
    delta_copy_state(task.final_state, scan->initial_state, scan);
    return OK;
  }
  const i64 work = 6 * scan->time * scan->key_dim * scan->value_dim * scan->heads / units;
  fwp_parallel_for(units, MAX(1, FW_GRAIN / MAX(work, 1)), delta_forward_chunk, &task);
  return OK;
}

/**
 * delta_rule_backward(…the arguments of all scans, beta, decay?, errors, d_output, d_final_state, dq, dk, dv, d_beta, d_decay?,
 * d_initial_state, groups, partial, notes, noted): `groups` is the most groups that `partial` has room for, (groups − 1) times
 * heads · time · (2 key_dim + 2) floats; with a decay, each thread has `noted` floats of `notes`, at least
 * (DELTA_SEGMENT + ⌈time / DELTA_SEGMENT⌉) · (key_dim + 3) · DELTA_BACK_VECTORS · VF.
 */
KERNEL(delta_rule_backward) {
  delta_rule task = {.scan = fw_read(arg)};
  arg += FW_ARGUMENTS;
  task.beta = F32(0), task.decay = OPTIONAL_F32(1), task.errors = F32(2), task.d_output = F32(3), task.d_final_state = F32(4);
  task.dq = F32(5), task.dk = F32(6), task.dv = F32(7), task.d_beta = F32(8), task.d_decay = OPTIONAL_F32(9);
  task.d_initial_state = F32(10), task.partial = F32(12), task.notes = F32(13), task.noted = INT(14);
  const fast_weights *scan = &task.scan;
  const i64 tiles = fw_tiles(scan->value_dim, DELTA_BACK_VECTORS);
  task.groups = MAX(1, MIN(INT(11), tiles));
  task.sums = scan->heads * scan->time * (2 * scan->key_dim + 2);
  if (scan->time == 0) {
    delta_copy_state(task.d_initial_state, task.d_final_state, scan);
    return OK;
  }
  const i64 work = 14 * scan->time * scan->key_dim * scan->value_dim / task.groups;
  fwp_parallel_for(scan->heads * task.groups, MAX(1, FW_GRAIN / MAX(work, 1)), delta_backward_chunk, &task);
  if (task.groups > 1) fwp_parallel_for(scan->heads, 1, delta_join_chunk, &task);
  return OK;
}

#define DELTA_RULE_KERNELS(ENTRY) ENTRY(delta_rule_forward, 16) ENTRY(delta_rule_backward, 26)
