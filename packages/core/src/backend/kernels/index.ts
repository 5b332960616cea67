/** All tfjs kernels with a C implementation. */

import type { KernelTable } from '../kernel-table.ts';
import { affineScanKernels } from './affine-scan.ts';
import { attentionKernels } from './attention.ts';
import { binaryKernels } from './binary.ts';
import { castKernels } from './cast.ts';
import { complexKernels } from './complex.ts';
import { convolutionKernels } from './convolution.ts';
import { copyGateKernels } from './copy-gate.ts';
import { deltaRuleKernels } from './delta-rule.ts';
import { depthwiseKernels } from './depthwise.ts';
import { dropoutKernels } from './dropout.ts';
import { einsumKernels } from './einsum.ts';
import { elementwiseLstmKernels } from './elementwise-lstm.ts';
import { expertKernels } from './experts.ts';
import { featureMapKernels } from './feature-maps.ts';
import { geometricAttentionKernels } from './geometric-attention.ts';
import { indexingKernels } from './indexing.ts';
import { linearKernels } from './linear.ts';
import { linearAttentionKernels } from './linear-attention.ts';
import { lossKernels } from './loss.ts';
import { lstmKernels } from './lstm.ts';
import { matmulKernels } from './matmul.ts';
import { movementKernels } from './movement.ts';
import { normalizationKernels } from './normalization.ts';
import { poolingKernels } from './pooling.ts';
import { recurrentScanKernels } from './recurrent-scans.ts';
import { reductionKernels } from './reduction.ts';
import { relativeScoresKernels } from './relative-scores.ts';
import { scanKernels } from './scan.ts';
import { selectionKernels } from './selection.ts';
import { selfReferentialKernels } from './self-referential.ts';
import { softmaxKernels } from './softmax.ts';
import { unaryKernels } from './unary.ts';
import { vTraceKernels } from './v-trace.ts';
import { vectorQuantizationKernels } from './vector-quantization.ts';

/** Kernel name → implementation; everything else that tfjs has takes the fallback. */
export const kernels: KernelTable = {
  ...complexKernels,
  ...matmulKernels,
  ...convolutionKernels,
  ...depthwiseKernels,
  ...poolingKernels,
  ...einsumKernels,
  ...movementKernels,
  ...indexingKernels,
  ...softmaxKernels,
  ...normalizationKernels,
  ...lossKernels,
  ...featureMapKernels,
  ...binaryKernels,
  ...castKernels,
  ...reductionKernels,
  ...affineScanKernels,
  ...scanKernels,
  ...selectionKernels,
  ...unaryKernels,
  ...attentionKernels,
  ...relativeScoresKernels,
  ...geometricAttentionKernels,
  ...copyGateKernels,
  ...linearKernels,
  ...linearAttentionKernels,
  ...lstmKernels,
  ...elementwiseLstmKernels,
  ...vTraceKernels,
  ...deltaRuleKernels,
  ...selfReferentialKernels,
  ...recurrentScanKernels,
  ...dropoutKernels,
  ...vectorQuantizationKernels,
  ...expertKernels,
};
