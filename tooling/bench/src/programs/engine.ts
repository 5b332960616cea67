/** The engine behind our tfjs backend, which is no part of the public interface. */

import * as tf from '@tensorflow/tfjs-core';
import { Unsupported } from './program.ts';

/** What is used here of it. */
export interface Engine {
  allocate(bytes: number): number;
  free(offset: number, bytes: number): void;
  run(kernel: string, ...args: number[]): number;
  float32(offset: number, length: number): Float32Array;
  startProfile(): void;
  stopProfile(): ReadonlyMap<string, { readonly calls: number; readonly milliseconds: number }>;
}

/**
 * The engine of the current backend.
 *
 * @throws Unsupported on devices without one
 */
export function currentEngine(): Engine {
  const { engine } = tf.backend() as unknown as { engine?: Engine };
  if (engine === undefined) throw new Unsupported('for the engine on the processor only');
  return engine;
}
