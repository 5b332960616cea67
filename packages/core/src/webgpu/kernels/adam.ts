/**
 * One update of Adam or AdamW (Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019, algorithm 2), element by element,
 * in the form of `optim/adam.ts`:
 *
 *   g ← scale g + l2 p      m ← m + (1 − β₁)(g − m)      v ← v + (1 − β₂)(g² − v)
 *   p ← keep p − rate m / (√v correction + ε)
 *
 * in place. `scale` [1] comes from the GPU, where the gradients were clipped.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Elements of a workgroup. */
export const ADAM_GRAIN = 256;

/** Workgroup: {@link ADAM_GRAIN} elements. */
export const adam: WgslKernel = {
  name: 'adam',
  storage: () => ({
    ...{ gradient: 'read f32', scale: 'read f32' },
    ...{ p: 'write f32', m: 'write f32', v: 'write f32' },
  }),
  parameters: {
    ...{ size: 'u32', rate: 'f32', keep: 'f32', l2: 'f32', correction: 'f32' },
    ...{ first_rate: 'f32', second_rate: 'f32', epsilon: 'f32', factor: 'f32' },
  },
  code: (_, has) => `
${entryPoint(ADAM_GRAIN)}
  let i = group_index(group, groups) * ${ADAM_GRAIN}u + lane;
  if (i >= parameters.size) { return; }
  let g = gradient[i] * parameters.factor${has('scale') ? ' * scale[0]' : ''} + p[i] * parameters.l2;
  let first = m[i] + (g - m[i]) * parameters.first_rate;
  let second = v[i] + (g * g - v[i]) * parameters.second_rate;
  m[i] = first;
  v[i] = second;
  p[i] = p[i] * parameters.keep - parameters.rate * first / (sqrt(second) * parameters.correction + parameters.epsilon);
}`,
};
