/**
 * States of fast-weight scans in tiles, and the arguments that such scans begin with.
 *
 *   q, k [heads, time, key_dim]     v [heads, time, value_dim]     S [heads, value_dim, key_dim]
 *
 * The rows of S are independent of each other, so a scan works on a few of them at a time, a tile, through all of time.
 * Tiles lie transposed in scratch memory, [key_dim, vectors · VF], and stay in the first-level cache: a step reads keys and queries
 * element by element and needs no sums across the lanes of a vector, except in gradients.
 */
#ifndef FAST_WEIGHTS_H
#define FAST_WEIGHTS_H

#include "fwp.h"
#include "simd.h"
#include "transpose.h"

/** Most vectors in a row of a tile: with two sums for each, all that 16 registers hold, or the 15 that V8 gives. */
#if defined(__wasm__)
#define FW_VECTORS 3
#else
#define FW_VECTORS 4
#endif
/** Floating-point operations per chunk of a parallel loop: some 20 µs. */
#define FW_GRAIN 2000000

/* ---- arguments ------------------------------------------------------------------------------ */

typedef struct {
  /** All heads of all batch elements, and those of one. */
  i64 heads, heads_per_batch;
  i64 time, key_dim, value_dim;
  /** Whether outputs read the state before the step's write (and decay). */
  i64 before;
  const f32 *q, *k, *v;
  /** Optional. */
  const f32 *initial_state;
  /** Optional [batch, time]: where S is 0 before the step. */
  const u8 *reset;
} fast_weights;

/** The arguments that all scans begin with: (heads, heads per batch, time, key_dim, value_dim, before, q, k, v, initial state, reset). */
#define FW_ARGUMENTS 11
INLINE fast_weights fw_read(const f64 *arg) {
  return (fast_weights){
      .heads = INT(0), .heads_per_batch = INT(1), .time = INT(2), .key_dim = INT(3), .value_dim = INT(4), .before = INT(5),
      .q = F32(6), .k = F32(7), .v = F32(8), .initial_state = OPTIONAL_F32(9), .reset = PRESENT(10) ? U8(10) : 0,
  };
}

/** The resets of a head's sequence, or null. */
INLINE const u8 *fw_resets(const fast_weights *scan, i64 head) {
  return scan->reset ? scan->reset + head / scan->heads_per_batch * scan->time : 0;
}

/* ---- tiles ---------------------------------------------------------------------------------- */

/** Some rows of S: from `first` on, `lanes` of them, in `vectors` vectors. */
typedef struct {
  i64 first, lanes, vectors;
} fw_tile;

/** Number of tiles with at most `most` vectors. */
INLINE i64 fw_tiles(i64 value_dim, i64 most) { return CEIL_DIV(CEIL_DIV(value_dim, VF), most); }

/** Tile `index`; all have the same number of vectors, or one less. */
INLINE fw_tile fw_tile_at(i64 value_dim, i64 most, i64 index) {
  const i64 vectors = CEIL_DIV(value_dim, VF), tiles = fw_tiles(value_dim, most);
  const i64 first = vectors * index / tiles, end = vectors * (index + 1) / tiles;
  return (fw_tile){first * VF, MIN(end * VF, value_dim) - first * VF, end - first};
}

/** Rows of a tile: key_dim rounded up, so that loops take FW_ROWS at a time. Those beyond are 0. */
#define FW_ROWS 4
INLINE i64 fw_rows(i64 key_dim) { return ROUND_UP(key_dim, FW_ROWS); }
/** Floats of a tile. */
INLINE i64 fw_tile_size(const fast_weights *scan, const fw_tile *tile) { return fw_rows(scan->key_dim) * tile->vectors * VF; }

/** Fills a tile from a head's state [value_dim, key_dim] (0 where `state` is null). */
NOINLINE UNUSED void fw_load_tile(f32 *s, const fast_weights *scan, const f32 *state, i64 head, const fw_tile *tile) {
  const i64 width = tile->vectors * VF, n = scan->key_dim;
  if (!state || tile->lanes < width || n % FW_ROWS != 0) zero_bytes(s, fw_tile_size(scan, tile) * 4);
  if (state) transpose_block(s, state + (head * scan->value_dim + tile->first) * n, tile->lanes, n, n, width);
}

NOINLINE UNUSED void fw_store_tile(const f32 *s, const fast_weights *scan, f32 *state, i64 head, const fw_tile *tile) {
  const i64 width = tile->vectors * VF, n = scan->key_dim;
  transpose_block(state + (head * scan->value_dim + tile->first) * n, s, n, tile->lanes, width, n);
}

/** The part of a row [value_dim] that belongs to a tile; lanes that don't exist are 0. */
typedef struct {
  vf vector[FW_VECTORS];
} fw_lanes;

/** Loads from row + tile->first; zeros if `row` is null. */
INLINE void fw_load_lanes(fw_lanes *x, const f32 *row, const fw_tile *tile) {
  const i64 whole = tile->lanes / VF, rest = tile->lanes % VF;
  if (!row) {
    for (i64 i = 0; i < tile->vectors; i++) x->vector[i] = vset(0);
    return;
  }
  for (i64 i = 0; i < whole; i++) x->vector[i] = vload(row + tile->first + i * VF);
  if (rest) x->vector[whole] = vload_first(row + tile->first + whole * VF, rest, 0);
}

