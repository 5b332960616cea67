/**
 * The delayed chunk: a stream is cut into chunks of S elements; the attention sees what the own chunk holds so far, the fast
 * weights what earlier chunks held (Irie et al., 2025, section 3; Munkhdalai et al., 2024, "Infini-attention"):
 *
 *     y_KV,t = Σ_{s = c + 1 … t} softmax_s(q_t · k_s / √headSize) v_s        y_FW,t = W_c φ(q_t) / √headSize
 *
 * where c is the last element before t's chunk, and W_c holds the pairs up to it. For the scan, the reads of each chunk stand
 * before its writes, as elements that write nothing: all of them see W_c.
 *
 * A chunk that one passage leaves unfinished is finished by the next. Padding counts as elements, which it does in no other
 * blend: where padding comes before elements, the chunks of these begin elsewhere.
 */

import { attention } from '@fwp/core';
import {
  cast,
  concat,
  pad,
  reshape,
  slice,
  type Tensor,
  type Tensor3D,
  type Tensor4D,
  zerosLike,
} from '@tensorflow/tfjs-core';
import { type BlendInputs, type BlendResult, type BlendSettings, pairsOf } from './blends.ts';
import { runDeltaRule, swapHeads } from './fast-weight-memory.ts';
import type { HybridState } from './hybrid-state.ts';
import { joined, lastPairs, type Pairs, turned } from './recent-pairs.ts';

/** The fast weights get the pairs of a chunk when it ends. */
export function delayedChunk(inputs: BlendInputs, { window, rotaryBase }: BlendSettings): BlendResult {
  const { q, k, v, presence, state } = inputs;
  const [batch, length] = q.shape;
  const begun = state?.position ?? 0;
  const underWay = state && pairsUnderWay(state, begun);
  const pairs = joined(underWay?.pairs, pairsOf({ k, v }, presence));
  const beta = underWay === undefined ? (inputs.beta as Tensor3D) : concat([underWay.beta, inputs.beta as Tensor3D], 1);
  const total = begun + length;
  const chunks = Math.ceil(total / window);

  /** `[batch, elements, …]`, zeros around them → `[batch · chunks, S, …]` */
  const inChunks = <T extends Tensor>(x: T, before = 0): T => {
    const after = chunks * window - before - (x.shape[1] as number);
    return reshape(padTime(x, before, after), [batch * chunks, window, ...x.shape.slice(2)]) as T;
  };
  /** `[batch · chunks, elements, …]` → `[batch, length, …]` of the passage */
  const ofPassage = (x: Tensor4D): Tensor4D =>
    slice(reshape(x as Tensor, [batch, chunks * window, ...x.shape.slice(2)]), [0, begun], [batch, length]) as Tensor4D;

  const queries = inChunks(q, begun);
  const [keys, values] = [inChunks(pairs.keys), inChunks(pairs.values)];
  const seen = attention(turned(queries, 0, rotaryBase), turned(keys, 0, rotaryBase), values, {
    layout: 'BTHD',
    causal: true,
    keyMask: pairs.presence && cast(inChunks(pairs.presence), 'bool'),
  });

  // What is written when the chunk under way ends is not written yet.
  const strengths = inChunks(slice(beta, [0, 0], [batch, total - (total % window)]));
  const readsAndWrites = <T extends Tensor>(reads: T, writes: T): T =>
    reshape(concat([reads, writes], 1), [batch, 2 * chunks * window, ...reads.shape.slice(2)]) as T;
  const scanned = runDeltaRule(
    {
      q: readsAndWrites(queries, zerosLike(queries)),
      k: readsAndWrites(zerosLike(keys), keys),
      v: readsAndWrites(zerosLike(values), values),
      beta: readsAndWrites(zerosLike(strengths), strengths),
    },
    state,
  );
  const both = reshape(swapHeads(scanned.read), [batch * chunks, 2 * window, ...values.shape.slice(2)]);
  const reads = slice(both, [0, 0], [batch * chunks, window]) as Tensor4D;

  const kept = window - 1;
  const lastStrengths = slice(
    padTime(beta, Math.max(0, kept - total), 0),
    [0, Math.max(0, total - kept)],
    [batch, kept],
  );
  return {
    fastWeights: swapHeads(ofPassage(reads)),
    window: swapHeads(ofPassage(seen)),
    state: {
      ...scanned.state,
      ...lastPairs(pairs, kept, undefined),
      writeStrengths: lastStrengths as Tensor3D,
      position: total % window,
    },
  };
}

/** Zeros before and behind `[batch, elements, …]`. */
function padTime<T extends Tensor>(x: T, before: number, after: number): T {
  const paddings = x.shape.map((_, axis): [number, number] => (axis === 1 ? [before, after] : [0, 0]));
  return pad(x as Tensor, paddings) as T;
}

/** The last `count` pairs of a state with their β. */
function pairsUnderWay(
  { keys, values, presence, writeStrengths }: HybridState,
  count: number,
): { pairs: Pairs; beta: Tensor3D } {
  const last = <T extends Tensor>(x: T): T => {
    return slice(x, [0, (x.shape[1] as number) - count], [x.shape[0] as number, count]) as T;
  };
  return {
    pairs: { keys: last(keys), values: last(values), presence: last(presence) },
    beta: last(writeStrengths as Tensor3D),
  };
}
