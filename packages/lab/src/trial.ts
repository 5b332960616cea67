/**
 * One trial under way: its context, and the training loops with their progress, checkpoints and stops.
 *
 * Between two steps everything that the loop declared is as after the step before. There the loop is saved and left; a
 * resumed trial runs its code again from the start, its loops restore what was saved, and those that were left yield no
 * step.
 */

import { join, normalize, sep } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type CheckpointParts, loadCheckpoint, RandomStream, synchronize, writeFileAtomically } from '@fwp/core';
import type { TrialCheckpoints, UsableCheckpoint } from './checkpoints.ts';
import { InterruptedError, NonFiniteError } from './errors.ts';
import type { StepsOptions, TrialContext, TrialKey } from './experiment.ts';
import { decodeState, encodeState } from './loop-state.ts';
import type { MetricsWriter } from './metrics-writer.ts';
import type { Progress } from './progress.ts';
import { type MetricsLine, RESERVED_FIELDS } from './run-folder.ts';
import { canonicalJson, trialFileName, trialName } from './trial-key.ts';

/** Signals and timers get their turn at least this often, in milliseconds. */
const TURN_INTERVAL = 50;
/** Metrics reach the file at least this often, in milliseconds. */
const FLUSH_INTERVAL = 2000;
/** Saving takes at most this share of the time. */
const SAVING_SHARE = 0.05;
/** Steps of a trial in a dry run. */
const DRY_RUN_STEPS = 2;
/** The name under which a checkpoint has the trial's own random stream. */
const TRIAL_RANDOM = 'trial.random';

/** Looks on while the training loops of a dry run go. */
export interface LoopObserver {
  /** Before a loop's first step. */
  loopStarted?(parts: Pick<StepsOptions, 'module' | 'optimizer'>): void;
  /** After its last one. */
  loopEnded?(parts: Pick<StepsOptions, 'module' | 'optimizer'>): void;
}

/** What a trial needs from its run. */
export interface TrialSetup {
  readonly config: unknown;
  readonly key: TrialKey;
  readonly seed: number;
  /** Makes it a dry run: loops end after two steps. */
  readonly observer: LoopObserver | undefined;
  readonly metrics: MetricsWriter;
  readonly checkpoints: TrialCheckpoints;
  /** From where to go on: one checkpoint per loop. */
  readonly recovered: readonly UsableCheckpoint[];
  /** Folder of all artifacts. */
  readonly artifacts: string;
  /** Seconds between checkpoints. */
  readonly checkpointSeconds: number;
  /** Steps between checkpoints, besides. */
  readonly checkpointSteps: number | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

/** What a loop was planned to do, and did. */
interface LoopRecord {
  readonly total: number;
  /** Seconds of the last step. */
  stepSeconds: number;
}

/** A trial under way. */
export class Trial {
  /** What the experiment's code gets. */
  readonly context: TrialContext<unknown, TrialKey>;
  /** The loops so far. */
  readonly loops: LoopRecord[] = [];
  /** Trainable numbers of the loops' module. */
  parameters: number | null = null;
  /** Training steps made, over all loops. */
  steps = 0;
  /** Set once the trial was stopped by Ctrl-C, its checkpoint written. */
  interruption: InterruptedError | undefined;
  readonly #setup: TrialSetup;
  readonly #random: RandomStream;
  readonly #began = performance.now();
  readonly #secondsBefore: number;
  #step = 0;
  #stopped = false;
  #lastEnd: { loop: number; step: number } | undefined;
  #lastTurn = performance.now();
  #lastFlush = performance.now();
  #nextSave: number;

  constructor(setup: TrialSetup) {
    const { config, key, seed, observer } = setup;
    this.#setup = setup;
    this.#random = new RandomStream(seed).split(canonicalJson(key));
    this.#secondsBefore = setup.recovered.at(-1)?.seconds ?? 0;
    this.#nextSave = performance.now() + 1000 * setup.checkpointSeconds;
    this.context = {
      config,
      key,
      seed,
      dryRun: observer !== undefined,
      random: this.#random,
      steps: (options) => this.#runLoop(options),
      log: (metrics) => this.#log(metrics),
      artifact: (name, content) => this.#writeArtifact(name, content),
    };
  }

