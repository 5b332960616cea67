/**
 * The gradient of vectors that were replaced by codes, straight through and of their mean squared distance to them:
 *
 *   dz = dq + scale derror (z − q)        scale = 2 / elements        z, q, dq, dz [elements]   derror [1]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Elements of a workgroup. */
export const QUANTIZATION_LANES = 256;

/** Workgroup: {@link QUANTIZATION_LANES} elements. */
export const quantizationGradient: WgslKernel = {
  name: 'quantization_gradient',
  storage: () => ({
    ...{ dy: 'read f32', d_error: 'read f32', vectors: 'read f32', output: 'read f32' },
    ...{ d_vectors: 'write f32' },
  }),
  parameters: { elements: 'u32', scale: 'f32' },
  code: () => `
${entryPoint(QUANTIZATION_LANES)}
  let i = group_index(group, groups) * ${QUANTIZATION_LANES}u + lane;
  if (i >= parameters.elements) { return; }
  d_vectors[i] = fma(parameters.scale * d_error[0], vectors[i] - output[i], dy[i]);
}`,
};
