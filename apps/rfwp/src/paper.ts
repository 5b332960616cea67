/** The paper that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const paper: Paper = {
  id: 'recurrent-fwp',
  citation:
    'K. Irie, I. Schlag, R. Csordás, J. Schmidhuber: Going Beyond Linear Transformers with Recurrent Fast Weight Programmers. ' +
    'NeurIPS 2021.',
  url: 'https://arxiv.org/abs/2106.06295',
};
