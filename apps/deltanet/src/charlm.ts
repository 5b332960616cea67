/**
 * A language model of bytes with three memories in turn: linear attention with the sum rule, with the delta rule, and
 * softmax attention, at (nearly) equal numbers of parameters; the paper's section 6.3 at the size of a small machine.
 */

import { defineExperiment } from '@fwp/lab';
import { z } from 'zod';
import { languageModelSettings, trainLanguageModel } from './language-model-training.ts';
import { paper } from './paper.ts';

export const charlm = defineExperiment({
  id: 'deltanet/charlm',
  title: 'Language models of bytes: sum rule, delta rule, softmax',
  description:
    'Trains the same decoder with three memories on the same bytes. By default the text consists of little programs that ' +
    're-assign names and look them up, needs no download, and its best possible loss is known; corpora of real text can be ' +
    'chosen. The delta rule comes closer to softmax attention than the sum rule.',
  paper,
  config: z.object(languageModelSettings),
  presets: {
    quick: {
      summary: 'two layers of size 64 on synthetic text',
      config: {},
    },
    standard: {
      summary: 'four layers of size 128 with context 256 on synthetic text',
      config: {},
    },
    paper: {
      summary: 'sixteen layers of size 128 as in the paper, on the bytes of WikiText-103 (days)',
      config: {},
    },
  },
  trials: ({ models }) => models.map((model) => ({ model })),
  run: trainLanguageModel,
  published: [],
  claims: [],
  report: { metric: 'bitsPerByte', rows: 'model' },
});
