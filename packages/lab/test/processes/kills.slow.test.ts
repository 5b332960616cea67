import { it } from 'vitest';
import { expectKillsToLoseNothing } from './kill-and-resume.ts';

it.each(['wasm', 'cpu'])(
  'a run of several trials survives a dozen kills, on %s',
  async (device) => {
    const settings = ['steps=80', 'rates=0.01,0.1,1', 'pause=5'];
    await expectKillsToLoseNothing(12, { device, settings, within: 1500 });
  },
  600_000,
);
