import { describe, expect, it } from 'vitest';
import { DeviceUnavailableError } from '../../src/index.ts';
import { requestGpu } from '../../src/webgpu/adapter.ts';

const LIMITS = {
  maxBufferSize: 2 ** 30,
  maxStorageBufferBindingSize: 2 ** 30,
  maxStorageBuffersPerShaderStage: 10,
  maxComputeWorkgroupStorageSize: 32768,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
  maxComputeWorkgroupSizeY: 1024,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
};

interface Fake {
  readonly limits?: Partial<typeof LIMITS>;
  readonly features?: string[];
  readonly refuse?: string;
  readonly info?: object;
}

/** A GPU that answers as told, and the descriptors of devices that it was asked for. */
function fakeGpu({ limits = {}, features = [], refuse, info = { vendor: 'acme', architecture: 'one' } }: Fake = {}) {
  const asked: GPUDeviceDescriptor[] = [];
  const adapter = {
    limits: { ...LIMITS, ...limits },
    features: new Set(features),
    info,
    requestDevice: async (descriptor: GPUDeviceDescriptor) => {
      asked.push(descriptor);
      if (refuse !== undefined) throw new Error(refuse);
      return { label: 'device' };
    },
  };
  return { gpu: { requestAdapter: async () => adapter } as unknown as GPU, asked };
}

const directly = <R>(task: () => R): R => task();

describe('the GPU that is asked for', () => {
  it('has the features that there are, and all of its limits', async () => {
    const { gpu, asked } = fakeGpu({ features: ['shader-f16', 'depth-clip-control', 'subgroups'] });
    const found = await requestGpu(gpu, directly);
    expect(found).toMatchObject({ description: 'acme one', features: ['subgroups', 'shader-f16'] });
    expect(asked).toEqual([{ requiredFeatures: ['subgroups', 'shader-f16'], requiredLimits: LIMITS }]);
  });

  it('may be one that says nothing of itself', async () => {
    const { gpu } = fakeGpu({ info: {} });
    expect((await requestGpu(gpu, directly)).description).toBe('unnamed GPU');
  });

  it('is an error that says what to do where there is none', async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    await expect(requestGpu(gpu, directly)).rejects.toThrow(DeviceUnavailableError);
    await expect(requestGpu(gpu, directly)).rejects.toThrow(/no GPU adapter .* Vulkan .* 'native' or 'wasm'/);
  });

  it('is an error that names the limit that is too low', async () => {
    const { gpu } = fakeGpu({ limits: { maxStorageBuffersPerShaderStage: 4 } });
    await expect(requestGpu(gpu, directly)).rejects.toThrow(
      /\(acme one\) has a maxStorageBuffersPerShaderStage of 4, but 8 is needed/,
    );
  });

  it('is an error that says why the adapter gave no device', async () => {
    const { gpu } = fakeGpu({ refuse: 'out of devices' });
    await expect(requestGpu(gpu, directly)).rejects.toThrow(/\(acme one\) did not give a device: out of devices/);
  });
});
