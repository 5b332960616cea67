/**
 * What the kernels of tfjs-node lack, so that everything that tfjs can do works on device `tensorflow` too: kernels that
 * are not there run on tfjs's CPU backend, on copies, and those that do not do all that tfjs's operations ask of them are
 * given what they can do.
 */

import * as tf from '@tensorflow/tfjs-core';
import { type CpuFerry, type Inputs, runOnCpu } from '../backend/fallback.ts';
import { WINDOW_REPAIRS } from './tensorflow-windows.ts';

const BACKEND = 'tensorflow';

/** Adds and repairs kernels; those of tfjs-node are registered before. */
export function completeTensorflowKernels(): void {
  for (const [kernelName, repair] of Object.entries({ ...REPAIRS, ...WINDOW_REPAIRS })) {
    const stock = tf.getKernel(kernelName, BACKEND);
    if (stock === undefined) continue;
    tf.unregisterKernel(kernelName, BACKEND);
    tf.registerKernel({ ...stock, kernelFunc: repair(stock.kernelFunc, onCpu(kernelName)) });
  }
  for (const { kernelName } of tf.getKernelsForBackend('cpu')) {
    if (tf.getKernel(kernelName, BACKEND) !== undefined) continue;
    tf.registerKernel({ kernelName, backendName: BACKEND, kernelFunc: onCpu(kernelName) });
  }
}

/** tfjs's own kernel, on copies. */
function onCpu(kernelName: string): tf.KernelFunc {
  return ({ inputs, attrs, backend }) =>
    runOnCpu(kernelName, inputs as unknown as Inputs, attrs, ferry(backend as tf.KernelBackend));
}

/** A kernel that does what its stock can't, on TensorFlow or by tfjs's CPU backend. */
export type Repair = (stock: tf.KernelFunc, onCpu: tf.KernelFunc) => tf.KernelFunc;

/** They call methods of tensors (`x.toInt()`) that there are only where all of tfjs's are loaded. */
const withoutMethods = (...dtypes: tf.DataType[]): Repair => {
  const target = dtypes.includes('bool') ? 'int32' : 'float32';
  return (stock) => (call) => {
    const x = call.inputs['x'] as tf.Tensor;
    if (!dtypes.includes(x.dtype)) return stock(call);
    const cast = tf.cast(x, target);
    try {
      return stock({ ...call, inputs: { x: cast } });
    } finally {
      cast.dispose();
    }
  };
};

const REPAIRS: Readonly<Record<string, Repair>> = {
  [tf.ArgMax]: withoutMethods('bool'),
  [tf.ArgMin]: withoutMethods('bool'),
  [tf.Exp]: withoutMethods('int32'),
  // It takes the axis for an index of the shape, and -1 is the last one.
  [tf.GatherV2]: (stock) => (call) => {
    const { axis } = call.attrs as { axis: number };
    const [parsed] = tf.util.parseAxisParam(axis, (call.inputs['x'] as tf.TensorInfo).shape);
    return stock({ ...call, attrs: { ...call.attrs, axis: parsed as number } });
  },
  [tf.Prelu]:
    () =>
    ({ inputs }) => {
      const [x, alpha] = [inputs['x'] as tf.Tensor, inputs['alpha'] as tf.Tensor];
      return tf.tidy(() => tf.add(tf.relu(x), tf.mul(tf.minimum(x, 0), alpha)));
    },
};

/** Copies of values; complex numbers have kernels of TensorFlow for all that there is. */
function ferry(backend: tf.KernelBackend): CpuFerry {
  return {
    copyToCpu: ({ dataId, shape, dtype }, cpu) => {
      const copy = cpu.makeTensorInfo(shape, dtype, backend.readSync(dataId));
      // Some of tfjs's kernels are given tensors rather than descriptions of them, and rely on it.
      return Object.assign(copy, { rank: shape.length });
    },
    copyFromCpu: ({ dataId, shape, dtype }, cpu) => {
      const values = cpu.data.get(dataId).values as tf.backend_util.BackendValues;
      return { dataId: backend.write(values, shape, dtype) as object, shape, dtype };
    },
    release: ({ dataId }) => void backend.disposeData(dataId),
  };
}
