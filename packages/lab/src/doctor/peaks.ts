/** What a CPU device reaches at best on this machine: the roof that benchmarks and training are below. */

import { type DeviceInfo, dispose, init } from '@fwp/core';
import { backend, matMul, ones, type Tensor2D, tidy } from '@tensorflow/tfjs-core';

/** Rates of one device with a number of threads. */
export interface Peaks {
  readonly threads: number;
  /** Multiply-adds in registers, billions of floating-point operations per second. */
  readonly fma: number;
  /** Products of 1024 × 1024 matrices, in the same unit. */
  readonly gemm: number;
  /** Copying 64 MiB, billions of bytes read and written per second. */
  readonly copy: number;
}

/** The engine behind the current backend, which is no part of the public interface. */
interface Engine {
  allocate(bytes: number): number;
  free(offset: number, bytes: number): void;
  run(kernel: string, ...args: number[]): number;
  float32(offset: number, length: number): Float32Array;
}

/** Each measurement takes about so long, and calls its kernel at least so often. */
const MILLISECONDS = 120;
const LEAST_CALLS = 3;

const FMA_OPERATIONS = 2e7;
const SIZE = 1024;
const COPIED = 2 ** 24;

/**
 * Measures a CPU device and disposes of it.
 *
 * @throws DeviceUnavailableError if it isn't there
 */
export async function measurePeaks(
  device: 'native' | 'wasm',
  threads: number,
): Promise<{ info: DeviceInfo; peaks: Peaks }> {
  try {
    const info = await init({ device, threads });
    const { engine } = backend() as unknown as { engine: Engine };
    return { info, peaks: { threads, fma: fmaRate(engine, threads), gemm: gemmRate(), copy: copyRate(engine) } };
  } finally {
    await dispose();
  }
}

function fmaRate(engine: Engine, threads: number): number {
  const bytes = 4 * (2 + threads);
  const offset = engine.allocate(bytes);
  engine.float32(offset, 2).set([0.5, 1]);
  const seconds = fastest(() => void engine.run('peak_fma', offset, threads, FMA_OPERATIONS));
  engine.free(offset, bytes);
  return (threads * FMA_OPERATIONS) / seconds / 1e9;
}

function gemmRate(): number {
  return tidy(() => {
    const a: Tensor2D = ones([SIZE, SIZE]);
    const b: Tensor2D = ones([SIZE, SIZE]);
    const seconds = fastest(() => matMul(a, b).dispose());
    return (2 * SIZE ** 3) / seconds / 1e9;
  });
}

function copyRate(engine: Engine): number {
  const bytes = 4 * COPIED;
  const [source, target] = [engine.allocate(bytes), engine.allocate(bytes)];
  engine.float32(source, COPIED).fill(1);
  const seconds = fastest(() => void engine.run('peak_copy', source, target, COPIED));
  engine.free(source, bytes);
  engine.free(target, bytes);
  return (2 * bytes) / seconds / 1e9;
}

/** Seconds of the fastest call: other programs only ever make it slower. */
function fastest(call: () => void): number {
  call();
  const begin = performance.now();
  let best = Number.POSITIVE_INFINITY;
  for (let calls = 0; calls < LEAST_CALLS || performance.now() - begin < MILLISECONDS; calls++) {
    const start = performance.now();
    call();
    best = Math.min(best, performance.now() - start);
  }
  return best / 1000;
}
