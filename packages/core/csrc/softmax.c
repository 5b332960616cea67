/**
 * Softmax and log-softmax of rows, forward and backward. x is [rows, n].
 *
 *   softmax        y = exp(x - max x) / Σ exp(x - max x)            dx = (dy - Σ dy y) y
 *   log-softmax    y = x - max x - ln Σ exp(x - max x)              dx = dy - exp(y) Σ dy
 *
 * A row stays in registers or in the first-level cache over its passes, so memory sees it once. A row that holds NaN or
 * +Inf, or only -Inf, gives NaN.
 */
#include "rows.h"
#include "vector-math.h"

/**
 * e^x = 2^t for x <= 0, with t = x log2(e) in one part: fewer steps than vexp_nonpositive, exact at 0, and with a
 * relative error below 1e-7 (1 + |x|). Below -87.7, where the result would be denormal, it is 0.
 */
INLINE vf softmax_exp(vf x) {
  /* 1.5 · 2^23 rounds to an integer, which stands in the low bits then, and 127 makes it an exponent. */
  const f32 round = 12582912.0f + 127.0f;
  vf t = vat_least(x, -88.0f) * VM_LOG2E;
  vf rounded = t + round;
  vf f = t - (rounded - round);
  vf p = vset(0.0013269519f);
  p = vfma(p, f, vset(0.0096712913f));
  p = vfma(p, f, vset(0.055507109f));
  p = vfma(p, f, vset(0.24022247f));
  p = vfma(p, f, vset(0.69314700f));
  p = vfma(p, f, vset(1.0f));
  return p * (vf)((vi)rounded << 23);
}

INLINE f32 row_max(const f32 *x, i64 n) {
  vf most;
#define JOIN(best, j, count) best = vmax(ROW_LOAD(x, j, count, -VM_INFINITY), best);
  ROW_REDUCE(most, n, vset(-VM_INFINITY), JOIN, vmax);
#undef JOIN
  return vmax_across(most);
}

/** Loads a row of at most 8 vectors into registers, filled up with -Inf, and returns its maximum. */
INLINE f32 short_row_load(const f32 *x, i64 n, const int vectors, vf *v) {
  const i64 rest = n - (vectors - 1) * VF;
  vf most = vset(-VM_INFINITY);
  UNROLL for (int i = 0; i < vectors; i++) {
    v[i] = i < vectors - 1 || rest == VF ? vload(x + i * VF) : vload_first(x + i * VF, rest, -VM_INFINITY);
    most = vmax(v[i], most);
  }
  return vmax_across(most);
}

/** Replaces v by exp(v - shift); returns the sum. */
INLINE f32 short_row_exp(vf *v, f32 shift, const int vectors) {
  vf sum = vset(0);
  UNROLL for (int i = 0; i < vectors; i++) sum += v[i] = softmax_exp(v[i] - shift);
  return vsum(sum);
}

/** Maximum m of a row, and Σ exp(x - m). */
INLINE void row_exp_sum(const f32 *x, i64 n, f32 *shift, f32 *sum) {
#define CASE(vectors)                           \
  {                                             \
    vf v[vectors];                              \
    *shift = short_row_load(x, n, vectors, v);  \
    *sum = short_row_exp(v, *shift, vectors);   \
  }
#define LONG                                                                                  \
  {                                                                                           \
    vf total;                                                                                 \
    const f32 m = *shift = row_max(x, n);                                                     \
    ROW_REDUCE(total, n, vset(0), JOIN, ROW_PLUS);                                            \
    *sum = vsum(total);                                                                       \
  }
#define JOIN(s, j, count) s += softmax_exp(ROW_LOAD(x, j, count, -VM_INFINITY) - m);
  ROW_BY_LENGTH(n, CASE, LONG)
#undef JOIN
#undef LONG
#undef CASE
}

