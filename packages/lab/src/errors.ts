/** Errors that the `fwp` command tells apart; each is one message without a stack trace. */

/** The caller asked for something that isn't there or isn't valid; the command exits with status 2. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** A number that training logged or a trial returned is NaN or infinite. */
export class NonFiniteError extends Error {
  override name = 'NonFiniteError';
}

/** Ctrl-C: thrown out of a trial's loop after its checkpoint was written. */
export class InterruptedError extends Error {
  override name = 'InterruptedError';
}

/** The run can't go on for want of something outside of it (disk space, permissions); the message says how to resume. */
export class RunStoppedError extends Error {
  override name = 'RunStoppedError';
}

/** Something of this machine can't be set up; the message says why, and the way out. */
export class SetupError extends Error {
  override name = 'SetupError';
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
