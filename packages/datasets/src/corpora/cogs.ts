/**
 * COGS: English sentences and their logical forms, with a generalisation set of words and structures in new places.
 *
 * Kim, Linzen, "COGS: A Compositional Generalization Challenge Based on Semantic Interpretation" (EMNLP 2020). The files are
 * in the folder `data` of github.com/najoungkim/COGS.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CorruptDataError } from './checksum.ts';
import { pairsFromFiles, type SentencePairFiles, type WordPair, wordsBetweenSpaces } from './sentence-pair-files.ts';

/** Parts of {@link openCogs}: the files train, dev, test and gen. */
export type CogsPart = 'train' | 'validation' | 'test' | 'generalization';

/** COGS, from its files. */
export interface Cogs extends SentencePairFiles<CogsPart> {
  /** Last column of the files: what each example is about, for accuracies by case. */
  readonly cases: Readonly<Record<CogsPart, readonly string[]>>;
}

/**
 * Reads `train.tsv`, `dev.tsv`, `test.tsv` and `gen.tsv`. Inputs and targets share a vocabulary, that of all four files.
 *
 * @throws CorruptDataError if a line of a file hasn't three columns
 */
export function openCogs(folder: string): Cogs {
  const read = (name: string) => {
    const path = join(folder, name);
    const lines = readFileSync(path, 'utf8').split(/\r?\n/);
    if (lines.at(-1) === '') lines.pop();
    return lines.map((line, i) => {
      const columns = line.split('\t');
      if (columns.length === 3) return columns as [string, string, string];
      throw new CorruptDataError(
        path,
        `${path}: line ${i + 1} should have 3 columns between tabs, but has ${columns.length}.`,
      );
    });
  };
  const rows = {
    train: read('train.tsv'),
    validation: read('dev.tsv'),
    test: read('test.tsv'),
    generalization: read('gen.tsv'),
  };
  const mapRows = <T>(map: (row: readonly [string, string, string]) => T): Record<CogsPart, T[]> => ({
    train: rows.train.map(map),
    validation: rows.validation.map(map),
    test: rows.test.map(map),
    generalization: rows.generalization.map(map),
  });
  const pairs = mapRows(([input, target]): WordPair => [wordsBetweenSpaces(input), wordsBetweenSpaces(target)]);
  return { ...pairsFromFiles(pairs, true), cases: mapRows(([, , name]) => name) };
}
