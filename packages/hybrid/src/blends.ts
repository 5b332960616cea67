/**
 * Which pairs each of the two memories holds when element t is read (Irie et al., 2025, section 3), for a window of S:
 *
 *     synchronous       KV: t − S + 1 … t                    FW: 1 … t
 *     delayed stream    KV: t − S + 1 … t                    FW: 1 … t − S, each written when it leaves the window
 *     delayed chunk     KV: those of t's chunk up to t       FW: those of earlier chunks; see `delayed-chunk.ts`
 *
 * A pair that leaves the window is written with the β of the element that pushes it out, as in the authors' code.
 */

import type { LayerSizes } from '@fwp/deltanet';
import { slice, squeeze, type Tensor, type Tensor2D, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';
import { runDeltaRule, runLinearAttention, swapHeads } from './fast-weight-memory.ts';
import type { HybridState } from './hybrid-state.ts';
import { absentPairs, joined, lastPairs, type Pairs, readWindow } from './recent-pairs.ts';

/** A passage's queries, keys, values and write strengths. */
export interface BlendInputs {
  /** Queries and keys `[batch, length, heads, headSize]`, values `[batch, length, heads, valueSize]`. */
  readonly q: Tensor4D;
  readonly k: Tensor4D;
  readonly v: Tensor4D;
  /** β `[batch, length, heads]`, zero at padding; absent for linear attention, which the synchronous blend alone can have. */
  readonly beta: Tensor3D | undefined;
  /** 1 for elements, 0 for padding, `[batch, 1, length]`; absent without padding. */
  readonly presence: Tensor3D | undefined;
  /** What came before. */
  readonly state: HybridState | undefined;
}

/** Settings of the memories. */
export interface BlendSettings {
  /** S. */
  readonly window: number;
  /** Base of rotary positions of the window; absent: none. */
  readonly rotaryBase: number | undefined;
}

/** What both memories say, `[batch, heads, length, valueSize]`, and the state behind the passage, without `history`. */
export interface BlendResult {
  readonly fastWeights: Tensor4D;
  readonly window: Tensor4D;
  readonly state: HybridState;
}

/** Both memories get every pair at once. */
export function synchronous({ q, k, v, beta, presence, state }: BlendInputs, settings: BlendSettings): BlendResult {
  const pairs = joined(state, pairsOf({ k, v }, presence));
  const { read, state: written } =
    beta === undefined ? runLinearAttention({ q, k, v }, state, presence) : runDeltaRule({ q, k, v, beta }, state);
  return {
    fastWeights: read,
    window: swapHeads(readWindow(q, pairs, settings)),
    state: { ...written, ...lastPairs(pairs, settings.window - 1, presence) },
  };
}

/** The fast weights get the pairs that leave the window. */
export function delayedStream({ q, k, v, beta, presence, state }: BlendInputs, settings: BlendSettings): BlendResult {
  const [batch, length] = k.shape;
  const now = pairsOf({ k, v }, presence);
  const delayed = joined(state ?? absentPairs(batch, settings.window, sizesOf(k, v)), now);
  const first = <T extends Tensor>(x: T): T => slice(x, [0, 0], [batch, length]) as T;
  const { read, state: written } = runDeltaRule(
    { q, k: first(delayed.keys), v: first(delayed.values), beta: beta as Tensor3D },
    state,
  );
  return {
    fastWeights: read,
    window: swapHeads(readWindow(q, state === undefined ? now : delayed, settings)),
    state: { ...written, ...lastPairs(delayed, settings.window, presence) },
  };
}

/** The pairs of a passage. */
export function pairsOf({ k, v }: { k: Tensor4D; v: Tensor4D }, presence: Tensor3D | undefined): Pairs {
  return { keys: k, values: v, presence: presence && (squeeze(presence, [1]) as Tensor2D) };
}

/** Sizes of keys and values. */
export function sizesOf(k: Tensor4D, v: Tensor4D): Pick<LayerSizes, 'heads' | 'headSize' | 'valueSize'> {
  return { heads: k.shape[2], headSize: k.shape[3], valueSize: v.shape[3] };
}
