/** Presets, claims and pictures of the experiments. */

import type { Experiment } from '@fwp/lab';
import { describe, expect, it } from 'vitest';
import { latency, lm, mqar, stateTracking } from '../src/index.ts';
import type { StateTrackingKey } from '../src/state-tracking.ts';
import { ORDERS, TRACKED } from '../src/state-tracking-claims.ts';
import { treePicture } from '../src/tree-picture.ts';

const experiments = [stateTracking, mqar, lm, latency] as unknown as Experiment[];

function keysOf(experiment: Experiment, preset: string) {
  const config = experiment.config.parse(experiment.presets[preset]?.config ?? {});
  return experiment.trials(config as never);
}

describe.each(experiments)('$id', (experiment) => {
  it.each(Object.keys(experiment.presets))('every setting of preset %s is valid, and there are trials', (preset) => {
    expect(keysOf(experiment, preset).length).toBeGreaterThan(1);
  });
});

describe('the claims of psm/state-tracking', () => {
  const verdicts = (
    accuracy: (key: StateTrackingKey) => { accuracy1: number; accuracy8: number; solvedAt: number | null },
  ) => {
    const keys = keysOf(stateTracking as unknown as Experiment, 'standard') as unknown as StateTrackingKey[];
    const rows = keys.map((key) => ({ ...key, seed: 1, ...accuracy(key) }));
    return stateTrackingClaims().map(({ holds }) => holds(rows as never));
  };
  const stateTrackingClaims = () => stateTracking.claims;

  it('hold for what the paper says: a PSM goes on, a Transformer is at chance', () => {
    const all = verdicts(({ group, model }) => ({
      accuracy1: 1,
      accuracy8: model.startsWith('psm') ? 1 : 1 / (ORDERS[group] as number),
      solvedAt: 500,
    }));
    expect(all.map((verdict) => verdict?.pass)).toEqual([true, true, true]);
  });

  it('do not hold for models that have learned nothing, or for a Transformer that extrapolates', () => {
    const untrained = verdicts(({ group }) => {
      const chance = 1 / (ORDERS[group] as number);
      return { accuracy1: chance, accuracy8: chance, solvedAt: null };
    });
    // The Transformer's failure is none as long as it has not solved the length of the training.
    expect(untrained.map((verdict) => verdict?.pass)).toEqual([false, undefined, false]);
    const perfect = verdicts(() => ({ accuracy1: 1, accuracy8: 1, solvedAt: 100 }));
    expect(perfect.map((verdict) => verdict?.pass)).toEqual([true, false, true]);
    const almost = verdicts(() => ({ accuracy1: 1, accuracy8: TRACKED - 0.001, solvedAt: 100 }));
    expect(almost[0]?.pass).toBe(false);
  });
});

describe('the claims of psm/mqar and psm/lm', () => {
  const verdicts = (experiment: unknown, measure: (chunkSize: number | null) => object) => {
    const keys = keysOf(experiment as Experiment, 'standard') as { chunkSize: number | null }[];
    const rows = keys.map((key) => ({ ...key, seed: 1, perfectMemory: 1, noMemory: 1.5, ...measure(key.chunkSize) }));
    return (experiment as Experiment).claims.map(({ holds }) => holds(rows as never)?.pass);
  };

  it('hold where recall and loss come near the Transformer’s as chunks grow, as in the paper', () => {
    expect(verdicts(mqar, (size) => ({ accuracy: size === null ? 1 : 1 - 1 / size }))).toEqual([true, true]);
    expect(verdicts(lm, (size) => ({ bitsPerByte: size === null ? 1.2 : 1.2 + 1 / size }))).toEqual([true, true]);
  });

  it('do not hold for models that have learned nothing, or whose chunks make no difference', () => {
    expect(verdicts(mqar, () => ({ accuracy: 0.02 }))).toEqual([false, false]);
    expect(verdicts(lm, () => ({ bitsPerByte: 4 }))[0]).toBe(false);
    expect(verdicts(lm, (size) => ({ bitsPerByte: size === null ? 1.2 : 4 + 1 / size }))).toEqual([true, false]);
    // To be near a Transformer that looks nothing up is nothing.
    expect(verdicts(lm, () => ({ bitsPerByte: 1.4 }))).toEqual([false, undefined]);
  });
});

describe('the claims of psm/latency', () => {
  const row = (model: string, growth: number, unexpectedRoots: number | null = null) => ({
    ...{ model, seed: 1, tokens: 8192, distance: 4, earlyMilliseconds: 1, lateMilliseconds: growth },
    ...{
      earlyNumbers: 1000,
      lateNumbers: 1000 * growth,
      lateRoots: unexpectedRoots === null ? null : 8,
      unexpectedRoots,
    },
  });
  const passes = (psm: number, transformer: number, unexpectedRoots = 0) => {
    const rows = [row('psm', psm, unexpectedRoots), row('transformer', transformer)];
    return latency.claims.map(({ holds }) => holds(rows as never)?.pass);
  };

  it('hold for a logarithm beside a line, and not for two lines or two constants', () => {
    expect(passes(1.3, 4)).toEqual([true, true, true]);
    expect(passes(4, 4, 12)).toEqual([false, false, false]);
    expect(passes(1, 1)).toEqual([true, true, false]);
  });
});

describe('the picture of the tree', () => {
  it('has a bar for every root that ever lived, and says how many live', () => {
    const svg = treePicture(13, 1);
    // Each element leaves one root, after all its carries.
    expect(svg.match(/<rect /g)).toHaveLength(1 + 13);
    expect(svg).toContain('chunks 8–11');
    const counts = [...svg.matchAll(/text-anchor="middle" fill="#666">(\d+)</g)].map(([, count]) => Number(count));
    expect(counts).toEqual([1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3]);
  });
});
