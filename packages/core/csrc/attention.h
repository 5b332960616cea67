/**
 * Scaled dot-product attention without a [queries, keys] tensor (Milakov and Gimelshein 2018; Rabe and Staats 2021;
 * Dao et al. 2022), per batch element and head:
 *
 *   S = scale · Q Kᵀ + bias, −∞ where excluded     P = softmax over keys     O = P V     L = logarithm of P's denominators
 *   dV = Pᵀ dO      dS = P ∘ (dO Vᵀ − δ), δ_i = dO_i · O_i      dQ = scale · dS K      dK = scale · dSᵀ Q      dbias = dS
 *
 * Tiles of scores are kept transposed, [keys][queries]: then maxima, sums and corrections are vertical vector operations,
 * and every product takes its other operand from K, V, Q and dO as they stand; only Q and dO are transposed, once per
 * block of queries. The forward keeps a running maximum and denominator for each query; the backward recomputes P from L.
 *
 * An excluded position has weight exactly 0, whatever its key and value hold: if a result is not finite and anything was
 * excluded, it is computed again by loops that skip zero weights. A query that may see nothing gets 0 (and L = ∞).
 */
#ifndef ATTENTION_H
#define ATTENTION_H

#include "fwp.h"
#include "simd.h"
#include "vector-math.h"
#include "gemm.h"

/** Largest tile of scores, and largest row of Q, K or V (TypeScript takes another path beyond). */
#define ATTENTION_QUERIES 64
#define ATTENTION_KEYS 128
#define ATTENTION_DIM 1024
#define ATTENTION_TILE (ATTENTION_QUERIES * ATTENTION_KEYS)
/** Floating-point operations per chunk of a parallel loop: some 20 to 50 µs. */
#define ATTENTION_GRAIN 2e6

typedef struct {
  i64 batch, head, time;
} attention_stride;

typedef struct {
  i64 batch, heads, queries, keys, dim, value_dim;
  f32 scale;
  /** Query i sees keys up to i + keys − queries: the last `window` of them. */
  i32 causal;
  i64 window;
  const f32 *q, *k, *v;
  f32 *out;
  attention_stride q_stride, k_stride, v_stride, out_stride;
  /** L, [batch, heads, queries]. */
  f32 *lse;
  /** Optional truth values: where attention is allowed; strides of batch, head, query, key. */
  const u8 *mask;
  i64 mask_stride[4];
  /** Optional [batch, keys]: keys that may be seen. */
  const u8 *key_mask;
  const f32 *bias;
  i64 bias_stride[4];
  /* Backward. Gradients have the strides of their tensors; the gradient of `out` those of `out`. */
  const f32 *d_out;
  f32 *dq, *dk, *dv;
  /** The keys are cut into this many parts for parallelism; if more than one, dq goes to `partial_dq` [splits, b, h, i, d]. */
  i64 splits;
  f32 *partial_dq;
  /** Optional [slots, bias_batch, bias_heads, queries, keys]: gradients of the bias, to be summed over slots. */
  f32 *d_bias;
  i64 bias_batch, bias_heads, slots;
} attention;

/** A block of queries of one head, with its tiles. */
typedef struct {
  const attention *task;
  i64 b, h;
  /** First query, number of queries, and the same padded to whole vectors. */
  i64 first, count, width;
  /** Qᵀ and dOᵀ: [dim][width]. */
  f32 *q, *d_out;
  /** [keys][width]: S, then P; dP, then dS. */
  f32 *scores, *d_scores;
  /** Two more tiles for what has to be transposed. */
  f32 *rows, *columns;
  f32 *scratch;
  i64 scratch_floats;
  /** Skip zero weights. */
  i32 careful;
} attention_block;

INLINE i64 attention_at(attention_stride stride, i64 b, i64 h, i64 t) {
  return b * stride.batch + h * stride.head + t * stride.time;
}

/** Something may be excluded. */
INLINE i32 attention_excludes(const attention *task) {
  return task->causal || task->mask || task->key_mask || task->bias;
}

