/** Numbers and tables as text. */

/** Three significant digits, without exponents: `0.00312`, `4.57`, `1280`. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const size = Math.floor(Math.log10(Math.abs(value)));
  if (size >= 2) return Math.round(value).toString();
  return value.toFixed(Math.max(0, 2 - size));
}

/** A ratio: `1.23 ×`. */
export function times(value: number | undefined): string {
  return value === undefined ? '–' : `${value >= 10 ? Math.round(value) : value.toFixed(2)} ×`;
}

/** A fraction: `87 %`. */
export function percent(value: number | undefined): string {
  return value === undefined ? '–' : `${Math.round(value * 100)} %`;
}

/** Bytes in MiB: `123.4 MiB`. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** Seconds as `45 s` or `3 min 20 s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Columns padded to their widest cell: the first one to the left, numbers to the right. */
export function textTable(head: readonly string[], rows: readonly (readonly string[])[], leftColumns = 1): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    head
      .map((_, column) => {
        const cell = row[column] ?? '';
        const width = widths[column] as number;
        return column < leftColumns ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  return [line(head), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** The same as a Markdown table. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[], leftColumns = 1): string {
  const line = (row: readonly string[]): string => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${head.map((_, column) => (column < leftColumns ? '---' : '---:')).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}
