import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as core from '@fwp/core';
import {
  Adam,
  dispose,
  init,
  Lstm,
  loadCheckpoint,
  RandomStream,
  randomIntegers,
  saveCheckpoint,
  softmaxCrossEntropy,
} from '@fwp/core';
import { assertAllClose, availableDevices, piece, stateValues, wasm } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  FastWeightLanguageModel,
  keepState,
  type LanguageModelOptions,
  type MixerSpecification,
} from '../src/index.ts';
import { cases } from './mixers.ts';

const VOCABULARY = 11;
const TOLERANCE = { rtol: 1e-3, atol: 1e-4 };

function makeModel(options: Partial<LanguageModelOptions> = {}, seed = 1): FastWeightLanguageModel {
  return new FastWeightLanguageModel({
    vocabularySize: VOCABULARY,
    size: 8,
    layers: 2,
    mixer: { name: 'deltaNet', heads: 2 },
    feedForward: { hiddenSize: 16 },
    // Larger than by default, so that untrained models say something.
    weightInitializer: (shape, random) => tf.tensor(random.normal(tf.util.sizeFromShape(shape)), shape),
    random: new RandomStream(seed),
    ...options,
  });
}

const tokensOf = (batch: number, length: number, seed = 2): tf.Tensor2D =>
  randomIntegers(new RandomStream(seed), [batch, length], 0, VOCABULARY) as tf.Tensor2D;

/** Steps and segments with carried state give what the parallel form gives. */
function expectStreamsEqualWhole(options: Partial<LanguageModelOptions>): void {
  tf.tidy(() => {
    const model = makeModel(options).eval();
    const tokens = tokensOf(2, 10);
    const whole = model.forward(tokens);
    expect(whole.logits.shape).toEqual([2, 10, VOCABULARY]);
    assertAllClose(model.apply(tokens).dataSync(), whole.logits.dataSync(), { ...TOLERANCE, name: 'apply' });
    const first = model.forward(piece(tokens, 0, 6));
    const second = model.forward(piece(tokens, 6, 4), first.state);
    const segments = tf.concat([first.logits, second.logits], 1);
    assertAllClose(segments.dataSync(), whole.logits.dataSync(), { ...TOLERANCE, name: 'segments' });
    let state = model.initialState(2);
    const steps = tf.unstack(tokens, 1).map((token) => {
      const result = model.step(token as tf.Tensor1D, state);
      state = result.state;
      return result.logits;
    });
    assertAllClose(tf.stack(steps, 1).dataSync(), whole.logits.dataSync(), { ...TOLERANCE, name: 'steps' });
    assertAllClose(stateValues(state), stateValues(whole.state), { ...TOLERANCE, name: 'state' });
    expect(state.position).toBe(10);
    model.dispose();
  });
}

describe.each(await availableDevices(core))('the language model on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('gives in steps and segments what it gives at once', () => {
    expectStreamsEqualWhole({ positions: 'sinusoidal' });
  });
});

