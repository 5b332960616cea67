import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Steps } from '../../src/setup/steps.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Steps, and what they show. */
function shown(stream: { isTTY?: boolean; columns?: number } = {}) {
  let text = '';
  return { steps: new Steps({ ...stream, write: (part) => (text += part) }), text: () => text };
}

/** A step that tells something and takes so many seconds. */
const taking = (seconds: number) => async (tell: (doing: string) => void) => {
  tell('half of it');
  await vi.advanceTimersByTimeAsync(1000 * seconds);
  return 7;
};

describe('steps', () => {
  it('that are short are one line, with what came out', async () => {
    const { steps, text } = shown();
    expect(await steps.run('looking', taking(0), (result) => `${result} found`)).toBe(7);
    expect(text()).toBe('✓ looking: 7 found\n');
  });

  it('that are long tell what they are at, after two seconds and every ten', async () => {
    const { steps, text } = shown();
    await steps.run('fetching', taking(25));
    const lines = text().trim().split('\n');
    expect(lines).toHaveLength(4);
    for (const line of lines.slice(0, 3))
      expect(line).toMatch(/^… fetching: half of it \(\d+ s\)$|^… fetching: half of it \([\d.]+ s\)$/);
    expect(lines[3]).toMatch(/^✓ fetching \(25(?:\.0)? s\)$/);
  });

  it('are redrawn in place on a terminal, within its width', async () => {
    const { steps, text } = shown({ isTTY: true, columns: 20 });
    await steps.run('fetching something long', taking(1));
    expect(text().split('\r\x1b[K').length).toBeGreaterThan(4);
    for (const part of text().split('\r\x1b[K').slice(1, -1)) expect(part.length).toBeLessThan(20);
  });

  it('that fail are marked, and what they threw is thrown', async () => {
    const { steps, text } = shown();
    await expect(steps.run('failing', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(text()).toBe('✗ failing\n');
  });
});
