import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

// Read again for every test: with the packages below in place of those that are installed, and without a GPU of before.
type Loader = typeof import('../../src/webgpu/load.ts');
let loadWebGpu: Loader['loadWebGpu'];
let DeviceUnavailableError: typeof import('../../src/errors.ts').DeviceUnavailableError;

/** Packages that are not installed, by name. */
const missing = vi.hoisted(() => new Set<string>());

/** Options that Dawn was given, for each of its GPU objects. */
const given = vi.hoisted((): string[][] => []);

vi.mock('../../src/device/optional-devices.ts', () => ({
  importOptional: async (name: string) =>
    missing.has(name) ? { problem: 'is not installed' } : { module: { globals: {}, create } },
}));

function create(options: string[]): object {
  given.push(options);
  return { requestAdapter: async () => null };
}

beforeEach(async () => {
  vi.resetModules();
  ({ loadWebGpu } = await import('../../src/webgpu/load.ts'));
  ({ DeviceUnavailableError } = await import('../../src/errors.ts'));
});

afterEach(() => {
  missing.clear();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
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

  it('may be told to Dawn: which adapter, by which interface', async () => {
    for (const [options, expected] of [
      ['', []],
      ['adapter=NVIDIA H200;backend=vulkan', ['adapter=NVIDIA H200', 'backend=vulkan']],
    ] as const) {
      vi.stubEnv('FWP_DAWN', options);
      vi.resetModules();
      ({ loadWebGpu } = await import('../../src/webgpu/load.ts'));
      await expect(loadWebGpu()).rejects.toThrow(/no GPU adapter/);
      expect(given.at(-1)).toEqual(expected);
    }
  });

  it('can be given, and a browser’s GPU is taken where there is one', async () => {
    const requestAdapter = vi.fn(async () => null);
    vi.stubGlobal('navigator', { gpu: { requestAdapter } });
    await expect(loadWebGpu({})).rejects.toThrow(/no GPU adapter/);
    expect(requestAdapter).toHaveBeenCalledTimes(1);
  });
});
