/**
 * A corpus: text in files on this machine, divided into training, validation and test.
 *
 * - `openCorpus(name)`: one of the known corpora, from the data folder, fetched if it isn't there.
 * - `textCorpus(path)`: any file of the user's.
 */

import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import envPaths from 'env-paths';
import { mapSplits, type Split } from '../task.ts';
import { openByteFile } from './byte-file.ts';
import { type CorpusDescription, type CorpusName, corpora } from './catalog.ts';
import { CorruptDataError, type FileIdentity, verifyFile } from './checksum.ts';
import { type DownloadOptions, download } from './download.ts';
import { extractFromZip } from './unzip.ts';

/** The bytes of a file from `begin` to before `end`. */
export interface TextPart {
  readonly path: string;
  readonly begin: number;
  readonly end: number;
}

/** Text in files, divided into splits. */
export interface Corpus {
  /** Name of a known corpus, or path of the user's file. */
  readonly name: string;
  /** Where the text of each split is. */
  readonly splits: Readonly<Record<Split, TextPart>>;
}

/** Thrown when a text isn't on this machine and can't be fetched; the message says what is expected where. */
export class MissingDataError extends Error {
  override name = 'MissingDataError';
}

/** Options of {@link openCorpus}. */
export interface OpenCorpusOptions extends DownloadOptions {
  /** Folder of all corpora. Default: the environment variable `FWP_DATA_DIR`, else the user's cache folder. */
  readonly dataDir?: string;
  /** Whether to download what isn't there. Default `true`. */
  readonly download?: boolean;
}

/** Where corpora are kept: `FWP_DATA_DIR` if that is set, else `fwp` in the user's cache folder. */
export function dataFolder(): string {
  return resolve(process.env['FWP_DATA_DIR'] || envPaths('fwp', { suffix: '' }).cache);
}

/**
 * Opens a known corpus, after fetching and unpacking it if need be. Files live in `<dataDir>/<name>`. Each is compared with
 * its checksum before its first use in a process; a wrong one is kept aside as `<file>.corrupt`, with a warning, and
 * fetched anew.
 *
 * @throws MissingDataError if it isn't there and can't be downloaded
 * @throws RangeError if there is no corpus of this name
 */
export async function openCorpus(name: CorpusName, options: OpenCorpusOptions = {}): Promise<Corpus> {
  const description = corpora[name];
  if (description === undefined) {
    throw new RangeError(`There is no corpus "${name}"; there are ${Object.keys(corpora).join(', ')}.`);
  }
  return openDescribedCorpus(name, description, options);
}

/** {@link openCorpus} for any description. */
export async function openDescribedCorpus(
  name: string,
  { source, members, splits }: CorpusDescription,
  { dataDir = dataFolder(), download: mayDownload = true, ...options }: OpenCorpusOptions,
): Promise<Corpus> {
  const folder = join(resolve(dataDir), name);
  const sourcePath = join(folder, source.name);
  const fetchSource = async () => {
    if (await isUsable(sourcePath, source)) return;
    if (!mayDownload) throw new MissingDataError(instructions(name, source, sourcePath, 'downloads are switched off'));
    await download(source.url, sourcePath, source, options).catch((error: Error) => {
      if (options.signal?.aborted) throw error;
      throw new MissingDataError(instructions(name, source, sourcePath, error.message), { cause: error });
    });
  };
  if (members === undefined) {
    await fetchSource();
  } else {
    const areThere = await Promise.all(members.map((file) => isUsable(join(folder, file.name), file)));
    const missing = members.filter((_, i) => !areThere[i]);
    if (missing.length > 0) {
      await fetchSource();
      await extractFromZip(sourcePath, new Map(missing.map(({ member, name }) => [member, join(folder, name)])));
      for (const file of missing) await verifyFile(join(folder, file.name), file);
    }
  }
  const partOf = ({ file, ...range }: CorpusDescription['splits'][Split]) => textPart(join(folder, file), range);
  return {
    name,
    splits: { train: partOf(splits.train), validation: partOf(splits.validation), test: partOf(splits.test) },
  };
}

