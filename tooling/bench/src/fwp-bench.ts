/** What `fwp bench` runs: the same measurements as `pnpm bench`, as rows. */

import { GPU_SUITE, MEMORY_SUITE, SUITES } from './catalog.ts';
import { parseOptions } from './options.ts';
import type { Row } from './report/rows.ts';
import { runBenchmarks } from './run.ts';

/** What @fwp/lab expects of a package with benchmarks. */
interface Benchmarks {
  readonly suites: readonly string[];
  readonly onRequest: readonly string[];
  run(options: {
    readonly suites: readonly string[];
    readonly devices?: readonly string[];
    readonly threads?: readonly number[];
    readonly quick: boolean;
  }): Promise<{ rows: readonly Row[]; failures: readonly string[] }>;
}

export const benchmarks: Benchmarks = {
  // The memory test isn't a timing.
  suites: SUITES.filter((suite) => suite !== MEMORY_SUITE && suite !== GPU_SUITE),
  onRequest: [GPU_SUITE],

  async run({ suites, devices, threads, quick }) {
    const { absences, rows } = await runBenchmarks(
      parseOptions([
        ...['--suite', suites.join(',')],
        ...(devices === undefined ? [] : ['--device', devices.join(',')]),
        ...(threads === undefined ? [] : ['--threads', threads.join(',')]),
        ...(quick ? ['--quick'] : []),
      ]),
    );
    const failed = absences.filter(({ kind }) => kind === 'failed');
    return {
      rows: rows.filter(({ suite }) => suites.includes(suite)),
      failures: failed.map(({ suite, name, who, reason }) => `${suite}: ${name}: ${who}: ${reason.split('\n')[0]}`),
    };
  },
};
