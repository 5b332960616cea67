/**
 * Data movement: one strided copy behind transpose, slice, concat, tile, broadcast and reverse, and padding.
 *
 *   strided_copy   y[Σ i_d · out_d] = x[Σ i_d · in_d]   for all indices i_d < size_d
 *   pad            y = x inside a frame of a constant, or of x mirrored at its edges
 *
 * Both are bound by memory bandwidth: inner rows are block copies, and a permutation that moves the last axis
 * goes through square tiles that fit the first-level cache, transposed in registers. Elements are 4 bytes
 * (float32, int32) or 1 byte (bool) and are moved as bits.
 */
#include "fwp.h"
#include "simd.h"
#include "blocks.h"
#include "transpose.h"

/** Elements per chunk: 128 KiB of 4-byte elements, some 20 µs of copying. */
#define MOVEMENT_GRAIN 32768
/** Edge of the cache tile of a transposition: 64 rows of 256 bytes, read and written, are 32 KiB. */
#define MOVEMENT_TILE 64

/* ---- rows ----------------------------------------------------------------------------------- */

/** One row: n elements, `in` apart in x and `out` apart in y. */
INLINE void movement_row(char *y, const char *x, i64 n, i64 in, i64 out, i64 element) {
  if (out == 1 && in == 1) {
    movement_copy(y, x, n * element);
  } else if (element == 4) {
    const u32 *from = (const u32 *)x;
    u32 *to = (u32 *)y;
    if (out == 1 && in == 0) movement_fill(y, from[0], n, 4);
    else if (out == 1 && in == -1) for (i64 i = 0; i < n; i++) to[i] = from[-i];
    else for (i64 i = 0; i < n; i++) to[i * out] = from[i * in];
  } else {
    for (i64 i = 0; i < n; i++) ((u8 *)y)[i * out] = ((const u8 *)x)[i * in];
  }
}

/* ---- strided copy ---------------------------------------------------------------------------- */

#define MOVEMENT_RANK 8

typedef struct {
  const char *x;
  char *y;
  /** Bytes per element; strides are in elements. */
  i64 element;
  i64 size[MOVEMENT_RANK], in[MOVEMENT_RANK], out[MOVEMENT_RANK];
  /** The last axis is cut into this many segments of MOVEMENT_GRAIN elements. */
  i64 segments;
  /** Transposition: the axis whose elements are adjacent in x; size and number of tiles along it and the last axis. */
  i64 adjacent, tile_adjacent, tiles_adjacent, tile_last, tiles_last;
} movement_plan;

/** Offsets of the row with linear index `row` over the axes before the last; fills `index` with its coordinates. */
INLINE void movement_locate(const movement_plan *plan, i64 row, i64 *index, i64 *in, i64 *out) {
  *in = *out = 0;
  for (i64 d = MOVEMENT_RANK - 2; d >= 0; d--) {
    i64 size = plan->size[d];
    index[d] = row % size;
    row /= size;
    *in += index[d] * plan->in[d];
    *out += index[d] * plan->out[d];
  }
}

/** Columns [from, from + n) of the rows [begin, end). */
INLINE void movement_rows(const movement_plan *plan, i64 begin, i64 end, i64 from, i64 n, i64 element) {
  const i64 last = MOVEMENT_RANK - 1, middle = MOVEMENT_RANK - 2;
  const i64 in_step = plan->in[middle], out_step = plan->out[middle];
  const i64 in_last = plan->in[last], out_last = plan->out[last];
  i64 index[MOVEMENT_RANK], in, out;
  movement_locate(plan, begin, index, &in, &out);
  in += from * in_last;
  out += from * out_last;
  for (i64 row = begin; row < end;) {
    i64 rows = MIN(plan->size[middle] - index[middle], end - row);
    for (i64 i = 0; i < rows; i++) {
      movement_row(plan->y + (out + i * out_step) * element, plan->x + (in + i * in_step) * element, n, in_last,
                   out_last, element);
    }
    row += rows;
    in -= index[middle] * in_step;
    out -= index[middle] * out_step;
    index[middle] = 0;
    for (i64 d = middle - 1; d >= 0; d--) {
      in += plan->in[d];
      out += plan->out[d];
      if (++index[d] < plan->size[d]) break;
      in -= index[d] * plan->in[d];
      out -= index[d] * plan->out[d];
      index[d] = 0;
    }
  }
}

static void movement_copy_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const movement_plan *plan = context;
  i64 columns = plan->size[MOVEMENT_RANK - 1];
  if (plan->segments == 1) {
    if (plan->element == 4) movement_rows(plan, begin, end, 0, columns, 4);
    else movement_rows(plan, begin, end, 0, columns, 1);
    return;
  }
  for (i64 i = begin; i < end; i++) {
    i64 row = i / plan->segments, from = i % plan->segments * MOVEMENT_GRAIN;
    i64 n = MIN(MOVEMENT_GRAIN, columns - from);
    if (plan->element == 4) movement_rows(plan, row, row + 1, from, n, 4);
    else movement_rows(plan, row, row + 1, from, n, 1);
  }
}

