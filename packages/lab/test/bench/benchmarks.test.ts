import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BenchOptions, type BenchRow, findBenchmarks, runBenchmarks } from '../../src/bench/benchmarks.ts';
import { formatBench } from '../../src/bench/format-bench.ts';
import { UsageError } from '../../src/errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const ROW: BenchRow = {
  suite: 'gemm',
  name: 'n = 64',
  device: 'wasm',
  threads: 2,
  median: 0.012345,
  unit: 'ms',
  peers: { tfjs: 0.12 },
  ratio: { tfjs: 9.7205 },
  peakFraction: 0.873,
};

/** A project that depends on packages with benchmarks. */
async function project(modules: Readonly<Record<string, string>>): Promise<string> {
  const folder = temporaryFolder();
  const names = Object.keys(modules);
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ devDependencies: Object.fromEntries(names.map((name) => [name, '1'])) }),
  );
  for (const name of names) {
    const installed = join(folder, 'node_modules', name);
    await mkdir(installed, { recursive: true });
    await writeFile(
      join(installed, 'package.json'),
      JSON.stringify({ name, type: 'module', fwp: { bench: './bench.js' } }),
    );
    await writeFile(join(installed, 'bench.js'), modules[name] as string);
  }
  return folder;
}

const brings = (suites: readonly string[], onRequest?: readonly string[]): string =>
  `export const benchmarks = { ...${JSON.stringify({ suites, onRequest })}, run: async (options) => ({ rows: [options], failures: [] }) };`;

describe('findBenchmarks', () => {
  it('finds what the dependencies bring, and is not stopped by one that is broken', async () => {
    const warnings: string[] = [];
    const folder = await project({
      good: brings(['a']),
      empty: 'export const x = 1;',
      broken: 'throw new Error("no");',
    });
    const found = await findBenchmarks(folder, (message) => warnings.push(message));
    expect(found.map((each) => each.package)).toEqual(['good']);
    expect(warnings.map((warning) => /'(\w+)'/.exec(warning)?.[1]).sort()).toEqual(['broken', 'empty']);
  });

  it('says how to get some where there are none', async () => {
    await expect(findBenchmarks(await project({}), () => {})).rejects.toThrow(UsageError);
    await expect(findBenchmarks(await project({}), () => {})).rejects.toThrow(/checkout/);
  });
});

describe('runBenchmarks', () => {
  it('gives each package its own suites of those that are wanted', async () => {
    const found = await findBenchmarks(await project({ one: brings(['a', 'b']), two: brings(['c']) }), () => {});
    const suites = async (...wanted: string[]): Promise<(readonly string[])[]> => {
      const { rows } = await runBenchmarks(found, wanted, { quick: true });
      return (rows as unknown as BenchOptions[]).map((options) => options.suites);
    };
    expect(await suites()).toEqual([['a', 'b'], ['c']]);
    expect(await suites('b')).toEqual([['b']]);
    await expect(suites('d')).rejects.toThrow(/no suite 'd'.*'a', 'b', 'c'/);
  });

  it('leaves out those on request, unless they are asked for', async () => {
    const found = await findBenchmarks(await project({ one: brings(['a'], ['rare']) }), () => {});
    const suites = async (...wanted: string[]): Promise<readonly string[]> => {
      const { rows } = await runBenchmarks(found, wanted, { quick: true });
      return (rows as unknown as BenchOptions[]).flatMap((options) => options.suites);
    };
    expect(await suites()).toEqual(['a']);
    expect(await suites('rare')).toEqual(['rare']);
  });
});

describe('formatBench', () => {
  it('has a table for each suite with ratios and fractions of the peak', () => {
    const text = formatBench([ROW, { ...ROW, suite: 'copy', ratio: {}, peakFraction: 0.5 }]);
    expect(text).toMatch(/n = 64 +wasm +2 +0\.0123 ms +9\.72 +87 %/);
    expect(text).toMatch(/n = 64 +wasm +2 +0\.0123 ms +50 %/);
  });
});
