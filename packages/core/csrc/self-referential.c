/**
 * The self-referential weight matrix (Irie, Schlag, Csordás, Schmidhuber 2022, equations 5 to 8), for each head. W is one
 * matrix [dim, columns] whose columns are four blocks, for the output, the query, the key and the learning rates:
 *
 *   (y_t, q′_t, k′_t, b′_t) = x_t W_{t-1}     q_t = softmax q′_t     k_t = softmax k′_t     β_t = σ(b′_t), one for each block
 *   D_t = (q_t − k_t) W_{t-1}     w_t = β_t ∘ D_t, block by block     W_t = W_{t-1} + k_tᵀ w_t
 *
 *   x [batch, heads, time, dim]   y [batch, heads, time, output_dim]   columns = output_dim + 2 dim + 4
 *
 * Of what the query and the key read only the difference D is needed. As x is known in advance, and x_{t+1} W_t is
 * x_{t+1} W_{t-1} + (x_{t+1} · k_t) w_t, one pass over W does a whole step: it carries out the write of step t − 1, and reads D_t and
 * x_{t+1} W_{t-1}. That is three multiply-adds for one load and one store.
 *
 * Backward, from the last step to the first, W and its gradient G are wanted at once. W goes back by subtracting what was
 * written, which rounding makes drift; so it starts afresh from an *anchor*, a copy of W, every SR_SEGMENT steps. With
 * dw = k_t G and dk = G w_t of the step,
 *
 *   dD = β ∘ dw     dβ = Σ_block dw ∘ D     W_{t-1} = W_t − k_tᵀ w_t     du = W_{t-1} dD     G += (q_t − k_t)ᵀ dD
 *   g = dy_t and the gradients before softmax and σ of dq = du, dk − du and dβ, side by side
 *   dx_t = W_{t-1} g     G += x_tᵀ g
 *
 * The last line is left to the pass of step t − 1, which so does all that there is to do with W and G at once; what that step
 * needs of G is k_{t-1} G + (k_{t-1} · x_t) g and G w_{t-1} + x_t (g · w_{t-1}), with G before the last line. Before a reset W is none
 * of these: it is made again from the anchor before, by the same writes, with the same bits.
 *
 * Within the kernels a block fills whole vectors, so that each vector belongs to one block, and W is cut into tiles, of some vectors of
 * all rows, that lie one after the other. Heads of all batch elements are what threads share.
 */
#include "fwp.h"
#include "simd.h"
#include "vector-math.h"
#include "fast-weights.h"

#define SR_BLOCKS 4
enum { SR_OUTPUT, SR_QUERY, SR_KEY, SR_RATES };
/** Steps between anchors: as long as the inputs of `backend/kernels/self-referential.ts` say. */
#define SR_SEGMENT 128
/** Most vectors in a row of a tile of the backward, whose passes hold five for each, and twelve sums. */
#if VF == 16
#define SR_BACK_VECTORS 3
#else
#define SR_BACK_VECTORS 2
#endif

typedef struct {
  i64 batch, heads, time, dim, output_dim, columns;
  const f32 *x, *weights;
  /** What W is more than `weights` before the first step; optional. */
  const f32 *initial_state;
  /** Optional [batch, time]. */
  const u8 *reset;
  /** q, k and β [.., 2 dim + 4], D [.., columns], and W [.., ⌈time / SR_SEGMENT⌉, dim, columns]; the forward may leave them out. */
  f32 *activations, *differences, *anchors;
  f32 *output, *final_state;
  /* Backward. */
  const f32 *d_output, *d_final_state;
  f32 *dx, *d_weights, *d_initial_state;
  /** The gradient of `weights` by batch element. */
  f32 *partial;
} self_referential;

/* ---- rows and tiles ------------------------------------------------------------------------- */

/** Most vectors in a row of W. */
#define SR_MAX_VECTORS 512

/** How columns lie in vectors. */
typedef struct {
  i64 rows, vectors;
  /** First vector of each block, and the end of the last. */
  i64 start[SR_BLOCKS + 1];
  i64 sizes[SR_BLOCKS];
  /** For each vector, its first column, and how many there are. */
  i32 column[SR_MAX_VECTORS], lanes[SR_MAX_VECTORS];
  /** First vector of each tile, and the end of the last. */
  i64 tiles;
  i32 first[SR_MAX_VECTORS + 1];
} sr_layout;

static void sr_make_layout(sr_layout *layout, const self_referential *task, i64 most) {
  const i64 sizes[SR_BLOCKS] = {task->output_dim, task->dim, task->dim, SR_BLOCKS};
  layout->rows = fw_rows(task->dim), layout->vectors = 0;
  i64 column = 0;
  for (i64 block = 0; block < SR_BLOCKS; block++) {
    layout->start[block] = layout->vectors, layout->sizes[block] = sizes[block];
    for (i64 at = 0; at < sizes[block]; at += VF) {
      layout->column[layout->vectors] = (i32)(column + at);
      layout->lanes[layout->vectors++] = (i32)MIN(VF, sizes[block] - at);
    }
    column += sizes[block];
  }
  layout->start[SR_BLOCKS] = layout->vectors;
  layout->tiles = CEIL_DIV(layout->vectors, most);
  for (i64 tile = 0; tile <= layout->tiles; tile++) layout->first[tile] = (i32)(layout->vectors * tile / layout->tiles);
}