  /** `'model=linear keys=100 seed=1'`. */
  get name(): string {
    return trialName(this.#setup.key, this.#setup.seed);
  }

  /** Seconds of work, over all sessions. */
  get seconds(): number {
    return this.#secondsBefore + (performance.now() - this.#began) / 1000;
  }

  /**
   * Takes back the last loop's end after the trial's code threw: its loop may have been left by the error, halfway
   * through a step.
   */
  async fail(): Promise<void> {
    if (this.#lastEnd !== undefined) await this.#setup.checkpoints.remove(this.#lastEnd.loop, this.#lastEnd.step);
  }

  async *#runLoop(options: StepsOptions): AsyncGenerator<number, void, undefined> {
    const { total, state = {}, module, optimizer, random, perStep = {} } = options;
    if (!Number.isSafeInteger(total) || total < 0) {
      throw new RangeError(`steps: total is ${total}, expected an integer that is not negative.`);
    }
    encodeState(state);
    const parts: CheckpointParts = {
      ...(module === undefined ? {} : { module }),
      ...(optimizer === undefined ? {} : { optimizer }),
      random: { ...random, [TRIAL_RANDOM]: this.#random },
    };
    const record: LoopRecord = { total, stepSeconds: 0 };
    const loop = this.loops.push(record);
    if (module !== undefined) this.parameters = Math.max(this.parameters ?? 0, module.parameterCount);
    const { observer, progress } = this.#setup;
    const last = observer !== undefined ? Math.min(total, DRY_RUN_STEPS) : total;
    const saved = this.#setup.recovered[loop - 1];
    if (saved !== undefined) await restore(saved, parts, state);
    this.#step = saved?.step ?? 0;
    this.steps += this.#step;
    if (saved?.finished) return;

    const save = (finished: boolean): Promise<void> => this.#save(loop, finished, parts, state);
    progress.loopStarted({ total: last, done: this.#step, perStep });
    observer?.loopStarted?.(options);
    try {
      while (this.#step < last) {
        this.#step++;
        this.steps++;
        const began = performance.now();
        yield this.#step;
        // A GPU would be timed for taking the step's work, not for doing it.
        if (observer !== undefined) await synchronize();
        record.stepSeconds = (performance.now() - began) / 1000;
        progress.stepDone(this.#step);
        await this.#betweenSteps(save);
      }
    } finally {
      observer?.loopEnded?.(options);
      // The loop ended, or its body left it.
      if (!this.#stopped) {
        await save(true);
        this.#lastEnd = { loop, step: this.#step };
      }
    }
  }

  /** Turn of the event loop, checkpoint, Ctrl-C. */
  async #betweenSteps(save: (finished: boolean) => Promise<void>): Promise<void> {
    const { metrics, checkpointSteps, signal } = this.#setup;
    // What is thrown from here on doesn't mean that the loop was left.
    this.#stopped = true;
    const now = performance.now();
    if (now - this.#lastFlush >= FLUSH_INTERVAL) {
      metrics.flush();
      this.#lastFlush = now;
    }
    if (now - this.#lastTurn >= TURN_INTERVAL) {
      await setImmediate();
      this.#lastTurn = performance.now();
    }
    const aborted = signal?.aborted ?? false;
    const isDue = now >= this.#nextSave || (checkpointSteps !== undefined && this.#step % checkpointSteps === 0);
    if (aborted || isDue) await save(false);
    if (aborted) {
      this.interruption = new InterruptedError(`Interrupted at step ${this.#step} of ${this.name}.`);
      throw this.interruption;
    }
    this.#stopped = false;
  }

  async #save(loop: number, finished: boolean, parts: CheckpointParts, state: StepsOptions['state']): Promise<void> {
    const { metrics, checkpoints, checkpointSeconds } = this.#setup;
    const began = performance.now();
    metrics.sync();
    await checkpoints.save(loop, this.#step, parts, {
      finished,
      state: encodeState(state),
      metricsBytes: metrics.bytes,
      seconds: this.seconds,
    });
    const took = performance.now() - began;
    this.#nextSave = began + took + Math.max(1000 * checkpointSeconds, took / SAVING_SHARE);
  }

  #log(metrics: Readonly<Record<string, number>>): void {
    const { key, seed, config } = this.#setup;
    const loop = this.loops.length;
    for (const [name, value] of Object.entries(metrics)) {
      if (RESERVED_FIELDS.includes(name) || Object.hasOwn(key, name)) {
        this.#stopped = true;
        throw new RangeError(
          `log: '${name}' is the name of another field of a line of metrics; call it something else.`,
        );
      }
      if (Number.isFinite(value)) continue;
      this.#stopped = true;
      throw new NonFiniteError(
        `${name} is ${value} at step ${this.#step} of ${this.name}. The run stops here. Configuration: ${JSON.stringify(config)}`,
      );
    }
    const seconds = Math.round(1000 * this.seconds) / 1000;
    const line = { seed, ...key, ...(loop > 1 ? { loop } : {}), step: this.#step, ...metrics, seconds };
    this.#setup.metrics.add(line as MetricsLine);
    this.#setup.progress.logged(metrics);
  }

  async #writeArtifact(name: string, content: string | Uint8Array): Promise<void> {
    const path = normalize(name);
    if (name === '' || path.startsWith('..') || path.startsWith(sep) || path === '.') {
      throw new RangeError(`artifact: '${name}' must be the name of a file in the trial's folder.`);
    }
    const { key, seed, artifacts } = this.#setup;
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    await writeFileAtomically(join(artifacts, trialFileName(key, seed), path), [bytes]);
  }
}

async function restore(
  saved: UsableCheckpoint,
  parts: CheckpointParts,
  state: { [name: string]: unknown },
): Promise<void> {
  try {
    await loadCheckpoint(saved.path, parts);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Error(
      `${error.message} The experiment isn't the one that wrote the checkpoint: its code changed. Run it anew, or go back to the revision in config.json.`,
      { cause: error },
    );
  }
  for (const name of Object.keys(state)) delete state[name];
  Object.assign(state, decodeState(saved.state));
}
