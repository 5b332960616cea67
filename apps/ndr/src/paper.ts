/** The paper that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const paper: Paper = {
  id: 'ndr',
  citation:
    'R. Csordás, K. Irie, J. Schmidhuber: The Neural Data Router: Adaptive Control Flow in Transformers Improves Systematic ' +
    'Generalization. ICLR 2022.',
  url: 'https://arxiv.org/abs/2110.07732',
};
