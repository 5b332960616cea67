/**
 * Fast-weight scans on the GPU, in the place of the engine's `backend/kernels/delta-rule.ts` and `linear-attention.ts`: the
 * forward in one pass over time; the gradient in two, one back with the gradient of the state and one that makes the
 * states before every chunk again, and then all chunks at once. Passes go step by step, with the state in registers, or, where
 * sequences are long and keys not too long for the workgroup memory, chunk by chunk.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from './backend.ts';
import {
  copyParts,
  type GpuKernelCall,
  type GpuKernelTable,
  ifGiven,
  outputsOf,
  passState,
  withWorkspace,
} from './kernel-table.ts';
import { rowSums } from './kernels/row-sums.ts';
import { columnTiles, SCAN_CHUNK, scanChunkGradients } from './kernels/scan-chunk-gradients.ts';
import { scanChunkStateGradients } from './kernels/scan-chunk-state-gradients.ts';
import { scanChunkStates } from './kernels/scan-chunk-states.ts';
import { CHUNK_ROWS, chunkBytes } from './kernels/scan-chunks.ts';
import { scanGates } from './kernels/scan-gates.ts';
import { scanStateGradients } from './kernels/scan-state-gradients.ts';
import { SCAN_ROWS, scanStates } from './kernels/scan-states.ts';
import { scanValueGradients } from './kernels/scan-value-gradients.ts';
import { runKernel, type WgslKernel } from './program.ts';
import { type Heads, headsAtATime } from './scan-memory.ts';

type TensorInfo = tf.TensorInfo;

/** Kernels as the operations call them: see the engine's. */
export const fastWeightScans: GpuKernelTable = {
  FwpDeltaRule: scan('delta'),
  FwpGatedDeltaRule: scan('delta'),
  FwpLinearAttention: scan('sum'),
  FwpDeltaRuleGradient: (call) => deltaRuleGradient(call),
  FwpGatedDeltaRuleGradient: (call) => deltaRuleGradient(call),
  FwpLinearAttentionGradient: (call) => linearAttentionGradient(call),
};

/** Inputs of all scans. Those that a rule does not have are undefined; those that were not given have no elements. */
interface ScanInputs {
  /** [batch, heads, time, keyDim]. */
  readonly q: TensorInfo;
  readonly k: TensorInfo;
  /** [batch, heads, time, valueDim]. */
  readonly v: TensorInfo;
  /** [batch, heads, time]; of the delta rule. */
  readonly beta?: TensorInfo;
  /** [batch, heads, time], or of the sum rule also [batch, heads, time, keyDim]. */
  readonly decay?: TensorInfo;
  /** [batch, heads, valueDim, keyDim]. */
  readonly initialState: TensorInfo;
  /** [batch, time]. */
  readonly resetMask: TensorInfo;
  /** [batch, heads, time, valueDim], filled by the delta rule; without elements when no gradient will be taken. */
  readonly errors?: TensorInfo;
}

interface ScanGradientInputs extends ScanInputs {
  readonly dOutput: TensorInfo;
  readonly dFinalState: TensorInfo;
}

type Rule = 'sum' | 'delta';

/** Sizes with batch and heads as one. */
interface Sizes {
  readonly batch: number;
  readonly headsOfOne: number;
  readonly heads: number;
  readonly time: number;
  readonly keyDim: number;
  readonly valueDim: number;
}

function sizesOf({ k, v }: ScanInputs): Sizes {
  const [batch, headsOfOne, time, keyDim] = k.shape as [number, number, number, number];
  return { batch, headsOfOne, heads: batch * headsOfOne, time, keyDim, valueDim: v.shape[3] as number };
}

/** What one scan's kernels all get. */
interface Plan {
  readonly sizes: Sizes;
  /** Whether time goes by in chunks. */
  readonly inChunks: boolean;
  /** Decays for each key channel. */
  readonly channels: TensorInfo | undefined;
  readonly constants: {
    readonly keyDim: number;
    readonly decays: boolean;
    readonly before: boolean;
    readonly chunk: number;
  };
}

/** Flag of tfjs's environment: steps from which on scans run in chunks. */
const CHUNKWISE_STEPS = 'FWP_WEBGPU_CHUNKWISE_STEPS';
tf.env().registerFlag(CHUNKWISE_STEPS, () => 128);

function planOf(backend: WebGpuBackend, inputs: ScanInputs, attrs: { read: 'after' | 'before' }): Plan {
  const sizes = sizesOf(inputs);
  const decay = ifGiven(inputs.decay);
  const byChannel = decay?.shape.length === 4;
  return {
    sizes,
    inChunks:
      sizes.time >= tf.env().getNumber(CHUNKWISE_STEPS) &&
      !byChannel &&
      chunkBytes(sizes.keyDim) <= backend.device.limits.maxComputeWorkgroupStorageSize,
    channels: byChannel ? decay : undefined,
    constants: {
      keyDim: sizes.keyDim,
      decays: decay !== undefined && !byChannel,
      before: attrs.read === 'before',
      chunk: SCAN_CHUNK,
    },
  };
}

