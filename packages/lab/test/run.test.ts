import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { dispose } from '@fwp/core';
import { engine } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  defineExperiment,
  dryRun,
  type Experiment,
  NonFiniteError,
  type RunOptions,
  type RunRecord,
  readRun,
  resumeRun,
  runExperiment,
  UsageError,
} from '../src/index.ts';
import { lockRun } from '../src/lock.ts';
import { runPaths } from '../src/run-folder.ts';
import toy from './fixtures/toy.ts';
import { recordedProgress } from './recorded-progress.ts';
import { expectSameRun, loggedLines } from './same-run.ts';
import { temporaryFolder } from './temporary-folder.ts';

afterAll(dispose);

const experiment = toy;

/** Runs the toy in a new folder. */
function run(options: RunOptions = {}): Promise<RunRecord> {
  const out = options.out ?? join(temporaryFolder(), 'run');
  return runExperiment(experiment, { device: 'wasm', threads: 1, progress: recordedProgress(), ...options, out });
}

/** Runs the toy until so many steps were made, and interrupts it. */
async function runUntil(count: number, options: RunOptions = {}): Promise<RunRecord> {
  const controller = new AbortController();
  const progress = recordedProgress((steps) => steps === count && controller.abort());
  return run({ ...options, progress, signal: controller.signal });
}

const SETTINGS = { overrides: ['steps=12'], seeds: [1, 2] };

/** Folder of a run with these settings that nothing disturbed. */
let reference: string;
const referenceFolder = mkdtempSync(join(tmpdir(), 'fwp-lab-test-'));
beforeAll(async () => {
  reference = (await run({ ...SETTINGS, out: join(referenceFolder, 'run') })).folder;
});
afterAll(() => rmSync(referenceFolder, { recursive: true, force: true }));

describe('a run', () => {
  it('goes through the grid for every seed and leaves everything in its folder', async () => {
    const { folder, config, results } = await readRun(reference);
    const paths = runPaths(folder);
    expect(results.state).toBe('complete');
    expect(results.rows.map(({ rate, seed }) => [rate, seed])).toEqual([
      [0.01, 1],
      [0.1, 1],
      [0.01, 2],
      [0.1, 2],
    ]);
    expect(new Set(results.rows.map(({ best }) => best)).size).toBe(4);
    expect(results.trials[0]).toMatchObject({ seed: 1, key: { rate: 0.01 }, steps: 24, parameters: 56 });
    expect(results.claims.map(({ pass }) => pass)).toEqual([true, false, null]);
    expect(results.published).toEqual(experiment.published);
    expect(config).toMatchObject({
      id: 'toy/line',
      preset: 'quick',
      config: { steps: 12, rates: [0.01, 0.1] },
      seeds: [1, 2],
      trials: 2,
      device: { name: 'wasm', threads: 1 },
    });
    expect(config.command).toBe('fwp run toy/line --preset quick --seed 1,2 --set steps=12 --device wasm --threads 1');
    const metrics = await loggedLines(folder);
    expect(metrics).toHaveLength(4 * (12 + 2));
    expect(metrics[0]).toEqual({ seed: 1, rate: 0.01, step: 1, loss: expect.any(Number), seconds: expect.any(Number) });
    expect(metrics[12]).toMatchObject({ seed: 1, rate: 0.01, loop: 2, step: 5, drawn: expect.any(Number) });
    expect(readdirSync(paths.checkpoints)).toEqual([]);
    expect(readFileSync(join(paths.artifacts, 'rate=0.1,seed=2', 'weights.txt'), 'utf8')).toBe('0.1\n');
    expect(existsSync(paths.report)).toBe(true);
    expect(existsSync(paths.lock)).toBe(false);
  });

  it('gives the same bits again', async () => {
    await expectSameRun((await run(SETTINGS)).folder, reference);
  });

  it('gives a trial the same numbers whatever else is in the grid', async () => {
    const { results } = await run({ overrides: ['steps=12', 'rates=0.1'] });
    expect(results.rows[0]).toEqual((await readRun(reference)).results.rows[1]);
  });

  it('frees the variables that trials leave behind', async () => {
    await run({ overrides: ['steps=2'] });
    const before = engine().memory();
    await run({ overrides: ['steps=2', 'rates=0.1,0.2,0.3,0.4'] });
    expect(engine().memory()).toMatchObject({ numTensors: before.numTensors, numBytes: before.numBytes });
  });
});

