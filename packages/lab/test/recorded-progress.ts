/** A progress that remembers what it was told. */

import { type Progress, quietProgress } from '../src/progress.ts';

/** Warnings so far, and names of the trials that began and finished. */
export interface RecordedProgress extends Progress {
  readonly warnings: string[];
  readonly started: string[];
  readonly finished: string[];
}

/** @param onStep is called after each step with the number of steps in this session */
export function recordedProgress(onStep: (count: number) => void = () => undefined): RecordedProgress {
  const warnings: string[] = [];
  const started: string[] = [];
  const finished: string[] = [];
  let steps = 0;
  return {
    ...quietProgress({ write: () => undefined }),
    ...{ warnings, started, finished },
    warn: (message) => void warnings.push(message),
    trialStarted: (name) => void started.push(name),
    trialFinished: (name) => void finished.push(name),
    stepDone: () => onStep(++steps),
  };
}
