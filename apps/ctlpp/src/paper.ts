/** The paper that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const paper: Paper = {
  id: 'ctlpp',
  citation:
    'R. Csordás, K. Irie, J. Schmidhuber: CTL++: Evaluating Generalization on Never-Seen Compositional Patterns of Known ' +
    'Functions, and Compatibility of Neural Representations. EMNLP 2022.',
  url: 'https://arxiv.org/abs/2210.06350',
};
