import { FakeProcesses } from "#harness/machine/temp-runtime.ts";
import type { ReplaySession } from "#src/contract/replay.ts";
import type { MachineTrial, Replayed } from "#src/contract/learning.ts";
import { move } from "#src/learning/experiments/trials.ts";
import { endTrial, get, save, start } from "#src/machine/learning/machine-trials.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

export function aSession(overrides: Partial<ReplaySession> = {}): ReplaySession {
  const { events = [] } = overrides;
  return { events, samples: [], saves: [], isComplete: true, endAt: events.at(-1)?.at ?? 0, ...overrides };
}

/** Of a value that is better in sixty recorded chats. */
export const replayedBetter: Replayed = {
  verdict: "better",
  difference: -1,
  n: 60,
  changed: 60,
  needed: 20,
  saves: { before: 300, after: 400 },
};

export function startTrial(runtime: Runtime, key: string, to: number): MachineTrial {
  const started = start(runtime, { key, to, reason: "to see", replayed: replayedBetter, isByPerson: false }, "kaizen");
  if (!started.ok) throw new Error(started.error.message);
  return started.value;
}

/** Chats of sixty calls each, in which fewer calls between two checkpoints lose less. */
export function recordedChats(
  { store, now }: Pick<Runtime, "store" | "now">,
  chats = 30,
  made: { name: string; input: string; durationMs?: number } = { name: "Bash", input: "make" },
): void {
  const at = now() - 12 * 86_400_000;
  store.write((sql) => {
    for (let chat = 0; chat < chats; chat++) {
      const id = `recorded-${chat}`;
      sessions.recordSighting(sql, at, { id, client: "claude-code", origin: "startup", owner: null, isAlive: true });
      for (let call = 0; call < 60 + chat; call++) {
        const entry = { kind: "tool_end", id: `c${call}`, ...made } as const;
        journal.append(sql, id, at + call * 9_000, `c${call}`, entry);
      }
      reportEnd(sql, { now: () => at + 900_000, processes: new FakeProcesses() }, id, "other");
    }
  });
}

/** As a person does. @returns null where nothing is left to end */
export function endByHand(runtime: Runtime, id: string): MachineTrial | null {
  return endTrial(runtime, id, "by hand", "command line");
}

export function reload(runtime: Runtime, { id }: Pick<MachineTrial, "id">): MachineTrial {
  const stored = runtime.store.read((sql) => get(sql, id), null);
  if (!stored) throw new Error(`no trial ${id}`);
  return stored;
}

/** As many chats as a trial needs, that began and ended ten days ago: no list of today has them. */
export function pastChats({ store, now }: Pick<Runtime, "store" | "now">): void {
  const at = now() - 10 * 86_400_000;
  store.write((sql) => {
    for (let chat = 0; chat < 400; chat++) {
      const id = `chat-${at}-${chat}`;
      sessions.recordSighting(sql, at, { id, client: "claude-code", origin: "startup", owner: null, isAlive: true });
      reportEnd(sql, { now: () => at, processes: new FakeProcesses() }, id, "other");
    }
  });
}

export function seedExperiments(runtime: Runtime): { running: string; ended: string } {
  pastChats(runtime);
  const ended = startTrial(runtime, "checkpoint.everyToolCalls", 8);
  runtime.store.write((sql) => save(sql, move(ended, "deployed", runtime.now(), "after 200 sessions")));
  const running = startTrial(runtime, "checkpoint.everyMs", 250_000);
  return { running: running.id, ended: ended.id };
}
