/** The papers that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

/** σ-MoE, and the comparison of all approximations of a feed-forward block. */
export const sigmaMoePaper: Paper = {
  id: 'sigma-moe',
  citation:
    'R. Csordás, K. Irie, J. Schmidhuber: Approximating Two-Layer Feedforward Networks for Efficient Transformers. Findings of EMNLP 2023.',
  url: 'https://arxiv.org/abs/2310.10837',
};

/** Experts for the values and outputs of attention. */
export const switchHeadPaper: Paper = {
  id: 'switchhead',
  citation:
    'R. Csordás, P. Piękos, K. Irie, J. Schmidhuber: SwitchHead: Accelerating Transformers with Mixture-of-Experts Attention. NeurIPS 2024.',
  url: 'https://arxiv.org/abs/2312.07987',
};
