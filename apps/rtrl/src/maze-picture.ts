/** A run through the T-maze as a picture: the corridor, where the agent was, and below it what it would have chosen. */

import { type TMazeEpisode, tMaze } from '@fwp/datasets/environments';
import { type ActorCritic, watchEpisode } from '@fwp/rtrl';

/** Which maze. */
export interface MazeOptions {
  readonly corridor: number;
  readonly carried: boolean;
  readonly seed: number;
  readonly memoryless: boolean;
}

const CELL = 14;
const CURVE = 80;

/** An SVG of an episode that the agent has not been trained on. */
export async function drawMazeEpisode(
  network: ActorCritic,
  { corridor, carried, seed, memoryless }: MazeOptions,
): Promise<string> {
  const environment = tMaze({ corridor, carried, seed, split: 'test' });
  const positions: number[] = [];
  let goal = 0;
  const look = (episode: TMazeEpisode) => {
    positions.push(episode.position);
    goal = episode.goal;
  };
  const { steps, solved } = await watchEpisode(network, environment, look, { memoryless });
  const width = (corridor + 4) * CELL;
  const at = (position: number) => (position + 1.5) * CELL;
  const square = (x: number, y: number, fill: string) =>
    `<rect x="${x * CELL}" y="${y * CELL}" width="${CELL}" height="${CELL}" fill="${fill}" stroke="#888"/>`;
  const cells = Array.from({ length: corridor + 1 }, (_, x) => square(x + 1, 2, x === 0 ? '#fd8' : '#fff'));
  const sides = [0, 1].map((side) => square(corridor + 1, side === 0 ? 1 : 3, side === goal ? '#8d8' : '#fff'));
  const chosen = steps.at(-1)?.action ?? 0;
  const path = [
    ...positions.slice(0, -1).map((position) => `${at(position)},${2.5 * CELL}`),
    `${at(corridor)},${(chosen === 0 ? 1.5 : 3.5) * CELL}`,
  ];
  const top = 5.5 * CELL;
  const curve = steps.map(
    ({ probabilities }, i) => `${at(positions[i] as number)},${top + CURVE * (1 - (probabilities[0] as number))}`,
  );
  const text = (x: number, y: number, words: string) => `<text x="${x}" y="${y}" font-size="9">${words}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top + CURVE + 16}" width="${2 * width}" font-family="sans-serif">`,
    ...[...cells, ...sides],
    `<polyline points="${path.join(' ')}" fill="none" stroke="#35c" stroke-width="2"/>`,
    text(CELL, 1.5 * CELL, `cue: ${goal === 0 ? 'north' : 'south'}; ${solved ? 'found the goal' : 'went astray'}`),
    text(CELL, top - 4, 'probability of going north'),
    `<rect x="${CELL}" y="${top}" width="${(corridor + 1) * CELL}" height="${CURVE}" fill="none" stroke="#ccc"/>`,
    `<polyline points="${curve.join(' ')}" fill="none" stroke="#c33" stroke-width="1.5"/>`,
    '</svg>\n',
  ].join('\n');
}
