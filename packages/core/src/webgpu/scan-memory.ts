/** How much memory the gradients of scans may take for states that they need once more. */

import * as tf from '@tensorflow/tfjs-core';

/** Flag of tfjs's environment: bytes that such states of all heads at once may take, unless one head takes more. */
const SCAN_BYTES = 'FWP_WEBGPU_SCAN_BYTES';
tf.env().registerFlag(SCAN_BYTES, () => 2 ** 27);

/** Heads whose states are in memory at once. */
export interface Heads {
  readonly first: number;
  readonly count: number;
}

/** All heads, as many at a time as there is memory for, if each takes `floats`. */
export function headsAtATime(heads: number, floats: number): Heads[] {
  const atOnce = Math.max(1, Math.floor(tf.env().getNumber(SCAN_BYTES) / (4 * floats)));
  const runs: Heads[] = [];
  for (let first = 0; first < heads; first += atOnce) runs.push({ first, count: Math.min(atOnce, heads - first) });
  return runs;
}
