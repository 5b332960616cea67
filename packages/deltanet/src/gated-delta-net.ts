/**
 * Gated DeltaNet (Yang, Kautz and Hatamizadeh, 2024, equation 10): {@link DeltaNet2024} on fast weights that decay by a
 * factor a_t, as in Mamba-2, with a gated output. For each head,
 *
 *     a_t = exp(−A softplus(w_a · x_t + b))
 *     S_t = a_t S_{t−1} (I − β_t k_t k_tᵀ) + β_t v_t k_tᵀ        y_t = S_t q_t
 *     output = W_o (RMSNorm(y) ∘ SiLU(W_g x))
 *
 * Initially A is uniform within (0, 16), and softplus(b) is log-uniform within [0.001, 0.1]. What is learned is log A.
 */

import { gatedDeltaRule, Linear, normalInitializer, type RandomStream } from '@fwp/core';
import {
  add,
  exp,
  mul,
  neg,
  softplus,
  type Tensor1D,
  type Tensor3D,
  type Tensor4D,
  tensor1d,
  type Variable,
} from '@tensorflow/tfjs-core';
import { DeltaNet2024, type DeltaNet2024Options, type DeltaRuleInputs } from './delta-net-2024.ts';
import type { Passage } from './fast-weight-layer.ts';
import { perHead, wherePresent } from './heads.ts';

/** Options of {@link GatedDeltaNet}; the output gate is on by default. */
export type GatedDeltaNetOptions = DeltaNet2024Options;

/** The delta rule on fast weights that decay. */
export class GatedDeltaNet extends DeltaNet2024 {
  /** x → what the decay depends on, one number for each head. */
  readonly decay: Linear;
  /** log A `[heads]` */
  readonly logDecayRate: Variable & Tensor1D;
  /** b `[heads]` */
  readonly decayBias: Variable & Tensor1D;

  constructor(options: GatedDeltaNetOptions) {
    super({ outputGate: true, ...options });
    const { size, heads, random, weightInitializer = normalInitializer(0.02) } = options;
    try {
      this.decay = this.addModule(
        'decay',
        new Linear({ inputSize: size, outputSize: heads, bias: false, random, weightInitializer }),
      );
      this.logDecayRate = this.addParameter('logDecayRate', initialLogRates(heads, random));
      this.decayBias = this.addParameter('decayBias', initialBiases(heads, random));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  protected override rule(
    { q, k, v, beta }: DeltaRuleInputs,
    { x, state, presence }: Passage,
  ): { output: Tensor4D; finalState: Tensor4D } {
    const times = softplus(add(this.decay.forward(x), this.decayBias));
    const logDecay = perHead(neg(mul<Tensor3D>(exp(this.logDecayRate), times)));
    return gatedDeltaRule(q, k, v, beta, wherePresent(logDecay, presence), {
      logDecay: true,
      initialState: state?.fastWeights,
    });
  }
}

function initialLogRates(heads: number, random: RandomStream): Tensor1D {
  // 1 − u is in (0, 1], so that the logarithm exists.
  return tensor1d(random.uniform(heads).map((u) => Math.log(16 * (1 - u))));
}

function initialBiases(heads: number, random: RandomStream): Tensor1D {
  const [low, high] = [Math.log(0.001), Math.log(0.1)];
  const times = random.uniform(heads).map((u) => Math.exp(low + (high - low) * u));
  // softplus⁻¹(t) = log(eᵗ − 1)
  return tensor1d(times.map((time) => Math.log(Math.expm1(time))));
}
