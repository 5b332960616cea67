/**
 * Two-dimensional convolution and its gradients, images and filters as [batch, height, width, channels] and
 * [height, width, in, out]:
 *
 *   y[b, i, j, o] = activation(bias[o] + Σ_{p, q, c} x[b, i·s + p·d − top, j·s + q·d − left, c] · F[p, q, c, o])
 *   dx = the same kind of sum over dy with the filter turned round, one phase of the stride at a time
 *   dF[p, q, c, o] = Σ_{b, i, j} x[b, i·s + p − top, j·s + q − left, c] · dy[b, i, j, o]
 *
 * No patches are gathered. In a row of outputs the window's row p of neighbouring outputs starts s·channels floats apart
 * and is contiguous, so the register tiles of gemm.h read A straight from the image: rows of A overlap, and the sum
 * has a segment for each row of the window. A chunk copies the input that it needs only where that has to be padded.
 */
#include "gemm.h"

/** Most taps of a filter; TypeScript takes the fallback beyond. */
#define CONV_TAPS 256
/** Most floats of a chunk's padded input, and the least multiply-adds of a chunk. */
#define CONV_INPUT (96 << 10)
#define CONV_PRODUCTS 1e6
/** Outputs per pass over a filter that is too large for the nearer caches. */
#define CONV_PIXELS 128
/** Chunks that keep several threads busy. */
#define CONV_UNITS 8

/* ---- forward, and each phase of the input's gradient ------------------------------------------ */

typedef struct {
  const f32 *x;
  i64 in_height, in_width, channels;
  i64 taps_high, taps_wide, dilation_high, dilation_wide, stride_high, stride_wide, top, left;
  /** Element (tap p, q, channel c, output o) is filter[p · filter_p + q · filter_q + c · filter_c + o · filter_o]. */
  const f32 *filter;
  i64 filter_p, filter_q, filter_c, filter_o;
  /** Room for the packed filter: taps · channels · ROUND_UP(outputs, VF) floats. */
  f32 *packed;
  i64 outputs;
  f32 *y;
  i64 images, out_height, out_width, y_image, y_row, y_pixel;
  const f32 *bias;
  i32 activation;
  f32 slope;
  /** A unit: so many rows and columns of an image's outputs, and so many panels of the filter; and the number of each. */
  i64 rows, columns, panels, row_blocks, column_blocks, panel_blocks;
} conv;

INLINE gemm_split conv_panels(const conv *task) { return gemm_divide(CEIL_DIV(task->outputs, VF), GEMM_VECTORS); }

/** Packs the filter into column panels [tap, channel][outputs], some taps per chunk. */
static void conv_pack(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const conv *task = context;
  const gemm_split wide = conv_panels(task);
  const i64 depth = task->taps_high * task->taps_wide * task->channels;
  for (i64 tap = begin; tap < end; tap++) {
    const f32 *source = task->filter + tap / task->taps_wide * task->filter_p + tap % task->taps_wide * task->filter_q;
    for (i64 j = 0, first = 0; j < wide.panels; j++) {
      const i64 width = (wide.most - (j >= wide.at_most)) * VF;
      gemm_pack_panel(source + first * task->filter_o, task->filter_o, task->filter_c, MIN(width, task->outputs - first),
                      width, task->channels, task->packed + first * depth + tap * task->channels * width);
      first += width;
    }
  }
}

/** Copies rows (every `step`-th) × columns of an image from (row, column), which may lie outside: zeros there. */
static void conv_pad(const f32 *image, i64 height, i64 width, i64 channels, i64 row, i64 step, i64 column, i64 rows,
                     i64 columns, f32 *target) {
  const i64 begin = MIN(MAX(-column, 0), columns), end = MAX(MIN(width - column, columns), begin);
  for (i64 i = 0; i < rows; i++, row += step, target += columns * channels) {
    if (row < 0 || row >= height) {
      zero_bytes(target, columns * channels * 4);
      continue;
    }
    zero_bytes(target, begin * channels * 4);
    copy_bytes(target + begin * channels, image + (row * width + column + begin) * channels, (end - begin) * channels * 4);
    zero_bytes(target + end * channels, (columns - end) * channels * 4);
  }
}

