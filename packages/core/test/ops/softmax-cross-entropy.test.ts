import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, type Reduction, softmaxCrossEntropy } from '../../src/index.ts';
import { expectValues } from '../backend/kernels/same-as-tfjs.ts';
import { availableDevices, checkingBackends, composedBackends } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import { crossEntropy, directionalDerivative, dot, noise, toRows } from '../reference/rows.ts';

/** A case: logits [rows, classes], targets, weights of which some are 0. */
const cases = fc
  .record({
    rows: fc.integer({ min: 1, max: 40 }),
    classes: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(256, 1000)),
    seed: fc.nat(1000),
    labelSmoothing: fc.constantFrom(0, 0.1, 1),
    masked: fc.boolean(),
  })
  .map(({ rows, classes, seed, labelSmoothing, masked }) => ({
    rows,
    classes,
    labelSmoothing,
    logits: noise(rows * classes, seed).map((v) => v * 8),
    targets: Array.from(noise(rows, seed + 1), (v) => Math.floor(((v + 1) / 2) * classes)),
    weights: masked ? Array.from(noise(rows, seed + 2), (v) => Math.fround(Math.max(0, v))) : undefined,
    seed,
  }));

/** The losses as one number, or all of them, in float64. */
function reference(
  logits: ArrayLike<number>,
  { classes, targets, weights, labelSmoothing }: Pick<Case, 'classes' | 'targets' | 'weights' | 'labelSmoothing'>,
  reduction: Reduction,
): number[] {
  const losses = toRows(logits, classes).map((row, i) => {
    const weight = weights?.[i] ?? 1;
    return weight === 0 ? 0 : weight * crossEntropy(row, targets[i]!, labelSmoothing);
  });
  if (reduction === 'none') return losses;
  const total = losses.reduce((sum, loss) => sum + loss, 0);
  const weight = weights?.reduce((sum, w) => sum + w, 0) ?? losses.length;
  return [reduction === 'sum' ? total : weight === 0 ? 0 : total / weight];
}

type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

const reductions: Reduction[] = ['mean', 'sum', 'none'];

