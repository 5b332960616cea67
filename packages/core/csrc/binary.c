/**
 * Elementwise functions of two tensors with broadcasting.
 *
 *   name            (a, b, out, count, scalar)   shapes are equal, or one operand is a single element:
 *                                                scalar is 0 (neither), 1 (a) or 2 (b)
 *   name_broadcast  (a, b, out, rank, dims × 6, strides of a × 6, strides of b × 6)
 *                                                any shapes, after TypeScript has merged dimensions; a stride
 *                                                counts elements and is 0 along a broadcast dimension, the
 *                                                innermost strides are 0 or 1
 *
 * float32 in and out unless the name ends in _i32 or _bool; comparisons give bool (0 or 1). Semantics are those
 * of tfjs's CPU backend, where integer results are those of JavaScript's conversion to int32.
 */
#include "elementwise.h"

#define BROADCAST_RANK 6
/** Rows shorter than this are gathered into contiguous blocks first. */
#define SHORT_ROW 24
/** Elements of such a block; two operands of four bytes fit the first-level cache and a thread's scratch memory. */
#define GATHER_BLOCK 2048

enum { BOTH_VECTORS, SCALAR_A, SCALAR_B };

/** Computes `n` elements; `scalar` says whether an operand is one element. */
typedef void (*binary_row)(void *out, const void *a, const void *b, i64 n, i64 scalar);

typedef struct {
  binary_row row;
  const char *a, *b;
  char *out;
  i64 in_size, out_size, scalar;
  /* Broadcast form. */
  i64 rank;
  i64 dims[BROADCAST_RANK], a_strides[BROADCAST_RANK], b_strides[BROADCAST_RANK];
  i64 count, a_kind, b_kind;
} binary_job;

static void binary_range(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const binary_job *job = context;
  const char *a = job->scalar == SCALAR_A ? job->a : job->a + begin * job->in_size;
  const char *b = job->scalar == SCALAR_B ? job->b : job->b + begin * job->in_size;
  job->row(job->out + begin * job->out_size, a, b, end - begin, job->scalar);
}

static i64 binary_run(const f64 *arg, binary_row row, i64 in_size, i64 out_size, i64 grain) {
  const binary_job job = {.row = row, .a = (const char *)U8(0), .b = (const char *)U8(1), .out = (char *)U8(2),
                          .in_size = in_size, .out_size = out_size, .scalar = INT(4)};
  fwp_parallel_for(INT(3), grain, binary_range, &job);
  return OK;
}

/** Position in an operand of the row that `counter` points at. */
INLINE i64 row_position(const binary_job *job, const i64 *strides, i64 *counter) {
  i64 position = 0;
  for (i64 d = 0; d < job->rank - 1; d++) position += counter[d] * strides[d];
  return position;
}
INLINE void split_index(const binary_job *job, i64 row, i64 *counter) {
  for (i64 d = job->rank - 2; d >= 0; d--) {
    counter[d] = row % job->dims[d];
    row /= job->dims[d];
  }
}
INLINE void next_row(const binary_job *job, i64 *counter) {
  for (i64 d = job->rank - 2; d >= 0; d--) {
    if (++counter[d] < job->dims[d]) return;
    counter[d] = 0;
  }
}

/** Fills target[0 … n) and up to 15 elements more with one value. */
INLINE void fill_words_over(u32 *target, u32 x, i64 n) {
  const vi value = viset((i32)x);
  for (i64 i = 0; i < n; i += VF) vistore((i32 *)target + i, value);
}
INLINE void fill_bytes_over(u8 *target, u8 x, i64 n) {
  for (i64 i = 0; i < n; i++) target[i] = x;
}

/**
 * Copies the operand's elements for `count` output elements from flat position `begin` to `target`; may write up to
 * 15 elements more.
 */
