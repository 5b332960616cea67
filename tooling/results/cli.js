/** `node cli.js clear` removes all result files of the checkout; `node cli.js` prints them and fails on a failure. */
import { fileURLToPath } from 'node:url';
import { clearResults, formatResults, readResults, sumResults } from './index.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
if (process.argv[2] === 'clear') {
  clearResults(root);
} else {
  const rows = readResults(root);
  console.log(formatResults(rows));
  const { passed, failed } = sumResults(rows);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}
