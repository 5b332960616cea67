/** The paper that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const paper: Paper = {
  id: 'prefix-scannable-models',
  citation:
    'M. Yau, S. Gupta, V. Engelmayer, K. Irie, S. Jegelka, J. Andreas: Sequential-Parallel Duality in Prefix-Scannable Models. ' +
    'ICLR 2026.',
  url: 'https://arxiv.org/abs/2506.10918',
};
