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

/* ---- forward -------------------------------------------------------------------------------- */

/** Turns scores into weights e^(S − maximum), updating each query's maximum, denominator and correction of what came before. */
static void attention_soften(f32 *scores, i64 keys, i64 width, f32 *maximum, f32 *denominator, f32 *correction) {
  for (i64 i = 0; i < width; i += VF) {
    const vf before = vload(maximum + i);
    vf most[4] = {before, before, before, before};
    i64 j = 0;
    for (; j + 4 <= keys; j += 4) {
      UNROLL for (int u = 0; u < 4; u++) most[u] = vmax(vload(scores + (j + u) * width + i), most[u]);
    }
    for (; j < keys; j++) most[0] = vmax(vload(scores + j * width + i), most[0]);
    const vf now = vmax(vmax(most[0], most[1]), vmax(most[2], most[3]));
    /* Nothing seen yet: any finite number will do. */
    const vf shift = vselect(now == -VM_INFINITY, vset(0), now);
    vf sum[4] = {vset(0), vset(0), vset(0), vset(0)};
    for (j = 0; j + 4 <= keys; j += 4) {
      UNROLL for (int u = 0; u < 4; u++) {
        f32 *at = scores + (j + u) * width + i;
        const vf weight = vexp_nonpositive(vload(at) - shift);
        vstore(at, weight);
        sum[u] += weight;
      }
    }
    for (; j < keys; j++) {
      f32 *at = scores + j * width + i;
      const vf weight = vexp_nonpositive(vload(at) - shift);
      vstore(at, weight);
      sum[0] += weight;
    }
    const vf factor = vexp_nonpositive(before - shift);
    vstore(maximum + i, now);
    vstore(correction + i, factor);
    vstore(denominator + i, vload(denominator + i) * factor + ((sum[0] + sum[1]) + (sum[2] + sum[3])));
  }
}

/** Multiplies each row i of x by factor[i]. */
static void attention_scale(f32 *x, i64 row, i64 rows, i64 columns, const f32 *factor) {
  for (i64 i = 0; i < rows; i++, x += row) {
    const vf s = vset(factor[i]);
    i64 j = 0;
    for (; j + VF <= columns; j += VF) vstore(x + j, vload(x + j) * s);
    for (; j < columns; j++) x[j] *= factor[i];
  }
}

static void attention_forward_block(attention_block *block) {
  const attention *task = block->task;
  const i64 count = block->count, width = block->width, columns = task->value_dim;
  const i64 visible = attention_visible(task, block->first + count - 1);
  const i64 oldest = attention_oldest(task, block->first);
  const i64 part = attention_part(visible - oldest, ATTENTION_KEYS);
  f32 maximum[ATTENTION_QUERIES], denominator[ATTENTION_QUERIES], factor[ATTENTION_QUERIES];
  f32 *out = task->out + attention_at(task->out_stride, block->b, block->h, block->first);
  const i64 out_row = task->out_stride.time;

  for (i64 i = 0; i < width; i++) maximum[i] = -VM_INFINITY, denominator[i] = 0;
  if (visible == 0) {
    for (i64 i = 0; i < count; i++) zero_bytes(out + i * out_row, columns * 4);
  }
  attention_transpose(block, task->q, task->q_stride, task->dim, block->q);
  for (i64 begin = oldest; begin < visible; begin += part) {
    const i64 keys = MIN(part, visible - begin);
    attention_score(block, begin, keys);
    attention_soften(block->scores, keys, width, maximum, denominator, factor);
    if (begin > oldest) attention_scale(out, out_row, count, columns, factor);
    const gemm product = {
        .m = count, .n = columns, .k = keys,
        .a = block->scores, .a_row = 1, .a_column = width,
        .b = task->v + attention_at(task->v_stride, block->b, block->h, begin), .b_row = task->v_stride.time, .b_column = 1,
        .c = out, .c_row = out_row, .alpha = 1, .accumulate = begin > oldest,
    };
    attention_weigh(block, &product);
  }
  f32 *lse = task->lse + (block->b * task->heads + block->h) * task->queries + block->first;
  for (i64 i = 0; i < width; i += VF) {
    const vf sum = vload(denominator + i);
    const vi none = sum == 0.0f;
    const vf l = vselect(none, vset(VM_INFINITY), vload(maximum + i) + vlog(sum));
    if (i + VF <= count) vstore(lse + i, l);
    else if (i < count) vstore_first(lse + i, l, count - i);
    vstore(factor + i, vselect(none, vset(0), 1.0f / sum));
  }
  attention_scale(out, out_row, count, columns, factor);
}

