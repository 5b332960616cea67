/** How both retrieval experiments show their results: a table of losses by memory and number of keys, and curves. */

import type { ReportLayout } from '@fwp/lab';

/** Loss by memory and number of keys, and how it came down. */
export const retrievalReport: ReportLayout = {
  metric: 'loss',
  rows: 'model',
  columns: 'keys',
  charts: [
    {
      title: 'Loss against the number of keys',
      from: 'results',
      x: 'keys',
      y: 'loss',
      series: 'model',
      rule: { y: 0.5, label: 'nothing recalled' },
    },
    {
      title: 'Evaluation loss during training',
      from: 'metrics',
      x: 'step',
      y: 'evaluationLoss',
      series: 'model',
      facet: 'keys',
      yScale: 'log',
    },
  ],
};
