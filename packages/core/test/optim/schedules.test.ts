import { describe, expect, it } from 'vitest';
import {
  constant,
  cosineDecay,
  inverseSquareRoot,
  linearCooldown,
  linearDecay,
  linearWarmup,
  type Schedule,
  warmupCosine,
  warmupLinear,
} from '../../src/optim/schedules.ts';

describe('schedules pass through known points', () => {
  it.each<[string, Schedule, [number, number][]]>([
    [
      'constant',
      constant(0.5),
      [
        [0, 0.5],
        [1000, 0.5],
      ],
    ],
    [
      'linearWarmup',
      linearWarmup(4),
      [
        [0, 0.25],
        [1, 0.5],
        [3, 1],
        [100, 1],
      ],
    ],
    [
      'no warm-up',
      linearWarmup(0),
      [
        [0, 1],
        [5, 1],
      ],
    ],
    [
      'linearDecay',
      linearDecay(10, 0.1),
      [
        [0, 1],
        [5, 0.55],
        [10, 0.1],
        [20, 0.1],
      ],
    ],
    [
      'linearCooldown',
      linearCooldown(10, 4, 0.2),
      [
        [0, 1],
        [6, 1],
        [8, 0.6],
        [10, 0.2],
        [20, 0.2],
      ],
    ],
    [
      'linearCooldown of no updates',
      linearCooldown(10, 0),
      [
        [9, 1],
        [10, 1],
      ],
    ],
    [
      'cosineDecay',
      cosineDecay(8),
      [
        [0, 1],
        [2, 0.5 + Math.SQRT1_2 / 2],
        [4, 0.5],
        [8, 0],
        [9, 0],
      ],
    ],
    [
      'cosineDecay to a tenth',
      cosineDecay(8, 0.1),
      [
        [0, 1],
        [4, 0.55],
        [8, 0.1],
      ],
    ],
    [
      'warmupLinear',
      warmupLinear(2, 6),
      [
        [0, 0.5],
        [1, 1],
        [2, 1],
        [4, 0.5],
        [6, 0],
        [7, 0],
      ],
    ],
    [
      'warmupCosine',
      warmupCosine(2, 6, 0.2),
      [
        [0, 0.5],
        [1, 1],
        [2, 1],
        [4, 0.6],
        [6, 0.2],
      ],
    ],
    [
      'inverseSquareRoot',
      inverseSquareRoot(4),
      [
        [0, 0.25],
        [3, 1],
        [15, 0.5],
        [63, 0.25],
      ],
    ],
  ])('%s', (_, schedule, points) => {
    for (const [step, factor] of points) expect(schedule(step)).toBeCloseTo(factor, 12);
  });

  it('and refuse impossible lengths', () => {
    expect(() => linearDecay(0)).toThrow('linearDecay: steps must be a whole number of at least 1, but is 0');
    expect(() => warmupCosine(5, 5)).toThrow('warmupCosine: steps must be a whole number of at least 6');
    expect(() => linearCooldown(5, 6)).toThrow('linearCooldown: steps must be a whole number of at least 6');
    expect(() => inverseSquareRoot(0)).toThrow('inverseSquareRoot: warmup');
  });
});
