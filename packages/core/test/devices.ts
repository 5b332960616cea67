/** The CPU devices that exist on this machine, for `describe.each`: native is left out, with a notice, where it was not built. */

import { hasNativeAddon } from '../src/engine/native-module.ts';
import type { InitOptions } from '../src/index.ts';

/** Options for `init()` and a name for the test report. */
export interface TestDevice {
  readonly name: string;
  readonly options: InitOptions;
}

/** tfjs's own backend, where operations of ours are composed of tfjs's. */
export const tfjsCpu: TestDevice = { name: 'tfjs-cpu', options: { device: 'cpu' } };

/** wasm always; native where the add-on was built. */
export async function availableDevices(): Promise<TestDevice[]> {
  const devices: TestDevice[] = [{ name: 'wasm', options: { device: 'wasm', threads: 2 } }];
  if (await hasNativeAddon()) devices.push({ name: 'native', options: { device: 'native', threads: 2 } });
  else console.warn("skipped on device 'native': the add-on was not built (no C compiler)");
  return devices;
}
