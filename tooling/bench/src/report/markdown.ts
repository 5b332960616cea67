/** The pages in docs/benchmarks, from the results beside them. */

import type { ResultsDocument } from './document.ts';
import { duration, markdownTable } from './format.ts';
import { verdicts } from './requirements.ts';
import { memoryTable, requirementTable, suitesOf, suiteTable, type Table } from './tables.ts';

const SUITE_TEXT: Readonly<Record<string, string>> = {
  peaks:
    "What the processor gives our two targets at best: multiply-adds in registers, and a copy with ordinary loads and stores, once within the cache and once through memory. 'Of peak' in the other tables is the fraction of the multiply-add rate, or of the 4 MiB copy's rate, of the same device and thread count. Bytes are counted as each input read once and each output written once, so an operation that works in registers can exceed the copy.",
  gemm: 'Float32 matrix products, inputs of [-1, 1).',
  elementwise: 'One million elements; outputs are allocated and freed each time.',
  reduction: 'One million elements.',
  normalisation: 'Rows of 256. Backward gives the gradients of all inputs.',
  movement: 'Lookup of rows with the gradient of the table, and permutations.',
  convolution:
    'Padding of one pixel. PyTorch works on its default layout (batch, channels, height, width), the others on (batch, height, width, channels).',
  dispatch:
    'What an operation costs beside its arithmetic: four floats. With gradient: a chain of 32 additions, forward and backward, per addition.',
  gpu: 'Scans at the sizes (batch, steps, heads, channels of keys and values) of the table of flash-linear-attention, which computes in bfloat16, everybody else in float32; PyTorch runs the scans in chunks of 64 steps, as matrix products and triangular systems. Then the delta rule against the same steps composed of tfjs operations on the same device, and training steps. "Of peak" is the fraction of the multiply-add rate, or of the copy\'s rate, of the same card.',
  training:
    'Forward, backward and Adam. All peers start from the same weights; the losses of the first three steps agree within 0.1 %.',
};

/** The whole page of this name. */
export function renderMarkdown(document: ResultsDocument, page: string): string {
  const judged = verdicts(document);
  const known = judged.filter(({ reached }) => reached !== undefined);
  const reached = known.filter((verdict) => verdict.reached === true).length;
  const sections = [
    `# Benchmarks: ${page.replaceAll('-', ' ')}`,
    `<!-- Made by 'pnpm bench --render' from ${page}.json; edit neither by hand. -->`,
    introduction(document),
    '## What must be reached',
    `${reached} of ${known.length} are reached. A requirement about several cases counts as reached only if the worst of them reaches it; the mean is geometric. A ratio says how many times faster we are: below 1, the peer is faster.`,
    tableText(requirementTable(document), 2),
    ...partsText(document),
    ...suitesOf(document).flatMap((suite) => [
      `## ${suite[0]?.toUpperCase()}${suite.slice(1)}`,
      ...(SUITE_TEXT[suite] === undefined ? [] : [SUITE_TEXT[suite]]),
      tableText(suiteTable(document, suite), 2),
    ]),
    ...memoryText(document),
    ...absenceText(document),
  ];
  return `${sections.join('\n\n')}\n`;
}

function introduction({
  date,
  seconds,
  machine,
  versions,
  quick,
  slices,
  disturbedSlices,
  peers,
  rows,
  notes = [],
}: ResultsDocument): string {
  const calm =
    disturbedSlices === 0
      ? 'No other program disturbed it.'
      : `In ${disturbedSlices} of ${slices} slices other programs used more than 0.15 of a processor, however often it was tried; such times count only where there are no others.`;
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  // What tfjs's peers tell is their backend, which is in their names already.
  const isTfjs = (peer: string) => peer.startsWith('tfjs-');
  const processors = Object.entries(peers)
    .filter(([peer]) => !isTfjs(peer))
    .map(([peer, { detail }]) => `${peer.split('/')[0]}: ${detail}`);
  return [
    `Measured on ${date.slice(0, 10)} in one run of ${duration(seconds)} by \`pnpm bench --write\`${quick ? ' (--quick: a look, not a result)' : ''}.`,
    `Machine: ${machine.processor}, ${machine.processors} processors, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB, ${machine.system}.`,
    `Versions: ${list.join(', ')}. Instruction sets, or cards: ${[...new Set(processors)].join(', ')}.`,
    '',
    'Every peer runs in a process of its own and waits, without using a processor, while another one is measured. All are',
    'measured in turn, several rounds of short slices, the order reversed from round to round; times are medians over all',
    'slices. Before anything is timed, the results of all peers are compared; one that differs is not timed.',
    ...(rows.some(({ yardstick }) => yardstick !== undefined)
      ? [
          'What is required as a share of another case of ours (the peak, a dense product) is the median over slices that hold',
          'both, so that a processor that others slow down slows both.',
        ]
      : []),
    `${Object.keys(peers).some(isTfjs) ? 'tfjs has one thread in Node. ' : ''}${calm}`,
    ...notes.map((note) => `\n${note}`),
  ].join('\n');
}

/** The cases behind requirements that are about several. */
function partsText(document: ResultsDocument): string[] {
  const rows = verdicts(document)
    .filter(({ parts }) => parts.length > 1)
    .map(({ text, device, threads, parts }) => [
      text,
      device,
      String(threads),
      parts.map(({ name, value }) => `${name}: ${value.toFixed(2)}`).join('; '),
    ]);
  if (rows.length === 0) return [];
  return ['The cases behind them:', markdownTable(['requirement', 'device', 'threads', 'ratios'], rows, 4)];
}

function memoryText(document: ResultsDocument): string[] {
  if (document.memory.length === 0) return [];
  return [
    '## Memory',
    "A small classifier trained on a fresh batch at every step, in a fresh process, after three times as many steps of warming up. Flat means: not one live byte and not one tensor more at the end than after the first sample, and a resident memory (median) in the last third of the run at most 5 % above that of the second third, which is what V8's own garbage makes it move.",
    tableText(memoryTable(document), 2),
  ];
}

function absenceText(document: ResultsDocument): string[] {
  if (document.absences.length === 0) return [];
  const rows = document.absences.map(({ suite, name, who, kind, reason }) => [
    `${suite}: ${name}`,
    who,
    kind === 'failed' ? 'failed' : 'cannot',
    reason.split('\n')[0]?.slice(0, 160) ?? '',
  ]);
  return ['## Without a figure', markdownTable(['case', 'peer', '', 'why'], rows, 4)];
}

function tableText({ head, rows }: Table, leftColumns: number): string {
  return markdownTable(head, rows, leftColumns);
}
