/** The kernel of `ops/elementwise-lstm-rtrl.ts`. It changes a variable, so it isn't one of tfjs's, which do not. */

import type { Tensor, TensorInfo, Variable } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import { floatOutputs } from '../outputs.ts';
import { overwriting } from '../overwrites.ts';

/** `RTRL_STREAMED_UNITS` of `csrc/elementwise-lstm-rtrl.c`. */
const LARGEST_PART = 256;

/** What {@link elementwiseLstmRtrlKernel} takes. There is at least one step. */
export interface ElementwiseLstmRtrlArguments {
  /** [batch, inputs + 2, 2 · hidden]; changed. */
  readonly sensitivities: Variable;
  /** [batch, steps, inputs]. */
  readonly x: Tensor;
  /** [batch, steps, 2 · hidden]. */
  readonly gates: Tensor;
  /** [batch, steps, hidden]. */
  readonly cells: Tensor;
  /** [2 · hidden]. */
  readonly recurrentWeight: Tensor;
  /** [batch, hidden]. */
  readonly initialState: Tensor | undefined;
  /** bool [batch, steps]. */
  readonly resetMask: Tensor | undefined;
  /** [batch, steps, hidden]. */
  readonly errors: Tensor | undefined;
}

/** Carries the sensitivities on. With errors, gives the gradients of input weight, recurrent weight and bias. */
export function elementwiseLstmRtrlKernel(
  backend: FwpBackend,
  call: ElementwiseLstmRtrlArguments,
): TensorInfo[] | undefined {
  const { sensitivities, x, gates, cells, recurrentWeight, initialState, resetMask, errors } = call;
  const [batch, steps, inputs] = x.shape as [number, number, number];
  const hidden = cells.shape[2] as number;
  const offset = (tensor: Tensor | undefined) => (tensor === undefined ? 0 : backend.offsetOf(tensor));
  const run = (gradients: readonly number[]) =>
    overwriting(backend, (overwrites) => {
      const factorBytes = 5 * batch * steps * (hidden + LARGEST_PART) * 4;
      backend.withWorkspace(factorBytes + batch * steps, (factors) => {
        backend.engine.run(
          'elementwise_lstm_rtrl',
          ...[batch, steps, inputs, hidden],
          ...[x, gates, cells, recurrentWeight, initialState, resetMask, errors].map(offset),
          ...overwrites.fromAndTo(sensitivities),
          ...gradients,
          ...[factors, factors + factorBytes],
        );
      });
    });
  if (errors === undefined) {
    run([0, 0, 0]);
    return undefined;
  }
  return floatOutputs(backend, [[inputs, 2 * hidden], [2 * hidden], [2 * hidden]], run);
}
