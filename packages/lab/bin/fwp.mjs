#!/usr/bin/env node
/** The `fwp` command: a committed file, so that package managers can link it before anything is built. */
import { main } from '../dist/cli.js';

// A reader that went away (`fwp list | head`) is no mistake, and no reason to stop a run.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
process.exitCode = await main(process.argv.slice(2));
