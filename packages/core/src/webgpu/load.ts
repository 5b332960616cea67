/**
 * Device `webgpu`: tfjs's WebGPU backend on a GPU device that we ask for, with our WGSL kernels. The GPU is the browser's or,
 * in Node, that of the optional package `webgpu` (Dawn).
 */

import * as tf from '@tensorflow/tfjs-core';
import { importOptional, type LoadedDevice } from '../device/optional-devices.ts';
import { isNode } from '../engine/platform.ts';
import { DeviceUnavailableError } from '../errors.ts';
import { requestGpu } from './adapter.ts';
import { createWebGpuBackend, type TfjsWebGpuModule } from './backend.ts';
import { type DawnModule, startTask } from './dawn.ts';
import { registerGpuKernels } from './register.ts';

/** Name of tfjs's backend, for which its kernels are registered. */
const BACKEND = 'webgpu';
const TFJS_PACKAGE = '@tensorflow/tfjs-backend-webgpu';

/** Environment variable with options of Dawn, between semicolons: `adapter=…`, `backend=…`. */
const DAWN_OPTIONS = 'FWP_DAWN';

/** Dawn's GPU object; one for the process. */
let dawn: GPU | undefined;

/**
 * Starts the device.
 *
 * @param given the package `@tensorflow/tfjs-backend-webgpu`, if the caller imported it. Default: imported here
 * @throws DeviceUnavailableError naming the missing package, the absent adapter or the limit that is too low
 */
export async function loadWebGpu(given?: object): Promise<LoadedDevice> {
  const onDawn = isNode() && browserGpu() === undefined;
  if (onDawn) dawn ??= await createDawn();
  const gpu = onDawn ? dawn : browserGpu();
  if (gpu === undefined) {
    throw new DeviceUnavailableError(
      "Device 'webgpu': this browser has no WebGPU (navigator.gpu is missing). Use a current Chrome, Edge, Firefox or Safari " +
        "on a secure page, or device 'wasm'.",
    );
  }
  const module = (given ?? (await importTfjsBackend())) as TfjsWebGpuModule & Record<string, unknown>;
  const found = await requestGpu(gpu, onDawn ? startTask : (task) => task());
  registerGpuKernels();
  return {
    backend: BACKEND,
    simd: found.description,
    version: String(module['version_webgpu'] ?? tf.version_core),
    notes: found.features.length > 0 ? [`GPU features: ${found.features.join(', ')}.`] : [],
    register: () => {
      // tfjs registers a backend of its own where it finds a GPU; that one asks for no features.
      unloadWebGpu();
      tf.registerBackend(BACKEND, () => withNavigator(gpu, () => createWebGpuBackend(module, found, onDawn)), 0);
    },
  };
}

/** Ends the device and frees the GPU's memory. */
export function unloadWebGpu(): void {
  if (tf.findBackendFactory(BACKEND)) tf.removeBackend(BACKEND);
}

/**
 * Imports tfjs's backend.
 *
 * @param importPackage how optional packages are imported
 * @throws DeviceUnavailableError where it is missing
 */
export async function importTfjsBackend(importPackage: typeof importOptional = importOptional): Promise<object> {
  const { module, problem } = await importPackage(TFJS_PACKAGE);
  if (module !== undefined) return module;
  throw new DeviceUnavailableError(
    isNode()
      ? `Device 'webgpu' needs the optional package '${TFJS_PACKAGE}', which ${problem}. Install it with ` +
          `'npm install ${TFJS_PACKAGE}@${tf.version_core}'.`
      : `Device 'webgpu' needs the package '${TFJS_PACKAGE}' (npm install ${TFJS_PACKAGE}@${tf.version_core}), which bundlers leave ` +
          `out because it is optional. Give it: init({ device: 'webgpu', webgpu: await import('${TFJS_PACKAGE}') }).`,
  );
}

/**
 * Makes Dawn's GPU object, and the globals of browsers that come with it.
 *
 * @param importPackage how optional packages are imported
 * @throws DeviceUnavailableError where the package is missing
 */
export async function createDawn(importPackage: typeof importOptional = importOptional): Promise<GPU> {
  const { module, problem } = await importPackage('webgpu');
  if (module === undefined) {
    throw new DeviceUnavailableError(
      `Device 'webgpu' in Node needs the optional package 'webgpu', which ${problem}. ` +
        `Install it with 'npm install webgpu ${TFJS_PACKAGE}@${tf.version_core}'.`,
    );
  }
  const { create, globals } = module as unknown as DawnModule;
  Object.assign(globalThis, globals);
  return create((process.env[DAWN_OPTIONS] ?? '').split(';').filter((option) => option !== ''));
}

function browserGpu(): GPU | undefined {
  return (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
}

/** tfjs's backend looks for `navigator.gpu` when it is made, although it is given a device. */
function withNavigator<R>(gpu: GPU, make: () => R): R {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  if (browserGpu() !== undefined) return make();
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  try {
    return make();
  } finally {
    if (before === undefined) delete (globalThis as { navigator?: unknown }).navigator;
    else Object.defineProperty(globalThis, 'navigator', before);
  }
}
