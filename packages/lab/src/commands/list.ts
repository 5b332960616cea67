/** `fwp list`: the experiments that can be run here. */

import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { formatDuration } from '../report/number-format.ts';
import { hasColors, textTable } from '../report/text-table.ts';
import { type CliContext, print, printJson } from './cli-context.ts';

/** Adds the command. */
export function addListCommand(program: Command, cli: CliContext): void {
  program
    .command('list')
    .description('experiments of the packages on which the project in this folder depends')
    .option('--json', 'one JSON document')
    .action(async ({ json = false }: { json?: boolean }) => {
      const { loadRegistry, NO_EXPERIMENTS } = await import('../registry.ts');
      const { experiments, problems } = await loadRegistry(process.cwd());
      for (const problem of problems) cli.stderr.write(`${problem}\n`);
      if (json) {
        printJson(
          cli,
          experiments.map(({ experiment: { id, title, paper, presets }, origin }) => ({
            ...{ id, title, paper },
            presets: Object.entries(presets).map(([name, { summary, seeds = [1], measuredSeconds = {} }]) => ({
              ...{ name, summary, seeds, measuredSeconds },
            })),
            package: 'package' in origin ? origin.package : null,
          })),
        );
        return;
      }
      if (experiments.length === 0) throw new UsageError(`Nothing to list: ${NO_EXPERIMENTS}`);
      const rows = experiments.map(({ experiment: { id, title, paper, presets } }) => {
        const names = Object.entries(presets).map(
          ([name, { measuredSeconds }]) => `${name}${duration(measuredSeconds)}`,
        );
        return [id, title, paper.id, names.join(', ')];
      });
      const columns = ['experiment', 'title', 'paper', 'presets'].map((name) => ({ title: name }));
      print(cli, textTable(columns, rows, { colors: hasColors(cli.stdout) }));
      print(cli, '\nMore on one: fwp info <id>. Run one: fwp run <id> --preset <preset>.');
    });
}

/** `' (2 min 14 s)'`: the quickest device that was measured. */
function duration(measuredSeconds: Readonly<Record<string, number>> = {}): string {
  const seconds = Object.values(measuredSeconds);
  return seconds.length === 0 ? '' : ` (${formatDuration(Math.min(...seconds))})`;
}
