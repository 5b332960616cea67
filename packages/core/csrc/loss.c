/**
 * Softmax cross-entropy of logits z [rows, n] with integer targets t, weights w (the mask) and label smoothing ε:
 *
 *   loss_r = lse_r - (1 - ε) z_r[t_r] - ε mean(z_r),   lse_r = ln Σ_j exp(z_rj)
 *   dz_rj  = s_r (exp(z_rj - lse_r) - (1 - ε) [j = t_r] - ε / n),   s_r = w_r · gradient of the weighted loss
 *
 * Rows of weight 0 are not read, neither their logits nor their targets, and get the gradient 0.
 */
#include "rows.h"

/** What becomes of the rows' losses. */
enum { LOSS_ROWS, LOSS_SUM, LOSS_MEAN };

typedef struct {
  const f32 *logits, *mask;
  const i32 *targets;
  f32 *losses, *lse;
  i64 n;
  f32 smoothing;
  /** Backward: gradient of the loss ([rows] or one number), and a common factor. */
  const f32 *dy;
  f32 *dlogits;
  f32 factor;
  i64 dy_step;
} loss_plan;

static void cross_entropy_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const loss_plan *plan = context;
  const i64 n = plan->n, block = log_block(n);
  f32 shift[LOG_BLOCK], log_sum[LOG_BLOCK];
  for (i64 first = begin; first < end; first += block) {
    const i64 count = MIN(block, end - first);
    rows_log_sum(plan->logits + first * n, plan->mask ? plan->mask + first : 0, n, count, shift, log_sum);
    for (i64 i = 0; i < count; i++) {
      const i64 row = first + i;
      if (plan->mask && plan->mask[row] == 0) {
        plan->losses[row] = plan->lse[row] = 0;
        continue;
      }
      const f32 *z = plan->logits + row * n;
      const f32 m = shift[i];
      f32 loss = log_sum[i] + (m - z[plan->targets[row]]) * (1 - plan->smoothing);
      if (plan->smoothing != 0) {
        vf total;
#define JOIN(s, j, size) s += m - ROW_LOAD(z, j, size, m);
        ROW_REDUCE(total, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
        loss += vsum(total) / (f32)n * plan->smoothing;
      }
      plan->lse[row] = m + log_sum[i];
      plan->losses[row] = plan->mask ? loss * plan->mask[row] : loss;
    }
  }
}

/** Σ x in a fixed order. */
static f64 loss_sum(const f32 *x, i64 n) {
  f64 sum[4] = {0, 0, 0, 0};
  i64 i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int k = 0; k < 4; k++) sum[k] += x[i + k];
  }
  for (; i < n; i++) sum[0] += x[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/** 1 / Σ w for the mean, 0 if there is no weight at all; 1 for the other reductions. */
static f64 loss_factor(const f32 *mask, i64 rows, i64 reduction) {
  if (reduction != LOSS_MEAN) return 1;
  f64 weight = mask ? loss_sum(mask, rows) : (f64)rows;
  return weight == 0 ? 0 : 1 / weight;
}

/**
 * cross_entropy(logits, targets, mask?, losses, lse, loss?, rows, n, smoothing, reduction): losses and lse are [rows];
 * `loss` is the sum or mean where `reduction` is 1 or 2. Status: 1 + the first row whose target is outside [0, n).
 */
KERNEL(cross_entropy) {
  loss_plan plan = {.logits = F32(0), .targets = I32(1), .mask = OPTIONAL_F32(2), .losses = F32(3), .lse = F32(4),
                    .n = INT(7), .smoothing = NUM(8)};
  const i64 rows = INT(6), reduction = INT(9);
  for (i64 row = 0; row < rows; row++) {
    i64 target = plan.targets[row];
    if ((target < 0 || target >= plan.n) && !(plan.mask && plan.mask[row] == 0)) return row + 1;
  }
  fwp_parallel_for(rows, CEIL_DIV(ROWS_GRAIN, MAX(plan.n, 1)), cross_entropy_chunk, &plan);
  if (reduction != LOSS_ROWS) {
    F32(5)[0] = (f32)(loss_sum(plan.losses, rows) * loss_factor(plan.mask, rows, reduction));
  }
  return OK;
}

static void cross_entropy_grad_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const loss_plan *plan = context;
  const i64 n = plan->n;
  for (i64 row = begin; row < end; row++) {
    f32 *dz = plan->dlogits + row * n;
    const f32 weight = plan->mask ? plan->mask[row] : 1;
    if (weight == 0) {
      zero_bytes(dz, n * 4);
      continue;
    }
    const f32 *z = plan->logits + row * n;
    const f32 scale = weight * plan->factor * plan->dy[row * plan->dy_step], lse = plan->lse[row];
    const f32 uniform = plan->smoothing / (f32)n;
#define BODY(j, count) \
  ROW_STORE(dz, j, count, (softmax_exp(ROW_LOAD(z, j, count, 0) - lse) - uniform) * scale);
    ROW_EACH(n, BODY);
#undef BODY
    dz[plan->targets[row]] -= (1 - plan->smoothing) * scale;
  }
}

/**
 * cross_entropy_grad(logits, targets, mask?, lse, dy, dlogits, rows, n, smoothing, reduction): dy is [rows] for
 * reduction 0, else one number.
 */
KERNEL(cross_entropy_grad) {
  const i64 rows = INT(6), reduction = INT(9);
  loss_plan plan = {.logits = F32(0), .targets = I32(1), .mask = OPTIONAL_F32(2), .lse = F32(3), .dy = F32(4),
                    .dlogits = F32(5), .n = INT(7), .smoothing = NUM(8), .dy_step = reduction == LOSS_ROWS};
  plan.factor = (f32)loss_factor(plan.mask, rows, reduction);
  fwp_parallel_for(rows, CEIL_DIV(ROWS_GRAIN, MAX(plan.n, 1)), cross_entropy_grad_chunk, &plan);
  return OK;
}

#define LOSS_KERNELS(ENTRY) \
  ENTRY(cross_entropy, 10) \
  ENTRY(cross_entropy_grad, 10)
