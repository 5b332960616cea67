/**
 * What a run shows while it goes on: a bar that is redrawn in place on a terminal, a line every few seconds elsewhere.
 * Training steps block the event loop, so everything is drawn by the steps themselves.
 */

import type { DeviceInfo } from '@fwp/core';
import type { Measurements } from './experiment.ts';
import { formatCell, formatDuration, formatNumber } from './report/number-format.ts';
import type { RunConfig } from './run-folder.ts';

/** Milliseconds between redraws on a terminal, and between lines elsewhere. */
const REDRAW_INTERVAL = 100;
const LINE_INTERVAL = 5000;
const BAR_WIDTH = 20;

/** Is told what happens. */
export interface Progress {
  runStarted(run: RunInfo): void;
  trialStarted(name: string): void;
  loopStarted(loop: LoopInfo): void;
  stepDone(step: number): void;
  logged(metrics: Readonly<Record<string, number>>): void;
  /** @param measured the row without the key */
  trialFinished(name: string, measured: Measurements, seconds: number): void;
  /** A sentence about something unexpected. */
  warn(message: string): void;
  /** Nothing more comes. */
  close(): void;
}

/** A run that begins or goes on. */
export interface RunInfo {
  /** Absent in a dry run, whose folder goes away. */
  readonly folder?: string;
  readonly config: RunConfig;
  /** Number of trials, all seeds together. */
  readonly trials: number;
  /** How many of them were finished before. */
  readonly finished: number;
}

/** A training loop. */
export interface LoopInfo {
  readonly total: number;
  /** Steps made in earlier sessions. */
  readonly done: number;
  readonly perStep: Readonly<Record<string, number>>;
}

/** Where lines go: a stream, usually that of errors. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Shows nothing but warnings. */
export function quietProgress(output: ProgressOutput): Progress {
  const nothing = (): void => undefined;
  return {
    runStarted: nothing,
    trialStarted: nothing,
    loopStarted: nothing,
    stepDone: nothing,
    logged: nothing,
    trialFinished: nothing,
    warn: (message) => void output.write(`${message}\n`),
    close: nothing,
  };
}

/** Shows steps, speed, the last numbers logged, and the time left for the trial and the run. */
export function textProgress(output: ProgressOutput): Progress {
  return new TextProgress(output);
}

class TextProgress implements Progress {
  readonly #output: ProgressOutput;
  readonly #isTerminal: boolean;
  #trials = 0;
  #finished = 0;
  /** Seconds of the trials that this session finished. */
  #seconds: number[] = [];
  #name = '';
  #trialBegan = 0;
  #loop: LoopInfo = { total: 0, done: 0, perStep: {} };
  #loopBegan = 0;
  #metrics: Record<string, number> = {};
  #shown = 0;
  #isDrawn = false;

  constructor(output: ProgressOutput) {
    this.#output = output;
    this.#isTerminal = output.isTTY === true;
  }

  runStarted({ folder, config, trials, finished }: RunInfo): void {
    this.#trials = trials;
    this.#finished = finished;
    const { id, title, preset, seeds, device } = config;
    const seedText = `${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}`;
    const done = finished === 0 ? '' : `, ${finished} of them finished before`;
    this.#print(`${id}: ${title}`);
    this.#print(`preset   ${preset}, ${seedText}, ${trials} ${trials === 1 ? 'trial' : 'trials'}${done}`);
    this.#print(`device   ${describeDevice(device)}`);
    if (folder !== undefined) this.#print(`folder   ${folder}`);
  }

  trialStarted(name: string): void {
    this.#name = name;
    this.#trialBegan = performance.now();
    this.#metrics = {};
  }

  loopStarted(loop: LoopInfo): void {
    this.#loop = loop;
    this.#loopBegan = performance.now();
    // The first line elsewhere than on a terminal comes after a short while, so that quick trials have none.
    this.#shown = this.#isTerminal ? 0 : this.#loopBegan;
  }

