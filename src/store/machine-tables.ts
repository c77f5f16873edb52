import { integer, real, serial, table, text } from "../shared/table.ts";

export const meta = table("meta", { key: text().primary(), value: text() });

/** Shown in every answer and in the status line until acknowledged. */
export const notices = table("notices", {
  id: serial(),
  at: integer(),
  kind: text(),
  text: text(),
  acknowledgedAt: integer().nullable(),
});

/** The key is a digest: it names no session. */
export const sentNotifications = table("sent_notifications", { key: text().primary(), at: integer() });

/** Running totals of counters and histograms: they outlive the rows that they count. */
export const metricTotals = table("metric_totals", {
  name: text().primary(),
  /** JSON list of the values of the labels, in the order of their declaration. */
  labels: text().primary(),
  /** Upper bound of a histogram's bucket; "" for a counter; "+Inf" above the last bound. */
  bucket: text().primary(),
  value: real(),
  /** Sum of the observed values of a bucket. */
  sum: real(),
});

/** Times in which no content of the user's is stored. `project` null: every project. */
export const pauses = table("pauses", {
  seq: serial(),
  project: text().nullable(),
  startedAt: integer(),
  /** End, epoch ms; null: it lasts until it is ended. */
  until: integer().nullable(),
});

/** Decisions about sessions and experiments of this machine. */
export const audit = table("audit", {
  seq: serial(),
  at: integer(),
  kind: text(),
  /** An experiment, or the first characters of a session's id; "": neither. */
  subject: text(),
  actor: text(),
  result: text(),
  rows: integer().nullable(),
});

export const machineTables = [meta, pauses, notices, sentNotifications, metricTotals, audit];
