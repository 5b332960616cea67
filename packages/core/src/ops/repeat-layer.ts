/**
 * One layer, applied again and again with the same weights (Dehghani et al., Universal Transformers, 2019):
 *
 *   h_0 = x      h_{l+1} = layer(h_l), l = 0 … times − 1      dW = Σ_l dW_l
 *
 * tfjs's tape would keep all dW_l until the end. Here the weights enter the loop once, at its start. Each application gets
 * copies of them (which share their memory), and the gradients of a copy are added to one sum in place as soon as they are
 * known: at any time there is one dW_l.
 *
 * With `recompute` nothing but the h_l is kept (Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016): the
 * backward computes each application once more, with the same random numbers, just before it differentiates it.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Module } from '../nn/module.ts';
import { activeEngineBackend, runOnList } from '../optim/tensor-list.ts';
import { assertCount, assertFloatShape, assertShape } from '../shape-checks.ts';
import { gradientDepth, isTapeOn } from './gradients/support.ts';

/** Options of {@link repeatLayer}. */
export interface RepeatLayerOptions {
  /** How often the layer is applied. */
  times: number;
  /**
   * Whether the backward computes the layer's inner values again instead of keeping them: a third more work, for the
   * memory of one application. Default `false`.
   */
  recompute?: boolean | undefined;
  /**
   * Other tensors that applications need, for example a mask. Each application gets them. With `recompute` they can have no
   * gradient, and what an application takes from elsewhere may be disposed when the backward computes it again.
   */
  constants?: readonly tf.Tensor[] | undefined;
}

/** One application of a layer. */
type Apply<T extends tf.Tensor> = (h: T, index: number, constants: readonly tf.Tensor[]) => T;

/**
 * Applies a layer several times, with gradients that are summed in place.
 *
 * @param module has the layer's parameters, and the random streams that it draws from
 * @param x float32, the first input
 * @param apply one application: from an input to an output of the same shape; `index` counts from 0. With `recompute` there
 *   are gradients for x and the module's parameters only
 * @param options how often, and what is kept
 * @returns the last output
 * @throws RangeError if the layer changes the shape
 */
export function repeatLayer<T extends tf.Tensor>(
  module: Module,
  x: T,
  apply: (h: T, index: number, constants: readonly tf.Tensor[]) => T,
  { times, recompute = false, constants = [] }: RepeatLayerOptions,
): T {
  assertFloatShape('repeatLayer: x', x, ['...']);
  assertCount('repeatLayer: times', times, 0);
  const checked: Apply<T> = (h, index, given) => {
    const output = apply(h, index, given);
    assertShape('repeatLayer: the output of the layer', output, x.shape);
    return output;
  };
  return tf.tidy(() => {
    if (times === 0) return x.clone() as T;
    // What is computed again has no place on the tape, as a gradient of gradients needs it.
    if (isTapeOn())
      return (recompute && gradientDepth() === 1 ? recomputed : kept)(module, x, checked, times, constants);
    let h = x;
    for (let l = 0; l < times; l++) {
      const next = checked(h, l, constants);
      // A layer may give back what it was given.
      if (h !== x && h !== next && !constants.includes(h)) h.dispose();
      h = next;
    }
    return h === x ? (x.clone() as T) : h;
  });
}

/** Sums of gradients, by parameter. */
class GradientSums {
  #sums: (tf.Tensor | undefined)[] = [];

  /** Adds a gradient, and frees it. */
  add(parameter: number, gradient: tf.Tensor): void {
    const sum = this.#sums[parameter];
    const backend = activeEngineBackend();
    if (sum === undefined) {
      // Clones share their memory; what is added to in place must be nobody else's.
      this.#sums[parameter] = isTapeOn() ? tf.clone(gradient) : tf.add(gradient, 0);
    } else if (backend === undefined || isTapeOn()) {
      this.#sums[parameter] = tf.add(sum, gradient);
      if (!isTapeOn()) sum.dispose();
    } else {
      const place = backend.offsetOf(sum);
      runOnList(backend, 'add_scaled', [[gradient.size, backend.offsetOf(gradient), place, place]], [1]);
    }
    if (!isTapeOn()) gradient.dispose();
  }

  /** The sums, zeros where nothing was added; the next backward, of a second derivative, starts anew. */
  take(parameters: readonly tf.Tensor[]): tf.Tensor[] {
    const sums = this.#sums;
    this.#sums = [];
    return parameters.map((parameter, i) => sums[i] ?? tf.zerosLike(parameter));
  }
}

