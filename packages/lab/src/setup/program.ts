/** Runs programs and keeps what they say. */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { InterruptedError } from '../errors.ts';

/** Options of {@link runProgram}. */
export interface ProgramOptions {
  /** All environment variables. Default: those of this process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Working folder. Default: that of this process. */
  readonly folder?: string;
  /** Ends the program when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Is told each line that it writes, to either stream. */
  readonly onLine?: (line: string) => void;
}

/** How a program ended. */
export interface ProgramResult {
  /** Exit status; null if it couldn't be started, or a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end. That it fails is a result.
 *
 * @throws InterruptedError if the signal is aborted
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const { environment = process.env, folder, signal, onLine } = options;
  if (signal?.aborted) throw new InterruptedError(`Interrupted before ${command} was started.`);
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment as NodeJS.ProcessEnv,
    ...(folder === undefined ? {} : { cwd: folder }),
  });
  const kill = (): void => void child.kill();
  signal?.addEventListener('abort', kill);
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    createInterface({ input: child[name] }).on('line', (line) => {
      written[name] += `${line}\n`;
      onLine?.(line);
    });
  }
  const status = await new Promise<number | null>((resolve) => {
    child.on('error', (error) => {
      written.stderr += `${error.message}\n`;
      resolve(null);
    });
    child.on('close', resolve);
  });
  signal?.removeEventListener('abort', kill);
  if (signal?.aborted) throw new InterruptedError(`Interrupted while ${command} was running.`);
  return { status, ...written };
}

/** The last lines that a program wrote, those of errors if there are any: what went wrong, most likely. */
export function lastWords({ stdout, stderr }: ProgramResult, lines = 8): string {
  const text = stderr.trim() === '' ? stdout : stderr;
  return text.trim().split('\n').slice(-lines).join('\n');
}