describe('an interrupted run', () => {
  // Steps 1-12 and 13-24 are the two loops of the first trial, 25-36 the first of the second, and so on.
  it.each([1, 11, 12, 13, 24, 37, 96])('goes on after step %i as if nothing had happened', async (step) => {
    const { folder, results } = await runUntil(step, SETTINGS);
    expect(results.state).toBe('interrupted');
    expect(results.rows).toHaveLength(Math.floor((step - 1) / 24));
    const progress = recordedProgress();
    const resumed = await resumeRun(experiment, folder, { progress });
    expect(progress.finished).toHaveLength(4 - results.rows.length);
    expect(progress.warnings).toEqual([]);
    expect(resumed.results.state).toBe('complete');
    await expectSameRun(folder, reference);
  });

  it('may be interrupted over and over', async () => {
    let { folder, results } = await runUntil(7, SETTINGS);
    let sessions = 1;
    for (; results.state === 'interrupted'; sessions++) {
      const controller = new AbortController();
      const progress = recordedProgress((count) => count === 7 && controller.abort());
      ({ folder, results } = await resumeRun(experiment, folder, { progress, signal: controller.signal }));
    }
    expect(sessions).toBe(14);
    await expectSameRun(folder, reference);
  });

  it('keeps a loop that was left by break as it was left', async () => {
    const settings = { ...SETTINGS, overrides: ['steps=12', 'leaveAt=4'] };
    const unbroken = await run(settings);
    for (const step of [3, 4, 5, 9]) {
      const { folder } = await runUntil(step, settings);
      await resumeRun(experiment, folder, { progress: recordedProgress() });
      await expectSameRun(folder, unbroken.folder);
    }
  });

  it('is interrupted even if the trial catches that', async () => {
    const controller = new AbortController();
    const catching: Experiment = {
      ...experiment,
      run: (context) => experiment.run(context).catch(() => ({ best: 0 })),
    };
    const progress = recordedProgress((count) => count === 5 && controller.abort());
    const out = join(temporaryFolder(), 'run');
    const options = { device: 'wasm', threads: 1, out, progress, signal: controller.signal } as const;
    const { results } = await runExperiment(catching, options);
    expect(results).toMatchObject({ state: 'interrupted', rows: [] });
  });

  it('is complete afterwards: resuming it again makes nothing but a new report', async () => {
    const { folder, results } = await run({ overrides: ['steps=2'] });
    writeFileSync(runPaths(folder).report, '');
    const progress = recordedProgress();
    expect((await resumeRun(experiment, folder, { progress })).results).toEqual(results);
    expect(progress.started).toEqual([]);
    expect(readFileSync(runPaths(folder).report, 'utf8')).toContain('</html>');
  });
});

describe('a damaged checkpoint', () => {
  /** A run that was interrupted after `step` steps with checkpoints every three. */
  async function interrupted(step: number): Promise<{ folder: string; checkpoints: string[] }> {
    const { folder } = await runUntil(step, { ...SETTINGS, checkpointSteps: 3 });
    const { checkpoints } = runPaths(folder);
    const names = readdirSync(checkpoints).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    return { folder, checkpoints: names.map((name) => join(checkpoints, name)) };
  }

  async function expectRecovery(folder: string, warnings: number): Promise<void> {
    const progress = recordedProgress();
    await resumeRun(experiment, folder, { progress });
    expect(progress.warnings).toHaveLength(warnings);
    for (const warning of progress.warnings) expect(warning).toMatch(/damaged, going on from the one before: .*step/);
    await expectSameRun(folder, reference);
  }

  it('is replaced by the one before, and the run says so', async () => {
    const { folder, checkpoints } = await interrupted(8);
    expect(checkpoints).toHaveLength(2);
    flipByte(checkpoints[1] as string, 300);
    await expectRecovery(folder, 1);
  });

  it('may be cut short or empty', async () => {
    for (const length of [0, 7, 500]) {
      const { folder, checkpoints } = await interrupted(8);
      const newest = checkpoints[1] as string;
      writeFileSync(newest, readFileSync(newest).subarray(0, length));
      await expectRecovery(folder, 1);
    }
  });

  it('makes the trial start anew if none is left', async () => {
    const { folder, checkpoints } = await interrupted(8);
    for (const path of checkpoints) flipByte(path, 300);
    await expectRecovery(folder, 2);
  });

  it('of an earlier loop makes later ones start anew', async () => {
    const { folder, checkpoints } = await interrupted(20);
    const firstLoop = checkpoints.filter((path) => path.includes('loop1'));
    expect(firstLoop).toHaveLength(2);
    expect(checkpoints).toHaveLength(4);
    flipByte(firstLoop[1] as string, 300);
    await expectRecovery(folder, 1);
  });

  it('that a killed process was writing, or of a trial that it finished, is removed', async () => {
    const { folder } = await interrupted(30);
    const { checkpoints } = runPaths(folder);
    writeFileSync(join(checkpoints, '.rate=0.1,seed=1.loop1.step6.safetensors.123.0.tmp'), 'half');
    writeFileSync(join(checkpoints, 'rate=0.01,seed=1.loop1.step12.safetensors'), 'old');
    await expectRecovery(folder, 0);
    expect(readdirSync(checkpoints)).toEqual([]);
  });
});