static void conv_unit(const conv *task, i64 unit, f32 *scratch) {
  const i64 panel_block = unit % task->panel_blocks, place = unit / task->panel_blocks;
  const i64 column_block = place % task->column_blocks, row_block = place / task->column_blocks % task->row_blocks;
  const i64 image = place / (task->column_blocks * task->row_blocks), channels = task->channels;
  const i64 i0 = row_block * task->rows, j0 = column_block * task->columns;
  const i64 rows = MIN(task->rows, task->out_height - i0), columns = MIN(task->columns, task->out_width - j0);

  /* The input of these outputs, padded in scratch memory unless it lies inside the image. */
  const i64 in_rows = (rows - 1) * task->stride_high + (task->taps_high - 1) * task->dilation_high + 1;
  const i64 in_columns = (columns - 1) * task->stride_wide + (task->taps_wide - 1) * task->dilation_wide + 1;
  const i64 in_row = i0 * task->stride_high - task->top, in_column = j0 * task->stride_wide - task->left;
  const f32 *x = task->x + image * task->in_height * task->in_width * channels;
  i64 line = task->in_width * channels;
  if (in_row >= 0 && in_column >= 0 && in_row + in_rows <= task->in_height && in_column + in_columns <= task->in_width) {
    x += in_row * line + in_column * channels;
  } else if (task->taps_high > 0 && task->taps_wide > 0) {
    conv_pad(x, task->in_height, task->in_width, channels, in_row, 1, in_column, in_rows, in_columns, scratch);
    x = scratch, line = in_columns * channels;
  }

  i64 offsets[CONV_TAPS], segments = 0;
  const i64 together = task->dilation_wide == 1 ? task->taps_wide : 1;
  for (i64 p = 0; p < task->taps_high; p++) {
    for (i64 q = 0; q < task->taps_wide; q += together) {
      offsets[segments++] = p * task->dilation_high * line + q * task->dilation_wide * channels;
    }
  }
  const i64 depth = task->taps_high * task->taps_wide * channels;
  const gemm_split wide = conv_panels(task), tall = gemm_divide(columns, GEMM_ROWS);
  const i64 last_panel = MIN(wide.panels, (panel_block + 1) * task->panels);
  for (i64 j = panel_block * task->panels; j < last_panel; j++) {
    const i64 vectors = wide.most - (j >= wide.at_most), width = vectors * VF;
    const i64 output = (j * wide.most - MAX(0, j - wide.at_most)) * VF;
    for (i64 i = 0; i < rows; i++) {
      for (i64 part = 0; part < 2; part++) {
        const i64 height = tall.most - part, first = part ? tall.at_most * tall.most : 0;
        const gemm_strip_task strip = {
            .count = part ? tall.panels - tall.at_most : tall.at_most,
            .k = together * channels, .segments = segments, .offsets = offsets,
            .a = x + i * task->stride_high * line + first * task->stride_wide * channels,
            .a_panel = height * task->stride_wide * channels, .a_step = task->stride_wide * channels,
            .b = task->packed + output * depth, .b_step = width, .b_segment = together * channels * width,
            .c = task->y + image * task->y_image + (i0 + i) * task->y_row + (j0 + first) * task->y_pixel + output,
            .c_row = task->y_pixel, .alpha = 1, .last = MIN(width, task->outputs - output) - (vectors - 1) * VF,
            .finish = task->bias || task->activation, .bias = task->bias ? task->bias + output : 0,
            .activation = task->activation, .slope = task->slope,
        };
        if (strip.count > 0 && height > 0) gemm_strips[1][height - 1][vectors - 1](&strip);
      }
    }
  }
}

static void conv_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  for (i64 unit = begin; unit < end; unit++) conv_unit(context, unit, fwp_scratch(thread));
}

