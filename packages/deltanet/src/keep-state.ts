/** States that outlive the function that computed them. */

import { keep, type TensorContainer, tensor_util } from '@tensorflow/tfjs-core';

/**
 * Keeps the tensors of a state from being freed at the end of a `tf.tidy`, or of the loss function that an optimiser calls:
 * so that the next training step can go on from it. `tf.dispose(state)` frees them.
 *
 *     let state = model.initialState(batch);
 *     for (const segment of segments) {
 *       const before = state;
 *       const loss = optimizer.minimize(() => {
 *         const result = model.forward(segment.inputs, before);
 *         state = keepState(result.state);
 *         return softmaxCrossEntropy(result.logits, segment.targets);
 *       });
 *       tf.dispose([before, loss]);
 *     }
 *
 * @param state of a layer or model
 * @returns the same state
 */
export function keepState<State extends TensorContainer>(state: State): State {
  for (const tensor of tensor_util.getTensorsInContainer(state)) keep(tensor);
  return state;
}
