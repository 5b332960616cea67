/**
 * SCAN: commands and the actions that carry them out. The whole data set follows from its grammar:
 *
 *     C → S | S and S | S after S          "x after y": first y, then x
 *     S → V | V twice | V thrice
 *     V → U | U D | turn D | U opposite D | turn opposite D | U around D | turn around D
 *     U → walk | look | run | jump         D → left | right
 *
 *     jump opposite left after walk twice  →  I_WALK I_WALK I_TURN_LEFT I_TURN_LEFT I_JUMP
 *
 * "U D" turns before the action, "opposite" turns twice, "around" turns before each of four actions.
 *
 * Lake, Baroni, "Generalization without Systematicity: On the Compositional Skills of Sequence-to-Sequence Recurrent
 * Networks" (ICML 2018); templates and fillers: Loula, Baroni, Lake, "Rearranging the Familiar: Testing Compositional
 * Generalization in Recurrent Networks" (2018); division by length at any cut-off: Newman, Hewitt, Liang, Manning, "The EOS
 * Decision and Length Extrapolation" (2020).
 */

import { createRandom, type Random } from '../random.ts';
import { assertInteger, type TaskOptions } from '../task.ts';
import { type SentencePairSet, sentencePairSet } from './example-sets.ts';
import { type SentenceVocabulary, sentenceVocabulary } from './sentences.ts';

/** How {@link scan} is divided into training and test. */
export type ScanSplit =
  /** At random: this share, rounded down, is for training. Default 0.8. */
  | { readonly by: 'chance'; readonly trainShare?: number }
  /**
   * By the number of actions: up to `cutoff` (default 26) for training, more, up to `longest`, for the test. `trainShare`
   * of the shorter ones (default 0.9) are for training, the others are the part `iid`.
   */
  | { readonly by: 'length'; readonly cutoff?: number; readonly longest?: number; readonly trainShare?: number }
  /**
   * The primitive occurs in training only by itself, as a tenth of all examples. With `compositions`, training has so many
   * random commands with it as well, which share that tenth.
   */
  | { readonly by: 'primitive'; readonly primitive: 'jump' | 'turn left'; readonly compositions?: number }
  /**
   * The template never occurs in training and always in the test. Templates without a verb stand for all verbs but
   * "turn", with which the template is in neither.
   */
  | {
      readonly by: 'template';
      readonly template: 'jump around right' | 'right' | 'opposite right' | 'around right';
    }
  /**
   * "around right" occurs in training after the first `fillers` of look, walk, run only, in the test after jump; after turn in neither. With
   * `examples` (and no fillers), training has so many random commands with "look around right".
   */
  | { readonly by: 'fillers'; readonly fillers: 0 | 1 | 2 | 3; readonly examples?: number };

/** Options of {@link scan}. */
export interface ScanOptions extends TaskOptions {
  /** How commands are divided. Default: by length, at 26 actions. */
  readonly split?: ScanSplit;
  /** Verbs of the grammar. Default: all four. */
  readonly verbs?: readonly ScanVerb[];
  /** Ways to turn besides "left" and "right" alone. Default: both. */
  readonly turns?: readonly ('opposite' | 'around')[];
}

/** Verbs with an action of their own. */
export type ScanVerb = 'walk' | 'look' | 'run' | 'jump';

/** SCAN, divided. */
export interface Scan {
  /** Words of commands. */
  readonly vocabulary: SentenceVocabulary;
  /** Words of actions. */
  readonly actionVocabulary: SentenceVocabulary;
  /** `iid` has examples that are like those of training, for splits by length; else it is empty. */
  readonly sets: Readonly<Record<'train' | 'iid' | 'test', SentencePairSet>>;
}

/** A command and its actions. */
interface Command {
  readonly words: string;
  readonly actions: readonly string[];
}

/**
 * Generates SCAN and divides it. Commands and actions of all splits but those with chance in them are the published ones;
 * what chance decides is decided by the seed.
 *
 * No command is in two parts; only a split by primitive has commands several times in training.
 *
 * @throws RangeError if an option is out of range, or the split leaves nothing for training or test
 */
export function scan({
  split = { by: 'length' },
  verbs = ['walk', 'look', 'run', 'jump'],
  turns = ['opposite', 'around'],
  seed = 0,
}: ScanOptions = {}): Scan {
  assertWords('verbs', verbs, ['walk', 'look', 'run', 'jump']);
  assertWords('turns', turns, ['opposite', 'around']);
  const commands = allCommands(verbs, turns);
  const { train, iid = [], test } = divide(commands, split, createRandom(seed, 'scan', split.by));
  if (train.length === 0 || test.length === 0) {
    const empty = train.length === 0 ? 'training' : 'the test';
    throw new RangeError(`scan: the split ${JSON.stringify(split)} of this grammar leaves no command for ${empty}.`);
  }
  const vocabulary = sentenceVocabulary([
    ...verbs,
    'turn',
    'left',
    'right',
    ...turns,
    'twice',
    'thrice',
    'and',
    'after',
  ]);
  const actionVocabulary = sentenceVocabulary([...verbs, 'turn left', 'turn right'].map(actionOf));
  const setOf = (part: readonly Command[]) =>
    sentencePairSet(
      part.map(({ words, actions }) => ({
        input: vocabulary.encode(words),
        target: actionVocabulary.encode(actions.join(' ')),
      })),
    );
  return { vocabulary, actionVocabulary, sets: { train: setOf(train), iid: setOf(iid), test: setOf(test) } };
}

function assertWords(option: string, words: readonly string[], allowed: readonly string[]): void {
  if (words.every((word, i) => allowed.includes(word) && words.indexOf(word) === i)) return;
  throw new RangeError(`scan: ${option} must be different ones of ${allowed.join(', ')}, but are ${words.join(', ')}.`);
}

