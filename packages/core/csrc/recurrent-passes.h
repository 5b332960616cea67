/**
 * Passes over small matrices in recurrent scans, where a step cannot begin before the last one has ended: what it reads
 * depends on what the last one gave.
 *
 *   M += write keyᵀ (optional)     x = M p     y = M r (optional)
 *
 * M lies transposed, [rows, stride]: one row for each element of key, p and r, whose lanes are the elements of write, x and y.
 * A product with the transpose of M is a pass over M as it is. Rows are a multiple of FW_ROWS, strides of VF; what is beyond
 * the matrix is 0, and so are the ends of vectors, which are padded to FW_PADDING.
 */
#ifndef RECURRENT_PASSES_H
#define RECURRENT_PASSES_H

#include "fast-weights.h"
#include "delta-passes.h"
#include "vector-math.h"

/** Vectors of any use are padded to a multiple of this: of VF and of FW_ROWS. */
#define FW_PADDING 16
INLINE i64 fw_padded_size(i64 n) { return ROUND_UP(n, FW_PADDING); }
/** Floats of a matrix whose rows have the given number of elements. */
INLINE i64 fw_matrix_size(i64 rows, i64 lanes) { return fw_rows(rows) * ROUND_UP(lanes, VF); }

typedef struct {
  i64 rows, stride;
  f32 *matrix;
  /** Lanes. */
  const f32 *write;
  /** One number per row. */
  const f32 *key, *p, *r;
  /** Lanes. */
  f32 *x, *y;
} fw_pass;

/** Short rows have few sums, each a chain of additions; they take several rows at a time, each with its own. */
INLINE void fw_pass_vectors(const fw_pass *pass, const int vectors, const int writes, const int reads) {
#if defined(__wasm__)
  const int unrolled = vectors == 1 ? 2 : 1;
#else
  const int unrolled = vectors == 1 ? 4 : vectors == 2 ? 2 : 1;
#endif
  vf write[4], x[4], y[4];
  UNROLL for (int i = 0; i < 4; i++) write[i] = x[i] = y[i] = vset(0);
  if (writes) UNROLL for (int i = 0; i < vectors; i++) write[i] = vload(pass->write + i * VF);
  f32 *row = pass->matrix;
  for (i64 j = 0; j < pass->rows; j += unrolled) {
    UNROLL for (int u = 0; u < unrolled; u++) {
      vf k = vset(0), p = vset(0), r = vset(0);
      if (writes) k = vset(pass->key[j + u]);
      if (reads > 0) p = vset(pass->p[j + u]);
      if (reads > 1) r = vset(pass->r[j + u]);
      UNROLL for (int i = 0; i < vectors; i++) {
        vf m = vload(row + i * VF);
        if (writes) {
          m = vfma(write[i], k, m);
          fw_store(row + i * VF, m);
        }
        if (reads > 0) x[u * vectors + i] = vfma(m, p, x[u * vectors + i]);
        if (reads > 1) y[u * vectors + i] = vfma(m, r, y[u * vectors + i]);
      }
      row += pass->stride;
    }
  }
  UNROLL for (int i = 0; i < vectors; i++) {
    UNROLL for (int u = 1; u < unrolled; u++) x[i] += x[u * vectors + i], y[i] += y[u * vectors + i];
    if (reads > 0) vstore(pass->x + i * VF, x[i]);
    if (reads > 1) vstore(pass->y + i * VF, y[i]);
  }
}

/* A function for each number of vectors and each kind of pass: V8 keeps its better register allocator for functions of this size. */
typedef void (*fw_pass_function)(const fw_pass *pass);
#define FW_PASS(name, vectors, writes, reads) \
  static void name##_##vectors(const fw_pass *pass) { fw_pass_vectors(pass, vectors, writes, reads); }
