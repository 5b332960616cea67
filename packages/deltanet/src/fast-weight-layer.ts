/**
 * What all layers with fast weights share: sizes, checks, padding and streams. A layer says in `run` how a sequence becomes
 * queries, keys, values and gates, by which rule they are written into its fast weights S, and how what was read becomes
 * the output.
 */

import {
  assertCount,
  assertFloatShape,
  assertPaddingMask,
  type Initializer,
  type MixerOptions,
  Module,
  type RandomStream,
  type SequenceMixer,
} from '@fwp/core';
import {
  cast,
  expandDims,
  squeeze,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorContainer,
  tidy,
  where,
  zeros,
  zerosLike,
} from '@tensorflow/tfjs-core';

/** Options of every layer with fast weights. */
export interface FastWeightLayerOptions {
  /** Size of an input vector. */
  size: number;
  /** Number of heads, each with fast weights of its own. */
  heads: number;
  /** Size of queries and keys of one head, before a feature map. Default size / heads. */
  headSize?: number | undefined;
  /** Size of values of one head. Default headSize. */
  valueSize?: number | undefined;
  /** Size of an output vector. Default size. */
  outputSize?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
  /** Of the projections. Default N(0, 0.02²), as in the language models of Schlag et al., 2021. */
  weightInitializer?: Initializer | undefined;
}

/** State of a layer with fast weights. Its size does not depend on how many elements there were. */
export type FastWeightState = {
  /** S, `[batch, heads, valueSize, features]` */
  fastWeights: Tensor4D;
  /** z, the sum of all keys' features, `[batch, heads, features]`; only with an attention normaliser. */
  normalizer?: Tensor3D | undefined;
  /** The last inputs of a convolution, `[batch, convolution − 1, channels]`; only with a convolution. */
  history?: Tensor3D | undefined;
  /** Number of elements so far; only with rotary positions. */
  position?: number | undefined;
};

/** Shapes of a state's tensors. */
export interface StateShapes {
  readonly fastWeights: number[];
  readonly normalizer?: number[];
  readonly history?: number[];
}

/** Shapes of any state's tensors. */
export type ShapesOf<State> = { readonly [Name in keyof State]?: number[] };

/** A pass over a piece of sequences. */
export interface Passage<State = FastWeightState> {
  /** `[batch, length, size]`; zero at padding. */
  readonly x: Tensor3D;
  /** Absent at the beginning of sequences. */
  readonly state: State | undefined;
  /** 1 for elements, 0 for padding, float32 `[batch, 1, length]`; absent without padding. */
  readonly presence: Tensor3D | undefined;
}

/** Sizes of a layer. */
export interface LayerSizes {
  readonly size: number;
  readonly heads: number;
  readonly headSize: number;
  readonly valueSize: number;
  readonly outputSize: number;
}

/** Base of the layers. `State` is an object of tensors (and of numbers, which it does not check). */
export abstract class FastWeightLayer<State extends TensorContainer = FastWeightState>
  extends Module
  implements SequenceMixer<State>
{
  readonly size: number;
  readonly heads: number;
  readonly headSize: number;
  readonly valueSize: number;
  readonly outputSize: number;

  constructor(sizes: LayerSizes) {
    super();
    this.size = sizes.size;
    this.heads = sizes.heads;
    this.headSize = sizes.headSize;
    this.valueSize = sizes.valueSize;
    this.outputSize = sizes.outputSize;
  }

  /** The layer's equations. */
  protected abstract run(passage: Passage<State>): { output: Tensor3D; state: State };

  /** Shapes of the state's tensors, which are zero at first. */
  protected abstract stateShapes(batch: number): ShapesOf<State>;

  /**
   * @param x float32 `[batch, length, size]`
   * @param options padding
   * @returns float32 `[batch, length, outputSize]`
   */
  apply(x: Tensor3D, options: MixerOptions = {}): Tensor3D {
    return tidy(() => this.forward(x, undefined, options).output);
  }

  /**
   * @param x float32 `[batch, length, size]`
   * @param state what came before; default: nothing
   * @param options padding
   * @returns float32 `[batch, length, outputSize]`, and the state behind x
   */
  forward(x: Tensor3D, state?: State, options: MixerOptions = {}): { output: Tensor3D; state: State } {
    const name = this.constructor.name;
    const sizes = assertFloatShape(`${name}: x`, x, ['batch', 'length', this.size]);
    assertPaddingMask(name, options, sizes);
    const { paddingMask } = options;
    if (state !== undefined) this.#assertState(state, sizes['batch'] as number);
    return tidy(() => this.run({ x: withoutPadding(x, paddingMask), state, presence: presenceOf(paddingMask) }));
  }

  /**
   * @param x float32 `[batch, size]`
   * @param state what came before
   * @returns float32 `[batch, outputSize]`, and the state behind x
   */
  step(x: Tensor2D, state: State): { output: Tensor2D; state: State } {
    assertFloatShape(`${this.constructor.name}: x`, x, ['batch', this.size]);
    return tidy(() => {
      const { output, state: next } = this.forward(expandDims(x, 1), state);
      return { output: squeeze(output, [1]) as Tensor2D, state: next };
    });
  }

  /** The state before the first element. */
  initialState(batch: number): State {
    assertCount(`${this.constructor.name}: batch`, batch, 0);
    return Object.fromEntries(this.#shapes(batch).map(([name, shape]) => [name, zeros(shape)])) as State;
  }

  #assertState(state: State, batch: number): void {
    for (const [name, shape] of this.#shapes(batch)) {
      assertFloatShape(`${this.constructor.name}: state.${name}`, state[name as keyof State], shape);
    }
  }

  #shapes(batch: number): [name: string, shape: number[]][] {
    return Object.entries(this.stateShapes(batch)) as [string, number[]][];
  }
}

/**
 * The sizes that options stand for, checked.
 *
 * @param name of the layer, for messages
 * @param options as given
 * @param defaults `width`: that of all heads' keys together; `valuesPerKey`: valueSize / headSize
 */
export function layerSizes(
  name: string,
  options: FastWeightLayerOptions,
  defaults: { width?: number; valuesPerKey?: number } = {},
): LayerSizes {
  const { size, heads } = options;
  assertCount(`${name}: size`, size);
  assertCount(`${name}: heads`, heads);
  const width = defaults.width ?? size;
  const { headSize = width / heads, outputSize = size } = options;
  if (options.headSize === undefined && !Number.isInteger(headSize)) {
    throw new RangeError(
      `${name}: keys of ${width} elements cannot be divided among ${heads} heads; give headSize to choose it freely.`,
    );
  }
  assertCount(`${name}: headSize`, headSize);
  const { valueSize = (defaults.valuesPerKey ?? 1) * headSize } = options;
  assertCount(`${name}: valueSize`, valueSize);
  assertCount(`${name}: outputSize`, outputSize);
  return { size, heads, headSize, valueSize, outputSize };
}

/** x with zeros at padding, so that nothing there, not even NaN, has an influence. */
function withoutPadding(x: Tensor3D, paddingMask: Tensor | undefined): Tensor3D {
  return paddingMask === undefined ? x : where(expandDims(paddingMask, 2), x, zerosLike(x));
}

function presenceOf(paddingMask: Tensor | undefined): Tensor3D | undefined {
  return paddingMask === undefined ? undefined : (expandDims(cast(paddingMask, 'float32'), 1) as Tensor3D);
}
