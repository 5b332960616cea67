/**
 * Layer norm (Ba, Kiros and Hinton 2016, equation 4) and RMS norm over the last axis, with a residual that is added before:
 *
 *   s = x + residual      y = (s − mean s) · scale · gain + bias      scale = 1 / √(mean (s − mean s)² + ε)
 *
 * where RMS norm takes 0 for the mean and has no bias.
 *
 *   x, residual, s, y [rows, features]   gain, bias [features]   mean, scale [rows]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

const LANES = 64;

/** Workgroup: one row. */
export const normalizeRows: WgslKernel = {
  name: 'normalize_rows',
  storage: () => ({
    ...{ x: 'read f32', residual: 'read f32', gain: 'read f32', bias: 'read f32' },
    ...{ sum: 'write f32', y: 'write f32', mean: 'write f32', scale: 'write f32' },
  }),
  parameters: { rows: 'u32', features: 'u32', epsilon: 'f32' },
  code: (_, has) => `
${workgroupSum(LANES)}

fn summed(at: u32) -> f32 {
  return x[at]${has('residual') ? ' + residual[at]' : ''};
}

${entryPoint(LANES)}
  let row = group_index(group, groups);
  if (row >= parameters.rows) { return; }
  let first = row * parameters.features;
  let n = f32(parameters.features);
  ${
    has('mean')
      ? `var part = 0.0;
  for (var i = lane; i < parameters.features; i += ${LANES}u) { part += summed(first + i); }
  let center = total_of(part, lane) / n;`
      : 'let center = 0.0;'
  }
  var squares = 0.0;
  for (var i = lane; i < parameters.features; i += ${LANES}u) {
    let distance = summed(first + i) - center;
    squares = fma(distance, distance, squares);
  }
  let factor = inverseSqrt(total_of(squares, lane) / n + parameters.epsilon);
  for (var i = lane; i < parameters.features; i += ${LANES}u) {
    let value = summed(first + i);
    ${has('sum') ? 'sum[first + i] = value;' : ''}
    y[first + i] = (value - center) * factor * gain[i]${has('bias') ? ' + bias[i]' : ''};
  }
  if (lane == 0u) {
    ${has('mean') ? 'mean[row] = center;' : ''}
    scale[row] = factor;
  }
}`,
};