/** Packs the filter, cuts the outputs into units and computes them. */
static void conv_run(conv *task) {
  if (task->images <= 0 || task->out_height <= 0 || task->out_width <= 0 || task->outputs <= 0) return;
  const i64 taps = task->taps_high * task->taps_wide, channels = task->channels, panels = conv_panels(task).panels;
  fwp_parallel_for(taps, MAX(1, 65536 / (channels * task->outputs + 1)), conv_pack, task);

  const i64 window_high = MAX(1, (task->taps_high - 1) * task->dilation_high + 1);
  const i64 window_wide = MAX(1, (task->taps_wide - 1) * task->dilation_wide + 1);
  const i64 fitting_columns = CONV_INPUT / (window_high * channels) - window_wide;
  task->columns = MAX(1, MIN(task->out_width, fitting_columns / task->stride_wide));
  const i64 in_columns = (task->columns - 1) * task->stride_wide + window_wide;
  const i64 fitting_rows = (CONV_INPUT / (in_columns * channels) - window_high) / task->stride_high + 1;
  const f64 row_products = (f64)task->columns * (f64)(taps * channels) * (f64)task->outputs + 1;
  /* A large filter comes from the outer caches: each pass over it should serve many outputs. */
  const i64 pixels = taps * channels * task->outputs > 65536 ? CONV_PIXELS : 1;
  const i64 worth = MAX((i64)MIN(CONV_PRODUCTS / row_products + 1, 1e6), CEIL_DIV(pixels, task->columns));
  task->rows = MAX(1, MIN(task->out_height, MIN(fitting_rows, worth)));
  task->rows = CEIL_DIV(task->out_height, CEIL_DIV(task->out_height, task->rows));
  task->row_blocks = CEIL_DIV(task->out_height, task->rows);
  task->column_blocks = CEIL_DIV(task->out_width, task->columns);
  const i64 places = task->images * task->row_blocks * task->column_blocks;
  task->panels = places >= CONV_UNITS ? panels : MAX(1, panels * places / CONV_UNITS);
  task->panel_blocks = CEIL_DIV(panels, task->panels);
  const f64 unit_products = row_products * (f64)task->rows / (f64)task->panel_blocks;
  fwp_parallel_for(places * task->panel_blocks, MAX(1, (i64)(CONV_PRODUCTS / unit_products)), conv_chunk, task);
}

/**
 * x, filter, y, workspace for the packed filter (height · width · in · outputs rounded up to 16, floats),
 * images, height, width and channels of x, height and width of the filter, strides, dilations, top and left padding,
 * height, width and channels of y, bias [outputs] or 0, activation, slope of the leaky ReLU.
 */
KERNEL(conv2d) {
  const i64 in_channels = INT(7), height = INT(16), width = INT(17), outputs = INT(18);
  conv task = {
      .x = F32(0), .in_height = INT(5), .in_width = INT(6), .channels = in_channels,
      .taps_high = INT(8), .taps_wide = INT(9), .stride_high = INT(10), .stride_wide = INT(11),
      .dilation_high = INT(12), .dilation_wide = INT(13), .top = INT(14), .left = INT(15),
      .filter = F32(1), .filter_p = INT(9) * in_channels * outputs, .filter_q = in_channels * outputs,
      .filter_c = outputs, .filter_o = 1, .packed = F32(3), .outputs = outputs,
      .y = F32(2), .images = INT(4), .out_height = height, .out_width = width,
      .y_image = height * width * outputs, .y_row = width * outputs, .y_pixel = outputs,
      .bias = OPTIONAL_F32(19), .activation = (i32)INT(20), .slope = NUM(21),
  };
  conv_run(&task);
  return OK;
}

/**
 * dy, filter, dx, workspace (height · width · outputs · in rounded up to 16, floats), images, height, width and channels
 * of dx, height and width of the filter, strides, top and left padding, height, width and channels of dy.
 *
 * dx at rows ≡ a (modulo the stride) takes only every stride-th row of the filter, and neighbouring rows of dy: for each
 * such phase this is an ordinary convolution of dy, with those taps in reverse.
 */
KERNEL(conv2d_backprop_input) {
  const i64 height = INT(5), width = INT(6), in_channels = INT(7), filter_high = INT(8), filter_wide = INT(9);
  const i64 stride_high = INT(10), stride_wide = INT(11), top = INT(12), left = INT(13), outputs = INT(16);
  f32 *packed = F32(3);
  for (i64 a = 0; a < MIN(stride_high, height); a++) {
    for (i64 b = 0; b < MIN(stride_wide, width); b++) {
      const i64 p0 = (a + top) % stride_high, q0 = (b + left) % stride_wide;
      const i64 taps_high = p0 < filter_high ? (filter_high - 1 - p0) / stride_high + 1 : 0;
      const i64 taps_wide = q0 < filter_wide ? (filter_wide - 1 - q0) / stride_wide + 1 : 0;
      const i64 tap = in_channels * outputs;
      const i64 last_p = p0 + (taps_high - 1) * stride_high, last_q = q0 + (taps_wide - 1) * stride_wide;
      conv task = {
          .x = F32(0), .in_height = INT(14), .in_width = INT(15), .channels = outputs,
          .taps_high = taps_high, .taps_wide = taps_wide,
          .stride_high = 1, .stride_wide = 1, .dilation_high = 1, .dilation_wide = 1,
          .top = taps_high - 1 - (a + top - p0) / stride_high, .left = taps_wide - 1 - (b + left - q0) / stride_wide,
          .filter = F32(1) + (last_p * filter_wide + last_q) * tap,
          .filter_p = -stride_high * filter_wide * tap, .filter_q = -stride_wide * tap,
          .filter_c = 1, .filter_o = outputs, .packed = packed, .outputs = in_channels,
          .y = F32(2) + (a * width + b) * in_channels, .images = INT(4),
          .out_height = CEIL_DIV(height - a, stride_high), .out_width = CEIL_DIV(width - b, stride_wide),
          .y_image = height * width * in_channels, .y_row = stride_high * width * in_channels,
          .y_pixel = stride_wide * in_channels,
      };
      conv_run(&task);
      packed += taps_high * taps_wide * outputs * ROUND_UP(in_channels, VF);
    }
  }
  return OK;
}

