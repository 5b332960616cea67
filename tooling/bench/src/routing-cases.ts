/** Cases of data routers, for the suite `routing`: one training step of models whose layer is applied eight times. */

import type { Case } from './catalog.ts';

const SIZES = { batch: 128, length: 16, width: 128, feedForward: 256, heads: 4, layers: 8, vocabulary: 32, classes: 8 };

/** Names that requirements refer to. */
export const ROUTING_ROWS = {
  router: 'Neural Data Router step',
  universal: 'universal Transformer step',
  relative: 'universal Transformer step, relative positions',
};

/** Three times the multiply-adds of a forward: matrices of one layer, and attention. */
function flops(matrices: number): number {
  const { batch, length, width, feedForward, layers } = SIZES;
  const perColumn = matrices * width * width + 2 * width * feedForward + 2 * length * width;
  return 6 * batch * length * layers * perColumn;
}

export const routingCases: readonly Case[] = [
  // The router has two more matrices, those of its gate.
  { name: ROUTING_ROWS.router, layer: 'neuralDataRouter', flops: flops(6) },
  { name: ROUTING_ROWS.universal, layer: 'universal', flops: flops(4) },
  { name: ROUTING_ROWS.relative, layer: 'relativeUniversal', flops: flops(4), tooSlow: ['pytorch'] },
].map(({ layer, ...row }) => ({
  suite: 'routing',
  program: 'repeated layer step',
  parameters: { ...SIZES, layer },
  tolerance: 1e-3,
  ...row,
}));
