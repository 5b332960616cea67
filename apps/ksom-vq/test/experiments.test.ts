/** Presets are valid, claims hold for what the paper says and fail for a codebook that learned nothing. */

import type { Experiment } from '@fwp/lab';
import { describe, expect, it } from 'vitest';
import type { EvaluationTimes } from '../src/convergence.ts';
import { vectors, vqvae, vqvae2 } from '../src/index.ts';

const experiments = [vectors, vqvae, vqvae2] as unknown as Experiment[];

describe.each(experiments)('$id', (experiment) => {
  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid', (name) => {
    const config = experiment.config.parse(experiment.presets[name]?.config ?? {});
    expect(experiment.trials(config as never).length).toBeGreaterThan(1);
  });

  it.each(Object.keys(experiment.presets))(
    'preset %s measures whether maps are robust, where it validates anyway',
    (name) => {
      const config = experiment.config.parse(experiment.presets[name]?.config ?? {}) as EvaluationTimes;
      expect(experiment.claims[0]?.holds(rowsOf(experiment, described, config) as never)).toBeDefined();
      expect(config.earlyStep % config.evaluateEvery).toBe(0);
      expect(config.earlyStep).toBeLessThanOrEqual(config.steps);
    },
  );

  it('the claims judge all numbers of codes and all decays', () => {
    const several = { initialCounts: [0, 1], codes: [128, 256], decays: [0.9, 0.99] };
    const rows = rowsOf(experiment, described, experiment.config.parse(several));
    for (const [codes, decay] of [
      [128, 0.99],
      [256, 0.99],
      [256, 0.9],
    ]) {
      const isBad = (row: { codes: number; decay: number }) => row.codes === codes && row.decay === decay;
      const bad = rows.map((row) => (isBad(row) ? { ...row, ...untrained(row.quantizer) } : row));
      experiment.claims.forEach(({ text, holds }, i) => {
        // The first one argues from how slowly averages forget with a decay of 0.99.
        const fails = i > 0 || decay === 0.99;
        expect([text, holds(rows as never)?.pass, holds(bad as never)?.pass]).toEqual([text, true, !fails]);
      });
      const robust = experiment.claims[0]?.holds(bad as never)?.observed;
      expect(robust).toContain('256 codes');
      expect(robust).not.toContain('decay 0.9:');
    }
  });

  it('the claims hold for rows as the paper describes them, and each is decided', () => {
    for (const { text, holds } of experiment.claims) {
      expect([text, holds(rowsOf(experiment, described) as never)?.pass]).toEqual([text, true]);
    }
  });

  it('no claim holds for codebooks that learned nothing', () => {
    for (const { text, holds } of experiment.claims) {
      expect([text, holds(rowsOf(experiment, untrained) as never)?.pass]).toEqual([text, false]);
    }
  });

  it('the claims say nothing about grids without the quantisers that they compare', () => {
    const rows = rowsOf(experiment, described).filter(({ quantizer }) => quantizer === 'gaussian c0=1');
    const order = experiment.claims.filter(({ text }) => text.includes('ordered'));
    for (const claim of experiment.claims) {
      if (!order.includes(claim)) expect(claim.holds(rows as never)).toBeUndefined();
    }
  });
});

it('short runs say nothing about the end of training', () => {
  const rows = rowsOf(vqvae as unknown as Experiment, described).map((row) => ({ ...row, steps: 300 }));
  const decided = vqvae.claims.filter(({ holds }) => holds(rows as never) !== undefined).map(({ text }) => text);
  expect(decided).toHaveLength(3);
});

/** Rows of an experiment's whole grid with the measurements that a function makes up. */
function rowsOf(
  experiment: Experiment,
  measure: (quantizer: string) => Record<string, number>,
  config: unknown = experiment.config.parse({ initialCounts: [0, 1], codes: [256] }),
) {
  const keys = experiment.trials(config as never) as { quantizer: string; codes: number; decay: number }[];
  return keys.map((key) => ({
    ...{ ...key, seed: 1, steps: 30_000 },
    ...measure(key.quantizer),
  }));
}

/** What the paper tells: EMA-VQ suffers from counts that begin at 0, maps don't, all end alike, maps are ordered. */
function described(quantizer: string): Record<string, number> {
  const plain = quantizer.startsWith('none');
  const bad = quantizer === 'none c0=0';
  const codes = bad ? 16 : plain ? 135 : 255;
  return {
    ...{
      loss: 0.05,
      earlyLoss: bad ? 0.12 : plain ? 0.059 : 0.055,
      earlyCodes: codes,
      codesUsed: 256,
      topCodes: codes,
      bottomCodes: codes,
    },
    ...{
      neighborRatio: plain ? 1 : 0.4,
      perturbedChange: plain ? 1 : 0.1,
      topNeighborRatio: 1,
      bottomNeighborRatio: 1,
    },
  };
}

/** Random codes of which one is used, and a map that is the worse for its neighbourhood. */
function untrained(quantizer: string): Record<string, number> {
  const plain = quantizer.startsWith('none');
  return {
    ...{ loss: plain ? 1 : 1.5, earlyLoss: 1, earlyCodes: 1, codesUsed: 1, topCodes: 1, bottomCodes: 1 },
    ...{ neighborRatio: 1, perturbedChange: 1, topNeighborRatio: 1, bottomNeighborRatio: 1 },
  };
}