/** Rows whose logarithms are taken together. */
#define LOG_BLOCK 16
/** Number of rows of a block: few enough that they are still in the first-level cache when they are read again. */
INLINE i64 log_block(i64 n) { return MAX(1, MIN(LOG_BLOCK, 4096 / n)); }

/** Maximum m and ln Σ exp(x - m) of `count` rows (at most LOG_BLOCK); rows of weight 0 are not read. */
INLINE void rows_log_sum(const f32 *x, const f32 *weight, i64 n, i64 count, f32 *shift, f32 *log_sum) {
  for (i64 i = 0; i < LOG_BLOCK; i++) log_sum[i] = 1;
  for (i64 i = 0; i < count; i++) {
    if (weight && weight[i] == 0) shift[i] = 0;
    else row_exp_sum(x + i * n, n, shift + i, log_sum + i);
  }
  for (i64 i = 0; i < count; i += VF) vstore(log_sum + i, vlog(vload(log_sum + i)));
}

typedef struct {
  const f32 *x, *dy;
  f32 *y;
  i64 n;
} softmax_plan;

INLINE void softmax_row(const f32 *x, f32 *y, i64 n) {
  f32 shift = row_max(x, n);
  vf total;
#define JOIN(sum, j, count)                                                          \
  {                                                                                  \
    vf e = softmax_exp(ROW_LOAD(x, j, count, -VM_INFINITY) - shift);            \
    sum += e;                                                                        \
    ROW_STORE(y, j, count, e);                                                       \
  }
  ROW_REDUCE(total, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
  f32 scale = 1.0f / vsum(total);
#define BODY(j, count) ROW_STORE(y, j, count, ROW_LOAD(y, j, count, 0) * scale);
  ROW_EACH(n, BODY);
#undef BODY
}

/** The same for a row of at most 8 vectors, which stays in registers. */
INLINE void softmax_short_row(const f32 *x, f32 *y, i64 n, const int vectors) {
  vf v[8];
  const i64 rest = n - (vectors - 1) * VF;
  const f32 shift = short_row_load(x, n, vectors, v);
  const f32 scale = 1.0f / short_row_exp(v, shift, vectors);
  UNROLL for (int i = 0; i < vectors; i++) {
    if (i < vectors - 1 || rest == VF) vstore(y + i * VF, v[i] * scale);
    else vstore_first(y + i * VF, v[i] * scale, rest);
  }
}

static void softmax_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const softmax_plan *plan = context;
  const i64 n = plan->n;
  const f32 *x = plan->x;
  f32 *y = plan->y;
#define CASE(vectors) \
  for (i64 row = begin; row < end; row++) softmax_short_row(x + row * n, y + row * n, n, vectors)
#define LONG for (i64 row = begin; row < end; row++) softmax_row(x + row * n, y + row * n, n)
  ROW_BY_LENGTH(n, CASE, LONG)
#undef LONG
#undef CASE
}

static void log_softmax_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const softmax_plan *plan = context;
  const i64 n = plan->n, block = log_block(n);
  f32 shift[LOG_BLOCK], log_sum[LOG_BLOCK];
  for (i64 first = begin; first < end; first += block) {
    const i64 count = MIN(block, end - first);
    rows_log_sum(plan->x + first * n, 0, n, count, shift, log_sum);
    for (i64 i = 0; i < count; i++) {
      const f32 *x = plan->x + (first + i) * n;
      f32 *y = plan->y + (first + i) * n;
#define BODY(j, count) ROW_STORE(y, j, count, ROW_LOAD(x, j, count, 0) - shift[i] - log_sum[i]);
      ROW_EACH(n, BODY);
#undef BODY
    }
  }
}

