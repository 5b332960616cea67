/** `fwp info`: what an experiment does, its presets, settings and claims. */

import type { Command } from 'commander';
import type { Experiment } from '../experiment.ts';
import type { FoundExperiment } from '../registry.ts';
import { formatDuration } from '../report/number-format.ts';
import { hasColors, paint, textTable } from '../report/text-table.ts';
import { shellWord } from '../shell-word.ts';
import { type CliContext, print, printJson } from './cli-context.ts';

interface InfoOptions {
  readonly preset?: string;
  readonly json?: boolean;
}

/** Adds the command. */
export function addInfoCommand(program: Command, cli: CliContext): void {
  program
    .command('info')
    .description("what an experiment does: presets, settings, claims, the paper's numbers")
    .argument('<experiment>', "an id of 'fwp list', or a file")
    .option('--preset <name>', 'show the settings of this preset')
    .option('--json', 'one JSON document')
    .addHelpText('after', '\nExamples:\n  fwp info deltanet/capacity\n  fwp info ./my-experiment.ts --preset paper')
    .action(async (what: string, options: InfoOptions) => {
      const { findExperiment } = await import('../registry.ts');
      const found = await findExperiment(what, process.cwd(), (message) => cli.stderr.write(`${message}\n`));
      const information = await describe(found, options.preset);
      if (options.json) printJson(cli, information);
      else printInformation(cli, information, what);
    });
}

/** What is known about an experiment, as `--json` gives it. */
interface Information extends Pick<Experiment, 'id' | 'title' | 'description' | 'paper' | 'published' | 'report'> {
  readonly package: string | null;
  readonly presets: readonly {
    readonly name: string;
    readonly summary: string;
    readonly trials: number;
    readonly seeds: readonly number[];
    readonly measuredSeconds: Readonly<Record<string, number>>;
  }[];
  /** The preset whose values are told. */
  readonly preset: string;
  readonly settings: readonly {
    readonly path: string;
    readonly type: string;
    readonly value: unknown;
    readonly description: string;
  }[];
  readonly claims: readonly string[];
}

async function describe({ experiment, origin }: FoundExperiment, wanted: string | undefined): Promise<Information> {
  const { presetSeeds, resolveConfig } = await import('../config.ts');
  const { jsonSchemaOf, settingsOf } = await import('../settings.ts');
  const { defaultPreset } = await import('../plan.ts');
  const { id, title, description, paper, presets, published, claims, report } = experiment;
  const preset = wanted ?? defaultPreset(experiment);
  const config = resolveConfig(experiment, preset);
  return {
    ...{ id, title, description, paper },
    package: 'package' in origin ? origin.package : null,
    presets: Object.entries(presets).map(([name, { summary, measuredSeconds = {} }]) => ({
      ...{ name, summary, measuredSeconds },
      trials: experiment.trials(resolveConfig(experiment, name)).length,
      seeds: presetSeeds(presets, name),
    })),
    preset,
    settings: settingsOf(jsonSchemaOf(experiment.config)).map((setting) => ({
      ...setting,
      value: setting.path.split('.').reduce<unknown>((part, name) => (part as Record<string, unknown>)?.[name], config),
    })),
    claims: claims.map(({ text }) => text),
    ...{ published, report },
  };
}

function printInformation(cli: CliContext, information: Information, what: string): void {
  const { id, title, description, paper, presets, preset, settings, claims, published } = information;
  const colors = hasColors(cli.stdout);
  const heading = (text: string): void => print(cli, `\n${colors ? paint('bold', text) : text}`);
  const table = (columns: readonly string[], rows: readonly (readonly string[])[]): void =>
    print(
      cli,
      textTable(
        columns.map((name) => ({ title: name })),
        rows,
        { colors },
      ),
    );
  print(cli, `${id}: ${title}\n\n${description}\n\n${paper.citation}\n${paper.url}`);
  heading('Presets');
  table(
    ['preset', 'trials', 'seeds', 'measured', 'summary'],
    presets.map(({ name, trials, seeds, measuredSeconds, summary }) => {
      const measured = Object.entries(measuredSeconds).map(([device, time]) => `${device} ${formatDuration(time)}`);
      return [name, String(trials), seeds.join(', '), measured.join(', '), summary];
    }),
  );
  heading('Settings (change them with --set)');
  table(
    ['setting', `in ${preset}`, 'type', 'meaning'],
    settings.flatMap(({ path, value, type, description: meaning }) => {
      const [firstLine = '', ...otherLines] = type.match(/\S.{0,39}(?= |$)|\S+/g) ?? [];
      const row = [path, shorten(JSON.stringify(value) ?? ''), firstLine, meaning];
      return [row, ...otherLines.map((line) => ['', '', line])];
    }),
  );
  if (claims.length > 0) {
    heading('Claims');
    for (const claim of claims) print(cli, `- ${claim}`);
  }
  if (published.length > 0) print(cli, `\n${published.length} published numbers are shown beside the results.`);
  print(cli, `\nRun it: fwp run ${shellWord(what)} --preset ${preset}`);
}

function shorten(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 39)}…`;
}
