import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { markdownReport, updateReadme } from '../../src/report/markdown-report.ts';
import { gatherReportData } from '../../src/report/report-data.ts';
import { writeRunFixture } from './run-fixture.ts';

describe('markdownReport', () => {
  it('has what was run, the claims and the table', async () => {
    const text = markdownReport(await gatherReportData(await writeRunFixture()));
    expect(text).toContain('preset quick, seeds 1, 2, 2 min 14 s on wasm (simd128), 2 threads, A Processor.');
    expect(text).toContain('1 of 1 claim holds, 1 not measured.');
    expect(text).toMatch(/\| Linear attention fails.* \| ✓ holds \| seed 1: loss 0\.11 .*; seed 2: loss 0\.12 .* \|/);
    expect(text).toMatch(/\| 60 \| 0\.0750 ± 0\.0071 \(0\.06\) \| 0\.0006 ± 0\.0003 \|/);
  });

  it('says that a run is not complete', async () => {
    const data = await gatherReportData(await writeRunFixture({ results: { state: 'interrupted' } }));
    expect(markdownReport(data)).toContain('interrupted');
  });
});

describe('updateReadme', () => {
  const readme =
    'Before\n<!-- fwp results: a/b quick -->\nold\n<!-- fwp end -->\nBetween\n<!-- fwp results: a/b paper -->\n<!-- fwp end -->\n';

  it('replaces what is between the markers, and nothing else', () => {
    const updated = updateReadme(readme, 'a/b quick', 'new');
    expect(updated).toContain('Before\n<!-- fwp results: a/b quick -->\n\nnew\n\n<!-- fwp end -->\nBetween\n');
    expect(updated).not.toContain('old');
    expect(updated.endsWith(readme.slice(readme.indexOf('Between')))).toBe(true);
  });

  it('gives the same file when it is done again', () => {
    const once = updateReadme(readme, 'a/b paper', 'new $& $1');
    expect(updateReadme(once, 'a/b paper', 'new $& $1')).toBe(once);
  });

  it('tells which markers are missing', () => {
    expect(() => updateReadme(readme, 'a/b standard', 'new')).toThrow(UsageError);
    expect(() => updateReadme(readme, 'a/b standard', 'new')).toThrow('<!-- fwp results: a/b standard -->');
    expect(() => updateReadme('<!-- fwp results: x -->', 'x', 'new')).toThrow(UsageError);
    const withoutEnd = readme.replace('<!-- fwp end -->\n', '');
    expect(() => updateReadme(withoutEnd, 'a/b quick', 'new')).toThrow('<!-- fwp results: a/b quick --> has no end');
    expect(updateReadme(withoutEnd, 'a/b paper', 'new')).toContain('old\nBetween');
  });
});
