/** The paper's accuracies with up to 26 actions in training, as far as they could be verified. */

import type { PublishedRow } from '@fwp/lab';

export const publishedScan: readonly PublishedRow[] = [
  { model: 'absolute', longer: 0, source: 'table 3, as a third party quotes it' },
  { model: 'relativeUniversal', longer: 1, source: 'abstract' },
];
