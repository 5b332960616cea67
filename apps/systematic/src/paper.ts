/** The paper that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const paper: Paper = {
  id: 'devil-in-the-detail',
  citation:
    'R. Csordás, K. Irie, J. Schmidhuber: The Devil is in the Detail: Simple Tricks Improve Systematic Generalization of ' +
    'Transformers. EMNLP 2021.',
  url: 'https://arxiv.org/abs/2108.12284',
};