describe('a run that fails', () => {
  it('stops at a NaN with the step and the configuration', async () => {
    const out = join(temporaryFolder(), 'run');
    const failing = run({ out, overrides: ['nanAt=7'] });
    await expect(failing).rejects.toThrow(NonFiniteError);
    await expect(failing).rejects.toThrow(/loss is NaN at step 7 of rate=0.01 seed=1.*"nanAt":7/);
    const { results } = await readRun(out);
    expect(results).toMatchObject({ state: 'failed', error: expect.stringContaining('NaN'), rows: [] });
    expect((await loggedLines(out)).map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(existsSync(runPaths(out).lock)).toBe(false);
  });

  it('goes on from before the error once that is repaired', async () => {
    const out = join(temporaryFolder(), 'run');
    let isBroken = true;
    const breaking: Experiment = {
      ...experiment,
      run: (context) => {
        const log: typeof context.log = (metrics) => {
          if (isBroken && context.key['rate'] === 0.1) throw new Error('broken');
          context.log(metrics);
        };
        return experiment.run({ ...context, log });
      },
    };
    await expect(runExperiment(breaking, { ...SETTINGS, device: 'wasm', threads: 1, out })).rejects.toThrow('broken');
    expect((await readRun(out)).results.rows).toHaveLength(1);
    isBroken = false;
    await resumeRun(breaking, out, { progress: recordedProgress() });
    await expectSameRun(out, reference);
  });

  it.each([
    ['NaN', { loss: Number.NaN }, /returned loss NaN. Return null/],
    ['a field of its key', { rate: 1 }, /'rate' is a field of its key/],
    ['a list', { losses: [1] as never }, /expected a number, a string, a boolean or null/],
    ['nothing', undefined as never, /expected an object of measurements/],
  ])('says so if a trial returns %s', async (_what, measured, message) => {
    const returning: Experiment = { ...experiment, run: async () => measured };
    const out = join(temporaryFolder(), 'run');
    await expect(runExperiment(returning, { device: 'wasm', threads: 1, out })).rejects.toThrow(message);
  });

  it.each<[string, Experiment['run'], RegExp]>([
    ['a metric is called like a field of the key', logging({ rate: 1 }), /'rate' is the name of another/],
    ['a metric is called step', logging({ step: 1 }), /'step' is the name of another/],
    [
      'an artifact would lie elsewhere',
      async ({ artifact }) => ({ written: String(await artifact('../x', '')) }),
      /'..\/x' must be the name/,
    ],
    ['a state holds what JSON lacks', looping({ total: 1, state: { a: new Map() as never } }), /state.a is a Map/],
    ['a number of steps is none', looping({ total: 0.5 }), /total is 0.5/],
  ])('says so if %s', async (_what, runTrial, message) => {
    const out = join(temporaryFolder(), 'run');
    const failing: Experiment = { ...experiment, run: runTrial };
    await expect(runExperiment(failing, { device: 'wasm', threads: 1, out })).rejects.toThrow(message);
  });
});

describe('a folder', () => {
  it('that has a run already is refused with the command that goes on with it', async () => {
    const { folder } = await run({ overrides: ['steps=1'] });
    const before = readFileSync(runPaths(folder).results, 'utf8');
    await expect(run({ out: folder })).rejects.toThrow(UsageError);
    await expect(run({ out: folder })).rejects.toThrow(`fwp resume ${folder}`);
    expect(readFileSync(runPaths(folder).results, 'utf8')).toBe(before);
  });

  it('with other files in it, or a file, is refused', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'thesis.tex'), '');
    await expect(run({ out: folder })).rejects.toThrow("isn't empty");
    await expect(run({ out: join(folder, 'thesis.tex') })).rejects.toThrow('is not a folder');
  });

  it('that is empty is taken', async () => {
    expect((await run({ out: temporaryFolder(), overrides: ['steps=1'] })).results.state).toBe('complete');
  });

  it('that is no run is refused by resume', async () => {
    await expect(resumeRun(experiment, temporaryFolder())).rejects.toThrow('is not a run');
  });

  it('of another experiment, or of code that changed, is refused by resume', async () => {
    const { folder } = await runUntil(30, { overrides: ['steps=12'] });
    const resumed = (change: Partial<Experiment>): Promise<RunRecord> =>
      resumeRun({ ...experiment, ...change }, folder, { progress: recordedProgress() });
    await expect(resumed({ id: 'toy/other' })).rejects.toThrow("is a run of 'toy/line', not of 'toy/other'");
    await expect(resumed({ config: z.object({ steps: z.string() }) })).rejects.toThrow('steps: Invalid input');
    await expect(resumed({ config: z.object({ steps: z.int() }) })).rejects.toThrow('its code changed');
    await expect(resumed({ trials: () => [{ rate: 7 }] })).rejects.toThrow("which the grid doesn't have any more");
    expect((await resumed({})).results.state).toBe('complete');
  });
});

