/** Tries the device in a process of its own, which may crash without harm. */

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { lastWords, runProgram } from '../program.ts';
import type { SetupContext } from './setup-context.ts';

/** A device that computes. */
export interface WorkingDevice {
  /** Of TensorFlow. */
  readonly version: string;
  readonly processor: string;
  /** What TensorFlow said of GPUs when it started; default: nothing. */
  readonly messages?: readonly string[];
}

/** Messages that are shown at most. */
const MESSAGES = 5;

/** Multiplies two matrices; prints what computed it as JSON. */
const SCRIPT = `
const { init } = await import(process.argv[1]);
const { matMul, tensor2d } = await import(process.argv[2]);
const { version, simd } = await init({ device: 'tensorflow' });
const product = await matMul(tensor2d([[1, 2], [3, 4]]), tensor2d([[5, 6], [7, 8]])).data();
if (String(product) !== '19,22,43,50') throw new Error('A product of matrices is wrong: ' + product);
console.log(JSON.stringify({ version, processor: simd }));
`;

/** Lines about GPUs and their libraries, each once. */
function messagesIn(stderr: string): string[] {
  const lines = stderr.split('\n').filter((line) => /\bGPUs?\b|cuda|cudnn|cuInit/i.test(line));
  return [...new Set(lines)].slice(0, MESSAGES);
}

/**
 * Starts device `tensorflow` and multiplies two matrices.
 *
 * @param folder what `fwp setup tensorflow` assembles, which the device prefers
 * @returns what computed, or why it doesn't
 */
export async function tryDevice(
  { environment, signal }: Pick<SetupContext, 'environment' | 'signal'>,
  folder: string,
): Promise<WorkingDevice | { readonly problem: string }> {
  const { resolve } = createRequire(import.meta.url);
  const modules = ['@fwp/core', '@tensorflow/tfjs-core'].map((name) => pathToFileURL(resolve(name)).href);
  const result = await runProgram(process.execPath, ['--input-type=module', '--eval', SCRIPT, ...modules], {
    environment: { ...environment, FWP_TENSORFLOW_DIR: folder },
    signal,
  });
  const answer = /^\{.*\}$/m.exec(result.stdout)?.[0];
  if (result.status === 0 && answer !== undefined)
    return { ...(JSON.parse(answer) as WorkingDevice), messages: messagesIn(result.stderr) };
  // Its advice is to do what is being done.
  const unavailable = /DeviceUnavailableError: (.*?)(?:\. Run 'npx fwp setup.*)?$/m.exec(result.stderr)?.[1];
  return { problem: unavailable ?? lastWords(result) };
}
