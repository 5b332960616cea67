/**
 * SwitchAll (Csordás, Piękos, Irie & Schmidhuber, 2023, section 3.4): a Transformer layer whose matrices are experts wherever that
 * pays, SwitchHead for its attention and σ-MoE for its feed-forward block.
 *
 *     u = x + switchHead(norm(x), memory: norm(m))        y = u + mixtureOfExperts(norm(u))
 *
 * Only the feed-forward block has a regularisation and drops experts.
 */

import { assertCount, type RandomStream } from '@fwp/core';
import { preNormScale } from './initialization.ts';
import { MixtureOfExperts, type MixtureOfExpertsOptions } from './mixture-of-experts.ts';
import { SwitchHead, type SwitchHeadOptions } from './switch-head.ts';

/** Options of {@link switchAll}. */
export interface SwitchAllOptions {
  /** Size of input and output. */
  size: number;
  /** Number of layers of the model, from which both blocks take the scale of their initial weights. */
  layers: number;
  /** Of the attention block. */
  attention: Omit<SwitchHeadOptions, 'size' | 'initialScale' | 'random'>;
  /** Of the feed-forward block. */
  feedForward: Omit<MixtureOfExpertsOptions, 'size' | 'initialScale' | 'random'>;
  /** Draws the initial values. */
  random: RandomStream;
}

/**
 * The two blocks of a SwitchAll layer, for example for a `TransformerXlLayer`, which normalises and adds.
 *
 * @param options sizes and numbers of experts of both
 */
export function switchAll({ size, layers, attention, feedForward, random }: SwitchAllOptions): {
  attention: SwitchHead;
  feedForward: MixtureOfExperts;
} {
  assertCount('switchAll: layers', layers);
  const shared = { size, initialScale: preNormScale(layers), random };
  const head = new SwitchHead({ ...attention, ...shared });
  try {
    return { attention: head, feedForward: new MixtureOfExperts({ ...feedForward, ...shared }) };
  } catch (error) {
    head.dispose();
    throw error;
  }
}
