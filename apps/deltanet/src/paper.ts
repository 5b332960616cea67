/** The paper that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const paper: Paper = {
  id: 'linear-transformers-fwp',
  citation: 'I. Schlag, K. Irie, J. Schmidhuber: Linear Transformers Are Secretly Fast Weight Programmers. ICML 2021.',
  url: 'https://arxiv.org/abs/2102.11174',
};
