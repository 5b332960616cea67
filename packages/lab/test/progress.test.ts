import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { describeDevice, type Progress, quietProgress, type RunInfo, textProgress } from '../src/progress.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'], now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

const device = { name: 'wasm', backend: 'fwp', threads: 2, simd: 'simd128', version: '1', notes: [] } as const;
const config = { id: 'a/b', title: 'Title', preset: 'quick', seeds: [1], device };
const RUN = { folder: 'runs/x', config, trials: 3, finished: 0 } as unknown as RunInfo;

/** What a progress writes to a stream. */
function written(stream: { isTTY?: boolean; columns?: number }, show: (progress: Progress) => void): string {
  let text = '';
  const output = { ...stream, write: (part: string) => (text += part) };
  const progress = textProgress(output);
  progress.runStarted(RUN);
  text = '';
  progress.trialStarted('size=1 seed=1');
  progress.loopStarted({ total: 100, done: 0, perStep: { tokens: 1000 } });
  show(progress);
  progress.close();
  return text;
}

describe('on a terminal', () => {
  it('draws one line in place, with speed and the time left for the trial and the run', () => {
    const text = written({ isTTY: true, columns: 200 }, (progress) => {
      vi.advanceTimersByTime(500);
      progress.logged({ loss: 0.25 });
      progress.stepDone(50);
      vi.advanceTimersByTime(50);
      progress.stepDone(51);
    });
    expect(text).toBe(
      '\r\x1b[K[1/3] size=1 seed=1  ██████████░░░░░░░░░░ 50/100  100 steps/s  100.0k tokens/s  0.5 s left, run 2.5 s  loss 0.25\r\x1b[K',
    );
  });

  it('cuts the line where the terminal ends', () => {
    const text = written({ isTTY: true, columns: 40 }, (progress) => {
      vi.advanceTimersByTime(500);
      progress.stepDone(50);
    });
    expect(text.replaceAll('\r\x1b[K', '')).toHaveLength(39);
  });

  it('leaves a line for each trial that is finished', () => {
    const text = written({ isTTY: true, columns: 200 }, (progress) => {
      vi.advanceTimersByTime(500);
      progress.stepDone(100);
      progress.trialFinished('size=1 seed=1', { loss: 0.25, word: 'yes', nothing: null }, 2.5);
    });
    expect(text.split('\r\x1b[K').at(-1)).toBe('[1/3] size=1 seed=1  loss 0.25  word yes  nothing –  (2.5 s)\n');
  });
});

it('elsewhere writes a line every few seconds', () => {
  const text = written({}, (progress) => {
    for (let step = 1; step <= 12; step++) {
      vi.advanceTimersByTime(1000);
      progress.stepDone(step);
    }
  });
  expect(text.split('\n')).toHaveLength(3);
  expect(text).toMatch(/^\[1\/3\] size=1 seed=1 {2}5\/100 {2}1\.0 steps\/s .* 1 min 35 s left, run 4 min 55 s\n/);
  expect(text).not.toContain('\x1b');
});

it('knows what a resumed loop did before', () => {
  const text = written({}, (progress) => {
    progress.loopStarted({ total: 100, done: 90, perStep: {} });
    vi.advanceTimersByTime(5000);
    progress.stepDone(95);
  });
  expect(text).toContain('95/100  1.0 steps/s  5.0 s left');
});

it.each([
  [1, '0.10 steps/s'],
  [99, '9.9 steps/s'],
  [996, '100 steps/s'],
  [1_000_000, '100.0k steps/s'],
])('tells %d steps in ten seconds as %s', (steps, expected) => {
  const text = written({ isTTY: true, columns: 200 }, (progress) => {
    progress.loopStarted({ total: 2_000_000, done: 0, perStep: {} });
    vi.advanceTimersByTime(10_000);
    progress.stepDone(steps);
  });
  expect(text).toContain(`/2000000  ${expected}`);
});

it('quiet says warnings only', () => {
  let text = '';
  const progress = quietProgress({ write: (part) => (text += part) });
  progress.runStarted(RUN);
  progress.stepDone(1);
  progress.warn('Careful.');
  expect(text).toBe('Careful.\n');
});

it('names a device with its notes', () => {
  expect(describeDevice(device)).toBe('wasm, simd128, 2 threads');
  expect(describeDevice({ ...device, name: 'cpu', simd: '', threads: 1, notes: ['slow'] })).toBe('cpu, 1 thread; slow');
});
