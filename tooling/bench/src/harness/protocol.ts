/**
 * What the benchmark and its peers say to each other: one JSON object per line, requests on the peer's standard
 * input, replies on its standard output. A peer computes only between a request and its reply, and sleeps otherwise.
 */

/** Sizes and choices of a program; the same for every peer. */
export type Parameters = Readonly<Record<string, number | string | boolean | readonly number[]>>;

/** Who a peer is, from its first line. */
export interface Identity {
  /** Version of the library that computes. */
  readonly version: string;
  /** Threads that it really uses. */
  readonly threads: number;
  /** Instruction set or build, where known. */
  readonly detail: string;
}

/** A few numbers by which results of different peers are compared. */
export interface Digest {
  /** Elements at fixed places, or the losses of the first steps. */
  readonly values: readonly number[];
  /** Root mean square of the whole result: what an error is measured against. */
  readonly scale: number;
}

/** Sets a program up, runs it once for its digest, and warms it up. */
export interface PrepareRequest {
  readonly command: 'prepare';
  readonly program: string;
  readonly parameters: Parameters;
  /** Another program, timed in every slice before and after the first one; ignored by peers that lack it. */
  readonly yardstick?: { readonly program: string; readonly parameters: Parameters };
  /** How long to warm up, in milliseconds; a single call that takes longer is enough. */
  readonly warmUp: number;
}

/** Times calls of the prepared program for about `milliseconds`. */
export interface MeasureRequest {
  readonly command: 'measure';
  readonly milliseconds: number;
}

/** Trains a small model for `steps` steps and samples memory every `every` steps. */
export interface MemoryRequest {
  readonly command: 'memory';
  readonly steps: number;
  readonly every: number;
}

/** Runs the prepared program `calls` times and tells where the time goes. */
export interface ProfileRequest {
  readonly command: 'profile';
  readonly calls: number;
}

/** Frees the prepared program, or ends the peer. */
export interface PlainRequest {
  readonly command: 'release' | 'quit';
}

export type Request = PrepareRequest | MeasureRequest | MemoryRequest | ProfileRequest | PlainRequest;

/** The program is ready. */
export interface Prepared {
  readonly digest: Digest;
  /** Milliseconds of one call after warming up. */
  readonly call: number;
}

/** Milliseconds per call, one entry per sample. */
export interface Measured {
  readonly samples: readonly number[];
  /** The same of the yardstick, if there is one. */
  readonly yardstick?: readonly number[];
}

/** Where the time of one call goes. */
export interface CallProfile {
  /** Milliseconds of one call, everything included. */
  readonly milliseconds: number;
  /** By kernel, the most expensive first; calls and milliseconds per call of the program. */
  readonly kernels: readonly { readonly name: string; readonly calls: number; readonly milliseconds: number }[];
}

/** One entry per sample: process memory, live bytes of the heap, live tensors. */
export interface MemorySamples {
  readonly residentBytes: readonly number[];
  readonly liveBytes: readonly number[];
  readonly tensors: readonly number[];
  readonly milliseconds: number;
}

/** A reply: the result, or why there is none. `unsupported` means that the peer lacks something, not that it is broken. */
export type Reply = { readonly id: number } & (
  | { readonly result: unknown }
  | { readonly error: string; readonly unsupported?: boolean }
);