INLINE i64 attention_blocks(const attention *task) {
  return task->queries == 0 ? 0 : CEIL_DIV(task->queries, attention_part(task->queries, attention_query_limit(task)));
}

static void attention_forward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const attention *task = context;
  const i64 blocks = attention_blocks(task), part = attention_part(task->queries, attention_query_limit(task));
  attention_block block = attention_begin(task, thread, 0);
  for (i64 unit = begin; unit < end; unit++) {
    const i64 head = unit / blocks;
    block.b = head / task->heads, block.h = head % task->heads;
    block.first = unit % blocks * part;
    block.count = MIN(part, task->queries - block.first);
    block.width = ROUND_UP(block.count, VF);
    block.careful = 0;
    attention_forward_block(&block);
    const f32 *out = task->out + attention_at(task->out_stride, block.b, block.h, block.first);
    if (attention_excludes(task) && !attention_finite(out, task->out_stride.time, block.count, task->value_dim)) {
      block.careful = 1;
      attention_forward_block(&block);
    }
  }
}

/* ---- backward ------------------------------------------------------------------------------- */

/** From scores and dP to weights P and dS. */
static void attention_differentiate(const attention_block *block, i64 keys, const f32 *lse, const f32 *delta) {
  const i64 width = block->width;
  for (i64 i = 0; i < width; i += VF) {
    const vf l = vload(lse + i), d = vload(delta + i);
    f32 *s = block->scores + i, *ds = block->d_scores + i;
    for (i64 j = 0; j < keys; j++, s += width, ds += width) {
      const vf p = vexp_nonpositive(vload(s) - l);
      vstore(s, p);
      vstore(ds, vselect(p == 0.0f, p, p * (vload(ds) - d)));
    }
  }
}

/** Adds dS of the keys [begin, begin + keys) to a gradient of the bias. */
static void attention_add_bias_gradient(const attention_block *block, f32 *d_bias, i64 begin, i64 keys) {
  const i64 row = block->task->keys;
  gemm_pack_panel(block->d_scores, block->width, 1, keys, keys, block->count, block->rows);
  for (i64 i = 0; i < block->count; i++) {
    f32 *y = d_bias + (block->first + i) * row + begin;
    const f32 *x = block->rows + i * keys;
    for (i64 j = 0; j < keys; j++) y[j] += x[j];
  }
}

/** Where the gradient of one head's queries goes, for one part of the keys. */
typedef struct {
  f32 *start;
  i64 row;
} attention_rows;

INLINE attention_rows attention_dq(const attention *task, i64 b, i64 h, i64 split) {
  if (task->splits == 1) return (attention_rows){task->dq + attention_at(task->q_stride, b, h, 0), task->q_stride.time};
  const i64 head = (split * task->batch + b) * task->heads + h;
  return (attention_rows){task->partial_dq + head * task->queries * task->dim, task->dim};
}

