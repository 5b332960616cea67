/** The bytes that language models are trained on. */

import { syntheticText } from '@fwp/datasets';

/** Name of the text that needs no download. */
export const SYNTHETIC = 'synthetic';

/**
 * Loads a part of a text.
 *
 * @param corpus `'synthetic'`, the name of a corpus, or the path of a file
 * @param length bytes at most
 * @param seed of the synthetic text
 */
export async function loadText(
  corpus: string,
  split: 'train' | 'validation',
  length: number,
  seed: number,
): Promise<Uint8Array> {
  if (corpus === SYNTHETIC) return syntheticText({ length, seed, split });
  throw new RangeError(corpus);
}
