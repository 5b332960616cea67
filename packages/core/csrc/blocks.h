/** Copying and filling blocks of bytes. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "fwp.h"
#include "simd.h"

typedef u8 movement_short __attribute__((vector_size(16), aligned(1), may_alias));
typedef u8 movement_long __attribute__((vector_size(VF * 4), aligned(1), may_alias));

/** Keeps the compiler from turning a copying loop back into a call. */
#if defined(__wasm__)
#define MOVEMENT_KEEP(v) __asm__("" : "+r"(v))
#else
#define MOVEMENT_KEEP(v) (void)(v)
#endif

/**
 * Copies `bytes` bytes between blocks that do not overlap. Short rows are copied in line, in vectors of which the last
 * two may overlap, because a call costs more than the copy.
 */
INLINE void movement_copy(char *y, const char *x, i64 bytes) {
  if (bytes >= 2048) {
    copy_bytes(y, x, bytes);
  } else if (bytes >= VF * 4) {
    const i64 step = VF * 4;
    for (i64 i = 0; i + step <= bytes; i += step) {
      movement_long v = *(const movement_long *)(x + i);
      MOVEMENT_KEEP(v);
      *(movement_long *)(y + i) = v;
    }
    if (bytes % step) *(movement_long *)(y + bytes - step) = *(const movement_long *)(x + bytes - step);
  } else if (VF > 4 && bytes >= 16) {
    for (i64 i = 0; i + 16 <= bytes; i += 16) *(movement_short *)(y + i) = *(const movement_short *)(x + i);
    if (bytes % 16) *(movement_short *)(y + bytes - 16) = *(const movement_short *)(x + bytes - 16);
  } else if (bytes == 4) {
    copy_bytes(y, x, 4);
  } else if (bytes == 8) {
    copy_bytes(y, x, 8);
  } else {
    for (i64 i = 0; i < bytes; i++) y[i] = x[i];
  }
}

/** Sets `n` elements to the bits of `value`. */
INLINE void movement_fill(char *y, u32 value, i64 n, i64 element) {
  if (element == 1) {
    __builtin_memset(y, (int)value, (size_t)n);
    return;
  }
  vi v = viset((i32)value);
  i64 i = 0;
  for (; i + VF <= n; i += VF) vistore((i32 *)y + i, v);
  for (; i < n; i++) ((u32 *)y)[i] = value;
}

#endif
