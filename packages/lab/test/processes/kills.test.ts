import { it } from 'vitest';
import { expectKillsToLoseNothing } from './kill-and-resume.ts';

it('a run that is killed (-9) at random moments and resumed equals an undisturbed one, on wasm', async () => {
  const settings = ['steps=60', 'rates=0.1', 'pause=5'];
  await expectKillsToLoseNothing(2, { device: 'wasm', settings, within: 1000 });
}, 180_000);
