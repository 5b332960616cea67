/** `pnpm bench`: measures, prints tables, and writes results and documents. `--help` lists the options. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StartError } from './harness/peers.ts';
import { HELP, parseOptions, UsageError } from './options.ts';
import { profileTraining } from './profile.ts';
import type { ResultsDocument } from './report/document.ts';
import { textTable } from './report/format.ts';
import { renderMarkdown } from './report/markdown.ts';
import { memoryTable, requirementTable, suitesOf, suiteTable, type Table } from './report/tables.ts';
import { runBenchmarks } from './run.ts';

const PAGES = fileURLToPath(new URL('../../../docs/benchmarks', import.meta.url));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError || error instanceof StartError)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

/** @returns the exit status: 1 if a peer failed or disagreed */
async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  if (options.render) {
    for (const file of readdirSync(PAGES)) {
      if (file.endsWith('.json')) writePage(file.slice(0, -'.json'.length));
    }
    return 0;
  }
  if (options.profile) {
    await profileTraining(options);
    return 0;
  }
  const document = await runBenchmarks(options);
  const text = `${JSON.stringify(document, rounded, 2)}\n`;
  if (options.json === '-') {
    process.stdout.write(text);
  } else {
    print(document);
    if (options.json !== undefined) writeFileSync(options.json, text);
  }
  if (options.write !== undefined) {
    writeFileSync(join(PAGES, `${options.write}.json`), text);
    console.error(`wrote ${writePage(options.write)}`);
  }
  return document.absences.some(({ kind }) => kind === 'failed') ? 1 : 0;
}

/** Makes a page of its results; gives its path. */
function writePage(name: string): string {
  const document = JSON.parse(readFileSync(join(PAGES, `${name}.json`), 'utf8')) as ResultsDocument;
  const page = join(PAGES, `${name}.md`);
  writeFileSync(page, renderMarkdown(document, name));
  return page;
}

/** Five significant digits are more than a measurement has. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
}

function print(document: ResultsDocument): void {
  const section = (title: string, table: Table): void => {
    if (table.rows.length > 0) console.log(`\n${title}\n${textTable(table.head, table.rows, 2)}`);
  };
  for (const suite of suitesOf(document)) section(suite, suiteTable(document, suite));
  section('memory', memoryTable(document));
  section('required', requirementTable(document));
  for (const { suite, name, who, kind, reason } of document.absences) {
    console.log(
      `${kind === 'failed' ? 'FAILED' : 'without a figure'}: ${suite}: ${name}: ${who}: ${reason.split('\n')[0]}`,
    );
  }
  if (document.disturbedSlices > 0) {
    console.log(`\nOther programs were busy in ${document.disturbedSlices} of ${document.slices} slices.`);
  }
}
