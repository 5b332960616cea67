/**
 * Reading and writing by integer indices: gather, scatter, segment sums, one-hot and top-k.
 *
 * Sums over repeated indices are always taken in the order of the indices, also with several threads: threads share
 * the columns, and each walks over all indices. So results don't depend on the number of threads.
 */
#include "fwp.h"
#include "simd.h"
#include "scatter.h"

/* ---- gather ----------------------------------------------------------------------------------- */

typedef struct {
  const char *x;
  const i32 *indices;
  char *y;
  i64 element, outer, dim, slice, count;
} gather_plan;

static void gather_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const gather_plan *plan = context;
  const i64 bytes = plan->slice * plan->element;
  for (i64 row = begin; row < end;) {
    i64 block = row / plan->count, from = row % plan->count;
    i64 n = MIN(plan->count - from, end - row);
    const i32 *indices = plan->indices + block / plan->outer * plan->count + from;
    const char *x = plan->x + block * plan->dim * bytes;
    char *y = plan->y + row * bytes;
    if (bytes == 4) {
      for (i64 i = 0; i < n; i++) ((u32 *)y)[i] = ((const u32 *)x)[indices[i]];
    } else if (bytes == 1) {
      for (i64 i = 0; i < n; i++) y[i] = x[indices[i]];
    } else {
      for (i64 i = 0; i < n; i++) movement_copy(y + i * bytes, x + indices[i] * bytes, bytes);
    }
    row += n;
  }
}

/**
 * gather(x, indices, y, element, batch, outer, dim, slice, count): y[b, o, i, :] = x[b, o, indices[b, i], :] with
 * x [batch, outer, dim, slice], elements of `element` bytes. Status: 1 + the position of an index outside [0, dim).
 */
KERNEL(gather) {
  gather_plan plan = {.x = FWP_POINTER(char, arg[0]), .indices = I32(1), .y = FWP_POINTER(char, arg[2]),
                      .element = INT(3), .outer = INT(5), .dim = INT(6), .slice = INT(7), .count = INT(8)};
  i64 batch = INT(4);
  i64 status = indexing_check(plan.indices, batch * plan.count, plan.dim);
  i64 rows = batch * plan.outer * plan.count;
  if (status != OK || rows * plan.slice == 0) return status;
  fwp_parallel_for(rows, CEIL_DIV(INDEXING_GRAIN, plan.slice), gather_chunk, &plan);
  return OK;
}

/* ---- scatter ---------------------------------------------------------------------------------- */

/**
 * segment_sum(rows, x, y, integers, count, slice, segments): y [segments, slice] = sum over i with rows[i] = s of
 * x[i, :]; rows outside [0, segments) are left out. `integers` chooses int32 over float32.
 */
KERNEL(segment_sum) {
  scatter_plan plan = {.rows = I32(0), .updates = FWP_POINTER(char, arg[1]), .y = FWP_POINTER(char, arg[2]),
                       .mode = FLAG(3) ? SCATTER_ADD_I32 : SCATTER_ADD_F32, .element = 4, .count = INT(4),
                       .slice = INT(5), .limit = INT(6), .step = INT(5)};
  scatter(&plan);
  return OK;
}

/**
 * Row numbers of index tuples [count, rank] with the given strides, as tfjs computes them: only the sum is checked.
 * Returns 1 + the position of the first tuple whose row is outside [0, limit).
 */
static i64 indexing_flatten(const i32 *tuples, i32 *rows, i64 count, i64 rank, i64 limit, const f64 *strides) {
  for (i64 i = 0; i < count; i++) {
    i64 row = 0;
    for (i64 d = 0; d < rank; d++) row += tuples[i * rank + d] * (i64)strides[d];
    if (row < 0 || row >= limit) return i + 1;
    rows[i] = (i32)row;
  }
  return OK;
}

/**
 * gather_nd(x, tuples, y, rows, element, count, rank, slice, limit, 8 × stride): y[i, :] = x[row(tuples[i]), :] with
 * x [limit, slice]; `rows` is work space for `count` int32. Status: 1 + the position of a tuple out of range.
 */
KERNEL(gather_nd) {
  i64 count = INT(5), limit = INT(8);
  i64 status = indexing_flatten(I32(1), I32(3), count, INT(6), limit, arg + 9);
  gather_plan plan = {.x = FWP_POINTER(char, arg[0]), .indices = I32(3), .y = FWP_POINTER(char, arg[2]),
                      .element = INT(4), .outer = 1, .dim = limit, .slice = INT(7), .count = count};
  if (status != OK || count * plan.slice == 0) return status;
  fwp_parallel_for(count, CEIL_DIV(INDEXING_GRAIN, plan.slice), gather_chunk, &plan);
  return OK;
}

/**
 * scatter_nd(tuples, updates, y, rows, mode, element, count, rank, slice, limit, step, 8 × stride): adds (mode 0
 * float32, 1 int32; y is zeroed first) or writes (mode 2) updates[i, :] at row(tuples[i]) of y [limit, slice]; `step`
 * is `slice`, or 0 if one value goes everywhere. `rows` is work space for `count` int32. Status as gather_nd.
 */
KERNEL(scatter_nd) {
  scatter_plan plan = {.rows = I32(3), .updates = FWP_POINTER(char, arg[1]), .y = FWP_POINTER(char, arg[2]),
                       .mode = INT(4), .element = INT(5), .count = INT(6), .slice = INT(8), .limit = INT(9),
                       .step = INT(10)};
  i64 status = indexing_flatten(I32(0), I32(3), plan.count, INT(7), plan.limit, arg + 11);
  if (status == OK) scatter(&plan);
  return status;
}

/* ---- one-hot ----------------------------------------------------------------------------------- */

