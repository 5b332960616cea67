/**
 * Device `tensorflow`: TensorFlow's C library through the Node-API binding and the kernels of tfjs-node.
 *
 * Where it comes from, the first that is there:
 *
 * 1. what `fwp setup tensorflow` assembled: `tfjs-node/` (the package as npm has it) and `tfjs_binding.node` (its
 *    binding, compiled for a TensorFlow of today) in {@link tensorflowFolder};
 * 2. the packages `@tensorflow/tfjs-node-gpu` and `@tensorflow/tfjs-node`, where their install script brought a binding.
 *
 * Of the package only the backend and the kernels are read, with this program's tfjs-core in place of their own: they
 * know the same tensors, and no other backend or gradient of theirs gets in the way. `util.isNullOrUndefined` and
 * `util.isArray`, which they call and Node 23 removed, are there for them without a change to their files or to Node.
 */

import * as tf from '@tensorflow/tfjs-core';
import { isNode, processorCount } from '../engine/platform.ts';
import { DeviceUnavailableError, formatBytes, OutOfMemoryError } from '../errors.ts';
import { commonJsReader } from './common-js.ts';
import type { LoadedDevice } from './optional-devices.ts';
import { completeTensorflowKernels } from './tensorflow-kernels.ts';

/** Name of the backend, as tfjs-node calls it. */
const BACKEND = 'tensorflow';
const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;
const PRIORITY = 3;
/** What the binding's message begins with where TensorFlow's status is RESOURCE_EXHAUSTED. */
const OUT_OF_MEMORY = 'Invalid TF_Status: 8';

/** The files of what `fwp setup tensorflow` assembled, in its folder. */
export const TENSORFLOW_FILES = { package: 'tfjs-node', binding: 'tfjs_binding.node' } as const;

/** What is used of tfjs-node's binding. */
interface Binding {
  readonly TF_Version: string;
  isUsingGpuDevice(): boolean;
  executeOp(name: string, attributes: unknown, inputs: unknown, outputs: number): unknown;
}

/** What is used of tfjs-node's backend. */
type Backend = tf.KernelBackend & { readonly binding: Binding };

/** A tfjs-node package with its compiled binding. */
interface Installation {
  /** Folder of the package. */
  readonly folder: string;
  /** Path of the compiled binding. */
  readonly binding: string;
}

/** Threads with which TensorFlow was started; they cannot change in a running process. */
let startedThreads: number | undefined;

/**
 * Where `fwp setup tensorflow` puts what it assembles: the environment variable `FWP_TENSORFLOW_DIR` if that is set,
 * else `fwp/tensorflow` in the user's cache folder (`XDG_CACHE_HOME`, or `.cache` at home). Node.js only.
 */
export async function tensorflowFolder(): Promise<string> {
  const { homedir } = await import('node:os');
  const { join, resolve } = await import('node:path');
  const chosen = process.env['FWP_TENSORFLOW_DIR'];
  return chosen ? resolve(chosen) : join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'fwp/tensorflow');
}

/** Why device `tensorflow` isn't there, or undefined where it is; whether it can be loaded isn't tried. */
export async function missingTensorflow(): Promise<string | undefined> {
  if (!isNode()) return 'it needs Node.js';
  const found = await findInstallation();
  return 'missing' in found ? found.missing : undefined;
}

/**
 * Loads TensorFlow and registers its backend, once in a process.
 *
 * @param threads that an operation may use; default: the number of processors
 * @throws DeviceUnavailableError saying what is missing or broken, and how to get it
 */
export async function loadTensorflow(threads?: number): Promise<LoadedDevice> {
  if (!isNode()) {
    throw new DeviceUnavailableError("Device 'tensorflow' needs Node.js; in browsers use 'webgpu' or 'wasm'.");
  }
  if (startedThreads !== undefined && threads !== undefined && threads !== startedThreads) {
    throw new DeviceUnavailableError(
      `Device 'tensorflow' was started with ${startedThreads} threads and cannot be given ${threads} in the same process.`,
    );
  }
  // A program that imported tfjs-node itself has registered the backend; that one is used.
  if (tf.findBackendFactory(BACKEND) === null) await registerTensorflow(threads);
  startedThreads ??= await processorCount();
  const { binding } = tf.findBackend(BACKEND) as Backend;
  const processor = binding.isUsingGpuDevice() ? 'GPU' : 'CPU';
  const version = binding.TF_Version;
  return { backend: BACKEND, simd: processor, version, threads: startedThreads, notes: [`TensorFlow ${version}`] };
}

