import { integer, serial, table, text } from "../../shared/table.ts";

/** Envelopes are last, so that lists and counts do not read them. */

/** One row: a put writes one, nothing is summed up again, and no number recurs. */
export const syncTotals = table("sync_totals", {
  one: serial(),
  keyId: text().nullable(),
  revision: integer(),
  chars: integer(),
  /** Sessions and records of files. */
  records: integer(),
});

export const syncDevices = table("sync_devices", {
  device: text().primary(),
  machine: text(),
  /** Revision of its first put; another one after a purge. */
  since: integer(),
  putAt: integer(),
});

/** Ordered by change, from which pulls continue. */
export const syncSessions = table("sync_sessions", {
  revision: serial(),
  session: text(),
  device: text(),
  machine: text(),
  /** Checkpoint in the envelope. */
  checkpoint: text().nullable(),
  project: text().nullable(),
  isEnded: integer(),
  /** Revision of its last put: a takeover changes the revision alone. */
  version: integer(),
  at: integer(),
  changedAt: integer(),
  takenChat: text().nullable(),
  takenMachine: text().nullable(),
  takenAt: integer().nullable(),
  chars: integer(),
  envelope: text(),
});

/** Files of sessions: at most two bundles of each, one complete and one incoming. */
export const syncContents = table("sync_contents", {
  session: text().primary(),
  device: text().primary(),
  kind: text<"files" | "part">().primary(),
  /** Name of a part; the header has none. */
  item: text().primary(),
  checkpoint: text(),
  bundle: text(),
  at: integer(),
  chars: integer(),
  envelope: text(),
});

/** The bundle of each session of which parts were stored and no header. */
export const syncIncoming = table("sync_incoming", {
  session: text().primary(),
  device: text().primary(),
  bundle: text(),
  /** Epoch ms of its first part. */
  begunAt: integer(),
});

/** Sessions that other machines have read and must delete. */
export const syncForgotten = table("sync_forgotten", {
  revision: serial(),
  session: text(),
  device: text(),
  at: integer(),
});

export const syncTables = [syncTotals, syncDevices, syncSessions, syncContents, syncIncoming, syncForgotten];

export const syncIndexes: readonly string[] = [
  "INSERT INTO sync_totals (one, keyId, revision, chars, records) VALUES (1, NULL, 0, 0, 0)",
  "CREATE UNIQUE INDEX sync_sessions_keys ON sync_sessions (session, device)",
  "CREATE INDEX sync_incoming_begun ON sync_incoming (begunAt)",
];
