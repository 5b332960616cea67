/**
 * Scans of the sum rule (linear attention: Katharopoulos et al. 2020; with decay: Sun et al. 2023, Yang et al. 2024),
 * for each batch element and head, with a state S [value_dim, key_dim] and a normaliser z [key_dim]:
 *
 *   S_t = S_{t-1} diag(a_t) + v_t k_tᵀ      z_t = a_t ∘ z_{t-1} + k_t      y_t = S_t q_t / D(z_t · q_t)
 *
 * a_t is 1, one factor or one for each key channel; D is absent (1), D(n) = n + ε, or D(n) = max(|n|, floor_t). A read
 * before the update takes S_{t-1} and z_{t-1}, as they are after a reset and before the decay.
 *
 * Everything is one loop, the outer-product scan of a matrix X [rows, lanes], with vectors along the lanes:
 *
 *   X ← a ∘ X + w_t u_tᵀ      o_t = Xᵀ r_t
 *
 *   result   direction   rows (w, r)            lanes (u → o)     X
 *   y        forward     keys (k, q)            values (v → y)    Sᵀ
 *   dv       backward    keys (q, k)            values (dy → dv)  Gᵀ, the gradient of S
 *   dk       backward    values (dy, v)         keys (q → dk)     G
 *   dq       forward     values (v, dy)         keys (k → dq)     S
 *
 * So no step has a horizontal sum, nothing is divided by a decay, no state is stored, and each number is written by one
 * tile: results do not depend on threads. A step's gradient costs 12 d² operations instead of 10 d² and sums across lanes.
 * Two steps at once on a tile of two vectors come near the peak of the multiply-add units (measured, d = 64: 95 % forward
 * with AVX2, 92 % with AVX-512; with decays, whose factors take those units too, 63 %), so chunks of matrix products, which
 * add operations, would not be faster. z is one more row where lanes are keys: the state of a value that is always 1.
 *
 * The gradient of a decay, da_t = column sums of G_t ∘ S_{t-1}, needs both matrices. The shortcut through
 * a ∘ da = Σ_{s≥t} (q_s ∘ dq_s − k_s ∘ dk_s) cancels and divides by a, which may be 0. Instead, the states are
 * kept once in SUM_RULE_CHUNK steps by the scan of dq, and those between computed again while G comes back (16 d²).
 */
#include "fwp.h"
#include "simd.h"
#include "gemm.h"

/** Vectors of a tile. */
#define SUM_RULE_VECTORS 2
#define SUM_RULE_TILE (SUM_RULE_VECTORS * VF)
/** Steps at once with a decay: with 16 registers of 4 floats, two are slower than one (in WebAssembly by 17 %). */
#if VF > 4 || defined(__ARM_NEON)
#define SUM_RULE_DECAYED_STEPS 2
#else
#define SUM_RULE_DECAYED_STEPS 1
#endif
/** Steps that a tile stays in the nearest cache before the next one takes the same steps. */
#define SUM_RULE_BLOCK 64
/** Steps between kept states. */
#define SUM_RULE_CHUNK 32
/** Most floats of the tiles that one thread keeps, per matrix. */
#define SUM_RULE_STATE (FWP_SCRATCH_BYTES / 16)
/** Heads are cut into groups of lanes if there are fewer than this. */
#define SUM_RULE_HEADS 8
/** Operations per chunk of a parallel loop. */
#define SUM_RULE_GRAIN 2e6

/** What a decay's factors multiply: nothing, the rows of X (or all of it), or its lanes. */
typedef enum { DECAY_NONE, DECAY_ROWS, DECAY_LANES } sum_rule_decay;
/** Order of decay, update (u) and read (r) within a step. */
typedef enum { ORDER_DECAY_UPDATE_READ, ORDER_UPDATE_READ_DECAY, ORDER_READ_DECAY_UPDATE } sum_rule_order;

/** One scan of one head. */
typedef struct {
  i64 steps, rows, lanes;
  /** w and r [steps, rows], u and o [steps, lanes]. */
  const f32 *write, *read, *input;
  f32 *output;
  /** Optional [steps]: factors of u and o. */
  const f32 *input_scale, *output_scale;
  /** The last row of X has w and r of its own, [steps] or absent: 1. */
  i32 extra;
  const f32 *extra_write, *extra_read;
  /** [steps, decay_width]: decay_width is 1, rows or lanes. */
  sum_rule_decay decay_kind;
  const f32 *decay;
  i64 decay_width;
  sum_rule_order order;
  i32 backward;
  /** Optional [steps]: where X is 0 before the step (after it, if backward). */
  const u8 *reset;
} sum_rule_scan;

/** Some lanes of X: [rows + extra][vectors · VF], padded with zeros. */
typedef struct {
  i64 lane, count;
  f32 *state;
} sum_rule_tile;

INLINE i64 sum_rule_rows(const sum_rule_scan *scan) { return scan->rows + scan->extra; }
INLINE i64 sum_rule_width(i64 count) { return count > VF ? SUM_RULE_TILE : VF; }

INLINE vf sum_rule_load(const f32 *p, i64 count) { return count >= VF ? vload(p) : vload_first(p, count, 0); }
INLINE void sum_rule_store(f32 *p, vf x, i64 count) {
  if (count >= VF) vstore(p, x);
  else vstore_first(p, x, count);
}

