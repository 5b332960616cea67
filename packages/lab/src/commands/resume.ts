/** `fwp resume`: goes on with a run that was interrupted, killed or failed. */

import type { Command } from 'commander';
import type { CliContext } from './cli-context.ts';
import { addSessionOptions, runSession, type SessionCommandOptions } from './session.ts';

/** Adds the command. */
export function addResumeCommand(program: Command, cli: CliContext): void {
  const command = program
    .command('resume')
    .description('goes on with a run from its last checkpoint; results are those of a run that was never stopped')
    .argument('<run>', "a folder that 'fwp run' made");
  addSessionOptions(command)
    .addHelpText('after', '\nExample:\n  fwp resume runs/deltanet-capacity/quick-20260131-154502-3fa1')
    .action(async (folder: string, options: SessionCommandOptions) => {
      const { experimentOfRun } = await import('../experiment-of-run.ts');
      const { readRun } = await import('../run-folder.ts');
      const { resumeRun } = await import('../run.ts');
      const { config } = await readRun(folder);
      const warn = (message: string): void => void cli.stderr.write(`${message}\n`);
      const experiment = await experimentOfRun(folder, config, warn);
      await runSession(cli, options, (session) =>
        resumeRun(experiment, folder, {
          ...session,
          ...(options.checkpointEvery === undefined ? {} : { checkpointSteps: options.checkpointEvery }),
        }),
      );
    });
}