/** Floats of a matrix in tiles. */
INLINE i64 sr_matrix_size(const sr_layout *layout) { return layout->rows * layout->vectors * VF; }
/** Runs `statement` for all vectors of a matrix in tiles: at `x` in the tiles, at element `at` of [dim, columns], where `lanes` are. */
#define SR_EACH_VECTOR(layout, matrix, dim, columns, statement)                                                     \
  for (i64 tile = 0; tile < layout->tiles; tile++) {                                                             \
    const i64 first = layout->first[tile], end_ = layout->first[tile + 1];                          \
    f32 *x = (matrix) + first * (layout)->rows * VF;                                                                \
    for (i64 row = 0; row < (dim); row++) {                                                                         \
      for (i64 i = first; i < end_; i++, x += VF) {                                                                 \
        const i64 at = row * (columns) + (layout)->column[i], lanes = (layout)->lanes[i];                           \
        statement;                                                                                                  \
      }                                                                                                             \
    }                                                                                                               \
  }

INLINE vf sr_load_lanes(const f32 *x, i64 lanes) { return lanes == VF ? vload(x) : vload_first(x, lanes, 0); }
INLINE void sr_store_lanes(f32 *target, vf x, i64 lanes) {
  if (lanes == VF) vstore(target, x);
  else vstore_first(target, x, lanes);
}

/** A row of columns, in vectors; lanes that are no columns are 0. */
INLINE void sr_load_row(const sr_layout *layout, f32 *target, const f32 *row) {
  for (i64 i = 0; i < layout->vectors; i++) vstore(target + i * VF, sr_load_lanes(row + layout->column[i], layout->lanes[i]));
}
INLINE void sr_store_row(const sr_layout *layout, f32 *target, const f32 *row, i64 vectors) {
  for (i64 i = 0; i < vectors; i++) sr_store_lanes(target + layout->column[i], vload(row + i * VF), layout->lanes[i]);
}

/** Fills tiles from `a` [dim, columns], plus `b` (if not null). */
NOINLINE void sr_load_matrix(const sr_layout *layout, f32 *matrix, const f32 *a, const f32 *b, i64 dim, i64 columns) {
  if (dim < layout->rows) zero_bytes(matrix, sr_matrix_size(layout) * 4);
  if (b) SR_EACH_VECTOR(layout, matrix, dim, columns, vstore(x, sr_load_lanes(a + at, lanes) + sr_load_lanes(b + at, lanes)))
  else SR_EACH_VECTOR(layout, matrix, dim, columns, vstore(x, sr_load_lanes(a + at, lanes)))
}

/** target [dim, columns] = tiles − `minus` (if not null). */
NOINLINE void sr_store_matrix(const sr_layout *layout, f32 *matrix, f32 *target, const f32 *minus, i64 dim, i64 columns) {
  if (minus) SR_EACH_VECTOR(layout, matrix, dim, columns, sr_store_lanes(target + at, vload(x) - sr_load_lanes(minus + at, lanes), lanes))
  else SR_EACH_VECTOR(layout, matrix, dim, columns, sr_store_lanes(target + at, vload(x), lanes))
}

/** target [dim, columns] += tiles. */
NOINLINE void sr_add_matrix(const sr_layout *layout, f32 *matrix, f32 *target, i64 dim, i64 columns) {
  SR_EACH_VECTOR(layout, matrix, dim, columns, sr_store_lanes(target + at, vload(x) + sr_load_lanes(target + at, lanes), lanes))
}

/* ---- what happens to a row between two passes ----------------------------------------------- */

/** Lanes of a block's vector `i` that are columns. */
INLINE vi sr_present(i64 size, i64 i) {
  vi lane;
  for (int j = 0; j < VF; j++) lane[j] = j;
  return lane < viset((i32)MIN(VF, size - i * VF));
}

/** The largest of the first `size` elements. */
NOINLINE f32 sr_most(const f32 *x, i64 size) {
  f32 most = x[0];
  for (i64 i = 1; i < size; i++) most = x[i] > most ? x[i] : most;
  return most;
}

/**
 * query and key: the softmaxes of two blocks of y, 0 in lanes beyond `size`. Both at once, so that one hides the latency of the
 * other; and without a search for the largest elements where exponentials are in range anyhow.
 */
INLINE void sr_softmaxes(f32 *query, f32 *key, const f32 *x, const f32 *z, i64 size) {
  const i64 last = ROUND_UP(size, VF) - VF;
  const vi present = sr_present(size, last / VF);
  vf bound = vset(0), shift_x = vset(0), shift_z = vset(0), sum_x = vset(0), sum_z = vset(0);
  for (i64 i = 0; i <= last; i += VF) bound = vmax(vabs(vload(z + i)), vmax(vabs(vload(x + i)), bound));
  if (UNLIKELY(vany(~(bound < vset(60))))) shift_x = vset(sr_most(x, size)), shift_z = vset(sr_most(z, size));
  for (i64 i = 0; i <= last; i += VF) {
    vf e = vexp_nonpositive(vload(x + i) - shift_x), f = vexp_nonpositive(vload(z + i) - shift_z);
    if (i == last) e = vselect(present, e, vset(0)), f = vselect(present, f, vset(0));
    vstore(query + i, e), vstore(key + i, f);
    sum_x += e, sum_z += f;
  }
  const f32x4 sums = fw_sum_lanes(sum_x, sum_z, sum_x, sum_z);
  const vf scale_x = vset(1 / sums[0]), scale_z = vset(1 / sums[1]);
  for (i64 i = 0; i <= last; i += VF) {
    vstore(query + i, vload(query + i) * scale_x), vstore(key + i, vload(key + i) * scale_z);
  }
}

