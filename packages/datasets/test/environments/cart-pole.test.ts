import { describe, expect, test } from 'vitest';
import { type CartPoleState, cartPole } from '../../src/environments/index.ts';
import { atRandom, play, solvedShare, type View } from './play.ts';

/** Pushes the way a linear controller says, with velocities estimated from the last two observations, or without. */
const controller = (remembers: boolean) => {
  const last = new Map<number, Float32Array>();
  return ({ row, observation, isFirst }: View) => {
    const [position, angle] = observation as unknown as [number, number];
    const before = isFirst ? observation : (last.get(row) as Float32Array);
    last.set(row, observation);
    const velocity = remembers ? (position - (before[0] as number)) / 0.02 : 0;
    const angularVelocity = remembers ? (angle - (before[1] as number)) / 0.02 : 0;
    return 0.1 * position + 0.2 * velocity + angle + 0.3 * angularVelocity > 0 ? 1 : 0;
  };
};

/** One step of Gymnasium's CartPole-v1, with the functions of Math. */
function reference({ position, velocity, angle, angularVelocity }: CartPoleState, force: number): CartPoleState {
  const temp = (force + 0.05 * angularVelocity ** 2 * Math.sin(angle)) / 1.1;
  const acceleration =
    (9.8 * Math.sin(angle) - Math.cos(angle) * temp) / (0.5 * (4 / 3 - (0.1 * Math.cos(angle) ** 2) / 1.1));
  return {
    position: position + 0.02 * velocity,
    velocity: velocity + 0.02 * (temp - (0.05 * acceleration * Math.cos(angle)) / 1.1),
    angle: angle + 0.02 * angularVelocity,
    angularVelocity: angularVelocity + 0.02 * acceleration,
  };
}

describe('cartPole', () => {
  test('is solved by a controller that estimates velocities from what it saw before', () => {
    const episodes = play(cartPole({ batchSize: 8 }), 100, controller(true));
    expect(solvedShare(episodes)).toBe(1);
    expect(episodes.every(({ total, length, truncated }) => total === 500 && length === 500 && truncated)).toBe(true);
  });

  test('is not solved by the same controller without memory, nor at random', () => {
    const mean = (act: (view: View) => number) => {
      const episodes = play(cartPole({ batchSize: 8 }), 200, act);
      expect(solvedShare(episodes)).toBe(0);
      return episodes.reduce((sum, { total }) => sum + total, 0) / episodes.length;
    };
    expect(mean(controller(false))).toBeLessThan(100);
    const random = mean(atRandom(cartPole()));
    expect(random).toBeGreaterThan(15);
    expect(random).toBeLessThan(30);
  });

  test('moves as in Gymnasium', () => {
    const environment = cartPole({ seed: 3, velocities: true });
    const observed = environment.reset();
    let state = environment.episodes[0]?.state as CartPoleState;
    expect([...observed]).toEqual([...Float32Array.from(Object.values(state))]);
    for (const value of Object.values(state)) expect(Math.abs(value)).toBeLessThanOrEqual(0.05);
    for (const action of [1, 0, 0, 1, 1, 0, 1, 0]) {
      state = reference(state, action === 1 ? 10 : -10);
      environment.step([action]);
      const now = environment.episodes[0]?.state as CartPoleState;
      for (const key of ['position', 'velocity', 'angle', 'angularVelocity'] as const)
        expect(Math.abs(now[key] - state[key])).toBeLessThan(1e-13);
    }
  });

  test('ends at 12 degrees or 2.4 metres', () => {
    const environment = cartPole({ velocities: true, batchSize: 8 });
    environment.reset();
    let fallen = 0;
    for (let i = 0; i < 200; i++) {
      const step = environment.step([0, 0, 0, 0, 1, 1, 1, 1]);
      step.ended.forEach((ended, row) => {
        const { length } = environment.observationShape;
        expect(length).toBe(1);
        const [position, , angle] = (ended ? step.finalObservations : step.observations).subarray(
          4 * row,
        ) as unknown as [number, number, number];
        expect(Math.abs(position) > 2.4 || Math.abs(angle) > (12 * Math.PI) / 180).toBe(ended === 1);
        fallen += ended;
      });
    }
    expect(fallen).toBeGreaterThan(50);
  });
});
