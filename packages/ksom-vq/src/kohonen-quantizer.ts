/**
 * Kohonen's self-organising map as a vector quantiser (Irie, Csordás, Schmidhuber 2023). For vectors z [N, size] and codes w:
 *
 *     k_n = argmin_k ‖z_n − w_k‖²        q_n = w_{k_n}        output = z + sg(q − z)        loss = β mean (sg(q) − z)²
 *
 * and then, while training, with the neighbourhood H(t) on the grid, one-hot assignments E and a decay b
 *
 *     n = H Eᵀ 1,  s = H Eᵀ z        c ← b c + (1 − b) n, smoothed        m ← b m + (1 − b) s        w = m / c        t ← t + 1
 *
 * Without neighbourhood, H = I, this is EMA-VQ. With `learning: 'gradient'` the codes are parameters, and the loss gains
 *
 *     mean (q − sg(z))² + λ mean_n Σ_j H_{k_n j} ‖w_j − sg(w_{k_n})‖²
 *
 * so that neighbours follow the winning code. Quantisation uses the codes from before the update.
 */

import {
  assertCount,
  assertFloatShape,
  assertNumber,
  assertOneOf,
  assertTensor,
  codebookAverage,
  embedding,
  type Initializer,
  Module,
  normalInitializer,
  type RandomStream,
  SMOOTHINGS,
  type Smoothing,
  stopGradient,
  vqAssign,
  vqQuantizeSum,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { assertGridShape, gridShapeOf } from './grid.ts';
import { Neighborhood, type NeighborhoodKind } from './neighborhood.ts';
import type { Quantized, Quantizer } from './quantizer.ts';
import { perplexityOf } from './usage.ts';

/** How codes are trained. */
export const LEARNING_RULES = ['average', 'gradient'] as const;
/** One of {@link LEARNING_RULES}. */
export type LearningRule = (typeof LEARNING_RULES)[number];

/** Options of {@link KohonenQuantizer}. */
export interface KohonenQuantizerOptions {
  /** K, number of codes. Default 512. */
  codes?: number;
  /** D, size of a vector. Default 64. */
  size?: number;
  /** Axes of the grid, from 1 to 4. Default 2. */
  gridAxes?: number;
  /** Sizes of the axes, the first varying fastest. Default: as equal as possible, 512 codes on [32, 16]. */
  gridShape?: readonly number[];
  /** Default `'hard'`; `'none'` is EMA-VQ. */
  neighborhood?: NeighborhoodKind;
  /** τ: the neighbourhood shrinks with 1 + τ t. Default 0.1. */
  shrinkage?: number;
  /** s of the `'gaussian'` neighbourhood. Default 10. */
  width?: number;
  /** Whether codes follow a moving average of their vectors, or are parameters. Default `'average'`. */
  learning?: LearningRule;
  /** b. Default 0.99. */
  decay?: number;
  /** c at the beginning: 1, or 0, with which unused codes of EMA-VQ are thrown far away; not without smoothing. Default 1. */
  initialCount?: number;
  /** ε of Laplace smoothing. Default 1e-5. */
  epsilon?: number;
  /** What smoothing does. Default `'stored'`, as the authors have it; Sonnet has `'divisor'`. */
  smoothing?: Smoothing;
  /** The variant without zero updates: codes that nothing moved stay as they are, and nothing is smoothed. Default false. */
  keepUnused?: boolean;
  /** β of the commitment loss. Default 0.25. */
  commitment?: number;
  /** λ of `learning: 'gradient'`. Default 0.1. */
  neighborCost?: number;
  /** Draws the first codes. */
  random: RandomStream;
  /** Default: standard normal. */
  initializer?: Initializer;
}

/** Options of the moving averages. */
interface MovingAverage {
  readonly decay: number;
  readonly epsilon: number;
  readonly smoothing: Smoothing;
  readonly keepUnused: boolean;
}

/** A vector quantiser whose codes form a topographic map. */
export class KohonenQuantizer extends Module implements Quantizer {
  readonly codes: number;
  readonly size: number;
  readonly learning: LearningRule;
  readonly neighborhood: Neighborhood;
  /** w, `[codes, size]`; a parameter with `learning: 'gradient'`. */
  readonly codebook: tf.Variable & tf.Tensor2D;
  readonly #counts: (tf.Variable & tf.Tensor1D) | undefined;
  readonly #sums: (tf.Variable & tf.Tensor2D) | undefined;
  readonly #step: tf.Variable & tf.Tensor1D;
  readonly #average: MovingAverage;
  readonly #commitment: number;
  readonly #neighborCost: number;

  constructor(options: KohonenQuantizerOptions) {
    super();
    const { codes = 512, size = 64, gridAxes = 2, neighborhood, shrinkage, width } = options;
    const { learning = 'average', decay = 0.99, initialCount = 1, epsilon = 1e-5, keepUnused = false } = options;
    const { commitment = 0.25, neighborCost = 0.1, random, initializer = normalInitializer(1) } = options;
    const smoothing = keepUnused ? 'none' : (options.smoothing ?? 'stored');
    assertCount('KohonenQuantizer: codes', codes);
    assertCount('KohonenQuantizer: size', size);
    assertOneOf('KohonenQuantizer: learning', learning, LEARNING_RULES);
    assertNumber('KohonenQuantizer: decay', decay, 0, 1);
    assertNumber('KohonenQuantizer: initialCount', initialCount, 0);
    assertNumber('KohonenQuantizer: epsilon', epsilon, 0);
    assertNumber('KohonenQuantizer: commitment', commitment, 0);
    assertNumber('KohonenQuantizer: neighborCost', neighborCost, 0);
    assertOneOf('KohonenQuantizer: smoothing', options.smoothing ?? smoothing, SMOOTHINGS);
    if (learning === 'average') assertDivisors({ decay, initialCount, epsilon, smoothing, keepUnused });
    const { gridShape = gridShapeOf(codes, gridAxes) } = options;
    assertGridShape('KohonenQuantizer: gridShape', gridShape, codes);
    this.codes = codes;
    this.size = size;
    this.learning = learning;
    this.neighborhood = new Neighborhood({
      gridShape,
      ...(neighborhood === undefined ? {} : { kind: neighborhood }),
      ...(shrinkage === undefined ? {} : { shrinkage }),
      ...(width === undefined ? {} : { width }),
    });
    this.#average = { decay, epsilon, keepUnused, smoothing };
    this.#commitment = commitment;
    this.#neighborCost = neighborCost;
    const first = initializer([codes, size], random) as tf.Tensor2D;
    if (learning === 'gradient') {
      this.codebook = this.addParameter('codebook', first);
    } else {
      this.#sums = this.addBuffer('sums', first.clone());
      this.#counts = this.addBuffer('counts', tf.fill([codes], initialCount) as tf.Tensor1D);
      this.codebook = this.addBuffer('codebook', first);
    }
    this.#step = this.addBuffer('step', tf.tensor1d([0], 'int32'));
  }

  /** Sizes of the grid's axes. */
  get gridShape(): readonly number[] {
    return this.neighborhood.gridShape;
  }

  /**
   * t, the number of training passes so far; it decides how wide the neighbourhood is, and is part of the state. With several
   * passes for each step of the optimiser, set it to the optimiser's step.
   */
  get step(): number {
    return this.#step.dataSync()[0] as number;
  }

  set step(step: number) {
    assertCount('KohonenQuantizer: step', step, 0);
    tf.tidy(() => this.#step.assign(tf.tensor1d([step], 'int32')));
  }

  /**
   * Quantises, and moves the codes if the module is training.
   *
   * @param vectors float32 `[..., size]`, at least one
   */
  forward<T extends tf.Tensor>(vectors: T): Quantized<T> {
    assertFloatShape('KohonenQuantizer: vectors', vectors, ['...', this.size]);
    if (vectors.size === 0)
      throw new RangeError('KohonenQuantizer: vectors has no elements; expected at least one vector.');
    return tf.tidy((): Quantized<T> => {
      const { output, indices, error, sums, counts } = vqQuantizeSum(vectors, this.codebook);
      const perplexity = perplexityOf(counts);
      const commitment = tf.mul(this.#commitment, error) as tf.Scalar;
      if (this.learning === 'average') {
        if (this.training) this.#move(counts, sums);
        return { output, indices, perplexity, loss: commitment };
      }
      const step = this.step;
      const constant = tf.reshape(stopGradient(vectors), [-1, this.size]) as tf.Tensor2D;
      const flat = tf.reshape(indices, [-1]) as tf.Tensor1D;
      const follow = tf.mean(tf.squaredDifference(embedding(this.codebook, flat), constant));
      const neighbors = this.#neighborLoss(counts, flat.size, step);
      if (this.training) this.step = step + 1;
      return { output, indices, perplexity, loss: tf.addN([commitment, follow, neighbors]) as tf.Scalar };
    });
  }

  /**
   * @param vectors float32 `[..., size]`
   * @returns int32 `[...]`
   */
  encode(vectors: tf.Tensor): tf.Tensor {
    assertFloatShape('KohonenQuantizer: vectors', vectors, ['...', this.size]);
    return vqAssign(vectors, this.codebook);
  }

  /**
   * @param indices int32 `[...]`, from 0 to codes − 1
   * @returns float32 `[..., size]`
   */
  decode(indices: tf.Tensor): tf.Tensor {
    assertTensor('KohonenQuantizer: indices', indices, 'int32');
    return embedding(this.codebook, indices);
  }

  /** The step of the moving average. */
  #move(counts: tf.Tensor1D, sums: tf.Tensor2D): void {
    const step = this.step;
    const state = {
      counts: this.#counts as tf.Tensor1D,
      sums: this.#sums as tf.Tensor2D,
      codebook: this.codebook as tf.Tensor2D,
    };
    const [spreadCounts, spreadSums] = [this.neighborhood.apply(counts, step), this.neighborhood.apply(sums, step)];
    const next = codebookAverage(state, spreadCounts, spreadSums, this.#average);
    this.#counts?.assign(next.counts);
    this.#sums?.assign(next.sums);
    this.codebook.assign(next.codebook);
    this.step = step + 1;
  }

  /**
   * λ / N Σ_k n_k Σ_j H_kj ‖w_j − v_k‖² with v = sg(w), multiplied out so that H acts on n and on n v only.
   */
  #neighborLoss(counts: tf.Tensor1D, vectors: number, step: number): tf.Scalar {
    const constant = stopGradient(this.codebook) as tf.Tensor2D;
    const squares = (w: tf.Tensor2D) => tf.sum(tf.square(w), 1) as tf.Tensor1D;
    const spread = <T extends tf.Tensor>(x: T): T => this.neighborhood.apply(x, step);
    const ofNeighbors = tf.sum(tf.mul(spread(counts), squares(this.codebook)));
    const mixed = tf.sum(tf.mul(this.codebook, spread(tf.mul(constant, tf.expandDims(counts, 1)) as tf.Tensor2D)));
    const ofWinners = tf.sum(tf.mul(tf.mul(counts, spread(tf.onesLike(counts))), squares(constant)));
    const total = tf.add(tf.sub(ofNeighbors, tf.mul(2, mixed)), ofWinners);
    return tf.mul(this.#neighborCost / vectors, total) as tf.Scalar;
  }
}

/** Makes sure that no code is divided by a count of 0 in the first step, after which codes would not be numbers. */
function assertDivisors(options: MovingAverage & { readonly initialCount: number }): void {
  const { decay, initialCount, epsilon, smoothing, keepUnused } = options;
  const given = `decay is ${decay}, initialCount ${initialCount}, epsilon ${epsilon}, smoothing '${smoothing}'`;
  if (decay === 1 && initialCount === 0) {
    throw new RangeError(
      `KohonenQuantizer: ${given}: counts would stay 0, and codes are divided by them. Give a decay below 1, or an ` +
        'initialCount above 0.',
    );
  }
  const isSmoothed = smoothing !== 'none' && epsilon > 0;
  // After the first step an unused code has the count decay · initialCount.
  if (!keepUnused && !isSmoothed && decay * initialCount === 0) {
    throw new RangeError(
      `KohonenQuantizer: ${given}: counts of unused codes would be 0, and codes are divided by them. Give an epsilon ` +
        "above 0 with smoothing 'stored' or 'divisor', a decay and an initialCount above 0, or keepUnused: true.",
    );
  }
}
