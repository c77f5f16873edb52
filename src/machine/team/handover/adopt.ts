import { uuidv7 } from "../../../shared/ids.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { WorkState } from "../../../contract/work-state.ts";
import { encode } from "../../../store/checkpoint-body.ts";
import * as checkpoints from "../../sessions/checkpoints/checkpoints.ts";
import { mapFiles } from "../../recovery/elsewhere/restoration.ts";
import { movedCalls } from "../../recovery/incomplete/restoration.ts";
import * as journal from "../../sessions/journal.ts";
import * as heldAtHandOver from "../../sessions/held-at-hand-over.ts";
import * as sessions from "../../sessions/sessions.ts";
import { sealedState } from "../../sharing/pull.ts";
import { clearImport } from "../../sessions/transcripts/import-transcript.ts";
import type { HandedOver } from "./package.ts";
import { decide } from "../../sessions/life/claim.ts";

export interface AdoptedFolder {
  /** Root of the project on this machine. */
  readonly project: string | null;
  /** Folder in which its chat continues. */
  readonly cwd: string;
}

/**
 * Why the hand-over is not taken: its time is over, or this machine has the session itself.
 * Null: it may be taken.
 */
export function refusalOf(runtime: Runtime, { until, id, machine }: HandedOver): string | null {
  if (runtime.now() > until) return `its time is over: ask for a new one on ${machine}`;
  const known = runtime.store.read((sql) => sessions.get(sql, id), null);
  if (known === null || sessions.isOnlyImported(known)) return null;
  return `this machine has session ${id} itself: \`shim resume ${id}\` continues it`;
}

/** Whether this hand-over was taken already, and its chat is to continue in this folder. */
export function hasTaken({ store }: Runtime, given: HandedOver, { project, cwd }: AdoptedFolder): boolean {
  return store.read((sql) => {
    const known = sessions.get(sql, given.id);
    return known?.project === project && known.cwd === cwd && journal.has(sql, given.id, startKey(given));
  }, false);
}

/** One machine may hand a session over several times. */
function startKey({ machine, givenAt }: Pick<HandedOver, "machine" | "givenAt">): string {
  return `start:${sessions.givenOrigin}:${machine}:${givenAt}`;
}

/** Stores the session, in place of an earlier hand-over of it, as one that can be continued. */
export function adopt(
  runtime: Runtime,
  given: HandedOver,
  folder: AdoptedFolder,
): Result<{ readonly session: string; readonly isAgain: boolean }, string> {
  return runtime.store.write((sql) => {
    const before = sessions.get(sql, given.id);
    if (before && !sessions.isOnlyImported(before)) return err(`this machine has session ${given.id} itself`);
    if (before) clearEarlier(sql, before, folder);
    store(sql, runtime, given, folder);
    return ok({ session: given.id, isAgain: before !== null });
  });
}

/** The first project of a session stays otherwise, and its counts are added to. */
function clearEarlier(sql: Sql, { id, toolCalls, toolErrors }: sessions.Session, { project }: AdoptedFolder): void {
  clearImport(sql, id);
  sessions.moveTo(sql, id, project);
  sessions.update(sql, id, { toolCalls: -toolCalls, toolErrors: -toolErrors });
}

function store(sql: Sql, runtime: Runtime, given: HandedOver, folder: AdoptedFolder): void {
  const { id, session, held } = given;
  const now = runtime.now();
  // The other clock may be ahead.
  const lastSeenAt = Math.min(session.lastSeenAt, now);
  const startedAt = Math.min(session.startedAt, lastSeenAt);
  const { client, clientVersion, model, title, toolCalls, toolErrors, checkpoint } = session;
  sessions.recordSighting(sql, startedAt, {
    id,
    client,
    clientVersion,
    model,
    origin: sessions.givenOrigin,
    ...folder,
    transcriptPath: null,
    owner: null,
    isAlive: false,
  });
  const start = { kind: "start", source: sessions.givenOrigin } as const;
  journal.append(sql, id, startedAt, startKey(given), start);
  const [row] = journal.list(sql, id, 0, 1);
  const state = stateHere(session, folder);
  checkpoints.insert(sql, {
    id: `cp_${uuidv7(now, runtime.random(16))}`,
    session: id,
    at: lastSeenAt,
    trigger: "give",
    journalSeq: row?.seq ?? 0,
    redactions: checkpoint?.redactions ?? 0,
    summary: checkpoints.summarize(title, state),
    ...encode(state),
  });
  sessions.markSaved(sql, lastSeenAt, id, title);
  sessions.touch(sql, lastSeenAt, id);
  sessions.update(sql, id, { toolCalls, toolErrors, workedAt: lastSeenAt });
  decide(sql, runtime, { session: id, action: "undone" });
  heldAtHandOver.receive(sql, id, held);
}

/** The state with the events after its checkpoint, and with the paths of this machine. */
function stateHere(session: HandedOver["session"], { project: here }: AdoptedFolder): WorkState {
  const { project: there } = session;
  const state = sealedState(session);
  const { inside, external } = mapFiles(state.files, { there, here });
  // Times of files say nothing in a new folder.
  const files = inside.map(({ stamp: _stamp, ...file }) => file);
  const calls = movedCalls(state, there, here);
  return { ...state, calls, files: [...external.map(({ now: _now, ...file }) => file), ...files] };
}