/** The gradients before the softmaxes: p ∘ (dp − p · dp) for the query and the key. */
INLINE void sr_softmaxes_back(f32 *dx, f32 *dz, const f32 *query, const f32 *key, const f32 *d_query, const f32 *d_key, i64 size) {
  vf sum_x = vset(0), sum_z = vset(0);
  for (i64 i = 0; i < size; i += VF) {
    sum_x = vfma(vload(query + i), vload(d_query + i), sum_x), sum_z = vfma(vload(key + i), vload(d_key + i), sum_z);
  }
  const f32x4 inner = fw_sum_lanes(sum_x, sum_z, sum_x, sum_z);
  for (i64 i = 0; i < size; i += VF) {
    vstore(dx + i, vload(query + i) * (vload(d_query + i) - inner[0]));
    vstore(dz + i, vload(key + i) * (vload(d_key + i) - inner[1]));
  }
}

/** write = β ∘ D, block by block. */
INLINE void sr_scale_blocks(const sr_layout *layout, f32 *write, const f32 *difference, const f32 *rates) {
  for (i64 block = 0; block < SR_BLOCKS; block++) {
    const vf rate = vset(rates[block]);
    for (i64 i = layout->start[block]; i < layout->start[block + 1]; i++) {
      vstore(write + i * VF, rate * vload(difference + i * VF));
    }
  }
}

/* ---- forward -------------------------------------------------------------------------------- */

/** y = x W, for one row. */
NOINLINE void sr_read(const sr_layout *layout, const f32 *matrix, const f32 *x, f32 *y) {
  for (i64 tile = 0; tile < layout->tiles; tile++) {
    const i64 first = layout->first[tile], width = layout->first[tile + 1] - first;
    const f32 *w = matrix + first * layout->rows * VF;
    vf sums[FW_VECTORS];
    for (i64 i = 0; i < width; i++) sums[i] = vset(0);
    for (i64 row = 0; row < layout->rows; row++, w += width * VF) {
      for (i64 i = 0; i < width; i++) sums[i] = vfma(vset(x[row]), vload(w + i * VF), sums[i]);
    }
    for (i64 i = 0; i < width; i++) vstore(y + (first + i) * VF, sums[i]);
  }
}

/** W += keyᵀ write; the same arithmetic as in a step. */
NOINLINE void sr_write(const sr_layout *layout, f32 *matrix, const f32 *key, const f32 *write) {
  for (i64 tile = 0; tile < layout->tiles; tile++) {
    const i64 first = layout->first[tile], width = layout->first[tile + 1] - first;
    f32 *w = matrix + first * layout->rows * VF;
    for (i64 row = 0; row < layout->rows; row++, w += width * VF) {
      for (i64 i = 0; i < width; i++) {
        vstore(w + i * VF, vfma(vload(write + (first + i) * VF), vset(key[row]), vload(w + i * VF)));
      }
    }
  }
}

/** One step on a tile: W += keyᵀ write, D = change W, y = next W. */
typedef struct {
  i64 rows;
  f32 *tile;
  const f32 *key, *change, *next, *write;
  f32 *difference, *y;
} sr_pass;

INLINE void sr_step(const sr_pass *pass, const int vectors) {
#if defined(__wasm__)
  const int unrolled = vectors == 1 ? 2 : 1;
#else
  const int unrolled = vectors == 1 ? 4 : vectors == 2 ? 2 : 1;
#endif
  const f32 *key = pass->key, *change = pass->change, *next = pass->next;
  f32 *w = pass->tile;
  vf write[4], d[4], y[4];
  UNROLL for (int c = 0; c < 4; c++) d[c] = y[c] = vset(0);
  UNROLL for (int i = 0; i < vectors; i++) write[i] = vload(pass->write + i * VF);
  for (i32 rows = (i32)pass->rows; rows > 0; rows -= unrolled) {
    UNROLL for (int r = 0; r < unrolled; r++) {
      const vf k = vset(key[r]), c = vset(change[r]), x = vset(next[r]);
      UNROLL for (int i = 0; i < vectors; i++) {
        f32 *at = w + (r * vectors + i) * VF;
        const vf value = vfma(write[i], k, vload(at));
        fw_store(at, value);
        d[r * vectors + i] = vfma(value, c, d[r * vectors + i]);
        y[r * vectors + i] = vfma(value, x, y[r * vectors + i]);
      }
    }
    w += unrolled * vectors * VF, key += unrolled, change += unrolled, next += unrolled;
  }
  UNROLL for (int i = 0; i < vectors; i++) {
    UNROLL for (int r = 1; r < unrolled; r++) d[i] += d[r * vectors + i], y[i] += y[r * vectors + i];
    vstore(pass->difference + i * VF, d[i]);
    vstore(pass->y + i * VF, y[i]);
  }
}