function actionOf(phrase: string): string {
  return `I_${phrase.toUpperCase().replace(' ', '_')}`;
}

/** All commands of the grammar, in a fixed order. */
function allCommands(verbs: readonly string[], turns: readonly string[]): Command[] {
  const phrases = [...verbs, 'turn'].flatMap((verb): Command[] => {
    const own = verb === 'turn' ? [] : [actionOf(verb)];
    const directed = ['left', 'right'].flatMap((direction) => {
      const turn = actionOf(`turn ${direction}`);
      const around = [turn, ...own];
      const actions = {
        opposite: [turn, turn, ...own],
        around: [around, around, around, around].flat(),
      };
      return [
        { words: `${verb} ${direction}`, actions: [turn, ...own] },
        ...turns.map((how) => ({
          words: `${verb} ${how} ${direction}`,
          actions: actions[how as keyof typeof actions],
        })),
      ];
    });
    return verb === 'turn' ? directed : [{ words: verb, actions: own }, ...directed];
  });
  const sentences = phrases.flatMap(({ words, actions }) => [
    { words, actions },
    { words: `${words} twice`, actions: [...actions, ...actions] },
    { words: `${words} thrice`, actions: [...actions, ...actions, ...actions] },
  ]);
  const pairs = sentences.flatMap((first) =>
    sentences.flatMap((second) => [
      { words: `${first.words} and ${second.words}`, actions: [...first.actions, ...second.actions] },
      { words: `${first.words} after ${second.words}`, actions: [...second.actions, ...first.actions] },
    ]),
  );
  return [...sentences, ...pairs];
}

interface Parts {
  readonly train: readonly Command[];
  readonly iid?: readonly Command[];
  readonly test: readonly Command[];
}

function divide(commands: readonly Command[], split: ScanSplit, random: Random): Parts {
  switch (split.by) {
    case 'chance': {
      const { trainShare = 0.8 } = split;
      assertShare('split.trainShare', trainShare);
      const [train, test] = choose(commands, Math.floor(commands.length * trainShare), random);
      return { train, test };
    }
    case 'length': {
      const { cutoff = 26, longest = Number.MAX_SAFE_INTEGER, trainShare = 0.9 } = split;
      assertInteger('scan: split.cutoff', cutoff, 1);
      assertInteger('scan: split.longest', longest, cutoff + 1);
      assertShare('split.trainShare', trainShare);
      const short = commands.filter(({ actions }) => actions.length <= cutoff);
      const [iid, train] = choose(short, Math.floor(short.length * (1 - trainShare)), random);
      const test = commands.filter(({ actions }) => actions.length > cutoff && actions.length <= longest);
      return { train, iid, test };
    }
    case 'primitive': {
      const { primitive, compositions = 0 } = split;
      const [having, others] = partition(commands, primitive);
      const alone = having.filter(({ words }) => words === primitive);
      const composed = having.filter(({ words }) => words !== primitive);
      assertInteger('scan: split.compositions', compositions, 0, composed.length);
      const [shown, test] = choose(composed, compositions, random);
      const repeats = Math.round(others.length / 9 / (1 + compositions));
      const repeated = [...alone, ...shown].flatMap((command) => new Array<Command>(repeats).fill(command));
      return { train: [...others, ...repeated], test };
    }
    case 'template': {
      const { template } = split;
      const words = template.split(' ');
      const isOfVerb = words[0] === 'jump';
      const ofTurn = `turn ${isOfVerb ? words.slice(1).join(' ') : template}`;
      const [, usable] = partition(commands, ofTurn);
      const templates = isOfVerb ? [template] : ['walk', 'look', 'run', 'jump'].map((verb) => `${verb} ${template}`);
      const [test, train] = partition(usable, ...templates);
      return { train, test };
    }
    case 'fillers': {
      const { fillers, examples = 0 } = split;
      assertInteger('scan: split.fillers', fillers, 0, 3);
      const [, usable] = partition(commands, 'turn around right');
      const [test, others] = partition(usable, 'jump around right');
      const withheld = ['look', 'walk', 'run'].slice(fillers).map((verb) => `${verb} around right`);
      const [, train] = partition(others, ...withheld);
      const [withFirst] = partition(others, 'look around right');
      const [, candidates] = partition(withFirst, ...withheld.slice(1));
      assertInteger('scan: split.examples', examples, 0, fillers === 0 ? candidates.length : 0);
      const [shown] = choose(candidates, examples, random);
      return { train: [...train, ...shown], test };
    }
    default:
      throw new RangeError(
        `scan: split.by must be chance, length, primitive, template or fillers, but is ${String((split as ScanSplit).by)}.`,
      );
  }
}

function assertShare(option: string, share: number): void {
  if (share > 0 && share <= 1) return;
  throw new RangeError(`scan: ${option} must be more than 0 and at most 1, but is ${share}.`);
}

/** The commands with one of the phrases, and those with none. */
function partition(commands: readonly Command[], ...phrases: readonly string[]): [Command[], Command[]] {
  const [having, others]: [Command[], Command[]] = [[], []];
  for (const command of commands) {
    const text = ` ${command.words} `;
    (phrases.some((phrase) => text.includes(` ${phrase} `)) ? having : others).push(command);
  }
  return [having, others];
}

/** `count` random commands and the others, both in the order they had. */
function choose(commands: readonly Command[], count: number, random: Random): [Command[], Command[]] {
  const chosen = new Set(random.sample(commands.length, count));
  return [commands.filter((_, i) => chosen.has(i)), commands.filter((_, i) => !chosen.has(i))];
}
