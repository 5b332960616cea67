import type { Options } from 'tsup';

/** tsup options of a publishable package; whatever is given replaces the default. */
export function library(options?: Options): Options;
