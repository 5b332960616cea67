/**
 * `fwp setup tensorflow` with pip itself, where there is one: small wheels in a folder stand for TensorFlow's and CUDA's, so that
 * what pip is told is checked by pip. The other programs do as if.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SetupError } from '../../src/errors.ts';
import { setUpTensorflow } from '../../src/setup/tensorflow/set-up.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { installFakes } from './fake-programs.ts';

const PYTHON = 'python3';
const hasPip = spawnSync(PYTHON, ['-m', 'pip', '--version']).status === 0;

/** Writes a wheel: files and metadata, each with its line in RECORD. */
const WHEEL_SCRIPT = `
import json, sys, zipfile
path, name, version, files, metadata = sys.argv[1:]
info = f'{name}-{version}.dist-info'
text = f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{metadata}'
tags = 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'
contents = {**json.loads(files), f'{info}/METADATA': text, f'{info}/WHEEL': tags}
record = ''.join(f'{name},,\\n' for name in [*contents, f'{info}/RECORD'])
with zipfile.ZipFile(f'{path}/{name}-{version}-py3-none-any.whl', 'w') as wheel:
    for file, content in {**contents, f'{info}/RECORD': record}.items():
        wheel.writestr(file, content)
`;

function writeWheel(folder: string, name: string, files: Readonly<Record<string, string>>, metadata = ''): string {
  const words = [folder, name, '2.21.0', JSON.stringify(files), metadata];
  const { status, stderr } = spawnSync(PYTHON, ['-c', WHEEL_SCRIPT, ...words], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return join(folder, `${name}-2.21.0-py3-none-any.whl`);
}

const LIBRARIES = {
  'tensorflow/__init__.py': '',
  'tensorflow/libtensorflow_cc.so.2': 'cc',
  'tensorflow/libtensorflow_framework.so.2': 'framework',
  'tensorflow/include/tensorflow/c/c_api.h': '',
  'tensorflow/include/tensorflow/c/eager/c_api.h': '',
};

/** An empty Python with pip that finds wheels in a folder only, and fakes of npm and the compiler. */
function prepare() {
  const root = temporaryFolder();
  const [place, project, wheels, bin] = ['cache/tensorflow', 'project', 'wheels', 'bin'].map((name) =>
    join(root, name),
  ) as [string, string, string, string];
  for (const folder of [project, wheels]) mkdirSync(folder);
  const { environment, calls } = installFakes(bin);
  // pip itself, with no TensorFlow of the machine's Python in sight.
  rmSync(join(bin, 'python3'));
  const python = join(bin, 'python-with-pip');
  writeFileSync(python, `#!/bin/sh\n[ "$1" = -c ] && exit 0\nexec ${PYTHON} "$@"\n`, { mode: 0o755 });
  const wheel = (name: string, files: Readonly<Record<string, string>>, metadata?: string) =>
    writeWheel(wheels, name, files, metadata);
  wheel('tensorflow_cpu', { ...LIBRARIES, 'tensorflow/which': 'cpu' });
  const gpuWheel = wheel(
    'tensorflow',
    { ...LIBRARIES, 'tensorflow/which': 'gpu' },
    "Requires-Dist: helper\nProvides-Extra: and-cuda\nRequires-Dist: nvidia-cudnn-cu12; extra == 'and-cuda'\n",
  );
  wheel('helper', { 'helper/__init__.py': '' });
  wheel('nvidia_cudnn_cu12', { 'nvidia/cudnn/lib/libcudnn.so.9': 'cudnn', 'nvidia/__init__.py': '' });
  const run = (options: { gpu?: boolean; from?: string; processor?: string } = {}): Promise<void> => {
    const { processor = options.gpu ? 'GPU' : 'CPU', ...rest } = options;
    let tried = 0;
    return setUpTensorflow({
      ...{ folder: place, project, python, output: { write: () => {} }, ...rest },
      environment: {
        ...process.env,
        ...environment,
        PIP_NO_INDEX: '1',
        PIP_FIND_LINKS: wheels,
        PIP_CONFIG_FILE: '/dev/null',
      },
      tryDevice: async () => (tried++ === 0 ? { problem: 'There is none.' } : { version: '2.21.0', processor }),
    });
  };
  const linked = (): string[] =>
    calls().find((words) => words.some((word) => word.endsWith('tfjs_binding.node'))) ?? [];
  const beside = (): string[] => (existsSync(join(root, 'cache')) ? readdirSync(join(root, 'cache')) : []);
  return { place, gpuWheel, run, linked, beside };
}

describe.skipIf(process.platform !== 'linux' || !hasPip)('pip', () => {
  it('fetches the wheel for processors, and nothing that only Python needs', async () => {
    const { run, place, linked } = prepare();
    await run();
    expect(readdirSync(join(place, 'libraries'))).toEqual(['tensorflow']);
    expect(readFileSync(join(place, 'libraries/tensorflow/libtensorflow_cc.so.2'), 'utf8')).toBe('cc');
    expect(linked()).toContain('-Wl,-rpath,$ORIGIN/libraries/tensorflow');
  });

  it.each(['tensorflow', 'a wheel that was named'])(
    'fetches CUDA for %s, and puts it on the path of the loader',
    async (what) => {
      const { run, place, gpuWheel, linked } = prepare();
      await run({ gpu: true, ...(what === 'tensorflow' ? {} : { from: gpuWheel }) });
      expect(readdirSync(join(place, 'libraries')).sort()).toEqual(['nvidia', 'tensorflow']);
      expect(linked()).toContain('-Wl,-rpath,$ORIGIN/libraries/nvidia/cudnn/lib');
      expect(linked().some((word) => word.endsWith('/libcudnn.so.9'))).toBe(true);
    },
  );

  it('leaves nothing behind where no GPU computes in the end', async () => {
    const { run, beside } = prepare();
    const error = await run({ gpu: true, processor: 'CPU' }).catch((reason: Error) => reason);
    expect(error).toBeInstanceOf(SetupError);
    expect((error as Error).message).not.toContain('no CUDA libraries beside');
    expect(beside()).toEqual([]);
  });
});