/* ---- the filter's gradient -------------------------------------------------------------------- */

/** Whether panels of dY are narrower than a cache line: then they are copied, if they are read often enough. */
#define CONV_NARROW_PANELS (GEMM_VECTORS * VF < 16)

typedef struct {
  const f32 *x, *dy;
  i64 in_height, in_width, channels, filter_high, filter_wide, stride_high, stride_wide, top, left;
  i64 images, out_height, out_width, outputs;
  /** One gradient per slab. */
  f32 *partial;
  i64 slabs;
  f32 *d_filter;
  /** A block: so many rows of dy (counted through all images) and columns; blocks in all. */
  i64 rows, columns, row_blocks, column_blocks;
} conv_filter;

/**
 * Row p of the filter's window, summed over one slab of blocks: [width · channels, outputs] (+)= Xᵀ · dY, where the rows of
 * X (one per output) overlap in the image as in the forward direction.
 */
static void conv_filter_slab(const conv_filter *task, i64 slab, i64 p, f32 *scratch) {
  const i64 channels = task->channels, outputs = task->outputs, features = task->filter_wide * channels;
  const i64 blocks = task->row_blocks * task->column_blocks;
  const i64 first_block = blocks * slab / task->slabs, last_block = blocks * (slab + 1) / task->slabs;
  const gemm_split wide = gemm_divide(CEIL_DIV(outputs, VF), GEMM_VECTORS), tall = gemm_divide(features, GEMM_ROWS);
  f32 *target = task->partial + (slab * task->filter_high + p) * features * outputs;
  if (first_block == last_block) zero_bytes(target, features * outputs * 4);
  for (i64 block = first_block; block < last_block; block++) {
    const i64 row = block / task->column_blocks * task->rows, j0 = block % task->column_blocks * task->columns;
    const i64 rows = MIN(task->rows, task->images * task->out_height - row), columns = MIN(task->columns, task->out_width - j0);
    const i64 in_columns = (columns - 1) * task->stride_wide + task->filter_wide, in_column = j0 * task->stride_wide - task->left;

    /* X: where it stands, if all of it lies in one image; else copied and padded row by row. */
    const i64 image = row / task->out_height, i0 = row % task->out_height, first_row = i0 * task->stride_high + p - task->top;
    const f32 *x = task->x + image * task->in_height * task->in_width * channels;
    f32 *free = scratch;
    i64 line = task->stride_high * task->in_width * channels;
    if (i0 + rows <= task->out_height && first_row >= 0 && first_row + (rows - 1) * task->stride_high < task->in_height &&
        in_column >= 0 && in_column + in_columns <= task->in_width) {
      x += (first_row * task->in_width + in_column) * channels;
    } else {
      line = in_columns * channels;
      for (i64 i = 0; i < rows;) {
        const i64 at = row + i, in_image = at % task->out_height, count = MIN(rows - i, task->out_height - in_image);
        conv_pad(task->x + at / task->out_height * task->in_height * task->in_width * channels, task->in_height,
                 task->in_width, channels, in_image * task->stride_high + p - task->top, task->stride_high, in_column, count,
                 in_columns, scratch + i * line);
        i += count;
      }
      x = scratch, free += rows * line;
    }

    /* dY: where it stands, unless a copy pays or the last panel would reach beyond it. */
    const f32 *dy = task->dy + (row * task->out_width + j0) * outputs;
    const i32 packed = outputs % VF != 0 || (CONV_NARROW_PANELS && features >= 8 * GEMM_ROWS);
    if (packed) gemm_pack_b(dy, outputs, 1, rows * columns, outputs, wide, free);

    i64 offsets[CONV_TAPS];
    for (i64 i = 0; i < rows; i++) offsets[i] = i * line;
    for (i64 j = 0, column = 0; j < wide.panels; j++) {
      const i64 vectors = wide.most - (j >= wide.at_most), width = vectors * VF;
      for (i64 part = 0; part < 2; part++) {
        const i64 height = tall.most - part, first = part ? tall.at_most * tall.most : 0;
        const gemm_strip_task strip = {
            .count = part ? tall.panels - tall.at_most : tall.at_most,
            .k = columns, .segments = rows, .offsets = offsets,
            .a = x + first, .a_panel = height, .a_step = task->stride_wide * channels,
            .b = packed ? free + column * rows * columns : dy + column,
            .b_step = packed ? width : outputs, .b_segment = packed ? columns * width : task->out_width * outputs,
            .c = target + first * outputs + column, .c_row = outputs, .alpha = 1, .accumulate = block > first_block,
            .last = MIN(width, outputs - column) - (vectors - 1) * VF,
        };
        if (strip.count > 0 && height > 0) gemm_strips[0][height - 1][vectors - 1](&strip);
      }
      column += width;
    }
  }
}

