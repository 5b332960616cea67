/**
 * `node tooling/bootstrap/bench.mjs --gpu`: scans on the GPU of device `webgpu`, at the sizes of flash-linear-attention's own table, beside
 * that library and PyTorch where Python has them, on the same card in the same run; and how many times faster the delta rule is
 * than the same steps composed of tfjs operations.
 *
 *   --quick            sizes for a GPU in software
 *   --json <file>      writes the rows
 *   --tflops <number>  the card's float32 rate, for the fraction of it that is reached
 *   --gbps <number>    its memory bandwidth in GB/s, likewise
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { device, init } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { type Measuring, millisecondsOf } from './measure.ts';
import {
  deltaRuleStepByStep,
  inputsOf,
  QUICK_SIZES,
  SCANS,
  type Scan,
  type ScanInputs,
  type ScanSizes,
  SIZES,
} from './scan-cases.ts';

interface Row {
  readonly name: string;
  readonly sizes: ScanSizes;
  readonly pass: 'forward' | 'forward+backward';
  readonly milliseconds: number;
  readonly gflops: number;
  readonly gigabytesPerSecond: number;
  /** How many times as long as ours each peer takes. */
  readonly ratios: Readonly<Record<string, number>>;
}

/** Milliseconds by peer, scan, size and pass, as `peers/gpu_scans.py` prints them. */
type PeerTimes = Readonly<Record<string, Readonly<Record<string, number>>>>;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    tflops: { type: 'string' },
    gbps: { type: 'string' },
  },
});
const sizes = values.quick ? QUICK_SIZES : SIZES;
const measuring: Measuring = values.quick ? { samples: 1, calls: 1 } : { samples: 5, calls: 10 };

