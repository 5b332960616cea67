/**
 * Normalisation of rows: softmax, log-softmax, layer norm and RMS norm, forward and backward. x is [rows, n].
 *
 *   softmax        y = exp(x - max x) / Σ exp(x - max x)            dx = (dy - Σ dy y) y
 *   log-softmax    y = x - max x - ln Σ exp(x - max x)              dx = dy - exp(y) Σ dy
 *   layer norm     x̂ = (x - mean x) r,  r = 1 / √(var x + ε)        y = x̂ gain + bias      (Ba et al. 2016)
 *   RMS norm       x̂ = x r,             r = 1 / √(mean x² + ε)      y = x̂ gain             (Zhang and Sennrich 2019)
 *                  dx = r (g - mean g - x̂ mean(g x̂)) with g = dy gain, without mean g for RMS norm
 *
 * A row stays in the first-level cache over its passes, so memory sees it once. A row that holds NaN or +Inf, or only
 * -Inf, gives NaN in softmax and log-softmax.
 */
#include "simd.h"
#include "vector-math.h"

/** Elements per chunk of rows: some 20 µs. */
#define NORMALIZATION_GRAIN 16384

/* ---- sums along a row ------------------------------------------------------------------------- */

/*
 * ROW_REDUCE folds JOIN(accumulator, j, count) over the vectors of a row of n elements, starting from `first`; j is a
 * vector's first element and `count` is VF or, for the last one, what is left. Four accumulators, which COMBINE joins
 * at the end, hide the latency; the order depends on n only.
 */
#define ROW_REDUCE(result, n, first, JOIN, COMBINE)                            \
  do {                                                                         \
    vf row_a = (first), row_b = row_a, row_c = row_a, row_d = row_a;           \
    i64 row_j = 0;                                                             \
    for (; row_j + 4 * VF <= (n); row_j += 4 * VF) {                           \
      JOIN(row_a, row_j, VF)                                                   \
      JOIN(row_b, row_j + VF, VF)                                              \
      JOIN(row_c, row_j + 2 * VF, VF)                                          \
      JOIN(row_d, row_j + 3 * VF, VF)                                          \
    }                                                                          \
    for (; row_j + VF <= (n); row_j += VF) { JOIN(row_a, row_j, VF) }          \
    if (row_j < (n)) { JOIN(row_b, row_j, (n)-row_j) }                         \
    (result) = COMBINE(COMBINE(row_a, row_b), COMBINE(row_c, row_d));          \
  } while (0)
#define ROW_PLUS(a, b) ((a) + (b))
#define ROW_LOAD(p, j, count, fill) ((count) == VF ? vload((p) + (j)) : vload_first((p) + (j), count, fill))
#define ROW_STORE(p, j, count, v)                  \
  do {                                             \
    if ((count) == VF) vstore((p) + (j), v);       \
    else vstore_first((p) + (j), v, count);        \
  } while (0)
/** Runs BODY(j, count) for the vectors of a row. */
#define ROW_EACH(n, BODY)                                                \
  do {                                                                   \
    i64 row_j = 0;                                                       \
    for (; row_j + VF <= (n); row_j += VF) { BODY(row_j, VF) }           \
    if (row_j < (n)) { BODY(row_j, (n)-row_j) }                          \
  } while (0)

/* ---- softmax ----------------------------------------------------------------------------------- */

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

