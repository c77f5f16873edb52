import * as z from "zod";
import type { Trigger } from "../../contract/checkpoint.ts";
import { type Readings } from "../../contract/readings.ts";
import { parseJson } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";
import { Ending } from "../../contract/ending.ts";
import { JournalEntry } from "../../contract/journal.ts";
import { WorkState } from "../../contract/work-state.ts";
import { checkpoints as checkpointTable } from "../../store/session-tables.ts";
import * as checkpoints from "../sessions/checkpoints/checkpoints.ts";
import * as journal from "../sessions/journal.ts";
import { claimOf } from "../sessions/recoveries.ts";
import { tasksOf } from "../sessions/session-content.ts";
import * as news from "../sessions/news.ts";
import * as sessions from "../sessions/sessions.ts";
import { FilesContent, NotSentFiles, SentFiles } from "./files-content.ts";
import * as sentRecords from "./sent-records.ts";

/**
 * Contents of envelopes, as JSON. Stored at the coordinator and read by other versions of SHIM: add
 * fields as optional. Times, `sealedAt` too, are of the sealing machine's clock.
 */

const text = z.string();
const nullableText = z.nullable(text);
const at = z.number();
const nullableAt = z.nullable(at);
const count = z.int().min(0);

const Unsaved = z.object({
  count,
  entries: z.array(z.object({ at, entry: JournalEntry })),
});

/** Fields of a session's row that are shared. */
const SharedSession = z.object({
  client: text,
  clientVersion: nullableText,
  project: nullableText,
  cwd: nullableText,
  model: nullableText,
  origin: text,
  isScripts: z.boolean().default(false),
  startedAt: at,
  lastSeenAt: at,
  savedAt: nullableAt,
  /** 0: none of its transcript was read, or its version of SHIM does not say. */
  transcriptOffset: count.default(0),
  ending: z.nullable(Ending),
  toolCalls: count,
  toolErrors: count,
  // Written by a version of SHIM that knows all of them, or more.
  readings: z.record(text, z.unknown()).transform((readings) => readings as Readings),
});
type SharedSession = Pick<sessions.Session, keyof typeof SharedSession.shape>;

/** Newest checkpoint of a session. */
const SealedCheckpoint = z.object({
  id: text,
  at,
  // Only shown: a newer program may have more triggers.
  trigger: text.transform((trigger) => trigger as Trigger),
  hash: text,
  rawBytes: count,
  redactions: count,
  summary: text,
  state: WorkState,
});

export const SessionContent = SharedSession.extend({
  /** Version that this one replaces, 0: none; with `sealedAt` it orders two versions. */
  replaces: count,
  sealedAt: at,
  title: nullableText,
  recovery: z.nullable(z.enum(["offered", "recovered", "dismissed"])).catch(null),
  /** Number of checkpoints that its machine keeps. */
  checkpoints: count,
  checkpoint: z.nullable(SealedCheckpoint),
  /** Why the newest checkpoint is not here. */
  missingCheckpoint: z.optional(text),
  unsaved: Unsaved,
  /** The user's own words that no model has had yet, oldest first; see `user_message` of news. */
  words: z.optional(z.array(z.object({ key: text, at, by: text, text }))),
  /** Tasks of the workspace that it had last. */
  tasks: z.optional(z.array(z.object({ task: count, type: text }))),
  files: z.optional(z.object({ sent: z.nullable(SentFiles), notSent: z.nullable(NotSentFiles) })),
});
export type SessionContent = z.infer<typeof SessionContent>;

export function encodeContent(content: SessionContent | FilesContent): Uint8Array {
  return Buffer.from(JSON.stringify(content), "utf8");
}

export function decodeContent<Content>(schema: z.ZodType<Content>, bytes: Uint8Array): Content | null {
  return schema.safeParse(parseJson(Buffer.from(bytes).toString("utf8"))).data ?? null;
}

/** Bounds of the newest unfolded journal entries: number, and characters of JSON. */
const maxUnsavedEntries = 30;
const maxUnsavedChars = 32_768;

/** @param missing why its checkpoint is left out */
export function buildSessionContent(
  sql: Sql,
  session: sessions.Session,
  now: number,
  missing: string | null = null,
): SessionContent {
  const { id } = session;
  const newest = checkpoints.latest(sql, id);
  const files = sentRecords.filesOf(sql, id);
  const tasks = tasksOf(sql, id);
  const words = news.waitingWords(sql, id);
  const checkpoint = newest && missing === null ? buildCheckpoint(sql, newest) : null;
  const why = missing ?? (newest && !checkpoint ? "its content is damaged" : null);
  return {
    ...sharedFields(session),
    replaces: sentRecords.versionOf(sql, id),
    sealedAt: now,
    title: sessions.displayTitle(session),
    recovery: sharedClaim(sql, id),
    checkpoints: checkpointTable.count(sql, { session: id }),
    checkpoint,
    unsaved: findUnsaved(sql, id, newest?.journalSeq ?? 0),
    ...(why === null ? {} : { missingCheckpoint: why }),
    ...(words.length > 0 ? { words } : {}),
    ...(tasks.length > 0 ? { tasks } : {}),
    ...(files ? { files } : {}),
  };
}

/** The shared fields of a session of this machine, or of a record of another one. */
export function sharedFields(session: SharedSession): SharedSession {
  const names = Object.keys(SharedSession.shape) as (keyof SharedSession)[];
  return Object.fromEntries(names.map((name) => [name, session[name]])) as unknown as SharedSession;
}

/** Null for a damaged one. */
function buildCheckpoint(sql: Sql, newest: checkpoints.Checkpoint): SessionContent["checkpoint"] {
  const { seq, id, at, trigger, hash, rawBytes, redactions, summary } = newest;
  const state = checkpoints.findState(sql, seq);
  return state && { id, at, trigger, hash, rawBytes, redactions, summary, state };
}

/** Omits another machine's takeover: the mirror reports it, and its release at once. */
function sharedClaim(sql: Sql, session: string): SessionContent["recovery"] {
  const { is, by } = claimOf(sql, session) ?? { is: null, by: null };
  if (is === "taken") return "offered";
  return is === "recovered" && by !== null && sessions.get(sql, by) === null ? null : is;
}

function findUnsaved(sql: Sql, session: string, after: number): SessionContent["unsaved"] {
  const rows = journal.list(sql, session, after);
  const entries: SessionContent["unsaved"]["entries"] = [];
  let chars = 0;
  for (const { at, entry } of rows.slice(-maxUnsavedEntries).toReversed()) {
    chars += JSON.stringify(entry).length;
    if (chars > maxUnsavedChars) break;
    entries.unshift({ at, entry });
  }
  return { count: rows.length, entries };
}
