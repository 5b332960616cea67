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

/** cos(t θ) twice, and −sin(t θ) and sin(t θ), for consecutive positions t; one row for each. */
interface Angles {
  readonly cosines: Float32Array;
  readonly sines: Float32Array;
}

/** Angles of positions from 0 on, by size and base; extended when needed, up to a length. */
const tables = new Map<string, Angles & { readonly length: number }>();
const LONGEST_TABLE = 2 ** 15;

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
  const { cosines, sines } = anglesOf(size, base, offset, length);
  return tidy(() => {
    const perHead = (values: Float32Array): Tensor4D => tensor(values, [1, length, 1, size], 'float32') as Tensor4D;
    const low = slice(x, [0, 0, 0, 0], [batch, length, heads, half]);
    const high = slice(x, [0, 0, 0, half], [batch, length, heads, half]);
    return add(mul(x, perHead(cosines)), mul(concat([high, low], 3), perHead(sines)));
  });
}

/** Angles of the positions from `offset` on: of a table, or, where a stream has become long, of their own. */
function anglesOf(size: number, base: number, offset: number, length: number): Angles {
  const end = offset + length;
  if (end > LONGEST_TABLE) return computeAngles(size, base, offset, length);
  const key = `${size} ${base}`;
  let table = tables.get(key);
  if (table === undefined || table.length < end) {
    const rows = Math.max(end, 2 * (table?.length ?? 32));
    table = { length: rows, ...computeAngles(size, base, 0, rows) };
    tables.set(key, table);
  }
  const part = (values: Float32Array): Float32Array => values.slice(offset * size, end * size);
  return { cosines: part(table.cosines), sines: part(table.sines) };
}

/** In double precision. */
function computeAngles(size: number, base: number, offset: number, length: number): Angles {
  const cosines = new Float32Array(length * size);
  const sines = new Float32Array(length * size);
  const half = size / 2;
  for (let i = 0; i < half; i++) {
    const theta = base ** ((-2 * i) / size);
    for (let row = 0; row < length; row++) {
      const angle = (offset + row) * theta;
      cosines[row * size + i] = cosines[row * size + half + i] = Math.cos(angle);
      sines[row * size + half + i] = Math.sin(angle);
      sines[row * size + i] = -Math.sin(angle);
    }
  }
  return { cosines, sines };
}
