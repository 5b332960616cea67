/**
 * The state of a model while it reads a word of parity, as one number: its place along the direction that tells states of
 * an even and of an odd number of ones apart best, the difference of their means,
 *
 *     d = mean of even states − mean of odd states        place = 2 (state − middle) · d / (d · d)
 *
 * so that the means of both are at +1 and −1. A model that has parity goes from the one to the other with every 1.
 */

import type { RandomStream } from '@fwp/core';
import type { SequenceTagger } from '@fwp/rfwp';
import * as tf from '@tensorflow/tfjs-core';

/** A run on one word. */
export interface ParityTrace {
  readonly bits: readonly number[];
  /** Place of the state after each bit. */
  readonly places: readonly number[];
  /** Whether the number of ones up to each bit is even. */
  readonly even: readonly boolean[];
  /** Whether the model says that it is. */
  readonly said: readonly boolean[];
}

/**
 * Runs a model on a random word.
 *
 * @param model a tagger of parity: symbols 1 and 2 for the bits, label 1 for an even number of ones
 * @param random draws the word
 * @param length of the word
 */
export async function traceParity(model: SequenceTagger, random: RandomStream, length = 60): Promise<ParityTrace> {
  const bits = Array.from(random.uniform(length), (x) => (x < 0.5 ? 0 : 1));
  let ones = 0;
  const even = bits.map((bit) => (ones += bit) % 2 === 0);
  const states: Float32Array[] = [];
  const said: boolean[] = [];
  let state = model.initialState(1);
  for (const bit of bits) {
    const before = state;
    const symbol = tf.tensor1d([1 + bit], 'int32');
    const { logits, state: next } = model.step(symbol, before);
    state = next;
    const tensors = tf.tensor_util.getTensorsInContainer(next);
    const values = await Promise.all(tensors.map((tensor) => tensor.data()));
    states.push(Float32Array.from(values.flatMap((part) => Array.from(part))));
    const [odd, isEven] = (await logits.data()) as unknown as [number, number];
    said.push(isEven > odd);
    tf.dispose([symbol, logits, before]);
  }
  tf.dispose(state);
  return { bits, even, said, places: placesOf(states, even) };
}

function placesOf(states: readonly Float32Array[], even: readonly boolean[]): number[] {
  // The state of attention grows with the word; what all states have is compared.
  const size = Math.min(...states.map(({ length }) => length));
  const mean = (wanted: boolean) => {
    const chosen = states.filter((_, t) => even[t] === wanted);
    return Float64Array.from({ length: size }, (_, i) => {
      return chosen.reduce((sum, state) => sum + (state[i] as number), 0) / Math.max(1, chosen.length);
    });
  };
  const [high, low] = [mean(true), mean(false)];
  const direction = high.map((x, i) => x - (low[i] as number));
  const square = direction.reduce((sum, x) => sum + x * x, 0);
  return states.map((state) => {
    let inner = 0;
    for (let i = 0; i < size; i++) {
      inner += ((state[i] as number) - ((high[i] as number) + (low[i] as number)) / 2) * (direction[i] as number);
    }
    return square === 0 ? 0 : (2 * inner) / square;
  });
}
