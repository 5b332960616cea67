/**
 * What a linear layer y = activation(x W + bias) needs beside matrix products: the activation on its own, for layers
 * that keep z = x W + bias for the backward, and in one pass over memory
 *
 *   dz = dy ∘ activation'     dbias = Σ_rows dz
 *
 * The derivative is taken from y where it can be (ReLU, tanh, sigmoid) and from z otherwise (GELU, SiLU).
 */
#include "fwp.h"
#include "simd.h"
#include "vector-math.h"
#include "gemm.h"

/** Elements per chunk, and most chunks that sum the bias's gradient on their own. */
#define LINEAR_GRAIN 32768
#define LINEAR_CHUNKS 32

typedef struct {
  const f32 *dy, *known;
  f32 *dz, *partial, *d_bias;
  i64 rows, columns, rows_at_once, chunks;
  i32 activation;
} linear_task;

INLINE vf linear_activate_vector(vf z, i32 activation) {
  return gemm_activate(z, activation, 0);
}

INLINE vf linear_gradient_vector(vf dy, vf known, i32 activation) {
  switch (activation) {
    case ACTIVATION_RELU: return vselect(known <= 0, vset(0), dy);
    case ACTIVATION_TANH: return dy * (1.0f - known * known);
    case ACTIVATION_SIGMOID: return dy * known * (1.0f - known);
    case ACTIVATION_GELU: return dy * vgelu_grad(known);
    case ACTIVATION_SILU: {
      const vf s = vsigmoid(known);
      return dy * s * vfma(known, 1.0f - s, vset(1));
    }
    default: return dy;
  }
}

static void linear_activate_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const linear_task *task = context;
  const f32 *z = task->known;
  f32 *y = task->dz;
  i64 i = begin;
  for (; i + VF <= end; i += VF) vstore(y + i, linear_activate_vector(vload(z + i), task->activation));
  if (i < end) vstore_first(y + i, linear_activate_vector(vload_first(z + i, end - i, 0), task->activation), end - i);
}

/** linear_activate(z, y, count, activation) */
KERNEL(linear_activate) {
  const linear_task task = {.known = F32(0), .dz = F32(1), .activation = (i32)INT(3)};
  fwp_parallel_for(INT(2), LINEAR_GRAIN / 2, linear_activate_chunk, &task);
  return OK;
}

/** One block of rows for one activation, known at compile time; `known` and `dz` may be absent for none. */
INLINE void linear_backward_rows(const linear_task *task, i64 begin, i64 end, f32 *sums, const i32 activation) {
  const i64 columns = task->columns;
  for (i64 j = 0; j < columns; j += VF) {
    const i64 count = MIN(VF, columns - j);
    vf sum = vset(0);
    for (i64 row = begin; row < end; row++) {
      const i64 at = row * columns + j;
      vf dz = count == VF ? vload(task->dy + at) : vload_first(task->dy + at, count, 0);
      if (activation != ACTIVATION_NONE) {
        dz = linear_gradient_vector(dz, count == VF ? vload(task->known + at) : vload_first(task->known + at, count, 0), activation);
        if (count == VF) vstore(task->dz + at, dz);
        else vstore_first(task->dz + at, dz, count);
      }
      sum += dz;
    }
    if (!sums) continue;
    if (count == VF) vstore(sums + j, vload(sums + j) + sum);
    else vstore_first(sums + j, vload_first(sums + j, count, 0) + sum, count);
  }
}

static void linear_backward_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const linear_task *task = context;
  f32 *sums = task->partial ? task->partial + begin / task->rows_at_once * task->columns : 0;
  if (sums) zero_bytes(sums, task->columns * 4);
  /* A few rows at a time: columns outside, so that sums stay in registers, but within the cache. */
  const i64 step = MAX(8, 4096 / MAX(1, task->columns));
  for (i64 row = begin; row < end; row += step) {
    const i64 stop = MIN(end, row + step);
    switch (task->activation) {
      case ACTIVATION_RELU: linear_backward_rows(task, row, stop, sums, ACTIVATION_RELU); break;
      case ACTIVATION_TANH: linear_backward_rows(task, row, stop, sums, ACTIVATION_TANH); break;
      case ACTIVATION_SIGMOID: linear_backward_rows(task, row, stop, sums, ACTIVATION_SIGMOID); break;
      case ACTIVATION_GELU: linear_backward_rows(task, row, stop, sums, ACTIVATION_GELU); break;
      case ACTIVATION_SILU: linear_backward_rows(task, row, stop, sums, ACTIVATION_SILU); break;
      default: linear_backward_rows(task, row, stop, sums, ACTIVATION_NONE);
    }
  }
}

/**
 * linear_backward(dy, known, dz, d_bias, partial, rows, columns, activation): `known` is y or z, as the activation wants;
 * without an activation, `known` and `dz` are 0. `d_bias` [columns] is optional; `partial` has room for LINEAR_CHUNKS rows.
 */
KERNEL(linear_backward) {
  linear_task task = {
      .dy = F32(0), .known = OPTIONAL_F32(1), .dz = OPTIONAL_F32(2), .d_bias = OPTIONAL_F32(3),
      .rows = INT(5), .columns = INT(6), .activation = (i32)INT(7),
  };
  if (task.d_bias) task.partial = F32(4);
  task.rows_at_once = MAX(CEIL_DIV(task.rows, LINEAR_CHUNKS), CEIL_DIV(LINEAR_GRAIN, MAX(1, task.columns)));
  fwp_parallel_for(task.rows, task.rows_at_once, linear_backward_chunk, &task);
  if (!task.d_bias) return OK;
  zero_bytes(task.d_bias, task.columns * 4);
  for (i64 chunk = 0; chunk * task.rows_at_once < task.rows; chunk++) {
    const f32 *sums = task.partial + chunk * task.columns;
    for (i64 j = 0; j < task.columns; j++) task.d_bias[j] += sums[j];
  }
  return OK;
}

#define LINEAR_KERNELS(ENTRY) ENTRY(linear_activate, 4) ENTRY(linear_backward, 8)
