/** Two steps of every trial of an experiment, in a folder that goes away: what a run would take, or what a device computes. */

import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceInfo, Json } from '@fwp/core';
import { InterruptedError } from './errors.ts';
import type { Experiment, TrialKey } from './experiment.ts';
import { planRun, type RunOptions, sourceOf } from './plan.ts';
import { type RunConfig, writeRunConfig } from './run-folder.ts';
import { type TrialObserver, work } from './session.ts';

/** What {@link dryRun} found out about a trial. */
export interface DryRunTrial {
  readonly key: TrialKey;
  /** Steps that the trial makes at most. */
  readonly steps: number;
  /** Time of the second step. */
  readonly secondsPerStep: number;
  /** Trainable numbers; null if there is no module. */
  readonly parameters: number | null;
}

/** What {@link dryRun} returns. */
export interface DryRun {
  readonly preset: string;
  readonly config: Json;
  readonly seeds: readonly number[];
  readonly device: DeviceInfo;
  /** One seed's trials. */
  readonly trials: readonly DryRunTrial[];
  /** What all seeds take at most, without evaluations. */
  readonly estimatedSeconds: number;
}

/** Makes two steps of every trial of the first seed in a temporary folder, and says what the run would take. */
export async function dryRun(experiment: Experiment, options: RunOptions = {}): Promise<DryRun> {
  const trials: DryRunTrial[] = [];
  const plan = await planRun(experiment, options);
  const { preset, config, seeds, device } = plan;
  await tryTrials(experiment, { ...plan, seeds: seeds.slice(0, 1) }, options, {
    trialFinished: (key, _seed, { loops, parameters }) => {
      const steps = loops.reduce((sum, { total }) => sum + total, 0);
      const seconds = loops.reduce((sum, { total, stepSeconds }) => sum + total * stepSeconds, 0);
      trials.push({ key, steps, secondsPerStep: steps === 0 ? 0 : seconds / steps, parameters });
    },
  });
  const perSeed = trials.reduce((sum, { steps, secondsPerStep }) => sum + steps * secondsPerStep, 0);
  return { preset, config, seeds, device, trials, estimatedSeconds: perSeed * seeds.length };
}

/**
 * Makes two steps of every trial in a temporary folder.
 *
 * @throws InterruptedError if `signal` was aborted
 */
export async function tryTrials(
  experiment: Experiment,
  plan: Omit<RunConfig, 'source'>,
  options: RunOptions,
  observer: TrialObserver,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fwp-dry-run-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  // A second Ctrl-C ends the process here.
  process.on('exit', remove);
  try {
    await writeRunConfig(folder, { ...plan, source: sourceOf(options.origin, folder) });
    const { results } = await work(experiment, folder, options, observer);
    if (results.state === 'interrupted') throw new InterruptedError('Interrupted.');
  } finally {
    process.off('exit', remove);
    remove();
  }
}
