import type { ReplayEvent, ReplaySample, ReplaySession } from "#src/contract/replay.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

/** A session as a corpus has it, with nothing in it. */
export function aSession(overrides: Partial<ReplaySession> = {}): ReplaySession {
  const events = overrides.events ?? [];
  return {
    type: "session",
    client: "claude-code",
    model: "claude-opus-5-5",
    effort: null,
    changed: {},
    events,
    samples: [],
    saves: [],
    isComplete: true,
    end: { at: events.at(-1)?.at ?? 0, kind: "ended", cause: null },
    recovery: null,
    durations: {},
    costMicros: null,
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
  const events: ReplayEvent[] = [];
  const samples: ReplaySample[] = [];
  const turns = 2 + Math.floor(random() * 20);
  let at = 0;
  for (let turn = 0; turn < turns; turn++) {
    events.push({ at: (at += Math.round(random() * 120_000)), kind: "prompt" });
    const calls = 1 + Math.floor(random() * 40);
    for (let call = 0; call < calls; call++) {
      at += Math.round(random() * 30_000);
      const kind = kinds[Math.floor(random() * kinds.length)] ?? "tool_end";
      const isCall = kind !== "assistant";
      const isEdit = kind === "tool_end" && random() < 0.3;
      events.push({
        at,
        kind,
        ...(isCall ? { tool: Math.floor(random() * 5), durationMs: random() * 5_000 } : {}),
        ...(isEdit ? { isEdit } : {}),
      });
      const contextFill = Math.min(1, events.length / 400);
      if (call % 5 === 0) samples.push({ at, readings: { contextFill: { value: contextFill, at } } });
    }
    events.push({ at: (at += 1_000), kind: "turn_end" });
  }
  const isDead = random() < 0.2;
  const cut = isDead ? 1 + Math.floor(random() * (events.length - 1)) : events.length;
  const kept = events.slice(0, cut);
  const endAt = kept.at(-1)?.at ?? 0;
  return aSession({
    events: kept,
    samples: samples.filter((sample) => sample.at <= endAt),
    saves: [
      { at: 60_000, trigger: "turn_end", bytes: 5_000, counts: { requests: 3, orders: 2, decided: 1, files: 4 } },
    ],
    end: isDead ? { at: endAt, kind: "died", cause: "killed" } : { at: endAt, kind: "ended", cause: null },
  });
}
