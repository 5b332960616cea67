/**
 * Reductions of [outer, reduce, inner] to [outer, inner]; TypeScript brings every choice of axes into that form.
 *
 *   name      (x, y, outer, reduce, inner, split, workspace, divisor)   sum, square_sum, max, min of float32
 *   name      (x, y, outer, reduce, inner)                              everything else
 *
 * Accuracy: floats are added in blocks of at most 2048 (rows) or 128 (columns) into independent partial sums, and
 * blocks in double, so the error doesn't grow with the length. The order depends on the sizes only. `split` is the
 * number of reduced elements per chunk; if it is less than `reduce`, chunks go to `workspace` (doubles,
 * [outer, ceil(reduce / split), inner]) and are combined in order.
 * A NaN in the input makes its maximum or minimum NaN. `reduce` must be at least 1 for those.
 */
#include "elementwise.h"

/** Columns that are reduced at a time, so that partial results stay in the first-level cache. */
#define REDUCE_COLUMN_TILE 1024
/** Rows that are read at the same time. */
#define REDUCE_GROUP 8
/** Rows of columns that are added in float before going to double. */
#define REDUCE_COLUMN_BLOCK 128
/** Elements of a row that are added in float before going to double. */
#define REDUCE_ROW_BLOCK 2048
/** Rows of fewer columns than this are joined to wider ones. */
#define REDUCE_NARROW_ROW 64

enum { REDUCE_SUM, REDUCE_SQUARES, REDUCE_MAX, REDUCE_MIN };

/* ---- one operation, chosen at compile time -------------------------------------------------- */

INLINE f32 reduce_identity(int op) { return op == REDUCE_MAX ? -VM_INFINITY : op == REDUCE_MIN ? VM_INFINITY : 0.0f; }
INLINE vf reduce_term(int op, vf x) { return op == REDUCE_SQUARES ? x * x : x; }
INLINE vf reduce_combine(int op, vf a, vf b) {
  /* vmax and vmin return b if one is NaN; all bits set is a NaN too. */
  if (op == REDUCE_MAX) return (vf)((vi)vmax(a, b) | (a != a));
  if (op == REDUCE_MIN) return (vf)((vi)vmin(a, b) | (a != a));
  return a + b;
}
INLINE f64 reduce_combine_wide(int op, f64 a, f64 b) {
  if (op == REDUCE_MAX) return b != b || b > a ? b : a;
  if (op == REDUCE_MIN) return b != b || b < a ? b : a;
  return a + b;
}
INLINE f32 reduce_combine_lanes(int op, vf x) {
  if (op == REDUCE_SUM || op == REDUCE_SQUARES) return vsum(x);
  if (UNLIKELY(vany(x != x))) return VM_NAN;
  return op == REDUCE_MAX ? vmax_across(x) : -vmax_across(vneg(x));
}

/** Vectors that accumulate a row: enough to hide an addition's latency, but V8 runs out of registers with eight. */
#if defined(__wasm__)
#define REDUCE_VECTORS 4
#else
#define REDUCE_VECTORS 8
#endif

/** Reduces up to REDUCE_ROW_BLOCK contiguous elements. */
INLINE f32 reduce_block(int op, const f32 *x, i64 n) {
  const f32 none = reduce_identity(op);
  vf a[REDUCE_VECTORS];
  UNROLL for (int k = 0; k < 2; k++) a[k] = vset(none);
  if (n >= REDUCE_VECTORS * VF) {
    UNROLL for (int k = 2; k < REDUCE_VECTORS; k++) a[k] = vset(none);
    for (; n >= REDUCE_VECTORS * VF; n -= REDUCE_VECTORS * VF, x += REDUCE_VECTORS * VF) {
      UNROLL for (int k = 0; k < REDUCE_VECTORS; k++) {
        a[k] = reduce_combine(op, reduce_term(op, vload(x + k * VF)), a[k]);
      }
    }
    UNROLL for (int width = REDUCE_VECTORS / 2; width >= 2; width /= 2) {
      UNROLL for (int k = 0; k < width; k++) a[k] = reduce_combine(op, a[k + width], a[k]);
    }
  }
  for (; n >= 2 * VF; n -= 2 * VF, x += 2 * VF) {
    a[0] = reduce_combine(op, reduce_term(op, vload(x)), a[0]);
    a[1] = reduce_combine(op, reduce_term(op, vload(x + VF)), a[1]);
  }
  if (n >= VF) {
    a[0] = reduce_combine(op, reduce_term(op, vload(x)), a[0]);
    n -= VF, x += VF;
  }
  if (n > 0) a[1] = reduce_combine(op, reduce_term(op, vload_first(x, n, none)), a[1]);
  return reduce_combine_lanes(op, reduce_combine(op, a[1], a[0]));
}