/** Number of keys, counted from the first, that a query may see. */
INLINE i64 attention_visible(const attention *task, i64 query) {
  const i64 visible = task->causal ? query + 1 + task->keys - task->queries : task->keys;
  return MAX(0, MIN(visible, task->keys));
}

/** The first key that a query may see. */
INLINE i64 attention_oldest(const attention *task, i64 query) {
  const i64 oldest = task->causal ? query + 1 + task->keys - task->queries - task->window : 0;
  return MAX(0, MIN(oldest, task->keys));
}

/** Most queries of a block: a block scores window + count − 1 keys for each, of which it needs window. */
INLINE i64 attention_query_limit(const attention *task) {
  return MAX(16, MIN(ROUND_UP(task->window, 16), ATTENTION_QUERIES));
}

/** Most keys that a block of queries sees. */
INLINE i64 attention_span(const attention *task, i64 keys) {
  return MIN(keys, task->window + attention_query_limit(task) - 1);
}

/** `total` in equal parts of at most `limit`, in whole vectors where there are several. */
INLINE i64 attention_part(i64 total, i64 limit) {
  return total <= limit ? MAX(total, 1) : ROUND_UP(CEIL_DIV(total, CEIL_DIV(total, limit)), VF);
}

static attention_block attention_begin(const attention *task, i64 thread, i32 backward) {
  f32 *scratch = fwp_scratch(thread);
  attention_block block = {.task = task};
  block.scores = scratch, scratch += ATTENTION_TILE;
  block.q = scratch, scratch += ROUND_UP(task->dim, 16) * ATTENTION_QUERIES;
  if (backward) {
    block.d_scores = scratch, scratch += ATTENTION_TILE;
    block.d_out = scratch, scratch += ROUND_UP(task->value_dim, 16) * ATTENTION_QUERIES;
  }
  if (task->bias || task->mask) {
    block.rows = scratch, scratch += ATTENTION_TILE;
    block.columns = scratch, scratch += ATTENTION_TILE;
  }
  block.scratch = scratch;
  block.scratch_floats = FWP_SCRATCH_BYTES / 4 - (scratch - (f32 *)fwp_scratch(thread));
  return block;
}

/** A product whose A holds weights: zero weights are skipped in a careful block. */
static void attention_weigh(const attention_block *block, const gemm *task) {
  if (!block->careful) {
    gemm_block(task, block->scratch, block->scratch_floats);
    return;
  }
  for (i64 i = 0; i < task->m; i++) {
    f32 *c = task->c + i * task->c_row;
    if (!task->accumulate) zero_bytes(c, task->n * 4);
    for (i64 p = 0; p < task->k; p++) {
      const f32 weight = task->a[i * task->a_row + p * task->a_column] * task->alpha;
      if (weight == 0) continue;
      for (i64 j = 0; j < task->n; j++) c[j] += weight * task->b[p * task->b_row + j];
    }
  }
}

static i32 attention_finite(const f32 *x, i64 row, i64 rows, i64 columns) {
  vf sum = vset(0);
  for (i64 i = 0; i < rows; i++, x += row) {
    i64 j = 0;
    for (; j + VF <= columns; j += VF) sum += vload(x + j) * 0.0f;
    if (j < columns) sum += vload_first(x + j, columns - j, 0) * 0.0f;
  }
  return vsum(sum) == 0;
}

/* ---- scores --------------------------------------------------------------------------------- */

/** Adds tile [keys][width] to the scores; −∞ excludes, whatever the score is. */
static void attention_add(const attention_block *block, const f32 *tile, i64 keys) {
  const i64 n = keys * block->width;
  for (i64 i = 0; i < n; i += VF) {
    const vf x = vload(tile + i);
    vstore(block->scores + i, vselect(x == -VM_INFINITY, x, vload(block->scores + i) + x));
  }
}

/** Excludes the columns [0, count) of one row of scores. */
INLINE void attention_exclude(f32 *row, i64 count) {
  for (i64 i = 0; i < count; i++) row[i] = -VM_INFINITY;
}