#define GATHER(name, type, fill_over)                                                                 \
  static void name(type *target, const type *source, const binary_job *job, const i64 *strides,       \
                   i64 begin, i64 count) {                                                            \
    i64 counter[BROADCAST_RANK];                                                                      \
    const i64 inner = job->dims[job->rank - 1], step = strides[job->rank - 1];                        \
    i64 column = begin % inner;                                                                       \
    split_index(job, begin / inner, counter);                                                         \
    while (count > 0) {                                                                               \
      /* All rows along the dimension before the innermost one, which is where most of them are. */   \
      const i64 d = job->rank - 2, row_step = strides[d];                                             \
      const type *row = source + row_position(job, strides, counter);                                 \
      for (; counter[d] < job->dims[d] && count > 0; counter[d]++, row += row_step) {                 \
        const i64 n = MIN(inner - column, count);                                                     \
        if (step == 0) {                                                                              \
          fill_over(target, *row, n);                                                                 \
        } else {                                                                                      \
          for (i64 i = 0; i < n; i++) target[i] = row[column + i];                                    \
        }                                                                                             \
        target += n;                                                                                  \
        count -= n;                                                                                   \
        column = 0;                                                                                   \
      }                                                                                               \
      counter[d]--;                                                                                   \
      next_row(job, counter);                                                                         \
    }                                                                                                 \
  }
GATHER(gather_words, u32, fill_words_over)
GATHER(gather_bytes, u8, fill_bytes_over)

static void gather_block(const binary_job *job, const char *source, const i64 *strides, char *target, i64 begin,
                         i64 count) {
  if (job->in_size == 4) gather_words((u32 *)target, (const u32 *)source, job, strides, begin, count);
  else gather_bytes((u8 *)target, (const u8 *)source, job, strides, begin, count);
}

enum { OPERAND_ANY, OPERAND_WHOLE, OPERAND_ROW };

/**
 * An operand's elements for `n` outputs from flat position i on, contiguous: in place if it has the output's layout,
 * from a row that `scratch` holds many times over if it is one row, else gathered into `scratch`.
 */
static const char *operand_block(const binary_job *job, const char *source, const i64 *strides, i64 kind,
                                 char *scratch, i64 i, i64 n) {
  if (kind == OPERAND_WHOLE) return source + i * job->in_size;
  if (kind == OPERAND_ROW) return scratch + i % job->dims[job->rank - 1] * job->in_size;
  gather_block(job, source, strides, scratch, i, n);
  return scratch;
}

/** Short rows: blocks of contiguous elements. */
static void gathered_range(const binary_job *job, i64 begin, i64 end, char *scratch) {
  char *scratch_a = scratch, *scratch_b = scratch + (GATHER_BLOCK + 2 * SHORT_ROW) * 4;
  const i64 inner = job->dims[job->rank - 1];
  const i64 repeated = MIN(GATHER_BLOCK + inner, job->count);
  if (job->a_kind == OPERAND_ROW) gather_block(job, job->a, job->a_strides, scratch_a, 0, repeated);
  if (job->b_kind == OPERAND_ROW) gather_block(job, job->b, job->b_strides, scratch_b, 0, repeated);
  for (i64 i = begin; i < end; i += GATHER_BLOCK) {
    const i64 n = MIN(GATHER_BLOCK, end - i);
    const char *a = operand_block(job, job->a, job->a_strides, job->a_kind, scratch_a, i, n);
    const char *b = operand_block(job, job->b, job->b_strides, job->b_kind, scratch_b, i, n);
    job->row(job->out + i * job->out_size, a, b, n, BOTH_VECTORS);
  }
}

