/** `fwp setup tensorflow`, with programs that do as if: no network, no compiler and no TensorFlow are needed. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { InterruptedError, SetupError, UsageError } from '../../src/errors.ts';
import { removeTensorflow, setUpTensorflow, type TensorflowSetupOptions } from '../../src/setup/tensorflow/set-up.ts';
import { fwp } from '../commands/run-command-line.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { type FakePrograms, installFakes, tensorflowFiles, writeFiles } from './fake-programs.ts';

type Tried = Awaited<ReturnType<NonNullable<TensorflowSetupOptions['tryDevice']>>>;
const CPU = { version: '2.21.0', processor: 'CPU' };
const NONE = { problem: "Device 'tensorflow' is not there." };

/** A set-up in folders of its own: nothing works at first, and what is assembled works. */
function prepare(programs: FakePrograms = {}, { present = NONE as Tried, assembled = CPU as Tried } = {}) {
  const root = temporaryFolder();
  const [place, project] = [join(root, 'cache', 'tensorflow'), join(root, 'project')];
  mkdirSync(project);
  const { environment, calls } = installFakes(join(root, 'bin'), programs);
  let text = '';
  const tried: string[] = [];
  return {
    ...{ root, place, project, calls, tried },
    text: () => text,
    /** What is in the folder in which it was assembled. */
    beside: () => (existsSync(join(root, 'cache')) ? readdirSync(join(root, 'cache')) : []),
    run: (options: Partial<TensorflowSetupOptions> = {}) =>
      setUpTensorflow({
        ...{ folder: place, project, environment, output: { write: (line) => (text += line) } },
        tryDevice: async (_context, folder) => (tried.push(folder) === 1 ? present : assembled),
        ...options,
      }),
  };
}

/** The words with which the compiler linked the binding. */
function linkWords(calls: readonly string[][]): string[] {
  return calls.find((words) => words.some((word) => word.endsWith('tfjs_binding.node'))) ?? [];
}

const record = (place: string) => JSON.parse(readFileSync(join(place, 'setup.json'), 'utf8'));

