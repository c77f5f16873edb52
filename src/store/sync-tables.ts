import { blob, flag, integer, json, serial, table, text } from "../shared/table.ts";
import { isSettledSql, sessionColumns } from "./session-tables.ts";

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
  /** The claim that its own machine has noted. */
  recovery: text<"offered" | "recovered" | "dismissed">().nullable(),
  /** Name of its project in the workspace. */
  projectName: text().nullable(),
  taken: json<Takeover>().nullable(),
  /** Facts of its record that have no column; see sessions-elsewhere.ts. */
  sealed: json<object>(),
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
const isOver = isSettledSql("new");

export const rowTriggers: readonly string[] = [
  `CREATE TRIGGER sync_session_new AFTER INSERT ON sessions ${isJoined} BEGIN
     ${record("new.id", "new.lastSeenAt", isOver)}
   END`,
  `CREATE TRIGGER sync_session_changed AFTER UPDATE ON sessions ${isJoined} BEGIN
     ${record("new.id", "new.lastSeenAt", isOver)}
   END`,
];

/** A record says who continues its session, not what was mentioned. */
export const sessionTriggers: readonly string[] = [
  ...rowTriggers,
  `CREATE TRIGGER sync_claim_changed AFTER INSERT ON recoveries ${isJoined}
     AND new.action <> 'mentioned' AND EXISTS (SELECT 1 FROM sessions WHERE id = new.session) BEGIN
     ${record("new.session", "new.at", "new.action IN ('recovered', 'dismissed')")}
   END`,
];

export const syncTriggers: readonly string[] = [
  "CREATE INDEX sync_changes_of ON sync_changes (session)",
  ...sessionTriggers,
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
