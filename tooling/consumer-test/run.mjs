/**
 * The packed packages in a user's hands: packs them, installs the packs with npm in an empty folder, type-checks and
 * trains there in Node, runs an experiment of the user's own with the `fwp` command, bundles with Vite and trains in
 * headless Chromium with and without cross-origin isolation, and on its WebGPU.
 * `node run.mjs [--keep]`; results go to .test-results/consumer.json.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { writeResults } from '@fwp/results';
import { build } from 'vite';
import { findChromium, launch, serve } from './browser.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const packages = fileURLToPath(new URL('../../packages', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'fwp-consumer-'));
const counts = { passed: 0, failed: 0, skipped: 0, failures: [] };
const exec = promisify(execFile);
const NO_CHROMIUM = 'no Chromium found; set CHROMIUM to its path';

/** Runs a program to its end; its error carries what it printed. */
async function run(command, args, options) {
  try {
    const shell = process.platform === 'win32';
    const { stdout } = await exec(command, args, { timeout: 600_000, shell, ...options });
    return stdout;
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}\n${error.stdout ?? ''}${error.stderr ?? ''}`);
  }
}

/** One test; a body that returns a string starting with "skip:" counts as skipped. */
async function test(name, body) {
  const start = performance.now();
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  try {
    const outcome = await body();
    if (typeof outcome === 'string' && outcome.startsWith('skip:')) {
      counts.skipped++;
      console.log(`- ${name} (skipped:${outcome.slice('skip:'.length)})`);
    } else {
      counts.passed++;
      console.log(`✓ ${name} (${seconds()})`);
    }
  } catch (error) {
    counts.failed++;
    counts.failures.push(`${name}: ${error.message}`);
    const lines = error.message.split('\n').slice(0, 30);
    console.log([`✗ ${name} (${seconds()})`, ...lines].join('\n  '));
  }
}

/** The outcome of `train` in fixture/train.mjs is what it should be. */
function check(outcome, name) {
  if (outcome.error) throw new Error(outcome.error);
  assert.equal(outcome.device.name, name);
  assert.ok(outcome.first > 1, `first loss ${outcome.first}`);
  assert.ok(outcome.last < outcome.first / 100, `loss ${outcome.first} → ${outcome.last}`);
  assert.equal(outcome.leaked, 0, `${outcome.leaked} tensors leaked`);
  const { first, last } = outcome.languageModel;
  assert.ok(last < 0.7 * first, `loss of the language model ${first} → ${last}`);
  const { ratio, error } = outcome.map;
  assert.ok(ratio < 0.7 && error < 0.05, `the map has the neighbour ratio ${ratio} and the error ${error}`);
}

async function prepare() {
  for (const name of readdirSync(packages)) {
    await run('pnpm', ['pack', '--pack-destination', folder], { cwd: join(packages, name) });
  }
  const packs = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  const manifest = { name: 'consumer', private: true, type: 'module' };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const require = createRequire(join(packages, 'core', 'package.json'));
  const tfjs = require('@tensorflow/tfjs-core/package.json').version;
  const peers = ['core', 'backend-webgpu'].map((name) => `@tensorflow/tfjs-${name}@${tfjs}`);
  const wanted = [...packs.map((pack) => `./${pack}`), ...peers];
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...wanted], { cwd: folder });
  cpSync(join(here, 'fixture'), folder, { recursive: true });
}

async function testNode() {
  await test('the pack has what it needs and no native binary', () => {
    const installed = join(folder, 'node_modules/@fwp/core');
    const kernels = readdirSync(join(installed, 'kernels')).sort();
    assert.deepEqual(kernels, ['kernels-single.wasm', 'kernels.wasm']);
    const manifest = readFileSync(join(installed, 'package.json'), 'utf8');
    assert.ok(!manifest.includes('@fwp/source'), 'the private condition is published');
    assert.ok(!manifest.includes('workspace:'), 'a workspace range is published');
  });
  for (const [module, resolution] of [
    ['esnext', 'bundler'],
    ['nodenext', 'nodenext'],
  ]) {
    await test(`types with moduleResolution ${resolution}`, async () => {
      const tsc = createRequire(import.meta.url).resolve('typescript/lib/tsc.js');
      const flags = `--noEmit --strict --skipLibCheck --target es2022 --types --lib es2023,dom`;
      const options = [...flags.split(' '), '--module', module, '--moduleResolution', resolution];
      await run(process.execPath, [tsc, ...options, 'types.ts'], { cwd: folder });
    });
  }
  for (const threads of [1, 2]) {
    await test(`Node, wasm, ${threads} thread(s)`, async () => {
      const options = JSON.stringify({ device: 'wasm', threads });
      const printed = await run(process.execPath, ['node.mjs', options], { cwd: folder });
      check(JSON.parse(printed.trim().split('\n').at(-1)), 'wasm');
    });
  }
  await test('Node, native, after fwp-build-native', async () => {
    const printed = await run('npx', ['--no-install', 'fwp-build-native'], { cwd: folder });
    if (!printed.includes('native engine built with')) return `skip: ${printed.trim()}`;
    const options = JSON.stringify({ device: 'native', threads: 2 });
    const trained = await run(process.execPath, ['node.mjs', options], { cwd: folder });
    check(JSON.parse(trained.trim().split('\n').at(-1)), 'native');
  });
}

/** An experiment in a file of the user's own; its package.json names no package with experiments. */
async function testCommand() {
  const fwp = async (...args) => (await run('npx', ['--no-install', 'fwp', ...args], { cwd: folder })).trim();
  await test('fwp run ./experiment.ts', async () => {
    const document = JSON.parse(await fwp('run', './experiment.ts', '--device', 'wasm', '--json', '--out', 'run'));
    assert.equal(document.results.length, 2);
    assert.deepEqual(
      document.claims.map(({ pass }) => pass),
      [true],
    );
    assert.match(readFileSync(resolve(folder, document.report), 'utf8'), /Gradient descent on a parabola/);
  });
  await test('fwp report, of a run alone', async () => {
    assert.match(await fwp('report', 'run', '--markdown'), /start/);
  });
}

async function testBrowser() {
  const site = join(folder, 'site');
  let bundled = false;
  await test('bundles with Vite', async () => {
    await build({
      root: folder,
      configFile: false,
      logLevel: 'silent',
      worker: { format: 'es' },
      build: {
        ...{ outDir: site, target: 'es2022', assetsInlineLimit: 0 },
        rollupOptions: { input: ['index.html', 'gpu.html'].map((page) => join(folder, page)) },
      },
    });
    bundled = true;
  });
  const executable = findChromium();
  const browser = executable ? await launch(executable) : undefined;
  for (const { name, path, isolated } of [
    { name: 'Chromium, isolated page', path: '', isolated: true },
    { name: 'Chromium, page without isolation (one thread)', path: '', isolated: false },
    { name: 'Chromium, web worker of an isolated page', path: '?worker', isolated: true },
    { name: 'Chromium, web worker without isolation', path: '?worker', isolated: false },
  ]) {
    await test(name, async () => {
      if (!bundled) return 'skip: there is no bundle';
      if (!browser) return `skip: ${NO_CHROMIUM}`;
      const outcome = await outcomeOf(browser, site, path, { isolated });
      assert.equal(outcome.isolated, isolated);
      check(outcome, 'wasm');
      assert.equal(outcome.device.threads, isolated ? 2 : 1);
    });
  }
  await browser?.close();
  await test('Chromium, device webgpu: five families of operations and their gradients', async () => {
    if (!bundled) return 'skip: there is no bundle';
    if (!executable) return `skip: ${NO_CHROMIUM}`;
    const withGpu = await launch(executable, { softwareGpu: true });
    try {
      const outcome = await outcomeOf(withGpu, site, 'gpu.html', { isolated: false, timeout: 180_000 });
      if (outcome.skipped) return `skip: ${outcome.skipped}`;
      if (outcome.error) throw new Error(outcome.error);
      assert.equal(outcome.device.name, 'webgpu');
      assert.deepEqual(
        Object.values(outcome.differences).map((differences) => differences.length),
        [5, 9, 4, 5, 5],
      );
      for (const [family, differences] of Object.entries(outcome.differences)) {
        for (const difference of differences) assert.ok(difference < 1e-5, `${family}: differences ${differences}`);
      }
    } finally {
      await withGpu.close();
    }
  });
}

/** What a page leaves in `globalThis.outcome`; an error if anything went wrong in it. */
async function outcomeOf(browser, site, path, { isolated, timeout = 60_000 }) {
  const server = await serve(site, { isolated });
  const page = await browser.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  try {
    await page.goto(server.url + path);
    await page.waitForFunction(() => globalThis.outcome, undefined, { timeout });
    const outcome = await page.evaluate(() => globalThis.outcome);
    assert.deepEqual(errors, []);
    return outcome;
  } catch (error) {
    throw new Error([error.message, ...errors].join('\n'));
  } finally {
    await page.close();
    server.close();
  }
}

let prepared = false;
await test('npm install of the packs', async () => {
  await prepare();
  prepared = true;
});
if (prepared) {
  await testNode();
  await testCommand();
  await testBrowser();
}
writeResults(here, 'consumer', counts);
if (process.argv.includes('--keep')) console.log(`kept ${folder}`);
else rmSync(folder, { recursive: true, force: true });
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed ? 1 : 0);
