/** The peers `tfjs-cpu` and `tfjs-wasm`: tfjs's own backends. `node --import tsx tfjs.ts cpu|wasm` */

import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
import { setWasmPaths, version_wasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { serve } from '../harness/serve.ts';
import { operationPrograms } from '../programs/operation-programs.ts';
import { tfjsOperations } from '../programs/tfjs-operations.ts';
import { trainingPrograms } from '../programs/training-programs.ts';

const require = createRequire(import.meta.url);
// tfjs-core's bundle for Node leaves the gradients out; tsx makes this file loadable.
require('@tensorflow/tfjs-core/dist/register_all_gradients.js');

const backend = process.argv[2] === 'wasm' ? 'wasm' : 'cpu';
setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
await tf.setBackend(backend);
await tf.ready();

const operations = tfjsOperations(backend === 'wasm');
await serve({
  identity: { version: backend === 'wasm' ? version_wasm : tf.version_core, threads: 1, detail: backend },
  programs: { ...operationPrograms(operations), ...trainingPrograms(operations) },
});
