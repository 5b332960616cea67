/** Numerical derivatives of a scalar function of several arrays. */

/** Arrays of float32 values, as tensors hold them. */
export type Arrays = readonly Float32Array[];

const STEP = 0.02;

/**
 * ∂L/∂x for every element, by central differences with one Richardson extrapolation (error of order step⁴).
 * Kinks must be further than two steps (0.04) from every element.
 */
export function finiteDifferences(loss: (xs: Arrays) => number, xs: Arrays): number[][] {
  return xs.map((x, i) =>
    Array.from(x, (_, j) => {
      const shifted = (step: number): [number, number] => {
        const copy = x.slice();
        copy[j] = (x[j] as number) + step;
        const position = copy[j] as number;
        return [loss(xs.map((other, k) => (k === i ? copy : other))), position];
      };
      const slope = (step: number): number => {
        const [above, high] = shifted(step);
        const [below, low] = shifted(-step);
        return (above - below) / (high - low);
      };
      return (4 * slope(STEP) - slope(2 * STEP)) / 3;
    }),
  );
}
