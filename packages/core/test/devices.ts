/**
 * The devices that exist on this machine, for `describe.each`. Native is left out, with a notice, where it was not built, and
 * TensorFlow where it's neither set up (`fwp setup tensorflow`) nor installed; where it's there, it has to work. With
 * `FWP_TENSORFLOW=1` it has to be there, with `FWP_TENSORFLOW=0` it's left out.
 */

import { loadTensorflow, missingTensorflow } from '../src/device/tensorflow.ts';
import { hasNativeAddon } from '../src/engine/native-module.ts';
import { DeviceUnavailableError, dispose, type InitOptions, init } from '../src/index.ts';
import { loadWebGpu } from '../src/webgpu/load.ts';

/** Options for `init()` and a name for the test report. */
export interface TestDevice {
  readonly name: string;
  readonly options: InitOptions;
}

/**
 * The GPU, or one in software: only with FWP_WEBGPU set, because compiling its kernels takes seconds, and where there is a
 * driver (`softwareGpu` of `tooling/vitest` makes Chromium's known to Dawn): there the device has to work. Nothing otherwise, and a
 * notice.
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
      if (!(error instanceof DeviceUnavailableError) || process.env['VK_ICD_FILENAMES']) throw error;
      problem = error.message;
    }
  }
  console.warn(`skipped on device 'webgpu': ${problem}`);
  return [];
}

/** The CPU engine: wasm always; native where the add-on was built. */
export async function availableDevices(): Promise<TestDevice[]> {
  const devices: TestDevice[] = [{ name: 'wasm', options: { device: 'wasm', threads: 2 } }];
  if (await hasNativeAddon()) devices.push({ name: 'native', options: { device: 'native', threads: 2 } });
  else console.warn("skipped on device 'native': the add-on was not built (no C compiler)");
  return devices;
}

/** tfjs's own backend, where operations of ours are composed of tfjs's. */
export const tfjsCpu: TestDevice = { name: 'tfjs-cpu', options: { device: 'cpu' } };

/** TensorFlow, where they're composed as well; none if it isn't there. */
export const tensorflow: readonly TestDevice[] = await findTensorflow();

/** A GPU with `FWP_WEBGPU=gpu`, or with `all` one in software: then it runs all tests of operations, too. */
const webGpu: readonly TestDevice[] = ['gpu', 'all'].includes(process.env['FWP_WEBGPU'] ?? '')
  ? await webGpuDevices()
  : [];

/** Those beside the CPU engine and tfjs's own backend. */
export const otherDevices: readonly TestDevice[] = [...tensorflow, ...webGpu];

/** All devices on which operations of ours are composed of tfjs's; on a GPU only some are. */
export const composedDevices: readonly TestDevice[] = [tfjsCpu, ...otherDevices];

/** Whether operations are composed on a device. They take longer, and tfjs finds no gradient of those that do nothing. */
export function isComposed(name: string): boolean {
  return composedDevices.some((device) => device.name === name);
}

/** Names of their backends, for `tf.setBackend()`. */
export const composedBackends: readonly string[] = ['cpu', ...otherDevices.map(({ name }) => name)];

/** Those of them and the engine's that name an index which is out of range. A GPU, which nobody waits for, cannot: it gives NaN. */
export const checkingBackends: readonly string[] = ['fwp', ...composedBackends.filter((name) => name !== 'webgpu')];

if (webGpu.length > 0) (await loadWebGpu()).register?.();

async function findTensorflow(): Promise<TestDevice[]> {
  const wanted = process.env['FWP_TENSORFLOW'];
  const missing = wanted === '0' ? 'FWP_TENSORFLOW=0' : await missingTensorflow();
  if (missing !== undefined) {
    if (wanted === '1' || wanted === 'all')
      throw new Error(`FWP_TENSORFLOW=${wanted} asks for device 'tensorflow', but ${missing}.`);
    console.warn(`skipped on device 'tensorflow': ${missing}`);
    return [];
  }
  await loadTensorflow();
  return [{ name: 'tensorflow', options: { device: 'tensorflow' } }];
}