#if FW_VECTORS > 3
#define FW_PASS_4(name, writes, reads) FW_PASS(name, 4, writes, reads)
#define FW_NAME_4(name) , name##_4
#else
#define FW_PASS_4(name, writes, reads)
#define FW_NAME_4(name)
#endif
/** name(pass): the pass over all lanes, as many vectors at a time as there are registers for. */
#define FW_PASSES(name, writes, reads)                                                             \
  FW_PASS(name, 1, writes, reads)                                                                  \
  FW_PASS(name, 2, writes, reads)                                                                  \
  FW_PASS(name, 3, writes, reads)                                                                  \
  FW_PASS_4(name, writes, reads)                                                                   \
  static const fw_pass_function name##_functions[FW_VECTORS] = {name##_1, name##_2, name##_3 FW_NAME_4(name)}; \
  static void name(const fw_pass *pass) { fw_pass_lanes(pass, name##_functions, writes, reads); }

INLINE void fw_pass_lanes(const fw_pass *pass, const fw_pass_function *functions, const int writes, const int reads) {
  for (i64 lane = 0; lane < pass->stride;) {
    const i64 vectors = MIN(FW_VECTORS, (pass->stride - lane) / VF);
    fw_pass part = *pass;
    part.matrix += lane;
    if (writes) part.write += lane;
    if (reads > 0) part.x += lane;
    if (reads > 1) part.y += lane;
    functions[vectors - 1](&part);
    lane += vectors * VF;
  }
}

/** M += write keyᵀ. */
FW_PASSES(fw_pass_write, 1, 0)
/** x = M p. */
FW_PASSES(fw_pass_read, 0, 1)
/** x = M p, y = M r. */
FW_PASSES(fw_pass_read_two, 0, 2)
/** M += write keyᵀ, then x = M p, y = M r. */
FW_PASSES(fw_pass_write_read_two, 1, 2)

/* ---- vectors -------------------------------------------------------------------------------- */

/** Hands out padded vectors of a thread's work space. */
INLINE f32 *fw_take(f32 **space, i64 floats) {
  f32 *taken = *space;
  *space += floats;
  return taken;
}
/** A padded vector of zeros. */
INLINE f32 *fw_take_vector(f32 **space, i64 n) {
  f32 *taken = fw_take(space, fw_padded_size(n));
  zero_bytes(taken, fw_padded_size(n) * 4);
  return taken;
}

/** Copies n floats. */
INLINE void fw_copy(f32 *to, const f32 *from, i64 n) {
  for (i64 i = 0; i < n; i++) to[i] = from[i];
}

/** Copies a row [n] into a padded vector. What is beyond it becomes 0 again, whatever NaN of hidden steps made of it. */
INLINE void fw_load(f32 *to, const f32 *from, i64 n) {
  fw_copy(to, from, n);
  for (i64 i = n; i < ROUND_UP(n, VF); i++) to[i] = 0;
}

/** Runs `statement` for the vectors of n elements: `at` is the first of each. Reads and writes up to the padding. */
#define FW_EACH(n, statement) \
  for (i64 at = 0; at < (n); at += VF) { statement; }

/** x = 0. */
INLINE void fw_clear(f32 *x, i64 n) { FW_EACH(n, vstore(x + at, vset(0))) }

/** The product of two padded vectors. */
INLINE f32 fw_dot(const f32 *x, const f32 *y, i64 n) {
  vf sum = vset(0);
  FW_EACH(n, sum = vfma(vload(x + at), vload(y + at), sum))
  return vsum(sum);
}

/** x = softmax(x), in place; the padding stays 0. */
INLINE void fw_softmax(f32 *x, i64 n) {
  for (i64 i = n; i < ROUND_UP(n, VF); i++) x[i] = -VM_INFINITY;
  vf most = vset(-VM_INFINITY), sum = vset(0);
  FW_EACH(n, most = vmax(vload(x + at), most))
  const vf shift = vset(vmax_across(most));
  FW_EACH(n, vf e = vexp_nonpositive(vload(x + at) - shift); vstore(x + at, e); sum += e)
  const vf scale = vset(1 / vsum(sum));
  FW_EACH(n, vstore(x + at, vload(x + at) * scale))
  for (i64 i = n; i < ROUND_UP(n, VF); i++) x[i] = 0;
}

/** The gradient of what y = softmax(·) was made of: dx = y ∘ (dy − y · dy). */
INLINE void fw_softmax_gradient(f32 *dx, const f32 *y, const f32 *dy, i64 n) {
  const vf inner = vset(fw_dot(y, dy, n));
  FW_EACH(n, vstore(dx + at, vload(y + at) * (vload(dy + at) - inner)))
}

/* ---- states --------------------------------------------------------------------------------- */

/** Fills a matrix with a state [values, keys], transposed: rows are keys. Zeros if `state` is null. */
NOINLINE UNUSED void fw_load_transposed(f32 *matrix, const f32 *state, i64 values, i64 keys) {
  zero_bytes(matrix, fw_matrix_size(keys, values) * 4);
  if (state) transpose_block(matrix, state, values, keys, keys, ROUND_UP(values, VF));
}

/** The reverse. */
NOINLINE UNUSED void fw_store_transposed(const f32 *matrix, f32 *state, i64 values, i64 keys) {
  transpose_block(state, matrix, keys, values, ROUND_UP(values, VF), keys);
}

/** Fills a matrix with a state [values, keys] as it is: rows are values. Zeros if `state` is null. */
NOINLINE UNUSED void fw_load_rows(f32 *matrix, const f32 *state, i64 values, i64 keys) {
  zero_bytes(matrix, fw_matrix_size(values, keys) * 4);
  for (i64 i = 0; state && i < values; i++) fw_copy(matrix + i * ROUND_UP(keys, VF), state + i * keys, keys);
}

/** Copies `count` floats, or zeros if there are none to copy: states of sequences without elements. */
INLINE void fw_copy_or_zero(f32 *to, const f32 *from, i64 count) {
  if (from) copy_bytes(to, from, count * 4);
  else zero_bytes(to, count * 4);
}

/* ---- the gradient of a state ----------------------------------------------------------------- */

/** Steps whose states are in memory together while a gradient goes back over them. */
#define RECURRENT_SEGMENT 32

/** What a step back over the gradient G [values, keys] of a state takes and gives; padded vectors. */
typedef struct {
  const fast_weights *sizes;
  /** Tiles of at most DELTA_BACK_VECTORS vectors. */
  f32 *g;
  /** G −= erased · erased_keyᵀ, then G += dy queryᵀ. */
  const f32 *erased, *erased_key, *dy, *query;
  /** Gives G key, and adds Gᵀ write to dk. */
  const f32 *key, *write;
  f32 *g_key, *dk;
} fw_gradient_step;

INLINE i64 fw_gradient_size(i64 values, i64 keys) { return fw_matrix_size(keys, values); }

NOINLINE UNUSED void fw_step_gradient(const fw_gradient_step *step) {
  const fast_weights *sizes = step->sizes;
  f32 *g = step->g;
  const i64 tiles = fw_tiles(sizes->value_dim, DELTA_BACK_VECTORS);
  for (i64 index = 0; index < tiles; index++) {
    fw_tile tile = fw_tile_at(sizes->value_dim, DELTA_BACK_VECTORS, index);
    /* Vectors are padded: whole tiles may be read and written. */
    tile.lanes = tile.vectors * VF;
    delta_pass pass;
    pass.rows = (i32)fw_rows(sizes->key_dim), pass.tile = g, pass.factor = 1, pass.noted = 0;
    pass.key = step->key, pass.next_key = step->erased_key, pass.query = step->query, pass.dk = step->dk;
    fw_load_lanes(&pass.write, step->write, &tile);
    fw_load_lanes(&pass.dv, step->erased, &tile);
    fw_load_lanes(&pass.dy, step->dy, &tile);
    delta_back_functions[0][tile.vectors - 1](&pass);
    fw_store_lanes(&pass.result, step->g_key, &tile);
    g += fw_tile_size(sizes, &tile);
  }
}

/** Fills G with the gradient of a head's final state, or gives what it has become. */
NOINLINE UNUSED void fw_load_gradient(f32 *g, const fast_weights *sizes, const f32 *state, i64 head) {
  for (i64 index = 0; index < fw_tiles(sizes->value_dim, DELTA_BACK_VECTORS); index++) {
    const fw_tile tile = fw_tile_at(sizes->value_dim, DELTA_BACK_VECTORS, index);
    fw_load_tile(g, sizes, state, head, &tile);
    g += fw_tile_size(sizes, &tile);
  }
}
NOINLINE UNUSED void fw_store_gradient(const f32 *g, const fast_weights *sizes, f32 *state, i64 head) {
  for (i64 index = 0; index < fw_tiles(sizes->value_dim, DELTA_BACK_VECTORS); index++) {
    const fw_tile tile = fw_tile_at(sizes->value_dim, DELTA_BACK_VECTORS, index);
    fw_store_tile(g, sizes, state, head, &tile);
    g += fw_tile_size(sizes, &tile);
  }
}

#endif
