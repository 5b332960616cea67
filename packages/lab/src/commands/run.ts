/** `fwp run`: runs an experiment into a new folder. */

import type { DeviceName } from '@fwp/core';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import type { RunOptions } from '../plan.ts';
import { formatDuration, formatNumber } from '../report/number-format.ts';
import { textTable } from '../report/text-table.ts';
import type { DryRun } from '../run.ts';
import { parseSeeds } from '../seeds.ts';
import { suggestion } from '../suggest.ts';
import { trialName } from '../trial-key.ts';
import { type CliContext, parseCount, print, printJson } from './cli-context.ts';
import { addSessionOptions, runSession, type SessionCommandOptions, withSignals } from './session.ts';

interface RunCommandOptions extends SessionCommandOptions {
  readonly preset?: string;
  readonly device: string;
  readonly threads?: number;
  readonly seed?: string;
  readonly set?: readonly string[];
  readonly out?: string;
  readonly dryRun?: boolean;
}

const EXAMPLES = `
Examples:
  fwp run deltanet/capacity                                  the preset 'quick', if there is one
  fwp run deltanet/capacity --preset standard --seed 1..3
  fwp run deltanet/capacity --set keys=20,40 --set maxSteps=500
  fwp run ./my-experiment.ts --dry-run                       two steps of every trial, nothing is kept

Exit status: 0 complete, whatever the claims say; 1 failed; 2 something is unknown or not valid; 3 with --strict if a
claim fails; 130 after Ctrl-C, with a checkpoint.`;

/** Adds the command. */
export function addRunCommand(program: Command, cli: CliContext): void {
  const command = program
    .command('run')
    .description('runs an experiment and says whether its claims hold')
    .argument('<experiment>', "an id of 'fwp list', or a TypeScript or JavaScript file")
    .option('--preset <name>', "configuration, see 'fwp info'")
    .option('--device <name>', 'auto, native, wasm, webgpu, tensorflow or cpu', 'auto')
    .option('--threads <number>', 'threads of the CPU engine or TensorFlow (default: all processors)', parseCount)
    .option('--seed <seeds>', "1, 1..5 or 1,2,7 (default: the preset's)")
    .option('--set <path=value>', 'changes a setting; may be given several times', collect)
    .option('--out <folder>', 'run folder (default: a new one in runs/)')
    .option('--dry-run', 'two steps of every trial in a temporary folder, and what the run would take');
  addSessionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (what: string, options: RunCommandOptions) => {
      const { findExperiment } = await import('../registry.ts');
      const { dryRun, runExperiment } = await import('../run.ts');
      const { experiment, origin } = await findExperiment(what, process.cwd(), (text) => cli.stderr.write(`${text}\n`));
      const runOptions: RunOptions = {
        ...{ origin, overrides: options.set ?? [], device: await parseDevice(options.device) },
        ...(options.preset === undefined ? {} : { preset: options.preset }),
        ...(options.seed === undefined ? {} : { seeds: parseSeeds(options.seed) }),
        ...(options.threads === undefined ? {} : { threads: options.threads }),
        ...(options.out === undefined ? {} : { out: options.out }),
        ...(options.checkpointEvery === undefined ? {} : { checkpointSteps: options.checkpointEvery }),
      };
      if (options.dryRun) {
        const onStop = (): void => void cli.stderr.write('Stopping at the next step; once more stops at once.\n');
        await withSignals(cli, onStop, async (signal) =>
          showDryRun(cli, await dryRun(experiment, { ...runOptions, signal }), options),
        );
      } else await runSession(cli, options, (session) => runExperiment(experiment, { ...runOptions, ...session }));
    });
}

function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

async function parseDevice(name: string): Promise<DeviceName> {
  const { DEVICES } = await import('@fwp/core');
  const device = DEVICES.find((each) => each === name);
  if (device === undefined) throw new UsageError(`Unknown device '${name}'.${suggestion(name, DEVICES)}`);
  return device;
}

function showDryRun(cli: CliContext, tried: DryRun, { json }: RunCommandOptions): void {
  // A signal that came too late to interrupt anything.
  cli.status = 0;
  if (json) {
    printJson(cli, tried);
    return;
  }
  const { preset, config, seeds, trials, estimatedSeconds } = tried;
  const columns = ['trial', 'steps at most', 'seconds per step', 'parameters'];
  const rows = trials.map(({ key, steps, secondsPerStep, parameters }) => [
    trialName(key, seeds[0] as number),
    String(steps),
    formatNumber(secondsPerStep),
    parameters === null ? '' : String(parameters),
  ]);
  print(cli, `preset ${preset}\n${JSON.stringify(config, null, 2)}\n`);
  print(
    cli,
    textTable(
      columns.map((title, index) => ({ title, align: index === 0 ? 'left' : 'right' })),
      rows,
    ),
  );
  print(
    cli,
    `\n${trials.length} trials for each of ${seeds.length} seeds: at most ${formatDuration(estimatedSeconds)} of training steps here, besides evaluations.`,
  );
}
