import { DeviceLostError, OutOfMemoryError } from '@fwp/core';
import { describe, expect, it } from 'vitest';
import { RunStoppedError } from '../src/errors.ts';
import { withWayOut } from '../src/file-problems.ts';

describe('what stops a run', () => {
  it.each([new DeviceLostError('The GPU was lost.'), new OutOfMemoryError(2048, 1024, 4096)])(
    'says how to go on after %s',
    (error) => {
      const stopped = withWayOut(error, 'runs/my run') as Error;
      expect(stopped).toBeInstanceOf(RunStoppedError);
      expect(stopped.cause).toBe(error);
      expect(stopped.message).toContain(error.message);
      expect(stopped.message).toMatch(/last checkpoint; go on with: fwp resume 'runs\/my run'$/);
    },
  );

  it('leaves other errors as they are', () => {
    const error = new TypeError('wrong');
    expect(withWayOut(error, 'runs')).toBe(error);
  });
});