INLINE f64 reduce_row(int op, const f32 *x, i64 n) {
  f64 total = reduce_block(op, x, MIN(n, REDUCE_ROW_BLOCK));
  for (i64 i = REDUCE_ROW_BLOCK; i < n; i += REDUCE_ROW_BLOCK) {
    total = reduce_combine_wide(op, total, reduce_block(op, x + i, MIN(n - i, REDUCE_ROW_BLOCK)));
  }
  return total;
}

INLINE vf reduce_vectors(int op, vf *v) {
  UNROLL for (int half = REDUCE_GROUP / 2; half > 0; half /= 2) {
    UNROLL for (int k = 0; k < half; k++) v[k] = reduce_combine(op, v[k + half], v[k]);
  }
  return v[0];
}

/** Combines REDUCE_GROUP rows, `stride` apart, into out[0 … width), which is overwritten if `is_first`. */
INLINE void reduce_row_group(int op, const f32 *x, i64 stride, i64 width, int is_first, f32 *out) {
  const f32 none = reduce_identity(op);
  vf v[REDUCE_GROUP];
  i64 c = 0;
  for (; c + VF <= width; c += VF) {
    UNROLL for (int k = 0; k < REDUCE_GROUP; k++) v[k] = reduce_term(op, vload(x + k * stride + c));
    const vf total = reduce_vectors(op, v);
    vstore(out + c, is_first ? total : reduce_combine(op, total, vload(out + c)));
  }
  const i64 n = width - c;
  if (n == 0) return;
  UNROLL for (int k = 0; k < REDUCE_GROUP; k++) v[k] = reduce_term(op, vload_first(x + k * stride + c, n, none));
  const vf total = reduce_vectors(op, v);
  vstore_first(out + c, is_first ? total : reduce_combine(op, total, vload_first(out + c, n, none)), n);
}

/** The same for a single row. */
INLINE void reduce_single_row(int op, const f32 *x, i64 width, int is_first, f32 *out) {
  const f32 none = reduce_identity(op);
  for (i64 c = 0; c < width; c += VF) {
    const i64 n = MIN(width - c, VF);
    const vf v = reduce_term(op, vload_first(x + c, n, none));
    vstore_first(out + c, is_first ? v : reduce_combine(op, v, vload_first(out + c, n, none)), n);
  }
}

/** Reduces `rows` (at most REDUCE_COLUMN_BLOCK) rows of `width` columns, `stride` apart, to `out`. */
INLINE void reduce_column_block(int op, const f32 *x, i64 rows, i64 stride, i64 width, f32 *out) {
  i64 r = 0;
  if (rows >= REDUCE_GROUP) {
    reduce_row_group(op, x, stride, width, 1, out);
    r = REDUCE_GROUP;
  }
  for (; r + REDUCE_GROUP <= rows; r += REDUCE_GROUP) reduce_row_group(op, x + r * stride, stride, width, 0, out);
  for (; r < rows; r++) reduce_single_row(op, x + r * stride, width, r == 0, out);
}

/** Reduces any number of rows of at most REDUCE_COLUMN_TILE columns into `wide`, which must hold the identity. */
INLINE void reduce_columns(int op, const f32 *x, i64 rows, i64 stride, i64 width, f64 *wide, f32 *block) {
  for (i64 r = 0; r < rows; r += REDUCE_COLUMN_BLOCK) {
    reduce_column_block(op, x + r * stride, MIN(REDUCE_COLUMN_BLOCK, rows - r), stride, width, block);
    for (i64 c = 0; c < width; c++) wide[c] = reduce_combine_wide(op, wide[c], block[c]);
  }
}

