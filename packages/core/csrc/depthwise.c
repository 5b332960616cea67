/**
 * Depthwise convolution with one filter per channel, and its gradients (images [batch, height, width, channels], filters
 * [height, width, channels]):
 *
 *   y[b, i, j, c] = activation(bias[c] + Σ_{p, q} x[b, i·s + p·d − top, j·s + q·d − left, c] · F[p, q, c])
 *   dx[b, r, t, c] = Σ dy[b, i, j, c] · F[p, q, c] over all i·s + p − top = r, j·s + q − left = t
 *   dF[p, q, c] = Σ_{b, i, j} x[b, i·s + p − top, j·s + q − left, c] · dy[b, i, j, c]
 *
 * Vectors run over channels. An output pixel is a sum over those of its taps that lie inside the image; four neighbouring
 * pixels with the same taps share the loads of the filter.
 */
#include "gemm.h"

/** Most taps of a filter; TypeScript takes the fallback beyond. */
#define DEPTHWISE_TAPS 256
/** Least multiply-adds of a chunk. */
#define DEPTHWISE_PRODUCTS 4e5

typedef struct {
  const f32 *source, *filter;
  f32 *target;
  i64 images, channels;
  /** Sizes of x and y, whichever of them is the source. */
  i64 in_height, in_width, out_height, out_width;
  i64 taps_high, taps_wide, stride_high, stride_wide, dilation_high, dilation_wide, top, left;
  const f32 *bias;
  i32 activation;
  f32 slope;
} depthwise;

/** Taps of one pixel: where in the source, and where in the filter. */
typedef struct {
  i64 count, source[DEPTHWISE_TAPS], filter[DEPTHWISE_TAPS];
} depthwise_taps;

/** `pixels` sums over the same taps; the pixels are source_step and target_step floats apart. */
INLINE void depthwise_sums(const f32 *source, const f32 *filter, const depthwise_taps *taps, i64 source_step, f32 *target,
                           i64 target_step, i64 channels, const int pixels) {
  i64 c = 0;
  for (; c + VF <= channels; c += VF) {
    vf sum[4];
    UNROLL for (int n = 0; n < pixels; n++) sum[n] = vset(0);
    for (i64 t = 0; t < taps->count; t++) {
      const vf weight = vload(filter + taps->filter[t] + c);
      const f32 *s = source + taps->source[t] + c;
      UNROLL for (int n = 0; n < pixels; n++) sum[n] = vfma(vload(s + n * source_step), weight, sum[n]);
    }
    UNROLL for (int n = 0; n < pixels; n++) vstore(target + n * target_step + c, sum[n]);
  }
  if (c < channels) {
    vf sum[4];
    UNROLL for (int n = 0; n < pixels; n++) sum[n] = vset(0);
    for (i64 t = 0; t < taps->count; t++) {
      const vf weight = vload_first(filter + taps->filter[t] + c, channels - c, 0);
      const f32 *s = source + taps->source[t] + c;
      UNROLL for (int n = 0; n < pixels; n++) {
        sum[n] = vfma(vload_first(s + n * source_step, channels - c, 0), weight, sum[n]);
      }
    }
    UNROLL for (int n = 0; n < pixels; n++) vstore_first(target + n * target_step + c, sum[n], channels - c);
  }
}

/** One row of outputs. */
static void depthwise_forward_row(const depthwise *task, i64 image, i64 i) {
  const i64 channels = task->channels, line = task->in_width * channels, step = task->stride_wide * channels;
  const f32 *x = task->source + image * task->in_height * line;
  f32 *y = task->target + (image * task->out_height + i) * task->out_width * channels;
  depthwise_taps taps;
  for (i64 j = 0; j < task->out_width;) {
    const i64 column = j * task->stride_wide - task->left;
    const i64 last = column + 3 * task->stride_wide + (task->taps_wide - 1) * task->dilation_wide;
    const i32 inside = column >= 0 && last < task->in_width && j + 4 <= task->out_width;
    taps.count = 0;
    for (i64 p = 0; p < task->taps_high; p++) {
      const i64 row = i * task->stride_high + p * task->dilation_high - task->top;
      if (row < 0 || row >= task->in_height) continue;
      for (i64 q = 0; q < task->taps_wide; q++) {
        const i64 at = column + q * task->dilation_wide;
        if (at < 0 || at >= task->in_width) continue;
        taps.source[taps.count] = row * line + at * channels;
        taps.filter[taps.count++] = (p * task->taps_wide + q) * channels;
      }
    }
    if (inside) depthwise_sums(x, task->filter, &taps, step, y + j * channels, channels, channels, 4);
    else depthwise_sums(x, task->filter, &taps, step, y + j * channels, channels, channels, 1);
    j += inside ? 4 : 1;
  }
  if (task->bias || task->activation) {
    gemm_finish(y, channels, task->out_width, channels, task->bias, task->activation, task->slope);
  }
}

