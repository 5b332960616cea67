/**
 * Runs our WGSL kernels on tfjs's WebGPU backend: between tfjs's own programs, in the same command stream, on the same buffers.
 *
 * A kernel says what it reads and writes and gives its code; bindings and parameters are declared here, pipelines are made
 * once for every set of constants.
 */

import type * as tf from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from './backend.ts';
import type { Pipeline } from './dispatcher.ts';

/** What a kernel does with a tensor: access and elements. */
export type Storage = `${'read' | 'write'} ${'f32' | 'vec4f' | 'i32'}`;

/** Numbers that the code is made for: a pipeline for each set of them. */
export type Constants = Readonly<Record<string, number | boolean | string>>;

/** A WGSL kernel. */
export interface WgslKernel {
  /** Name, unique among kernels. */
  readonly name: string;
  /** Tensors, by their name in the code, where each is an `array`. Those that are not given at a call are not declared. */
  storage(constants: Constants): Readonly<Record<string, Storage>>;
  /** Numbers that change from call to call: fields of `parameters` in the code. */
  readonly parameters: Readonly<Record<string, 'u32' | 'f32'>>;
  /**
   * The code, with an entry point `main`.
   *
   * @param constants what the call gives
   * @param has whether a tensor was given
   */
  code(constants: Constants, has: (tensor: string) => boolean): string;
}

/** One call of a kernel. */
export interface KernelRun {
  readonly constants?: Constants;
  readonly tensors: Readonly<Record<string, tf.TensorInfo | undefined>>;
  readonly parameters: Readonly<Record<string, number>>;
  /** Whether a call with the same parameters is unlikely to come: a step's number or a seed is among them. Default `false`. */
  readonly isVolatile?: boolean;
  /** Number of workgroups; the code finds its own with `group_index`. */
  readonly groups: number;
}

const pipelines = new WeakMap<GPUDevice, Map<string, Pipeline>>();

/** Most workgroups along one dimension. */
const MOST_GROUPS = 65535;

/**
 * Puts a kernel into the stream of commands. Tensors that it writes must not be among those that it reads.
 *
 * @param backend what computes
 * @param kernel the kernel
 * @param run its constants, tensors, parameters and size
 * @throws Error if the GPU reported a problem since the last operation, or the code would take integers for floats
 */
export function runKernel(backend: WebGpuBackend, kernel: WgslKernel, run: KernelRun): void {
  if (run.groups === 0) return;
  backend.assertWorking();
  const { constants = {} } = run;
  const storage = Object.entries(kernel.storage(constants)).filter(([name]) => run.tensors[name] !== undefined);
  const tensors = storage.map(([name]) => run.tensors[name] as tf.TensorInfo);
  const pipeline = pipelineOf(backend, kernel, storage, constants);
  for (const [index, { dataId }] of tensors.entries()) {
    const [name, use] = storage[index] as Bindings[number];
    assertHolds(kernel, name, use, backend.tensorMap.get(dataId).dtype);
    backend.uploadToGPU(dataId);
  }
  const buffers = tensors.map(({ dataId }) => backend.tensorMap.get(dataId).resource as GPUBuffer);
  for (const [index, { dataId }] of tensors.entries()) {
    // Until they are submitted, tfjs keeps the buffers of what is disposed of.
    backend.commandQueueOwnedIds.add(dataId);
    if (storage[index]?.[1].startsWith('write')) backend.tensorMap.get(dataId).values = null;
  }
  const width = Math.min(run.groups, MOST_GROUPS);
  const groups = [width, Math.ceil(run.groups / width)] as const;
  backend.dispatcher.dispatch(pipeline, buffers, parameterBytes(kernel, run.parameters), groups, run.isVolatile);
}

/** A tensor that is called float32 may be one of integers by another name, which the code would take for other numbers. */
function assertHolds(kernel: WgslKernel, name: string, use: Storage, dtype: tf.DataType): void {
  if (dtype === 'float32' || use.endsWith('i32')) return;
  throw new Error(`WGSL kernel ${kernel.name}: ${name} holds ${dtype}, but the code has '${use}'.`);
}

/** Tensors of a kernel that were given, and what it does with them. */
type Bindings = readonly [name: string, storage: Storage][];

function pipelineOf(backend: WebGpuBackend, kernel: WgslKernel, storage: Bindings, constants: Constants): Pipeline {
  const { device } = backend;
  let made = pipelines.get(device);
  if (made === undefined) {
    made = new Map();
    pipelines.set(device, made);
  }
  const key = `${kernel.name} ${storage.join()} ${JSON.stringify(constants)}`;
  let found = made.get(key);
  if (found === undefined) {
    found = makePipeline(device, kernel, storage, constants);
    // Dawn tells at once what is wrong with the code.
    backend.assertWorking();
    made.set(key, found);
  }
  return found;
}

function makePipeline(device: GPUDevice, kernel: WgslKernel, storage: Bindings, constants: Constants): Pipeline {
  const types = storage.map(([, use]) => (use.startsWith('read') ? 'read-only-storage' : 'storage'));
  const layout = device.createBindGroupLayout({
    entries: [...types, 'uniform'].map((type, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: type as GPUBufferBindingType },
    })),
  });
  const has = (tensor: string) => storage.some(([name]) => name === tensor);
  const code = `${declarations(kernel, storage)}\n${kernel.code(constants, has)}`;
  const pipeline = device.createComputePipeline({
    label: kernel.name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: device.createShaderModule({ label: kernel.name, code }), entryPoint: 'main' },
  });
  return { pipeline, layout };
}

function declarations({ parameters }: WgslKernel, storage: Bindings): string {
  const bindings = storage.map(([name, use], index) => {
    const [access, type] = use.split(' ');
    const mode = access === 'read' ? 'read' : 'read_write';
    return `@group(0) @binding(${index}) var<storage, ${mode}> ${name}: array<${type}>;`;
  });
  const fields = Object.entries(parameters).map(([name, type]) => `  ${name}: ${type},`);
  return `struct Parameters {
${fields.join('\n')}
}
${bindings.join('\n')}
@group(0) @binding(${storage.length}) var<uniform> parameters: Parameters;

/** Number of this workgroup among all; there may be a few more than were asked for. */
fn group_index(group: vec3u, groups: vec3u) -> u32 {
  return group.x + group.y * groups.x;
}`;
}

function parameterBytes({ name, parameters }: WgslKernel, values: Readonly<Record<string, number>>): ArrayBuffer {
  const fields = Object.entries(parameters);
  const bytes = new DataView(new ArrayBuffer(16 * Math.ceil(fields.length / 4)));
  for (const [index, [field, type]] of fields.entries()) {
    const value = values[field];
    if (value === undefined) throw new Error(`WGSL kernel ${name}: no value for parameter '${field}'.`);
    if (type === 'u32') bytes.setUint32(4 * index, value, true);
    else bytes.setFloat32(4 * index, value, true);
  }
  return bytes.buffer;
}