/** Reduces rows of `inner` columns, from column `column` for `width` columns, into wide[0 … width). */
INLINE void reduce_tile(int op, const f32 *x, i64 rows, i64 inner, i64 column, i64 width, char *scratch, f64 **result) {
  f64 *wide = (f64 *)scratch;
  f32 *block = (f32 *)(scratch + REDUCE_COLUMN_TILE * 8);
  *result = wide;
  const i64 joined = inner < REDUCE_NARROW_ROW ? MAX(1, 256 / inner) : 1;
  if (joined > 1 && rows >= 2 * joined) {
    /* The rows are contiguous: take `joined` of them as one, then add the parts. */
    const i64 total_width = joined * inner, whole = rows / joined;
    for (i64 c = 0; c < total_width; c++) wide[c] = reduce_identity(op);
    reduce_columns(op, x, whole, total_width, total_width, wide, block);
    for (i64 k = 1; k < joined; k++) {
      for (i64 c = 0; c < inner; c++) wide[c] = reduce_combine_wide(op, wide[c], wide[k * inner + c]);
    }
    x += whole * total_width;
    rows -= whole * joined;
  } else {
    for (i64 c = 0; c < width; c++) wide[c] = reduce_identity(op);
  }
  if (rows > 0) reduce_columns(op, x + column, rows, inner, width, wide, block);
}

/* ---- jobs ----------------------------------------------------------------------------------- */

typedef struct {
  const f32 *x;
  f32 *y;
  f64 *partial;
  i64 outer, reduce, inner, split, chunks, tiles;
  f64 divisor;
} reduce_job;

/** Rows [begin, end) of contiguous elements. */
INLINE void reduce_rows(int op, const reduce_job *job, i64 begin, i64 end) {
  const i64 n = job->reduce;
  const f32 *x = job->x + begin * n;
  for (i64 o = begin; o < end; o++, x += n) {
    const f64 total = reduce_row(op, x, n);
    job->y[o] = (f32)(job->divisor == 1 ? total : total / job->divisor);
  }
}

/** One task: a chunk of a row (inner is 1), or a chunk of rows of one tile of columns. */
INLINE void reduce_task(int op, const reduce_job *job, i64 task, char *scratch) {
  const i64 tile = task % job->tiles, chunk = task / job->tiles % job->chunks, o = task / job->tiles / job->chunks;
  const i64 first = chunk * job->split, rows = MIN(job->split, job->reduce - first);
  const f32 *x = job->x + (o * job->reduce + first) * job->inner;
  if (job->inner == 1) {
    job->partial[o * job->chunks + chunk] = reduce_row(op, x, rows);
    return;
  }
  const i64 column = tile * REDUCE_COLUMN_TILE, width = MIN(REDUCE_COLUMN_TILE, job->inner - column);
  f64 *wide;
  reduce_tile(op, x, rows, job->inner, column, width, scratch, &wide);
  if (job->chunks > 1) {
    f64 *target = job->partial + (o * job->chunks + chunk) * job->inner + column;
    for (i64 c = 0; c < width; c++) target[c] = wide[c];
  } else {
    f32 *target = job->y + o * job->inner + column;
    for (i64 c = 0; c < width; c++) target[c] = (f32)(wide[c] / job->divisor);
  }
}

/** Combines the chunks of outputs [begin, end) in order. */
INLINE void reduce_partials(int op, const reduce_job *job, i64 begin, i64 end) {
  for (i64 i = begin; i < end; i++) {
    const f64 *p = job->partial + i / job->inner * job->chunks * job->inner + i % job->inner;
    f64 total = p[0];
    for (i64 k = 1; k < job->chunks; k++) total = reduce_combine_wide(op, total, p[k * job->inner]);
    job->y[i] = (f32)(total / job->divisor);
  }
}

