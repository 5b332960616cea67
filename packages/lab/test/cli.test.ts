import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readRun } from '../src/index.ts';
import { fwp } from './commands/run-command-line.ts';
import { temporaryFolder } from './temporary-folder.ts';

const LAB = pathToFileURL(join(import.meta.dirname, '../src/index.ts')).href;
const ZOD = pathToFileURL(join(import.meta.dirname, '../node_modules/zod/index.js')).href;

/** The text of a module with experiments that train nothing. */
function experimentModule(...ids: string[]): string {
  const definitions = ids.map(
    (id, index) => `export const experiment${index} = defineExperiment({
      id: '${id}',
      title: 'Title of ${id}',
      description: 'Description.',
      paper: { id: 'a-paper', citation: 'Nobody (2020)', url: 'https://example.org' },
      config: z.object({ factor: z.number().positive().default(2).describe('what the size is multiplied with'), sizes: z.array(z.int()).default([1, 2]) }),
      presets: { quick: { summary: 'two sizes', measuredSeconds: { wasm: 134 } }, paper: { summary: 'three', config: { sizes: [1, 2, 3] }, seeds: [1, 2] } },
      trials: ({ sizes }) => sizes.map((size) => ({ size })),
      run: async ({ config, key, steps }) => {
        for await (const _ of steps({ total: 3 }));
        return { product: key.size * config.factor };
      },
      published: [{ size: 2, product: 4, source: 'Table 1' }],
      claims: [
        { text: 'Products grow', holds: (rows) => ({ pass: rows[1].product > rows[0].product, observed: rows.map(({ product }) => product).join(' < ') }) },
        { text: 'Size 3 is the largest', holds: (rows) => rows.length < 3 ? undefined : { pass: true, observed: 'yes' } },
      ],
      report: { metric: 'product', rows: 'size' },
    });`,
  );
  return `import { defineExperiment } from '${LAB}';\nimport { z } from '${ZOD}';\n${definitions.join('\n')}`;
}

/** Writes files into a folder. */
function write(folder: string, files: Readonly<Record<string, string | object>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
}

/** Makes a package, and installs it in a project by a link as workspaces do. */
function install(project: string, name: string, manifest: object, files: Readonly<Record<string, string>>): void {
  write(join(project, 'packages', name), {
    'package.json': { name, version: '1.2.3', type: 'module', ...manifest },
    ...files,
  });
  const link = join(project, 'node_modules', name);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(join(project, 'packages', name), link);
}

const EXPERIMENTS = { exports: { '.': { default: './main.mjs' } }, fwp: { experiments: '.' } };

