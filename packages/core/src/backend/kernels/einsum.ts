/**
 * Einsum by matrix products. tfjs's CPU kernel leaves out an operand none of whose letters is summed over
 * (`'ij,i->i'` gives the sums of the rows), so the fallback will not do.
 *
 * Letters that occur in one operand only and not in the output are summed first. Of the rest, those of both operands
 * and the output are batch dimensions, those of both operands alone are contracted, and each operand may have some to
 * itself:  a [batch, freeA, contracted] · b [batch, contracted, freeB] → [batch, freeA, freeB].
 */

import { backend_util, getKernel, type TensorInfo, upcastType } from '@tensorflow/tfjs-core';
import { BACKEND_NAME, type FwpBackend } from '../backend.ts';
import { fallback } from '../fallback.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';

/** tfjs kernels of this family. */
export const einsumKernels: KernelTable = { Einsum: einsum };

/** A tensor and the letter of each of its axes. */
interface Operand {
  readonly tensor: TensorInfo;
  readonly letters: string;
}

function einsum(call: KernelCall): TensorInfo | TensorInfo[] {
  const tensors = call.inputs as TensorInfo[];
  const { equation } = call.attrs as { equation: string };
  const { allDims, idDims } = backend_util.decodeEinsumEquation(equation, tensors.length);
  backend_util.checkEinsumDimSizes(allDims.length, idDims, tensors as never);
  if (tensors.some(({ dtype }) => dtype === 'complex64' || dtype === 'string')) return fallback('Einsum', call);

  const [left, output] = equation.replace(/\s/g, '').split('->') as [string, string];
  const terms = left.split(',');
  const steps = new Steps(call.backend);
  try {
    const dtype = tensors.map((tensor) => tensor.dtype).reduce((a, b) => upcastType(a, b), 'int32');
    const operands = tensors.map(({ dtype: own }, i): Operand => {
      const tensor = tensors[i] as TensorInfo;
      const cast = own === dtype ? tensor : steps.run('Cast', { x: tensor }, { dtype });
      return { tensor: cast, letters: terms[i] as string };
    });
    const [a, b] = operands.map((operand, i) =>
      steps.sumOut(operand, output + operands.map((other, j) => (j === i ? '' : other.letters)).join('')),
    ) as [Operand, Operand | undefined];
    return steps.keep(steps.permute(b === undefined ? a : product(steps, a, b, output), output).tensor);
  } finally {
    steps.release();
  }
}

function product(steps: Steps, a: Operand, b: Operand, output: string): Operand {
  const contracted = only(a.letters, (letter) => b.letters.includes(letter) && !output.includes(letter));
  if (contracted === '') {
    const spread = (operand: Operand): TensorInfo => {
      const ordered = steps.permute(
        operand,
        only(output, (letter) => operand.letters.includes(letter)),
      );
      return steps.reshape(
        ordered.tensor,
        [...output].map((letter) => (operand.letters.includes(letter) ? extentOf(operand, letter) : 1)),
      );
    };
    return { tensor: steps.run('Multiply', { a: spread(a), b: spread(b) }), letters: output };
  }
  const batch = only(output, (letter) => a.letters.includes(letter) && b.letters.includes(letter));
  const freeA = only(a.letters, (letter) => !b.letters.includes(letter));
  const freeB = only(b.letters, (letter) => !a.letters.includes(letter));
  const batchSize = sizeOf(a, batch);
  const [m, n, k] = [sizeOf(a, freeA), sizeOf(b, freeB), sizeOf(a, contracted)];
  const transposeA = a.letters === batch + contracted + freeA;
  const transposeB = b.letters === batch + freeB + contracted;
  const rows = transposeA ? a : steps.permute(a, batch + freeA + contracted);
  const columns = transposeB ? b : steps.permute(b, batch + contracted + freeB);
  const result = steps.run(
    'BatchMatMul',
    {
      a: steps.reshape(rows.tensor, [batchSize, ...(transposeA ? [k, m] : [m, k])]),
      b: steps.reshape(columns.tensor, [batchSize, ...(transposeB ? [n, k] : [k, n])]),
    },
    { transposeA, transposeB },
  );
  const shape = [
    ...[...batch, ...freeA].map((letter) => extentOf(a, letter)),
    ...[...freeB].map((letter) => extentOf(b, letter)),
  ];
  return { tensor: steps.reshape(result, shape), letters: batch + freeA + freeB };
}

/** Kernel calls whose results are freed at the end, but for the one that is kept. */
class Steps {
  readonly #backend: FwpBackend;
  readonly #made: TensorInfo[] = [];

  constructor(backend: FwpBackend) {
    this.#backend = backend;
  }

  run(kernelName: string, inputs: Record<string, TensorInfo>, attrs: object = {}): TensorInfo {
    const kernel = getKernel(kernelName, BACKEND_NAME);
    const result = kernel.kernelFunc({ inputs, attrs: attrs as never, backend: this.#backend }) as TensorInfo;
    this.#made.push(result);
    return result;
  }

  reshape(x: TensorInfo, shape: number[]): TensorInfo {
    return this.run('Reshape', { x }, { shape });
  }

  /** Sums over the axes whose letters are not in `needed`. */
  sumOut({ tensor, letters }: Operand, needed: string): Operand {
    const axis = [...letters].flatMap((letter, i) => (needed.includes(letter) ? [] : [i]));
    if (axis.length === 0) return { tensor, letters };
    return {
      tensor: this.run('Sum', { x: tensor }, { axis, keepDims: false }),
      letters: only(letters, (letter) => needed.includes(letter)),
    };
  }

  /** The axes in the order of `wanted`. */
  permute({ tensor, letters }: Operand, wanted: string): Operand {
    if (letters === wanted) return { tensor, letters };
    const perm = [...wanted].map((letter) => letters.indexOf(letter));
    return { tensor: this.run('Transpose', { x: tensor }, { perm }), letters: wanted };
  }

  /** Another reference to a tensor, which outlives {@link Steps.release}. */
  keep(x: TensorInfo): TensorInfo {
    return this.#backend.alias(x, x.shape);
  }

  release(): void {
    for (const tensor of this.#made) this.#backend.release(tensor);
  }
}

function only(letters: string, predicate: (letter: string) => boolean): string {
  return [...letters].filter(predicate).join('');
}

function extentOf({ tensor, letters }: Operand, letter: string): number {
  return tensor.shape[letters.indexOf(letter)] as number;
}

function sizeOf(operand: Operand, letters: string): number {
  return [...letters].reduce((size, letter) => size * extentOf(operand, letter), 1);
}