/* One function for each number of vectors: V8 keeps its better register allocator for functions of this size. */
typedef void (*sr_step_function)(const sr_pass *pass);
static void sr_step_1(const sr_pass *pass) { sr_step(pass, 1); }
static void sr_step_2(const sr_pass *pass) { sr_step(pass, 2); }
static void sr_step_3(const sr_pass *pass) { sr_step(pass, 3); }
#if FW_VECTORS > 3
static void sr_step_4(const sr_pass *pass) { sr_step(pass, 4); }
static const sr_step_function sr_step_functions[] = {sr_step_1, sr_step_2, sr_step_3, sr_step_4};
#else
static const sr_step_function sr_step_functions[] = {sr_step_1, sr_step_2, sr_step_3};
#endif

/** Scratch memory: `next` points to what is still free of it. */
INLINE f32 *sr_take(f32 **next, i64 floats) {
  f32 *taken = *next;
  *next += ROUND_UP(floats, 16);
  return taken;
}

INLINE i32 sr_is_reset(const self_referential *task, i64 unit, i64 t) {
  return task->reset && task->reset[unit / task->heads * task->time + t];
}

/** Where W is noted after step t: at the ends of segments, and of time. */
INLINE f32 *sr_anchor(const self_referential *task, i64 unit, i64 t) {
  if (!task->anchors || ((t + 1) % SR_SEGMENT != 0 && t + 1 < task->time)) return 0;
  const i64 segments = CEIL_DIV(task->time, SR_SEGMENT);
  return task->anchors + (unit * segments + t / SR_SEGMENT) * task->dim * task->columns;
}

static void sr_forward_unit(const self_referential *task, const sr_layout *layout, i64 unit, f32 *scratch) {
  const i64 time = task->time, dim = task->dim, columns = task->columns, width = layout->vectors * VF;
  const i64 size = dim * columns, steps = unit * time, tiles = layout->tiles;
  const f32 *weights = task->weights + unit % task->heads * size;
  f32 *w = sr_take(&scratch, sr_matrix_size(layout));
  f32 *y = sr_take(&scratch, width), *difference = sr_take(&scratch, width), *write = sr_take(&scratch, width);
  f32 *query = sr_take(&scratch, width), *keys[2] = {sr_take(&scratch, width), sr_take(&scratch, width)};
  f32 *change = sr_take(&scratch, width), *padding[2] = {sr_take(&scratch, width), sr_take(&scratch, width)};
  f32 *rates = sr_take(&scratch, VF);
  zero_bytes(padding[0], 2 * ROUND_UP(width, 16) * 4);

  sr_load_matrix(layout, w, weights, task->initial_state ? task->initial_state + unit * size : 0, dim, columns);
  /* Whether y is what x_t reads, and whether a write is still to be carried out. */
  i32 is_read = 0, is_written = 1;
  for (i64 t = 0; t < time; t++) {
    const i64 step = steps + t;
    const f32 *x = fw_padded(padding[t % 2], task->x + step * dim, dim);
    f32 *key = keys[t % 2];
    if (sr_is_reset(task, unit, t)) sr_load_matrix(layout, w, weights, 0, dim, columns), is_read = 0, is_written = 1;
    if (!is_read) sr_read(layout, w, x, y);
    sr_store_row(layout, task->output + step * task->output_dim, y, layout->start[SR_QUERY]);
    sr_softmaxes(query, key, y + layout->start[SR_QUERY] * VF, y + layout->start[SR_KEY] * VF, dim);
    vstore(rates, vsigmoid(vload(y + layout->start[SR_RATES] * VF)));
    for (i64 i = 0; i < dim; i += VF) vstore(change + i, vload(query + i) - vload(key + i));
    if (task->activations) {
      f32 *target = task->activations + step * (2 * dim + SR_BLOCKS);
      for (i64 i = 0; i < dim; i += VF) {
        sr_store_lanes(target + i, vload(query + i), MIN(VF, dim - i));
        sr_store_lanes(target + dim + i, vload(key + i), MIN(VF, dim - i));
      }
      *(f32x4_memory *)(target + 2 * dim) = *(const f32x4_memory *)rates;
    }

    const i32 goes_on = t + 1 < time && !sr_is_reset(task, unit, t + 1);
    const f32 *next = goes_on ? fw_padded(padding[(t + 1) % 2], task->x + (step + 1) * dim, dim) : x;
    if (is_written) zero_bytes(write, width * 4);
    for (i64 tile = 0; tile < tiles; tile++) {
      const i64 first = layout->first[tile], vectors = layout->first[tile + 1] - first;
      const sr_pass pass = {
          .rows = layout->rows, .tile = w + first * layout->rows * VF, .key = is_written ? key : keys[(t + 1) % 2],
          .change = change, .next = next, .write = write + first * VF, .difference = difference + first * VF, .y = y + first * VF,
      };
      sr_step_functions[vectors - 1](&pass);
    }
    if (task->differences) sr_store_row(layout, task->differences + step * columns, difference, layout->vectors);
    sr_scale_blocks(layout, write, difference, rates);
    vf inner = vset(0);
    for (i64 i = 0; i < dim; i += VF) {
      inner = vfma(vload(key + i), sr_load_lanes(next + i, MIN(VF, dim - i)), inner);
    }
    const vf factor = vset(vsum(inner));
    for (i64 i = 0; i < width; i += VF) vstore(y + i, vfma(factor, vload(write + i), vload(y + i)));
    is_read = goes_on, is_written = 0;

    f32 *anchor = sr_anchor(task, unit, t);
    if (anchor || t + 1 == time) {
      sr_write(layout, w, key, write);
      is_written = 1;
      if (anchor) sr_store_matrix(layout, w, anchor, 0, dim, columns);
    }
  }
  sr_store_matrix(layout, w, task->final_state + unit * size, weights, dim, columns);
}

