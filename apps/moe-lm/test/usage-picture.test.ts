import { usageOf } from '@fwp/moe';
import { expect, it } from 'vitest';
import { usageHistoryPicture, usagePicture } from '../src/usage-picture.ts';

it('draws a bar for each expert, and marks those that nobody chose', () => {
  const picture = usagePicture({ title: 'A & B', rows: [{ name: 'layer 1', ...usageOf([5, 0, 3, 0]) }] });
  expect(picture.match(/fill="#1d4ed8"/g)?.length).toBe(2);
  expect(picture.match(/fill="#dc2626"/g)?.length).toBe(2);
  expect(picture).toContain('A &amp; B');
  expect(picture).toContain('dead 2');
  expect(picture).not.toContain('NaN');
});

it('draws a cell for each expert at each step, the darker the more it was used', () => {
  const picture = usageHistoryPicture({
    title: 'x',
    steps: [10, 20],
    shares: [
      [0.5, 0.5],
      [1, 0],
    ],
  });
  const strengths = [...picture.matchAll(/fill-opacity="([\d.]+)"/g)].map(([, value]) => Number(value));
  expect(strengths).toEqual([0.25, 0.25, 0.5, 0]);
});
