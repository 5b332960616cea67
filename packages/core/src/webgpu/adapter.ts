/** The adapter and device that compute: chosen here and not by tfjs, which never asks for the features that our kernels use. */

import { DeviceUnavailableError } from '../errors.ts';

/** Features that are asked for where the adapter has them. */
const FEATURES = ['subgroups', 'shader-f16', 'timestamp-query'] as const;

/** Limits that are raised to what the adapter has, with the least that our kernels and tfjs's need. */
const LIMITS = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
} as const;

/** A GPU that is ready. */
export interface GpuDevice {
  readonly device: GPUDevice;
  readonly info: GPUAdapterInfo;
  /** The adapter in words, for `device()`. */
  readonly description: string;
  /** Of {@link FEATURES} those that it has. */
  readonly features: readonly string[];
}

/** Fields that types of this age lack. */
interface AdapterDetails {
  readonly info?: GPUAdapterInfo;
  readonly isFallbackAdapter?: boolean;
}

/**
 * Asks for the fastest adapter, and for a device with everything useful that it offers.
 *
 * @param gpu `navigator.gpu`, or Dawn's
 * @param start calls what starts a task of the GPU
 * @throws DeviceUnavailableError if there is no adapter, or one without a needed limit
 */
export async function requestGpu(gpu: GPU, start: <R>(task: () => R) => R): Promise<GpuDevice> {
  const adapter = await start(() => gpu.requestAdapter({ powerPreference: 'high-performance' }));
  if (adapter === null) {
    throw new DeviceUnavailableError(
      "Device 'webgpu': there is no GPU adapter on this machine. Install the driver of its graphics card (on Linux, one with " +
        "Vulkan, and the Vulkan loader libvulkan.so.1), or use device 'native' or 'wasm'.",
    );
  }
  const info = (adapter as AdapterDetails).info ?? (await adapter.requestAdapterInfo());
  const description = describe(info);
  const requiredLimits = limitsOf(adapter, description);
  const features = FEATURES.filter((feature) => adapter.features.has(feature));
  try {
    const requiredFeatures = features as readonly string[] as GPUFeatureName[];
    const device = await start(() => adapter.requestDevice({ requiredFeatures, requiredLimits }));
    return { device, info, description, features };
  } catch (error) {
    throw new DeviceUnavailableError(
      `Device 'webgpu': the adapter (${description}) did not give a device: ${(error as Error).message}. Close other programs that ` +
        "use the GPU, update its driver, or use device 'native' or 'wasm'.",
      { cause: error },
    );
  }
}

function limitsOf(adapter: GPUAdapter, description: string): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const [name, least] of Object.entries(LIMITS)) {
    const offered = adapter.limits[name as keyof typeof LIMITS];
    if (!(offered >= least)) {
      throw new DeviceUnavailableError(
        `Device 'webgpu': the adapter (${description}) has a ${name} of ${offered}, but ${least} is needed. ` +
          "Use another adapter, or device 'native' or 'wasm'.",
      );
    }
    limits[name] = offered;
  }
  return limits;
}

/** What an adapter says of itself; browsers may say nothing. */
function describe(info: GPUAdapterInfo): string {
  const words = [info.vendor, info.architecture, info.device, info.description].filter((word) => word);
  return [...new Set(words)].join(' ') || 'unnamed GPU';
}