typedef struct {
  const i32 *indices;
  char *y;
  i64 element, depth;
  u32 on, off;
} one_hot_plan;

static void one_hot_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const one_hot_plan *plan = context;
  movement_fill(plan->y + begin * plan->depth * plan->element, plan->off, (end - begin) * plan->depth, plan->element);
  for (i64 i = begin; i < end; i++) {
    i64 index = plan->indices[i];
    if (index < 0 || index >= plan->depth) continue;
    char *y = plan->y + (i * plan->depth + index) * plan->element;
    if (plan->element == 4) *(u32 *)y = plan->on;
    else *y = (char)plan->on;
  }
}

/**
 * one_hot(indices, y, kind, count, depth, on, off): y[i, :] is `off` but for `on` at indices[i], if that is in range.
 * `kind` is 4 for float32, -4 for int32 and 1 for bool.
 */
KERNEL(one_hot) {
  i64 kind = INT(2), count = INT(3), depth = INT(4);
  union { f32 number; u32 bits; } on = {.number = NUM(5)}, off = {.number = NUM(6)};
  one_hot_plan plan = {.indices = I32(0), .y = FWP_POINTER(char, arg[1]), .element = kind == 1 ? 1 : 4, .depth = depth,
                       .on = kind == 4 ? on.bits : (u32)(i32)INT(5), .off = kind == 4 ? off.bits : (u32)(i32)INT(6)};
  if (depth == 0) return OK;
  fwp_parallel_for(count, CEIL_DIV(INDEXING_GRAIN, depth), one_hot_chunk, &plan);
  return OK;
}

/* ---- top-k ------------------------------------------------------------------------------------- */

typedef struct {
  const i32 *x;
  i32 *values, *indices;
  i64 integers, n, k;
} top_k_plan;

/** Integers in the order of the floats: -0 equals 0, and NaN comes after +Inf. */
INLINE vi top_k_keys(const i32 *x, i64 integers) {
  vi bits = viload(x);
  if (integers) return bits;
  vf number = (vf)bits + 0.0f;
  bits = (vi)number;
  return viselect(number == number, bits ^ ((bits >> 31) & 0x7fffffff), viset(0x7fffffff));
}
INLINE i32 top_k_key(i32 bits, i64 integers) {
  union { i32 bits; f32 number; } x = {.bits = bits};
  if (integers) return bits;
  x.number += 0.0f;
  return x.number == x.number ? x.bits ^ ((x.bits >> 31) & 0x7fffffff) : 0x7fffffff;
}

/** A key and its position in one number, so that of equal keys the one with the lower position is larger. */
INLINE i64 top_k_entry(i32 key, i64 position) { return (i64)((u64)(u32)key << 32 | (u32)~position); }

/** Restores the heap (smallest entry first) below position i. */
INLINE void top_k_sift(i64 *heap, i64 size, i64 i) {
  i64 entry = heap[i];
  for (;;) {
    i64 child = 2 * i + 1;
    if (child >= size) break;
    if (child + 1 < size && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= entry) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = entry;
}

/** The k best entries of a row, best first. */
INLINE void top_k_row(const i32 *x, i64 *heap, i64 n, i64 k, i64 integers) {
  for (i64 i = 0; i < k; i++) heap[i] = top_k_entry(top_k_key(x[i], integers), i);
  for (i64 i = k / 2 - 1; i >= 0; i--) top_k_sift(heap, k, i);
  i32 least = (i32)(heap[0] >> 32);
  i64 i = k;
  while (i < n) {
    /* Later positions lose ties, so only larger keys count; most vectors have none. */
    while (i + VF <= n && !vany(top_k_keys(x + i, integers) > least)) i += VF;
    i64 end = MIN(i + VF, n);
    for (; i < end; i++) {
      i32 key = top_k_key(x[i], integers);
      if (key <= least) continue;
      heap[0] = top_k_entry(key, i);
      top_k_sift(heap, k, 0);
      least = (i32)(heap[0] >> 32);
    }
  }
  for (i64 size = k - 1; size > 0; size--) {
    i64 smallest = heap[0];
    heap[0] = heap[size];
    heap[size] = smallest;
    top_k_sift(heap, size, 0);
  }
}

static void top_k_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const top_k_plan *plan = context;
  i64 *heap = fwp_scratch(thread);
  for (i64 row = begin; row < end; row++) {
    const i32 *x = plan->x + row * plan->n;
    if (plan->integers) top_k_row(x, heap, plan->n, plan->k, 1);
    else top_k_row(x, heap, plan->n, plan->k, 0);
    for (i64 i = 0; i < plan->k; i++) {
      u32 position = ~(u32)(u64)heap[i];
      plan->indices[row * plan->k + i] = (i32)position;
      plan->values[row * plan->k + i] = x[position];
    }
  }
}

/**
 * top_k(x, values, indices, integers, rows, n, k): the k largest of each row, sorted; of equal elements the one with
 * the lower index first; NaN counts as larger than +Inf. `integers` chooses int32 over float32. k <=
 * FWP_SCRATCH_BYTES / 8.
 */
KERNEL(top_k) {
  top_k_plan plan = {.x = I32(0), .values = I32(1), .indices = I32(2), .integers = INT(3), .n = INT(5), .k = INT(6)};
  if (plan.k == 0) return OK;
  fwp_parallel_for(INT(4), CEIL_DIV(INDEXING_GRAIN, plan.n), top_k_chunk, &plan);
  return OK;
}

#define INDEXING_KERNELS(ENTRY) \
  ENTRY(gather, 9) \
  ENTRY(segment_sum, 7) \
  ENTRY(gather_nd, 17) \
  ENTRY(scatter_nd, 19) \
  ENTRY(one_hot, 7) \
  ENTRY(top_k, 7)
