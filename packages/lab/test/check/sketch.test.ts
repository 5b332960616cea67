import { RandomStream } from '@fwp/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { distance, sketch } from '../../src/check/sketch.ts';

const normOf = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

describe('a sketch', () => {
  it('has the norm, and is at distance 0 from that of equal numbers only', () => {
    const numbers = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e3, max: 1e3 }), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(numbers, fc.nat(), fc.double({ min: 0.01, max: 10, noNaN: true }), (values, place, change) => {
        const whole = sketch(values);
        expect(whole.norm).toBeCloseTo(normOf(values), 8);
        expect(distance(whole, sketch(values))).toBe(0);
        if (values.length === 0) return;
        const changed = values.map((value, i) => (i === place % values.length ? value + change : value));
        expect(distance(whole, sketch(changed))).toBeCloseTo(change, 8);
      }),
    );
  });

  it('estimates the distance of others', () => {
    const random = new RandomStream(1);
    const ratios = Array.from({ length: 50 }, () => {
      const values = random.normal(1000);
      const noise = random.normal(1000);
      const others = values.map((value, i) => value + 0.01 * (noise[i] as number));
      const apart = normOf(values.map((value, i) => value - (others[i] as number)));
      return distance(sketch(values), sketch(others)) / apart;
    });
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    expect(mean).toBeGreaterThan(0.95);
    expect(mean).toBeLessThan(1.05);
    expect(Math.min(...ratios)).toBeGreaterThan(0.6);
    expect(Math.max(...ratios)).toBeLessThan(1.4);
  });

  it('of numbers that are not finite is at no distance', () => {
    expect(distance(sketch([1, Number.NaN]), sketch([1, 2]))).toBeNaN();
    expect(distance(sketch([1, Number.POSITIVE_INFINITY]), sketch([1, Number.POSITIVE_INFINITY]))).toBeNaN();
  });
});