/** Calls CASE(vectors) with a constant for rows of at most 8 vectors, LONG for others. */
#define ROW_BY_LENGTH(n, CASE, LONG)      \
  switch (CEIL_DIV(n, VF)) {              \
    case 1: CASE(1); break;               \
    case 2: CASE(2); break;               \
    case 3: CASE(3); break;               \
    case 4: CASE(4); break;               \
    case 5: CASE(5); break;               \
    case 6: CASE(6); break;               \
    case 7: CASE(7); break;               \
    case 8: CASE(8); break;               \
    default: LONG;                        \
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
  if (plan.n > 0) fwp_parallel_for(rows, CEIL_DIV(NORMALIZATION_GRAIN, plan.n), body, &plan);
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

/* ---- layer norm and RMS norm -------------------------------------------------------------------- */

typedef struct {
  /** Forward: x, and what is added to it first, or null. */
  const f32 *x, *residual, *gain, *bias;
  /** Forward: x + residual if there is a residual; the output; the rows' means (layer norm only) and r. */
  f32 *sum, *y, *mean, *scale;
  i64 rows, n;
  f32 epsilon;
  /** Backward: gradients of y and, or null, of `sum`; of x; sums over the chunks' rows [chunks][1 or 2][n]. */
  const f32 *dy, *dsum;
  f32 *dx, *partial, *dgain, *dbias;
  i64 chunk_rows;
} norm_plan;

INLINE void norm_row(const norm_plan *plan, i64 row, const int centered) {
  const i64 n = plan->n;
  const f32 *x = plan->x + row * n, *gain = plan->gain, *bias = plan->bias;
  f32 *y = plan->y + row * n;
  vf total;
  if (plan->residual) {
    const f32 *residual = plan->residual + row * n;
    f32 *sum = plan->sum + row * n;
#define JOIN(s, j, count)                                                          \
  {                                                                                \
    vf v = ROW_LOAD(x, j, count, 0) + ROW_LOAD(residual, j, count, 0);             \
    ROW_STORE(sum, j, count, v);                                                   \
    s = centered ? s + v : vfma(v, v, s);                                          \
  }
    ROW_REDUCE(total, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
    x = sum;
  } else {
#define JOIN(s, j, count)                                                          \
  {                                                                                \
    vf v = ROW_LOAD(x, j, count, 0);                                               \
    s = centered ? s + v : vfma(v, v, s);                                          \
  }
    ROW_REDUCE(total, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
  }
  f32 mean = 0, variance = vsum(total) / (f32)n;
  if (centered) {
    mean = variance;
#define JOIN(s, j, count)                                                          \
  {                                                                                \
    vf v = ROW_LOAD(x, j, count, mean) - mean;                                     \
    s = vfma(v, v, s);                                                             \
  }
    ROW_REDUCE(total, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
    variance = vsum(total) / (f32)n;
    plan->mean[row] = mean;
  }
  f32 scale = 1.0f / __builtin_sqrtf(variance + plan->epsilon);
  plan->scale[row] = scale;
  if (centered) {
#define BODY(j, count)                                                                                    \
  ROW_STORE(y, j, count,                                                                                  \
            vfma((ROW_LOAD(x, j, count, 0) - mean) * scale, ROW_LOAD(gain, j, count, 0), ROW_LOAD(bias, j, count, 0)));
    ROW_EACH(n, BODY);
#undef BODY
  } else {
#define BODY(j, count) ROW_STORE(y, j, count, ROW_LOAD(x, j, count, 0) * scale * ROW_LOAD(gain, j, count, 0));
    ROW_EACH(n, BODY);
#undef BODY
  }
}

static void layer_norm_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  for (i64 row = begin; row < end; row++) norm_row(context, row, 1);
}
static void rms_norm_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  for (i64 row = begin; row < end; row++) norm_row(context, row, 0);
}

/**
 * layer_norm(x, residual?, gain, bias, sum?, y, mean, scale, rows, n, epsilon): normalises x + residual and stores
 * that sum, or normalises x. mean and scale are [rows].
 */
KERNEL(layer_norm) {
  norm_plan plan = {.x = F32(0), .residual = OPTIONAL_F32(1), .gain = F32(2), .bias = F32(3), .sum = OPTIONAL_F32(4),
                    .y = F32(5), .mean = F32(6), .scale = F32(7), .n = INT(9), .epsilon = NUM(10)};
  fwp_parallel_for(INT(8), CEIL_DIV(NORMALIZATION_GRAIN, MAX(plan.n, 1)), layer_norm_chunk, &plan);
  return OK;
}
/** rms_norm(x, residual?, gain, sum?, y, scale, rows, n, epsilon) */
KERNEL(rms_norm) {
  norm_plan plan = {.x = F32(0), .residual = OPTIONAL_F32(1), .gain = F32(2), .sum = OPTIONAL_F32(3), .y = F32(4),
                    .scale = F32(5), .n = INT(7), .epsilon = NUM(8)};
  fwp_parallel_for(INT(6), CEIL_DIV(NORMALIZATION_GRAIN, MAX(plan.n, 1)), rms_norm_chunk, &plan);
  return OK;
}

/** Gradient of one row; adds its part of dgain and dbias. */
INLINE void norm_grad_row(const norm_plan *plan, i64 row, f32 *dgain, f32 *dbias, const int centered,
                          const int residual) {
  const i64 n = plan->n;
  const f32 *x = plan->x + row * n, *dy = plan->dy + row * n, *gain = plan->gain;
  const f32 *dsum = residual ? plan->dsum + row * n : 0;
  f32 *dx = plan->dx + row * n;
  const f32 mean = centered ? plan->mean[row] : 0, scale = plan->scale[row];
  vf g_total = vset(0), gx_total;
#define JOIN(s, j, count)                                                  \
  {                                                                        \
    vf g = ROW_LOAD(dy, j, count, 0) * ROW_LOAD(gain, j, count, 0);        \
    if (centered) g_total += g;                                            \
    s = vfma(g, ROW_LOAD(x, j, count, mean) - mean, s);                    \
  }
  ROW_REDUCE(gx_total, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
  const f32 g_mean = centered ? vsum(g_total) / (f32)n : 0;
  const f32 gx_mean = vsum(gx_total) * scale / (f32)n;
#define BODY(j, count)                                                                                  \
  {                                                                                                     \
    vf d = ROW_LOAD(dy, j, count, 0);                                                                   \
    vf xhat = (ROW_LOAD(x, j, count, mean) - mean) * scale;                                             \
    vf v = (d * ROW_LOAD(gain, j, count, 0) - g_mean - xhat * gx_mean) * scale;                         \
    if (residual) v += ROW_LOAD(dsum, j, count, 0);                                                     \
    ROW_STORE(dx, j, count, v);                                                                         \
    vstore(dgain + j, vfma(d, xhat, vload(dgain + j)));                                                 \
    if (centered) vstore(dbias + j, vload(dbias + j) + d);                                              \
  }
  ROW_EACH(n, BODY);
#undef BODY
}

/** Rows of the partial sums are padded to whole vectors, so that their tails need no care. */
#define NORM_PARTIAL(n) ROUND_UP(n, 16)

INLINE void norm_grad_chunk(const norm_plan *plan, i64 begin, i64 end, const int centered, const int residual) {
  const i64 width = NORM_PARTIAL(plan->n), sums = centered ? 2 : 1;
  f32 *dgain = plan->partial + begin / plan->chunk_rows * sums * width, *dbias = dgain + width;
  zero_bytes(dgain, sums * width * 4);
  for (i64 row = begin; row < end; row++) norm_grad_row(plan, row, dgain, dbias, centered, residual);
}
static void layer_norm_grad_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const norm_plan *plan = context;
  if (plan->dsum) norm_grad_chunk(plan, begin, end, 1, 1);
  else norm_grad_chunk(plan, begin, end, 1, 0);
}
static void rms_norm_grad_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const norm_plan *plan = context;
  if (plan->dsum) norm_grad_chunk(plan, begin, end, 0, 1);
  else norm_grad_chunk(plan, begin, end, 0, 0);
}

/** Columns [begin, end) of dgain and dbias: the chunks' sums, added in the order of the chunks. */
static void norm_combine_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const norm_plan *plan = context;
  const i64 width = NORM_PARTIAL(plan->n), chunks = CEIL_DIV(plan->rows, plan->chunk_rows), sums = plan->dbias ? 2 : 1;
  for (i64 s = 0; s < sums; s++) {
    f32 *y = s == 0 ? plan->dgain : plan->dbias;
    const f32 *partial = plan->partial + s * width;
    for (i64 j = begin; j < end; j++) y[j] = 0;
    for (i64 chunk = 0; chunk < chunks; chunk++) {
      for (i64 j = begin; j < end; j++) y[j] += partial[chunk * sums * width + j];
    }
  }
}

