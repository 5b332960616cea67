import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parity, trimPadding } from '../src/index.ts';
import { sequencesOf } from './tasks/token-rows.ts';

test('a trimmed batch is as long as its longest sequence and holds the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.nat(), (batchSize, seed) => {
      const batch = parity({ trainBits: [3, 20], seed }).batch(0, batchSize);
      const trimmed = trimPadding(batch);
      const longest = Math.max(...sequencesOf(batch).map(({ asked }) => asked.length));
      expect([trimmed.batchSize, trimmed.length]).toEqual([batchSize, longest]);
      expect(sequencesOf(trimmed)).toEqual(
        sequencesOf(batch).map(({ inputs, targets, asked }) => ({
          inputs: inputs.slice(0, longest),
          targets: targets.slice(0, longest),
          asked,
        })),
      );
    }),
  );
});

test('what counts stays, and so does input before it', () => {
  const batch = {
    batchSize: 2,
    length: 4,
    inputs: Int32Array.of(1, 0, 0, 0, 0, 0, 0, 0),
    targets: Int32Array.of(0, 0, 0, 0, 0, 0, 3, 0),
    mask: Float32Array.of(0, 0, 0, 0, 0, 0, 1, 0),
  };
  expect(trimPadding(batch)).toEqual({
    batchSize: 2,
    length: 3,
    inputs: Int32Array.of(1, 0, 0, 0, 0, 0),
    targets: Int32Array.of(0, 0, 0, 0, 0, 3),
    mask: Float32Array.of(0, 0, 0, 0, 0, 1),
  });
});
