/** What `fwp run` and `fwp resume` share: signals such as Ctrl-C, and what is shown in the end. */

import type { Command } from 'commander';
import type { Progress } from '../progress.ts';
import type { RunRecord } from '../run-folder.ts';
import { shellWord } from '../shell-word.ts';
import { CLAIM_STATUS, type CliContext, parseCount, print, printJson } from './cli-context.ts';

/** Options of both commands. */
export interface SessionCommandOptions {
  readonly json?: boolean;
  readonly strict?: boolean;
  readonly quiet?: boolean;
  readonly checkpointEvery?: number;
}

/** Adds the options of both commands. */
export function addSessionOptions(command: Command): Command {
  return command
    .option(
      '--checkpoint-every <steps>',
      'write a checkpoint every so many steps, besides those every 30 s',
      parseCount,
    )
    .option('--strict', 'exit with status 3 if a claim fails')
    .option('--quiet', 'show no progress')
    .option('--json', 'one JSON document on stdout; progress goes to stderr');
}

/** Signals that ask a process to end, with their numbers. */
const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/** Signals within so many milliseconds are one: terminals and package managers may each send the same Ctrl-C. */
const SAME_SIGNAL = 100;

/**
 * Runs something that can be interrupted: at the first signal it may write a checkpoint, at the second the process ends.
 * Afterwards the result is shown and the status set.
 */
export async function runSession(
  cli: CliContext,
  options: SessionCommandOptions,
  run: (session: { readonly signal: AbortSignal; readonly progress: Progress }) => Promise<RunRecord>,
): Promise<void> {
  const progress = await progressOf(cli, options);
  const onStop = (): void => progress.warn('Stopping at the next step, with a checkpoint; once more stops at once.');
  await withSignals(cli, onStop, async (signal) => {
    const record = await run({ signal, progress });
    if (record.results.state === 'complete') await showResults(cli, record, options);
    else await showInterruption(cli, record);
  });
}

/** What is shown while something goes on. */
export async function progressOf(cli: CliContext, { quiet }: { readonly quiet?: boolean }): Promise<Progress> {
  const { quietProgress, textProgress } = await import('../progress.ts');
  return quiet ? quietProgress(cli.stderr) : textProgress(cli.stderr);
}

/**
 * Does something on the device that the first signal stops by an AbortSignal, and the second by the end of the process.
 *
 * @param onStop is called at the first
 */
export async function withSignals(
  cli: CliContext,
  onStop: () => void,
  action: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { dispose } = await import('@fwp/core');
  const controller = new AbortController();
  let interrupted = Number.POSITIVE_INFINITY;
  const onSignal = (signal: NodeJS.Signals): void => {
    const status = 128 + SIGNALS[signal as keyof typeof SIGNALS];
    const now = performance.now();
    if (now - interrupted > SAME_SIGNAL) process.exit(status);
    if (controller.signal.aborted) return;
    interrupted = now;
    cli.status = status;
    controller.abort();
    onStop();
  };
  const signals = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[];
  for (const signal of signals) process.on(signal, onSignal);
  try {
    await action(controller.signal);
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    await dispose();
  }
}

async function showInterruption(cli: CliContext, { folder, results, config }: RunRecord): Promise<void> {
  const all = config.trials * config.seeds.length;
  cli.stderr.write(
    `Interrupted with ${results.rows.length} of ${all} trials finished. Go on with: fwp resume ${shellWord(folder)}\n`,
  );
}

/** The table, the claims and where the report is; or the JSON document. */
async function showResults(cli: CliContext, record: RunRecord, options: SessionCommandOptions): Promise<void> {
  const { results, config, folder } = record;
  const { runPaths } = await import('../run-folder.ts');
  // A signal that came too late to interrupt anything.
  cli.status = options.strict && results.claims.some(({ pass }) => pass === false) ? CLAIM_STATUS : 0;
  if (options.json) {
    const { runDocument } = await import('../run-document.ts');
    printJson(cli, runDocument(record));
    return;
  }
  const { formatTable } = await import('../report/format-table.ts');
  const { formatClaims } = await import('../report/format-claims.ts');
  const { keyFieldsOf } = await import('../report/report-data.ts');
  const { formatDuration } = await import('../report/number-format.ts');
  const { hasColors } = await import('../report/text-table.ts');
  const colors = hasColors(cli.stdout);
  const layout = config.report;
  const { rows, published, claims, seconds } = results;
  const table = { layout, keyFields: keyFieldsOf(record, layout), rows, published };
  const { columns: width } = cli.stdout;
  print(cli, `\n${formatTable(table, { colors, ...(width === undefined ? {} : { width }) })}`);
  if (claims.length > 0) print(cli, `\n${formatClaims(claims, { colors })}`);
  print(cli, `\n${formatDuration(seconds)}. Report: ${runPaths(folder).report}`);
}
