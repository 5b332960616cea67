/**
 * The demonstration that `npm start` runs: trains a two-layer causal Transformer on associative recall, on the engine,
 * and measures it on sequences that it has never seen. The same options give the same numbers.
 */

import {
  AdamW,
  DeviceUnavailableError,
  device,
  dispose,
  init,
  RandomStream,
  softmaxCrossEntropy,
  warmupCosine,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { Transformer } from './model.mjs';
import { HELP, parseOptions } from './options.mjs';
import { CHANCE, drawSequences, LENGTH, PAIRS, SYMBOLS, spell } from './task.mjs';

const BATCH = 64;
const TEST_SEQUENCES = 512;
const LEARNING_RATE = 3e-3;
const WARM_UP = 50;
/** Milliseconds between lines of progress, on a terminal and elsewhere. */
const REFRESH = { terminal: 200, lines: 3000 };

const options = await start();
if (options !== undefined) {
  try {
    demonstrate(options);
  } finally {
    await dispose();
  }
}

/** Reads the command line and makes the device ready. Mistakes and absent devices are one line and exit status 2. */
async function start() {
  try {
    const { device: name, threads, help, ...rest } = parseOptions(process.argv.slice(2));
    if (help) {
      console.log(HELP);
      return undefined;
    }
    await init({ device: name, ...(threads === undefined ? {} : { threads }) });
    return rest;
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof DeviceUnavailableError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
    return undefined;
  }
}

function demonstrate({ steps, seed }) {
  const { name: chosen, threads: count, simd } = device();
  console.log(`device    ${chosen}${simd ? ` (${simd})` : ''}, ${count} thread${count === 1 ? '' : 's'}`);
  console.log(`task      ${PAIRS} pairs of a letter and a digit, then every letter again: which digit was it?`);
  const random = new RandomStream(seed);
  const sizes = { vocabularySize: SYMBOLS.length, size: 64, heads: 2, layers: 2 };
  const model = new Transformer({ ...sizes, random: random.split('weights') });
  const { layers, size, heads } = sizes;
  console.log(
    `model     Transformer, ${layers} layers, width ${size}, ${heads} heads, ${model.parameterCount} parameters`,
  );
  const test = drawSequences(random.split('test'), TEST_SEQUENCES);
  const before = accuracyOf(model, test, TEST_SEQUENCES);
  train(model, random.split('training'), steps);
  const after = accuracyOf(model, test, TEST_SEQUENCES);
  console.log(
    `accuracy  ${percent(after)} on ${TEST_SEQUENCES} new sequences; ${percent(before)} before, ${percent(CHANCE)} by chance`,
  );
  showSample(model, random.split('sample'));
  model.dispose();
}

function train(model, random, steps) {
  const schedule = warmupCosine(Math.min(WARM_UP, steps), steps + 1);
  const optimizer = new AdamW(model, { learningRate: LEARNING_RATE, schedule, clipNorm: 1 });
  const begin = performance.now();
  const terminal = process.stdout.isTTY === true;
  let shown = begin;
  let lastLoss = Number.NaN;
  for (let step = 1; step <= steps; step++) {
    const batch = drawSequences(random, BATCH);
    const tensors = toTensors(batch, BATCH);
    const value = optimizer.minimize(() => lossOf(model, tensors));
    const now = performance.now();
    if (now - shown > (terminal ? REFRESH.terminal : REFRESH.lines) || step === steps || step === 1) {
      lastLoss = value.dataSync()[0];
      const accuracy = accuracyOf(model, batch, BATCH);
      const speed = step / ((performance.now() - begin) / 1000);
      const rest = Math.ceil((steps - step) / speed);
      const line =
        `step ${String(step).padStart(String(steps).length)}/${steps}  loss ${lastLoss.toFixed(3)}  ` +
        `accuracy ${percent(accuracy).padStart(7)}  ${speed.toFixed(0)} steps/s  ${rest} s left`;
      process.stdout.write(terminal ? `\r\x1b[K${line}` : `${line}\n`);
      shown = now;
    }
    value.dispose();
    tf.dispose(tensors);
  }
  if (terminal) process.stdout.write('\n');
  const seconds = (performance.now() - begin) / 1000;
  console.log(
    `trained   ${steps} steps of ${BATCH} sequences in ${seconds.toFixed(1)} s; last loss ${lastLoss.toFixed(4)}`,
  );
  optimizer.dispose();
}

function toTensors({ inputs, targets, mask }, count) {
  return {
    inputs: tf.tensor2d(inputs, [count, LENGTH], 'int32'),
    targets: tf.tensor2d(targets, [count, LENGTH], 'int32'),
    mask: tf.tensor2d(mask, [count, LENGTH]),
  };
}

function lossOf(model, { inputs, targets, mask }) {
  return softmaxCrossEntropy(model.forward(inputs), targets, { mask });
}

/** The fraction of questions that the model answers rightly. */
function accuracyOf(model, { inputs, targets, mask }, count) {
  const answers = predict(model, inputs, count);
  let right = 0;
  let asked = 0;
  mask.forEach((weight, i) => {
    asked += weight;
    right += weight * Number(answers[i] === targets[i]);
  });
  return right / asked;
}

/** The likeliest next symbol at every place. */
function predict(model, inputs, count) {
  return tf.tidy(() => tf.argMax(model.forward(tf.tensor2d(inputs, [count, LENGTH], 'int32')), -1).dataSync());
}

function showSample(model, random) {
  const { inputs, targets, mask } = drawSequences(random, 1);
  const answers = predict(model, inputs, 1);
  const asked = [...mask.keys()].filter((i) => mask[i] === 1);
  const pick = (symbols) => asked.map((i) => SYMBOLS[inputs[i]] + SYMBOLS[symbols[i]]).join(' ');
  console.log(`sample    given    ${spell(inputs.subarray(0, LENGTH / 2))}`);
  console.log(`          answered ${pick(answers)}`);
  console.log(`          wanted   ${pick(targets)}`);
}

function percent(fraction) {
  return `${(100 * fraction).toFixed(1)} %`;
}