static void broadcast_range(const void *context, i64 begin, i64 end, i64 thread) {
  const binary_job *job = context;
  const i64 last = job->rank - 1, inner = job->dims[last];
  if (inner < SHORT_ROW) {
    gathered_range(job, begin, end, fwp_scratch(thread));
    return;
  }
  i64 counter[BROADCAST_RANK];
  split_index(job, begin / inner, counter);
  const i64 a_step = job->a_strides[last], b_step = job->b_strides[last];
  const i64 scalar = a_step == 0 ? SCALAR_A : b_step == 0 ? SCALAR_B : BOTH_VECTORS;
  i64 column = begin % inner;
  for (i64 i = begin; i < end;) {
    const i64 n = MIN(inner - column, end - i);
    const char *a = job->a + (row_position(job, job->a_strides, counter) + column * a_step) * job->in_size;
    const char *b = job->b + (row_position(job, job->b_strides, counter) + column * b_step) * job->in_size;
    job->row(job->out + i * job->out_size, a, b, n, scalar);
    i += n;
    column = 0;
    next_row(job, counter);
  }
}

static i64 operand_kind(const binary_job *job, const i64 *strides) {
  i64 expected = 1, whole = 1, row = strides[job->rank - 1] == 1;
  for (i64 d = job->rank - 1; d >= 0; d--) {
    whole &= strides[d] == expected;
    row &= d == job->rank - 1 || strides[d] == 0;
    expected *= job->dims[d];
  }
  return whole ? OPERAND_WHOLE : row ? OPERAND_ROW : OPERAND_ANY;
}

static i64 broadcast_run(const f64 *arg, binary_row row, i64 in_size, i64 out_size, i64 grain) {
  binary_job job = {.row = row, .a = (const char *)U8(0), .b = (const char *)U8(1), .out = (char *)U8(2),
                    .in_size = in_size, .out_size = out_size, .rank = INT(3)};
  i64 count = 1;
  for (i64 d = 0; d < job.rank; d++) {
    job.dims[d] = INT(4 + d);
    job.a_strides[d] = INT(4 + BROADCAST_RANK + d);
    job.b_strides[d] = INT(4 + 2 * BROADCAST_RANK + d);
    count *= job.dims[d];
  }
  job.count = count;
  job.a_kind = operand_kind(&job, job.a_strides);
  job.b_kind = operand_kind(&job, job.b_strides);
  fwp_parallel_for(count, grain, broadcast_range, &job);
  return OK;
}

