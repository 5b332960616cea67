/**
 * Gradients of operations that pick or place elements: each is the opposite operation. Missing in tfjs, except that of
 * `gather`, which there knows one batch dimension at most, needs positive axes, and returns the indices as their own
 * gradient.
 */

import * as tf from '@tensorflow/tfjs-core';
import { canFuse } from '../fused.ts';
import { type Gradient, runKernel, zeroGradient } from './support.ts';

/**
 * `y[b, o, i, …] = x[b, o, indices[b, i], …]` with batch axes b, axes o before the gathered one: dy is added up at the
 * places that it came from, numbered through b, o and the gathered axis.
 */
const gather: Gradient = {
  kernelName: tf.GatherV2,
  inputsToSave: ['x', 'indices'],
  gradFunc: (upstream, saved, attrs) => {
    const dy = upstream as tf.Tensor;
    const [x, indices] = saved as [tf.Tensor, tf.Tensor];
    return {
      x: () => {
        const [axis] = tf.util.parseAxisParam(attrs['axis'] as number, x.shape) as [number];
        const batchDims = (attrs['batchDims'] as number | undefined) ?? 0;
        const batch = size(x.shape.slice(0, batchDims));
        const outer = size(x.shape.slice(batchDims, axis));
        const extent = x.shape[axis] as number;
        const inner = size(x.shape.slice(axis + 1));
        const picked = indices.size / Math.max(1, batch);
        let places: tf.Tensor = tf.reshape(tf.cast(indices, 'int32'), [batch, 1, picked]);
        if (batch * outer !== 1) {
          const rowNumbers = tf.reshape(tf.range(0, batch * outer, 1, 'int32'), [batch, outer, 1]);
          places = tf.add(places, tf.mul(rowNumbers, tf.scalar(extent, 'int32')));
        }
        const flatPlaces = tf.reshape(places, [batch * outer * picked]) as tf.Tensor1D;
        const rows = tf.reshape(dy, [batch * outer * picked, inner]);
        return tf.reshape(tf.unsortedSegmentSum(rows, flatPlaces, batch * outer * extent), x.shape);
      },
      indices: () => zeroGradient(indices),
    };
  },
};

const gatherNd: Gradient = {
  kernelName: tf.GatherNd,
  inputsToSave: ['params', 'indices'],
  gradFunc: (dy, saved) => {
    const [params, indices] = saved as [tf.Tensor, tf.Tensor];
    return {
      params: () => tf.scatterND(indices, dy as tf.Tensor, params.shape),
      indices: () => zeroGradient(indices),
    };
  },
};

const scatterNd: Gradient = {
  kernelName: tf.ScatterNd,
  inputsToSave: ['indices'],
  gradFunc: (dy, saved) => {
    const indices = saved[0] as tf.Tensor;
    return { updates: () => tf.gatherND(dy as tf.Tensor, indices), indices: () => zeroGradient(indices) };
  },
};

/** The overwritten elements have no influence; those that replaced them have all. */
const tensorScatterUpdate: Gradient = {
  kernelName: tf.TensorScatterUpdate,
  inputsToSave: ['indices', 'updates'],
  gradFunc: (upstream, saved) => {
    const dy = upstream as tf.Tensor;
    const [indices, updates] = saved as [tf.Tensor, tf.Tensor];
    return {
      // On a copy: tfjs's CPU kernel overwrites its input.
      tensor: () => tf.tensorScatterUpdate(tf.add(dy, 0), indices, tf.zeros(updates.shape)),
      updates: () => tf.gatherND(dy, indices),
      indices: () => zeroGradient(indices),
    };
  },
};

/** Like the update of a tensor full of the default value; one value may serve all places. */
const sparseToDense: Gradient = {
  kernelName: tf.SparseToDense,
  inputsToSave: ['sparseIndices', 'sparseValues', 'defaultValue'],
  gradFunc: (upstream, saved, attrs) => {
    const dy = upstream as tf.Tensor;
    const [indices, values, defaultValue] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
    const { outputShape } = attrs as { outputShape: number[] };
    // The indices of a vector may be given as numbers instead of as rows of one number.
    const rows = (): tf.Tensor => tf.reshape(indices, [-1, outputShape.length]);
    const atIndices = (): tf.Tensor => tf.gatherND(dy, rows());
    return {
      sparseValues: () => tf.reshape(values.size === 1 ? tf.sum(atIndices()) : atIndices(), values.shape),
      defaultValue: () => {
        const zeros = tf.zeros([rows().shape[0] as number]);
        return tf.reshape(tf.sum(tf.tensorScatterUpdate(tf.add(dy, 0), rows(), zeros)), defaultValue.shape);
      },
      sparseIndices: () => zeroGradient(indices),
    };
  },
};

