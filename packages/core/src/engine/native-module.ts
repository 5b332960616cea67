/** The kernels as a Node-API add-on: AVX-512, AVX2 or NEON, pthreads, and a heap reserved in one piece. */

import { DeviceUnavailableError } from '../errors.ts';
import { nativeAddonPath } from '../kernel-urls.ts';
import type { KernelModule, PoolMemory } from './kernel-module.ts';
import { isNode } from './platform.ts';

/** What `csrc/native/binding.c` exports. */
interface NativeAddon {
  open(heapBytes: number, variant?: string): OpenedEngine;
  start(threads: number, scratch: number, argumentBlock: number): void;
  run(kernel: number): number;
  close(): void;
}

interface OpenedEngine {
  readonly buffer: ArrayBuffer;
  readonly variant: string;
  readonly names: string[];
  readonly arities: number[];
}

/** Node 20 refuses external memory of more than 4 GiB; later versions allow more. */
const LARGEST_HEAPS = [2 ** 40, 2 ** 32];

/** Whether the add-on was built. */
export async function hasNativeAddon(): Promise<boolean> {
  if (!isNode()) return false;
  const { existsSync } = await import('node:fs');
  return existsSync(nativeAddonPath());
}

/**
 * Loads the native kernels.
 *
 * @param heapLimit largest size of the heap in bytes; default: three quarters of the machine's memory
 * @param variant an instruction set by name instead of the widest one (`'avx512'`, `'avx2'`, `'baseline'`, `'neon'`)
 * @throws DeviceUnavailableError if the add-on is missing or cannot be loaded
 */
export async function loadNativeModule(heapLimit?: number, variant?: string): Promise<KernelModule> {
  if (!isNode()) throw new DeviceUnavailableError("Device 'native' needs Node.js; in browsers use 'wasm'.");
  if (!(await hasNativeAddon())) {
    throw new DeviceUnavailableError(
      "Device 'native' was not built on this machine: kernels.node is missing. Install a C compiler (cc, gcc or clang) and " +
        "run 'npx fwp-build-native' (in a checkout: 'npm run build'), or use device 'wasm', which needs nothing.",
    );
  }
  const { createRequire } = await import('node:module');
  const { totalmem } = await import('node:os');
  let reason = '';
  for (const largest of LARGEST_HEAPS) {
    const limitBytes = Math.min(heapLimit ?? Math.floor((totalmem() * 3) / 4), largest);
    try {
      const addon = createRequire(import.meta.url)(nativeAddonPath()) as NativeAddon;
      const opened = addon.open(Math.ceil(limitBytes / 65536) * 65536, variant ?? '');
      return new NativeModule(addon, opened, limitBytes);
    } catch (error) {
      reason = (error as Error).message;
      if (heapLimit !== undefined && heapLimit <= Math.min(...LARGEST_HEAPS)) break;
    }
  }
  throw new DeviceUnavailableError(
    `Device 'native' cannot be used: ${reason}. Rebuild it with 'npx fwp-build-native --force', or use device 'wasm'.`,
  );
}

class NativeModule implements KernelModule {
  readonly target = 'native';
  readonly simd: string;
  readonly names: readonly string[];
  readonly arities: readonly number[];
  /** Offset 0 means "no tensor", so the heap starts behind it. */
  readonly heapBase = 64;
  readonly limitBytes: number;
  readonly #addon: NativeAddon;
  readonly #buffer: ArrayBuffer;

  constructor(addon: NativeAddon, opened: OpenedEngine, limitBytes: number) {
    this.#addon = addon;
    this.#buffer = opened.buffer;
    this.simd = opened.variant;
    this.names = opened.names;
    this.arities = opened.arities;
    this.limitBytes = limitBytes;
  }

  buffer(): ArrayBufferLike {
    return this.#buffer;
  }

  /** All address space is reserved from the start; the system provides memory when a page is first touched. */
  grow(bytes: number): number {
    return Math.min(Math.max(bytes, 65536), this.limitBytes);
  }

  async start(threads: number, memory: PoolMemory): Promise<void> {
    this.#addon.start(threads, memory.scratch, memory.argumentBlock);
  }

  run(kernel: number): number {
    return this.#addon.run(kernel);
  }

  close(): void {
    this.#addon.close();
  }
}