/** Scores of the block's queries and the keys [begin, begin + keys), with bias and exclusions. */
static void attention_score(const attention_block *block, i64 begin, i64 keys) {
  const attention *task = block->task;
  const i64 width = block->width, b = block->b, h = block->h, first = block->first, count = block->count;
  const gemm product = {
      .m = keys, .n = width, .k = task->dim,
      .a = task->k + attention_at(task->k_stride, b, h, begin), .a_row = task->k_stride.time, .a_column = 1,
      .b = block->q, .b_row = width, .b_column = 1,
      .c = block->scores, .c_row = width, .alpha = task->scale,
  };
  gemm_block(&product, block->scratch, block->scratch_floats);
  if (task->bias) {
    const i64 *s = task->bias_stride;
    gemm_pack_panel(task->bias + b * s[0] + h * s[1] + first * s[2] + begin * s[3], s[2], s[3], count, width, keys,
                    block->columns);
    attention_add(block, block->columns, keys);
  }
  if (task->mask) {
    const i64 *s = task->mask_stride;
    for (i64 i = 0; i < count; i++) {
      const u8 *allowed = task->mask + b * s[0] + h * s[1] + (first + i) * s[2] + begin * s[3];
      f32 *row = block->rows + i * keys;
      if (s[3] == 1) for (i64 j = 0; j < keys; j++) row[j] = allowed[j] ? 0 : -VM_INFINITY;
      else for (i64 j = 0; j < keys; j++) row[j] = allowed[0] ? 0 : -VM_INFINITY;
    }
    gemm_pack_panel(block->rows, keys, 1, count, width, keys, block->columns);
    attention_add(block, block->columns, keys);
  }
  if (task->key_mask) {
    const u8 *allowed = task->key_mask + b * task->keys + begin;
    for (i64 j = 0; j < keys; j++) {
      if (!allowed[j]) attention_exclude(block->scores + j * width, width);
    }
  }
  if (task->causal) {
    /* Key j is for the queries from j − (keys − queries) on. */
    const i64 start = begin - (task->keys - task->queries) - first;
    for (i64 j = MAX(0, 1 - start); j < keys; j++) {
      attention_exclude(block->scores + j * width, MIN(start + j, width));
    }
    /* It is no longer for those from `window` queries later on. */
    for (i64 j = 0; j < MIN(keys, width - task->window - start); j++) {
      const i64 end = MAX(0, start + j + task->window);
      attention_exclude(block->scores + j * width + end, width - end);
    }
  }
}

/** Transposes the block's rows of Q or dO to [dim][width], padded with zeros. */
INLINE void attention_transpose(const attention_block *block, const f32 *x, attention_stride stride, i64 dim, f32 *y) {
  gemm_pack_panel(x + attention_at(stride, block->b, block->h, block->first), stride.time, 1, block->count, block->width,
                  dim, y);
}

/* ---- arguments ------------------------------------------------------------------------------ */

/** The arguments that both kernels begin with. */
#define ATTENTION_ARGUMENTS 37
static attention attention_read(const f64 *arg) {
  attention task = {
      .batch = INT(0), .heads = INT(1), .queries = INT(2), .keys = INT(3), .dim = INT(4), .value_dim = INT(5),
      .scale = NUM(6), .causal = FLAG(7),
      .q = F32(8), .q_stride = {INT(9), INT(10), INT(11)},
      .k = F32(12), .k_stride = {INT(13), INT(14), INT(15)},
      .v = F32(16), .v_stride = {INT(17), INT(18), INT(19)},
      .out = F32(20), .out_stride = {INT(21), INT(22), INT(23)},
      .lse = F32(24), .key_mask = PRESENT(25) ? U8(25) : 0,
      .mask = PRESENT(26) ? U8(26) : 0, .mask_stride = {INT(27), INT(28), INT(29), INT(30)},
      .bias = OPTIONAL_F32(31), .bias_stride = {INT(32), INT(33), INT(34), INT(35)}, .window = INT(36),
  };
  return task;
}

#endif
