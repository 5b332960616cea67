import { afterEach, describe, expect, it, vi } from 'vitest';
import { DeviceUnavailableError } from '../../src/index.ts';
import { createDawn, importTfjsBackend, loadWebGpu } from '../../src/webgpu/load.ts';

const absent = async () => ({ problem: 'is not installed' });

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

describe('what device webgpu needs', () => {
  it('is said when Dawn is not installed', async () => {
    await expect(createDawn(absent)).rejects.toThrow(DeviceUnavailableError);
    await expect(createDawn(absent)).rejects.toThrow(
      /'webgpu', which is not installed.*'npm install webgpu @tensorflow\/tfjs/,
    );
  });

  it("is said when tfjs's backend is not installed", async () => {
    await expect(importTfjsBackend(absent)).rejects.toThrow(DeviceUnavailableError);
    await expect(importTfjsBackend(absent)).rejects.toThrow(/'npm install @tensorflow\/tfjs-backend-webgpu@4\.22\.0'/);
  });

  it('may be told to Dawn: which adapter, by which interface', async () => {
    const create = vi.fn((options: string[]) => ({ options }));
    for (const [options, expected] of [
      ['', []],
      ['adapter=NVIDIA H200;backend=vulkan', ['adapter=NVIDIA H200', 'backend=vulkan']],
    ] as const) {
      vi.stubEnv('FWP_DAWN', options);
      const gpu = await createDawn(async () => ({ module: { globals: {}, create } }));
      expect(gpu).toEqual({ options: expected });
    }
  });

  it('is a GPU: where there is none, the message says so, and a browser’s is taken where there is one', async () => {
    const requestAdapter = vi.fn(async () => null);
    vi.stubGlobal('navigator', { gpu: { requestAdapter } });
    await expect(loadWebGpu({})).rejects.toThrow(/no GPU adapter/);
    expect(requestAdapter).toHaveBeenCalledTimes(1);
  });
});