let project: string;
const before = process.cwd();
beforeEach(() => {
  project = temporaryFolder();
  process.chdir(project);
  write(project, { 'package.json': { name: 'project', dependencies: { app: '1.2.3', other: '*' } } });
  install(project, 'app', EXPERIMENTS, { 'main.mjs': experimentModule('app/first', 'app/second') });
  install(project, 'other', {}, {});
});
afterEach(() => {
  process.chdir(before);
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

const WASM = ['--device', 'wasm', '--threads', '1'];

describe('the registry', () => {
  const ids = async (): Promise<string[]> =>
    (JSON.parse((await fwp('list', '--json')).stdout) as { id: string }[]).map(({ id }) => id);

  it('has the experiments of all packages on which the project depends', async () => {
    expect(await ids()).toEqual(['app/first', 'app/second']);
  });

  it('looks upwards for the project, and at the root of its workspace', async () => {
    write(project, {
      'pnpm-workspace.yaml': '',
      'apps/inner/package.json': { devDependencies: { '@scope/more': '*' } },
    });
    install(
      project,
      '@scope/more',
      { main: './main.mjs', fwp: { experiments: '.' } },
      { 'main.mjs': experimentModule('more/one') },
    );
    mkdirSync(join(project, 'apps/inner/deep'), { recursive: true });
    process.chdir(join(project, 'apps/inner/deep'));
    expect(await ids()).toEqual(['app/first', 'app/second', 'more/one']);
  });

  it('has those of the project itself, and each package once', async () => {
    process.chdir(join(project, 'packages/app'));
    expect(await ids()).toEqual(['app/first', 'app/second']);
  });

  it.each<[string, object, Record<string, string>, string]>([
    ['throws', EXPERIMENTS, { 'main.mjs': "throw new Error('broken\\nfor many reasons')" }, 'broken'],
    ['is not there', EXPERIMENTS, {}, "can't be loaded"],
    [
      'is not exported',
      { exports: { '.': './main.mjs' }, fwp: { experiments: './x' } },
      {},
      `names "./x", which exports doesn't have`,
    ],
    ['is named strangely', { fwp: { experiments: true } }, {}, 'field fwp.experiments of package.json is true'],
    [
      'defines nonsense',
      EXPERIMENTS,
      { 'main.mjs': experimentModule('NONSENSE') },
      "Experiment 'NONSENSE': id must be",
    ],
  ])(
    'tells in one line about a package whose module %s, and has the others',
    async (_what, manifest, files, message) => {
      install(project, 'broken', manifest, files);
      write(project, { 'package.json': { dependencies: { broken: '*', app: '*' } } });
      const { status, stdout, stderr } = await fwp('list', '--json');
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toHaveLength(2);
      expect(stderr).toMatch(/^The experiments of package 'broken' can't be loaded: .*\n$/);
      expect(stderr).toContain(message);
    },
  );

  it('refuses two experiments of one id', async () => {
    install(project, 'other-app', EXPERIMENTS, { 'main.mjs': experimentModule('app/second') });
    write(project, { 'package.json': { dependencies: { app: '*', 'other-app': '*' } } });
    const { status, stderr } = await fwp('list');
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /Two experiments are called 'app\/second', in (app and in other-app|other-app and in app)\./,
    );
  });

  it('says what to do where there is nothing', async () => {
    write(project, { 'package.json': {} });
    expect(await fwp('list')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('fwp run ./my-experiment.ts'),
    });
    expect(await fwp('list', '--json')).toMatchObject({ status: 0, stdout: '[]\n' });
  });
});

describe('fwp list', () => {
  it('--json has ids, titles, papers and presets with their measured durations', async () => {
    const [first] = JSON.parse((await fwp('list', '--json')).stdout);
    expect(first).toEqual({
      id: 'app/first',
      title: 'Title of app/first',
      paper: { id: 'a-paper', citation: 'Nobody (2020)', url: 'https://example.org' },
      presets: [
        { name: 'quick', summary: 'two sizes', seeds: [1], measuredSeconds: { wasm: 134 } },
        { name: 'paper', summary: 'three', seeds: [1, 2], measuredSeconds: {} },
      ],
      package: 'app',
    });
  });

  it('shows a table', async () => {
    expect((await fwp('list')).stdout).toMatch(/app\/first +Title of app\/first +a-paper +quick \(2 min 14 s\), paper/);
  });
});

describe('fwp info', () => {
  it('tells presets, settings with their values, and claims', async () => {
    const { stdout, status } = await fwp('info', 'app/first', '--preset', 'paper');
    expect(status).toBe(0);
    expect(stdout).toMatch(/factor +2 +number > 0 +what the size is multiplied with/);
    expect(stdout).toMatch(/sizes +\[1,2,3\] +list of integer/);
    expect(stdout).toContain('- Products grow');
    expect(stdout).toContain('fwp run app/first --preset paper');
  });

  it('--json has the same', async () => {
    const information = JSON.parse((await fwp('info', 'app/first', '--json')).stdout);
    expect(information).toMatchObject({
      id: 'app/first',
      package: 'app',
      preset: 'quick',
      presets: [
        { name: 'quick', trials: 2, seeds: [1] },
        { name: 'paper', trials: 3, seeds: [1, 2] },
      ],
      settings: [
        { path: 'factor', value: 2 },
        { path: 'sizes', value: [1, 2] },
      ],
      claims: ['Products grow', 'Size 3 is the largest'],
    });
  });
});

describe('fwp run', () => {
  it('--json prints one document with the contract of scripts, and nothing else, on stdout', async () => {
    const { status, stdout, stderr } = await fwp(
      'run',
      'app/first',
      ...WASM,
      '--seed',
      '3..4',
      '--set',
      'factor=3',
      '--json',
    );
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toEqual({
      id: 'app/first',
      preset: 'quick',
      device: 'wasm',
      threads: 1,
      seeds: [3, 4],
      seconds: expect.any(Number),
      results: [
        { size: 1, product: 3, seed: 3 },
        { size: 2, product: 6, seed: 3 },
        { size: 1, product: 3, seed: 4 },
        { size: 2, product: 6, seed: 4 },
      ],
      published: [{ size: 2, product: 4, source: 'Table 1' }],
      claims: [
        {
          text: 'Products grow',
          pass: true,
          perSeed: [
            { seed: 3, pass: true, observed: '3 < 6' },
            { seed: 4, pass: true, observed: '3 < 6' },
          ],
        },
        { text: 'Size 3 is the largest', pass: null, perSeed: [] },
      ],
      runDir: expect.stringMatching(/runs.app-first.quick-\d{8}-\d{6}-[0-9a-f]{4}$/),
      report: expect.stringMatching(/report\.html$/),
    });
    expect(readFileSync(document.report, 'utf8')).toContain('</html>');
    expect(stderr).toContain('[4/4] size=2 seed=4  product 6');
    const { config } = await readRun(document.runDir);
    expect(config.environment.packages).toMatchObject({ app: '1.2.3' });
    expect(config.source).toEqual({ package: 'app' });
  });

  it('prints the table beside the paper, the claims and where the report is', async () => {
    const { status, stdout } = await fwp('run', 'app/first', ...WASM, '--out', 'here', '--quiet');
    expect(status).toBe(0);
    expect(stdout).toMatch(/size.*product.*paper/);
    expect(stdout).toContain('PASS  Products grow');
    expect(stdout).toContain(`Report: ${join('here', 'report.html')}`);
  });

  it('--strict exits with 3 if a claim fails; without it the status is 0', async () => {
    const failing = ['run', 'app/first', ...WASM, '--set', 'sizes=2,1', '--quiet'];
    expect((await fwp(...failing, '--out', 'a')).status).toBe(0);
    expect((await fwp(...failing, '--out', 'b', '--strict')).status).toBe(3);
    expect((await fwp('resume', 'b', '--strict')).status).toBe(3);
    expect((await fwp('run', 'app/first', ...WASM, '--quiet', '--out', 'c', '--strict')).status).toBe(0);
  });

  it('--quiet says nothing on stderr', async () => {
    expect((await fwp('run', 'app/first', ...WASM, '--quiet')).stderr).toBe('');
  });

  it('--dry-run keeps nothing and prints the resolved settings', async () => {
    const { status, stdout } = await fwp('run', 'app/first', ...WASM, '--dry-run', '--json', '--set', 'factor=5');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      preset: 'quick',
      config: { factor: 5 },
      trials: [{ steps: 3 }, { steps: 3 }],
    });
    await expect(readRun('runs')).rejects.toThrow('is not a run');
  });

  it('runs an experiment in a file, and resumes it', async () => {
    write(project, {
      'mine/experiments.mjs': experimentModule('mine/one'),
      'two.mjs': experimentModule('two/a', 'two/b'),
    });
    const { status } = await fwp('run', './mine/experiments.mjs', ...WASM, '--out', 'out');
    expect(status).toBe(0);
    const { config } = await readRun('out');
    expect(config.source).toEqual({ file: '../mine/experiments.mjs' });
    expect(config.command).toMatch(/^fwp run '.*mine.experiments\.mjs#mine\/one' --preset quick/);
    expect(await fwp('resume', 'out', '--json')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('"mine/one"'),
    });
    expect(await fwp('run', 'two.mjs')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('two.mjs#two/a, two.mjs#two/b'),
    });
    expect((await fwp('run', 'two.mjs#two/b', ...WASM, '--out', 'out-b')).status).toBe(0);
    expect((await readRun('out-b')).config.command).toContain("'two.mjs#two/b'");
    expect((await fwp('resume', 'out-b')).status).toBe(0);
    expect(await fwp('run', 'two.mjs#two/c')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("two.mjs has no experiment 'two/c'. Did you mean"),
    });
  });

  it('says no more than the message where data are missing or damaged', async () => {
    for (const name of ['MissingDataError', 'CorruptDataError']) {
      const failing = `throw Object.assign(new Error('no data'), { name: '${name}' });`;
      write(project, { [`${name}.mjs`]: experimentModule('mine/one').replace('return {', `${failing} return {`) });
      const { status, stderr } = await fwp('run', `./${name}.mjs`, ...WASM, '--quiet', '--out', name);
      expect([status, stderr]).toEqual([1, 'no data\n']);
    }
  });

  it.each<[string[], string]>([
    [['run', 'app/frist'], "Unknown experiment 'app/frist'. Did you mean 'app/first'?"],
    [['run', 'first'], "Did you mean 'app/first'?"],
    [['run', 'app/first', '--preset', 'papre'], "Unknown preset 'papre'. Did you mean 'paper'?"],
    [['run', 'app/first', '--set', 'faktor=1'], "unknown setting 'faktor'. Did you mean 'factor'?"],
    [['run', 'app/first', '--set', 'factor=-1'], 'factor: Too small'],
    [['run', 'app/first', '--set', 'sizes='], 'empty grid'],
    [['run', 'app/first', '--set', 'sizes=1,1'], 'twice in its grid'],
    [['run', 'app/first', '--device', 'wsam'], "Unknown device 'wsam'. Did you mean 'wasm'?"],
    [['run', 'app/first', '--device', 'webgpu'], 'no GPU adapter'],
    [['run', 'app/first', '--device', 'cpu', '--threads', '2'], "not for 'cpu'"],
    [['run', 'app/first', '--threads', '1000'], 'threads must be a whole number from 1 to 64'],
    [['run', 'app/first', '--threads', 'two'], 'whole number of at least 1'],
    [['run', 'app/first', '--seed', '3..1'], 'expected seeds such as'],
    [['run', 'app/first', '--seed', '1,1'], 'Seed 1 is there twice'],
    [['run', 'app/first', '--prest', 'x'], 'Did you mean --preset?'],
    [['rum', 'app/first'], 'Did you mean run?'],
    [['run', './nothing.mjs'], 'There is no file'],
    [['run', './package.json'], 'package.json'],
    [['resume', 'nowhere'], 'nowhere is not a run'],
    [['info', 'app'], "Unknown experiment 'app'"],
    [[], 'Usage: fwp'],
  ])('%j is refused with status 2', async (words, message) => {
    // No GPU here, whatever there is.
    vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => null } });
    const { status, stdout, stderr } = await fwp(...words);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
    expect(stdout).toBe('');
  });

  it('that a run is there already says how to go on with it', async () => {
    await fwp('run', 'app/first', ...WASM, '--out', 'here', '--quiet');
    const again = await fwp('run', 'app/first', ...WASM, '--out', 'here');
    expect(again).toMatchObject({ status: 2, stderr: expect.stringContaining('fwp resume here') });
  });
});

