/** Layers against float64 references that follow their equations from the input to the output. */

import { dispose, init, RandomStream, randomNormal, type SequenceMixer } from '@fwp/core';
import { assertAllClose, wasm } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeVividMixer, SIZE } from './mixers.ts';
import { dot, layerNorm, type Matrix, minus, plusOuter, scaled, times, type Vector, zeros } from './reference.ts';

const LENGTH = 7;
const HEADS = 2;
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const silu = (x: Vector): number[] => x.map((value) => value * sigmoid(value));
const softplus = (x: number): number => Math.log1p(Math.exp(x));
const sum = (x: Vector): number => x.reduce((total, value) => total + value, 0);
const overSum = (x: Vector): number[] => scaled(x, 1 / (sum(x) + 1e-6));
const overLength = (x: Vector): number[] => scaled(x, 1 / Math.sqrt(dot(x, x) + 1e-6));
const product = (a: Vector, b: Vector): number[] => a.map((x, i) => x * b[i]!);
const eluPlusOne = (x: Vector): number[] => x.map((value) => (value > 0 ? value + 1 : Math.exp(value)));
const dpfp = (x: Vector): number[] => {
  const r = [...x, ...x.map((value) => -value)].map((value) => Math.max(value, 0));
  return r.map((value, i) => value * r[(i - 1 + r.length) % r.length]!);
};

/** A layer's parameters as matrices, by path; a matrix is `[inputs][outputs]`. */
class Parameters {
  readonly #tensors: Map<string, tf.Variable>;

  constructor(mixer: SequenceMixer) {
    this.#tensors = mixer.namedParameters();
  }

  vector(path: string): number[] {
    const tensor = this.#tensors.get(path);
    if (tensor === undefined) throw new Error(`no ${path} among ${[...this.#tensors.keys()].join(', ')}`);
    return Array.from(tensor.dataSync());
  }

  matrix(path: string): number[][] {
    const columns = this.#tensors.get(path)!.shape[1]!;
    const values = this.vector(path);
    return Array.from({ length: values.length / columns }, (_, i) => values.slice(i * columns, (i + 1) * columns));
  }

  /** x W */
  apply(path: string, x: Vector): number[] {
    const W = this.matrix(path);
    return W[0]!.map((_, j) => sum(x.map((value, i) => value * W[i]![j]!)));
  }
}

/** Cuts a vector into `heads` pieces, and those into parts of the given sizes. */
function headParts(x: Vector, head: number, sizes: readonly number[]): number[][] {
  const width = sum(sizes);
  const own = x.slice(head * width, (head + 1) * width);
  return sizes.map((size, i) => own.slice(sum(sizes.slice(0, i)), sum(sizes.slice(0, i)) + size));
}

/** What a layer's heads do: keeps a state for each, and returns what was read at each step. */
type Rule = (x: readonly Vector[], parameters: Parameters, head: number) => number[][];

/** Compares a mixer with rule and output of the reference. */
function expectFollows(
  name: string,
  rule: Rule,
  output: (reads: readonly Vector[], x: Vector, parameters: Parameters) => number[],
): void {
  tf.tidy(() => {
    const mixer = makeVividMixer(name, new RandomStream(1));
    const parameters = new Parameters(mixer);
    const input = randomNormal(new RandomStream(2), [1, LENGTH, SIZE]) as tf.Tensor3D;
    const x = (input.arraySync() as number[][][])[0]!;
    const heads = Array.from({ length: HEADS }, (_, head) => rule(x, parameters, head));
    const expected = x.flatMap((element, t) =>
      output(
        heads.map((reads) => reads[t]!),
        element,
        parameters,
      ),
    );
    assertAllClose(mixer.apply(input).dataSync(), expected, { rtol: 1e-3, atol: 1e-4, name });
    mixer.dispose();
  });
}

/** W_o [heads] / √headSize */
const plainOutput = (reads: readonly Vector[], _: Vector, parameters: Parameters): number[] =>
  scaled(parameters.apply('output.weight', reads.flat()), 1 / Math.sqrt(SIZE / HEADS));

const rmsNorm = (x: Vector, gain: Vector): number[] =>
  product(scaled(x, 1 / Math.sqrt(dot(x, x) / x.length + 1e-5)), gain);