/* ---- the scan ------------------------------------------------------------------------------- */

/** `steps` steps from `first` on (backward: down) on a tile of `vectors` vectors. */
INLINE void sum_rule_steps(const sum_rule_scan *scan, const sum_rule_tile *tile, i64 first, const int steps,
                           const int vectors, const sum_rule_decay decay, const sum_rule_order order) {
  const i64 lanes = scan->lanes, count = tile->count;
  const i32 rows = (i32)scan->rows;
  const f32 *write[2], *read[2], *factor[2];
  const i32 factor_step = scan->decay_width == 1 ? 0 : 1;
  f32 *state = tile->state;
  vf input[2][SUM_RULE_VECTORS] = {0}, output[2][SUM_RULE_VECTORS] = {0}, factors[2][SUM_RULE_VECTORS] = {0};
  UNROLL for (int s = 0; s < steps; s++) {
    const i64 t = scan->backward ? first - s : first + s;
    write[s] = scan->write + t * rows, read[s] = scan->read + t * rows;
    factor[s] = scan->decay + t * scan->decay_width;
    const f32 *u = scan->input + t * lanes + tile->lane;
    UNROLL for (int n = 0; n < vectors; n++) {
      input[s][n] = sum_rule_load(u + n * VF, count - n * VF);
      if (decay == DECAY_LANES) factors[s][n] = sum_rule_load(factor[s] + tile->lane + n * VF, count - n * VF);
    }
    if (scan->input_scale) {
      UNROLL for (int n = 0; n < vectors; n++) input[s][n] *= scan->input_scale[t];
    }
  }
#define SUM_RULE_DECAY(s) \
  UNROLL for (int n = 0; n < vectors; n++) { \
    if (decay == DECAY_ROWS) x[n] *= a; \
    if (decay == DECAY_LANES) x[n] *= factors[s][n]; \
  }
#define SUM_RULE_UPDATE(s) UNROLL for (int n = 0; n < vectors; n++) x[n] = vfma(w, input[s][n], x[n]);
#define SUM_RULE_READ(s) UNROLL for (int n = 0; n < vectors; n++) output[s][n] = vfma(r, x[n], output[s][n]);
#define SUM_RULE_ROW(i, W, R, A) \
  do { \
    f32 *at = state + (i) * vectors * VF; \
    vf x[SUM_RULE_VECTORS]; \
    UNROLL for (int n = 0; n < vectors; n++) x[n] = vload(at + n * VF); \
    UNROLL for (int s = 0; s < steps; s++) { \
      const vf w = vset(W), r = vset(R), a = decay == DECAY_ROWS ? vset(A) : vset(1); \
      if (order == ORDER_DECAY_UPDATE_READ) { \
        SUM_RULE_DECAY(s) SUM_RULE_UPDATE(s) SUM_RULE_READ(s) \
      } else if (order == ORDER_UPDATE_READ_DECAY) { \
        SUM_RULE_UPDATE(s) SUM_RULE_READ(s) SUM_RULE_DECAY(s) \
      } else { \
        SUM_RULE_READ(s) SUM_RULE_DECAY(s) SUM_RULE_UPDATE(s) \
      } \
      (void)a; \
    } \
    UNROLL for (int n = 0; n < vectors; n++) vstore(at + n * VF, x[n]); \
  } while (0)
  for (i32 i = 0; i < rows; i++) SUM_RULE_ROW(i, write[s][i], read[s][i], factor[s][i * factor_step]);
  if (scan->extra) {
    f32 w_extra[2], r_extra[2];
    UNROLL for (int s = 0; s < steps; s++) {
      const i64 t = scan->backward ? first - s : first + s;
      w_extra[s] = scan->extra_write ? scan->extra_write[t] : 1;
      r_extra[s] = scan->extra_read ? scan->extra_read[t] : 1;
    }
    SUM_RULE_ROW(rows, w_extra[s], r_extra[s], factor[s][0]);
  }
#undef SUM_RULE_ROW
#undef SUM_RULE_READ
#undef SUM_RULE_UPDATE
#undef SUM_RULE_DECAY
  UNROLL for (int s = 0; s < steps; s++) {
    const i64 t = scan->backward ? first - s : first + s;
    if (scan->output_scale) {
      UNROLL for (int n = 0; n < vectors; n++) output[s][n] *= scan->output_scale[t];
    }
    f32 *o = scan->output + t * lanes + tile->lane;
    UNROLL for (int n = 0; n < vectors; n++) sum_rule_store(o + n * VF, output[s][n], count - n * VF);
  }
}

/** The steps [begin, end) in the scan's direction, without resets. */
INLINE void sum_rule_span(const sum_rule_scan *scan, const sum_rule_tile *tile, i64 begin, i64 end,
                          const sum_rule_decay decay, const sum_rule_order order) {
  const i64 direction = scan->backward ? -1 : 1;
  i64 left = end - begin, t = scan->backward ? end - 1 : begin;
  if (tile->count <= VF) {
    for (; left >= 2; left -= 2, t += 2 * direction) sum_rule_steps(scan, tile, t, 2, 1, decay, order);
    if (left) sum_rule_steps(scan, tile, t, 1, 1, decay, order);
    return;
  }
  if (decay == DECAY_NONE || SUM_RULE_DECAYED_STEPS == 2) {
    for (; left >= 2; left -= 2, t += 2 * direction) sum_rule_steps(scan, tile, t, 2, 2, decay, order);
  }
  for (; left > 0; left--, t += direction) sum_rule_steps(scan, tile, t, 1, 2, decay, order);
}

