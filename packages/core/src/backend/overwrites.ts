/** Variables that a kernel changes in place, where nobody else holds their data. */

import { type TensorInfo, engine as tfEngine, type Variable } from '@tensorflow/tfjs-core';
import type { FwpBackend } from './backend.ts';

/**
 * Variables that a kernel is about to overwrite. Data that somebody else holds as well (a clone, a reshape, a tensor
 * saved for a backward pass) are left alone: the new values go to new memory, which the variable takes over on
 * {@link Overwrites.commit}.
 */
export class Overwrites {
  readonly #backend: FwpBackend;
  readonly #replaced: { variable: Variable; output: TensorInfo }[] = [];

  constructor(backend: FwpBackend) {
    this.#backend = backend;
  }

  /** Byte offsets from which a variable's old value is read and to which the new one is written. */
  fromAndTo(variable: Variable): [from: number, to: number] {
    const from = this.#backend.offsetOf(variable);
    if (this.#backend.refCount(variable.dataId) === 1) return [from, from];
    const output = this.#backend.makeOutput(variable.shape);
    this.#replaced.push({ variable, output });
    return [from, this.#backend.offsetOf(output)];
  }

  /** The kernel has run: variables whose data were shared take over their new memory. */
  commit(): void {
    for (const { variable, output } of this.#replaced.splice(0)) {
      const tensor = tfEngine().makeTensorFromTensorInfo(output, this.#backend);
      variable.assign(tensor);
      tensor.dispose();
    }
  }

  /** The kernel will not run: nothing stays allocated. */
  abandon(): void {
    for (const { output } of this.#replaced.splice(0)) this.#backend.release(output);
  }
}

/** Runs `update` with {@link Overwrites} that are committed after it, or abandoned if it throws. */
export function overwriting(backend: FwpBackend, update: (overwrites: Overwrites) => void): void {
  const overwrites = new Overwrites(backend);
  try {
    update(overwrites);
  } catch (error) {
    overwrites.abandon();
    throw error;
  }
  overwrites.commit();
}
