/**
 * Evidence that something is worse than it may be. Pure. A guardrail can only stop: it never says
 * that an arm is good.
 */
import { hasExcluded, type SequencePlan, type SequenceState } from "./betting.ts";

/**
 * Against a fixed limit: a rate, or the mean of bounded outcomes. Its units are observed with
 * `observe`.
 */
export interface LimitGuardrail {
  readonly limit: number;
  /** Outcomes by which a harm of the planned size is stopped, with the planned power. */
  readonly units: number;
  readonly sequence: SequencePlan;
}

/**
 * True, and true from then on, once the evidence suffices. The sequence is one-sided, with the
 * limit as its grid.
 */
export function isViolated({ sequence }: { readonly sequence: SequencePlan }, state: SequenceState): boolean {
  return hasExcluded(sequence, state);
}
