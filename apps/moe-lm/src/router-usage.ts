/**
 * How routers use their experts: on tokens of many domains, some of them rare, with the ways to choose and to balance of the σ-MoE
 * paper. What is measured is how even the use is, and how many experts nobody needs.
 */

import { Adam } from '@fwp/core';
import { defineExperiment, readScalar, type TrialContext } from '@fwp/lab';
import { MixtureOfExperts, type MixtureOfExpertsOptions, preNormScale, type Usage, UsageCounter } from '@fwp/moe';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { type DomainBatch, LatentDomains } from './latent-domains.ts';
import { sigmaMoePaper } from './papers.ts';
import { usageHistoryPicture, usagePicture } from './usage-picture.ts';

/** The routers: options of the block, and the weight of its term that balances. */
const ROUTERS = {
  'sigma-moe': {},
  'sigma-moe-unregularized': { regularization: 'none', expertDropout: 0 },
  'softmax-before-top-k': { routing: 'softmaxBeforeTopK', regularization: 'none', expertDropout: 0 },
  'softmax-after-top-k': { routing: 'softmaxAfterTopK', regularization: 'none', expertDropout: 0 },
  'softmax-top-1': { routing: 'softmaxBeforeTopK', regularization: 'none', expertDropout: 0, active: 1 },
  switch: { routing: 'softmaxBeforeTopK', regularization: 'switch', expertDropout: 0, active: 1 },
  's-base': { routing: 'sinkhorn', regularization: 'none', expertDropout: 0 },
} as const satisfies Record<string, Partial<MixtureOfExpertsOptions>>;

type RouterName = keyof typeof ROUTERS;

const ROUTER_NAMES = Object.keys(ROUTERS) as [RouterName, ...RouterName[]];

const config = z.object({
  routers: z
    .array(z.enum(ROUTER_NAMES))
    .min(1)
    .default([...ROUTER_NAMES]),
  size: z.int().min(1).default(64).describe('size of a token'),
  domains: z.int().min(1).default(32),
  skew: z.number().min(0).default(1).describe('domain z has a probability ∝ 1 / (z + 1)^skew'),
  experts: z.int().min(1).default(16),
  expertSize: z.int().min(1).default(16).describe('hidden units of an expert'),
  active: z.int().min(1).default(2).describe('experts for each token, where it is not one'),
  regularization: z.number().min(0).default(1e-2).describe('weight γ of the entropy'),
  switchRegularization: z.number().min(0).default(1e-2).describe("weight of Switch Transformers' balance term"),
  expertDropout: z.number().min(0).lt(1).default(0.05),
  batchSize: z.int().min(1).default(256).describe('tokens'),
  evaluationTokens: z.int().min(1).default(4096),
  steps: z.int().min(1).default(2000),
  learningRate: z.number().positive().default(3e-3),
  evaluateEvery: z.int().min(1).default(50).describe('steps between looks at the use of experts'),
});

type Config = z.infer<typeof config>;

/** Names a trial. */
interface Key {
  readonly router: RouterName;
  readonly [name: string]: string;
}

