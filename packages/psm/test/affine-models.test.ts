/** The affine family through trees, counters and the fused pass: the recurrences of the models that it stands for. */

import {
  type AffineElement,
  affineOperator,
  affineScan,
  deltaRule,
  dispose,
  gatedDeltaRule,
  gatedLinearAttention,
  init,
  insertElement,
  linearAttention,
  type PrefixRoots,
  prefixOf,
  prefixScan,
  RandomStream,
  randomNormal,
  retention,
} from '@fwp/core';
import { assertAllClose, wasm } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AFFINE_MODELS, type AffineModelInputs, type AffineModelName, affineModel } from '../src/index.ts';

const [batch, time, keyDim, valueDim] = [2, 13, 4, 3];
const TOLERANCE = { rtol: 1e-5, atol: 1e-5 };

function draw(shape: number[], seed: number): tf.Tensor {
  return randomNormal(new RandomStream(seed), shape);
}

function inputsOf(name: AffineModelName): AffineModelInputs {
  const k = tf.div(draw([batch, time, keyDim], 1), 2);
  const v = draw([batch, time, valueDim], 2);
  const rates = tf.sigmoid(draw([batch, time], 3));
  const decay = tf.sigmoid(draw(name === 'gatedLinearAttention' ? [batch, time, keyDim] : [batch, time], 4));
  if (name === 'linearAttention') return { k, v };
  if (name === 'deltaNet') return { k, v, beta: rates };
  if (name === 'gatedDeltaNet') return { k, v, beta: rates, decay };
  // Retention's own operation has one decay for all steps.
  return { k, v, decay: name === 'retention' ? tf.fill([batch, time], 0.9) : decay };
}

/** S of all steps, from the operation of the model. */
function expectedOutputs(name: AffineModelName, q: tf.Tensor, { k, v, beta, decay }: AffineModelInputs): tf.Tensor {
  const heads = (x: tf.Tensor | undefined) => tf.expandDims(x as tf.Tensor, 1);
  const [hq, hk, hv] = [heads(q), heads(k), heads(v)];
  const operations = {
    linearAttention: () => linearAttention(hq, hk, hv),
    retention: () => retention(hq, hk, hv, { decay: [0.9] }),
    gatedLinearAttention: () => gatedLinearAttention(hq, hk, hv, heads(decay)),
    deltaNet: () => deltaRule(hq, hk, hv, heads(beta)),
    gatedDeltaNet: () => gatedDeltaRule(hq, hk, hv, heads(beta), heads(decay)),
  };
  return tf.squeeze(operations[name]().output, [1]);
}

describe('affineModel', () => {
  beforeAll(async () => {
    await init(wasm.options);
  });
  afterAll(dispose);

  it.each(AFFINE_MODELS)('%s: fused pass, tree and counter give the states that the model reads', (name) => {
    tf.tidy(() => {
      const inputs = inputsOf(name);
      const q = draw([batch, time, keyDim], 5);
      const { kind, transition, input } = affineModel(name, inputs);
      const read = (states: tf.Tensor) => tf.squeeze(tf.matMul(states, tf.expandDims(q, 3)), [3]).dataSync();
      const expected = expectedOutputs(name, q, inputs).dataSync();
      const fused = affineScan(kind, { transition, input });
      assertAllClose(read(fused.states), expected, { ...TOLERANCE, name: 'fused' });
      const tree = prefixScan(affineOperator(kind), { transition, input });
      assertAllClose(read(tree.input), expected, { ...TOLERANCE, name: 'tree' });
      const at = (x: tf.Tensor, t: number) => tf.squeeze(tf.slice(x, [0, t], [batch, 1]), [1]);
      let roots: PrefixRoots<AffineElement> = [];
      for (let t = 0; t < time; t++) {
        roots = insertElement(affineOperator(kind), roots, { transition: at(transition, t), input: at(input, t) });
        assertAllClose(prefixOf(roots)!.input.dataSync(), at(fused.states, t).dataSync(), {
          ...TOLERANCE,
          name: `${t}`,
        });
      }
    });
  });

  it('says which gates a model has', () => {
    const { numTensors } = tf.memory();
    tf.tidy(() => {
      const { k, v, beta, decay } = inputsOf('gatedDeltaNet');
      expect(() => affineModel('mamba' as never, { k, v })).toThrow(/name must be 'linearAttention' or 'retention'/);
      expect(() => affineModel('deltaNet', { k, v })).toThrow(/deltaNet needs beta/);
      expect(() => affineModel('linearAttention', { k, v, decay })).toThrow(
        /linearAttention has no decay; leave it out/,
      );
      expect(() => affineModel('gatedLinearAttention', { k, v, decay })).toThrow(/decay must have shape .* keyDim/);
      expect(() => affineModel('deltaNet', { k, v: tf.ones([2, 12, 3]), beta })).toThrow(/v .*time.* 12 instead of 13/);
    });
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});
