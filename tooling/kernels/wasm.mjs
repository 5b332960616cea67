/**
 * Compiles the units of csrc to WebAssembly with the Clang and LLD of the npm package @yowasp/clang, which itself is
 * WebAssembly: no C toolchain is needed. Two modules come out: one for threads (imported, shared memory) and one
 * without.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  findObject,
  fingerprint,
  includedBy,
  keepObject,
  listSources,
  listUnits,
} from '../../packages/core/build/native.mjs';

const COMPILE = [
  '--target=wasm32',
  '-std=gnu17',
  '-O3',
  '-ffreestanding',
  '-fvisibility=hidden',
  '-msimd128',
  '-mbulk-memory',
  '-mnontrapping-fptoint',
  '-msign-ext',
  '-mmutable-globals',
  '-matomics',
  '-pthread',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-fno-strict-aliasing',
  '-ffp-contract=fast',
  '-Wall',
  '-Wextra',
  '-Werror=implicit-function-declaration',
  '-DFWP_VARIANT=wasm',
];

const LINK = [
  '--no-entry',
  '--import-memory',
  '--export=__stack_pointer',
  '--export=__heap_base',
  '--export-if-defined=__wasm_init_tls',
  '--export-if-defined=__tls_size',
  '--export-if-defined=__tls_align',
  '-z',
  'stack-size=1048576',
  '--stack-first',
  '--strip-debug',
];

/**
 * One module each, linked from the same object files: the code is compiled with atomic instructions, which are valid on a
 * memory that is not shared as well (nothing ever waits there, because there is one thread).
 */
const MODULES = {
  kernels: ['--shared-memory', '--max-memory=4294967296'],
  'kernels-single': [],
};

/** The sources below a folder in the form that the compiler's virtual file system takes. */
function sourceTree(folder, files) {
  const tree = {};
  for (const file of files) {
    const parts = file.split(/[\\/]/);
    const name = parts.pop();
    let node = tree;
    for (const part of parts) node = node[part] ??= {};
    node[name] = readFileSync(join(folder, file), 'utf8');
  }
  return tree;
}

/** Runs one tool of the toolchain; returns the files it wrote, or throws with what it printed. */
async function runTool(tool, args, files, log) {
  const chunks = [];
  const collect = (bytes) => bytes && chunks.push(bytes.slice());
  const printed = () => Buffer.concat(chunks).toString('utf8').trimEnd();
  try {
    const result = await tool(args, files, {
      stdout: collect,
      stderr: collect,
    });
    if (printed()) log(printed());
    return result;
  } catch (error) {
    throw new Error(`${args[0]} failed: ${printed() || error.message}`, { cause: error });
  }
}

/**
 * Builds the modules unless they are up to date; returns the names of those that were built. Object files are kept in the
 * folder `objects` and used again until something that they were made of changes.
 */
export async function buildWasm({ packageDir, objects: kept, force = false, log = () => {} }) {
  const csrc = join(packageDir, 'csrc');
  const out = join(packageDir, 'kernels');
  if (!existsSync(join(csrc, 'kernels.c'))) throw new Error(`no kernels.c in ${csrc}`);
  mkdirSync(out, { recursive: true });
  const { runClang, runLLVM, version } = await import('@yowasp/clang');
  const sources = listSources(csrc).filter((file) => !file.startsWith('native'));
  const hash = fingerprint(csrc, sources, { COMPILE, LINK, MODULES }, version);
  const stale = Object.keys(MODULES).filter((name) => force || !isFresh(join(out, `${name}.wasm`), hash));
  if (stale.length === 0) return stale;

  const start = performance.now();
  await runLLVM(null, {}, { fetchProgress: () => {} }); // loads the toolchain without announcing it
  const objects = {};
  for (const unit of listUnits(csrc)) {
    const name = `wasm-${basename(unit, '.c')}`;
    const files = [...includedBy(csrc, unit)].sort();
    const cached = join(kept, `${name}-${fingerprint(csrc, files, { COMPILE }, version)}.o`);
    let bytes = findObject(cached);
    if (!bytes) {
      const args = ['clang', ...COMPILE, '-I.', '-c', unit, '-o', 'unit.o'];
      bytes = (await runTool(runClang, args, sourceTree(csrc, files), log))['unit.o'];
      keepObject(kept, cached, bytes);
    }
    objects[`${name}.o`] = bytes;
  }
  for (const name of stale) {
    const module = await runTool(
      runLLVM,
      ['wasm-ld', ...LINK, ...MODULES[name], ...Object.keys(objects), '-o', 'kernels.wasm'],
      objects,
      log,
    );
    const file = join(out, `${name}.wasm`);
    const temporary = `${file}.${process.pid}.tmp`;
    writeFileSync(temporary, module['kernels.wasm']);
    renameSync(temporary, file);
    writeFileSync(`${file}.json`, `${JSON.stringify({ hash }, null, 2)}\n`);
    log(`  ${name}.wasm: ${(module['kernels.wasm'].length / 1024).toFixed(0)} KiB`);
  }
  log(`  compiled in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return stale;
}

/** Whether a module was built from sources and flags of this hash. */
function isFresh(file, hash) {
  const stamp = `${file}.json`;
  return existsSync(file) && existsSync(stamp) && JSON.parse(readFileSync(stamp, 'utf8')).hash === hash;
}
