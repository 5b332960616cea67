/** The papers that these experiments reproduce. */

import type { Paper } from '@fwp/lab';

export const srwmPaper: Paper = {
  id: 'srwm',
  citation:
    'K. Irie, I. Schlag, R. Csordás, J. Schmidhuber: A Modern Self-Referential Weight Matrix That Learns to Modify ' +
    'Itself. ICML 2022.',
  url: 'https://arxiv.org/abs/2202.05780',
};

export const bootstrappingPaper: Paper = {
  id: 'bootstrapped-self-improvement',
  citation: 'K. Irie, J. Schmidhuber: Accelerating Neural Self-Improvement via Bootstrapping. ICLR 2023 workshop.',
  url: 'https://arxiv.org/abs/2305.01547',
};
