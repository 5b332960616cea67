/**
 * DeltaNet as Yang, Wang, Zhang, Shen and Kim, 2024, build it ("Parallelizing linear Transformers with the delta rule over
 * sequence length"). For each head, with q_t, k_t, v_t from `convolved-projection.ts`,
 *
 *     β_t = b sigmoid(W_β x_t)                                      b = 1, or 2 with negative eigenvalues
 *     S_t = S_{t−1} (I − β_t k_t k_tᵀ) + β_t v_t k_tᵀ                y_t = S_t q_t
 *     output = W_o RMSNorm(y)
 *
 * Keys of length 1 are overwritten exactly by β = 1. With b = 2 the transition I − β k kᵀ has eigenvalues down to −1: β = 2
 * reflects, with which states can be tracked (Grazzi et al., 2025). x [batch, length, size].
 */

import { assertCount, deltaRule, Linear, normalInitializer } from '@fwp/core';
import { mul, sigmoid, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';
import { ConvolvedProjection } from './convolved-projection.ts';
import {
  FastWeightLayer,
  type FastWeightLayerOptions,
  type FastWeightState,
  layerSizes,
  type Passage,
  type StateShapes,
} from './fast-weight-layer.ts';
import { HeadOutput } from './head-output.ts';
import { perHead, wherePresent } from './heads.ts';

/** Options of {@link DeltaNet2024}. */
export interface DeltaNet2024Options extends FastWeightLayerOptions {
  /**
   * Number of elements that a convolution on queries, keys and values sees; 0 for none. Default 4. With a convolution,
   * padding must stand at the end of sequences, or before everything.
   */
  convolution?: number | undefined;
  /** Whether β goes up to 2 instead of 1. Default false. */
  negativeEigenvalues?: boolean | undefined;
  /** Whether the output is gated by SiLU(W_g x). Default false; true in {@link GatedDeltaNet}. */
  outputGate?: boolean | undefined;
}

/** What the delta rule gets; all `[batch, heads, length, …]`. */
export interface DeltaRuleInputs {
  readonly q: Tensor4D;
  readonly k: Tensor4D;
  readonly v: Tensor4D;
  /** β `[batch, heads, length]`; zero at padding. */
  readonly beta: Tensor3D;
}

/** The delta rule with keys of length 1. */
export class DeltaNet2024 extends FastWeightLayer {
  readonly queryKeyValue: ConvolvedProjection;
  /** x → write strengths, one for each head. */
  readonly beta: Linear;
  readonly output: HeadOutput;
  readonly #betaRange: number;

  constructor(options: DeltaNet2024Options) {
    const { convolution = 4, negativeEigenvalues = false, outputGate = false, random } = options;
    const { weightInitializer = normalInitializer(0.02) } = options;
    const sizes = layerSizes('DeltaNet2024', options);
    assertCount('DeltaNet2024: convolution', convolution, 0);
    super(sizes);
    this.#betaRange = negativeEigenvalues ? 2 : 1;
    const common = { random, weightInitializer };
    const { size, heads } = sizes;
    try {
      const projection = new ConvolvedProjection({ ...common, sizes, convolution });
      this.queryKeyValue = this.addModule('queryKeyValue', projection);
      this.beta = this.addModule('beta', new Linear({ ...common, inputSize: size, outputSize: heads, bias: false }));
      this.output = this.addModule('output', new HeadOutput({ ...common, sizes, gate: outputGate }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  protected override stateShapes(batch: number): StateShapes {
    const shapes = { fastWeights: [batch, this.heads, this.valueSize, this.headSize] };
    const { convolution } = this.queryKeyValue;
    return convolution === undefined ? shapes : { ...shapes, history: convolution.historyShape(batch) };
  }

  protected override run({ x, state, presence }: Passage): { output: Tensor3D; state: FastWeightState } {
    const { history, ...sequences } = this.queryKeyValue.forward(x, state?.history, presence);
    const beta = mul<Tensor3D>(sigmoid(perHead(this.beta.forward(x))), this.#betaRange);
    const written = this.rule({ ...sequences, beta: wherePresent(beta, presence) }, { x, state, presence });
    return {
      output: this.output.forward(written.output, x),
      state: { fastWeights: written.finalState, ...(history === undefined ? {} : { history }) },
    };
  }

  /** The update rule. */
  protected rule({ q, k, v, beta }: DeltaRuleInputs, { state }: Passage): { output: Tensor4D; finalState: Tensor4D } {
    return deltaRule(q, k, v, beta, { initialState: state?.fastWeights });
  }
}
