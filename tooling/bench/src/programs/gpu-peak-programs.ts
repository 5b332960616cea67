/** A GPU's limits: multiply-adds in registers, and a copy through its memory. */

import * as tf from '@tensorflow/tfjs-core';
import { numberOf, type Program, type ProgramTable } from './program.ts';

const WORKGROUP = 256;
/** Numbers that a lane works on: as many independent chains of multiply-adds. */
const CHAINS = 16;
/** Multiply-adds of each chain. */
const LENGTH = 4096;
/** Most workgroups along one dimension. */
const MOST_GROUPS = 65535;

/** Of device `webgpu`. */
export const gpuPeakPrograms: ProgramTable = {
  'gpu peak fma': (parameters) => {
    const lanes = Math.ceil(numberOf(parameters, 'operations') / (2 * CHAINS * LENGTH));
    const chains = Array.from({ length: CHAINS }, (_, chain) => `x${chain}`);
    const code = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = source[0].x;
  let summand = source[0].y;
${chains.map((x, chain) => `  var ${x} = f32(id.x + ${chain}u);`).join('\n')}
  for (var i = 0u; i < ${LENGTH}u; i++) {
${chains.map((x) => `    ${x} = fma(${x}, factor, summand);`).join('\n')}
  }
  output[id.x % ${WORKGROUP}u] = ${chains.join(' + ')};
}`;
    return program(code, [16, 4 * WORKGROUP], Math.ceil(lanes / WORKGROUP));
  },
  'gpu peak copy': (parameters) => {
    const bytes = numberOf(parameters, 'bytes');
    const code = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> output: array<vec4f>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < ${bytes / 16}u; i += groups.x * ${WORKGROUP}u) { output[i] = source[i]; }
}`;
    return program(code, [bytes, bytes], bytes / 16 / WORKGROUP);
  },
};

/** A kernel that reads one buffer and writes another one. */
function program(code: string, sizes: readonly [number, number], groups: number): Program {
  const { device } = tf.backend() as unknown as { device: GPUDevice };
  const [source, output] = sizes.map((size) =>
    device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST }),
  ) as [GPUBuffer, GPUBuffer];
  device.queue.writeBuffer(source, 0, new Float32Array([0.5, 1, 0, 0]));
  const pipeline = device.createComputePipeline({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }), entryPoint: 'main' },
  });
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [source, output].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const run = (): void => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(Math.min(groups, MOST_GROUPS));
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
  return {
    run,
    check: () => ({ values: [], scale: 1 }),
    dispose: () => {
      source.destroy();
      output.destroy();
    },
  };
}
