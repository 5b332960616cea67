/**
 * Maximum and average pooling of [batch, height, width, channels], and their gradients:
 *
 *   y[b, i, j, c] = max or mean over the taps of x[b, i·s + p − top, j·s + q − left, c] that lie inside the image
 *   dx of the maximum: dy goes to the first largest tap (row by row); NaN and −∞ are never larger
 *   dx of the mean: dy / (filter height · width) goes to every tap, as in tfjs, also at the borders
 *
 * Vectors run over channels.
 */
#include "fwp.h"
#include "simd.h"

/** Least reads per chunk. */
#define POOL_READS 65536

typedef struct {
  const f32 *x, *dy;
  f32 *y;
  i64 images, in_height, in_width, channels, taps_high, taps_wide, stride_high, stride_wide, top, left, out_height, out_width;
  i32 mean;
  /** Channels per unit of a gradient. */
  i64 channel_block;
} pool_task;

/** The part of a window [start, start + taps) that lies in [0, size), relative to its start. */
INLINE void pool_inside(i64 start, i64 taps, i64 size, i64 *begin, i64 *end) {
  *begin = MIN(MAX(-start, 0), taps);
  *end = MAX(MIN(size - start, taps), *begin);
}

INLINE void pool_rows(const pool_task *task, i64 first, i64 last, const i32 mean) {
  const i64 channels = task->channels, line = task->in_width * channels;
  for (i64 row = first; row < last; row++) {
    const i64 image = row / task->out_height, top = row % task->out_height * task->stride_high - task->top;
    i64 p0, p1, q0, q1;
    pool_inside(top, task->taps_high, task->in_height, &p0, &p1);
    for (i64 j = 0; j < task->out_width; j++) {
      const i64 left = j * task->stride_wide - task->left;
      pool_inside(left, task->taps_wide, task->in_width, &q0, &q1);
      const f32 *x = task->x + (image * task->in_height + top) * line + left * channels;
      f32 *y = task->y + (row * task->out_width + j) * channels;
      const vf count = vset((f32)((p1 - p0) * (q1 - q0)));
      i64 c = 0;
      for (; c + VF <= channels; c += VF) {
        vf best = vset(mean ? 0 : -__builtin_inff());
        for (i64 p = p0; p < p1; p++) {
          for (i64 q = q0; q < q1; q++) {
            const vf value = vload(x + p * line + q * channels + c);
            best = mean ? best + value : vselect(value > best, value, best);
          }
        }
        vstore(y + c, mean ? best / count : best);
      }
      if (c < channels) {
        vf best = vset(mean ? 0 : -__builtin_inff());
        for (i64 p = p0; p < p1; p++) {
          for (i64 q = q0; q < q1; q++) {
            const vf value = vload_first(x + p * line + q * channels + c, channels - c, 0);
            best = mean ? best + value : vselect(value > best, value, best);
          }
        }
        vstore_first(y + c, mean ? best / count : best, channels - c);
      }
    }
  }
}

static void pool_chunk(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const pool_task *task = context;
  if (task->mean) pool_rows(task, begin, end, 1);
  else pool_rows(task, begin, end, 0);
}

/** x, y, images, height, width, channels, height and width of the window, strides, top and left padding, height and width of y, whether to average. */
KERNEL(pool2d) {
  const pool_task task = {
      .x = F32(0), .y = F32(1), .images = INT(2), .in_height = INT(3), .in_width = INT(4), .channels = INT(5),
      .taps_high = INT(6), .taps_wide = INT(7), .stride_high = INT(8), .stride_wide = INT(9),
      .top = INT(10), .left = INT(11), .out_height = INT(12), .out_width = INT(13), .mean = FLAG(14),
  };
  const i64 reads = task.out_width * task.channels * task.taps_high * task.taps_wide + 1;
  fwp_parallel_for(task.images * task.out_height, MAX(1, POOL_READS / reads), pool_chunk, &task);
  return OK;
}

