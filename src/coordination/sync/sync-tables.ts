import { integer, serial, table, text } from "../../shared/table.ts";

/** Envelopes are last, so that lists and counts do not read them. */

/** One row: a push writes one, nothing is summed up again, and no number recurs. */
export const syncTotals = table("sync_totals", {
  one: serial(),
  keyId: text().nullable(),
  epoch: integer(),
  revision: integer(),
  chars: integer(),
});

/** Epochs are unique in a workspace. */
export const syncDevices = table("sync_devices", {
  epoch: serial(),
  device: text(),
  machine: text(),
  keyId: text(),
  mark: integer(),
  pushedAt: integer(),
  /** Those of the newest ops up to the mark. */
  hashes: text(),
});

/** Ordered by change, from which pulls continue. No envelope: only checkpoints are stored yet. */
export const syncSessions = table("sync_sessions", {
  revision: serial(),
  session: text(),
  device: text(),
  machine: text(),
  project: text().nullable(),
  isEnded: integer(),
  epoch: integer(),
  seq: integer(),
  at: integer(),
  changedAt: integer(),
  takenChat: text().nullable(),
  takenMachine: text().nullable(),
  takenAt: integer().nullable(),
  /** 0: not listed yet. */
  chars: integer(),
  envelope: text(),
});

export const syncCheckpoints = table("sync_checkpoints", {
  checkpoint: text().primary(),
  device: text().primary(),
  session: text(),
  epoch: integer(),
  seq: integer(),
  at: integer(),
  chars: integer(),
  envelope: text(),
});

/** Sessions that other machines have read and must delete. */
export const syncForgotten = table("sync_forgotten", {
  revision: serial(),
  session: text(),
  device: text(),
  at: integer(),
});

/** At most two bundles per session: complete and incoming. */
export const syncFiles = table("sync_files", {
  session: text().primary(),
  device: text().primary(),
  bundle: text().primary(),
  part: integer().primary(),
  parts: integer(),
  checkpoint: text(),
  epoch: integer(),
  at: integer(),
  chars: integer(),
  envelope: text(),
});

export const syncTables = [syncTotals, syncDevices, syncSessions, syncCheckpoints, syncForgotten, syncFiles];

export const syncIndexes: readonly string[] = [
  "INSERT INTO sync_totals (one, keyId, epoch, revision, chars) VALUES (1, NULL, 0, 0, 0)",
  "CREATE UNIQUE INDEX sync_sessions_keys ON sync_sessions (session, device)",
  "CREATE INDEX sync_checkpoints_session ON sync_checkpoints (session, device)",
];