INLINE void softmax_grad_row(const f32 *y, const f32 *dy, f32 *dx, i64 n) {
  vf total;
#define JOIN(sum, j, count) sum = vfma(ROW_LOAD(dy, j, count, 0), ROW_LOAD(y, j, count, 0), sum);
  ROW_REDUCE(total, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
  const f32 mean = vsum(total);
#define BODY(j, count) ROW_STORE(dx, j, count, (ROW_LOAD(dy, j, count, 0) - mean) * ROW_LOAD(y, j, count, 0));
  ROW_EACH(n, BODY);
#undef BODY
}

/** The same for a row of at most 8 vectors. */
INLINE void softmax_grad_short_row(const f32 *y, const f32 *dy, f32 *dx, i64 n, const int vectors) {
  vf v[8], d[8], sum = vset(0);
  const i64 rest = n - (vectors - 1) * VF;
  UNROLL for (int i = 0; i < vectors; i++) {
    const i64 count = i < vectors - 1 ? VF : rest;
    v[i] = ROW_LOAD(y, i * VF, count, 0);
    d[i] = ROW_LOAD(dy, i * VF, count, 0);
    sum = vfma(v[i], d[i], sum);
  }
  const f32 mean = vsum(sum);
  UNROLL for (int i = 0; i < vectors; i++) {
    const i64 count = i < vectors - 1 ? VF : rest;
    ROW_STORE(dx, i * VF, count, (d[i] - mean) * v[i]);
  }
}

static void softmax_grad_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const softmax_plan *plan = context;
  const i64 n = plan->n;
  const f32 *y = plan->x, *dy = plan->dy;
  f32 *dx = plan->y;
#define CASE(vectors) \
  for (i64 row = begin; row < end; row++) softmax_grad_short_row(y + row * n, dy + row * n, dx + row * n, n, vectors)
#define LONG \
  for (i64 row = begin; row < end; row++) softmax_grad_row(y + row * n, dy + row * n, dx + row * n, n)
  ROW_BY_LENGTH(n, CASE, LONG)
#undef LONG
#undef CASE
}

static void log_softmax_grad_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const softmax_plan *plan = context;
  for (i64 row = begin; row < end; row++) {
    const f32 *y = plan->x + row * plan->n, *dy = plan->dy + row * plan->n;
    f32 *dx = plan->y + row * plan->n;
    vf total;
#define JOIN(sum, j, count) sum += ROW_LOAD(dy, j, count, 0);
    ROW_REDUCE(total, plan->n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
    vf scale = vset(-vsum(total));
#define BODY(j, count) \
  ROW_STORE(dx, j, count, vfma(softmax_exp(ROW_LOAD(y, j, count, 0)), scale, ROW_LOAD(dy, j, count, 0)));
    ROW_EACH(plan->n, BODY);
#undef BODY
  }
}

INLINE i64 softmax_run(softmax_plan plan, i64 rows, fwp_body body) {
  if (plan.n > 0) fwp_parallel_for(rows, CEIL_DIV(ROWS_GRAIN, plan.n), body, &plan);
  return OK;
}

/** softmax(x, y, rows, n) */
KERNEL(softmax) { return softmax_run((softmax_plan){.x = F32(0), .y = F32(1), .n = INT(3)}, INT(2), softmax_chunk); }
/** log_softmax(x, y, rows, n) */
KERNEL(log_softmax) {
  return softmax_run((softmax_plan){.x = F32(0), .y = F32(1), .n = INT(3)}, INT(2), log_softmax_chunk);
}
/** softmax_grad(y, dy, dx, rows, n), from the forward output y */
KERNEL(softmax_grad) {
  return softmax_run((softmax_plan){.x = F32(0), .dy = F32(1), .y = F32(2), .n = INT(4)}, INT(3), softmax_grad_chunk);
}
/** log_softmax_grad(y, dy, dx, rows, n), from the forward output y */
KERNEL(log_softmax_grad) {
  return softmax_run((softmax_plan){.x = F32(0), .dy = F32(1), .y = F32(2), .n = INT(4)}, INT(3),
                     log_softmax_grad_chunk);
}

#define SOFTMAX_KERNELS(ENTRY) \
  ENTRY(softmax, 4) \
  ENTRY(log_softmax, 4) \
  ENTRY(softmax_grad, 5) \
  ENTRY(log_softmax_grad, 5)
