/** The paper that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const paper: Paper = {
  id: 'practical-power-of-lts',
  citation:
    'K. Irie, R. Csordás, J. Schmidhuber: Practical Computational Power of Linear Transformers and Their Recurrent and ' +
    'Self-Referential Extensions. EMNLP 2023.',
  url: 'https://arxiv.org/abs/2310.16076',
};
