/**
 * Keys and values of the last elements, which is all that softmax attention over a window needs of the past. There are
 * always as many, so that a stream's memory is bounded; before the first element they are zeros that are marked as absent.
 */

import { applyRotaryPositions, attention } from '@fwp/core';
import { type LayerSizes, lastElements } from '@fwp/deltanet';
import {
  cast,
  concat,
  ones,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  zeros,
} from '@tensorflow/tfjs-core';

/** Pairs of keys and values. */
export interface Pairs {
  /** `[batch, elements, heads, headSize]` */
  readonly keys: Tensor4D;
  /** `[batch, elements, heads, valueSize]` */
  readonly values: Tensor4D;
  /** 1 for elements, 0 for padding and what was before the first, `[batch, elements]`; absent: all are elements. */
  readonly presence: Tensor2D | undefined;
}

/** How keys are looked at. */
export interface WindowOptions {
  /** Number of keys that a query sees, that of its own element included. */
  readonly window: number;
  /** Base of rotary positions; absent: none. */
  readonly rotaryBase: number | undefined;
}

/** Number of pairs. */
export function countOf({ keys }: Pairs): number {
  return keys.shape[1];
}

/** One after the other. */
export function joined(before: Pairs | undefined, now: Pairs): Pairs {
  if (before === undefined || countOf(before) === 0) return now;
  const both = <T extends Tensor>(a: T, b: T): T => concat([a, b], 1) as T;
  const all = ({ presence, keys }: Pairs): Tensor2D => presence ?? ones([keys.shape[0], keys.shape[1]]);
  const isFull = before.presence === undefined && now.presence === undefined;
  return {
    keys: both(before.keys, now.keys),
    values: both(before.values, now.values),
    presence: isFull ? undefined : both(all(before), all(now)),
  };
}

/** With so many absent pairs before them that there are `count`. */
function filledUp(pairs: Pairs, count: number): Pairs {
  const [batch, elements, heads, headSize] = pairs.keys.shape;
  if (elements >= count) return pairs;
  return joined(absentPairs(batch, count - elements, { heads, headSize, valueSize: pairs.values.shape[3] }), pairs);
}

/**
 * The last pairs, up to the last element that is no padding; absent ones stand for those that there never were.
 *
 * @param pairs those before a passage, and those of the passage itself
 * @param count how many
 * @param presence of the passage, `[batch, 1, length]`; absent without padding
 */
export function lastPairs(pairs: Pairs, count: number, presence: Tensor3D | undefined): Pairs & { presence: Tensor2D } {
  // All of the passage may be padding: then the last ones are those before it.
  const enough = filledUp(pairs, count + (presence?.shape[2] ?? 0));
  const { keys, values } = enough;
  const isPresent: Tensor2D = enough.presence ?? ones([keys.shape[0], keys.shape[1]]);
  const take = lastElements(countOf(enough), count, presence);
  return { keys: take(keys), values: take(values), presence: take(isPresent) };
}

/**
 * Softmax attention of queries over the last keys (Irie et al., 2025, the KV-memory): logits are divided by √headSize.
 *
 * @param q queries of the last pairs, `[batch, length, heads, headSize]`
 * @param pairs those that queries may see, up to their own
 * @returns `[batch, length, heads, valueSize]`
 */
export function readWindow(q: Tensor4D, { keys, values, presence }: Pairs, options: WindowOptions): Tensor4D {
  const { window, rotaryBase } = options;
  const before = keys.shape[1] - q.shape[1];
  // Scores depend on distances only, so that positions may be counted from the oldest pair.
  return attention(turned(q, before, rotaryBase), turned(keys, 0, rotaryBase), values, {
    layout: 'BTHD',
    causal: true,
    window,
    keyMask: presence === undefined ? undefined : cast(presence, 'bool'),
  });
}

/** Queries or keys with rotary positions, counted from `position` on, if there is a base. */
export function turned(x: Tensor4D, position: number, rotaryBase: number | undefined): Tensor4D {
  return rotaryBase === undefined ? x : applyRotaryPositions(x, position, rotaryBase);
}

/** Pairs that are not there. */
export function absentPairs(
  batch: number,
  count: number,
  { heads, headSize, valueSize }: Pick<LayerSizes, 'heads' | 'headSize' | 'valueSize'>,
): Pairs {
  return {
    keys: zeros([batch, count, heads, headSize]),
    values: zeros([batch, count, heads, valueSize]),
    presence: zeros([batch, count]),
  };
}
