import { describe, expect, it } from 'vitest';
import { workerEnvironment } from '../src/workers.ts';

const module = new URL('./fixtures/counting-environment.mjs', import.meta.url).href;

describe('workerEnvironment', () => {
  it('joins the environments of its threads in order', async () => {
    const options = [{ batchSize: 2 }, { batchSize: 1, first: 7 }];
    const environment = await workerEnvironment({ module, factory: 'counting', options });
    try {
      expect([environment.batchSize, environment.observationShape, environment.actionCount]).toEqual([3, [2], 2]);
      expect([...(await environment.reset())]).toEqual([0, 0, 0, 1, 0, 7]);
      const { observations, rewards, ended } = await environment.step([1, 0, 1]);
      expect([...observations]).toEqual([1, 0, 1, 1, 1, 7]);
      expect([...rewards]).toEqual([1, 0, 1]);
      expect([...ended]).toEqual([0, 0, 0]);
      await environment.step([0, 0, 0]);
      expect([...(await environment.step([0, 0, 0])).ended]).toEqual([1, 1, 1]);
      expect([...(await environment.reset())]).toEqual([0, 0, 0, 1, 0, 7]);
      await expect(environment.step([0, 0])).rejects.toThrow(/3 actions are needed, but there are 2/);
      await expect(environment.step([0, 5, 0])).rejects.toThrow(/counting: no such action/);
    } finally {
      await environment.close();
    }
  });

  it('says what a thread cannot do', async () => {
    const options = [{ batchSize: 1 }];
    await expect(workerEnvironment({ module, factory: 'other', options })).rejects.toThrow(/exports no function other/);
    await expect(workerEnvironment({ module: `${module}.none`, factory: 'counting', options })).rejects.toThrow();
    await expect(workerEnvironment({ module, factory: 'counting', options: [] })).rejects.toThrow(/number of options/);
    const different = [{ batchSize: 1 }, { batchSize: 1, actionCount: 3 }];
    await expect(workerEnvironment({ module, factory: 'counting', options: different })).rejects.toThrow(
      /differ in shape/,
    );
  });
});
