/** Counts what each layer of a model chooses, and draws it. */

import { type LayerSelections, type Usage, UsageCounter } from '@fwp/moe';
import { usagePicture } from './usage-picture.ts';

/** See {@link usageWatcher}. */
export interface UsageWatcher {
  /** Counts what the layers chose in a call. */
  readonly watch: (layers: readonly LayerSelections[]) => void;
  /** Whether there was any choice. */
  readonly isUsed: () => boolean;
  /** Usage by layer, of their first head. */
  readonly usage: () => readonly Usage[];
  /** An SVG with a row for each layer. */
  readonly picture: (title: string) => string;
}

/** Watches the selections of one kind, for example `'experts'`. */
export function usageWatcher(of: string): UsageWatcher {
  const counters = new Map<number, UsageCounter>();
  const watch = (layers: readonly LayerSelections[]) => {
    for (const [layer, { feedForward, attention }] of layers.entries()) {
      const selection = [...feedForward, ...attention].find((candidate) => candidate.of === of);
      if (selection === undefined) continue;
      const counter = counters.get(layer) ?? new UsageCounter(selection.choices, selection.indices.shape[1]);
      counters.set(layer, counter);
      counter.add(selection);
    }
  };
  const usage = () => [...counters.values()].flatMap((counter) => counter.usage().slice(0, 1));
  const names = () => [...counters.keys()].map((layer) => `layer ${layer + 1}`);
  return {
    watch,
    isUsed: () => counters.size > 0,
    usage,
    picture: (title) =>
      usagePicture({ title, rows: usage().map((row, i) => ({ name: names()[i] as string, ...row })) }),
  };
}
