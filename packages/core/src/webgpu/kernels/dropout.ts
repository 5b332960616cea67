/**
 * Dropout as in `ops/dropout.ts`: element i is kept, and scaled, where word i of a random stream is below a threshold, else it is 0.
 *
 *   y_i = scale x_i if word_i < threshold, else 0        x, y [size]
 *
 * Words are those of Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011), the same as on every other device: see
 * `random/philox.ts`. An invocation has a block of four of them.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Elements of a workgroup. */
export const DROPOUT_GRAIN = 256;

const LANES = DROPOUT_GRAIN / 4;

/** Workgroup: {@link DROPOUT_GRAIN} elements. */
export const dropout: WgslKernel = {
  name: 'dropout',
  storage: () => ({ x: 'read f32', y: 'write f32' }),
  parameters: {
    ...{ size: 'u32', threshold: 'u32', scale: 'f32', block_low: 'u32', block_high: 'u32' },
    ...{ stream_low: 'u32', stream_high: 'u32', key_low: 'u32', key_high: 'u32' },
  },
  code: () => `
/** Upper 32 bits of a product. */
fn multiply_high(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let cross = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (cross >> 16u);
}

fn philox(counter: vec4u) -> vec4u {
  var x = counter;
  var key = vec2u(parameters.key_low, parameters.key_high);
  for (var round = 0u; round < 10u; round++) {
    x = vec4u(
      multiply_high(0xcd9e8d57u, x.z) ^ x.y ^ key.x, 0xcd9e8d57u * x.z,
      multiply_high(0xd2511f53u, x.x) ^ x.w ^ key.y, 0xd2511f53u * x.x);
    key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return x;
}

${entryPoint(LANES)}
  let block = group_index(group, groups) * ${LANES}u + lane;
  if (block >= (parameters.size + 3u) / 4u) { return; }
  let low = parameters.block_low + block;
  let high = parameters.block_high + select(0u, 1u, low < block);
  let words = philox(vec4u(low, high, parameters.stream_low, parameters.stream_high));
  for (var i = 0u; i < 4u && 4u * block + i < parameters.size; i++) {
    let scaled = x[4u * block + i] * parameters.scale;
    y[4u * block + i] = select(0.0, scaled, words[i] < parameters.threshold);
  }
}`,
};