await init({ device: 'webgpu' });
console.log(`${device().simd} (${device().notes.join(' ')})`);
await reportAgreement();
const peers = peerTimes(sizes);
const rows: Row[] = [];
for (const size of sizes) {
  for (const scan of SCANS) rows.push(...(await measure(scan, size)));
}
for (const row of rows) console.log(textOf(row));
await reportStepByStep();
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ device: device(), rows }, undefined, 2)}\n`);
}
process.exit(0);

async function measure(scan: Scan, size: ScanSizes): Promise<Row[]> {
  const inputs = inputsOf(size);
  const tensors = Object.values(inputs);
  const forward = () => [scan.run(inputs)];
  const both = gradientsOf(scan.run, inputs);
  const result: Row[] = [];
  const numbers = size.batch * size.time * size.heads * size.dim;
  for (const [pass, run] of [['forward', forward] as const, ['forward+backward', both] as const]) {
    const withBackward = pass !== 'forward';
    try {
      const milliseconds = await millisecondsOf(run, measuring);
      const flops = numbers * size.dim * (scan.forwardFlops + (withBackward ? scan.backwardFlops : 0));
      const bytes = 4 * numbers * (scan.forwardArrays + (withBackward ? scan.backwardArrays : 0));
      const ratios = Object.entries(peers).flatMap(([peer, times]): [string, number][] => {
        const time = times[keyOf(scan.name, size, pass)];
        return time === undefined ? [] : [[peer, time / milliseconds]];
      });
      const rates = { gflops: flops / milliseconds / 1e6, gigabytesPerSecond: bytes / milliseconds / 1e6 };
      result.push({ name: scan.name, sizes: size, pass, milliseconds, ...rates, ratios: Object.fromEntries(ratios) });
    } catch (error) {
      console.log(`${keyOf(scan.name, size, pass)}: ${(error as Error).message}`);
    }
  }
  tf.dispose(tensors);
  return result;
}

/** Gradients of everything, for the sum of the outputs. */
function gradientsOf(run: Scan['run'], inputs: ScanInputs): () => tf.Tensor[] {
  const names = Object.keys(inputs) as (keyof ScanInputs)[];
  const used = names.filter((name) => name !== 'beta' && name !== 'decay');
  return () =>
    tf.grads((...given) => {
      const replaced = Object.fromEntries(used.map((name, index) => [name, given[index]]));
      return tf.sum(run({ ...inputs, ...replaced })) as tf.Scalar;
    })(used.map((name) => inputs[name]));
}

/** The largest difference from the same on the CPU, relative to the largest value. */
async function reportAgreement(): Promise<void> {
  const size: ScanSizes = values.quick
    ? { batch: 1, time: 40, heads: 1, dim: 8 }
    : { batch: 1, time: 1000, heads: 2, dim: 64 };
  const run = async (): Promise<Float32Array[]> => {
    const inputs = inputsOf(size);
    const results = SCANS.flatMap((scan) => tf.tidy(() => [scan.run(inputs), ...gradientsOf(scan.run, inputs)()]));
    return Promise.all(results.map((result) => result.data() as Promise<Float32Array>));
  };
  const actual = await run();
  await init({ device: 'wasm' });
  const expected = await run();
  await init({ device: 'webgpu' });
  let worst = 0;
  for (const [index, right] of expected.entries()) {
    const largest = right.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    for (let i = 0; i < right.length; i++) {
      worst = Math.max(worst, Math.abs((actual[index]?.[i] as number) - (right[i] as number)) / largest);
    }
  }
  console.log(`largest difference from the CPU, of values and gradients: ${worst.toExponential(1)}`);
}

async function reportStepByStep(): Promise<void> {
  const size: ScanSizes = values.quick
    ? { batch: 1, time: 8, heads: 1, dim: 8 }
    : { batch: 4, time: 256, heads: 16, dim: 64 };
  const inputs = inputsOf(size);
  const [delta] = SCANS.filter(({ name }) => name === 'delta rule') as [Scan];
  const once: Measuring = { samples: values.quick ? 1 : 3, calls: 1 };
  const ours = await millisecondsOf(gradientsOf(delta.run, inputs), values.quick ? once : measuring);
  const composed = await millisecondsOf(gradientsOf(deltaRuleStepByStep, inputs), once);
  console.log(
    `delta rule ${sizeText(size)}, forward and backward: ${(composed / ours).toFixed(1)} times faster than step by step in tfjs operations`,
  );
}

/** What PyTorch and flash-linear-attention take, if Python has them and a card. */
function peerTimes(measured: readonly ScanSizes[]): PeerTimes {
  const script = fileURLToPath(new URL('../../peers/gpu_scans.py', import.meta.url));
  try {
    const output = execFileSync('python3', [script, JSON.stringify(measured)], { encoding: 'utf8' });
    return JSON.parse(output.trim().split('\n').at(-1) as string) as PeerTimes;
  } catch (error) {
    console.log(`no peers: ${(error as Error).message.trim().split('\n').at(-1)}`);
    return {};
  }
}

function keyOf(name: string, size: ScanSizes, pass: Row['pass']): string {
  return `${name} ${sizeText(size)} ${pass}`;
}

function sizeText({ batch, time, heads, dim }: ScanSizes): string {
  return `${batch},${time},${heads},${dim}`;
}

function textOf({ name, sizes: size, pass, milliseconds, gflops, gigabytesPerSecond, ratios }: Row): string {
  const fraction = (value: number, peak: string | undefined, factor: number) =>
    peak === undefined ? '' : ` (${((100 * value) / (Number(peak) * factor)).toFixed(1)} %)`;
  return [
    keyOf(name, size, pass).padEnd(52),
    `${milliseconds.toFixed(3)} ms`,
    `${gflops.toFixed(0)} GFLOP/s${fraction(gflops, values.tflops, 1000)}`,
    `${gigabytesPerSecond.toFixed(0)} GB/s${fraction(gigabytesPerSecond, values.gbps, 1)}`,
    ...Object.entries(ratios).map(([peer, ratio]) => `${peer}: ${ratio.toFixed(2)} times our time`),
  ].join('  ');
}
