/** The command line of the demonstration. */

import { parseArgs } from 'node:util';
import { DEVICES } from '@fwp/core';

export const HELP = `Trains a small Transformer to look things up, and says how well it does.

  npm start -- [options]

  --device NAME    ${DEVICES.join(', ')} (default: auto)
  --threads N      threads of the CPU engine (default: one per processor)
  --steps N        training steps (default: 400)
  --seed N         what is drawn: weights and sequences (default: 1)
  --help           this text
`;

/**
 * Reads the command line.
 *
 * @param {string[]} args
 * @returns {{ device: string, threads: number | undefined, steps: number, seed: number, help: boolean }}
 * @throws {RangeError} if an option or a value does not exist
 */
export function parseOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        device: { type: 'string', default: 'auto' },
        threads: { type: 'string' },
        steps: { type: 'string', default: '400' },
        seed: { type: 'string', default: '1' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    throw new RangeError(`${error.message}. 'npm start -- --help' lists the options.`);
  }
  const { device, threads, steps, seed, help } = values;
  if (!DEVICES.includes(device)) {
    throw new RangeError(`--device: there is no '${device}'. Choose among ${DEVICES.join(', ')}.`);
  }
  return {
    device,
    threads: threads === undefined ? undefined : wholeNumber('--threads', threads, 1),
    steps: wholeNumber('--steps', steps, 1),
    seed: wholeNumber('--seed', seed, 0),
    help,
  };
}

function wholeNumber(option, text, least) {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new RangeError(`${option}: '${text}' is not a whole number from ${least}.`);
}
