/**
 * Devices behind optional peer packages: WebGPU (in Node through Dawn) and TensorFlow. An absent package is an
 * error that names it.
 */

import { isNode } from '../engine/platform.ts';
import { DeviceUnavailableError } from '../errors.ts';

/** What a loaded package says about itself. */
export interface LoadedDevice {
  readonly backend: string;
  readonly simd: string;
  readonly version: string;
  readonly notes: readonly string[];
}

/** Imports an optional package, or returns why it cannot be had. */
async function importOptional(name: string): Promise<{ module?: Record<string, unknown>; problem?: string }> {
  try {
    // The name goes through a variable so that bundlers do not insist on the package.
    return { module: (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as Record<string, unknown> };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const absent = code === 'ERR_MODULE_NOT_FOUND' && message.includes(name);
    return { problem: absent ? 'is not installed' : `cannot be loaded: ${message.split('\n')[0]}` };
  }
}

/**
 * tfjs-node-gpu if it can be loaded, else tfjs-node.
 *
 * @throws DeviceUnavailableError naming both packages and what is wrong with each
 */
export async function loadTensorflow(): Promise<LoadedDevice> {
  if (!isNode())
    throw new DeviceUnavailableError("Device 'tensorflow' needs Node.js; in browsers use 'webgpu' or 'wasm'.");
  const problems: string[] = [];
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    const { module, problem } = await importOptional(name);
    if (module !== undefined) {
      const version = (module['version'] as Record<string, string> | undefined)?.['tfjs-node'] ?? 'unknown';
      return { backend: 'tensorflow', simd: name, version, notes: [] };
    }
    problems.push(`${name} ${problem}`);
  }
  throw new DeviceUnavailableError(
    `Device 'tensorflow' needs one of two optional packages: ${problems.join('; ')}. Install one with ` +
      "'npm install @tensorflow/tfjs-node-gpu' (CUDA) or 'npm install @tensorflow/tfjs-node', or use device 'native' or 'wasm'.",
  );
}

/**
 * tfjs's WebGPU backend; in Node on the `webgpu` package (Dawn).
 *
 * @throws DeviceUnavailableError naming the missing package or the absent adapter
 */
export async function loadWebGpu(): Promise<LoadedDevice> {
  const notes: string[] = [];
  if (isNode()) {
    const { module, problem } = await importOptional('webgpu');
    if (module === undefined) {
      throw new DeviceUnavailableError(
        `Device 'webgpu' in Node needs the optional package 'webgpu', which ${problem}. ` +
          "Install it with 'npm install webgpu @tensorflow/tfjs-backend-webgpu'.",
      );
    }
    Object.assign(globalThis, module['globals']);
    if (!hasGpu()) {
      const gpu = (module['create'] as (options: string[]) => unknown)([]);
      const navigator = (globalThis as { navigator?: object }).navigator ?? {};
      Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
      if (!('navigator' in globalThis)) Object.defineProperty(globalThis, 'navigator', { value: navigator });
    }
  }
  if (!hasGpu()) {
    throw new DeviceUnavailableError(
      "Device 'webgpu': this browser has no WebGPU (navigator.gpu is missing). Use a current Chrome, Edge, Firefox or Safari " +
        "on a secure page, or device 'wasm'.",
    );
  }
  const gpu = (globalThis as unknown as { navigator: { gpu: { requestAdapter(): Promise<unknown> } } }).navigator.gpu;
  if ((await gpu.requestAdapter()) === null) {
    throw new DeviceUnavailableError(
      "Device 'webgpu': there is no GPU adapter on this machine. Use device 'native' or 'wasm'.",
    );
  }
  const { module, problem } = await importOptional('@tensorflow/tfjs-backend-webgpu');
  if (module === undefined) {
    throw new DeviceUnavailableError(
      `Device 'webgpu' needs the optional package '@tensorflow/tfjs-backend-webgpu', which ${problem}. ` +
        "Install it with 'npm install @tensorflow/tfjs-backend-webgpu'.",
    );
  }
  return { backend: 'webgpu', simd: 'gpu', version: String(module['version_webgpu'] ?? 'unknown'), notes };
}

function hasGpu(): boolean {
  return (globalThis as { navigator?: { gpu?: unknown } }).navigator?.gpu !== undefined;
}