static void reduce_run(const f64 *arg, fwp_body tasks, fwp_body combine_range) {
  reduce_job job = {.x = F32(0), .y = F32(1), .outer = INT(2), .reduce = INT(3), .inner = INT(4), .split = INT(5),
                    .partial = FWP_POINTER(f64, arg[6]), .divisor = arg[7]};
  job.split = MAX(1, MIN(job.split, job.reduce));
  job.chunks = MAX(1, CEIL_DIV(job.reduce, job.split));
  job.tiles = CEIL_DIV(job.inner, REDUCE_COLUMN_TILE);
  const i64 work = MAX(1, job.split * MIN(job.inner, REDUCE_COLUMN_TILE));
  fwp_parallel_for(job.outer * job.chunks * job.tiles, MAX(1, LIGHT_GRAIN / work), tasks, &job);
  if (job.chunks > 1) fwp_parallel_for(job.outer * job.inner, HEAVY_GRAIN, combine_range, &job);
}

#define REDUCTION(name, op)                                                                           \
  static void name##_tasks(const void *context, i64 begin, i64 end, i64 thread) {                     \
    const reduce_job *job = context;                                                                  \
    if (job->inner == 1 && job->chunks == 1) reduce_rows(op, job, begin, end);                        \
    else                                                                                              \
      for (i64 task = begin; task < end; task++) reduce_task(op, job, task, fwp_scratch(thread));     \
  }                                                                                                   \
  static void name##_combine(const void *context, i64 begin, i64 end, i64 thread UNUSED) {            \
    reduce_partials(op, context, begin, end);                                                         \
  }                                                                                                   \
  KERNEL(name) {                                                                                      \
    reduce_run(arg, name##_tasks, name##_combine);                                                    \
    return OK;                                                                                        \
  }

REDUCTION(sum, REDUCE_SUM)
REDUCTION(square_sum, REDUCE_SQUARES)
REDUCTION(max, REDUCE_MAX)
REDUCTION(min, REDUCE_MIN)

/* ---- other types ---------------------------------------------------------------------------- */

typedef struct {
  const void *x;
  void *y;
  i64 reduce, inner, tiles;
} plain_job;

/** Straight loops that the compiler vectorises: `expression` combines the accumulator t with the element x. */
#define PLAIN_ROW(name, type, accumulator, start, expression)                                         \
  static accumulator name##_row(const type *source, i64 n) {                                          \
    accumulator t = start;                                                                            \
    for (i64 r = 0; r < n; r++) {                                                                     \
      const type x = source[r];                                                                       \
      t = (accumulator)(expression);                                                                  \
    }                                                                                                 \
    return t;                                                                                         \
  }
