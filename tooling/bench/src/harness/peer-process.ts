/** A peer in a process of its own, spoken to in JSON lines. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type {
  CallProfile,
  Identity,
  Measured,
  MemorySamples,
  Prepared,
  PrepareRequest,
  Reply,
  Request,
} from './protocol.ts';

/** How to start a peer. */
export interface PeerCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The peer cannot run this program because its library lacks something. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
}

/** The peer took too long and was ended. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** A running peer. One request at a time. */
export class PeerProcess {
  readonly identity: Identity;
  readonly pid: number;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: LineReader;
  #nextId = 1;

  private constructor(child: ChildProcessByStdio<Writable, Readable, Readable>, lines: LineReader, identity: Identity) {
    this.#child = child;
    this.#lines = lines;
    this.identity = identity;
    this.pid = child.pid ?? 0;
  }

  /**
   * Starts a peer and waits for the line that says who it is.
   *
   * @throws Error with the end of the peer's error output if it stops before
   */
  static async start(command: PeerCommand): Promise<PeerProcess> {
    const child = spawn(command.program, [...command.args], {
      cwd: command.directory,
      env: { ...process.env, ...command.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const lines = new LineReader(child);
    const { result } = (await lines.next(0)) as { result: unknown };
    return new PeerProcess(child, lines, result as Identity);
  }

  /** Whether the process still runs. */
  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * @param deadline milliseconds after which the process is ended
   * @throws UnsupportedError, or DeadlineError, or Error if the program fails
   */
  async prepare(request: Omit<PrepareRequest, 'command'>, deadline: number): Promise<Prepared> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#child.kill('SIGKILL');
    }, deadline);
    try {
      return (await this.#ask({ command: 'prepare', ...request })) as Prepared;
    } catch (error) {
      throw late ? new DeadlineError(`takes longer than ${Math.round(deadline / 1000)} s`) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  measure(milliseconds: number): Promise<Measured> {
    return this.#ask({ command: 'measure', milliseconds }) as Promise<Measured>;
  }

  memory(steps: number, every: number): Promise<MemorySamples> {
    return this.#ask({ command: 'memory', steps, every }) as Promise<MemorySamples>;
  }

  profile(calls: number): Promise<CallProfile> {
    return this.#ask({ command: 'profile', calls }) as Promise<CallProfile>;
  }

  async release(): Promise<void> {
    await this.#ask({ command: 'release' });
  }

  /** Ends the process; a peer that does not end by itself within two seconds is killed. */
  async close(): Promise<void> {
    if (!this.alive) return;
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 2000);
    this.#child.stdin.end(`${JSON.stringify({ id: this.#nextId++, command: 'quit' })}\n`);
    await ended;
    clearTimeout(timer);
  }

  async #ask(request: Request): Promise<unknown> {
    const id = this.#nextId++;
    this.#child.stdin.write(`${JSON.stringify({ id, ...request })}\n`);
    const reply = await this.#lines.next(id);
    if ('result' in reply) return reply.result;
    throw reply.unsupported === true ? new UnsupportedError(reply.error) : new Error(reply.error);
  }
}

/** Finds replies among the lines that a process prints, and keeps the end of its error output. */
class LineReader {
  #waiting: { id: number; resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined;
  readonly #early = new Map<number, Reply>();
  #ended: Error | undefined;
  #errorOutput = '';

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    createInterface({ input: child.stdout }).on('line', (line) => this.#receive(line));
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      this.#errorOutput = (this.#errorOutput + text).slice(-2000);
    });
    // A peer that has died cannot be written to; its end is reported by 'close'.
    child.stdin.on('error', () => {});
    child.on('error', (error) => this.#end(error));
    child.on('close', (code, signal) => {
      const how = signal === null ? `with status ${code}` : `by ${signal}`;
      this.#end(new Error(`The peer ended ${how}. ${this.#errorOutput.trim()}`.trim()));
    });
  }

  /** The reply to request `id`; 0 is the line of introduction. */
  next(id: number): Promise<Reply> {
    const reply = this.#early.get(id);
    if (reply !== undefined) {
      this.#early.delete(id);
      return Promise.resolve(reply);
    }
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting = { id, resolve, reject };
    });
  }

  #receive(line: string): void {
    const reply = parseReply(line);
    if (reply === undefined) return;
    if (this.#waiting?.id === reply.id) {
      const { resolve } = this.#waiting;
      this.#waiting = undefined;
      resolve(reply);
    } else {
      this.#early.set(reply.id, reply);
    }
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#waiting?.reject(this.#ended);
    this.#waiting = undefined;
  }
}

/** A reply, or undefined for anything else that a library may print. */
export function parseReply(line: string): Reply | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(line) as Reply;
    return typeof value.id === 'number' && ('result' in value || 'error' in value) ? value : undefined;
  } catch {
    return undefined;
  }
}
