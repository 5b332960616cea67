/** A stable counting sort of small integers: what belongs together becomes neighbours, in the order in which it was. */
#ifndef COUNTING_SORT_H
#define COUNTING_SORT_H

#include "fwp.h"

/**
 * order [count]: positions of `keys`, sorted by key; offsets [bins + 1]: where those of a key begin, and end. Returns 1 + the
 * position of the first key outside [0, bins), or OK.
 */
static i64 counting_sort(const i32 *keys, i64 count, i64 bins, i32 *order, i32 *offsets) {
  zero_bytes(offsets, (bins + 1) * 4);
  for (i64 i = 0; i < count; i++) {
    if (keys[i] < 0 || keys[i] >= bins) return i + 1;
    offsets[keys[i] + 1]++;
  }
  for (i64 k = 0; k < bins; k++) offsets[k + 1] += offsets[k];
  /* offsets[k] runs through the positions of its key and ends where the next one begins: one place further down. */
  for (i64 i = 0; i < count; i++) order[offsets[keys[i]]++] = (i32)i;
  for (i64 k = bins; k > 0; k--) offsets[k] = offsets[k - 1];
  offsets[0] = 0;
  return OK;
}

#endif
