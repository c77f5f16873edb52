import type { ReadingName, Readings, Source } from "#src/contract/readings.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import type { Sql } from "#src/shared/sql.ts";
import type { Crash } from "#src/machine/signals/crashes.ts";
import { crashes, signals } from "#src/store/session-tables.ts";
import type { Restoration } from "#src/machine/recovery/incomplete/restoration.ts";
import { emptyState } from "#src/machine/sessions/work-state.ts";
import type { Session } from "#src/machine/sessions/sessions.ts";
import { T0 } from "#harness/store/temp-store.ts";

export function aState(overrides: Partial<WorkState> = {}): WorkState {
  return { ...emptyState, ...overrides };
}

/** Readings of one source and time: `someReadings({contextFill: 0.9}, T0)`. */
type Values = Partial<Record<ReadingName, number>>;

export function someReadings(values: Values, at: number, source: Source = "measured"): Readings {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, source, at }]));
}

export function aSession(overrides: Partial<Session> = {}): Session {
  const id = "20487890-04b4-4fe0-bbd5-6aa531354563";
  const times = { startedAt: T0, lastSeenAt: T0 + 60_000, endedAt: null };
  return { id, client: "claude-code", project: "/p", ...times, toolCalls: 3, toolErrors: 1, ...overrides } as Session;
}

export function aRestoration(state: Partial<WorkState> = {}, overrides: Partial<Restoration> = {}): Restoration {
  const nothing = { files: [], head: null, checkpoint: null, snapshot: null };
  const death = { cause: "killed", causeDetail: "Its process vanished.", knownUntil: T0 + 60_000 } as const;
  return { session: aSession(), ...death, state: aState(state), ...nothing, ...overrides };
}

export function prompts(...texts: readonly string[]): WorkState["prompts"] {
  return texts.map((text, index) => ({ text, at: T0 + index * 1_000 }));
}

export function listCrashes(sql: Sql): Crash[] {
  return crashes.select(sql, "ORDER BY at DESC, session");
}

export function listSamples(sql: Sql, session: string) {
  return signals.pick("at", "score", "level", "readings").select(sql, "WHERE session = ? ORDER BY at DESC", session);
}
