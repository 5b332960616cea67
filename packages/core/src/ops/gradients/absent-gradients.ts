/**
 * Outputs on which no result depends, such as the means that layer normalisation keeps for its gradient, or the final state of
 * a scan. tfjs gives a gradient function zeros for them, arrays that it makes in JavaScript; here those that are not read
 * are left out, and the others are filled by the backend.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { Gradient } from './support.ts';

interface TapeNode {
  readonly outputs: readonly tf.Tensor[];
  readonly saved: tf.Tensor[];
  gradient?: (dys: readonly (tf.Tensor | undefined)[]) => ReturnType<Gradient['gradFunc']>;
}

/** The part of tfjs's engine that this file needs. */
interface RecordingEngine {
  readonly state: { readonly activeTape: readonly TapeNode[] };
  addTapeNode(kernelName: string, ...rest: unknown[]): void;
}

/** Makes tfjs's engine call the gradients that say what they read (`Gradient.reads`) without zeros for anything else. */
export function leaveOutAbsentGradients(gradients: readonly Gradient[]): void {
  const selective = new Map(
    gradients.flatMap((gradient) => (gradient.reads === undefined ? [] : [[gradient.kernelName, gradient] as const])),
  );
  const engine = tf.engine() as unknown as RecordingEngine;
  const addTapeNode = engine.addTapeNode;
  engine.addTapeNode = function (this: RecordingEngine, kernelName, ...rest): void {
    addTapeNode.call(this, kernelName, ...rest);
    const gradient = selective.get(kernelName);
    const node = this.state.activeTape.at(-1);
    if (gradient === undefined || node === undefined) return;
    const { outputs, saved } = node;
    const attributes = rest.at(-1) as tf.NamedAttrMap;
    node.gradient = (dys) => {
      const given = outputs.map(
        ({ shape }, output) => dys[output] ?? (gradient.reads?.includes(output) ? tf.fill(shape, 0) : undefined),
      );
      return gradient.gradFunc(given as tf.Tensor[], saved, attributes);
    };
  };
}
