import { readFile } from 'node:fs/promises';
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import type { Row } from '../../src/experiment.ts';
import { writeReport } from '../../src/report/write-report.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { type RunFixture, TITLE, writeRunFixture } from './run-fixture.ts';

async function report(fixture: RunFixture = {}, experiment?: Parameters<typeof writeReport>[1]): Promise<Document> {
  const text = await readFile(await writeReport(await writeRunFixture(fixture), experiment), 'utf8');
  return parseHTML(text).document as unknown as Document;
}

const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);

describe('the report', () => {
  it('loads nothing: no scripts, and pictures are part of the file', async () => {
    const document = await report({ artifacts: { 'a trial/picture.png': PIXEL, 'a trial/data.csv': 'a,b' } });
    expect(document.querySelectorAll('script, link, iframe, object, embed').length).toBe(0);
    const sources = [...document.querySelectorAll('[src], [srcset], [xlink\\:href]')].map((node) =>
      node.getAttribute('src'),
    );
    expect(sources).toHaveLength(1);
    expect(sources[0]).toBe(`data:image/png;base64,${PIXEL.toString('base64')}`);
    expect(document.querySelector('style')?.textContent).not.toMatch(/url\(|@import/);
    const links = [...document.querySelectorAll('a')].map((link) => link.getAttribute('href'));
    expect(links).toEqual([
      'https://example.org/paper',
      'artifacts/a%20trial/picture.png',
      'artifacts/a%20trial/data.csv',
    ]);
  });

  it('can be read by machines that read aloud: headings, captions, headers, names of drawings', async () => {
    const document = await report({ artifacts: { 't/picture.png': PIXEL } });
    expect(document.documentElement.getAttribute('lang')).toBe('en');
    expect(document.querySelectorAll('h1').length).toBe(1);
    for (const table of document.querySelectorAll('table')) {
      expect(table.querySelectorAll('th[scope=col]').length).toBeGreaterThan(1);
      for (const row of table.querySelectorAll('tbody tr')) expect(row.querySelector('th[scope=row]')).not.toBeNull();
    }
    expect(document.querySelectorAll('figure').length).toBe(3);
    for (const figure of document.querySelectorAll('figure')) {
      expect(figure.querySelector('figcaption')?.textContent?.trim()).not.toBe('');
    }
    for (const image of document.querySelectorAll('img')) expect(image.getAttribute('alt')).not.toBe('');
    for (const drawing of document.querySelectorAll('.chart svg')) {
      const named = drawing.getAttribute('role') === 'img' && (drawing.getAttribute('aria-label') ?? '') !== '';
      expect(named || drawing.getAttribute('aria-hidden') === 'true').toBe(true);
    }
  });

  it('has every id once, and every reference to an id leads somewhere', async () => {
    const document = await report();
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const references = [...document.querySelectorAll('[aria-labelledby]')].map((node) =>
      node.getAttribute('aria-labelledby'),
    );
    expect(references.length).toBeGreaterThan(3);
    for (const reference of references) expect(ids).toContain(reference);
  });

  it('shows what people wrote as text, whatever characters it has', async () => {
    const document = await report();
    expect(document.querySelector('h1')?.textContent).toBe(TITLE);
    expect(document.title).toContain(TITLE);
    expect(document.querySelector('b')).toBeNull();
    expect(document.body.textContent).toContain('<b>bold</b>');
    expect(document.body.textContent).toContain('Linear attention fails & <delta> succeeds');
  });

  it('says in one line how many claims hold, and shows each with what every seed observed', async () => {
    const document = await report();
    expect(document.querySelector('.headline')?.textContent).toBe('1 of 1 claim holds, 1 not measured.');
    const claims = [...document.querySelectorAll('.claims > li')].map((claim) => claim.textContent);
    expect(claims[0]).toContain('✓ holds');
    expect(claims[0]).toMatch(/seed 1.*loss 0\.11 against.*seed 2.*loss 0\.12 against/s);
    expect(claims[1]).toContain('not measured');
  });

  it('sets ours beside the paper’s', async () => {
    const document = await report();
    const table = document.querySelector('table.results');
    const rows = [...(table?.querySelectorAll('tbody tr') ?? [])].map((row) => row.textContent?.replace(/\s+/g, ' '));
    expect([...(table?.querySelectorAll('thead th') ?? [])].map((cell) => cell.textContent)).toEqual([
      'keys',
      'linear',
      'delta',
    ]);
    expect(rows[1]).toContain('60');
    expect(rows[1]).toContain('0.0750 ± 0.0071');
    expect(rows[1]).toContain('0.06 (+0.0150)');
  });

  it('has every trial with all that it measured', async () => {
    const table = (await report()).querySelector('details table');
    const head = [...(table?.querySelectorAll('thead th') ?? [])].map((cell) => cell.textContent);
    expect(head).toEqual(['model', 'keys', 'seed', 'loss', 'solved', 'steps', 'seconds', 'parameters']);
    const rows = [...(table?.querySelectorAll('tbody tr') ?? [])].map((row) => row.textContent);
    expect(rows).toHaveLength(12);
    expect(rows[0]).toBe('linear2010.03false2011000');
  });

  it('tells where it came from and how to do it again', async () => {
    const text = (await report()).body.textContent ?? '';
    for (const part of ['A Processor', '0123456789abcdef', 'training.learningRate', '0.001', '2 min 14 s', 'simd128']) {
      expect(text).toContain(part);
    }
    expect(text).toContain('fwp run test/capacity --preset quick --seed 1,2 --set training.steps=20');
  });

  it('takes claims and published numbers from the experiment where it is known', async () => {
    const document = await report(
      {},
      {
        title: 'Another title',
        description: '',
        paper: { id: 'p', citation: '', url: '' },
        published: [],
        claims: [{ text: 'new', holds: (rows: readonly Row[]) => ({ pass: false, observed: `${rows.length} rows` }) }],
        report: { metric: 'solved', rows: 'model' },
      },
    );
    expect(document.querySelector('h1')?.textContent).toBe('Another title');
    expect(document.querySelector('.headline')?.textContent).toBe('0 of 1 claim holds.');
    expect(document.querySelector('.claims')?.textContent).toContain('6 rows');
    expect(document.querySelectorAll('table.results').length).toBe(3 + 1);
    expect(document.querySelector('.paper')).toBeNull();
  });

  it('is made of an unfinished run too, and says so', async () => {
    const none = await report({ results: { state: 'interrupted', rows: [], claims: [] }, metrics: [] });
    expect(none.querySelector('.notice')?.textContent).toContain('0 of 12 trials are finished');
    expect(none.querySelector('.chart')).toBeNull();
    const failed = await report({ results: { state: 'failed', error: 'loss is NaN at step 7' } });
    expect(failed.querySelector('.notice')?.textContent).toContain('loss is NaN at step 7');
    expect((await report()).querySelector('.notice')).toBeNull();
  });

  it('needs a run folder', async () => {
    await expect(writeReport(temporaryFolder())).rejects.toThrow(UsageError);
  });
});