static void sr_forward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  sr_layout layout;
  sr_make_layout(&layout, context, FW_VECTORS);
  for (i64 unit = begin; unit < end; unit++) sr_forward_unit(context, &layout, unit, fwp_scratch(thread));
}

/* ---- backward ------------------------------------------------------------------------------- */

/** The pass of step t over a tile of W and the tile of G; rows are read by row, the others by vector. */
typedef struct {
  i64 rows;
  f32 *w, *g;
  /** Rows: x_{t+1}, k_t, q_t − k_t, k_{t-1}. */
  const f32 *next_x, *key, *change, *key_before;
  /** g_{t+1}, w_t, dD_t, w_{t-1}. */
  const f32 *next_gradient, *write, *difference, *write_before;
  /** k_{t-1} G. */
  f32 *dw;
  /** Rows dx_{t+1}, du_t and G w_{t-1}, to which all tiles add; the first one begins. */
  f32 *dx, *du, *dk;
  i32 is_first;
} sr_back_pass;

INLINE void sr_sum4(f32 *x, f32x4 sums, i32 is_first) {
  f32x4_memory *at = (f32x4_memory *)x;
  *at = is_first ? sums : (f32x4)*at + sums;
}

INLINE void sr_back(const sr_back_pass *pass, const int vectors) {
  const f32 *next_x = pass->next_x, *key = pass->key, *change = pass->change, *key_before = pass->key_before;
  f32 *w = pass->w, *g = pass->g, *dx = pass->dx, *du = pass->du, *dk = pass->dk;
  vf next[SR_BACK_VECTORS], write[SR_BACK_VECTORS], difference[SR_BACK_VECTORS], before[SR_BACK_VECTORS], dw[SR_BACK_VECTORS];
  UNROLL for (int i = 0; i < vectors; i++) {
    next[i] = vload(pass->next_gradient + i * VF), write[i] = -vload(pass->write + i * VF);
    difference[i] = vload(pass->difference + i * VF), before[i] = vload(pass->write_before + i * VF), dw[i] = vset(0);
  }
  for (i32 rows = (i32)pass->rows; rows > 0; rows -= FW_ROWS) {
    vf read[FW_ROWS], changed[FW_ROWS], erased[FW_ROWS];
    UNROLL for (int r = 0; r < FW_ROWS; r++) {
      const vf x = vset(next_x[r]), k = vset(key[r]), c = vset(change[r]), b = vset(key_before[r]);
      UNROLL for (int i = 0; i < vectors; i++) {
        const int at = (r * vectors + i) * VF;
        vf weight = vload(w + at);
        read[r] = i == 0 ? weight * next[i] : vfma(weight, next[i], read[r]);
        weight = vfma(write[i], k, weight);
        fw_store(w + at, weight);
        changed[r] = i == 0 ? weight * difference[i] : vfma(weight, difference[i], changed[r]);
        const vf value = vfma(difference[i], c, vfma(next[i], x, vload(g + at)));
        fw_store(g + at, value);
        dw[i] = vfma(value, b, dw[i]);
        erased[r] = i == 0 ? value * before[i] : vfma(value, before[i], erased[r]);
      }
    }
    sr_sum4(dx, fw_sum_lanes(read[0], read[1], read[2], read[3]), pass->is_first);
    sr_sum4(du, fw_sum_lanes(changed[0], changed[1], changed[2], changed[3]), pass->is_first);
    sr_sum4(dk, fw_sum_lanes(erased[0], erased[1], erased[2], erased[3]), pass->is_first);
    w += FW_ROWS * vectors * VF, g += FW_ROWS * vectors * VF, dx += FW_ROWS, du += FW_ROWS, dk += FW_ROWS;
    next_x += FW_ROWS, key += FW_ROWS, change += FW_ROWS, key_before += FW_ROWS;
  }
  UNROLL for (int i = 0; i < vectors; i++) vstore(pass->dw + i * VF, dw[i]);
}

