/** Mean and spread over seeds. */

/** Mean and standard deviation of some numbers. */
export interface Summary {
  readonly mean: number;
  /** Sample standard deviation (divisor n − 1); undefined for fewer than two numbers. */
  readonly std: number | undefined;
  readonly count: number;
}

/** @returns undefined without numbers */
export function summarize(values: readonly number[]): Summary | undefined {
  const count = values.length;
  if (count === 0) return undefined;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { mean, std: undefined, count };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, std: Math.sqrt(squares / (count - 1)), count };
}
