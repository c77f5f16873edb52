import type { JournalEntry } from "../../contract/journal.ts";
import type { MirroredSession } from "../../contract/sync.ts";
import type { WorkState } from "../../contract/work-state.ts";
import { encode } from "../../store/checkpoint-body.ts";
import { emptyState, foldWithinBudget } from "../sessions/work-state.ts";
import type { SessionContent } from "./record-contents.ts";
import type { SealedFacts, StoredElsewhere } from "./sessions-elsewhere.ts";

/** Row of a session of another machine, by this machine's clock; what no record has stays empty. */
export function toRow(
  workspace: string,
  mirrored: MirroredSession,
  content: SessionContent,
  now: number,
): StoredElsewhere {
  const { device, session: id, machine, project: projectName, taken, ageMs } = mirrored;
  // The coordinator counts the age of a record from the last sighting of its session.
  const clockOffsetMs = now - ageMs - content.lastSeenAt;
  const toLocal = (at: number): number => at + clockOffsetMs;
  const toLocalOrNull = (at: number | null): number | null => (at === null ? null : toLocal(at));
  const { replaces, sealedAt, checkpoints, checkpoint, missingCheckpoint, unsaved, death, tasks, files, ...session } =
    content;
  const lastSeenAt = toLocal(session.lastSeenAt);
  const { state: _state, ...head } = checkpoint ?? { state: null };
  const { body, hash } = encode(withLocalTimes(stateOf(content), toLocal));
  return {
    ...session,
    workspace,
    device,
    id,
    machine,
    projectName,
    taken: taken && { chat: taken.chat, machine: taken.machine, at: now - taken.ageMs },
    startedAt: toLocal(session.startedAt),
    lastSeenAt,
    savedAt: toLocalOrNull(session.savedAt),
    endedAt: toLocalOrNull(session.endedAt),
    detachedAt: toLocalOrNull(session.detachedAt),
    deathAt: death ? lastSeenAt : null,
    sealed: {
      replaces,
      sealedAt,
      clockOffsetMs,
      checkpoints,
      missingCheckpoint,
      death,
      tasks,
      files,
      checkpoint: "id" in head ? { ...head, at: toLocal(head.at) } : null,
      unsaved: { count: unsaved.count, came: unsaved.entries.length },
      lastFailure: lastFailure(unsaved.entries.map(({ entry }) => entry)),
    },
    hash,
    body,
  };
}

/** The checkpoint's, with the events after it; without one only the title says what it is about. */
function stateOf({ checkpoint, title, unsaved }: SessionContent): WorkState {
  const rows = unsaved.entries.map(({ at, entry }, index) => ({ seq: index + 1, at, entry }));
  return foldWithinBudget(checkpoint?.state ?? { ...emptyState, goal: title }, rows).state;
}

/** Every `at`, and every name that ends in `At`, is a time; `state` is the chat's own data. */
function withLocalTimes({ state, statedAt, ...work }: WorkState, toLocal: (at: number) => number): WorkState {
  const localized = (name: string, value: unknown): unknown =>
    typeof value === "number" && (name === "at" || name.endsWith("At")) ? toLocal(value) : value;
  const times = Object.entries(statedAt).map(([name, at]) => [name, toLocal(at)]);
  return {
    ...(JSON.parse(JSON.stringify(work), localized) as Omit<WorkState, "state" | "statedAt">),
    state,
    statedAt: Object.fromEntries(times),
  };
}

function lastFailure(entries: readonly JournalEntry[]): SealedFacts["lastFailure"] {
  const last = entries.findLast(({ kind }) => kind === "failure" || kind === "turn_end" || kind === "prompt");
  return last?.kind === "failure" ? last : null;
}
