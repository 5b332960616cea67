import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { addLayerNorm, addRmsNorm, dispose, init, layerNorm, rmsNorm } from '../../src/index.ts';
import { expectValues } from '../backend/kernels/same-as-tfjs.ts';
import { availableDevices, composedBackends } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import * as reference from '../reference/rows.ts';
import { directionalDerivative, dot, noise, toRows } from '../reference/rows.ts';

const EPSILON = 1e-3;

/** The two normalisations behind one interface; RMS norm ignores the bias. */
const normalizations = [
  {
    name: 'layerNorm',
    row: (x: number[], gain: number[], bias: number[]) => reference.layerNorm(x, gain, bias, EPSILON),
    run: (x: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor) => layerNorm(x, gain, bias, { epsilon: EPSILON }),
    add: (x: tf.Tensor, residual: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor) =>
      addLayerNorm(x, residual, gain, bias, { epsilon: EPSILON }),
    kernels: ['FwpLayerNorm', 'FwpAddLayerNorm'],
  },
  {
    name: 'rmsNorm',
    row: (x: number[], gain: number[]) => reference.rmsNorm(x, gain, EPSILON),
    run: (x: tf.Tensor, gain: tf.Tensor) => rmsNorm(x, gain, { epsilon: EPSILON }),
    add: (x: tf.Tensor, residual: tf.Tensor, gain: tf.Tensor) => addRmsNorm(x, residual, gain, { epsilon: EPSILON }),
    kernels: ['FwpRmsNorm', 'FwpAddRmsNorm'],
  },
] as const;

const features = fc.oneof(fc.integer({ min: 2, max: 70 }), fc.constantFrom(127, 128, 129, 512, 1000));
const seed = fc.nat(1000);

/** Inputs of one case. The values have a common offset, which must not cost accuracy. */
function inputs(rows: number, n: number, start: number) {
  return {
    x: noise(rows * n, start).map((v) => v * 2 + 1),
    residual: noise(rows * n, start + 1),
    gain: noise(n, start + 2).map((v) => v + 1.5),
    bias: noise(n, start + 3),
    dy: noise(rows * n, start + 4),
    dsum: noise(rows * n, start + 5),
  };
}

