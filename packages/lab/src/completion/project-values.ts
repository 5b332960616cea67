/** The values that completion offers in a project: what is found there. Whatever can't be found isn't offered. */

import { findBenchmarks } from '../bench/benchmarks.ts';
import type { Experiment } from '../experiment.ts';
import { loadRegistry } from '../registry.ts';
import { jsonSchemaOf, settingsOf } from '../settings.ts';
import type { Completion, ValueSources } from './complete-words.ts';

/** The values for the project in a folder. */
export function projectValues(folder: string): ValueSources {
  const experiments = async (wanted?: string): Promise<readonly Experiment[]> => {
    const all = (await loadRegistry(folder)).experiments.map(({ experiment }) => experiment);
    return wanted === undefined ? all : all.filter(({ id }) => id === wanted);
  };
  return {
    experiments: async () => (await experiments()).map(({ id, title }) => ({ word: id, description: title })),
    presets: async (wanted) =>
      distinct(
        (await experiments(wanted)).flatMap(({ presets }) =>
          Object.entries(presets).map(([word, { summary }]) => ({ word, description: wanted ? summary : '' })),
        ),
      ),
    settings: async (wanted) =>
      distinct(
        (await experiments(wanted)).flatMap(({ config }) =>
          settingsOf(jsonSchemaOf(config)).map(({ path, description }) => ({ word: `${path}=`, description })),
        ),
      ),
    devices: async () => (await import('@fwp/core')).DEVICES.map((word) => ({ word, description: '' })),
    suites: async () => {
      const found = await findBenchmarks(folder, () => {});
      return found.flatMap(({ benchmarks }) => benchmarks.suites.map((word) => ({ word, description: '' })));
    },
  };
}

function distinct(completions: readonly Completion[]): Completion[] {
  return [...new Map(completions.map((completion) => [completion.word, completion])).values()];
}