/** The part of tfjs's engine that records an operation with several results. */
interface RecordingEngine {
  runKernelFunc(operation: {
    forwardFunc: () => tf.Tensor[];
    backwardsFunc: (dys: tf.Tensor | tf.Tensor[]) => Record<string, () => tf.Tensor>;
    inputs: tf.NamedTensorMap;
  }): tf.Tensor[];
}

/** Everything that an application computes stays on the tape; only its weights are apart. */
function kept<T extends tf.Tensor>(
  module: Module,
  x: T,
  apply: Apply<T>,
  times: number,
  constants: readonly tf.Tensor[],
): T {
  const parameters = module.parameters();
  const sums = new GradientSums();
  // The start of the loop is the end of the backward: there the sums are complete.
  const start = tf.customGrad((...given) => {
    const gradFunc = (dy: tf.Tensor): tf.Tensor[] => [dy.clone(), ...sums.take(parameters)];
    return {
      value: (given[0] as tf.Tensor).clone(),
      gradFunc: gradFunc as (dy: tf.Tensor) => tf.Tensor | tf.Tensor[],
    };
  });
  const engine = tf.engine() as unknown as RecordingEngine;
  const enter = (h: T): tf.Tensor[] =>
    engine.runKernelFunc({
      forwardFunc: () => [h, ...parameters].map((tensor) => tf.clone(tensor)),
      backwardsFunc: (dys) => {
        const [dh, ...gradients] = dys as tf.Tensor[];
        for (const [i, gradient] of gradients.entries()) sums.add(i, gradient);
        return { h: () => tf.clone(dh as tf.Tensor) };
      },
      inputs: { h },
    });
  let h = start(x, ...parameters) as T;
  for (let l = 0; l < times; l++) {
    const [input, ...copies] = enter(h) as [T, ...tf.Tensor[]];
    const replacements = new Map(parameters.map((parameter, i) => [parameter, copies[i] as tf.Tensor]));
    h = module.withParameters(replacements, () => apply(input, l, constants));
  }
  return h;
}

/** Gradients within a backward; tfjs would forget the tape of the outer gradient at their end. */
function innerGradients(f: () => tf.Tensor, xs: tf.Tensor[], dy: tf.Tensor): (tf.Tensor | null)[] {
  const { state } = tf.engine() as unknown as {
    state: { activeTape: unknown };
  };
  const outer = state.activeTape;
  try {
    const { value, grads } = tf.engine().gradients(f, xs, dy, true);
    if (!isTapeOn()) value.dispose();
    return grads;
  } finally {
    state.activeTape = outer;
  }
}

/** Only the inputs of the applications are kept, as part of one operation on the tape. */
function recomputed<T extends tf.Tensor>(
  module: Module,
  x: T,
  apply: Apply<T>,
  times: number,
  constants: readonly tf.Tensor[],
): T {
  const parameters = module.parameters();
  const streams = [...module.namedRandomStreams().values()];
  const states: (typeof streams)[number]['state'][][] = [];
  const operation = tf.customGrad((...given) => {
    const save = given.at(-1) as tf.GradSaveFunc;
    const inputs = [given[0] as T];
    for (let l = 0; l < times; l++) {
      states.push(streams.map(({ state }) => state));
      inputs.push(apply(inputs[l] as T, l, constants));
    }
    save([...inputs.slice(0, times), ...constants]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const sums = new GradientSums();
      const now = streams.map(({ state }) => state);
      let dh = dy;
      for (let l = times - 1; l >= 0; l--) {
        for (const [i, stream] of streams.entries()) stream.state = states[l]?.[i] as typeof stream.state;
        const h = saved[l] as T;
        const grads = innerGradients(() => apply(h, l, saved.slice(times)), [h, ...parameters], dh);
        const [next, ...gradients] = grads as [tf.Tensor | null, ...(tf.Tensor | null)[]];
        for (const [i, gradient] of gradients.entries()) if (gradient) sums.add(i, gradient);
        if (dh !== dy && !isTapeOn()) dh.dispose();
        dh = next ?? tf.zerosLike(h);
      }
      for (const [i, stream] of streams.entries()) stream.state = now[i] as typeof stream.state;
      return [dh === dy ? dy.clone() : dh, ...sums.take(parameters)];
    };
    return {
      value: inputs[times] as T,
      gradFunc: gradFunc as (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor | tf.Tensor[],
    };
  });
  return operation(x, ...parameters) as T;
}