  stepDone(step: number): void {
    const now = performance.now();
    if (now - this.#shown < (this.#isTerminal ? REDRAW_INTERVAL : LINE_INTERVAL)) return;
    this.#shown = now;
    const line = this.#line(step, now);
    if (this.#isTerminal) {
      this.#output.write(`\r\x1b[K${line.slice(0, (this.#output.columns ?? 80) - 1)}`);
      this.#isDrawn = true;
    } else {
      this.#output.write(`${line}\n`);
    }
  }

  logged(metrics: Readonly<Record<string, number>>): void {
    Object.assign(this.#metrics, metrics);
  }

  trialFinished(name: string, measured: Measurements, seconds: number): void {
    this.#finished++;
    this.#seconds.push((performance.now() - this.#trialBegan) / 1000);
    const numbers = Object.entries(measured).map(([field, value]) => `${field} ${formatCell(value)}`);
    this.#print(`${this.#count(this.#finished)} ${name}  ${numbers.join('  ')}  (${formatDuration(seconds)})`);
  }

  warn(message: string): void {
    this.#print(message);
  }

  close(): void {
    this.#erase();
  }

  #print(line: string): void {
    this.#erase();
    this.#output.write(`${line}\n`);
  }

  #erase(): void {
    if (this.#isDrawn) this.#output.write('\r\x1b[K');
    this.#isDrawn = false;
  }

  #line(step: number, now: number): string {
    const { total, done, perStep } = this.#loop;
    const elapsed = (now - this.#loopBegan) / 1000;
    const speed = (step - done) / elapsed;
    const loopLeft = (total - step) / speed;
    const fraction = total === 0 ? 1 : step / total;
    const filled = Math.floor(fraction * BAR_WIDTH);
    const bar = this.#isTerminal ? `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ` : '';
    const metrics = Object.entries(this.#metrics).map(([name, value]) => `  ${name} ${formatNumber(value)}`);
    const rates = Object.entries({ steps: 1, ...perStep }).map(
      ([name, count]) => `${formatRate(count * speed)} ${name}/s`,
    );
    const runLeft = this.#runLeft(loopLeft, now);
    const run = runLeft === undefined ? '' : `, run ${formatDuration(runLeft)}`;
    const left = `  ${formatDuration(loopLeft)} left${run}`;
    // What a narrow terminal cuts off comes last.
    return `${this.#count(this.#finished + 1)} ${this.#name}  ${bar}${step}/${total}  ${rates.join('  ')}${left}${metrics.join('')}`;
  }

  /** The other trials take as long as those before did; or, before the first is finished, as long as this one. */
  #runLeft(loopLeft: number, now: number): number | undefined {
    const others = this.#trials - this.#finished - 1;
    if (others <= 0) return undefined;
    const sum = this.#seconds.reduce((total, seconds) => total + seconds, 0);
    const thisTrial = (now - this.#trialBegan) / 1000 + loopLeft;
    const mean = this.#seconds.length === 0 ? thisTrial : sum / this.#seconds.length;
    return others * mean + (this.#seconds.length === 0 ? loopLeft : Math.min(loopLeft, Math.max(0, mean)));
  }

  #count(number: number): string {
    return `[${String(number).padStart(String(this.#trials).length)}/${this.#trials}]`;
  }
}

/** `'wasm, strict SIMD, 2 threads'`. */
export function describeDevice({ name, simd, threads, notes }: DeviceInfo): string {
  const parts = [name, ...(simd === '' ? [] : [simd]), `${threads} ${threads === 1 ? 'thread' : 'threads'}`];
  return [parts.join(', '), ...notes].join('; ');
}

/** `'2.5'`, `'520'`, `'12.3k'`, `'2.1M'`. */
function formatRate(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)}k`;
  return value >= 10 ? value.toFixed(0) : value.toPrecision(2);
}
