import { afterEach, describe, expect, it, vi } from 'vitest';
import { DeviceUnavailableError } from '../../src/index.ts';
import { loadWebGpu } from '../../src/webgpu/load.ts';

/** Packages that are not installed, by name. */
const missing = vi.hoisted(() => new Set<string>());

vi.mock('../../src/device/optional-devices.ts', () => ({
  importOptional: async (name: string) =>
    missing.has(name) ? { problem: 'is not installed' } : { module: { globals: {}, create: () => NO_GPU } },
}));

const NO_GPU = { requestAdapter: async () => null };

afterEach(() => {
  missing.clear();
  vi.unstubAllGlobals();
});

describe('what device webgpu needs', () => {
  it('is said when Dawn is not installed', async () => {
    missing.add('webgpu');
    await expect(loadWebGpu()).rejects.toThrow(DeviceUnavailableError);
    await expect(loadWebGpu()).rejects.toThrow(
      /'webgpu', which is not installed.*'npm install webgpu @tensorflow\/tfjs/,
    );
  });

  it("is said when tfjs's backend is not installed", async () => {
    missing.add('@tensorflow/tfjs-backend-webgpu');
    await expect(loadWebGpu()).rejects.toThrow(/'npm install @tensorflow\/tfjs-backend-webgpu@4\.22\.0'/);
  });

  it('is said when there is no adapter', async () => {
    await expect(loadWebGpu()).rejects.toThrow(/no GPU adapter/);
  });

  it('can be given, and a browser’s GPU is taken where there is one', async () => {
    const requestAdapter = vi.fn(async () => null);
    vi.stubGlobal('navigator', { gpu: { requestAdapter } });
    await expect(loadWebGpu({})).rejects.toThrow(/no GPU adapter/);
    expect(requestAdapter).toHaveBeenCalledTimes(1);
  });
});