#define BINARY_KERNELS_OF(name, in_size, out_size, grain)                                             \
  KERNEL(name) { return binary_run(arg, name##_row, in_size, out_size, grain); }                      \
  KERNEL(name##_broadcast) { return broadcast_run(arg, name##_row, in_size, out_size, grain); }

/** The rest of a row whose operands advance by a_step and b_step: a filled vector with step 0 is a scalar. */
#define BINARY_TAIL(expression)                                                                       \
  for (; n > 0; n -= VF, a += a_step, b += b_step, out += VF) {                                       \
    const vf x = vload_first(a, MIN(n, VF), 1.0f), y = vload_first(b, MIN(n, VF), 1.0f);              \
    vstore_first(out, expression, MIN(n, VF));                                                        \
  }

/** Whole groups of vectors; x_vector and y_vector load the k-th vector of each operand. */
#define BINARY_LOOP(x_vector, y_vector, expression)                                                   \
  for (; n >= ELEMENTWISE_UNROLL * VF; n -= ELEMENTWISE_UNROLL * VF) {                                \
    vf z[ELEMENTWISE_UNROLL];                                                                         \
    UNROLL for (int k = 0; k < ELEMENTWISE_UNROLL; k++) {                                             \
      const vf x = x_vector, y = y_vector;                                                            \
      z[k] = expression;                                                                              \
    }                                                                                                 \
    UNROLL for (int k = 0; k < ELEMENTWISE_UNROLL; k++) vstore(out + k * VF, z[k]);                   \
    a += ELEMENTWISE_UNROLL * a_step;                                                                 \
    b += ELEMENTWISE_UNROLL * b_step;                                                                 \
    out += ELEMENTWISE_UNROLL * VF;                                                                   \
  }

#define BINARY_F32_START                                                                              \
  f32 filled[VF];                                                                                     \
  f32 *out = target;                                                                                  \
  const f32 *a = left, *b = right;                                                                    \
  i64 a_step = VF, b_step = VF;                                                                       \
  if (scalar == SCALAR_A) {                                                                           \
    vstore(filled, vset(*a));                                                                         \
    a = filled, a_step = 0;                                                                           \
  } else if (scalar == SCALAR_B) {                                                                    \
    vstore(filled, vset(*b));                                                                         \
    b = filled, b_step = 0;                                                                           \
  }

/** float32 by vectors x and y, for operations that only move memory: one loop per kind of operands. */
#define BINARY_F32(name, grain, expression)                                                           \
  static void name##_row(void *target, const void *left, const void *right, i64 n, i64 scalar) {      \
    BINARY_F32_START                                                                                  \
    if (scalar == SCALAR_A) {                                                                         \
      const vf filled_a = vload(a);                                                                   \
      BINARY_LOOP(filled_a, vload(b + k * VF), expression)                                            \
    } else if (scalar == SCALAR_B) {                                                                  \
      const vf filled_b = vload(b);                                                                   \
      BINARY_LOOP(vload(a + k * VF), filled_b, expression)                                            \
    } else {                                                                                          \
      BINARY_LOOP(vload(a + k * VF), vload(b + k * VF), expression)                                   \
    }                                                                                                 \
    BINARY_TAIL(expression)                                                                           \
  }                                                                                                   \
  BINARY_KERNELS_OF(name, 4, 4, grain)

/** The same for operations whose code is long: one loop for all. */
#define BINARY_F32_LONG(name, grain, expression)                                                      \
  static void name##_row(void *target, const void *left, const void *right, i64 n, i64 scalar) {      \
    BINARY_F32_START                                                                                  \
    BINARY_LOOP(vload(a + k * a_step), vload(b + k * b_step), expression)                             \
    BINARY_TAIL(expression)                                                                           \
  }                                                                                                   \
  BINARY_KERNELS_OF(name, 4, 4, grain)

/** Elements x and y of any types, by loops that the compiler vectorises. */
#define BINARY_SCALAR(name, in_type, out_type, grain, expression)                                     \
  static void name##_row(void *target, const void *left, const void *right, i64 n, i64 scalar) {      \
    out_type *restrict out = target;                                                                  \
    const in_type *a = left, *b = right;                                                              \
    if (scalar == SCALAR_A) {                                                                         \
      const in_type x = *a;                                                                           \
      for (i64 i = 0; i < n; i++) {                                                                   \
        const in_type y = b[i];                                                                       \
        out[i] = (out_type)(expression);                                                              \
      }                                                                                               \
    } else if (scalar == SCALAR_B) {                                                                  \
      const in_type y = *b;                                                                           \
      for (i64 i = 0; i < n; i++) {                                                                   \
        const in_type x = a[i];                                                                       \
        out[i] = (out_type)(expression);                                                              \
      }                                                                                               \
    } else {                                                                                          \
      for (i64 i = 0; i < n; i++) {                                                                   \
        const in_type x = a[i], y = b[i];                                                             \
        out[i] = (out_type)(expression);                                                              \
      }                                                                                               \
    }                                                                                                 \
  }                                                                                                   \
  BINARY_KERNELS_OF(name, sizeof(in_type), sizeof(out_type), grain)

/* ---- helpers -------------------------------------------------------------------------------- */

/*
 * JavaScript's Math.max and Math.min: NaN wins, and -0 < +0. vmax and vmin give y if either is NaN or both are equal;
 * all bits set is a NaN. (WebAssembly's own instructions mean the same, but V8 makes nine of each.)
 */
INLINE vf vmaximum(vf x, vf y) {
  return (vf)(((vi)vmax(x, y) & ((vi)x | (x != y))) | (x != x));
}
INLINE vf vminimum(vf x, vf y) {
  return (vf)((vi)vmin(x, y) | ((vi)x & (x == y)) | (x != x));
}

