/**
 * Shows steps one after the other, each with what came out of it and how long it took. Of a step that takes long one sees
 * what it is at: in place on a terminal, a line every few seconds elsewhere.
 */

import type { ProgressOutput } from '../progress.ts';
import { formatDuration } from '../report/number-format.ts';

/** Milliseconds between redraws on a terminal; elsewhere until the first line, and between lines. */
const REDRAW_INTERVAL = 250;
const FIRST_LINE = 2000;
const LINE_INTERVAL = 10_000;
/** Shorter steps are shown without their time, in seconds. */
const SHORT = 1;

/** Steps that are shown on a stream. */
export class Steps {
  readonly #output: ProgressOutput;

  /** @param output usually stderr */
  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  /**
   * Shows a step.
   *
   * @param title what is done
   * @param work does it; what it tells through its argument is shown while it takes long
   * @param summary what came out, in a few words; default: nothing
   */
  async run<Result>(
    title: string,
    work: (tell: (doing: string) => void) => Promise<Result>,
    summary: (result: Result) => string = () => '',
  ): Promise<Result> {
    const began = performance.now();
    const seconds = (): number => (performance.now() - began) / 1000;
    let doing = '';
    const progress = (): string => `${title}${doing === '' ? '' : `: ${doing}`} (${formatDuration(seconds())})`;
    const stop = this.#output.isTTY === true ? this.#redraw(progress) : this.#repeat(progress);
    try {
      const result = await work((line) => (doing = line.trim()));
      stop();
      const outcome = summary(result);
      const time = seconds() < SHORT ? '' : ` (${formatDuration(seconds())})`;
      this.#output.write(`✓ ${title}${outcome === '' ? '' : `: ${outcome}`}${time}\n`);
      return result;
    } catch (error) {
      stop();
      this.#output.write(`✗ ${title}\n`);
      throw error;
    }
  }

  #redraw(text: () => string): () => void {
    const draw = (): void => {
      this.#output.write(`\r\x1b[K… ${text().slice(0, (this.#output.columns ?? 80) - 3)}`);
    };
    draw();
    const timer = setInterval(draw, REDRAW_INTERVAL);
    return () => {
      clearInterval(timer);
      this.#output.write('\r\x1b[K');
    };
  }

  #repeat(text: () => string): () => void {
    const print = (): void => void this.#output.write(`… ${text()}\n`);
    let timer = setTimeout(() => {
      print();
      timer = setInterval(print, LINE_INTERVAL);
    }, FIRST_LINE);
    return () => clearTimeout(timer);
  }
}