typedef void (*sr_back_function)(const sr_back_pass *pass);
static void sr_back_1(const sr_back_pass *pass) { sr_back(pass, 1); }
static void sr_back_2(const sr_back_pass *pass) { sr_back(pass, 2); }
#if SR_BACK_VECTORS > 2
static void sr_back_3(const sr_back_pass *pass) { sr_back(pass, 3); }
static const sr_back_function sr_back_functions[] = {sr_back_1, sr_back_2, sr_back_3};
#else
static const sr_back_function sr_back_functions[] = {sr_back_1, sr_back_2};
#endif

/** What the forward kept of a step, in vectors. */
typedef struct {
  f32 *query, *key, *rates, *difference, *write;
} sr_kept;

/** Scratch memory of a unit of the backward. */
typedef struct {
  f32 *w, *g;
  /** Of the step, and of the one before it. */
  sr_kept kept[2];
  /** x_{t+1} and x_t, where they need padding. */
  f32 *x[2];
  f32 *change, *dw, *difference, *gradient, *zeros, *dx, *du, *dk, *dk_before;
} sr_back_scratch;

static void sr_load_kept(const self_referential *task, const sr_layout *layout, const sr_kept *kept, i64 step) {
  const i64 dim = task->dim;
  const f32 *activations = task->activations + step * (2 * dim + SR_BLOCKS);
  for (i64 i = 0; i < dim; i += VF) {
    vstore(kept->query + i, sr_load_lanes(activations + i, MIN(VF, dim - i)));
    vstore(kept->key + i, sr_load_lanes(activations + dim + i, MIN(VF, dim - i)));
  }
  *(f32x4_memory *)kept->rates = *(const f32x4_memory *)(activations + 2 * dim);
  sr_load_row(layout, kept->difference, task->differences + step * task->columns);
  sr_scale_blocks(layout, kept->write, kept->difference, kept->rates);
}

static sr_back_scratch sr_make_back_scratch(const sr_layout *layout, f32 *memory) {
  const i64 width = layout->vectors * VF, matrix = sr_matrix_size(layout);
  sr_back_scratch scratch;
  scratch.w = sr_take(&memory, matrix), scratch.g = sr_take(&memory, matrix);
  f32 *rows = memory;
  for (i64 i = 0; i < 2; i++) {
    sr_kept *kept = &scratch.kept[i];
    kept->query = sr_take(&memory, width), kept->key = sr_take(&memory, width), kept->rates = sr_take(&memory, VF);
    kept->difference = sr_take(&memory, width), kept->write = sr_take(&memory, width);
  }
  scratch.x[0] = sr_take(&memory, width), scratch.x[1] = sr_take(&memory, width), scratch.change = sr_take(&memory, width);
  scratch.dw = sr_take(&memory, width), scratch.difference = sr_take(&memory, width);
  scratch.gradient = sr_take(&memory, width), scratch.zeros = sr_take(&memory, width), scratch.dx = sr_take(&memory, width);
  scratch.du = sr_take(&memory, width), scratch.dk = sr_take(&memory, width), scratch.dk_before = sr_take(&memory, width);
  zero_bytes(rows, (memory - rows) * 4);
  return scratch;
}

/** Runs a pass over all tiles; it is given what belongs to the first row and column. */
INLINE void sr_back_all(const sr_layout *layout, const sr_back_pass *pass) {
  for (i64 tile = 0; tile < layout->tiles; tile++) {
    const i64 first = layout->first[tile], at = first * layout->rows * VF;
    sr_back_pass part = *pass;
    part.w += at, part.g += at, part.next_gradient += first * VF, part.write += first * VF;
    part.difference += first * VF, part.write_before += first * VF, part.dw += first * VF, part.is_first = tile == 0;
    sr_back_functions[layout->first[tile + 1] - first - 1](&part);
  }
}

/** dD = β ∘ dw into `difference`; returns dβ of the four blocks. */
INLINE f32x4 sr_back_rates(const sr_layout *layout, const sr_kept *kept, const f32 *dw, f32 *difference) {
  vf sums[SR_BLOCKS];
  UNROLL for (int block = 0; block < SR_BLOCKS; block++) {
    const vf rate = vset(kept->rates[block]);
    vf sum = vset(0);
    for (i64 i = layout->start[block]; i < layout->start[block + 1]; i++) {
      const vf d = vload(dw + i * VF);
      vstore(difference + i * VF, rate * d);
      sum = vfma(d, vload(kept->difference + i * VF), sum);
    }
    sums[block] = sum;
  }
  return fw_sum_lanes(sums[0], sums[1], sums[2], sums[3]);
}

/** W after step `end` − 1 of a run of steps from `start` on that has no reset but at `start`. */
static void sr_restore(const self_referential *task, const sr_layout *layout, i64 unit, i64 start, i64 end, sr_back_scratch *scratch) {
  const i64 dim = task->dim, columns = task->columns, size = dim * columns;
  const f32 *weights = task->weights + unit % task->heads * size;
  const f32 *anchor = sr_anchor(task, unit, end - 1);
  if (anchor) {
    sr_load_matrix(layout, scratch->w, anchor, 0, dim, columns);
    return;
  }
  if (sr_is_reset(task, unit, start)) sr_load_matrix(layout, scratch->w, weights, 0, dim, columns);
  else if (start > 0) sr_load_matrix(layout, scratch->w, sr_anchor(task, unit, start - 1), 0, dim, columns);
  else sr_load_matrix(layout, scratch->w, weights, task->initial_state ? task->initial_state + unit * size : 0, dim, columns);
  for (i64 t = start; t < end; t++) {
    sr_load_kept(task, layout, &scratch->kept[0], unit * task->time + t);
    sr_write(layout, scratch->w, scratch->kept[0].key, scratch->kept[0].write);
  }
}

