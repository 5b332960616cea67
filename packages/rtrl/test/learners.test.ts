import * as core from '@fwp/core';
import {
  dispose,
  ElementwiseLstm,
  elementwiseLstmRtrl,
  elementwiseLstmTrace,
  init,
  Linear,
  Module,
  RandomStream,
  randomNormal,
} from '@fwp/core';
import { availableDevices, wasm } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lossAndGradients } from '../src/elstm-learner.ts';
import { ElstmRtrl, ElstmTbptt, type SegmentResult } from '../src/index.ts';

/** A layer and a head. */
class Model extends Module {
  readonly layer: ElementwiseLstm;
  readonly head: Linear;

  constructor(inputSize: number, hiddenSize: number, forgetBias = 1) {
    super();
    const random = new RandomStream(1);
    this.layer = this.addModule('layer', new ElementwiseLstm({ inputSize, hiddenSize, forgetBias, random }));
    this.head = this.addModule('head', new Linear({ inputSize: hiddenSize, outputSize: 2, random }));
  }
}

const [BATCH, TIME, INPUTS, HIDDEN] = [3, 24, 4, 6];

/** Half of the squares of what the head makes of h; of some steps only, as in tasks whose answer comes late. */
function lossOf(model: Model, counts: tf.Tensor) {
  return (output: tf.Tensor3D) =>
    tf.mul(0.5, tf.sum(tf.mul(tf.square(model.head.forward(output)), counts))) as tf.Scalar;
}

const isCounted = (t: number) => (t % 5 === 4 ? 1 : 0);

/** Gradients by path in the model, summed over the pieces. */
function gradientsOf(model: Model, learner: ElstmRtrl | ElstmTbptt, pieces: number[], resets = false): Float32Array[] {
  return tf.tidy(() => {
    const x = randomNormal(new RandomStream(2), [BATCH, TIME, INPUTS]) as tf.Tensor3D;
    const begins = Array.from({ length: BATCH * TIME }, (_, i) => (resets && i % 7 === 3 ? 1 : 0));
    const mask = tf.tensor2d(begins, [BATCH, TIME], 'bool');
    let sums: tf.Tensor[] | undefined;
    let begin = 0;
    for (const steps of pieces) {
      const counts = tf.tensor3d(
        Array.from({ length: steps }, (_, t) => isCounted(begin + t)),
        [1, steps, 1],
      );
      const result = learner.segment(tf.slice(x, [0, begin, 0], [BATCH, steps, INPUTS]), lossOf(model, counts), {
        resetMask: tf.slice(mask, [0, begin], [BATCH, steps]),
      });
      const parts = model.parameters().map(({ name }) => result.gradients[name] as tf.Tensor);
      sums = sums === undefined ? parts : parts.map((part, i) => tf.add(part, sums?.[i] as tf.Tensor));
      begin += steps;
    }
    return (sums as tf.Tensor[]).map((sum) => sum.dataSync() as Float32Array);
  });
}

function relativeError(actual: readonly Float32Array[], expected: readonly Float32Array[]): number {
  const errors = actual.map((values, i) => {
    const other = expected[i] as Float32Array;
    const largest = Math.max(...other.map(Math.abs), 1e-3);
    return Math.max(...values.map((value, j) => Math.abs(value - (other[j] as number)))) / largest;
  });
  return Math.max(...errors);
}

const ONES = Array.from({ length: TIME }, () => 1);

