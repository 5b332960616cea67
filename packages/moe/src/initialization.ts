/**
 * Initial values of the paper's Transformers (Csordás, Irie & Schmidhuber, 2023, section 5 and appendix). In a model with `layers`
 * layers that normalises before each block, all weights of a block have
 *
 *     standard deviation  s / √fanIn        s = √(2 / layers)
 *
 * where the fan-in of a sparse block is that of the dense one which it stands for.
 */

import { assertCount, type Initializer, truncatedNormalInitializer } from '@fwp/core';

/** Standard deviation of N(0, 1) without what lies beyond two standard deviations. */
const TRUNCATED_DEVIATION = 0.879_596_566_170_685_3;

/**
 * √(2 / layers): the scale of initial weights in a model that normalises before each block.
 *
 * @param layers number of layers of the model, at least 1
 * @throws RangeError if it isn't a whole number of at least 1
 */
export function preNormScale(layers: number): number {
  assertCount('preNormScale: layers', layers);
  return Math.sqrt(2 / layers);
}

/** Truncated normal on two standard deviations, scaled to the standard deviation scale / √fanIn; fan-in: rows of the matrix. */
export function denseInitializer(scale: number): Initializer {
  return (shape, random) =>
    truncatedNormalInitializer(scale / Math.sqrt(shape.at(-2) as number) / TRUNCATED_DEVIATION)(shape, random);
}