describe('the lock', () => {
  it('keeps a second run out, in this process and in others', async () => {
    const { folder } = await runUntil(3, SETTINGS);
    const unlock = await lockRun(folder);
    await expect(resumeRun(experiment, folder)).rejects.toThrow(`in use by process ${process.pid}`);
    unlock();
    writeFileSync(runPaths(folder).lock, JSON.stringify({ pid: process.ppid, host: hostname(), since: 'yesterday' }));
    await expect(resumeRun(experiment, folder)).rejects.toThrow(/in use by process \d+ since yesterday.*remove/);
    writeFileSync(runPaths(folder).lock, JSON.stringify({ pid: 1, host: 'elsewhere', since: 'yesterday' }));
    await expect(resumeRun(experiment, folder)).rejects.toThrow('on elsewhere');
  });

  it.each([
    ['a process that is gone', JSON.stringify({ pid: 2 ** 30, host: hostname(), since: 'yesterday' })],
    [
      'an earlier process of the same number',
      JSON.stringify({ pid: process.pid, host: hostname(), since: 'yesterday' }),
    ],
    ['a process that was killed before it wrote its number', ''],
    ['nobody: null', 'null'],
    ['nobody: {}', '{}'],
  ])('of %s is taken over', async (_who, content) => {
    const folder = temporaryFolder();
    writeFileSync(runPaths(folder).lock, content);
    const unlock = await lockRun(folder);
    expect(JSON.parse(readFileSync(runPaths(folder).lock, 'utf8'))).toMatchObject({ pid: process.pid });
    unlock();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('goes to one of many that want it at once', async () => {
    const folder = temporaryFolder();
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockRun(folder)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) if (outcome.status === 'fulfilled') outcome.value();
  });
});

describe('a dry run', () => {
  it('makes two steps of every trial of one seed and keeps nothing', async () => {
    let steps = 0;
    const progress = recordedProgress((count) => {
      steps = count;
    });
    const tried = await dryRun(experiment, { preset: 'standard', device: 'wasm', threads: 1, progress });
    expect(tried).toMatchObject({
      preset: 'standard',
      config: { steps: 60 },
      seeds: [1, 2],
      trials: [
        { key: { rate: 0.01 }, steps: 120, parameters: 56 },
        { key: { rate: 0.1 }, steps: 120, parameters: 56 },
      ],
    });
    expect(tried.estimatedSeconds).toBeGreaterThan(0);
    expect(steps).toBe(2 * 2 * 2);
  });
});

it('an experiment without parts to save can be run and resumed', async () => {
  const counting = defineExperiment({
    id: 'toy/counting',
    title: 'Counts',
    description: 'Counts.',
    paper: experiment.paper,
    config: z.object({}),
    presets: { quick: { summary: '' } },
    run: async ({ steps, log }) => {
      const state = { sum: 0 };
      for await (const step of steps({ total: 10, state })) {
        state.sum += step;
        log({ sum: state.sum });
      }
      return { sum: state.sum, odd: null, word: 'fine', right: true };
    },
    report: { metric: 'sum', rows: 'seed' },
  });
  const controller = new AbortController();
  const progress = recordedProgress((count) => count === 4 && controller.abort());
  const out = join(temporaryFolder(), 'run');
  const options = { device: 'wasm', threads: 1, out, progress, signal: controller.signal } as const;
  expect((await runExperiment(counting, options)).results.state).toBe('interrupted');
  const { results } = await resumeRun(counting, out, { progress: recordedProgress() });
  expect(results.rows).toEqual([{ sum: 55, odd: null, word: 'fine', right: true, seed: 1 }]);
});

/** A trial that logs something. */
function logging(metrics: Record<string, number>): Experiment['run'] {
  return async ({ log }) => {
    log(metrics);
    return {};
  };
}

/** A trial that is one loop without a body. */
function looping(options: Parameters<Parameters<Experiment['run']>[0]['steps']>[0]): Experiment['run'] {
  return async ({ steps }) => {
    for await (const _ of steps(options));
    return {};
  };
}

function flipByte(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[bytes.length - offset] = (bytes[bytes.length - offset] as number) ^ 1;
  writeFileSync(path, bytes);
}
