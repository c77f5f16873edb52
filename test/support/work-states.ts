import type { WorkState } from "../../src/contract/work-state.ts";

/** A state with nothing in it but what is given. */
export function aState(overrides: Partial<WorkState> = {}): WorkState {
  return {
    goal: null,
    firstPrompt: null,
    lastPrompt: null,
    done: [],
    inProgress: [],
    nextStep: null,
    decisions: [],
    openQuestions: [],
    todos: [],
    files: [],
    conversation: [],
    runningTools: [],
    lastError: null,
    compactSummary: null,
    state: null,
    ...overrides,
  };
}
