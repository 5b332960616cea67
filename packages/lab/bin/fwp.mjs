#!/usr/bin/env node
/** The `fwp` command: a committed file, so that package managers can link it before anything is built. */
import { main } from '../dist/cli.js';

process.exitCode = await main(process.argv.slice(2));
