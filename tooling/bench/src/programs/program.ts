/** What is measured: a program is set up once from its parameters and then run again and again. */

import type { Digest, Parameters } from '../harness/protocol.ts';

/** A program that is set up. */
export interface Program {
  /** Does the work once and frees its results. */
  run(): void;
  /** Does the work once (a training program: a few steps) and describes the result. */
  check(): Digest;
  /** Frees what was set up. */
  dispose(): void;
}

/** Sets a program up. */
export type MakeProgram = (parameters: Parameters) => Program;

/** Programs by name. */
export type ProgramTable = Readonly<Record<string, MakeProgram>>;

/** A numeric parameter. */
export function numberOf(parameters: Parameters, name: string): number {
  const value = parameters[name];
  if (typeof value !== 'number')
    throw new Error(`Parameter '${name}' must be a number, but is ${JSON.stringify(value)}.`);
  return value;
}

/** A parameter that is a list of numbers: a shape. */
export function shapeOf(parameters: Parameters, name: string): number[] {
  const value = parameters[name];
  if (!Array.isArray(value)) throw new Error(`Parameter '${name}' must be a list, but is ${JSON.stringify(value)}.`);
  return [...(value as number[])];
}

/** Thrown by programs that a peer's library cannot run. */
export class Unsupported extends Error {}
