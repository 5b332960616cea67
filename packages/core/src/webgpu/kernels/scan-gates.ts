/**
 * The gates of a fast-weight scan side by side, so that scans need one buffer for all of them:
 *
 *   gates[head, t] = (β_t, a_t, reset_t, 0)        1, 1 and 0 where there are none; a_t only if it is one number a step
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Workgroup: 64 steps. */
export const scanGates: WgslKernel = {
  name: 'scan_gates',
  storage: () => ({ beta: 'read f32', decay: 'read f32', resets: 'read i32', gates: 'write f32' }),
  parameters: { steps: 'u32', time: 'u32', heads: 'u32' },
  code: (_, has) => `
${entryPoint(64)}
  let step = group_index(group, groups) * 64u + lane;
  if (step >= parameters.steps) { return; }
  let sequence = step / (parameters.heads * parameters.time);
  let time = step % parameters.time;
  gates[4u * step] = ${has('beta') ? 'beta[step]' : '1.0'};
  gates[4u * step + 1u] = ${has('decay') ? 'decay[step]' : '1.0'};
  gates[4u * step + 2u] = ${has('resets') ? 'f32(resets[sequence * parameters.time + time])' : '0.0 * f32(sequence + time)'};
  gates[4u * step + 3u] = 0.0;
}`,
};
