/**
 * What a block of experts costs as their number grows, with as many active for each token: time, and the bytes that a training step
 * keeps between its passes; beside the dense block of as many parameters. Figures 2 and 9 of the σ-MoE paper.
 */

import { randomNormal } from '@fwp/core';
import { defineExperiment, type TrialContext } from '@fwp/lab';
import { DenseBlock, type FeedForwardBlock, MixtureOfExperts } from '@fwp/moe';
import type * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { type Measurement, measure } from './measure.ts';
import { sigmaMoePaper } from './papers.ts';

const BLOCKS = ['dense', 'sigma-moe'] as const;

const config = z.object({
  blocks: z
    .array(z.enum(BLOCKS))
    .min(1)
    .default([...BLOCKS]),
  experts: z.array(z.int().min(1)).min(1).default([16, 32, 64, 128]).describe('numbers of experts'),
  size: z.int().min(1).default(256),
  expertSize: z.int().min(1).default(128).describe('hidden units of an expert'),
  active: z.int().min(1).default(4).describe('experts for each token'),
  tokens: z.int().min(1).default(4096),
});

type Config = z.infer<typeof config>;

/** Names a trial. */
interface Key {
  readonly block: (typeof BLOCKS)[number];
  readonly experts: number;
  readonly [name: string]: string | number;
}

/** What a trial measures. */
interface Result extends Measurement {
  /** Multiply-adds of a token. */
  readonly multiplyAdds: number;
  readonly tokens: number;
  readonly [name: string]: number;
}

export const scaling = defineExperiment({
  id: 'moe/scaling',
  title: 'Cost of experts by their number',
  description:
    'Time of a forward pass and of a training step, and bytes kept between the passes, of a σ-MoE block with more and more experts ' +
    'of which a token sees four, and of the dense block with as many hidden units. Nothing is trained.',
  paper: sigmaMoePaper,
  config,
  presets: {
    quick: { summary: '16 to 128 experts of 128 units, size 128, 4096 tokens', config: { size: 128 } },
    standard: { summary: '16 to 128 experts of 128 units, size 256, 4096 tokens' },
    paper: {
      summary: "up to 512 experts, and the tokens of a batch of the paper's",
      config: { size: 512, experts: [16, 32, 64, 128, 256, 512], tokens: 32_768 },
    },
  },
  trials: ({ blocks, experts }) => experts.flatMap((count) => blocks.map((block): Key => ({ block, experts: count }))),
  run: measureBlock,
  claims: [
    {
      text: 'The time of a training step of σ-MoE grows by less than half from the fewest to the most experts.',
      // The experts of a token cost the same; the router's scores, the choice and the gradients of all weights are what grows.
      holds: (rows) => growth(rows, 'sigma-moe', 'stepMs', { most: 1.5 }),
    },
    {
      text: 'What a training step keeps grows by the scores of the router only: by at most eight numbers for each token and expert, however large experts are.',
      holds: (rows) => {
        const { first, last } = ends(rows, 'sigma-moe');
        if (first === undefined || last === undefined) return undefined;
        const added = (last.activationBytes - first.activationBytes) / (last.experts - first.experts) / last.tokens;
        // Logits, scores, and what the entropy keeps of them; float32 each.
        return { pass: added / 4 <= 8, observed: `${(added / 4).toFixed(1)} numbers` };
      },
    },
    {
      text: 'The dense block takes time and memory in proportion.',
      holds: (rows) => {
        // Half of what the proportion says: small products are less efficient than large ones.
        const counts = rows.map(({ experts }) => experts);
        const least = Math.max(...counts) / Math.min(...counts) / 2;
        const verdicts = (['stepMs', 'activationBytes'] as const).map((name) => growth(rows, 'dense', name, { least }));
        const [time, memory] = verdicts;
        if (time === undefined || memory === undefined) return undefined;
        return { pass: time.pass && memory.pass, observed: `time ${time.observed}, memory ${memory.observed}` };
      },
    },
  ],
  report: {
    metric: 'stepMs',
    rows: 'block',
    columns: 'experts',
    charts: [
      ...(['forwardMs', 'stepMs', 'activationBytes'] as const).map((y) => ({
        title: { forwardMs: 'Forward pass, ms', stepMs: 'Training step, ms', activationBytes: 'Bytes kept' }[y],
        from: 'results' as const,
        ...{ x: 'experts', y, series: 'block', yScale: 'log' as const },
      })),
    ],
  },
});

async function measureBlock({ config, key, random }: TrialContext<Config, Key>): Promise<Result> {
  const { size, expertSize, active, tokens } = config;
  const { experts } = key;
  const block: FeedForwardBlock =
    key.block === 'dense'
      ? new DenseBlock({ size, hiddenSize: experts * expertSize, random })
      : new MixtureOfExperts({ size, experts, expertSize, active, random });
  const inputs: tf.Tensor = randomNormal(random.split('inputs'), [tokens, size]);
  const measured = await measure(block, () => block.forward(inputs));
  const { multiplyAdds } = block;
  inputs.dispose();
  block.dispose();
  return { ...measured, multiplyAdds, tokens };
}

type Row = Key & Result;

/** How many times as much it is with the most experts as with the fewest. */
function growth(
  rows: readonly Row[],
  block: Key['block'],
  of: keyof Measurement,
  { least = 0, most = Number.POSITIVE_INFINITY }: { readonly least?: number; readonly most?: number },
): { pass: boolean; observed: string } | undefined {
  const { first, last } = ends(rows, block);
  if (first === undefined || last === undefined) return undefined;
  const ratio = last[of] / first[of];
  return {
    pass: ratio >= least && ratio <= most,
    observed: `× ${ratio.toFixed(2)} from ${first.experts} to ${last.experts} experts`,
  };
}

/** The rows of a block with the fewest and with the most experts; neither if that is the same. */
function ends(rows: readonly Row[], block: Key['block']): { readonly first?: Row; readonly last?: Row } {
  const sorted = rows.filter((row) => row.block === block).sort((a, b) => a.experts - b.experts);
  const [first, last] = [sorted[0], sorted.at(-1)];
  return first === undefined || last === undefined || first === last ? {} : { first, last };
}