/** The k largest of each row: the gradient of a value goes to the place that it came from. */
const topK: Gradient = {
  kernelName: tf.TopK,
  inputsToSave: ['x'],
  outputsToSave: [false, true],
  reads: [0],
  gradFunc: (upstream, saved) => {
    const [dyValues] = upstream as [tf.Tensor];
    const [x, indices] = saved as [tf.Tensor, tf.Tensor];
    return {
      x: () => {
        const extent = x.shape[x.rank - 1] as number;
        const rows = x.size / Math.max(1, extent);
        const k = indices.shape[indices.rank - 1] as number;
        if (canFuse('FwpTopKGradient')) {
          return runKernel('FwpTopKGradient', { dy: dyValues, indices }, { columns: extent });
        }
        const places = tf.add(
          tf.reshape(indices, [rows, k]),
          tf.mul(tf.reshape(tf.range(0, rows, 1, 'int32'), [rows, 1]), tf.scalar(extent, 'int32')),
        );
        const flatPlaces = tf.reshape(places, [rows * k]) as tf.Tensor1D;
        const sums = tf.unsortedSegmentSum(tf.reshape(dyValues, [rows * k]), flatPlaces, rows * extent);
        return tf.reshape(sums, x.shape);
      },
    };
  },
};

/** Weighted counts: each weight's gradient is that of its bin. `binaryOutput` ignores the weights. */
function bincount(kernelName: string): Gradient {
  return {
    kernelName,
    inputsToSave: ['x', 'weights'],
    gradFunc: (upstream, saved, attrs) => {
      const dy = upstream as tf.Tensor;
      const [x, weights] = saved as [tf.Tensor, tf.Tensor];
      const { size: bins, binaryOutput } = attrs as { size: number; binaryOutput?: boolean };
      return {
        x: () => zeroGradient(x),
        weights: () => {
          if (binaryOutput === true || weights.size === 0) return zeroGradient(weights);
          // Values outside the bins were not counted; they take their gradient from an extra bin of zeros.
          const known = tf.where(
            tf.logicalAnd(tf.greaterEqual(x, 0), tf.less(x, bins)),
            x,
            tf.fill(x.shape, bins, 'int32'),
          );
          const withExtra = tf.pad(dy, [...dy.shape.slice(0, -1).map((): [number, number] => [0, 0]), [0, 1]]);
          if (x.rank < 2) return tf.gather(withExtra, known as tf.Tensor1D);
          return tf.gather(withExtra, tf.cast(known, 'int32') as tf.Tensor1D, 1, 1);
        },
      };
    },
  };
}

/** `y[s] = Σ data[indices[i]]` over the i with `segmentIds[i] = s`, or the mean of these. */
function sparseSegment(kernelName: string, average: boolean): Gradient {
  return {
    kernelName,
    inputsToSave: ['data', 'indices', 'segmentIds'],
    gradFunc: (upstream, saved) => {
      const dy = upstream as tf.Tensor;
      const [data, indices, segmentIds] = saved as [tf.Tensor, tf.Tensor1D, tf.Tensor1D];
      return {
        data: () => {
          const segments = dy.shape[0] as number;
          const rows = tf.reshape(dy, [segments, -1]);
          const counts = tf.unsortedSegmentSum(tf.ones([segmentIds.size]), segmentIds, segments);
          const shares = average ? tf.div(rows, tf.reshape(tf.maximum(counts, 1), [segments, 1])) : rows;
          const sums = tf.unsortedSegmentSum(tf.gather(shares, segmentIds), indices, data.shape[0] as number);
          return tf.reshape(sums, data.shape);
        },
        indices: () => zeroGradient(indices),
        segmentIds: () => zeroGradient(segmentIds),
      };
    },
  };
}

function size(shape: number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Gradients of gathering and scattering. */
export const indexingGradients: readonly Gradient[] = [
  gather,
  gatherNd,
  scatterNd,
  tensorScatterUpdate,
  sparseToDense,
  topK,
  bincount(tf.Bincount),
  bincount(tf.DenseBincount),
  sparseSegment(tf.SparseSegmentSum, false),
  sparseSegment(tf.SparseSegmentMean, true),
];