typedef void (*sum_rule_span_function)(const sum_rule_scan *scan, const sum_rule_tile *tile, i64 begin, i64 end);
#define SUM_RULE_SPAN(name, decay, order) \
  static void sum_rule_span_##name(const sum_rule_scan *scan, const sum_rule_tile *tile, i64 begin, i64 end) { \
    sum_rule_span(scan, tile, begin, end, decay, order); \
  }
SUM_RULE_SPAN(after, DECAY_NONE, ORDER_DECAY_UPDATE_READ)
SUM_RULE_SPAN(before, DECAY_NONE, ORDER_READ_DECAY_UPDATE)
SUM_RULE_SPAN(rows_first, DECAY_ROWS, ORDER_DECAY_UPDATE_READ)
SUM_RULE_SPAN(rows_last, DECAY_ROWS, ORDER_UPDATE_READ_DECAY)
SUM_RULE_SPAN(rows_before, DECAY_ROWS, ORDER_READ_DECAY_UPDATE)
SUM_RULE_SPAN(lanes_first, DECAY_LANES, ORDER_DECAY_UPDATE_READ)
SUM_RULE_SPAN(lanes_last, DECAY_LANES, ORDER_UPDATE_READ_DECAY)
SUM_RULE_SPAN(lanes_before, DECAY_LANES, ORDER_READ_DECAY_UPDATE)
static const sum_rule_span_function sum_rule_spans[3][3] = {
    {sum_rule_span_after, sum_rule_span_after, sum_rule_span_before},
    {sum_rule_span_rows_first, sum_rule_span_rows_last, sum_rule_span_rows_before},
    {sum_rule_span_lanes_first, sum_rule_span_lanes_last, sum_rule_span_lanes_before},
};

INLINE void sum_rule_forget(const sum_rule_scan *scan, const sum_rule_tile *tile) {
  zero_bytes(tile->state, sum_rule_rows(scan) * sum_rule_width(tile->count) * 4);
}

/** The steps [begin, end) of one tile, resets included. */
static void sum_rule_run(const sum_rule_scan *scan, const sum_rule_tile *tile, i64 begin, i64 end) {
  const sum_rule_span_function span = sum_rule_spans[scan->decay_kind][scan->order];
  if (!scan->reset) {
    span(scan, tile, begin, end);
  } else if (scan->backward) {
    while (end > begin) {
      i64 t = end - 1;
      while (t > begin && !scan->reset[t]) t--;
      span(scan, tile, t, end);
      if (scan->reset[t]) sum_rule_forget(scan, tile);
      end = t;
    }
  } else {
    while (begin < end) {
      if (scan->reset[begin]) sum_rule_forget(scan, tile);
      i64 t = begin + 1;
      while (t < end && !scan->reset[t]) t++;
      span(scan, tile, begin, t);
      begin = t;
    }
  }
}

/** Where the matrix X of a head comes from or goes to; element (row, lane) is at row · row_step + lane · lane_step. */
typedef struct {
  f32 *matrix;
  i64 row_step, lane_step;
  /** The extra row, [lanes], if there is one. */
  f32 *extra;
} sum_rule_state;

/** Fills a tile from a head's matrix (absent: zeros). */
static void sum_rule_open(const sum_rule_scan *scan, const sum_rule_tile *tile, sum_rule_state from) {
  const i64 width = sum_rule_width(tile->count), rows = scan->rows;
  if (!from.matrix) {
    sum_rule_forget(scan, tile);
    return;
  }
  gemm_pack_panel(from.matrix + tile->lane * from.lane_step, from.lane_step, from.row_step, tile->count, width, rows,
                  tile->state);
  if (!scan->extra) return;
  f32 *row = tile->state + rows * width;
  for (i64 j = 0; j < width; j++) row[j] = from.extra && j < tile->count ? from.extra[tile->lane + j] : 0;
}

/** Writes a tile to a head's matrix. */
static void sum_rule_close(const sum_rule_scan *scan, const sum_rule_tile *tile, sum_rule_state to) {
  const i64 width = sum_rule_width(tile->count), rows = scan->rows;
  if (to.lane_step == 1) {
    f32 *target = to.matrix + tile->lane;
    for (i64 i = 0; i < rows; i++) gemm_copy(tile->state + i * width, tile->count, target + i * to.row_step);
  } else {
    gemm_pack_panel(tile->state, width, 1, rows, rows, tile->count, to.matrix + tile->lane * rows);
  }
  if (scan->extra && to.extra) copy_bytes(to.extra + tile->lane, tile->state + rows * width, tile->count * 4);
}

/** Tile number `index` of the lanes [first, last), whose tiles begin at `states`. */
INLINE sum_rule_tile sum_rule_at(const sum_rule_scan *scan, i64 first, i64 last, i64 index, f32 *states) {
  const i64 lane = first + index * SUM_RULE_TILE;
  return (sum_rule_tile){.lane = lane, .count = MIN(SUM_RULE_TILE, last - lane),
                       .state = states + index * SUM_RULE_TILE * sum_rule_rows(scan)};
}

