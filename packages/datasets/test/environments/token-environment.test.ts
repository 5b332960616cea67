import { describe, expect, test } from 'vitest';
import { tokenEnvironment } from '../../src/environments/index.ts';
import { copyReleased, copyStrict, delayedRecall, parity } from '../../src/index.ts';
import { play, solvedShare, type View } from './play.ts';

/** The token of a one-hot observation. */
const tokenOf = ({ observation }: View) => observation.indexOf(1);

describe('tokenEnvironment', () => {
  test('shows the sequences of the task, token by token, with their targets', () => {
    const task = parity({ trainBits: [3, 9], seed: 6 });
    const environment = tokenEnvironment(task, { batchSize: 4 });
    expect(environment).toMatchObject({ name: 'parity', observationShape: [3], actionCount: 2 });
    let observations = environment.reset();
    for (let number = 0; number < 3; number++) {
      const { length, inputs, targets, mask } = task.batch(number, 4);
      for (let t = 0; t < length; t++) {
        const at = (array: Int32Array | Float32Array) => [0, 1, 2, 3].map((row) => array[row * length + t]);
        expect([...observations]).toEqual(at(inputs).flatMap((token) => [0, 1, 2].map((i) => (i === token ? 1 : 0))));
        expect(environment.episodes.map(({ token }) => token)).toEqual(at(inputs));
        expect(environment.episodes.map(({ target }) => target)).toEqual(at(targets));
        expect(environment.episodes.map(({ counts }) => counts)).toEqual(at(mask).map(Boolean));
        const step = environment.step(at(targets) as number[]);
        expect([...step.rewards]).toEqual(at(mask));
        expect([...step.ended]).toEqual(Array.from({ length: 4 }, () => (t === length - 1 ? 1 : 0)));
        observations = step.observations;
      }
    }
  });

  test('of other splits has the sequences of the split', () => {
    const task = parity({ trainBits: [3, 9], evaluationBits: [5, 5] });
    const environment = tokenEnvironment(task, { split: 'test' });
    environment.reset();
    expect(environment.episodes[0]?.token).toBe(task.batch(0, 1, 'test').inputs[0]);
    expect(play(environment, 2, () => 0).map(({ length }) => length)).toEqual([5, 5]);
  });
});

describe('delayed recall', () => {
  const environment = tokenEnvironment(delayedRecall({ delay: 30 }), { batchSize: 8 });

  test('is solved by an agent that remembers the cue', () => {
    const cues = new Map<number, number>();
    const episodes = play(environment, 200, (view) => {
      if (view.isFirst) cues.set(view.row, tokenOf(view));
      return cues.get(view.row) as number;
    });
    expect(solvedShare(episodes)).toBe(1);
    expect(episodes.every(({ total, length }) => total === 1 && length === 32)).toBe(true);
  });

  test('is solved one time in four by an agent that does not', () => {
    expect(solvedShare(play(environment, 2000, () => 2))).toBeCloseTo(0.25, 1);
  });
});

describe('copying of bits', () => {
  /** Remembers the pattern, or only its length; gives it back after it. */
  const agent = (remembersBits: boolean) => {
    const patterns = new Map<number, number[]>();
    const positions = new Map<number, number>();
    return (view: View) => {
      const { row } = view;
      if (view.isFirst) {
        patterns.set(row, []);
        positions.set(row, -1);
      }
      const pattern = patterns.get(row) as number[];
      const token = tokenOf(view);
      if (token < 2) {
        pattern.push(remembersBits ? token : 0);
        return 0;
      }
      const position = (positions.get(row) as number) + 1;
      positions.set(row, position);
      return position < pattern.length ? 1 + (pattern[position] as number) : 0;
    };
  };

  test('copy-strict is solved by remembering, and by counting only where all bits are 0', () => {
    const environment = tokenEnvironment(copyStrict({ maximumBits: 10 }), { batchSize: 8 });
    expect(solvedShare(play(environment, 200, agent(true)))).toBe(1);
    expect(solvedShare(play(environment, 2000, agent(false)))).toBeCloseTo(0.1, 1);
  });

  test('copy-released is solved by either', () => {
    const environment = tokenEnvironment(copyReleased({ maximumBits: 10 }), { batchSize: 8 });
    expect(solvedShare(play(environment, 200, agent(true)))).toBe(1);
    expect(solvedShare(play(environment, 200, agent(false)))).toBe(1);
  });
});
