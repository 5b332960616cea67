/** Devices for `describe.each`: wasm and tfjs's own always, native where it was built. */

import { DeviceUnavailableError, dispose, type InitOptions, init } from '@fwp/core';

/** Options for `init()` and a name for the test report. */
export interface TestDevice {
  readonly name: string;
  readonly options: InitOptions;
}

export const wasm: TestDevice = { name: 'wasm', options: { device: 'wasm', threads: 2 } };

/** All that are there. */
export async function availableDevices(): Promise<TestDevice[]> {
  const devices: TestDevice[] = [wasm, { name: 'cpu', options: { device: 'cpu' } }];
  try {
    await init({ device: 'native' });
    await dispose();
    devices.push({ name: 'native', options: { device: 'native', threads: 2 } });
  } catch (error) {
    if (!(error instanceof DeviceUnavailableError)) throw error;
    console.warn(`skipped on device 'native': ${error.message}`);
  }
  return devices;
}
