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

class Runner {
  readonly #service: Service;
  #program: Program | undefined;
  /** Calls per sample. */
  #inner = 1;

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
    this.#program?.dispose();
    this.#program = undefined;
  }

  #prepare({ program: name, parameters, warmUp }: PrepareRequest): Prepared {
    this.release();
    const make = this.#service.programs[name];
    if (make === undefined) throw new Unsupported(`no program '${name}'`);
    const program = make(parameters);
    this.#program = program;
    const digest = program.check();
    const begin = performance.now();
    let call = Number.POSITIVE_INFINITY;
    let now = begin;
    do {
      const before = now;
      program.run();
      now = performance.now();
      call = Math.min(call, now - before);
    } while (now - begin < warmUp);
    this.#inner = Math.max(1, Math.ceil(SHORTEST_SAMPLE / Math.max(call, 1e-4)));
    return { digest, call };
  }

  #profile(calls: number): CallProfile {
    const program = this.#program;
    if (program === undefined) throw new Error('profile before prepare');
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
    const program = this.#program;
    if (program === undefined) throw new Error('measure before prepare');
    const samples: number[] = [];
    const inner = this.#inner;
    const end = performance.now() + milliseconds;
    let before = performance.now();
    do {
      for (let i = 0; i < inner; i++) program.run();
      const now = performance.now();
      samples.push((now - before) / inner);
      before = now;
    } while (before < end);
    return { samples };
  }
}

/** Thrown by programs that a peer's library cannot run. */
export class Unsupported extends Error {}

/** tfjs says in these words that a backend lacks a kernel or that an operation lacks a gradient. */
const MISSING = /not registered for( the)? backend|gradient function not found|not yet supported|not supported/i;

function describe(error: unknown): { error: string; unsupported: boolean } {
  const message = error instanceof Error ? error.message : String(error);
  return { error: message, unsupported: error instanceof Unsupported || MISSING.test(message) };
}
