/** Writes `report.html` into a run folder. */

import { resolve } from 'node:path';
import { runPaths, writeText } from '../run-folder.ts';
import { gatherReportData, type ReportedExperiment } from './report-data.ts';

/**
 * Makes the report of a run, finished or not, and writes it as one self-contained file.
 *
 * @param experiment what was run; without it (the report is made where its package isn't installed), titles, claims and
 *   published numbers are those stored with the run
 * @returns the report's path
 * @throws UsageError if the folder isn't a run
 * @throws CorruptFileError if its files can't be read
 */
export async function writeReport(runFolder: string, experiment?: ReportedExperiment): Promise<string> {
  // What draws is loaded only where a report is made: experiments import this package too, and shall start quickly.
  const { reportPage } = await import('./report-page.ts');
  const path = runPaths(resolve(runFolder)).report;
  await writeText(path, reportPage(await gatherReportData(runFolder, experiment)));
  return path;
}
