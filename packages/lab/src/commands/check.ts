/** `fwp check`: whether a device computes what another one does. */

import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { type CliContext, DISAGREEMENT_STATUS, print, printJson } from './cli-context.ts';
import {
  addExperimentOptions,
  type ExperimentCommandOptions,
  experimentOptions,
  parseDevice,
} from './experiment-options.ts';
import { progressOf, withSignals } from './session.ts';

interface CheckCommandOptions extends ExperimentCommandOptions {
  readonly device: string;
  readonly against: string;
  readonly tolerance: number;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  fwp check deltanet/capacity --device webgpu                   against wasm
  fwp check ndr/ctl --device tensorflow --against native
  fwp check ./my-experiment.ts --device native --set steps=2

Exit status: 0 the devices agree; 1 they do not, or nothing could be compared, or it failed; 2 something is unknown or not
valid; 130 after Ctrl-C.`;

/** Adds the command. */
export function addCheckCommand(program: Command, cli: CliContext): void {
  addExperimentOptions(
    program.command('check').description('compares losses and gradients of the first training steps on two devices'),
  )
    .requiredOption('--device <name>', 'the device to check: native, wasm, webgpu, tensorflow or cpu')
    .option('--against <name>', 'the device that is believed', 'wasm')
    .option(
      '--tolerance <number>',
      'largest relative difference that is none; times 100 after an update',
      parseTolerance,
      1e-4,
    )
    .option('--quiet', 'show no progress')
    .option('--json', 'one JSON document on stdout; progress goes to stderr')
    .addHelpText('after', EXAMPLES)
    .action(async (what: string, options: CheckCommandOptions) => {
      const { findExperiment } = await import('../registry.ts');
      const { checkDevice } = await import('../check/check-device.ts');
      const device = await parseDevice(options.device);
      const against = await parseDevice(options.against);
      const { experiment, origin } = await findExperiment(what, process.cwd(), (text) => cli.stderr.write(`${text}\n`));
      const progress = await progressOf(cli, options);
      const onStop = (): void => progress.warn('Stopping at the next step; once more stops at once.');
      await withSignals(cli, onStop, async (signal) => {
        const { tolerance } = options;
        const check = await checkDevice(experiment, {
          ...experimentOptions(options),
          ...{ origin, device, against, tolerance, progress, signal },
        });
        cli.status = check.agrees ? 0 : DISAGREEMENT_STATUS;
        if (options.json) {
          printJson(cli, check);
          return;
        }
        const { formatCheck } = await import('../check/format-check.ts');
        const { hasColors } = await import('../report/text-table.ts');
        print(cli, formatCheck(check, { colors: hasColors(cli.stdout) }));
      });
    });
}

function parseTolerance(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0)) throw new UsageError(`--tolerance ${text}: expected a positive number.`);
  return value;
}
