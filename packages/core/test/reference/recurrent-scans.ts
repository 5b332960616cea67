/** Delta RNN, Delta LSTM and Recurrent Delta Net in float64, one head and step at a time. */

import type { ScanSizes } from './delta-rule.ts';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

function softmax(x: ArrayLike<number>): number[] {
  const most = Math.max(...Array.from(x));
  const exponentials = Array.from(x, (value) => Math.exp(value - most));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** M x for a matrix of rows as long as x. */
const times = (matrix: Float64Array, x: ArrayLike<number>): number[] =>
  Array.from({ length: matrix.length / x.length }, (_, i) => dot(matrix.subarray(i * x.length, (i + 1) * x.length), x));

/** M += β (v − M k) kᵀ. */
function write(matrix: Float64Array, k: ArrayLike<number>, v: ArrayLike<number>, beta: number): void {
  times(matrix, k).forEach((predicted, i) => {
    for (let j = 0; j < k.length; j++) {
      matrix[i * k.length + j] = matrix[i * k.length + j]! + beta * (v[i]! - predicted) * k[j]!;
    }
  });
}

const rows = (x: ArrayLike<number>, width: number) => (row: number) =>
  Array.prototype.slice.call(x, row * width, (row + 1) * width) as number[];

/** Everything that {@link fastRnnReference} reads, [batch, heads, gates, time, …]; a state is [batch, heads, gates, …]. */
export type FastRnnValues = Readonly<
  Record<'q' | 'k' | 'v' | 'beta' | 'recurrentK' | 'recurrentV' | 'recurrentBeta', ArrayLike<number>>
> & {
  /** W, R, y or h, and c. Default: zeros. */
  readonly fastWeights?: ArrayLike<number>;
  readonly recurrentWeights?: ArrayLike<number>;
  readonly output?: ArrayLike<number>;
  readonly cell?: ArrayLike<number>;
  /** [batch, time]: where a sequence begins. */
  readonly reset?: ArrayLike<number>;
};

/** Outputs, W, R, last output and cell. `gates` is 1 for the Delta RNN and 3 for the Delta LSTM. */
export function fastRnnReference(
  values: FastRnnValues,
  { batch, heads, time, keyDim, valueDim }: ScanSizes,
  { gates, version }: { readonly gates: 1 | 3; readonly version: number },
): Float64Array[] {
  const states = batch * heads * gates;
  const outputs = new Float64Array(batch * heads * time * valueDim);
  const W = Float64Array.from(values.fastWeights ?? new Float64Array(states * valueDim * keyDim));
  const R = Float64Array.from(values.recurrentWeights ?? new Float64Array(states * valueDim * valueDim));
  const lastOutputs = Float64Array.from(values.output ?? new Float64Array(batch * heads * valueDim));
  const cells = Float64Array.from(values.cell ?? new Float64Array(batch * heads * valueDim));
  const [q, k] = [values.q, values.k].map((x) => rows(x, keyDim));
  const [v, recurrentK, recurrentV] = [values.v, values.recurrentK, values.recurrentV].map((x) => rows(x, valueDim));
  for (let head = 0; head < batch * heads; head++) {
    const y = lastOutputs.subarray(head * valueDim, (head + 1) * valueDim);
    const c = cells.subarray(head * valueDim, (head + 1) * valueDim);
    for (let t = 0; t < time; t++) {
      const reset = values.reset?.[Math.floor(head / heads) * time + t];
      if (reset) {
        y.fill(0);
        c.fill(0);
      }
      // Version 1 of both reads with the output itself, which is a softmax.
      const read = version === 1 ? Array.from(y) : softmax(y);
      const z: number[][] = [];
      const p: number[][] = [];
      for (let gate = 0; gate < gates; gate++) {
        const state = head * gates + gate;
        const step = state * time + t;
        const w = W.subarray(state * valueDim * keyDim, (state + 1) * valueDim * keyDim);
        const r = R.subarray(state * valueDim * valueDim, (state + 1) * valueDim * valueDim);
        if (reset) {
          w.fill(0);
          r.fill(0);
        }
        write(w, k!(step), v!(step), values.beta[step]!);
        write(r, recurrentK!(step), recurrentV!(step), values.recurrentBeta[step]!);
        z.push(times(w, q!(step)));
        const recurrent = times(r, read);
        p.push(z[gate]!.map((x, i) => x + recurrent[i]!));
      }
      let next = p[0]!;
      if (gates === 3) {
        next = next.map((input, i) => {
          const open = sigmoid(input);
          const update = version === 4 ? p[1]![i]! : sigmoid(p[1]![i]!);
          c[i] = open * update + (1 - open) * c[i]!;
          return sigmoid(p[2]![i]!) * c[i]! + (version === 3 ? z[1]![i]! : 0);
        });
      }
      y.set(version === 1 ? softmax(next) : next);
      outputs.set(y, (head * time + t) * valueDim);
    }
  }
  return gates === 3 ? [outputs, W, R, lastOutputs, cells] : [outputs, W, R, lastOutputs];
}

/** Everything that {@link recurrentDeltaReference} reads. */
export type RecurrentDeltaValues = Readonly<
  Record<'q' | 'k' | 'v' | 'beta' | 'queryWeight' | 'keyWeight' | 'valueWeight' | 'betaWeight', ArrayLike<number>>
> & {
  /** S and y. Default: zeros. */
  readonly fastWeights?: ArrayLike<number>;
  readonly output?: ArrayLike<number>;
  /** [batch, time]: where a sequence begins. */
  readonly reset?: ArrayLike<number>;
};

/** Outputs, S and last output. */
export function recurrentDeltaReference(
  values: RecurrentDeltaValues,
  { batch, heads, time, keyDim, valueDim }: ScanSizes,
): Float64Array[] {
  const outputs = new Float64Array(batch * heads * time * valueDim);
  const S = Float64Array.from(values.fastWeights ?? new Float64Array(batch * heads * valueDim * keyDim));
  const lastOutputs = Float64Array.from(values.output ?? new Float64Array(batch * heads * valueDim));
  const ofHead = (weights: ArrayLike<number>, head: number): Float64Array => {
    const size = weights.length / heads;
    return Float64Array.from({ length: size }, (_, i) => weights[(head % heads) * size + i]!);
  };
  for (let head = 0; head < batch * heads; head++) {
    const s = S.subarray(head * valueDim * keyDim, (head + 1) * valueDim * keyDim);
    const y = lastOutputs.subarray(head * valueDim, (head + 1) * valueDim);
    const weights = [values.queryWeight, values.keyWeight, values.valueWeight].map((x) => ofHead(x, head));
    const betaWeight = ofHead(values.betaWeight, head);
    for (let t = 0; t < time; t++) {
      const step = head * time + t;
      if (values.reset?.[Math.floor(head / heads) * time + t]) {
        s.fill(0);
        y.fill(0);
      }
      const r = Array.from(y, Math.tanh);
      const fed = (x: ArrayLike<number>, weight: Float64Array): number[] => {
        const recurrent = times(weight, r);
        return rows(x, recurrent.length)(step).map((value, i) => value + recurrent[i]!);
      };
      const query = softmax(fed(values.q, weights[0]!));
      const key = softmax(fed(values.k, weights[1]!));
      const rate = sigmoid(values.beta[step]! + dot(betaWeight, r));
      write(s, key, fed(values.v, weights[2]!), rate);
      y.set(times(s, query));
      outputs.set(y, step * valueDim);
    }
  }
  return [outputs, S, lastOutputs];
}
