/**
 * One WebAssembly worker: instantiates the same module on the shared memory, with a stack of its own, and works
 * for the pool until it stops. The program is text because that needs no file that bundlers would have to find.
 */

import { DeviceUnavailableError } from '../errors.ts';
import { isNode } from './platform.ts';

/** What a worker is started with. */
export interface WorkerSetup {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Where the worker's stack begins (it grows downwards). */
  readonly stackPointer: number;
  /** The worker's number, 1 or more. */
  readonly thread: number;
}

/** A running worker. */
export interface WasmWorker {
  terminate(): void;
}

const PROGRAM = `
async function work({ module, memory, stackPointer, thread }, announce) {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  exports.__stack_pointer.value = stackPointer;
  announce();
  try {
    exports.work(thread);
  } catch (error) {
    exports.fail();
    throw error;
  }
}
if (typeof require === 'function') {
  const { parentPort, workerData } = require('node:worker_threads');
  work(workerData, () => parentPort.postMessage('ready'));
} else {
  onmessage = (event) => work(event.data, () => postMessage('ready')).catch((error) => postMessage(String(error)));
}
`;

/** Starts a worker and resolves when it is ready to work. */
export async function startWorker(setup: WorkerSetup): Promise<WasmWorker> {
  return isNode() ? startNodeWorker(setup) : startWebWorker(setup);
}

async function startNodeWorker(setup: WorkerSetup): Promise<WasmWorker> {
  const { Worker } = await import('node:worker_threads');
  const worker = new Worker(PROGRAM, { eval: true, workerData: setup, execArgv: [], env: {} });
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
  });
  worker.removeAllListeners('error');
  // The caller of its job traps, but cannot say why.
  worker.on('error', (error) => process.emitWarning(`A worker of the CPU engine failed: ${error.stack ?? error}`));
  worker.unref(); // a program that forgets to dispose must still end
  return { terminate: () => void worker.terminate() };
}

async function startWebWorker(setup: WorkerSetup): Promise<WasmWorker> {
  const url = URL.createObjectURL(new Blob([PROGRAM], { type: 'text/javascript' }));
  const worker = new Worker(url);
  try {
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = (event) => (event.data === 'ready' ? resolve() : reject(new Error(event.data)));
      worker.onerror = (event) => reject(new Error(event.message || 'the page forbids workers from blob: addresses'));
      worker.postMessage(setup);
    });
  } catch (error) {
    worker.terminate();
    throw new DeviceUnavailableError(
      `A worker thread could not be started: ${(error as Error).message}. Allow worker-src blob: in the page's ` +
        'Content-Security-Policy, or use init({ threads: 1 }).',
    );
  } finally {
    URL.revokeObjectURL(url);
  }
  return { terminate: () => worker.terminate() };
}
