import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeRunFixture } from '../report/run-fixture.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { fwp } from './run-command-line.ts';

describe('fwp report', () => {
  it('writes the report again, with what is stored where the experiment is not installed, and says so', async () => {
    const runs = [await writeRunFixture(), await writeRunFixture()];
    const { status, stdout, stderr } = await fwp('report', ...runs);
    expect(status).toBe(0);
    expect(stdout).toBe(runs.map((run) => `${join(run, 'report.html')}\n`).join(''));
    expect(stderr).toContain('test/capacity');
    expect(await readFile(join(runs[1] as string, 'report.html'), 'utf8')).toContain('1 of 1 claim holds');
  });

  it('prints one JSON document', async () => {
    const run = await writeRunFixture();
    const [document, ...others] = JSON.parse((await fwp('report', run, '--json')).stdout);
    expect(others).toEqual([]);
    expect(document).toMatchObject({
      id: 'test/capacity',
      preset: 'quick',
      runDir: run,
      report: join(run, 'report.html'),
    });
    expect(document.claims).toHaveLength(2);
    expect(document.results).toHaveLength(12);
  });

  it('prints Markdown, and puts it into a README', async () => {
    const run = await writeRunFixture();
    const { stdout } = await fwp('report', run, '--markdown');
    expect(stdout).toContain('| claim | verdict | observed |');
    expect(await readdir(run)).not.toContain('report.html');
    const readme = join(temporaryFolder(), 'README.md');
    await writeFile(readme, '# A\n<!-- fwp results: test/capacity quick -->\n<!-- fwp end -->\nB\n');
    expect((await fwp('report', run, '--update', readme)).status).toBe(0);
    expect(await readFile(readme, 'utf8')).toBe(
      `# A\n<!-- fwp results: test/capacity quick -->\n\n${stdout}\n<!-- fwp end -->\nB\n`,
    );
  });

  it('ends with status 2 where there is no run, no file or no place in it', async () => {
    const run = await writeRunFixture();
    const folder = temporaryFolder();
    expect(await fwp('report', folder)).toMatchObject({ status: 2, stdout: '' });
    expect(await fwp('report', run, '--update', join(folder, 'absent.md'))).toMatchObject({ status: 2 });
    await writeFile(join(folder, 'README.md'), 'nothing');
    const { status, stderr } = await fwp('report', run, '--update', join(folder, 'README.md'));
    expect(status).toBe(2);
    expect(stderr).toContain('<!-- fwp results: test/capacity quick -->');
  });
});

describe('fwp compare', () => {
  it('prints text, Markdown or JSON, and writes a page', async () => {
    const runs = [await writeRunFixture(), await writeRunFixture({ config: { preset: 'standard' } })];
    const page = join(temporaryFolder(), 'comparison.html');
    const text = await fwp('compare', ...runs, '--html', page);
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(/preset +quick +standard/);
    expect(await readFile(page, 'utf8')).toContain('</html>');
    expect((await fwp('compare', ...runs, '--markdown')).stdout).toContain('| preset | quick | standard |');
    const json = JSON.parse((await fwp('compare', ...runs, '--json')).stdout);
    expect(json.runs.map(({ folder }: { folder: string }) => folder)).toEqual(runs);
    expect(json.rows).toHaveLength(6);
  });

  it('ends with status 2 for runs of different experiments', async () => {
    const runs = [await writeRunFixture(), await writeRunFixture({ config: { id: 'test/other' } })];
    const { status, stderr, stdout } = await fwp('compare', ...runs);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('test/other');
  });
});

describe('fwp export-tensorboard', () => {
  it('writes a folder for each run', async () => {
    const runs = [await writeRunFixture(), await writeRunFixture()];
    const out = temporaryFolder();
    const { status, stdout } = await fwp('export-tensorboard', ...runs, '--out', out, '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toHaveLength(2);
    expect((await readdir(out)).sort()).toEqual(runs.map((run) => basename(run)).sort());
  });

  it('writes into the run folder by default, and needs metrics that can be read', async () => {
    const run = await writeRunFixture();
    expect((await fwp('tensorboard', run)).stdout).toBe(`${join(run, 'tensorboard')}: 240 events of 12 trials\n`);
    await writeFile(join(run, 'metrics.jsonl'), 'broken\n{}\n');
    const { status, stderr } = await fwp('tensorboard', run);
    expect(status).toBe(1);
    expect(stderr).toContain('line 1');
    await rm(join(run, 'metrics.jsonl'));
    expect((await fwp('tensorboard', run)).status).toBe(0);
  });
});
