/** `fwp compare`: runs of one experiment side by side. */

import type { Command } from 'commander';
import { type CliContext, print, printJson } from './cli-context.ts';

interface CompareOptions {
  readonly metric?: string;
  readonly html?: string;
  readonly markdown?: boolean;
  readonly json?: boolean;
}

/** Adds the command. */
export function addCompareCommand(program: Command, cli: CliContext): void {
  program
    .command('compare')
    .description('sets runs of one experiment side by side: results, differing settings, curves')
    .argument('<runs...>', 'two or more run folders; the others are compared with the first')
    .option('--metric <name>', "the measurement to compare (default: that of the experiment's table)")
    .option('--html <file>', 'write a page with the curves of all runs')
    .option('--markdown', 'print Markdown tables')
    .option('--json', 'one JSON document')
    .addHelpText('after', '\nExample:\n  fwp compare runs/deltanet-capacity/* --html comparison.html')
    .action(async (folders: readonly string[], { metric, html, markdown, json }: CompareOptions) => {
      const { compareRuns, readRuns } = await import('../compare/comparison.ts');
      const runs = await readRuns(folders);
      const comparison = compareRuns(runs, metric);
      if (html !== undefined) {
        const { comparisonPage } = await import('../compare/comparison-page.ts');
        const { writeText } = await import('../run-folder.ts');
        await writeText(html, await comparisonPage(comparison, runs));
      }
      if (json) {
        printJson(cli, comparison);
        return;
      }
      const { formatComparison } = await import('../compare/format-comparison.ts');
      const { hasColors } = await import('../report/text-table.ts');
      const format = markdown ? 'markdown' : 'text';
      print(cli, formatComparison(comparison, { format, colors: hasColors(cli.stdout) }));
      if (html !== undefined) cli.stderr.write(`${html}\n`);
    });
}
