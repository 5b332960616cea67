/** What every layer over sequences must do, for the tests of the packages that have some. */

import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { assertAllClose } from './allclose.ts';

/** A layer through which a stream can go: `SequenceMixer` of `@fwp/core`, whose own tests use this package as well. */
interface Mixer<State extends tf.TensorContainer> {
  apply(x: tf.Tensor3D): tf.Tensor3D;
  forward(x: tf.Tensor3D, state?: State): { output: tf.Tensor3D; state: State };
  step(x: tf.Tensor2D, state: State): { output: tf.Tensor2D; state: State };
  initialState(batch: number): State;
}

/** How {@link expectPiecesEqualWhole} compares. */
export interface PiecesOptions<State> {
  /** Lengths of pieces that make up the whole. */
  readonly lengths: readonly (readonly number[])[];
  /** Default 1e-4 relative, 2e-5 absolute. */
  readonly tolerance?: { readonly rtol: number; readonly atol: number };
  /** What must be the same of states; default: all their tensors. */
  readonly stateValues?: (state: State) => number[];
  /** By how much an output must change where it doesn't know what came before; default 1e-3. */
  readonly influence?: number;
}

const TOLERANCE = { rtol: 1e-4, atol: 2e-5 };

/** `length` elements of sequences `[batch, length, …]`, from `start` on. */
export function piece<T extends tf.Tensor>(x: T, start: number, length: number): T {
  return tf.slice(x, [0, start], [x.shape[0] as number, length]) as T;
}

/** All elements of a state's tensors, one after the other. */
export function stateValues(state: tf.TensorContainer): number[] {
  return tf.tensor_util.getTensorsInContainer(state).flatMap((tensor) => Array.from(tensor.dataSync()));
}

/** Runs over pieces of the given lengths with the state carried over, or, for `'steps'`, element by element. */
export function inPieces<State extends tf.TensorContainer>(
  mixer: Mixer<State>,
  x: tf.Tensor3D,
  lengths: readonly number[] | 'steps',
): { output: tf.Tensor3D; state: State } {
  let state = mixer.initialState(x.shape[0]);
  let start = 0;
  const outputs: tf.Tensor[] = [];
  for (const length of lengths === 'steps' ? new Array<number>(x.shape[1]).fill(1) : lengths) {
    const part = piece(x, start, length);
    if (lengths === 'steps') {
      const result = mixer.step(tf.squeeze(part, [1]), state);
      outputs.push(tf.expandDims(result.output, 1));
      state = result.state;
    } else {
      const result = mixer.forward(part, state);
      outputs.push(result.output);
      state = result.state;
    }
    start += length;
  }
  return { output: tf.concat(outputs, 1) as tf.Tensor3D, state };
}

/** Expects a stream, pieces and the whole to give the same outputs and the same last state, and what came before to matter. */
export function expectPiecesEqualWhole<State extends tf.TensorContainer>(
  mixer: Mixer<State>,
  x: tf.Tensor3D,
  { lengths, tolerance = TOLERANCE, stateValues: values = stateValues, influence = 1e-3 }: PiecesOptions<State>,
): void {
  tf.tidy(() => {
    const whole = mixer.forward(x);
    assertAllClose(mixer.apply(x).dataSync(), whole.output.dataSync(), { ...tolerance, name: 'apply' });
    for (const cut of [...lengths, 'steps'] as const) {
      const pieces = inPieces(mixer, x, cut);
      assertAllClose(pieces.output.dataSync(), whole.output.dataSync(), { ...tolerance, name: `output, ${cut}` });
      assertAllClose(values(pieces.state), values(whole.state), { ...tolerance, name: `state, ${cut}` });
    }
    // Earlier elements matter, or all of this would show nothing.
    const last = x.shape[1] - 1;
    const alone = mixer.apply(piece(x, last, 1)).dataSync();
    const behind = piece(whole.output, last, 1).dataSync();
    expect(Math.max(...alone.map((value, i) => Math.abs(value - (behind[i] as number))))).toBeGreaterThan(influence);
  });
}

/** A layer that is trained, as far as {@link expectLearns} needs it: `Module` of `@fwp/core`. */
interface Trained {
  apply(x: tf.Tensor3D): tf.Tensor3D;
  namedParameters(): Iterable<[path: string, variable: tf.Variable]>;
}

/** Expects every parameter to have a gradient, and a loss to fall whose targets are the elements before, which only a memory gives. */
export function expectLearns(
  mixer: Trained,
  optimizer: { minimize(loss: () => tf.Scalar): tf.Scalar },
  x: tf.Tensor3D,
): void {
  tf.tidy(() => {
    const [batch, length, size] = x.shape;
    const target = tf.concat([tf.zeros([batch, 1, size]), piece(x, 0, length - 1)], 1);
    const loss = () => tf.losses.meanSquaredError(target, mixer.apply(x)) as tf.Scalar;
    const { grads } = tf.variableGrads(loss);
    const silent = [...mixer.namedParameters()].filter(([, { name }]) =>
      (grads[name] as tf.Tensor).dataSync().every((value) => value === 0),
    );
    expect(silent.map(([path]) => path)).toEqual([]);
    const losses = Array.from({ length: 60 }, () => tf.tidy(() => optimizer.minimize(loss).dataSync()[0] as number));
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(losses.at(-1)).toBeLessThan(0.9 * (losses[0] as number));
  });
}
