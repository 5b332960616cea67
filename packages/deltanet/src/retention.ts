/**
 * Retention (Sun et al., 2023, "Retentive network", section 2): the sum rule on fast weights that decay at a constant rate,
 * slower from head to head, with rotary positions. For head h = 0 … heads − 1,
 *
 *     [q_t, k_t, v_t] = W x_t, q_t divided by √headSize        q_t, k_t turned by t (see `applyRotaryPositions`)
 *     S_t = γ_h S_{t−1} + v_t k_tᵀ                             γ_h = 1 − 2^(−5 − h)          y_t = S_t q_t
 *     output = W_o (RMSNorm(y) ∘ SiLU(W_g x))
 *
 * x [batch, length, size]. Values are twice as long as keys. Padding counts as a position: before a sequence that changes nothing,
 * but elements on both sides of padding, or of the end of a passage that has some, are further apart.
 */

import { applyRotaryPositions, assertNumber, gatedLinearAttention, Linear, normalInitializer } from '@fwp/core';
import { mul, ones, reshape, split, type Tensor3D, type Tensor4D, tensor1d, transpose } from '@tensorflow/tfjs-core';
import {
  FastWeightLayer,
  type FastWeightLayerOptions,
  type FastWeightState,
  layerSizes,
  type Passage,
  type StateShapes,
} from './fast-weight-layer.ts';
import { HeadOutput } from './head-output.ts';
import { wherePresent } from './heads.ts';

/** Options of {@link Retention}. The default of `valueSize` is twice headSize, which must be even. */
export interface RetentionOptions extends FastWeightLayerOptions {
  /** Base of the rotary angles. Default 10000. */
  rotaryBase?: number | undefined;
}

/** The sum rule with a constant decay. Padding counts as a position: it belongs before a sequence, or at its very end. */
export class Retention extends FastWeightLayer {
  readonly queryKeyValue: Linear;
  readonly output: HeadOutput;
  readonly #rotaryBase: number;

  constructor(options: RetentionOptions) {
    const { random, rotaryBase = 10_000, weightInitializer = normalInitializer(0.02) } = options;
    const sizes = layerSizes('Retention', options, { valuesPerKey: 2 });
    const { size, heads, headSize, valueSize } = sizes;
    assertNumber('Retention: rotaryBase', rotaryBase, 1);
    if (headSize % 2 !== 0)
      throw new RangeError(`Retention: rotary positions need an even headSize, but it is ${headSize}.`);
    super(sizes);
    this.#rotaryBase = rotaryBase;
    const common = { random, weightInitializer };
    const width = heads * (2 * headSize + valueSize);
    try {
      this.queryKeyValue = this.addModule(
        'queryKeyValue',
        new Linear({ ...common, inputSize: size, outputSize: width, bias: false }),
      );
      this.output = this.addModule('output', new HeadOutput({ ...common, sizes, gate: true }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  override initialState(batch: number): FastWeightState {
    return { ...super.initialState(batch), position: 0 };
  }

  protected override stateShapes(batch: number): StateShapes {
    return { fastWeights: [batch, this.heads, this.valueSize, this.headSize] };
  }

  protected override run({ x, state, presence }: Passage): { output: Tensor3D; state: FastWeightState } {
    const [batch, length] = x.shape;
    const { heads, headSize, valueSize } = this;
    const position = state?.position ?? 0;
    const projected = reshape(this.queryKeyValue.forward(x), [batch, length, heads, 2 * headSize + valueSize]);
    const [q, k, v] = split(projected, [headSize, headSize, valueSize], 3) as [Tensor4D, Tensor4D, Tensor4D];
    const turned = (y: Tensor4D) => inHeads(applyRotaryPositions(y, position, this.#rotaryBase));
    const logRates = tensor1d(Array.from({ length: heads }, (_, h) => Math.log1p(-(2 ** (-5 - h)))));
    const logDecay = mul<Tensor3D>(ones([batch, heads, length]), reshape(logRates, [heads, 1]));
    const { output, finalState } = gatedLinearAttention(
      mul(turned(q), 1 / Math.sqrt(headSize)),
      wherePresent(turned(k), presence),
      inHeads(v),
      wherePresent(logDecay, presence),
      { logDecay: true, initialState: state?.fastWeights },
    );
    return {
      output: this.output.forward(output, x),
      state: { fastWeights: finalState, position: position + length },
    };
  }
}

/** `[batch, length, heads, size]` → `[batch, heads, length, size]` */
function inHeads(x: Tensor4D): Tensor4D {
  return transpose(x, [0, 2, 1, 3]);
}
