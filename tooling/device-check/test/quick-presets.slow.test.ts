/**
 * Whatever is made of the operations computes the same on every device: losses, gradients and buffers of the first two training
 * steps of every trial of quick presets, as by `fwp check`.
 *
 * Most of them run on TensorFlow, in which all operations are compositions, where it is set up, and all with FWP_TENSORFLOW=all; some
 * on the native engine, whose kernels are those of wasm, and with FWP_WEBGPU=1 on Chromium's GPU in software. `FWP_WEBGPU=gpu` runs
 * all on the machine's own, `all` on that in software.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DeviceName, DeviceUnavailableError, dispose, init } from '@fwp/core';
import { checkDevice, type Experiment } from '@fwp/lab';
import { afterAll, describe, expect, it } from 'vitest';

/** These measure time, memory and gradients, and update nothing. */
const WITHOUT_UPDATES = ['moe/scaling', 'moe/switchhead', 'psm/latency', 'rtrl/gradient-check'];
/** Fast weights, an e-LSTM, codebooks and a Transformer, whose kernels compile within seconds on a GPU in software. */
const FEW = ['deltanet/update-rule', 'rtrl/copy', 'ksom/vectors', 'ctlpp/r'];

/** These take the longest, with models that others have as well. */
const LONG = [
  ...['hybrid/synthetic', 'hybrid/visual-match', 'moe/lm', 'ndr/arithmetic', 'ndr/list-ops'],
  ...['srwm/bootstrapping', 'srwm/few-shot'],
];

const experiments = (
  await Promise.all(packagesOfApps().map((name): Promise<Readonly<Record<string, unknown>>> => import(name)))
)
  .flatMap((app) => Object.values(app))
  .filter((value): value is Experiment => typeof value === 'object' && value !== null && 'presets' in value)
  .filter(({ id }) => !WITHOUT_UPDATES.includes(id));
const ids = experiments.map(({ id }) => id);

const { FWP_NATIVE: native, FWP_TENSORFLOW: tensorflow, FWP_WEBGPU: webgpu = '0' } = process.env;

/** Rounding that tips over a ReLU or a choice of experts makes more than the 1e-4 of `fwp check`, what is wrong much more. */
const TOLERANCE = 1e-3;

afterAll(() => dispose());

await describeDevice('native', { wanted: native, ids: FEW });
await describeDevice('tensorflow', {
  wanted: tensorflow,
  ids: tensorflow === 'all' ? ids : ids.filter((id) => !LONG.includes(id)),
});
await describeDevice('webgpu', { wanted: webgpu, ids: webgpu === '1' ? FEW : ids });

/** @param wanted `'0'` leaves the device out */
async function describeDevice(
  device: DeviceName,
  { wanted, ids }: { readonly wanted: string | undefined; readonly ids: readonly string[] },
): Promise<void> {
  const problem = wanted === '0' ? 'not asked for' : await missing(device);
  if (problem !== undefined) console.warn(`skipped on device '${device}': ${problem}`);
  describe.skipIf(problem !== undefined)(`device ${device}`, () => {
    it.each(ids)('computes what wasm does in %s', { timeout: 600_000 }, async (id) => {
      const experiment = experiments.find((each) => each.id === id) as Experiment;
      const { trials, agrees } = await checkDevice(experiment, { device, preset: 'quick', tolerance: TOLERANCE });
      expect(trials.flatMap(({ differences }) => differences)).toEqual([]);
      expect(agrees).toBe(true);
    });
  });
}

/** Each has to be a devDependency here. */
function packagesOfApps(): string[] {
  const folder = join(import.meta.dirname, '..', '..', '..', 'apps');
  return readdirSync(folder).map((app) => JSON.parse(readFileSync(join(folder, app, 'package.json'), 'utf8')).name);
}

/** Why a device can't be had; undefined if it is there. */
async function missing(device: DeviceName): Promise<string | undefined> {
  try {
    await init({ device });
    await dispose();
    return undefined;
  } catch (error) {
    if (!(error instanceof DeviceUnavailableError)) throw error;
    return error.message;
  }
}
