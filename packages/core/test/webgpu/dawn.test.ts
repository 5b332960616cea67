import { describe, expect, it } from 'vitest';
import { startTask, waitForTask } from '../../src/webgpu/dawn.ts';

/** Something that looks after its task in callbacks of `setImmediate`, as Dawn does, and needs a number of them. */
function task(callbacks: number): { start: () => void; isDone: () => boolean } {
  let left = callbacks;
  const look = (): void => {
    left--;
    if (left > 0) setImmediate(look);
  };
  return { start: () => void setImmediate(look), isDone: () => left <= 0 };
}

describe('tasks of Dawn', () => {
  it('can be waited for without a turn of the event loop', () => {
    const { start, isDone } = task(200);
    startTask(start);
    expect(isDone()).toBe(false);
    waitForTask(isDone);
    expect(isDone()).toBe(true);
  });

  it('go on by themselves, and setImmediate is as it was', async () => {
    const before = globalThis.setImmediate;
    const { start, isDone } = task(3);
    startTask(start);
    expect(globalThis.setImmediate).toBe(before);
    while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(globalThis.setImmediate).toBe(before);
  });

  it('leave setImmediate alone when they fail to start', () => {
    const before = globalThis.setImmediate;
    expect(() =>
      startTask(() => {
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(globalThis.setImmediate).toBe(before);
  });

  it('cannot be waited for if others started them', () => {
    expect(() => waitForTask(() => false)).toThrow(/Use await tensor\.data\(\)/);
  });
});
