/**
 * The `fwp` command. What was asked for goes to stdout, progress and messages to stderr. Commands load what they need when
 * they run, so that help comes at once.
 */

import { Command, CommanderError } from 'commander';
import { addBenchCommand } from './commands/bench.ts';
import { addCheckCommand } from './commands/check.ts';
import { type CliContext, USAGE_STATUS } from './commands/cli-context.ts';
import { addCompareCommand } from './commands/compare.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addExportTensorBoardCommand } from './commands/export-tensorboard.ts';
import { addInfoCommand } from './commands/info.ts';
import { addListCommand } from './commands/list.ts';
import { addReportCommand } from './commands/report.ts';
import { addResumeCommand } from './commands/resume.ts';
import { addRunCommand } from './commands/run.ts';
import { addSetupCommand } from './commands/setup.ts';
import type { ProgressOutput } from './progress.ts';
import { labVersion } from './version.ts';

const DESCRIPTION = `Runs the experiments of the @fwp packages: trains, compares with the paper, and says whether its claims hold.`;

const EXAMPLES = `
Examples:
  fwp list
  fwp run deltanet/capacity --preset quick
  fwp resume runs/deltanet-capacity/quick-20260131-154502-3fa1`;

/** Errors that are a message, with the status that each means; others are mistakes in programs and show their stack. */
const STATUS_BY_ERROR: Readonly<Record<string, number>> = {
  UsageError: USAGE_STATUS,
  DeviceUnavailableError: USAGE_STATUS,
  CorruptDataError: 1,
  CorruptFileError: 1,
  DeviceLostError: 1,
  InterruptedError: 130,
  MissingDataError: 1,
  NonFiniteError: 1,
  OutOfMemoryError: 1,
  RunStoppedError: 1,
  SetupError: 1,
};

/**
 * Runs a command.
 *
 * @param argv the words after `fwp`
 * @param streams default: those of the process
 * @returns the exit status
 */
export async function main(
  argv: readonly string[],
  streams: { readonly stdout: ProgressOutput; readonly stderr: ProgressOutput } = process,
): Promise<number> {
  const cli: CliContext = { stdout: streams.stdout, stderr: streams.stderr, status: 0 };
  try {
    const program = await commands(cli);
    await program.parseAsync(argv, { from: 'user' });
    return cli.status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_STATUS;
    return tell(error, cli);
  }
}

async function commands(cli: CliContext): Promise<Command> {
  const program = new Command('fwp')
    .description(DESCRIPTION)
    .version(await labVersion())
    .exitOverride()
    .showHelpAfterError('(fwp --help shows what there is)')
    .configureOutput({
      writeOut: (text) => void cli.stdout.write(text),
      writeErr: (text) => void cli.stderr.write(text),
    })
    .addHelpText('after', EXAMPLES);
  addListCommand(program, cli);
  addInfoCommand(program, cli);
  addRunCommand(program, cli);
  addResumeCommand(program, cli);
  addReportCommand(program, cli);
  addCompareCommand(program, cli);
  addExportTensorBoardCommand(program, cli);
  addDoctorCommand(program, cli);
  addCheckCommand(program, cli);
  addSetupCommand(program, cli);
  addBenchCommand(program, cli);
  addCompletionCommand(program, cli);
  return program;
}

/** @returns the status */
function tell(error: unknown, { stderr }: CliContext): number {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  const status = STATUS_BY_ERROR[name];
  stderr.write(`${status === undefined ? (stack ?? message) : message}\n`);
  return status ?? 1;
}
