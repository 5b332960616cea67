/** Tables for terminals and Markdown: plain columns, aligned, as wide as their cells. */

import { styleText } from 'node:util';

/** A column. */
export interface TextColumn {
  readonly title: string;
  /** Default `'left'`; numbers go to the right. */
  readonly align?: 'left' | 'right';
}

/** How text may look. */
export type Style = Parameters<typeof styleText>[0];

/** A cell, with a style if colours are on. */
export type TextCell = string | { readonly text: string; readonly style: Style };

/** Columns padded to their widest cell, a line under the head, two spaces between columns. */
export function textTable(
  columns: readonly TextColumn[],
  rows: readonly (readonly TextCell[])[],
  options: { readonly colors?: boolean } = {},
): string {
  const { colors = false } = options;
  const widths = columns.map(({ title }, index) =>
    Math.max(displayWidth(title), ...rows.map((row) => displayWidth(textOf(row[index] ?? '')))),
  );
  const line = (cells: readonly TextCell[]): string =>
    columns
      .map(({ align = 'left' }, index) => {
        const cell = cells[index] ?? '';
        const text = textOf(cell);
        const padding = ' '.repeat((widths[index] as number) - displayWidth(text));
        const shown = colors && typeof cell !== 'string' ? paint(cell.style, text) : text;
        return align === 'left' ? shown + padding : padding + shown;
      })
      .join('  ')
      .trimEnd();
  const head = line(columns.map(({ title }) => (colors ? { text: title, style: 'bold' } : title)));
  return [head, widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** The same as a Markdown table; styles are left out. */
export function markdownTable(columns: readonly TextColumn[], rows: readonly (readonly TextCell[])[]): string {
  const line = (cells: readonly TextCell[]): string => {
    // A row is one line.
    const escaped = columns.map((_, index) =>
      textOf(cells[index] ?? '')
        .replaceAll('|', '\\|')
        .replace(/\r\n?|\n/g, '<br>'),
    );
    return `| ${escaped.join(' | ')} |`;
  };
  const rule = columns.map(({ align = 'left' }) => (align === 'left' ? '---' : '---:')).join(' | ');
  return [line(columns.map(({ title }) => title)), `| ${rule} |`, ...rows.map(line)].join('\n');
}

/** Text in a style, whatever the terminal: whether to is the caller's decision. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { validateStream: false });
}

/** Whether a stream shows colours: a terminal, and neither `NO_COLOR` nor `TERM=dumb` is set; `FORCE_COLOR` insists. */
export function hasColors(
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  if (environment['NO_COLOR'] !== undefined && environment['NO_COLOR'] !== '') return false;
  const force = environment['FORCE_COLOR'];
  if (force !== undefined && force !== '0' && force !== 'false') return true;
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

function textOf(cell: TextCell): string {
  return typeof cell === 'string' ? cell : cell.text;
}

/** Code points that aren't combining marks; wide characters don't occur in numbers and names. */
function displayWidth(text: string): number {
  return [...text.replace(/\p{Mark}/gu, '')].length;
}
