/**
 * The CPU engine: one linear memory in which every tensor lives, and a table of C kernels whose arguments are
 * only numbers. A training step is a list of (kernel, numbers); TypeScript never copies data to call a kernel.
 */

import { HeapAllocator, type HeapStatistics } from './allocator.ts';
import { type KernelModule, MAX_ARGUMENTS, SCRATCH_BYTES, STACK_BYTES } from './kernel-module.ts';

interface KernelEntry {
  readonly name: string;
  readonly index: number;
  readonly arity: number;
}

/** What one kernel cost since the profile began. */
export interface KernelProfile {
  /** Number of calls. */
  calls: number;
  /** Wall-clock time inside the kernel, call into the engine included. */
  milliseconds: number;
}

/** Memory, kernels and threads of one device. Create one through `init()`. */
export class Engine {
  readonly #module: KernelModule;
  readonly #allocator: HeapAllocator;
  readonly #kernels = new Map<string, KernelEntry>();
  #buffer: ArrayBufferLike;
  #argumentBlock: Float64Array;
  #argumentOffset = 0;
  #threads = 1;
  #closed = false;
  #profile: Map<string, KernelProfile> | undefined;

  private constructor(module: KernelModule) {
    this.#module = module;
    this.#buffer = module.buffer();
    module.names.forEach((name, index) => {
      this.#kernels.set(name, { name, index, arity: module.arities[index] as number });
    });
    const initialBytes = module.grow(0);
    this.#allocator = new HeapAllocator(module.heapBase, initialBytes, module.limitBytes, (bytes) => {
      const available = module.grow(bytes);
      this.#refreshViews();
      return available;
    });
    this.#argumentBlock = new Float64Array(0);
  }

  /**
   * Starts an engine on compiled kernels.
   *
   * @param module the kernels and their memory
   * @param threads number of threads, the calling one included
   */
  static async start(module: KernelModule, threads: number): Promise<Engine> {
    const engine = new Engine(module);
    try {
      const argumentBlock = engine.allocate(MAX_ARGUMENTS * 8);
      const scratch = engine.allocate(threads * SCRATCH_BYTES);
      const stacks = threads > 1 && module.target === 'wasm' ? engine.allocate((threads - 1) * STACK_BYTES) : 0;
      engine.#argumentOffset = argumentBlock;
      engine.#refreshViews();
      await module.start(threads, { argumentBlock, scratch, stacks });
      engine.#threads = threads;
    } catch (error) {
      module.close();
      throw error;
    }
    return engine;
  }

  /** `'native'` or `'wasm'`. */
  get target(): 'native' | 'wasm' {
    return this.#module.target;
  }

  /** The instruction set in use, for example `'avx512'` or `'simd128'`. */
  get simd(): string {
    return this.#module.simd;
  }

  /** Number of threads, the calling one included. */
  get threads(): number {
    return this.#threads;
  }

  /** Whether a kernel of that name exists. */
  has(kernel: string): boolean {
    return this.#kernels.has(kernel);
  }

  /** Reserves a block of the heap and returns its byte offset (64-byte aligned, content undefined). */
  allocate(bytes: number): number {
    if (this.#closed) throw new Error('The engine was disposed. Call init() again before creating tensors.');
    if (!(bytes >= 0)) throw new RangeError(`Cannot allocate ${bytes} bytes: a shape holds something that is no size.`);
    return this.#allocator.allocate(bytes);
  }

  /** Returns a block to the heap; `bytes` is the size that was asked for. */
  free(offset: number, bytes: number): void {
    this.#allocator.free(offset, bytes);
  }

  /**
   * Runs a C kernel.
   *
   * @param kernel its name in `csrc`
   * @param args byte offsets, sizes and scalars, in the order of the kernel's comment
   * @returns the kernel's status: 0, or a positive number that the kernel's comment explains
   */
  run(kernel: string, ...args: number[]): number {
    const entry = this.#kernels.get(kernel);
    if (entry === undefined || entry.arity !== args.length || this.#closed) throw this.#callError(kernel, args.length);
    const block = this.#argumentBlock;
    for (let i = 0; i < args.length; i++) block[i] = args[i] as number;
    return this.#profile === undefined ? this.#module.run(entry.index) : this.#runTimed(entry, this.#profile);
  }

  /** Begins to count calls and time by kernel (about 0.2 µs per call), from zero. {@link Engine.stopProfile} ends it. */
  startProfile(): void {
    this.#profile = new Map();
  }

  /** Calls and time by kernel since {@link Engine.startProfile}, most expensive first; empty without a profile. */
  profile(): ReadonlyMap<string, Readonly<KernelProfile>> {
    const rows = [...(this.#profile ?? [])];
    return new Map(rows.sort(([, a], [, b]) => b.milliseconds - a.milliseconds));
  }

  /** Ends the profile and returns it, like {@link Engine.profile}. */
  stopProfile(): ReadonlyMap<string, Readonly<KernelProfile>> {
    const profile = this.profile();
    this.#profile = undefined;
    return profile;
  }

  /** A view of the heap; valid until the next allocation. */
  float32(offset: number, length: number): Float32Array {
    return new Float32Array(this.#buffer, offset, length);
  }

  /** A view of the heap; valid until the next allocation. */
  int32(offset: number, length: number): Int32Array {
    return new Int32Array(this.#buffer, offset, length);
  }

  /** A view of the heap; valid until the next allocation. */
  uint8(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.#buffer, offset, length);
  }

  /** Bytes in use, kept and allowed. */
  statistics(): HeapStatistics {
    return this.#allocator.statistics();
  }

  /** Ends the threads and gives the memory back. Tensors of this engine are gone. */
  dispose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#argumentBlock = new Float64Array(0);
    this.#buffer = new ArrayBuffer(0);
    this.#module.close();
  }

  #runTimed(entry: KernelEntry, profile: Map<string, KernelProfile>): number {
    const begin = performance.now();
    const status = this.#module.run(entry.index);
    const milliseconds = performance.now() - begin;
    const row = profile.get(entry.name);
    if (row === undefined) {
      profile.set(entry.name, { calls: 1, milliseconds });
    } else {
      row.calls++;
      row.milliseconds += milliseconds;
    }
    return status;
  }

  #refreshViews(): void {
    this.#buffer = this.#module.buffer();
    if (this.#argumentOffset > 0) {
      this.#argumentBlock = new Float64Array(this.#buffer, this.#argumentOffset, MAX_ARGUMENTS);
    }
  }

  #callError(kernel: string, given: number): Error {
    if (this.#closed) return new Error(`The engine was disposed; kernel '${kernel}' cannot run. Call init() again.`);
    const entry = this.#kernels.get(kernel);
    if (entry === undefined) {
      return new Error(`The kernels have no '${kernel}'. Were they built from this version's sources (build:kernels)?`);
    }
    return new Error(`Kernel '${kernel}' takes ${entry.arity} arguments, but ${given} were given.`);
  }
}
