import type { WorkState } from "#src/contract/work-state.ts";
import type { Restoration } from "#src/machine/recovery/incomplete/restoration.ts";
import type { Session } from "#src/machine/sessions/sessions.ts";
import { T0 } from "#harness/store/temp-store.ts";
import { aState } from "./work-states.ts";

/** What a brief reads of a session. */
export function aSession(overrides: Partial<Session> = {}): Session {
  const id = "20487890-04b4-4fe0-bbd5-6aa531354563";
  const times = { startedAt: T0, lastSeenAt: T0 + 60_000, endedAt: null };
  return { id, client: "claude-code", project: "/p", ...times, toolCalls: 3, toolErrors: 1, ...overrides } as Session;
}

/** A session that was killed a minute after its start. */
export function aRestoration(state: Partial<WorkState> = {}, overrides: Partial<Restoration> = {}): Restoration {
  return {
    session: aSession(),
    cause: "killed",
    causeDetail: "Its process vanished.",
    knownUntil: T0 + 60_000,
    state: aState(state),
    files: [],
    head: null,
    checkpoint: null,
    snapshot: null,
    ...overrides,
  };
}

/** Prompts a second apart, from the start of the session. */
export function prompts(...texts: readonly string[]): WorkState["prompts"] {
  return texts.map((text, index) => ({ text, at: T0 + index * 1_000 }));
}
