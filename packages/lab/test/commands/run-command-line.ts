/** Runs `fwp` in this process and keeps what it writes. */

import { main } from '../../src/cli.ts';

/** What a command wrote and the status with which it ended. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command, on streams that are no terminals. */
export async function fwp(...argv: readonly string[]): Promise<CommandResult> {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written) => ({ write: (text: string) => void (written[name] += text) });
  const status = await main(argv, { stdout: stream('stdout'), stderr: stream('stderr') });
  return { status, ...written };
}