export const routerUsage = defineExperiment({
  id: 'moe/router-usage',
  title: 'Which experts are used, and which nobody needs',
  description:
    'A block of experts learns one linear map for each of several domains, some of which are rare. With each way to choose and to ' +
    'balance experts: perplexity of their use relative to their number (1: all alike), experts that nobody chose, and pictures of ' +
    'the use in the end and over time.',
  paper: sigmaMoePaper,
  config,
  presets: {
    quick: { summary: 'seven routers, 16 experts, 32 domains, 2000 steps' },
    standard: { summary: 'the same for 4000 steps', config: { steps: 4000 }, seeds: [1, 2, 3] },
    'many-experts': {
      summary: '64 experts, 128 domains, 3000 steps',
      config: { experts: 64, domains: 128, steps: 3000 },
      seeds: [1, 2],
    },
    paper: {
      summary: "the layer of the paper's small model: 16 experts of 128 units, four for each token",
      config: {
        ...{ size: 412, domains: 256, experts: 16, expertSize: 128, active: 4, regularization: 1e-3 },
        ...{ batchSize: 16_384, evaluationTokens: 65_536, steps: 100_000, learningRate: 2.5e-4 },
      },
    },
  },
  trials: ({ routers }) => routers.map((router): Key => ({ router })),
  run: trainRouter,
  claims: [
    {
      text: 'With the entropy term and expert dropout, σ-MoE uses all experts: none is dead, and the perplexity of their use is above 0.7 of their number.',
      holds: (rows) => {
        const row = rows.find(({ router }) => router === 'sigma-moe');
        if (row === undefined) return undefined;
        return { pass: row.usage > 0.7 && row.dead === 0, observed: `${row.usage.toFixed(2)}, ${row.dead} dead` };
      },
    },
    {
      text: 'Without them it uses them less evenly.',
      holds: (rows) => {
        const [balanced, plain] = (['sigma-moe', 'sigma-moe-unregularized'] as const).map((name) =>
          rows.find(({ router }) => router === name),
        );
        if (balanced === undefined || plain === undefined) return undefined;
        return {
          pass: plain.usage < balanced.usage,
          observed: `${plain.usage.toFixed(2)} against ${balanced.usage.toFixed(2)}`,
        };
      },
    },
    {
      text: 'A softmax that chooses one expert, without balance, uses them far less evenly.',
      holds: (rows) => {
        const [balanced, single] = (['sigma-moe', 'softmax-top-1'] as const).map((name) =>
          rows.find(({ router }) => router === name),
        );
        if (balanced === undefined || single === undefined) return undefined;
        return {
          // Many times what seeds differ by, which is 0.01.
          pass: single.usage < balanced.usage - 0.15,
          observed: `${single.usage.toFixed(2)}, ${single.dead} dead, against ${balanced.usage.toFixed(2)}`,
        };
      },
    },
  ],
  report: {
    metric: 'usage',
    rows: 'router',
    charts: [
      { title: 'Perplexity of use / experts', from: 'metrics', x: 'step', y: 'usage', series: 'router' },
      { title: 'Experts that nobody chose', from: 'metrics', x: 'step', y: 'dead', series: 'router' },
      { title: 'Squared error', from: 'metrics', x: 'step', y: 'loss', series: 'router', yScale: 'log' },
    ],
  },
});

async function trainRouter({ config, key, random, steps, log, artifact }: TrialContext<Config, Key>): Promise<{
  usage: number;
  dead: number;
  loss: number;
}> {
  const { size, experts, expertSize, batchSize } = config;
  const domains = new LatentDomains({ ...config, random: random.split('domains') });
  const block = new MixtureOfExperts({
    ...{ size, experts, expertSize, active: config.active, expertDropout: config.expertDropout },
    ...{ initialScale: preNormScale(1), random: random.split('weights') },
    ...ROUTERS[key.router],
  });
  const weight = key.router === 'switch' ? config.switchRegularization : config.regularization;
  const optimizer = new Adam(block, { learningRate: config.learningRate });
  const data = random.split('data');
  const test = domains.batch(config.evaluationTokens, random.split('test'));
  /** `[look, expert]` */
  const history: { looks: number[]; shares: number[][]; loss: number } = { looks: [], shares: [], loss: Number.NaN };

  for await (const step of steps({ total: config.steps, module: block, optimizer, random: { data }, state: history })) {
    block.train();
    const batch = domains.batch(batchSize, data);
    const loss = optimizer.minimize(() => {
      const { outputs, regularization } = block.apply(batch.inputs);
      const error = tf.losses.meanSquaredError(batch.targets, outputs) as tf.Scalar;
      return regularization === undefined ? error : tf.add<tf.Scalar>(error, tf.mul(regularization, weight));
    });
    tf.dispose([loss, { ...batch }]);
    if (step % config.evaluateEvery !== 0 && step !== config.steps) continue;
    const { usage, loss: error } = await evaluate(block, test);
    history.looks.push(step);
    history.shares.push([...usage.shares]);
    history.loss = error;
    log({ loss: error, usage: usage.relativePerplexity, dead: usage.dead });
  }
  const { usage, loss } = await evaluate(block, test);
  const title = `Experts of ${key.router}`;
  await artifact('usage.svg', usagePicture({ title, rows: [{ name: key.router, ...usage }] }));
  const picture = usageHistoryPicture({ title, steps: history.looks, shares: history.shares });
  await artifact('usage-over-time.svg', picture);
  optimizer.dispose();
  block.dispose();
  domains.dispose();
  tf.dispose({ ...test });
  return { usage: usage.relativePerplexity, dead: usage.dead, loss };
}

/** Squared error and use of experts on tokens that are not for training. */
async function evaluate(
  block: MixtureOfExperts,
  { inputs, targets }: DomainBatch,
): Promise<{ usage: Usage; loss: number }> {
  block.eval();
  const counter = new UsageCounter(block.experts);
  const loss = tf.tidy(() => {
    const { outputs, selections } = block.apply(inputs);
    for (const selection of selections) counter.add(selection);
    return tf.losses.meanSquaredError(targets, outputs) as tf.Scalar;
  });
  return { usage: counter.usage()[0] as Usage, loss: await readScalar(loss) };
}