/** All steps of the lanes [first, last); `states` holds their tiles. */
static void sum_rule_sweep(const sum_rule_scan *scan, i64 first, i64 last, sum_rule_state from, sum_rule_state to,
                           f32 *states) {
  const i64 tiles = CEIL_DIV(last - first, SUM_RULE_TILE), blocks = CEIL_DIV(scan->steps, SUM_RULE_BLOCK);
  for (i64 n = 0; n < tiles; n++) {
    const sum_rule_tile tile = sum_rule_at(scan, first, last, n, states);
    sum_rule_open(scan, &tile, from);
  }
  for (i64 b = 0; b < blocks; b++) {
    const i64 begin = (scan->backward ? blocks - 1 - b : b) * SUM_RULE_BLOCK;
    for (i64 n = 0; n < tiles; n++) {
      const sum_rule_tile tile = sum_rule_at(scan, first, last, n, states);
      sum_rule_run(scan, &tile, begin, MIN(begin + SUM_RULE_BLOCK, scan->steps));
    }
  }
  for (i64 n = 0; to.matrix && n < tiles; n++) {
    const sum_rule_tile tile = sum_rule_at(scan, first, last, n, states);
    sum_rule_close(scan, &tile, to);
  }
}

/* ---- the task ------------------------------------------------------------------------------- */

typedef struct {
  i64 batch, heads, steps, key_dim, value_dim;
  const f32 *q, *k, *v;
  /** Optional [batch, heads, steps, decay_width]; decay_width is 1 or key_dim. */
  const f32 *decay;
  i64 decay_width;
  /** [batch, heads, value_dim, key_dim]. */
  f32 *initial_state;
  /** Optional [batch, steps]. */
  const u8 *reset;
  i32 read_before;
  /** z is kept; [batch, heads, key_dim]. */
  i32 normalize;
  f32 *initial_normalizer;
  /** Optional [batch, heads, steps]; without it D(n) = n + epsilon. */
  const f32 *floor;
  f32 epsilon;
  f32 *output;
  /** [batch, heads, steps]: z_t · q_t and 1 / D. */
  f32 *denominators, *scales;
  f32 *final_state, *final_normalizer;
  /* Backward. */
  const f32 *d_output;
  f32 *d_final_state, *d_final_normalizer;
  f32 *dq, *dk, *dv, *d_decay, *d_initial_state, *d_initial_normalizer;
  /** [batch, heads, steps]: −D' dy_t · y_t, the gradient of z_t · q_t but for the factor 1 / D. */
  f32 *slopes;
  /** Work space of a thread for the gradient of a decay, `kept_floats` each. */
  f32 *kept;
  i64 kept_floats;
  /** How lanes of values and of keys are cut into groups: number and width. */
  i64 value_groups, value_width, key_groups, key_width;
} linear_attention;

/** Lanes per group, in whole tiles: all of them, unless there are few heads or the tiles of all would be too large. */
static i64 sum_rule_group(const linear_attention *task, i64 rows, i64 lanes) {
  const i64 heads = MAX(1, task->batch * task->heads);
  const i64 tiles = CEIL_DIV(lanes, SUM_RULE_TILE), wanted = MIN(tiles, CEIL_DIV(SUM_RULE_HEADS, heads));
  const i64 most = MAX(1, SUM_RULE_STATE / ((rows + 1) * SUM_RULE_TILE));
  return MAX(1, MIN(CEIL_DIV(tiles, MAX(1, wanted)), most)) * SUM_RULE_TILE;
}

/** What is common to the scans of a head: values or keys along the lanes. */
static sum_rule_scan sum_rule_scan_of(const linear_attention *task, i64 head, i32 keys_are_lanes, i32 backward) {
  sum_rule_scan scan = {
      .steps = task->steps, .backward = backward,
      .rows = keys_are_lanes ? task->value_dim : task->key_dim,
      .lanes = keys_are_lanes ? task->key_dim : task->value_dim,
      .reset = task->reset ? task->reset + head / task->heads * task->steps : 0,
      .order = task->read_before ? ORDER_READ_DECAY_UPDATE
               : backward        ? ORDER_UPDATE_READ_DECAY
                                 : ORDER_DECAY_UPDATE_READ,
  };
  if (task->decay) {
    scan.decay = task->decay + head * task->steps * task->decay_width, scan.decay_width = task->decay_width;
    scan.decay_kind = keys_are_lanes && task->decay_width > 1 ? DECAY_LANES : DECAY_ROWS;
  }
  return scan;
}

/** A head's state with values or keys along the lanes; and its normaliser, where that is a row. */
INLINE sum_rule_state sum_rule_state_of(const linear_attention *task, i64 head, i32 keys_are_lanes, f32 *states,
                                        f32 *normalizers) {
  if (!states) return (sum_rule_state){0};
  f32 *matrix = states + head * task->value_dim * task->key_dim;
  if (!keys_are_lanes) return (sum_rule_state){.matrix = matrix, .row_step = 1, .lane_step = task->key_dim};
  return (sum_rule_state){.matrix = matrix, .row_step = task->key_dim, .lane_step = 1,
                        .extra = normalizers ? normalizers + head * task->key_dim : 0};
}

