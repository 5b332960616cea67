import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import * as util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { missingTensorflow } from '../../src/device/tensorflow.ts';
import {
  DeviceUnavailableError,
  deltaRule,
  device,
  dispose,
  init,
  OutOfMemoryError,
  TENSORFLOW_FILES,
  tensorflowFolder,
} from '../../src/index.ts';
import { expectWithin } from '../ops/against-reference.ts';

const missing = await missingTensorflow();
const variable = 'FWP_TENSORFLOW_DIR';
const chosen = process.env[variable];
const folder = mkdtempSync(join(tmpdir(), 'fwp-tensorflow-'));

/** Sets the variable, or removes it. */
function choose(path: string | undefined): void {
  if (path === undefined) delete process.env[variable];
  else process.env[variable] = path;
}

afterEach(async () => {
  await dispose();
  choose(chosen);
  rmSync(folder, { recursive: true, force: true });
});

/** What was computed on TensorFlow leaves no tensors, and is the same on tfjs's CPU backend. Returns how many results there are. */
async function expectSameOnCpu(compute: () => ArrayLike<number>[], tolerance: number): Promise<number> {
  const before = tf.memory().numTensors;
  const ours = compute();
  expect(tf.memory().numTensors).toBe(before);
  await tf.setBackend('cpu');
  const expected = compute();
  for (const [i, values] of ours.entries()) expectWithin(values, expected[i]!, tolerance, `result ${i}`);
  return ours.length;
}

describe('a TensorFlow that is not there', () => {
  beforeAll(() => {
    // Other tests of the same process may have loaded it.
    if (tf.findBackendFactory('tensorflow')) tf.removeBackend('tensorflow');
    for (const { kernelName } of tf.getKernelsForBackend('tensorflow')) tf.unregisterKernel(kernelName, 'tensorflow');
  });

  it('is looked for in the chosen folder, else in the user’s cache', async () => {
    choose('somewhere');
    expect(await tensorflowFolder()).toBe(join(process.cwd(), 'somewhere'));
    choose(undefined);
    const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
    expect(await tensorflowFolder()).toBe(join(cache, 'fwp', 'tensorflow'));
  });

  it('is an error that names where it was looked for, and the ways out', async () => {
    choose(folder);
    const error = await init({ device: 'tensorflow' }).catch((reason: Error) => reason);
    expect(error).toBeInstanceOf(DeviceUnavailableError);
    const { message } = error as Error;
    expect(message).toContain(`nothing was set up in ${folder}`);
    expect(message).toContain('@tensorflow/tfjs-node-gpu is not installed');
    expect(message).toContain("Run 'npx fwp setup tensorflow'");
    expect(message).toContain("'npm install @tensorflow/tfjs-node'");
    expect(await missingTensorflow()).toContain('nothing was set up');
  });

  it('that does not load is an error that says why', async () => {
    choose(folder);
    mkdirSync(join(folder, TENSORFLOW_FILES.package), { recursive: true });
    writeFileSync(join(folder, TENSORFLOW_FILES.binding), 'This is no library.');
    await expect(init({ device: 'tensorflow' })).rejects.toThrow(DeviceUnavailableError);
    await expect(init({ device: 'tensorflow' })).rejects.toThrow(/cannot be loaded from .*tfjs-node: .*fwp setup/);
  });
});

