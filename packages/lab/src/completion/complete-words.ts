/** Which words can come next on the command line: commands, options, and the values of options and arguments. */

import type { Argument, Command, Option } from 'commander';

/** A word with what it means. */
export interface Completion {
  readonly word: string;
  readonly description: string;
}

/** What can come next. */
export interface Completions {
  readonly words: readonly Completion[];
  /** Whether names of files are possible too. */
  readonly files: boolean;
}

/** Values that depend on the project; each is asked for only where it is needed. */
export interface ValueSources {
  experiments(): Promise<readonly Completion[]>;
  /** @param experiment undefined: of all experiments */
  presets(experiment: string | undefined): Promise<readonly Completion[]>;
  /** Settings of an experiment, as `path=`. */
  settings(experiment: string | undefined): Promise<readonly Completion[]>;
  devices(): Promise<readonly Completion[]>;
  suites(): Promise<readonly Completion[]>;
}

/** Names of shells that there are scripts for. */
export const SHELLS: readonly string[] = ['bash', 'zsh', 'fish'];

const NOTHING: Completions = { words: [], files: false };

/**
 * Completes the last word of a command line.
 *
 * @param program the command with its sub-commands
 * @param words all words after the program's name; the last one, maybe empty, is the one under the cursor
 */
export async function completeWords(
  program: Command,
  words: readonly string[],
  sources: ValueSources,
): Promise<Completions> {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const { command, args } = commandOf(program, before);
  const completions = await possible(command, args, before.at(-1), current, sources);
  return { ...completions, words: completions.words.filter(({ word }) => word.startsWith(current)) };
}

/** The sub-command, and the arguments that it has so far. */
function commandOf(program: Command, words: readonly string[]): { command: Command; args: readonly string[] } {
  let command = program;
  const args: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string;
    if (word.startsWith('-')) {
      if (optionOf(command, word)?.required) index += 1;
      continue;
    }
    const child = args.length === 0 ? childOf(command, word) : undefined;
    if (child === undefined) args.push(word);
    else command = child;
  }
  return { command, args };
}

async function possible(
  command: Command,
  args: readonly string[],
  previous: string | undefined,
  current: string,
  sources: ValueSources,
): Promise<Completions> {
  const option = previous === undefined ? undefined : optionOf(command, previous);
  if (option?.required) return optionValues(option, args[0], sources);
  if (current.startsWith('-')) return { words: optionsOf(command), files: false };
  if (command.commands.length > 0) {
    const wantsCommand = args.length === 0 || (args.length === 1 && args[0] === 'help');
    return { words: wantsCommand ? commandsOf(command) : [], files: false };
  }
  const declared = command.registeredArguments;
  const last = declared.at(-1);
  const argument = declared[args.length] ?? (last?.variadic ? last : undefined);
  return argument === undefined ? NOTHING : argumentValues(argument, args, sources);
}

async function optionValues(
  option: Option,
  experiment: string | undefined,
  sources: ValueSources,
): Promise<Completions> {
  switch (option.long) {
    case '--preset':
      return { words: await sources.presets(experiment), files: false };
    case '--set':
      return { words: await sources.settings(experiment), files: false };
    case '--device':
      return { words: await sources.devices(), files: false };
    case '--from':
    case '--out':
    case '--html':
    case '--update':
      return { words: [], files: true };
    default:
      return NOTHING;
  }
}

async function argumentValues(
  argument: Argument,
  args: readonly string[],
  sources: ValueSources,
): Promise<Completions> {
  switch (argument.name()) {
    case 'experiment':
      return { words: await sources.experiments(), files: true };
    case 'run':
    case 'runs':
      return { words: [], files: true };
    case 'suites':
      return { words: (await sources.suites()).filter(({ word }) => !args.includes(word)), files: false };
    case 'shell':
      return { words: SHELLS.map((word) => ({ word, description: '' })), files: false };
    default:
      return NOTHING;
  }
}

function commandsOf(command: Command): Completion[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.map((child) => ({ word: child.name(), description: child.description() }));
}

function optionsOf(command: Command): Completion[] {
  const visible = command.createHelp().visibleOptions(command);
  return visible.flatMap(({ long, description }) => (long ? [{ word: long, description }] : []));
}

function childOf(command: Command, name: string): Command | undefined {
  return command.commands.find((child) => child.name() === name || child.aliases().includes(name));
}

function optionOf(command: Command, flag: string): Option | undefined {
  return command.options.find(({ long, short }) => long === flag || short === flag);
}
