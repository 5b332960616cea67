/** The command line. */

import { parseArgs } from 'node:util';
import { GPU_SUITE, SUITES } from './catalog.ts';
import { DEVICES, type DeviceName, PEERS, type PeerName } from './harness/peers.ts';

/** What was asked for. */
export interface Options {
  readonly suites: readonly string[];
  /** What names of cases must match; any, if undefined. */
  readonly cases: RegExp | undefined;
  /** Those that are there, if undefined. */
  readonly devices: readonly DeviceName[] | undefined;
  /** Those that are there, if undefined. */
  readonly peers: readonly PeerName[] | undefined;
  readonly threads: readonly number[];
  readonly quick: boolean;
  /** Milliseconds that the run may wait in all for other programs to become quiet. */
  readonly patience: number;
  /** A remark for the document. */
  readonly note: string | undefined;
  readonly json: string | undefined;
  /** The page to write. */
  readonly write: string | undefined;
  readonly render: boolean;
  readonly profile: boolean;
  readonly help: boolean;
}

/** A mistake on the command line; the message says what is possible. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const HELP: string = `Measures @fwp/core against tfjs and PyTorch, in turn and in one run.

  pnpm bench [options]

  --suite a,b      ${SUITES.join(', ')} (default: all but ${GPU_SUITE})
  --cases PATTERN  only cases whose names match a regular expression, for example '^delta rule' (default: all)
  --device a,b     ours: ${DEVICES.join(', ')} (default: native, where it was built, and wasm; webgpu for
                   --suite ${GPU_SUITE})
  --peers a,b      ${PEERS.join(', ')}, or none
                   (default: those that are there and compute on a processor; on a GPU for --suite ${GPU_SUITE})
  --threads 1,2    thread counts of native, wasm and pytorch (default: 1,2)
  --quick          fewer cases, fewer and shorter rounds: a look, not a result
  --patience N     seconds to wait in all for other programs to become quiet (default: 600)
  --note TEXT      a circumstance that readers of the page must know
  --json FILE      writes everything that was measured; '-' is the standard output
  --write PAGE     writes docs/benchmarks/PAGE.json and PAGE.md
  --render         writes all pages in docs/benchmarks again from their results and measures nothing
  --profile        times nothing, but tells where the time of the training suite goes, by kernel
  --help           this text
`;

/**
 * Reads the command line.
 *
 * @throws UsageError for an unknown option or value
 */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  return {
    suites:
      values.suite === undefined
        ? SUITES.filter((suite) => suite !== GPU_SUITE)
        : choices('--suite', values.suite, SUITES),
    cases: values.cases === undefined ? undefined : pattern(values.cases),
    devices: values.device === undefined ? undefined : choices('--device', values.device, DEVICES),
    peers:
      values.peers === undefined ? undefined : values.peers === 'none' ? [] : choices('--peers', values.peers, PEERS),
    threads: values.threads === undefined ? [1, 2] : values.threads.split(',').map(threadCount),
    quick: values.quick === true,
    patience: 1000 * seconds(values.patience ?? '600'),
    note: values.note,
    json: values.json,
    write: values.write === undefined ? undefined : pageName(values.write),
    render: values.render === true,
    profile: values.profile === true,
    help: values.help === true,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        suite: { type: 'string' },
        cases: { type: 'string' },
        device: { type: 'string' },
        peers: { type: 'string' },
        threads: { type: 'string' },
        quick: { type: 'boolean' },
        patience: { type: 'string' },
        note: { type: 'string' },
        json: { type: 'string' },
        write: { type: 'string' },
        render: { type: 'boolean' },
        profile: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}. 'pnpm bench --help' lists the options.`);
  }
}

function choices<T extends string>(option: string, text: string, known: readonly T[]): T[] {
  const wanted = text.split(',').map((word) => word.trim());
  for (const word of wanted) {
    if ((known as readonly string[]).includes(word)) continue;
    const near = nearest(word, known);
    const hint = near === undefined ? '' : ` Did you mean '${near}'?`;
    throw new UsageError(`${option}: there is no '${word}'.${hint} Choose among ${known.join(', ')}.`);
  }
  return known.filter((word) => wanted.includes(word));
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new UsageError(`--cases: ${(error as Error).message}. Write for example --cases '^delta rule'.`);
  }
}

function threadCount(word: string): number {
  const count = Number(word);
  if (Number.isInteger(count) && count >= 1 && count <= 64) return count;
  throw new UsageError(`--threads: '${word}' is not a whole number from 1 to 64. Write for example --threads 1,2.`);
}

function pageName(word: string): string {
  if (/^[a-z][a-z0-9-]*$/.test(word)) return word;
  throw new UsageError(
    `--write: '${word}' is not the name of a page. Write small letters and '-': --write tensor-core.`,
  );
}

function seconds(word: string): number {
  const value = Number(word);
  if (value >= 0 && Number.isFinite(value)) return value;
  throw new UsageError(`--patience: '${word}' is not a number of seconds.`);
}

/** The known word with the fewest edits, if it is close. */
export function nearest<T extends string>(word: string, known: readonly T[]): T | undefined {
  const distances = known.map((candidate) => editDistance(word.toLowerCase(), candidate));
  const best = Math.min(...distances);
  return best <= Math.max(2, word.length / 3) ? known[distances.indexOf(best)] : undefined;
}

/** Insertions, deletions and replacements that turn `a` into `b` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
