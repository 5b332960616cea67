/**
 * Checks of what callers pass in: one line at the top of an operation or layer, a full sentence when it fails.
 *
 *     const { batch, length } = assertShape('attention: query', query, ['batch', 'length', 64]);
 *     assertShape('attention: key', key, ['batch', 'keyLength', 64], { batch });
 */

import { type DataType, Tensor } from '@tensorflow/tfjs-core';

/**
 * What one dimension must be: a number is that size; a name is any size, the same wherever the name occurs again; a
 * leading `'...'` stands for any number of dimensions.
 */
export type Extent = number | string;

/** Sizes by name, as {@link assertShape} found them. */
export type Extents = Record<string, number>;

/**
 * Makes sure that `value` is a tensor that was not disposed and has one of the given dtypes.
 *
 * @param name how the message calls it, for example `'layerNorm: x'`
 * @param value what the caller passed
 * @param dtypes allowed dtypes; default: all
 * @throws TypeError if it is no tensor, was disposed, or has another dtype
 */
export function assertTensor(name: string, value: unknown, ...dtypes: DataType[]): asserts value is Tensor {
  if (!(value instanceof Tensor)) {
    throw new TypeError(`${name} must be a tensor, but is ${describe(value)}. Make one with tf.tensor().`);
  }
  if (value.isDisposed) {
    throw new TypeError(
      `${name} was disposed (shape ${formatShape(value.shape)}). Keep it alive: return it from tf.tidy() or use tf.keep().`,
    );
  }
  if (dtypes.length > 0 && !dtypes.includes(value.dtype)) {
    throw new TypeError(
      `${name} must be ${dtypes.join(' or ')}, but is ${value.dtype}. Convert it with tf.cast(tensor, '${dtypes[0]}').`,
    );
  }
}

/**
 * Makes sure that `tensor` is a live tensor of the given shape.
 *
 * @param name how the message calls it, for example `'layerNorm: x'`
 * @param tensor what the caller passed
 * @param shape one {@link Extent} for each dimension
 * @param known sizes of names that other arguments have fixed
 * @returns the sizes of all names, those of `known` included
 * @throws TypeError if it is no tensor or was disposed
 * @throws RangeError if the shape is another one; the message names the dimension
 */
export function assertShape(name: string, tensor: unknown, shape: readonly Extent[], known: Extents = {}): Extents {
  assertTensor(name, tensor);
  const actual = tensor.shape;
  const open = shape[0] === '...';
  const fixed = open ? shape.slice(1) : shape;
  const skipped = actual.length - fixed.length;
  if (open ? skipped < 0 : skipped !== 0) {
    throw new RangeError(
      `${name} must have shape ${formatShape(shape, known)}, but has shape ${formatShape(actual)}: ` +
        `${rankOf(actual.length)} instead of ${open ? 'at least ' : ''}${fixed.length}.`,
    );
  }
  const extents: Extents = { ...known };
  for (let i = 0; i < fixed.length; i++) {
    const wanted = fixed[i] as Extent;
    const size = actual[skipped + i] as number;
    const expected = typeof wanted === 'number' ? wanted : extents[wanted];
    if (expected === undefined) {
      extents[wanted] = size;
    } else if (expected !== size) {
      const label = typeof wanted === 'string' ? ` ('${wanted}')` : '';
      throw new RangeError(
        `${name} must have shape ${formatShape(shape, known)}, but has shape ${formatShape(actual)}: ` +
          `dimension ${skipped + i}${label} is ${size} instead of ${expected}.`,
      );
    }
  }
  return extents;
}

/** {@link assertShape} and {@link assertTensor} for a float32 tensor. */
export function assertFloatShape(
  name: string,
  tensor: unknown,
  shape: readonly Extent[],
  known: Extents = {},
): Extents {
  assertTensor(name, tensor, 'float32');
  return assertShape(name, tensor, shape, known);
}

/**
 * Makes sure that a number is a whole number of at least `minimum`.
 *
 * @throws RangeError if it is not
 */
export function assertCount(name: string, value: unknown, minimum = 1): asserts value is number {
  if (!Number.isInteger(value) || (value as number) < minimum) {
    throw new RangeError(`${name} must be a whole number of at least ${minimum}, but is ${describe(value)}.`);
  }
}

/**
 * Makes sure that a number is finite and in `[minimum, maximum]`.
 *
 * @throws RangeError if it is not
 */
export function assertNumber(
  name: string,
  value: unknown,
  minimum: number = Number.NEGATIVE_INFINITY,
  maximum: number = Number.POSITIVE_INFINITY,
): asserts value is number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= minimum && value <= maximum) return;
  const range =
    maximum < Number.POSITIVE_INFINITY
      ? ` from ${minimum} to ${maximum}`
      : minimum > Number.NEGATIVE_INFINITY
        ? ` of at least ${minimum}`
        : '';
  throw new RangeError(`${name} must be a finite number${range}, but is ${describe(value)}.`);
}

/**
 * Makes sure that a value is one of the given ones.
 *
 * @throws RangeError if it is not; the message lists them
 */
export function assertOneOf<T extends string | number>(
  name: string,
  value: unknown,
  choices: readonly T[],
): asserts value is T {
  if (!(choices as readonly unknown[]).includes(value)) {
    throw new RangeError(`${name} must be ${choices.map(describe).join(' or ')}, but is ${describe(value)}.`);
  }
}

/** `[2, 'length', 64]` → `'[2, length, 64]'`; names with known sizes read `length = 5`. */
export function formatShape(shape: readonly Extent[], known: Extents = {}): string {
  const parts = shape.map((extent) =>
    typeof extent === 'string' && known[extent] !== undefined ? `${extent} = ${known[extent]}` : String(extent),
  );
  return `[${parts.join(', ')}]`;
}

function rankOf(rank: number): string {
  return `${rank} ${rank === 1 ? 'dimension' : 'dimensions'}`;
}

function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Tensor) return `a tensor of shape ${formatShape(value.shape)}`;
  return typeof value === 'object' ? `a ${value.constructor?.name ?? 'plain object'}` : `a ${typeof value}`;
}
