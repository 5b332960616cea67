/** Times of work on a GPU: calls are put into its queue one after another, and one number at the end waits for all of them. */

import * as tf from '@tensorflow/tfjs-core';

/** How long to measure. */
export interface Measuring {
  /** Median of this many samples. */
  readonly samples: number;
  /** Calls in a sample, so that waiting once counts little. */
  readonly calls: number;
}

/**
 * Milliseconds of a call; kernels are compiled before.
 *
 * @param run makes tensors, of which the last number is waited for
 */
export async function millisecondsOf(run: () => tf.Tensor[], { samples, calls }: Measuring): Promise<number> {
  await sample(run, 1);
  const times: number[] = [];
  for (let i = 0; i < samples; i++) {
    const began = performance.now();
    await sample(run, calls);
    times.push((performance.now() - began) / calls);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
}

async function sample(run: () => tf.Tensor[], calls: number): Promise<void> {
  for (let call = 1; call <= calls; call++) {
    const results = tf.tidy(run);
    if (call === calls) {
      const last = tf.tidy(() => {
        const result = results.at(-1) as tf.Tensor;
        return tf.slice(tf.reshape(result, [result.size]), [result.size - 1], [1]);
      });
      await last.data();
      last.dispose();
    }
    tf.dispose(results);
  }
}
