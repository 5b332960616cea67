/** A picture of one sentence's way through the layers: who attends to whom, and which columns are replaced. */

import type { ClassificationSet, SentenceVocabulary } from '@fwp/datasets';
import type { SequenceClassifier } from '@fwp/ndr';
import * as tf from '@tensorflow/tfjs-core';
import { onSentences } from './classification-training.ts';
import { type HeatMap, heatMapPicture } from './heat-map-picture.ts';

/**
 * Draws attention (of the first head) and gates of the first of the set's longest sentences.
 *
 * @param model a model of columns
 * @param set where the sentence is from
 * @param vocabulary names of its tokens
 * @returns an SVG document
 */
export async function recordRouting(
  model: SequenceClassifier,
  set: ClassificationSet,
  vocabulary: SentenceVocabulary,
): Promise<string> {
  const longest = set.inputLengths.reduce((most, length) => Math.max(most, length), 0);
  const batch = set.take([set.inputLengths.indexOf(longest)]);
  const words = Array.from(batch.inputs, (token) => vocabulary.names[token] ?? '?');
  const { attention, openness } = onSentences(batch, (inputs) =>
    tf.tidy(() => {
      const trace = model.trace(inputs);
      return { attention: [...trace.attention], openness: trace.gates.map((gate) => tf.mean(gate, 2)) };
    }),
  );
  const maps: HeatMap[] = [];
  for (const [l, weights] of attention.entries()) {
    const [first] = ((await weights.array()) as number[][][][])[0] as number[][][];
    const values = first as number[][];
    maps.push({ title: `layer ${l + 1}`, values, columns: words, ...(l === 0 ? { rows: words } : {}) });
  }
  const open: HeatMap[] = [];
  for (const [l, means] of openness.entries()) {
    const values = [((await means.array()) as number[][])[0] as number[]];
    open.push({ title: '', values, columns: words, ...(l === 0 ? { rows: ['gate'] } : {}) });
  }
  tf.dispose([attention, openness]);
  const note = 'Rows attend to columns; below: mean openness of the gate of each column. Dark is 1.';
  const lines = open.length > 0 ? [maps, open] : [maps];
  return heatMapPicture(`${words.slice(1, -1).join(' ')}`, lines, note);
}
