/**
 * Devices for `describe.each`: WebAssembly and tfjs's own always, native where it was built, TensorFlow and WebGPU where they are
 * asked for.
 */

/** Options for `init()` and a name for the test report. */
export interface TestDevice {
  readonly name: string;
  readonly options: { readonly device: 'wasm' | 'cpu' | 'native' | 'tensorflow' | 'webgpu'; readonly threads?: number };
}

/** What is needed of `@fwp/core`, whose own tests use this package as well. */
interface Core {
  init(options: { device: 'native' | 'tensorflow' | 'webgpu' }): Promise<unknown>;
  dispose(): Promise<void>;
  readonly DeviceUnavailableError: new (...given: never[]) => Error;
}

export const wasm: TestDevice = { name: 'wasm', options: { device: 'wasm', threads: 2 } };

/**
 * All that are there; the absence of native and of a GPU is said. Those that take long are asked for: TensorFlow with
 * `FWP_TENSORFLOW=all`, WebGPU with `FWP_WEBGPU=all` (Chromium's GPU in software) or `gpu` (the machine's).
 */
export async function availableDevices({ init, dispose, DeviceUnavailableError }: Core): Promise<TestDevice[]> {
  const devices: TestDevice[] = [wasm, { name: 'cpu', options: { device: 'cpu' } }];
  const wanted = ['gpu', 'all'].includes(process.env['FWP_WEBGPU'] ?? '')
    ? (['native', 'webgpu'] as const)
    : ['native' as const];
  for (const device of wanted) {
    try {
      await init({ device });
      await dispose();
      devices.push({ name: device, options: { device, ...(device === 'native' ? { threads: 2 } : {}) } });
    } catch (error) {
      if (!(error instanceof DeviceUnavailableError)) throw error;
      console.warn(`skipped on device '${device}': ${error.message}`);
    }
  }
  if (process.env['FWP_TENSORFLOW'] === 'all') {
    await init({ device: 'tensorflow' });
    await dispose();
    devices.push({ name: 'tensorflow', options: { device: 'tensorflow' } });
  }
  return devices;
}
