/**
 * The gradient itself: that real-time recurrent learning gives that of full backpropagation through time, in float64 and as
 * the kernels compute it in float32; and what both need to remember, measured, for sequences of different lengths.
 */

import { type ElementwiseLstm, type RandomStream, randomNormal } from '@fwp/core';
import { defineExperiment, readValues, type TrialContext, type Verdict } from '@fwp/lab';
import { type ElstmLearner, ElstmRtrl, ElstmTbptt } from '@fwp/rtrl';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import {
  backpropagationGradient,
  differencesGradient,
  float64Case,
  realTimeGradient,
  relativeError,
} from './float64-gradients.ts';
import { paper } from './paper.ts';
import { TokenModel } from './token-model.ts';

const settings = z.object({
  lengths: z.array(z.int().min(1)).min(1).default([100, 1000, 10_000, 100_000]).describe('steps T of a sequence'),
  comparedUpTo: z.int().min(1).default(10_000).describe('most steps for which gradients are compared in float32'),
  inputSize: z.int().min(1).default(8),
  hiddenSize: z.int().min(1).default(64),
  forgetBias: z.number().default(4),
  piece: z.int().min(1).default(50).describe('steps that real-time recurrent learning takes at once'),
});
type Config = z.infer<typeof settings>;

interface Key {
  readonly gradient: string;
  readonly time: number;
  readonly [name: string]: string | number;
}

/** Steps for the comparison in float64, which is slow on purpose. */
const FLOAT64 = { inputs: 3, hidden: 5, time: 70 };

/** Runs a sequence in pieces; the gradients added up, and the most bytes that were held besides those held before. */
async function measure(model: TokenModel, learner: ElstmLearner, time: number, piece: number, random: RandomStream) {
  const before = tf.memory().numBytes;
  let peak = 0;
  let sums: tf.Tensor[] | undefined;
  for (let begin = 0; begin < time; begin += piece) {
    const steps = Math.min(piece, time - begin);
    const next = tf.tidy(() => {
      // Drawn by position, so that the sequence is the same however it is cut.
      const x = concatenated(random, begin, steps, learner.layer.inputSize);
      const { gradients } = learner.segment(x, (output) => {
        const loss = tf.sum(tf.square(model.head.forward(output))) as tf.Scalar;
        peak = Math.max(peak, tf.memory().numBytes - before);
        return loss;
      });
      const parts = model.parameters().map(({ name }) => gradients[name] as tf.Tensor);
      return parts.map((part, i) => (sums === undefined ? part : tf.add(part, sums[i] as tf.Tensor)));
    });
    tf.dispose(sums ?? []);
    sums = next;
  }
  const values = await Promise.all((sums as tf.Tensor[]).map((sum) => readValues(sum)));
  return { peak, values };
}

/** Inputs [1, steps, inputSize] from `begin` on. */
function concatenated(random: RandomStream, begin: number, steps: number, inputSize: number): tf.Tensor3D {
  const block = 100;
  const rows: tf.Tensor3D[] = [];
  for (let at = begin; at < begin + steps; at = (Math.floor(at / block) + 1) * block) {
    const first = Math.floor(at / block) * block;
    const end = Math.min(first + block, begin + steps);
    const drawn = randomNormal(random.split(first), [1, block, inputSize]) as tf.Tensor3D;
    rows.push(tf.slice(drawn, [0, at - first, 0], [1, end - at, inputSize]));
  }
  return tf.concat(rows, 1);
}

async function check({ config, key, random }: TrialContext<Config, Key>) {
  const { inputSize, hiddenSize, forgetBias } = config;
  const model = new TokenModel({
    ...{ layer: 'elstm', vocabularySize: inputSize, targetCount: 2, hiddenSize, forgetBias },
    random: random.split('weights'),
  });
  const layer = model.layer as ElementwiseLstm;
  const options = { layer, model, batchSize: 1 };
  const learner = key.gradient === 'rtrl' ? new ElstmRtrl(options) : new ElstmTbptt(options);
  const piece = key.gradient === 'rtrl' ? config.piece : key.time;
  const inputs = random.split('inputs');
  const { peak, values } = await measure(model, learner, key.time, piece, inputs);
  const carried = [...learner.namedBuffers().values()].reduce((sum, { size }) => sum + 4 * size, 0);
  let float32Error: number | null = null;
  if (key.gradient === 'rtrl' && key.time <= config.comparedUpTo) {
    const full = new ElstmTbptt(options);
    const { values: expected } = await measure(model, full, key.time, key.time, inputs);
    float32Error = Math.max(...values.map((value, i) => relativeError(value, expected[i] as Float32Array)));
    full.dispose();
  }
  learner.dispose();
  model.dispose();
  const exact = float64Case(FLOAT64, random.split('float64'));
  const backward = backpropagationGradient(exact);
  const float64Error = key.gradient === 'rtrl' ? relativeError(realTimeGradient(exact), backward) : null;
  const differencesError = relativeError(backward, differencesGradient(exact));
  return { kilobytes: (peak + carried) / 1000, float32Error, float64Error, differencesError };
}

