import type { SyncOp } from "../contract/sync.ts";
import { blob, flag, integer, json, serial, table, text } from "../shared/table.ts";

/** One row while this machine belongs to an edge workspace; changes are recorded only then. */
export const syncDevice = table("sync_device", {
  workspace: text().primary(),
  device: text(),
  /** Device epoch; 0 before the first. */
  epoch: integer(),
  /** Home and machine that hold this row; "": a new epoch is required. */
  fingerprint: text(),
  keyId: text(),
  sealed: integer(),
  /** Highest number that the coordinator has stored. */
  acked: integer(),
  /** [SY96] Sessions that ended before this stay local, in epoch ms; 0: none do. */
  joinedAt: integer(),
});

/** Unsealed changes, recorded by triggers in the transaction of the change. */
export const syncChanges = table("sync_changes", {
  seq: serial({ isReused: false }),
  kind: text<"session" | "checkpoint">(),
  session: text(),
  id: text(),
  at: integer(),
});

/** Sealed ops under the device's numbers, sent unchanged until acknowledged. */
export const syncLog = table("sync_log", {
  seq: serial(),
  kind: text<SyncOp["kind"]>(),
  session: text(),
  at: integer(),
  hash: text(),
  op: text(),
});

/** Newest files of a session at the coordinator. */
export const syncFiles = table("sync_files", { session: text().primary(), body: json<object>() });

export interface Takeover {
  readonly chat: string;
  readonly machine: string;
  readonly at: number;
}

/** Opened sessions of the workspace's other machines, as last pulled. */
export const remoteSessions = table("remote_sessions", {
  workspace: text().primary(),
  session: text().primary(),
  device: text().primary(),
  machine: text(),
  project: text().nullable(),
  /** Number of the op that stored it, in the epoch of `content`. */
  seq: integer(),
  /** Last change there, in epoch ms of this machine. */
  at: integer(),
  isEnded: flag(),
  taken: json<Takeover>().nullable(),
  body: json<object>(),
});

export const remoteCheckpoints = table("remote_checkpoints", {
  checkpointId: text().primary(),
  workspace: text(),
  device: text(),
  session: text(),
  at: integer(),
  body: blob(),
});

export const syncTables = [syncDevice, syncChanges, syncLog, syncFiles, remoteSessions, remoteCheckpoints];

const isRecorded = (kind: string): string =>
  `WHEN EXISTS (SELECT 1 FROM sync_device) AND NOT EXISTS (SELECT 1 FROM sync_changes WHERE kind = '${kind}' AND id = new.id)`;
const record = (kind: string, row: string): string => {
  const [session, at] = kind === "session" ? ["id", "lastSeenAt"] : ["session", "at"];
  return `INSERT INTO sync_changes (kind, session, id, at) VALUES ('${kind}', ${row}.${session}, ${row}.id, ${row}.${at});`;
};
const recordDeletion = (kind: string): string => `DELETE FROM sync_changes WHERE kind = '${kind}' AND id = old.id;
  ${record(kind, "old")}`;

export const syncTriggers: readonly string[] = [
  "CREATE UNIQUE INDEX sync_changes_of ON sync_changes (kind, id)",
  // No OR IGNORE: the firing statement's conflict clause would win (lang_createtrigger.html).
  `CREATE TRIGGER sync_session_new AFTER INSERT ON sessions ${isRecorded("session")} BEGIN
     ${record("session", "new")}
   END`,
  `CREATE TRIGGER sync_session_changed AFTER UPDATE ON sessions ${isRecorded("session")} BEGIN
     ${record("session", "new")}
   END`,
  `CREATE TRIGGER sync_session_gone AFTER DELETE ON sessions WHEN EXISTS (SELECT 1 FROM sync_device) BEGIN
     ${recordDeletion("session")}
   END`,
  `CREATE TRIGGER sync_checkpoint_new AFTER INSERT ON checkpoints ${isRecorded("checkpoint")} BEGIN
     ${record("checkpoint", "new")}
   END`,
  // Forgetting a session changes the checkpoints that inherited from it.
  `CREATE TRIGGER sync_checkpoint_changed AFTER UPDATE OF body ON checkpoints ${isRecorded("checkpoint")} BEGIN
     ${record("checkpoint", "new")}
   END`,
  `CREATE TRIGGER sync_checkpoint_gone AFTER DELETE ON checkpoints WHEN EXISTS (SELECT 1 FROM sync_device) BEGIN
     ${recordDeletion("checkpoint")}
   END`,
  `CREATE TRIGGER sync_files_gone AFTER DELETE ON sessions BEGIN
     DELETE FROM sync_files WHERE session = old.id;
   END`,
];
