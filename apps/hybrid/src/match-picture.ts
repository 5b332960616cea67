/** An episode of passive visual match as a picture: the colour, the way to the apples, the way to a door. */

import {
  type Cell,
  type PassiveVisualMatchEpisode,
  type SeededEnvironment,
  VISUAL_MATCH_DOORS,
} from '@fwp/datasets/environments';
import { watchEpisode } from '@fwp/rtrl';
import type { MemoryAgent } from './memory-agent.ts';

const COLOURS = ['#c22', '#2a2', '#24c'];
const CELL = 14;
const [ROWS, COLUMNS] = [7, 11];
const HEAD = 2 * CELL;

/** An SVG of the environment's first episode. */
export async function drawMatchEpisode(
  agent: MemoryAgent,
  environment: SeededEnvironment<PassiveVisualMatchEpisode>,
): Promise<string> {
  const ways: Record<PassiveVisualMatchEpisode['phase'], Cell[]> = { look: [], collect: [], match: [] };
  const seen = { target: 0, doors: [0, 1, 2] as readonly number[], apples: new Map<string, Cell>() };
  const { solved } = await watchEpisode(agent, environment, ({ phase, agent: at, target, doors, apples }) => {
    ways[phase].push(at);
    Object.assign(seen, { target, doors });
    if (phase === 'collect') for (const apple of apples) seen.apples.set(`${apple.row} ${apple.column}`, apple);
  });
  const left = (column: number, room: number) => (room * (COLUMNS + 1) + column + 0.5) * CELL + CELL;
  const top = (row: number) => HEAD + (row + 0.5) * CELL;
  const disc = (cell: Cell, room: number, fill: string) =>
    `<circle cx="${left(cell.column, room)}" cy="${top(cell.row)}" r="${CELL / 3}" fill="${fill}"/>`;
  const way = (cells: readonly Cell[], room: number) =>
    `<polyline points="${cells.map(({ row, column }) => `${left(column, room)},${top(row)}`).join(' ')}" fill="none" stroke="#000" stroke-opacity="0.5"/>`;
  const frame = (room: number) =>
    `<rect x="${left(0, room) - CELL / 2}" y="${HEAD}" width="${COLUMNS * CELL}" height="${ROWS * CELL}" fill="#fff" stroke="#888"/>`;
  const width = 2 * (COLUMNS + 1) * CELL + CELL;
  const title = `colour: <tspan fill="${COLOURS[seen.target]}">■</tspan>, ${solved ? 'found again' : 'not found'}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEAD + (ROWS + 1) * CELL}" width="${2 * width}" font-family="sans-serif" font-size="10">`,
    `<text x="${CELL}" y="${1.3 * CELL}">${title}; left: the way to the apples, right: to the doors</text>`,
    frame(0),
    ...[...seen.apples.values()].map((apple) => disc(apple, 0, '#9b0')),
    way(ways.collect, 0),
    frame(1),
    ...VISUAL_MATCH_DOORS.map((door, i) => disc(door, 1, COLOURS[seen.doors[i] as number] as string)),
    way(ways.match, 1),
    '</svg>\n',
  ].join('\n');
}
