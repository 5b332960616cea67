/** How the experiments show their results. */

import type { ReportLayout } from '@fwp/lab';

/** Accuracy by model and language on words of 51 to 100 symbols, against length, and how it came up. */
export const report: ReportLayout = {
  metric: 'accuracy100',
  rows: 'model',
  columns: 'language',
  charts: [
    {
      title: 'Words that are right, against their length (to 50: as in training)',
      from: 'results',
      x: 'length up to',
      y: 'accuracy',
      spread: { accuracy50: 50, accuracy100: 100, accuracy200: 200, accuracy400: 400 },
      series: 'model',
      facet: 'language',
    },
    {
      title: 'Validation words of 51 to 100 symbols that are right, during training',
      from: 'metrics',
      x: 'step',
      y: 'accuracy100',
      series: 'model',
      facet: 'language',
    },
  ],
};
