/**
 * Copy gate (Csordás, Irie and Schmidhuber 2022, equation 5): each number is kept or replaced,
 *
 *   y = h + g (m − h),  g = σ(x)      dh = dy (1 − g)      dm = dy g      dx = dy (m − h) g (1 − g)
 *
 * and with gate dropout g = 0 for whole rows, row i by word i of a random stream.
 */
#include "random.h"

/** Elements per chunk; a chunk has whole groups of four rows, as random words do. */
#define COPY_GATE_GRAIN 16384

typedef struct {
  random_job random;
  /** Rows whose word is below are not dropped; no dropout if `drops` is 0. */
  u32 threshold;
  i32 drops;
  i64 columns;
  const f32 *h, *m, *x, *dy;
  /** Forward: y. Backward: dh, dm, dx. */
  f32 *y, *dm, *dx;
} copy_gate;

/** Which of the rows [begin, end) are dropped, 64 at a time: `words` of the group that `row` is in. */
INLINE i32 copy_gate_is_dropped(const copy_gate *task, i64 row, i64 begin, u32 *words) {
  if (!task->drops) return 0;
  const i64 place = (row - begin) % 64;
  if (place == 0) random_words(&task->random, row, 64, words);
  return words[place] >= task->threshold;
}

/** `count` numbers, a constant VF except at the end of a row. */
INLINE vf copy_gate_load(const f32 *x, i64 count) { return count == VF ? vload(x) : vload_first(x, count, 0); }
INLINE void copy_gate_store(f32 *y, vf x, i64 count) {
  if (count == VF) vstore(y, x);
  else vstore_first(y, x, count);
}

INLINE void copy_gate_mix(const copy_gate *task, i64 at, i64 count) {
  const vf h = copy_gate_load(task->h + at, count), m = copy_gate_load(task->m + at, count);
  copy_gate_store(task->y + at, vfma(vsigmoid(copy_gate_load(task->x + at, count)), m - h, h), count);
}

static void copy_gate_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const copy_gate *task = context;
  const i64 columns = task->columns;
  _Alignas(64) u32 words[64 + 4 * VF];
  for (i64 row = begin; row < end; row++) {
    i64 at = row * columns, last = at + columns;
    if (copy_gate_is_dropped(task, row, begin, words)) {
      copy_bytes(task->y + at, task->h + at, columns * 4);
      continue;
    }
    for (; at + VF <= last; at += VF) copy_gate_mix(task, at, VF);
    if (at < last) copy_gate_mix(task, at, last - at);
  }
}

INLINE void copy_gate_differentiate(const copy_gate *task, i64 at, i64 count) {
  const vf h = copy_gate_load(task->h + at, count), m = copy_gate_load(task->m + at, count);
  const vf g = vsigmoid(copy_gate_load(task->x + at, count)), dy = copy_gate_load(task->dy + at, count);
  const vf dm = dy * g;
  copy_gate_store(task->y + at, dy - dm, count);
  copy_gate_store(task->dm + at, dm, count);
  copy_gate_store(task->dx + at, dm * (m - h) * (1.0f - g), count);
}

static void copy_gate_gradient_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const copy_gate *task = context;
  const i64 columns = task->columns;
  _Alignas(64) u32 words[64 + 4 * VF];
  for (i64 row = begin; row < end; row++) {
    i64 at = row * columns, last = at + columns;
    if (copy_gate_is_dropped(task, row, begin, words)) {
      copy_bytes(task->y + at, task->dy + at, columns * 4);
      zero_bytes(task->dm + at, columns * 4);
      zero_bytes(task->dx + at, columns * 4);
      continue;
    }
    for (; at + VF <= last; at += VF) copy_gate_differentiate(task, at, VF);
    if (at < last) copy_gate_differentiate(task, at, last - at);
  }
}

static void copy_gate_run(const f64 *arg, copy_gate task, fwp_body body) {
  task.random = random_job_of(arg);
  task.threshold = (u32)arg[8], task.drops = FLAG(9);
  const i64 rows = INT(10);
  task.columns = INT(11), task.h = F32(12), task.m = F32(13), task.x = F32(14);
  fwp_parallel_for(rows, ROUND_UP(CEIL_DIV(COPY_GATE_GRAIN, MAX(1, task.columns)), 4), body, &task);
}

/** copy_gate(random stream (8), threshold, drops, rows, columns, h, m, x, y) */
KERNEL(copy_gate) {
  copy_gate_run(arg, (copy_gate){.y = F32(15)}, copy_gate_chunk);
  return OK;
}

/** copy_gate_gradient(…the same up to x, dy, dh, dm, dx) */
KERNEL(copy_gate_gradient) {
  copy_gate_run(arg, (copy_gate){.dy = F32(15), .y = F32(16), .dm = F32(17), .dx = F32(18)}, copy_gate_gradient_chunk);
  return OK;
}

#define COPY_GATE_KERNELS(ENTRY) ENTRY(copy_gate, 16) ENTRY(copy_gate_gradient, 19)
