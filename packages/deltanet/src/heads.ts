/** Rearranging between vectors of a whole layer and those of its heads. */

import { mul, reshape, split, type Tensor3D, type Tensor4D, transpose } from '@tensorflow/tfjs-core';

/** `[batch, length, heads · size]` → `[batch, heads, length, size]` */
export function splitHeads(x: Tensor3D, heads: number): Tensor4D {
  const [batch, length, width] = x.shape;
  return transpose(reshape(x, [batch, length, heads, width / heads]) as Tensor4D, [0, 2, 1, 3]);
}

/** `[batch, heads, length, size]` → `[batch, length, heads · size]` */
export function mergeHeads(x: Tensor4D): Tensor3D {
  const [batch, heads, length, size] = x.shape;
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, length, heads * size]) as Tensor3D;
}

/** Cuts vectors of heads, `[batch, heads, length, Σ sizes]`, into parts of the given sizes. */
export function splitParts(x: Tensor4D, sizes: readonly number[]): Tensor4D[] {
  return split(x, [...sizes], 3);
}

/** One number per head: `[batch, length, heads]` → `[batch, heads, length]` */
export function perHead(x: Tensor3D): Tensor3D {
  return transpose(x, [0, 2, 1]);
}

/** Zeros at padding: x `[batch, heads, length, …]`, presence `[batch, 1, length]`. */
export function wherePresent<T extends Tensor3D | Tensor4D>(x: T, presence: Tensor3D | undefined): T {
  if (presence === undefined) return x;
  return mul<T>(x, x.rank === 3 ? presence : reshape(presence, [...presence.shape, 1]));
}
