import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { delayedRecall } from '../../src/index.ts';
import { sequencesOf } from './token-rows.ts';

describe('delayedRecall', () => {
  test('a cue, distractors, a question; the cue is the only target', () => {
    const options = fc.record({
      delay: fc.nat(30),
      evaluationDelay: fc.nat(30),
      cues: fc.integer({ min: 2, max: 9 }),
      distractors: fc.integer({ min: 1, max: 9 }),
      seed: fc.nat(1000),
    });
    fc.assert(
      fc.property(options, fc.constantFrom('train' as const, 'test' as const), (given, split) => {
        const task = delayedRecall(given);
        const { cues, distractors } = given;
        const delay = split === 'train' ? given.delay : given.evaluationDelay;
        expect([task.vocabularySize, task.targetCount]).toEqual([cues + distractors + 1, cues]);
        for (const { inputs, targets, asked } of sequencesOf(task.batch(0, 4, split))) {
          expect([inputs.length, asked, inputs.at(-1)]).toEqual([delay + 2, [delay + 1], cues + distractors]);
          expect(inputs[0]).toBe(targets.at(-1));
          expect(inputs[0]).toBeLessThan(cues);
          for (const token of inputs.slice(1, -1)) {
            expect(token).toBeGreaterThanOrEqual(cues);
            expect(token).toBeLessThan(cues + distractors);
          }
        }
      }),
    );
  });

  test('cues are uniform and the distractors say nothing of them', () => {
    const sequences = sequencesOf(delayedRecall({ delay: 3, seed: 5 }).batch(0, 6000));
    for (let cue = 0; cue < 4; cue++) {
      const seen = sequences.filter(({ targets }) => targets.at(-1) === cue);
      expect(Math.abs(seen.length - 1500)).toBeLessThan(150);
      for (let distractor = 4; distractor < 7; distractor++) {
        const share = seen.filter(({ inputs }) => inputs[3] === distractor).length / seen.length;
        expect(Math.abs(share - 1 / 3)).toBeLessThan(0.05);
      }
    }
  });

  test('refuses options out of range', () => {
    expect(() => delayedRecall({ delay: -1 })).toThrow('delay must be an integer of at least 0, but is -1');
    expect(() => delayedRecall({ cues: 1 })).toThrow('cues must be an integer from 2 to 1048576, but is 1');
  });
});
