import type { UsageLimit } from "../contract/at-limit.ts";
import type { Trigger } from "../contract/checkpoint.ts";
import type { CrashCause } from "../contract/readings.ts";
import { blob, flag, integer, json, serial, table, text } from "../shared/table.ts";
import { sessionColumns } from "./session-tables.ts";

/** One row while this machine belongs to an edge workspace; changes are recorded only then. */
export const syncDevice = table("sync_device", {
  workspace: text().primary(),
  device: text(),
  /** Key under which all that was sent is sealed; "": nothing was sent. */
  keyId: text(),
  /** Numbers of the last answer to `sync.put`; 0: none came. */
  since: integer(),
  revision: integer(),
  /** Repairs of the store when everything was recorded last. */
  storeEpoch: integer(),
  /** Sessions that ended before this stay local, in epoch ms; 0: none do. */
  joinedAt: integer(),
});

/**
 * Changes that the coordinator has not acknowledged, recorded by triggers in the transaction of the
 * change: of each session one row, which moves to the end with each change.
 */
export const syncChanges = table("sync_changes", {
  seq: serial({ isReused: false }),
  session: text(),
  /** Checkpoint that was deleted; null: the session, or its newest checkpoint, has changed. */
  deleted: text().nullable(),
  /** Epoch ms of the first change that waits. */
  at: integer(),
  /** Sent at once. */
  isUrgent: flag(),
});

/** Records of a session of this machine that the coordinator has. */
export const syncSent = table("sync_sent", {
  session: text().primary(),
  /** Version that was stored last; 0: none. */
  version: integer().default(0),
  files: json<object>().nullable(),
});

export interface Takeover {
  readonly chat: string;
  readonly machine: string;
  readonly at: number;
}

/** Facts of a sealed record that have no column. Stored as JSON: add fields as optional. */
export interface SealedFacts {
  /** Version that the record replaces; with `sealedAt` it orders two of them. */
  readonly replaces: number;
  /** By the clock of its machine, epoch ms. */
  readonly sealedAt: number;
  /** To add to a time of its machine's clock for one of this machine's, in ms. */
  readonly clockOffsetMs: number;
  /** Number of checkpoints that its machine keeps, and the newest of them. */
  readonly checkpoints: number;
  readonly checkpoint: SealedCheckpoint | null;
  /** Why the newest one is not in the record; null: it is, or there is none. */
  readonly missingCheckpoint: string | null;
  /** Events after the checkpoint, and how many of them came with the record. */
  readonly unsaved: { readonly count: number; readonly came: number };
  /** Null unless its last event is a failure. */
  readonly lastFailure: { readonly limit: UsageLimit | null } | null;
  readonly death: { readonly cause: CrashCause; readonly detail: string } | null;
  readonly tasks: readonly { readonly task: number; readonly type: string }[];
  readonly files: SealedFiles | null;
}

/** A checkpoint of another machine, without its state. `at` is of this machine's clock. */
export interface SealedCheckpoint {
  readonly id: string;
  readonly at: number;
  readonly trigger: Trigger;
  readonly hash: string;
  readonly rawBytes: number;
  readonly redactions: number;
  readonly summary: string;
}

/** Uncommitted files that a machine has sent, and why newer ones are missing, by its clock. */
export interface SealedFiles {
  readonly sent: SentFiles | null;
  readonly notSent: NotSentFiles | null;
}

export interface SentFiles {
  readonly bundle: string;
  readonly checkpoint: string;
  readonly at: number;
  readonly sealedAt: number;
  readonly digest: string;
  readonly bytes: number;
}

export interface NotSentFiles {
  readonly checkpoint: string;
  readonly at: number;
  readonly reason: string;
}

/**
 * Sessions of the workspace's other machines as last pulled, in the columns of this machine's and
 * by its clock; and those of this machine that another one has taken.
 */
export const sessionsElsewhere = table("sessions_elsewhere", {
  workspace: text().primary(),
  device: text().primary(),
  ...sessionColumns,
  machine: text(),
  /** Name of its project in the workspace. */
  projectName: text().nullable(),
  taken: json<Takeover>().nullable(),
  sealed: json<SealedFacts>(),
  /** Its work state, with the events that came after the checkpoint; see checkpoint-body.ts. */
  hash: text(),
  body: blob(),
});

export const syncTables = [syncDevice, syncChanges, syncSent, sessionsElsewhere];

const isJoined = "WHEN EXISTS (SELECT 1 FROM sync_device)";
/** No OR REPLACE: the firing statement's conflict clause would win (lang_createtrigger.html). */
const record = (session: string, at: string, isUrgent: string): string => {
  const known = `FROM sync_changes WHERE session = ${session} AND deleted IS NULL`;
  return `INSERT INTO sync_changes (session, at, isUrgent)
      SELECT ${session}, coalesce(min(at), ${at}), max(coalesce(max(isUrgent), 0), ${isUrgent}) ${known};
    DELETE ${known} AND seq < (SELECT max(seq) ${known});`;
};
const isOver = `new.endedAt IS NOT NULL OR new.deathAt IS NOT NULL OR coalesce(new.recovery, '') IN ('recovered', 'dismissed')`;

export const syncTriggers: readonly string[] = [
  "CREATE INDEX sync_changes_of ON sync_changes (session)",
  `CREATE TRIGGER sync_session_new AFTER INSERT ON sessions ${isJoined} BEGIN
     ${record("new.id", "new.lastSeenAt", isOver)}
   END`,
  `CREATE TRIGGER sync_session_changed AFTER UPDATE ON sessions ${isJoined} BEGIN
     ${record("new.id", "new.lastSeenAt", isOver)}
   END`,
  `CREATE TRIGGER sync_session_gone AFTER DELETE ON sessions ${isJoined} BEGIN
     ${record("old.id", "old.lastSeenAt", "1")}
     DELETE FROM sync_sent WHERE session = old.id;
   END`,
  `CREATE TRIGGER sync_checkpoint_new AFTER INSERT ON checkpoints ${isJoined} BEGIN
     ${record("new.session", "new.at", "1")}
   END`,
  // Forgetting a session changes the checkpoints that inherited from it.
  `CREATE TRIGGER sync_checkpoint_changed AFTER UPDATE OF body ON checkpoints ${isJoined} BEGIN
     ${record("new.session", "new.at", "1")}
   END`,
  `CREATE TRIGGER sync_checkpoint_gone AFTER DELETE ON checkpoints ${isJoined} BEGIN
     INSERT INTO sync_changes (session, deleted, at, isUrgent) VALUES (old.session, old.id, old.at, 1);
     ${record("old.session", "old.at", "1")}
   END`,
];
