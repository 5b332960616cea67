/** What the steps of `fwp setup tensorflow` share. */

import type { Steps } from '../steps.ts';

/** The surroundings of a set-up. */
export interface SetupContext {
  readonly steps: Steps;
  /** Environment variables, also of the programs that are run. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The project: where installed packages are looked for, and npm finds its settings. */
  readonly project: string;
  readonly signal?: AbortSignal | undefined;
}
