/**
 * Layer norm and RMS norm of rows, forward and backward. x is [rows, n].
 *
 *   layer norm     x̂ = (x - mean x) r,  r = 1 / √(var x + ε)        y = x̂ gain + bias      (Ba et al. 2016)
 *   RMS norm       x̂ = x r,             r = 1 / √(mean x² + ε)      y = x̂ gain             (Zhang, Sennrich 2019)
 *                  dx = r (g - mean g - x̂ mean(g x̂)) with g = dy gain, without mean g for RMS norm
 *
 * A row stays in the first-level cache over its passes, so memory sees it once.
 */
#include "rows.h"

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
  fwp_parallel_for(INT(8), CEIL_DIV(ROWS_GRAIN, MAX(plan.n, 1)), layer_norm_chunk, &plan);
  return OK;
}
/** rms_norm(x, residual?, gain, sum?, y, scale, rows, n, epsilon) */
KERNEL(rms_norm) {
  norm_plan plan = {.x = F32(0), .residual = OPTIONAL_F32(1), .gain = F32(2), .sum = OPTIONAL_F32(3), .y = F32(4),
                    .scale = F32(5), .n = INT(7), .epsilon = NUM(8)};
  fwp_parallel_for(INT(6), CEIL_DIV(ROWS_GRAIN, MAX(plan.n, 1)), rms_norm_chunk, &plan);
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
  ENTRY(layer_norm, 11) \
  ENTRY(rms_norm, 9) \
  ENTRY(layer_norm_grad, 13) \
  ENTRY(rms_norm_grad, 11)
