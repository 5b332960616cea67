/**
 * `@fwp/rtrl`: exact real-time recurrent learning of e-LSTMs in constant memory, truncated and full backpropagation through
 * time to compare with, and an actor-critic that learns from the whole past of an episode.
 *
 * @packageDocumentation
 */

export { ActorCritic, type ActorCriticOptions } from './actor-critic.ts';
export {
  ACTOR_CRITIC_GRADIENTS,
  type ActorCriticGradient,
  ActorCriticLearner,
  type ActorCriticLearnerOptions,
} from './actor-critic-learner.ts';
export { type ActorCriticCosts, type ActorCriticLossInputs, actorCriticLoss } from './actor-critic-loss.ts';
export {
  ElstmLearner,
  type ElstmLearnerOptions,
  type LearnerStepOptions,
  type SegmentLoss,
  type SegmentOptions,
  type SegmentResult,
  type StepResult,
} from './elstm-learner.ts';
export { ElstmRtrl } from './elstm-rtrl.ts';
export { ElstmTbptt } from './elstm-tbptt.ts';
export type { VectorEnvironment, VectorStep } from './environment.ts';
export type { Policy } from './policy.ts';
export {
  beginRollouts,
  type Rollout,
  type RolloutOptions,
  type RolloutPosition,
  rollout,
  summarizeOutcomes,
} from './rollout.ts';
export { type WatchedEnvironment, type WatchedStep, watchEpisode } from './watch-episode.ts';