/* ---- forward -------------------------------------------------------------------------------- */

/** z_t · q_t and 1 / D of all steps of a head. */
static void sum_rule_normalize_head(const linear_attention *task, i64 head, f32 *z) {
  const i64 n = task->key_dim, steps = task->steps;
  if (task->initial_normalizer) copy_bytes(z, task->initial_normalizer + head * n, n * 4);
  else zero_bytes(z, n * 4);
  for (i64 t = 0; t < steps; t++) {
    if (task->reset && task->reset[head / task->heads * steps + t]) zero_bytes(z, n * 4);
    const i64 at = head * steps + t;
    const f32 *q = task->q + at * n, *k = task->k + at * n, *a = task->decay ? task->decay + at * task->decay_width : 0;
    vf sum = vset(0);
    for (i64 j = 0; j < n; j += VF) {
      const i64 count = n - j;
      const vf factor = !a ? vset(1) : task->decay_width == 1 ? vset(a[0]) : sum_rule_load(a + j, count);
      const vf before = sum_rule_load(z + j, count), after = vfma(factor, before, sum_rule_load(k + j, count));
      sum = vfma(task->read_before ? before : after, sum_rule_load(q + j, count), sum);
      sum_rule_store(z + j, after, count);
    }
    const f32 denominator = vsum(sum), size = denominator < 0 ? -denominator : denominator;
    task->denominators[at] = denominator;
    task->scales[at] = 1 / (task->floor ? MAX(size, task->floor[at]) : denominator + task->epsilon);
  }
  copy_bytes(task->final_normalizer + head * n, z, n * 4);
}

static void sum_rule_normalize_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  for (i64 head = begin; head < end; head++) sum_rule_normalize_head(context, head, fwp_scratch(thread));
}

/** One unit is a group of value lanes of a head. */
static void sum_rule_forward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const linear_attention *task = context;
  for (i64 unit = begin; unit < end; unit++) {
    const i64 head = unit / task->value_groups, at = head * task->steps;
    const i64 first = unit % task->value_groups * task->value_width;
    const i64 last = MIN(first + task->value_width, task->value_dim);
    sum_rule_scan scan = sum_rule_scan_of(task, head, 0, 0);
    scan.write = task->k + at * task->key_dim, scan.read = task->q + at * task->key_dim;
    scan.input = task->v + at * task->value_dim, scan.output = task->output + at * task->value_dim;
    if (task->normalize) scan.output_scale = task->scales + at;
    sum_rule_sweep(&scan, first, last, sum_rule_state_of(task, head, 0, task->initial_state, 0),
                 sum_rule_state_of(task, head, 0, task->final_state, 0), fwp_scratch(thread));
  }
}

/* ---- backward ------------------------------------------------------------------------------- */

static void sum_rule_slopes_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const linear_attention *task = context;
  const i64 n = task->value_dim;
  for (i64 at = begin; at < end; at++) {
    const f32 denominator = task->denominators[at];
    f32 slope = -1;
    if (task->floor) slope = denominator > task->floor[at] ? -1 : -denominator > task->floor[at] ? 1 : 0;
    const f32 *y = task->output + at * n, *dy = task->d_output + at * n;
    vf sum = vset(0);
    for (i64 j = 0; j < n; j += VF) sum = vfma(sum_rule_load(dy + j, n - j), sum_rule_load(y + j, n - j), sum);
    /* A quotient that does not count may be infinite. */
    task->slopes[at] = slope == 0 ? 0 : slope * vsum(sum);
  }
}

static sum_rule_scan sum_rule_dv_scan(const linear_attention *task, i64 head) {
  const i64 at = head * task->steps;
  sum_rule_scan scan = sum_rule_scan_of(task, head, 0, 1);
  scan.write = task->q + at * task->key_dim, scan.read = task->k + at * task->key_dim;
  scan.input = task->d_output + at * task->value_dim, scan.output = task->dv + at * task->value_dim;
  if (task->normalize) scan.input_scale = task->scales + at;
  return scan;
}

static sum_rule_scan sum_rule_dk_scan(const linear_attention *task, i64 head) {
  const i64 at = head * task->steps;
  sum_rule_scan scan = sum_rule_scan_of(task, head, 1, 1);
  scan.write = task->d_output + at * task->value_dim, scan.read = task->v + at * task->value_dim;
  scan.input = task->q + at * task->key_dim, scan.output = task->dk + at * task->key_dim;
  scan.extra = task->normalize;
  if (task->normalize) scan.input_scale = task->scales + at, scan.extra_write = task->slopes + at;
  return scan;
}

static sum_rule_scan sum_rule_dq_scan(const linear_attention *task, i64 head) {
  const i64 at = head * task->steps;
  sum_rule_scan scan = sum_rule_scan_of(task, head, 1, 0);
  scan.write = task->v + at * task->value_dim, scan.read = task->d_output + at * task->value_dim;
  scan.input = task->k + at * task->key_dim, scan.output = task->dq + at * task->key_dim;
  scan.extra = task->normalize;
  if (task->normalize) scan.output_scale = task->scales + at, scan.extra_read = task->slopes + at;
  return scan;
}

