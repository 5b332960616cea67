/**
 * Attention, forward: blocks of queries go over the keys they see, part by part, with a running maximum and denominator for each
 * query (`attention.h` has the equations, and the tiles of scores).
 */
#include "attention.h"

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

/** attention_forward(batch, heads, queries, keys, dim, value_dim, scale, causal, q, strides, k, …, bias, strides, window): fills out, lse. */
KERNEL(attention_forward) {
  const attention task = attention_read(arg);
  const i64 units = task.batch * task.heads * attention_blocks(&task);
  const f64 cost = 2.0 * (f64)attention_span(&task, task.keys) * (f64)(task.dim + task.value_dim) * (f64)MIN(task.queries, attention_query_limit(&task));
  fwp_parallel_for(units, MAX(1, (i64)(ATTENTION_GRAIN / (cost + 1))), attention_forward_chunk, &task);
  return OK;
}

#define ATTENTION_KERNELS(ENTRY) ENTRY(attention_forward, 37)