#define PLAIN_COLUMNS(name, type, accumulator, out_type, start, expression)                           \
  RANGE_FUNCTION(name) {                                                                              \
    const plain_job *job = context;                                                                   \
    for (i64 task = begin; task < end; task++) {                                                      \
      const i64 column = task % job->tiles * 256, o = task / job->tiles;                              \
      const i64 width = MIN(256, job->inner - column);                                                \
      const type *source = (const type *)job->x + o * job->reduce * job->inner + column;              \
      out_type *target = (out_type *)job->y + o * job->inner + column;                                \
      accumulator totals[256];                                                                        \
      if (job->inner == 1) {                                                                          \
        target[0] = (out_type)name##_row(source, job->reduce);                                        \
        continue;                                                                                     \
      }                                                                                               \
      for (i64 c = 0; c < width; c++) totals[c] = start;                                              \
      for (i64 r = 0; r < job->reduce; r++, source += job->inner) {                                   \
        for (i64 c = 0; c < width; c++) {                                                             \
          const accumulator t = totals[c];                                                            \
          const type x = source[c];                                                                   \
          totals[c] = (accumulator)(expression);                                                      \
        }                                                                                             \
      }                                                                                               \
      for (i64 c = 0; c < width; c++) target[c] = (out_type)totals[c];                                \
    }                                                                                                 \
  }                                                                                                   \
  KERNEL(name) {                                                                                      \
    const plain_job job = {.x = U8(0), .y = U8(1), .reduce = INT(3), .inner = INT(4),                 \
                           .tiles = CEIL_DIV(INT(4), 256)};                                           \
    const i64 work = MAX(1, job.reduce * MIN(job.inner, 256));                                        \
    fwp_parallel_for(INT(2) * job.tiles, MAX(1, LIGHT_GRAIN / work), name##_range, &job);             \
    return OK;                                                                                        \
  }

#define PLAIN_REDUCTION(name, type, accumulator, out_type, start, expression)                         \
  PLAIN_ROW(name, type, accumulator, start, expression)                                               \
  PLAIN_COLUMNS(name, type, accumulator, out_type, start, expression)

/** In double, as tfjs's CPU backend does; eight products at a time. */
static f64 prod_row(const f32 *x, i64 n) {
  f64 t[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  i64 i = 0;
  for (; i + 8 <= n; i += 8) {
    UNROLL for (int k = 0; k < 8; k++) t[k] *= x[i + k];
  }
  for (; i < n; i++) t[i & 7] *= x[i];
  return ((t[0] * t[1]) * (t[2] * t[3])) * ((t[4] * t[5]) * (t[6] * t[7]));
}
PLAIN_COLUMNS(prod, f32, f64, f32, 1, t * x)
PLAIN_REDUCTION(sum_i32, u32, u32, u32, 0, t + x)
PLAIN_REDUCTION(prod_i32, u32, u32, u32, 1, t * x)
PLAIN_REDUCTION(max_i32, i32, i32, i32, INT32_MIN, x > t ? x : t)
PLAIN_REDUCTION(min_i32, i32, i32, i32, INT32_MAX, x < t ? x : t)
PLAIN_REDUCTION(all, u8, u8, u8, 1, t & (x != 0))
PLAIN_REDUCTION(any, u8, u8, u8, 0, t | (x != 0))

/* ---- position of the extremum --------------------------------------------------------------- */

/**
 * First position of the maximum (sign 1) or minimum (-1). As in tfjs's CPU backend NaN is never greater, so it is
 * passed over unless it comes first, in which case the answer is 0.
 */
INLINE i32 extremum_of_row(const f32 *x, i64 n, int sign) {
  if (x[0] != x[0]) return 0;
  vi lane;
  for (int k = 0; k < VF; k++) lane[k] = k;
  vf best = vset(x[0]);
  vi position = viset(0);
  for (i64 i = 0; i < n; i += VF) {
    const vf v = n - i >= VF ? vload(x + i) : vload_first(x + i, n - i, x[0]);
    const vi better = sign > 0 ? v > best : v < best;
    best = vselect(better, v, best);
    position = viselect(better, lane + (i32)i, position);
  }
  union { vf v; f32 s[VF]; } values = {.v = best};
  union { vi v; i32 s[VF]; } positions = {.v = position};
  f32 value = values.s[0];
  i32 result = positions.s[0];
  for (int k = 1; k < VF; k++) {
    const int better = sign > 0 ? values.s[k] > value : values.s[k] < value;
    if (better || (values.s[k] == value && positions.s[k] < result)) {
      value = values.s[k];
      result = positions.s[k];
    }
  }
  return result;
}

#define ARGUMENT_OF_EXTREMUM(name, type, operator, row)                                               \
  RANGE_FUNCTION(name) {                                                                              \
    const plain_job *job = context;                                                                   \
    for (i64 task = begin; task < end; task++) {                                                      \
      const i64 column = task % job->tiles * 256, o = task / job->tiles;                              \
      const i64 width = MIN(256, job->inner - column);                                                \
      const type *source = (const type *)job->x + o * job->reduce * job->inner + column;              \
      i32 *target = (i32 *)job->y + o * job->inner + column;                                          \
      if (job->inner == 1) {                                                                          \
        target[0] = row;                                                                              \
        continue;                                                                                     \
      }                                                                                               \
      type best[256];                                                                                 \
      i32 position[256];                                                                              \
      for (i64 c = 0; c < width; c++) best[c] = source[c], position[c] = 0;                           \
      for (i64 r = 1; r < job->reduce; r++) {                                                         \
        source += job->inner;                                                                         \
        for (i64 c = 0; c < width; c++) {                                                             \
          const type x = source[c];                                                                   \
          const i32 better = x operator best[c];                                                      \
          best[c] = better ? x : best[c];                                                             \
          position[c] = better ? (i32)r : position[c];                                                \
        }                                                                                             \
      }                                                                                               \
      for (i64 c = 0; c < width; c++) target[c] = position[c];                                        \
    }                                                                                                 \
  }                                                                                                   \
  KERNEL(name) {                                                                                      \
    const plain_job job = {.x = U8(0), .y = U8(1), .reduce = INT(3), .inner = INT(4),                 \
                           .tiles = CEIL_DIV(INT(4), 256)};                                           \
    const i64 work = MAX(1, job.reduce * MIN(job.inner, 256));                                        \
    fwp_parallel_for(INT(2) * job.tiles, MAX(1, LIGHT_GRAIN / work), name##_range, &job);             \
    return OK;                                                                                        \
  }

INLINE i32 first_maximum_int(const i32 *x, i64 n) {
  i64 best = 0;
  for (i64 i = 1; i < n; i++) best = x[i] > x[best] ? i : best;
  return (i32)best;
}
INLINE i32 first_minimum_int(const i32 *x, i64 n) {
  i64 best = 0;
  for (i64 i = 1; i < n; i++) best = x[i] < x[best] ? i : best;
  return (i32)best;
}

ARGUMENT_OF_EXTREMUM(arg_max, f32, >, extremum_of_row(source, job->reduce, 1))
ARGUMENT_OF_EXTREMUM(arg_min, f32, <, extremum_of_row(source, job->reduce, -1))
ARGUMENT_OF_EXTREMUM(arg_max_i32, i32, >, first_maximum_int(source, job->reduce))
ARGUMENT_OF_EXTREMUM(arg_min_i32, i32, <, first_minimum_int(source, job->reduce))

/* ---- not a number --------------------------------------------------------------------------- */

typedef struct {
  const u32 *x;
  i64 *first; /* smallest position found so far */
  u32 above;  /* bits of |x| greater than this are what is looked for */
} find_job;

RANGE_FUNCTION(find_non_finite) {
  const find_job *job = context;
  if (__atomic_load_n(job->first, __ATOMIC_RELAXED) < begin) return;
  for (i64 i = begin; i < end; i += 256) {
    const i64 stop = MIN(i + 256, end);
    u32 found = 0;
    for (i64 j = i; j < stop; j++) found |= (job->x[j] & 0x7fffffffu) > job->above;
    if (LIKELY(!found)) continue;
    while ((job->x[i] & 0x7fffffffu) <= job->above) i++;
    i64 known = __atomic_load_n(job->first, __ATOMIC_RELAXED);
    while (i < known && !__atomic_compare_exchange_n(job->first, &known, i, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return;
  }
}
/** (x, count, nan_only): 1 + the first position of a NaN (or, unless nan_only, ±Inf), 0 if there is none. */
KERNEL(find_non_finite) {
  const i64 count = INT(1);
  i64 first = count;
  const find_job job = {.x = U32(0), .first = &first, .above = FLAG(2) ? 0x7f800000u : 0x7f7fffffu};
  fwp_parallel_for(count, LIGHT_GRAIN, find_non_finite_range, &job);
  return first < count ? first + 1 : 0;
}

#define REDUCE_KERNELS(ENTRY)                                                                         \
  ENTRY(sum, 8) ENTRY(square_sum, 8) ENTRY(max, 8) ENTRY(min, 8) ENTRY(prod, 5) ENTRY(sum_i32, 5)     \
  ENTRY(prod_i32, 5) ENTRY(max_i32, 5) ENTRY(min_i32, 5) ENTRY(all, 5) ENTRY(any, 5)                  \
  ENTRY(arg_max, 5) ENTRY(arg_min, 5) ENTRY(arg_max_i32, 5) ENTRY(arg_min_i32, 5)                     \
  ENTRY(find_non_finite, 3)