INLINE i32 floor_div_int(i32 x, i32 y) {
  if (y == 0) return 0;
  const i64 quotient = (i64)x / y;
  return (i32)(quotient - ((i64)x % y != 0 && (x < 0) != (y < 0)));
}
/** Remainder with the sign of y. */
INLINE i32 mod_int(i32 x, i32 y) {
  if (y == 0) return 0;
  const i64 remainder = (i64)x % y;
  return (i32)(remainder != 0 && (x < 0) != (y < 0) ? remainder + y : remainder);
}

/** x - n y with n = trunc(x / y), exact: the % of JavaScript. */
static f64 remainder_of(f64 x, f64 y) {
  const f64 divisor = __builtin_fabs(y);
  f64 rest = __builtin_fabs(x);
  if (!(rest < VM_INFINITY) || !(divisor > 0)) return VM_NAN;
  if (divisor == VM_INFINITY) return x;
  if (divisor != divisor) return y;
  while (rest >= divisor) {
    /* Subtracts a multiple of at most 2^24 bits, so that the product and the difference are exact. */
    f64 scaled = divisor;
    while (rest >= scaled * 16777216.0) scaled *= 16777216.0;
    f64 n = __builtin_trunc(rest / scaled);
    f64 next = rest - n * scaled;
    if (next < 0) next += scaled;
    rest = next;
  }
  return x < 0 || (x == 0 && 1 / x < 0) ? -rest : rest;
}
INLINE f32 mod_float(f32 x, f32 y) {
  const f64 rest = remainder_of(x, y);
  if ((x < 0 && y < 0) || (x >= 0 && y >= 0)) return (f32)rest;
  return (f32)remainder_of(rest + y, y);
}

/** Integer power modulo 2^32; negative exponents give what truncating the fraction leaves. */
INLINE i32 power_int(i32 x, i32 y) {
  if (y < 0) return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
  u32 result = 1, base = (u32)x;
  for (u32 n = (u32)y; n > 0; n >>= 1, base *= base) {
    if (n & 1) result *= base;
  }
  return (i32)result;
}

/* ---- kernels -------------------------------------------------------------------------------- */

BINARY_F32(add, LIGHT_GRAIN, x + y)
BINARY_F32(sub, LIGHT_GRAIN, x - y)
BINARY_F32(multiply, LIGHT_GRAIN, x * y)
BINARY_F32(divide, LIGHT_GRAIN, x / y)
BINARY_F32(maximum, LIGHT_GRAIN, vmaximum(x, y))
BINARY_F32(minimum, LIGHT_GRAIN, vminimum(x, y))
BINARY_F32(squared_difference, LIGHT_GRAIN, (x - y) * (x - y))
BINARY_F32_LONG(power, HEAVY_GRAIN, vpow(x, y))
/** x where it isn't negative, else y x. */
BINARY_F32(prelu, LIGHT_GRAIN, vselect(x < 0.0f, x * y, x))
BINARY_SCALAR(floor_div, f32, i32, HEAVY_GRAIN, to_int32(__builtin_floor((f64)x / (f64)y)))
BINARY_SCALAR(mod, f32, f32, HEAVY_GRAIN, mod_float(x, y))

BINARY_SCALAR(add_i32, u32, u32, LIGHT_GRAIN, x + y)
BINARY_SCALAR(sub_i32, u32, u32, LIGHT_GRAIN, x - y)
BINARY_SCALAR(multiply_i32, u32, u32, LIGHT_GRAIN, x * y)
BINARY_SCALAR(maximum_i32, i32, i32, LIGHT_GRAIN, x > y ? x : y)
BINARY_SCALAR(minimum_i32, i32, i32, LIGHT_GRAIN, x < y ? x : y)
BINARY_SCALAR(squared_difference_i32, u32, u32, LIGHT_GRAIN, (x - y) * (x - y))
BINARY_SCALAR(bitwise_and_i32, u32, u32, LIGHT_GRAIN, x & y)
BINARY_SCALAR(divide_i32, i32, i32, HEAVY_GRAIN, y == 0 ? 0 : (i64)x / y)
BINARY_SCALAR(floor_div_i32, i32, i32, HEAVY_GRAIN, floor_div_int(x, y))
BINARY_SCALAR(mod_i32, i32, i32, HEAVY_GRAIN, mod_int(x, y))
BINARY_SCALAR(power_i32, i32, i32, HEAVY_GRAIN, power_int(x, y))

