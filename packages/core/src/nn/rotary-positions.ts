/**
 * Rotary positions (Su et al., RoFormer, 2021, equation 15): the two halves of a query or key at position t are turned
 * against each other,
 *
 *     y_i = x_i cos(t θ_i) − x_{i+d/2} sin(t θ_i)        y_{i+d/2} = x_{i+d/2} cos(t θ_i) + x_i sin(t θ_i)
 *     θ_i = base^(−2 i / d),  i = 0 … d/2 − 1
 *
 * so that q_s · k_t depends on s − t only. Pairs are (i, i + d/2), as in GPT-NeoX and LLaMA.
 */

import { add, concat, mul, slice, type Tensor4D, tensor, tidy } from '@tensorflow/tfjs-core';
import { assertCount, assertFloatShape, assertNumber } from '../shape-checks.ts';

/** Tables of cosines and sines, computed in double precision once for each size and extended when needed. */
interface Table {
  length: number;
  cosines: Float32Array;
  sines: Float32Array;
}

const tables = new Map<string, Table>();

/**
 * Turns queries or keys according to their positions.
 *
 * @param x float32 `[batch, length, heads, size]`, size even
 * @param offset position of the first element. Default 0
 * @param base default 10000, as in the paper
 * @returns the shape of x
 */
export function applyRotaryPositions(x: Tensor4D, offset = 0, base = 10_000): Tensor4D {
  assertFloatShape('applyRotaryPositions: x', x, ['batch', 'length', 'heads', 'size']);
  assertCount('applyRotaryPositions: offset', offset, 0);
  assertNumber('applyRotaryPositions: base', base, 1);
  const [batch, length, heads, size] = x.shape;
  if (size % 2 !== 0) throw new RangeError(`applyRotaryPositions: the size of x must be even, but is ${size}.`);
  const half = size / 2;
  const { cosines, sines } = tableFor(size, base, offset + length);
  return tidy(() => {
    const part = (values: Float32Array): Tensor4D =>
      tensor(values.slice(offset * size, (offset + length) * size), [1, length, 1, size], 'float32') as Tensor4D;
    const low = slice(x, [0, 0, 0, 0], [batch, length, heads, half]);
    const high = slice(x, [0, 0, 0, half], [batch, length, heads, half]);
    return add(mul(x, part(cosines)), mul(concat([high, low], 3), part(sines)));
  });
}

/** Rows of cos(t θ) twice, and of −sin(t θ) and sin(t θ), for t from 0 to at least `length` − 1. */
function tableFor(size: number, base: number, length: number): Table {
  const key = `${size} ${base}`;
  const known = tables.get(key);
  if (known !== undefined && known.length >= length) return known;
  const rows = Math.max(length, 2 * (known?.length ?? 32));
  const cosines = new Float32Array(rows * size);
  const sines = new Float32Array(rows * size);
  const half = size / 2;
  for (let i = 0; i < half; i++) {
    const theta = base ** ((-2 * i) / size);
    for (let t = 0; t < rows; t++) {
      cosines[t * size + i] = cosines[t * size + half + i] = Math.cos(t * theta);
      sines[t * size + half + i] = Math.sin(t * theta);
      sines[t * size + i] = -Math.sin(t * theta);
    }
  }
  const table = { length: rows, cosines, sines };
  tables.set(key, table);
  return table;
}
