/** Codes learn by their averages and by gradients: whole small runs. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dispose } from '@fwp/core';
import { LEARNING_RULES } from '@fwp/ksom-vq';
import { type Experiment, runExperiment } from '@fwp/lab';
import { afterAll, describe, expect, it } from 'vitest';
import { vectors } from '../src/index.ts';

afterAll(dispose);

describe.each(LEARNING_RULES)('learning = %s', (learning) => {
  it('makes the error fall', async () => {
    const out = mkdtempSync(join(tmpdir(), 'ksom-vectors-'));
    const small = ['neighborhoods=none,hard', 'initialCounts=1', 'sources=mixture', 'codes=32', 'batchSize=256'];
    const overrides = [...small, 'steps=120', 'earlyStep=1', `learning=${learning}`];
    try {
      const run = await runExperiment(vectors as unknown as Experiment, {
        ...{ out: join(out, 'run'), overrides, device: 'wasm', threads: 1 },
      });
      expect(run.results.rows).toHaveLength(2);
      for (const { loss, earlyLoss } of run.results.rows) expect(loss).toBeLessThan(0.9 * (earlyLoss as number));
    } finally {
      rmSync(out, { recursive: true });
    }
  });
});
