/** A diagnosis as text. */

import { formatBytes, formatMeasured } from '../report/number-format.ts';
import { paint, type TextCell, textTable } from '../report/text-table.ts';
import type { Diagnosis, Tool } from './diagnosis.ts';

/** Machine, devices with what they reach, tools, folders, and what should be different. */
export function formatDiagnosis(diagnosis: Diagnosis, options: { readonly colors?: boolean } = {}): string {
  const { colors = false } = options;
  const shown = (style: 'bold' | 'green' | 'yellow', text: string): string => (colors ? paint(style, text) : text);
  const { devices, folders, memory, packages, problems } = diagnosis;
  const machine: [string, string][] = [
    ['Node.js', diagnosis.node],
    ['platform', diagnosis.platform],
    ['processor', `${diagnosis.processor}, ${diagnosis.processors} logical processors`],
    ['memory', `${formatBytes(memory.total)}, ${formatBytes(memory.free)} free`],
    ['C compiler', toolText(diagnosis.compiler)],
    ['Chromium', toolText(diagnosis.chromium)],
    ...folders.map(({ purpose, path, writable }): [string, string] => [
      `folder for ${purpose}`,
      `${path}${writable ? '' : ' (not writable)'}`,
    ]),
    ...Object.entries(packages),
  ];
  const width = Math.max(...machine.map(([name]) => name.length));
  const parts = [
    machine.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n'),
    `${shown('bold', 'Measured here')}\n\n${peaksTable(diagnosis, colors)}`,
    devices
      .filter(({ notes }) => notes.length > 0)
      .map(({ name, notes }) => `${name}: ${notes.join(' ')}`)
      .join('\n'),
    problems.length === 0
      ? shown('green', 'No problems.')
      : problems.map(({ problem, advice }) => `${shown('yellow', '!')} ${problem}\n  ${advice}`).join('\n'),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function peaksTable({ devices }: Diagnosis, colors: boolean): string {
  const rows = devices.flatMap(({ name, available, simd, peaks }): TextCell[][] => {
    if (!available) return [[name, { text: 'not available', style: 'dim' }]];
    if (peaks.length === 0) return [[name, simd]];
    return peaks.map(({ threads, fma, gemm, copy }) => [
      name,
      simd,
      String(threads),
      ...[fma, gemm, copy].map(formatMeasured),
    ]);
  });
  const right = 'right' as const;
  return textTable(
    [
      { title: 'device' },
      { title: 'instructions' },
      { title: 'threads', align: right },
      { title: 'multiply-add GFLOP/s', align: right },
      { title: 'matrix product GFLOP/s', align: right },
      { title: 'copy GB/s', align: right },
    ],
    rows,
    { colors },
  );
}

function toolText(tool: Tool | null): string {
  return tool === null ? 'none' : `${tool.command} (${tool.version})`;
}
