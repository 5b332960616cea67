/** The CPU devices that exist on this machine, for `describe.each`: native is left out, with a notice, where it was not built. */

import { hasNativeAddon } from '../src/engine/native-module.ts';
import { DeviceUnavailableError, dispose, type InitOptions, init } from '../src/index.ts';

/** Options for `init()` and a name for the test report. */
export interface TestDevice {
  readonly name: string;
  readonly options: InitOptions;
}

/** tfjs's own backend, where operations of ours are composed of tfjs's. */
export const tfjsCpu: TestDevice = { name: 'tfjs-cpu', options: { device: 'cpu' } };

/**
 * The GPU, or one in software: only with FWP_WEBGPU set, because compiling its kernels takes seconds, and where there is a
 * driver (`softwareGpu` of `tooling/vitest` makes Chromium's known to Dawn). Nothing otherwise, and a notice.
 */
export async function webGpuDevices(): Promise<TestDevice[]> {
  const device: TestDevice = { name: 'webgpu', options: { device: 'webgpu' } };
  let problem = 'FWP_WEBGPU=1 asks for it';
  if ((process.env['FWP_WEBGPU'] ?? '0') !== '0') {
    try {
      await init(device.options);
      await dispose();
      return [device];
    } catch (error) {
      if (!(error instanceof DeviceUnavailableError)) throw error;
      problem = error.message;
    }
  }
  console.warn(`skipped on device 'webgpu': ${problem}`);
  return [];
}

/** wasm always; native where the add-on was built. */
export async function availableDevices(): Promise<TestDevice[]> {
  const devices: TestDevice[] = [{ name: 'wasm', options: { device: 'wasm', threads: 2 } }];
  if (await hasNativeAddon()) devices.push({ name: 'native', options: { device: 'native', threads: 2 } });
  else console.warn("skipped on device 'native': the add-on was not built (no C compiler)");
  return devices;
}
