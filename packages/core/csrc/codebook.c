/**
 * Codebooks of vector quantisation: sums over neighbours on a grid, and the moving average by which codes follow their data.
 *
 *   stencil   y[i] = x[i] + weight · Σ x[j] over the grid neighbours j of i         x [cells, d]
 *   average   c ← b c + (1 − b) n,  m ← b m + (1 − b) s,  w = m / c                 Irie, Csordás, Schmidhuber 2023
 */
#include "fwp.h"
#include "rows.h"

/* ---- neighbours on a grid ------------------------------------------------------------------------ */

/** Most axes of a grid. */
#define GRID_AXES 4

typedef struct {
  const f32 *x;
  f32 *y;
  i64 axes, sizes[GRID_AXES], d;
  f32 weight;
} grid_plan;

/** Cells [begin, end): a cell's number is Σ coordinate · product of the sizes of the axes before. */
static void grid_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const grid_plan *plan = context;
  const i64 d = plan->d;
  i64 steps = 1;
  for (i64 axis = 0; axis < plan->axes; axis++) steps *= 3;
  for (i64 cell = begin; cell < end; cell++) {
    i64 neighbours[81], found = 0;
    for (i64 step = 0; step < steps; step++) {
      i64 rest = step, place = cell, stride = 1, other = cell, moved = 0, inside = 1;
      for (i64 axis = 0; axis < plan->axes; axis++) {
        const i64 size = plan->sizes[axis], shift = rest % 3 - 1, to = place % size + shift;
        inside &= to >= 0 && to < size;
        moved += shift != 0;
        other += shift * stride;
        rest /= 3, place /= size, stride *= size;
      }
      /* At a distance below 1.5 at most two coordinates differ, by one. */
      if (inside && (moved == 1 || moved == 2)) neighbours[found++] = other;
    }
    const f32 *x = plan->x;
    f32 *y = plan->y + cell * d;
    const f32 weight = plan->weight;
#define BODY(j, count)                                                                               \
  {                                                                                                  \
    vf sum = vset(0);                                                                                \
    for (i64 i = 0; i < found; i++) sum += ROW_LOAD(x + neighbours[i] * d, j, count, 0);             \
    ROW_STORE(y, j, count, vfma(vset(weight), sum, ROW_LOAD(x + cell * d, j, count, 0)));            \
  }
    ROW_EACH(d, BODY);
#undef BODY
  }
}

/** grid_neighbor_sum(x, y, weight, cells, d, axes, 4 × size): y = x + weight · the sum of x over each cell's neighbours. */
KERNEL(grid_neighbor_sum) {
  grid_plan plan = {.x = F32(0), .y = F32(1), .weight = NUM(2), .d = INT(4), .axes = INT(5),
                    .sizes = {INT(6), INT(7), INT(8), INT(9)}};
  fwp_parallel_for(INT(3), CEIL_DIV(ROWS_GRAIN / 4, MAX(plan.d, 8)), grid_chunk, &plan);
  return OK;
}

/* ---- the moving average --------------------------------------------------------------------------- */

enum { SMOOTHING_NONE, SMOOTHING_STORED, SMOOTHING_DIVISOR };

typedef struct {
  const f32 *sums, *batch_counts, *batch_sums, *divisors, *codes;
  f32 *new_sums, *new_codes;
  i64 d;
  f32 decay;
  i32 keep_unused;
} vq_average_plan;

static void vq_average_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const vq_average_plan *plan = context;
  const i64 d = plan->d;
  const vf decay = vset(plan->decay), rest = vset(1 - plan->decay);
  for (i64 k = begin; k < end; k++) {
    const f32 *sums = plan->sums + k * d, *batch = plan->batch_sums + k * d;
    f32 *new_sums = plan->new_sums + k * d, *codes = plan->new_codes + k * d;
    if (plan->keep_unused && plan->batch_counts[k] == 0) {
      copy_bytes(new_sums, sums, d * 4);
      copy_bytes(codes, plan->codes + k * d, d * 4);
      continue;
    }
    const vf divisor = vset(plan->divisors[k]);
#define BODY(j, count)                                                                               \
  {                                                                                                  \
    const vf m = vfma(decay, ROW_LOAD(sums, j, count, 0), rest * ROW_LOAD(batch, j, count, 0));      \
    ROW_STORE(new_sums, j, count, m);                                                                \
    ROW_STORE(codes, j, count, m / divisor);                                                         \
  }
    ROW_EACH(d, BODY);
#undef BODY
  }
}

/**
 * vq_average(counts, sums, codes, batch_counts, batch_sums, new_counts, new_sums, new_codes, divisors, count, d, decay,
 * epsilon, smoothing, keep_unused): the moving averages of counts [count] and sums [count, d], and their quotients. Laplace
 * smoothing (c + ε) / (Σc + count ε) · Σc is stored (1), of the divisor only (2), or left out (0). With keep_unused, what
 * has a batch count of 0 stays as it is. Workspace `divisors`: count floats.
 */
KERNEL(vq_average) {
  const f32 *counts = F32(0), *batch_counts = F32(3);
  f32 *new_counts = F32(5), *divisors = F32(8);
  const i64 count = INT(9);
  const f64 decay = arg[11], epsilon = arg[12];
  const i64 smoothing = INT(13);
  vq_average_plan plan = {.sums = F32(1), .codes = F32(2), .batch_counts = batch_counts, .batch_sums = F32(4),
                          .new_sums = F32(6), .new_codes = F32(7), .divisors = divisors, .d = INT(10),
                          .decay = (f32)decay, .keep_unused = FLAG(14)};
  f64 total = 0;
  for (i64 k = 0; k < count; k++) {
    const i32 keeps = plan.keep_unused && batch_counts[k] == 0;
    const f32 c = keeps ? counts[k] : (f32)(decay * counts[k] + (1 - decay) * batch_counts[k]);
    new_counts[k] = divisors[k] = c;
    total += c;
  }
  if (smoothing != SMOOTHING_NONE) {
    const f64 scale = total / (total + (f64)count * epsilon);
    for (i64 k = 0; k < count; k++) {
      divisors[k] = (f32)((new_counts[k] + epsilon) * scale);
      if (smoothing == SMOOTHING_STORED) new_counts[k] = divisors[k];
    }
  }
  fwp_parallel_for(count, CEIL_DIV(ROWS_GRAIN, MAX(plan.d, 1)), vq_average_chunk, &plan);
  return OK;
}

#define CODEBOOK_KERNELS(ENTRY)  \
  ENTRY(grid_neighbor_sum, 10)   \
  ENTRY(vq_average, 15)