/** What a step of the gradient of decays has along the lanes of a tile. */
typedef struct {
  vf input[SUM_RULE_VECTORS], factor[SUM_RULE_VECTORS];
} sum_rule_lanes;

INLINE sum_rule_lanes sum_rule_lanes_at(const sum_rule_scan *scan, const sum_rule_tile *tile, i64 t, const int vectors,
                                        const i32 lanes_decay) {
  const f32 *factor = scan->decay + t * scan->decay_width, *u = scan->input + t * scan->lanes + tile->lane;
  const f32 scale = scan->input_scale ? scan->input_scale[t] : 1;
  sum_rule_lanes lanes;
  UNROLL for (int n = 0; n < vectors; n++) {
    lanes.input[n] = scale * sum_rule_load(u + n * VF, tile->count - n * VF);
    lanes.factor[n] = lanes_decay ? sum_rule_load(factor + tile->lane + n * VF, tile->count - n * VF) : vset(factor[0]);
  }
  return lanes;
}

/** `to` = `from` after the update of step t of the dq scan. */
INLINE void sum_rule_advance(const sum_rule_scan *scan, const sum_rule_tile *tile, i64 t, const f32 *from, f32 *to,
                             const int vectors, const i32 lanes_decay) {
  const sum_rule_lanes lanes = sum_rule_lanes_at(scan, tile, t, vectors, lanes_decay);
  const i32 rows = (i32)scan->rows;
  const f32 *write = scan->write + t * rows;
  for (i32 i = 0; i < rows; i++) {
    const vf w = vset(write[i]);
    UNROLL for (int n = 0; n < vectors; n++) {
      const i32 at = (i * vectors + n) * VF;
      vstore(to + at, vfma(lanes.factor[n], vload(from + at), w * lanes.input[n]));
    }
  }
  if (!scan->extra) return;
  UNROLL for (int n = 0; n < vectors; n++) {
    const i32 at = (rows * vectors + n) * VF;
    /* This row is written by 1. */
    vstore(to + at, vfma(lanes.factor[n], vload(from + at), lanes.input[n]));
  }
}

/** One step of the dk scan, `state` being S before its decay: also gives the column sums of G ∘ S. */
INLINE void sum_rule_return(const sum_rule_scan *scan, const sum_rule_tile *tile, i64 t, const f32 *state,
                            const int vectors, const i32 lanes_decay, const i32 before, vf sums[SUM_RULE_VECTORS]) {
  const sum_rule_lanes lanes = sum_rule_lanes_at(scan, tile, t, vectors, lanes_decay);
  const i32 rows = (i32)scan->rows;
  const f32 *write = scan->write + t * rows, *read = scan->read + t * rows;
  f32 *gradient = tile->state;
  vf output[SUM_RULE_VECTORS];
  UNROLL for (int n = 0; n < vectors; n++) output[n] = sums[n] = vset(0);
#define SUM_RULE_RETURN(i, W, R) \
  do { \
    const vf w = vset(W), r = vset(R); \
    UNROLL for (int n = 0; n < vectors; n++) { \
      const i32 at = ((i) * vectors + n) * VF; \
      vf g = vload(gradient + at); \
      if (!before) g = vfma(w, lanes.input[n], g); \
      output[n] = vfma(r, g, output[n]); \
      sums[n] = vfma(g, vload(state + at), sums[n]); \
      g *= lanes.factor[n]; \
      if (before) g = vfma(w, lanes.input[n], g); \
      vstore(gradient + at, g); \
    } \
  } while (0)
  for (i32 i = 0; i < rows; i++) SUM_RULE_RETURN(i, write[i], read[i]);
  if (scan->extra) SUM_RULE_RETURN(rows, scan->extra_write[t], 1);
#undef SUM_RULE_RETURN
  f32 *o = scan->output + t * scan->lanes + tile->lane;
  UNROLL for (int n = 0; n < vectors; n++) sum_rule_store(o + n * VF, output[n], tile->count - n * VF);
}

/** The steps [begin, end) of the dk scan of one tile, given the state before `begin`; also their gradients of the decay. */
INLINE void sum_rule_return_chunk(const sum_rule_scan *forth, const sum_rule_scan *back, const sum_rule_tile *tile,
                                  i64 begin, i64 end, f32 *states, f32 *d_decay, const int vectors,
                                  const i32 lanes_decay) {
  const i64 size = sum_rule_rows(forth) * vectors * VF;
  for (i64 t = begin; t < end; t++) {
    f32 *state = states + (t - begin) * size;
    if (forth->reset && forth->reset[t]) zero_bytes(state, size * 4);
    if (t + 1 < end) sum_rule_advance(forth, tile, t, state, state + size, vectors, lanes_decay);
  }
  for (i64 t = end - 1; t >= begin; t--) {
    vf sums[SUM_RULE_VECTORS];
    const f32 *state = states + (t - begin) * size;
    if (back->order == ORDER_READ_DECAY_UPDATE) sum_rule_return(back, tile, t, state, vectors, lanes_decay, 1, sums);
    else sum_rule_return(back, tile, t, state, vectors, lanes_decay, 0, sums);
    if (back->reset && back->reset[t]) sum_rule_forget(back, tile);
    if (lanes_decay) {
      f32 *target = d_decay + t * back->decay_width + tile->lane;
      UNROLL for (int n = 0; n < vectors; n++) sum_rule_store(target + n * VF, sums[n], tile->count - n * VF);
    } else {
      UNROLL for (int n = 1; n < vectors; n++) sums[0] += sums[n];
      d_decay[t] += vsum(sums[0]);
    }
  }
}