/** All of one head's gradients that come from keys [from, to). */
static void attention_backward_head(attention_block *block, i64 from, i64 to, attention_rows dq, f32 *d_bias) {
  const attention *task = block->task;
  const i64 dim = task->dim, columns = task->value_dim, b = block->b, h = block->h;
  const i64 query_part = attention_part(task->queries, attention_query_limit(task));
  const i64 key_part = attention_part(attention_span(task, to - from), ATTENTION_KEYS);
  const attention_stride out = task->out_stride;
  f32 lse[ATTENTION_QUERIES], delta[ATTENTION_QUERIES];

  /* Where each tile of keys meets all blocks of queries, the first one initialises its dK and dV. */
  const i32 cleared = task->causal || task->queries == 0;
  for (i64 j = from; cleared && j < to; j++) {
    zero_bytes(task->dk + attention_at(task->k_stride, b, h, j), dim * 4);
    zero_bytes(task->dv + attention_at(task->v_stride, b, h, j), columns * 4);
  }
  for (block->first = 0; block->first < task->queries; block->first += query_part) {
    const i64 first = block->first, count = block->count = MIN(query_part, task->queries - first);
    const i64 width = block->width = ROUND_UP(count, VF);
    const i64 visible = MIN(to, attention_visible(task, first + count - 1));
    const i64 oldest = MAX(from, attention_oldest(task, first));
    if (visible <= oldest) {
      for (i64 i = 0; i < count; i++) zero_bytes(dq.start + (first + i) * dq.row, dim * 4);
      continue;
    }
    const f32 *o = task->out + attention_at(out, b, h, first), *d_out = task->d_out + attention_at(out, b, h, first);
    const f32 *q = task->q + attention_at(task->q_stride, b, h, first);
    attention_transpose(block, task->q, task->q_stride, dim, block->q);
    attention_transpose(block, task->d_out, out, columns, block->d_out);
    for (i64 i = 0; i < width; i++) lse[i] = VM_INFINITY, delta[i] = 0;
    copy_bytes(lse, task->lse + (b * task->heads + h) * task->queries + first, count * 4);
    for (i64 i = 0; i < count; i++) {
      vf sum = vset(0);
      i64 j = 0;
      for (; j + VF <= columns; j += VF) sum = vfma(vload(o + i * out.time + j), vload(d_out + i * out.time + j), sum);
      if (j < columns) {
        sum = vfma(vload_first(o + i * out.time + j, columns - j, 0), vload_first(d_out + i * out.time + j, columns - j, 0), sum);
      }
      delta[i] = vsum(sum);
    }
    for (i64 begin = oldest; begin < visible; begin += key_part) {
      const i64 keys = MIN(key_part, visible - begin);
      const i32 initialised = cleared || first > 0;
      f32 *dk = task->dk + attention_at(task->k_stride, b, h, begin), *dv = task->dv + attention_at(task->v_stride, b, h, begin);
      attention_score(block, begin, keys);
      const gemm d_weights = {
          .m = keys, .n = width, .k = columns,
          .a = task->v + attention_at(task->v_stride, b, h, begin), .a_row = task->v_stride.time, .a_column = 1,
          .b = block->d_out, .b_row = width, .b_column = 1,
          .c = block->d_scores, .c_row = width, .alpha = 1,
      };
      gemm_block(&d_weights, block->scratch, block->scratch_floats);
      attention_differentiate(block, keys, lse, delta);
      const gemm d_values = {
          .m = keys, .n = columns, .k = count,
          .a = block->scores, .a_row = width, .a_column = 1,
          .b = d_out, .b_row = out.time, .b_column = 1,
          .c = dv, .c_row = task->v_stride.time, .alpha = 1, .accumulate = initialised,
      };
      attention_weigh(block, &d_values);
      const gemm d_keys = {
          .m = keys, .n = dim, .k = count,
          .a = block->d_scores, .a_row = width, .a_column = 1,
          .b = q, .b_row = task->q_stride.time, .b_column = 1,
          .c = dk, .c_row = task->k_stride.time, .alpha = task->scale, .accumulate = initialised,
      };
      attention_weigh(block, &d_keys);
      const gemm d_queries = {
          .m = count, .n = dim, .k = keys,
          .a = block->d_scores, .a_row = 1, .a_column = width,
          .b = task->k + attention_at(task->k_stride, b, h, begin), .b_row = task->k_stride.time, .b_column = 1,
          .c = dq.start + first * dq.row, .c_row = dq.row, .alpha = task->scale, .accumulate = begin > oldest,
      };
      attention_weigh(block, &d_queries);
      if (d_bias) attention_add_bias_gradient(block, d_bias, begin, keys);
    }
  }
}

