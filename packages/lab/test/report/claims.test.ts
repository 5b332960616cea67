import { describe, expect, it } from 'vitest';
import { evaluateClaims, summarizeClaims } from '../../src/report/claims.ts';
import { formatClaims } from '../../src/report/format-claims.ts';

const rows = [
  { model: 'sum', loss: 0.2, seed: 1 },
  { model: 'delta', loss: 0.1, seed: 1 },
  { model: 'sum', loss: 0.2, seed: 7 },
  { model: 'delta', loss: 0.3, seed: 7 },
];
type ResultRow = (typeof rows)[number];

function lossOf(seedRows: readonly ResultRow[], model: string): number | undefined {
  return seedRows.find((row) => row.model === model)?.loss;
}

const better = {
  text: 'The delta rule is better than the sum rule',
  holds: (seedRows: readonly ResultRow[]) => {
    const [sum, delta] = [lossOf(seedRows, 'sum'), lossOf(seedRows, 'delta')];
    if (sum === undefined || delta === undefined) return undefined;
    return { pass: delta < sum, observed: `${delta} against ${sum}` };
  },
};

describe('evaluateClaims', () => {
  it('decides every seed by its own rows, and holds only if all of them do', () => {
    const [result] = evaluateClaims({ claims: [better] }, rows);
    expect(result).toEqual({
      text: better.text,
      pass: false,
      perSeed: [
        { seed: 1, pass: true, observed: '0.1 against 0.2' },
        { seed: 7, pass: false, observed: '0.3 against 0.2' },
      ],
    });
    const first = rows.filter(({ seed }) => seed === 1);
    expect(evaluateClaims({ claims: [better] }, first)[0]?.pass).toBe(true);
  });

  it('says that a claim is not measured where the rows are missing', () => {
    const onlySum = rows.filter(({ model }) => model === 'sum');
    expect(evaluateClaims({ claims: [better] }, onlySum)).toEqual([{ text: better.text, pass: null, perSeed: [] }]);
    expect(evaluateClaims({ claims: [better] }, [])[0]?.pass).toBeNull();
  });

  it('does not lose the other claims to one that throws', () => {
    const broken = {
      text: 'broken',
      holds: (): never => {
        throw new Error('no such row');
      },
    };
    const results = evaluateClaims({ claims: [broken, better] }, rows);
    expect(results.map(({ perSeed }) => perSeed.length)).toEqual([2, 2]);
    expect(results[0]?.pass).toBe(false);
    expect(results[0]?.perSeed[0]?.observed).toContain('no such row');
  });
});

describe('summarizeClaims', () => {
  const claim = (pass: boolean | null) => ({ text: '', pass, perSeed: [] });
  it.each([
    [[true, true, true], '3 of 3 claims hold'],
    [[true, false, null], '1 of 2 claims hold, 1 not measured'],
    [[true], '1 of 1 claim holds'],
    [[null], 'no claim is measured by this preset'],
    [[], 'no claims'],
  ])('%j: %s', (passes, line) => {
    expect(summarizeClaims(passes.map(claim))).toBe(line);
  });
});

describe('formatClaims', () => {
  it('marks the seeds that disagree with the verdict, and uses colours only when asked', () => {
    const claims = evaluateClaims({ claims: [better] }, rows);
    const plain = formatClaims(claims);
    expect(plain).toContain('✗ FAIL  The delta rule');
    expect(plain).toContain('seed 1: ✓ 0.1 against 0.2');
    expect(plain).toContain('seed 7: 0.3 against 0.2');
    expect(plain).not.toContain('\u001b');
    expect(formatClaims(claims, { colors: true })).toContain('\u001b[31m✗ FAIL');
  });
});
