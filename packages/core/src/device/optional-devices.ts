/** Devices behind optional peer packages: how these are imported, and TensorFlow. An absent package is an error that names it. */

import { isNode } from '../engine/platform.ts';
import { DeviceUnavailableError } from '../errors.ts';

/** What a loaded package says about itself. */
export interface LoadedDevice {
  readonly backend: string;
  readonly simd: string;
  readonly version: string;
  readonly notes: readonly string[];
  /** Registers the backend, where importing the package did not; called once the device before is gone. */
  readonly register?: () => void;
}

/** Imports an optional package, or returns why it cannot be had. */
export async function importOptional(name: string): Promise<{ module?: Record<string, unknown>; problem?: string }> {
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
