/**
 * Chooses the device that computes, and says which one it is.
 *
 * | device       | what it is                                                         | needs                          |
 * |--------------|--------------------------------------------------------------------|--------------------------------|
 * | `native`     | our C kernels as a Node-API add-on (AVX-512, AVX2, NEON; pthreads) | a C compiler at build time     |
 * | `wasm`       | the same kernels as WebAssembly SIMD, with threads where possible  | nothing                        |
 * | `webgpu`     | tfjs's WebGPU backend with our WGSL kernels; Dawn in Node          | a GPU, optional peer packages  |
 * | `tensorflow` | TensorFlow through the kernels of tfjs-node, on CPU or CUDA        | `fwp setup tensorflow`         |
 * | `cpu`        | tfjs's plain JavaScript backend                                    | nothing; slow                  |
 *
 * `auto` is native, then wasm, in Node and wasm in browsers. Asking for a device that is not there is an error.
 */

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import packageJson from '../../package.json' with { type: 'json' };
import { BACKEND_NAME, FwpBackend } from '../backend/backend.ts';
import { registerKernels, setNaNCheck } from '../backend/register.ts';
import { Engine } from '../engine/engine.ts';
import type { KernelModule } from '../engine/kernel-module.ts';
import { hasNativeAddon, loadNativeModule } from '../engine/native-module.ts';
import { isNode, processorCount } from '../engine/platform.ts';
import { hasSharedMemory, loadWasmModule } from '../engine/wasm-module.ts';
import { DeviceUnavailableError } from '../errors.ts';
import { registerGradients } from '../ops/gradients.ts';
import { loadWebGpu, unloadWebGpu } from '../webgpu/load.ts';
import type { LoadedDevice } from './optional-devices.ts';
import { loadTensorflow } from './tensorflow.ts';

/** Names that `init({ device })` takes. */
export const DEVICES = ['auto', 'native', 'wasm', 'webgpu', 'tensorflow', 'cpu'] as const;

/** A device name. */
export type DeviceName = (typeof DEVICES)[number];

/** Options of {@link init}. */
export interface InitOptions {
  /** Which device computes. Default `'auto'`. */
  device?: DeviceName;
  /**
   * Number of threads of the CPU engine, the calling one included, 1 to 64. Default: the number of processors, at most 16.
   * Of device `tensorflow`: how many an operation may use, which cannot change in a process. Default: the number of processors.
   */
  threads?: number;
  /** Largest size of the CPU engine's heap in bytes. Default: 4 GiB on wasm, three quarters of the memory on native. */
  heapLimit?: number;
  /**
   * On the CPU engine (`native`, `wasm`): search every result for NaN and throw at the first operation that makes one. On other
   * devices: tfjs's debug mode, which prints every operation and warns of a NaN. Slow. Default `false`.
   */
  debug?: boolean;
  /** An instruction set of the native device by name, instead of the widest one (`'avx512'`, `'avx2'`, `'baseline'`, `'neon'`). */
  simd?: string;
  /**
   * The package `@tensorflow/tfjs-backend-webgpu`, for device `webgpu` in a browser: `await import('@tensorflow/tfjs-backend-webgpu')`. It
   * is optional, so that a bundler puts it into a program only if the program names it. Default: imported when it is needed.
   */
  webgpu?: object;
}

/** What computes at the moment. */
export interface DeviceInfo {
  /** The device. */
  readonly name: Exclude<DeviceName, 'auto'>;
  /** The tfjs backend behind it (`tf.getBackend()`). */
  readonly backend: string;
  /** Number of threads, the calling one included; 1 where it is not known. */
  readonly threads: number;
  /** The instruction set or GPU adapter, or `''` where it is not known. */
  readonly simd: string;
  /** Version of this package's engine, or of the package behind the device. */
  readonly version: string;
  /** Things worth knowing, for example why there is only one thread. */
  readonly notes: readonly string[];
}

const MAX_THREADS = 64;
const DEFAULT_MAX_THREADS = 16;
const SMALLEST_HEAP = 16 * 1024 * 1024;

let current: DeviceInfo | undefined;
let currentBackend: FwpBackend | undefined;
/** The last change of the device that was asked for. */
let lastChange: Promise<unknown> = Promise.resolve();

/** One change of the device after the other: there is one engine, and one backend of tfjs. */
function inTurn<T>(change: () => Promise<T>): Promise<T> {
  const turn = lastChange.then(change);
  lastChange = turn.catch(() => {});
  return turn;
}

/**
 * Makes a device ready and makes it tfjs's current backend. Calling it again switches the device; tensors of the
 * CPU engine that is left are gone then. Calls at the same time take their turns.
 *
 * @throws DeviceUnavailableError if the device is not there; the message says what is missing and how to get it
 * @throws RangeError for an unknown device name or a bad number
 */