describe('fwp resume, outside of the project', () => {
  it('looks in the project that the run is in', async () => {
    await fwp('run', 'app/first', ...WASM, '--out', 'here', '--quiet');
    process.chdir(temporaryFolder());
    expect((await fwp('resume', join(project, 'here'), '--quiet')).status).toBe(0);
    expect(await fwp('report', join(project, 'here'))).toMatchObject({ status: 0, stderr: '' });
  });

  it('says where to give the command if the run is elsewhere too', async () => {
    const elsewhere = temporaryFolder();
    await fwp('run', 'app/first', ...WASM, '--out', join(elsewhere, 'run'), '--quiet');
    process.chdir(elsewhere);
    expect(await fwp('resume', 'run')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(
        /^run is a run of 'app\/first', which neither .* Give the command in a project that depends on the package 'app'\.\n$/,
      ),
    });
  });
});

describe('help', () => {
  it.each([[['--help']], [['run', '--help']], [['help', 'run']], [['info', '--help']], [['resume', '--help']]])(
    '%j has examples and status 0',
    async (words) => {
      const { status, stdout } = await fwp(...words);
      expect(status).toBe(0);
      expect(stdout).toMatch(/Examples?:\n {2}fwp /);
    },
  );

  it('--version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8'));
    expect((await fwp('--version')).stdout).toBe(`${version}\n`);
  });
});
