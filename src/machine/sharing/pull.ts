import type { OutputOf } from "../../contract/operations.ts";
import type { MirroredSession } from "../../contract/sync.ts";
import type { WorkState } from "../../contract/work-state.ts";
import type { Call } from "../../coordinator-client/edge/calls.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { pickFields } from "../../shared/json-fields.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { encode } from "../../store/checkpoint-body.ts";
import { life } from "../sessions/life/life.ts";
import { emptyState, foldWithinBudget } from "../sessions/work-state.ts";
import { open, type OpenError } from "./envelope.ts";
import type { KeyRing } from "./key-ring.ts";
import { decodeContent, SessionContent, sharedFields } from "./record-contents.ts";
import * as elsewhere from "./sessions-elsewhere.ts";
import type { ElsewhereKey, SessionElsewhere, StoredElsewhere } from "./sessions-elsewhere.ts";
import { claimOf, noteReturn } from "../sessions/recoveries.ts";

export interface PullDeps {
  readonly runtime: Pick<Runtime, "now" | "store" | "log">;
  readonly call: Call;
  readonly workspace: string;
  readonly keys: KeyRing;
  readonly device: string | null;
}

export interface RefusedEnvelope {
  readonly device: string;
  readonly session: string;
  readonly code: OpenError["code"] | "replayed";
}

export interface PullResult {
  readonly revision: number;
  readonly stored: number;
  readonly refused: readonly RefusedEnvelope[];
}

/** Maximum of the operation. */
const pageSize = 100;

/** Pulls one project or session, for a chat that asks before the first full pull. */
export async function pullSome(
  deps: PullDeps,
  filter: { readonly project: string } | { readonly session: string },
): Promise<Result<null>> {
  const end = await forEachPage(deps, filter, 0, (page) => void storePage(deps, page));
  return end.ok ? ok(null) : end;
}

/**
 * Opens and stores sessions of other machines changed after a revision; 0 reads all and
 * deletes those no longer listed. Refused envelopes are reported and change nothing.
 */
export async function pull(deps: PullDeps, after: number): Promise<Result<PullResult>> {
  const seenKeys = new Set<string>();
  const refused: RefusedEnvelope[] = [];
  let stored = 0;
  const end = await forEachPage(deps, {}, after, (page) => {
    for (const session of page.sessions) seenKeys.add(sessionKey(session));
    const outcome = storePage(deps, page);
    stored += outcome.stored;
    refused.push(...outcome.refused);
  });
  if (!end.ok) return end.error.code === rolledBackCode && after > 0 ? pull(deps, 0) : end;
  if (after === 0) removeUnseen(deps, seenKeys);
  for (const refusal of refused) deps.runtime.log("warn", "an envelope of another machine is refused", { ...refusal });
  return ok({ revision: end.value, stored, refused });
}

const rolledBackCode = "put_back";

/**
 * Reads to the last page and applies deletions. An error tells a missing page from a deleted
 * session.
 */
async function forEachPage(
  deps: PullDeps,
  filter: { readonly project?: string; readonly session?: string },
  after: number,
  onPage: (page: OutputOf<"sync.list">) => void,
): Promise<Result<number>> {
  for (let fromRevision = after; ;) {
    const page = await deps.call("sync.list", { ...filter, after: fromRevision, limit: pageSize });
    if (!page.ok) return page;
    const { revision, isMore } = page.value;
    if (revision < fromRevision) return fail(rolledBackCode, "the coordinator was restored to an earlier state");
    onPage(page.value);
    if (!isMore) return ok(revision);
    if (revision === fromRevision) return fail("bad_answer", "the coordinator's list does not end");
    fromRevision = revision;
  }
}

type MirroredKey = Pick<MirroredSession, "device" | "session">;

function sessionKey({ device, session }: MirroredKey): string {
  return `${device} ${session}`;
}