describe.skipIf(process.platform !== 'linux')('fwp setup tensorflow', () => {
  it('assembles one of an installed Python TensorFlow, which stays where it is', async () => {
    const site = temporaryFolder();
    writeFiles(site, tensorflowFiles());
    const installed = join(site, 'tensorflow');
    const { run, place, calls, beside, text, tried } = prepare({ installed });
    await run();
    expect(beside()).toEqual(['tensorflow']);
    expect(readdirSync(place).sort()).toEqual(['setup.json', 'tfjs-node', 'tfjs_binding.node']);
    expect(readdirSync(join(place, 'tfjs-node')).sort()).toEqual(['binding', 'dist', 'package.json']);
    expect(record(place)).toMatchObject({
      tensorflow: '2.21.0',
      tfjsNode: '4.22.0',
      processor: 'CPU',
      libraries: installed,
    });
    expect(linkWords(calls())).toContain(`-Wl,-rpath,${installed}`);
    expect(calls().some((words) => words.includes('pip'))).toBe(false);
    // What was assembled was tried before it took its place.
    expect(tried[1]).toMatch(/tensorflow\.new-\d+$/);
    expect(text()).toContain(`✓ TensorFlow of python3: 2.21.0, ${installed}`);
    expect(text()).toContain('✓ multiplying matrices with it: TensorFlow 2.21.0 on the CPU');
    expect(existsSync(join(installed, 'python/much.py'))).toBe(true);
  });

  it('else of the official wheel, of which it keeps the libraries', async () => {
    const { run, place, calls, text } = prepare();
    await run();
    const pip = calls().find((words) => words.includes('pip')) ?? [];
    expect(pip).toContain('--target');
    expect(pip.slice(-2)).toEqual(['--no-deps', 'tensorflow-cpu']);
    expect(readdirSync(join(place, 'libraries'))).toEqual(['tensorflow']);
    const libraries = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
    expect(readdirSync(join(place, 'libraries/tensorflow')).sort()).toEqual(libraries);
    expect(linkWords(calls())).toContain('-Wl,-rpath,$ORIGIN/libraries/tensorflow');
    expect(text()).toContain("✓ TensorFlow's libraries: 2.21.0, unpacked");
  });

  it('with --gpu of the wheels with CUDA, which the loader finds', async () => {
    const gpu = { version: '2.21.0', processor: 'GPU' };
    const { run, place, calls } = prepare({}, { present: CPU, assembled: gpu });
    await run({ gpu: true });
    expect((calls().find((words) => words.includes('pip')) ?? []).at(-1)).toBe('tensorflow[and-cuda]');
    const words = linkWords(calls());
    expect(words).toContain('-Wl,-rpath,$ORIGIN/libraries/nvidia/cudnn/lib');
    expect(words.some((word) => word.endsWith('/libcudnn.so.9'))).toBe(true);
    expect(words.some((word) => word.includes('libcudnn_ops'))).toBe(false);
    expect(readdirSync(join(place, 'libraries')).sort()).toEqual(['nvidia', 'tensorflow']);
    expect(record(place).processor).toBe('GPU');
  });

  it('with --gpu passes over an installed TensorFlow for processors', async () => {
    const site = temporaryFolder();
    writeFiles(site, tensorflowFiles());
    const { run, place, text } = prepare(
      { installed: join(site, 'tensorflow') },
      { assembled: { version: '2.21.0', processor: 'GPU' } },
    );
    await run({ gpu: true });
    expect(text()).toContain('knows no GPU');
    expect(record(place).libraries).toBe('libraries');
  });

  it('with --gpu tells that an installed TensorFlow has no CUDA libraries beside it', async () => {
    const site = temporaryFolder();
    const { 'tensorflow_cpu-2.21.0.dist-info/METADATA': metadata = '', ...files } = tensorflowFiles();
    writeFiles(site, { ...files, 'tensorflow-2.21.0.dist-info/METADATA': metadata });
    const { run, beside } = prepare({ installed: join(site, 'tensorflow') });
    await expect(run({ gpu: true })).rejects.toThrow(/no CUDA libraries beside .*\n?.*tensorflow\[and-cuda\]/);
    expect(beside()).toEqual([]);
  });

  it('knows the version of TensorFlow from those of packages around it', async () => {
    const site = temporaryFolder();
    writeFiles(site, { ...tensorflowFiles(), 'tensorflow_aaa-0.16.1.dist-info/METADATA': '' });
    const { run, text } = prepare({ installed: join(site, 'tensorflow') });
    await run();
    expect(text()).toContain('✓ TensorFlow of python3: 2.21.0,');
  });

  it('does nothing where one works, unless it is told to', async () => {
    const { run, calls, beside, text } = prepare({}, { present: CPU });
    await run();
    expect(text()).toContain('nothing needs to be done');
    expect([calls(), beside()]).toEqual([[], []]);
    const again = prepare({}, { present: CPU });
    await again.run({ again: true });
    expect(again.beside()).toEqual(['tensorflow']);
  });

  it('takes the package that the project has, if it is of the right version', async () => {
    const own = prepare();
    const write = (version: string, project: string) =>
      writeFiles(join(project, 'node_modules/@tensorflow/tfjs-node'), {
        'package.json': JSON.stringify({ name: '@tensorflow/tfjs-node', version }),
        'dist/own.js': '',
        'binding/tfjs_backend.cc': '',
      });
    write('4.22.0', own.project);
    await own.run();
    expect(readdirSync(join(own.place, 'tfjs-node/dist'))).toEqual(['own.js']);
    expect(own.calls().some(([name]) => name === 'npm')).toBe(false);
    const old = prepare();
    write('4.10.0', old.project);
    await old.run();
    expect(readdirSync(join(old.place, 'tfjs-node/dist'))).toEqual(['nodejs_kernel_backend.js']);
  });

  it.each([
    [
      'no compiler',
      { programs: {}, options: { environment: { CXX: 'no-such-compiler', PATH: '' } } },
      /No C\+\+ compiler.*CXX/,
    ],
    ['a compiler that fails', { programs: { failing: ['c++'] } }, /c\+\+ failed at .*\nerror: c\+\+ has no luck/],
    [
      'pip that fails',
      { programs: { failing: ['python3'] } },
      /pip could not fetch tensorflow-cpu:\nerror: python3 has no luck[\s\S]*--from/,
    ],
    [
      'npm that fails',
      { programs: { failing: ['npm'] } },
      /npm could not fetch @tensorflow\/tfjs-node@4\.22\.0[\s\S]*--ignore-scripts/,
    ],
    [
      'another version from npm',
      { programs: { tfjsNode: '4.21.0' } },
      /npm brought @tensorflow\/tfjs-node 4\.21\.0; expected 4\.22\.0/,
    ],
    [
      'a product of matrices that is wrong',
      { programs: {}, assembled: { problem: 'A product is wrong.' } },
      /does not work:\nA product is wrong/,
    ],
    [
      'no GPU where one was asked for',
      {
        programs: {},
        options: { gpu: true },
        assembled: { ...CPU, messages: ['failed call to cuInit: UNKNOWN ERROR (303)'] },
      },
      /finds no GPU.*nvidia-smi.*\nTensorFlow said:\nfailed call to cuInit/,
    ],
  ] as [string, { programs: FakePrograms; options?: Partial<TensorflowSetupOptions>; assembled?: Tried }, RegExp][])(
    'changes nothing after %s, and says what to do',
    async (_, { programs, options = {}, assembled = CPU }, message) => {
      const { run, place, beside } = prepare(programs, { assembled });
      writeFiles(place, { 'setup.json': '{}', 'tfjs_binding.node': 'the one before' });
      const error = await run(options).catch((reason: Error) => reason);
      expect(error).toBeInstanceOf(SetupError);
      expect((error as Error).message).toMatch(message);
      expect(beside()).toEqual(['tensorflow']);
      expect(readFileSync(join(place, 'tfjs_binding.node'), 'utf8')).toBe('the one before');
    },
  );

  it('changes nothing when it is interrupted, whatever is running', async () => {
    const controller = new AbortController();
    const { run, beside, calls } = prepare({ compile: 'exec sleep 1000' });
    const isCompiling = (): boolean => calls().some(([name, ...words]) => name === 'c++' && words.includes('-c'));
    const watch = setInterval(() => isCompiling() && controller.abort(), 20);
    await expect(run({ signal: controller.signal })).rejects.toThrow(InterruptedError);
    clearInterval(watch);
    expect(beside()).toEqual([]);
  });

  it('passes over an installed TensorFlow that it cannot use', async () => {
    const site = temporaryFolder();
    writeFiles(site, tensorflowFiles('2.4.1'));
    const { run, place, text } = prepare({ installed: join(site, 'tensorflow') });
    await run();
    expect(text()).toContain('is TensorFlow 2.4.1; expected one from 2.9');
    expect(record(place).libraries).toBe('libraries');
  });
});

