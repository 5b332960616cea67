/**
 * Cumulative sums and products along the middle axis of [outer, length, inner].
 *
 *   cumsum, cumprod, cumsum_i32, cumprod_i32   (x, y, outer, length, inner, exclusive, reverse)
 *
 * Along contiguous rows (inner is 1) floats are accumulated in double; along columns in float, as tfjs's CPU
 * backend does.
 */
#include "elementwise.h"

typedef struct {
  const void *x;
  void *y;
  i64 length, inner, exclusive, reverse, tiles;
} scan_job;

#define SCAN_TILE 256

/* ---- contiguous rows ------------------------------------------------------------------------ */


/** Inclusive forward sums of a row: four elements at a time, so that only one addition per four waits for another. */
static void sum_row_forward(const f32 *x, f32 *y, i64 n) {
  f64 total = 0;
  i64 i = 0;
  for (; i + 4 <= n; i += 4) {
    const f64 a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3];
    const f64 ab = a + b, abc = ab + c, abcd = ab + (c + d);
    y[i] = (f32)(total + a);
    y[i + 1] = (f32)(total + ab);
    y[i + 2] = (f32)(total + abc);
    total += abcd;
    y[i + 3] = (f32)total;
  }
  for (; i < n; i++) {
    total += x[i];
    y[i] = (f32)total;
  }
}

#define ROW_SCAN(name, type, accumulator, start, expression)                                          \
  static void name(const type *source, type *target, i64 n, i64 exclusive, i64 reverse) {             \
    accumulator t = start;                                                                            \
    for (i64 k = 0; k < n; k++) {                                                                     \
      const i64 i = reverse ? n - 1 - k : k;                                                          \
      const accumulator x = source[i], before = t;                                                    \
      t = expression;                                                                                 \
      target[i] = (type)(exclusive ? before : t);                                                     \
    }                                                                                                 \
  }
ROW_SCAN(sum_row, f32, f64, 0, t + x)
ROW_SCAN(product_row, f32, f64, 1, t * x)
ROW_SCAN(sum_row_int, u32, u32, 0, t + x)
ROW_SCAN(product_row_int, u32, u32, 1, t * x)

static void sum_row_fast(const f32 *source, f32 *target, i64 n, i64 exclusive, i64 reverse) {
  if (exclusive || reverse) sum_row(source, target, n, exclusive, reverse);
  else sum_row_forward(source, target, n);
}

/* ---- kernels -------------------------------------------------------------------------------- */

#define SCAN(name, type, start, row, expression)                                                      \
  RANGE_FUNCTION(name) {                                                                              \
    const scan_job *job = context;                                                                    \
    for (i64 task = begin; task < end; task++) {                                                      \
      const i64 column = task % job->tiles * SCAN_TILE, o = task / job->tiles;                        \
      const i64 width = MIN(SCAN_TILE, job->inner - column), length = job->length;                    \
      const type *source = (const type *)job->x + o * length * job->inner + column;                   \
      type *target = (type *)job->y + o * length * job->inner + column;                               \
      if (job->inner == 1) {                                                                          \
        row(source, target, length, job->exclusive, job->reverse);                                    \
        continue;                                                                                     \
      }                                                                                               \
      type totals[SCAN_TILE];                                                                         \
      for (i64 c = 0; c < width; c++) totals[c] = start;                                              \
      for (i64 k = 0; k < length; k++) {                                                              \
        const i64 r = job->reverse ? length - 1 - k : k;                                              \
        const type *restrict in = source + r * job->inner;                                            \
        type *restrict out = target + r * job->inner;                                                 \
        if (job->exclusive) {                                                                         \
          for (i64 c = 0; c < width; c++) {                                                           \
            const type t = totals[c], x = in[c];                                                      \
            out[c] = t;                                                                               \
            totals[c] = expression;                                                                   \
          }                                                                                           \
        } else {                                                                                      \
          for (i64 c = 0; c < width; c++) {                                                           \
            const type t = totals[c], x = in[c];                                                      \
            out[c] = totals[c] = expression;                                                          \
          }                                                                                           \
        }                                                                                             \
      }                                                                                               \
    }                                                                                                 \
  }                                                                                                   \
  KERNEL(name) {                                                                                      \
    const scan_job job = {.x = U8(0), .y = U8(1), .length = INT(3), .inner = INT(4),                  \
                          .exclusive = FLAG(5), .reverse = FLAG(6), .tiles = CEIL_DIV(INT(4), SCAN_TILE)}; \
    const i64 work = MAX(1, job.length * MIN(job.inner, SCAN_TILE));                                  \
    fwp_parallel_for(INT(2) * job.tiles, MAX(1, LIGHT_GRAIN / work), name##_range, &job);             \
    return OK;                                                                                        \
  }

SCAN(cumsum, f32, 0, sum_row_fast, t + x)
SCAN(cumprod, f32, 1, product_row, t * x)
SCAN(cumsum_i32, u32, 0, sum_row_int, t + x)
SCAN(cumprod_i32, u32, 1, product_row_int, t * x)

#define SCAN_KERNELS(ENTRY) ENTRY(cumsum, 7) ENTRY(cumprod, 7) ENTRY(cumsum_i32, 7) ENTRY(cumprod_i32, 7)
