/** What all commands share: where they write, and the status with which the process ends. */

import { InvalidArgumentError } from 'commander';
import type { ProgressOutput } from '../progress.ts';

/** Status for something unknown or not valid on the command line. */
export const USAGE_STATUS = 2;
/** Status with `--strict` when a claim fails. */
export const CLAIM_STATUS = 3;

/** Status when two devices do not compute the same. */
export const DISAGREEMENT_STATUS = 1;

/** The surroundings of a command. */
export interface CliContext {
  /** For what was asked for: tables, or the JSON document. */
  readonly stdout: ProgressOutput;
  /** For progress and messages. */
  readonly stderr: ProgressOutput;
  /** The exit status; 0 at first. */
  status: number;
}

/** Writes a line to stdout. */
export function print(cli: CliContext, text: string): void {
  cli.stdout.write(`${text}\n`);
}

/** Writes the one JSON document of a command. */
export function printJson(cli: CliContext, value: unknown): void {
  print(cli, JSON.stringify(value, null, 2));
}

/** Parses an option that is a whole number of at least 1. */
export function parseCount(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1) throw new InvalidArgumentError('Expected a whole number of at least 1.');
  return Number(text);
}
