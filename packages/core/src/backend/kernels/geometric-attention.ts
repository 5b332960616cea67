/** Kernels of `ops/geometric-attention.ts`. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { RandomStreamState } from '../../random/stream.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { filled, floatOutputs } from '../outputs.ts';
import { randomArguments } from '../random-arguments.ts';

/** Attributes of both kernels. */
export interface GeometricAttentionAttributes {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly dim: number;
  readonly normalize: boolean;
  /** A key's element is kept, multiplied by `scale`, where its random word is below `threshold`. */
  readonly keyDropout?: {
    readonly threshold: number;
    readonly scale: number;
    readonly state: RandomStreamState;
  };
}

/** `FwpGeometricAttention` fills `matches`, if given; `FwpGeometricAttentionGradient` gives [dProjections, dCoefficients]. */
export const geometricAttentionKernels: KernelTable = {
  FwpGeometricAttention: geometricAttention,
  FwpGeometricAttentionGradient: geometricAttentionGradient,
};

/** Room for one head's tiles, and its longest rows: `GEOMETRIC_FLOATS` and `GEOMETRIC_DIM` of `csrc/geometric-attention.c`. */
const MAX_FLOATS = 2 ** 18 - 48 * 2 ** 10;
const MAX_DIM = 1024;

/** Whether the kernels can do sizes: one head must fit into a thread's scratch memory. */
export function supportsGeometricAttention({ time, dim }: { readonly time: number; readonly dim: number }): boolean {
  return dim <= MAX_DIM && time * (5 * dim + 3 * time) <= MAX_FLOATS;
}

interface Inputs {
  readonly projections: TensorInfo;
  readonly coefficients: TensorInfo;
  /** P, for the gradient. */
  readonly matches?: TensorInfo;
  readonly keyMask?: TensorInfo;
}

/** The arguments that both C kernels begin with. */
function commonArguments({ inputs, attrs, backend }: KernelCall): number[] {
  const { projections, coefficients, keyMask } = inputs as Inputs;
  const { batch, time, heads, dim, normalize, keyDropout } = attrs as GeometricAttentionAttributes;
  return [
    ...randomArguments(0, 0, keyDropout?.state),
    ...(keyDropout ? [keyDropout.threshold, keyDropout.scale] : [0, 0]),
    ...[batch, time, heads, dim, backend.offsetOf(projections), backend.offsetOf(coefficients)],
    ...[keyMask ? backend.offsetOf(keyMask) : 0, normalize ? 1 : 0],
  ];
}

function geometricAttention(call: KernelCall): TensorInfo {
  const { inputs, attrs, backend } = call;
  const { matches } = inputs as Inputs;
  const { batch, time, heads, dim } = attrs as GeometricAttentionAttributes;
  const output = backend.makeOutput([batch, time, heads * dim]);
  return filled(backend, output, () => {
    const kept = matches ? backend.offsetOf(matches) : 0;
    backend.engine.run('geometric_attention', ...commonArguments(call), backend.offsetOf(output), kept);
  });
}

function geometricAttentionGradient(call: KernelCall): TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const { projections, matches, dy } = inputs as Required<Inputs> & {
    dy: TensorInfo;
  };
  const { batch, heads } = attrs as GeometricAttentionAttributes;
  return floatOutputs(backend, [projections.shape, [3]], ([dx, dCoefficients]) => {
    backend.withWorkspace(batch * heads * 3 * 4, (partial) => {
      backend.engine.run(
        'geometric_attention_gradient',
        ...commonArguments(call),
        ...[backend.offsetOf(matches), backend.offsetOf(dy), dx as number, dCoefficients as number, partial],
      );
    });
  });
}
