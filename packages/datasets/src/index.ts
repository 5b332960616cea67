/**
 * Tasks and texts to train sequence models on, as typed arrays. Runs in browsers and Node; corpora of files are in
 * `@fwp/datasets/corpora`.
 *
 * @packageDocumentation
 */

export { createRandom, type Random } from './random.ts';
export type { Split, Task, TaskOptions, TokenBatch, TokenTask } from './task.ts';
export {
  type AssociativeRetrievalOptions,
  type AssociativeRetrievalTask,
  associativeRetrieval,
  type RetrievalBatch,
} from './tasks/associative-retrieval.ts';