/** dq, dk and the gradient of the decay for the key lanes [first, last) of a head. */
static void sum_rule_decayed_group(const linear_attention *task, i64 head, i64 first, i64 last, i64 thread) {
  const sum_rule_scan forth = sum_rule_dq_scan(task, head), back = sum_rule_dk_scan(task, head);
  const i64 tiles = CEIL_DIV(last - first, SUM_RULE_TILE), chunks = CEIL_DIV(task->steps, SUM_RULE_CHUNK);
  const i64 size = sum_rule_rows(&forth) * SUM_RULE_TILE, floats = tiles * size;
  const i32 lanes_decay = task->decay_width > 1;
  f32 *states = task->kept + thread * task->kept_floats, *kept = states + floats, *between = kept + chunks * floats;
  f32 *d_decay = task->d_decay + head * task->steps * task->decay_width;
  if (!lanes_decay) zero_bytes(d_decay, task->steps * 4);

  for (i64 n = 0; n < tiles; n++) {
    const sum_rule_tile tile = sum_rule_at(&forth, first, last, n, states);
    sum_rule_open(&forth, &tile, sum_rule_state_of(task, head, 1, task->initial_state, task->initial_normalizer));
  }
  for (i64 c = 0; c < chunks; c++) {
    copy_bytes(kept + c * floats, states, floats * 4);
    for (i64 n = 0; n < tiles; n++) {
      const sum_rule_tile tile = sum_rule_at(&forth, first, last, n, states);
      sum_rule_run(&forth, &tile, c * SUM_RULE_CHUNK, MIN((c + 1) * SUM_RULE_CHUNK, task->steps));
    }
  }
  for (i64 n = 0; n < tiles; n++) {
    const sum_rule_tile tile = sum_rule_at(&back, first, last, n, states);
    sum_rule_open(&back, &tile, sum_rule_state_of(task, head, 1, task->d_final_state, task->d_final_normalizer));
  }
  for (i64 c = chunks - 1; c >= 0; c--) {
    const i64 begin = c * SUM_RULE_CHUNK, end = MIN(begin + SUM_RULE_CHUNK, task->steps);
    for (i64 n = 0; n < tiles; n++) {
      const sum_rule_tile tile = sum_rule_at(&back, first, last, n, states);
      copy_bytes(between, kept + c * floats + n * size, sum_rule_rows(&forth) * sum_rule_width(tile.count) * 4);
#define SUM_RULE_RETURN_CHUNK(VECTORS, LANES_DECAY) \
  sum_rule_return_chunk(&forth, &back, &tile, begin, end, between, d_decay, VECTORS, LANES_DECAY)
      if (tile.count > VF && lanes_decay) SUM_RULE_RETURN_CHUNK(2, 1);
      else if (tile.count > VF) SUM_RULE_RETURN_CHUNK(2, 0);
      else if (lanes_decay) SUM_RULE_RETURN_CHUNK(1, 1);
      else SUM_RULE_RETURN_CHUNK(1, 0);
#undef SUM_RULE_RETURN_CHUNK
    }
  }
  for (i64 n = 0; n < tiles; n++) {
    const sum_rule_tile tile = sum_rule_at(&back, first, last, n, states);
    sum_rule_close(&back, &tile, sum_rule_state_of(task, head, 1, task->d_initial_state, task->d_initial_normalizer));
  }
}

/** One unit is a group of lanes of one scan of a head: first those of keys (dq and dk, or both with a decay), then dv. */
static void sum_rule_backward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const linear_attention *task = context;
  const i64 heads = task->batch * task->heads, key_units = heads * task->key_groups;
  const i64 key_scans = task->d_decay ? 1 : 2;
  f32 *scratch = fwp_scratch(thread);
  for (i64 unit = begin; unit < end; unit++) {
    const i32 keys = unit < key_scans * key_units;
    const i64 groups = keys ? task->key_groups : task->value_groups, width = keys ? task->key_width : task->value_width;
    const i64 index = keys ? unit % key_units : unit - key_scans * key_units, head = index / groups;
    const i64 first = index % groups * width, last = MIN(first + width, keys ? task->key_dim : task->value_dim);
    const sum_rule_state initial = sum_rule_state_of(task, head, keys, task->initial_state, task->initial_normalizer);
    const sum_rule_state d_final = sum_rule_state_of(task, head, keys, task->d_final_state, task->d_final_normalizer);
    const sum_rule_state none = {0};
    if (!keys) {
      const sum_rule_scan scan = sum_rule_dv_scan(task, head);
      sum_rule_sweep(&scan, first, last, d_final, none, scratch);
    } else if (task->d_decay) {
      sum_rule_decayed_group(task, head, first, last, thread);
    } else if (unit < key_units) {
      const sum_rule_scan scan = sum_rule_dk_scan(task, head);
      sum_rule_sweep(&scan, first, last, d_final,
                     sum_rule_state_of(task, head, 1, task->d_initial_state, task->d_initial_normalizer), scratch);
    } else {
      const sum_rule_scan scan = sum_rule_dq_scan(task, head);
      sum_rule_sweep(&scan, first, last, initial, none, scratch);
    }
  }
}

