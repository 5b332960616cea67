/**
 * The paper's accuracies on state tracking: at the last token of 40 to 256, 0 for guessing and 1 for all. Those of the
 * Transformer and the DeltaNet are of Grazzi et al., 2025, which it quotes.
 */

import type { PublishedRow } from '@fwp/lab';
import type { ModelName } from './models.ts';

const ACCURACIES: readonly [model: ModelName, parity: number, modularArithmetic: number][] = [
  ['attention', 0.022, 0.031],
  ['deltaNet', 1, 0.971],
  ['delayedStream', 0.033, 0.278],
  ['delayedChunk', 0.028, 0.014],
  ['synchronous', 1, 0.97],
  ['synchronousLinear', 0.025, 0.445],
];

function sourceOf(model: ModelName): string {
  return model === 'attention' || model === 'deltaNet' ? 'the paper, quoting Grazzi et al.' : 'the paper';
}

export const publishedSynthetic: readonly PublishedRow[] = ACCURACIES.flatMap(([model, parity, modularArithmetic]) => [
  { task: 'parity', model, accuracy: parity, source: sourceOf(model) },
  { task: 'modularArithmetic', model, accuracy: modularArithmetic, source: sourceOf(model) },
]);