/** W_o (RMSNorm(heads) ∘ gate) */
function normedOutput(reads: readonly Vector[], gate: Vector | undefined, parameters: Parameters): number[] {
  const normed = reads.flatMap((read) => rmsNorm(read, parameters.vector('output.norm.gain')));
  return parameters.apply('output.projection.weight', gate === undefined ? normed : product(normed, gate));
}
const gatedOutput = (reads: readonly Vector[], x: Vector, parameters: Parameters): number[] =>
  normedOutput(reads, silu(parameters.apply('output.gate.weight', x)), parameters);

/** Runs steps over x with a matrix S. */
function scan(
  x: readonly Vector[],
  rows: number,
  columns: number,
  step: (S: Matrix, x: Vector, t: number) => [Matrix, Vector],
) {
  let S: Matrix = zeros(rows, columns);
  return x.map((element, t) => {
    const [next, read] = step(S, element, t);
    S = next;
    return [...read];
  });
}

const d = SIZE / HEADS;

/** Queries, keys and values of the delta nets of 2024, for all steps. */
function convolved(x: readonly Vector[], parameters: Parameters, head: number) {
  const projected = x.map((element) => parameters.apply('queryKeyValue.projection.weight', element));
  const filter = parameters.matrix('queryKeyValue.convolution.weight');
  return projected.map((_, t) => {
    const mixed = projected[0]!.map((__, c) => sum(filter.map((row, i) => row[c]! * (projected[t - i]?.[c] ?? 0))));
    const [q, k, v] = headParts(silu(mixed), head, [d, d, d]) as [number[], number[], number[]];
    return { q: scaled(overLength(q), 1 / Math.sqrt(d)), k: overLength(k), v };
  });
}

