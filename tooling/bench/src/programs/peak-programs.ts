/** The machine's limits: multiply-adds in registers, and a copy through memory, on all threads. */

import { currentEngine } from './engine.ts';
import { numberOf, type ProgramTable } from './program.ts';

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
