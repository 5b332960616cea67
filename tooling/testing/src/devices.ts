/** Devices for `describe.each`: WebAssembly and tfjs's own always, native where it was built, TensorFlow where it's asked for. */

/** Options for `init()` and a name for the test report. */
export interface TestDevice {
  readonly name: string;
  readonly options: { readonly device: 'wasm' | 'cpu' | 'native' | 'tensorflow'; readonly threads?: number };
}

/** What is needed of `@fwp/core`, whose own tests use this package as well. */
interface Core {
  init(options: { device: 'native' | 'tensorflow' }): Promise<unknown>;
  dispose(): Promise<void>;
  readonly DeviceUnavailableError: new (...given: never[]) => Error;
}

export const wasm: TestDevice = { name: 'wasm', options: { device: 'wasm', threads: 2 } };

/** All that are there; the absence of native is said. TensorFlow, which takes long, with `FWP_TENSORFLOW=all` only. */
export async function availableDevices({ init, dispose, DeviceUnavailableError }: Core): Promise<TestDevice[]> {
  const devices: TestDevice[] = [wasm, { name: 'cpu', options: { device: 'cpu' } }];
  try {
    await init({ device: 'native' });
    await dispose();
    devices.push({ name: 'native', options: { device: 'native', threads: 2 } });
  } catch (error) {
    if (!(error instanceof DeviceUnavailableError)) throw error;
    console.warn(`skipped on device 'native': ${error.message}`);
  }
  if (process.env['FWP_TENSORFLOW'] === 'all') {
    await init({ device: 'tensorflow' });
    await dispose();
    devices.push({ name: 'tensorflow', options: { device: 'tensorflow' } });
  }
  return devices;
}