describe('the language model', () => {
  beforeAll(async () => {
    await init(wasm.options);
  });
  afterAll(dispose);

  it.each(Object.entries(cases))('with %s gives in steps and segments what it gives at once', (_, mixer) => {
    expectStreamsEqualWhole({ mixer });
  });

  it.each([
    { placement: 'pre' },
    { placement: 'pre', normalization: 'rms', tieWeights: false },
    { positions: 'sinusoidal', embeddingScale: 1 },
    { layers: 0 },
  ] as const)('streams with %o, too', (options) => {
    expectStreamsEqualWhole(options);
  });

  it('takes mixers of other makes, a different one in each block', () => {
    const mixer = (block: number) =>
      block === 0
        ? new Lstm({ inputSize: 8, hiddenSize: 8, random: new RandomStream(3) })
        : makeModel().blocks[0]!.mixer;
    expectStreamsEqualWhole({ mixer });
  });

  it('generates greedily what the parallel form finds most probable', () => {
    tf.tidy(() => {
      const model = makeModel().eval();
      const prompt = tokensOf(3, 4);
      const generated = model.generate(prompt, { length: 7, temperature: 0 });
      expect(generated.shape).toEqual([3, 7]);
      const all = tf.concat([prompt, generated], 1);
      const expected = tf.argMax(piece(model.apply(all), 3, 7), -1);
      expect(Array.from(generated.dataSync())).toEqual(Array.from(expected.dataSync()));
      model.dispose();
    });
  });

  it('generates the same from the same seed, goes on from a state, and leaves the training mode as it was', () => {
    tf.tidy(() => {
      const model = makeModel({ dropout: 0.5 });
      const prompt = tokensOf(2, 3);
      const run = (seed: number, options = {}) =>
        Array.from(model.generate(prompt, { length: 12, random: new RandomStream(seed), ...options }).dataSync());
      expect(run(1)).toEqual(run(1));
      expect(run(1)).not.toEqual(run(2));
      expect(run(2, { topK: 1 })).toEqual(run(3, { temperature: 0 }));
      expect(run(4, { temperature: 1e-4 })).toEqual(run(3, { temperature: 0 }));
      expect(model.training).toBe(true);
      model.eval();
      const { state } = model.forward(piece(prompt, 0, 2));
      const rest = { length: 12, temperature: 0 };
      const continued = model.generate(piece(prompt, 2, 1), { ...rest, state }).dataSync();
      expect(Array.from(continued)).toEqual(run(3, { temperature: 0 }));
      expect(model.training).toBe(false);
      expect(model.generate(prompt, { length: 0 }).shape).toEqual([2, 0]);
      model.dispose();
    });
  });

  it('generates in constant memory', () => {
    const model = makeModel({ mixer: { name: 'gatedDeltaNet', heads: 2 } });
    const prompt = tokensOf(1, 3);
    const peak = (length: number): number => {
      let most = 0;
      const step = model.step.bind(model);
      model.step = (...args) => {
        const result = step(...args);
        most = Math.max(most, tf.memory().numBytes);
        return result;
      };
      model.generate(prompt, { length }).dispose();
      model.step = step;
      return most;
    };
    const short = peak(4);
    const { numTensors, numBytes } = tf.memory();
    expect(peak(60)).toBe(short);
    expect(tf.memory()).toMatchObject({ numTensors, numBytes });
    model.dispose();
    prompt.dispose();
  });

  it('has the parameters of its equations', () => {
    const [d, inner] = [8, 16];
    const block = d * (3 * d + 2) + d * d + (d * inner + inner) + (inner * d + d) + 4 * d;
    const count = (options: Partial<LanguageModelOptions>): number => {
      const model = makeModel(options);
      model.dispose();
      return model.parameterCount;
    };
    expect(count({})).toBe(VOCABULARY * d + 2 * block);
    expect(count({ placement: 'pre' })).toBe(VOCABULARY * d + 2 * block + 2 * d);
    expect(count({ tieWeights: false })).toBe(2 * VOCABULARY * d + 2 * block);
  });

  it('starts as in the paper: N(0, 0.02²), biases 0, gains N(1, 0.02²)', () => {
    const model = makeModel({ size: 64, weightInitializer: undefined, feedForward: {} });
    for (const [path, variable] of model.namedParameters()) {
      const { mean, deviation } = tf.tidy(() => {
        const moments = tf.moments(variable);
        return { mean: moments.mean.dataSync()[0]!, deviation: Math.sqrt(moments.variance.dataSync()[0]!) };
      });
      const error = 4 / Math.sqrt(variable.size);
      if (path.endsWith('bias')) {
        expect([mean, deviation], path).toEqual([0, 0]);
      } else {
        const center = path.endsWith('gain') ? 1 : 0;
        expect(Math.abs(mean - center), path).toBeLessThan(0.02 * error);
        expect(Math.abs(deviation / 0.02 - 1), path).toBeLessThan(error);
      }
    }
    model.dispose();
  });

  it.each(['deltaNet', 'linearAttention', 'performer', 'softmaxAttention'])(
    'learns a text by heart with %s',
    (name) => {
      const mixer = { ...cases[name]!, heads: 2 } as MixerSpecification;
      const model = makeModel({ mixer, placement: 'pre', weightInitializer: undefined, dropout: 0.02 });
      const optimizer = new Adam(model, { learningRate: 0.02 });
      const text = tokensOf(2, 13);
      const loss = () =>
        softmaxCrossEntropy(model.apply(piece(text, 0, 12)), tf.slice(text, [0, 1], [2, 12])) as tf.Scalar;
      const losses = Array.from({ length: 100 }, () => tf.tidy(() => optimizer.minimize(loss).dataSync()[0]!));
      expect(Math.abs(losses[0]! - Math.log(VOCABULARY))).toBeLessThan(0.3);
      expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);
      text.dispose();
      optimizer.dispose();
      model.dispose();
    },
  );

  it('carries fast weights from segment to segment while it trains, as constants', () => {
    const model = makeModel();
    const optimizer = new Adam(model, { learningRate: 0.01 });
    const tokens = tokensOf(2, 8);
    let state = model.initialState(2);
    const counts = Array.from({ length: 4 }, (_, i) => {
      const before = state;
      const loss = optimizer.minimize(() => {
        const segment = piece(tokens, 2 * i, 2);
        const result = model.forward(segment, before);
        state = keepState(result.state);
        return softmaxCrossEntropy(result.logits, segment) as tf.Scalar;
      });
      tf.dispose([loss, before]);
      return tf.memory().numTensors;
    });
    expect(state.position).toBe(8);
    expect(counts.slice(2)).toEqual([counts[1], counts[1]]);
    expect(stateValues(state).some((value) => Math.abs(value) > 0.1)).toBe(true);
    tf.dispose([state, tokens]);
    optimizer.dispose();
    model.dispose();
  });

  it('is restored by a checkpoint', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fwp-deltanet-'));
    const [saved, loaded] = [makeModel({}, 1), makeModel({}, 2)];
    const tokens = tokensOf(2, 5);
    const logits = (model: FastWeightLanguageModel) => tf.tidy(() => Array.from(model.apply(tokens).dataSync()));
    try {
      await saveCheckpoint(join(folder, 'model.safetensors'), { module: saved });
      await loadCheckpoint(join(folder, 'model.safetensors'), { module: loaded });
      expect(logits(loaded)).toEqual(logits(saved));
    } finally {
      await rm(folder, { recursive: true });
      for (const item of [saved, loaded, tokens]) item.dispose();
    }
  });

  it('padding at the beginning has no influence', () => {
    tf.tidy(() => {
      const model = makeModel();
      const tokens = tokensOf(1, 6);
      const paddingMask = tf.tensor2d([0, 0, 1, 1, 1, 1], [1, 6], 'bool');
      const padded = piece(model.apply(tokens, { paddingMask }), 2, 4);
      assertAllClose(padded.dataSync(), model.apply(piece(tokens, 2, 4)).dataSync(), TOLERANCE);
      model.dispose();
    });
  });

  it('to sinusoidal positions padding is as many tokens', () => {
    tf.tidy(() => {
      const model = makeModel({ positions: 'sinusoidal' });
      const tokens = tokensOf(1, 6);
      const paddingMask = tf.tensor2d([0, 0, 1, 1, 1, 1], [1, 6], 'bool');
      const padded = piece(model.apply(tokens, { paddingMask }), 2, 4);
      const difference = tf.max(tf.abs(tf.sub(padded, model.apply(piece(tokens, 2, 4)))));
      expect(difference.dataSync()[0]).toBeGreaterThan(1e-3);
      const moved = model.forward(piece(tokens, 2, 4), { ...model.initialState(1), position: 2 }).logits;
      assertAllClose(padded.dataSync(), moved.dataSync(), TOLERANCE);
      model.dispose();
    });
  });

  it('has one ε for the normalisations of its own', () => {
    tf.tidy(() => {
      for (const epsilon of [undefined, 0.1]) {
        const model = makeModel({ placement: 'pre', normalization: 'rms', epsilon });
        for (const norm of [model.blocks[0]!.norm1, model.blocks[0]!.norm2, model.norm!]) {
          const gain = norm.namedParameters().get('gain')!;
          const expected = tf.mul(gain, 1e-3 / Math.sqrt(1e-6 + (epsilon ?? 1e-5)));
          const output = norm.forward(tf.fill([1, model.size], 1e-3));
          assertAllClose(output.dataSync(), expected.dataSync(), { rtol: 1e-4, atol: 0 });
        }
        model.dispose();
      }
    });
  });

  it('positions that count from the end are those of the last tokens, and cannot be continued', () => {
    tf.tidy(() => {
      const model = makeModel({ positions: 'sinusoidalFromEnd', layers: 0 });
      const tokens = tf.fill([1, 5], 3, 'int32') as tf.Tensor2D;
      const whole = model.apply(tokens);
      const short = model.apply(piece(tokens, 0, 2));
      assertAllClose(short.dataSync(), piece(whole, 3, 2).dataSync(), TOLERANCE);
      expect(() => model.step(tf.tensor1d([1], 'int32'), model.initialState(1))).toThrow("use 'sinusoidal' or 'none'");
      model.dispose();
    });
  });

  it('says what is wrong, and keeps nothing', () => {
    const before = tf.memory().numTensors;
    expect(() => makeModel({ vocabularySize: 0 })).toThrow('FastWeightLanguageModel: vocabularySize');
    expect(() => makeModel({ size: 9, positions: 'sinusoidal', mixer: { name: 'deltaNet', heads: 3 } })).toThrow(
      'sinusoidal positions need an even size, but it is 9',
    );
    expect(() => makeModel({ mixer: { name: 'delta' as 'deltaNet', heads: 2 } })).toThrow("there is no mixer 'delta'");
    expect(() => makeModel({ mixer: { name: 'deltaNet', heads: 3 } })).toThrow('cannot be divided among 3 heads');
    expect(() => makeModel({ dropout: 1 })).toThrow('rate');
    expect(tf.memory().numTensors).toBe(before);
    tf.tidy(() => {
      const model = makeModel();
      const prompt = tokensOf(1, 2);
      expect(() => model.apply(tf.zeros([1, 2]))).toThrow('tokens must be int32');
      expect(() => model.apply(tf.fill([1, 2], VOCABULARY, 'int32'))).toThrow(`${VOCABULARY}`);
      expect(() => model.forward(prompt, { blocks: [], position: 0 })).toThrow('has 0 states instead of 2');
      expect(() => model.generate(tokensOf(1, 0), { length: 1 })).toThrow('promptLength');
      expect(() => model.generate(prompt, { length: 1, temperature: -1 })).toThrow('generate: temperature');
      expect(() => model.generate(prompt, { length: 1, topK: 0 })).toThrow('generate: topK');
      model.dispose();
    });
  });
});