/** Whether a file is there and right. One that is wrong is out of the way after this. */
async function isUsable(path: string, identity: FileIdentity): Promise<boolean> {
  return verifyFile(path, identity).catch((error: Error) => {
    if (!(error instanceof CorruptDataError)) throw error;
    process.emitWarning(error.message, error.name);
    return false;
  });
}

function instructions(name: string, source: CorpusDescription['source'], path: string, reason: string): string {
  const size = source.bytes === undefined ? '' : `${source.bytes} bytes, `;
  return [
    `The corpus ${name} is not on this machine and was not downloaded: ${reason.replace(/\.$/, '')}.`,
    'To provide it by hand, fetch',
    `  ${source.url}`,
    `  (${size}${source.checksum})`,
    'and put it at',
    `  ${path}`,
    `Another folder than ${resolve(path, '../..')} can be chosen with the environment variable FWP_DATA_DIR.`,
  ].join('\n');
}

/** How {@link textCorpus} divides a single file. */
export interface TextCorpusOptions {
  /** Shares of the file for validation and test, taken from its end. Default 0.05 each. */
  readonly validation?: number;
  /** See `validation`. */
  readonly test?: number;
}

/**
 * Any text of the user's: one file, which is divided (90 % training, then validation, then test), or a file for each split.
 * Divisions are moved to the next beginning of a UTF-8 character. A byte order mark at the beginning of a file is no part of it.
 *
 * @throws MissingDataError if there is no such file, or nothing in it
 * @throws Error if a file can't be read
 */
export function textCorpus(
  path: string | Readonly<Record<Split, string>>,
  { validation = 0.05, test = 0.05 }: TextCorpusOptions = {},
): Corpus {
  if (typeof path !== 'string') {
    return { name: path.train, splits: mapSplits(path, wholeText) };
  }
  if (!(validation >= 0 && test >= 0 && validation + test < 1)) {
    throw new RangeError(
      `textCorpus: validation and test must be shares that leave something for training, but are ${validation} and ${test}.`,
    );
  }
  const whole = wholeText(path);
  const boundaryAt = (share: number) =>
    characterBoundary(path, whole.begin + Math.round((whole.end - whole.begin) * share));
  const first = boundaryAt(1 - validation - test);
  const second = boundaryAt(1 - test);
  return {
    name: path,
    splits: {
      train: { ...whole, end: first },
      validation: { path, begin: first, end: second },
      test: { ...whole, begin: second },
    },
  };
}

/** Part of a file that is there. */
function textPart(path: string, { begin = 0, end }: { readonly begin?: number; readonly end?: number }): TextPart {
  return { path, begin, end: end ?? statSync(path).size };
}

/** All of a file of the user's but its byte order mark. */
function wholeText(path: string): TextPart {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new MissingDataError(`There is no file '${path}'; expected one with text.`);
  if (found.isDirectory()) throw new MissingDataError(`${path} is a folder; expected a file with text.`);
  const file = openByteFile(path);
  const start = file.read(0, Math.min(BYTE_ORDER_MARK.length, file.length));
  file.close();
  const begin = BYTE_ORDER_MARK.every((byte, i) => byte === start[i]) ? BYTE_ORDER_MARK.length : 0;
  if (begin === file.length) throw new MissingDataError(`${path} is empty; expected a file with text.`);
  return { path, begin, end: file.length };
}

/** What some programs put before UTF-8. */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** The first place from `position` on where a UTF-8 character may begin. */
function characterBoundary(path: string, position: number): number {
  const file = openByteFile(path);
  const next = file.read(position, Math.min(position + 4, file.length));
  file.close();
  return (
    position +
    Math.max(
      0,
      next.findIndex((byte) => (byte & 0xc0) !== 0x80),
    )
  );
}
