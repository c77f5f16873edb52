import type { MirroredSession } from "../../contract/sync.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../runtime.ts";
import { readContent, SessionContent } from "./contents.ts";
import { open, type NotOpened } from "./envelope.ts";
import type { KeyRing } from "./key-ring.ts";
import * as remote from "./remote-sessions.ts";
import type { RemoteSession } from "./remote-sessions.ts";
import type { SyncCall, SyncOutput, SyncTrouble } from "./sync-call.ts";

/** What reading needs: of this machine, and of the workspace. */
export interface Around {
  readonly runtime: Pick<Runtime, "now" | "store" | "log">;
  readonly call: SyncCall;
  readonly workspace: string;
  readonly keys: KeyRing;
  /** This machine's own; null before it has one. */
  readonly device: string | null;
}

/** Why an envelope was not believed. */
export interface RefusedEnvelope {
  readonly device: string;
  readonly session: string;
  readonly code: NotOpened["code"] | "replayed";
}

export interface Pulled {
  /** To ask for what changes after it. */
  readonly revision: number;
  readonly stored: number;
  readonly refused: readonly RefusedEnvelope[];
}

const pageRows = 50;

/**
 * [SY50] The same for one project or one session, at once: for a chat that asks before the machine has heard of the others.
 *
 * @returns why nothing can be known
 */
export async function pullOf(
  around: Around,
  filter: { readonly project: string } | { readonly session: string },
): Promise<Result<null, SyncTrouble>> {
  const end = await eachPage(around, filter, 0, ({ sessions }) => {
    for (const session of sessions) storeOne(around, session);
  });
  return end.ok ? ok(null) : end;
}

/**
 * [SY50] Sessions of other machines that have changed after a revision, opened and stored. [SY51] What cannot be believed is refused aloud and
 * changes nothing that was stored before.
 *
 * @param after 0: all of them, and what is not among them any more is dropped here
 */
export async function pull(around: Around, after: number): Promise<Result<Pulled, SyncTrouble>> {
  const seen = new Set<string>();
  const refused: RefusedEnvelope[] = [];
  let stored = 0;
  const end = await eachPage(around, {}, after, ({ sessions }) => {
    for (const session of sessions) {
      seen.add(keyOf(session));
      const fate = storeOne(around, session);
      if (fate === "stored") stored += 1;
      else if (fate !== "own") refused.push({ device: session.device, session: session.session, code: fate });
    }
  });
  if (end.ok) return ok(ended(around, after, seen, { revision: end.value, stored, refused }));
  // What it knows now counts.
  return end.error.code === putBack && after > 0 ? pull(around, 0) : end;
}

const putBack = "put_back";

/**
 * [SY53] To the last page, some of which have deletions only. What was forgotten there is forgotten here.
 *
 * @returns the revision to ask on from; else why the end was not reached, so that nobody takes what is missing for deleted
 */
async function eachPage(
  around: Around,
  filter: { readonly project?: string; readonly session?: string },
  after: number,
  take: (page: SyncOutput<"sync.list">) => void,
): Promise<Result<number, SyncTrouble>> {
  for (let from = after; ;) {
    const page = await around.call("sync.list", { ...filter, after: from, limit: pageRows });
    if (!page.ok) return page;
    const { revision, forgotten, isMore } = page.value;
    if (revision < from) return err({ code: putBack, message: "the coordinator was put back to an earlier state" });
    take(page.value);
    if (forgotten.length > 0) around.runtime.store.write((sql) => dropThese(sql, around.workspace, forgotten));
    if (!isMore) return ok(revision);
    if (revision === from)
      return err({ code: "bad_answer", message: "the coordinator's list does not come to its end" });
    from = revision;
  }
}

function keyOf({ device, session }: Pick<MirroredSession, "device" | "session">): string {
  return `${device} ${session}`;
}

function ended(around: Around, after: number, seen: ReadonlySet<string>, pulled: Pulled): Pulled {
  if (after === 0) around.runtime.store.write((sql) => dropOthers(sql, around.workspace, seen));
  for (const one of pulled.refused) around.runtime.log("warn", "an envelope of another machine is refused", { ...one });
  return pulled;
}

/** @returns what became of it; a code says why it is refused */
function storeOne(around: Around, session: MirroredSession): "stored" | "own" | RefusedEnvelope["code"] {
  const { runtime, workspace, keys, device: own } = around;
  const { device, seq } = session;
  if (device === own && session.taken === null) {
    runtime.store.write((sql) => remote.drop(sql, workspace, device, session.session));
    return "own";
  }
  const about = { workspace, kind: "session", device, session: session.session, of: seq } as const;
  const opened = open(keys.keys, about, session.envelope);
  if (!opened.ok) return opened.error.code;
  const content = readContent(SessionContent, opened.value);
  if (content === null) return "malformed";
  return runtime.store.write((sql) => {
    const before = remote.get(sql, workspace, device, session.session);
    if (before && isOlder({ seq, content }, before)) return "replayed";
    remote.put(sql, rowOf(around, session, content));
    return "stored";
  });
}

/**
 * [SY52] Numbers grow within an epoch of a device, and its epochs grow: what comes before what was seen is an old one shown again. Only a copied
 * home goes on in an older epoch, and what it seals is of a later time.
 */
function isOlder({ seq, content }: Pick<RemoteSession, "seq" | "content">, before: RemoteSession): boolean {
  if (content.epoch === before.content.epoch) return seq < before.seq;
  return content.epoch < before.content.epoch && content.sealedAt <= before.content.sealedAt;
}

function rowOf({ runtime, workspace }: Around, session: MirroredSession, content: SessionContent): RemoteSession {
  const now = runtime.now();
  const { device, machine, project, seq, isEnded, newest, taken, checkpoints } = session;
  return {
    workspace,
    device,
    session: session.session,
    machine,
    project,
    seq,
    at: now - session.ageMs,
    isEnded,
    taken: taken && { chat: taken.chat, machine: taken.machine, at: now - taken.ageMs },
    newest: newest && { checkpoint: newest.checkpoint, at: now - newest.ageMs },
    checkpoints,
    content,
  };
}

function dropThese(
  sql: Sql,
  workspace: string,
  gone: readonly { readonly device: string; readonly session: string }[],
): void {
  for (const { device, session } of gone) remote.drop(sql, workspace, device, session);
}

/** [SY53] What a full look does not show is gone there. */
function dropOthers(sql: Sql, workspace: string, seen: ReadonlySet<string>): void {
  for (const row of remote.list(sql, workspace))
    if (!seen.has(keyOf(row))) remote.drop(sql, workspace, row.device, row.session);
}