async function registerTensorflow(threads: number | undefined): Promise<void> {
  const found = await findInstallation();
  if ('missing' in found) {
    throw new DeviceUnavailableError(
      `Device 'tensorflow' is not there: ${found.missing}. ${ADVICE}, or use device 'native' or 'wasm'.`,
    );
  }
  const { installation } = found;
  try {
    await register(installation, threads);
  } catch (error) {
    throw new DeviceUnavailableError(
      `Device 'tensorflow' cannot be loaded from ${installation.folder}: ${(error as Error).message.split('\n')[0]}. ${ADVICE}, or use device 'native' or 'wasm'.`,
    );
  }
  startedThreads = threads;
}

const ADVICE =
  "Run 'npx fwp setup tensorflow' (of the package @fwp/lab), which assembles one that works, or 'npm install @tensorflow/tfjs-node'";

/** Reads the kernels and starts TensorFlow. */
async function register({ folder, binding: path }: Installation, threads: number | undefined): Promise<void> {
  const util = await import('node:util');
  const { createRequire } = await import('node:module');
  const { join } = await import('node:path');
  // What TensorFlow reads when it starts. Its greetings would come between the lines of programs.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '1';
  if (threads !== undefined) process.env['TF_NUM_INTRAOP_THREADS'] = String(threads);

  const binding = createRequire(import.meta.url)(path) as Binding;
  const read = await commonJsReader({
    '@tensorflow/tfjs': tf,
    '@tensorflow/tfjs-core': tf,
    util: {
      ...util,
      isArray: Array.isArray,
      isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    },
    // Messages of saved models and of TensorBoard, which need a package more and are no part of a backend.
    './proto/api_pb': {},
  });
  const { NodeJSKernelBackend } = read(join(folder, 'dist/nodejs_kernel_backend.js')) as {
    NodeJSKernelBackend: new (binding: Binding, packageName: string) => Backend;
  };
  read(join(folder, 'dist/register_all_kernels.js'));
  completeTensorflowKernels();
  const telling = withOutOfMemoryErrors(binding);
  const backend = new NodeJSKernelBackend(telling, binding.isUsingGpuDevice() ? PACKAGES[0] : PACKAGES[1]);
  tf.registerBackend(BACKEND, () => backend, PRIORITY);
}

/** The same binding, whose operations throw an error of their own where memory, of the machine or the GPU, is used up. */
function withOutOfMemoryErrors(binding: Binding): Binding {
  const executeOp: Binding['executeOp'] = (...call) => {
    try {
      return binding.executeOp(...call);
    } catch (error) {
      const { message } = error as Error;
      if (!message.startsWith(OUT_OF_MEMORY)) throw error;
      const { numBytes } = tf.memory();
      const reason = message.slice(message.indexOf('Message: ') + 'Message: '.length);
      throw new OutOfMemoryError(
        undefined,
        numBytes,
        numBytes,
        `Out of memory on device 'tensorflow', where tensors hold ${formatBytes(numBytes)}: ${reason}. Dispose tensors (tf.tidy), or use smaller batches.`,
      );
    }
  };
  return Object.create(binding, { executeOp: { value: executeOp } }) as Binding;
}

/** The first package that has a binding. */
async function findInstallation(): Promise<{ installation: Installation } | { missing: string }> {
  const { existsSync } = await import('node:fs');
  const { createRequire } = await import('node:module');
  const { dirname, join } = await import('node:path');
  const assembled = await tensorflowFolder();
  const binding = join(assembled, TENSORFLOW_FILES.binding);
  if (existsSync(binding)) return { installation: { folder: join(assembled, TENSORFLOW_FILES.package), binding } };
  const missing = [`nothing was set up in ${assembled}`];
  for (const name of PACKAGES) {
    let folder: string;
    try {
      folder = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
    } catch {
      missing.push(`${name} is not installed`);
      continue;
    }
    const own = await bindingOf(folder);
    if (own !== undefined) return { installation: { folder, binding: own } };
    missing.push(`${name} is installed, but its install script did not bring its binding`);
  }
  return { missing: missing.join('; ') };
}

/** The binding that a package's install script brought: of the highest version of Node-API that this Node has. */
async function bindingOf(folder: string): Promise<string | undefined> {
  const { existsSync, readdirSync } = await import('node:fs');
  const { join } = await import('node:path');
  const lib = join(folder, 'lib');
  if (!existsSync(lib)) return undefined;
  const versions = readdirSync(lib)
    .map((name) => Number(/^napi-v(\d+)$/.exec(name)?.[1]))
    .filter((version) => version <= Number(process.versions['napi']))
    .sort((a, b) => b - a);
  return versions.map((version) => join(lib, `napi-v${version}`, 'tfjs_binding.node')).find((path) => existsSync(path));
}
