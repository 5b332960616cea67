/** A device that is full or lost in the middle of a run: what is said, what stays, and that the run goes on as if nothing had been. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DeviceUnavailableError, dispose, init } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it } from 'vitest';
import { RunStoppedError } from '../src/errors.ts';
import { type Experiment, readRun, resumeRun, runExperiment } from '../src/index.ts';
import { runPaths } from '../src/run-folder.ts';
import toy from './fixtures/toy.ts';
import { recordedProgress } from './recorded-progress.ts';
import { expectSameRun } from './same-run.ts';
import { temporaryFolder } from './temporary-folder.ts';

afterAll(dispose);

/** The toy, to whose device something happens before step 8 of a trial's first loop. */
function disturbed(happen: () => void | Promise<void>): Experiment {
  return {
    ...toy,
    run: (trial) => {
      let loops = 0;
      return toy.run({
        ...trial,
        steps: (loop) => {
          const [steps, isFirst] = [trial.steps(loop), loops++ === 0];
          return (async function* () {
            for await (const step of steps) {
              if (isFirst && step === 8) await happen();
              yield step;
            }
          })();
        },
      });
    },
  };
}

/** Runs it until it stops, and without disturbance to its end; and undisturbed elsewhere. */
async function stopAndResume(device: 'wasm' | 'webgpu', happen: () => void | Promise<void>): Promise<Error> {
  const [out, reference] = ['run', 'reference'].map((name) => join(temporaryFolder(), name)) as [string, string];
  const options = { device, threads: 1, checkpointSteps: 3, progress: recordedProgress() };
  const overrides = ['steps=12', 'rates=0.1'];
  const error = await runExperiment(disturbed(happen), { ...options, overrides, out }).then(
    () => new Error('nothing stopped the run'),
    (reason: Error) => reason,
  );
  const cause = error.cause as Error;
  expect((await readRun(out)).results).toMatchObject({ state: 'failed', error: cause.message });
  // That of step 6, from which it goes on.
  expect(readdirSync(runPaths(out).checkpoints).length).toBeGreaterThan(0);
  const steps: number[] = [];
  const progress = recordedProgress((count) => steps.push(count));
  await resumeRun(toy, out, { ...options, progress });
  expect(steps).toHaveLength(24 - 6);
  await runExperiment(toy, { ...options, overrides, out: reference });
  await expectSameRun(out, reference);
  expect(error).toBeInstanceOf(RunStoppedError);
  expect(error.message).toMatch(/The run keeps its last checkpoint; go on with: fwp resume \S+run$/);
  return cause;
}

/** Whether tests of device webgpu were asked for (`FWP_WEBGPU`) and there is a GPU. */
async function hasGpu(): Promise<boolean> {
  if ((process.env['FWP_WEBGPU'] ?? '0') === '0') return false;
  try {
    await init({ device: 'webgpu' });
    await dispose();
    return true;
  } catch (error) {
    if (!(error instanceof DeviceUnavailableError)) throw error;
    return false;
  }
}

/** A product that no device has room for. */
function askForTooMuch(): void {
  tf.tidy(() => tf.mul(tf.ones([2 ** 17, 1]), tf.ones([1, 2 ** 17])));
}

describe('a run whose device', () => {
  it('is full stops, and goes on from its last checkpoint', async () => {
    expect(await stopAndResume('wasm', askForTooMuch)).toMatchObject({ name: 'OutOfMemoryError' });
  });
});

describe.skipIf(!(await hasGpu()))('a run whose GPU', { timeout: 240_000 }, () => {
  it('is full stops, and goes on from its last checkpoint', async () => {
    expect(await stopAndResume('webgpu', askForTooMuch)).toMatchObject({ name: 'OutOfMemoryError' });
  });

  it('is lost stops, and goes on from its last checkpoint on a new one', async () => {
    const lose = async () => {
      (tf.backend() as unknown as { device: GPUDevice }).device.destroy();
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    expect(await stopAndResume('webgpu', lose)).toMatchObject({ name: 'DeviceLostError' });
  });
});
