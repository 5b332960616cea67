/**
 * The (gated) delta rule over chunks of time, by matrix products: for backends without the kernel, and where a gradient is
 * differentiated again.
 *
 * Within a chunk of C steps (rows are steps; S the state before it, B = diag(β), Γ and g the decays of scan-chunks.ts) the
 * rows of R are what the steps write, r_t = β_t (v_t − a_t S_{t-1} k_t). Each sees the writes before it:
 *
 *   (I + A) R = B (V − g K Sᵀ)          A = strictly lower (B Γ ∘ K Kᵀ)
 *   Y = g Q Sᵀ + lower (Γ ∘ Q Kᵀ) R     S' = g_C S + (Γ_C R)ᵀ K
 *
 * with Γ_C the last row of Γ (Yang et al. 2024, "Parallelizing linear transformers with the delta rule over sequence
 * length", section 3; with decays: "Gated delta networks", section 3.3). U = (I + A)⁻¹ B V and W = (I + A)⁻¹ B g K need no
 * state, so all chunks compute them at once; then R = U − W Sᵀ, chunk by chunk.
 *
 * The inverse is that of a block substitution: entries of (I + A)⁻¹ are of the size of β k·k′ while the rule is stable,
 * but powers of A, and with them the product (I − A)(I + A²)(I + A⁴)…, grow like binomial coefficients where keys repeat.
 */

import * as tf from '@tensorflow/tfjs-core';
import { connectedZeros } from './connected-zeros.ts';
import type { ScanOptions, ScanResult, ScanSequences, ScanSizes } from './fast-weight-scan.ts';
import {
  aliveAfter,
  CHUNK_STEPS,
  chunkDecay,
  eachChunk,
  fromChunks,
  inChunks,
  oneLater,
  triangle,
} from './scan-chunks.ts';

/** Inputs of the delta rule; without `decay` (factors) nothing decays. */
export interface DeltaRuleInputs extends ScanSequences {
  readonly beta: tf.Tensor;
  readonly decay?: tf.Tensor | undefined;
}

/** The (gated) delta rule in tfjs operations. */
export function chunkwiseDeltaRule(inputs: DeltaRuleInputs, options: ScanOptions, sizes: ScanSizes): ScanResult {
  const { batch, heads, time, keyDim, valueDim } = sizes;
  const { initialState, resetMask, read = 'after' } = options;
  let state = initialState === undefined ? tf.zeros([batch, heads, valueDim, keyDim]) : tf.clone(initialState);
  if (batch * heads * time * keyDim * valueDim === 0) {
    const { q, k, v, beta, decay } = inputs;
    const output = connectedZeros([batch, heads, time, valueDim], [q, k, v, beta, decay, initialState]);
    return { output: output as tf.Tensor4D, finalState: state as tf.Tensor4D };
  }

  const [q, k, v] = [inputs.q, inputs.k, inputs.v].map((x) => inChunks(x)) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const beta = tf.expandDims(inChunks(inputs.beta), -1);
  // A reset is a decay to nothing.
  const alive = resetMask === undefined ? undefined : aliveAfter(resetMask, heads);
  const factors = inputs.decay === undefined ? alive : tf.mul(inputs.decay, alive ?? 1);
  const decay = factors === undefined ? undefined : chunkDecay(inChunks(factors, 1));
  const [strictlyLower, lower] = [triangle(CHUNK_STEPS, -1), triangle(CHUNK_STEPS, 0)];

  const similarities = tf.mul(tf.matMul(k, k, false, true), decay?.between ?? 1);
  const inverse = inverseOfUnitLower(tf.mul(tf.mul(similarities, beta), strictlyLower));
  const fresh = tf.matMul(inverse, tf.mul(beta, v));
  const erased = tf.matMul(inverse, tf.mul(tf.mul(beta, decay?.fromStart ?? 1), k));

  // What a query reads of the writes of its chunk, and of the state before.
  let [within, before] = [decay?.between ?? lower, decay?.fromStart];
  if (read === 'before') {
    within = oneLater(within, 0);
    if (before !== undefined) before = oneLater(before, 1);
    if (alive !== undefined) {
      const continued = tf.expandDims(inChunks(alive, 1), -1);
      [within, before] = [tf.mul(within, continued), tf.mul(before as tf.Tensor, continued)];
    }
  }
  const attended = tf.mul(tf.matMul(q, k, false, true), within);
  const queries = before === undefined ? q : tf.mul(q, before);
  const keys = decay === undefined ? k : tf.mul(k, decay.toEnd);

  const chunks = [fresh, erased, attended, queries, keys, ...(decay === undefined ? [] : [decay.whole])].map((x) =>
    eachChunk(x),
  );
  const outputs: tf.Tensor[] = [];
  for (let n = 0; n < (q.shape[2] as number); n++) {
    const [freshly, erasing, attending, reading, writing, keeping] = chunks.map((x) => x[n]) as tf.Tensor[];
    const writes = tf.sub(freshly as tf.Tensor, tf.matMul(erasing as tf.Tensor, state, false, true));
    outputs.push(
      tf.add(tf.matMul(reading as tf.Tensor, state, false, true), tf.matMul(attending as tf.Tensor, writes)),
    );
    const held = keeping === undefined ? state : tf.mul(state, keeping);
    state = tf.add(held, tf.matMul(writes, writing as tf.Tensor, true, false));
  }
  return { output: fromChunks(outputs, time) as tf.Tensor4D, finalState: state as tf.Tensor4D };
}

/**
 * (I + A)⁻¹ for strictly lower triangular A `[…, C, C]`, C a power of 2: from the inverses of diagonal blocks to those
 * of twice the size, by the block below the diagonal: [[L, 0], [M, N]]⁻¹ = [[L⁻¹, 0], [−N⁻¹ M L⁻¹, N⁻¹]].
 */
function inverseOfUnitLower(a: tf.Tensor): tf.Tensor {
  const steps = a.shape[a.rank - 1] as number;
  let inverse: tf.Tensor = tf.eye(steps);
  for (let block = 1; block < steps; block *= 2) {
    const below = tf.mul(a, blocksBelowDiagonal(steps, block));
    // The first blocks are ones on the diagonal.
    const filled = block === 1 ? below : tf.matMul(inverse, tf.matMul(below, inverse));
    inverse = tf.sub(inverse, filled);
  }
  return inverse;
}

/** `[n, n]`: ones in the blocks that lie directly below diagonal blocks of size `block` and beside every second of them. */
function blocksBelowDiagonal(n: number, block: number): tf.Tensor {
  return tf.tidy(() => {
    const index = tf.floor(tf.div(tf.range(0, n), block));
    const [row, column] = [tf.expandDims(index, 1), tf.expandDims(index, 0)];
    const odd = tf.mod(row, 2);
    return tf.mul(tf.cast(tf.equal(row, tf.add(column, 1)), 'float32'), odd);
  });
}
