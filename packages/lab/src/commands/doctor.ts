/** `fwp doctor`: what this machine has and reaches, and what should be different. */

import type { Command } from 'commander';
import { type CliContext, print, printJson } from './cli-context.ts';

/** Adds the command. */
export function addDoctorCommand(program: Command, cli: CliContext): void {
  program
    .command('doctor')
    .description('devices and what they reach here, tools, folders, versions, and what to do about problems')
    .option('--json', 'one JSON document')
    .addHelpText('after', '\nExit status: 0, or 1 if no device can compute.')
    .action(async ({ json = false }: { json?: boolean }) => {
      const { diagnose } = await import('../doctor/diagnosis.ts');
      const { formatDiagnosis } = await import('../doctor/format-diagnosis.ts');
      const { hasColors } = await import('../report/text-table.ts');
      const terminal = cli.stderr.isTTY === true;
      const diagnosis = await diagnose({
        progress: (what) => void (terminal && cli.stderr.write(`\r\u001b[K${what} …`)),
      });
      if (terminal) cli.stderr.write('\r\u001b[K');
      if (json) printJson(cli, diagnosis);
      else print(cli, formatDiagnosis(diagnosis, { colors: hasColors(cli.stdout) }));
      cli.status = diagnosis.devices.some(({ available }) => available) ? 0 : 1;
    });
}
