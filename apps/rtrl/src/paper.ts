/** The paper that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const paper: Paper = {
  id: 'rtrl',
  citation:
    'K. Irie, A. Gopalakrishnan, J. Schmidhuber: Exploring the Promise and Limits of Real-Time Recurrent Learning. ICLR 2024.',
  url: 'https://arxiv.org/abs/2305.19044',
};