describe.skipIf(process.platform !== 'linux')('fwp setup tensorflow --from', () => {
  it('takes the folder of the package, the one around it, and a virtual environment', async () => {
    const environment = temporaryFolder();
    const site = join(environment, 'lib/python3.12/site-packages');
    writeFiles(site, tensorflowFiles('2.20.0'));
    for (const from of [join(site, 'tensorflow'), site, environment]) {
      const { run, place, text } = prepare();
      await run({ from });
      expect(record(place).libraries).toBe(join(site, 'tensorflow'));
      expect(text()).toContain('2.20.0');
    }
  });

  it('takes a wheel', async () => {
    const { run, project, place, calls } = prepare();
    writeFileSync(join(project, 'tensorflow.whl'), '');
    await run({ from: 'tensorflow.whl' });
    expect((calls().find((words) => words.includes('pip')) ?? []).at(-1)).toBe(join(project, 'tensorflow.whl'));
    expect(record(place).libraries).toBe('libraries');
  });

  it.each([
    ['nowhere', /there is no such file or folder/],
    ['empty', /has no TensorFlow: expected libtensorflow_cc\.so\.2/],
    ['file.zip', /expected a folder, or a wheel/],
  ])('%s is refused', async (from, message) => {
    const { run, project, beside } = prepare();
    writeFiles(project, { 'file.zip': '', 'empty/nothing': '' });
    const error = await run({ from }).catch((reason: Error) => reason);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toMatch(message);
    expect(beside()).toEqual([]);
  });

  it('names what a folder lacks', async () => {
    const { run, project } = prepare();
    writeFiles(project, { 'old/libtensorflow_framework.so.2': '', 'old/libtensorflow_cc.so.2': '' });
    await expect(run({ from: 'old' })).rejects.toThrow(/has no include\/tensorflow\/c\/c_api\.h/);
  });
});

describe('a folder that somebody else filled', () => {
  it.skipIf(process.platform !== 'linux')('is neither replaced nor removed', async () => {
    const { run, place } = prepare();
    writeFiles(place, { 'thesis.tex': '' });
    await expect(run()).rejects.toThrow(/has files that 'fwp setup tensorflow' did not make/);
    await expect(removeTensorflow({ write: () => {} }, place)).rejects.toThrow(UsageError);
    expect(readdirSync(place)).toEqual(['thesis.tex']);
  });
});

describe('fwp setup tensorflow --remove', () => {
  it('removes what was assembled, and says so if there is nothing', async () => {
    const place = join(temporaryFolder(), 'tensorflow');
    let text = '';
    const output = { write: (line: string) => (text += line) };
    writeFiles(place, { 'setup.json': '{}', 'tfjs_binding.node': '' });
    await removeTensorflow(output, place);
    expect(existsSync(place)).toBe(false);
    await removeTensorflow(output, place);
    expect(text).toContain('Nothing was set up in');
  });
});

describe('fwp setup', () => {
  it('knows one device', async () => {
    const { status, stderr } = await fwp('setup', 'webgpu');
    expect(status).toBe(2);
    expect(stderr).toContain('Only device tensorflow needs to be set up.');
  });

  it('explains itself', async () => {
    const { status, stdout } = await fwp('setup', '--help');
    expect(status).toBe(0);
    expect(stdout).toMatch(/Examples:\n {2}fwp setup tensorflow\n/);
  });
});
