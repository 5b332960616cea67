/**
 * Mathematics: questions of school mathematics and their answers, by character.
 *
 *     What is the hundreds digit of 31253?   →   2
 *
 * Saxton, Grefenstette, Hill, Kohli, "Analysing Mathematical Reasoning Abilities of Neural Models" (ICLR 2019). The files are
 * those of the archive mathematics_dataset-v1.0.tar.gz of its authors, which has to be unpacked by hand.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../random.ts';
import { assertInteger, type TaskOptions } from '../task.ts';
import { CorruptDataError } from './checksum.ts';
import { pairsFromFiles, type SentencePairFiles, type WordPair } from './sentence-pair-files.ts';

/** Parts of {@link openMathematics}. */
export type MathematicsPart = 'train' | 'iid' | 'interpolate' | 'extrapolate';

/** Options of {@link openMathematics}. */
export interface MathematicsOptions extends TaskOptions {
  /** Training files to use. Default: all three. */
  readonly difficulties?: readonly ('easy' | 'medium' | 'hard')[];
  /** Questions of each difficulty that are not for training, but for `iid`. Default 10,000. */
  readonly iidExamples?: number;
}

/** Name of the space in the vocabulary of {@link openMathematics}. */
export const MATHEMATICS_SPACE = '␣';

/**
 * Reads a module, for example `numbers__place_value` or `arithmetic__add_or_sub`: `train-<difficulty>/<module>.txt`,
 * `interpolate/<module>.txt` and the file of `extrapolate` whose name begins with the module, if there is one. Of questions
 * that are there several times the first is taken, so that none is in two parts.
 *
 * Characters are words of one vocabulary for questions and answers; the space is called {@link MATHEMATICS_SPACE}.
 *
 * @throws CorruptDataError if a file has a question without an answer
 */
export function openMathematics(
  folder: string,
  module: string,
  { difficulties = ['easy', 'medium', 'hard'], iidExamples = 10_000, seed = 0 }: MathematicsOptions = {},
): SentencePairFiles<MathematicsPart> {
  assertInteger('openMathematics: iidExamples', iidExamples, 0);
  const known = new Set<string>();
  const read = (...path: string[]): WordPair[] => {
    const file = join(folder, ...path);
    const lines = readFileSync(file, 'utf8').split(/\r?\n/);
    if (lines.at(-1) === '') lines.pop();
    if (lines.length % 2 === 1) throw new CorruptDataError(file, `${file} ends with a question without an answer.`);
    const pairs: WordPair[] = [];
    for (let i = 0; i < lines.length; i += 2) {
      const [question, answer] = [(lines[i] as string).trim(), (lines[i + 1] as string).trim()];
      if (known.has(question)) continue;
      known.add(question);
      pairs.push([charactersOf(question), charactersOf(answer)]);
    }
    return pairs;
  };
  const [train, iid]: [WordPair[], WordPair[]] = [[], []];
  for (const difficulty of difficulties) {
    const pairs = read(`train-${difficulty}`, `${module}.txt`);
    assertInteger(`openMathematics: iidExamples of ${difficulty}`, iidExamples, 0, pairs.length);
    const random = createRandom(seed, 'mathematics', module, difficulty);
    const chosen = new Set(random.sample(pairs.length, iidExamples));
    for (const [i, pair] of pairs.entries()) (chosen.has(i) ? iid : train).push(pair);
  }
  const interpolate = read('interpolate', `${module}.txt`);
  const extrapolation = existsSync(join(folder, 'extrapolate'))
    ? readdirSync(join(folder, 'extrapolate')).find((name) => name.startsWith(module))
    : undefined;
  const extrapolate = extrapolation === undefined ? [] : read('extrapolate', extrapolation);
  return pairsFromFiles({ train, iid, interpolate, extrapolate }, true);
}

function charactersOf(text: string): string[] {
  return Array.from(text, (character) => (character === ' ' ? MATHEMATICS_SPACE : character));
}