/** One unit is a part of the keys of all heads that share a slot of the bias's gradient (of one head if there is none). */
static void attention_backward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const attention *task = context;
  const i64 slices = task->bias_batch * task->bias_heads, members = task->batch * task->heads / slices;
  const i64 shared_heads = task->bias_heads == 1 ? task->heads : 1;
  const i64 member_part = CEIL_DIV(members, task->slots);
  const i64 split_part = CEIL_DIV(task->keys, task->splits);
  attention_block block = attention_begin(task, thread, 1);
  for (i64 unit = begin; unit < end; unit++) {
    const i64 split = unit % task->splits, slot = unit / task->splits % task->slots, slice = unit / task->splits / task->slots;
    const i64 from = MIN(split * split_part, task->keys), to = MIN(from + split_part, task->keys);
    f32 *d_bias = task->d_bias ? task->d_bias + (slot * slices + slice) * task->queries * task->keys : 0;
    if (d_bias) {
      for (i64 i = 0; i < task->queries; i++) zero_bytes(d_bias + i * task->keys + from, (to - from) * 4);
    }
    for (i64 member = slot * member_part; member < MIN(members, (slot + 1) * member_part); member++) {
      block.b = task->bias_batch == 1 ? member / shared_heads : slice / task->bias_heads;
      block.h = task->bias_heads == 1 ? member % shared_heads : slice % task->bias_heads;
      block.careful = 0;
      const attention_rows dq = attention_dq(task, block.b, block.h, split);
      attention_backward_head(&block, from, to, dq, d_bias);
      if (!attention_excludes(task)) continue;
      const f32 *dk = task->dk + attention_at(task->k_stride, block.b, block.h, from);
      const f32 *dv = task->dv + attention_at(task->v_stride, block.b, block.h, from);
      if (!attention_finite(dq.start, dq.row, task->queries, task->dim) ||
          !attention_finite(dk, task->k_stride.time, to - from, task->dim) ||
          !attention_finite(dv, task->v_stride.time, to - from, task->value_dim)) {
        block.careful = 1;
        /* The bias has its gradient already: it has no product in which something could leak. */
        attention_backward_head(&block, from, to, dq, 0);
      }
    }
  }
}

static void attention_combine_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const attention *task = context;
  const i64 rows = task->batch * task->heads * task->queries, dim = task->dim;
  for (i64 row = begin; row < end; row++) {
    const i64 head = row / task->queries;
    const f32 *x = task->partial_dq + row * dim;
    f32 *y = task->dq + attention_at(task->q_stride, head / task->heads, head % task->heads, row % task->queries);
    for (i64 j = 0; j < dim; j++) {
      f32 sum = x[j];
      for (i64 s = 1; s < task->splits; s++) sum += x[s * rows * dim + j];
      y[j] = sum;
    }
  }
}

/* ---- kernels -------------------------------------------------------------------------------- */

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

/** attention_forward(batch, heads, queries, keys, dim, value_dim, scale, causal, q, strides, k, …, bias, strides, window): fills out, lse. */
KERNEL(attention_forward) {
  const attention task = attention_read(arg);
  const i64 units = task.batch * task.heads * attention_blocks(&task);
  const f64 cost = 2.0 * (f64)attention_span(&task, task.keys) * (f64)(task.dim + task.value_dim) * (f64)MIN(task.queries, attention_query_limit(&task));
  fwp_parallel_for(units, MAX(1, (i64)(ATTENTION_GRAIN / (cost + 1))), attention_forward_chunk, &task);
  return OK;
}

/** attention_backward(…the same, d_out, dq, dk, dv, splits, partial_dq, d_bias, bias_batch, bias_heads, slots): fills the gradients. */
KERNEL(attention_backward) {
  attention task = attention_read(arg);
  arg += ATTENTION_ARGUMENTS;
  task.d_out = F32(0), task.dq = F32(1), task.dk = F32(2), task.dv = F32(3);
  task.splits = INT(4), task.partial_dq = OPTIONAL_F32(5);
  task.d_bias = OPTIONAL_F32(6), task.bias_batch = INT(7), task.bias_heads = INT(8), task.slots = INT(9);
  if (task.batch * task.heads == 0) return OK;
  const i64 units = task.bias_batch * task.bias_heads * task.slots * task.splits;
  const f64 cost = 4.0 * (f64)attention_span(&task, task.keys) * (f64)(task.dim + task.value_dim) * (f64)task.queries;
  const f64 heads = (f64)task.batch * (f64)task.heads / (f64)units;
  fwp_parallel_for(units, MAX(1, (i64)(ATTENTION_GRAIN / (cost * heads + 1))), attention_backward_chunk, &task);
  if (task.splits > 1) {
    fwp_parallel_for(task.batch * task.heads * task.queries, MAX(1, 65536 / task.splits / task.dim), attention_combine_chunk, &task);
  }
  return OK;
}

#define ATTENTION_KERNELS(ENTRY) ENTRY(attention_forward, 37) ENTRY(attention_backward, 47)
