/** Real-time recurrent learning on the GPU, in the place of the engine's `backend/kernels/elementwise-lstm-rtrl.ts`. */

import * as tf from '@tensorflow/tfjs-core';
import type { ElementwiseLstmRtrlArguments } from '../backend/kernels/elementwise-lstm-rtrl.ts';
import type { WebGpuBackend } from './backend.ts';
import { copyParts, outputsOf, withJoined, withWorkspace } from './kernel-table.ts';
import { elementwiseLstmRtrl, RTRL_LANES } from './kernels/elementwise-lstm-rtrl.ts';
import { runKernel } from './program.ts';

/** Carries the sensitivities on. With errors, gives the gradients of input weight, recurrent weight and bias. */
export function elementwiseLstmRtrlOnGpu(
  backend: WebGpuBackend,
  call: ElementwiseLstmRtrlArguments,
): tf.TensorInfo[] | undefined {
  const { sensitivities, x, gates, cells, recurrentWeight, initialState, resetMask, errors } = call;
  const [batch, steps, inputs] = x.shape as [number, number, number];
  const hidden = cells.shape[2] as number;
  const size = (inputs + 2) * 2 * hidden;
  const run = (gradients: tf.TensorInfo | undefined): void => {
    const [behind] = outputsOf(backend, [sensitivities.shape], (made) =>
      withJoined(backend, [gates, cells, ...(errors ? [errors] : [])], (sequences) =>
        runKernel(backend, elementwiseLstmRtrl, {
          tensors: {
            ...{ x: inputs === 0 ? sequences : x, sequences, recurrent: recurrentWeight, before: sensitivities },
            ...{ initial_state: initialState, resets: resetMask, behind: made, gradients },
          },
          parameters: { batch, steps, inputs, hidden },
          groups: Math.ceil(size / RTRL_LANES),
        }),
      ),
    );
    const after = tf.engine().makeTensorFromTensorInfo(behind as tf.TensorInfo, backend);
    sensitivities.assign(after);
    after.dispose();
  };
  if (errors === undefined) {
    run(undefined);
    return undefined;
  }
  const shapes = [[inputs, 2 * hidden], [2 * hidden], [2 * hidden]];
  return outputsOf(backend, shapes, (...parts) =>
    withWorkspace(backend, [size], (gradients) => {
      run(gradients);
      copyParts(backend, gradients as tf.TensorInfo, parts);
    }),
  );
}
