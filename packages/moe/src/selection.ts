/**
 * What a router chose: the common form in which all blocks report it, so that statistics and pictures need not know the block.
 */

import type { Tensor3D } from '@tensorflow/tfjs-core';

/** Which of its choices (experts, or values of a memory) each head took for each token, and with which weights. */
export type Selection = {
  /** What was chosen: `'experts'`, `'units'` of a dense layer, `'values'` of a memory, `'valueExperts'` or `'outputExperts'` of attention. */
  readonly of: string;
  /** Number of choices that one head has. */
  readonly choices: number;
  /** int32 `[tokens, heads, active]`, each from 0 to choices − 1. */
  readonly indices: Tensor3D;
  /** float32 `[tokens, heads, active]`: the factors of the chosen outputs. */
  readonly weights: Tensor3D;
};
