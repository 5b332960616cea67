/**
 * Gated linear attention (Yang, Wang, Shen, Panda and Kim, 2024, section 4): the sum rule on fast weights of which each key
 * channel decays at a rate of its own. For each head,
 *
 *     [q_t, k_t, v_t] = W x_t, q_t divided by √headSize        a_t = sigmoid(W₂ W₁ x_t + b)^(1/16)
 *     S_t = S_{t−1} diag(a_t) + v_t k_tᵀ                       y_t = S_t q_t
 *     output = W_o (RMSNorm(y) ∘ SiLU(W_g x))
 *
 * x [batch, length, size]; W₁ [size, 16] and W₂ [16, heads · headSize] are of low rank. Keys are half as long as values, and
 * all heads' values as long as x.
 */

import { assertCount, assertNumber, gatedLinearAttention, Linear, normalInitializer } from '@fwp/core';
import { mul, neg, softplus, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';
import {
  FastWeightLayer,
  type FastWeightLayerOptions,
  type FastWeightState,
  layerSizes,
  type Passage,
  type StateShapes,
} from './fast-weight-layer.ts';
import { HeadOutput } from './head-output.ts';
import { splitHeads, splitParts, wherePresent } from './heads.ts';

/** Options of {@link GatedLinearAttention}. The default of `headSize` is size / heads / 2, that of `valueSize` twice headSize. */
export interface GatedLinearAttentionOptions extends FastWeightLayerOptions {
  /** Rank of the matrix that makes decays. Default 16. */
  decayRank?: number | undefined;
  /** 16 in the equation above: larger ones remember longer. Default 16. */
  decayTemperature?: number | undefined;
}

/** The sum rule with a decay for each key channel. */
export class GatedLinearAttention extends FastWeightLayer {
  readonly queryKeyValue: Linear;
  /** W₁ */
  readonly decayInput: Linear;
  /** W₂ and b */
  readonly decay: Linear;
  readonly output: HeadOutput;
  readonly #temperature: number;

  constructor(options: GatedLinearAttentionOptions) {
    const { random, decayRank = 16, decayTemperature = 16 } = options;
    const { weightInitializer = normalInitializer(0.02) } = options;
    const sizes = layerSizes('GatedLinearAttention', options, { width: options.size / 2, valuesPerKey: 2 });
    const { size, heads, headSize, valueSize } = sizes;
    assertCount('GatedLinearAttention: decayRank', decayRank);
    assertNumber('GatedLinearAttention: decayTemperature', decayTemperature, 1e-3);
    super(sizes);
    this.#temperature = decayTemperature;
    const common = { bias: false, random, weightInitializer };
    const width = heads * (2 * headSize + valueSize);
    const channels = heads * headSize;
    try {
      this.queryKeyValue = this.addModule(
        'queryKeyValue',
        new Linear({ ...common, inputSize: size, outputSize: width }),
      );
      this.decayInput = this.addModule('decayInput', new Linear({ ...common, inputSize: size, outputSize: decayRank }));
      this.decay = this.addModule(
        'decay',
        new Linear({ ...common, inputSize: decayRank, outputSize: channels, bias: true }),
      );
      this.output = this.addModule('output', new HeadOutput({ sizes, gate: true, random, weightInitializer }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  protected override stateShapes(batch: number): StateShapes {
    return { fastWeights: [batch, this.heads, this.valueSize, this.headSize] };
  }

  protected override run({ x, state, presence }: Passage): { output: Tensor3D; state: FastWeightState } {
    const parts = splitParts(splitHeads(this.queryKeyValue.forward(x), this.heads), [
      this.headSize,
      this.headSize,
      this.valueSize,
    ]);
    const [q, k, v] = parts as [Tensor4D, Tensor4D, Tensor4D];
    const gates = splitHeads(this.decay.forward(this.decayInput.forward(x)), this.heads);
    const logDecay = mul<Tensor4D>(softplus(neg(gates)), -1 / this.#temperature);
    const { output, finalState } = gatedLinearAttention(
      mul(q, 1 / Math.sqrt(this.headSize)),
      wherePresent(k, presence),
      v,
      wherePresent(logDecay, presence),
      { logDecay: true, initialState: state?.fastWeights },
    );
    return { output: this.output.forward(output, x), state: { fastWeights: finalState } };
  }
}
