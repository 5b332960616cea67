/**
 * The Performer's layer (Choromanski et al., 2021): {@link LinearAttention} with FAVOR+ features, whose products
 * approximate the softmax kernel,
 *
 *     φ(x) = ([exp(x Ω − ‖x‖² / 2), exp(−x Ω − ‖x‖² / 2)] + floor) / √(2m)
 *
 * with m orthogonal random directions in Ω [headSize, m]. New ones are drawn for each training pass; in evaluation the last
 * ones stay, so that a stream agrees with the whole sequence.
 */

import { LinearAttention, type LinearAttentionOptions } from './linear-attention.ts';

/** Options of {@link Performer}. */
export type PerformerOptions = Omit<LinearAttentionOptions, 'featureMap' | 'nu'>;

/** Linear attention with random features. */
export class Performer extends LinearAttention {
  constructor(options: PerformerOptions) {
    super({ ...options, featureMap: 'favorPlus' });
  }
}
