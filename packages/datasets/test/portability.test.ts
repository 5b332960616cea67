/** The generators run in browsers, and nothing that may differ between platforms decides their bytes. */

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const src = new URL('../src/', import.meta.url);
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.ts') && !name.startsWith('corpora'),
);

describe.each(files)('%s', (name) => {
  const code = readFileSync(new URL(name, src), 'utf8').replaceAll(/\/\*\*.*?\*\//gs, '');

  test('imports nothing of Node', () => {
    expect(code).not.toMatch(/from '(node:|[^']*corpora\/)/);
  });

  test('uses no function whose last bits depend on the platform', () => {
    // The entropy of the synthetic text is a number for people to read.
    const checked = name === 'synthetic-text.ts' ? code.replaceAll('Math.log2', '') : code;
    expect(checked).not.toMatch(/Math\.(a?sinh?|a?cosh?|a?tan[h2]?|log\w*|exp\w*|pow|hypot|cbrt|random)\b/);
    expect(checked).not.toMatch(/Date|performance|toLocale/);
  });
});
