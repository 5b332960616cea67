/**
 * The factor that brings gradients down to a joint norm (Pascanu, Mikolov and Bengio 2013), of their sums of squares:
 *
 *   norm = scale √(Σ_i partial_i)        factor = scale · min(1, maxNorm / norm)
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

const LANES = 64;

/** One workgroup. */
export const clipFactorKernel: WgslKernel = {
  name: 'clip_factor',
  storage: () => ({ partial: 'read f32', norm: 'write f32', factor: 'write f32' }),
  parameters: { count: 'u32', scale: 'f32', max_norm: 'f32' },
  code: () => `
${workgroupSum(LANES)}

${entryPoint(LANES)}
  var sum = 0.0;
  for (var i = lane; i < parameters.count; i += ${LANES}u) { sum += partial[i]; }
  let total = total_of(sum, lane);
  if (lane == 0u) {
    let length = parameters.scale * sqrt(total);
    norm[0] = length;
    factor[0] = parameters.scale * select(1.0, parameters.max_norm / length, length > parameters.max_norm);
  }
}`,
};
