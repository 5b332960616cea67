/** Not the shared preset: that depends on this package. */
import { defineConfig } from 'vitest/config';
import { countsReporter } from './vitest-reporter.js';

export default defineConfig({
  test: { name: '@fwp/results', reporters: ['default', countsReporter(import.meta.dirname)] },
});
