/** `fwp report`: makes the reports of runs again, as pages or as Markdown for a README. */

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import type { Experiment } from '../experiment.ts';
import type { RunConfig } from '../run-folder.ts';
import { type CliContext, print, printJson } from './cli-context.ts';

interface ReportOptions {
  readonly markdown?: boolean;
  readonly update?: string;
  readonly json?: boolean;
}

const HELP = `
Titles, claims and published numbers come from the experiment; where its package isn't installed, from the run folder.

A README gets the results between two lines, which --update looks for (experiment and preset as in the run):
  <!-- fwp results: deltanet/capacity quick -->
  <!-- fwp end -->

Examples:
  fwp report runs/deltanet-capacity/quick-20260131-154502-3fa1
  fwp report runs/deltanet-capacity/*
  fwp report runs/deltanet-capacity/quick-20260131-154502-3fa1 --update README.md`;

/** Adds the command. */
export function addReportCommand(program: Command, cli: CliContext): void {
  program
    .command('report')
    .description('makes report.html of runs again, from their folders')
    .argument('<runs...>', "folders that 'fwp run' made, finished or not")
    .option('--markdown', 'print the results as Markdown instead')
    .option('--update <file>', 'put the results as Markdown into a README instead')
    .option('--json', 'one JSON document')
    .addHelpText('after', HELP)
    .action(async (folders: readonly string[], options: ReportOptions) => {
      if (options.markdown || options.update !== undefined) await writeMarkdown(cli, folders, options);
      else await writePages(cli, folders, options);
    });
}

async function writePages(cli: CliContext, folders: readonly string[], { json }: ReportOptions): Promise<void> {
  const { readRun } = await import('../run-folder.ts');
  const { runDocument } = await import('../run-document.ts');
  const { evaluateClaims } = await import('../report/claims.ts');
  const { writeReport } = await import('../report/write-report.ts');
  const documents = [];
  for (const folder of folders) {
    const run = await readRun(folder);
    const experiment = await experimentOf(cli, folder, run.config);
    const report = await writeReport(folder, experiment);
    const claims = experiment === undefined ? run.results.claims : evaluateClaims(experiment, run.results.rows);
    documents.push({ ...runDocument(run), claims, published: experiment?.published ?? run.results.published });
    if (!json) print(cli, report);
  }
  if (json) printJson(cli, documents);
}

async function writeMarkdown(cli: CliContext, folders: readonly string[], options: ReportOptions): Promise<void> {
  const { gatherReportData } = await import('../report/report-data.ts');
  const { markdownReport, updateReadme } = await import('../report/markdown-report.ts');
  const { readRun, writeText } = await import('../run-folder.ts');
  const { update, json } = options;
  const documents = [];
  let readme = update === undefined ? '' : await readReadme(update);
  for (const folder of folders) {
    const { config } = await readRun(folder);
    const markdown = markdownReport(await gatherReportData(folder, await experimentOf(cli, folder, config)));
    documents.push({ id: config.id, preset: config.preset, runDir: folder, markdown });
    if (update !== undefined) readme = updateReadme(readme, `${config.id} ${config.preset}`, markdown);
  }
  if (update !== undefined) await writeText(update, readme);
  if (json) printJson(cli, documents);
  else print(cli, update ?? documents.map(({ markdown }) => markdown).join('\n\n'));
}

async function readReadme(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--update ${path}: the file can't be read (${(error as Error).message}).`);
  }
}

/** The experiment of a run; undefined, with a message, where it can't be loaded. */
async function experimentOf(cli: CliContext, folder: string, config: RunConfig): Promise<Experiment | undefined> {
  const { experimentOfRun } = await import('../experiment-of-run.ts');
  try {
    return await experimentOfRun(folder, config, () => undefined);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    cli.stderr.write(
      `${config.id} can't be loaded here: its report has the claims and published numbers stored with the run.\n`,
    );
    return undefined;
  }
}
