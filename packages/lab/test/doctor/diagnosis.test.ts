import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceInfo } from '@fwp/core';
import { describe, expect, it } from 'vitest';
import { type Diagnosis, diagnose, problemsOf } from '../../src/doctor/diagnosis.ts';
import { formatDiagnosis } from '../../src/doctor/format-diagnosis.ts';
import { measurePeaks } from '../../src/doctor/peaks.ts';
import { temporaryFolder } from '../temporary-folder.ts';

/** A machine where WebAssembly works, and native kernels were not built. */
const measure: typeof measurePeaks = async (device, threads) => {
  if (device === 'native') throw new Error('kernels.node is missing.');
  const info: DeviceInfo = { name: 'wasm', backend: 'fwp', threads, simd: 'simd128', version: '0', notes: [] };
  return { info, peaks: { threads, fma: 12.345 * threads, gemm: 10, copy: 20 } };
};

async function diagnosis(folder?: string): Promise<Diagnosis> {
  return diagnose({ folder: folder ?? temporaryFolder(), environment: { CC: '/no/such/compiler' }, measure });
}

describe('diagnose', () => {
  it('goes on where a device is missing, and says how to get it', async () => {
    const { devices, problems } = await diagnosis();
    expect(devices.map(({ name }) => name)).toEqual(['native', 'wasm', 'webgpu', 'tensorflow']);
    expect(devices[0]).toMatchObject({ available: false, notes: ['kernels.node is missing.'], peaks: [] });
    expect(devices[1]).toMatchObject({ available: true, simd: 'simd128' });
    expect(devices[1]?.peaks[0]).toEqual({ threads: 1, fma: 12.345, gemm: 10, copy: 20 });
    expect(problems[0]?.problem).toContain('native');
    expect(problems[0]?.advice).toContain('fwp-build-native');
  });

  it('finds the packages of the project', async () => {
    const folder = temporaryFolder();
    const installed = join(folder, 'node_modules', '@fwp', 'something');
    await mkdir(installed, { recursive: true });
    await writeFile(join(installed, 'package.json'), '{"name":"@fwp/something","version":"1.2.3"}');
    const below = join(folder, 'a', 'b');
    await mkdir(below, { recursive: true });
    expect((await diagnosis(below)).packages['@fwp/something']).toBe('1.2.3');
  });

  it('warns of a second tfjs', async () => {
    const folder = temporaryFolder();
    const copy = join(folder, 'node_modules', '@tensorflow', 'tfjs-core');
    await mkdir(copy, { recursive: true });
    await writeFile(join(copy, 'package.json'), '{"name":"@tensorflow/tfjs-core","version":"4.22.0"}');
    const { problems } = await diagnosis(folder);
    expect(problems.some(({ problem }) => problem.includes('two copies of @tensorflow/tfjs-core'))).toBe(true);
    expect((await diagnosis()).problems.some(({ problem }) => problem.includes('two copies'))).toBe(false);
  });

  it.skipIf(process.getuid?.() === 0)('notices a folder that can not be written to', async () => {
    const folder = temporaryFolder();
    await chmod(folder, 0o500);
    const { folders, problems } = await diagnosis(folder);
    await chmod(folder, 0o700);
    expect(folders[0]).toMatchObject({ purpose: 'runs', writable: false });
    expect(problems.some(({ advice }) => advice.includes('--out'))).toBe(true);
  });
});

describe('problemsOf', () => {
  it('names what is too old, too small or read-only, each with advice', async () => {
    const fine = await diagnosis();
    const native = { name: 'native' as const, available: true, notes: [], simd: 'avx2', peaks: [] };
    const good = {
      ...fine,
      node: '20.19.0',
      load: 0.5,
      processors: 2,
      memory: { total: 2 ** 34, free: 2 ** 33 },
      devices: [native],
    };
    expect(problemsOf(good)).toEqual([]);
    const problem = (changes: Partial<Diagnosis>): string =>
      problemsOf({ ...good, ...changes })
        .map((each) => `${each.problem} ${each.advice}`)
        .join('\n');
    expect(problem({ node: '18.20.1' })).toContain('18.20.1');
    expect(problem({ node: '20.18.3' })).toContain('20.18.3');
    expect(problem({ node: '22.0.0' })).toBe('');
    expect(problem({ memory: { total: 2 ** 34, free: 2 ** 29 } })).toContain('memory');
    expect(problem({ load: 1.5 })).toContain('load 1.5');
    expect(problem({ folders: [{ purpose: 'data', path: '/data', writable: false }] })).toContain('FWP_DATA_DIR');
    expect(problem({ devices: [{ ...native, available: false }], compiler: null })).toContain('build-essential');
  });
});

describe('formatDiagnosis', () => {
  it('shows rates with three digits, what is missing, and the advice', async () => {
    const text = formatDiagnosis(await diagnosis());
    expect(text).toMatch(/wasm +simd128 +1 +12\.3 +10 +20/);
    expect(text).toMatch(/native +not available/);
    expect(text).toContain('! The native device is not available');
    expect(text).not.toContain('\u001b');
  });
});

describe('measurePeaks', () => {
  it('measures a device that is there, and leaves nothing running', async () => {
    const { info, peaks } = await measurePeaks('wasm', 1);
    expect(info.name).toBe('wasm');
    expect(peaks.threads).toBe(1);
    for (const rate of [peaks.fma, peaks.gemm, peaks.copy]) expect(rate).toBeGreaterThan(0);
    expect(Number.isFinite(peaks.fma + peaks.gemm + peaks.copy)).toBe(true);
  });
});
