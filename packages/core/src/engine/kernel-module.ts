/** What the WebAssembly and the native build of the kernels have in common; nothing above `engine/` knows which one runs. */

/** A compiled set of C kernels with the linear memory that they work on. */
export interface KernelModule {
  /** Which target this is. */
  readonly target: 'wasm' | 'native';
  /** The instruction set in use, for example `'avx512'` or `'simd128'`. */
  readonly simd: string;
  /** Kernel names; a kernel's position is the number that {@link KernelModule.run} takes. */
  readonly names: readonly string[];
  /** Number of arguments of each kernel. */
  readonly arities: readonly number[];
  /** First byte that the allocator may hand out. */
  readonly heapBase: number;
  /** Largest size of the memory in bytes. */
  readonly limitBytes: number;
  /** The linear memory as it is now; may be another object after {@link KernelModule.grow}. */
  buffer(): ArrayBufferLike;
  /** Makes at least `bytes` bytes addressable. Returns the bytes that are now, less than asked if refused. */
  grow(bytes: number): number;
  /**
   * Starts the thread pool.
   *
   * @param threads number of threads, the calling one included
   * @param memory offsets of the scratch memory, the argument block and one stack per worker
   */
  start(threads: number, memory: PoolMemory): Promise<void>;
  /** Runs kernel number `kernel` on the arguments in the argument block; returns its status. */
  run(kernel: number): number;
  /** Ends the threads and lets go of the memory. */
  close(): void;
}

/** Heap blocks that the thread pool works with, as byte offsets. */
export interface PoolMemory {
  /** `threads ×` {@link SCRATCH_BYTES} bytes. */
  readonly scratch: number;
  /** {@link MAX_ARGUMENTS} float64 values. */
  readonly argumentBlock: number;
  /** `(threads − 1) ×` {@link STACK_BYTES} bytes; used by WebAssembly workers only. */
  readonly stacks: number;
}

/** Scratch memory of one thread; equals `FWP_SCRATCH_BYTES` of `csrc/fwp.h`. */
export const SCRATCH_BYTES: number = 1 << 20;
/** Stack of one WebAssembly worker. */
export const STACK_BYTES: number = 1 << 18;
/** Upper limit of a kernel's number of arguments. */
export const MAX_ARGUMENTS = 64;