describe.skipIf(missing !== undefined)(`device tensorflow${missing === undefined ? '' : ` (${missing})`}`, () => {
  it('says what it is, and computes', async () => {
    const info = await init({ device: 'tensorflow' });
    expect(info).toMatchObject({ name: 'tensorflow', backend: 'tensorflow', simd: expect.stringMatching(/^[CG]PU$/) });
    expect(info.version).toMatch(/^2\.\d+\.\d+/);
    expect(info.notes).toEqual([`TensorFlow ${info.version}`]);
    expect(device()).toBe(info);
    expect(tf.getBackend()).toBe('tensorflow');
    const product = tf.tidy(() =>
      tf
        .matMul(
          tf.tensor2d([
            [1, 2],
            [3, 4],
          ]),
          tf.tensor2d([
            [5, 6],
            [7, 8],
          ]),
        )
        .dataSync(),
    );
    expect(Array.from(product)).toEqual([19, 22, 43, 50]);
  });

  it('can be left and come back to', async () => {
    for (const name of ['tensorflow', 'wasm', 'tensorflow'] as const) {
      await init({ device: name });
      expect(tf.tidy(() => tf.sum(tf.ones([1000])).dataSync()[0])).toBe(1000);
    }
  });

  it('keeps its threads', async () => {
    const { threads } = await init({ device: 'tensorflow' });
    await expect(init({ device: 'tensorflow', threads: threads + 1 })).rejects.toThrow(/cannot be given/);
    expect(await init({ device: 'tensorflow', threads })).toMatchObject({ threads });
  });

  it('has what Node removed for the kernels alone', async () => {
    const before = Object.keys(util).length;
    await init({ device: 'tensorflow' });
    expect(Object.keys(util).length).toBe(before);
    // The kernel asks whether there is an axis.
    expect(tf.tidy(() => tf.reverse(tf.tensor1d([1, 2, 3])).dataSync())).toEqual(new Float32Array([3, 2, 1]));
  });

  it('has the kernels that tfjs-node lacks, and those repaired that it has in part', async () => {
    await init({ device: 'tensorflow' });
    const all = (): number[][] =>
      tf.tidy(() => {
        const x = tf.tensor2d([
          [3, -1, 2],
          [-4, 5, 0],
        ]);
        return [
          tf.gather(x, tf.tensor1d([2, 0], 'int32'), -1),
          tf.argMax(tf.less(x, 0), 1),
          tf.argMin(tf.less(x, 0), 1),
          tf.exp(tf.cast(x, 'int32')),
          tf.prelu(x, tf.tensor2d([[0.5, 2, 1]])),
          tf.searchSorted(tf.tensor1d([1, 2, 4]), tf.tensor1d([3, 0])),
          tf.denseBincount(tf.tensor1d([0, 2, 2], 'int32'), tf.tensor1d([]), 3),
        ].map((t) => Array.from(t.dataSync()));
      });
    await expectSameOnCpu(all, 1e-6);
  });

  it('pads convolutions and pools by numbers of pixels', async () => {
    await init({ device: 'tensorflow' });
    const all = (): number[][] =>
      tf.tidy(() => {
        const x = tf.reshape(tf.sin(tf.range(0, 60)), [1, 5, 6, 2]) as tf.Tensor4D;
        const filter = tf.reshape(tf.cos(tf.range(0, 36)), [3, 3, 2, 2]) as tf.Tensor4D;
        const convolved = (pad: number | tf.backend_util.ExplicitPadding, rounding?: 'floor' | 'ceil') => {
          const run = (image: tf.Tensor4D, weights: tf.Tensor4D) =>
            tf.sum(tf.square(tf.conv2d(image, weights, 2, pad, 'NHWC', 1, rounding))) as tf.Scalar;
          return [
            run(x, filter),
            ...tf.grads((image, weights) => run(image as tf.Tensor4D, weights as tf.Tensor4D))([x, filter]),
          ];
        };
        const pooled = (pool: typeof tf.avgPool) => {
          const run = (image: tf.Tensor4D) => tf.sum(tf.square(pool(image, 3, 2, 1, 'floor'))) as tf.Scalar;
          return [run(x), tf.grad((image) => run(image as tf.Tensor4D))(x)];
        };
        const margins: tf.backend_util.ExplicitPadding = [
          [0, 0],
          [0, 2],
          [2, 1],
          [0, 0],
        ];
        return [
          ...[...convolved(1, 'floor'), ...convolved(1, 'ceil'), ...convolved(margins, 'floor')],
          ...[...pooled(tf.avgPool), ...pooled(tf.maxPool)],
          tf.depthwiseConv2d(x, filter, 1, 1),
        ].map((t) => Array.from(t.dataSync()));
      });
    expect(await expectSameOnCpu(all, 1e-5)).toBe(14);
  });

  it('has the whole gradient of a convolution of one channel, and its transpose', async () => {
    await init({ device: 'tensorflow' });
    const all = (): Float32Array[] =>
      tf.tidy(() => {
        const x = tf.reshape(tf.sin(tf.range(0, 25)), [1, 5, 5, 1]) as tf.Tensor4D;
        const filter = tf.reshape(tf.cos(tf.range(0, 9)), [3, 3, 1, 1]) as tf.Tensor4D;
        const run = (image: tf.Tensor) => tf.sum(tf.sin(tf.conv2d(image as tf.Tensor4D, filter, 1, 'valid')));
        return [tf.grad(run)(x), tf.conv2dTranspose(x, filter, [1, 7, 7, 1], 1, 'valid')].map(
          (t) => t.dataSync() as Float32Array,
        );
      });
    await expectSameOnCpu(all, 1e-5);
  });

  it('throws an error of its own where memory is used up, and goes on', async () => {
    await init({ device: 'tensorflow' });
    const before = tf.memory().numTensors;
    // More than there are addresses.
    const much = (): tf.Tensor => tf.tidy(() => tf.add(tf.fill([2 ** 20, 2 ** 28], 1), 1));
    expect(much).toThrow(OutOfMemoryError);
    expect(much).toThrow(/Out of memory on device 'tensorflow'.*shape\[1048576,268435456\].*smaller batches/);
    expect(tf.memory().numTensors).toBe(before);
    expect(tf.tidy(() => tf.sum(tf.ones([10])).dataSync()[0])).toBe(10);
  });

  it('keeps no tensors', async () => {
    await init({ device: 'tensorflow' });
    const step = (): void => {
      const [q, k, v, beta] = [
        [1, 2, 70, 8],
        [1, 2, 70, 8],
        [1, 2, 70, 8],
        [1, 2, 70],
      ].map((shape) => tf.ones(shape));
      const loss = (...given: tf.Tensor[]): tf.Scalar =>
        tf.sum(deltaRule(given[0]!, given[1]!, given[2]!, given[3]!).output);
      tf.dispose([...tf.grads(loss)([q!, k!, v!, tf.mul(beta!, 0.1)]), q!, k!, v!, beta!]);
    };
    tf.tidy(step);
    const before = tf.memory().numTensors;
    tf.tidy(step);
    expect(tf.memory().numTensors).toBe(before);
  });
});