INLINE i64 norm_grad_run(norm_plan *plan, fwp_body body) {
  fwp_parallel_for(plan->rows, plan->chunk_rows, body, plan);
  fwp_parallel_for(plan->n, 1024, norm_combine_chunk, plan);
  return OK;
}

/**
 * layer_norm_grad(x, gain, mean, scale, dy, dsum?, dx, dgain, dbias, partial, rows, n, chunk_rows): x is what was
 * normalised; dsum is added to dx. Work space `partial`: ceil(rows / chunk_rows) · 2 · (n rounded up to 16) floats.
 */
KERNEL(layer_norm_grad) {
  norm_plan plan = {.x = F32(0), .gain = F32(1), .mean = F32(2), .scale = F32(3), .dy = F32(4),
                    .dsum = OPTIONAL_F32(5), .dx = F32(6), .dgain = F32(7), .dbias = F32(8), .partial = F32(9),
                    .rows = INT(10), .n = INT(11), .chunk_rows = INT(12)};
  return norm_grad_run(&plan, layer_norm_grad_chunk);
}
/** rms_norm_grad(x, gain, scale, dy, dsum?, dx, dgain, partial, rows, n, chunk_rows): likewise, one sum a chunk. */
KERNEL(rms_norm_grad) {
  norm_plan plan = {.x = F32(0), .gain = F32(1), .scale = F32(2), .dy = F32(3), .dsum = OPTIONAL_F32(4), .dx = F32(5),
                    .dgain = F32(6), .partial = F32(7), .rows = INT(8), .n = INT(9), .chunk_rows = INT(10)};
  return norm_grad_run(&plan, rms_norm_grad_chunk);
}

#define NORMALIZATION_KERNELS(ENTRY) \
  ENTRY(softmax, 4) \
  ENTRY(log_softmax, 4) \
  ENTRY(softmax_grad, 5) \
  ENTRY(log_softmax_grad, 5) \
  ENTRY(layer_norm, 11) \
  ENTRY(rms_norm, 9) \
  ENTRY(layer_norm_grad, 13) \
  ENTRY(rms_norm_grad, 11)
