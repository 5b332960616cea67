/**
 * Scores of queries with one vector per distance (Dai et al. 2019, terms b and d), read where they are: for each batch
 * element and head
 *
 *   scores_ij = q_i · r_c,  c = j − i + offset; 0 where there is no row c
 *
 * The rows that query i meets follow one another, so that one query of all batch elements is a matrix product with a
 * window of r, and its gradients are, too. No [queries, distances] tensor is made, and nothing is shifted.
 */
#include "gemm.h"

/** Floating-point operations per chunk, and columns of dr that are summed on their own. */
#define RELATIVE_GRAIN 1e6
#define RELATIVE_COLUMNS 32

typedef struct {
  i64 batch, queries, keys, heads, dim, rows, offset;
  /** q [batch, queries, heads, dim], r [rows, heads, dim], scores [batch, heads, queries, keys], and their gradients. */
  const f32 *q, *r;
  f32 *scores, *dq, *dr;
  const f32 *d_scores;
} relative;

/** The keys [begin, end) for which query i has a vector, and the row of the first. */
typedef struct {
  i64 begin, end, row;
} relative_window;

INLINE relative_window relative_window_of(const relative *task, i64 i) {
  const i64 begin = MIN(MAX(0, i - task->offset), task->keys);
  const i64 end = MAX(begin, MIN(task->keys, task->rows + i - task->offset));
  return (relative_window){begin, end, begin - i + task->offset};
}

static void relative_forward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const relative *task = context;
  const i64 width = task->heads * task->dim, keys = task->keys;
  for (i64 unit = begin; unit < end; unit++) {
    const i64 h = unit / task->queries, i = unit % task->queries;
    const relative_window window = relative_window_of(task, i);
    f32 *scores = task->scores + (h * task->queries + i) * keys;
    const i64 row = task->heads * task->queries * keys;
    for (i64 b = 0; b < task->batch; b++) {
      zero_bytes(scores + b * row, window.begin * 4);
      zero_bytes(scores + b * row + window.end, (keys - window.end) * 4);
    }
    const gemm product = {
        .m = task->batch, .n = window.end - window.begin, .k = task->dim,
        .a = task->q + (i * task->heads + h) * task->dim, .a_row = task->queries * width, .a_column = 1,
        .b = task->r + (window.row * task->heads + h) * task->dim, .b_row = 1, .b_column = width,
        .c = scores + window.begin, .c_row = row, .alpha = 1,
    };
    gemm_block(&product, fwp_scratch(thread), GEMM_SCRATCH);
  }
}

static void relative_queries_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const relative *task = context;
  const i64 width = task->heads * task->dim, keys = task->keys;
  for (i64 unit = begin; unit < end; unit++) {
    const i64 h = unit / task->queries, i = unit % task->queries;
    const relative_window window = relative_window_of(task, i);
    const gemm product = {
        .m = task->batch, .n = task->dim, .k = window.end - window.begin,
        .a = task->d_scores + (h * task->queries + i) * keys + window.begin, .a_row = task->heads * task->queries * keys,
        .a_column = 1,
        .b = task->r + (window.row * task->heads + h) * task->dim, .b_row = width, .b_column = 1,
        .c = task->dq + (i * task->heads + h) * task->dim, .c_row = task->queries * width, .alpha = 1,
    };
    gemm_block(&product, fwp_scratch(thread), GEMM_SCRATCH);
  }
}

/** A unit is some columns of one head's vectors, for all queries one after the other. */
static void relative_vectors_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const relative *task = context;
  const i64 width = task->heads * task->dim, keys = task->keys, parts = CEIL_DIV(task->dim, RELATIVE_COLUMNS);
  for (i64 unit = begin; unit < end; unit++) {
    const i64 h = unit / parts, first = unit % parts * RELATIVE_COLUMNS, columns = MIN(RELATIVE_COLUMNS, task->dim - first);
    const i64 at = h * task->dim + first;
    for (i64 c = 0; c < task->rows; c++) zero_bytes(task->dr + c * width + at, columns * 4);
    for (i64 i = 0; i < task->queries; i++) {
      const relative_window window = relative_window_of(task, i);
      const gemm product = {
          .m = window.end - window.begin, .n = columns, .k = task->batch,
          .a = task->d_scores + (h * task->queries + i) * keys + window.begin, .a_row = 1,
          .a_column = task->heads * task->queries * keys,
          .b = task->q + i * width + at, .b_row = task->queries * width, .b_column = 1,
          .c = task->dr + window.row * width + at, .c_row = width, .alpha = 1, .accumulate = 1,
      };
      gemm_block(&product, fwp_scratch(thread), GEMM_SCRATCH);
    }
  }
}

static relative relative_read(const f64 *arg) {
  const relative task = {.batch = INT(0), .queries = INT(1), .keys = INT(2), .heads = INT(3), .dim = INT(4),
                         .rows = INT(5), .offset = INT(6), .q = F32(7), .r = F32(8)};
  return task;
}

INLINE i64 relative_grain(f64 products) { return MAX(1, (i64)(RELATIVE_GRAIN / (2 * products + 1))); }

/** relative_scores(batch, queries, keys, heads, dim, rows, offset, q, r, scores) */
KERNEL(relative_scores) {
  relative task = relative_read(arg);
  task.scores = F32(9);
  const f64 products = (f64)task.batch * (f64)task.keys * (f64)task.dim;
  fwp_parallel_for(task.heads * task.queries, relative_grain(products), relative_forward_chunk, &task);
  return OK;
}

/** relative_scores_gradient(…the same up to r, d_scores, dq, dr) */
KERNEL(relative_scores_gradient) {
  relative task = relative_read(arg);
  task.d_scores = F32(9), task.dq = F32(10), task.dr = F32(11);
  const f64 products = (f64)task.batch * (f64)task.keys * (f64)task.dim;
  fwp_parallel_for(task.heads * task.queries, relative_grain(products), relative_queries_chunk, &task);
  fwp_parallel_for(task.heads * CEIL_DIV(task.dim, RELATIVE_COLUMNS), 1, relative_vectors_chunk, &task);
  return OK;
}

#define RELATIVE_SCORES_KERNELS(ENTRY) ENTRY(relative_scores, 10) ENTRY(relative_scores_gradient, 12)
