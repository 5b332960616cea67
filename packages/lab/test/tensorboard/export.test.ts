import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { crc32c } from '../../src/tensorboard/crc32c.ts';
import { scalarRecord, versionRecord } from '../../src/tensorboard/event-record.ts';
import { exportTensorBoard } from '../../src/tensorboard/export.ts';
import { writeRunFixture } from '../report/run-fixture.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { decodeEvents } from './decode-events.ts';

it('has the checksums of the standard', () => {
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
});

describe('records', () => {
  it('are what an independent reader reads, for any step, tag and number', () => {
    const event = fc.record({
      wallTime: fc.double({ min: 0, max: 4e9, noNaN: true }),
      step: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      scalars: fc.dictionary(
        fc.string({ unit: 'grapheme', minLength: 1 }).filter((tag) => tag !== '__proto__'),
        fc.float(),
      ),
    });
    fc.assert(
      fc.property(event, ({ wallTime, step, scalars }) => {
        const [decoded] = decodeEvents(scalarRecord({ wallTime, step, scalars }));
        expect(decoded?.wallTime).toBe(wallTime);
        expect(decoded?.step).toBe(step);
        expect(Object.entries(decoded?.scalars ?? {}).sort()).toEqual(Object.entries(scalars).sort());
      }),
    );
  });

  it('begin with the version of the format', () => {
    expect(decodeEvents(versionRecord(7))).toEqual([
      { wallTime: 7, step: 0, fileVersion: 'brain.Event:2', scalars: {} },
    ]);
  });
});

describe('exportTensorBoard', () => {
  async function eventsOf(folder: string, trial: string) {
    const files = await readdir(join(folder, trial));
    expect(files).toHaveLength(1);
    return decodeEvents(await readFile(join(folder, trial, files[0] as string)));
  }

  it('writes a folder for each trial and seed, with all that was logged', async () => {
    const run = await writeRunFixture();
    const exported = await exportTensorBoard(run);
    expect(exported).toEqual({ folder: join(run, 'tensorboard'), trials: 12, events: 240 });
    expect(await readdir(exported.folder)).toHaveLength(12);
    const events = await eventsOf(exported.folder, 'model=linear,keys=20,seed=2');
    expect(events).toHaveLength(21);
    expect(events[0]?.fileVersion).toBe('brain.Event:2');
    expect(events[3]).toMatchObject({ step: 3, scalars: { loss: 0.5 } });
    expect(events[3]?.wallTime).toBeCloseTo(Date.parse('2026-01-02T03:04:05Z') / 1000 + 0.02, 4);
  });

  it('replaces an earlier export instead of adding to it, and keeps trials that alternate apart', async () => {
    const metrics = [1, 2, 1, 2].map((seed, index) => ({
      seed,
      model: 'linear',
      keys: 20,
      step: index + 1,
      loss: 1,
      seconds: 0,
    }));
    const run = await writeRunFixture({ metrics });
    const out = temporaryFolder();
    await exportTensorBoard(run, out);
    await exportTensorBoard(run, out);
    expect((await eventsOf(out, 'model=linear,keys=20,seed=1')).map(({ step }) => step)).toEqual([0, 1, 3]);
    expect((await eventsOf(out, 'model=linear,keys=20,seed=2')).map(({ step }) => step)).toEqual([0, 2, 4]);
  });

  it('needs a run', async () => {
    await expect(exportTensorBoard(temporaryFolder())).rejects.toThrow(UsageError);
  });
});
