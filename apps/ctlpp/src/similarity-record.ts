/**
 * How alike a model represents one symbol when functions of different groups have produced it (section 5 of the paper): for
 * every function f, the final column of f in the sentence "f x" with f(x) = the symbol; then the cosine of all pairs. One
 * block: the groups speak one language. Two blocks: each has its own.
 */

import { type HeatMap, heatMapPicture, onSentences } from '@fwp/app-ndr/classification';
import { type CtlPlusPlus, SENTENCE_TOKENS } from '@fwp/datasets';
import type { SequenceClassifier } from '@fwp/ndr';
import * as tf from '@tensorflow/tfjs-core';

/** Cosines `[functions][functions]`, functions in the order of their groups. */
export async function representationSimilarity(
  model: SequenceClassifier,
  task: CtlPlusPlus,
  symbol: number,
): Promise<number[][]> {
  const { tables, classes, groups } = task;
  const functions = Object.values(groups).flat();
  const { firstWord, start, end } = SENTENCE_TOKENS;
  const rows = functions.map((f) => {
    const argument = (tables[f] as Int32Array).indexOf(symbol);
    return [start, firstWord + classes.length + f, firstWord + argument, end];
  });
  const batch = {
    batchSize: rows.length,
    length: 4,
    inputs: Int32Array.from(rows.flat()),
    inputLengths: new Int32Array(rows.length).fill(4),
    targets: new Int32Array(rows.length),
    depths: new Int32Array(rows.length).fill(1),
  };
  const cosines = onSentences(batch, (inputs) =>
    tf.tidy(() => {
      const columns = model.trace(inputs).columns.at(-1) as tf.Tensor3D;
      const states = tf.squeeze(tf.slice(columns, [0, 1, 0], [-1, 1, -1]), [1]) as tf.Tensor2D;
      const unit = tf.div(states, tf.norm(states, 2, 1, true)) as tf.Tensor2D;
      return tf.matMul(unit, unit, false, true) as tf.Tensor2D;
    }),
  );
  const values = await cosines.array();
  cosines.dispose();
  return values;
}

/** A picture of the cosines for the first symbols. */
export async function similarityPicture(model: SequenceClassifier, task: CtlPlusPlus): Promise<string> {
  const { vocabulary, classes, groups } = task;
  const names = Object.entries(groups).flatMap(([group, functions]) =>
    functions.map((f) => `${group} ${vocabulary.names[SENTENCE_TOKENS.firstWord + classes.length + f] ?? ''}`),
  );
  const maps: HeatMap[] = [];
  for (const [symbol, name] of classes.slice(0, 4).entries()) {
    const values = await representationSimilarity(model, task, symbol);
    maps.push({ title: `symbol ${name}`, values, ...(symbol === 0 ? { rows: names } : {}) });
  }
  const note = 'Cosine of representations of one symbol, by the function that produced it; groups one after the other.';
  return heatMapPicture('Compatibility of representations', [maps], note, 9);
}