/** One row of dx. Pixels a stride apart meet the same taps, at neighbouring pixels of dy. */
static void depthwise_backward_row(const depthwise *task, i64 image, i64 r) {
  const i64 channels = task->channels, line = task->out_width * channels;
  const f32 *dy = task->source + image * task->out_height * line;
  f32 *dx = task->target + (image * task->in_height + r) * task->in_width * channels;
  depthwise_taps taps;
  for (i64 phase = 0; phase < MIN(task->stride_wide, task->in_width); phase++) {
    for (i64 t = phase; t < task->in_width;) {
      taps.count = 0;
      i32 inside = t + 3 * task->stride_wide < task->in_width;
      for (i64 p = 0; p < task->taps_high; p++) {
        const i64 i = r + task->top - p;
        if (i < 0 || i % task->stride_high != 0 || i / task->stride_high >= task->out_height) continue;
        for (i64 q = 0; q < task->taps_wide; q++) {
          const i64 j = t + task->left - q;
          if ((j < 0 ? -j : j) % task->stride_wide != 0) continue;
          if (j < 0 || j / task->stride_wide >= task->out_width) {
            inside = 0;
            continue;
          }
          if (j / task->stride_wide + 3 >= task->out_width) inside = 0;
          taps.source[taps.count] = i / task->stride_high * line + j / task->stride_wide * channels;
          taps.filter[taps.count++] = (p * task->taps_wide + q) * channels;
        }
      }
      const i64 step = task->stride_wide * channels;
      if (inside) depthwise_sums(dy, task->filter, &taps, channels, dx + t * channels, step, channels, 4);
      else depthwise_sums(dy, task->filter, &taps, channels, dx + t * channels, step, channels, 1);
      t += task->stride_wide * (inside ? 4 : 1);
    }
  }
}

static void depthwise_forward_chunk(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const depthwise *task = context;
  for (i64 row = begin; row < end; row++) depthwise_forward_row(task, row / task->out_height, row % task->out_height);
}

static void depthwise_backward_chunk(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const depthwise *task = context;
  for (i64 row = begin; row < end; row++) depthwise_backward_row(task, row / task->in_height, row % task->in_height);
}

/** Rows per chunk when a row has `width` pixels. */
INLINE i64 depthwise_grain(const depthwise *task, i64 width) {
  const f64 products = (f64)width * (f64)task->channels * (f64)(task->taps_high * task->taps_wide) + 1;
  return MAX(1, (i64)(DEPTHWISE_PRODUCTS / products));
}

/**
 * x, filter, y, images, height, width, channels, height and width of the filter, strides, dilations, top and left padding,
 * height and width of y, bias [channels] or 0, activation, slope of the leaky ReLU.
 */
KERNEL(depthwise_conv2d) {
  const depthwise task = {
      .source = F32(0), .filter = F32(1), .target = F32(2), .images = INT(3),
      .in_height = INT(4), .in_width = INT(5), .channels = INT(6), .taps_high = INT(7), .taps_wide = INT(8),
      .stride_high = INT(9), .stride_wide = INT(10), .dilation_high = INT(11), .dilation_wide = INT(12),
      .top = INT(13), .left = INT(14), .out_height = INT(15), .out_width = INT(16),
      .bias = OPTIONAL_F32(17), .activation = (i32)INT(18), .slope = NUM(19),
  };
  fwp_parallel_for(task.images * task.out_height, depthwise_grain(&task, task.out_width), depthwise_forward_chunk, &task);
  return OK;
}

/**
 * dy, filter, dx, images, height, width and channels of dx, height and width of the filter, strides, top and left padding,
 * height and width of dy.
 */
KERNEL(depthwise_conv2d_backprop_input) {
  const depthwise task = {
      .source = F32(0), .filter = F32(1), .target = F32(2), .images = INT(3),
      .in_height = INT(4), .in_width = INT(5), .channels = INT(6), .taps_high = INT(7), .taps_wide = INT(8),
      .stride_high = INT(9), .stride_wide = INT(10), .top = INT(11), .left = INT(12),
      .out_height = INT(13), .out_width = INT(14),
  };
  fwp_parallel_for(task.images * task.in_height, depthwise_grain(&task, task.in_width), depthwise_backward_chunk, &task);
  return OK;
}

