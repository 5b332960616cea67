/** `fwp bench`: runs the benchmarks of the packages on which the project depends. */

import { type Command, InvalidArgumentError } from 'commander';
import { type CliContext, parseCount, print, printJson } from './cli-context.ts';

interface BenchCommandOptions {
  readonly device?: readonly string[];
  readonly threads?: readonly number[];
  readonly quick?: boolean;
  readonly list?: boolean;
  readonly json?: boolean;
}

/** Adds the command. */
export function addBenchCommand(program: Command, cli: CliContext): void {
  program
    .command('bench')
    .description('measures the packages against others and against what this machine can do at best')
    .argument('[suites...]', 'which suites (default: all that any machine can)')
    .option('--device <names>', 'devices, separated by commas (default: all that are there)', words)
    .option('--threads <numbers>', 'thread counts, separated by commas', counts)
    .option('--quick', 'fewer cases and shorter rounds: a look, not a result')
    .option('--list', 'name the suites and measure nothing')
    .option('--json', 'one JSON document: the rows')
    .addHelpText(
      'after',
      '\nExamples:\n  fwp bench --quick\n  fwp bench gemm training --threads 1,2 --json\n\nExit status: 1 if a case failed.',
    )
    .action(async (suites: readonly string[], options: BenchCommandOptions) => {
      const { allSuites, findBenchmarks, runBenchmarks } = await import('../bench/benchmarks.ts');
      const found = await findBenchmarks(process.cwd(), (message) => cli.stderr.write(`${message}\n`));
      if (options.list) {
        const names = found.flatMap(({ benchmarks }) => allSuites(benchmarks));
        if (options.json) printJson(cli, names);
        else print(cli, names.join('\n'));
        return;
      }
      const { device, threads, quick = false, json } = options;
      const { rows, failures } = await runBenchmarks(found, suites, {
        quick,
        ...(device === undefined ? {} : { devices: device }),
        ...(threads === undefined ? {} : { threads }),
      });
      if (json) {
        printJson(cli, rows);
      } else {
        const { formatBench } = await import('../bench/format-bench.ts');
        const { hasColors } = await import('../report/text-table.ts');
        print(cli, formatBench(rows, { colors: hasColors(cli.stdout) }));
      }
      for (const failure of failures) cli.stderr.write(`${failure}\n`);
      if (failures.length > 0) cli.status = 1;
    });
}

function words(text: string): string[] {
  const names = text.split(',').map((word) => word.trim());
  if (names.includes('')) throw new InvalidArgumentError('Expected names separated by commas.');
  return names;
}

function counts(text: string): number[] {
  return words(text).map(parseCount);
}
