/** Selection by a condition, casts between dtypes, and constant tensors. */
#include "elementwise.h"

/* ---- select --------------------------------------------------------------------------------- */

typedef struct {
  const u8 *condition;
  const void *a, *b;
  void *out;
} select_job;

#define SELECT(name, type)                                                                            \
  RANGE_FUNCTION(name) {                                                                              \
    const select_job *job = context;                                                                  \
    const u8 *restrict condition = job->condition;                                                    \
    const type *restrict a = job->a, *restrict b = job->b;                                            \
    type *restrict out = job->out;                                                                    \
    for (i64 i = begin; i < end; i++) {                                                               \
      const type x = a[i], y = b[i];                                                                  \
      out[i] = condition[i] == 1 ? x : y;                                                             \
    }                                                                                                 \
  }                                                                                                   \
  KERNEL(name) {                                                                                      \
    const select_job job = {.condition = U8(0), .a = U8(1), .b = U8(2), .out = U8(3)};                \
    fwp_parallel_for(INT(4), LIGHT_GRAIN, name##_range, &job);                                        \
    return OK;                                                                                        \
  }

/* (condition, a, b, out, count): out = condition ? a : b, for float32 and int32, and for bool. */
SELECT(select, u32)
SELECT(select_bool, u8)

/* ---- cast ----------------------------------------------------------------------------------- */

#define CAST(name, in_type, out_type, expression)                                                     \
  RANGE_FUNCTION(name) SCALAR_LOOP(in_type, out_type, expression)                                     \
  KERNEL(name) {                                                                                      \
    const elementwise_job job = {.a = U8(0), .out = U8(1)};                                           \
    fwp_parallel_for(INT(2), LIGHT_GRAIN, name##_range, &job);                                        \
    return OK;                                                                                        \
  }

/* (x, y, count). To bool: 1 for everything but zero, NaN included. */
CAST(cast_f32_bool, f32, u8, x != 0)
CAST(cast_i32_f32, i32, f32, x)
CAST(cast_i32_bool, i32, u8, x != 0)
CAST(cast_bool_f32, u8, f32, x)
CAST(cast_bool_i32, u8, i32, x)

/** Truncates where |x| < CAST_LIMIT. V8 makes the conversion a long sequence; adding 1.5 * 2^23 is short. */
#if defined(__wasm__)
#define CAST_LIMIT 4194304.0f
INLINE vi truncate_small(vf x) { return (vi)(__builtin_wasm_trunc_f32x4(x) + VM_ROUND) - VM_ROUND_BITS; }
#else
#define CAST_LIMIT 2147483648.0f
INLINE vi truncate_small(vf x) { return vtoint(x); }
#endif

RANGE_FUNCTION(cast_f32_i32) {
  const elementwise_job *job = context;
  const f32 *a = job->a;
  i32 *out = job->out;
  i64 i = begin;
  for (; i + 2 * VF <= end; i += 2 * VF) {
    const vf x = vload(a + i), y = vload(a + i + VF);
    if (UNLIKELY(vany(~((vabs(x) < CAST_LIMIT) & (vabs(y) < CAST_LIMIT))))) {
      for (i64 j = i; j < i + 2 * VF; j++) out[j] = to_int32(a[j]);
    } else {
      vistore(out + i, truncate_small(x));
      vistore(out + i + VF, truncate_small(y));
    }
  }
  for (; i < end; i++) out[i] = to_int32(a[i]);
}
/** (x, y, count): truncates modulo 2^32; NaN and ±Inf give 0. */
KERNEL(cast_f32_i32) {
  const elementwise_job job = {.a = F32(0), .out = I32(1)};
  fwp_parallel_for(INT(2), LIGHT_GRAIN, cast_f32_i32_range, &job);
  return OK;
}

/* ---- fill ----------------------------------------------------------------------------------- */

typedef struct {
  void *out;
  u32 word;
} fill_job;

RANGE_FUNCTION(fill_words) {
  const fill_job *job = context;
  u32 *out = job->out;
  const u32 word = job->word;
  for (i64 i = begin; i < end; i++) out[i] = word;
}
RANGE_FUNCTION(fill_bytes) {
  const fill_job *job = context;
  __builtin_memset((u8 *)job->out + begin, (int)job->word, (size_t)(end - begin));
}

/** (out, count, value) */
KERNEL(fill) {
  union { f32 f; u32 u; } value = {.f = NUM(2)};
  const fill_job job = {.out = F32(0), .word = value.u};
  fwp_parallel_for(INT(1), LIGHT_GRAIN * 2, fill_words_range, &job);
  return OK;
}
KERNEL(fill_i32) {
  const fill_job job = {.out = I32(0), .word = (u32)to_int32(arg[2])};
  fwp_parallel_for(INT(1), LIGHT_GRAIN * 2, fill_words_range, &job);
  return OK;
}
KERNEL(fill_bool) {
  const fill_job job = {.out = U8(0), .word = (u32)to_int32(arg[2]) & 255};
  fwp_parallel_for(INT(1), LIGHT_GRAIN * 8, fill_bytes_range, &job);
  return OK;
}

#define CONVERT_KERNELS(ENTRY)                                                                        \
  ENTRY(select, 5) ENTRY(select_bool, 5) ENTRY(cast_f32_bool, 3) ENTRY(cast_i32_f32, 3)               \
  ENTRY(cast_i32_bool, 3) ENTRY(cast_bool_f32, 3) ENTRY(cast_bool_i32, 3) ENTRY(cast_f32_i32, 3)      \
  ENTRY(fill, 3) ENTRY(fill_i32, 3) ENTRY(fill_bool, 3)