static void conv_filter_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const conv_filter *task = context;
  for (i64 unit = begin; unit < end; unit++) {
    conv_filter_slab(task, unit / task->filter_high, unit % task->filter_high, fwp_scratch(thread));
  }
}

/** The sum of the slabs, in their order. */
static void conv_filter_sum(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const conv_filter *task = context;
  const i64 size = task->filter_high * task->filter_wide * task->channels * task->outputs;
  for (i64 i = begin; i < end; i += VF) {
    const i64 count = MIN(VF, end - i);
    vf sum = vload_first(task->partial + i, count, 0);
    for (i64 slab = 1; slab < task->slabs; slab++) sum += vload_first(task->partial + slab * size + i, count, 0);
    vstore_first(task->d_filter + i, sum, count);
  }
}

/**
 * x, dy, gradient of the filter, workspace (slabs gradients; unused if there is one slab), slabs, images, height, width
 * and channels of x, height and width of the filter, strides, top and left padding, height, width and channels of dy.
 */
KERNEL(conv2d_backprop_filter) {
  conv_filter task = {
      .x = F32(0), .dy = F32(1), .d_filter = F32(2), .slabs = INT(4), .images = INT(5),
      .in_height = INT(6), .in_width = INT(7), .channels = INT(8), .filter_high = INT(9), .filter_wide = INT(10),
      .stride_high = INT(11), .stride_wide = INT(12), .top = INT(13), .left = INT(14),
      .out_height = INT(15), .out_width = INT(16), .outputs = INT(17),
  };
  task.partial = task.slabs > 1 ? F32(3) : task.d_filter;
  const i64 size = task.filter_high * task.filter_wide * task.channels * task.outputs;
  if (size == 0) return OK;
  if (task.images <= 0 || task.out_height <= 0 || task.out_width <= 0) {
    zero_bytes(task.d_filter, size * 4);
    return OK;
  }
  /*
   * Pixels per block: few enough that a panel of dY stays in the nearest cache, more where the gradient itself is
   * large, and so few that X and dY, padded, fit the scratch memory.
   */
  const i64 wanted = size > 65536 ? 1024 : 192;
  const i64 most = (GEMM_SCRATCH - task.filter_wide * task.channels * 2) /
                   (task.stride_wide * task.channels + ROUND_UP(task.outputs, VF));
  const i64 pixels = MAX(1, MIN(wanted, most));
  task.columns = MIN(task.out_width, pixels);
  task.columns = CEIL_DIV(task.out_width, CEIL_DIV(task.out_width, task.columns));
  const i64 line = (task.columns * task.stride_wide + task.filter_wide) * task.channels + task.columns * ROUND_UP(task.outputs, VF);
  task.rows = MAX(1, MIN(MIN(pixels / task.columns, GEMM_SCRATCH / line), CONV_TAPS));
  /* The pixels of a block are contiguous in dY. */
  task.rows = task.columns < task.out_width ? 1 : MIN(task.rows, task.images * task.out_height);
  task.row_blocks = CEIL_DIV(task.images * task.out_height, task.rows);
  task.column_blocks = CEIL_DIV(task.out_width, task.columns);
  fwp_parallel_for(task.slabs * task.filter_high, 1, conv_filter_chunk, &task);
  if (task.slabs > 1) fwp_parallel_for(size, 16384, conv_filter_sum, &task);
  return OK;
}

#define CONVOLUTION_KERNELS(ENTRY) \
  ENTRY(conv2d, 22)                \
  ENTRY(conv2d_backprop_input, 17) \
  ENTRY(conv2d_backprop_filter, 18)