export async function init(options: InitOptions = {}): Promise<DeviceInfo> {
  const { device = 'auto', debug = false } = options;
  validate(options);
  registerGradients();
  return inTurn(async () => {
    switch (device) {
      case 'webgpu':
      case 'tensorflow':
      case 'cpu': {
        const info = await useOtherBackend(device, options);
        if (debug) tf.enableDebugMode();
        return info;
      }
      default:
        return useEngine(device, options, debug);
    }
  });
}

/**
 * The device that computes at the moment.
 *
 * @throws Error before the first {@link init}
 */
export function device(): DeviceInfo {
  if (current === undefined) throw new Error("No device yet: call 'await init()' from @fwp/core first.");
  return current;
}

/** The CPU engine's backend, or undefined on other devices. */
export function engineBackend(): FwpBackend | undefined {
  return currentBackend;
}

/** Ends the CPU engine's threads, or the GPU device, and frees its memory. Tensors on it are gone; `init()` starts anew. */
export function dispose(): Promise<void> {
  return inTurn(async () => endDevice());
}

function endDevice(): void {
  setNaNCheck(false);
  tf.env().set('DEBUG', false);
  if (currentBackend !== undefined) tf.removeBackend(BACKEND_NAME);
  if (current?.name === 'webgpu') unloadWebGpu();
  currentBackend = undefined;
  current = undefined;
}

async function useEngine(
  wanted: 'auto' | 'native' | 'wasm',
  options: InitOptions,
  debug: boolean,
): Promise<DeviceInfo> {
  const native = wanted === 'native' || (wanted === 'auto' && (await hasNativeAddon()));
  const notes: string[] = [];
  // The old engine goes first: the native add-on serves one engine at a time, and address space is dear.
  endDevice();
  let module: KernelModule;
  let threads = options.threads ?? Math.min(await processorCount(), DEFAULT_MAX_THREADS);
  if (native) {
    module = await loadNativeModule(options.heapLimit, options.simd);
  } else {
    if (threads > 1 && !hasSharedMemory()) {
      if (options.threads !== undefined) throw new DeviceUnavailableError(NO_SHARED_MEMORY);
      notes.push(`One thread: ${NO_SHARED_MEMORY}`);
      threads = 1;
    }
    module = await loadWasmModule(threads > 1, options.heapLimit);
  }
  const backend = new FwpBackend(await Engine.start(module, threads));
  registerKernels();
  setNaNCheck(debug);
  tf.registerBackend(BACKEND_NAME, () => backend, 10);
  await tf.setBackend(BACKEND_NAME);
  currentBackend = backend;
  current = Object.freeze({
    name: module.target,
    backend: BACKEND_NAME,
    threads,
    simd: module.simd,
    version: VERSION,
    notes,
  });
  return current;
}

async function useOtherBackend(
  name: 'webgpu' | 'tensorflow' | 'cpu',
  { webgpu, threads }: InitOptions,
): Promise<DeviceInfo> {
  const { register, ...loaded }: LoadedDevice =
    name === 'webgpu'
      ? await loadWebGpu(webgpu)
      : name === 'tensorflow'
        ? await loadTensorflow(threads)
        : { backend: 'cpu', simd: '', version: tf.version_core, notes: ["tfjs's plain JavaScript backend: slow"] };
  endDevice();
  register?.();
  if (!(await tf.setBackend(loaded.backend))) {
    throw new DeviceUnavailableError(`Device '${name}': tfjs could not start its backend '${loaded.backend}'.`);
  }
  await tf.ready();
  current = Object.freeze({ name, threads: 1, ...loaded });
  return current;
}

const NO_SHARED_MEMORY =
  'SharedArrayBuffer is not available, so the WebAssembly engine cannot share memory between threads. Serve the page with ' +
  "'Cross-Origin-Opener-Policy: same-origin' and 'Cross-Origin-Embedder-Policy: require-corp', or use init({ threads: 1 }).";

/** The version of this package's engine. */
export const VERSION: string = packageJson.version;

function validate({ device = 'auto', threads, heapLimit, simd }: InitOptions): void {
  if (!DEVICES.includes(device)) {
    throw new RangeError(`Unknown device '${device}'. Choose one of ${DEVICES.map((name) => `'${name}'`).join(', ')}.`);
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= MAX_THREADS)) {
    throw new RangeError(`threads must be a whole number from 1 to ${MAX_THREADS}, but was ${threads}.`);
  }
  if (heapLimit !== undefined && !(heapLimit >= SMALLEST_HEAP && Number.isFinite(heapLimit))) {
    throw new RangeError(
      `heapLimit must be at least ${SMALLEST_HEAP} bytes (16 MiB), but was ${heapLimit}. It is a number of bytes.`,
    );
  }
  if (simd !== undefined && device !== 'native' && !(device === 'auto' && isNode())) {
    throw new RangeError(`simd chooses an instruction set of device 'native'; it means nothing for '${device}'.`);
  }
}