/* ---- transposition ---------------------------------------------------------------------------- */

/**
 * One tile. Rows of x that lie a multiple of 1 KiB apart share a few cache sets and push each other out half read, so
 * such a tile is first copied, row by row, into `buffer`.
 */
INLINE void transpose_tile(f32 *y, const f32 *x, i64 rows, i64 columns, i64 in, i64 out, f32 *buffer) {
  if (in % 256 != 0 || rows < 8 || columns < 16) {
    transpose_block(y, x, rows, columns, in, out);
    return;
  }
  /* Few rows may be wider than a square tile; side by side, they would lie 1 KiB apart again. */
  const i64 row = columns > MOVEMENT_TILE ? columns + 16 : MOVEMENT_TILE;
  for (i64 i = 0; i < rows; i++) {
    movement_copy((char *)(buffer + i * row), (const char *)(x + i * in), columns * 4);
  }
  transpose_block(y, buffer, rows, columns, row, out);
}

INLINE void transpose_tile_bytes(u8 *y, const u8 *x, i64 rows, i64 columns, i64 in, i64 out) {
  for (i64 j = 0; j < columns; j++) {
    for (i64 i = 0; i < rows; i++) y[j * out + i] = x[i * in + j];
  }
}

/** Tiles [begin, end), counted along the last axis first, then along the adjacent one, then over all other axes. */
static void movement_transpose_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const movement_plan *plan = context;
  f32 *buffer = fwp_scratch(thread);
  const i64 last = MOVEMENT_RANK - 1, adjacent = plan->adjacent;
  for (i64 tile = begin; tile < end; tile++) {
    i64 i = tile % plan->tiles_last * plan->tile_last;
    i64 j = tile / plan->tiles_last % plan->tiles_adjacent * plan->tile_adjacent;
    i64 rest = tile / (plan->tiles_last * plan->tiles_adjacent);
    i64 in = i * plan->in[last] + j, out = i + j * plan->out[adjacent];
    for (i64 d = last - 1; d >= 0; d--) {
      if (d == adjacent) continue;
      i64 index = rest % plan->size[d];
      rest /= plan->size[d];
      in += index * plan->in[d];
      out += index * plan->out[d];
    }
    i64 rows = MIN(plan->tile_last, plan->size[last] - i);
    i64 columns = MIN(plan->tile_adjacent, plan->size[adjacent] - j);
    if (plan->element == 4) {
      transpose_tile((f32 *)plan->y + out, (const f32 *)plan->x + in, rows, columns, plan->in[last],
                     plan->out[adjacent], buffer);
    } else {
      transpose_tile_bytes((u8 *)plan->y + out, (const u8 *)plan->x + in, rows, columns, plan->in[last],
                           plan->out[adjacent]);
    }
  }
}

/**
 * strided_copy(x, y, element, 8 × size, 8 × in, 8 × out): both pointers address the element with all indices 0;
 * strides count elements of `element` bytes (4 or 1) and may be zero or negative in x. Axes are ordered from
 * slowest to fastest in y, merged where possible and padded in front with axes of size 1.
 */
KERNEL(strided_copy) {
  movement_plan plan = {.x = FWP_POINTER(char, arg[0]), .y = FWP_POINTER(char, arg[1]), .element = INT(2)};
  i64 rows = 1, last = MOVEMENT_RANK - 1;
  plan.adjacent = -1;
  for (i64 d = 0; d <= last; d++) {
    plan.size[d] = INT(3 + d);
    plan.in[d] = INT(3 + MOVEMENT_RANK + d);
    plan.out[d] = INT(3 + 2 * MOVEMENT_RANK + d);
    if (plan.size[d] == 0) return OK;
    if (d < last) {
      rows *= plan.size[d];
      if (plan.in[d] == 1 && plan.size[d] > 1) plan.adjacent = d;
    }
  }
  i64 columns = plan.size[last];
  if (plan.adjacent >= 0 && plan.out[last] == 1 && (plan.in[last] > 1 || plan.in[last] < -1)) {
    i64 width = plan.size[plan.adjacent];
    /* Tiles have MOVEMENT_TILE² elements also where one side is shorter, but are at most that wide in x. */
    plan.tile_adjacent = MIN(width, columns < 16 ? 4 * MOVEMENT_TILE : MOVEMENT_TILE);
    plan.tile_last = MIN(columns, MOVEMENT_TILE * MOVEMENT_TILE / plan.tile_adjacent / 8 * 8);
    plan.tiles_last = CEIL_DIV(columns, plan.tile_last);
    plan.tiles_adjacent = CEIL_DIV(width, plan.tile_adjacent);
    i64 tiles = rows / width * plan.tiles_last * plan.tiles_adjacent;
    fwp_parallel_for(tiles, CEIL_DIV(MOVEMENT_GRAIN, plan.tile_adjacent * plan.tile_last), movement_transpose_chunk,
                     &plan);
    return OK;
  }
  plan.segments = CEIL_DIV(columns, MOVEMENT_GRAIN);
  i64 grain = plan.segments == 1 ? CEIL_DIV(MOVEMENT_GRAIN, columns) : 1;
  fwp_parallel_for(rows * plan.segments, grain, movement_copy_chunk, &plan);
  return OK;
}