describe.each(await availableDevices())('softmaxCrossEntropy on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterEach(async () => {
    await tf.setBackend('fwp');
  });
  afterAll(dispose);

  /** The loss of a case as a function of its logits. Under the mask lie a NaN and a class that does not exist. */
  function lossOf(example: Case, reduction: Reduction): (logits: tf.Tensor) => tf.Tensor {
    const { targets, weights, labelSmoothing } = example;
    const poisoned = targets.map((target, i) => (weights?.[i] === 0 ? -7 : target));
    return (logits) =>
      softmaxCrossEntropy(logits, tf.tensor1d(poisoned, 'int32'), {
        labelSmoothing,
        reduction,
        ...(weights && { mask: tf.tensor1d(weights) }),
      });
  }

  function poisonedLogits({ rows, classes, logits, weights }: Case): tf.Tensor2D {
    const poisoned = logits.map((z, i) => (weights?.[Math.floor(i / classes)] === 0 ? Number.NaN : z));
    return tf.tensor2d(poisoned, [rows, classes]);
  }

  it.each(reductions)('agrees with the float64 reference (reduction %s)', (reduction) => {
    fc.assert(
      fc.property(cases, (example) => {
        tf.tidy(() => {
          const loss = lossOf(example, reduction)(poisonedLogits(example));
          expect(loss.shape).toEqual(reduction === 'none' ? [example.rows] : []);
          expectValues(loss.dataSync(), reference(example.logits, example, reduction), 2e-6);
        });
      }),
      { numRuns: 40 },
    );
  });

  it.each(reductions)('has the gradient of the float64 reference, 0 under the mask (reduction %s)', (reduction) => {
    fc.assert(
      fc.property(cases, (example) => {
        const { rows, classes, seed, weights, logits } = example;
        const dy = reduction === 'none' ? noise(rows, seed + 3) : [1.5];
        const direction = noise(rows * classes, seed + 4);
        tf.tidy(() => {
          const upstream = reduction === 'none' ? tf.tensor1d(dy) : tf.scalar(1.5);
          const gradient = tf.grad(lossOf(example, reduction))(poisonedLogits(example), upstream).dataSync();
          const slope = directionalDerivative((z) => dot(reference(z, example, reduction), dy), logits, direction);
          const scale = Math.sqrt(dot(gradient, gradient) * dot(direction, direction));
          expect(Math.abs(dot(gradient, direction) - slope)).toBeLessThan(2e-6 * (1 + scale));
          gradient.forEach((value, i) => {
            if (weights?.[Math.floor(i / classes)] === 0) expect(value).toBe(0);
          });
        });
      }),
      { numRuns: 30 },
    );
  });

  it.each(reductions)(
    'equals the composition of tfjs operations on other backends (reduction %s)',
    async (reduction) => {
      const [example] = fc.sample(
        cases.filter(({ weights, classes }) => weights !== undefined && classes > 2),
        { numRuns: 1, seed: 5 },
      ) as [Case];
      const all = (): number[] =>
        tf.tidy(() => {
          const { value, grad } = tf.valueAndGrad(lossOf(example, reduction))(poisonedLogits(example));
          return [value, grad].flatMap((t) => Array.from(t.dataSync()));
        });
      const fused = all();
      for (const backend of composedBackends) {
        await tf.setBackend(backend);
        expectValues(fused, all(), 1e-5);
      }
    },
  );

  it('takes leading dimensions and a bool mask', () => {
    tf.tidy(() => {
      const logits = tf.tensor3d(noise(2 * 3 * 4, 1), [2, 3, 4]);
      const targets = tf.tensor2d([0, 1, 2, 3, 0, 1], [2, 3], 'int32');
      const mask = tf.tensor2d([1, 0, 1, 1, 1, 0], [2, 3], 'bool');
      const loss = softmaxCrossEntropy(logits, targets, { mask, reduction: 'none' });
      const rows = toRows(logits.dataSync(), 4);
      const expected = rows.map((row, i) => (mask.dataSync()[i] ? crossEntropy(row, targets.dataSync()[i]!, 0) : 0));
      expect(loss.shape).toEqual([2, 3]);
      expectValues(loss.dataSync(), expected, 1e-6);
    });
  });

  it('is 0 with gradient 0 where everything is masked, on every backend', async () => {
    for (const backend of ['fwp', ...composedBackends]) {
      await tf.setBackend(backend);
      tf.tidy(() => {
        const loss = (z: tf.Tensor): tf.Tensor =>
          softmaxCrossEntropy(z, tf.tensor1d([0, 9], 'int32'), { mask: tf.zeros([2]) });
        const { value, grad } = tf.valueAndGrad(loss)(tf.fill([2, 3], Number.NaN));
        expect(value.dataSync()[0]).toBe(0);
        expect(Array.from(grad.dataSync())).toEqual(new Array(6).fill(0));
      });
    }
  });

  it('is Infinity for a target whose logit is -Infinity, and finite for another', () => {
    tf.tidy(() => {
      const logits = tf.tensor2d([-Infinity, 0, 0, -Infinity, 0, 0], [2, 3]);
      const loss = softmaxCrossEntropy(logits, tf.tensor1d([0, 1], 'int32'), { reduction: 'none' }).dataSync();
      expectValues(loss, [Infinity, Math.LN2], 1e-6);
    });
  });

  it('treats the mask as a constant on every backend', async () => {
    for (const backend of ['fwp', ...composedBackends]) {
      await tf.setBackend(backend);
      tf.tidy(() => {
        const logits = tf.tensor2d(noise(6, 1), [2, 3]);
        const targets = tf.tensor1d([0, 1], 'int32');
        const gradient = tf.grad((mask: tf.Tensor) => softmaxCrossEntropy(logits, targets, { mask }))(tf.ones([2]));
        expect(Array.from(gradient.dataSync())).toEqual([0, 0]);
      });
    }
  });

  it('can be differentiated twice', async () => {
    const curvature = (): number[] =>
      tf.tidy(() => {
        const targets = tf.tensor1d([2, 0, 1], 'int32');
        const mask = tf.tensor1d([1, 0, 0.5]);
        const inner = tf.grad((z: tf.Tensor) => softmaxCrossEntropy(z, targets, { mask, labelSmoothing: 0.1 }));
        const outer = tf.grad((z: tf.Tensor) => tf.sum(tf.square(inner(z))));
        return Array.from(outer(tf.tensor2d(noise(9, 3), [3, 3])).dataSync());
      });
    const ours = curvature();
    expect(ours.some((value) => Math.abs(value) > 0.01)).toBe(true);
    for (const backend of composedBackends) {
      await tf.setBackend(backend);
      expectValues(ours, curvature(), 1e-5);
    }
  });

  it('gives the same bits with 1, 2 and 4 threads', async () => {
    await expectSameBitsForAllThreads(options, () => {
      const targets = tf.tensor1d(
        Int32Array.from({ length: 3000 }, (_, i) => i % 33),
        'int32',
      );
      const loss = (z: tf.Tensor): tf.Tensor => softmaxCrossEntropy(z, targets);
      const { value, grad } = tf.valueAndGrad(loss)(tf.tensor2d(noise(3000 * 33, 1), [3000, 33]));
      return [value, grad].map((t) => t.dataSync());
    });
    await init(options);
  });

  it('leaves no tensors behind, also when it throws', () => {
    const logits = tf.tensor2d(noise(12, 1), [3, 4]);
    const [good, bad] = [tf.tensor1d([0, 1, 2], 'int32'), tf.tensor1d([0, 1, 4], 'int32')];
    const before = tf.memory();
    const live = tf.engine().backend.memory() as unknown as { numBytesLive: number };
    for (const reduction of reductions) {
      softmaxCrossEntropy(logits, good, { reduction }).dispose();
      tf.grad((z: tf.Tensor) => softmaxCrossEntropy(z, good, { reduction }))(logits).dispose();
      expect(() => softmaxCrossEntropy(logits, bad, { reduction })).toThrow(RangeError);
    }
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.engine().backend.memory()).toMatchObject({ numBytesLive: live.numBytesLive });
    tf.dispose([logits, good, bad]);
  });

  it('names the first target that is out of range, on every backend that can', async () => {
    for (const backend of checkingBackends) {
      await tf.setBackend(backend);
      tf.tidy(() => {
        const logits = tf.zeros([2, 3, 5]);
        const targets = tf.tensor2d([0, 1, 2, 3, 5, -1], [2, 3], 'int32');
        expect(() => softmaxCrossEntropy(logits, targets)).toThrow(
          /softmaxCrossEntropy: targets\[1, 1\] is 5, but must be in \[0, 5\)/,
        );
      });
    }
  });

  it('says what is wrong with its arguments', () => {
    tf.tidy(() => {
      const logits = tf.zeros([2, 5]);
      const targets = tf.tensor1d([0, 1], 'int32');
      expect(() => softmaxCrossEntropy(logits, tf.zeros([2]))).toThrow(/targets must be int32, but is float32/);
      expect(() => softmaxCrossEntropy(logits, tf.zeros([3], 'int32'))).toThrow(/targets must have shape \[2\]/);
      expect(() => softmaxCrossEntropy(logits, targets, { mask: tf.ones([2, 1]) })).toThrow(/mask must have shape/);
      expect(() => softmaxCrossEntropy(logits, targets, { labelSmoothing: 1.5 })).toThrow(/from 0 to 1, but is 1.5/);
      expect(() => softmaxCrossEntropy(logits, targets, { reduction: 'max' as never })).toThrow(
        /reduction must be 'mean' or 'sum' or 'none', but is 'max'/,
      );
    });
  });
});
