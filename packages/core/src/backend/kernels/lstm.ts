/** Kernels of `ops/lstm.ts`: a layer over whole sequences, and what of its gradient is not a plain matrix product. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { runMatMul } from '../matmul-plan.ts';
import { allOrNothing } from '../outputs.ts';

/**
 * `FwpLstm` fills its inputs `gates` (activated) and `cells` and gives [output, final hidden, final cell];
 * `FwpLstmGradient` gives the gradients of z (before the activations), recurrent weight, initial hidden, initial cell and
 * bias.
 */
export const lstmKernels: KernelTable = {
  FwpLstm: lstm,
  FwpLstmGradient: lstmGradient,
};

/** Inputs of `FwpLstm`. */
export interface LstmInputs {
  /** [batch, steps, inputs]. */
  readonly x: TensorInfo;
  /** [inputs, 4 · hidden]. */
  readonly inputWeight: TensorInfo;
  /** [4 · hidden]. */
  readonly bias?: TensorInfo;
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

/** Inputs of `FwpLstmGradient`: those of the forward, its output, and the gradients of its three results. */
export interface LstmGradientInputs extends LstmInputs {
  /** [batch, steps, hidden]. */
  readonly output: TensorInfo;
  readonly dOutput: TensorInfo;
  /** [batch, hidden]. */
  readonly dFinalHidden: TensorInfo;
  readonly dFinalCell: TensorInfo;
}

/** Columns that packing may add: the widest vector of `simd.h`. */
const PADDING = 16;
/** Weights of at most so many elements stay in the second-level cache while the kernel runs over the steps. */
const CACHED_WEIGHTS = 262_144;
/** The kernel packs weights from so many steps on: `LSTM_STEPS` of `csrc/lstm.c`. */
const PACKED_STEPS = 4;

function lstm({ inputs, backend }: KernelCall): TensorInfo[] {
  const { x, inputWeight, bias, gates, cells } = inputs as LstmInputs;
  const [batch, steps, hidden] = cells.shape as [number, number, number];
  const width = x.shape[2] as number;
  const stepwise = steps >= PACKED_STEPS && (width + hidden) * 4 * hidden <= CACHED_WEIGHTS;
  const biasOffset = bias ? backend.offsetOf(bias) : 0;
  const outputs = allOrNothing(backend, [
    () => backend.makeOutput([batch, steps, hidden]),
    () => backend.makeOutput([batch, hidden]),
    () => backend.makeOutput([batch, hidden]),
  ]);
  return releasingOnError(backend, outputs, () => {
    const [output, finalHidden, finalCell] = outputs.map((tensor) => backend.offsetOf(tensor)) as Three;
    if (!stepwise) {
      runMatMul(backend, {
        a: backend.offsetOf(x),
        b: backend.offsetOf(inputWeight),
        c: backend.offsetOf(gates),
        m: batch * steps,
        n: 4 * hidden,
        k: width,
        bias: biasOffset,
      });
    }
    backend.withWorkspace(packedBytes(stepwise ? width : 0, hidden), (packed) => {
      backend.engine.run(
        'lstm_forward',
        ...common(backend, inputs, output, packed),
        ...[stepwise ? backend.offsetOf(x) : 0, width, backend.offsetOf(inputWeight), biasOffset],
        ...[finalHidden, finalCell],
      );
    });
  });
}

type Three = [number, number, number];
type Five = [...Three, number, number];

function lstmGradient({ inputs, backend }: KernelCall): TensorInfo[] {
  const given = inputs as LstmGradientInputs;
  const { gates, recurrentWeight, initialHidden, initialCell, cells } = given;
  const [batch, steps, hidden] = cells.shape as [number, number, number];
  const outputs = allOrNothing(
    backend,
    [gates.shape, recurrentWeight.shape, initialHidden.shape, initialCell.shape, [4 * hidden]].map(
      (shape) => () => backend.makeOutput(shape),
    ),
  );
  return releasingOnError(backend, outputs, () => {
    const [dGates, dWeight, dHidden, dCell, dBias] = outputs.map((tensor) => backend.offsetOf(tensor)) as Five;
    backend.withWorkspace(batch * steps * hidden * 4, (previous) => {
      backend.withWorkspace(packedBytes(0, hidden), (packed) => {
        backend.withWorkspace(batch * 4 * hidden * 4, (partial) => {
          backend.engine.run(
            'lstm_backward',
            ...common(backend, given, backend.offsetOf(given.output), packed),
            ...[given.dOutput, given.dFinalHidden, given.dFinalCell].map((tensor) => backend.offsetOf(tensor)),
            ...[dGates, dHidden, dCell, previous, dBias, partial],
          );
        });
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

function packedBytes(inputs: number, hidden: number): number {
  return (inputs + hidden + PADDING) * (4 * hidden + PADDING) * 4;
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
