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

/**
 * Vectors per pass of a loop. V8 loads every constant of an expression anew for every vector unless several vectors
 * share them; native compilers keep them in registers.
 */
#if defined(__wasm__)
#define ELEMENTWISE_UNROLL 4
#else
#define ELEMENTWISE_UNROLL 1
#endif

/** out[i] = expression of x (a[i]) and the parameters p and q, over [begin, end) of floats. */
#define UNARY_LOOP(expression)                                                                        \
  {                                                                                                   \
    const elementwise_job *job = context;                                                             \
    const f32 *a = (const f32 *)job->a + begin;                                                       \
    f32 *out = (f32 *)job->out + begin;                                                               \
    UNUSED const vf p = vset(job->p), q = vset(job->q);                                               \
    i64 n = end - begin;                                                                              \
    for (; n >= ELEMENTWISE_UNROLL * VF; n -= ELEMENTWISE_UNROLL * VF) {                              \
      vf y[ELEMENTWISE_UNROLL];                                                                       \
      UNROLL for (int k = 0; k < ELEMENTWISE_UNROLL; k++) {                                           \
        const vf x = vload(a + k * VF);                                                               \
        y[k] = expression;                                                                            \
      }                                                                                               \
      UNROLL for (int k = 0; k < ELEMENTWISE_UNROLL; k++) vstore(out + k * VF, y[k]);                 \
      a += ELEMENTWISE_UNROLL * VF;                                                                   \
      out += ELEMENTWISE_UNROLL * VF;                                                                 \
    }                                                                                                 \
    for (; n > 0; n -= VF, a += VF, out += VF) {                                                      \
      const vf x = vload_first(a, MIN(n, VF), 1.0f);                                                  \
      vstore_first(out, expression, MIN(n, VF));                                                      \
    }                                                                                                 \
  }

/**
 * A function with a fast form for common arguments: `full` is taken for a group of vectors in which `special`(x) has
 * a lane. Both forms agree on common lanes, so a value doesn't depend on its neighbours.
 */
#define GUARDED_LOOP(special, fast, full)                                                             \
  {                                                                                                   \
    const elementwise_job *job = context;                                                             \
    const f32 *a = (const f32 *)job->a + begin;                                                       \
    f32 *out = (f32 *)job->out + begin;                                                               \
    i64 n = end - begin;                                                                              \
    for (; n >= ELEMENTWISE_UNROLL * VF; n -= ELEMENTWISE_UNROLL * VF) {                              \
      vf x[ELEMENTWISE_UNROLL];                                                                       \
      vi uncommon = viset(0);                                                                         \
      UNROLL for (int k = 0; k < ELEMENTWISE_UNROLL; k++) {                                           \
        x[k] = vload(a + k * VF);                                                                     \
        uncommon |= special(x[k]);                                                                    \
      }                                                                                               \
      if (LIKELY(!vany(uncommon))) {                                                                  \
        UNROLL for (int k = 0; k < ELEMENTWISE_UNROLL; k++) x[k] = fast(x[k]);                        \
        UNROLL for (int k = 0; k < ELEMENTWISE_UNROLL; k++) vstore(out + k * VF, x[k]);               \
      } else {                                                                                        \
        for (int k = 0; k < ELEMENTWISE_UNROLL; k++) vstore(out + k * VF, full(vload(a + k * VF)));   \
      }                                                                                               \
      a += ELEMENTWISE_UNROLL * VF;                                                                   \
      out += ELEMENTWISE_UNROLL * VF;                                                                 \
    }                                                                                                 \
    for (; n > 0; n -= VF, a += VF, out += VF) {                                                      \
      vstore_first(out, full(vload_first(a, MIN(n, VF), 1.0f)), MIN(n, VF));                          \
    }                                                                                                 \
  }

/** out[i] = expression of x (a[i]) and y (b[i]). */
#define PAIR_LOOP(expression)                                                                         \
  {                                                                                                   \
    const elementwise_job *job = context;                                                             \
    const f32 *a = (const f32 *)job->a + begin, *b = (const f32 *)job->b + begin;                     \
    f32 *out = (f32 *)job->out + begin;                                                               \
    i64 n = end - begin;                                                                              \
    for (; n >= ELEMENTWISE_UNROLL * VF; n -= ELEMENTWISE_UNROLL * VF) {                              \
      vf z[ELEMENTWISE_UNROLL];                                                                       \
      UNROLL for (int k = 0; k < ELEMENTWISE_UNROLL; k++) {                                           \
        const vf x = vload(a + k * VF), y = vload(b + k * VF);                                        \
        z[k] = expression;                                                                            \
      }                                                                                               \
      UNROLL for (int k = 0; k < ELEMENTWISE_UNROLL; k++) vstore(out + k * VF, z[k]);                 \
      a += ELEMENTWISE_UNROLL * VF;                                                                   \
      b += ELEMENTWISE_UNROLL * VF;                                                                   \
      out += ELEMENTWISE_UNROLL * VF;                                                                 \
    }                                                                                                 \
    for (; n > 0; n -= VF, a += VF, b += VF, out += VF) {                                             \
      const vf x = vload_first(a, MIN(n, VF), 1.0f), y = vload_first(b, MIN(n, VF), 1.0f);            \
      vstore_first(out, expression, MIN(n, VF));                                                      \
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
