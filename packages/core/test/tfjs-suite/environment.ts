/**
 * The device under test as tfjs's suite sees it: one test environment, whose backend is made anew for every group of
 * tests, because the suite resets tfjs's engine between groups.
 *
 * Starting threads hundreds of times would take longer than the tests. So there is one engine for the whole run, and
 * each backend gets a view of it that is stricter than the engine itself: new blocks are filled with NaN, so that a
 * kernel which forgets to write an element is seen, and followed by a fence, so that one which writes too far is too.
 */

import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import { setTestEnvs } from '@tensorflow/tfjs-core/dist/jasmine_util';
import { BACKEND_NAME, FwpBackend } from '../../src/backend/backend.ts';
import { registerKernels } from '../../src/backend/register.ts';
import { Engine } from '../../src/engine/engine.ts';
import { loadNativeModule } from '../../src/engine/native-module.ts';
import { loadWasmModule } from '../../src/engine/wasm-module.ts';
import { registerGradients } from '../../src/ops/gradients.ts';

const THREADS = 2;
const FENCE_BYTES = 64;
const FENCE = 0xa5;

/** Sums over the run, for the report. */
export interface Observations {
  /** Calls of tfjs's CPU implementation by kernel. */
  readonly fallbackCalls: Map<string, number>;
}

/**
 * Registers the backend and its test environment; the tests are loaded after that.
 *
 * @param device `'cpu'` is tfjs's own CPU backend, the control
 * @param simd instruction set of the native device; default: the widest one
 */
export async function prepare(device: 'wasm' | 'native' | 'cpu', simd?: string): Promise<Observations> {
  const fallbackCalls = new Map<string, number>();
  tf.env().set('IS_TEST', true);
  registerGradients();
  if (device === 'cpu') {
    setTestEnvs([{ name: 'fwp', backendName: 'cpu', isDataSync: true, flags: {} }]);
    return { fallbackCalls };
  }
  const module = device === 'native' ? await loadNativeModule(undefined, simd) : await loadWasmModule(true);
  const engine = await Engine.start(module, THREADS);
  registerKernels();
  tf.registerBackend(
    BACKEND_NAME,
    () => {
      const backend = new FwpBackend(fencedView(engine));
      backend.countFallback = (kernel) => void fallbackCalls.set(kernel, (fallbackCalls.get(kernel) ?? 0) + 1);
      return backend;
    },
    10,
  );
  setTestEnvs([{ name: 'fwp', backendName: BACKEND_NAME, isDataSync: true, flags: {} }]);
  return { fallbackCalls };
}

/** An engine that shares `engine`'s memory and kernels, checks its blocks, and frees them all when it is disposed. */
function fencedView(engine: Engine): Engine {
  const blocks = new Map<number, number>();
  const paddedBytes = (bytes: number): number => Math.ceil(bytes / FENCE_BYTES) * FENCE_BYTES;
  const free = (offset: number): void => {
    const bytes = blocks.get(offset);
    if (bytes === undefined) throw new Error(`Block ${offset} was freed twice or never allocated.`);
    blocks.delete(offset);
    const fence = engine.uint8(offset + paddedBytes(bytes), FENCE_BYTES);
    const intact = fence.every((byte) => byte === FENCE);
    engine.free(offset, paddedBytes(bytes) + FENCE_BYTES);
    if (!intact) throw new Error(`A kernel wrote behind the end of block ${offset} (${bytes} bytes).`);
  };
  const overrides: Record<string, unknown> = {
    allocate(bytes: number): number {
      if (!Number.isInteger(bytes) || bytes < 0) throw new Error(`${bytes} bytes were asked for.`);
      const offset = engine.allocate(paddedBytes(bytes) + FENCE_BYTES);
      blocks.set(offset, bytes);
      engine.uint8(offset, paddedBytes(bytes)).fill(0xff);
      engine.uint8(offset + paddedBytes(bytes), FENCE_BYTES).fill(FENCE);
      return offset;
    },
    free(offset: number, bytes: number): void {
      if (blocks.has(offset) && blocks.get(offset) !== bytes) {
        throw new Error(`Block ${offset} has ${blocks.get(offset)} bytes, but was freed as one of ${bytes}.`);
      }
      free(offset);
    },
    dispose(): void {
      for (const offset of [...blocks.keys()]) free(offset);
    },
  };
  const members = new Map<PropertyKey, unknown>(Object.entries(overrides));
  return new Proxy(engine, {
    get(target, name): unknown {
      const known = members.get(name);
      if (known !== undefined) return known;
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const bound: unknown = value.bind(target);
      members.set(name, bound);
      return bound;
    },
  });
}
