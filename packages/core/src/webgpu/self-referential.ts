/**
 * The self-referential weight matrix on the GPU, in the place of the engine's `backend/kernels/self-referential.ts`: a workgroup has
 * a head, with its weights in registers, through all steps.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { SelfReferentialInputs } from '../backend/kernels/self-referential.ts';
import {
  type GpuKernelCall,
  type GpuKernelTable,
  ifGiven,
  outputsOf,
  passState,
  withJoined,
  withKept,
  withResults,
  withWorkspace,
} from './kernel-table.ts';
import { selfReferential } from './kernels/self-referential.ts';
import { selfReferentialGradient, selfReferentialNotes } from './kernels/self-referential-gradient.ts';
import { sumColumns } from './products.ts';
import { runKernel } from './program.ts';
import { headsAtATime } from './scan-memory.ts';

/** Kernels as the operation calls them: see the engine's. */
export const selfReferentialScan: GpuKernelTable = {
  FwpSelfReferential: scan,
  FwpSelfReferentialGradient: gradient,
};

interface GradientInputs extends SelfReferentialInputs {
  readonly dOutput: TensorInfo;
  readonly dFinalState: TensorInfo;
}

function sizesOf({ x, weights }: SelfReferentialInputs) {
  const [batch, headsOfOne, time, dim] = x.shape as [number, number, number, number];
  const columns = weights.shape[2] as number;
  const outputDim = columns - 2 * dim - 4;
  return { batch, headsOfOne, heads: batch * headsOfOne, time, dim, columns, outputDim };
}

/** The output, and what W has become more than at the beginning. */
function scan({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as SelfReferentialInputs;
  const { x, weights, initialState } = given;
  const { batch, headsOfOne, heads, time, dim, columns, outputDim } = sizesOf(given);
  const shapes = [
    [batch, headsOfOne, time, outputDim],
    [batch, headsOfOne, dim, columns],
  ];
  return outputsOf(backend, shapes, (output, finalState) => {
    if (heads * time === 0) {
      passState(backend, initialState, finalState as TensorInfo, [output as TensorInfo]);
      return;
    }
    withKept(backend, [given.activations, given.differences, given.anchors], (kept) =>
      runKernel(backend, selfReferential, {
        constants: { dim, outputDim },
        tensors: {
          ...{ x, weights, kept, output, final_state: finalState },
          initial_state: ifGiven(initialState),
          resets: ifGiven(given.resetMask),
        },
        parameters: { heads, heads_per_batch: headsOfOne, time },
        groups: heads,
      }),
    );
  });
}

/** dx, and those of W's beginning and of the initial state. */
function gradient({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as GradientInputs;
  const { x, weights, activations, differences, anchors, dOutput, dFinalState } = given;
  const { batch, headsOfOne, heads, time, dim, columns, outputDim } = sizesOf(given);
  return outputsOf(backend, [x.shape, weights.shape, dFinalState.shape], (...gradients) => {
    const [dx, dWeights, dInitialState] = gradients as [TensorInfo, TensorInfo, TensorInfo];
    if (heads * time === 0) {
      passState(backend, dFinalState, dInitialState, [dx, dWeights]);
      return;
    }
    const size = headsOfOne * dim * columns;
    withWorkspace(backend, [batch * size], (parts) => {
      withResults(backend, [dx, dInitialState, parts as TensorInfo], { 1: dFinalState }, (results) =>
        withJoined(backend, [activations, differences, dOutput], (sequences) => {
          const notes = selfReferentialNotes(dim, outputDim);
          for (const { first, count } of headsAtATime(heads, notes)) {
            withWorkspace(backend, [count * notes], (noted) =>
              runKernel(backend, selfReferentialGradient, {
                constants: { dim, outputDim },
                tensors: { x, weights, resets: ifGiven(given.resetMask), sequences, anchors, notes: noted, results },
                parameters: {
                  ...{ first_head: first, heads: count, all_heads: heads },
                  ...{ heads_per_batch: headsOfOne, time },
                },
                groups: count,
              }),
            );
          }
        }),
      );
      sumColumns(backend, parts as TensorInfo, dWeights, batch, size);
    });
  });
}
