/** Kernels of `ops/lstm.ts`: the recurrence, and its gradient. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { runMatMul } from '../matmul-plan.ts';
import { allOrNothing } from '../outputs.ts';

/**
 * `FwpLstm` turns `gates` (x W + bias) into activated gates, fills `cells`, and gives [output, final hidden, final cell];
 * `FwpLstmGradient` gives the gradients of (gates, recurrent weight, initial hidden, initial cell).
 */
export const lstmKernels: KernelTable = {
  FwpLstm: lstm,
  FwpLstmGradient: lstmGradient,
};

interface LstmInputs {
  /** [batch, steps, 4 · hidden]. */
  readonly gates: TensorInfo;
  /** [hidden, 4 · hidden]. */
  readonly recurrentWeight: TensorInfo;
  /** [batch, hidden]. */
  readonly initialHidden: TensorInfo;
  readonly initialCell: TensorInfo;
  /** [batch, steps], bool; or no elements: no resets. */
  readonly resetMask: TensorInfo;
  /** [batch, steps, hidden]. */
  readonly cells: TensorInfo;
}

/** Columns that packing may add: the widest vector of `simd.h`. */
const PADDING = 16;

function lstm({ inputs, backend }: KernelCall): TensorInfo[] {
  const { cells } = inputs as LstmInputs;
  const [batch, steps, hidden] = cells.shape as [number, number, number];
  const outputs = allOrNothing(backend, [
    () => backend.makeOutput([batch, steps, hidden]),
    () => backend.makeOutput([batch, hidden]),
    () => backend.makeOutput([batch, hidden]),
  ]);
  return releasingOnError(backend, outputs, () => {
    const [output, finalHidden, finalCell] = outputs.map((tensor) => backend.offsetOf(tensor)) as Three;
    backend.withWorkspace(packedBytes(hidden), (packed) => {
      backend.engine.run('lstm_forward', ...common(backend, inputs, output, packed), finalHidden, finalCell);
    });
  });
}

type Three = [number, number, number];

/** Inputs: those of the forward, `output`, and the gradients of its three results. */
function lstmGradient({ inputs, backend }: KernelCall): TensorInfo[] {
  const { gates, recurrentWeight, initialHidden, initialCell, cells } = inputs as LstmInputs;
  const upstream = inputs as Record<'output' | 'dOutput' | 'dFinalHidden' | 'dFinalCell', TensorInfo>;
  const [batch, steps, hidden] = cells.shape as [number, number, number];
  const outputs = allOrNothing(
    backend,
    [gates, recurrentWeight, initialHidden, initialCell].map(
      ({ shape }) =>
        () =>
          backend.makeOutput(shape),
    ),
  );
  return releasingOnError(backend, outputs, () => {
    const [dGates, dWeight, dHidden, dCell] = outputs.map((tensor) => backend.offsetOf(tensor)) as [...Three, number];
    backend.withWorkspace(batch * steps * hidden * 4, (previous) => {
      backend.withWorkspace(packedBytes(hidden), (packed) => {
        backend.engine.run(
          'lstm_backward',
          ...common(backend, inputs, backend.offsetOf(upstream.output), packed),
          ...[upstream.dOutput, upstream.dFinalHidden, upstream.dFinalCell].map((tensor) => backend.offsetOf(tensor)),
          ...[dGates, dHidden, dCell, previous],
        );
      });
      // dR = Σ over batch and time of h_{t-1}ᵀ dz_t.
      runMatMul(backend, {
        a: previous,
        b: dGates,
        c: dWeight,
        m: hidden,
        n: 4 * hidden,
        k: batch * steps,
        transposeA: true,
      });
    });
  });
}

function packedBytes(hidden: number): number {
  return 4 * hidden * (hidden + PADDING) * 4;
}

/** The arguments that both C kernels begin with. */
function common(backend: FwpBackend, inputs: LstmInputs, output: number, packed: number): number[] {
  const { gates, recurrentWeight, initialHidden, initialCell, resetMask, cells } = inputs;
  return [
    ...cells.shape,
    backend.offsetOf(gates),
    backend.offsetOf(recurrentWeight),
    backend.offsetOf(initialHidden),
    backend.offsetOf(initialCell),
    resetMask.shape.includes(0) ? 0 : backend.offsetOf(resetMask),
    output,
    backend.offsetOf(cells),
    packed,
  ];
}

function releasingOnError(backend: FwpBackend, outputs: TensorInfo[], use: () => void): TensorInfo[] {
  try {
    use();
    return outputs;
  } catch (error) {
    for (const tensor of outputs) backend.release(tensor);
    throw error;
  }
}
