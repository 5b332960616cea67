/** An episode in the two rooms as a picture: one frame for each step, in rows. */

import { type Cell, type NonMatchingObjectEpisode, nonMatchingObject } from '@fwp/datasets/environments';
import { type ActorCritic, watchEpisode } from '@fwp/rtrl';

/** Which rooms. */
export interface RoomsOptions {
  readonly size: number;
  readonly objects: number;
  readonly delay: number;
  readonly seed: number;
  readonly memoryless: boolean;
}

const COLORS = ['#c33', '#37c', '#2a2', '#c80', '#92c', '#0aa', '#a66', '#555'];
const CELL = 10;
const FRAMES_PER_ROW = 12;

/** An SVG of an episode that the agent has not been trained on. */
export async function drawRoomsEpisode(
  network: ActorCritic,
  { memoryless, ...options }: RoomsOptions,
): Promise<string> {
  const { size } = options;
  const environment = nonMatchingObject({ ...options, split: 'test' });
  const frames: string[] = [];
  const side = size * CELL;
  const disc = ({ row, column }: Cell, radius: number, fill: string) =>
    `<circle cx="${(column + 0.5) * CELL}" cy="${(row + 0.5) * CELL}" r="${radius}" fill="${fill}"/>`;
  const look = ({ room, agent, pad, objects }: NonMatchingObjectEpisode) => {
    const x = (frames.length % FRAMES_PER_ROW) * (side + CELL);
    const y = Math.floor(frames.length / FRAMES_PER_ROW) * (side + CELL);
    const dark = room === 'dark';
    frames.push(
      [
        `<g transform="translate(${x + CELL} ${y + 2.5 * CELL})">`,
        `<rect width="${side}" height="${side}" fill="${dark ? '#333' : '#fff'}" stroke="#888"/>`,
        ...(room === 'first' ? [disc(pad, CELL / 2, '#ddd')] : []),
        ...(dark
          ? []
          : objects.map(({ object, ...cell }) => disc(cell, CELL / 3, COLORS[object % COLORS.length] as string))),
        ...(dark ? [] : [disc(agent, CELL / 5, '#000')]),
        '</g>',
      ].join(''),
    );
  };
  const { solved } = await watchEpisode(network, environment, look, { memoryless });
  const width = Math.min(frames.length, FRAMES_PER_ROW) * (side + CELL) + CELL;
  const height = Math.ceil(frames.length / FRAMES_PER_ROW) * (side + CELL) + 2.5 * CELL;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${2 * width}" font-family="sans-serif">`,
    `<text x="${CELL}" y="${1.5 * CELL}" font-size="9">${solved ? 'took the other object' : 'took the wrong object, or none'}</text>`,
    ...frames,
    '</svg>\n',
  ].join('\n');
}