/** dx of some channels of an image, `count` at a time: cleared, then the windows in order. */
static void pool_gradient_unit(const pool_task *task, i64 unit) {
  const i64 channels = task->channels, line = task->in_width * channels;
  const i64 blocks = CEIL_DIV(channels, task->channel_block), image = unit / blocks, c0 = unit % blocks * task->channel_block;
  const i64 c1 = MIN(channels, c0 + task->channel_block);
  f32 *dx = task->y + image * task->in_height * line;
  const f32 *x = task->x + image * task->in_height * line;
  for (i64 pixel = 0; pixel < task->in_height * task->in_width; pixel++) zero_bytes(dx + pixel * channels + c0, (c1 - c0) * 4);
  const f32 share = 1 / (f32)(task->taps_high * task->taps_wide);
  for (i64 i = 0; i < task->out_height; i++) {
    i64 p0, p1, q0, q1;
    const i64 top = i * task->stride_high - task->top;
    pool_inside(top, task->taps_high, task->in_height, &p0, &p1);
    for (i64 j = 0; j < task->out_width; j++) {
      const i64 left = j * task->stride_wide - task->left;
      pool_inside(left, task->taps_wide, task->in_width, &q0, &q1);
      const f32 *dy = task->dy + ((image * task->out_height + i) * task->out_width + j) * channels;
      const i64 corner = top * line + left * channels;
      for (i64 c = c0; c < c1; c += VF) {
        const i64 count = MIN(VF, c1 - c);
        const vf gradient = vload_first(dy + c, count, 0);
        vi winner = viset(-1);
        if (!task->mean) {
          vf best = vset(-__builtin_inff());
          for (i64 p = p0; p < p1; p++) {
            for (i64 q = q0; q < q1; q++) {
              const vf value = vload_first(x + corner + p * line + q * channels + c, count, 0);
              const vi larger = value > best;
              best = vselect(larger, value, best);
              winner = viselect(larger, viset((i32)(p * task->taps_wide + q)), winner);
            }
          }
        }
        for (i64 p = p0; p < p1; p++) {
          for (i64 q = q0; q < q1; q++) {
            f32 *target = dx + corner + p * line + q * channels + c;
            const vi here = winner == viset((i32)(p * task->taps_wide + q));
            const vf part = task->mean ? gradient * share : vselect(here, gradient, vset(0));
            vstore_first(target, vload_first(target, count, 0) + part, count);
          }
        }
      }
    }
  }
}

static void pool_gradient_chunk(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  for (i64 unit = begin; unit < end; unit++) pool_gradient_unit(context, unit);
}

/**
 * dy, x (not read for the mean), dx, images, height, width, channels, height and width of the window, strides, top and left
 * padding, height and width of dy, whether it is the gradient of the mean.
 */
KERNEL(pool2d_gradient) {
  pool_task task = {
      .dy = F32(0), .x = F32(1), .y = F32(2), .images = INT(3), .in_height = INT(4), .in_width = INT(5), .channels = INT(6),
      .taps_high = INT(7), .taps_wide = INT(8), .stride_high = INT(9), .stride_wide = INT(10),
      .top = INT(11), .left = INT(12), .out_height = INT(13), .out_width = INT(14), .mean = FLAG(15),
  };
  if (task.images <= 0 || task.channels <= 0) return OK;
  /* Whole images where there are enough of them; else the channels are divided as well, by whole cache lines. */
  task.channel_block = task.images >= 8 ? task.channels : MAX(16, ROUND_UP(task.channels * task.images / 8, 16));
  const i64 units = task.images * CEIL_DIV(task.channels, task.channel_block);
  const i64 reads = task.in_height * task.in_width * task.channel_block * 2;
  fwp_parallel_for(units, MAX(1, POOL_READS / (reads + 1)), pool_gradient_chunk, &task);
  return OK;
}

#define POOLING_KERNELS(ENTRY) \
  ENTRY(pool2d, 15)            \
  ENTRY(pool2d_gradient, 16)
