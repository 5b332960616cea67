/**
 * Attention, backward: P is computed again from the scores and L; dK and dV add up over blocks of queries, dQ over parts of the
 * keys (`attention.h` has the equations).
 */
#include "attention.h"

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

#define ATTENTION_GRADIENT_KERNELS(ENTRY) ENTRY(attention_backward, 47)
