/** A peer's side of the protocol: reads requests, runs programs, times them. */

import { createInterface } from 'node:readline';
import type { Program, ProgramTable } from '../programs/program.ts';
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

/** Calls that are shorter are timed several at a time, so that the clock's resolution does not matter. */
const SHORTEST_SAMPLE = 1;

/** What a peer offers. */
export interface Service {
  readonly identity: Identity;
  readonly programs: ProgramTable;
  /** The memory test, where the peer has one. */
  readonly memory?: (steps: number, every: number) => MemorySamples;
  /** Counts time by kernel while `run` runs, where the peer can. */
  readonly profile?: (run: () => void) => CallProfile['kernels'];
  /** Called at the end. */
  readonly close?: () => Promise<void>;
}

/** Answers requests until `quit` or the end of the input. */
export async function serve(service: Service): Promise<void> {
  const send = (reply: Reply): void => void process.stdout.write(`${JSON.stringify(reply)}\n`);
  const runner = new Runner(service);
  send({ id: 0, result: service.identity });
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request & { id: number };
    if (request.command === 'quit') break;
    try {
      send({ id: request.id, result: runner.answer(request) ?? null });
    } catch (error) {
      send({ id: request.id, ...describe(error) });
    }
  }
  runner.release();
  await service.close?.();
  // Readline keeps the input open otherwise.
  process.stdin.destroy();
}

/** A program that is set up and warm. */
interface Ready {
  readonly program: Program;
  /** Milliseconds of one call. */
  readonly call: number;
  /** Calls per sample. */
  readonly inner: number;
}

class Runner {
  readonly #service: Service;
  #ready: Ready | undefined;
  #yardstick: Ready | undefined;

  constructor(service: Service) {
    this.#service = service;
  }

  answer(request: Request): unknown {
    switch (request.command) {
      case 'prepare':
        return this.#prepare(request);
      case 'measure':
        return this.#measure(request.milliseconds);
      case 'memory':
        if (this.#service.memory === undefined) throw new Unsupported('no memory test');
        return this.#service.memory(request.steps, request.every);
      case 'profile':
        return this.#profile(request.calls);
      default:
        return this.release();
    }
  }

  release(): void {
    this.#ready?.program.dispose();
    this.#yardstick?.program.dispose();
    this.#ready = this.#yardstick = undefined;
  }

  #prepare({ program: name, parameters, yardstick, warmUp }: PrepareRequest): Prepared {
    this.release();
    const { programs } = this.#service;
    const make = programs[name];
    if (make === undefined) throw new Unsupported(`no program '${name}'`);
    const program = make(parameters);
    const digest = program.check();
    this.#ready = warm(program, warmUp);
    const makeYardstick = yardstick && programs[yardstick.program];
    if (makeYardstick) this.#yardstick = warm(makeYardstick(yardstick.parameters), warmUp);
    return { digest, call: this.#ready.call };
  }

  #profile(calls: number): CallProfile {
    const { program } = this.#prepared('profile');
    if (this.#service.profile === undefined) throw new Unsupported('no profile');
    let milliseconds = 0;
    const kernels = this.#service.profile(() => {
      const begin = performance.now();
      for (let i = 0; i < calls; i++) program.run();
      milliseconds = performance.now() - begin;
    });
    const perCall = kernels.map((row) => ({
      name: row.name,
      calls: row.calls / calls,
      milliseconds: row.milliseconds / calls,
    }));
    return { milliseconds: milliseconds / calls, kernels: perCall };
  }

  #measure(milliseconds: number): Measured {
    const ready = this.#prepared('measure');
    if (this.#yardstick === undefined) return { samples: samplesOf(ready, milliseconds) };
    const before = samplesOf(this.#yardstick, milliseconds / 4);
    const samples = samplesOf(ready, milliseconds / 2);
    return { samples, yardstick: [...before, ...samplesOf(this.#yardstick, milliseconds / 4)] };
  }

  #prepared(command: string): Ready {
    if (this.#ready === undefined) throw new Error(`${command} before prepare`);
    return this.#ready;
  }
}

function warm(program: Program, milliseconds: number): Ready {
  const begin = performance.now();
  let call = Number.POSITIVE_INFINITY;
  let now = begin;
  do {
    const before = now;
    program.run();
    now = performance.now();
    call = Math.min(call, now - before);
  } while (now - begin < milliseconds);
  return { program, call, inner: Math.max(1, Math.ceil(SHORTEST_SAMPLE / Math.max(call, 1e-4))) };
}

function samplesOf({ program, inner }: Ready, milliseconds: number): number[] {
  const samples: number[] = [];
  const end = performance.now() + milliseconds;
  let before = performance.now();
  do {
    for (let i = 0; i < inner; i++) program.run();
    const now = performance.now();
    samples.push((now - before) / inner);
    before = now;
  } while (before < end);
  return samples;
}

/** Thrown by programs that a peer's library cannot run. */
export class Unsupported extends Error {}

/** tfjs says in these words that a backend lacks a kernel or that an operation lacks a gradient. */
const MISSING = /not registered for( the)? backend|gradient function not found|not yet supported|not supported/i;

function describe(error: unknown): { error: string; unsupported: boolean } {
  const message = error instanceof Error ? error.message : String(error);
  return { error: message, unsupported: error instanceof Unsupported || MISSING.test(message) };
}