describe.each(await availableDevices(core))('learners on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each([false, true])(
    'real-time recurrent learning gives the gradient of full backpropagation, resets: %s',
    (resets) => {
      const model = new Model(INPUTS, HIDDEN);
      const options_ = { layer: model.layer, model, batchSize: BATCH };
      // The second pass begins with a state that isn't zero and, for the one, with sensitivities of the first to be forgotten.
      const full = new ElstmTbptt(options_);
      const expected = gradientsOf(model, full, [TIME], resets);
      for (const pieces of [[TIME], [7, 10, 7], ONES]) {
        const learner = new ElstmRtrl(options_);
        expect(relativeError(gradientsOf(model, learner, pieces, resets), expected)).toBeLessThan(1e-4);
        learner.dispose();
      }
      tf.dispose([...full.namedBuffers().values()]);
      model.dispose();
    },
  );

  it('truncated, it does not see what a cut has hidden; sensitivities that are reset there agree with it', () => {
    const model = new Model(INPUTS, HIDDEN);
    const options_ = { layer: model.layer, model, batchSize: BATCH };
    const [full, truncated, exact] = [new ElstmTbptt(options_), new ElstmTbptt(options_), new ElstmRtrl(options_)];
    const pieces = [8, 8, 8];
    const cut = gradientsOf(model, truncated, pieces);
    expect(relativeError(cut, gradientsOf(model, full, [TIME]))).toBeGreaterThan(0.05);

    // The finite horizon, exactly: the state goes on, S does not.
    const segment = exact.segment.bind(exact);
    exact.segment = (...given) => {
      tf.tidy(() => exact.sensitivities.assign(tf.zerosLike(exact.sensitivities)));
      return segment(...given);
    };
    expect(relativeError(gradientsOf(model, exact, pieces), cut)).toBeLessThan(1e-4);
    for (const part of [full, truncated, exact, model]) part.dispose();
  });

  it('step by step is a segment', () => {
    const model = new Model(INPUTS, HIDDEN);
    const learners = [ElstmRtrl, ElstmTbptt].map(
      (Learner) => new Learner({ layer: model.layer, model, batchSize: BATCH }),
    );
    for (const learner of learners) {
      tf.tidy(() => {
        const x = randomNormal(new RandomStream(3), [BATCH, 5, INPUTS]) as tf.Tensor3D;
        const outputs = tf.unstack(x, 1).map((element, t) => {
          const reset = tf.tensor1d([0, t === 2 ? 1 : 0, 0], 'bool');
          const { output, loss, gradients } = learner.step(
            element as tf.Tensor2D,
            t === 4 ? (h) => tf.sum(model.head.forward(h)) as tf.Scalar : undefined,
            { reset },
          );
          expect(loss === undefined).toBe(t !== 4);
          expect(Object.keys(gradients).length).toBe(t === 4 ? 7 : 0);
          return output;
        });
        const state = learner.state.dataSync();
        learner.reset();
        const resetMask = tf.tensor2d(
          Array.from({ length: 15 }, (_, i) => (i === 7 ? 1 : 0)),
          [BATCH, 5],
          'bool',
        );
        const whole = learner.segment(x, undefined, { resetMask });
        expect(
          relativeError([tf.stack(outputs, 1).dataSync() as Float32Array], [whole.output.dataSync() as Float32Array]),
        ).toBeLessThan(1e-5);
        expect(relativeError([learner.state.dataSync() as Float32Array], [state as Float32Array])).toBeLessThan(1e-5);
      });
      learner.dispose();
    }
    model.dispose();
  });

  it('needs the same memory at every step, and frees all of it', () => {
    const before = tf.memory();
    const model = new Model(INPUTS, HIDDEN);
    const learner = new ElstmRtrl({ layer: model.layer, model, batchSize: BATCH });
    const run = () => {
      const x = randomNormal(new RandomStream(4), [BATCH, INPUTS]) as tf.Tensor2D;
      tf.dispose([x, learner.step(x, (h) => tf.sum(model.head.forward(h)) as tf.Scalar)] as tf.TensorContainer[]);
      return tf.memory();
    };
    const first = run();
    for (let t = 0; t < 50; t++) {
      const { numTensors, numBytes } = run();
      expect([numTensors, numBytes]).toEqual([first.numTensors, first.numBytes]);
    }
    learner.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(before.numTensors);
  });
});

