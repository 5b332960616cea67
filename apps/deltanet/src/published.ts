/**
 * The authors' numbers: the least evaluation loss of each of their training logs (`synthetic/logs` of the repository
 * ischlag/fast-weight-transformers), three digits. Below 0.001 their training stops: the task is solved. `null`: their
 * training gave NaN.
 */

import type { PublishedRow } from '@fwp/lab';

const SOURCE = "the authors' training logs";

/** Setting 1, sum rule: one loss for 20, 40, …, 600 keys. */
const CAPACITY: Readonly<Record<string, readonly number[]>> = {
  softmax: [
    0.000634, 0.000324, 0.000072, 0.00003, 0.00002, 0.000011, 0.000007, 0.000006, 0.000006, 0.000009, 0.000126,
    0.000423, 0.000004, 0.000002, 0.000005, 0.000004, 0.000003, 0.00446, 0.000003, 0.000003, 0.000003, 0.000002,
    0.00893, 0.000005, 0.00893, 0.00884, 0.0157, 0.0299, 0.0195, 0.0303,
  ],
  linear: [
    0.000889, 0.000829, 0.0245, 0.108, 0.164, 0.232, 0.271, 0.301, 0.322, 0.342, 0.351, 0.363, 0.378, 0.388, 0.397,
    0.395, 0.409, 0.417, 0.401, 0.422, 0.419, 0.426, 0.435, 0.432, 0.429, 0.44, 0.442, 0.448, 0.441, 0.451,
  ],
  'dpfp-1': [
    0.000783, 0.000274, 0.000429, 0.000167, 0.000209, 0.00833, 0.051, 0.102, 0.142, 0.173, 0.209, 0.225, 0.27, 0.278,
    0.286, 0.276, 0.343, 0.336, 0.337, 0.341, 0.327, 0.341, 0.364, 0.361, 0.386, 0.395, 0.4, 0.398, 0.39, 0.411,
  ],
  'dpfp-2': [
    0.000305, 0.000633, 0.000969, 0.000601, 0.000503, 0.000291, 0.000514, 0.000384, 0.000284, 0.000366, 0.000733,
    0.000513, 0.00843, 0.0454, 0.0681, 0.102, 0.129, 0.159, 0.143, 0.164, 0.165, 0.208, 0.215, 0.24, 0.276, 0.253,
    0.276, 0.294, 0.257, 0.323,
  ],
  'dpfp-3': [
    0.000481, 0.000868, 0.00049, 0.000745, 0.000475, 0.000501, 0.000861, 0.000248, 0.000413, 0.000882, 0.000286,
    0.000523, 0.000395, 0.000875, 0.000254, 0.000629, 0.000072, 0.00339, 0.00452, 0.0359, 0.0496, 0.0498, 0.0959, 0.109,
    0.169, 0.134, 0.167, 0.178, 0.168, 0.198,
  ],
  'favor-64': [
    0.117, 0.274, 0.483, 0.5, 0.496, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5,
    0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5,
  ],
  'favor-128': [
    0.0736, 0.175, 0.484, 0.49, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5,
    0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5,
  ],
  'favor-512': [
    0.0241, 0.0754, 0.406, 0.49, 0.5, 0.5, 0.492, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5,
    0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5,
  ],
};

/** Setting 2: one loss for 20, 40, …, 200 keys. The log of DPFP-2 with 100 keys ends after 300 steps, so it says nothing. */
const UPDATE_RULE: readonly {
  readonly features: string;
  readonly rule: string;
  readonly losses: readonly (number | null)[];
}[] = [
  { features: 'dpfp-1', rule: 'sum', losses: [0.0973, 0.104, 0.103, 0.113, 0.111, 0.128, 0.155, 0.18, 0.201, 0.231] },
  {
    features: 'dpfp-1',
    rule: 'delta',
    losses: [0.000766, 0.00097, 0.00486, 0.00628, 0.000086, 0.0141, 0.0475, 0.104, 0.133, 0.171],
  },
  { features: 'dpfp-1', rule: 'fwm', losses: [0.0404, 0.492, 0.499, 0.5, 0.526, 0.556, 0.743, 1.97, 2.5, 1.09] },
  {
    features: 'dpfp-2',
    rule: 'delta',
    losses: [0.000969, 0.000525, 0.000487, 0.000805, null, 0.000732, 0.000294, 0.0004, 0.000404, 0.000836],
  },
  {
    features: 'linear',
    rule: 'delta',
    losses: [0.000796, 0.000685, 0.000511, 0.094, 0.15, 0.215, 0.257, 0.276, 0.315, 0.341],
  },
  { features: 'tanh', rule: 'fwm', losses: [1.5, 4.83, 9.02, 30.3, 42.4, 56, 59.8, 74.8, 85.3, 95.5] },
  { features: 'favor-64', rule: 'delta', losses: [0.102, 0.183, 0.398, 0.493, 0.499, 0.5, null, null, null, null] },
  { features: 'favor-128', rule: 'delta', losses: [0.108, 0.163, 0.42, 0.486, 0.5, 0.501, null, null, null, null] },
];

/** Keys of the n-th column of both tables. */
const keysOf = (column: number): number => 20 * (column + 1);

/** Setting 1: rows of model and keys. */
export const publishedCapacity: readonly PublishedRow[] = Object.entries(CAPACITY).flatMap(([model, losses]) =>
  losses.map((loss, column) => ({ model, keys: keysOf(column), loss, source: SOURCE })),
);

/** Setting 2: rows of features, rule and keys. */
export const publishedUpdateRule: readonly PublishedRow[] = UPDATE_RULE.flatMap(({ features, rule, losses }) =>
  losses.map((loss, column) => ({ model: `${features} ${rule}`, keys: keysOf(column), loss, source: SOURCE })),
);
