/** The paper that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const paper: Paper = {
  id: 'ksom-vq',
  citation:
    'K. Irie, R. Csordás, J. Schmidhuber: Self-Organising Neural Discrete Representation Learning à la Kohonen. ICANN 2024.',
  url: 'https://arxiv.org/abs/2302.07950',
};
