/**
 * Gradients that tfjs lacks or gets wrong, registered once for all backends.
 *
 * | file               | what                                                                                        |
 * |--------------------|---------------------------------------------------------------------------------------------|
 * | `constant.ts`      | comparisons, truth values, indices, draws: zero gradients, where tfjs throws                |
 * | `saved-outputs.ts` | second and higher derivatives of tanh, sigmoid, exp, elu, softmax, log-softmax, pow         |
 * | `products.ts`      | `matMul` with broadcast batch dimensions, `einsum`                                          |
 * | `broadcasting.ts`  | inputs that were broadcast; `sum`, `mean`, `where`, `tile` of every rank                    |
 * | `scans.ts`         | `cumsum` along any axis, `cumprod`, `prod`                                                  |
 * | `indexing.ts`      | `gather` with batches, `gatherND`, `scatterND`, `tensorScatterUpdate`, `topk`, …            |
 * | `rearranging.ts`   | `stridedSlice`, `mirrorPad`, `depthToSpace`, `diag`, `flipLeftRight`                        |
 * | `windows.ts`       | dilated convolutions, padded average pooling; second derivatives of these and of resizing   |
 * | `failed-tape.ts`   | what a gradient kept when something threw                                                   |
 * | `absent-gradients.ts` | zeros for outputs on which no result depends                                             |
 *
 * What cannot be repaired from here: gradients that tfjs wrote inside an operation instead of the registry
 * (`tf.logSoftmax`, `tf.losses.softmaxCrossEntropy`: right once, not twice), and those of complex numbers (`tf.fft`),
 * because tfjs's tape takes float32 gradients only.
 */

import { registerGradient } from '@tensorflow/tfjs-core';
// tfjs's own gradients, which are not part of its main entry.
import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import { affineScanGradients } from './affine-scan.ts';
import { copyGateGradients } from './copy-gate.ts';
import { deltaRuleGradients } from './delta-rule.ts';
import { dropoutGradients } from './dropout.ts';
import { elementwiseLstmGradients } from './elementwise-lstm.ts';
import { embeddingGradients } from './embedding.ts';
import { expertFeedForwardGradients } from './expert-feed-forward.ts';
import { expertMatMulGradients } from './expert-mat-mul.ts';
import { fastRecurrenceGradients } from './fast-recurrence.ts';
import { dpfpGradients } from './feature-maps/dpfp.ts';
import { elementwiseFeatureGradients } from './feature-maps/elementwise.ts';
import { favorPlusGradients } from './feature-maps/favor-plus.ts';
import { gatedDeltaRuleGradients } from './gated-delta-rule.ts';
import { geluGradients } from './gelu.ts';
import { leaveOutAbsentGradients } from './gradients/absent-gradients.ts';
import { broadcastingGradients } from './gradients/broadcasting.ts';
import { constantGradients } from './gradients/constant.ts';
import { freeFailedTapes } from './gradients/failed-tape.ts';
import { indexingGradients } from './gradients/indexing.ts';
import { productGradients } from './gradients/products.ts';
import { rearrangingGradients } from './gradients/rearranging.ts';
import { savedOutputGradients } from './gradients/saved-outputs.ts';
import { scanGradients } from './gradients/scans.ts';
import { windowGradients } from './gradients/windows.ts';
import { gridNeighborSumGradients } from './grid-neighbor-sum.ts';
import { layerNormGradients } from './layer-norm.ts';
import { linearGradients } from './linear.ts';
import { lstmGradients } from './lstm.ts';
import { recurrentDeltaGradients } from './recurrent-delta.ts';
import { relativeScoresGradients } from './relative-scores.ts';
import { rmsNormGradients } from './rms-norm.ts';
import { segmentSumGradients } from './segment-sum.ts';
import { selfReferentialGradients } from './self-referential.ts';
import { softmaxCrossEntropyGradients } from './softmax-cross-entropy.ts';
import { sumRuleGradients } from './sum-rule.ts';
import { vqQuantizeGradients } from './vq-quantize.ts';

let registered = false;

/** Registers them; later calls do nothing. */
export function registerGradients(): void {
  if (registered) return;
  registered = true;
  freeFailedTapes();
  const all = [
    constantGradients,
    savedOutputGradients,
    productGradients,
    broadcastingGradients,
    scanGradients,
    affineScanGradients,
    indexingGradients,
    rearrangingGradients,
    windowGradients,
    layerNormGradients,
    rmsNormGradients,
    softmaxCrossEntropyGradients,
    embeddingGradients,
    geluGradients,
    elementwiseFeatureGradients,
    dpfpGradients,
    favorPlusGradients,
    linearGradients,
    relativeScoresGradients,
    copyGateGradients,
    lstmGradients,
    elementwiseLstmGradients,
    sumRuleGradients,
    deltaRuleGradients,
    gatedDeltaRuleGradients,
    selfReferentialGradients,
    fastRecurrenceGradients,
    recurrentDeltaGradients,
    dropoutGradients,
    segmentSumGradients,
    gridNeighborSumGradients,
    vqQuantizeGradients,
    expertMatMulGradients,
    expertFeedForwardGradients,
  ];
  for (const gradient of all.flat()) registerGradient(gradient);
  leaveOutAbsentGradients(all.flat());
}