describe.each(await availableDevices())('normalisation on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterEach(async () => {
    await tf.setBackend('fwp');
  });
  afterAll(dispose);

  describe.each(normalizations)('$name', ({ row, run, add, kernels }) => {
    /** Σ dy · y of the reference, as a function of all its inputs in one array. */
    function referenceLoss(rows: number, n: number, dy: Float32Array) {
      return (all: number[]): number => {
        const gain = all.slice(rows * n, rows * n + n);
        const bias = all.slice(rows * n + n);
        return dot(
          toRows(all.slice(0, rows * n), n).flatMap((values) => row(values, gain, bias)),
          dy,
        );
      };
    }

    it('agrees with the float64 reference', () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 20 }), features, seed, (rows, n, start) => {
          const { x, gain, bias } = inputs(rows, n, start);
          tf.tidy(() => {
            const y = run(tf.tensor2d(x, [rows, n]), tf.tensor1d(gain), tf.tensor1d(bias));
            const expected = toRows(x, n).flatMap((values) => row(values, Array.from(gain), Array.from(bias)));
            expectValues(y.dataSync(), expected, 1e-5);
          });
        }),
        { numRuns: 40 },
      );
    });

    it('has the gradients of the float64 reference', () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 9 }), features, seed, (rows, n, start) => {
          const { x, gain, bias, dy } = inputs(rows, n, start);
          const direction = noise(rows * n + 2 * n, start + 9);
          tf.tidy(() => {
            const tensors = [tf.tensor2d(x, [rows, n]), tf.tensor1d(gain), tf.tensor1d(bias)];
            const count = run.length;
            const f = (...args: tf.Tensor[]): tf.Tensor => run(args[0]!, args[1]!, args[2] ?? tensors[2]!);
            const gradients = tf.grads(f)(tensors.slice(0, count), tf.tensor2d(dy, [rows, n]));
            const flat = gradients.flatMap((g) => Array.from(g.dataSync()));
            const used = direction.slice(0, flat.length);
            const padded = Float32Array.from({ length: direction.length }, (_, i) => used[i] ?? 0);
            const slope = directionalDerivative(referenceLoss(rows, n, dy), [...x, ...gain, ...bias], padded);
            const scale = Math.sqrt(dot(flat, flat) * dot(used, used));
            expect(Math.abs(dot(flat, used) - slope)).toBeLessThan(2e-6 * (1 + scale));
          });
        }),
        { numRuns: 40 },
      );
    });

    it('adds a residual, returns the sum, and sends both gradients to both summands', () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 5 }), features, seed, (rows, n, start) => {
          const { x, residual, gain, bias, dy, dsum } = inputs(rows, n, start);
          tf.tidy(() => {
            const shape: [number, number] = [rows, n];
            const [g, b] = [tf.tensor1d(gain), tf.tensor1d(bias)];
            const [a, r] = [tf.tensor2d(x, shape), tf.tensor2d(residual, shape)];
            const fused = add(a, r, g, b);
            const sum = tf.add(a, r);
            expect(fused.sum.dataSync()).toEqual(sum.dataSync());
            expectValues(fused.output.dataSync(), run(sum, g, b).dataSync(), 1e-6);
            const loss = ({ sum: s, output }: { sum: tf.Tensor; output: tf.Tensor }): tf.Scalar =>
              tf.add(tf.sum(tf.mul(s, tf.tensor2d(dsum, shape))), tf.sum(tf.mul(output, tf.tensor2d(dy, shape))));
            const ours = tf.grads((p, q, w) => loss(add(p!, q!, w!, b)))([a, r, g]);
            const plain = tf.grads((p, q, w) => {
              const total = tf.add(p!, q!);
              return loss({ sum: total, output: run(total, w!, b) });
            })([a, r, g]);
            ours.forEach((gradient, i) => {
              expectValues(gradient.dataSync(), plain[i]!.dataSync(), 1e-5);
            });
            expect(ours[1]!.dataSync()).toEqual(ours[0]!.dataSync());
          });
        }),
        { numRuns: 20 },
      );
    });

    it('sends a gradient to the sum alone or to the output alone', () => {
      tf.tidy(() => {
        const [x, residual] = [tf.tensor2d(noise(12, 1), [3, 4]), tf.tensor2d(noise(12, 2), [3, 4])];
        const [gain, bias] = [tf.ones([4]), tf.zeros([4])];
        const fromSum = tf.grad((p) => tf.sum(add(p, residual, gain, bias).sum))(x);
        expect(Array.from(fromSum.dataSync())).toEqual(new Array(12).fill(1));
        const fromOutput = tf.grad((p) => tf.sum(tf.square(add(p, residual, gain, bias).output)))(x);
        const plain = tf.grad((p) => tf.sum(tf.square(run(tf.add(p, residual), gain, bias))))(x);
        expectValues(fromOutput.dataSync(), plain.dataSync(), 1e-5);
      });
    });

    it.each(composedBackends)(
      'equals the composition of tfjs operations on %s, gradients included',
      async (backend) => {
        const { x, gain, bias, dy } = inputs(6, 20, 4);
        const all = (): number[] =>
          tf.tidy(() => {
            const tensors = [tf.tensor3d(x, [2, 3, 20]), tf.tensor1d(gain), tf.tensor1d(bias)].slice(0, run.length);
            const f = (...args: tf.Tensor[]): tf.Tensor => run(args[0]!, args[1]!, args[2] ?? tf.zeros([20]));
            const { value, grads } = tf.valueAndGrads(f)(tensors, tf.tensor3d(dy, [2, 3, 20]));
            return [value, ...grads].flatMap((t) => Array.from(t.dataSync()));
          });
        const fused = all();
        await tf.setBackend(backend);
        expectValues(fused, all(), 1e-5);
      },
    );

    it('can be differentiated twice', async () => {
      const { x, gain, bias } = inputs(3, 5, 6);
      const curvature = (): number[] =>
        tf.tidy(() => {
          const [g, b] = [tf.tensor1d(gain), tf.tensor1d(bias)];
          const inner = tf.grad((p: tf.Tensor) => tf.sum(tf.square(run(p, g, b))));
          const innerSum = tf.grad((p: tf.Tensor) => tf.sum(tf.square(add(p, tf.square(p), g, b).output)));
          const point = tf.tensor2d(x, [3, 5]);
          return [inner, innerSum].flatMap((f) =>
            Array.from(
              tf
                .grad((p: tf.Tensor) => tf.sum(tf.square(f(p))))(point)
                .dataSync(),
            ),
          );
        });
      const ours = curvature();
      expect(ours.some((value) => Math.abs(value) > 0.01)).toBe(true);
      for (const backend of composedBackends) {
        await tf.setBackend(backend);
        expectValues(ours, curvature(), 1e-4);
      }
    });

    it('runs as one kernel', async () => {
      const x = tf.ones([2, 4]);
      const [gain, bias] = [tf.ones([4]), tf.ones([4])];
      const profile = await tf.profile(() => tf.tidy(() => [run(x, gain, bias), add(x, x, gain, bias).output].length));
      expect(profile.kernelNames.sort()).toEqual([...kernels].sort());
      tf.dispose([x, gain, bias]);
    });

    it('keeps NaN inside its row', () => {
      tf.tidy(() => {
        const values = noise(40, 2);
        values[11] = Number.NaN;
        const [gain, bias] = [tf.ones([8]), tf.zeros([8])];
        const x = tf.tensor2d(values, [5, 8]);
        const y = run(x, gain, bias).dataSync();
        const dx = tf
          .grad((p: tf.Tensor) => run(p, gain, bias))(x, tf.ones([5, 8]))
          .dataSync();
        for (const result of [y, dx]) {
          result.forEach((value, i) => {
            expect(Number.isNaN(value)).toBe(i >= 8 && i < 16);
          });
        }
      });
    });

    it('gives the same bits with 1, 2 and 4 threads', async () => {
      const { x, gain, bias, dy } = inputs(3000, 70, 8);
      await expectSameBitsForAllThreads(options, () => {
        const tensors = [tf.tensor2d(x, [3000, 70]), tf.tensor1d(gain), tf.tensor1d(bias)].slice(0, run.length);
        const f = (...args: tf.Tensor[]): tf.Tensor => run(args[0]!, args[1]!, args[2] ?? tf.zeros([70]));
        const { value, grads } = tf.valueAndGrads(f)(tensors, tf.tensor2d(dy, [3000, 70]));
        return [value, ...grads].map((t) => t.dataSync());
      });
      await init(options);
    });

    it('leaves no tensors behind', () => {
      const x = tf.tensor2d(noise(64, 1), [8, 8]);
      const [gain, bias] = [tf.ones([8]), tf.zeros([8])];
      const before = tf.memory();
      for (let i = 0; i < 3; i++) {
        run(x, gain, bias).dispose();
        tf.dispose(add(x, x, gain, bias));
        tf.grad((p: tf.Tensor) => run(p, gain, bias))(x).dispose();
        tf.grad((p: tf.Tensor) => tf.sum(add(p, x, gain, bias).output))(x).dispose();
      }
      expect(tf.memory().numTensors).toBe(before.numTensors);
      expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
      tf.dispose([x, gain, bias]);
    });
  });

  it('takes rows of one element and no rows at all', () => {
    tf.tidy(() => {
      const one = layerNorm(tf.tensor2d([3, 4], [2, 1]), tf.ones([1]), tf.tensor1d([7]));
      expect(Array.from(one.dataSync())).toEqual([7, 7]);
      const none = layerNorm(tf.zeros([0, 4]), tf.ones([4]), tf.zeros([4]));
      expect(none.shape).toEqual([0, 4]);
      const [dgain] = tf.grads((g) => layerNorm(tf.zeros([0, 4]), g!, tf.zeros([4])))([tf.ones([4])]);
      expect(Array.from(dgain!.dataSync())).toEqual([0, 0, 0, 0]);
    });
  });

  it('says what is wrong with its arguments', () => {
    tf.tidy(() => {
      const x = tf.zeros([2, 8]);
      const ones = tf.ones([8]);
      expect(() => layerNorm(x, tf.ones([7]), ones)).toThrow(/layerNorm: gain must have shape \[8\].* \[7\]/);
      expect(() => layerNorm(x, ones, tf.ones([2, 8]))).toThrow(/layerNorm: bias must have shape \[8\]/);
      expect(() => layerNorm(tf.cast(x, 'int32'), ones, ones)).toThrow(/layerNorm: x must be float32, but is int32/);
      expect(() => layerNorm(tf.scalar(1), ones, ones)).toThrow(/layerNorm: x must have shape/);
      expect(() => layerNorm(x, ones, ones, { epsilon: -1 })).toThrow(/layerNorm: epsilon must be a finite number/);
      expect(() => addLayerNorm(x, tf.zeros([8]), ones, ones)).toThrow(
        /addLayerNorm: residual must have shape \[2, 8\]/,
      );
      expect(() => rmsNorm(x, tf.ones([7]))).toThrow(/rmsNorm: gain must have shape \[8\]/);
      expect(() => addRmsNorm(x, tf.zeros([3, 8]), ones)).toThrow(/addRmsNorm: residual must have shape \[2, 8\]/);
    });
  });
});
