import type { WorkState } from "#src/contract/work-state.ts";
import { emptyState } from "#src/machine/sessions/work-state.ts";

/** A state with nothing in it but what is given. */
export function aState(overrides: Partial<WorkState> = {}): WorkState {
  return { ...emptyState, ...overrides };
}