/** x · y over `vectors` vectors. */
INLINE f32 sr_dot(const f32 *x, const f32 *y, i64 vectors) {
  vf sum = vset(0);
  for (i64 i = 0; i < vectors; i++) sum = vfma(vload(x + i * VF), vload(y + i * VF), sum);
  return vsum(sum);
}

/** The gradient of y_t into `gradient`, from dy_t and those of q_t, k_t and β_t. */
INLINE void sr_back_logits(const self_referential *task, const sr_layout *layout, const sr_kept *kept, const sr_back_scratch *scratch,
                           const f32 *dk, f32x4 d_rates, i64 step) {
  f32 *gradient = scratch->gradient;
  for (i64 i = 0; i < layout->start[SR_QUERY]; i++) {
    vstore(gradient + i * VF, sr_load_lanes(task->d_output + step * task->output_dim + i * VF, layout->lanes[i]));
  }
  sr_softmaxes_back(gradient + layout->start[SR_QUERY] * VF, gradient + layout->start[SR_KEY] * VF, kept->query, kept->key,
                    scratch->du, dk, task->dim);
  const f32x4 rates = *(const f32x4_memory *)kept->rates;
  vstore(gradient + layout->start[SR_RATES] * VF, vset(0));
  *(f32x4_memory *)(gradient + layout->start[SR_RATES] * VF) = rates * (1 - rates) * d_rates;
}

INLINE void sr_store_dx(const self_referential *task, const sr_back_scratch *scratch, i64 step) {
  for (i64 i = 0; i < task->dim; i += VF) {
    sr_store_lanes(task->dx + step * task->dim + i, vload(scratch->dx + i), MIN(VF, task->dim - i));
  }
}

/** Steps `end` − 1 to `start`, with the gradient of W after them in G. */
static void sr_backward_run(const self_referential *task, const sr_layout *layout, i64 unit, i64 start, i64 end, sr_back_scratch *scratch) {
  const i64 dim = task->dim, steps = unit * task->time, width = layout->vectors * VF;
  const f32 *zeros = scratch->zeros;
  sr_restore(task, layout, unit, start, end, scratch);
  sr_load_kept(task, layout, &scratch->kept[(end - 1) % 2], steps + end - 1);
  /* What the last step needs of G: a pass that changes nothing. */
  sr_back_pass pass = {
      .rows = layout->rows, .w = scratch->w, .g = scratch->g, .next_x = zeros, .key = zeros, .change = zeros,
      .key_before = scratch->kept[(end - 1) % 2].key, .next_gradient = zeros, .write = zeros, .difference = zeros,
      .write_before = scratch->kept[(end - 1) % 2].write, .dw = scratch->dw, .dx = scratch->dx, .du = scratch->du, .dk = scratch->dk,
  };
  sr_back_all(layout, &pass);
  for (i64 t = end - 1; t >= start; t--) {
    const i64 step = steps + t;
    const sr_kept *kept = &scratch->kept[t % 2], *before = &scratch->kept[(t + 1) % 2];
    const f32x4 d_rates = sr_back_rates(layout, kept, scratch->dw, scratch->difference);
    for (i64 i = 0; i < dim; i += VF) vstore(scratch->change + i, vload(kept->query + i) - vload(kept->key + i));
    if (t > start) sr_load_kept(task, layout, before, step - 1);
    pass.key = kept->key, pass.write = kept->write, pass.change = scratch->change, pass.difference = scratch->difference;
    pass.key_before = t > start ? before->key : zeros, pass.write_before = t > start ? before->write : zeros;
    /* dk of the step itself, which the pass overwrites by that of the step before. */
    f32 *own = scratch->dk;
    scratch->dk = pass.dk = scratch->dk_before, scratch->dk_before = own;
    sr_back_all(layout, &pass);
    if (t + 1 < end) sr_store_dx(task, scratch, step + 1);

    for (i64 i = 0; i < dim; i += VF) vstore(own + i, vload(own + i) - vload(scratch->du + i));
    sr_back_logits(task, layout, kept, scratch, own, d_rates, step);
    pass.next_x = fw_padded(scratch->x[t % 2], task->x + step * dim, dim), pass.next_gradient = scratch->gradient;
    if (t == start) break;
    /* G is still to get x_tᵀ g_t, which step t − 1 must not miss. */
    vf products = vset(0);
    for (i64 i = 0; i < dim; i += VF) {
      products = vfma(vload(before->key + i), sr_load_lanes(pass.next_x + i, MIN(VF, dim - i)), products);
    }
    const vf inner = vset(vsum(products));
    for (i64 i = 0; i < width; i += VF) vstore(scratch->dw + i, vfma(inner, vload(scratch->gradient + i), vload(scratch->dw + i)));
    const vf written = vset(sr_dot(scratch->gradient, before->write, layout->vectors));
    for (i64 i = 0; i < dim; i += VF) {
      vstore(scratch->dk + i, vfma(written, sr_load_lanes(pass.next_x + i, MIN(VF, dim - i)), vload(scratch->dk + i)));
    }
  }
  /* What is still to be done of the first step. */
  pass.key = pass.change = pass.write = pass.difference = pass.key_before = pass.write_before = zeros;
  sr_back_all(layout, &pass);
  sr_store_dx(task, scratch, steps + start);
}

