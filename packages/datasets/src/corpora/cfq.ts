/**
 * CFQ: questions about Freebase and the SPARQL queries that answer them, divided so that compounds of known words are new.
 *
 * Keysers et al., "Measuring Compositional Generalization: A Comprehensive Method on Realistic Data" (ICLR 2020). The files
 * are those of the archive cfq1.1.tar.gz of its authors, which has to be unpacked by hand.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openByteFile } from './byte-file.ts';
import { CorruptDataError } from './checksum.ts';
import { pairsFromFiles, type SentencePairFiles, type WordPair, wordsBetweenSpaces } from './sentence-pair-files.ts';

/** Parts of {@link openCfq}. */
export type CfqPart = 'train' | 'validation' | 'test';

/**
 * Reads `dataset.json` and a division of it, `splits/<split>.json`, for example `mcd1` or `query_complexity_split`.
 *
 * The question is the field questionPatternModEntities with spaces around punctuation, the target sparqlPatternModEntities with
 * spaces in `count ( * )` and without the prefixes `ns:`, as is usual for this data set.
 *
 * @throws CorruptDataError if a file is not of this form
 */
export function openCfq(folder: string, split: string): SentencePairFiles<CfqPart> {
  const splitPath = join(folder, 'splits', `${split}.json`);
  const indices = JSON.parse(readFileSync(splitPath, 'utf8')) as Record<string, unknown>;
  const dataPath = join(folder, 'dataset.json');
  const pairs = Array.from(objectsOf(dataPath), (example, i): WordPair => {
    const { questionPatternModEntities: question, sparqlPatternModEntities: query } = example;
    if (typeof question === 'string' && typeof query === 'string') return [questionWords(question), queryWords(query)];
    throw new CorruptDataError(
      dataPath,
      `${dataPath}: example ${i} lacks questionPatternModEntities or sparqlPatternModEntities.`,
    );
  });
  const partOf = (field: string): WordPair[] => {
    const numbers = indices[field];
    if (!Array.isArray(numbers)) throw new CorruptDataError(splitPath, `${splitPath} has no list ${field}.`);
    return numbers.map((number: unknown) => {
      const pair = pairs[number as number];
      if (pair === undefined)
        throw new CorruptDataError(splitPath, `${splitPath}: there is no example ${String(number)} in ${dataPath}.`);
      return pair;
    });
  };
  const parts = { train: partOf('trainIdxs'), validation: partOf('devIdxs'), test: partOf('testIdxs') };
  return pairsFromFiles(parts, false);
}

function questionWords(question: string): string[] {
  return wordsBetweenSpaces(question.replaceAll(/[!-/:-@[-`{-~]/g, ' $& '));
}

function queryWords(query: string): string[] {
  const spaced = query.replaceAll('count(*)', 'count ( * )').replaceAll('\\n', ' ');
  return wordsBetweenSpaces(spaced).map((word) => word.replace(/^ns:/, '').replace(/^m\./, 'm_'));
}

/** Bytes of a file that are read at once. */
const CHUNK = 1 << 22;

/** The objects of a JSON array in a file too large to be parsed as a whole, one after the other. */
function* objectsOf(path: string): Generator<Record<string, unknown>, void> {
  const file = openByteFile(path);
  const [quote, backslash, open, close] = [0x22, 0x5c, 0x7b, 0x7d];
  let [depth, begin, isInString, isEscaped] = [0, 0, false, false];
  try {
    for (let at = 0; at < file.length; at += CHUNK) {
      const bytes = file.read(at, Math.min(at + CHUNK, file.length));
      for (let i = 0; i < bytes.length; i++) {
        const byte = bytes[i];
        if (isInString) {
          if (isEscaped) isEscaped = false;
          else if (byte === backslash) isEscaped = true;
          else if (byte === quote) isInString = false;
        } else if (byte === quote) isInString = true;
        else if (byte === open && depth++ === 0) begin = at + i;
        else if (byte === close && --depth === 0) {
          yield JSON.parse(new TextDecoder().decode(file.read(begin, at + i + 1))) as Record<string, unknown>;
        }
      }
    }
  } finally {
    file.close();
  }
}
