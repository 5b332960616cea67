/** The paper that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const paper: Paper = {
  id: 'hybrid-quadratic-linear',
  citation:
    'K. Irie, M. Yau, S. J. Gershman: Blending Complementary Memory Systems in Hybrid Quadratic-Linear Transformers. NeurIPS 2025.',
  url: 'https://arxiv.org/abs/2506.00744',
};
