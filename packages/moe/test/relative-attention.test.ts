/** Relative attention against its equation, written out with loops in double precision. */

import * as core from '@fwp/core';
import { assertAllClose, availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RelativeAttention } from '../src/index.ts';

const [BATCH, LENGTH, MEMORY, SIZE, HEADS, HEAD_SIZE] = [2, 4, 3, 6, 2, 5];

/** x M for one vector. */
function times(x: readonly number[], matrix: readonly (readonly number[])[]): number[] {
  return (matrix[0] as readonly number[]).map((_, j) =>
    x.reduce((sum, value, i) => sum + value * ((matrix[i] as readonly number[])[j] as number), 0),
  );
}

const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
const matrix = (tensor: tf.Tensor): number[][] => tensor.arraySync() as number[][];
const headOf = (x: readonly number[], head: number) => x.slice(head * HEAD_SIZE, (head + 1) * HEAD_SIZE);

/** y_t for one row of the batch, of which `memory` elements precede the first output. */
function reference(block: RelativeAttention, sources: readonly (readonly number[])[], memory: number): number[][] {
  const { queries, keys, values, output, positions } = block;
  const scale = block.scale.dataSync()[0] as number;
  const [u, w] = [matrix(positions.contentBias as tf.Tensor), matrix(positions.positionBias as tf.Tensor)];
  const sinusoid = (distance: number) => {
    const angles = Array.from({ length: SIZE / 2 }, (_, i) => distance * 10_000 ** ((-2 * i) / SIZE));
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  };
  return sources.slice(memory).map((x, i) => {
    const t = memory + i;
    const joined = Array.from({ length: HEADS }, (_, h) => h).flatMap((h) => {
      const q = headOf(times(x, matrix(queries.weight)), h);
      const biased = (bias: readonly number[][]) => q.map((value, c) => value + ((bias[h] as number[])[c] as number));
      const scores = sources.slice(0, t + 1).map((z, s) => {
        const k = headOf(times(z, matrix(keys.weight)), h);
        const r = headOf(times(sinusoid(t - s), matrix(positions.weight)), h);
        return Math.exp(scale * (dot(biased(u), k) + dot(biased(w), r)));
      });
      const total = scores.reduce((a, b) => a + b);
      const seen = sources.slice(0, t + 1).map((z) => headOf(times(z, matrix(values.weight)), h));
      return Array.from(
        { length: HEAD_SIZE },
        (_, c) =>
          dot(
            scores,
            seen.map((v) => v[c] as number),
          ) / total,
      );
    });
    return times(joined, matrix(output.weight));
  });
}

describe.each(await availableDevices(core))('RelativeAttention on $name', ({ options }) => {
  beforeAll(async () => {
    await core.init(options);
  });
  afterAll(() => core.dispose());

  const make = () => {
    const random = new core.RandomStream(1);
    const block = new RelativeAttention({ size: SIZE, heads: HEADS, headSize: HEAD_SIZE, random });
    const { contentBias, positionBias } = block.positions;
    for (const bias of [contentBias, positionBias] as (tf.Variable & tf.Tensor2D)[]) {
      bias.assign(core.randomNormal(random, bias.shape) as tf.Tensor2D);
    }
    block.scale.assign(tf.scalar(0.7));
    return block;
  };

  it.each([0, MEMORY])('with a memory of %d elements computes its equation', (memory) => {
    const block = make();
    const sources = core.randomNormal(new core.RandomStream(2), [BATCH, memory + LENGTH, SIZE]) as tf.Tensor3D;
    const [before, inputs] = tf.split(sources, [memory, LENGTH], 1) as [tf.Tensor3D, tf.Tensor3D];
    const { outputs, selections } = block.apply(inputs, memory === 0 ? {} : { memory: before });
    const rows = sources.arraySync() as number[][][];
    assertAllClose(outputs.dataSync(), rows.map((row) => reference(block, row, memory)).flat(2));
    expect(selections).toEqual([]);
  });

  it('does not see padding', () => {
    const block = make();
    const random = new core.RandomStream(2);
    const [inputs, a, b] = [LENGTH, MEMORY, MEMORY].map(
      (n) => core.randomNormal(random, [BATCH, n, SIZE]) as tf.Tensor3D,
    );
    const paddingMask = tf.cast(
      tf.concat([tf.zeros([BATCH, MEMORY]), tf.ones([BATCH, LENGTH])], 1),
      'bool',
    ) as tf.Tensor2D;
    const outputs = [a, b].map((memory) =>
      block.apply(inputs as tf.Tensor3D, { memory, paddingMask }).outputs.dataSync(),
    );
    expect(outputs[0]).toEqual(outputs[1]);
  });

  it('all of it learns', () => {
    const block = make();
    const inputs = core.randomNormal(new core.RandomStream(3), [BATCH, LENGTH, SIZE]) as tf.Tensor3D;
    const loss = () => tf.sum(tf.square(block.apply(inputs).outputs)) as tf.Scalar;
    const { gradients } = core.valueAndGradients(loss, block.parameters());
    for (const [name, variable] of block.namedParameters()) {
      const gradient = gradients[variable.name]?.dataSync() ?? [];
      expect([name, gradient.some((value) => value !== 0)]).toEqual([name, true]);
    }
  });

  it('counts its multiply-adds', () => {
    // Written out: queries, keys, values, distances, output; scores twice, sum of values.
    const [T, S, d, width] = [LENGTH, LENGTH + MEMORY, SIZE, HEADS * HEAD_SIZE];
    const maps = T * d * width + S * d * width + S * d * width + S * d * width + T * width * d;
    expect(make().multiplyAdds(LENGTH, MEMORY)).toBe(maps + 2 * T * S * width + T * S * width);
  });
});
