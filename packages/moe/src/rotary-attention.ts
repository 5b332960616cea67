/**
 * Dense attention with rotary positions, what SwitchHead is compared with where these are used (Csordás, Piękos, Irie &
 * Schmidhuber, 2023, section 3.6): maps as in `dense-attention.ts`, heads as in `positioned-heads.ts`, which turn the first channels of
 * queries and keys.
 */

import type { Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import { DenseAttention, type DenseAttentionOptions } from './dense-attention.ts';
import { attendMultiplyAdds, PositionedHeads } from './positioned-heads.ts';

/** Options of {@link RotaryAttention}. */
export interface RotaryAttentionOptions extends DenseAttentionOptions {
  /** Share of the channels that are turned. Default 0.5. */
  rotaryFraction?: number;
}

/** Multi-head attention with rotary positions, over a segment and what precedes it. */
export class RotaryAttention extends DenseAttention {
  readonly attention: PositionedHeads;

  constructor(options: RotaryAttentionOptions) {
    super('RotaryAttention', options);
    const { size, heads, headSize } = this;
    const { rotaryFraction = 0.5, random } = options;
    try {
      const shared = { size, heads, headSize, rotaryFraction, random };
      this.attention = this.addModule('attention', new PositionedHeads({ ...shared, positions: 'rotary' }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  protected attend(q: Tensor4D, keys: Tensor4D, values: Tensor4D, paddingMask: Tensor2D | undefined): Tensor4D {
    return this.attention.attend(q, keys, values, paddingMask);
  }

  /** See {@link AttentionBlock.multiplyAdds}. */
  multiplyAdds(length: number, memoryLength: number): number {
    const sources = memoryLength + length;
    const width = this.heads * this.headSize;
    const maps = 2 * this.size * width * (length + sources);
    return maps + attendMultiplyAdds(this.attention, width, length, sources);
  }
}
