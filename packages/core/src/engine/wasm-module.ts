/** The kernels as WebAssembly: with threads on a shared memory where there is SharedArrayBuffer, else without. */

import { DeviceUnavailableError, formatBytes } from '../errors.ts';
import { singleWasmUrl, threadedWasmUrl } from '../kernel-urls.ts';
import { type KernelModule, type PoolMemory, STACK_BYTES } from './kernel-module.ts';
import { isNode } from './platform.ts';
import { startWorker, type WasmWorker } from './wasm-worker.ts';

const PAGE_BYTES = 65536;
const INITIAL_BYTES = 32 * 1024 * 1024;
const MAX_BYTES = 65536 * PAGE_BYTES;

/** Functions and globals that `csrc/kernels.c` exports. */
interface KernelExports {
  configure(threads: number, scratch: number, argumentBlock: number, mayBlock: number): void;
  run(kernel: number): number;
  kernelCount(): number;
  kernelName(kernel: number): number;
  kernelArity(kernel: number): number;
  stop(): void;
  alive(): number;
  __heap_base: WebAssembly.Global;
}

/** Whether memory can be shared between threads here. */
export function hasSharedMemory(): boolean {
  if (typeof SharedArrayBuffer === 'undefined') return false;
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated;
  return isNode() || isolated !== false;
}

/**
 * Loads the WebAssembly kernels.
 *
 * @param threaded whether to load the build for a shared memory
 * @param heapLimit largest size of the heap in bytes; at most 4 GiB
 */
export async function loadWasmModule(threaded: boolean, heapLimit: number = MAX_BYTES): Promise<KernelModule> {
  const maximum = Math.floor(Math.min(heapLimit, MAX_BYTES) / PAGE_BYTES);
  const initial = Math.min(INITIAL_BYTES / PAGE_BYTES, maximum);
  const module = await compile(threaded ? threadedWasmUrl : singleWasmUrl);
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial, maximum, shared: threaded });
  } catch (error) {
    throw new DeviceUnavailableError(
      `The system refused to reserve ${formatBytes(maximum * PAGE_BYTES)} of address space for the WebAssembly heap ` +
        `(${(error as Error).message}). Lower it with init({ heapLimit }).`,
    );
  }
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  return new WasmModule(module, memory, instance.exports as unknown as KernelExports, threaded, maximum * PAGE_BYTES);
}

class WasmModule implements KernelModule {
  readonly target = 'wasm';
  readonly simd = 'simd128';
  readonly names: readonly string[];
  readonly arities: readonly number[];
  readonly heapBase: number;
  readonly limitBytes: number;
  readonly #module: WebAssembly.Module;
  readonly #memory: WebAssembly.Memory;
  readonly #exports: KernelExports;
  readonly #threaded: boolean;
  #workers: WasmWorker[] = [];

  constructor(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    exports: KernelExports,
    threaded: boolean,
    limitBytes: number,
  ) {
    this.#module = module;
    this.#memory = memory;
    this.#exports = exports;
    this.#threaded = threaded;
    this.limitBytes = limitBytes;
    this.heapBase = exports.__heap_base.value as number;
    const count = exports.kernelCount();
    this.names = Array.from({ length: count }, (_, i) => this.#readString(exports.kernelName(i)));
    this.arities = Array.from({ length: count }, (_, i) => exports.kernelArity(i));
  }

  buffer(): ArrayBufferLike {
    return this.#memory.buffer;
  }

  grow(bytes: number): number {
    const missing = bytes - this.#memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
      } catch {
        // Refused by the system; the caller compares what there is with what it needs.
      }
    }
    return this.#memory.buffer.byteLength;
  }

  async start(threads: number, memory: PoolMemory): Promise<void> {
    if (threads > 1 && !this.#threaded) throw new Error('This WebAssembly build has no threads.');
    this.#exports.configure(threads, memory.scratch, memory.argumentBlock, mayBlock() ? 1 : 0);
    this.#workers = await Promise.all(
      Array.from({ length: threads - 1 }, (_, i) =>
        startWorker({
          module: this.#module,
          memory: this.#memory,
          stackPointer: memory.stacks + (i + 1) * STACK_BYTES,
          thread: i + 1,
        }),
      ),
    );
  }

  run(kernel: number): number {
    return this.#exports.run(kernel);
  }

  close(): void {
    this.#exports.stop();
    for (const worker of this.#workers) worker.terminate();
    this.#workers = [];
  }

  #readString(offset: number): string {
    const bytes = new Uint8Array(this.#memory.buffer);
    let text = '';
    for (let i = offset; bytes[i] !== 0; i++) text += String.fromCharCode(bytes[i] as number);
    return text;
  }
}

/** Atomics.wait is forbidden on a browser's main thread and allowed everywhere else. */
function mayBlock(): boolean {
  return isNode() || typeof (globalThis as { document?: unknown }).document === 'undefined';
}

async function compile(url: URL): Promise<WebAssembly.Module> {
  let bytes: BufferSource;
  if (url.protocol === 'file:' && isNode()) {
    const { readFile } = await import('node:fs/promises');
    try {
      bytes = await readFile(url);
    } catch (error) {
      throw new DeviceUnavailableError(
        `The WebAssembly kernels were not found (${(error as Error).message}). In a checkout, build them with ` +
          `'npm run build'; an installed @fwp/core brings them in its kernels folder.`,
      );
    }
  } else {
    const response = await fetch(url);
    if (!response.ok) {
      throw new DeviceUnavailableError(
        `The WebAssembly kernels could not be fetched from ${url.href}: ${response.status} ${response.statusText}. ` +
          'Serve the file kernels/ of @fwp/core at that address.',
      );
    }
    bytes = await response.arrayBuffer();
  }
  return await WebAssembly.compile(bytes);
}
