import type { Random } from "../random.ts";
import type { RecordedSession, SessionEvent } from "./session-events.ts";

/** The rare ones first: a session with few cuts has those. */
export const cutKinds = [
  "after an interruption",
  "before a compaction",
  "after a compaction",
  "before a prompt",
  "after a prompt",
  "in mid-turn",
  "after an answer",
] as const;
export type CutKind = (typeof cutKinds)[number];
const rareKinds = 3;

/** The session dies after so many units of its transcript. */
export interface Cut {
  readonly kind: CutKind;
  readonly unit: number;
}

const kindAfter: Partial<Record<SessionEvent["kind"], CutKind>> = {
  interruption: "after an interruption",
  compacting: "before a compaction",
  compaction: "after a compaction",
  prompt: "after a prompt",
  call: "in mid-turn",
  turnEnd: "after an answer",
};

/** Each cut that follows the first prompt. */
function allCuts({ events }: RecordedSession): Cut[] {
  const first = events.findIndex(({ kind }) => kind === "prompt");
  const ends = new Map(events.flatMap((event) => (event.kind === "end" ? [[event.id, event.unit]] : [])));
  return events.slice(first).flatMap((event, index): Cut[] => {
    const kind = kindAfter[event.kind];
    const before: Cut[] =
      event.kind === "prompt" && index > 0 && !event.isQueued
        ? [{ kind: "before a prompt", unit: event.unit - 1 }]
        : [];
    const isOver = event.kind === "call" && ends.get(event.id) === event.unit;
    return kind === undefined || isOver ? before : before.concat({ kind, unit: event.unit });
  });
}

/** At most so many cuts, in the order of the session: one of each kind that it has before a second of any. */
export function chooseCuts(session: RecordedSession, random: Random, most: number): Cut[] {
  const all = shuffled(allCuts(session), random);
  const kinds = [...cutKinds.slice(0, rareKinds), ...shuffled(cutKinds.slice(rareKinds), random)];
  const rounds = kinds.map((kind) => all.filter((cut) => cut.kind === kind));
  const chosen = new Map<number, Cut>();
  for (let round = 0; round < most; round++) {
    for (const cuts of rounds) {
      const cut = cuts[round];
      if (cut && chosen.size < most && !chosen.has(cut.unit)) chosen.set(cut.unit, cut);
    }
  }
  return [...chosen.values()].toSorted((a, b) => a.unit - b.unit);
}

export function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((one) => [random.share(), one] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, one]) => one);
}