static void sr_backward_unit(const self_referential *task, const sr_layout *layout, i64 unit, f32 *memory) {
  const i64 dim = task->dim, columns = task->columns, at = unit * dim * columns;
  sr_back_scratch scratch = sr_make_back_scratch(layout, memory);
  zero_bytes(task->partial + at, dim * columns * 4);
  sr_load_matrix(layout, scratch.g, task->d_final_state + at, 0, dim, columns);
  for (i64 end = task->time; end > 0;) {
    /* A run begins where a segment does, or at a reset. */
    i64 start = end - 1;
    while (start % SR_SEGMENT != 0 && !sr_is_reset(task, unit, start)) start--;
    sr_backward_run(task, layout, unit, start, end, &scratch);
    if (sr_is_reset(task, unit, start)) {
      sr_add_matrix(layout, scratch.g, task->partial + at, dim, columns);
      zero_bytes(scratch.g, sr_matrix_size(layout) * 4);
    }
    end = start;
  }
  sr_store_matrix(layout, scratch.g, task->d_initial_state + at, 0, dim, columns);
}

static void sr_backward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  sr_layout layout;
  sr_make_layout(&layout, context, SR_BACK_VECTORS);
  for (i64 unit = begin; unit < end; unit++) sr_backward_unit(context, &layout, unit, fwp_scratch(thread));
}

/**
 * The gradient of `weights`, head by head: W is weights plus state, the state is W less weights, and at a reset W is
 * weights alone.
 */
static void sr_join_chunk(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const self_referential *task = context;
  const i64 size = task->dim * task->columns;
  for (i64 head = begin; head < end; head++) {
    f32 *target = task->d_weights + head * size;
    zero_bytes(target, size * 4);
    for (i64 batch = 0; batch < task->batch; batch++) {
      const i64 at = (batch * task->heads + head) * size;
      const f32 *reset = task->partial + at, *initial = task->d_initial_state + at, *final = task->d_final_state + at;
      for (i64 i = 0; i < size; i++) target[i] += reset[i] + initial[i] - final[i];
    }
  }
}

/* ---- kernels -------------------------------------------------------------------------------- */

#define SR_ARGUMENTS 12
INLINE self_referential sr_read_arguments(const f64 *arg) {
  return (self_referential){
      .batch = INT(0), .heads = INT(1), .time = INT(2), .dim = INT(3), .output_dim = INT(4),
      .columns = INT(4) + 2 * INT(3) + SR_BLOCKS, .x = F32(5), .weights = F32(6), .initial_state = OPTIONAL_F32(7),
      .reset = PRESENT(8) ? U8(8) : 0, .activations = OPTIONAL_F32(9), .differences = OPTIONAL_F32(10), .anchors = OPTIONAL_F32(11),
  };
}

/** self_referential_forward(batch, heads, time, dim, output_dim, x, weights, initial_state?, reset?, activations?, differences?, anchors?, output, final_state) */
KERNEL(self_referential_forward) {
  self_referential task = sr_read_arguments(arg);
  arg += SR_ARGUMENTS;
  task.output = F32(0), task.final_state = F32(1);
  const i64 units = task.batch * task.heads, work = 6 * (task.time + 2) * task.dim * (task.columns + SR_BLOCKS * VF / 2);
  if (units == 0) return OK;
  if (task.time == 0) {
    const i64 bytes = units * task.dim * task.columns * 4;
    if (task.initial_state) copy_bytes(task.final_state, task.initial_state, bytes);
    else zero_bytes(task.final_state, bytes);
    return OK;
  }
  fwp_parallel_for(units, MAX(1, FW_GRAIN / work), sr_forward_chunk, &task);
  return OK;
}

/**
 * self_referential_backward(…the same 12, d_output, d_final_state, dx, d_weights, d_initial_state, partial): `partial` has
 * batch · heads · dim · columns floats.
 */
KERNEL(self_referential_backward) {
  self_referential task = sr_read_arguments(arg);
  arg += SR_ARGUMENTS;
  task.d_output = F32(0), task.d_final_state = F32(1);
  task.dx = F32(2), task.d_weights = F32(3), task.d_initial_state = F32(4), task.partial = F32(5);
  const i64 units = task.batch * task.heads, work = 14 * (task.time + 2) * task.dim * (task.columns + SR_BLOCKS * VF / 2);
  if (task.heads == 0) return OK;
  fwp_parallel_for(units, MAX(1, FW_GRAIN / work), sr_backward_chunk, &task);
  fwp_parallel_for(task.heads, 1, sr_join_chunk, &task);
  return OK;
}

#define SELF_REFERENTIAL_KERNELS(ENTRY) ENTRY(self_referential_forward, 14) ENTRY(self_referential_backward, 18)