/** Runs something with the gates side by side; without, if there are none. */
function withGates<R>(
  backend: WebGpuBackend,
  inputs: ScanInputs,
  { sizes, constants }: Plan,
  use: (gates: TensorInfo | undefined) => R,
): R {
  const { heads, headsOfOne, time } = sizes;
  const tensors = {
    beta: ifGiven(inputs.beta),
    decay: constants.decays ? inputs.decay : undefined,
    resets: ifGiven(inputs.resetMask),
  };
  if (Object.values(tensors).every((tensor) => tensor === undefined)) return use(undefined);
  return withWorkspace(backend, [4 * heads * time], (gates) => {
    runKernel(backend, scanGates, {
      tensors: { ...tensors, gates },
      parameters: { steps: heads * time, time, heads: headsOfOne },
      groups: Math.ceil((heads * time) / 64),
    });
    return use(gates);
  });
}

function scan(rule: Rule) {
  return ({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] => {
    const given = inputs as ScanInputs;
    const plan = planOf(backend, given, attrs);
    const { batch, headsOfOne, heads, keyDim, valueDim } = plan.sizes;
    const shapes = [given.v.shape, [batch, headsOfOne, valueDim, keyDim]];
    return outputsOf(backend, shapes, (output, finalState) => {
      if (isEmpty(plan.sizes)) {
        passState(backend, given.initialState, finalState as TensorInfo, [output as TensorInfo]);
        return;
      }
      withGates(backend, given, plan, (gates) =>
        overTime(
          backend,
          plan,
          rule,
          STATES,
          { first: 0, count: heads },
          {
            ...{ q: given.q, k: given.k, v: given.v, gates },
            initial_state: ifGiven(given.initialState),
            errors: ifGiven(given.errors),
            output: ifGiven(output),
            final_state: finalState,
          },
        ),
      );
    });
  };
}

/** A pass over time as a kernel that goes step by step, and as one that goes chunk by chunk; both take the same tensors. */
interface Pass {
  readonly bySteps: WgslKernel;
  readonly byChunks: WgslKernel;
}

const STATES: Pass = { bySteps: scanStates, byChunks: scanChunkStates };
const STATE_GRADIENTS: Pass = { bySteps: scanStateGradients, byChunks: scanChunkStateGradients };

/** Runs a pass over time for some heads. */
function overTime(
  backend: WebGpuBackend,
  { sizes, inChunks, channels, constants }: Plan,
  rule: Rule | 'replay',
  { bySteps, byChunks }: Pass,
  { first, count }: Heads,
  tensors: Readonly<Record<string, TensorInfo | undefined>>,
): void {
  const { keyDim, decays, before } = constants;
  runKernel(backend, inChunks ? byChunks : bySteps, {
    constants: inChunks ? { keyDim, decays, before, rule } : { ...constants, rule },
    tensors: { ...tensors, ...(inChunks ? {} : { decay: channels }) },
    parameters: { first_head: first, heads: count, time: sizes.time, value_dim: sizes.valueDim },
    groups: count * Math.ceil(sizes.valueDim / (inChunks ? CHUNK_ROWS : SCAN_ROWS)),
  });
}

/** Whether a scan has nothing to do. */
function isEmpty({ heads, time, keyDim, valueDim }: Sizes): boolean {
  return heads * time * keyDim * valueDim === 0;
}

/** dq, dk, dv, dβ, dS₀ and, if gated, da. */
function deltaRuleGradient({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as ScanGradientInputs & { beta: TensorInfo; errors: TensorInfo };
  const plan = planOf(backend, given, attrs);
  const { time, valueDim } = plan.sizes;
  const decays = given.decay === undefined ? [] : [given.decay];
  const shapes = [given.q, given.k, given.v, given.beta, given.dFinalState, ...decays].map(({ shape }) => shape);
  return gradients(backend, given, plan, shapes, 4, ([dq, dk, dv, dBeta, dState, dDecay], gates) =>
    withResults(backend, plan, { dq, dk, dDecay: ifGiven(dDecay) }, (results) =>
      overBoundaries(backend, given, plan, 'delta', gates, dState, (written, boundaries, heads) => {
        runKernel(backend, scanValueGradients, {
          tensors: { gates, errors: given.errors, written, dv, d_beta: dBeta },
          parameters: { first_step: heads.first * time, steps: heads.count * time, value_dim: valueDim },
          groups: heads.count * time,
        });
        const { q, k, errors, dOutput } = given;
        const tensors = { q, k, written_values: errors, gates, d_output: dOutput, dv, boundaries, results };
        chunkGradients(backend, plan, 'delta', tensors, heads, dDecay !== undefined);
      }),
    ),
  );
}

/** dq, dk, dv, dS₀ and da. */
function linearAttentionGradient({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as ScanGradientInputs & { decay: TensorInfo };
  const plan = planOf(backend, given, attrs);
  const dDecayShape = attrs.decayGradient ? given.decay.shape : [0];
  const shapes = [given.q.shape, given.k.shape, given.v.shape, given.dFinalState.shape, dDecayShape];
  return gradients(backend, given, plan, shapes, 3, ([dq, dk, dv, dState, dDecay], gates) =>
    withResults(backend, plan, { dq, dk, dDecay: ifGiven(dDecay) }, (results) =>
      overBoundaries(backend, given, plan, 'sum', gates, dState, (written, boundaries, heads) => {
        if (heads.first + heads.count === plan.sizes.heads) copyParts(backend, written, [dv]);
        const { q, k, v, dOutput } = given;
        const tensors = { q, k, written_values: v, gates, d_output: dOutput, boundaries, results };
        chunkGradients(backend, plan, 'sum', tensors, heads, ifGiven(dDecay) !== undefined);
      }),
    ),
  );
}

/** As many as a gradient has, and then undefined. */
type Gradients = [TensorInfo, TensorInfo, TensorInfo, TensorInfo, TensorInfo, TensorInfo | undefined];

/** Makes the results of a gradient, of which number `state` is that of the initial state. */
function gradients(
  backend: WebGpuBackend,
  given: ScanGradientInputs,
  plan: Plan,
  shapes: number[][],
  state: number,
  fill: (results: Gradients, gates: TensorInfo | undefined) => void,
): TensorInfo[] {
  return outputsOf(backend, shapes, (...results) => {
    if (isEmpty(plan.sizes)) passState(backend, given.dFinalState, results[state] as TensorInfo, results);
    else withGates(backend, given, plan, (gates) => fill(results as unknown as Gradients, gates));
  });
}

/**
 * Both passes over time, some heads after the others: runs something with the gradients of what was written, and with the
 * states before and their gradients after every chunk of these heads.
 */
function overBoundaries(
  backend: WebGpuBackend,
  given: ScanGradientInputs,
  plan: Plan,
  rule: Rule,
  gates: TensorInfo | undefined,
  dState: TensorInfo,
  use: (written: TensorInfo, boundaries: TensorInfo, heads: Heads) => void,
): void {
  const { heads, time, keyDim, valueDim } = plan.sizes;
  const ofHead = 2 * Math.ceil(time / SCAN_CHUNK) * valueDim * keyDim;
  copyParts(backend, given.dFinalState, [dState]);
  withWorkspace(backend, [heads * time * valueDim], (written) => {
    for (const part of headsAtATime(heads, ofHead)) {
      withWorkspace(backend, [part.count * ofHead], (boundaries) => {
        overTime(backend, plan, rule === 'delta' ? 'replay' : 'sum', STATES, part, {
          ...{ k: given.k, v: rule === 'delta' ? given.errors : given.v, gates },
          ...{ initial_state: ifGiven(given.initialState), boundaries },
        });
        overTime(backend, plan, rule, STATE_GRADIENTS, part, {
          ...{ q: given.q, k: given.k, gates, d_output: given.dOutput },
          ...{ written, boundaries, d_state: dState },
        });
        use(written as TensorInfo, boundaries as TensorInfo, part);
      });
    }
  });
}

/** Gradients that the chunks give; da of one number a step, or of one for each key channel. */
interface ChunkResults {
  readonly dq: TensorInfo;
  readonly dk: TensorInfo;
  readonly dDecay: TensorInfo | undefined;
}

/** Runs something that fills the results of all chunks, and takes them apart. */
function withResults(
  backend: WebGpuBackend,
  { sizes, channels }: Plan,
  { dq, dk, dDecay }: ChunkResults,
  fill: (results: TensorInfo) => void,
): void {
  const { heads, time, keyDim } = sizes;
  const size = heads * time * keyDim;
  withWorkspace(backend, [(dDecay === undefined ? 2 : 3) * size], (work) => {
    const results = work as TensorInfo;
    fill(results);
    copyParts(backend, results, [dq, dk]);
    if (dDecay === undefined) return;
    if (channels !== undefined) copyParts(backend, results, [dDecay], 2 * size);
    else {
      const rows = tf.util.sizeFromShape(dDecay.shape);
      runKernel(backend, rowSums, {
        tensors: { x: results, y: dDecay },
        parameters: { rows, columns: keyDim, offset: 2 * size },
        groups: rows,
      });
    }
  });
}

function chunkGradients(
  backend: WebGpuBackend,
  { sizes, channels, constants }: Plan,
  rule: Rule,
  tensors: Readonly<Record<string, TensorInfo | undefined>>,
  { first, count }: Heads,
  withDecay: boolean,
): void {
  const { heads, time, keyDim, valueDim } = sizes;
  runKernel(backend, scanChunkGradients, {
    constants: { rule, decays: constants.decays, before: constants.before, withDecay },
    tensors: { ...tensors, decay: channels },
    parameters: { first_head: first, heads: count, all_heads: heads, time, key_dim: keyDim, value_dim: valueDim },
    groups: count * Math.ceil(time / SCAN_CHUNK) * columnTiles(keyDim),
  });
}