type ErrorRow = Key & {
  readonly kilobytes: number;
  readonly float32Error: number | null;
  readonly float64Error: number | null;
};

function errorsWithin(
  rows: readonly ErrorRow[],
  name: 'float32Error' | 'float64Error',
  most: number,
): Verdict | undefined {
  const errors = rows.flatMap((row) => (row[name] === null ? [] : [row[name] as number]));
  if (errors.length === 0) return undefined;
  const worst = Math.max(...errors);
  return { pass: worst <= most, observed: `largest relative error ${worst.toExponential(1)}` };
}

/** How many times as much the longest sequence needs as the shortest, and how many times as long it is. */
function growth(rows: readonly ErrorRow[], gradient: string): { memory: number; length: number } | undefined {
  const grid = rows.filter((row) => row.gradient === gradient).sort((a, b) => a.time - b.time);
  const [first, last] = [grid[0], grid.at(-1)];
  if (first === undefined || last === undefined || last.time < 10 * first.time) return undefined;
  return { memory: last.kilobytes / first.kilobytes, length: last.time / first.time };
}

export const gradientCheck = defineExperiment({
  id: 'rtrl/gradient-check',
  title: 'The same gradient, in constant memory',
  description:
    'Compares the gradient of real-time recurrent learning with that of full backpropagation through time, in float64 and ' +
    'in the float32 of the kernels, and measures what both hold in memory for sequences of 100 to 100 000 steps.',
  paper,
  config: settings,
  presets: {
    quick: { summary: 'sequences of 100 to 100 000 steps, 64 units', measuredSeconds: { wasm: 51 } },
    standard: { summary: 'the same with 128 units and 128 inputs', config: { hiddenSize: 128, inputSize: 128 } },
    paper: {
      summary: 'the same with 512 units and 257 inputs, as in DMLab',
      config: { hiddenSize: 512, inputSize: 257 },
    },
  },
  trials: ({ lengths }): readonly Key[] =>
    ['rtrl', 'bptt'].flatMap((gradient) => lengths.map((time) => ({ gradient, time }))),
  run: check,
  claims: [
    {
      text: 'In float64 the two gradients are equal (to 1e-9), with a state that is not zero and with resets.',
      holds: (rows) => errorsWithin(rows as readonly ErrorRow[], 'float64Error', 1e-9),
    },
    {
      text: 'In float32 they are equal to 1e-4.',
      holds: (rows) => errorsWithin(rows as readonly ErrorRow[], 'float32Error', 1e-4),
    },
    {
      text: 'The memory of real-time recurrent learning does not depend on the length of the sequence.',
      holds: (rows) => {
        const found = growth(rows as readonly ErrorRow[], 'rtrl');
        return (
          found && {
            pass: found.memory <= 1.01,
            observed: `${found.memory.toFixed(2)} times as much for ${found.length} times the steps`,
          }
        );
      },
    },
    {
      text: 'That of backpropagation through time grows with it.',
      holds: (rows) => {
        const found = growth(rows as readonly ErrorRow[], 'bptt');
        // Not less than half of proportional: a constant part is there too.
        return (
          found && {
            pass: found.memory >= found.length / 2,
            observed: `${found.memory.toFixed(0)} times as much for ${found.length} times the steps`,
          }
        );
      },
    },
  ],
  report: {
    metric: 'kilobytes',
    rows: 'gradient',
    columns: 'time',
    charts: [
      {
        title: 'Memory held while learning, kB',
        from: 'results',
        x: 'time',
        y: 'kilobytes',
        series: 'gradient',
        yScale: 'log',
      },
    ],
  },
});