/* ---- padding ---------------------------------------------------------------------------------- */

#define PAD_RANK 6
/** How the frame is filled: with a constant, mirrored without the edge (reflect), mirrored with it (symmetric). */
enum { PAD_CONSTANT, PAD_REFLECT, PAD_SYMMETRIC };

typedef struct {
  const char *x;
  char *y;
  i64 element, mode;
  u32 value;
  /** Of x; the frame around it; the size and strides that follow. */
  i64 size[PAD_RANK], before[PAD_RANK], out_size[PAD_RANK], in[PAD_RANK];
} pad_plan;

/** Source coordinate of output coordinate `i` along axis d, or -1 in a constant frame. */
INLINE i64 pad_source(const pad_plan *plan, i64 d, i64 i) {
  i64 from = i - plan->before[d], size = plan->size[d], edge = plan->mode == PAD_SYMMETRIC ? 1 : 0;
  if (from >= 0 && from < size) return from;
  if (plan->mode == PAD_CONSTANT) return -1;
  return from < 0 ? -from - edge : 2 * (size - 1) - from + edge;
}

static void pad_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const pad_plan *plan = context;
  const i64 last = PAD_RANK - 1, element = plan->element, columns = plan->out_size[last];
  const i64 before = plan->before[last], inside = plan->size[last], after = columns - before - inside;
  for (i64 row = begin; row < end; row++) {
    char *y = plan->y + row * columns * element;
    i64 in = 0;
    for (i64 d = last - 1, rest = row; d >= 0; d--) {
      i64 source = pad_source(plan, d, rest % plan->out_size[d]);
      rest /= plan->out_size[d];
      if (source < 0) {
        in = -1;
        break;
      }
      in += source * plan->in[d];
    }
    if (in < 0) {
      movement_fill(y, plan->value, columns, element);
      continue;
    }
    const char *x = plan->x + in * element;
    movement_copy(y + before * element, x, inside * element);
    if (plan->mode == PAD_CONSTANT) {
      movement_fill(y, plan->value, before, element);
      movement_fill(y + (before + inside) * element, plan->value, after, element);
    } else {
      for (i64 j = 0; j < before; j++) {
        movement_copy(y + j * element, x + pad_source(plan, last, j) * element, element);
      }
      for (i64 j = before + inside; j < columns; j++) {
        movement_copy(y + j * element, x + pad_source(plan, last, j) * element, element);
      }
    }
  }
}

/**
 * pad(x, y, element, mode, value, 6 × size, 6 × before, 6 × after): element is 4 (float32), -4 (int32) or 1 (bool),
 * which decides what `value` means; axes are padded in front with axes of size 1.
 */
KERNEL(pad) {
  i64 kind = INT(2);
  pad_plan plan = {.x = FWP_POINTER(char, arg[0]), .y = FWP_POINTER(char, arg[1]), .element = kind == 1 ? 1 : 4,
                   .mode = INT(3)};
  union { f32 number; u32 bits; } value = {.number = NUM(4)};
  plan.value = kind == 4 ? value.bits : kind == 1 ? (u32)FLAG(4) : (u32)(i32)INT(4);
  i64 rows = 1, stride = 1;
  for (i64 d = PAD_RANK - 1; d >= 0; d--) {
    plan.size[d] = INT(5 + d);
    plan.before[d] = INT(5 + PAD_RANK + d);
    plan.out_size[d] = plan.size[d] + plan.before[d] + INT(5 + 2 * PAD_RANK + d);
    plan.in[d] = stride;
    stride *= plan.size[d];
    if (d < PAD_RANK - 1) rows *= plan.out_size[d];
  }
  i64 columns = plan.out_size[PAD_RANK - 1];
  if (rows * columns == 0) return OK;
  fwp_parallel_for(rows, CEIL_DIV(MOVEMENT_GRAIN, columns), pad_chunk, &plan);
  return OK;
}

#define MOVEMENT_KERNELS(ENTRY) \
  ENTRY(strided_copy, 27) \
  ENTRY(pad, 23)