#define COMPARISON(name, operator)                                                                    \
  BINARY_SCALAR(name, f32, u8, LIGHT_GRAIN, x operator y)                                             \
  BINARY_SCALAR(name##_i32, i32, u8, LIGHT_GRAIN, x operator y)                                       \
  BINARY_SCALAR(name##_bool, u8, u8, LIGHT_GRAIN, x operator y)
COMPARISON(equal, ==)
COMPARISON(not_equal, !=)
COMPARISON(less, <)
COMPARISON(less_equal, <=)
COMPARISON(greater, >)
COMPARISON(greater_equal, >=)

BINARY_SCALAR(logical_and_bool, u8, u8, LIGHT_GRAIN, (x != 0) & (y != 0))
BINARY_SCALAR(logical_or_bool, u8, u8, LIGHT_GRAIN, (x != 0) | (y != 0))
BINARY_SCALAR(multiply_bool, u8, u8, LIGHT_GRAIN, x * y)
BINARY_SCALAR(maximum_bool, u8, u8, LIGHT_GRAIN, x > y ? x : y)
BINARY_SCALAR(minimum_bool, u8, u8, LIGHT_GRAIN, x < y ? x : y)

#define BINARY_ENTRY(ENTRY, name) ENTRY(name, 5) ENTRY(name##_broadcast, 22)
#define COMPARISON_ENTRY(ENTRY, name)                                                                 \
  BINARY_ENTRY(ENTRY, name) BINARY_ENTRY(ENTRY, name##_i32) BINARY_ENTRY(ENTRY, name##_bool)
#define BINARY_KERNELS(ENTRY)                                                                         \
  BINARY_ENTRY(ENTRY, add) BINARY_ENTRY(ENTRY, sub) BINARY_ENTRY(ENTRY, multiply)                     \
  BINARY_ENTRY(ENTRY, divide) BINARY_ENTRY(ENTRY, maximum) BINARY_ENTRY(ENTRY, minimum)               \
  BINARY_ENTRY(ENTRY, squared_difference) BINARY_ENTRY(ENTRY, power) BINARY_ENTRY(ENTRY, prelu)       \
  BINARY_ENTRY(ENTRY, floor_div) BINARY_ENTRY(ENTRY, mod) BINARY_ENTRY(ENTRY, add_i32)                \
  BINARY_ENTRY(ENTRY, sub_i32) BINARY_ENTRY(ENTRY, multiply_i32) BINARY_ENTRY(ENTRY, maximum_i32)     \
  BINARY_ENTRY(ENTRY, minimum_i32) BINARY_ENTRY(ENTRY, squared_difference_i32)                        \
  BINARY_ENTRY(ENTRY, bitwise_and_i32) BINARY_ENTRY(ENTRY, divide_i32)                                \
  BINARY_ENTRY(ENTRY, floor_div_i32) BINARY_ENTRY(ENTRY, mod_i32) BINARY_ENTRY(ENTRY, power_i32)      \
  COMPARISON_ENTRY(ENTRY, equal) COMPARISON_ENTRY(ENTRY, not_equal) COMPARISON_ENTRY(ENTRY, less)     \
  COMPARISON_ENTRY(ENTRY, less_equal) COMPARISON_ENTRY(ENTRY, greater)                                \
  COMPARISON_ENTRY(ENTRY, greater_equal) BINARY_ENTRY(ENTRY, logical_and_bool)                        \
  BINARY_ENTRY(ENTRY, logical_or_bool) BINARY_ENTRY(ENTRY, multiply_bool)                             \
  BINARY_ENTRY(ENTRY, maximum_bool) BINARY_ENTRY(ENTRY, minimum_bool)
