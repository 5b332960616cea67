/** docs/tfjs-suite.md: what the last whole run said. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../../../../docs/tfjs-suite.md', import.meta.url));
const { version } = JSON.parse(
  readFileSync(createRequire(import.meta.url).resolve('@tensorflow/tfjs-core/package.json'), 'utf8'),
);

/** Writes the page from the reports of all devices. */
export async function writeReport(reports) {
  const excluded = new Map(reports.flatMap((report) => report.excluded.map(({ name, reason }) => [name, reason])));
  const pending = new Set(reports.flatMap((report) => report.pending));
  const fallbacks = [...new Set(reports.flatMap((report) => [...report.fallbackCalls.keys()]))].sort();
  const page = `# tfjs's own tests

tfjs-core ${version} ships its test suite. It runs against this backend, on both CPU devices, as part of \`npm test\`, or by itself:

\`\`\`sh
pnpm --filter @fwp/core test:conformance                # both devices
pnpm --filter @fwp/core test:conformance --device wasm --filter matmul
pnpm --filter @fwp/core test:conformance --device cpu   # the control: tfjs's own CPU backend, with our gradients
pnpm --filter @fwp/core test:conformance --write        # brings this page up to date
\`\`\`

| device | passed | failed | excluded | pending in tfjs itself |
|---|---|---|---|---|
${reports.map((r) => `| ${r.device} | ${r.passed} | ${r.problems.length} | ${r.excluded.length} | ${r.pending.length} |`).join('\n')}

The tests run with two threads, with every new block of memory filled with NaN and fenced, so that a kernel which leaves
an element unwritten, writes too far, or frees a block twice fails its test; and with tfjs's own search for leaked tensors.
Tests that need a browser (canvas, video, IndexedDB, WebGL) are not declared in Node.

## Excluded

Each of these must fail, or the run fails: an exclusion that is no longer needed has to go.

${[...excluded].map(([name, reason]) => `- \`${name}\`: ${reason}`).join('\n')}

## Pending in tfjs itself

${[...pending].map((name) => `- \`${name}\``).join('\n')}

## Kernels that ran through tfjs's CPU implementation

Complete but slow: they copy their inputs out of the heap and their outputs back. Some are here only for dtypes or shapes
that the C kernel leaves to the fallback.

${fallbacks.join(', ') || 'None.'}
`;
  writeFileSync(file, page);
}