describe('layers follow their equations', () => {
  beforeAll(async () => {
    await init(wasm.options);
  });
  afterAll(dispose);

  it('LinearAttention', () => {
    const rule: Rule = (x, parameters, head) => {
      let z: Vector = new Array<number>(d).fill(0);
      return scan(x, d, d, (S, element) => {
        const parts = headParts(parameters.apply('projection.weight', element), head, [d, d, d]);
        const [q, k, v] = [eluPlusOne(parts[0]!), eluPlusOne(parts[1]!), parts[2]!];
        z = minus(z, scaled(k, -1));
        const next = plusOuter(S, v, k);
        return [next, scaled(times(next, q), 1 / (dot(z, q) + 1e-6))];
      });
    };
    expectFollows('linearAttention', rule, plainOutput);
  });

  it('DeltaNet, whose projection comes head by head with β at the end', () => {
    const rule: Rule = (x, parameters, head) =>
      scan(x, d, 2 * d, (S, element) => {
        const parts = headParts(parameters.apply('projection.weight', element), head, [d, d, d, 1]);
        const [q, k, v, beta] = [overSum(dpfp(parts[0]!)), overSum(dpfp(parts[1]!)), parts[2]!, sigmoid(parts[3]![0]!)];
        const next = plusOuter(S, scaled(minus(v, times(S, k)), beta), k);
        return [next, times(next, q)];
      });
    expectFollows('deltaNet', rule, plainOutput);
  });

  it('FastWeightMemory', () => {
    const rule: Rule = (x, parameters, head) =>
      scan(x, d, d, (S, element) => {
        const parts = headParts(parameters.apply('projection.weight', element), head, [d, d, d, 1]);
        const [q, k, v, beta] = [parts[0]!.map(Math.tanh), parts[1]!.map(Math.tanh), parts[2]!, sigmoid(parts[3]![0]!)];
        const old = times(S, k);
        const erased = plusOuter(S, scaled(old, -1), k);
        const written = plusOuter(erased, minus(scaled(v, beta), scaled(old, beta - 1)), k);
        const norm = Math.sqrt(sum(written.map((row) => dot(row, row))));
        const next = written.map((row) => scaled(row, 1 / (Math.max(norm - 1, 0) + 1)));
        return [next, layerNorm(times(next, q), 1e-5)];
      });
    expectFollows('fastWeightMemory', rule, plainOutput);
  });

  it('DeltaNet2024', () => {
    const rule: Rule = (x, parameters, head) => {
      const sequences = convolved(x, parameters, head);
      return scan(x, d, d, (S, element, t) => {
        const { q, k, v } = sequences[t]!;
        const beta = sigmoid(parameters.apply('beta.weight', element)[head]!);
        const next = plusOuter(S, scaled(minus(v, times(S, k)), beta), k);
        return [next, times(next, q)];
      });
    };
    expectFollows('deltaNet2024', rule, (reads, _, parameters) => normedOutput(reads, undefined, parameters));
  });

  it('GatedDeltaNet', () => {
    const rule: Rule = (x, parameters, head) => {
      const sequences = convolved(x, parameters, head);
      return scan(x, d, d, (S, element, t) => {
        const { q, k, v } = sequences[t]!;
        const beta = sigmoid(parameters.apply('beta.weight', element)[head]!);
        const rate = Math.exp(parameters.vector('logDecayRate')[head]!);
        const time = softplus(parameters.apply('decay.weight', element)[head]! + parameters.vector('decayBias')[head]!);
        const decayed = S.map((row) => scaled(row, Math.exp(-rate * time)));
        const next = plusOuter(decayed, scaled(minus(v, times(decayed, k)), beta), k);
        return [next, times(next, q)];
      });
    };
    expectFollows('gatedDeltaNet', rule, gatedOutput);
  });

  it('GatedLinearAttention', () => {
    const rule: Rule = (x, parameters, head) =>
      scan(x, d, d / 2, (S, element) => {
        const projected = parameters.apply('queryKeyValue.weight', element);
        const [q, k, v] = headParts(projected, head, [d / 2, d / 2, d]) as [number[], number[], number[]];
        const low = parameters.apply('decayInput.weight', element);
        const gates = parameters
          .apply('decay.weight', low)
          .map((value, i) => value + parameters.vector('decay.bias')[i]!);
        const [gate] = headParts(gates, head, [d / 2]) as [number[]];
        const decay = gate.map((value) => sigmoid(value) ** (1 / 16));
        const next = plusOuter(
          S.map((row) => product(row, decay)),
          v,
          k,
        );
        return [next, times(next, scaled(q, 1 / Math.sqrt(d / 2)))];
      });
    expectFollows('gatedLinearAttention', rule, gatedOutput);
  });

  it('Retention', () => {
    const turned = (x: Vector, t: number): number[] => {
      const half = x.length / 2;
      return x.map((value, i) => {
        const angle = t * 10_000 ** ((-2 * (i % half)) / x.length);
        const other = i < half ? -x[i + half]! : x[i - half]!;
        return value * Math.cos(angle) + other * Math.sin(angle);
      });
    };
    const rule: Rule = (x, parameters, head) =>
      scan(x, 2 * d, d, (S, element, t) => {
        const projected = parameters.apply('queryKeyValue.weight', element);
        const [q, k, v] = headParts(projected, head, [d, d, 2 * d]) as [number[], number[], number[]];
        const decayed = S.map((row) => scaled(row, 1 - 2 ** (-5 - head)));
        const next = plusOuter(decayed, v, turned(k, t));
        return [next, times(next, scaled(turned(q, t), 1 / Math.sqrt(d)))];
      });
    expectFollows('retention', rule, gatedOutput);
  });

  it('with negative eigenvalues β goes up to 2: writing twice reflects, and reflects back', () => {
    tf.tidy(() => {
      const name = 'deltaNet2024, no convolution, negative eigenvalues';
      const mixer = makeVividMixer(name, new RandomStream(1));
      for (const [path, variable] of mixer.namedParameters()) {
        // A large positive sum of inputs makes β = 2.
        if (path === 'beta.weight') variable.assign(tf.fill(variable.shape, 100));
      }
      const x = tf.fill([1, 1, SIZE], 1) as tf.Tensor3D;
      const start = mixer.forward(randomNormal(new RandomStream(2), [1, 3, SIZE]) as tf.Tensor3D).state;
      const once = mixer.forward(x, start).state as { fastWeights: tf.Tensor };
      const twice = mixer.forward(x, once).state as { fastWeights: tf.Tensor };
      const { fastWeights } = start as { fastWeights: tf.Tensor };
      assertAllClose(twice.fastWeights.dataSync(), fastWeights.dataSync(), { rtol: 1e-3, atol: 1e-3 });
      const moved = tf.max(tf.abs(tf.sub(once.fastWeights, fastWeights))).dataSync()[0];
      expect(moved).toBeGreaterThan(0.01);
      mixer.dispose();
    });
  });
});