INLINE void fw_store_lanes(const fw_lanes *x, f32 *row, const fw_tile *tile) {
  const i64 whole = tile->lanes / VF, rest = tile->lanes % VF;
  for (i64 i = 0; i < whole; i++) vstore(row + tile->first + i * VF, x->vector[i]);
  if (rest) vstore_first(row + tile->first + whole * VF, x->vector[whole], rest);
}

/** The same for one vector, where their number is a constant. */
INLINE vf fw_load_vector(const f32 *row, int i, int vectors, const fw_tile *tile) {
  const i64 rest = tile->lanes - (vectors - 1) * VF;
  row += tile->first + i * VF;
  return i < vectors - 1 || rest == VF ? vload(row) : vload_first(row, rest, 0);
}
INLINE void fw_store_vector(f32 *row, int i, int vectors, const fw_tile *tile, vf x) {
  const i64 rest = tile->lanes - (vectors - 1) * VF;
  row += tile->first + i * VF;
  if (i < vectors - 1 || rest == VF) vstore(row, x);
  else vstore_first(row, x, rest);
}

/**
 * Stores a vector of a tile. 64 bytes go as two halves: a loop that stores all that it loads waits for whole stores on
 * AMD's Zen 4 (80 instead of 106 of 118 GFLOP/s in the forward delta rule).
 */
INLINE void fw_store(f32 *at, vf x) {
#if defined(__AVX512F__)
  _mm256_storeu_ps(at, _mm512_castps512_ps256((__m512)x));
  _mm256_storeu_ps(at + 8, _mm512_extractf32x8_ps((__m512)x, 1));
#else
  vstore(at, x);
#endif
}

/**
 * A number in all lanes of a register. gcc for AVX-512 would rather read it from memory in every operation that it enters, and
 * there are more of those in a step than loads (146 instead of 184 of 220 GFLOP/s in the forward delta rule, Zen 5).
 */
INLINE vf fw_broadcast(const f32 *x) {
  vf all = vset(*x);
#if defined(__AVX512F__)
  __asm__("" : "+v"(all));
#endif
  return all;
}

/** A row [key_dim] of q, k or the like; where its length is no multiple of FW_ROWS, a copy in `buffer`, whose end is 0. */
INLINE const f32 *fw_padded(f32 *buffer, const f32 *row, i64 key_dim) {
  if (key_dim % FW_ROWS == 0) return row;
  for (i64 j = 0; j < key_dim; j++) buffer[j] = row[j];
  return buffer;
}

/* ---- sums across lanes ---------------------------------------------------------------------- */

#if defined(__clang__) || __GNUC__ >= 12
#define FW_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define FW_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif
/* Within each 128 bits: (a0 b0 a1 b1), (a2 b2 a3 b3), (a0 a1 b0 b1), (a2 a3 b2 b3). */
#if VF == 16
#define FW_LOW(a, b) FW_SHUFFLE(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define FW_HIGH(a, b) FW_SHUFFLE(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define FW_LOW_PAIRS(a, b) FW_SHUFFLE(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define FW_HIGH_PAIRS(a, b) FW_SHUFFLE(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#elif VF == 8
#define FW_LOW(a, b) FW_SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define FW_HIGH(a, b) FW_SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define FW_LOW_PAIRS(a, b) FW_SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define FW_HIGH_PAIRS(a, b) FW_SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#else
#define FW_LOW(a, b) FW_SHUFFLE(a, b, 0, 4, 1, 5)
#define FW_HIGH(a, b) FW_SHUFFLE(a, b, 2, 6, 3, 7)
#define FW_LOW_PAIRS(a, b) FW_SHUFFLE(a, b, 0, 1, 4, 5)
#define FW_HIGH_PAIRS(a, b) FW_SHUFFLE(a, b, 2, 3, 6, 7)
#endif

/** The sums of the lanes of a, b, c and d. */
INLINE f32x4 fw_sum_lanes(vf a, vf b, vf c, vf d) {
  const vf ab = FW_LOW(a, b) + FW_HIGH(a, b), cd = FW_LOW(c, d) + FW_HIGH(c, d);
  const vf sums = FW_LOW_PAIRS(ab, cd) + FW_HIGH_PAIRS(ab, cd);
#if VF == 16
  const __m256 half = _mm512_castps512_ps256((__m512)sums) + _mm512_extractf32x8_ps((__m512)sums, 1);
  return (f32x4)(_mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1));
#elif VF == 8
  return (f32x4)(_mm256_castps256_ps128((__m256)sums) + _mm256_extractf128_ps((__m256)sums, 1));
#else
  return (f32x4)sums;
#endif
}

/** x[0 … 3] += sums. */
INLINE void fw_add4(f32 *x, f32x4 sums) { *(f32x4_memory *)x += sums; }

#endif
