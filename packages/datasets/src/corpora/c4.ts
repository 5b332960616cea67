/**
 * A slice of C4, the cleaned English web of Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
 * Transformer" (2020), or of any collection in the same form: files of JSON lines, gzipped or not, whose field `text` is a document.
 * Documents follow one another with a line end after each, until a part has as many bytes as are wanted.
 *
 * The files are published at https://huggingface.co/datasets/allenai/c4, in 1024 parts for training and 8 for validation, and are
 * not downloaded from here:
 *
 *     <dataDir>/c4/c4-train.*.json.gz        the more, the more text
 *     <dataDir>/c4/c4-validation.*.json.gz
 */

import { createReadStream, existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { assertInteger } from '../task.ts';
import { CorruptDataError } from './checksum.ts';
import { type Corpus, dataFolder, MissingDataError, textCorpus } from './corpus.ts';
import { namePart, writePart } from './partial-file.ts';

/** Options of {@link openC4}. */
export interface C4Options {
  /** Folder of all data. Default: the environment variable `FWP_DATA_DIR`, else the user's cache folder. */
  readonly dataDir?: string;
  /** Bytes of text for training. Default 100 million. */
  readonly trainBytes?: number;
  /** Bytes of text for validation, and as many for test, which follow those. Default 1 million. */
  readonly validationBytes?: number;
}

const HOMEPAGE = 'https://huggingface.co/datasets/allenai/c4';

/**
 * Opens a slice of C4. The text is written to files beside the published ones when a slice of this size is opened first.
 *
 * @throws MissingDataError if the published files aren't there or are too few
 * @throws CorruptDataError if one of them is damaged
 */
export async function openC4({
  dataDir = dataFolder(),
  trainBytes = 100_000_000,
  validationBytes = 1_000_000,
}: C4Options = {}): Promise<Corpus> {
  assertInteger('openC4: trainBytes', trainBytes, 1);
  assertInteger('openC4: validationBytes', validationBytes, 1);
  const folder = join(resolve(dataDir), 'c4');
  const pathOf = (name: string) => join(folder, `${name}-${trainBytes}-${validationBytes}.txt`);
  const paths = { train: pathOf('train'), validation: pathOf('validation'), test: pathOf('test') };
  if (!existsSync(paths.train)) await writeSlices('train', [[paths.train, trainBytes]], folder);
  if (!existsSync(paths.test)) {
    const slices = [paths.validation, paths.test].map((path) => [path, validationBytes] as const);
    await writeSlices('validation', slices, folder);
  }
  return textCorpus(paths);
}

/** Writes so many bytes of a part's documents to one file after the other; a slice ends with the document that fills it. */
async function writeSlices(
  part: string,
  slices: readonly (readonly [path: string, bytes: number])[],
  folder: string,
): Promise<void> {
  const documents = documentsOf(publishedFiles(folder, part));
  for (const [path, wanted] of slices) {
    const writer = await writePart(path);
    let isComplete = false;
    try {
      while (writer.position < wanted) {
        const { done, value } = await documents.next();
        if (done)
          throw new MissingDataError(instructions(folder, `they have only ${writer.position} bytes of ${wanted}`));
        await writer.write(new TextEncoder().encode(`${value}\n`));
      }
      isComplete = true;
    } finally {
      await writer.close(isComplete);
    }
    await namePart(path);
  }
  await documents.return();
}

/** The published files of a part, in the order of their names. */
function publishedFiles(folder: string, part: string): string[] {
  const isOfPart = (name: string) => name.startsWith(`c4-${part}.`) && /\.json(\.gz)?$/.test(name);
  const names = existsSync(folder) ? readdirSync(folder).filter(isOfPart).sort() : [];
  if (names.length === 0) throw new MissingDataError(instructions(folder, `there is no c4-${part}.*.json.gz`));
  return names.map((name) => join(folder, name));
}

/** The documents in files. */
async function* documentsOf(paths: readonly string[]): AsyncGenerator<string, void> {
  for (const path of paths) {
    let number = 0;
    for await (const line of linesOfFile(path)) {
      number += 1;
      if (line !== '') yield documentOf(line, path, number);
    }
  }
}

/** The lines of a file, gzipped if its name says so. */
async function* linesOfFile(path: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  const content = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  // Depending on its version, Node ends the lines of a stream that fails without telling.
  let failure: Error | undefined;
  content.on('error', (error: Error) => {
    failure = error;
  });
  let number = 0;
  try {
    for await (const line of createInterface({ input: content, crlfDelay: Number.POSITIVE_INFINITY })) {
      number += 1;
      yield line;
    }
  } catch (error) {
    failure = error as Error;
  } finally {
    file.destroy();
  }
  if (failure !== undefined) {
    throw new CorruptDataError(path, `${path} is damaged after line ${number}: ${failure.message}.`, {
      cause: failure,
    });
  }
}

function documentOf(line: string, path: string, number: number): string {
  try {
    const { text } = JSON.parse(line) as { readonly text?: unknown };
    if (typeof text === 'string') return text;
  } catch (error) {
    throw new CorruptDataError(path, `${path}, line ${number}, is not JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
  throw new CorruptDataError(path, `${path}, line ${number}, has no field text.`);
}

function instructions(folder: string, reason: string): string {
  return [
    `C4 is not on this machine, or not enough of it: ${reason}.`,
    `Fetch files en/c4-train.*.json.gz and en/c4-validation.*.json.gz from ${HOMEPAGE}`,
    `and put them into ${folder}.`,
    'Another folder for all data can be chosen with the environment variable FWP_DATA_DIR.',
  ].join('\n');
}
