/** Gradients of matrix products (tfjs returns the wrong shape when batch dimensions broadcast) and of einsum. */

import * as tf from '@tensorflow/tfjs-core';
import { type Gradient, type InputGradients, sumToShape } from './support.ts';

/**
 * `y = op(a) op(b)` with op = identity or transposition of the last two axes; batch dimensions broadcast.
 *
 * | a, b transposed | da         | db         |
 * |-----------------|------------|------------|
 * | no, no          | dy bᵀ      | aᵀ dy      |
 * | no, yes         | dy b       | dyᵀ a      |
 * | yes, no         | b dyᵀ      | a dy       |
 * | yes, yes        | bᵀ dyᵀ     | dyᵀ aᵀ     |
 *
 * summed over the batch dimensions that were repeated.
 */
const batchMatMul: Gradient = {
  kernelName: tf.BatchMatMul,
  inputsToSave: ['a', 'b'],
  gradFunc: (upstream, saved, attrs) => {
    const dy = upstream as tf.Tensor;
    const [a, b] = saved as [tf.Tensor, tf.Tensor];
    const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
    const gradients: InputGradients = {
      a: () =>
        sumToShape(transposeA ? tf.matMul(b, dy, transposeB, true) : tf.matMul(dy, b, false, !transposeB), a.shape),
      b: () =>
        sumToShape(transposeB ? tf.matMul(dy, a, true, transposeA) : tf.matMul(a, dy, !transposeA, false), b.shape),
    };
    // One matrix for the whole batch, the usual dense layer: one tall product instead of many and a sum.
    if (b.size === lastTwo(b.shape) && !transposeA && a.rank > 2 && a.size > 0) {
      gradients['b'] = () => {
        const rows = rowsOf(a);
        const dyRows = rowsOf(dy);
        const db = transposeB ? tf.matMul(dyRows, rows, true, false) : tf.matMul(rows, dyRows, true, false);
        return tf.reshape(db, b.shape);
      };
    }
    return gradients;
  },
};

/** All rows of all matrices below each other; -1 as their number means nothing where a row is empty. */
function rowsOf(x: tf.Tensor): tf.Tensor2D {
  return tf.reshape(x, [tf.util.sizeFromShape(x.shape.slice(0, -1)), x.shape[x.rank - 1] as number]);
}

function lastTwo(shape: number[]): number {
  return (shape[shape.length - 2] as number) * (shape[shape.length - 1] as number);
}

/**
 * `einsum`, which tfjs evaluates for one or two operands without repeated letters in one: the gradient of an operand
 * is the einsum of dy with the other operand, written for the operand's letters; letters that occur in this operand
 * alone were summed over, so their gradient is repeated.
 */
const einsum: Gradient = {
  kernelName: tf.Einsum,
  saveAllInputs: true,
  gradFunc: (upstream, saved, attrs) => {
    const dy = upstream as tf.Tensor;
    const [terms, output] = splitEquation((attrs as { equation: string }).equation);
    return Object.fromEntries(
      saved.map((operand, i) => [
        i,
        () => {
          const letters = terms[i] as string;
          const others = saved.filter((_, j) => j !== i);
          const otherTerms = terms.filter((_, j) => j !== i);
          const known = [...letters].filter((letter) => output.includes(letter) || otherTerms.join().includes(letter));
          const gradient = tf.einsum(`${[output, ...otherTerms].join(',')}->${known.join('')}`, dy, ...others);
          const expanded = [...letters].map((letter, axis) => (known.includes(letter) ? operand.shape[axis] : 1));
          return tf.broadcastTo(tf.reshape(gradient, expanded as number[]), operand.shape);
        },
      ]),
    );
  },
};

/** `'ab,bc->ac'` → `[['ab', 'bc'], 'ac']` */
function splitEquation(equation: string): [string[], string] {
  const [inputs = '', output = ''] = equation.replace(/\s/g, '').split('->');
  return [inputs.split(','), output];
}

/** Gradients of products. */
export const productGradients: readonly Gradient[] = [batchMatMul, einsum];
