/** The machine's limits: multiply-adds in registers, and a copy through memory, on all threads. */

import * as tf from '@tensorflow/tfjs-core';
import { numberOf, type ProgramTable } from './program.ts';

/** What is used here of the engine behind our backend. */
interface Engine {
  allocate(bytes: number): number;
  free(offset: number, bytes: number): void;
  run(kernel: string, ...args: number[]): number;
  float32(offset: number, length: number): Float32Array;
}

/** @param threads threads of the engine */
export function peakPrograms(threads: number): ProgramTable {
  return {
    'peak fma': (parameters) => {
      const engine = currentEngine();
      const bytes = 4 * (2 + threads);
      const offset = engine.allocate(bytes);
      engine.float32(offset, 2).set([0.5, 1]);
      const operations = numberOf(parameters, 'operations');
      return {
        run: () => void engine.run('peak_fma', offset, threads, operations),
        check: () => ({ values: [], scale: 1 }),
        dispose: () => engine.free(offset, bytes),
      };
    },
    'peak copy': (parameters) => {
      const engine = currentEngine();
      const count = numberOf(parameters, 'bytes') / 4;
      const source = engine.allocate(4 * count);
      const target = engine.allocate(4 * count);
      engine.float32(source, count).fill(1);
      return {
        run: () => void engine.run('peak_copy', source, target, count),
        check: () => ({ values: [], scale: 1 }),
        dispose: () => {
          engine.free(source, 4 * count);
          engine.free(target, 4 * count);
        },
      };
    },
  };
}

/** The engine behind the current tfjs backend. */
function currentEngine(): Engine {
  return (tf.backend() as unknown as { engine: Engine }).engine;
}
