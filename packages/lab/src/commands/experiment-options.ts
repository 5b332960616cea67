/** The options of commands that compute something of an experiment: which configuration and seeds, on which device. */

import type { DeviceName } from '@fwp/core';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import type { RunOptions } from '../plan.ts';
import { parseSeeds } from '../seeds.ts';
import { suggestion } from '../suggest.ts';

/** What {@link addExperimentOptions} adds. */
export interface ExperimentCommandOptions {
  readonly preset?: string;
  readonly seed?: string;
  readonly set?: readonly string[];
}

/** Adds the argument that names the experiment, and the options that choose its configuration. */
export function addExperimentOptions(command: Command): Command {
  return command
    .argument('<experiment>', "an id of 'fwp list', or a TypeScript or JavaScript file")
    .option('--preset <name>', "configuration, see 'fwp info'")
    .option('--seed <seeds>', "1, 1..5 or 1,2,7 (default: the preset's)")
    .option('--set <path=value>', 'changes a setting; may be given several times', collect);
}

/** What the options mean. */
export function experimentOptions({
  preset,
  seed,
  set = [],
}: ExperimentCommandOptions): Pick<RunOptions, 'preset' | 'seeds' | 'overrides'> {
  return {
    overrides: set,
    ...(preset === undefined ? {} : { preset }),
    ...(seed === undefined ? {} : { seeds: parseSeeds(seed) }),
  };
}

/** @throws UsageError suggesting the device that was meant */
export async function parseDevice(name: string): Promise<DeviceName> {
  const { DEVICES } = await import('@fwp/core');
  const device = DEVICES.find((each) => each === name);
  if (device === undefined) throw new UsageError(`Unknown device '${name}'.${suggestion(name, DEVICES)}`);
  return device;
}

function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}