/** One transaction, or none where the page changes nothing here. */
function storePage(deps: PullDeps, { sessions, forgotten }: OutputOf<"sync.list">): Omit<PullResult, "revision"> {
  const { store } = deps.runtime;
  const isOwn = ({ device, taken }: MirroredSession): boolean => device === deps.device && taken === null;
  const opened = sessions.filter((session) => !isOwn(session)).map((session) => openSession(deps, session));
  const rows = opened.flatMap((one) => (one.ok ? one.value : []));
  const refused = opened.flatMap((one) => (one.ok ? [] : one.error));
  const removed = [...sessions.filter(isOwn), ...forgotten].map((one) => keyOf(deps, one));
  const isChange = (sql: Sql): boolean => rows.length > 0 || removed.some((key) => elsewhere.isStored(sql, key));
  if (!store.read(isChange, true)) return { stored: 0, refused };
  return store.write((sql) => {
    for (const key of removed) elsewhere.remove(sql, key);
    const replayed = rows.filter((row) => isReplay(row, elsewhere.find(sql, row)));
    for (const row of rows.filter((one) => !replayed.includes(one))) {
      const { is = null, at = 0 } = claimOf(sql, row.id) ?? {};
      // The session went on where it ran after its dismissal here.
      if (is === "dismissed" && row.lastSeenAt > at) noteReturn(sql, deps.runtime.now(), row.id);
      elsewhere.save(sql, row);
    }
    const codes = replayed.map(({ device, id }) => ({ device, session: id, code: "replayed" as const }));
    return { stored: rows.length - replayed.length, refused: [...refused, ...codes] };
  });
}

function keyOf({ workspace }: PullDeps, { device, session: id }: MirroredKey): ElsewhereKey {
  return { workspace, device, id };
}

function openSession(deps: PullDeps, mirrored: MirroredSession): Result<StoredElsewhere, RefusedEnvelope> {
  const { device, session } = mirrored;
  const subject = { workspace: deps.workspace, kind: "session", device, session, item: "" } as const;
  const opened = open(deps.keys.keys, subject, mirrored.envelope);
  if (!opened.ok) return err({ device, session, code: opened.error.code });
  const content = decodeContent(SessionContent, opened.value);
  if (!content) return err({ device, session, code: "malformed" });
  return ok(toRow(deps.workspace, mirrored, content, deps.runtime.now()));
}

/**
 * A later version replaces a later one, or was sealed later: a clock may be set back, and a
 * restored home may replace an earlier version than the one before.
 */
function isReplay({ sealed: next }: StoredElsewhere, known: SessionElsewhere | null): boolean {
  const previous = known?.sealed;
  return previous !== undefined && next.replaces <= previous.replaces && next.sealedAt < previous.sealedAt;
}

/** Deletes what a full pull no longer lists. */
function removeUnseen({ runtime: { store }, workspace }: PullDeps, seenKeys: ReadonlySet<string>): void {
  const unseen = (sql: Sql): ElsewhereKey[] =>
    elsewhere.listKeys(sql, workspace).filter(({ device, id }) => !seenKeys.has(sessionKey({ device, session: id })));
  if (store.read(unseen, []).length === 0) return;
  store.write((sql) => {
    for (const key of unseen(sql)) elsewhere.remove(sql, key);
  });
}

/** Row of a session of another machine, by this machine's clock; what no record has stays empty. */
function toRow(workspace: string, mirrored: MirroredSession, content: SessionContent, now: number): StoredElsewhere {
  const { device, session: id, machine, project: projectName, taken, ageMs } = mirrored;
  // The coordinator counts the age of a record from the last sighting of its session.
  const clockOffsetMs = now - ageMs - content.lastSeenAt;
  const toLocal = (at: number): number => at + clockOffsetMs;
  const toLocalOrNull = (at: number | null): number | null => (at === null ? null : toLocal(at));
  const session = sharedFields(content);
  const { checkpoint, unsaved, words } = content;
  const lastSeenAt = toLocal(session.lastSeenAt);
  const { state: _state, ...head } = checkpoint ?? { state: null };
  const { body, hash } = encode(withLocalTimes(sealedState(content), toLocal));
  return {
    ...session,
    ...pickFields(content, ["title", "recovery"]),
    workspace,
    device,
    id,
    machine,
    projectName,
    taken: taken && { chat: taken.chat, machine: taken.machine },
    startedAt: toLocal(session.startedAt),
    lastSeenAt,
    savedAt: toLocalOrNull(session.savedAt),
    ending: session.ending && { ...session.ending, at: toLocal(session.ending.at), signs: {} },
    sealed: {
      ...pickFields(content, elsewhere.sealedFields),
      clockOffsetMs,
      words: words?.map(({ key, at, by, text }) => ({ key, at: toLocal(at), by, text })),
      checkpoint: "id" in head ? { ...head, at: toLocal(head.at) } : null,
      unsaved: { count: unsaved.count, came: unsaved.entries.length },
    },
    hash,
    body,
  };
}

/** The checkpoint's, with the events after it; without one only the title says what it is about. */
export function sealedState({ checkpoint, title, unsaved }: SessionContent): WorkState {
  const rows = unsaved.entries.map(({ at, entry }, index) => ({ seq: index + 1, at, entry }));
  const { state } = foldWithinBudget(checkpoint?.state ?? { ...emptyState, goal: title }, rows);
  return { ...state, life: life(state.life, rows) };
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
