import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCfq, openCogs, openMathematics, type SentencePairFiles } from '../../src/corpora/index.ts';
import { expectDisjoint, pairsOf } from '../systematic/parts.ts';
import { temporaryFolder } from './folder.ts';

const folder = temporaryFolder();

/** Writes files of a new folder and returns its path. */
function folderWith(name: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, path, '..'), { recursive: true });
    writeFileSync(join(folder, name, path), text);
  }
  return join(folder, name);
}

const read = <Part extends string>(files: SentencePairFiles<Part>, part: Part) =>
  pairsOf(files.sets[part], files.vocabulary, files.targetVocabulary);

describe('openCogs', () => {
  const row = ['A dog ran .', 'dog ( x _ 1 ) AND run . agent ( x _ 2 , x _ 1 )', 'in_distribution'];
  const rose = ['Emma ran .', 'run . agent ( x _ 1 , Emma )', 'subj_to_obj_proper'];
  const text = (...rows: string[][]) => rows.map((columns) => `${columns.join('\t')}\n`).join('');
  const files = {
    'train.tsv': text(row),
    'dev.tsv': text(row, rose),
    'test.tsv': text(rose),
    'gen.tsv': text(rose, row),
  };

  test('gives sentences, logical forms and what they are about', () => {
    const cogs = openCogs(folderWith('cogs', files));
    expect(read(cogs, 'train')).toEqual([row.slice(0, 2)]);
    expect(read(cogs, 'validation')).toEqual([row.slice(0, 2), rose.slice(0, 2)]);
    expect(read(cogs, 'generalization')).toEqual([rose.slice(0, 2), row.slice(0, 2)]);
    expect(cogs.cases.generalization).toEqual(['subj_to_obj_proper', 'in_distribution']);
    expect(cogs.targetVocabulary).toBe(cogs.vocabulary);
    expect(cogs.vocabulary.names.slice(3, 8)).toEqual(['A', 'dog', 'ran', '.', '(']);
  });

  test('says which line is wrong', () => {
    const broken = folderWith('broken', { ...files, 'dev.tsv': `${text(row)}A dog ran .\n` });
    expect(() => openCogs(broken)).toThrow('line 2 should have 3 columns between tabs, but has 1');
  });
});

describe('openCfq', () => {
  const example = (question: string, query: string) => ({
    complexityMeasures: { note: 'a "quoted } brace' },
    questionPatternModEntities: question,
    sparqlPatternModEntities: query,
  });
  const examples = [
    example("Did M0's sister direct M1", 'SELECT count(*) WHERE {\nM0 ns:film.director M1 .\n?x0 a ns:m.0abc\n}'),
    example('Who is "é"', 'SELECT DISTINCT ?x0 WHERE { ?x0 a M0 }'),
  ];
  const files = {
    'dataset.json': JSON.stringify(examples, null, 1),
    'splits/mcd1.json': JSON.stringify({ trainIdxs: [1, 0], devIdxs: [0], testIdxs: [] }),
    'splits/wrong.json': JSON.stringify({ trainIdxs: [2], devIdxs: [], testIdxs: [] }),
  };

  test('gives questions and queries with spaces between what are words', () => {
    const cfq = openCfq(folderWith('cfq', files), 'mcd1');
    expect(read(cfq, 'train')).toEqual([
      ['Who is " é "', 'SELECT DISTINCT ?x0 WHERE { ?x0 a M0 }'],
      ["Did M0 ' s sister direct M1", 'SELECT count ( * ) WHERE { M0 film.director M1 . ?x0 a m_0abc }'],
    ]);
    expect([cfq.sets.validation.size, cfq.sets.test.size]).toEqual([1, 0]);
  });

  test('says which example is missing', () => {
    expect(() => openCfq(folderWith('cfq', files), 'wrong')).toThrow('there is no example 2');
    const empty = folderWith('other', { ...files, 'dataset.json': '[{"question": "Who"}]' });
    expect(() => openCfq(empty, 'mcd1')).toThrow('example 0 lacks questionPatternModEntities');
  });
});

describe('openMathematics', () => {
  const questions = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `What is ${from + i} + 1?\n${from + i + 1}\n`).join('');
  const files = {
    'train-easy/add.txt': questions(0, 20),
    'train-medium/add.txt': questions(10, 40),
    'train-hard/add.txt': questions(40, 50),
    'interpolate/add.txt': questions(45, 60),
    'extrapolate/add_big.txt': questions(1000, 1004),
  };

  test('gives questions and answers by character, none of them twice', () => {
    const data = openMathematics(folderWith('mathematics', files), 'add', { iidExamples: 5, seed: 1 });
    expect(Object.values(data.sets).map(({ size }) => size)).toEqual([50 - 15, 15, 10, 4]);
    expectDisjoint(data.sets);
    expect(read(data, 'extrapolate')[0]).toEqual(['W h a t ␣ i s ␣ 1 0 0 0 ␣ + ␣ 1 ?', '1 0 0 1']);
    const easy = openMathematics(join(folder, 'mathematics'), 'add', { iidExamples: 0, difficulties: ['easy'] });
    expect([easy.sets.train.size, easy.sets.iid.size, easy.sets.interpolate.size]).toEqual([20, 0, 15]);
  });

  test('does without questions to extrapolate to, but not without an answer', () => {
    const { 'extrapolate/add_big.txt': _, ...others } = files;
    const path = folderWith('without', others);
    expect(openMathematics(path, 'add', { iidExamples: 1 }).sets.extrapolate.size).toBe(0);
    writeFileSync(join(path, 'interpolate/add.txt'), 'What is 1 + 1?\n');
    expect(() => openMathematics(path, 'add', { iidExamples: 1 })).toThrow('ends with a question without an answer');
    expect(() => openMathematics(path, 'add')).toThrow('iidExamples of easy must be an integer from 0 to 20');
  });
});