describe('limits and errors', () => {
  beforeAll(async () => {
    await init(wasm.options);
  });
  afterAll(dispose);

  it('for the lower one of two layers it is not the gradient: its sensitivities would have to be dense', () => {
    const random = new RandomStream(5);
    const lower = new ElementwiseLstm({ inputSize: INPUTS, hiddenSize: HIDDEN, forgetBias: 1, random });
    const upper = new ElementwiseLstm({ inputSize: HIDDEN, hiddenSize: HIDDEN, forgetBias: 1, random });
    tf.tidy(() => {
      const x = randomNormal(random, [1, TIME, INPUTS]) as tf.Tensor3D;
      const weights = lower.cellWeights();
      const trace = elementwiseLstmTrace(x, weights);
      const above = upper.forward(lower.read(x, trace.output));
      expect(above.output.shape).toEqual([1, TIME, HIDDEN]);
      const exact = lossAndGradients(
        (): [tf.Tensor] => [upper.apply(lower.apply(x))],
        (output) => tf.sum(tf.square(output)) as tf.Scalar,
        [lower.inputWeight],
      ).gradients[0] as tf.Tensor;
      // e of the lower layer through step t of the upper one alone, whose state of before is a constant.
      const cells = elementwiseLstmTrace(lower.read(x, trace.output), upper.cellWeights()).output;
      const errors = Array.from({ length: TIME }, (_, t) => {
        const at = (tensor: tf.Tensor, step: number) =>
          tf.squeeze(tf.slice(tensor, [0, step, 0], [1, 1]), [1]) as tf.Tensor2D;
        const cell = t === 0 ? upper.initialState(1).cell : at(cells, t - 1);
        const c = at(trace.output, t);
        const forward = (): [tf.Tensor] => [upper.step(lower.read(at(x, t), c), { cell }).output];
        return lossAndGradients(forward, (output) => tf.sum(tf.square(output)) as tf.Scalar, [c])
          .gradients[0] as tf.Tensor;
      });
      const sensitivities = tf.variable(tf.zeros([1, INPUTS + 2, 2 * HIDDEN]), false);
      const oneLayer = elementwiseLstmRtrl(sensitivities, x, weights, trace, { errors: tf.stack(errors, 1) });
      sensitivities.dispose();
      const [actual, expected] = [oneLayer?.inputWeight, exact].map(
        (tensor) => (tensor as tf.Tensor).dataSync() as Float32Array,
      );
      expect(relativeError([actual as Float32Array], [expected as Float32Array])).toBeGreaterThan(0.05);
    });
    lower.dispose();
    upper.dispose();
  });

  it('the error of a step is o ∘ Whᵀ d + Wocᵀ ((Whᵀ d) ∘ c ∘ o ∘ (1 − o))', () => {
    const model = new Model(INPUTS, HIDDEN);
    tf.tidy(() => {
      const random = new RandomStream(6);
      const [x, c, d] = [INPUTS, HIDDEN, 2].map((size) => randomNormal(random, [BATCH, size]) as tf.Tensor2D) as [
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor2D,
      ];
      const forward = (): [tf.Tensor] => [model.head.forward(model.layer.read(x, c))];
      const error = lossAndGradients(forward, (output) => tf.sum(tf.mul(d, output)) as tf.Scalar, [c])
        .gradients[0] as tf.Tensor;
      const o = model.layer.outputGate.forward(tf.concat([x, c], 1));
      const fromHead = tf.matMul(d, model.head.weight, false, true);
      const ofCells = tf.slice(model.layer.outputGate.weight, [INPUTS, 0], [HIDDEN, HIDDEN]);
      const inner = tf.mul(tf.mul(fromHead, c), tf.mul(o, tf.sub(1, o)));
      const expected = tf.add(tf.mul(o, fromHead), tf.matMul(inner, ofCells as tf.Tensor2D, false, true));
      expect(relativeError([error.dataSync() as Float32Array], [expected.dataSync() as Float32Array])).toBeLessThan(
        1e-5,
      );
    });
    model.dispose();
  });

  it('says what is wrong with an argument, and keeps nothing', () => {
    const [model, other] = [new Model(INPUTS, HIDDEN), new Model(INPUTS, HIDDEN)];
    expect(() => new ElstmRtrl({ layer: model.layer, model: other, batchSize: 1 })).toThrow(
      /layer must be a part of model/,
    );
    expect(() => new ElstmRtrl({ layer: model.layer, batchSize: 0 })).toThrow(/batchSize must be a whole number/);
    const learner = new ElstmRtrl({ layer: model.layer, model, batchSize: BATCH });
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const x = tf.zeros([BATCH, 2, INPUTS]) as tf.Tensor3D;
      expect(() => learner.segment(tf.zeros([1, 2, INPUTS]))).toThrow(/segment: x .* 1 instead of 3/);
      expect(() => learner.segment(x, undefined, { resetMask: tf.zeros([BATCH, 3], 'bool') })).toThrow(
        /resetMask .* 3 instead of 2/,
      );
      expect(() => learner.segment(x, (output) => output as never)).toThrow(/The loss must have shape/);
      expect(() => learner.step(tf.zeros([BATCH, INPUTS]), undefined, { reset: tf.zeros([1], 'bool') })).toThrow(
        /step: reset/,
      );
    });
    expect(tf.memory().numTensors).toBe(before);
    const named = (result: SegmentResult) => Object.keys(result.gradients);
    tf.tidy(() => {
      const result = learner.segment(tf.zeros([BATCH, 2, INPUTS]), (output) => tf.sum(output) as tf.Scalar);
      expect(named(result).sort()).toEqual(
        model
          .parameters()
          .map(({ name }) => name)
          .sort(),
      );
    });
    for (const part of [learner, model, other]) part.dispose();
  });
});
