/** `fwp run`: runs an experiment into a new folder. */

import type { Command } from 'commander';
import type { DryRun } from '../dry-run.ts';
import type { Experiment } from '../experiment.ts';
import type { RunOptions } from '../plan.ts';
import { formatDuration, formatNumber } from '../report/number-format.ts';
import { textTable } from '../report/text-table.ts';
import { trialName } from '../trial-key.ts';
import { type CliContext, parseCount, print, printJson } from './cli-context.ts';
import {
  addExperimentOptions,
  type ExperimentCommandOptions,
  experimentOptions,
  parseDevice,
} from './experiment-options.ts';
import { addSessionOptions, progressOf, runSession, type SessionCommandOptions, withSignals } from './session.ts';

interface RunCommandOptions extends SessionCommandOptions, ExperimentCommandOptions {
  readonly device: string;
  readonly threads?: number;
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
  const command = addExperimentOptions(
    program.command('run').description('runs an experiment and says whether its claims hold'),
  )
    .option('--device <name>', 'auto, native, wasm, webgpu, tensorflow or cpu', 'auto')
    .option('--threads <number>', 'threads of the CPU engine or TensorFlow (default: all processors)', parseCount)
    .option('--out <folder>', 'run folder (default: a new one in runs/)')
    .option('--dry-run', 'two steps of every trial in a temporary folder, and what the run would take');
  addSessionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (what: string, options: RunCommandOptions) => {
      const { findExperiment } = await import('../registry.ts');
      const { experiment, origin } = await findExperiment(what, process.cwd(), (text) => cli.stderr.write(`${text}\n`));
      const runOptions: RunOptions = {
        ...{ ...experimentOptions(options), origin, device: await parseDevice(options.device) },
        ...(options.threads === undefined ? {} : { threads: options.threads }),
        ...(options.out === undefined ? {} : { out: options.out }),
        ...(options.checkpointEvery === undefined ? {} : { checkpointSteps: options.checkpointEvery }),
      };
      if (options.dryRun) await runDry(cli, experiment, runOptions, options);
      else {
        const { runExperiment } = await import('../run.ts');
        await runSession(cli, options, (session) => runExperiment(experiment, { ...runOptions, ...session }));
      }
    });
}

async function runDry(
  cli: CliContext,
  experiment: Experiment,
  runOptions: RunOptions,
  options: RunCommandOptions,
): Promise<void> {
  const { dryRun } = await import('../dry-run.ts');
  const progress = await progressOf(cli, options);
  const onStop = (): void => progress.warn('Stopping at the next step; once more stops at once.');
  await withSignals(cli, onStop, async (signal) =>
    showDryRun(cli, await dryRun(experiment, { ...runOptions, progress, signal }), options),
  );
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
