/**
 * V-trace (Espeholt et al. 2018, equations 1 and 2; recursive form in remark 1), from the last step to the first. With
 * ρ_t = min(ρ̄, π/μ) and c_t = min(c̄, π/μ)
 *
 *   δ_t = ρ_t (r_t + γ_t V_{t+1} − V_t)     v_t = V_t + δ_t + γ_t c_t (v_{t+1} − V_{t+1})     A_t = ρ_t (r_t + γ_t v_{t+1} − V_t)
 *
 * where both v and V behind the last step are the bootstrap value. A sequence is one sequential loop; threads share sequences.
 */
#include "fwp.h"
#include "simd.h"
#include "rows.h"
#include "vector-math.h"

/** Steps of a chunk: some 20 µs. */
#define V_TRACE_GRAIN 8192

typedef struct {
  i64 steps;
  /** [batch, steps] each. */
  const f32 *log_rhos, *discounts, *rewards, *values;
  /** [batch]. */
  const f32 *bootstrap;
  f32 rho_clip, c_clip;
  /** [batch, steps]: v and A. */
  f32 *targets, *advantages;
} v_trace;

static void v_trace_row(const v_trace *task, i64 row) {
  const i64 steps = task->steps, at = row * steps;
  const f32 *log_rhos = task->log_rhos + at, *discounts = task->discounts + at;
  const f32 *rewards = task->rewards + at, *values = task->values + at;
  f32 *targets = task->targets + at, *advantages = task->advantages + at;
#define V_TRACE_RATIO(j, count) ROW_STORE(advantages, j, count, vexp(ROW_LOAD(log_rhos, j, count, 0)));
  ROW_EACH(steps, V_TRACE_RATIO);
#undef V_TRACE_RATIO
  f32 next_value = task->bootstrap[row], next_target = next_value;
  for (i64 t = steps - 1; t >= 0; t--) {
    const f32 rho = MIN(advantages[t], task->rho_clip), c = MIN(advantages[t], task->c_clip);
    const f32 value = values[t], discount = discounts[t];
    const f32 delta = rho * (rewards[t] + discount * next_value - value);
    advantages[t] = rho * (rewards[t] + discount * next_target - value);
    next_target = value + delta + discount * c * (next_target - next_value);
    next_value = value;
    targets[t] = next_target;
  }
}

static void v_trace_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  for (i64 row = begin; row < end; row++) v_trace_row(context, row);
}

/** v_trace(batch, steps, log_rhos, discounts, rewards, values, bootstrap, rho_clip, c_clip, targets, advantages) */
KERNEL(v_trace) {
  const v_trace task = {.steps = INT(1), .log_rhos = F32(2), .discounts = F32(3), .rewards = F32(4), .values = F32(5),
                        .bootstrap = F32(6), .rho_clip = NUM(7), .c_clip = NUM(8), .targets = F32(9), .advantages = F32(10)};
  fwp_parallel_for(INT(0), CEIL_DIV(V_TRACE_GRAIN, MAX(task.steps, 1)), v_trace_chunk, &task);
  return OK;
}

#define V_TRACE_KERNELS(ENTRY) ENTRY(v_trace, 11)
