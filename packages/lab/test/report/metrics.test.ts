import { appendFile } from 'node:fs/promises';
import { CorruptFileError } from '@fwp/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Downsampler, readMetricLines } from '../../src/report/metrics.ts';
import { runPaths } from '../../src/run-folder.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { writeRunFixture } from './run-fixture.ts';

describe('Downsampler', () => {
  it('keeps short curves as they are', () => {
    const sampler = new Downsampler(10);
    for (let step = 1; step < 10; step++) sampler.add(step, step ** 2);
    expect(sampler.points()).toEqual(
      Array.from({ length: 9 }, (_, index) => ({ step: index + 1, value: (index + 1) ** 2 })),
    );
  });

  it('keeps at most the limit of any curve, between the first and the last step, along a straight line', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 50 }), fc.integer({ min: 1, max: 5000 }), (limit, length) => {
        const sampler = new Downsampler(limit);
        for (let step = 1; step <= length; step++) sampler.add(step, 3 * step - 1);
        const points = sampler.points();
        expect(points.length).toBeLessThanOrEqual(limit);
        expect(points.length).toBeGreaterThanOrEqual(Math.min(length, Math.floor(limit / 2)));
        for (const [index, { step, value }] of points.entries()) {
          expect(step).toBeGreaterThan(points[index - 1]?.step ?? 0);
          expect(step).toBeLessThanOrEqual(length);
          expect(value).toBeCloseTo(3 * step - 1, 6);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('readMetricLines', () => {
  const line = (step: number, more: object = {}) => ({ seed: 1, keys: 20, step, loss: 1 / step, seconds: 0, ...more });

  it('makes one curve of each quantity of each trial', async () => {
    const metrics = [line(1), line(2, { accuracy: 0.5 }), line(1, { keys: 40 }), line(1, { seed: 2 })];
    const curves = await readMetricLines(await writeRunFixture({ metrics }), ['keys']);
    expect(curves.map(({ key, seed, field, points }) => [key['keys'], seed, field, points.length])).toEqual([
      [20, 1, 'loss', 2],
      [20, 1, 'accuracy', 1],
      [40, 1, 'loss', 1],
      [20, 2, 'loss', 1],
    ]);
  });

  it('lets the steps of a second loop go on behind the first', async () => {
    const metrics = [line(1), line(2), line(1, { loop: 2 }), line(2, { loop: 2 })];
    const [curve] = await readMetricLines(await writeRunFixture({ metrics }), ['keys']);
    expect(curve?.points.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
  });

  it('leaves out a last line that is not complete, and names any other line that is broken', async () => {
    const folder = await writeRunFixture({ metrics: [line(1)] });
    await appendFile(runPaths(folder).metrics, '{"seed":1,"keys":2');
    expect((await readMetricLines(folder, ['keys']))[0]?.points).toHaveLength(1);
    await appendFile(runPaths(folder).metrics, '\n{}\n');
    await expect(readMetricLines(folder, ['keys'])).rejects.toThrow(CorruptFileError);
    await expect(readMetricLines(folder, ['keys'])).rejects.toThrow(/line 2/);
  });

  it('reads files that are larger than what is read at once', async () => {
    const metrics = Array.from({ length: 5000 }, (_, index) => line(index + 1));
    const [curve] = await readMetricLines(await writeRunFixture({ metrics }), ['keys'], 100);
    expect(curve?.points.length).toBeLessThanOrEqual(100);
    expect(curve?.points.at(-1)?.step).toBeGreaterThan(4900);
  });

  it('is empty if nothing was logged', async () => {
    expect(await readMetricLines(temporaryFolder(), [])).toEqual([]);
  });
});
