import type { ReplayEvent, ReplaySample, ReplaySession } from "#src/contract/replay.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

/** A session without content. */
export function aSession(overrides: Partial<ReplaySession> = {}): ReplaySession {
  const events = overrides.events ?? [];
  return {
    changed: {},
    events,
    samples: [],
    saves: [],
    isComplete: true,
    end: { at: events.at(-1)?.at ?? 0, kind: "ended", cause: null },
    ...overrides,
  };
}

const kinds: readonly ReplayEvent["kind"][] = [
  "tool_end",
  "tool_end",
  "tool_end",
  "tool_end",
  "tool_error",
  "assistant",
];

/** Sessions of a working day: turns with calls of some seconds, a context that fills, some deaths. */
export function workingSessions(count: number, seed: number): ReplaySession[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => aWorkingSession(random));
}

function aWorkingSession(random: () => number): ReplaySession {
  const events = workingEvents(random);
  const isDead = random() < 0.2;
  const kept = isDead ? events.slice(0, 1 + Math.floor(random() * (events.length - 1))) : events;
  const endAt = kept.at(-1)?.at ?? 0;
  return aSession({
    events: kept,
    samples: fillingContext(kept),
    saves: [{ at: 60_000, trigger: "turn_end" }],
    end: isDead ? { at: endAt, kind: "died", cause: "killed" } : { at: endAt, kind: "ended", cause: null },
  });
}

function workingEvents(random: () => number): ReplayEvent[] {
  const events: ReplayEvent[] = [];
  const turns = 2 + Math.floor(random() * 20);
  let at = 0;
  for (let turn = 0; turn < turns; turn++) {
    events.push({ at: (at += Math.round(random() * 120_000)), kind: "prompt" });
    const calls = 1 + Math.floor(random() * 40);
    for (let call = 0; call < calls; call++)
      events.push({ at: (at += Math.round(random() * 30_000)), ...workingEvent(random) });
    events.push({ at: (at += 1_000), kind: "turn_end" });
  }
  return events;
}

function workingEvent(random: () => number): Omit<ReplayEvent, "at"> {
  const kind = kinds[Math.floor(random() * kinds.length)] ?? "tool_end";
  if (kind === "assistant") return { kind };
  return { kind, tool: `tool-${Math.floor(random() * 5)}`, durationMs: random() * 5_000 };
}

function fillingContext(events: readonly ReplayEvent[]): ReplaySample[] {
  return events.flatMap(({ at }, index) => {
    const contextFill = { value: Math.min(1, index / 400), at };
    return index % 5 === 0 ? [{ at, readings: { contextFill } }] : [];
  });
}
