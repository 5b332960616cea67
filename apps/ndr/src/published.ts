/**
 * The paper's accuracies. What its abstract states is here; the other entries of its tables could not be verified in a source
 * that is open, and are left out. About nested arithmetic and ListOps it says "near-perfect", and no number.
 */

import type { PublishedRow } from '@fwp/lab';

/** "The Neural Data Router achieves 100 % length generalisation accuracy on compositional table lookup." */
export const publishedCtl: readonly PublishedRow[] = ['forward', 'backward'].map((format) => ({
  model: 'neuralDataRouter',
  format,
  deeper: 1,
  source: 'abstract',
}));
