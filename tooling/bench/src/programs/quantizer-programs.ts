/** Vector quantisation: products with all codes, nearest codes, and a whole training step without the network around it. */

import { RandomStream, vqAssign } from '@fwp/core';
import { KohonenQuantizer, type NeighborhoodKind } from '@fwp/ksom-vq';
import * as tf from '@tensorflow/tfjs-core';
import type { Parameters } from '../harness/protocol.ts';
import { forward, uniformTensor } from './operation-programs.ts';
import { numberOf, type ProgramTable } from './program.ts';
import { digestOf } from './values.ts';

/** Our programs; PyTorch has its own of the same names, with the authors' order of operations. */
export const quantizerPrograms: ProgramTable = {
  'quantiser distances': (parameters) => {
    const { vectors, codes } = inputs(parameters);
    return forward([vectors, codes], () => tf.matMul(vectors, codes, false, true));
  },
  'nearest codes': (parameters) => {
    const { vectors, codes } = inputs(parameters);
    return forward([vectors, codes], () => vqAssign(vectors, codes));
  },
  'quantiser step': (parameters) => {
    const { vectors, codes } = inputs(parameters);
    const neighborhood = String(parameters['neighborhood']) as NeighborhoodKind;
    const make = () =>
      new KohonenQuantizer({
        ...{ codes: codes.shape[0], size: codes.shape[1], neighborhood, random: new RandomStream(1) },
        initializer: () => codes.clone(),
      });
    const quantizer = make();
    const step = (one: KohonenQuantizer) => tf.tidy(() => one.forward(vectors).loss.dataSync());
    return {
      run: () => void step(quantizer),
      check: () => {
        const fresh = make();
        const loss = step(fresh);
        const digest = digestOf(loss, fresh.codebook.dataSync());
        fresh.dispose();
        return digest;
      },
      dispose: () => {
        quantizer.dispose();
        tf.dispose([vectors, codes]);
      },
    };
  },
};

function inputs(parameters: Parameters): { vectors: tf.Tensor2D; codes: tf.Tensor2D } {
  const [vectors, codes, size] = ['vectors', 'codes', 'size'].map((name) => numberOf(parameters, name)) as [
    number,
    number,
    number,
  ];
  return {
    vectors: uniformTensor([vectors, size], 1) as tf.Tensor2D,
    codes: uniformTensor([codes, size], 2) as tf.Tensor2D,
  };
}
