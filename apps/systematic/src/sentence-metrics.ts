/**
 * How many outputs are right (section 3.3):
 *
 *     exact     every symbol and the end
 *     prefix    every symbol up to the true end, whatever follows or is missing behind the output's own end
 *     oracle    every symbol, where the model may not end before the true end: what is left is not the decision to end
 */

import { orderedBatches, type SentencePairBatch, type SentencePairSet } from '@fwp/datasets';
import type { EncoderDecoder, Sentences } from '@fwp/ndr';
import * as tf from '@tensorflow/tfjs-core';

/** Shares of right outputs. */
export interface SentenceAccuracies {
  readonly exact: number;
  readonly prefix: number;
  readonly oracle: number;
}

/**
 * Decodes a set greedily, at most as long as the longest target of each batch.
 *
 * @param model in any mode; it stays in it
 * @param set pairs of sentences
 * @param options `count`: how many of the first pairs; `batchSize`: decoded at once
 */
export function measureSentences(
  model: EncoderDecoder,
  set: SentencePairSet,
  { count, batchSize }: { count: number; batchSize: number },
): SentenceAccuracies {
  const right = { exact: 0, prefix: 0, oracle: 0 };
  // Spread over the set, whose commands are in the order of the grammar.
  const size = Math.min(count, set.size);
  const numbers = Array.from({ length: size }, (_, i) => Math.floor((i * set.size) / size));
  const part: SentencePairSet = {
    ...set,
    size,
    take: (chosen) => set.take(Array.from(chosen, (i) => numbers[i] as number)),
  };
  for (const batch of orderedBatches(part, { batchSize })) {
    const targets = targetsOf(batch);
    onPairs(batch, (inputs) => {
      // The end counts as a symbol.
      const length = batch.targetLength - 1;
      const outputs = model.generate(inputs, { length });
      const endless = model.generate(inputs, { length, forbidEnd: true });
      for (const [row, target] of targets.entries()) {
        const [output, forced] = [outputs[row] as number[], endless[row] as number[]];
        // An output without a symbol has none right, as in the authors' count.
        const shared = Math.max(1, Math.min(output.length, target.length));
        if (isPrefix(target, output) && output.length === target.length) right.exact++;
        if (isPrefix(target.slice(0, shared), output)) right.prefix++;
        if (isPrefix(target, forced)) right.oracle++;
      }
    });
  }
  return { exact: right.exact / size, prefix: right.prefix / size, oracle: right.oracle / size };
}

/** Target symbols without start and end. */
function targetsOf({ batchSize, targets, targetLength, targetLengths }: SentencePairBatch): number[][] {
  return Array.from({ length: batchSize }, (_, row) =>
    Array.from(targets.subarray(row * targetLength + 1, row * targetLength + (targetLengths[row] as number) - 1)),
  );
}

function isPrefix(prefix: readonly number[], of: readonly number[]): boolean {
  return prefix.length <= of.length && prefix.every((symbol, i) => symbol === of[i]);
}

/** Calls `use` with a batch as tensors, and frees them. */
export function onPairs<T>(batch: SentencePairBatch, use: (inputs: Sentences, targets: Sentences) => T): T {
  const sentences = (tokens: Int32Array, length: number, lengths: Int32Array) => ({
    tokens: tf.tensor2d(tokens, [batch.batchSize, length], 'int32'),
    lengths: tf.tensor1d(lengths, 'int32'),
  });
  const inputs = sentences(batch.inputs, batch.inputLength, batch.inputLengths);
  const targets = sentences(batch.targets, batch.targetLength, batch.targetLengths);
  try {
    return use(inputs, targets);
  } finally {
    tf.dispose([Object.values(inputs), Object.values(targets)]);
  }
}
