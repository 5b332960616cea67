import type { Options } from 'tsup';

/** tsup options of a publishable package; whatever is given replaces the default. `dts: false` leaves declarations out. */
export function library(options?: Omit<Options, 'dts'> & { dts?: false | { entry: string[] } }): Options;