typedef struct {
  depthwise shape;
  const f32 *dy;
  /** One gradient per slab. */
  f32 *partial;
  i64 slabs;
} depthwise_filter;

/** One slab's part of the gradient: every tap over a range of rows of dy. */
static void depthwise_filter_slab(const depthwise_filter *job, i64 slab) {
  const depthwise *task = &job->shape;
  const i64 channels = task->channels, rows = task->images * task->out_height;
  const i64 first = rows * slab / job->slabs, last = rows * (slab + 1) / job->slabs;
  f32 *target = job->partial + slab * task->taps_high * task->taps_wide * channels;
  zero_bytes(target, task->taps_high * task->taps_wide * channels * 4);
  for (i64 row = first; row < last; row++) {
    const i64 image = row / task->out_height, i = row % task->out_height;
    const f32 *dy = job->dy + row * task->out_width * channels;
    for (i64 p = 0; p < task->taps_high; p++) {
      const i64 in_row = i * task->stride_high + p - task->top;
      if (in_row < 0 || in_row >= task->in_height) continue;
      const f32 *x = task->source + (image * task->in_height + in_row) * task->in_width * channels;
      for (i64 q = 0; q < task->taps_wide; q++) {
        /* Outputs whose tap lies inside the row. */
        const i64 before = task->left - q, after = task->in_width - 1 + before;
        const i64 begin = before > 0 ? CEIL_DIV(before, task->stride_wide) : 0;
        const i64 end = after < 0 ? 0 : MIN(task->out_width, after / task->stride_wide + 1);
        f32 *sums = target + (p * task->taps_wide + q) * channels;
        const i64 step = task->stride_wide * channels;
        for (i64 c = 0; c < channels; c += VF) {
          const i64 count = MIN(VF, channels - c);
          const f32 *a = x + begin * step - before * channels + c, *b = dy + begin * channels + c;
          vf sum[4];
          UNROLL for (int n = 0; n < 4; n++) sum[n] = vset(0);
          i64 j = begin;
          if (count == VF) {
            for (; j + 4 <= end; j += 4, a += 4 * step, b += 4 * channels) {
              UNROLL for (int n = 0; n < 4; n++) sum[n] = vfma(vload(a + n * step), vload(b + n * channels), sum[n]);
            }
          }
          for (; j < end; j++, a += step, b += channels) {
            sum[0] = vfma(vload_first(a, count, 0), vload_first(b, count, 0), sum[0]);
          }
          const vf total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
          vstore_first(sums + c, vload_first(sums + c, count, 0) + total, count);
        }
      }
    }
  }
}

static void depthwise_filter_chunk(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  for (i64 slab = begin; slab < end; slab++) depthwise_filter_slab(context, slab);
}

/**
 * x, dy, gradient of the filter, workspace (slabs gradients), slabs, images, height, width and channels of x, height and
 * width of the filter, strides, top and left padding, height and width of dy.
 */
KERNEL(depthwise_conv2d_backprop_filter) {
  const depthwise_filter job = {
      .shape = {.source = F32(0), .images = INT(5), .in_height = INT(6), .in_width = INT(7), .channels = INT(8),
                .taps_high = INT(9), .taps_wide = INT(10), .stride_high = INT(11), .stride_wide = INT(12),
                .top = INT(13), .left = INT(14), .out_height = INT(15), .out_width = INT(16)},
      .dy = F32(1), .partial = F32(3), .slabs = INT(4),
  };
  fwp_parallel_for(job.slabs, 1, depthwise_filter_chunk, &job);
  const i64 size = job.shape.taps_high * job.shape.taps_wide * job.shape.channels;
  f32 *gradient = F32(2);
  for (i64 i = 0; i < size; i++) {
    f32 sum = job.partial[i];
    for (i64 slab = 1; slab < job.slabs; slab++) sum += job.partial[slab * size + i];
    gradient[i] = sum;
  }
  return OK;
}

#define DEPTHWISE_KERNELS(ENTRY)             \
  ENTRY(depthwise_conv2d, 20)                \
  ENTRY(depthwise_conv2d_backprop_input, 15) \
  ENTRY(depthwise_conv2d_backprop_filter, 17)
