/**
 * What an actor-critic needs of environments: the interface of Gymnasium's vector environments, with typed arrays. Those of
 * `@fwp/datasets/environments` have it, and what answers later (a simulator, a thread) may return promises.
 */

/** Environments that run side by side. */
export interface VectorEnvironment {
  /** Episodes side by side: the first extent of every array. */
  readonly batchSize: number;
  /** Extents of one observation. */
  readonly observationShape: readonly number[];
  /** Actions are 0 … actionCount − 1. */
  readonly actionCount: number;
  /** Starts over; returns the first observations `[batchSize, ...observationShape]`. */
  reset(): Float32Array | Promise<Float32Array>;
  /** Acts in every environment; `actions` is `[batchSize]`. */
  step(actions: ArrayLike<number>): VectorStep | Promise<VectorStep>;
}

/** What follows from the actions, `[batchSize]` each unless stated otherwise. */
export interface VectorStep {
  /** `[batchSize, ...observationShape]`; where an episode has ended, the first observation of the next. */
  readonly observations: Float32Array;
  readonly rewards: Float32Array;
  /** 1 where an episode has ended with this step. */
  readonly ended: Uint8Array;
  /** 1 where an episode has ended and what it asks for was done. */
  readonly solved: Uint8Array;
  /** Sum of the rewards of an episode that has ended, 0 elsewhere. */
  readonly episodeReturns: Float64Array;
}
