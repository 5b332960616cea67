/**
 * One e-LSTM, its output gate and a head in float64, without a tensor library: the gradient of the input weight by real-time
 * recurrent learning, by backpropagation through time and by central differences. Sequences are single ones; the loss is
 * ½ Σ_t (h_t · head)².
 */

import type { RandomStream } from '@fwp/core';

/** Sizes of a {@link Float64Case}. */
export interface Float64Sizes {
  readonly inputs: number;
  readonly hidden: number;
  readonly time: number;
}

/** Weights, inputs and a state that isn't zero. */
export interface Float64Case extends Float64Sizes {
  readonly x: Float64Array;
  /** [inputs, 2 · hidden], z's columns first. */
  readonly weight: Float64Array;
  readonly recurrent: Float64Array;
  readonly bias: Float64Array;
  readonly gate: Float64Array;
  readonly head: Float64Array;
  readonly initial: Float64Array;
  /** Where a sequence begins. */
  readonly begins: readonly boolean[];
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** A random case; every seventh step or so begins a sequence. */
export function float64Case({ inputs, hidden, time }: Float64Sizes, random: RandomStream): Float64Case {
  const normal = (count: number) => Float64Array.from(random.normal(count));
  return {
    ...{ inputs, hidden, time },
    x: normal(time * inputs),
    weight: normal(inputs * 2 * hidden),
    recurrent: normal(2 * hidden),
    bias: normal(2 * hidden),
    gate: normal((inputs + hidden) * hidden),
    head: normal(hidden),
    initial: normal(hidden),
    begins: Array.from(random.uniform(time), (draw) => draw < 1 / 7),
  };
}

/** What is known after the forward pass of a step. */
interface Step {
  readonly before: Float64Array;
  readonly z: Float64Array;
  readonly f: Float64Array;
  readonly c: Float64Array;
  /** ∂L_t/∂c_t. */
  readonly error: Float64Array;
}

function forward(given: Float64Case): { steps: Step[]; loss: number } {
  const { inputs, hidden, time, x, weight, recurrent, bias, gate, head, begins } = given;
  const steps: Step[] = [];
  let loss = 0;
  let c = given.initial;
  for (let t = 0; t < time; t++) {
    const before = begins[t] ? new Float64Array(hidden) : c;
    const sum = (column: number, unit: number): number => {
      let total = (bias[column] as number) + (recurrent[column] as number) * (before[unit] as number);
      for (let d = 0; d < inputs; d++) {
        total += (x[t * inputs + d] as number) * (weight[d * 2 * hidden + column] as number);
      }
      return total;
    };
    const z = Float64Array.from({ length: hidden }, (_, n) => Math.tanh(sum(n, n)));
    const f = Float64Array.from({ length: hidden }, (_, n) => sigmoid(sum(hidden + n, n)));
    c = Float64Array.from({ length: hidden }, (_, n) => {
      return (f[n] as number) * (before[n] as number) + (1 - (f[n] as number)) * (z[n] as number);
    });
    const seen = [...x.subarray(t * inputs, (t + 1) * inputs), ...c];
    const o = Float64Array.from({ length: hidden }, (_, n) => {
      return sigmoid(seen.reduce((total, value, i) => total + value * (gate[i * hidden + n] as number), 0));
    });
    const y = o.reduce((total, open, n) => total + open * (c[n] as number) * (head[n] as number), 0);
    loss += 0.5 * y * y;
    const inner = Float64Array.from({ length: hidden }, (_, n) => {
      return y * (head[n] as number) * (c[n] as number) * (o[n] as number) * (1 - (o[n] as number));
    });
    const error = Float64Array.from({ length: hidden }, (_, m) => {
      const through = inner.reduce((total, e, n) => total + e * (gate[(inputs + m) * hidden + n] as number), 0);
      return (o[m] as number) * y * (head[m] as number) + through;
    });
    steps.push({ before, z, f, c, error });
  }
  return { steps, loss };
}

/** dz, df and a = ∂c_t/∂c_{t-1} of a unit. */
function locals({ before, z, f }: Step, recurrent: Float64Array, n: number): [dz: number, df: number, a: number] {
  const [c, zn, fn] = [before[n], z[n], f[n]] as [number, number, number];
  const [dz, df] = [(1 - fn) * (1 - zn * zn), (c - zn) * fn * (1 - fn)];
  return [dz, df, fn + dz * (recurrent[n] as number) + df * (recurrent[z.length + n] as number)];
}

/** Gradient of the input weight by real-time recurrent learning. */
export function realTimeGradient(given: Float64Case): Float64Array {
  const { inputs, hidden, x, recurrent, begins } = given;
  const [s, gradient] = [new Float64Array(inputs * 2 * hidden), new Float64Array(inputs * 2 * hidden)];
  for (const [t, step] of forward(given).steps.entries()) {
    if (begins[t]) s.fill(0);
    for (let n = 0; n < hidden; n++) {
      const [dz, df, a] = locals(step, recurrent, n);
      for (let d = 0; d < inputs; d++) {
        for (const [column, local] of [[n, dz] as const, [hidden + n, df] as const]) {
          const place = d * 2 * hidden + column;
          s[place] = a * (s[place] as number) + local * (x[t * inputs + d] as number);
          gradient[place] = (gradient[place] as number) + (step.error[n] as number) * (s[place] as number);
        }
      }
    }
  }
  return gradient;
}

/** The same by backpropagation through time. */
export function backpropagationGradient(given: Float64Case): Float64Array {
  const { inputs, hidden, x, recurrent, begins } = given;
  const gradient = new Float64Array(inputs * 2 * hidden);
  const carried = new Float64Array(hidden);
  for (const [t, step] of [...forward(given).steps.entries()].reverse()) {
    for (let n = 0; n < hidden; n++) {
      const [dz, df, a] = locals(step, recurrent, n);
      const dc = (carried[n] as number) + (step.error[n] as number);
      for (let d = 0; d < inputs; d++) {
        for (const [column, local] of [[n, dz] as const, [hidden + n, df] as const]) {
          const place = d * 2 * hidden + column;
          gradient[place] = (gradient[place] as number) + dc * local * (x[t * inputs + d] as number);
        }
      }
      carried[n] = begins[t] ? 0 : dc * a;
    }
  }
  return gradient;
}

/** The same by central differences. */
export function differencesGradient(given: Float64Case, step = 1e-6): Float64Array {
  return given.weight.map((_, i) => {
    const moved = (sign: number) => {
      const weight = given.weight.slice();
      weight[i] = (weight[i] as number) + sign * step;
      return forward({ ...given, weight }).loss;
    };
    return (moved(1) - moved(-1)) / (2 * step);
  });
}

/** Largest difference, relative to the largest value. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [difference, largest] = [0, Number.MIN_VALUE];
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs((actual[i] as number) - (expected[i] as number)));
    largest = Math.max(largest, Math.abs(expected[i] as number));
  }
  return difference / largest;
}
