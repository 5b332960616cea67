/**
 * CartPole without velocities: a pole on a cart is to be kept upright by pushing the cart left or right. Only the position of
 * the cart and the angle of the pole are observed; how fast they change has to be remembered.
 *
 *     temp = (F + m_p l θ̇² sin θ) / m          θ̈ = (g sin θ − cos θ temp) / (l (4/3 − m_p cos² θ / m))
 *     ẍ = temp − m_p l θ̈ cos θ / m            Euler steps of 0.02 s
 *
 * Physics, limits and rewards are those of Gymnasium's CartPole-v1 (Barto, Sutton, Anderson 1983), with one exception: sine
 * and cosine are series of our own. `Math.sin` and `Math.cos` may differ in their last bits between JavaScript engines, and
 * as an upright pole doubles every error within fractions of a second, trajectories would soon differ visibly. With +, −, ·, /
 * of float64 alone, seed and actions give the same bytes everywhere; they agree with Gymnasium's to rounding error at first,
 * not to the end of long episodes.
 */

import { cosine, sine } from '../portable-math.ts';
import type { Random } from '../random.ts';
import { assertInteger } from '../task.ts';
import {
  createEnvironment,
  type EnvironmentOptions,
  type Episode,
  type Outcome,
  type SeededEnvironment,
} from './environment.ts';

const GRAVITY = 9.8;
const POLE_MASS = 0.1;
/** Cart and pole. */
const TOTAL_MASS = 1.1;
const HALF_POLE_LENGTH = 0.5;
const FORCE = 10;
const SECONDS_PER_STEP = 0.02;
const POSITION_LIMIT = 2.4;
/** 12 degrees. */
const ANGLE_LIMIT = (12 * Math.PI) / 180;

/** Options of {@link cartPole}. */
export interface CartPoleOptions extends EnvironmentOptions {
  /** Whether velocities are observed, too. Default `false`. */
  readonly velocities?: boolean;
  /** Steps after which an episode is truncated. Default 500. */
  readonly maximumSteps?: number;
}

/** Where cart and pole are. */
export interface CartPoleState {
  /** Of the cart, in metres from the middle. */
  readonly position: number;
  /** Of the cart, in metres per second. */
  readonly velocity: number;
  /** Of the pole, in radians from upright, positive to the right. */
  readonly angle: number;
  /** Of the pole, in radians per second. */
  readonly angularVelocity: number;
}

/** A pole that stands, as yet. */
export interface CartPoleEpisode extends Episode {
  /** Where cart and pole are now. */
  readonly state: CartPoleState;
}

/**
 * CartPole. Observations `[2]`: position and angle, or `[4]`: position, velocity, angle, angular velocity. Actions: 0 pushes to
 * the left, 1 to the right. Every step gives a reward of 1. An episode ends when the cart is more than 2.4 m from the middle or
 * the pole more than 12° from upright; it is solved if that does not happen.
 *
 * @throws RangeError if an option is out of range
 */
export function cartPole({
  velocities = false,
  maximumSteps = 500,
  ...options
}: CartPoleOptions = {}): SeededEnvironment<CartPoleEpisode> {
  const name = 'cart-pole';
  assertInteger(`${name}: maximumSteps`, maximumSteps, 1);

  const begin = (random: Random): CartPoleEpisode => {
    const draw = () => 0.1 * random.uniform() - 0.05;
    let state: CartPoleState = { position: draw(), velocity: draw(), angle: draw(), angularVelocity: draw() };
    return {
      get state() {
        return state;
      },
      observe: (observation) => {
        const { position, velocity, angle, angularVelocity } = state;
        observation.set(velocities ? [position, velocity, angle, angularVelocity] : [position, angle]);
      },
      act: (action): Outcome => {
        state = advanced(state, action === 1 ? FORCE : -FORCE);
        const terminated = Math.abs(state.position) > POSITION_LIMIT || Math.abs(state.angle) > ANGLE_LIMIT;
        return { reward: 1, terminated, solved: !terminated };
      },
    };
  };
  return createEnvironment(
    { name, observationShape: [velocities ? 4 : 2], actionCount: 2, maximumSteps, begin },
    options,
  );
}

function advanced({ position, velocity, angle, angularVelocity }: CartPoleState, force: number): CartPoleState {
  const sin = sine(angle);
  const cos = cosine(angle);
  const push = (force + POLE_MASS * HALF_POLE_LENGTH * angularVelocity * angularVelocity * sin) / TOTAL_MASS;
  const inertia = HALF_POLE_LENGTH * (4 / 3 - (POLE_MASS * cos * cos) / TOTAL_MASS);
  const angularAcceleration = (GRAVITY * sin - cos * push) / inertia;
  const acceleration = push - (POLE_MASS * HALF_POLE_LENGTH * angularAcceleration * cos) / TOTAL_MASS;
  return {
    position: position + SECONDS_PER_STEP * velocity,
    velocity: velocity + SECONDS_PER_STEP * acceleration,
    angle: angle + SECONDS_PER_STEP * angularVelocity,
    angularVelocity: angularVelocity + SECONDS_PER_STEP * angularAcceleration,
  };
}