/* ---- kernels -------------------------------------------------------------------------------- */

/** The arguments that both kernels begin with. */
#define LINEAR_ATTENTION_ARGUMENTS 20
static linear_attention linear_attention_read(const f64 *arg) {
  linear_attention task = {
      .batch = INT(0), .heads = INT(1), .steps = INT(2), .key_dim = INT(3), .value_dim = INT(4),
      .q = F32(5), .k = F32(6), .v = F32(7), .decay = OPTIONAL_F32(8), .decay_width = INT(9),
      .initial_state = OPTIONAL_F32(10), .reset = PRESENT(11) ? U8(11) : 0, .read_before = FLAG(12),
      .normalize = FLAG(13), .initial_normalizer = OPTIONAL_F32(14), .floor = OPTIONAL_F32(15), .epsilon = NUM(16),
      .output = F32(17), .denominators = F32(18), .scales = F32(19),
  };
  task.value_width = sum_rule_group(&task, task.key_dim, task.value_dim);
  task.value_groups = CEIL_DIV(task.value_dim, task.value_width);
  return task;
}

INLINE i64 sum_rule_grain(f64 operations) { return MAX(1, (i64)(SUM_RULE_GRAIN / (operations + 1))); }

/**
 * linear_attention_forward(batch, heads, steps, key_dim, value_dim, q, k, v, decay, decay_width, initial_state, reset,
 * read_before, normalize, initial_normalizer, floor, epsilon, output, denominators, scales, final_state,
 * final_normalizer): fills all from `output` on; the normaliser's only if `normalize`.
 */
KERNEL(linear_attention_forward) {
  linear_attention task = linear_attention_read(arg);
  arg += LINEAR_ATTENTION_ARGUMENTS;
  task.final_state = F32(0), task.final_normalizer = OPTIONAL_F32(1);
  const i64 heads = task.batch * task.heads;
  const f64 size = (f64)task.steps * (f64)task.key_dim;
  if (task.normalize) fwp_parallel_for(heads, sum_rule_grain(4 * size), sum_rule_normalize_chunk, &task);
  const f64 group = (f64)task.value_dim / (f64)task.value_groups;
  const i64 grain = sum_rule_grain((4 * size + (f64)task.key_dim) * group);
  fwp_parallel_for(heads * task.value_groups, grain, sum_rule_forward_chunk, &task);
  return OK;
}

/**
 * linear_attention_backward(…the same, d_output, d_final_state, d_final_normalizer, dq, dk, dv, d_decay,
 * d_initial_state, d_initial_normalizer, slopes, kept, kept_floats): fills the gradients. Without d_decay, that of a decay
 * is left out. Work space: `slopes` [batch, heads, steps] if `normalize`; for d_decay, `kept` has for each thread
 * `kept_floats` = ((⌈steps / 32⌉ + 1) · (key_dim + 32) + 1024) · (value_dim + 1).
 */
KERNEL(linear_attention_backward) {
  linear_attention task = linear_attention_read(arg);
  arg += LINEAR_ATTENTION_ARGUMENTS;
  task.d_output = F32(0), task.d_final_state = F32(1), task.d_final_normalizer = OPTIONAL_F32(2);
  task.dq = F32(3), task.dk = F32(4), task.dv = F32(5), task.d_decay = OPTIONAL_F32(6);
  task.d_initial_state = F32(7), task.d_initial_normalizer = OPTIONAL_F32(8), task.slopes = OPTIONAL_F32(9);
  task.kept = OPTIONAL_F32(10), task.kept_floats = INT(11);
  task.key_width = sum_rule_group(&task, task.value_dim, task.key_dim);
  task.key_groups = CEIL_DIV(task.key_dim, task.key_width);
  /* The gradient of a scalar decay is a sum over all lanes, which one group adds up, be there none. */
  const i32 together = task.d_decay && task.decay_width == 1;
  if (together) task.key_width = ROUND_UP(task.key_dim, SUM_RULE_TILE), task.key_groups = 1;
  const i64 heads = task.batch * task.heads, rows = heads * task.steps;
  if (task.normalize) fwp_parallel_for(rows, sum_rule_grain(2 * (f64)task.value_dim), sum_rule_slopes_chunk, &task);
  const i64 units = heads * ((task.d_decay ? 1 : 2) * task.key_groups + task.value_groups);
  const f64 group = (f64)MAX(task.key_dim, task.value_dim) / (f64)MAX(task.key_groups, task.value_groups);
  const f64 cost = 4 * ((f64)task.steps + 1) * (f64)MIN(task.key_dim, task.value_dim) * group;
  fwp_parallel_for(units, sum_rule_grain(cost), sum_rule_backward_chunk, &task);
  return OK;
}

#define LINEAR_ATTENTION_KERNELS(ENTRY) ENTRY(linear_attention_forward, 22) ENTRY(linear_attention_backward, 32)
