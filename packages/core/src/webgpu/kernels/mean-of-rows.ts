/** Losses of all rows as one: Σ loss, or Σ loss / Σ w; 0 if all weights are. Without weights they are 1. */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

const LANES = 64;

/** One workgroup. */
export const meanOfRows: WgslKernel = {
  name: 'mean_of_rows',
  storage: () => ({ losses: 'read f32', weights: 'read f32', result: 'write f32' }),
  parameters: { rows: 'u32' },
  code: ({ reduction }, has) => `
${workgroupSum(LANES, 'vec2f')}

${entryPoint(LANES)}
  var part = vec2f();
  for (var i = lane; i < parameters.rows; i += ${LANES}u) { part += vec2f(losses[i], ${has('weights') ? 'weights[i]' : '1.0'}); }
  let total = total_of(part, lane);
  if (lane == 0u) {
    result[0] = total.x${reduction === 'mean' ? ' / select(total.y, 1.0, total.y == 0.0)' : ''};
  }
}`,
};
