/** What is bundled into one file: tfjs-core, its tests, and our backend, so that all of them share one copy of tfjs. */

import { type Observations, prepare } from './environment.ts';

/** Registers the device and declares tfjs's tests with jasmine, whose globals must be there already. */
export async function declareTests(device: 'wasm' | 'native' | 'cpu', simd?: string): Promise<Observations> {
  const observations = await prepare(device, simd);
  await import('@tensorflow/tfjs-core/dist/tests');
  return observations;
}
