/**
 * What the paper's three benchmarks share: training on sentences up to a depth, results on deeper ones, and the claims about
 * them.
 *
 *     iid            like training
 *     validation     a little deeper; decides which evaluation counts, as in the paper
 *     deeper         still deeper: the paper's result; first and last of its depths also by themselves
 */

import type { ClassificationBatch, ClassificationSet, SentenceVocabulary } from '@fwp/datasets';
import type { Chart, Claim, TrialContext, Verdict } from '@fwp/lab';
import { SequenceClassifier } from '@fwp/ndr';
import { accuracyOf, type ClassificationConfig, trainClassifier } from './classification-training.ts';
import { recordRouting } from './routing-record.ts';

/** A data set of the paper; see `@fwp/datasets`. */
export interface DeeperSentences {
  readonly vocabulary: SentenceVocabulary;
  readonly classes: readonly string[];
  /** Which column has the answer. */
  readonly readOut: 'first' | 'last';
  /** The training batch of a step, from 0. */
  batch(step: number): ClassificationBatch;
  readonly iid: ClassificationSet;
  readonly deeperValidation: ClassificationSet;
  readonly deeper: ClassificationSet;
}

/** What a trial measures. */
export type DeeperResult = {
  readonly deeper: number;
  readonly iid: number;
  readonly validation: number;
  readonly firstTestDepth: number;
  readonly lastTestDepth: number;
  /** Step of the evaluation that counts. */
  readonly bestStep: number;
};

/** Trains a model, and draws how it routes one of the longest test sentences. */
export async function trainOnDepths<Key extends { readonly model: string }>(
  context: TrialContext<ClassificationConfig, Key>,
  { vocabulary, classes, readOut, batch, iid: known, deeperValidation, deeper }: DeeperSentences,
): Promise<DeeperResult> {
  const { model, iid, validation, test, bestStep } = await trainClassifier(context, {
    vocabularySize: vocabulary.size,
    classes: classes.length,
    readOut,
    batch,
    iid: known,
    validation: deeperValidation,
    test: deeper,
  });
  if (model instanceof SequenceClassifier) {
    await context.artifact('routing.svg', await recordRouting(model, deeper, vocabulary));
  }
  model.dispose();
  const depths = [...test.keys()];
  return {
    deeper: accuracyOf(test),
    iid,
    validation: accuracyOf(validation),
    firstTestDepth: accuracyOf(test, (depth) => depth === depths[0]),
    lastTestDepth: accuracyOf(test, (depth) => depth === depths.at(-1)),
    bestStep,
  };
}

/** Rows that claims are about; `format` is a further part of the key in some benchmarks. */
export type DeeperRow = {
  readonly model: string;
  readonly format?: string;
} & DeeperResult;

/** Whether a measurement of all rows of a model is within bounds. */
export function accuraciesWithin(
  rows: readonly DeeperRow[],
  model: string,
  measurement: 'deeper' | 'iid' | 'validation' | 'firstTestDepth',
  { least = 0, most = 1 }: { least?: number; most?: number },
): Verdict | undefined {
  const chosen = rows.filter((row) => row.model === model && typeof row[measurement] === 'number');
  if (chosen.length === 0) return undefined;
  return {
    pass: chosen.every((row) => row[measurement] >= least && row[measurement] <= most),
    observed: chosen.map((row) => `${row[measurement].toFixed(2)}${inFormat(row)}`).join(', '),
  };
}

/** Whether the router is better on the test than every model without a gate by a margin, in each format by itself. */
export function routerIsBest(rows: readonly DeeperRow[], margin: number): Verdict | undefined {
  const compared = rows
    .filter(({ model }) => model === 'neuralDataRouter')
    .flatMap((router) =>
      rows
        .filter((row) => row.format === router.format && WITHOUT_GATE.includes(row.model))
        .map((row) => ({ row, router })),
    );
  if (compared.length === 0) return undefined;
  return {
    pass: compared.every(({ row, router }) => router.deeper >= row.deeper + margin),
    observed: compared
      .map(({ row, router }) => {
        const [ours, theirs] = [router.deeper.toFixed(2), row.deeper.toFixed(2)];
        return `${ours} against ${theirs} of ${row.model}${inFormat(row)}`;
      })
      .join('; '),
  };
}

const WITHOUT_GATE = ['universal', 'relativeUniversal', 'geometric'];

const inFormat = ({ format }: DeeperRow): string => (format === undefined ? '' : ` (${format})`);

/**
 * What the paper says of sentences whose depth is that of nested brackets.
 *
 * @param sentences how the claims call them
 */
export function claimsOnNesting(sentences: string): readonly Claim<DeeperRow & { readonly seed: number }>[] {
  return [
    {
      // A twentieth is what some hundred examples may vary by.
      text: `The Neural Data Router knows ${sentences} as deep as those of training.`,
      holds: (rows) => accuraciesWithin(rows, 'neuralDataRouter', 'iid', { least: 0.95 }),
    },
    {
      // What the paper's abstract calls near-perfect.
      text: `On deeper ${sentences} it is near-perfect.`,
      holds: (rows) => accuraciesWithin(rows, 'neuralDataRouter', 'deeper', { least: 0.9 }),
    },
    {
      // A tenth is three times what a thousand examples may vary by.
      text: `Models without a gate are clearly worse on deeper ${sentences}.`,
      holds: (rows) => routerIsBest(rows, 0.1),
    },
  ];
}

/** Learning curves; `facet` is a part of the key that has a diagram of its own. */
export function learningCurves(facet?: string): Chart[] {
  const curve = {
    from: 'metrics',
    x: 'step',
    series: 'model',
    ...(facet === undefined ? {} : { facet }),
  } as const;
  return [
    {
      ...curve,
      title: 'Accuracy on deeper sentences during training',
      y: 'validationAccuracy',
    },
    { ...curve, title: 'Training loss', y: 'loss', yScale: 'log' },
  ];
}
