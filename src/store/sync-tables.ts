import { blob, flag, integer, json, serial, table, text } from "../shared/table.ts";

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
  /** [SY96] Sessions that ended before this stay local, in epoch ms; 0: none do. */
  joinedAt: integer(),
});

/** Changes not stored by the coordinator, recorded by triggers in the transaction of the change. */
export const syncChanges = table("sync_changes", {
  seq: serial({ isReused: false }),
  kind: text<"session" | "checkpoint">(),
  session: text(),
  id: text(),
  at: integer(),
  /** Request under way that carries it; 0: none. A change meanwhile is a row of its own. */
  batch: integer().default(0),
});

/** Records of a session of this machine that the coordinator has. */
export const syncSent = table("sync_sent", {
  session: text().primary(),
  /** Version that was stored last; 0: none. */
  version: integer(),
  files: json<object>().nullable(),
});

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
  /** Last change there, in epoch ms of this machine. */
  at: integer(),
  isEnded: flag(),
  taken: json<Takeover>().nullable(),
  content: json<object>(),
});

export const remoteCheckpoints = table("remote_checkpoints", {
  checkpointId: text().primary(),
  workspace: text(),
  device: text(),
  session: text(),
  at: integer(),
  body: blob(),
});

export const syncTables = [syncDevice, syncChanges, syncSent, remoteSessions, remoteCheckpoints];

const isWaiting = (kind: string, id: string): string =>
  `EXISTS (SELECT 1 FROM sync_changes WHERE kind = '${kind}' AND id = ${id} AND batch = 0)`;
const isRecorded = (kind: string): string =>
  `WHEN EXISTS (SELECT 1 FROM sync_device) AND NOT ${isWaiting(kind, "new.id")}`;
const record = (kind: string, row: string): string => {
  const [session, at] = kind === "session" ? ["id", "lastSeenAt"] : ["session", "at"];
  return `INSERT INTO sync_changes (kind, session, id, at) VALUES ('${kind}', ${row}.${session}, ${row}.id, ${row}.${at});`;
};
/** A session names its newest checkpoint, so that both change together. */
const recordSessionOf = (row: string): string =>
  `INSERT INTO sync_changes (kind, session, id, at) SELECT 'session', id, id, lastSeenAt FROM sessions
     WHERE id = ${row}.session AND NOT ${isWaiting("session", `${row}.session`)};`;
const recordDeletion = (
  kind: string,
): string => `DELETE FROM sync_changes WHERE kind = '${kind}' AND id = old.id AND batch = 0;
  ${record(kind, "old")}`;

export const syncTriggers: readonly string[] = [
  "CREATE UNIQUE INDEX sync_changes_of ON sync_changes (kind, id, batch)",
  // No OR IGNORE: the firing statement's conflict clause would win (lang_createtrigger.html).
  `CREATE TRIGGER sync_session_new AFTER INSERT ON sessions ${isRecorded("session")} BEGIN
     ${record("session", "new")}
   END`,
  `CREATE TRIGGER sync_session_changed AFTER UPDATE ON sessions ${isRecorded("session")} BEGIN
     ${record("session", "new")}
   END`,
  `CREATE TRIGGER sync_session_gone AFTER DELETE ON sessions WHEN EXISTS (SELECT 1 FROM sync_device) BEGIN
     ${recordDeletion("session")}
     DELETE FROM sync_sent WHERE session = old.id;
   END`,
  `CREATE TRIGGER sync_checkpoint_new AFTER INSERT ON checkpoints ${isRecorded("checkpoint")} BEGIN
     ${record("checkpoint", "new")}
     ${recordSessionOf("new")}
   END`,
  // Forgetting a session changes the checkpoints that inherited from it.
  `CREATE TRIGGER sync_checkpoint_changed AFTER UPDATE OF body ON checkpoints ${isRecorded("checkpoint")} BEGIN
     ${record("checkpoint", "new")}
   END`,
  `CREATE TRIGGER sync_checkpoint_gone AFTER DELETE ON checkpoints WHEN EXISTS (SELECT 1 FROM sync_device) BEGIN
     ${recordDeletion("checkpoint")}
     ${recordSessionOf("old")}
   END`,
];
