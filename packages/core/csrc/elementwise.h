/** What the elementwise families share: chunk sizes and loops over vectors with a masked tail. */
#ifndef ELEMENTWISE_H
#define ELEMENTWISE_H

#include "vector-math.h"

/*
 * Elements per chunk: about 20 µs of work each, for operations that only move memory and for those that
 * compute. Fixed, so that chunking never depends on the number of threads.
 */
#define LIGHT_GRAIN (1 << 16)
#define HEAVY_GRAIN (1 << 14)

typedef struct {
  const void *a, *b;
  void *out;
  f32 p, q;
} elementwise_job;

/** out[i] = expression of x (a[i]) and the parameters p and q, over [begin, end) of floats. */
#define UNARY_LOOP(expression)                                                                        \
  {                                                                                                   \
    const elementwise_job *job = context;                                                             \
    const f32 *a = job->a;                                                                            \
    f32 *out = job->out;                                                                              \
    UNUSED const vf p = vset(job->p), q = vset(job->q);                                               \
    i64 i = begin;                                                                                    \
    for (; i + VF <= end; i += VF) {                                                                  \
      const vf x = vload(a + i);                                                                      \
      vstore(out + i, expression);                                                                    \
    }                                                                                                 \
    if (i < end) {                                                                                    \
      const vf x = vload_first(a + i, end - i, 1.0f);                                                 \
      vstore_first(out + i, expression, end - i);                                                     \
    }                                                                                                 \
  }

/** The same for x (a[i]) and y (b[i]). */
#define PAIR_LOOP(expression)                                                                         \
  {                                                                                                   \
    const elementwise_job *job = context;                                                             \
    const f32 *a = job->a, *b = job->b;                                                               \
    f32 *out = job->out;                                                                              \
    UNUSED const vf p = vset(job->p);                                                                 \
    i64 i = begin;                                                                                    \
    for (; i + VF <= end; i += VF) {                                                                  \
      const vf x = vload(a + i), y = vload(b + i);                                                    \
      vstore(out + i, expression);                                                                    \
    }                                                                                                 \
    if (i < end) {                                                                                    \
      const vf x = vload_first(a + i, end - i, 1.0f), y = vload_first(b + i, end - i, 1.0f);          \
      vstore_first(out + i, expression, end - i);                                                     \
    }                                                                                                 \
  }

/** A range over elements of any types, which the compiler vectorises. */
#define SCALAR_LOOP(in_type, out_type, expression)                                                    \
  {                                                                                                   \
    const elementwise_job *job = context;                                                             \
    const in_type *restrict a = job->a;                                                               \
    out_type *restrict out = job->out;                                                                \
    for (i64 i = begin; i < end; i++) {                                                               \
      const in_type x = a[i];                                                                         \
      out[i] = (out_type)(expression);                                                                \
    }                                                                                                 \
  }

#define RANGE_FUNCTION(name) static void name##_range(const void *context, i64 begin, i64 end, i64 thread UNUSED)

/** JavaScript's conversion to int32: truncation modulo 2^32, 0 for NaN and ±Inf. */
INLINE i32 to_int32(f64 x) {
  if (!(x < VM_INFINITY && x > -VM_INFINITY)) return 0;
  if (x > -2147483648.0 && x < 2147483648.0) return (i32)x;
  x = __builtin_trunc(x);
  x -= __builtin_floor(x * 0x1p-32) * 4294967296.0;
  return (i32)(u32)x;
}

#endif
